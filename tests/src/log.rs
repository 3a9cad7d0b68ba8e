//! A record without a gateway: what a core's flusher would have written, for tests of those who read it.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use sluice_audit::memory::HeapMemory;
use sluice_audit::names::{BootId, ChainId, audit_dir};
use sluice_audit::record::{
    Body, Outcome, Record, Seal, SealCause, SessionEnd, SessionStart, StatementBegin, StatementEnd,
};
use sluice_audit::ring::{Ring, RingOwner, file_len};
use sluice_audit::segment::{SegmentBuilder, scratch_len};

/// Room is kept for the ends of all sessions that have begun.
const RING_BYTES: usize = 8 << 20;
/// Bytes after which records go to the segment.
const FLUSH_BYTES: usize = 64 << 10;
const SEGMENT_BYTES: u64 = 256 << 20;

/// One core's chain of segments, being written.
#[derive(Debug)]
pub struct Log {
    dir: PathBuf,
    chain: ChainId,
    ring: Ring<HeapMemory>,
    builder: SegmentBuilder,
    scratch: Vec<u8>,
    sessions: u64,
    statements: u64,
}

impl Log {
    /// Begins a chain in a data folder.
    ///
    /// # Panics
    /// When the folder cannot be made.
    pub fn create(data: &Path) -> Self {
        let dir = audit_dir(data);
        fs::create_dir_all(&dir).expect("the audit folder");
        let chain = ChainId {
            boot: BootId::random().expect("random bytes"),
            core: 0,
        };
        let owner = RingOwner {
            chain,
            process: std::process::id(),
            started_ns: 1,
        };
        let memory = HeapMemory::zeroed(file_len(RING_BYTES));
        Self {
            dir,
            chain,
            ring: Ring::create(memory, owner, 16 << 10).expect("a ring"),
            builder: SegmentBuilder::new(chain, SEGMENT_BYTES),
            scratch: vec![0; scratch_len(FLUSH_BYTES)],
            sessions: 0,
            statements: 0,
        }
    }

    /// Records a session's start.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn start(&mut self, time_ns: u64, start: SessionStart<'_>) -> u64 {
        self.sessions += 1;
        self.append(time_ns, self.sessions, 0, Body::SessionStart(start));
        self.sessions
    }

    /// Records a statement, and that it completed.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn statement(&mut self, time_ns: u64, session: u64, begin: StatementBegin<'_>) {
        self.statements += 1;
        let number = self.statements;
        self.append(time_ns, session, number, Body::StatementBegin(begin));
        let end = StatementEnd {
            outcome: Outcome::Completed,
            rows: 1,
            ..StatementEnd::default()
        };
        self.append(time_ns, session, number, Body::StatementEnd(end));
    }

    /// Records a session's end.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn end(&mut self, time_ns: u64, session: u64) {
        self.append(time_ns, session, 0, Body::SessionEnd(SessionEnd::default()));
    }

    /// Ends the chain.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn seal(mut self, time_ns: u64) {
        let cause = SealCause::Stopped;
        self.append(time_ns, 0, 0, Body::Seal(Seal { cause }));
        while self.flush() {}
    }

    fn append(&mut self, time_ns: u64, session: u64, statement: u64, body: Body<'_>) {
        let record = Record {
            time_ns,
            session,
            statement,
            body,
        };
        if self.ring.append(&record).is_err() {
            while self.flush() {}
            self.ring.append(&record).expect("room");
        }
    }

    fn flush(&mut self) -> bool {
        let ring = &self.ring;
        let built = self
            .builder
            .build(&mut self.scratch, |into| ring.copy(ring.flushed(), into));
        let Some(flush) = built.expect("nobody else writes") else {
            return false;
        };
        let path = self.chain.segment_path(&self.dir, flush.number);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path);
        let blocks = self.scratch.get(..flush.len).unwrap_or_default();
        file.and_then(|file| file.write_all_at(blocks, flush.offset))
            .expect("the segment");
        self.builder.written(&flush);
        self.ring.release(&flush.batch);
        true
    }
}
