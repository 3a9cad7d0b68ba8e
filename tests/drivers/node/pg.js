// node-postgres: a client, prepared statements, cursors, a pool, and writes that are denied.
"use strict";

const pg = require("pg");
const Cursor = require("pg-cursor");
const QueryStream = require("pg-query-stream");
const { check, denied, url, writes } = require("./common.js");

async function main() {
  const client = new pg.Client({ connectionString: url, application_name: "reports", statement_timeout: 10000 });
  await client.connect();
  let { rows } = await client.query("SELECT id, name, email FROM authors WHERE id <= $1 ORDER BY id", [3]);
  check(rows.length === 3 && !rows[0].email.includes("example.org"), rows);
  ({ rows } = await client.query("SELECT extra, tags, mood, born FROM authors WHERE id = ANY($1)", [[1, 2]]));
  check(rows[0].extra.rank === 1 && rows[0].tags[1] === "b1" && rows[0].mood === "busy", rows);
  for (const id of [1, 2, 3]) {
    const prepared = { name: "book", text: "SELECT title FROM books WHERE id = $1", values: [id], rowMode: "array" };
    ({ rows } = await client.query(prepared));
    check(rows[0][0] === `Book ${id}`, rows);
  }
  const results = await client.query("SELECT 1 AS one; SELECT 2 AS two");
  check(results[1].rows[0].two === 2, results);
  const cursor = client.query(new Cursor("SELECT id FROM books ORDER BY id"));
  check((await cursor.read(30)).length === 30 && (await cursor.read(100)).length === 70);
  await cursor.close();
  let streamed = 0;
  for await (const _ of client.query(new QueryStream("SELECT id FROM books", [], { batchSize: 30 }))) streamed += 1;
  check(streamed === 100, streamed);
  ({ rows } = await client.query("EXPLAIN (FORMAT JSON) SELECT * FROM books WHERE price > 3"));
  check(rows[0]["QUERY PLAN"][0].Plan, rows);
  for (const sql of writes()) {
    await denied(() => client.query(sql), sql);
    ({ rows } = await client.query("SELECT 7 AS seven"));
    check(rows[0].seven === 7, sql);
    await denied(() => client.query({ text: sql, queryMode: "extended" }), sql);
  }
  await denied(() => client.query("INSERT INTO authors (name) VALUES ($1)", ["Mallory"]), "INSERT");
  await client.query("BEGIN READ ONLY ISOLATION LEVEL SERIALIZABLE");
  await denied(() => client.query("DROP TABLE books"), "DROP");
  const failed = await client.query("SELECT 1").catch((error) => error);
  check(failed.code === "25P02", failed);
  await client.query("ROLLBACK");
  await client.end();

  const pool = new pg.Pool({ connectionString: url, max: 4 });
  const counts = await Promise.all(Array.from({ length: 20 }, () => pool.query("SELECT count(*)::int AS n FROM books")));
  check(counts.every((result) => result.rows[0].n === 100), "a pool");
  await denied(() => pool.query("DROP TABLE books"), "DROP through a pool");
  ({ rows } = await pool.query("SELECT 7 AS seven"));
  check(rows[0].seven === 7);
  await pool.end();
  console.log("ok");
}

main();
