//! `kill -9` between any two stores and in the middle of any write: no committed record is lost, none appears twice,
//! the chain is whole, and recovery may be killed and run again.

use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use sluice_audit::names::{BootId, ChainId, audit_dir};
use sluice_audit::reader::{Filter, query, verify};
use sluice_audit::record::{Body, Decision, Event, EventKind, Outcome};
use sluice_audit::recover::{RecoveryNote, recover};
use sluice_audit::ring::{RING_CAPACITY_MIN, RING_HEADER_LEN};
use sluice_audit::segment::BLOCK_LEN;

use crate::support::{CHAIN, Core, Files, SEGMENT_BYTES, Step, data_folder, statements};

/// Statements of several lengths, some longer than a block, flushed at odd moments, over the ring's end.
fn busy_core(first_interesting: u64) -> (Core, usize) {
    let mut core = Core::start(CHAIN);
    core.start_session(1, "agent", "orders");
    let mut statement = 0;
    let mut skip = 0;
    // Up to the ring's end at speed: these steps are replayed, not stopped at.
    while core.ring.head() < RING_CAPACITY_MIN as u64 - 12_000 {
        statement += 1;
        core.begin(1, statement, text(statement, 9_000).as_bytes(), Decision::Allow);
        core.end(1, statement, Outcome::Completed);
        if statement % 20 == 0 {
            while core.flush() {}
        }
        skip = core.journal.borrow().len();
    }
    for round in 0..first_interesting {
        statement += 1;
        let len = [0, 30, 700, 5_000, 90][usize::try_from(round % 5).expect("small")];
        core.begin(1, statement, text(statement, len).as_bytes(), Decision::Allow);
        if round % 3 != 2 {
            core.end(1, statement, Outcome::Completed);
        }
        if round % 4 == 3 {
            core.flush();
        }
    }
    (core, skip)
}

fn text(statement: u64, len: usize) -> String {
    format!("select {statement}{}", " ".repeat(len))
}

/// The log must hold the records up to the last committed one, and at most the one that was being committed.
fn check(files: &Files, data: &Path, at: &str) {
    files.place(data, true);
    let report = verify(data).expect("readable");
    assert!(report.is_intact(), "{at}: before recovery: {:?}", report.problems);
    let records = report.records;
    assert!(
        records == files.committed || records == files.committed + 1,
        "{at}: {records} of {}",
        files.committed
    );
    let seen = statements(data);

    let recovered = recover(data, SEGMENT_BYTES).expect("recovers");
    let damage = |note: &RecoveryNote| !matches!(note, RecoveryNote::TornWrite { .. });
    assert!(!recovered.notes.iter().any(damage), "{at}: {:?}", recovered.notes);
    assert!(!CHAIN.ring_path(&audit_dir(data)).exists(), "{at}");
    let report = verify(data).expect("readable");
    assert!(report.is_intact(), "{at}: after recovery: {:?}", report.problems);
    let seals = u64::from(records > 0);
    assert_eq!(report.records, records + seals, "{at}");
    assert_eq!(
        statements(data),
        seen,
        "{at}: what was seen before is there after"
    );

    let recovered = recover(data, SEGMENT_BYTES).expect("recovers");
    assert_eq!(recovered.records, 0, "{at}: again");
    assert_eq!(
        verify(data).expect("readable").records,
        records + seals,
        "{at}: again"
    );
}

#[test]
fn killed_at_every_store_and_inside_every_write() {
    let data = data_folder();
    let (core, skip) = busy_core(24);
    let journal = core.journal.borrow();
    let mut files = Files::new(CHAIN);
    for (index, step) in journal.iter().enumerate() {
        if index < skip {
            files.apply(step);
            continue;
        }
        match step {
            Step::Committed { .. } => {}
            Step::Store { offset, bytes } => {
                for cut in [0, 1, bytes.len() / 2, bytes.len() - 1] {
                    // A word is stored whole.
                    if bytes.len() > 8 || cut == 0 {
                        let mut files = files.clone();
                        files.ring[*offset..offset + cut].copy_from_slice(&bytes[..cut]);
                        check(&files, data.path(), &format!("step {index}, {cut} bytes stored"));
                    }
                }
            }
            Step::Write {
                number,
                offset,
                bytes,
            } => {
                let blocks = bytes.len() / BLOCK_LEN;
                let mut parts = vec![(0, 100), (0, bytes.len() - 1)];
                parts.extend((0..=blocks).map(|block| (0, block * BLOCK_LEN)));
                parts.extend((0..blocks).map(|block| (block * BLOCK_LEN, BLOCK_LEN)));
                for (from, len) in parts {
                    let mut files = files.clone();
                    files.write(*number, *offset, from, &bytes[from..from + len]);
                    check(
                        &files,
                        data.path(),
                        &format!("step {index}, {len} bytes at {from} written"),
                    );
                }
            }
        }
        files.apply(step);
    }
    check(&files, data.path(), "the end");
    assert!(statements(data.path()).len() > 60);
}

#[test]
fn killed_while_the_ring_is_made() {
    let data = data_folder();
    let core = Core::start(CHAIN);
    let mut files = Files::new(CHAIN);
    for (index, step) in core.journal.borrow().iter().enumerate() {
        check(&files, data.path(), &format!("step {index}"));
        files.apply(step);
    }
    check(&files, data.path(), "made");
    // Shorter than its header.
    fs::write(CHAIN.ring_path(&audit_dir(data.path())), [0; 100]).expect("written");
    recover(data.path(), SEGMENT_BYTES).expect("recovers");
    assert_eq!(verify(data.path()).expect("readable").chains, 0);
}

#[test]
fn recovery_killed_at_any_write() {
    let data = data_folder();
    let (core, _) = busy_core(24);
    let before = Files::of(CHAIN, &core);
    before.place(data.path(), true);
    recover(data.path(), SEGMENT_BYTES).expect("recovers");
    let want = statements(data.path());
    let dir = audit_dir(data.path());
    let mut after = before.clone();
    for number in 0.. {
        let Ok(bytes) = fs::read(CHAIN.segment_path(&dir, number)) else {
            break;
        };
        after.segments.insert(number, bytes);
    }
    // Recovery only appends: wherever it is killed, some first part of what it wrote is there.
    for (number, bytes) in &after.segments {
        let had = before.segments.get(number).map_or(0, Vec::len);
        for len in (had..=bytes.len()).step_by(1111).chain([bytes.len()]) {
            if len == 0 {
                continue;
            }
            let mut files = before.clone();
            files.segments.extend(
                after
                    .segments
                    .range(..number)
                    .map(|(number, bytes)| (*number, bytes.clone())),
            );
            files.segments.insert(*number, bytes[..len].to_vec());
            files.place(data.path(), true);
            recover(data.path(), SEGMENT_BYTES).expect("recovers");
            let report = verify(data.path()).expect("readable");
            assert!(
                report.is_intact(),
                "segment {number}, {len} bytes: {:?}",
                report.problems
            );
            assert_eq!(statements(data.path()), want, "segment {number}, {len} bytes");
        }
    }
}

#[test]
fn several_cores_and_starts_are_recovered_together() {
    let data = data_folder();
    for boot in 1..=2 {
        for number in 0..3 {
            let chain = ChainId {
                boot: BootId([boot; 16]),
                core: number,
            };
            let mut core = Core::start(chain);
            core.start_session(1, "agent", "orders");
            core.begin(
                1,
                1,
                format!("select {boot}, {number}").as_bytes(),
                Decision::Allow,
            );
            if number == 1 {
                core.flush();
            }
            Files::of(chain, &core).add(data.path(), true);
        }
    }
    let recovered = recover(data.path(), SEGMENT_BYTES).expect("recovers");
    assert_eq!((recovered.rings, recovered.records), (6, 8));
    let report = verify(data.path()).expect("readable");
    assert!(report.is_intact(), "{:?}", report.problems);
    assert_eq!((report.chains, report.statements, report.open), (6, 6, 6));
    assert!(
        statements(data.path())
            .iter()
            .all(|(_, outcome)| *outcome == Some(Outcome::Unknown))
    );
}

#[test]
fn a_power_cut_loses_what_was_not_durable_and_says_so() {
    let data = data_folder();
    let mut core = Core::start(CHAIN);
    core.start_session(1, "agent", "orders");
    for statement in 1..=30 {
        core.begin(1, statement, text(statement, 3000).as_bytes(), Decision::Allow);
        core.end(1, statement, Outcome::Completed);
        if statement % 10 == 0 {
            core.flush();
        }
    }
    core.begin(1, 31, b"after the last flush", Decision::Allow);
    let mut files = Files::of(CHAIN, &core);
    // The last segment never reached the disk, the ring's pages did.
    let last = *files.segments.keys().last().expect("segments");
    files.segments.remove(&last);
    files.place(data.path(), true);
    let recovered = recover(data.path(), SEGMENT_BYTES).expect("recovers");
    assert!(
        matches!(recovered.notes[..], [RecoveryNote::RecordsLost { .. }]),
        "{:?}",
        recovered.notes
    );
    let report = verify(data.path()).expect("readable");
    assert!(report.is_intact(), "{:?}", report.problems);
    assert_eq!(report.notices.len(), 1, "{:?}", report.notices);
    assert!(
        statements(data.path())
            .iter()
            .any(|(text, _)| text == "after the last flush")
    );

    // The ring's pages are a mix of old and new.
    let mut files = Files::of(CHAIN, &core);
    let flushed = usize::try_from(core.ring.flushed()).expect("small") % RING_CAPACITY_MIN;
    files.ring[RING_HEADER_LEN + flushed + 60] ^= 1;
    files.place(data.path(), true);
    let recovered = recover(data.path(), SEGMENT_BYTES).expect("recovers");
    assert!(matches!(&recovered.notes[..], [RecoveryNote::DamagedRing { path }] if path.exists()));
    let report = verify(data.path()).expect("readable");
    assert!(report.is_intact() && report.notices.len() == 1, "{report:?}");
}

#[test]
fn a_damaged_segment_is_not_written_over() {
    let data = data_folder();
    let mut core = Core::start(CHAIN);
    core.start_session(1, "agent", "orders");
    for statement in 1..=9 {
        core.begin(1, statement, text(statement, 100).as_bytes(), Decision::Allow);
        if statement % 2 == 0 {
            core.flush();
        }
    }
    let good = Files::of(CHAIN, &core);
    for (name, offset) in [
        ("first flush", BLOCK_LEN + 500),
        ("last flush", 4 * BLOCK_LEN + 500),
        ("header", 50),
    ] {
        let mut files = good.clone();
        let segment = files.segments.get_mut(&0).expect("a segment");
        segment[offset] ^= 1;
        let damaged = segment.clone();
        files.place(data.path(), true);
        recover(data.path(), SEGMENT_BYTES).expect("recovers");
        let left = fs::read(CHAIN.segment_path(&audit_dir(data.path()), 0)).expect("still there");
        assert!(left.starts_with(&damaged), "{name}");
        assert!(!verify(data.path()).expect("readable").is_intact(), "{name}");
        let answer = query(data.path(), &Filter::default()).expect("readable");
        assert!(!answer.problems.is_empty(), "{name}");
        let texts: Vec<_> = answer.rows.iter().map(ToString::to_string).collect();
        assert!(
            texts.iter().any(|row| row.contains("select 9")),
            "{name}: what the ring held is there: {texts:?}"
        );
    }
}

#[test]
fn an_empty_ring_explains_no_damage_before_its_end() {
    let data = data_folder();
    let mut core = Core::start(CHAIN);
    for statement in 1..=3 {
        core.begin(1, statement, b"select 1", Decision::Allow);
        core.flush();
    }
    let good = Files::of(CHAIN, &core);
    for (name, offset) in [
        ("second flush", 2 * BLOCK_LEN + 100),
        ("last flush", 3 * BLOCK_LEN + 100),
    ] {
        let mut files = good.clone();
        let segment = files.segments.get_mut(&0).expect("a segment");
        segment[offset] ^= 1;
        let damaged = segment.clone();
        files.place(data.path(), true);
        recover(data.path(), SEGMENT_BYTES).expect("recovers");
        let left = fs::read(CHAIN.segment_path(&audit_dir(data.path()), 0)).expect("still there");
        assert!(left.starts_with(&damaged), "{name}: nothing is cut");
        assert!(!verify(data.path()).expect("readable").is_intact(), "{name}");
    }
}

/// What a core does next.
#[derive(Debug, Clone)]
enum Deed {
    Begin(usize),
    End,
    Event(usize),
    Flush,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => (0_usize..6000).prop_map(Deed::Begin),
        2 => Just(Deed::End),
        1 => (0_usize..2000).prop_map(Deed::Event),
        2 => Just(Deed::Flush),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn killed_anywhere_in_any_history(
        deeds in vec(deed(), 1..60),
        kills in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 4),
    ) {
        let data = data_folder();
        let mut core = Core::start(CHAIN);
        let mut open = Vec::new();
        for (statement, deed) in (1..).zip(deeds) {
            match deed {
                Deed::Begin(len) => {
                    core.begin(1, statement, text(statement, len).as_bytes(), Decision::Allow);
                    open.push(statement);
                }
                Deed::End => {
                    if let Some(statement) = open.pop() {
                        core.end(1, statement, Outcome::Completed);
                    }
                }
                Deed::Event(len) => {
                    let text = text(statement, len);
                    let event = Event { text: text.as_bytes(), ..Event::default() };
                    core.append(0, 0, Body::Event(event)).expect("room");
                }
                Deed::Flush => drop(core.flush()),
            }
        }
        let journal = core.journal.borrow();
        for (step, cut) in kills {
            let step = step.index(journal.len());
            let mut files = Files::new(CHAIN);
            journal[..step].iter().for_each(|step| files.apply(step));
            match &journal[step] {
                Step::Committed { .. } => {}
                Step::Store { bytes, .. } if bytes.len() <= 8 => {}
                Step::Store { offset, bytes } => {
                    let cut = cut.index(bytes.len());
                    files.ring[*offset..offset + cut].copy_from_slice(&bytes[..cut]);
                }
                Step::Write { number, offset, bytes } => {
                    files.write(*number, *offset, 0, &bytes[..cut.index(bytes.len())]);
                }
            }
            check(&files, data.path(), &format!("step {step}"));
        }
    }
}

#[test]
fn events_without_a_session_survive() {
    let data = data_folder();
    let mut core = Core::start(CHAIN);
    let event = Event {
        event: EventKind::HostileInput,
        text: b"\x16\x03\x01",
        ..Event::default()
    };
    core.append(0, 0, Body::Event(event)).expect("room");
    Files::of(CHAIN, &core).place(data.path(), true);
    recover(data.path(), SEGMENT_BYTES).expect("recovers");
    assert_eq!(verify(data.path()).expect("readable").records, 2);
}
