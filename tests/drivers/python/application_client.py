"""A service with SQLAlchemy and psycopg: rows come, change and go; what tables are stays; no WHERE, no change."""

import psycopg
from sqlalchemy import create_engine, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.automap import automap_base
from sqlalchemy.orm import Session, configure_mappers

from common import check, denied, url

engine = create_engine(url("postgresql+psycopg"))
base = automap_base()
base.prepare(autoload_with=engine)
configure_mappers()
author, book = base.classes.authors, base.classes.books

with Session(engine) as session:
    new = author(name="Ada", mood="busy", extra={"rank": 100}, tags=["new"])
    new.books_collection = [book(title="Notes"), book(title="Letters", price=12)]
    session.add(new)
    session.commit()
    identifier = new.id
    new.name = "Ada Lovelace"
    session.commit()
    with session.begin_nested():
        session.delete(session.scalars(select(book).where(book.title == "Letters")).one())
    session.commit()
    # Who is first keeps it; others take the next.
    taken = select(book).where(book.author_id == identifier).with_for_update(skip_locked=True)
    session.scalars(taken).one().price = 7
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext('library'))"))
    session.execute(text("SELECT pg_notify('library', 'changed')"))
    session.commit()
    upsert = insert(book).values(title="Notes", author_id=identifier, price=8)
    session.execute(upsert.on_conflict_do_update(index_elements=["author_id", "title"], set_={"price": 9}))
    session.execute(update(book).where(book.author_id == identifier).values(price=book.price + 1))
    check(session.scalar(select(book.price).where(book.title == "Notes")) == 10)
    session.commit()
    # The rows that refer to it go too, as the foreign key says.
    session.execute(delete(author).where(author.id == identifier))
    session.commit()
    check(session.scalar(select(func.count()).select_from(book).where(book.author_id == identifier)) == 0)

    for statement in (delete(book), update(book).values(price=1), delete(book).where(text("1 = 1"))):
        denied(session.execute, statement)
        session.rollback()
    check(session.scalar(select(func.count()).select_from(book)) == 100)
engine.dispose()

with psycopg.connect(url(), autocommit=True) as connection:
    with connection.cursor().copy("COPY authors (name, tags) FROM STDIN") as copy:
        for number in range(50):
            copy.write_row((f"Copied {number}", ["copied"]))
    with connection.cursor() as cursor:
        cursor.executemany("UPDATE authors SET mood = %s WHERE name = %s", [("busy", f"Copied {n}") for n in range(50)])
        check(cursor.rowcount == 50)
        cursor.execute("DELETE FROM authors WHERE name LIKE 'Copied %' RETURNING id")
        check(len(cursor.fetchall()) == 50)
        cursor.execute(
            "MERGE INTO books USING (VALUES (1, 'Book 1')) AS wanted (id, title) ON books.id = wanted.id "
            "WHEN MATCHED THEN UPDATE SET title = wanted.title"
        )
    with connection.transaction():
        connection.execute("LOCK TABLE books IN SHARE ROW EXCLUSIVE MODE")
        connection.execute("SELECT setval('books_id_seq', 1000)")
    connection.execute("LISTEN library")
    denied(connection.execute, "TRUNCATE books")
    denied(connection.execute, "DROP TABLE books")
    check(connection.execute("SELECT count(*) FROM books").fetchone() == (100,))
print("ok")
