//! What a core pays for a record: encode and append to its ring, with the release that a flusher would do.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use sluice_audit::memory::HeapMemory;
use sluice_audit::names::{BootId, ChainId};
use sluice_audit::record::{
    Body, Decision, ListBuffer, Outcome, Protocol, RECORD_LEN_MAX, Record, StatementBegin, StatementEnd,
    crc32c,
};
use sluice_audit::ring::{Ring, RingOwner, file_len};
use sluice_audit::segment::{SegmentBuilder, scratch_len};

const CHAIN: ChainId = ChainId {
    boot: BootId([1; 16]),
    core: 0,
};

fn ring(capacity: usize) -> Ring<HeapMemory> {
    let owner = RingOwner {
        chain: CHAIN,
        process: 1,
        started_ns: 0,
    };
    Ring::create(HeapMemory::zeroed(file_len(capacity)), owner, 16 << 10).expect("a ring")
}

fn records(text: &[u8], effects: &ListBuffer) -> (Record<'static>, Record<'static>) {
    let begin = StatementBegin {
        protocol: Protocol::Simple,
        text: text.to_vec().leak(),
        actions: 1,
        effects: Box::leak(Box::new(effects.clone())).as_list(),
        decision: Decision::Allow,
        policy: "readers",
        ..StatementBegin::default()
    };
    let end = StatementEnd {
        outcome: Outcome::Completed,
        rows: 100,
        bytes: 10_000,
        masked: [3, 0, 0, 1, 0, 0, 0, 0],
        gateway_ns: 4_000,
        upstream_ns: 300_000,
        ..StatementEnd::default()
    };
    let record = |body| Record {
        time_ns: 1_795_446_245_000_000_000,
        session: 42,
        statement: 7,
        body,
    };
    (
        record(Body::StatementBegin(begin)),
        record(Body::StatementEnd(end)),
    )
}

/// A short SELECT of 100 bytes, as the `point` workload sends it.
fn append(criterion: &mut Criterion) {
    let text = format!(
        "{:100}",
        "SELECT id, name, email, city FROM customers WHERE id = 123456 AND status = 'active'"
    );
    let objects = ListBuffer::of(["customers"]);
    let (begin, end) = records(text.as_bytes(), &objects);
    let mut scratch = vec![0; RECORD_LEN_MAX];
    let mut release = |ring: &mut Ring<HeapMemory>| {
        while let Some(batch) = ring.copy(ring.flushed(), &mut scratch).expect("unchanged") {
            ring.release(&batch);
        }
    };
    // Ends and the release, which make room for the next round, are not counted here.
    let mut ring = ring(1 << 20);
    criterion.bench_function("append/begin-100-bytes", |bencher| {
        bencher.iter_custom(|iterations| {
            let mut elapsed = Duration::ZERO;
            let mut left = iterations;
            while left > 0 {
                let count = left.min(1 << 10);
                let start = Instant::now();
                for _ in 0..count {
                    ring.append(black_box(&begin)).expect("room");
                }
                elapsed += start.elapsed();
                for _ in 0..count {
                    ring.append(&end).expect("room was kept");
                }
                release(&mut ring);
                left -= count;
            }
            elapsed
        });
    });
    criterion.bench_function("append/begin-and-end", |bencher| {
        bencher.iter(|| {
            ring.append(black_box(&begin)).expect("room");
            ring.append(black_box(&end)).expect("room");
            if ring.depth() > 1 << 19 {
                release(&mut ring);
            }
        });
    });
}

/// The flusher's share: copying 64 KiB of records out of the ring, hashing and padding them.
fn flush(criterion: &mut Criterion) {
    let text = [b'x'; 100];
    let (begin, end) = records(&text, &ListBuffer::new());
    let mut ring = ring(1 << 20);
    while ring.depth() < 64 << 10 {
        ring.append(&begin).expect("room");
        ring.append(&end).expect("room");
    }
    let builder = SegmentBuilder::new(CHAIN, 1 << 30);
    let mut scratch = vec![0; scratch_len(256 << 10)];
    let mut group = criterion.benchmark_group("flush");
    group.throughput(criterion::Throughput::Bytes(ring.depth()));
    group.bench_function("64-kib", |bencher| {
        bencher.iter(|| {
            let built = builder.build(&mut scratch, |into| ring.copy(0, into));
            assert!(built.expect("unchanged").expect("records").len > 64 << 10);
        });
    });
    group.finish();
}

fn checksum(criterion: &mut Criterion) {
    for len in [64, 200, 1000] {
        let bytes = vec![7; len];
        criterion.bench_function(&format!("crc32c/{len}"), |bencher| {
            bencher.iter(|| crc32c(black_box(&bytes)));
        });
    }
}

criterion_group!(benches, append, flush, checksum);
criterion_main!(benches);
