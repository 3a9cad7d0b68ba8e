// node-pg-migrate: migrates up under its advisory lock, and down again.
"use strict";

const path = require("node:path");
const pg = require("pg");
const { runner } = require("node-pg-migrate");
const { check, denied, url } = require("./common.js");

async function main() {
  const options = {
    databaseUrl: url,
    dir: path.join(__dirname, "migrations"),
    migrationsTable: "pgmigrations",
    log: () => {},
  };
  const done = await runner({ ...options, direction: "up" });
  check(done.length === 2, done);
  check((await runner({ ...options, direction: "up" })).length === 0);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query("SELECT code, rank FROM orders JOIN buyers ON buyers.id = buyer_id ORDER BY orders.id");
  check(rows.length === 2 && rows[0].code === "N1" && rows[0].rank === 1, rows);
  await client.query("UPDATE orders SET total = 11 WHERE code = 'N1'");
  await denied(() => client.query("CREATE ROLE mallory LOGIN SUPERUSER"), "CREATE ROLE");
  check((await runner({ ...options, direction: "down", count: 2 })).length === 2);
  await client.query("DROP TABLE pgmigrations");
  await client.end();
  console.log("ok");
}

main();
