// Tables, types, indexes and a function.
"use strict";

exports.up = (pgm) => {
  pgm.createType("state", ["open", "paid"]);
  pgm.createTable("buyers", { id: "id", name: { type: "varchar(80)", notNull: true } });
  pgm.createTable("orders", {
    id: "id",
    buyer_id: { type: "integer", notNull: true, references: "buyers", onDelete: "CASCADE" },
    state: { type: "state", notNull: true, default: "open" },
    total: { type: "numeric(10,2)", check: "total >= 0" },
    placed: { type: "timestamptz", notNull: true, default: pgm.func("now()") },
  });
  pgm.createIndex("orders", "buyer_id");
  pgm.createFunction(
    "touch",
    [],
    { returns: "trigger", language: "plpgsql" },
    "BEGIN NEW.placed := now(); RETURN NEW; END",
  );
  pgm.createTrigger("orders", "touch", { when: "BEFORE", operation: "UPDATE", function: "touch", level: "ROW" });
};

exports.down = (pgm) => {
  pgm.dropTable("orders");
  pgm.dropFunction("touch", []);
  pgm.dropTable("buyers");
  pgm.dropType("state");
};
