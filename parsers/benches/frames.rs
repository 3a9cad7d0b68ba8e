//! What every byte and every message costs before anybody looks at it: cutting frames, walking rows, the model.
//!
//! One received buffer of 16 KiB, full of rows of eight short text columns (`rows100`'s shape) or of the answers to
//! short prepared statements (`point`'s shape).

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sluice_parsers::postgres::backend::{TransactionStatus, encode, row};
use sluice_parsers::postgres::model::{Model, Sent};
use sluice_parsers::postgres::{Deframer, Piece, Take};

const BUFFER_BYTES: usize = 16 * 1024;

/// As many repetitions as fit in a buffer, and how many frames they are.
fn buffer(write: impl Fn(&mut Vec<u8>)) -> (Vec<u8>, u64) {
    let mut one = Vec::new();
    write(&mut one);
    let wire = one.repeat(BUFFER_BYTES / one.len());
    let mut frames = 0;
    cut(&wire, |_, _| frames += 1);
    (wire, frames)
}

fn rows(out: &mut Vec<u8>) {
    let value = Some(&b"eleven bytes"[..]);
    encode::data_row(out, &[value; 8]);
}

fn answers(out: &mut Vec<u8>) {
    encode::bind_complete(out);
    encode::data_row(out, &[Some(b"42"), Some(b"a short name")]);
    encode::command_complete(out, b"SELECT 1");
    encode::ready_for_query(out, TransactionStatus::Idle);
}

#[inline]
fn cut(wire: &[u8], mut each: impl FnMut(u8, &[u8])) {
    let mut deframer = Deframer::new();
    let mut at = 0;
    while let Ok(Piece::Frame { start, end }) = deframer.next(wire, &mut at, |_| Take::Parts) {
        let frame = &wire[start..end];
        each(frame[0], &frame[5..]);
    }
    assert_eq!(at, wire.len());
}

fn benches(criterion: &mut Criterion) {
    for (name, (wire, frames)) in [("rows", buffer(rows)), ("answers", buffer(answers))] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::ElementsAndBytes {
            elements: frames,
            bytes: wire.len() as u64,
        });
        group.bench_function("cut", |bencher| {
            bencher.iter(|| {
                let mut seen = 0;
                cut(black_box(&wire), |_, _| seen += 1);
                assert_eq!(seen, frames);
            });
        });
        group.bench_function("cut-and-model", |bencher| {
            let mut model = Model::new();
            bencher.iter(|| {
                if name == "rows" && model.pending() == 0 {
                    model.sent(Sent::Execute, 0_u64).expect("there is room");
                }
                cut(black_box(&wire), |tag, body| {
                    if tag == b'2' {
                        for (number, kind) in [Sent::Bind, Sent::Execute, Sent::Sync].into_iter().enumerate()
                        {
                            model.sent(kind, number as u64).expect("there is room");
                        }
                    }
                    let reply = model.received(tag, body, drop);
                    assert!(black_box(reply).is_ok());
                });
            });
        });
        if name == "rows" {
            group.bench_function("cut-and-walk", |bencher| {
                bencher.iter(|| {
                    let mut bytes = 0;
                    cut(black_box(&wire), |_, body| {
                        let mut fields = row::Fields::parse(body).expect("a row");
                        while let Ok(Some(place)) = fields.next_field() {
                            if let row::Place::Value { start, end } = place {
                                bytes += end - start;
                            }
                        }
                    });
                    assert_eq!(black_box(bytes) as u64, frames * 8 * 12);
                });
            });
        }
        group.finish();
    }
}

criterion_group!(frames, benches);
criterion_main!(frames);
