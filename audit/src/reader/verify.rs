//! Checking that nothing in the log was altered, removed, added or moved.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::ReadError;
use crate::folder::{ChainFiles, Folder};
use crate::lock;
use crate::names::{ChainId, audit_dir};
use crate::record::{self, Body, EventKind, RecordError};
use crate::ring::{RingReader, ScanEnd, Scanned};
use crate::segment::{GENESIS, Hash, SegmentError, SegmentHeader, SegmentReader};

/// What a verification found.
#[derive(Debug, Default)]
pub struct Report {
    /// Chains: one a core and start of the gateway.
    pub chains: u64,
    /// Segments read.
    pub segments: u64,
    /// Rings that still hold records.
    pub rings: u64,
    /// Records in segments and rings.
    pub records: u64,
    /// Sessions begun.
    pub sessions: u64,
    /// Statements begun.
    pub statements: u64,
    /// Statements without an end.
    pub open: u64,
    /// What is wrong. The log is intact if there is nothing.
    pub problems: Vec<Problem>,
    /// What is worth knowing and not wrong.
    pub notices: Vec<Problem>,
}

/// Something wrong, and where.
#[derive(Debug, thiserror::Error)]
#[error("{}: offset {offset}: {kind}", path.display())]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// The place in it.
    pub offset: u64,
    /// What is wrong.
    pub kind: ProblemKind,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemKind {
    /// A segment cannot be read on.
    #[error("{0}")]
    Segment(SegmentError),
    /// A record cannot be read.
    #[error("record {sequence}: {error}")]
    Record {
        /// Its sequence.
        sequence: u64,
        /// Why.
        error: RecordError,
    },
    /// The file's name and its header differ.
    #[error("the header is that of {chain}, segment {number}")]
    WrongFile {
        /// Whose the header says it is.
        chain: ChainId,
        /// The number in the header.
        number: u32,
    },
    /// Segments are missing.
    #[error("segments {first} to {last} are missing")]
    MissingSegments {
        /// The first of them.
        first: u32,
        /// The last of them.
        last: u32,
    },
    /// The segment does not follow from the one before it.
    #[error("the segment does not follow from the one before it")]
    PreviousHash,
    /// Records are missing.
    #[error("record {found} follows where {expected} belongs")]
    Gap {
        /// The sequence found.
        found: u64,
        /// The sequence expected.
        expected: u64,
    },
    /// Bytes behind the last flush.
    #[error("bytes behind the last flush")]
    Trailing,
    /// The chain just ends.
    #[error("the chain ends without a seal and has no ring: its end was cut off or its ring removed")]
    Unsealed,
    /// The ring ends in something that is no record.
    #[error("the ring ends in damage")]
    DamagedRing,
    /// The file has a ring's name and is none.
    #[error("not a ring")]
    NotARing,
    /// Notice: records were lost with the machine's power, and recovery said so.
    #[error("records {first} to {last} were lost before a recovery")]
    Lost {
        /// The first sequence.
        first: u64,
        /// The last sequence.
        last: u64,
    },
    /// Notice: the last write of a gateway that died, or the write under way; the ring has its records.
    #[error("an unfinished write, whose records are in the ring")]
    Unfinished,
    /// Notice: a file that is not the log's.
    #[error("not a file of the log")]
    Stranger,
}

/// One line, and one for each problem and notice.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} records in {} segments and {} rings of {} chains: {} sessions, {} statements, {} without an end; ",
            self.records, self.segments, self.rings, self.chains, self.sessions, self.statements, self.open,
        )?;
        match self.problems.len() {
            0 => f.write_str("intact")?,
            count => write!(f, "{count} problems")?,
        }
        for problem in &self.problems {
            write!(f, "\nproblem: {problem}")?;
        }
        for notice in &self.notices {
            write!(f, "\nnotice: {notice}")?;
        }
        Ok(())
    }
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_intact(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Reads and checks everything in the data folder's log.
pub fn verify(data: &Path) -> Result<Report, ReadError> {
    let dir = audit_dir(data);
    let failed = |error| ReadError {
        path: dir.clone(),
        error,
    };
    let live = lock::holder(data).map_err(failed)?.map(|holder| holder.boot);
    let folder = Folder::list(&dir).map_err(failed)?;
    let mut report = Report::default();
    for (chain, files) in &folder.chains {
        report.chains += 1;
        let is_live = live == Some(chain.boot);
        let mut check = ChainCheck {
            dir: &dir,
            chain: *chain,
            is_live,
            hash: GENESIS,
            next_sequence: 1,
            sealed: false,
            report: &mut report,
        };
        check.run(files)?;
    }
    for path in folder.strangers {
        report.notices.push(Problem {
            path,
            offset: 0,
            kind: ProblemKind::Stranger,
        });
    }
    Ok(report)
}

struct ChainCheck<'a> {
    dir: &'a Path,
    chain: ChainId,
    is_live: bool,
    /// What the next flush or header follows.
    hash: Hash,
    next_sequence: u64,
    /// Whether a seal was seen; what a core still had to say after it needs no other.
    sealed: bool,
    report: &'a mut Report,
}

impl ChainCheck<'_> {
    fn run(&mut self, files: &ChainFiles) -> Result<(), ReadError> {
        // The ring first: what leaves it meanwhile is in the segments by the time they are read.
        let ring_path = self.chain.ring_path(self.dir);
        let ring = if files.ring {
            self.scan_ring(&ring_path)?
        } else {
            None
        };
        let mut numbers = files.segments.clone();
        let mut expected = 0;
        for index in 0.. {
            // Begun since the folder was listed.
            if index + 1 >= numbers.len() {
                let next = numbers.last().map_or(0, |last| last.saturating_add(1));
                if self.chain.segment_path(self.dir, next).exists() {
                    numbers.push(next);
                }
            }
            let Some(number) = numbers.get(index).copied() else {
                break;
            };
            let path = self.chain.segment_path(self.dir, number);
            if number > expected {
                let kind = ProblemKind::MissingSegments {
                    first: expected,
                    last: number - 1,
                };
                self.problem(&path, 0, kind);
            }
            let is_last = index + 1 == numbers.len();
            self.segment(&path, number, number == expected, is_last, ring.as_ref())
                .map_err(|error| ReadError { path, error })?;
            expected = number.saturating_add(1);
        }
        match ring {
            Some(ring) => self.ring(&ring_path, &ring),
            None if self.sealed || files.ring => {}
            None => {
                let last = files.segments.last().copied().unwrap_or(0);
                self.problem(&self.chain.segment_path(self.dir, last), 0, ProblemKind::Unsealed);
            }
        }
        Ok(())
    }

    fn scan_ring(&mut self, path: &Path) -> Result<Option<Scanned>, ReadError> {
        let failed = |error| ReadError {
            path: path.to_owned(),
            error,
        };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let is_unused = {
            let mut magic = [0; 8];
            crate::segment::ReadAt::read_at(&file, &mut magic, 0).map_err(failed)?;
            magic == [0; 8]
        };
        match RingReader::open(file).map_err(failed)? {
            Some(ring) if ring.owner().chain == self.chain => ring.scan(0).map(Some).map_err(failed),
            _ => {
                if !is_unused {
                    self.problem(path, 0, ProblemKind::NotARing);
                }
                Ok(None)
            }
        }
    }

    fn segment(
        &mut self,
        path: &Path,
        number: u32,
        follows: bool,
        is_last: bool,
        ring: Option<&Scanned>,
    ) -> io::Result<()> {
        self.report.segments += 1;
        let mut reader = match SegmentReader::open(File::open(path)?) {
            Ok(reader) => reader,
            Err(SegmentError::Io(error)) => return Err(error),
            Err(error) => {
                let unfinished = is_last && self.is_unfinished(ring);
                self.note_damage(path, 0, error, unfinished);
                return Ok(());
            }
        };
        let header = *reader.header();
        self.header(path, number, &header, follows);
        loop {
            let offset = reader.offset();
            match reader.advance() {
                Ok(Some(_)) => self.records(path, offset, reader.records()),
                Ok(None) if reader.rest_is_zero()? => break,
                Err(SegmentError::Io(error)) => return Err(error),
                stopped => {
                    let error = stopped.err();
                    if is_last && self.is_unfinished(ring) {
                        let kind = ProblemKind::Unfinished;
                        self.report.notices.push(Problem {
                            path: path.to_owned(),
                            offset,
                            kind,
                        });
                        break;
                    }
                    self.problem(
                        path,
                        offset,
                        error.map_or(ProblemKind::Trailing, ProblemKind::Segment),
                    );
                    if !reader.resynchronize()? {
                        break;
                    }
                    self.next_sequence = record::check(reader.records()).map_or(0, |(sequence, _)| sequence);
                    self.records(path, offset, reader.records());
                }
            }
        }
        self.hash = reader.hash();
        Ok(())
    }

    /// Whether damage at the chain's end is a write that was not finished.
    fn is_unfinished(&self, ring: Option<&Scanned>) -> bool {
        self.is_live || ring.is_some_and(|ring| ring.continues(self.next_sequence - 1))
    }

    fn header(&mut self, path: &Path, number: u32, header: &SegmentHeader, follows: bool) {
        if header.chain != self.chain || header.number != number {
            self.problem(
                path,
                0,
                ProblemKind::WrongFile {
                    chain: header.chain,
                    number: header.number,
                },
            );
        }
        if follows && header.previous != self.hash {
            self.problem(path, 0, ProblemKind::PreviousHash);
        }
        if !follows {
            // Said already; what is here follows from itself.
            self.next_sequence = header.first_sequence;
        }
    }

    fn records(&mut self, path: &Path, offset: u64, records: &[u8]) {
        let mut rest = records;
        while let Ok((sequence, used)) = record::check(rest) {
            self.record(path, offset, sequence, &rest[..used]);
            rest = &rest[used..];
        }
    }

    fn record(&mut self, path: &Path, offset: u64, sequence: u64, bytes: &[u8]) {
        let expected = self.next_sequence;
        self.next_sequence = sequence.saturating_add(1);
        self.report.records += 1;
        let body = match record::decode(bytes) {
            Ok((_, record, _)) => record.body,
            Err(error) => return self.problem(path, offset, ProblemKind::Record { sequence, error }),
        };
        match body {
            Body::Event(event)
                if event.event == EventKind::RecordsLost
                    && event.first_sequence == expected
                    && sequence >= expected =>
            {
                let kind = ProblemKind::Lost {
                    first: expected,
                    last: sequence,
                };
                self.report.notices.push(Problem {
                    path: path.to_owned(),
                    offset,
                    kind,
                });
                return;
            }
            Body::SessionStart(_) => self.report.sessions += 1,
            Body::StatementBegin(_) => {
                self.report.statements += 1;
                self.report.open += 1;
            }
            Body::StatementEnd(_) => self.report.open = self.report.open.saturating_sub(1),
            Body::Seal(_) => self.sealed = true,
            _ => {}
        }
        if sequence != expected {
            self.problem(
                path,
                offset,
                ProblemKind::Gap {
                    found: sequence,
                    expected,
                },
            );
        }
    }

    fn ring(&mut self, path: &Path, ring: &Scanned) {
        self.report.rings += u64::from(ring.count > 0);
        let mut rest = &ring.records[..];
        while let Ok((sequence, used)) = record::check(rest) {
            if sequence >= self.next_sequence {
                self.record(path, 0, sequence, &rest[..used]);
            }
            rest = &rest[used..];
        }
        if ring.end != ScanEnd::Uncommitted && !self.is_live {
            self.problem(path, ring.position, ProblemKind::DamagedRing);
        }
    }

    fn note_damage(&mut self, path: &Path, offset: u64, error: SegmentError, unfinished: bool) {
        if unfinished {
            self.report.notices.push(Problem {
                path: path.to_owned(),
                offset,
                kind: ProblemKind::Unfinished,
            });
        } else {
            self.problem(path, offset, ProblemKind::Segment(error));
        }
    }

    fn problem(&mut self, path: &Path, offset: u64, kind: ProblemKind) {
        self.report.problems.push(Problem {
            path: path.to_owned(),
            offset,
            kind,
        });
    }
}
