"""SQLAlchemy with each of its drivers: connection, reflection, Core and ORM queries, and writes that are denied."""

import asyncio
import sys
import warnings

from sqlalchemy import MetaData, Table, create_engine, func, inspect, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.ext.automap import automap_base
from sqlalchemy.orm import Session, configure_mappers, selectinload

from common import check, denied, sqlstate_of, url, writes


def reflect(connection):
    inspector = inspect(connection)
    check("public" in inspector.get_schema_names())
    check(set(inspector.get_table_names()) >= {"authors", "books"})
    check("book_list" in inspector.get_view_names())
    check("JOIN" in inspector.get_view_definition("book_list"))
    check(inspector.get_materialized_view_names() == [])
    check("books_id_seq" in inspector.get_sequence_names())
    columns = {column["name"]: column for column in inspector.get_columns("authors")}
    check(columns["id"]["identity"]["start"] == 1 and columns["mood"]["type"].enums == ["calm", "busy"], columns)
    check(inspector.get_pk_constraint("books")["constrained_columns"] == ["id"])
    (key,) = inspector.get_foreign_keys("books")
    check((key["referred_table"], key["options"]) == ("authors", {"ondelete": "CASCADE"}), key)
    indexes = {index["name"]: index for index in inspector.get_indexes("books")}
    check(indexes["books_title"]["expressions"] == ["lower(title)"], indexes)
    check("price > " in indexes["books_price"]["dialect_options"]["postgresql_where"], indexes)
    (unique,) = inspector.get_unique_constraints("books")
    check(unique["column_names"] == ["author_id", "title"])
    (constraint,) = inspector.get_check_constraints("books")
    check("price >= " in constraint["sqltext"])
    check(inspector.get_table_comment("books") == {"text": "what authors write"})
    check(inspector.has_table("books") and not inspector.has_table("nowhere"))
    check(inspector.has_schema("public") and inspector.has_sequence("books_id_seq"))
    check(inspector.has_index("books", "books_title"))
    check([enum["name"] for enum in inspector.get_enums()] == ["mood"])
    check(inspector.get_domains() == [])
    check(set(inspector.get_multi_columns()) >= {(None, "authors"), (None, "books")})
    check(inspector.get_table_options("books") is not None)
    metadata = MetaData()
    metadata.reflect(connection, views=True)
    check({"authors", "books", "book_list"} <= set(metadata.tables))
    return metadata


def queries(engine):
    with engine.connect() as connection:
        metadata = reflect(connection)
        books, authors = metadata.tables["books"], metadata.tables["authors"]
        count = connection.scalar(select(func.count()).select_from(books.join(authors)).where(books.c.price > 50))
        check(count == 50, count)
        rows = connection.execute(select(authors.c.email).order_by(authors.c.name).limit(3)).all()
        check(len(rows) == 3 and not any("example.org" in row.email for row in rows), rows)
        with connection.execute(select(books.c.id).order_by(books.c.id), execution_options={"stream_results": True}) as result:
            check(len(result.all()) == 100)
    for isolation in ("SERIALIZABLE", "AUTOCOMMIT"):
        with engine.connect().execution_options(isolation_level=isolation) as connection:
            check(connection.scalar(text("SELECT 7")) == 7)
            check(connection.get_isolation_level() is not None)

    base = automap_base()
    base.prepare(autoload_with=engine)
    configure_mappers()
    book, author = base.classes.books, base.classes.authors
    with Session(engine) as session:
        loaded = session.scalars(select(author).options(selectinload(author.books_collection)).where(author.id < 4)).all()
        check([len(one.books_collection) for one in loaded] == [5, 5, 5], loaded)
        check(session.get(book, 1).authors.name == "Author 2")
        # What the unit of work writes by itself.
        session.add(author(name="Mallory"))
        denied(session.commit)
        session.rollback()
        session.get(book, 1).title = "Mine"
        denied(session.commit)
        session.rollback()
        session.delete(session.get(book, 1))
        denied(session.commit)
        session.rollback()
        check(session.get(book, 1).title == "Book 1")
    with engine.connect() as connection:
        for sql in writes():
            denied(connection.exec_driver_sql, sql)
            connection.rollback()
            check(connection.scalar(text("SELECT 7")) == 7, sql)
        denied(books.drop, connection)
        connection.rollback()
        check(connection.scalar(select(func.count()).select_from(books)) == 100)
    engine.dispose()


async def queries_async():
    engine = create_async_engine(url("postgresql+asyncpg"))
    async with engine.connect() as connection:
        metadata = await connection.run_sync(reflect)
        books = metadata.tables["books"]
        check(await connection.scalar(select(func.count()).select_from(books)) == 100)
        result = await connection.stream(select(books.c.id).order_by(books.c.id))
        check(len([row async for row in result]) == 100)
        await connection.rollback()
        for sql in writes():
            try:
                await connection.exec_driver_sql(sql)
                raise SystemExit(f"passed: {sql}")
            except DBAPIError as error:
                check(sqlstate_of(error) == "42501" and "sluice" in str(error), sql, error)
            await connection.rollback()
            check(await connection.scalar(text("SELECT 7")) == 7, sql)
    await engine.dispose()


# Of composite types it knows nothing and says so.
warnings.filterwarnings("ignore", message="Did not recognize type 'place'")
for driver in sys.argv[1:]:
    if driver == "asyncpg":
        asyncio.run(queries_async())
    else:
        # Checks each connection that leaves the pool, and takes it back with a ROLLBACK.
        queries(create_engine(url(f"postgresql+{driver}"), pool_pre_ping=True))
print("ok")
