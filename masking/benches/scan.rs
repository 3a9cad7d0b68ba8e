//! Masking contiguous `DataRow` frames as they lie in a receive buffer, in bytes a second.
//!
//! - `point`: what one short SELECT returns, a row of a few dozen bytes: the fixed cost of a pass.
//! - `sparse`: rows of eight text columns of which 1.3 % of the bytes are personal data.
//! - `addresses`: a hundred short rows with an e-mail address each, about 10 KB, in the first cache.
//! - `dense`: rows in which nearly every second column holds some.
//! - `identifiers`: UUIDs, hashes, time stamps and decimals, which look most like something.
//! - `hostile`: fragments that are all candidates and no hits.
//!
//! Each checks how many hits it has before it is measured.

use std::fmt::Write;
use std::hint::black_box;
use std::ops::Range;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sluice_masking::{ClassSet, Counts, ValueStream, Values, mask};

/// The fields of whole `DataRow` frames, walked no further than the last candidate.
#[derive(Default)]
struct Rows {
    next_frame: usize,
    at: usize,
    fields_left: u16,
}

impl Values for Rows {
    fn value_at(&mut self, buf: &[u8], position: usize) -> Option<Range<usize>> {
        loop {
            if self.fields_left == 0 || position >= self.next_frame {
                let head: &[u8; 7] = buf.get(self.next_frame..)?.first_chunk()?;
                let frame_end =
                    self.next_frame + 1 + u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
                if head[0] == b'D' && position < frame_end {
                    self.at = self.next_frame + 7;
                    self.fields_left = u16::from_be_bytes([head[5], head[6]]);
                }
                self.next_frame = frame_end;
                continue;
            }
            let length = i32::from_be_bytes(*buf.get(self.at..)?.first_chunk()?);
            let start = self.at + 4;
            if position < start {
                return None;
            }
            self.at = start + usize::try_from(length).unwrap_or(0);
            self.fields_left -= 1;
            if position < self.at {
                return Some(start..self.at);
            }
        }
    }
}

fn frame(out: &mut Vec<u8>, fields: &[String]) {
    let length = 4 + 2 + fields.iter().map(|field| 4 + field.len()).sum::<usize>();
    out.push(b'D');
    out.extend(u32::try_from(length).unwrap().to_be_bytes());
    out.extend(u16::try_from(fields.len()).unwrap().to_be_bytes());
    for field in fields {
        out.extend(u32::try_from(field.len()).unwrap().to_be_bytes());
        out.extend(field.as_bytes());
    }
}

/// A small generator, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 33).unwrap_or_default() % below
    }

    fn words(&mut self, count: u64) -> String {
        const WORDS: [&str; 12] = [
            "order",
            "Berlin",
            "pending",
            "the",
            "with",
            "Main",
            "street",
            "blue",
            "delivered",
            "note",
            "x",
            "Anna",
        ];
        let words: Vec<&str> = (0..count).map(|_| WORDS[self.next(12) as usize]).collect();
        words.join(" ")
    }

    fn hex(&mut self, digits: usize) -> String {
        let mut text = String::new();
        while text.len() < digits {
            write!(text, "{:x}", self.next(16)).unwrap();
        }
        text
    }
}

fn ordinary_row(numbers: &mut Numbers, row: u64) -> Vec<String> {
    vec![
        row.to_string(),
        format!("2024-0{}-1{} 12:34:5{}.123+00", 1 + row % 9, row % 9, row % 10),
        numbers.words(2),
        format!("{}.{:02}", numbers.next(10_000), numbers.next(100)),
        numbers.words(3),
        numbers.words(4),
        "EUR".to_owned(),
        numbers.words(1),
    ]
}

fn rows(bytes: usize, mut row: impl FnMut(&mut Numbers, u64) -> Vec<String>) -> Vec<u8> {
    let mut numbers = Numbers(7);
    let mut buf = Vec::new();
    for number in 0.. {
        let before = buf.len();
        frame(&mut buf, &row(&mut numbers, number));
        if buf.len() > bytes {
            buf.truncate(before);
            break;
        }
    }
    buf
}

fn sparse_row(numbers: &mut Numbers, row: u64) -> Vec<String> {
    let mut fields = ordinary_row(numbers, row);
    if row.is_multiple_of(13) {
        fields[7] = format!("jo.doe{row}@example.org");
    }
    fields
}

fn address_row(_: &mut Numbers, row: u64) -> Vec<String> {
    vec![
        (100_000 + row).to_string(),
        format!("user{row:03}"),
        format!("u{row}@ex{row:02}.org"),
        format!("1985-0{}-1{}", 1 + row % 9, row % 10),
        format!("{}.{row:02}", row * 37 % 9999),
        "active".to_owned(),
        ["London", "Oslo", "Krak\u{f3}w", "Lagos", "Porto"][usize::try_from(row % 5).unwrap()].to_owned(),
        format!("row {row} note"),
    ]
}

fn dense_row(numbers: &mut Numbers, row: u64) -> Vec<String> {
    let mut fields = ordinary_row(numbers, row);
    fields[2] = format!("jo.doe{row}@example.org");
    "4111 1111 1111 1111".clone_into(&mut fields[4]);
    fields[5] = format!("{} 078-05-11{:02}", numbers.words(2), 10 + row % 90);
    fields[7] = format!("10.0.{}.{}", row % 256, numbers.next(256));
    fields
}

fn identifier_row(numbers: &mut Numbers, row: u64) -> Vec<String> {
    vec![
        format!(
            "{}-{}-4{}-8{}-{}",
            numbers.hex(8),
            numbers.hex(4),
            numbers.hex(3),
            numbers.hex(3),
            numbers.hex(12)
        ),
        numbers.hex(64),
        format!("2024-0{}-1{} 12:34:56.789+00", 1 + row % 9, row % 9),
        format!("{}.{}", numbers.next(100), numbers.next(1_000_000)),
        format!("+49 30 {}", 1_000_000 + numbers.next(1_000_000)),
        format!("{}", 1_700_000_000_000 + u64::from(numbers.next(1_000_000))),
    ]
}

fn count(buf: &[u8]) -> u64 {
    let mut counts = Counts::default();
    mask(
        &mut buf.to_vec(),
        ClassSet::ALL,
        &mut Rows::default(),
        &mut counts,
    );
    counts.total()
}

fn measure(c: &mut Criterion) {
    const LARGE: usize = 64 * 1024;
    let mut point = Vec::new();
    frame(
        &mut point,
        &[
            "4711".to_owned(),
            "Anna Main street".to_owned(),
            "pending".to_owned(),
            "12.50".to_owned(),
        ],
    );
    point.extend(b"C\0\0\0\x0DSELECT 1\0Z\0\0\0\x05I");
    let sparse = rows(LARGE, sparse_row);
    let addresses = rows(10_000, address_row);
    let dense = rows(LARGE, dense_row);
    let identifiers = rows(LARGE, identifier_row);
    let hostile = rows(LARGE, |_, _| {
        vec!["a@a@eyJeyJ-1-1-1-1.1.1.1.AD12ghp_AKIAIA1-1 1-1 ".repeat(40)]
    });

    let dense_rows = dense
        .windows(19)
        .filter(|text| text == b"4111 1111 1111 1111")
        .count() as u64;
    assert_eq!(count(&point), 0);
    assert_eq!(
        count(&sparse),
        sparse.split(|byte| *byte == b'@').count() as u64 - 1
    );
    assert_eq!(count(&dense), 4 * dense_rows);
    assert!(count(&identifiers) <= 2);

    let mut group = c.benchmark_group("mask");
    group
        .sample_size(30)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500));
    for (name, buf) in [
        ("point", &point),
        ("sparse", &sparse),
        ("addresses", &addresses),
        ("dense", &dense),
        ("identifiers", &identifiers),
        ("hostile", &hostile),
    ] {
        group.throughput(Throughput::Bytes(buf.len() as u64));
        // What is masked stays masked, so hits need a fresh copy for each pass; without any, copying is not needed.
        let has_hits = count(buf) > 0;
        group.bench_function(name, |b| {
            let run = |buf: &mut [u8]| {
                let mut counts = Counts::default();
                mask(black_box(buf), ClassSet::ALL, &mut Rows::default(), &mut counts);
                counts
            };
            if has_hits {
                let batch = if buf.len() < LARGE / 2 {
                    BatchSize::NumIterations(2)
                } else {
                    BatchSize::LargeInput
                };
                b.iter_batched_ref(|| buf.clone(), |buf| run(buf), batch);
            } else {
                let mut buf = buf.clone();
                b.iter(|| run(&mut buf));
            }
        });
    }
    group.throughput(Throughput::Bytes(sparse.len() as u64));
    group.bench_function("stream", |b| {
        let run = |buf: &mut Vec<u8>| {
            let mut counts = Counts::default();
            let finished = ValueStream::new(ClassSet::ALL).feed(buf, &mut counts);
            assert!(finished > buf.len() / 2);
        };
        b.iter_batched_ref(|| sparse.clone(), run, BatchSize::LargeInput);
    });
    group.finish();
}

criterion_group!(benches, measure);
criterion_main!(benches);
