//! Reading a segment, whatever its bytes are: flush by flush, in bounded memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::{
    BLOCK_LEN, FLUSH_HASH_AT, FLUSH_HEADER_LEN, FLUSH_LEN_MAX, FLUSH_MAGIC, FORMAT, Hash, MAGIC,
    SEGMENT_HASH_AT, chain,
};
use crate::bytes::{array_at, u32_at, u64_at};
use crate::names::{BootId, ChainId};
use crate::record::{self, RecordError};

/// A file, or bytes in memory.
pub trait ReadAt {
    /// Reads up to `into.len()` bytes at `offset`; fewer only at the end.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl ReadAt for File {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < into.len() {
            match FileExt::read_at(self, &mut into[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

impl ReadAt for &[u8] {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.get(offset..))
            .unwrap_or(&[]);
        let read = rest.len().min(into.len());
        into[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }
}

/// Why a segment cannot be read on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// The file cannot be read.
    #[error("cannot read: {0}")]
    Io(#[from] io::Error),
    /// The first block is not a segment's header.
    #[error("no segment header")]
    Header,
    /// The header's own hash is another: it was changed.
    #[error("the header does not match its hash")]
    HeaderHash,
    /// A format of a later version.
    #[error("format {format} is not known to this version")]
    Format {
        /// Its number.
        format: u32,
    },
    /// The block where a flush should begin does not.
    #[error("no flush begins here")]
    FlushHeader,
    /// The flush is longer than what is left of the file.
    #[error("a flush of {len} bytes where {available} are left")]
    FlushLength {
        /// Its bytes, padded.
        len: u64,
        /// Bytes left.
        available: u64,
    },
    /// The flush's bytes do not follow from the hash before it.
    #[error("the hash chain is broken")]
    FlushHash,
    /// Bytes behind the flush's records are not zero.
    #[error("the padding is not zero")]
    Padding,
    /// A record of a flush whose hash is right is malformed.
    #[error("record: {0}")]
    Record(#[from] RecordError),
    /// Sequences or counts inside of a flush contradict each other.
    #[error("sequence {found} where {expected} belongs")]
    Sequence {
        /// What stands there.
        found: u64,
        /// What would follow.
        expected: u64,
    },
}

/// The first block of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Whose.
    pub chain: ChainId,
    /// Its place in the chain.
    pub number: u32,
    /// The sequence of its first record.
    pub first_sequence: u64,
    /// The hash of what stands before it.
    pub previous: Hash,
    /// Its own.
    pub hash: Hash,
}

/// What a flush says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlushHeader {
    /// Where in the file it begins.
    pub offset: u64,
    /// Bytes of records.
    pub len: usize,
    /// How many records.
    pub records: u32,
    /// The first one's sequence.
    pub first_sequence: u64,
    /// The hash that it claims.
    pub hash: Hash,
}

impl FlushHeader {
    /// Where the next flush begins.
    pub fn end(&self) -> u64 {
        self.offset + (FLUSH_HEADER_LEN + self.len).next_multiple_of(BLOCK_LEN) as u64
    }
}

/// Walks the flushes of a segment.
#[derive(Debug)]
pub struct SegmentReader<R> {
    source: R,
    header: SegmentHeader,
    offset: u64,
    hash: Hash,
    next_sequence: u64,
    /// The present flush, header included.
    flush: Vec<u8>,
    records_len: usize,
}

impl<R: ReadAt> SegmentReader<R> {
    /// Reads the header and checks it against its own hash.
    pub fn open(source: R) -> Result<Self, SegmentError> {
        let mut block = vec![0; BLOCK_LEN];
        if source.read_at(&mut block, 0)? < BLOCK_LEN {
            return Err(SegmentError::Header);
        }
        let header = parse_header(&block)?;
        let hash = header.hash;
        Ok(Self {
            source,
            header,
            offset: BLOCK_LEN as u64,
            hash,
            next_sequence: header.first_sequence,
            flush: block,
            records_len: 0,
        })
    }

    /// The header.
    pub fn header(&self) -> &SegmentHeader {
        &self.header
    }

    /// Where the next flush begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The hash that the next flush, or the next segment's header, follows.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The sequence that the next record should have.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// The file or bytes.
    pub fn source(&self) -> &R {
        &self.source
    }

    /// Reads the next flush and checks all of it: hash, padding, checksums, sequences. `None` at the end of the file,
    /// or before zeros (space that was allocated and not used yet).
    pub fn advance(&mut self) -> Result<Option<FlushHeader>, SegmentError> {
        self.records_len = 0;
        let Some((header, available)) = self.read(self.offset)? else {
            return Ok(None);
        };
        let hash = self.check(&header, available)?;
        self.offset = header.end();
        self.hash = hash;
        self.next_sequence = header.first_sequence + u64::from(header.records);
        self.records_len = header.len;
        Ok(Some(header))
    }

    /// The records of the flush that was read last.
    pub fn records(&self) -> &[u8] {
        self.flush
            .get(FLUSH_HEADER_LEN..FLUSH_HEADER_LEN + self.records_len)
            .unwrap_or(&[])
    }

    /// After an error: goes on behind the next flush that is whole in itself, taking its hash as given. Says whether
    /// there is one; [`SegmentReader::records`] are its records then.
    pub fn resynchronize(&mut self) -> io::Result<bool> {
        let mut offset = self.offset + BLOCK_LEN as u64;
        let mut block = [0; FLUSH_HEADER_LEN];
        while self.source.read_at(&mut block, offset)? == FLUSH_HEADER_LEN {
            if block[..8] == FLUSH_MAGIC
                && let Ok(Some((header, available))) = self.read(offset)
                && self.check_records(&header, available).is_ok()
            {
                self.offset = header.end();
                self.hash = header.hash;
                self.next_sequence = header.first_sequence + u64::from(header.records);
                self.records_len = header.len;
                return Ok(true);
            }
            offset += BLOCK_LEN as u64;
        }
        Ok(false)
    }

    /// Whether only zeros follow.
    pub fn rest_is_zero(&self) -> io::Result<bool> {
        let mut offset = self.offset;
        let mut block = vec![0; 16 * BLOCK_LEN];
        loop {
            let read = self.source.read_at(&mut block, offset)?;
            if block[..read].iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            if read < block.len() {
                return Ok(true);
            }
            offset += read as u64;
        }
    }

    /// Puts the flush at `offset` into `self.flush`, as far as the file has it, and gives its header and the bytes got.
    fn read(&mut self, offset: u64) -> Result<Option<(FlushHeader, usize)>, SegmentError> {
        self.flush.resize(BLOCK_LEN, 0);
        let read = self.source.read_at(&mut self.flush, offset)?;
        let block = &self.flush[..read];
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let parsed = parse_flush(block, offset).ok_or(SegmentError::FlushHeader)?;
        let padded = (FLUSH_HEADER_LEN + parsed.len).next_multiple_of(BLOCK_LEN);
        self.flush.resize(padded, 0);
        let mut available = read;
        if padded > read && read == BLOCK_LEN {
            available += self
                .source
                .read_at(&mut self.flush[read..], offset + read as u64)?;
        }
        Ok(Some((parsed, available)))
    }

    fn check(&self, header: &FlushHeader, available: usize) -> Result<Hash, SegmentError> {
        self.check_whole(available)?;
        let used = FLUSH_HEADER_LEN + header.len;
        let hash = chain(
            &self.hash,
            &self.flush[..FLUSH_HASH_AT],
            &self.flush[FLUSH_HEADER_LEN..used],
        );
        if hash != header.hash {
            return Err(SegmentError::FlushHash);
        }
        self.check_records(header, available)?;
        Ok(hash)
    }

    fn check_whole(&self, available: usize) -> Result<(), SegmentError> {
        if available < self.flush.len() {
            let len = self.flush.len() as u64;
            return Err(SegmentError::FlushLength {
                len,
                available: available as u64,
            });
        }
        Ok(())
    }

    fn check_records(&self, header: &FlushHeader, available: usize) -> Result<(), SegmentError> {
        self.check_whole(available)?;
        let (records, padding) = self.flush[FLUSH_HEADER_LEN..].split_at(header.len);
        if padding.iter().any(|byte| *byte != 0) {
            return Err(SegmentError::Padding);
        }
        let mut rest = records;
        let mut expected = header.first_sequence;
        while !rest.is_empty() {
            let (found, used) = record::check(rest)?;
            if found != expected {
                return Err(SegmentError::Sequence { found, expected });
            }
            let Some(next) = expected.checked_add(1) else {
                return Err(SegmentError::Sequence { found, expected });
            };
            expected = next;
            rest = &rest[used..];
        }
        if expected - header.first_sequence != u64::from(header.records) {
            return Err(SegmentError::Sequence {
                found: header.first_sequence.saturating_add(u64::from(header.records)),
                expected,
            });
        }
        Ok(())
    }
}

fn parse_header(block: &[u8]) -> Result<SegmentHeader, SegmentError> {
    let parse = || {
        Some(SegmentHeader {
            chain: ChainId {
                boot: BootId(array_at(block, 16)?),
                core: u32_at(block, 12)?,
            },
            number: u32_at(block, 32)?,
            first_sequence: u64_at(block, 40)?,
            previous: array_at(block, 48)?,
            hash: array_at(block, SEGMENT_HASH_AT)?,
        })
    };
    if array_at(block, 0) != Some(MAGIC) {
        return Err(SegmentError::Header);
    }
    let format = u32_at(block, 8).unwrap_or(0);
    if format != FORMAT {
        return Err(SegmentError::Format { format });
    }
    let header = parse().ok_or(SegmentError::Header)?;
    let rest_is_zero = block[SEGMENT_HASH_AT + 32..].iter().all(|byte| *byte == 0);
    if chain(&header.previous, &block[..SEGMENT_HASH_AT], &[]) != header.hash || !rest_is_zero {
        return Err(SegmentError::HeaderHash);
    }
    Ok(header)
}

fn parse_flush(block: &[u8], offset: u64) -> Option<FlushHeader> {
    let header = FlushHeader {
        offset,
        len: usize::try_from(u32_at(block, 8)?).ok()?,
        records: u32_at(block, 12)?,
        first_sequence: u64_at(block, 16)?,
        hash: array_at(block, FLUSH_HASH_AT)?,
    };
    let plausible = array_at(block, 0)? == FLUSH_MAGIC
        && (1..=FLUSH_LEN_MAX).contains(&header.len)
        && header.len.is_multiple_of(8)
        && header.first_sequence > 0
        && header
            .first_sequence
            .checked_add(u64::from(header.records))
            .is_some();
    plausible.then_some(header)
}

/// Reads whatever `data` is as a segment, and as the flushes of one whose header is right.
pub fn fuzz_segment(data: &[u8]) {
    walk(data);
    let mut file = vec![0; BLOCK_LEN];
    file[..8].copy_from_slice(&MAGIC);
    file[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    file[40] = 1;
    let hash = chain(&super::GENESIS, &file[..SEGMENT_HASH_AT], &[]);
    file[SEGMENT_HASH_AT..SEGMENT_HASH_AT + 32].copy_from_slice(&hash);
    let Some(flush) = parse_flush(data, BLOCK_LEN as u64) else {
        walk(&[&file, data].concat());
        return;
    };
    // Its own hash is put right, so that what is behind the hash check is reached; then its records' checksums as well.
    let (header, content) = data.split_at(FLUSH_HEADER_LEN);
    for content in [content, &record::with_checksums(content)] {
        let records = &content[..content.len().min(flush.len)];
        let hash = chain(&hash, &header[..FLUSH_HASH_AT], records);
        walk(&[&file, &header[..FLUSH_HASH_AT], &hash, content].concat());
    }
}

fn walk(data: &[u8]) {
    let Ok(mut reader) = SegmentReader::open(data) else {
        return;
    };
    loop {
        let before = reader.offset();
        match reader.advance() {
            Ok(None) => return,
            Ok(Some(header)) => {
                assert_eq!(header.len, reader.records().len());
                let mut rest = reader.records();
                while let Ok((_, _, used)) = record::decode(rest) {
                    rest = &rest[used..];
                }
            }
            Err(_) => match reader.resynchronize() {
                Ok(true) => {}
                Ok(false) | Err(_) => return,
            },
        }
        assert!(reader.offset() > before);
    }
}
