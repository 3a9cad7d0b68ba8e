//! Cuts one direction's stream of received chunks into frames.
//!
//! A frame that lies whole in a chunk is given by its place there and never copied. What straddles chunks is gathered
//! in a buffer of the deframer's own if its reader wants it whole ([`Take::Whole`]), and else given part by part
//! ([`Take::Parts`]), so that a value of any size passes in constant memory. The buffer's memory is returned once it is
//! empty again and was large.
//!
//! ```
//! use sluice_parsers::postgres::{Deframer, Piece, Take};
//!
//! let mut deframer = Deframer::new();
//! for chunk in [&b"Z\0\0\0\x05IN\0"[..], b"\0\0\x04"] {
//!     let mut at = 0;
//!     loop {
//!         match deframer.next(chunk, &mut at, |_| Take::Whole { limit: 10_000 }).unwrap() {
//!             Piece::Frame { start, end } => assert_eq!(&chunk[start..end], b"Z\0\0\0\x05I"),
//!             Piece::Gathered => assert_eq!(deframer.gathered(), b"N\0\0\0\x04"),
//!             Piece::Head { .. } | Piece::Part { .. } => unreachable!("every frame is taken whole"),
//!             Piece::NeedMore => break,
//!         }
//!     }
//! }
//! ```

use zeroize::Zeroize;

use super::error::ProtocolError;
use super::frame::{HEADER_BYTES, Header, parse_header};

/// Memory for gathering that is kept for the next frame that straddles.
const CARRY_KEEP_BYTES: usize = 16 * 1024;

/// What is reserved at once for a frame that is gathered; longer ones grow as they arrive, so that a peer which
/// declares much and sends little costs little. A password of the usual limit is never moved, so no copy of it stays.
const CARRY_RESERVE_BYTES: usize = 68 * 1024;

/// How a frame is wanted; asked once a frame, when its header is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// In one piece; a length word over `limit` is an error.
    Whole {
        /// The largest length word taken.
        limit: u32,
    },
    /// In parts where it straddles chunks.
    Parts,
}

/// What lies next in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A whole frame at `start..end` of the chunk, header included.
    Frame {
        /// First byte, the type byte.
        start: usize,
        /// Behind the last byte.
        end: usize,
    },
    /// A frame that straddled chunks is whole in [`Deframer::gathered`] until the next call of [`Deframer::next`].
    Gathered,
    /// The header of a frame taken in parts straddled chunks: its five bytes are in [`Deframer::gathered`] until the
    /// next call. Parts with `first: false` follow. (A frame without a body is `Gathered` instead.)
    Head {
        /// The type byte.
        tag: u8,
        /// Bytes of the whole frame, header included.
        frame_len: usize,
    },
    /// A part of a frame at `start..end` of the chunk; the first one begins with the five bytes of the header.
    Part {
        /// The type byte.
        tag: u8,
        /// First byte of the part.
        start: usize,
        /// Behind the last byte of the part.
        end: usize,
        /// The part begins with the header.
        first: bool,
        /// The frame ends with this part.
        last: bool,
        /// Bytes of the whole frame, header included.
        frame_len: usize,
    },
    /// The chunk is used up; what is left of an incomplete frame was copied out of it.
    NeedMore,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between frames, nothing carried.
    Clear,
    /// The carry holds what the last call gave out; it is dropped by the next one.
    Given(After),
    /// The carry holds 1 to 4 bytes of a header.
    Header,
    /// The carry holds `0 < n < frame_len` bytes of a frame, the header among them.
    Gathering { frame_len: usize },
    /// `0 < left` bytes of a frame in parts are to come.
    Passing { tag: u8, left: usize, frame_len: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Clear,
    Passing { tag: u8, left: usize, frame_len: usize },
}

/// Cuts one direction of one session into frames. It holds the bytes that straddle and nothing else.
#[derive(Debug)]
pub struct Deframer {
    state: State,
    carry: Vec<u8>,
}

impl Default for Deframer {
    fn default() -> Self {
        Self::new()
    }
}

impl Deframer {
    /// A deframer at the start of a stream; takes no memory yet.
    pub const fn new() -> Self {
        Self { state: State::Clear, carry: Vec::new() }
    }

    /// Gives the next piece of `chunk` from `*at` on and moves `*at` behind it.
    ///
    /// Call it with the same chunk until it gives [`Piece::NeedMore`], and then with the next chunk and `at` zero.
    /// After an error the stream has no meaning any more.
    #[inline]
    pub fn next(
        &mut self,
        chunk: &[u8],
        at: &mut usize,
        mut take: impl FnMut(Header) -> Take,
    ) -> Result<Piece, ProtocolError> {
        if matches!(self.state, State::Clear)
            && let Some(rest) = chunk.get(*at..)
            && let Some(head) = rest.first_chunk::<HEADER_BYTES>()
        {
            let header = parse_header(head)?;
            let wanted = take(header);
            check_limit(header, wanted)?;
            let start = *at;
            if header.frame_len() <= rest.len() {
                *at = start + header.frame_len();
                return Ok(Piece::Frame { start, end: *at });
            }
            *at = chunk.len();
            return Ok(self.begin(header, wanted, chunk, start));
        }
        self.resume(chunk, at, &mut take)
    }

    /// The gathered bytes: a whole frame after [`Piece::Gathered`], a header after [`Piece::Head`].
    #[inline]
    pub fn gathered(&self) -> &[u8] {
        match self.state {
            State::Given(_) => &self.carry,
            _ => &[],
        }
    }

    /// The gathered bytes, to be changed in place.
    #[inline]
    pub fn gathered_mut(&mut self) -> &mut [u8] {
        match self.state {
            State::Given(_) => &mut self.carry,
            _ => &mut [],
        }
    }

    /// Whether the stream stands between two frames: an end of the stream here is not a cut.
    #[inline]
    pub fn is_clear(&self) -> bool {
        matches!(self.state, State::Clear | State::Given(After::Clear))
    }

    /// Bytes that are carried and belong to a frame not yet given out.
    pub fn carried(&self) -> usize {
        match self.state {
            State::Header | State::Gathering { .. } => self.carry.len(),
            _ => 0,
        }
    }

    /// Overwrites what was gathered last, for a frame that held a secret.
    pub fn wipe(&mut self) {
        if let State::Given(after) = self.state {
            self.carry.zeroize();
            self.state = after.state();
        }
    }

    /// A frame's header is in the chunk at `start`, its end is not.
    #[cold]
    fn begin(&mut self, header: Header, wanted: Take, chunk: &[u8], start: usize) -> Piece {
        let frame_len = header.frame_len();
        let rest = chunk.get(start..).unwrap_or_default();
        match wanted {
            Take::Whole { .. } => {
                self.carry.reserve(frame_len.min(CARRY_RESERVE_BYTES));
                self.carry.extend_from_slice(rest);
                self.state = State::Gathering { frame_len };
                Piece::NeedMore
            }
            Take::Parts => {
                self.state = State::Passing { tag: header.tag, left: frame_len - rest.len(), frame_len };
                let end = chunk.len();
                Piece::Part { tag: header.tag, start, end, first: true, last: false, frame_len }
            }
        }
    }

    /// Every case but a header that lies whole in the chunk between two frames.
    #[cold]
    fn resume(
        &mut self,
        chunk: &[u8],
        at: &mut usize,
        take: &mut dyn FnMut(Header) -> Take,
    ) -> Result<Piece, ProtocolError> {
        if let State::Given(after) = self.state {
            self.release();
            self.state = after.state();
        }
        let rest = chunk.get(*at..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(Piece::NeedMore);
        }
        match self.state {
            State::Clear if rest.len() >= HEADER_BYTES => self.next(chunk, at, take),
            State::Clear | State::Given(_) => {
                self.carry.extend_from_slice(rest);
                *at = chunk.len();
                self.state = State::Header;
                Ok(Piece::NeedMore)
            }
            State::Header => {
                self.carry_up_to(HEADER_BYTES, chunk, at);
                let Some(head) = self.carry.first_chunk::<HEADER_BYTES>() else {
                    return Ok(Piece::NeedMore);
                };
                let header = parse_header(head)?;
                let wanted = take(header);
                check_limit(header, wanted)?;
                let frame_len = header.frame_len();
                if wanted == Take::Parts && frame_len > HEADER_BYTES {
                    let left = frame_len - HEADER_BYTES;
                    self.state = State::Given(After::Passing { tag: header.tag, left, frame_len });
                    return Ok(Piece::Head { tag: header.tag, frame_len });
                }
                self.carry.reserve(frame_len.min(CARRY_RESERVE_BYTES));
                self.state = State::Gathering { frame_len };
                Ok(self.gather(frame_len, chunk, at))
            }
            State::Gathering { frame_len } => Ok(self.gather(frame_len, chunk, at)),
            State::Passing { tag, left, frame_len } => {
                let start = *at;
                let len = left.min(rest.len());
                *at = start + len;
                let last = len == left;
                self.state =
                    if last { State::Clear } else { State::Passing { tag, left: left - len, frame_len } };
                Ok(Piece::Part { tag, start, end: *at, first: false, last, frame_len })
            }
        }
    }

    fn gather(&mut self, frame_len: usize, chunk: &[u8], at: &mut usize) -> Piece {
        self.carry_up_to(frame_len, chunk, at);
        if self.carry.len() < frame_len {
            return Piece::NeedMore;
        }
        self.state = State::Given(After::Clear);
        Piece::Gathered
    }

    /// Copies from the chunk until the carry has `len` bytes or the chunk is used up.
    fn carry_up_to(&mut self, len: usize, chunk: &[u8], at: &mut usize) {
        let rest = chunk.get(*at..).unwrap_or_default();
        let part = rest.get(..len.saturating_sub(self.carry.len())).unwrap_or(rest);
        self.carry.extend_from_slice(part);
        *at += part.len();
    }

    fn release(&mut self) {
        if self.carry.capacity() > CARRY_KEEP_BYTES {
            self.carry = Vec::new();
        } else {
            self.carry.clear();
        }
    }
}

impl After {
    fn state(self) -> State {
        match self {
            Self::Clear => State::Clear,
            Self::Passing { tag, left, frame_len } => State::Passing { tag, left, frame_len },
        }
    }
}

#[inline]
fn check_limit(header: Header, wanted: Take) -> Result<(), ProtocolError> {
    match wanted {
        Take::Whole { limit } if header.len > limit => {
            Err(ProtocolError::FrameOverLimit { tag: header.tag, len: header.len, limit })
        }
        _ => Ok(()),
    }
}
