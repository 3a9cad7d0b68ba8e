// Prisma with its driver adapter over node-postgres: queries, relations, transactions, and writes that are denied.
"use strict";

const path = require("node:path");
const { PrismaPg } = require("@prisma/adapter-pg");
const { PrismaClient, Prisma } = require(path.join(process.env.NODE_PATH, "../generated"));
const { check, codeOf, denied, url, writes } = require("./common.js");

const refused = (run, what) => denied(run, what, codeOf);

async function main() {
  const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: url }) });
  await prisma.$connect();
  const authors = await prisma.author.findMany({ where: { id: { lte: 3 } }, include: { books: true }, orderBy: { id: "asc" } });
  check(authors.length === 3 && authors.every((author) => author.books.length === 5), authors);
  check(!authors[0].email.includes("example.org") && authors[0].mood === "busy" && authors[0].tags[1] === "b1", authors[0]);
  const found = await prisma.book.findMany({
    where: { OR: [{ title: { contains: "BOOK 1", mode: "insensitive" } }, { author: { mood: "calm" } }], price: { gt: 5 } },
    orderBy: [{ price: "desc" }, { id: "asc" }],
    skip: 1,
    take: 7,
    select: { title: true, author: { select: { name: true } } },
  });
  check(found.length === 7, found);
  check((await prisma.book.findUnique({ where: { authorId_title: { authorId: 2, title: "Book 1" } } })).id === 1);
  const sums = await prisma.book.aggregate({ _count: true, _avg: { price: true }, _max: { added: true } });
  check(sums._count === 100 && Number(sums._avg.price) === 50.5, sums);
  const groups = await prisma.book.groupBy({ by: ["authorId"], _count: true, having: { price: { _avg: { gt: 50 } } } });
  check(groups.length > 0 && groups.every((group) => group._count === 5), groups);
  check((await prisma.author.findMany({ where: { extra: { path: ["rank"], equals: 3 }, tags: { has: "b3" } } })).length === 1);
  const rows = await prisma.$queryRaw`SELECT count(*)::int AS n FROM books WHERE price > ${50}`;
  check(rows[0].n === 50, rows);
  const [count, first] = await prisma.$transaction([prisma.book.count(), prisma.author.findFirst()]);
  check(count === 100 && first, count);
  const isolationLevel = Prisma.TransactionIsolationLevel.Serializable;
  await prisma.$transaction(async (session) => check((await session.book.count()) === 100), { isolationLevel });

  await refused(() => prisma.author.create({ data: { name: "Mallory", books: { create: { title: "Mine" } } } }), "create");
  await refused(() => prisma.author.createMany({ data: [{ name: "Mallory" }, { name: "Eve" }] }), "createMany");
  await refused(() => prisma.book.update({ where: { id: 1 }, data: { title: "Mine" } }), "update");
  await refused(() => prisma.book.updateMany({ data: { price: 1 } }), "updateMany");
  await refused(() => prisma.book.delete({ where: { id: 1 } }), "delete");
  await refused(() => prisma.book.deleteMany(), "deleteMany");
  await refused(
    () => prisma.book.upsert({ where: { id: 1 }, update: { title: "Mine" }, create: { title: "Mine", authorId: 1 } }),
    "upsert",
  );
  for (const sql of writes()) {
    await refused(() => prisma.$executeRawUnsafe(sql), sql);
    check((await prisma.$queryRaw`SELECT 7 AS seven`)[0].seven === 7, sql);
  }
  check((await prisma.book.count()) === 100);
  await prisma.$disconnect();
  console.log("ok");
}

main();
