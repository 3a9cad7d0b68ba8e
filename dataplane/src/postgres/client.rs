//! What the client sends: each message is judged, recorded and forwarded, or replaced by one that fails.
//!
//! This file cuts the stream and forwards; [`requests`] takes each kind of message ([`query`] a Query), [`judging`] asks
//! the gate about its statements, [`limits`] what they are held to, [`recording`] commits their begins, [`foresight`]
//! notes what they may change, and [`explained`] tells of a denial.

mod explained;
mod foresight;
mod judging;
mod limits;
mod parameters;
mod query;
mod recording;
mod requests;
mod spending;

use std::ops::Range;
use std::rc::Rc;

use bytes::Bytes;
use sluice_audit::record::Outcome as Ending;
use sluice_parsers::postgres::frame::{HEADER_BYTES, frontend_len_max};
use sluice_parsers::postgres::frontend::{BindHead, FunctionCall, Parse, encode};
use sluice_parsers::postgres::{Deframer, Header, Piece, Placed, ProtocolError, Sent, SqlState, Take};
use sluice_runtime::net::Received;
use sluice_runtime::time::Moment;

pub(super) use self::explained::detail_of_budget;
pub(super) use self::spending::ValuesReadBy;
use super::deny::Kind;
use super::session::{End, Output, Session};
use super::statements::{Prepared, Ticket};
use crate::gate::{Brief, Errand, Finding};

/// Bind and FunctionCall messages over this pass in parts: their values may be of any size.
const GATHERED_BYTES_MAX: u32 = 64 * 1024;

/// The names at the front of a Bind that comes in parts; no client has longer ones.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Room for a message's name, OIDs and length beside its statement's text.
const TEXT_MARGIN_BYTES: u32 = 512 * 1024;

/// What a client is told whose statement would have to be analysed again and cannot be now.
const PREPARE_AGAIN: &str =
    "sluice: what this statement's names mean may have changed since it was prepared; prepare it again";

/// What becomes of the client's bytes.
pub(crate) enum ClientFlow {
    /// All were taken.
    Done,
    /// A statement has to be analysed away from the core; then [`Session::resume`].
    Away(Errand, Pending),
    /// The catalog has to be looked at again; then [`Session::resume_looked`].
    Look(Pending),
    /// The rest is to be given again when [`Session::has_room`] and not [`Session::is_held`].
    Wait(Received),
    /// The client said goodbye.
    Terminate,
}

/// A message that waits for its analysis, with what came behind it.
pub(crate) struct Pending {
    frame: Bytes,
    rest: Received,
    /// The prepared statement that is analysed again, if it is not the message's own text.
    of: Option<Rc<Prepared>>,
    waited: Waited,
}

/// What a message has waited for: that has an end, whatever else changes meanwhile.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waited {
    /// The catalog was read for it.
    pub(super) has_looked: bool,
    /// That was the last that it waited for.
    pub(super) has_just_looked: bool,
    /// Analyses that were made for it.
    pub(super) analyses: u8,
}

/// A message whose names mean something else after each of so many analyses is refused.
const ANALYSES_MAX: u8 = 5;

/// What the client is told then.
const CHANGES_TOO_FAST: &str =
    "sluice: what this statement's names mean has changed whenever it was analysed; send it again";

/// What the client is told that cancels a statement before it is sent.
const CANCELLED: &str = "sluice: canceling statement due to user request";

/// A message that comes in parts.
#[derive(Debug, Default)]
pub(super) enum Passing {
    #[default]
    Nothing,
    /// Its parts go up.
    Forward,
    /// Its parts are thrown away: another message went up instead.
    Swallow,
    /// Its front is gathered until it can be judged.
    Head { tag: u8, bytes: Vec<u8> },
}

/// A message that has waited, as it came; nobody else has it any more.
fn received_again(frame: Bytes) -> Received {
    debug_assert!(frame.is_unique());
    Received::from(Vec::from(frame))
}

/// The messages that are replaced by ones that fail.
fn kind_of(tag: u8) -> Option<Kind> {
    Some(match tag {
        b'Q' => Kind::Query,
        b'P' => Kind::Parse,
        b'B' => Kind::Bind,
        b'E' => Kind::Execute,
        b'F' => Kind::FunctionCall,
        _ => return None,
    })
}

/// What is to be done with a message.
enum Act {
    Forward,
    /// These bytes go up in front of it.
    ForwardBehind(Vec<u8>),
    /// These bytes go up instead.
    Replace(Vec<u8>),
    /// A text has to be analysed away from the core first.
    Away(Box<Away>),
    /// The catalog has to be looked at again before it is judged.
    Look,
    Terminate,
}

/// What has to be analysed away from the core.
struct Away {
    brief: Box<Brief>,
    text: TextOf,
}

/// Whose text that is.
enum TextOf {
    /// The message's own, at this place of its frame.
    Message(Range<usize>),
    /// That of a prepared statement which the message runs.
    Prepared(Rc<Prepared>),
}

impl Session {
    /// Takes bytes of the client, which were received at that moment.
    pub(crate) fn on_client(
        &mut self,
        chunk: Received,
        received: Moment,
        out: &mut Output,
    ) -> Result<ClientFlow, End> {
        let mut deframer = std::mem::take(&mut self.from_client);
        let flow = self.cut_client(&mut deframer, chunk, received, out);
        self.from_client = deframer;
        flow
    }

    /// Goes on with a message whose analysis has come back, and with what came behind it.
    pub(crate) fn resume(
        &mut self,
        pending: Pending,
        finding: Finding,
        received: Moment,
        out: &mut Output,
    ) -> Result<ClientFlow, End> {
        // What it has to wait for may have come up meanwhile.
        if !self.has_room() || pending.frame.first().is_some_and(|tag| self.waits(*tag)) {
            let again = [&pending.frame[..], &pending.rest[..]].concat();
            self.count_copied(again.len());
            return self.on_client(Received::from(again), received, out);
        }
        let finding = match &pending.of {
            Some(prepared) => {
                self.adopt(prepared, finding);
                None
            }
            None => Some(finding),
        };
        self.go_on(pending, finding, received, out)
    }

    /// Goes on with a message for which the catalog was looked at again, and with what came behind it.
    pub(crate) fn resume_looked(
        &mut self,
        pending: Pending,
        received: Moment,
        out: &mut Output,
    ) -> Result<ClientFlow, End> {
        self.go_on(pending, None, received, out)
    }

    /// Whether a cancel is for the message that waits: nothing of the client's runs, and it would run something.
    pub(crate) fn can_withdraw(&self, pending: &Pending) -> bool {
        self.model.is_idle() && pending.frame.first().copied().and_then(kind_of).is_some()
    }

    /// The client has cancelled a message that waits: it fails as one does that the server was told to cancel.
    pub(crate) fn withdraw(
        &mut self,
        pending: Pending,
        received: Moment,
        out: &mut Output,
    ) -> Result<ClientFlow, End> {
        let Pending { frame, rest, .. } = pending;
        let kind = frame.first().copied().and_then(kind_of).unwrap_or(Kind::Query);
        let parse = Parse::parse(frame.get(HEADER_BYTES..).unwrap_or_default());
        let name: &[u8] = match &parse {
            Ok(parse) if kind == Kind::Parse => parse.name,
            _ => b"",
        };
        let refusal = kind.refusal(SqlState::QUERY_CANCELED, CANCELLED);
        let instead = self.replacement(kind, name, refusal, received)?;
        out.to_server.push(instead.into());
        self.on_client(rest, Moment::now(), out)
    }

    fn go_on(
        &mut self,
        pending: Pending,
        finding: Option<Finding>,
        received: Moment,
        out: &mut Output,
    ) -> Result<ClientFlow, End> {
        let Pending {
            frame,
            mut rest,
            waited,
            ..
        } = pending;
        self.waited = waited;
        let act = self.request(&frame, finding, received);
        let flow = act.map(|act| self.act(act, received_again(frame), &mut rest, out));
        self.waited = Waited::default();
        match flow? {
            Some(flow) => Ok(flow),
            None => self.on_client(rest, Moment::now(), out),
        }
    }

    fn cut_client(
        &mut self,
        deframer: &mut Deframer,
        mut chunk: Received,
        received: Moment,
        out: &mut Output,
    ) -> Result<ClientFlow, End> {
        let text_max = u32::try_from(self.core.settings.limits.max_statement_bytes).unwrap_or(u32::MAX);
        // `chunk[..at]` is decided, and goes up from where it lies when something else has to go up behind it.
        let mut at = 0;
        loop {
            let has_to_wait = !self.has_room()
                || deframer.is_clear() && {
                    let tag = chunk.get(at).copied();
                    tag.is_some_and(|tag| self.waits(tag))
                };
            if has_to_wait {
                forward(&mut chunk, at, out);
                if self.wants_state() {
                    self.ask_for_state(out)?;
                } else if self.hidden.is_none() && self.is_held() {
                    // A Sync that the server reads among COPY data makes it send nothing of what it has.
                    self.sent(Sent::Flush, Ticket::Plain, received)?;
                    let mut flush = Vec::new();
                    encode::flush(&mut flush);
                    out.to_server.push(flush.into());
                }
                return Ok(ClientFlow::Wait(chunk));
            }
            let decided = at;
            // What is recorded as begun goes up, whatever follows.
            let piece = match deframer.next(&chunk, &mut at, |header| take(header, text_max)) {
                Ok(piece) => piece,
                Err(error) => {
                    forward(&mut chunk, decided, out);
                    return Err(End::hostile(&with_tag(error)));
                }
            };
            if let Piece::Frame { start, end } = piece {
                match self.request(&chunk[start..end], None, received) {
                    Ok(Act::Forward) => {}
                    Ok(act) => {
                        forward(&mut chunk, start, out);
                        let frame = chunk.split_to(end - start);
                        at = 0;
                        if let Some(flow) = self.act(act, frame, &mut chunk, out) {
                            return Ok(flow);
                        }
                    }
                    Err(end) => {
                        forward(&mut chunk, decided, out);
                        return Err(end);
                    }
                }
                continue;
            }
            forward(&mut chunk, decided, out);
            at -= decided;
            match piece {
                Piece::Frame { .. } => {}
                Piece::NeedMore => {
                    self.count_copied(chunk.len());
                    return Ok(ClientFlow::Done);
                }
                Piece::Gathered => {
                    chunk.advance(at);
                    let act = self.request(deframer.gathered(), None, received)?;
                    let frame = Received::from(deframer.take_gathered());
                    if let Some(flow) = self.act(act, frame, &mut chunk, out) {
                        return Ok(flow);
                    }
                }
                Piece::Head { tag, .. } => {
                    chunk.advance(at);
                    self.begin_parts(tag, received, out)?;
                    self.pass_part(Received::from(deframer.gathered().to_vec()), received, out)?;
                }
                Piece::Part {
                    tag,
                    start,
                    end,
                    first,
                    last,
                    ..
                } => {
                    chunk.advance(start - decided);
                    let part = chunk.split_to(end - start);
                    if first {
                        self.begin_parts(tag, received, out)?;
                    }
                    self.pass_part(part, received, out)?;
                    if last {
                        self.end_parts()?;
                    }
                }
            }
            at = 0;
        }
    }

    /// Does what was decided of a whole message; `rest` is what came behind it.
    fn act(&self, act: Act, frame: Received, rest: &mut Received, out: &mut Output) -> Option<ClientFlow> {
        match act {
            Act::Forward => out.to_server.push(frame.into()),
            Act::ForwardBehind(before) => out.to_server.extend([before.into(), frame.into()]),
            Act::Replace(instead) => out.to_server.push(instead.into()),
            Act::Terminate => return Some(ClientFlow::Terminate),
            Act::Away(away) => {
                let Away { brief, text } = *away;
                let waited = Waited {
                    has_just_looked: false,
                    analyses: self.waited.analyses + 1,
                    ..self.waited
                };
                let (pending, text) = match text {
                    TextOf::Message(text) => {
                        let pending = self.pending(frame, rest, None, waited);
                        let text = pending.frame.slice(text);
                        (pending, text)
                    }
                    TextOf::Prepared(prepared) => {
                        let text = Bytes::copy_from_slice(&prepared.text);
                        (self.pending(frame, rest, Some(prepared), waited), text)
                    }
                };
                return Some(ClientFlow::Away(brief.about(text), pending));
            }
            Act::Look => {
                let waited = Waited {
                    has_looked: true,
                    has_just_looked: true,
                    ..self.waited
                };
                return Some(ClientFlow::Look(self.pending(frame, rest, None, waited)));
            }
        }
        None
    }

    /// A message that waits, and what came behind it.
    fn pending(
        &self,
        frame: Received,
        rest: &mut Received,
        of: Option<Rc<Prepared>>,
        waited: Waited,
    ) -> Pending {
        let frame = match frame.into_vec() {
            Ok(frame) => frame,
            Err(frame) => {
                self.count_copied(frame.len());
                frame.to_vec()
            }
        };
        let mut rest = rest.split_off(0);
        // It waits, and ring buffers are few.
        rest.detach();
        Pending {
            frame: frame.into(),
            rest,
            of,
            waited,
        }
    }

    /// Has a text analysed away from the core, unless that was tried often enough.
    fn send_away(
        &mut self,
        kind: Kind,
        name: &[u8],
        brief: Box<Brief>,
        text: TextOf,
        received: Moment,
    ) -> Result<Act, End> {
        if self.waited.analyses < ANALYSES_MAX {
            return Ok(Act::Away(Box::new(Away { brief, text })));
        }
        let refusal = kind.refusal(SqlState::SERIALIZATION_FAILURE, CHANGES_TOO_FAST);
        self.replace(kind, name, refusal, received)
    }

    /// A message in parts begins.
    fn begin_parts(&mut self, tag: u8, received: Moment, out: &mut Output) -> Result<(), End> {
        self.passing = match tag {
            b'd' => {
                self.sent(Sent::CopyData, Ticket::Plain, received)?;
                Passing::Forward
            }
            b'Q' | b'P' => {
                let kind = if tag == b'Q' { Kind::Query } else { Kind::Parse };
                out.to_server.push(self.refuse_long_text(kind, received)?.into());
                Passing::Swallow
            }
            tag => Passing::Head {
                tag,
                bytes: Vec::new(),
            },
        };
        Ok(())
    }

    /// A part of a message; the first one begins with the header.
    fn pass_part(&mut self, part: Received, received: Moment, out: &mut Output) -> Result<(), End> {
        match &mut self.passing {
            Passing::Nothing | Passing::Swallow => Ok(()),
            Passing::Forward => {
                out.to_server.push(part.into());
                Ok(())
            }
            Passing::Head { bytes, .. } => {
                bytes.extend_from_slice(&part);
                self.judge_head(received, out)
            }
        }
    }

    /// Judges a message in parts as soon as its front says what it is about.
    fn judge_head(&mut self, received: Moment, out: &mut Output) -> Result<(), End> {
        let Passing::Head { tag, bytes } = std::mem::take(&mut self.passing) else {
            return Ok(());
        };
        let body = bytes.get(HEADER_BYTES..).unwrap_or_default();
        let act = match tag {
            b'B' => BindHead::parse(body).map(|head| self.bind(head.portal, head.statement, None, received)),
            _ => FunctionCall::function_of(body).map(|function| self.function_call(function, received)),
        };
        self.passing = match act.transpose()? {
            None if bytes.len() > HEAD_BYTES_MAX => {
                return Err(End::hostile(&ProtocolError::NamesOverLimit {
                    tag,
                    limit: HEAD_BYTES_MAX,
                }));
            }
            None => Passing::Head { tag, bytes },
            Some(Act::Replace(instead)) => {
                out.to_server.push(instead.into());
                Passing::Swallow
            }
            // What follows in parts cannot wait for an analysis.
            Some(Act::Away(_) | Act::Look) => {
                let refusal = Kind::Bind.refusal(SqlState::FEATURE_NOT_SUPPORTED, PREPARE_AGAIN);
                let instead = self.replacement(Kind::Bind, b"", refusal, received)?;
                out.to_server.push(instead.into());
                Passing::Swallow
            }
            Some(_) => {
                out.to_server.push(bytes.into());
                Passing::Forward
            }
        };
        Ok(())
    }

    /// A message in parts is through.
    fn end_parts(&mut self) -> Result<(), End> {
        match std::mem::take(&mut self.passing) {
            // Its front never said what it is about.
            Passing::Head { bytes, .. } => Err(End::hostile(&ProtocolError::Truncated { at: bytes.len() })),
            Passing::Nothing | Passing::Forward | Passing::Swallow => Ok(()),
        }
    }

    /// Whether a message of the client waits for answers of the server.
    #[inline]
    fn waits(&self, tag: u8) -> bool {
        if self.limited.is_some() {
            return self.is_limited_ahead() && !matches!(tag, b'd' | b'c' | b'f' | b'X');
        }
        if self.state.is_settled() && self.hidden.is_none() {
            return false;
        }
        // What the server discards does nothing, and only a Sync ends that.
        if self.model.skips() {
            return self.hidden.is_some();
        }
        let depends = matches!(tag, b'Q' | b'P' | b'B' | b'E' | b'F');
        self.hidden.is_some() || depends && self.is_held() || tag != b'X' && self.wants_state()
    }

    /// Whether the session's state is to be read again and can be now.
    fn wants_state(&self) -> bool {
        self.hidden.is_none() && self.limited.is_none() && self.state.wants_reading() && self.model.is_idle()
    }

    /// Enters a message into the model before it goes up.
    fn sent(&mut self, what: Sent, ticket: Ticket, now: Moment) -> Result<(), End> {
        if what == Sent::Sync {
            self.statements.synced();
            self.portals.synced();
        }
        let ends_cycle = matches!(what, Sent::Query | Sent::Sync | Sent::FunctionCall);
        self.is_in_cycle = !ends_cycle;
        match self.model.sent(what, ticket).map_err(End::out_of_turn)? {
            Placed::Queued if ends_cycle => self.state.cycle_sent(),
            Placed::Queued => {}
            Placed::Skipped(ticket) | Placed::Silent(ticket) => {
                self.end_ticket(ticket, Ending::Skipped, now);
            }
        }
        Ok(())
    }
}

/// Sends the front of a chunk up.
fn forward(chunk: &mut Received, len: usize, out: &mut Output) {
    if len > 0 {
        out.to_server.push(chunk.take_front(len).into());
    }
}

/// A message that no client may send is unknown, not too long.
fn with_tag(error: ProtocolError) -> ProtocolError {
    match error {
        ProtocolError::FrameOverLimit { tag, limit: 0, .. } => ProtocolError::UnknownTag { tag },
        other => other,
    }
}

/// How each message is wanted; what no client may send has a limit of nothing.
fn take(header: Header, text_max: u32) -> Take {
    match header.tag {
        b'd' => Take::Parts,
        b'B' | b'F' if header.len > GATHERED_BYTES_MAX => Take::Parts,
        b'Q' | b'P' if header.len > text_max.saturating_add(TEXT_MARGIN_BYTES) => Take::Parts,
        tag => Take::Whole {
            limit: frontend_len_max(tag).unwrap_or(0),
        },
    }
}
