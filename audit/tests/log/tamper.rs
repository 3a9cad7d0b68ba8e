//! Whatever is altered, removed, added or moved in the log, `verify` says so.

use std::fs;
use std::ops::Range;
use std::path::Path;

use sluice_audit::names::{BootId, ChainId, audit_dir};
use sluice_audit::reader::{Filter, ProblemKind, query, verify};
use sluice_audit::record::{Decision, Outcome};
use sluice_audit::recover::recover;
use sluice_audit::segment::{BLOCK_LEN, SegmentReader};

use crate::support::{CHAIN, Core, Files, SEGMENT_BYTES, change_byte, data_folder};

/// Three segments, sealed, no ring left.
fn sealed_log() -> Files {
    let mut core = Core::start(CHAIN);
    core.start_session(1, "agent", "orders");
    for statement in 1..=12 {
        core.begin(
            1,
            statement,
            format!("select {statement}").as_bytes(),
            Decision::Allow,
        );
        core.end(1, statement, Outcome::Completed);
        core.flush();
    }
    core.end_session(1);
    core.seal();
    core.flush();
    let files = Files::of(CHAIN, &core);
    assert_eq!(files.segments.len(), 3);
    files
}

fn problems(data: &Path) -> Vec<String> {
    // Reading on behind damage must not panic either.
    query(data, &Filter::default()).expect("readable");
    verify(data)
        .expect("readable")
        .problems
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_whole_log_is_intact() {
    let data = data_folder();
    sealed_log().place(data.path(), false);
    let report = verify(data.path()).expect("readable");
    assert!(report.is_intact() && report.notices.is_empty(), "{report:?}");
    assert_eq!((report.chains, report.segments, report.rings), (1, 3, 0));
    assert_eq!(
        (report.records, report.sessions, report.statements, report.open),
        (27, 1, 12, 0)
    );
    let recovered = recover(data.path(), SEGMENT_BYTES).expect("recovers");
    assert_eq!(recovered.rings, 0);
}

#[test]
fn every_changed_byte_is_found() {
    let data = data_folder();
    let files = sealed_log();
    files.place(data.path(), false);
    for (number, bytes) in &files.segments {
        let path = CHAIN.segment_path(&audit_dir(data.path()), *number);
        for (offset, byte) in bytes.iter().enumerate() {
            // All of what says something, and padding here and there.
            if *byte == 0 && offset % 97 != 0 {
                continue;
            }
            let bit = 1 << (offset % 8);
            change_byte(&path, offset as u64, |byte| byte ^ bit);
            assert!(
                !problems(data.path()).is_empty(),
                "segment {number}, byte {offset}"
            );
            change_byte(&path, offset as u64, |byte| byte ^ bit);
        }
    }
    assert!(problems(data.path()).is_empty(), "put back as it was");
}

type Change = fn(&mut Files, &dyn Fn(usize) -> Range<usize>);

#[test]
fn what_is_removed_added_or_moved_is_found() {
    let data = data_folder();
    let files = sealed_log();
    let block = |number: usize| number * BLOCK_LEN..(number + 1) * BLOCK_LEN;
    let changes: [(&str, Change, &str); 13] = [
        (
            "a flush removed",
            |files, block| drop(segment(files, 1).drain(block(2))),
            "hash chain",
        ),
        (
            "the last flush of a segment removed",
            |files, _| segment(files, 1).truncate(5 * BLOCK_LEN),
            "does not follow",
        ),
        (
            "flushes swapped",
            |files, block| {
                let (first, second) = (
                    segment(files, 0)[block(2)].to_vec(),
                    segment(files, 0)[block(3)].to_vec(),
                );
                segment(files, 0)[block(2)].copy_from_slice(&second);
                segment(files, 0)[block(3)].copy_from_slice(&first);
            },
            "hash chain",
        ),
        (
            "a flush twice",
            |files, block| {
                let copy = segment(files, 0)[block(5)].to_vec();
                segment(files, 0).extend(copy);
            },
            "hash chain",
        ),
        (
            "a flush of zeros",
            |files, block| segment(files, 0)[block(3)].fill(0),
            "bytes behind",
        ),
        (
            "a segment removed",
            |files, _| drop(files.segments.remove(&1)),
            "segments 1 to 1 are missing",
        ),
        (
            "the first segment removed",
            |files, _| drop(files.segments.remove(&0)),
            "segments 0 to 0 are missing",
        ),
        (
            "the last segment removed",
            |files, _| drop(files.segments.remove(&2)),
            "without a seal",
        ),
        (
            "the end cut",
            |files, _| {
                let len = segment(files, 2).len();
                segment(files, 2).truncate(len - BLOCK_LEN);
            },
            "without a seal",
        ),
        (
            "the end cut inside a block",
            |files, _| {
                let len = segment(files, 2).len();
                segment(files, 2).truncate(len - 100);
            },
            "where 3996 are left",
        ),
        (
            "segments swapped",
            |files, _| {
                let (first, second) = (files.segments[&0].clone(), files.segments[&1].clone());
                files.segments.insert(0, second);
                files.segments.insert(1, first);
            },
            "the header is that of",
        ),
        (
            "a segment emptied",
            |files, _| segment(files, 1).clear(),
            "no segment header",
        ),
        (
            "bytes added",
            |files, _| segment(files, 2).extend([1; 10]),
            "no flush begins",
        ),
    ];
    for (name, change, want) in changes {
        let mut tampered = files.clone();
        change(&mut tampered, &block);
        tampered.place(data.path(), false);
        let found = problems(data.path());
        assert!(
            found.iter().any(|problem| problem.contains(want)),
            "{name}: {found:?}"
        );
    }
}

fn segment(files: &mut Files, number: u32) -> &mut Vec<u8> {
    files.segments.get_mut(&number).expect("a segment")
}

#[test]
fn a_core_may_have_something_to_say_after_its_seal() {
    let data = data_folder();
    let mut core = Core::start(CHAIN);
    core.start_session(1, "agent", "orders");
    core.seal();
    core.end_session(1);
    core.flush();
    Files::of(CHAIN, &core).place(data.path(), false);
    assert!(problems(data.path()).is_empty());
}

#[test]
fn a_removed_ring_is_found() {
    let data = data_folder();
    let mut core = Core::start(CHAIN);
    core.start_session(1, "agent", "orders");
    core.flush();
    core.begin(1, 1, b"drop table customers", Decision::Deny);
    Files::of(CHAIN, &core).place(data.path(), false);
    let report = verify(data.path()).expect("readable");
    assert!(
        matches!(report.problems[..], [ref problem] if matches!(problem.kind, ProblemKind::Unsealed)),
        "{report:?}"
    );
}

#[test]
fn a_changed_ring_is_found() {
    let data = data_folder();
    let mut core = Core::start(CHAIN);
    core.start_session(1, "agent", "orders");
    core.begin(1, 1, b"drop table customers", Decision::Deny);
    Files::of(CHAIN, &core).place(data.path(), true);
    assert!(problems(data.path()).is_empty());
    let ring = CHAIN.ring_path(&audit_dir(data.path()));
    change_byte(&ring, 4096 + 70, |byte| byte ^ 4);
    assert!(problems(data.path())[0].contains("the ring ends in damage"));
    change_byte(&ring, 0, |byte| byte ^ 4);
    assert!(problems(data.path())[0].contains("not a ring"));
}

#[test]
fn segments_of_another_start_do_not_fit_in() {
    let data = data_folder();
    let files = sealed_log();
    let other = ChainId {
        boot: BootId([1; 16]),
        core: CHAIN.core,
    };
    files.place(data.path(), false);
    let dir = audit_dir(data.path());
    for number in 0..3 {
        fs::rename(CHAIN.segment_path(&dir, number), other.segment_path(&dir, number)).expect("renamed");
    }
    assert_eq!(problems(data.path()).len(), 3);
}

#[test]
fn a_reader_goes_on_behind_a_damaged_flush() {
    let mut file = sealed_log().segments[&0].clone();
    file[2 * BLOCK_LEN + 100] ^= 1;
    let mut reader = SegmentReader::open(&file[..]).expect("a segment");
    assert!(reader.advance().expect("whole").is_some());
    assert!(reader.advance().is_err());
    assert!(reader.resynchronize().expect("memory reads"));
    assert_eq!(reader.offset(), 4 * BLOCK_LEN as u64);
    assert!(reader.advance().expect("whole").is_some());
}

#[test]
fn a_file_of_somebody_else_is_only_mentioned() {
    let data = data_folder();
    sealed_log().place(data.path(), false);
    fs::write(audit_dir(data.path()).join("notes.txt"), "mine").expect("written");
    let report = verify(data.path()).expect("readable");
    assert!(report.is_intact());
    assert_eq!(report.notices.len(), 1);
}
