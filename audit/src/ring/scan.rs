//! Reading a ring's file from outside: at recovery, and beside the process that writes it.

use std::io;

use crate::bytes::{array_at, u32_at, u64_at};
use crate::names::{BootId, ChainId};
use crate::record::{self, RECORD_LEN_MAX, RecordError};
use crate::ring::{
    BOOT_AT, CAPACITY_AT, CORE_AT, FLUSHED_AT, FLUSHED_SEQUENCE_AT, FORMAT, FORMAT_AT, MAGIC, PROCESS_AT,
    RING_CAPACITY_MAX, RING_CAPACITY_MIN, RING_HEADER_LEN, RingOwner, STARTED_AT,
};
use crate::segment::ReadAt;

/// Bytes read at a time; a record always fits.
const CHUNK_LEN: usize = 2 * RECORD_LEN_MAX;

/// A ring's file, with a header that makes sense.
#[derive(Debug)]
pub struct RingReader<R> {
    source: R,
    owner: RingOwner,
    capacity: u64,
}

/// Committed records of a ring, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    /// The records, each padded to 8 bytes, as a segment takes them.
    pub records: Vec<u8>,
    /// How many.
    pub count: u64,
    /// The sequence of the first, if there is one.
    pub first_sequence: u64,
    /// The last sequence that was flushed, if no record follows it here.
    pub flushed_sequence: u64,
    /// The position behind the last.
    pub position: u64,
    /// What stands there.
    pub end: ScanEnd,
}

/// Why a scan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanEnd {
    /// At the first record that was not committed: nothing is missing.
    Uncommitted,
    /// At something that is no record, which a process's death cannot leave: the machine lost power, or the file was
    /// changed, or its writer went on while it was read.
    Damaged(RecordError),
    /// At a record whose sequence does not follow; the same causes.
    Sequence(u64),
}

impl<R: ReadAt> RingReader<R> {
    /// Reads the header. `None` if this is no ring, or one that was never put to use.
    pub fn open(source: R) -> io::Result<Option<Self>> {
        let mut header = vec![0; RING_HEADER_LEN];
        let read = source.read_at(&mut header, 0)?;
        let Some((owner, capacity)) = parse_header(&header[..read]) else {
            return Ok(None);
        };
        Ok(Some(Self {
            source,
            owner,
            capacity,
        }))
    }

    /// Whose it is.
    pub fn owner(&self) -> &RingOwner {
        &self.owner
    }

    /// The committed records from the flushed position on, or from `from` if that is further.
    pub fn scan(&self, from: u64) -> io::Result<Scanned> {
        let mut words = [0; 16];
        self.source.read_at(&mut words, FLUSHED_AT as u64)?;
        let flushed = u64_at(&words, 0).unwrap_or(0);
        let mut scanned = Scanned {
            records: Vec::new(),
            count: 0,
            first_sequence: 0,
            flushed_sequence: u64_at(&words, FLUSHED_SEQUENCE_AT - FLUSHED_AT).unwrap_or(0),
            position: flushed.max(from),
            end: ScanEnd::Uncommitted,
        };
        let last = flushed.saturating_add(self.capacity);
        if !flushed.is_multiple_of(8) || !scanned.position.is_multiple_of(8) {
            scanned.end = ScanEnd::Damaged(RecordError::Length {
                length: 0,
                available: 0,
            });
            return Ok(scanned);
        }
        let mut chunk = vec![0; CHUNK_LEN];
        while scanned.position < last {
            let left = usize::try_from(last - scanned.position).unwrap_or(usize::MAX);
            let len = left.min(CHUNK_LEN);
            self.read(scanned.position, &mut chunk[..len])?;
            if scanned.take(&chunk[..len], len == left) {
                break;
            }
        }
        Ok(scanned)
    }

    /// Reads over the ring's end; what the file is too short for reads as zeros.
    fn read(&self, position: u64, into: &mut [u8]) -> io::Result<()> {
        into.fill(0);
        let offset = position % self.capacity;
        let split = usize::try_from(self.capacity - offset)
            .unwrap_or(usize::MAX)
            .min(into.len());
        let (first, second) = into.split_at_mut(split);
        self.source.read_at(first, RING_HEADER_LEN as u64 + offset)?;
        self.source.read_at(second, RING_HEADER_LEN as u64)?;
        Ok(())
    }
}

impl Scanned {
    /// Takes whole records off a chunk and says whether the scan is over. The last chunk ends where the ring does.
    fn take(&mut self, chunk: &[u8], is_last: bool) -> bool {
        let mut rest = chunk;
        loop {
            match u32_at(rest, 0) {
                None => return is_last,
                Some(0) => return true,
                Some(_) => {}
            }
            match record::check(rest) {
                // It may go on in the next chunk, which begins with it.
                Err(RecordError::Length { length, .. })
                    if !is_last && rest.len() < chunk.len() && length as usize <= RECORD_LEN_MAX =>
                {
                    return false;
                }
                Err(error) => {
                    self.end = ScanEnd::Damaged(error);
                    return true;
                }
                Ok((sequence, _))
                    if self.count > 0 && sequence != self.first_sequence.wrapping_add(self.count) =>
                {
                    self.end = ScanEnd::Sequence(sequence);
                    return true;
                }
                Ok((0, _)) => {
                    self.end = ScanEnd::Sequence(0);
                    return true;
                }
                Ok((sequence, used)) => {
                    if self.count == 0 {
                        self.first_sequence = sequence;
                    }
                    self.count += 1;
                    self.records.extend_from_slice(&rest[..used]);
                    self.position += used as u64;
                    rest = &rest[used..];
                }
            }
        }
    }

    /// Whether the ring goes on behind a chain that ends with `sequence`: nothing is missing between them.
    pub fn continues(&self, sequence: u64) -> bool {
        if self.count == 0 {
            return sequence == self.flushed_sequence;
        }
        (self.first_sequence - 1..self.first_sequence.saturating_add(self.count)).contains(&sequence)
    }
}

fn parse_header(header: &[u8]) -> Option<(RingOwner, u64)> {
    let capacity = u64_at(header, CAPACITY_AT)?;
    let known = array_at(header, 0)? == MAGIC && u32_at(header, FORMAT_AT)? == FORMAT;
    if !known
        || !(RING_CAPACITY_MIN as u64..=RING_CAPACITY_MAX as u64).contains(&capacity)
        || capacity % 4096 != 0
    {
        return None;
    }
    let chain = ChainId {
        boot: BootId(array_at(header, BOOT_AT)?),
        core: u32_at(header, CORE_AT)?,
    };
    let owner = RingOwner {
        chain,
        process: u32_at(header, PROCESS_AT)?,
        started_ns: u64_at(header, STARTED_AT)?,
    };
    Some((owner, capacity))
}

/// Scans whatever `data` is, as the records of a ring with a right header too.
///
/// The data are the flushed position, rounded down, and what lies there; if it is odd, checksums are left as they are.
pub fn fuzz_ring(data: &[u8]) {
    if let Ok(Some(ring)) = RingReader::open(data) {
        check_scan(&ring);
    }
    let Some((flushed, content)) = data.split_first_chunk::<4>() else {
        return;
    };
    let mut file = vec![0; RING_HEADER_LEN + RING_CAPACITY_MIN];
    file[..8].copy_from_slice(&MAGIC);
    file[FORMAT_AT..FORMAT_AT + 4].copy_from_slice(&FORMAT.to_le_bytes());
    file[CAPACITY_AT..CAPACITY_AT + 8].copy_from_slice(&(RING_CAPACITY_MIN as u64).to_le_bytes());
    let word = u32::from_le_bytes(*flushed);
    let content = if word % 2 == 0 {
        record::with_checksums(content)
    } else {
        content.to_vec()
    };
    let flushed = word & !7;
    file[FLUSHED_AT..FLUSHED_AT + 8].copy_from_slice(&u64::from(flushed).to_le_bytes());
    for (index, byte) in content.iter().take(RING_CAPACITY_MIN).enumerate() {
        file[RING_HEADER_LEN + (flushed as usize + index) % RING_CAPACITY_MIN] = *byte;
    }
    if let Ok(Some(ring)) = RingReader::open(&file[..]) {
        check_scan(&ring);
    }
}

fn check_scan(ring: &RingReader<&[u8]>) {
    let Ok(scanned) = ring.scan(0) else { return };
    let mut rest = &scanned.records[..];
    let mut count = 0;
    while let Ok((sequence, used)) = record::check(rest) {
        assert_eq!(sequence, scanned.first_sequence + count);
        count += 1;
        rest = &rest[used..];
    }
    assert!(rest.is_empty() && count == scanned.count);
}
