// Creates an extension in a PostgreSQL of its own and prints a query's rows as JSON: node run.mjs EXTENSION SQL
import { PGlite } from "@electric-sql/pglite";
import { postgis } from "@electric-sql/pglite-postgis";
import { vector } from "@electric-sql/pglite-pgvector";

const [name, sql] = process.argv.slice(2);
const database = await PGlite.create({ extensions: { postgis, vector } });
await database.exec(`CREATE EXTENSION ${name}`);
const { rows } = await database.query(sql, [], { rowMode: "array" });
console.log(JSON.stringify(rows));
