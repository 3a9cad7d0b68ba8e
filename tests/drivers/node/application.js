// A service with Prisma: rows come, change and go; without a filter nothing changes.
"use strict";

const path = require("node:path");
const { PrismaPg } = require("@prisma/adapter-pg");
const { PrismaClient } = require(path.join(process.env.NODE_PATH, "../generated"));
const { check, codeOf, denied, url } = require("./common.js");

async function main() {
  const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: url }) });
  const created = await prisma.author.create({
    data: { name: "Grace", mood: "busy", tags: ["new"], books: { create: [{ title: "Compilers" }, { title: "Nanoseconds" }] } },
    include: { books: true },
  });
  check(created.books.length === 2, created);
  const [first, second] = created.books;
  await prisma.book.update({ where: { id: first.id }, data: { price: { set: 5 } } });
  await prisma.book.upsert({ where: { id: second.id }, update: { title: "Time" }, create: { title: "Time", authorId: created.id } });
  await prisma.book.createMany({ data: [{ title: "A", authorId: created.id }, { title: "A", authorId: created.id }], skipDuplicates: true });
  const changed = await prisma.book.updateMany({ where: { authorId: created.id }, data: { price: { increment: 1 } } });
  check(changed.count === 3, changed);
  await prisma.$transaction(async (session) => {
    await session.book.delete({ where: { id: second.id } });
    await session.author.update({ where: { id: created.id }, data: { extra: { rank: 3 }, tags: { push: "more" } } });
  });
  check((await prisma.book.findUnique({ where: { id: first.id } })) !== null);

  await denied(() => prisma.book.deleteMany(), "deleteMany", codeOf);
  await denied(() => prisma.book.updateMany({ data: { price: 1 } }), "updateMany", codeOf);
  await denied(() => prisma.$executeRawUnsafe("ALTER TABLE books ADD COLUMN made int"), "ALTER TABLE", codeOf);

  check((await prisma.book.deleteMany({ where: { authorId: created.id } })).count === 2);
  await prisma.author.delete({ where: { id: created.id } });
  check((await prisma.book.count()) === 100);
  await prisma.$disconnect();
  console.log("ok");
}

main();
