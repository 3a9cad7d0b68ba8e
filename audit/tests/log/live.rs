//! Readers beside a core that goes on writing: through real files, from another thread.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use sluice_audit::lock::DataLock;
use sluice_audit::memory::SharedMemory;
use sluice_audit::names::audit_dir;
use sluice_audit::reader::{Filter, Row, Tail, query, verify};
use sluice_audit::record::{
    Body, Decision, Outcome, RECORD_LEN_MAX, Record, SessionStart, StatementBegin, StatementEnd,
};
use sluice_audit::ring::{RING_CAPACITY_MIN, Ring, RingOwner, file_len};
use sluice_audit::segment::{BLOCK_LEN, SegmentBuilder, scratch_len};

use crate::support::{CHAIN, data_folder};

/// A ring's file, written by system calls: the page cache is the same that a mapping would show.
struct FileMemory(File);

impl FileMemory {
    fn create(path: &Path) -> Self {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
            .expect("a file");
        file.set_len(file_len(RING_CAPACITY_MIN) as u64).expect("room");
        Self(file)
    }
}

impl SharedMemory for FileMemory {
    fn len(&self) -> usize {
        file_len(RING_CAPACITY_MIN)
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.0.write_all_at(bytes, offset as u64).expect("written");
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        self.0.read_exact_at(into, offset as u64).expect("read");
    }

    fn store_u32_release(&mut self, offset: usize, value: u32) {
        self.write(offset, &value.to_le_bytes());
    }

    fn store_u64_release(&mut self, offset: usize, value: u64) {
        self.write(offset, &value.to_le_bytes());
    }

    fn store_u64_relaxed(&mut self, offset: usize, value: u64) {
        self.write(offset, &value.to_le_bytes());
    }

    fn load_u64_relaxed(&self, offset: usize) -> u64 {
        let mut word = [0; 8];
        self.read(offset, &mut word);
        u64::from_le_bytes(word)
    }
}

struct Flusher {
    dir: PathBuf,
    builder: SegmentBuilder,
    scratch: Vec<u8>,
    file: Option<File>,
}

impl Flusher {
    fn flush(&mut self, ring: &mut Ring<FileMemory>) {
        while let Some(flush) = self
            .builder
            .build(&mut self.scratch, |into| ring.copy(ring.flushed(), into))
            .expect("unchanged")
        {
            if flush.creates {
                self.file = Some(File::create(CHAIN.segment_path(&self.dir, flush.number)).expect("created"));
            }
            let file = self.file.as_ref().expect("created before");
            // Block by block, so that readers meet unfinished writes.
            for (index, block) in self.scratch[..flush.len].chunks(BLOCK_LEN).enumerate() {
                file.write_all_at(block, flush.offset + (index * BLOCK_LEN) as u64)
                    .expect("written");
            }
            self.builder.written(&flush);
            ring.release(&flush.batch);
        }
    }
}

const STATEMENTS: u64 = 6000;

fn work(data: &Path) {
    let dir = audit_dir(data);
    fs::create_dir_all(&dir).expect("a folder");
    let memory = FileMemory::create(&CHAIN.ring_path(&dir));
    let owner = RingOwner {
        chain: CHAIN,
        process: 1,
        started_ns: 1,
    };
    let mut ring = Ring::create(memory, owner, 4096).expect("a ring");
    let builder = SegmentBuilder::new(CHAIN, 40 * BLOCK_LEN as u64);
    let mut flusher = Flusher {
        dir,
        builder,
        scratch: vec![0; scratch_len(RECORD_LEN_MAX)],
        file: None,
    };

    let mut append = |time_ns, statement, body: Body<'_>| {
        let record = Record {
            time_ns,
            session: 1,
            statement,
            body,
        };
        ring.append(&record).expect("flushed often enough");
        if time_ns % 37 == 0 {
            flusher.flush(&mut ring);
        }
    };
    append(
        1,
        0,
        Body::SessionStart(SessionStart {
            subject: "agent",
            ..SessionStart::default()
        }),
    );
    for statement in 1..=STATEMENTS {
        let padding = " ".repeat(usize::try_from(statement * 131 % 1500).expect("small"));
        let text = format!("select {statement}{padding}");
        let begin = StatementBegin {
            text: text.as_bytes(),
            decision: Decision::Allow,
            ..StatementBegin::default()
        };
        append(2 * statement, statement, Body::StatementBegin(begin));
        let end = StatementEnd {
            outcome: Outcome::Completed,
            ..StatementEnd::default()
        };
        append(2 * statement + 1, statement, Body::StatementEnd(end));
    }
}

#[test]
fn readers_beside_a_writer() {
    let data = data_folder();
    let _lock = DataLock::acquire(data.path(), CHAIN.boot).expect("free");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            work(data.path());
            done.store(true, Ordering::Release);
        });
        let verifier = scope.spawn(|| {
            let mut records = 0;
            while !done.load(Ordering::Acquire) {
                let report = verify(data.path()).expect("readable");
                assert!(report.is_intact(), "{report}");
                assert!(report.records >= records, "{} after {records}", report.records);
                records = report.records;
                let answer = query(
                    data.path(),
                    &Filter {
                        limit: Some(10),
                        ..Filter::default()
                    },
                )
                .expect("readable");
                assert!(answer.problems.is_empty(), "{:?}", answer.problems);
            }
        });
        let mut tail = Tail::open(
            data.path(),
            Filter {
                statements_only: true,
                ..Filter::default()
            },
        );
        let mut next = 1;
        loop {
            let is_last = done.load(Ordering::Acquire);
            for row in tail.poll().expect("readable") {
                let Row::Statement(row) = row else { panic!("{row}") };
                assert_eq!(row.statement, next, "in order, each once");
                assert!(row.text.starts_with(format!("select {next}").as_bytes()));
                next += 1;
            }
            assert!(tail.problems.is_empty(), "{:?}", tail.problems);
            if is_last {
                break;
            }
        }
        assert_eq!(next, STATEMENTS + 1);
        verifier.join().expect("it was intact all the time");
    });
    let report = verify(data.path()).expect("readable");
    assert!(report.is_intact(), "{report}");
    assert_eq!((report.records, report.open), (2 * STATEMENTS + 1, 0));
}
