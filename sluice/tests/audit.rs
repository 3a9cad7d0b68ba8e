//! The readers of the record and of the figures, over a data folder that this test writes.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Output};

use sluice_audit::lock::DataLock;
use sluice_audit::memory::HeapMemory;
use sluice_audit::metrics::{Counter, Latency, METRICS_LEN, Metrics};
use sluice_audit::names::{BootId, ChainId, audit_dir, metrics_dir, metrics_path};
use sluice_audit::record::{
    Body, Decision, Outcome, Protocol, Record, Seal, SealCause, SessionStart, Severity, StatementBegin,
    StatementEnd,
};
use sluice_audit::ring::{Ring, RingOwner, file_len};
use sluice_audit::segment::{SegmentBuilder, scratch_len};
use sluice_audit::time::now_ns;

const RING_BYTES: usize = 512 << 10;

fn sluice(arguments: &[&str], data: &Path) -> Output {
    let (command, rest) = arguments.split_at(if arguments[0] == "audit" { 2 } else { 1 });
    Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(command)
        .arg("--dir")
        .arg(data)
        .args(rest)
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Three statements of one session: allowed and completed, denied, and one without an end.
fn write_record(data: &Path) -> ChainId {
    let chain = ChainId {
        boot: BootId([7; 16]),
        core: 0,
    };
    let owner = RingOwner {
        chain,
        process: 1,
        started_ns: now_ns(),
    };
    let mut ring = Ring::create(HeapMemory::zeroed(file_len(RING_BYTES)), owner, 16 << 10).unwrap();
    let mut append = |statement, body| {
        let session = u64::from(!matches!(body, Body::Seal(_)));
        ring.append(&Record {
            time_ns: now_ns(),
            session,
            statement,
            body,
        })
        .unwrap();
    };
    append(
        0,
        Body::SessionStart(SessionStart {
            issuer: "local",
            subject: "agent-7",
            client: "127.0.0.1:40000",
            connection: "orders",
            database: b"shop",
            ..Default::default()
        }),
    );
    for (number, text, decision, outcome) in [
        (
            1,
            "select name from customers",
            Decision::Allow,
            Some(Outcome::Completed),
        ),
        (
            2,
            "drop table customers \x1b[2J",
            Decision::Deny,
            Some(Outcome::Denied),
        ),
        (3, "update orders set paid = true", Decision::Allow, None),
    ] {
        let begin = StatementBegin {
            protocol: Protocol::Simple,
            text: text.as_bytes(),
            decision,
            policy: "read-only",
            severity: if decision == Decision::Deny {
                Severity::High
            } else {
                Severity::default()
            },
            ..Default::default()
        };
        append(number, Body::StatementBegin(begin));
        if let Some(outcome) = outcome {
            append(
                number,
                Body::StatementEnd(StatementEnd {
                    outcome,
                    rows: 5,
                    ..Default::default()
                }),
            );
        }
    }
    append(
        0,
        Body::Seal(Seal {
            cause: SealCause::Stopped,
        }),
    );
    let dir = audit_dir(data);
    fs::create_dir_all(&dir).unwrap();
    let mut builder = SegmentBuilder::new(chain, 1 << 20);
    let mut scratch = vec![0; scratch_len(256 << 10)];
    while let Some(flush) = builder
        .build(&mut scratch, |into| ring.copy(ring.flushed(), into))
        .unwrap()
    {
        let path = chain.segment_path(&dir, flush.number);
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .unwrap();
        file.write_all_at(&scratch[..flush.len], flush.offset).unwrap();
        builder.written(&flush);
        ring.release(&flush.batch);
    }
    chain
}

#[test]
fn the_record_is_searched() {
    let data = tempfile::tempdir().unwrap();
    write_record(data.path());
    for (name, arguments, want) in [
        (
            "everything",
            &[][..],
            &["session begins", "select name", "drop table", "update orders"][..],
        ),
        (
            "statements",
            &["--statements"],
            &["select name", "drop table", "update orders"],
        ),
        ("denied", &["--denied"], &["drop table"]),
        (
            "severity",
            &["--severity", "high"],
            &["deny (read-only) severity high denied"],
        ),
        ("a lower severity", &["--severity", "info"], &["drop table"]),
        ("a higher severity", &["--severity", "critical"], &[]),
        ("outcome", &["--outcome", "unknown"], &["update orders"]),
        (
            "text",
            &["--contains", "CUSTOMERS"],
            &["select name", "drop table"],
        ),
        (
            "subject",
            &["--subject", "agent-7", "--statements"],
            &["select name", "drop table", "update orders"],
        ),
        ("another subject", &["--subject", "agent-8"], &[]),
        ("another connection", &["--connection", "reports"], &[]),
        ("newest", &["--statements", "--limit", "1"], &["update orders"]),
        ("since", &["--since", "1h", "--denied"], &["drop table"]),
        ("until", &["--until", "1h"], &[]),
        (
            "session",
            &["--session", "07070707.1", "--denied"],
            &["drop table"],
        ),
    ] {
        let output = sluice(&[&["audit", "query"], arguments].concat(), data.path());
        assert!(
            output.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = stdout(&output);
        assert_eq!(text.lines().count(), want.len(), "{name}\n{text}");
        for (line, want) in text.lines().zip(want) {
            assert!(line.contains(want), "{name}: {want} in\n{text}");
        }
        assert!(
            !text.contains('\x1b'),
            "{name}: what a client sent does not reach the terminal"
        );
    }
    let text = stdout(&sluice(&["audit", "query", "--outcome", "unknown"], data.path()));
    assert!(text.contains("outcome unknown"), "{text}");
}

#[test]
fn rows_are_json_a_line() {
    let data = tempfile::tempdir().unwrap();
    write_record(data.path());
    let text = stdout(&sluice(
        &["audit", "query", "--statements", "--json"],
        data.path(),
    ));
    let rows: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row["kind"] == "statement"), "{text}");
    assert_eq!(rows[1]["decision"], "deny", "{text}");
    assert_eq!(rows[1]["severity"], "high", "{text}");
    assert!(rows[0].get("severity").is_none(), "{text}");
}

#[test]
fn tail_shows_what_is_there_and_goes_on() {
    let data = tempfile::tempdir().unwrap();
    write_record(data.path());
    let mut tail = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(["audit", "tail", "--severity", "low", "--json", "--dir"])
        .arg(data.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(tail.stdout.take().unwrap()));
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("drop table"), "{first}");
    assert!(tail.try_wait().unwrap().is_none(), "it goes on");
    tail.kill().unwrap();
    tail.wait().unwrap();
}

#[test]
fn verify_finds_a_changed_byte() {
    let data = tempfile::tempdir().unwrap();
    let chain = write_record(data.path());
    let intact = sluice(&["audit", "verify"], data.path());
    assert!(intact.status.success(), "{}", stdout(&intact));
    assert!(stdout(&intact).contains("3 statements") && stdout(&intact).ends_with("verify: intact\n"));
    let json: serde_json::Value =
        serde_json::from_str(&stdout(&sluice(&["audit", "verify", "--json"], data.path()))).unwrap();
    assert_eq!((&json["intact"], &json["open"]), (&true.into(), &1.into()));

    let path = chain.segment_path(&audit_dir(data.path()), 0);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes
        .windows(10)
        .position(|window| window == b"drop table")
        .unwrap();
    bytes[at] = b'x';
    fs::write(&path, bytes).unwrap();
    let damaged = sluice(&["audit", "verify"], data.path());
    assert_eq!(damaged.status.code(), Some(1));
    assert!(stdout(&damaged).contains("damaged: ") && stdout(&damaged).contains("verify: DAMAGED"));
    let query = sluice(&["audit", "query"], data.path());
    assert_eq!(query.status.code(), Some(1), "a part is not taken for the whole");
}

#[test]
fn top_shows_the_cores_of_the_gateway_that_runs() {
    let data = tempfile::tempdir().unwrap();
    fs::create_dir_all(metrics_dir(data.path())).unwrap();
    let boot = BootId([9; 16]);
    for core in 0..2 {
        let memory = Shared::new(METRICS_LEN);
        let started_ns = now_ns() - 10_000_000_000;
        let mut metrics = Metrics::create(memory.clone(), ChainId { boot, core }, 4711, started_ns);
        metrics.add(Counter::Statements, 1_000_000);
        metrics.add(Counter::SessionsOpen, 3);
        metrics.add(Counter::DecisionHits, 99);
        metrics.add(Counter::DecisionMisses, 1);
        metrics.add(Counter::Panics, 1);
        metrics.record(Latency::Gateway, 12_000);
        fs::write(metrics_path(data.path(), core), memory.bytes()).unwrap();
    }
    let text = stdout(&sluice(&["top", "--once"], data.path()));
    assert_eq!(text, "no gateway runs over this data folder\n");

    let _lock = DataLock::acquire(data.path(), boot).unwrap();
    let text = stdout(&sluice(&["top", "--once"], data.path()));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    assert!(
        lines[0].contains("process 4711") && lines[0].contains("2 panics"),
        "{text}"
    );
    assert!(
        lines[1].contains("CORE") && lines[1].contains("GATEWAY p50/p99"),
        "{text}"
    );
    for (line, core, sessions) in [(2, "0", "3"), (3, "1", "3"), (4, "all", "6")] {
        let cells: Vec<&str> = lines[line].split_whitespace().collect();
        assert_eq!(&cells[..2], [core, sessions], "{text}");
        assert_eq!(cells[4], "99", "hits\n{text}");
    }
}

/// Memory that the test can look at while the metrics own it.
#[derive(Clone)]
struct Shared(std::rc::Rc<std::cell::RefCell<HeapMemory>>);

impl Shared {
    fn new(len: usize) -> Self {
        Self(std::rc::Rc::new(HeapMemory::zeroed(len).into()))
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.borrow().bytes().to_vec()
    }
}

impl sluice_audit::memory::SharedMemory for Shared {
    fn len(&self) -> usize {
        self.0.borrow().len()
    }
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.0.borrow_mut().write(offset, bytes);
    }
    fn read(&self, offset: usize, into: &mut [u8]) {
        self.0.borrow().read(offset, into);
    }
    fn store_u32_release(&mut self, offset: usize, value: u32) {
        self.0.borrow_mut().store_u32_release(offset, value);
    }
    fn store_u64_release(&mut self, offset: usize, value: u64) {
        self.0.borrow_mut().store_u64_release(offset, value);
    }
    fn store_u64_relaxed(&mut self, offset: usize, value: u64) {
        self.0.borrow_mut().store_u64_relaxed(offset, value);
    }
    fn load_u64_relaxed(&self, offset: usize) -> u64 {
        self.0.borrow().load_u64_relaxed(offset)
    }
}
