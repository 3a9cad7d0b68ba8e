//! What the server answers: each message is matched to what it answers, masked, recorded, and forwarded.
//!
//! This file cuts the stream, masks and forwards; [`replies`] knows what each reply means, [`described`] whether a
//! description is what was expected, and [`words`] what of an error may be told.

mod described;
mod replies;
mod words;

use std::ops::Range;
use std::rc::Rc;

use sluice_audit::record::EndReason;
use sluice_parsers::postgres::frame::{FRAME_LEN_MAX, HEADER_BYTES, is_backend_tag};
use sluice_parsers::postgres::model::Owner;
use sluice_parsers::postgres::{Deframer, Header, Piece, SqlState, Take};
use sluice_runtime::net::Received;
use sluice_runtime::time::Moment;

use super::columns::Plan;
use super::large::{LargeRow, LargeRowError, LargeText, LargeValue, excerpt};
use super::nested::Unreadable;
use super::rows::{self, Scanned};
use super::session::{End, Output, Session};
use super::statements::Ticket;

/// Rows and COPY data over this pass in parts.
const GATHERED_BYTES_MAX: u32 = 64 * 1024;

/// The length word of a row without fields.
const ROW_LEN_MIN: u32 = 6;

/// Descriptions, errors and what else is read whole. An error over this passes in parts.
const READ_BYTES_MAX: u32 = 1 << 20;

/// What is done with a message of the server.
pub(super) enum Delivery {
    Forward,
    /// This goes to the client in front of it.
    ForwardBehind(Vec<u8>),
    /// The client gets this instead.
    Replace(Vec<u8>),
    /// The client does not see it.
    Hide,
}

/// A run of messages in a chunk that are masked together.
enum Run {
    Nothing,
    Rows(Range<usize>),
    CopyData(Range<usize>),
}

impl Session {
    /// Takes bytes of the server, which were received at that moment.
    pub(crate) fn on_server(
        &mut self,
        chunk: Received,
        received: Moment,
        out: &mut Output,
    ) -> Result<(), End> {
        self.answered_since = received;
        let mut deframer = std::mem::take(&mut self.from_server);
        let mut starts = self.core.row_starts.take();
        let chunk = if self.hidden.is_some() {
            self.on_hidden(&mut deframer, chunk, out)
        } else {
            Ok(chunk)
        };
        let mut done = chunk.and_then(|chunk| self.cut_server(&mut deframer, chunk, &mut starts, out));
        if self.limited.is_some() {
            self.limited_may_be_gone();
            self.limited_begins();
            done = done.and_then(|()| self.settle_limited(out));
        }
        self.core.row_starts.replace(starts);
        self.from_server = deframer;
        // Behind ReadyForQuery nothing is being answered that the time could be counted to.
        if !self.model.is_idle() {
            let now = Moment::now();
            self.tally.spent_ns += now.nanoseconds_since(self.answered_since);
        }
        done
    }

    fn cut_server(
        &mut self,
        deframer: &mut Deframer,
        mut chunk: Received,
        starts: &mut Vec<usize>,
        out: &mut Output,
    ) -> Result<(), End> {
        let is_masked = self.masks.is_on();
        // `chunk[..at]` is decided but for the run at its end, in which rows begin at `starts`.
        let mut at = 0;
        let mut run = Run::Nothing;
        loop {
            let decided = at;
            let piece = match deframer.next(&chunk, &mut at, |header| take(header, is_masked)) {
                Ok(piece) => piece,
                Err(error) => return Err(End::server(error)),
            };
            if let Piece::Frame { start, end } = piece {
                let tag = chunk.get(start).copied().unwrap_or_default();
                match tag {
                    b'D' if !matches!(run, Run::CopyData(_)) => {
                        if !self.row(end - start, matches!(run, Run::Nothing))? {
                            self.withhold(start..end, &mut run, &mut chunk, starts, out)?;
                            at = 0;
                            continue;
                        }
                        if !is_masked || self.plan.passes() {
                            self.following_rows(&chunk, &mut at, |_| {});
                            continue;
                        }
                        if self.plan.rewrites() || self.counts_masked() {
                            forward(&mut chunk, start, out);
                            at = 0;
                            let mut frame = chunk.split_to(end - start);
                            if self.mask_row(&mut frame)? {
                                out.to_client.push(frame.into());
                            }
                            continue;
                        }
                        let first = if let Run::Rows(rows) = &run {
                            rows.start
                        } else {
                            starts.clear();
                            start
                        };
                        starts.push(start - first);
                        self.following_rows(&chunk, &mut at, |row| starts.push(row - first));
                        run = Run::Rows(first..at);
                        continue;
                    }
                    b'd' if !matches!(run, Run::Rows(_)) => {
                        if !self.copy_data(end - start)? {
                            self.withhold(start..end, &mut run, &mut chunk, starts, out)?;
                            at = 0;
                            continue;
                        }
                        if self.copy_out.is_some() {
                            run = match run {
                                Run::CopyData(data) => Run::CopyData(data.start..end),
                                _ => Run::CopyData(start..end),
                            };
                        }
                        continue;
                    }
                    b'D' | b'd' => return Err(End::server("rows between COPY data")),
                    _ => {}
                }
                let sent = self.mask_run(&mut run, &mut chunk, starts, out)?;
                let (start, end) = (start - sent, end - sent);
                at -= sent;
                match self.reply(chunk.get_mut(start..end).unwrap_or_default())? {
                    Delivery::Forward => {}
                    Delivery::ForwardBehind(before) => {
                        forward(&mut chunk, start, out);
                        out.to_client.push(before.into());
                        at = end - start;
                    }
                    delivery => {
                        forward(&mut chunk, start, out);
                        chunk.advance(end - start);
                        at = 0;
                        if let Delivery::Replace(instead) = delivery {
                            out.to_client.push(instead.into());
                        }
                    }
                }
                continue;
            }
            let sent = self.mask_run(&mut run, &mut chunk, starts, out)?;
            forward(&mut chunk, decided - sent, out);
            match piece {
                Piece::Frame { .. } => {}
                Piece::NeedMore => {
                    self.count_copied(chunk.len());
                    return Ok(());
                }
                Piece::Gathered => {
                    chunk.advance(at - decided);
                    self.gathered(Received::from(deframer.gathered().to_vec()), out)?;
                }
                Piece::Head { tag, frame_len } => {
                    chunk.advance(at - decided);
                    let head = Received::from(deframer.gathered().to_vec());
                    self.begin_part(tag, frame_len)?;
                    if self.large_text.is_some() {
                        self.text_part(head, false, out)?;
                    } else {
                        out.to_client.push(head.into());
                    }
                }
                Piece::Part {
                    tag,
                    start,
                    end,
                    first,
                    last,
                    frame_len,
                } => {
                    chunk.advance(start - decided);
                    let part = chunk.split_to(end - start);
                    if first {
                        self.begin_part(tag, frame_len)?;
                    }
                    self.part(tag, part, first, last, out)?;
                }
            }
            at = 0;
        }
    }

    /// A message that straddled chunks.
    fn gathered(&mut self, mut frame: Received, out: &mut Output) -> Result<(), End> {
        let tag = frame.first().copied().unwrap_or_default();
        match tag {
            b'D' => {
                if self.row(frame.len(), true)? && self.mask_row(&mut frame)? {
                    out.to_client.push(frame.into());
                }
            }
            b'd' => {
                if self.copy_data(frame.len())? {
                    self.mask_copy_data(&mut frame)?;
                    out.to_client.push(frame.into());
                }
            }
            _ => return self.deliver(frame, out),
        }
        Ok(())
    }

    /// A message that is neither a row nor COPY data.
    pub(super) fn deliver(&mut self, mut frame: Received, out: &mut Output) -> Result<(), End> {
        match self.reply(&mut frame)? {
            Delivery::Forward => out.to_client.push(frame.into()),
            Delivery::ForwardBehind(before) => out.to_client.extend([before.into(), frame.into()]),
            Delivery::Replace(instead) => out.to_client.push(instead.into()),
            Delivery::Hide => {}
        }
        Ok(())
    }

    /// A row belongs to what is answered now; the first of a run tells its plan. Says whether it goes to the client.
    fn row(&mut self, frame_len: usize, is_first: bool) -> Result<bool, End> {
        let reply = self.model.received(b'D', &[], |_| ()).map_err(End::server)?;
        let statement = reply.statement;
        if let Owner::Open(Ticket::Refused { .. }) = reply.owner {
            return Err(End::server("a message that cannot succeed gives rows"));
        }
        if is_first && self.masks.is_on() {
            // A Query's rows follow its RowDescription, which set the plan.
            if let Owner::Open(Ticket::Execute { portal, .. }) = reply.owner {
                let portal = Rc::clone(portal);
                let expected = || self.expected_of_portal(&portal);
                self.plan = portal
                    .plan(self.masks.scans(), &self.masks.tags, expected)
                    .unwrap_or_else(|| Rc::new(Plan::suspicious(0)));
            }
        }
        if self.limited.is_some() && !self.takes_row(statement, frame_len as u64) {
            return Ok(false);
        }
        self.tally.rows += 1;
        self.tally.bytes += frame_len as u64;
        Ok(true)
    }

    /// Takes the rows that lie whole behind one, up to the first message of another kind: nothing can change between
    /// them. Says where each begins.
    #[inline]
    fn following_rows(&mut self, chunk: &[u8], at: &mut usize, mut begins: impl FnMut(usize)) {
        let start = *at;
        let mut rows = 0;
        let (rows_max, bytes_max) = self.room_for_rows();
        while let Some([b'D', a, b, c, d]) = chunk
            .get(*at..)
            .and_then(|rest| rest.first_chunk::<HEADER_BYTES>())
        {
            let len = u32::from_be_bytes([*a, *b, *c, *d]);
            // Of other lengths the deframer says what they mean.
            if !(ROW_LEN_MIN..=GATHERED_BYTES_MAX).contains(&len) || chunk.len() - *at <= len as usize {
                break;
            }
            let end = *at + 1 + len as usize;
            if rows >= rows_max || (end - start) as u64 > bytes_max {
                break;
            }
            begins(*at);
            *at = end;
            rows += 1;
        }
        let bytes = (*at - start) as u64;
        self.tally.rows += rows;
        self.tally.bytes += bytes;
        if self.limited.is_some() {
            self.rows_given(rows, bytes);
        }
    }

    /// A piece of COPY data, mostly a row. Says whether it goes to the client.
    fn copy_data(&mut self, frame_len: usize) -> Result<bool, End> {
        let reply = self.model.received(b'd', &[], |_| ()).map_err(End::server)?;
        let statement = reply.statement;
        if self.limited.is_some() && !self.takes_row(statement, frame_len as u64) {
            return Ok(false);
        }
        self.tally.bytes += frame_len as u64;
        Ok(true)
    }

    /// Masks one row, which is a frame of its own. Says whether it goes to the client: budgets may have no room for it.
    fn mask_row(&mut self, frame: &mut Received) -> Result<bool, End> {
        let before = self.tally.masked;
        let masked = &mut self.tally.masked;
        if self.plan.rewrites()
            && let Some(rewritten) = rows::rewrite(frame, &self.plan, masked).map_err(End::server)?
        {
            *frame = Received::from(rewritten);
        }
        if self.plan.scans()
            && rows::scan(frame, &[0], &self.plan, self.masks.classes, masked) == Scanned::Unreadable
        {
            let readable = rows::without_unreadable(frame, &self.plan).map_err(End::server)?;
            *frame = Received::from(readable);
        }
        if self.limited.is_some() && !self.charge_masked_row() {
            self.tally.masked = before;
            self.row_withheld(frame.len() as u64);
            return Ok(false);
        }
        Ok(true)
    }

    fn mask_copy_data(&mut self, frames: &mut [u8]) -> Result<(), End> {
        match &mut self.copy_out {
            Some(copy) => copy.mask(frames, &mut self.tally.masked).map_err(End::server),
            None => Ok(()),
        }
    }

    /// Masks the run at the end of what is decided. Rows that cannot stay as long as they are are sent on at once, with
    /// all before them; how much of the chunk that was is returned.
    fn mask_run(
        &mut self,
        run: &mut Run,
        chunk: &mut Received,
        starts: &[usize],
        out: &mut Output,
    ) -> Result<usize, End> {
        match std::mem::replace(run, Run::Nothing) {
            Run::Nothing => Ok(0),
            Run::Rows(range) => {
                let frames = chunk.get_mut(range.clone()).unwrap_or_default();
                let masked = &mut self.tally.masked;
                match rows::scan(frames, starts, &self.plan, self.masks.classes, masked) {
                    Scanned::Masked => Ok(0),
                    Scanned::Unreadable => {
                        let readable = rows::without_unreadable(frames, &self.plan).map_err(End::server)?;
                        forward(chunk, range.start, out);
                        chunk.advance(range.len());
                        out.to_client.push(readable.into());
                        Ok(range.end)
                    }
                }
            }
            Run::CopyData(range) => {
                self.mask_copy_data(chunk.get_mut(range).unwrap_or_default())?;
                Ok(0)
            }
        }
    }

    /// Takes a frame that does not go to the client out of a chunk; what stands before it is sent on.
    fn withhold(
        &mut self,
        frame: Range<usize>,
        run: &mut Run,
        chunk: &mut Received,
        starts: &[usize],
        out: &mut Output,
    ) -> Result<(), End> {
        let sent = self.mask_run(run, chunk, starts, out)?;
        forward(chunk, frame.start - sent, out);
        chunk.advance(frame.len());
        Ok(())
    }

    /// A message in parts begins.
    fn begin_part(&mut self, tag: u8, frame_len: usize) -> Result<(), End> {
        match tag {
            b'D' => {
                if !self.row(frame_len, true)? || !self.takes_parts(frame_len as u64) {
                    self.large_text = Some(LargeText::Dropped);
                } else if self.masks.is_on() && !self.plan.passes() {
                    let row = LargeRow::new(Rc::clone(&self.plan), self.masks.classes);
                    self.large_row = Some(Box::new(row));
                }
            }
            b'd' => {
                if !self.copy_data(frame_len)? {
                    self.large_text = Some(LargeText::Dropped);
                } else if let Some(copy) = &mut self.copy_out {
                    copy.begin_part();
                }
            }
            _ => {
                if tag == b'E' {
                    self.error_comes(frame_len);
                }
                self.large_text = Some(LargeText::Head(Vec::new()));
            }
        }
        Ok(())
    }

    /// A part of an error, notice or function's result; the first one begins with the header.
    fn text_part(&mut self, mut part: Received, last: bool, out: &mut Output) -> Result<(), End> {
        let Some(mut text) = self.large_text.take() else {
            return Ok(());
        };
        if matches!(text, LargeText::Head(_)) {
            let Some(head) = text.head(&part, last) else {
                self.large_text = Some(text);
                return Ok(());
            };
            let tag = head.first().copied().unwrap_or_default();
            text = match self.reply(&mut excerpt(&head))? {
                Delivery::Forward if matches!(tag, b'E' | b'N') && self.masks.scans() => {
                    LargeText::Scanned(Box::new(LargeValue::new(self.masks.classes)))
                }
                Delivery::Forward => LargeText::Passes,
                Delivery::ForwardBehind(before) => {
                    out.to_client.push(before.into());
                    LargeText::Passes
                }
                Delivery::Replace(instead) => {
                    out.to_client.push(instead.into());
                    LargeText::Dropped
                }
                Delivery::Hide => LargeText::Dropped,
            };
            part = Received::from(head);
            let header = part.split_to(HEADER_BYTES.min(part.len()));
            if !matches!(text, LargeText::Dropped) {
                out.to_client.push(header.into());
            }
        }
        let passed = text.part(part, last, &mut self.tally.masked);
        self.count_copied(passed.len());
        if !passed.is_empty() {
            out.to_client.push(passed.into());
        }
        if !last {
            self.large_text = Some(text);
        }
        Ok(())
    }

    /// A part of a message; the first one may begin with the header.
    fn part(
        &mut self,
        tag: u8,
        mut part: Received,
        first: bool,
        last: bool,
        out: &mut Output,
    ) -> Result<(), End> {
        let body = if first { HEADER_BYTES.min(part.len()) } else { 0 };
        if self.large_text.is_some() {
            return self.text_part(part, last, out);
        }
        let Self {
            large_row,
            copy_out,
            tally,
            ..
        } = self;
        let masked = match (tag, large_row, copy_out) {
            (b'D', Some(row), _) => row
                .part(part.get(body..).unwrap_or_default(), &mut tally.masked)
                .map_err(row_end)?,
            (b'd', _, Some(copy)) => copy
                .part(part.get_mut(body..).unwrap_or_default(), last, &mut tally.masked)
                .map_err(End::server)?,
            _ => {
                out.to_client.push(part.into());
                return Ok(());
            }
        };
        if body > 0 {
            let mut head = part;
            head.truncate(body);
            out.to_client.push(head.into());
        }
        if !masked.is_empty() {
            self.count_copied(masked.len());
            out.to_client.push(masked.into());
        }
        if last {
            self.large_row = None;
        }
        Ok(())
    }
}

/// A row in parts that cannot be masked ends the session.
fn row_end(error: LargeRowError) -> End {
    match error {
        LargeRowError::Unreadable(why @ Unreadable::TooDeep) => End::new(
            EndReason::ServerProtocol,
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("{why}, which is not masked in rows over 64 KiB"),
        ),
        error => End::server(error),
    }
}

/// Sends the front of a chunk down.
fn forward(chunk: &mut Received, len: usize, out: &mut Output) {
    if len > 0 {
        out.to_client.push(chunk.take_front(len).into());
    }
}

/// How each message is wanted; what no server may send has a limit of nothing.
fn take(header: Header, is_masked: bool) -> Take {
    match header.tag {
        b'D' | b'd' if !is_masked || header.len > GATHERED_BYTES_MAX => Take::Parts,
        b'E' | b'N' | b'V' if header.len > READ_BYTES_MAX => Take::Parts,
        b'D' | b'd' => Take::Whole { limit: FRAME_LEN_MAX },
        tag if is_backend_tag(tag) => Take::Whole {
            limit: READ_BYTES_MAX,
        },
        _ => Take::Whole { limit: 0 },
    }
}
