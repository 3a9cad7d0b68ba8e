//! The audit log: records, the ring a core appends them to, the segments they are chained in, and what reads both.
//!
//! A core encodes a [`record::Record`] into its [`ring::Ring`], a mapped file that survives the process; a task of the
//! same core moves committed records into segments through a [`segment::SegmentBuilder`]; [`recover`] does the same at
//! start-up for the rings of processes that died; [`reader`] merges segments and live rings for `sluice audit`.
//! [`metrics`] is the layout of the per-core figures, which are written and read in the same manner.
//!
//! Nothing here opens a socket or maps memory: mapped memory comes in through [`memory::SharedMemory`], and the write
//! path hands out aligned blocks for its caller to write. Recovery and the readers use `std::fs`.

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
