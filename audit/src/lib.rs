//! The audit log: records, the ring a core appends them to, the segments they are chained in, and what reads both.
//!
//! A core encodes a [`record::Record`] into its [`ring::Ring`], a mapped file that survives the process; a task of the
//! same core moves committed records into segments through a [`segment::SegmentBuilder`]; [`recover`] does the same at
//! start-up for the rings of processes that died; [`reader`] merges segments and live rings for `sluice audit`.
//! [`metrics`] is the layout of the per-core figures, which are written and read in the same manner.
//!
//! Nothing here opens a socket or maps memory: mapped memory comes in through [`memory::SharedMemory`], and the write
//! path hands out aligned blocks for its caller to write. The lock, recovery and the readers use `std::fs`.
//!
//! ```
//! use sluice_audit::memory::HeapMemory;
//! use sluice_audit::names::{BootId, ChainId};
//! use sluice_audit::record::{Body, Decision, Outcome, Record, StatementBegin, StatementEnd};
//! use sluice_audit::ring::{Ring, RingOwner, file_len};
//! use sluice_audit::segment::{SegmentBuilder, scratch_len};
//!
//! let chain = ChainId { boot: BootId([7; 16]), core: 0 };
//! let owner = RingOwner { chain, process: 1, started_ns: 0 };
//! let mut ring = Ring::create(HeapMemory::zeroed(file_len(1 << 20)), owner, 16 << 10)?;
//!
//! // The core: the begin is committed before the statement is sent, its end has room by then.
//! let begin = StatementBegin { text: b"SELECT 1", decision: Decision::Allow, ..StatementBegin::default() };
//! let record = |body| Record { time_ns: 0, session: 1, statement: 1, body };
//! ring.append(&record(Body::StatementBegin(begin)))?;
//! let end = StatementEnd { outcome: Outcome::Completed, rows: 1, ..StatementEnd::default() };
//! ring.append(&record(Body::StatementEnd(end)))?;
//!
//! // Its flusher: build, write and sync, and only then release.
//! let mut builder = SegmentBuilder::new(chain, 256 << 20);
//! let mut scratch = vec![0; scratch_len(64 << 10)];
//! while let Some(flush) = builder.build(&mut scratch, |into| ring.copy(ring.flushed(), into))? {
//!     let _blocks = (flush.number, flush.offset, &scratch[..flush.len]);
//!     builder.written(&flush);
//!     ring.release(&flush.batch);
//! }
//! assert_eq!(ring.depth(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

pub mod json;
pub mod lock;
pub mod memory;
pub mod metrics;
pub mod names;
pub mod reader;
pub mod record;
pub mod recover;
pub mod ring;
pub mod segment;
pub mod time;
pub mod visible;

mod bytes;
mod folder;
