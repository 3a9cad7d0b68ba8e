//! The ring in memory: wrap-around, fullness, room for ends, and what a reader of its file sees.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::memory::HeapMemory;
use crate::names::BootId;
use crate::record::{self, StatementBegin, StatementEnd};

const OWNER: RingOwner = RingOwner {
    chain: ChainId {
        boot: BootId([9; 16]),
        core: 3,
    },
    process: 77,
    started_ns: 123,
};

fn ring() -> Ring<HeapMemory> {
    Ring::create(
        HeapMemory::zeroed(file_len(RING_CAPACITY_MIN)),
        OWNER,
        TEXT_LEN_MAX,
    )
    .expect("a ring")
}

const TEXT_LEN_MAX: usize = record::TEXT_LEN_MAX;

fn begin(statement: u64, text: &[u8]) -> Record<'_> {
    let body = Body::StatementBegin(StatementBegin {
        text,
        ..StatementBegin::default()
    });
    Record {
        time_ns: 0,
        session: 1,
        statement,
        body,
    }
}

fn end(statement: u64) -> Record<'static> {
    Record {
        time_ns: 0,
        session: 1,
        statement,
        body: Body::StatementEnd(StatementEnd::default()),
    }
}

fn release_all(ring: &mut Ring<HeapMemory>) {
    let mut into = vec![0; RECORD_LEN_MAX];
    while let Some(batch) = ring.copy(ring.flushed(), &mut into).expect("unchanged") {
        ring.release(&batch);
    }
}

fn scan(ring: &Ring<HeapMemory>) -> Scanned {
    let reader = RingReader::open(ring.memory().bytes())
        .expect("memory reads")
        .expect("a ring");
    assert_eq!(reader.owner(), &OWNER);
    reader.scan(0).expect("memory reads")
}

#[test]
fn capacities() {
    for (name, len, is_ok) in [
        ("nothing", 0, false),
        ("no records", RING_HEADER_LEN, false),
        ("too small", file_len(RING_CAPACITY_MIN - 4096), false),
        ("smallest", file_len(RING_CAPACITY_MIN), true),
        ("no whole pages", file_len(RING_CAPACITY_MIN + 8), false),
    ] {
        let ring = Ring::create(HeapMemory::zeroed(len), OWNER, 100);
        assert_eq!(ring.is_ok(), is_ok, "{name}");
    }
}

#[test]
fn a_full_ring_refuses_begins_and_takes_the_ends_of_what_runs() {
    let mut ring = ring();
    let text = vec![b'x'; 5000];
    let mut begun = 0;
    while ring.append(&begin(begun + 1, &text)).is_ok() {
        begun += 1;
    }
    assert!(begun > 50);
    let before = scan(&ring);
    assert!(matches!(ring.append(&begin(begun + 1, &text)), Err(RingFull { needed, free }) if needed > free));
    assert_eq!(scan(&ring), before, "a refused record leaves nothing");
    for statement in 1..=begun {
        ring.append(&end(statement)).expect("room was kept");
    }
    let scanned = scan(&ring);
    assert_eq!((scanned.count, scanned.end), (2 * begun, ScanEnd::Uncommitted));
    assert!(ring.depth() <= ring.capacity() - 8);

    release_all(&mut ring);
    ring.append(&begin(begun + 1, &text)).expect("room again");
    assert_eq!(scan(&ring).first_sequence, 2 * begun + 1);
}

#[test]
fn batches_are_whole_records() {
    let mut ring = ring();
    let text = vec![b'x'; 60_000];
    for statement in 1..=5 {
        ring.append(&begin(statement, &text)).expect("room");
    }
    let mut into = vec![0; RECORD_LEN_MAX + 1];
    let mut from = 0;
    let mut batches = Vec::new();
    while let Some(batch) = ring.copy(from, &mut into).expect("unchanged") {
        from = batch.end;
        batches.push((batch.records, batch.first_sequence));
    }
    assert_eq!(batches, [(2, 1), (2, 3), (1, 5)]);
    assert_eq!(from, ring.head());
}

#[test]
fn somebody_else_writing_is_noticed() {
    let mut ring = ring();
    ring.append(&begin(1, b"SELECT 1")).expect("room");
    ring.memory.write(RING_HEADER_LEN, &u32::MAX.to_le_bytes());
    let copied = ring.copy(0, &mut vec![0; RECORD_LEN_MAX]);
    assert_eq!(copied, Err(RingError::Changed { position: 0 }));
}

#[test]
fn a_clients_text_is_never_taken_for_a_record() {
    // Text that is itself a ring full of valid records, at every alignment, lies in the free space of later laps.
    let lie = Encoder::new().encode(&begin(1, b"forged"), 2, 100).repeat(20);
    let mut ring = ring();
    let mut statement = 0;
    for lap in 0..6 {
        let first = ring.next_sequence();
        while ring.depth() < ring.capacity() - 100_000 {
            statement += 1;
            ring.append(&begin(
                statement,
                &lie[usize::try_from(statement % 9).expect("small")..],
            ))
            .expect("room");
            ring.append(&end(statement)).expect("room");
            let scanned = scan(&ring);
            assert_eq!(scanned.end, ScanEnd::Uncommitted, "lap {lap}");
            assert_eq!(scanned.first_sequence + scanned.count, ring.next_sequence());
        }
        assert_eq!(scan(&ring).first_sequence, first);
        release_all(&mut ring);
        assert_eq!(scan(&ring).count, 0);
    }
}

#[test]
fn headers_that_make_no_sense() {
    let file = ring().memory().bytes().to_vec();
    for (name, at, value) in [
        ("magic", 0, 0),
        ("format", FORMAT_AT, 9),
        ("capacity not of whole pages", CAPACITY_AT, 8),
        ("capacity too large", CAPACITY_AT + 7, 1),
    ] {
        let mut changed = file.clone();
        changed[at] = value;
        assert!(
            RingReader::open(&changed[..]).expect("memory reads").is_none(),
            "{name}"
        );
    }
    for len in [0, 7, 100, RING_HEADER_LEN - 1] {
        let opened = RingReader::open(&file[..len]).expect("memory reads");
        if let Some(ring) = opened {
            assert_eq!(ring.scan(0).expect("memory reads").count, 0, "{len}");
        }
    }
    for (name, flushed) in [("no multiple of 8", 4_u64), ("at the end of time", !7)] {
        let mut changed = file.clone();
        changed[FLUSHED_AT..FLUSHED_AT + 8].copy_from_slice(&flushed.to_le_bytes());
        let reader = RingReader::open(&changed[..])
            .expect("memory reads")
            .expect("a ring");
        assert_eq!(reader.scan(0).expect("memory reads").count, 0, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_appended_is_copied_and_scanned(
        steps in vec((0_usize..70_000, 0_u8..4), 1..60)
    ) {
        let mut ring = ring();
        let text: Vec<u8> = (0..70_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut into = vec![0; RECORD_LEN_MAX];
        let mut expected: Vec<(u64, usize)> = Vec::new();
        let mut copied = Vec::new();
        let mut statement = 0;
        for (len, releases) in steps {
            statement += 1;
            if let Ok(sequence) = ring.append(&begin(statement, &text[..len])) {
                expected.push((sequence, len.min(TEXT_LEN_MAX)));
                ring.append(&end(statement)).expect("room was kept");
            }
            let scanned = scan(&ring);
            prop_assert_eq!(scanned.end, ScanEnd::Uncommitted);
            prop_assert_eq!(scanned.records.len() as u64, ring.depth());
            for _ in 0..releases {
                if let Some(batch) = ring.copy(ring.flushed(), &mut into).expect("unchanged") {
                    copied.extend_from_slice(&into[..batch.len]);
                    ring.release(&batch);
                }
            }
        }
        copied.extend_from_slice(&scan(&ring).records);
        let mut rest = &copied[..];
        let mut found = Vec::new();
        let mut next = 1;
        while let Ok((sequence, record, used)) = record::decode(rest) {
            prop_assert_eq!(sequence, next);
            next += 1;
            if let Body::StatementBegin(begin) = record.body {
                found.push((sequence, begin.text.len()));
            }
            rest = &rest[used..];
        }
        prop_assert!(rest.is_empty());
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_bytes_are_answered(bytes in vec(any::<u8>(), 0..2000)) {
        fuzz_ring(&bytes);
    }
}
