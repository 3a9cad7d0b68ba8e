"""Alembic: migrates up, is denied what migrations may not do, and migrates down again."""

import io
import pathlib

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, inspect, text

from common import check, denied, url

printed = io.StringIO()
config = Config(stdout=printed)
config.set_main_option("script_location", str(pathlib.Path(__file__).with_name("alembic_project")))
engine = create_engine(url("postgresql+psycopg"))

command.upgrade(config, "head")
command.current(config)
check("0002 (head)" in printed.getvalue(), printed.getvalue())
with engine.connect() as connection:
    check(connection.execute(text("SELECT code, total FROM orders ORDER BY id")).all() == [("N1", 11), ("N2", 11)])
    check(connection.scalar(text("SELECT count(*) FROM busy_buyers")) == 2)
    check({index["name"] for index in inspect(connection).get_indexes("orders")} >= {"orders_open", "orders_state"})
    denied(connection.exec_driver_sql, "GRANT SELECT ON orders TO PUBLIC")
    connection.rollback()
    denied(connection.exec_driver_sql, "DO $$ BEGIN EXECUTE 'DROP TABLE ' || (SELECT min(relname) FROM pg_class); END $$")
    connection.rollback()
command.downgrade(config, "base")
with engine.connect() as connection:
    check(inspect(connection).get_table_names() == ["alembic_version"])
    connection.exec_driver_sql("DROP TABLE alembic_version")
    connection.commit()
engine.dispose()
print("ok")
