//! Reads a server's replies without keeping them: counts rows, finds the end, keeps errors, samples rows.
//!
//! Bytes may come cut anywhere; only frames of which something is needed (errors, command tags) are gathered.

use crate::rows::{Expect, Mismatch, Rows};
use crate::wire;

/// Bytes kept of an error or a command tag.
const KEPT_MAX: usize = 2_048;

/// A reply up to its ReadyForQuery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Bytes, frame headers included.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
    /// Rows that the command tags speak of.
    pub rows_told: u64,
    /// ParseComplete frames.
    pub parsed: u64,
    /// Rows that were compared with what was sent.
    pub rows_checked: u64,
    /// Errors that were expected.
    pub refusals: u64,
}

/// What is wrong with a reply.
#[derive(Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The server's error.
    Error(String),
    /// A row is not what it should be.
    Row(Mismatch),
    /// A frame that no reply of the load has.
    Frame(u8),
    /// A length below four.
    Length(u32),
}

/// Incremental reader of replies.
#[derive(Default)]
pub struct ReplyReader {
    header: [u8; 5],
    header_len: usize,
    body_left: usize,
    kept: Vec<u8>,
    reply: Reply,
    /// Errors with one of these SQLSTATEs are counted, all others end the reading.
    tolerated: &'static [&'static str],
}

/// Rows to compare a reply with.
pub type Sample<'a> = Option<(&'a Rows, Expect)>;

impl ReplyReader {
    /// From now on takes errors with these SQLSTATEs for answers.
    pub fn tolerate(&mut self, sqlstates: &'static [&'static str]) {
        self.tolerated = sqlstates;
    }

    /// Takes bytes from the front of `chunk` up to the end of a reply; gives the reply if it has ended.
    ///
    /// Rows that lie whole in the chunk are compared with `sample`.
    pub fn feed(&mut self, chunk: &mut &[u8], sample: Sample<'_>) -> Result<Option<Reply>, Wrong> {
        while !chunk.is_empty() {
            if self.body_left == 0 && !self.header(chunk, sample)? {
                continue;
            }
            let take = self.body_left.min(chunk.len());
            let (body, rest) = chunk.split_at(take);
            if matches!(self.header[0], b'E' | b'C') {
                let room = KEPT_MAX.saturating_sub(self.kept.len());
                self.kept.extend_from_slice(&body[..take.min(room)]);
            }
            *chunk = rest;
            self.reply.bytes += take as u64;
            self.body_left -= take;
            if self.body_left == 0 && self.frame_ended()? {
                return Ok(Some(std::mem::take(&mut self.reply)));
            }
        }
        Ok(None)
    }

    /// Takes header bytes; true once a frame with a body begins.
    fn header(&mut self, chunk: &mut &[u8], sample: Sample<'_>) -> Result<bool, Wrong> {
        let whole = *chunk;
        let take = (5 - self.header_len).min(chunk.len());
        self.header[self.header_len..self.header_len + take].copy_from_slice(&chunk[..take]);
        *chunk = &chunk[take..];
        self.reply.bytes += take as u64;
        self.header_len += take;
        if self.header_len < 5 {
            return Ok(false);
        }
        self.header_len = 0;
        let [tag, len @ ..] = self.header;
        let len = u32::from_be_bytes(len);
        self.body_left = len.checked_sub(4).ok_or(Wrong::Length(len))? as usize;
        if tag == b'D' {
            if let (Some((rows, expect)), 5, Some(frame)) = (sample, take, whole.get(..5 + self.body_left)) {
                rows.check(self.reply.rows, frame, expect).map_err(Wrong::Row)?;
                self.reply.rows_checked += 1;
            }
            self.reply.rows += 1;
        }
        if self.body_left == 0 {
            self.frame_ended()?;
        }
        Ok(self.body_left > 0)
    }

    /// True at the end of a reply.
    fn frame_ended(&mut self) -> Result<bool, Wrong> {
        match self.header[0] {
            b'Z' => return Ok(true),
            b'E' => {
                let text = wire::error_text(&self.kept);
                self.kept.clear();
                if !self.tolerated.iter().any(|sqlstate| text.starts_with(sqlstate)) {
                    return Err(Wrong::Error(text));
                }
                self.reply.refusals += 1;
            }
            b'C' => {
                self.reply.rows_told += told(&self.kept);
                self.kept.clear();
            }
            b'1' => self.reply.parsed += 1,
            b'D' | b'T' | b'2' | b'3' | b'n' | b't' | b'I' | b'N' | b'S' => {}
            tag => return Err(Wrong::Frame(tag)),
        }
        Ok(false)
    }
}

/// The number of rows in a command tag's body, 0 where it has none.
fn told(body: &[u8]) -> u64 {
    let text = std::str::from_utf8(body).unwrap_or("").trim_end_matches('\0');
    text.rsplit(' ')
        .next()
        .and_then(|word| word.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reply(rows: &Rows) -> Vec<u8> {
        let mut wire = rows.description.clone();
        wire.extend_from_slice(b"1\0\0\0\x04");
        wire.extend_from_slice(&rows.frames);
        wire::complete(&mut wire, &format!("SELECT {}", rows.count()));
        wire::ready(&mut wire, b'I');
        wire
    }

    fn read(
        reader: &mut ReplyReader,
        wire: &[u8],
        size: usize,
        sample: Sample<'_>,
    ) -> Result<Vec<Reply>, Wrong> {
        let mut replies = Vec::new();
        for mut chunk in wire.chunks(size) {
            while !chunk.is_empty() {
                replies.extend(reader.feed(&mut chunk, sample)?);
            }
        }
        Ok(replies)
    }

    #[test]
    fn a_reply_is_the_same_however_it_is_cut() {
        let rows = Rows::point();
        let one = reply(&rows);
        let two = [one.clone(), one.clone()].concat();
        for size in 1..=two.len() {
            let replies = read(&mut ReplyReader::default(), &two, size, None).unwrap();
            let want = Reply {
                bytes: one.len() as u64,
                rows: 1,
                rows_told: 1,
                parsed: 1,
                rows_checked: 0,
                refusals: 0,
            };
            assert_eq!(replies, [want, want], "reads of {size} bytes");
        }
    }

    #[test]
    fn whole_rows_are_compared() {
        let rows = Rows::hundred();
        let wire = reply(&rows);
        let mut reader = ReplyReader::default();
        let replies = read(&mut reader, &wire, wire.len(), Some((&rows, Expect::Plain))).unwrap();
        assert_eq!(replies[0].rows_checked, 100);
        let wrong = read(&mut reader, &wire, wire.len(), Some((&rows, Expect::Masked))).unwrap_err();
        assert_eq!(wrong, Wrong::Row(Mismatch::Unmasked { row: 0, column: 2 }));
    }

    #[test]
    fn what_no_reply_has_is_told() {
        let mut failed = Vec::new();
        wire::error(&mut failed, "42501", "sluice: denied by policy");
        for (name, wire, want) in [
            (
                "error",
                failed,
                Wrong::Error("42501: sluice: denied by policy".into()),
            ),
            ("length", b"D\0\0\0\x03".to_vec(), Wrong::Length(3)),
            ("frame", b"x\0\0\0\x04".to_vec(), Wrong::Frame(b'x')),
        ] {
            let got = read(&mut ReplyReader::default(), &wire, wire.len(), None);
            assert_eq!(got.unwrap_err(), want, "{name}");
        }
    }

    #[test]
    fn refusals_are_counted_where_they_are_expected() {
        let mut wire = Vec::new();
        wire::error(&mut wire, "42501", "sluice: denied by policy");
        wire::ready(&mut wire, b'I');
        let mut other = Vec::new();
        wire::error(&mut other, "42601", "syntax error");
        let answered = reply(&Rows::point());
        let sent = [&wire[..], &answered, &wire].concat();
        for size in 1..=sent.len() {
            let mut reader = ReplyReader::default();
            reader.tolerate(&["54000", "42501"]);
            let replies = read(&mut reader, &sent, size, None).unwrap();
            let refusals: Vec<_> = replies
                .iter()
                .map(|reply| (reply.refusals, reply.rows_told))
                .collect();
            assert_eq!(refusals, [(1, 0), (0, 1), (1, 0)], "reads of {size} bytes");
            let wrong = read(&mut reader, &other, size, None).unwrap_err();
            assert_eq!(
                wrong,
                Wrong::Error("42601: syntax error".into()),
                "reads of {size} bytes"
            );
        }
    }

    proptest! {
        #[test]
        fn hostile_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), size in 1usize..50) {
            let _ = read(&mut ReplyReader::default(), &bytes, size, Some((&Rows::point(), Expect::Masked)));
        }
    }
}
