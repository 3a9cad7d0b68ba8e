// What the Node clients share: where the gateway is, and what each tries that is denied.
"use strict";

const fs = require("node:fs");

const { PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, WRITES } = process.env;

exports.url = `postgresql://${PGUSER}:${PGPASSWORD}@${PGHOST}:${PGPORT}/${PGDATABASE}`;

/// Statements that change something, one a line of the file that the test names.
exports.writes = () => fs.readFileSync(WRITES, "utf8").split("\n").filter(Boolean);

exports.check = (holds, ...what) => {
  if (!holds) throw new Error(`unexpected: ${JSON.stringify(what)}`);
};

/// Runs what the gateway has to deny; `codeOf` finds the SQLSTATE in the driver's error.
exports.denied = async (run, what, codeOf = (error) => error.code) => {
  try {
    await run();
  } catch (error) {
    exports.check(codeOf(error) === "42501" && /sluice/.test(JSON.stringify(error.meta) + error), what, String(error), error);
    return;
  }
  throw new Error(`passed: ${what}`);
};

/// The server's SQLSTATE in Prisma's errors: of a raw query beside Prisma's own code, of others in what the adapter says.
exports.codeOf = (error) => {
  const cause = error.meta?.driverAdapterError?.cause ?? error.cause;
  return cause?.originalCode ?? error.meta?.code ?? cause?.code;
};
