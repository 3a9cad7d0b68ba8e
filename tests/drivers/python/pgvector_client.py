"""pgvector: nearest neighbours with psycopg and SQLAlchemy, and writes that are denied."""

import psycopg
from pgvector import Vector
from pgvector.psycopg import register_vector
from pgvector.sqlalchemy import VECTOR
from sqlalchemy import Integer, String, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column

from common import check, denied, url


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id = mapped_column(Integer, primary_key=True)
    name = mapped_column(String)
    embedding = mapped_column(VECTOR(3))


with psycopg.connect(url(), autocommit=True) as connection:
    register_vector(connection)
    near = Vector([1, 2, 4])
    for operator in ("<->", "<#>", "<=>"):
        rows = connection.execute(
            f"SELECT name, embedding, embedding {operator} %s AS distance FROM items ORDER BY distance LIMIT 5", (near,)
        ).fetchall()
        check(len(rows) == 5 and isinstance(rows[0][1], Vector), operator, rows)
    # Through the index, with the number of its candidates set as pgvector's manual does.
    with connection.transaction():
        connection.execute("SET LOCAL hnsw.ef_search = 100")
        connection.execute("SET LOCAL ivfflat.probes = 10")
        rows = connection.execute("SELECT name FROM items ORDER BY embedding <=> %s LIMIT 5", (near,)).fetchall()
        check(len(rows) == 5, rows)
    denied(connection.execute, "SET hnsw.other = 1")
    plan = connection.execute("EXPLAIN SELECT name FROM items ORDER BY embedding <-> '[1,2,4]' LIMIT 5").fetchall()
    check(plan, "no plan")
    rows = connection.execute(
        "SELECT avg(embedding), max(vector_dims(embedding)), l2_distance(avg(embedding), %s), "
        "vector_norm(sum(embedding)), cosine_distance('[1,2,3]'::vector, %s) FROM items WHERE embedding <-> %s < 50",
        (near, near, near),
    ).fetchone()
    check(rows[1] == 3, rows)
    denied(connection.execute, "INSERT INTO items (name, embedding) VALUES ('Mallory', %s)", (near,))
    denied(connection.execute, "CREATE INDEX ON items USING hnsw (embedding vector_l2_ops)")
    denied(connection.execute, "DROP EXTENSION vector CASCADE")

engine = create_engine(url("postgresql+psycopg"))
with Session(engine) as session:
    for distance in (
        Item.embedding.l2_distance,
        Item.embedding.cosine_distance,
        Item.embedding.max_inner_product,
    ):
        found = session.scalars(select(Item).order_by(distance([1, 2, 4])).limit(5)).all()
        check(len(found) == 5, found)
    nearest = select(Item.name).filter(Item.embedding.l2_distance([9, 2, 9]) < 1).order_by(Item.id)
    check(session.scalars(nearest).all() == ["Item 9"])
    session.add(Item(name="Mallory", embedding=[1, 2, 3]))
    denied(session.commit)
    session.rollback()
engine.dispose()
print("ok")
