// Changes, data that moves, and a block of PL/pgSQL.
"use strict";

exports.up = (pgm) => {
  pgm.addColumns("orders", { code: { type: "text" } });
  pgm.sql("INSERT INTO buyers (name) VALUES ('Ada'), ('Grace')");
  pgm.sql("INSERT INTO orders (buyer_id, total) SELECT id, 10 FROM buyers");
  pgm.sql("UPDATE orders SET code = 'N' || id");
  pgm.alterColumn("orders", "code", { notNull: true });
  pgm.addConstraint("orders", "orders_code", { unique: ["code"] });
  pgm.renameColumn("buyers", "name", "full_name");
  pgm.sql(`
    DO $$
    BEGIN
      PERFORM pg_advisory_xact_lock(17);
      IF NOT EXISTS (SELECT FROM information_schema.columns WHERE table_name = 'buyers' AND column_name = 'rank') THEN
        ALTER TABLE buyers ADD COLUMN rank int NOT NULL DEFAULT 0;
      END IF;
      UPDATE buyers SET rank = 1;
    END $$`);
  pgm.createView("ranked", {}, "SELECT full_name, rank FROM buyers");
};

exports.down = (pgm) => {
  pgm.dropView("ranked");
  pgm.dropColumns("buyers", ["rank"]);
  pgm.renameColumn("buyers", "full_name", "name");
  pgm.dropConstraint("orders", "orders_code");
  pgm.dropColumns("orders", ["code"]);
};
