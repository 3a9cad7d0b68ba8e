//! The records of one chain in order: its segments, then what its ring has beyond them.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::{Problem, ProblemKind, ReadError};
use crate::folder::ChainFiles;
use crate::names::ChainId;
use crate::record::{self, Body, Record};
use crate::ring::{RingReader, Scanned};
use crate::segment::{SegmentError, SegmentReader};

/// A place in a chain; what comes after it can be read again and again, as the chain grows.
#[derive(Debug)]
pub(super) struct ChainCursor {
    chain: ChainId,
    number: u32,
    segment: Option<SegmentReader<File>>,
    next_sequence: u64,
    ring_position: u64,
    /// Whether the last record was a seal.
    sealed: bool,
    /// Whether the chain has ended: it is not looked at again.
    ended: bool,
    /// Bytes of segments before the one that is read.
    bytes_before: u64,
    bytes_read: Rc<Cell<u64>>,
}

impl ChainCursor {
    pub(super) fn new(chain: ChainId, files: &ChainFiles) -> Self {
        let number = files.segments.first().copied().unwrap_or(0);
        Self {
            chain,
            number,
            segment: None,
            next_sequence: 1,
            ring_position: 0,
            sealed: false,
            ended: false,
            bytes_before: 0,
            bytes_read: Rc::default(),
        }
    }

    /// Bytes of segments that were read so far, for whoever watches while records are given out.
    pub(super) fn bytes_read(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.bytes_read)
    }

    /// Reads what is new. Damage is noted and skipped.
    pub(super) fn read(
        &mut self,
        dir: &Path,
        problems: &mut Vec<Problem>,
        mut each: impl FnMut(u64, &Record<'_>),
    ) -> Result<(), ReadError> {
        if self.ended {
            return Ok(());
        }
        // The ring first: what leaves it meanwhile is in the segments by the time they are read.
        let ring_path = self.chain.ring_path(dir);
        let ring = self.scan_ring(&ring_path).map_err(|error| ReadError {
            path: ring_path.clone(),
            error,
        })?;
        self.read_segments(dir, ring.as_ref(), problems, &mut each)?;

        let Some(ring) = ring else {
            if self.sealed {
                self.ended = true;
                self.segment = None;
            }
            return Ok(());
        };
        self.ring_position = ring.position;
        self.emit_all(&ring.records, &ring_path, 0, problems, &mut each);
        Ok(())
    }

    fn scan_ring(&self, path: &Path) -> io::Result<Option<Scanned>> {
        match File::open(path) {
            Ok(file) => RingReader::open(file)?
                .map(|ring| ring.scan(self.ring_position))
                .transpose(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read_segments(
        &mut self,
        dir: &Path,
        ring: Option<&Scanned>,
        problems: &mut Vec<Problem>,
        each: &mut impl FnMut(u64, &Record<'_>),
    ) -> Result<(), ReadError> {
        loop {
            let path = self.chain.segment_path(dir, self.number);
            let failed = |error| ReadError {
                path: path.clone(),
                error,
            };
            if self.segment.is_none() {
                match open(&path).map_err(failed)? {
                    Opened::Missing => return Ok(()),
                    Opened::Reader(reader) => self.segment = Some(reader),
                    Opened::Damaged(error) => {
                        // It is being made just now, unless another follows it.
                        if !self.has_next(dir) {
                            return Ok(());
                        }
                        problems.push(Problem {
                            path,
                            offset: 0,
                            kind: ProblemKind::Segment(error),
                        });
                        self.number += 1;
                        continue;
                    }
                }
            }
            let Some(mut reader) = self.segment.take() else {
                return Ok(());
            };
            // Nothing is written to a segment behind which there is another.
            let was_complete = self.has_next(dir);
            let mut looked_again_at = None;
            loop {
                let offset = reader.offset();
                self.bytes_read.set(self.bytes_before + offset);
                match reader.advance() {
                    Ok(Some(header)) => self.emit_all(reader.records(), &path, header.offset, problems, each),
                    Ok(None) => break,
                    Err(SegmentError::Io(error)) => return Err(failed(error)),
                    // The write that is under way; its records are in the ring.
                    Err(_) if ring.is_some_and(|ring| ring.continues(reader.next_sequence() - 1)) => break,
                    Err(error) => {
                        // A write may have begun since the ring was looked at, and may be through by now.
                        let ring = self.scan_ring(&self.chain.ring_path(dir)).map_err(failed)?;
                        if ring.is_some_and(|ring| ring.continues(reader.next_sequence() - 1)) {
                            break;
                        }
                        if looked_again_at.replace(offset) != Some(offset) {
                            continue;
                        }
                        let kind = ProblemKind::Segment(error);
                        problems.push(Problem {
                            path: path.clone(),
                            offset,
                            kind,
                        });
                        if !reader.resynchronize().map_err(failed)? {
                            break;
                        }
                        self.emit_all(reader.records(), &path, offset, problems, each);
                    }
                }
            }
            if was_complete {
                self.bytes_before += reader.offset();
                self.number += 1;
                continue;
            }
            self.segment = Some(reader);
            if !self.has_next(dir) {
                return Ok(());
            }
            // It was completed meanwhile: what came before that is read first.
        }
    }

    fn has_next(&self, dir: &Path) -> bool {
        self.number < u32::MAX && self.chain.segment_path(dir, self.number + 1).exists()
    }

    /// Gives out the records that were not given out before.
    fn emit_all(
        &mut self,
        records: &[u8],
        path: &Path,
        offset: u64,
        problems: &mut Vec<Problem>,
        each: &mut impl FnMut(u64, &Record<'_>),
    ) {
        let mut rest = records;
        while let Ok((sequence, used)) = record::check(rest) {
            if sequence >= self.next_sequence {
                self.next_sequence = sequence.saturating_add(1);
                match record::decode(rest) {
                    Ok((sequence, record, _)) => {
                        self.sealed = matches!(record.body, Body::Seal(_));
                        each(sequence, &record);
                    }
                    Err(error) => {
                        let kind = ProblemKind::Record { sequence, error };
                        problems.push(Problem {
                            path: path.to_owned(),
                            offset,
                            kind,
                        });
                    }
                }
            }
            rest = &rest[used..];
        }
    }
}

enum Opened {
    Reader(SegmentReader<File>),
    Missing,
    Damaged(SegmentError),
}

fn open(path: &PathBuf) -> io::Result<Opened> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Opened::Missing),
        Err(error) => return Err(error),
    };
    match SegmentReader::open(file) {
        Ok(reader) => Ok(Opened::Reader(reader)),
        Err(SegmentError::Io(error)) => Err(error),
        Err(error) => Ok(Opened::Damaged(error)),
    }
}
