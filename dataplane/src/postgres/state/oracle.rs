//! Random scripts on a real server: at each point where it is ready, the model's state is what SHOW says, and what it
//! foresaw for a statement is what that statement saw.

use std::fmt::Write as _;

use sluice_parsers::postgres::backend::{TransactionStatus, ready_for_query};
use sluice_parsers::sql::analyze::{self, Limits};
use sluice_parsers::sql::world::World;
use sluice_tests::Postgres;
use sluice_tests::raw::{self, Message, Raw};

use super::*;

/// Scripts that are run; `SLUICE_STATE_SCRIPTS` asks for another number.
const SCRIPTS: u64 = 1500;

/// Batches of a script.
const BATCHES: u64 = 10;

#[test]
fn t03_t13_the_model_is_what_the_server_says() {
    let scripts = std::env::var("SLUICE_STATE_SCRIPTS").ok();
    let scripts = scripts.map_or(SCRIPTS, |count| count.parse().expect("a number of scripts"));
    let postgres = Postgres::start(&["max_prepared_transactions=100"]);
    postgres.sql("shop", SETUP);
    let mut tally = Tally::default();
    for seed in 0..scripts {
        Script::begin(&postgres, seed).run(&mut tally);
    }
    println!("{scripts} scripts: {tally:?}");
    assert!(
        tally.ready_points > scripts * BATCHES / 2 && tally.probes > scripts,
        "{tally:?}"
    );
    assert!(
        tally.read_again * 3 < tally.ready_points,
        "too much is unknown: {tally:?}"
    );
}

const SETUP: &str = "CREATE ROLE r1; CREATE ROLE r2; GRANT r2 TO r1; CREATE ROLE \"R 3\"; CREATE SCHEMA a; \
     CREATE ROLE preset LOGIN SUPERUSER; ALTER ROLE preset SET search_path = a, \"B\"; ALTER ROLE preset SET role = r2; \
     CREATE FUNCTION unseen() RETURNS text LANGUAGE plpgsql AS \
       $$BEGIN RETURN set_config('search_path', 'u' || random(), random() < 0.5); END$$; \
     CREATE FUNCTION failing() RETURNS int LANGUAGE plpgsql AS $$BEGIN SET search_path = f; RETURN 1/0; END$$; \
     CREATE PROCEDURE commits() LANGUAGE plpgsql AS \
       $$BEGIN SET LOCAL search_path = p; COMMIT; SET LOCAL search_path = q; END$$; \
     GRANT USAGE ON SCHEMA a TO PUBLIC";

/// Statements, the common ones more than once.
const STATEMENTS: &[&str] = &[
    "BEGIN",
    "BEGIN",
    "BEGIN",
    "START TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "COMMIT",
    "COMMIT",
    "END",
    "COMMIT AND CHAIN",
    "ROLLBACK",
    "ROLLBACK",
    "ABORT",
    "ROLLBACK AND CHAIN",
    "SAVEPOINT s",
    "SAVEPOINT s",
    "SAVEPOINT t",
    "SAVEPOINT \"S\"",
    "RELEASE s",
    "RELEASE SAVEPOINT t",
    "ROLLBACK TO s",
    "ROLLBACK TO s",
    "ROLLBACK TO SAVEPOINT t",
    "ROLLBACK TO \"S\"",
    "SET search_path = a",
    "SET search_path = a, \"B c\", 'd, e'",
    "SET search_path TO 'x'",
    "SET SCHEMA 'y'",
    "SET search_path = ''",
    "SET search_path = 1, 2",
    "SET LOCAL search_path = la",
    "SET LOCAL search_path = lb, \"$user\"",
    "SET SESSION search_path = sa",
    "SET search_path TO DEFAULT",
    "SET LOCAL search_path TO DEFAULT",
    "SET search_path FROM CURRENT",
    "RESET search_path",
    "RESET ALL",
    "DISCARD ALL",
    "DISCARD PLANS",
    "SELECT set_config('search_path', 'c, \"D\"', false)",
    "SELECT set_config('search_path', 'lc', true)",
    "SELECT set_config('search_path', 'no', true) WHERE false",
    "SET ROLE r1",
    "SET ROLE r2",
    "SET ROLE 'R 3'",
    "SET ROLE NONE",
    "SET LOCAL ROLE r1",
    "SET LOCAL ROLE NONE",
    "SET ROLE no_such_role",
    "RESET ROLE",
    "SET SESSION AUTHORIZATION r1",
    "SET SESSION AUTHORIZATION 'r2'",
    "SET LOCAL SESSION AUTHORIZATION r1",
    "SET SESSION AUTHORIZATION DEFAULT",
    "RESET SESSION AUTHORIZATION",
    "SET standard_conforming_strings = off",
    "SET standard_conforming_strings TO true",
    "SET LOCAL standard_conforming_strings = 0",
    "SET backslash_quote = on",
    "SET LOCAL Backslash_Quote = safe_encoding",
    "RESET backslash_quote",
    "SET client_encoding = latin1",
    "SET NAMES 'utf-8'",
    "SET LOCAL client_encoding = 'SQL_ASCII'",
    "SET session_replication_role = replica",
    "SET LOCAL session_replication_role = local",
    "RESET session_replication_role",
    "SET work_mem = '1MB'",
    "SET TIME ZONE 'UTC'",
    "SET TRANSACTION READ ONLY",
    "SELECT 1",
    "SELECT 1",
    "SELECT 1/0",
    "SELECT no_such_column",
    "SELECT unseen()",
    "SELECT failing()",
    "CALL commits()",
    "DO $$BEGIN SET LOCAL search_path = d; END$$",
    "DO $$BEGIN RESET ALL; END$$",
    "DO $$BEGIN PERFORM set_config('search_path', 'da', false); END$$",
    "DO $$BEGIN PERFORM unseen(); EXCEPTION WHEN others THEN NULL; END$$",
    "DO $$BEGIN COMMIT; SET search_path = dc; END$$",
    "PREPARE TRANSACTION 'g'",
    "ROLLBACK PREPARED 'g'",
    "CREATE TEMP TABLE IF NOT EXISTS tt (a int)",
];

/// Says what a statement sees.
const PROBE: &str = "SELECT pg_catalog.current_setting('search_path'), current_user";

#[derive(Debug, Default)]
struct Tally {
    cycles: u64,
    ready_points: u64,
    read_again: u64,
    probes: u64,
    unknown_probes: u64,
    waits: u64,
}

struct Random(u64);

impl Random {
    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        let place = self.below(all.len() as u64);
        all[usize::try_from(place).expect("a place")]
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % bound
    }
}

/// A statement that was sent.
struct Expected {
    changes: bool,
    /// What a probe was foreseen to see; none where nothing was foreseen.
    foreseen: Option<(String, String)>,
    is_probe: bool,
}

struct Cycle {
    number: u64,
    is_query: bool,
    statements: Vec<Expected>,
}

struct Script {
    seed: u64,
    random: Random,
    connection: Raw,
    state: State,
    log: String,
    failed: bool,
}

impl Script {
    fn begin(postgres: &Postgres, seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let user = random.one_of(&["postgres", "preset"]);
        let parameters: &[(&str, &str)] = match random.below(4) {
            0 => &[("options", "-c search_path=\"O\",o -c role=r1")],
            1 => &[("search_path", "start, a"), ("client_encoding", "UTF8")],
            _ => &[],
        };
        let mut connection =
            Raw::try_log_in(postgres.port(), user, "", "shop", parameters).expect("a connection");
        connection.send(&raw::query(READ_AT_START));
        let answer = connection.receive_until_ready(1);
        let row = rows(&answer).next().expect("a row").clone();
        Self {
            seed,
            random,
            connection,
            state: State::new(&Start::of_row(&row, user).expect("a start")),
            log: String::new(),
            failed: false,
        }
    }

    fn run(&mut self, tally: &mut Tally) {
        for _ in 0..BATCHES {
            let mut cycles = Vec::new();
            for number in 0..=self.random.below(3) {
                match self.state.view(number == 0) {
                    View::InDoubt => {
                        tally.waits += 1;
                        break;
                    }
                    View::Certain | View::Unknown => {
                        let cycle = self.send();
                        cycles.push(cycle);
                    }
                }
            }
            for cycle in &cycles {
                tally.cycles += 1;
                self.receive(cycle, tally);
            }
            self.check(tally);
        }
        self.connection.send(&raw::message(b'X', b""));
    }

    /// Sends a cycle: a Query, or statements of the extended protocol with their Sync.
    fn send(&mut self) -> Cycle {
        let is_query = self.random.below(2) == 0;
        let mut cycle = Cycle {
            number: self.state.cycle(),
            is_query,
            statements: Vec::new(),
        };
        let mut texts = Vec::new();
        for index in 0..=self.random.below(4) {
            let sql = if self.random.below(4) == 0 {
                PROBE
            } else {
                self.random.one_of(STATEMENTS)
            };
            let analysis = analyze::analyze(sql, &Limits::default(), &World::built_in(15));
            let [statement] = &analysis.statements[..] else {
                panic!("{sql}: one statement");
            };
            let is_probe = sql == PROBE;
            // Doubts of earlier cycles have been waited for.
            let is_certain = is_probe && self.state.view(true) == View::Certain;
            let names = self.state.names();
            let foreseen = is_certain.then(|| (joined(&names.search_path), names.role.to_string()));
            let change = if is_probe {
                Change::Nothing
            } else {
                Change::of(statement)
            };
            let place = u32::try_from(index).ok().filter(|_| is_query);
            let changes = self.state.sent(&change, place);
            cycle.statements.push(Expected {
                changes,
                foreseen,
                is_probe,
            });
            texts.push(sql);
        }
        let message = if is_query {
            raw::query(&texts.join("; "))
        } else {
            let one = |sql| [raw::parse("", sql), raw::bind("", ""), raw::execute("")].concat();
            let mut message: Vec<u8> = texts.iter().flat_map(|&sql| one(sql)).collect();
            message.extend(raw::sync());
            message
        };
        let _ = writeln!(
            self.log,
            "> {} {}",
            if is_query { "Q" } else { "P" },
            texts.join("; ")
        );
        self.connection.send(&message);
        self.state.cycle_sent();
        cycle
    }

    fn receive(&mut self, cycle: &Cycle, tally: &mut Tally) {
        let answer = self.connection.receive_until_ready(1);
        let _ = writeln!(self.log, "< {}", raw::outline(&answer));
        let mut at = 0;
        for (tag, body) in &answer {
            let expected = cycle.statements.get(at);
            match tag {
                b'D' => {
                    let expected = expected.expect("a statement");
                    match &expected.foreseen {
                        _ if !expected.is_probe => {}
                        None => tally.unknown_probes += 1,
                        Some((path, role)) => {
                            tally.probes += 1;
                            let seen = fields(body);
                            let seen_path = parse_name_list(&seen[0]).expect("a path");
                            self.same(&joined(&seen_path), path, "foreseen path");
                            self.same(&seen[1], role, "foreseen role");
                        }
                    }
                }
                b'C' => {
                    if cycle.is_query {
                        self.state
                            .query_statement_succeeded(cycle.number, u32::try_from(at).expect("few"));
                    } else if expected.expect("a statement").changes {
                        self.state.execution_succeeded();
                    }
                    at += 1;
                }
                b'E' => self.state.failed(),
                b'Z' => {
                    let status = ready_for_query(body).expect("a status");
                    self.failed = status == TransactionStatus::Failed;
                    self.state.ready(Some(cycle.number), status);
                }
                _ => {}
            }
        }
    }

    /// Compares everything, unless the transaction has failed, where nothing can be asked.
    fn check(&mut self, tally: &mut Tally) {
        assert_eq!(
            self.state.confirmed.has_failed(),
            self.failed,
            "seed {}\n{}",
            self.seed,
            self.log
        );
        if self.failed {
            return;
        }
        tally.ready_points += 1;
        self.connection.send(&raw::query(READ_AGAIN));
        let answer = self.connection.receive_until_ready(1);
        let shown: Vec<Box<[u8]>> = rows(&answer).map(|row| row[..].into()).collect();
        let readings = Readings::of_rows(&shown).expect("readings");
        let _ = writeln!(self.log, "= {:?}", readings.values);
        for (setting, value) in Tracked::ALL.into_iter().zip(&readings.values) {
            if let Some(confirmed) = self.state.confirmed(setting) {
                let value = value.as_deref().expect("a value");
                self.same(value, confirmed, setting.name());
            }
        }
        if self.state.wants_reading() {
            tally.read_again += 1;
            let _ = writeln!(self.log, "read again");
            self.state.was_read(&readings);
        }
        assert_eq!(
            self.state.view(true),
            View::Certain,
            "seed {}\n{}",
            self.seed,
            self.log
        );
        assert!(
            self.state.foreseen.is_like(&self.state.confirmed),
            "seed {}\n{}",
            self.seed,
            self.log
        );
    }

    #[track_caller]
    fn same(&self, server: &str, model: &str, what: &str) {
        assert_eq!(server, model, "{what}, seed {}\n{}", self.seed, self.log);
    }
}

fn joined(path: &[Box<str>]) -> String {
    path.join("|")
}

fn rows(answer: &[Message]) -> impl Iterator<Item = &Vec<u8>> {
    answer
        .iter()
        .filter(|(tag, _)| *tag == b'D')
        .map(|(_, body)| body)
}

fn fields(row: &[u8]) -> Vec<String> {
    use sluice_parsers::postgres::backend::row::{Fields, Place};
    let mut fields = Fields::parse(row).expect("a row");
    std::iter::from_fn(|| match fields.next_field().expect("a field")? {
        Place::Value { start, end } => Some(String::from_utf8_lossy(&row[start..end]).into_owned()),
        Place::Null => Some(String::new()),
    })
    .collect()
}
