"""CrewAI's NL2SQLTool, called as an agent calls it: what it asks when it is made, queries, and writes that are denied."""

import importlib.util
import sys
import types

from common import check, url, writes


def bare(name):
    """A package without its own start-up code, which in CrewAI's imports every tool, model and vector store."""
    specification = importlib.util.find_spec(name)
    package = types.ModuleType(name)
    package.__path__ = list(specification.submodule_search_locations)
    package.__spec__ = specification
    sys.modules[name] = package


for name in ("crewai", "crewai_tools", "crewai_tools.tools"):
    bare(name)
import crewai.utilities  # Before crewai.tools, which it imports in a circle.
from crewai_tools.tools.nl2sql.nl2sql_tool import NL2SQLTool

tool = NL2SQLTool(db_uri=url("postgresql+psycopg2"), allow_dml=True)
check({table["table_name"] for table in tool.tables} >= {"authors", "books", "book_list"}, tool.tables)
columns = {column["column_name"]: column["data_type"] for column in tool.columns["books_columns"]}
check(columns["price"] == "numeric" and columns["added"] == "timestamp with time zone", columns)

rows = tool.run(sql_query="SELECT name, email FROM authors ORDER BY id LIMIT 3")
check(len(rows) == 3 and rows[0]["name"] == "Author 1" and "example.org" not in rows[0]["email"], rows)
rows = tool.run(
    sql_query="WITH sold AS (SELECT author_id, count(*) AS books FROM books GROUP BY author_id) "
    "SELECT name, books FROM authors JOIN sold ON author_id = authors.id ORDER BY books DESC, name LIMIT 5"
)
check([row["books"] for row in rows] == [5] * 5, rows)
check(tool.run(sql_query="EXPLAIN SELECT * FROM books WHERE price > 3"))
check(tool.run(sql_query="SHOW server_version"))

# The tool itself is told to permit everything; the gateway is not.
for sql in writes():
    # What is denied is no exception to an agent but an answer with the error's text.
    answer = tool.run(sql_query=sql)
    check(isinstance(answer, str) and "sluice: denied by policy" in answer, sql, answer)
    check(tool.run(sql_query="SELECT 7 AS seven") == [{"seven": 7}], sql)
print("ok")
