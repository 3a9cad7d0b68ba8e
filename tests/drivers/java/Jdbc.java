// pgjdbc: sessions, metadata, prepared statements, cursors, COPY, and writes that are denied.

import java.io.StringReader;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.postgresql.PGConnection;
import org.postgresql.jdbc.PreferQueryMode;

public final class Jdbc {
    private interface Action {
        void run() throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        String server = "jdbc:postgresql://" + env("PGHOST") + ":" + env("PGPORT") + "/" + env("PGDATABASE");
        // The extended protocol as it comes, named statements from the first time on, and the simple protocol.
        for (String more : List.of("", "?prepareThreshold=-1&binaryTransfer=true", "?preferQueryMode=simple")) {
            try (Connection connection = DriverManager.getConnection(server + more, env("PGUSER"), env("PGPASSWORD"))) {
                check(connection.isValid(5), "validity");
                queries(connection);
                metadata(connection.getMetaData());
                denials(connection);
            }
        }
        System.out.println("ok");
    }

    private static void queries(Connection connection) throws Exception {
        connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
        connection.setReadOnly(true);
        connection.setAutoCommit(false);
        connection.setClientInfo("ApplicationName", "reports");
        try (PreparedStatement statement = connection.prepareStatement("SELECT id, email, extra, tags, mood, born, home FROM authors WHERE id <= ? ORDER BY id")) {
            // By the simple protocol pgjdbc sends the placeholders as they are to be told about them.
            if (connection.unwrap(PGConnection.class).getPreferQueryMode() != PreferQueryMode.SIMPLE) {
                check(statement.getMetaData().getColumnCount() == 7, "the statement's columns");
                check(statement.getParameterMetaData().getParameterCount() == 1, "its parameters");
            }
            for (int limit = 1; limit <= 8; limit++) {
                statement.setInt(1, limit);
                try (ResultSet rows = statement.executeQuery()) {
                    int count = 0;
                    while (rows.next()) {
                        count++;
                        check(!rows.getString("email").contains("example.org"), rows.getString("email"));
                        check(((String[]) rows.getArray("tags").getArray())[0].equals("a"), "an array");
                        check(rows.getObject("extra").toString().contains("rank"), "jsonb");
                        check(rows.getObject("home").toString().contains("Main Street"), "a composite");
                        check(rows.getDate("born") != null && rows.getObject("mood") != null, "a date and an enum");
                    }
                    check(count == limit, "rows: " + count);
                    // Asks the catalog for the table's names.
                    check(rows.getMetaData().getTableName(1).equals("authors"), "the table's name");
                    check(rows.getMetaData().isAutoIncrement(1), "an identity column");
                    check(rows.getMetaData().getColumnTypeName(5).equals("mood"), "the type's name");
                }
            }
        }
        try (Statement statement = connection.createStatement()) {
            statement.setFetchSize(30);
            statement.setQueryTimeout(20);
            try (ResultSet rows = statement.executeQuery("SELECT id FROM books ORDER BY id")) {
                int count = 0;
                while (rows.next()) {
                    count++;
                }
                check(count == 100, "a cursor: " + count);
            }
            check(statement.executeQuery("EXPLAIN SELECT * FROM books WHERE price > 3").next(), "a plan");
        }
        StringWriter copied = new StringWriter();
        long lines = connection.unwrap(PGConnection.class).getCopyAPI().copyOut("COPY (SELECT id FROM books) TO STDOUT", copied);
        check(lines == 100, "COPY: " + lines);
        connection.setSavepoint();
        connection.rollback();
        connection.setAutoCommit(true);
        connection.setReadOnly(false);
        connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        check(connection.getSchema().equals("public") && connection.getCatalog().equals(env("PGDATABASE")), "where it is");
    }

    private static void metadata(DatabaseMetaData metadata) throws Exception {
        check(names(metadata.getTables(null, "public", "%", new String[] {"TABLE", "VIEW"}), "TABLE_NAME").containsAll(Set.of("authors", "books", "book_list")), "tables");
        check(names(metadata.getSchemas(), "TABLE_SCHEM").contains("public"), "schemas");
        check(names(metadata.getColumns(null, "public", "books", "%"), "COLUMN_NAME").equals(Set.of("id", "title", "author_id", "price", "added")), "columns");
        check(names(metadata.getPrimaryKeys(null, "public", "books"), "COLUMN_NAME").equals(Set.of("id")), "primary keys");
        check(names(metadata.getImportedKeys(null, "public", "books"), "PKTABLE_NAME").equals(Set.of("authors")), "imported keys");
        check(names(metadata.getExportedKeys(null, "public", "authors"), "FKTABLE_NAME").equals(Set.of("books")), "exported keys");
        check(names(metadata.getCrossReference(null, "public", "authors", null, "public", "books"), "FKCOLUMN_NAME").equals(Set.of("author_id")), "references");
        check(names(metadata.getIndexInfo(null, "public", "books", false, true), "INDEX_NAME").contains("books_title"), "indexes");
        check(names(metadata.getTypeInfo(), "TYPE_NAME").contains("mood"), "types");
        check(names(metadata.getUDTs(null, "public", "%", null), "TYPE_NAME").contains("place"), "composites");
        names(metadata.getFunctions(null, "public", "%"), "FUNCTION_NAME");
        names(metadata.getFunctionColumns(null, "pg_catalog", "lower", "%"), "COLUMN_NAME");
        names(metadata.getProcedures(null, "public", "%"), "PROCEDURE_NAME");
        names(metadata.getTablePrivileges(null, "public", "books"), "GRANTEE");
        names(metadata.getColumnPrivileges(null, "public", "books", "%"), "GRANTEE");
        names(metadata.getBestRowIdentifier(null, "public", "books", DatabaseMetaData.bestRowSession, true), "COLUMN_NAME");
        names(metadata.getVersionColumns(null, "public", "books"), "COLUMN_NAME");
        names(metadata.getCatalogs(), "TABLE_CAT");
        names(metadata.getTableTypes(), "TABLE_TYPE");
        names(metadata.getClientInfoProperties(), "NAME");
        check(metadata.getDatabaseProductVersion() != null && metadata.getMaxColumnNameLength() == 63, "limits");
        check(!metadata.getSQLKeywords().isEmpty(), "keywords");
    }

    private static void denials(Connection connection) throws Exception {
        List<String> all = new ArrayList<>(Files.readAllLines(Path.of(env("WRITES"))));
        for (String sql : all) {
            try (Statement statement = connection.createStatement()) {
                denied(() -> statement.execute(sql), sql);
            }
            check(seven(connection), sql);
        }
        try (PreparedStatement statement = connection.prepareStatement("INSERT INTO authors (name) VALUES (?)", Statement.RETURN_GENERATED_KEYS)) {
            statement.setString(1, "Mallory");
            denied(statement::executeUpdate, "a prepared INSERT");
            for (String name : List.of("Mallory", "Eve", "Trudy")) {
                statement.setString(1, name);
                statement.addBatch();
            }
            denied(statement::executeBatch, "a batch");
        }
        try (Statement statement = connection.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE);
                ResultSet rows = statement.executeQuery("SELECT id, title FROM books WHERE id = 1")) {
            rows.next();
            rows.updateString("title", "Mine");
            denied(rows::updateRow, "an updatable row");
        }
        denied(() -> connection.unwrap(PGConnection.class).getCopyAPI().copyIn("COPY authors (name) FROM STDIN", new StringReader("Mallory\n")), "COPY FROM STDIN");
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement()) {
            statement.execute("SELECT 1");
            denied(() -> statement.execute("DROP TABLE books"), "DROP");
            try {
                statement.execute("SELECT 1");
                throw new IllegalStateException("the transaction has not failed");
            } catch (SQLException error) {
                check("25P02".equals(error.getSQLState()), error.toString());
            }
        }
        connection.rollback();
        connection.setAutoCommit(true);
        check(seven(connection), "after a failed transaction");
    }

    private static boolean seven(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery("SELECT 7")) {
            return rows.next() && rows.getInt(1) == 7;
        }
    }

    private static Set<String> names(ResultSet rows, String column) throws SQLException {
        Set<String> found = new HashSet<>();
        while (rows.next()) {
            found.add(rows.getString(column));
        }
        rows.close();
        return found;
    }

    private static void denied(Action action, String what) throws Exception {
        try {
            action.run();
        } catch (SQLException error) {
            String text = error + " " + error.getNextException();
            boolean isDenied = "42501".equals(error.getSQLState()) && text.contains("sluice");
            check(isDenied, what + ": " + error.getSQLState() + " " + text);
            return;
        }
        throw new IllegalStateException("passed: " + what);
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new IllegalStateException("unexpected: " + what);
        }
    }

    private static String env(String name) {
        return System.getenv(name);
    }
}
