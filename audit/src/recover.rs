//! Start-up after a death: what rings still hold goes into their chains, which are then sealed.
//!
//! Runs with the data folder locked and before any ring of this start exists, so every ring found is a dead process's.
//! A ring is removed only after its records are durable in segments, and records that are already there (by sequence)
//! are not written twice: recovery may itself be killed anywhere and run again.
//!
//! **A torn last write.** The flusher releases ring space only after its write is durable, so whatever a half-done
//! write left at the end of a segment is in the ring too. If the ring goes on where the last whole flush ends, the rest
//! of the file is such a leftover and is cut off. If it does not, the segment was damaged in another way: then nothing
//! is cut or overwritten, the records go into a new segment, and `verify` reports the damage.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::folder::{ChainFiles, Folder};
use crate::names::{ChainId, audit_dir};
use crate::record::{self, Body, Encoder, Event, EventKind, RECORD_LEN_MAX, Record, Seal, SealCause};
use crate::ring::{Batch, RingReader, ScanEnd, Scanned};
use crate::segment::{
    FLUSH_LEN_MAX, GENESIS, SegmentBuilder, SegmentError, SegmentReader, SegmentState, scratch_len,
};
use crate::time::now_ns;

/// Why recovery could not finish; the gateway must not serve.
#[derive(Debug, thiserror::Error)]
#[error("cannot recover {}: {error}", path.display())]
pub struct RecoverError {
    /// The file or folder.
    pub path: PathBuf,
    /// What the system says.
    pub error: io::Error,
}

/// What recovery did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Rings that were found.
    pub rings: u64,
    /// Records that were only in a ring and are in a segment now.
    pub records: u64,
    /// What an operator should know.
    pub notes: Vec<RecoveryNote>,
}

/// Something out of the ordinary that recovery met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryNote {
    /// A half-done write was cut off a segment; its records were in the ring.
    #[error("{}: an unfinished write at {offset} was removed, the ring had its records", path.display())]
    TornWrite {
        /// The segment.
        path: PathBuf,
        /// Where it began.
        offset: u64,
    },
    /// A segment is damaged at its end in a way that a process's death does not explain; it was left as it is.
    #[error("{}: damaged at {offset} and left as it is; the log goes on in the next segment", path.display())]
    DamagedSegment {
        /// The segment.
        path: PathBuf,
        /// Where.
        offset: u64,
    },
    /// A ring ends in damage, so records after the last that was recovered may be lost; it was kept under this name.
    #[error("{}: a ring that could not be read to its end is kept here; its last records may be lost", path.display())]
    DamagedRing {
        /// Its new name.
        path: PathBuf,
    },
    /// Records are missing between segments and ring, as after a power cut.
    #[error("{chain}: records {first} to {last} are lost")]
    RecordsLost {
        /// Whose.
        chain: ChainId,
        /// The first sequence.
        first: u64,
        /// The last sequence.
        last: u64,
    },
}

/// Brings the records of all rings under `<data>/audit` into segments, and seals their chains.
pub fn recover(data: &Path, segment_bytes: u64) -> Result<Recovered, RecoverError> {
    let dir = audit_dir(data);
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| RecoverError { path, error }
    };
    fs::create_dir_all(&dir).map_err(at(&dir))?;
    let folder = Folder::list(&dir).map_err(at(&dir))?;
    let mut recovered = Recovered::default();
    for (chain, files) in &folder.chains {
        if files.ring {
            let path = chain.ring_path(&dir);
            recover_ring(&dir, *chain, files, segment_bytes, &mut recovered).map_err(at(&path))?;
        }
    }
    Ok(recovered)
}

fn recover_ring(
    dir: &Path,
    chain: ChainId,
    files: &ChainFiles,
    segment_bytes: u64,
    recovered: &mut Recovered,
) -> io::Result<()> {
    recovered.rings += 1;
    let path = chain.ring_path(dir);
    let file = File::open(&path)?;
    let mut magic = [0; 8];
    file.read_at(&mut magic, 0)?;
    let ring = RingReader::open(file)?.filter(|ring| ring.owner().chain == chain);
    let Some(ring) = ring else {
        if magic == [0; 8] {
            // Its process died while it was made: the magic comes last.
            fs::remove_file(&path)?;
            return sync_dir(dir);
        }
        return keep_aside(dir, &path, recovered);
    };
    let scanned = ring.scan(0)?;
    let mut chain_end = find_end(dir, chain, files, &scanned, recovered)?;
    let state = chain_end.state;
    let mut writer = Writer {
        dir,
        chain,
        builder: SegmentBuilder::resume(chain, segment_bytes, state),
        file: None,
    };

    let (skipped, mut rest) = after(&scanned, state.last_sequence);
    let next = if rest.is_empty() {
        scanned.flushed_sequence.saturating_add(1)
    } else {
        scanned.first_sequence + skipped
    };
    if next > state.last_sequence + 1 {
        let (first, last) = (state.last_sequence + 1, next - 1);
        recovered
            .notes
            .push(RecoveryNote::RecordsLost { chain, first, last });
        let event = Event {
            event: EventKind::RecordsLost,
            first_sequence: first,
            ..Event::default()
        };
        writer.one(last, Body::Event(event))?;
        chain_end.sealed = false;
    }
    if !rest.is_empty() {
        recovered.records += scanned.count - skipped;
        chain_end.sealed = false;
    }
    while !rest.is_empty() {
        rest = writer.some(rest)?;
    }
    if !chain_end.sealed && writer.builder.state().last_sequence > 0 {
        let sequence = writer.builder.state().last_sequence + 1;
        writer.one(
            sequence,
            Body::Seal(Seal {
                cause: SealCause::Recovered,
            }),
        )?;
    }
    sync_dir(dir)?;

    if scanned.end == ScanEnd::Uncommitted {
        fs::remove_file(&path)?;
        sync_dir(dir)
    } else {
        keep_aside(dir, &path, recovered)
    }
}

struct ChainEnd {
    state: SegmentState,
    /// Whether the last record is a seal.
    sealed: bool,
}

/// Finds where a chain goes on, and removes what a torn write left there.
fn find_end(
    dir: &Path,
    chain: ChainId,
    files: &ChainFiles,
    ring: &Scanned,
    recovered: &mut Recovered,
) -> io::Result<ChainEnd> {
    let state = SegmentState {
        number: 0,
        offset: 0,
        hash: GENESIS,
        last_sequence: 0,
    };
    let mut end = ChainEnd { state, sealed: false };
    let mut unreadable = Vec::new();
    for number in files.segments.iter().rev().copied() {
        let path = chain.segment_path(dir, number);
        let mut reader = match SegmentReader::open(File::open(&path)?) {
            Ok(reader) => reader,
            Err(SegmentError::Io(error)) => return Err(error),
            Err(_) => {
                unreadable.push(path);
                continue;
            }
        };
        let tail = read_to_end(&mut reader, ring, &mut end.sealed)?;
        end.state = SegmentState {
            number,
            offset: reader.offset(),
            hash: reader.hash(),
            last_sequence: reader.next_sequence() - 1,
        };
        if tail == Tail::Leftover && unreadable.is_empty() {
            let file = OpenOptions::new().write(true).open(&path)?;
            file.set_len(reader.offset())?;
            file.sync_all()?;
            recovered.notes.push(RecoveryNote::TornWrite {
                path,
                offset: reader.offset(),
            });
        } else if tail != Tail::Clean {
            recovered.notes.push(RecoveryNote::DamagedSegment {
                path,
                offset: reader.offset(),
            });
            end.state.number += 1;
            end.state.offset = 0;
        }
        break;
    }
    match unreadable.as_slice() {
        [] => {}
        [path] if ring.continues(end.state.last_sequence) => {
            fs::remove_file(path)?;
            sync_dir(dir)?;
            recovered.notes.push(RecoveryNote::TornWrite {
                path: path.clone(),
                offset: 0,
            });
        }
        damaged => {
            for path in damaged {
                recovered.notes.push(RecoveryNote::DamagedSegment {
                    path: path.clone(),
                    offset: 0,
                });
            }
            end.state.number = files.segments.last().map_or(0, |last| last + 1);
            end.state.offset = 0;
        }
    }
    Ok(end)
}

/// What stands behind the last whole flush of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    /// Nothing, or zeros.
    Clean,
    /// What a write that was not finished left; the ring has its records.
    Leftover,
    /// Something that the ring does not explain.
    Damage,
}

fn read_to_end(reader: &mut SegmentReader<File>, ring: &Scanned, sealed: &mut bool) -> io::Result<Tail> {
    loop {
        match reader.advance() {
            Ok(Some(_)) => *sealed = ends_in_seal(reader.records()),
            Err(SegmentError::Io(error)) => return Err(error),
            Ok(None) if reader.rest_is_zero()? => return Ok(Tail::Clean),
            // Looked at before anything behind it: a torn flush may hold a client's bytes at a block's beginning.
            Ok(None) | Err(_) if ring.continues(reader.next_sequence() - 1) => return Ok(Tail::Leftover),
            Ok(None) | Err(_) if reader.resynchronize()? => *sealed = false,
            Ok(None) | Err(_) => return Ok(Tail::Damage),
        }
    }
}

fn ends_in_seal(records: &[u8]) -> bool {
    let mut rest = records;
    let mut sealed = false;
    while let Ok((_, record, used)) = record::decode(rest) {
        sealed = matches!(record.body, Body::Seal(_));
        rest = &rest[used..];
    }
    sealed
}

/// How many records of the ring are in segments already, and the bytes of the others.
fn after(scanned: &Scanned, last_sequence: u64) -> (u64, &[u8]) {
    let mut rest = &scanned.records[..];
    let mut skipped = 0;
    while let Ok((sequence, used)) = record::check(rest) {
        if sequence > last_sequence {
            break;
        }
        skipped += 1;
        rest = &rest[used..];
    }
    (skipped, rest)
}

/// Appends to a chain, each flush durable before the next.
struct Writer<'a> {
    dir: &'a Path,
    chain: ChainId,
    builder: SegmentBuilder,
    file: Option<(u32, File)>,
}

impl Writer<'_> {
    fn one(&mut self, sequence: u64, body: Body<'_>) -> io::Result<()> {
        let record = Record {
            time_ns: now_ns(),
            session: 0,
            statement: 0,
            body,
        };
        self.some(Encoder::new().encode(&record, sequence, 0)).map(|_| ())
    }

    /// Writes as many of the records as one flush takes and gives the others back.
    fn some<'r>(&mut self, records: &'r [u8]) -> io::Result<&'r [u8]> {
        let mut scratch = vec![0; scratch_len(records.len().min(FLUSH_LEN_MAX - RECORD_LEN_MAX))];
        let built = self
            .builder
            .build(&mut scratch, |into| Ok::<_, io::Error>(fill(records, into)))?;
        let Some(flush) = built else { return Ok(&[]) };
        let file = match self.file.take() {
            Some((number, file)) if number == flush.number => file,
            _ => {
                let path = self.chain.segment_path(self.dir, flush.number);
                OpenOptions::new()
                    .write(true)
                    .mode(0o600)
                    .create(flush.creates)
                    .truncate(flush.creates)
                    .open(path)?
            }
        };
        file.write_all_at(&scratch[..flush.len], flush.offset)?;
        file.sync_all()?;
        self.builder.written(&flush);
        self.file = Some((flush.number, file));
        Ok(&records[flush.batch.len..])
    }
}

fn fill(records: &[u8], into: &mut [u8]) -> Option<Batch> {
    let mut batch = Batch {
        len: 0,
        records: 0,
        first_sequence: 0,
        end: 0,
    };
    while let Ok((sequence, used)) = record::check(&records[batch.len..]) {
        if batch.len + used > into.len() {
            break;
        }
        if batch.records == 0 {
            batch.first_sequence = sequence;
        }
        batch.records += 1;
        batch.len += used;
    }
    into[..batch.len].copy_from_slice(&records[..batch.len]);
    (batch.records > 0).then_some(batch)
}

/// A ring that may hold more than could be read is not thrown away.
fn keep_aside(dir: &Path, path: &Path, recovered: &mut Recovered) -> io::Result<()> {
    let aside = path.with_extension("ring.damaged");
    fs::rename(path, &aside)?;
    recovered.notes.push(RecoveryNote::DamagedRing { path: aside });
    sync_dir(dir)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
