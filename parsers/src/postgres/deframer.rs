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
        Self {
            state: State::Clear,
            carry: Vec::new(),
        }
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

    /// Takes the gathered bytes away: long ones as they are, and a copy of short ones, whose memory is kept.
    pub fn take_gathered(&mut self) -> Vec<u8> {
        let State::Given(after) = self.state else {
            return Vec::new();
        };
        if self.carry.capacity() <= CARRY_KEEP_BYTES {
            return self.carry.clone();
        }
        self.state = after.state();
        std::mem::take(&mut self.carry)
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
                self.state = State::Passing {
                    tag: header.tag,
                    left: frame_len - rest.len(),
                    frame_len,
                };
                let end = chunk.len();
                Piece::Part {
                    tag: header.tag,
                    start,
                    end,
                    first: true,
                    last: false,
                    frame_len,
                }
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
                    self.state = State::Given(After::Passing {
                        tag: header.tag,
                        left,
                        frame_len,
                    });
                    return Ok(Piece::Head {
                        tag: header.tag,
                        frame_len,
                    });
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
                self.state = if last {
                    State::Clear
                } else {
                    State::Passing {
                        tag,
                        left: left - len,
                        frame_len,
                    }
                };
                Ok(Piece::Part {
                    tag,
                    start,
                    end: *at,
                    first: false,
                    last,
                    frame_len,
                })
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
        Take::Whole { limit } if header.len > limit => Err(ProtocolError::FrameOverLimit {
            tag: header.tag,
            len: header.len,
            limit,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// A tag and a body.
    type Sent = (u8, Vec<u8>);

    fn encode(frames: &[Sent]) -> Vec<u8> {
        let mut wire = Vec::new();
        for (tag, body) in frames {
            wire.push(*tag);
            wire.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
            wire.extend_from_slice(body);
        }
        wire
    }

    /// The frames of a stream that comes in these chunks, with how many came without a copy.
    fn decode<'a>(
        chunks: impl Iterator<Item = &'a [u8]>,
        take: impl Fn(Header) -> Take,
    ) -> Result<(Vec<Sent>, usize), ProtocolError> {
        let mut deframer = Deframer::new();
        let mut frames = Vec::new();
        let mut parts: Vec<u8> = Vec::new();
        let mut whole = 0;
        let mut push = |frame: &[u8]| frames.push((frame[0], frame[HEADER_BYTES..].to_vec()));
        for chunk in chunks {
            let mut at = 0;
            loop {
                match deframer.next(chunk, &mut at, &take)? {
                    Piece::Frame { start, end } => {
                        whole += 1;
                        push(&chunk[start..end]);
                    }
                    Piece::Gathered => push(deframer.gathered()),
                    Piece::Head { tag, frame_len } => {
                        assert_eq!(
                            (tag, deframer.gathered().len()),
                            (deframer.gathered()[0], HEADER_BYTES)
                        );
                        assert!(frame_len > HEADER_BYTES && parts.is_empty());
                        parts.extend_from_slice(deframer.gathered());
                    }
                    Piece::Part {
                        tag,
                        start,
                        end,
                        first,
                        last,
                        frame_len,
                    } => {
                        assert_eq!(
                            first,
                            parts.is_empty(),
                            "only the first part begins with the header"
                        );
                        parts.extend_from_slice(&chunk[start..end]);
                        assert_eq!((parts[0], parts.len() == frame_len), (tag, last));
                        if last {
                            push(&std::mem::take(&mut parts));
                        }
                    }
                    Piece::NeedMore => break,
                }
            }
            assert_eq!(at, chunk.len(), "a chunk is used up");
        }
        assert!(deframer.is_clear());
        Ok((frames, whole))
    }

    fn whole(_: Header) -> Take {
        Take::Whole { limit: 1 << 20 }
    }

    proptest! {
        #[test]
        fn every_split_gives_the_same_frames(
            sent in vec((any::<u8>(), vec(any::<u8>(), 0..40)), 0..6),
            parts_of in any::<u8>(),
        ) {
            let wire = encode(&sent);
            let mixed = |header: Header| if header.tag < parts_of { Take::Parts } else { Take::Whole { limit: 100 } };
            for size in 1..=wire.len() {
                prop_assert_eq!(&decode(wire.chunks(size), mixed).unwrap().0, &sent, "reads of {} bytes", size);
            }
            for cut in 0..=wire.len() {
                let (left, right) = wire.split_at(cut);
                let (frames, _) = decode([left, right].into_iter(), mixed).unwrap();
                prop_assert_eq!(&frames, &sent, "cut at {}", cut);
            }
        }
    }

    #[test]
    fn what_lies_whole_in_a_chunk_is_not_copied() {
        let sent = [(b'D', vec![1; 10]), (b'D', vec![]), (b'C', vec![2; 300])];
        let wire = encode(&sent);
        for take in [whole, |_| Take::Parts] {
            let (frames, uncopied) = decode([wire.as_slice()].into_iter(), take).unwrap();
            assert_eq!((frames.as_slice(), uncopied), (&sent[..], 3));
        }
    }

    #[test]
    fn bad_frames() {
        let small = |_| Take::Whole { limit: 10 };
        for (name, wire, want) in [
            (
                "length 3",
                &b"Q\0\0\0\x03"[..],
                ProtocolError::FrameLength { tag: b'Q', len: 3 },
            ),
            (
                "over the protocol's limit",
                b"Q\x40\0\0\0",
                ProtocolError::FrameLength {
                    tag: b'Q',
                    len: 0x4000_0000,
                },
            ),
            (
                "over the reader's limit",
                b"Q\0\0\0\x0b1234567",
                ProtocolError::FrameOverLimit {
                    tag: b'Q',
                    len: 11,
                    limit: 10,
                },
            ),
        ] {
            for size in 1..=wire.len() {
                assert_eq!(
                    decode(wire.chunks(size), small).err(),
                    Some(want),
                    "{name}, reads of {size} bytes"
                );
            }
        }
    }

    #[test]
    fn a_large_frame_in_parts_is_never_gathered() {
        let len: u32 = 1 << 30;
        let mut deframer = Deframer::new();
        let mut head = vec![b'd'];
        head.extend_from_slice(&(len - 2).to_be_bytes());
        let chunk = vec![0; 1 << 16];
        let mut passed = 0;
        let mut at = 0;
        assert!(deframer.next(&head[..3], &mut at, |_| Take::Parts).is_ok());
        at = 0;
        assert!(matches!(
            deframer.next(&head[3..], &mut at, |_| Take::Parts),
            Ok(Piece::Head { .. })
        ));
        while passed < len as usize - 6 {
            at = 0;
            let Ok(Piece::Part { start, end, .. }) = deframer.next(&chunk, &mut at, |_| Take::Parts) else {
                panic!("a part");
            };
            passed += end - start;
            assert!(deframer.carry.capacity() <= CARRY_KEEP_BYTES);
        }
        assert!(deframer.is_clear());
    }

    #[test]
    fn large_memory_is_returned() {
        let wire = encode(&[(b'Q', vec![7; 100_000]), (b'S', vec![])]);
        let mut deframer = Deframer::new();
        let mut at = 0;
        assert_eq!(
            deframer.next(&wire[..50_000], &mut at, whole),
            Ok(Piece::NeedMore)
        );
        assert_eq!((deframer.carried(), deframer.is_clear()), (50_000, false));
        at = 0;
        assert_eq!(
            deframer.next(&wire[50_000..], &mut at, whole),
            Ok(Piece::Gathered)
        );
        assert_eq!(deframer.gathered().len(), 100_005);
        assert!(deframer.is_clear());
        let end = wire.len() - 50_000;
        assert_eq!(
            deframer.next(&wire[50_000..], &mut at, whole),
            Ok(Piece::Frame { start: end - 5, end })
        );
        assert_eq!(deframer.carry.capacity(), 0);
    }

    #[test]
    fn gathered_bytes_can_be_changed_and_wiped() {
        let wire = encode(&[(b'p', b"secret\0".to_vec())]);
        let mut deframer = Deframer::new();
        for half in [&wire[..6], &wire[6..]] {
            let mut at = 0;
            let _ = deframer.next(half, &mut at, whole).unwrap();
        }
        deframer.gathered_mut()[5] = b'S';
        assert_eq!(&deframer.gathered()[5..], b"Secret\0");
        deframer.wipe();
        assert_eq!(deframer.gathered(), b"");
        assert!(deframer.is_clear());
    }

    #[test]
    fn gathered_bytes_can_be_taken() {
        for len in [10, 2 * CARRY_KEEP_BYTES] {
            let wire = encode(&[(b'Q', vec![b'x'; len]), (b'S', Vec::new())]);
            let mut deframer = Deframer::new();
            let mut at = 0;
            assert_eq!(
                deframer.next(&wire[..7], &mut at, whole).unwrap(),
                Piece::NeedMore
            );
            assert_eq!(deframer.take_gathered(), b"");
            let rest = &wire[7..];
            at = 0;
            assert_eq!(deframer.next(rest, &mut at, whole).unwrap(), Piece::Gathered);
            assert_eq!(deframer.take_gathered(), &wire[..len + HEADER_BYTES]);
            assert!(deframer.is_clear());
            assert!(matches!(
                deframer.next(rest, &mut at, whole).unwrap(),
                Piece::Frame { .. }
            ));
        }
    }
}
