//! What counts rows reads no column's value, and the `forbid` of one does not deny it. What gives out columns without naming
//! them does not get by.

use serde_json::Value;
use sluice_tests::{Gateway, Postgres, Settings};

const POLICY: &str = r#"
@id("all") permit (principal, action, resource);
@id("no-opaque") forbid (principal, action == Action::"Opaque", resource);
@id("no-card") forbid (principal, action in [Action::"Read", Action::"Copy"], resource)
when {
    resource in [
        Column::"shop/shop/public.customers.card", Column::"shop/shop/public.part_1.card",
        Column::"shop/shop/public.child.card", Column::"shop/shop/public.sums.card"
    ]
};
"#;

#[test]
fn counting_is_permitted_where_a_column_is_forbidden_and_nothing_else_is() {
    let postgres = Postgres::start(&[]);
    postgres.sql(
        "shop",
        "CREATE TABLE customers (id int PRIMARY KEY, card text);
         INSERT INTO customers VALUES (1, '4111'), (2, '4222');
         CREATE TABLE orders (id int, customer_id int REFERENCES customers);
         INSERT INTO orders VALUES (1, 1);
         CREATE VIEW cards AS SELECT card FROM customers;
         CREATE MATERIALIZED VIEW sums AS SELECT 'a'::text AS card;
         CREATE TABLE parted (id int, card text) PARTITION BY RANGE (id);
         CREATE TABLE part_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
         CREATE TABLE parent (id int); CREATE TABLE child (card text) INHERITS (parent);
         CREATE TABLE logged (id int);
         CREATE RULE logs AS ON INSERT TO logged DO ALSO SELECT card FROM customers;
         CREATE FUNCTION counts() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM customers); END';
         CREATE FUNCTION tells() RETURNS text LANGUAGE plpgsql AS 'DECLARE r customers; BEGIN SELECT * INTO r FROM customers; RETURN r.card; END';
         CREATE FUNCTION shown(customers) RETURNS text LANGUAGE sql AS 'SELECT $1.card';
         CREATE FUNCTION hidden(customers) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN $1.card; END'",
    );
    let settings = Settings {
        policy: Some(POLICY.to_owned()),
        tls: "off",
        ..Settings::default()
    };
    let gateway = Gateway::start(&postgres, &settings);
    for (sql, is_allowed) in [
        ("SELECT count(*) FROM customers", true),
        ("SELECT 1 FROM customers", true),
        ("SELECT FROM customers", true),
        ("SELECT EXISTS (SELECT FROM customers)", true),
        ("SELECT EXISTS (SELECT 1 FROM customers WHERE id = 1)", true),
        ("SELECT count(*) FROM customers, orders", true),
        ("SELECT o.id FROM orders o CROSS JOIN customers", true),
        ("SELECT (SELECT count(*) FROM customers) FROM orders", true),
        ("EXPLAIN SELECT count(*) FROM customers", true),
        ("EXPLAIN SELECT * FROM customers", false),
        ("EXPLAIN SELECT 1 FROM customers ORDER BY card", false),
        ("EXPLAIN DELETE FROM customers", false),
        ("SELECT counts()", true),
        ("SELECT tells()", false),
        // A partition or child is read as a whole.
        ("SELECT count(*) FROM parted", false),
        ("SELECT count(*) FROM parent", false),
        ("SELECT count(*) FROM customers WHERE id = 1", true),
        ("SELECT count(id) FROM customers", true),
        ("SELECT count(*) FROM orders", true),
        ("SELECT ctid FROM customers", true),
        ("SELECT count(*) FROM sums", true),
        ("SELECT 1 FROM customers FOR UPDATE", true),
        ("SELECT * FROM customers FOR UPDATE", false),
        ("SELECT 1 FROM customers TABLESAMPLE bernoulli (50)", true),
        ("INSERT INTO logged VALUES (1)", false),
        ("DELETE FROM orders USING customers", true),
        (
            "DELETE FROM orders USING customers c WHERE c.card = '4111'",
            false,
        ),
        (
            "SELECT count(*) FILTER (WHERE card = '4111') FROM customers",
            false,
        ),
        ("SELECT count(*) OVER (ORDER BY card) FROM customers", false),
        ("SELECT count(*) FROM customers HAVING max(card) > '5'", false),
        ("SELECT count(*) FROM customers GROUP BY card", false),
        ("SELECT DISTINCT 1 FROM customers ORDER BY 1", true),
        (
            "SELECT x.card FROM orders, LATERAL (SELECT * FROM customers) x",
            false,
        ),
        ("SELECT count(*) FROM customers c, LATERAL (SELECT c.*) x", false),
        ("SELECT count(*) FROM customers c, LATERAL (SELECT c) x", false),
        ("SELECT 1 FROM customers AS c(a, b) WHERE b = '4111'", false),
        ("SELECT 1 FROM (customers JOIN orders USING (id)) j", false),
        // What is not known may be a column.
        ("SELECT nothing FROM customers", false),
        ("SELECT count(c.nothing) FROM customers c", false),
        (
            "SELECT (SELECT card FROM unnest($1) u LIMIT 1) FROM customers",
            false,
        ),
        (
            "SELECT c.id, (SELECT card FROM unnest($1) u LIMIT 1) FROM customers c",
            false,
        ),
        ("SELECT c.id FROM customers c NATURAL JOIN unnest($1) u", false),
        ("SELECT 1 FROM customers, nowhere", false),
        ("SELECT count(customers) FROM customers", false),
        ("SELECT count(customers.*) FROM customers", false),
        ("SELECT count(c) FROM customers c", false),
        ("SELECT count(DISTINCT c) FROM customers c", false),
        ("SELECT count(card) FROM customers", false),
        ("SELECT count(*) FROM customers WHERE card = '4111'", false),
        ("SELECT count(*) FROM customers c WHERE c IS NOT NULL", false),
        ("SELECT count(*) FROM customers c GROUP BY c", false),
        ("SELECT 1 FROM customers c ORDER BY c", false),
        ("SELECT row_to_json(c) FROM customers c", false),
        ("SELECT to_jsonb(c) FROM customers c", false),
        ("SELECT json_agg(c) FROM customers c", false),
        ("SELECT c::text FROM customers c", false),
        ("SELECT c FROM customers c", false),
        ("SELECT (c).card FROM customers c", false),
        ("SELECT c.shown FROM customers c", false),
        ("SELECT c.hidden FROM customers c", false),
        ("SELECT hidden(c) FROM customers c", false),
        ("TABLE customers", false),
        ("SELECT count(*) FROM (TABLE customers) x", false),
        ("SELECT 1 WHERE (1, '4111') IN (TABLE customers)", false),
        (
            "SELECT count(*) FROM customers NATURAL JOIN (VALUES ('4111')) x (card)",
            false,
        ),
        (
            "SELECT count(*) FROM (TABLE customers INTERSECT TABLE customers) x",
            false,
        ),
        ("SELECT table_to_xml('customers', true, false, '')", false),
        (
            "SELECT query_to_xml('SELECT * FROM customers', true, false, '')",
            false,
        ),
        ("SELECT card FROM parted", false),
        ("SELECT p FROM parted p", false),
        (
            "SELECT table_to_xml_and_xmlschema('customers', true, false, '')",
            false,
        ),
        (
            "SELECT query_to_xml('SELECT count(*) FROM customers', true, false, '')",
            true,
        ),
        ("COPY customers TO STDOUT", false),
        ("COPY customers (id, card) TO STDOUT", false),
        ("COPY customers (id) TO STDOUT", true),
        ("COPY customers (nothing) TO STDOUT", false),
        ("COPY (SELECT count(*) FROM customers) TO STDOUT", false),
        ("SELECT count(*) FROM cards", false),
        ("CREATE INDEX ON customers (card)", false),
        ("ALTER TABLE customers ADD CHECK (id > 0)", false),
        ("ANALYZE customers", false),
        ("INSERT INTO orders VALUES (2, 1)", false),
        ("DECLARE c CURSOR WITH HOLD FOR TABLE customers", false),
        ("SELECT id FROM orders UNION SELECT count(*) FROM customers", true),
    ] {
        let output = gateway.why(&["--json", sql]);
        assert!(output.success, "{sql}: {output:?}");
        let report: Value = serde_json::from_str(&output.stdout).expect("JSON");
        assert_eq!(
            report["statements"][0]["is_allowed"], is_allowed,
            "{sql}: {report:#}"
        );
    }
    assert_eq!(gateway.sql("SELECT count(*) FROM customers").stdout.trim(), "2");
    let told = gateway.sql("SELECT table_to_xml('customers', true, false, '')");
    assert!(!told.success && told.stderr.contains("no-card"), "{told:?}");
}
