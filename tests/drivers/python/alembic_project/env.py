"""Alembic's environment: one transaction for each migration, and one run at a time."""

from alembic import context
from sqlalchemy import create_engine, text

from common import url

with create_engine(url("postgresql+psycopg")).connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    connection.execute(text("SELECT pg_advisory_lock(20240501)"))
    connection.commit()
    with context.begin_transaction():
        context.run_migrations()
    connection.execute(text("SELECT pg_advisory_unlock(20240501)"))
    connection.commit()
