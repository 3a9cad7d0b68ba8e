//! Building and reading segments in memory.

use std::collections::BTreeMap;
use std::convert::Infallible;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::names::{BootId, ChainId};
use crate::record::{self, Body, Event, RECORD_LEN_MAX, Record};
use crate::ring::Batch;

const CHAIN: ChainId = ChainId {
    boot: BootId([4; 16]),
    core: 1,
};

/// Puts events with texts of these lengths into a flush.
fn fill(into: &mut [u8], first_sequence: u64, lens: &[usize]) -> Option<Batch> {
    let mut batch = Batch {
        len: 0,
        records: 0,
        first_sequence,
        end: 0,
    };
    let mut encoder = record::Encoder::new();
    for len in lens {
        let text = vec![b'e'; *len];
        let event = Event {
            text: &text,
            ..Event::default()
        };
        let record = Record {
            time_ns: 5,
            session: 0,
            statement: 0,
            body: Body::Event(event),
        };
        let bytes = encoder.encode(&record, first_sequence + u64::from(batch.records), 0);
        into[batch.len..batch.len + bytes.len()].copy_from_slice(bytes);
        batch.len += bytes.len();
        batch.records += 1;
    }
    (batch.records > 0).then_some(batch)
}

fn write(files: &mut BTreeMap<u32, Vec<u8>>, flush: &Flush, scratch: &[u8]) {
    let file = files.entry(flush.number).or_default();
    assert_eq!(
        (file.len() as u64, file.is_empty()),
        (flush.offset, flush.creates),
        "only ever appended to"
    );
    file.extend_from_slice(&scratch[..flush.len]);
}

fn built(flushes: &[Vec<usize>], segment_bytes: u64) -> BTreeMap<u32, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut builder = SegmentBuilder::new(CHAIN, segment_bytes);
    let mut scratch = vec![0xee; scratch_len(0)];
    for lens in flushes {
        let first = builder.state().last_sequence + 1;
        let Ok(flush) = builder.build(&mut scratch, |into| Ok::<_, Infallible>(fill(into, first, lens)));
        let Some(flush) = flush else {
            continue;
        };
        write(&mut files, &flush, &scratch);
        builder.written(&flush);
    }
    files
}

#[test]
fn flushes_fill_blocks_and_segments() {
    let files = built(
        &[vec![10], vec![10, 20], vec![], vec![1000; 6], vec![1], vec![2]],
        5 * BLOCK_LEN as u64,
    );
    let lens: Vec<_> = files.values().map(|file| file.len() / BLOCK_LEN).collect();
    assert_eq!(lens, [5, 3]);
    let mut previous = GENESIS;
    let mut next = 1;
    for (number, file) in &files {
        let mut reader = SegmentReader::open(&file[..]).expect("a header");
        let header = *reader.header();
        assert_eq!(
            (header.chain, header.number, header.first_sequence),
            (CHAIN, *number, next)
        );
        assert_eq!(header.previous, previous);
        while let Some(flush) = reader.advance().expect("whole") {
            assert_eq!(flush.first_sequence, next);
            next += u64::from(flush.records);
        }
        assert_eq!(reader.offset(), file.len() as u64);
        previous = reader.hash();
    }
    assert_eq!(next, 12);
}

#[test]
fn a_failed_write_is_built_again_for_the_same_place() {
    let mut builder = SegmentBuilder::new(CHAIN, 1 << 20);
    let mut scratch = vec![0; scratch_len(0)];
    let build = |builder: &SegmentBuilder, scratch: &mut [u8], lens: &[usize]| {
        let Ok(flush) = builder.build(scratch, |into| Ok::<_, Infallible>(fill(into, 1, lens)));
        flush.expect("records")
    };
    let failed = build(&builder, &mut scratch, &[100]);
    let before = *builder.state();
    let again = build(&builder, &mut scratch, &[100, 100]);
    assert_eq!(
        (again.number, again.offset, again.creates),
        (failed.number, failed.offset, true)
    );
    assert_eq!(*builder.state(), before);
    builder.written(&again);
    assert_eq!(builder.state().last_sequence, 2);

    let resumed = SegmentBuilder::resume(CHAIN, 1 << 20, *builder.state());
    assert_eq!(resumed.state(), builder.state());
}

#[test]
fn an_error_of_the_source_is_passed_on() {
    let builder = SegmentBuilder::new(CHAIN, 1 << 20);
    let mut scratch = vec![0; scratch_len(0)];
    assert_eq!(builder.build(&mut scratch, |_| Err("no")), Err("no"));
}

#[test]
fn scratch_lengths() {
    for (records_len, want) in [
        (0, 2 * BLOCK_LEN + RECORD_LEN_MAX),
        (RECORD_LEN_MAX, 2 * BLOCK_LEN + RECORD_LEN_MAX),
        (
            RECORD_LEN_MAX + BLOCK_LEN - FLUSH_HEADER_LEN,
            2 * BLOCK_LEN + RECORD_LEN_MAX,
        ),
        (RECORD_LEN_MAX + BLOCK_LEN, 3 * BLOCK_LEN + RECORD_LEN_MAX),
    ] {
        assert_eq!(scratch_len(records_len), want, "{records_len}");
    }
}

#[test]
fn space_allocated_ahead_is_no_damage() {
    let mut file = built(&[vec![10]], 1 << 20).remove(&0).expect("a segment");
    let used = file.len() as u64;
    file.resize(file.len() + 10 * BLOCK_LEN, 0);
    let mut reader = SegmentReader::open(&file[..]).expect("a header");
    assert!(reader.advance().expect("whole").is_some());
    assert!(reader.advance().expect("zeros").is_none());
    assert_eq!(reader.offset(), used);
    assert!(reader.rest_is_zero().expect("memory reads"));
    *file.last_mut().expect("bytes") = 1;
    let mut reader = SegmentReader::open(&file[..]).expect("a header");
    while reader.advance().expect("whole").is_some() {}
    assert!(!reader.rest_is_zero().expect("memory reads"));
}

#[test]
fn headers_that_are_none() {
    let good = built(&[vec![10]], 1 << 20).remove(&0).expect("a segment");
    let with = |at: usize, value: u8| {
        let mut file = good.clone();
        file[at] = value;
        file
    };
    for (name, file, want) in [
        ("nothing", vec![], "no segment header"),
        ("half a block", good[..2048].to_vec(), "no segment header"),
        ("zeros", vec![0; BLOCK_LEN], "no segment header"),
        (
            "another format",
            with(8, 2),
            "format 2 is not known to this version",
        ),
        (
            "another number",
            with(32, 9),
            "the header does not match its hash",
        ),
        (
            "something in the padding",
            with(4000, 1),
            "the header does not match its hash",
        ),
    ] {
        let error = SegmentReader::open(&file[..]).expect_err(name);
        assert_eq!(error.to_string(), want, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_built_is_read(flushes in vec(vec(0_usize..1000, 0..20), 1..12), blocks in 1_u64..12) {
        let files = built(&flushes, blocks * BLOCK_LEN as u64);
        let mut found = Vec::new();
        for file in files.values() {
            let mut reader = SegmentReader::open(&file[..]).expect("a header");
            while reader.advance().expect("whole").is_some() {
                let mut rest = reader.records();
                while let Ok((_, record, used)) = record::decode(rest) {
                    if let Body::Event(event) = record.body {
                        found.push(event.text.len());
                    }
                    rest = &rest[used..];
                }
            }
            prop_assert_eq!(reader.offset(), file.len() as u64);
        }
        prop_assert_eq!(found, flushes.concat());
    }

    #[test]
    fn any_bytes_are_answered(bytes in vec(any::<u8>(), 0..500)) {
        fuzz_segment(&bytes);
    }

    #[test]
    fn damaged_segments_are_answered(
        changes in vec((0_usize..30_000, any::<u8>()), 1..20),
        cut in 0_usize..40_000,
    ) {
        let mut file = built(&[vec![10], vec![900; 9], vec![5, 6], vec![7]], 1 << 20).remove(&0).expect("a segment");
        for (at, value) in changes {
            if let Some(byte) = file.get_mut(at) {
                *byte = value;
            }
        }
        file.truncate(cut.max(1));
        fuzz_segment(&file);
        fuzz_segment(&file[file.len().min(BLOCK_LEN)..]);
    }
}
