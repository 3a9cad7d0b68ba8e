//! Texts made to exhaust the stack, the memory or the time of an analysis.

mod small;

use std::time::{Duration, Instant};

use proptest::prelude::*;
use sluice_parsers::sql::analyze::{ANALYSIS_STACK_BYTES, Limits, analyze, analyze_bytes, fuzz_analyze};
use sluice_parsers::sql::effect::Action;
use sluice_parsers::sql::statement::StatementKind;
use sluice_parsers::sql::weight::weigh;
use sluice_parsers::sql::world::World;

use self::small::Small;

/// A text that nests or chains `count` times.
type Chain = fn(usize) -> String;

const CHAINS: &[(&str, Chain)] = &[
    ("plus", |n| format!("SELECT {}1", "1+".repeat(n))),
    ("concatenation", |n| format!("SELECT {}'a'", "'a'||".repeat(n))),
    ("unary minus", |n| format!("SELECT {}a", "- ".repeat(n))),
    ("unary operator", |n| format!("SELECT {}a", "@ ".repeat(n))),
    ("NOT", |n| format!("SELECT {}true", "NOT ".repeat(n))),
    ("CASE in THEN", |n| {
        format!("SELECT {}1{}", "CASE WHEN a THEN ".repeat(n), " END".repeat(n))
    }),
    ("CASE in ELSE", |n| {
        format!(
            "SELECT {}1{}",
            "CASE WHEN a THEN b ELSE ".repeat(n),
            " END".repeat(n)
        )
    }),
    ("CASE in WHEN", |n| {
        format!("SELECT {}a{}", "CASE WHEN ".repeat(n), " THEN b END".repeat(n))
    }),
    ("UNION", |n| {
        format!("{}SELECT 1", "SELECT 1 UNION ALL ".repeat(n))
    }),
    ("EXCEPT in parentheses", |n| {
        format!("{}SELECT 1{}", "(SELECT 1 EXCEPT ".repeat(n), ")".repeat(n))
    }),
    ("CROSS JOIN", |n| {
        format!("SELECT 1 FROM a{}", " CROSS JOIN b".repeat(n))
    }),
    ("JOIN ON", |n| {
        format!("SELECT 1 FROM a{}", " JOIN b ON true".repeat(n))
    }),
    ("JOIN to the right", |n| {
        format!("SELECT 1 FROM a {}{}", "JOIN a ".repeat(n), " ON true".repeat(n))
    }),
    ("JOIN in parentheses", |n| {
        format!("SELECT 1 FROM {}a{}", "(".repeat(n), " CROSS JOIN b)".repeat(n))
    }),
    ("ARRAY", |n| {
        format!("SELECT ARRAY{}1{}", "[".repeat(n), "]".repeat(n))
    }),
    ("parentheses", |n| {
        format!("SELECT {}1{}", "(".repeat(n), ")".repeat(n))
    }),
    ("ROW", |n| {
        format!("SELECT {}1{}", "ROW(".repeat(n), ")".repeat(n))
    }),
    ("function", |n| {
        format!("SELECT {}1{}", "abs(".repeat(n), ")".repeat(n))
    }),
    ("scalar sub-query", |n| {
        format!("SELECT {}1{}", "(SELECT ".repeat(n), ")".repeat(n))
    }),
    ("EXISTS", |n| {
        format!("SELECT {}1{}", "EXISTS (SELECT ".repeat(n), ")".repeat(n))
    }),
    ("IN", |n| {
        format!("SELECT {}1{}", "a IN (SELECT ".repeat(n), ")".repeat(n))
    }),
    ("sub-query in FROM", |n| {
        format!("{}SELECT 1{}", "SELECT * FROM (".repeat(n), ") x".repeat(n))
    }),
    ("LATERAL function", |n| {
        format!("SELECT * FROM {}1{}", "unnest(".repeat(n), ")".repeat(n))
    }),
    ("WITH", |n| {
        format!("{}SELECT 1{}", "WITH x AS (".repeat(n), ") SELECT 1".repeat(n))
    }),
    ("cast", |n| format!("SELECT 1{}", "::int".repeat(n))),
    ("CAST", |n| {
        format!("SELECT {}1{}", "CAST(".repeat(n), " AS int)".repeat(n))
    }),
    ("COLLATE", |n| format!("SELECT 'a'{}", " COLLATE \"C\"".repeat(n))),
    ("AT TIME ZONE", |n| {
        format!("SELECT a{}", " AT TIME ZONE 'UTC'".repeat(n))
    }),
    ("AT LOCAL", |n| format!("SELECT a{}", " AT LOCAL".repeat(n))),
    ("IS NULL", |n| {
        format!("SELECT {}a{}", "(".repeat(n), " IS NULL)".repeat(n))
    }),
    ("BETWEEN", |n| {
        format!("SELECT {}a{}", "(".repeat(n), " BETWEEN 1 AND 2)".repeat(n))
    }),
    ("LIKE ESCAPE", |n| {
        format!("SELECT {}a{}", "(".repeat(n), " LIKE 'x' ESCAPE 'y')".repeat(n))
    }),
    ("COALESCE", |n| {
        format!("SELECT {}1{}", "COALESCE(".repeat(n), ")".repeat(n))
    }),
    ("JSON_OBJECT", |n| {
        format!("SELECT {}1{}", "JSON_OBJECT('a': ".repeat(n), ")".repeat(n))
    }),
    ("JSON_ARRAY", |n| {
        format!("SELECT {}1{}", "JSON_ARRAY(".repeat(n), ")".repeat(n))
    }),
    ("JSON_TABLE", |n| {
        let (open, close) = ("NESTED '$' COLUMNS (".repeat(n), ")".repeat(n));
        format!("SELECT * FROM JSON_TABLE('{{}}', '$' COLUMNS ({open}a int{close})) x")
    }),
    ("XMLELEMENT", |n| {
        format!("SELECT {}1{}", "xmlelement(name a, ".repeat(n), ")".repeat(n))
    }),
    ("window", |n| {
        format!("SELECT {}1{}", "sum(1) OVER (ORDER BY ".repeat(n), ")".repeat(n))
    }),
    ("WHERE", |n| {
        format!(
            "DELETE FROM t WHERE {}1{}",
            "EXISTS (SELECT 1 WHERE ".repeat(n),
            ")".repeat(n)
        )
    }),
    ("grouping sets", |n| {
        format!(
            "SELECT 1 GROUP BY {}a{}",
            "GROUPING SETS (".repeat(n),
            ")".repeat(n)
        )
    }),
    ("schema elements", |n| {
        format!("CREATE SCHEMA s {}", "CREATE TABLE t (a int) ".repeat(n))
    }),
    ("AND", |n| format!("SELECT {}true", "a AND ".repeat(n))),
    ("OR and AND", |n| {
        format!("SELECT {}true", "a AND b OR ".repeat(n))
    }),
    ("comparisons", |n| {
        format!("SELECT 1 WHERE {}true", "a = 1 OR ".repeat(n))
    }),
    ("NOT BETWEEN chain", |n| {
        format!("SELECT {}true", "NOT a BETWEEN 1 AND 2 AND ".repeat(n))
    }),
    ("array terms", |n| format!("SELECT ARRAY[1{}]", ",1".repeat(n))),
    ("IN list", |n| {
        format!("SELECT 1 FROM t WHERE a IN (1{})", ",1".repeat(n))
    }),
    ("VALUES", |n| {
        format!("INSERT INTO t VALUES (1){}", ",(1)".repeat(n))
    }),
    ("select list", |n| format!("SELECT 1{}", ",a".repeat(n))),
    ("FROM list", |n| {
        let relations: Vec<_> = (0..n).map(|n| format!("t{n}")).collect();
        format!("SELECT 1 FROM a, {}", relations.join(","))
    }),
    ("functions", |n| {
        let calls: Vec<_> = (0..n).map(|n| format!("f{n}()")).collect();
        format!("SELECT 1, {}", calls.join(","))
    }),
    ("names", |n| format!("SELECT a{}", ".b".repeat(n))),
    ("subscripts", |n| format!("SELECT a{}", "[1]".repeat(n))),
    ("statements", |n| "SELECT 1;".repeat(n)),
    ("semicolons", |n| ";".repeat(n)),
    ("comments", |n| format!("{}SELECT 1", "/* */".repeat(n))),
    ("nested comments", |n| {
        format!("{}{}SELECT 1", "/*".repeat(n), "*/".repeat(n))
    }),
    ("open comments", |n| "/*".repeat(n)),
    ("open parentheses", |n| "(".repeat(n)),
    ("closed parentheses", |n| ")".repeat(n)),
    ("open CASE", |n| "CASE ".repeat(n)),
    ("END", |n| "END ".repeat(n)),
    ("negative numbers", |n| {
        format!("SELECT 1 FROM t WHERE a = 1{}", " AND a = -1".repeat(n))
    }),
    ("string parts", |n| format!("SELECT 'a'{}", "\n'a'".repeat(n))),
    ("strings and comments", |n| {
        format!("SELECT 'a'{}", " --\n".repeat(n))
    }),
    ("one long name", |n| format!("SELECT \"{}\"", "a".repeat(n))),
    ("one long number", |n| format!("SELECT {}", "1".repeat(n))),
    ("one long operator", |n| format!("SELECT 1 {} 1", "+".repeat(n))),
    ("dollar tags", |n| format!("SELECT $a${}", "$b$".repeat(n))),
    ("CTEs", |n| {
        let ctes: Vec<_> = (0..n).map(|n| format!("c{n} AS (SELECT 1)")).collect();
        format!("WITH {} SELECT 1", ctes.join(","))
    }),
    ("signs in a row", |n| format!("SELECT {}1", "-+".repeat(n))),
    ("signs with another", |n| format!("SELECT {}1", "+-@".repeat(n))),
    ("operator and comments", |n| {
        format!("SELECT 1 +{}{} 1", "/*".repeat(n), "*/".repeat(n))
    }),
    ("comments of stars", |n| format!("SELECT /*{}*/ 1", "*".repeat(n))),
    ("comments of slashes", |n| {
        format!("SELECT /*{}*/ 1", "/".repeat(n))
    }),
    ("comments of signs", |n| format!("SELECT 1 --{}\n", "+".repeat(n))),
    ("strings and white space", |n| {
        format!("SELECT 'a'{}", " ".repeat(n))
    }),
    ("dollars in dollars", |n| {
        format!("SELECT $a${}$a$", "$b".repeat(n))
    }),
    ("escapes", |n| format!("SELECT E'{}'", "\\n".repeat(n))),
    ("unicode escapes", |n| {
        format!("SELECT U&'{}'", "\\0041".repeat(n))
    }),
    ("quotes", |n| format!("SELECT '{}'", "''".repeat(n))),
    ("parameters", |n| format!("SELECT $1{}", ",$2".repeat(n))),
];

/// Runs on a thread with the stack that an analysis is promised.
fn on_analysis_stack<T: Send + 'static>(name: &str, run: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(ANALYSIS_STACK_BYTES)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap()
}

#[test]
fn t14_chains_of_a_hundred_thousand_end_in_bounded_time() {
    for &(name, chain) in CHAINS {
        let sql = chain(100_000);
        let began = Instant::now();
        let analysis = on_analysis_stack(name, move || {
            analyze(&sql, &Limits::default(), &World::built_in(15))
        });
        let took = began.elapsed();
        // Far above what an idle machine takes; far below what a quadratic step would.
        assert!(took < Duration::from_secs(20), "{name}: {took:?}");
        if !analysis.readable {
            assert_eq!(analysis.statements[0].kind, StatementKind::Unreadable, "{name}");
            assert_eq!(analysis.statements[0].effects[0].action, Action::Opaque, "{name}");
        }
    }
    // Decoded trees are the largest thing in memory; 100,000 tokens of them fit in this.
    let peak = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = peak.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak_kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak_kib < 1024 * 1024, "{peak_kib} KiB");
}

#[test]
fn t14_the_deepest_text_that_is_let_in_fits_the_stack() {
    let limits = Limits::default();
    for &(name, chain) in CHAINS {
        // The largest count whose estimate is within the limit.
        let mut count = 1;
        while count < 4096 && weigh(chain(count * 2).as_bytes()).depth <= limits.depth_max {
            count *= 2;
        }
        let mut step = count;
        while step > 1 {
            step /= 2;
            if weigh(chain(count + step).as_bytes()).depth <= limits.depth_max {
                count += step;
            }
        }
        let sql = chain(count);
        on_analysis_stack(name, move || {
            analyze(&sql, &Limits::default(), &World::built_in(15))
        });
        assert!(count >= 100, "{name} may nest {count} times only");
    }
}

#[test]
fn texts_that_may_run_on_a_core_need_little_stack() {
    for &(name, chain) in CHAINS {
        let mut count = 1;
        while count < 1000 && weigh(chain(count + 1).as_bytes()).inline() {
            count += 1;
        }
        let sql = chain(count);
        let run = move || {
            analyze(&sql, &Limits::default(), &World::built_in(15))
                .statements
                .len()
        };
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .stack_size(1 << 20)
            .spawn(run)
            .unwrap();
        assert!(thread.join().is_ok(), "{name}");
    }
}

#[test]
fn texts_over_the_limits_are_opaque() {
    let limits = Limits {
        bytes_max: 20,
        tokens_max: 5,
        depth_max: 3,
    };
    for (name, sql) in [
        ("bytes", "SELECT 1 /* a long comment */"),
        ("tokens", "SELECT 1,2,3,4"),
        ("depth", "SELECT ((((1"),
    ] {
        let analysis = analyze(sql, &limits, &World::built_in(15));
        assert!(!analysis.readable, "{name}");
        assert_eq!(analysis.statements.len(), 1, "{name}");
    }
}

const WORDS: &[&str] = &[
    "NULL::anycompatible",
    "NULL::anyarray",
    "::anyelement",
    "SELECT",
    "INSERT INTO",
    "UPDATE",
    "DELETE FROM",
    "MERGE INTO",
    "WITH",
    "RECURSIVE",
    "AS",
    "FROM",
    "WHERE",
    "SET",
    "VALUES",
    "JOIN",
    "ON",
    "USING",
    "GROUP BY",
    "ORDER BY",
    "HAVING",
    "LIMIT",
    "OFFSET",
    "UNION",
    "ALL",
    "EXCEPT",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "AND",
    "OR",
    "NOT",
    "IN",
    "IS NULL",
    "BETWEEN",
    "LIKE",
    "EXISTS",
    "ANY",
    "ARRAY",
    "ROW",
    "CAST",
    "COALESCE",
    "RETURNING",
    "CREATE TABLE",
    "CREATE FUNCTION f() RETURNS int",
    "BEGIN ATOMIC",
    "LANGUAGE sql",
    "ALTER TABLE",
    "DROP",
    "TABLE",
    "EXPLAIN",
    "ANALYZE",
    "PREPARE p AS",
    "EXECUTE p",
    "COPY",
    "TO STDOUT",
    "FROM STDIN",
    "DECLARE c CURSOR FOR",
    "FETCH",
    "GRANT",
    "REVOKE",
    "SHOW",
    "RESET",
    "DISCARD",
    "DO",
    "CALL",
    "t",
    "u",
    "a",
    "b",
    "f(",
    "g()",
    "lower(",
    "(",
    ")",
    "[",
    "]",
    ",",
    ";",
    ".",
    "*",
    "+",
    "-",
    "=",
    "<",
    "<>",
    "||",
    "->>",
    "::",
    "int",
    "text",
    "regclass",
    "mood",
    "1",
    "2.5",
    "'x'",
    "E'\\n'",
    "$1",
    "$$x$$",
    "NULL",
    "true",
    "DEFAULT",
    "--\n",
    "/* */",
    "\"Q\"",
    "U&'\\0041'",
    "é",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_statements_do_not_panic(words in prop::collection::vec(prop::sample::select(WORDS), 0..40)) {
        fuzz_analyze(words.join(" ").as_bytes());
    }

    #[test]
    fn random_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        fuzz_analyze(&bytes);
    }

    /// Statements of the table with a piece cut out, doubled or replaced.
    #[test]
    fn mutated_statements_do_not_panic(line in any::<prop::sample::Index>(), from in any::<prop::sample::Index>(), length in 0..20_usize, with in prop::sample::select(WORDS)) {
        let lines: Vec<_> = include_str!("data/effects.txt").lines().collect();
        let sql = line.get(&lines).split(" ==>").next().unwrap_or_default().as_bytes();
        if !sql.is_empty() {
            let from = from.index(sql.len());
            let to = sql.len().min(from + length);
            let mutated = [&sql[..from], with.as_bytes(), &sql[to..], b";", &sql[from..]].concat();
            fuzz_analyze(&mutated);
            let _ = analyze_bytes(&mutated, &Limits::default(), &World::built_in(15));
        }
    }
}

/// A database with a table of 1,600 columns, and texts that make much of it.
#[test]
fn t14_wide_tables_and_many_joins_end_in_bounded_time() {
    let mut small = Small::new(15);
    let columns = (0..1600).map(|number| format!("column_{number} text"));
    small.table("wide", &columns.collect::<Vec<_>>().join(", "));
    small.table("t", "id int4, a text");
    for (name, below) in [("v1", "wide"), ("v2", "v1"), ("v3", "v2")] {
        let query =
            format!("SELECT x.column_0 AS a, x.column_1 AS b FROM public.{below} x, public.{below} y");
        let query = if below == "wide" {
            query
        } else {
            query.replace("column_0", "a").replace("column_1", "b")
        };
        small.view(name, "a text, b text", &query);
    }
    let world = small.world(&[("wide", "column_7"), ("t", "a")]);
    let list = |item: &str, separator: &str, count: usize| vec![item; count].join(separator);
    let nested = |count: usize| {
        let mut sql = "SELECT column_0, column_1 FROM wide".to_owned();
        for level in 0..count {
            sql = format!(
                "WITH RECURSIVE r{level}(a, b) AS (SELECT * FROM ({sql}) s UNION ALL SELECT b, a FROM r{level}) SELECT * FROM r{level}"
            );
        }
        sql
    };
    for (name, sql) in [
        ("stars", format!("SELECT {} FROM wide", list("*", ",", 40_000))),
        (
            "qualified stars",
            format!("SELECT {} FROM wide w", list("w.*", ",", 20_000)),
        ),
        ("rows", format!("SELECT {} FROM wide w", list("w", ",", 40_000))),
        (
            "rows in a row",
            format!("SELECT ROW({}) FROM wide w", list("w", ",", 40_000)),
        ),
        (
            "fields of rows",
            format!("SELECT {} FROM wide w", list("(w).column_7", ",", 15_000)),
        ),
        (
            "sorted",
            format!("SELECT * FROM wide ORDER BY {}", list("column_1599", ",", 40_000)),
        ),
        ("tables", format!("SELECT * FROM {}", list("wide", ",", 40_000))),
        (
            "tables and columns",
            format!(
                "SELECT {} FROM {}",
                list("z.id", ",", 10_000),
                list("t", ",", 30_000)
            ),
        ),
        (
            "joins",
            format!("SELECT * FROM wide a{}", " JOIN wide b ON true".repeat(150)),
        ),
        (
            "natural joins",
            format!("SELECT * FROM wide a{}", " NATURAL JOIN wide b".repeat(200)),
        ),
        (
            "functions of columns",
            format!("SELECT 1 FROM wide, {}", list("lower(column_1599)", ",", 15_000)),
        ),
        ("unions", list("SELECT * FROM wide", " UNION ", 200)),
        (
            "concatenation",
            format!("SELECT {} FROM wide", list("(column_1 || column_2)", ",", 12_000)),
        ),
        ("views", "SELECT * FROM v3 a, v3 b WHERE a.a = b.b".to_owned()),
        ("recursion in recursion", nested(40)),
        (
            "in lists",
            format!(
                "SELECT 1 FROM wide WHERE column_7 IN ({})",
                list("lower('x')", ",", 15_000)
            ),
        ),
    ] {
        let world = world.clone();
        let began = Instant::now();
        let analysis = on_analysis_stack(name, move || analyze(&sql, &Limits::default(), &world));
        let took = began.elapsed();
        assert!(took < Duration::from_secs(20), "{name}: {took:?}");
        println!(
            "{name}: {took:?} readable {} effects {}",
            analysis.readable,
            analysis.statements[0].effects.len()
        );
    }
}

#[test]
fn values_of_pseudo_types_end_the_search_for_a_common_one() {
    let types = [
        "any",
        "anyarray",
        "anycompatible",
        "anycompatiblearray",
        "anycompatiblemultirange",
        "anycompatiblenonarray",
        "anycompatiblerange",
        "anyelement",
        "anyenum",
        "anymultirange",
        "anynonarray",
        "anyrange",
        "record",
        "\"record[]\"",
        "cstring",
        "unknown",
        "int4",
        "int4[]",
        "text",
    ];
    let world = World::built_in(15);
    for one in types {
        for other in types {
            let values = format!("NULL::{one}, NULL::{other}");
            let sql = format!(
                "SELECT NULL::{one} || NULL::{other}, coalesce({values}), ARRAY[{values}], array_append({values}), \
                 CASE WHEN true THEN NULL::{one} ELSE NULL::{other} END, width_bucket({values}), array_position({values}) \
                 UNION SELECT {values}, NULL, NULL, NULL, NULL, NULL"
            );
            let world = world.clone();
            // An endless search would end the process.
            on_analysis_stack(&values, move || analyze(&sql, &Limits::default(), &world));
        }
    }
}
