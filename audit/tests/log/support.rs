//! A core with its flusher, without the core: appends and flushes on request, and keeps every store and every write in
//! a journal, so that a test can stop the world between any two.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use sluice_audit::memory::{HeapMemory, SharedMemory};
use sluice_audit::names::{BootId, ChainId, audit_dir};
use sluice_audit::reader::{Answer, Filter, Row, query};
use sluice_audit::record::{
    Body, Decision, Outcome, Protocol, RECORD_LEN_MAX, Record, Seal, SealCause, SessionEnd, SessionStart,
    StatementBegin, StatementEnd,
};
use sluice_audit::ring::{RING_CAPACITY_MIN, Ring, RingFull, RingOwner, file_len};
use sluice_audit::segment::{BLOCK_LEN, SegmentBuilder, scratch_len};

pub(crate) const CHAIN: ChainId = ChainId {
    boot: BootId([0xa5; 16]),
    core: 2,
};
/// Small, so that a few flushes fill a segment.
pub(crate) const SEGMENT_BYTES: u64 = 6 * BLOCK_LEN as u64;

/// What happened to the files, in order.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Bytes of the ring's file.
    Store { offset: usize, bytes: Vec<u8> },
    /// Bytes of a segment's file.
    Write {
        number: u32,
        offset: u64,
        bytes: Vec<u8>,
    },
    /// An append returned: the record of this sequence must be in the log whatever happens.
    Committed { sequence: u64 },
}

pub(crate) type Journal = Rc<RefCell<Vec<Step>>>;

/// Memory that notes its stores.
#[derive(Debug)]
pub(crate) struct JournalMemory {
    heap: HeapMemory,
    journal: Journal,
}

impl JournalMemory {
    fn note(&mut self, offset: usize, bytes: &[u8]) {
        self.heap.write(offset, bytes);
        self.journal.borrow_mut().push(Step::Store {
            offset,
            bytes: bytes.to_vec(),
        });
    }
}

impl SharedMemory for JournalMemory {
    fn len(&self) -> usize {
        self.heap.len()
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.note(offset, bytes);
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        self.heap.read(offset, into);
    }

    fn store_u32_release(&mut self, offset: usize, value: u32) {
        self.note(offset, &value.to_le_bytes());
    }

    fn store_u64_release(&mut self, offset: usize, value: u64) {
        self.note(offset, &value.to_le_bytes());
    }

    fn store_u64_relaxed(&mut self, offset: usize, value: u64) {
        self.note(offset, &value.to_le_bytes());
    }

    fn load_u64_relaxed(&self, offset: usize) -> u64 {
        self.heap.load_u64_relaxed(offset)
    }
}

/// One core of one start of the gateway.
pub(crate) struct Core {
    pub(crate) ring: Ring<JournalMemory>,
    pub(crate) journal: Journal,
    builder: SegmentBuilder,
    time_ns: u64,
}

impl Core {
    pub(crate) fn start(chain: ChainId) -> Self {
        let journal = Journal::default();
        let memory = JournalMemory {
            heap: HeapMemory::zeroed(file_len(RING_CAPACITY_MIN)),
            journal: Rc::clone(&journal),
        };
        let owner = RingOwner {
            chain,
            process: 1,
            started_ns: 1,
        };
        let ring = Ring::create(memory, owner, 16 << 10).expect("a ring");
        Self {
            ring,
            journal,
            builder: SegmentBuilder::new(chain, SEGMENT_BYTES),
            time_ns: 1_000_000_000,
        }
    }

    pub(crate) fn append(&mut self, session: u64, statement: u64, body: Body<'_>) -> Result<u64, RingFull> {
        self.time_ns += 1000;
        let sequence = self.ring.append(&Record {
            time_ns: self.time_ns,
            session,
            statement,
            body,
        })?;
        self.journal.borrow_mut().push(Step::Committed { sequence });
        Ok(sequence)
    }

    pub(crate) fn start_session(&mut self, session: u64, subject: &str, connection: &str) {
        let start = SessionStart {
            subject,
            connection,
            database: b"shop",
            issuer: "test",
            ..SessionStart::default()
        };
        self.append(session, 0, Body::SessionStart(start)).expect("room");
    }

    pub(crate) fn end_session(&mut self, session: u64) {
        self.append(session, 0, Body::SessionEnd(SessionEnd::default()))
            .expect("room");
    }

    pub(crate) fn begin(&mut self, session: u64, statement: u64, text: &[u8], decision: Decision) -> u64 {
        let begin = StatementBegin {
            protocol: Protocol::Simple,
            text,
            decision,
            actions: 1,
            ..StatementBegin::default()
        };
        self.append(session, statement, Body::StatementBegin(begin))
            .expect("room")
    }

    pub(crate) fn end(&mut self, session: u64, statement: u64, outcome: Outcome) -> u64 {
        let end = StatementEnd {
            outcome,
            rows: statement,
            masked: [2, 0, 0, 0, 0, 0, 0, 0],
            ..StatementEnd::default()
        };
        self.append(session, statement, Body::StatementEnd(end))
            .expect("room")
    }

    pub(crate) fn seal(&mut self) {
        self.append(
            0,
            0,
            Body::Seal(Seal {
                cause: SealCause::Stopped,
            }),
        )
        .expect("room");
    }

    /// One round of the flusher.
    pub(crate) fn flush(&mut self) -> bool {
        let mut scratch = vec![0; scratch_len(RECORD_LEN_MAX)];
        let built = self
            .builder
            .build(&mut scratch, |into| self.ring.copy(self.ring.flushed(), into));
        let Some(flush) = built.expect("unchanged") else {
            return false;
        };
        let bytes = scratch[..flush.len].to_vec();
        self.journal.borrow_mut().push(Step::Write {
            number: flush.number,
            offset: flush.offset,
            bytes,
        });
        self.builder.written(&flush);
        self.ring.release(&flush.batch);
        true
    }
}

/// The files of one chain, as the journal leaves them.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    pub(crate) chain: ChainId,
    pub(crate) ring: Vec<u8>,
    pub(crate) segments: BTreeMap<u32, Vec<u8>>,
    /// The last sequence that was committed.
    pub(crate) committed: u64,
}

impl Files {
    pub(crate) fn new(chain: ChainId) -> Self {
        let ring = vec![0; file_len(RING_CAPACITY_MIN)];
        Self {
            chain,
            ring,
            segments: BTreeMap::new(),
            committed: 0,
        }
    }

    /// After everything that a core did.
    pub(crate) fn of(chain: ChainId, core: &Core) -> Self {
        let mut files = Self::new(chain);
        for step in core.journal.borrow().iter() {
            files.apply(step);
        }
        files
    }

    pub(crate) fn apply(&mut self, step: &Step) {
        match step {
            Step::Store { offset, bytes } => self.ring[*offset..offset + bytes.len()].copy_from_slice(bytes),
            Step::Write {
                number,
                offset,
                bytes,
            } => self.write(*number, *offset, 0, bytes),
            Step::Committed { sequence } => self.committed = *sequence,
        }
    }

    /// Writes a part of a write; what lies before it and was never written is zeros.
    pub(crate) fn write(&mut self, number: u32, offset: u64, skip: usize, bytes: &[u8]) {
        let file = self.segments.entry(number).or_default();
        let at = usize::try_from(offset).expect("small") + skip;
        file.resize(file.len().max(at + bytes.len()), 0);
        file[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Puts the files into a data folder, in place of what it has of this chain.
    pub(crate) fn place(&self, data: &Path, with_ring: bool) {
        let dir = audit_dir(data);
        let _ = fs::remove_dir_all(&dir);
        self.add(data, with_ring);
    }

    /// Puts the files into a data folder.
    pub(crate) fn add(&self, data: &Path, with_ring: bool) {
        let dir = audit_dir(data);
        fs::create_dir_all(&dir).expect("a folder");
        if with_ring {
            fs::write(self.chain.ring_path(&dir), &self.ring).expect("written");
        }
        for (number, bytes) in &self.segments {
            fs::write(self.chain.segment_path(&dir, *number), bytes).expect("written");
        }
    }
}

/// A folder in memory where there is one: these tests write some thousand rings.
pub(crate) fn data_folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).expect("a folder")
    } else {
        tempfile::tempdir().expect("a folder")
    }
}

pub(crate) fn rows(data: &Path, filter: &Filter) -> Vec<Row> {
    let Answer { rows, problems } = query(data, filter).expect("readable");
    assert!(problems.is_empty(), "{problems:?}");
    rows
}

/// Texts of the statements in the log, with their outcome.
pub(crate) fn statements(data: &Path) -> Vec<(String, Option<Outcome>)> {
    let filter = Filter {
        statements_only: true,
        ..Filter::default()
    };
    let texts = rows(data, &filter).into_iter().filter_map(|row| match row {
        Row::Statement(row) => Some((String::from_utf8_lossy(&row.text).into_owned(), row.outcome())),
        _ => None,
    });
    texts.collect()
}

pub(crate) fn change_byte(path: &PathBuf, offset: u64, change: impl FnOnce(u8) -> u8) {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .expect("a file");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("a byte");
    file.write_all_at(&[change(byte[0])], offset).expect("written");
}
