//! Bodies of the fuzz targets, replayed by plain tests. Each takes any bytes and asserts what must always hold.

use super::backend::{self, row};
use super::deframer::{Deframer, Piece, Take};
use super::frontend;
use super::model::{Model, Owner, PIPELINE_MAX, Sent};
use super::scram::{self, client, server};
use super::startup::{self, options};

/// Frames are the same however the stream is cut: the first byte says into chunks of which length.
pub fn fuzz_frames(data: &[u8]) {
    let Some((size, wire)) = data.split_first() else {
        return;
    };
    let whole = frames(wire, wire.len().max(1));
    let cut = frames(wire, usize::from(*size).max(1));
    // An error shows earlier or later, but the frames before it are the same.
    let common = whole.len().min(cut.len());
    assert_eq!(whole.get(..common), cut.get(..common));
    let joined: usize = cut.iter().map(Vec::len).sum();
    assert!(joined <= wire.len());
}

/// Takes frames with an even tag whole and the others in parts, and puts the parts together again.
fn frames(wire: &[u8], size: usize) -> Vec<Vec<u8>> {
    let mut deframer = Deframer::new();
    let mut frames = Vec::new();
    let mut parts: Vec<u8> = Vec::new();
    for chunk in wire.chunks(size) {
        let mut at = 0;
        loop {
            let take = |header: super::Header| match header.tag % 2 {
                0 => Take::Whole { limit: 1 << 20 },
                _ => Take::Parts,
            };
            match deframer.next(chunk, &mut at, take) {
                Ok(Piece::Frame { start, end }) => frames.push(chunk[start..end].to_vec()),
                Ok(Piece::Gathered) => frames.push(deframer.gathered().to_vec()),
                Ok(Piece::Head { .. }) => parts.extend_from_slice(deframer.gathered()),
                Ok(Piece::Part {
                    start,
                    end,
                    last,
                    frame_len,
                    ..
                }) => {
                    parts.extend_from_slice(&chunk[start..end]);
                    if last {
                        assert_eq!(parts.len(), frame_len);
                        frames.push(std::mem::take(&mut parts));
                    }
                }
                Ok(Piece::NeedMore) => break,
                Err(_) => return frames,
            }
            assert!(at <= chunk.len());
        }
        assert_eq!(at, chunk.len());
    }
    frames
}

/// A first packet is complete, incomplete or refused, and its parts lie in it.
pub fn fuzz_startup(data: &[u8]) {
    match startup::parse(data) {
        Ok(startup::Parsed::Packet { packet, used }) => {
            assert!(used <= data.len());
            if let startup::Packet::Startup(message) = packet {
                assert!(message.parameters().all(|parameter| !parameter.name.is_empty()));
                let mut out = Vec::new();
                message.negotiate(&mut out);
                if let Some(line) = message.options() {
                    let _ = options::settings(line);
                }
            }
        }
        Ok(startup::Parsed::Incomplete { need }) => assert!(need > data.len()),
        Err(_) => {}
    }
    let arguments = options::split(data);
    assert!(arguments.iter().map(Vec::len).sum::<usize>() <= data.len());
}

/// No body of a client makes a parser panic, and counts hold.
pub fn fuzz_frontend(body: &[u8]) {
    let _ = frontend::query(body);
    let _ = frontend::empty(body);
    let _ = frontend::copy_fail(body);
    let _ = frontend::Target::parse(body);
    let _ = frontend::Execute::parse(body);
    let _ = frontend::SaslInitialResponse::parse(body);
    if let Ok(parse) = frontend::Parse::parse(body) {
        assert_eq!(
            parse.parameter_types.iter().count(),
            parse.parameter_types.count()
        );
    }
    if let Ok(bind) = frontend::Bind::parse(body) {
        assert_eq!(
            bind.parameters.iter().count(),
            usize::from(bind.parameters.count())
        );
        let head = frontend::BindHead::parse(body);
        assert_eq!(
            head,
            Some(frontend::BindHead {
                portal: bind.portal,
                statement: bind.statement
            })
        );
    }
    if let Ok(call) = frontend::FunctionCall::parse(body) {
        assert_eq!(call.arguments.iter().count(), usize::from(call.arguments.count()));
        assert_eq!(frontend::FunctionCall::function_of(body), Some(call.function));
    }
}

/// No body of a server makes a parser panic, and a row walked in parts has the fields of the row walked whole.
pub fn fuzz_backend(body: &[u8]) {
    if let Ok(backend::Authentication::Sasl(mechanisms)) = backend::Authentication::parse(body) {
        assert!(mechanisms.iter().count() <= body.len());
    }
    let _ = backend::backend_key_data(body);
    let _ = backend::ParameterStatus::parse(body);
    let _ = backend::parameter_description(body);
    let _ = backend::CommandComplete::parse(body);
    let _ = backend::ready_for_query(body);
    let _ = backend::CopyResponse::parse(body);
    let _ = backend::Notification::parse(body);
    let _ = backend::function_call_response(body);
    let _ = backend::NegotiateProtocolVersion::parse(body);
    if let Ok(description) = backend::RowDescription::parse(body) {
        assert_eq!(description.iter().count(), usize::from(description.count()));
    }
    if let Ok(fields) = backend::Fields::parse(body) {
        for field in fields.iter() {
            assert_eq!(
                body.get(field.start..field.start + field.value.len()),
                Some(field.value)
            );
        }
    }
    for size in [1, 3, body.len().max(1)] {
        assert_eq!(row_in_parts(body, size), row_whole(body), "parts of {size} bytes");
    }
}

type Row = Option<Vec<Option<Vec<u8>>>>;

fn row_whole(body: &[u8]) -> Row {
    let mut fields = row::Fields::parse(body).ok()?;
    let mut values = Vec::new();
    while let Some(place) = fields.next_field().ok()? {
        values.push(match place {
            row::Place::Null => None,
            row::Place::Value { start, end } => Some(body.get(start..end)?.to_vec()),
        });
    }
    Some(values)
}

fn row_in_parts(body: &[u8], size: usize) -> Row {
    let mut walk = row::PartWalk::new();
    let mut values: Vec<Option<Vec<u8>>> = Vec::new();
    for part in body.chunks(size) {
        let mut at = 0;
        loop {
            match walk.next(part, &mut at).ok()? {
                row::PartPiece::Null { .. } => values.push(None),
                row::PartPiece::Value {
                    index,
                    start,
                    end,
                    first,
                    last,
                    len,
                } => {
                    if first {
                        values.push(Some(Vec::new()));
                    }
                    let value = values.get_mut(usize::from(index))?.as_mut()?;
                    value.extend_from_slice(part.get(start..end)?);
                    assert_eq!(last, value.len() == len);
                }
                row::PartPiece::NeedMore => break,
            }
        }
    }
    walk.is_done().then_some(values)
}

/// Whatever the two sides send, every tag given to the model comes back once, and in order.
pub fn fuzz_model(data: &[u8]) {
    const KINDS: [Sent; 13] = [
        Sent::Query,
        Sent::Parse,
        Sent::Bind,
        Sent::DescribeStatement,
        Sent::DescribePortal,
        Sent::Execute,
        Sent::Close,
        Sent::Flush,
        Sent::Sync,
        Sent::FunctionCall,
        Sent::CopyData,
        Sent::CopyDone,
        Sent::CopyFail,
    ];
    const TAGS: &[u8] = b"TDCIEZ123sntVGHdcNSAW";
    const ERRORS: [&[u8]; 3] = [
        b"VERROR\0C42601\0\0",
        b"VERROR\0C57014\0\0",
        b"VFATAL\0C57P01\0\0",
    ];

    let mut model = Model::new();
    let mut given = 0_u32;
    let mut returned = Vec::new();
    for &byte in data {
        let choice = usize::from(byte & 0x7f);
        if byte < 0x80 {
            let Ok(placed) = model.sent(KINDS[choice % KINDS.len()], given) else {
                break;
            };
            if let super::model::Placed::Skipped(tag) | super::model::Placed::Silent(tag) = placed {
                returned.push(tag);
            }
            given += 1;
            continue;
        }
        let tag = TAGS[choice % TAGS.len()];
        let body = match tag {
            b'Z' => [&b"I"[..], b"T", b"E"][choice % 3],
            b'E' => ERRORS[choice % ERRORS.len()],
            _ => b"",
        };
        match model.received(tag, body, |tag| returned.push(tag)) {
            Ok(reply) => {
                if let Owner::Done(tag) = reply.owner {
                    returned.push(tag);
                }
            }
            Err(_) => break,
        }
        assert_eq!(model.pending() + model.room(), PIPELINE_MAX);
    }
    if model.is_idle() {
        assert_eq!(model.pending(), 0);
    }
    returned.extend(model.drain());
    returned.sort_unstable();
    // An item that broke an error's way may be lost with the session; none comes twice.
    assert!(returned.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(returned.len() <= given as usize);
}

/// No message of a peer makes an exchange panic or succeed without the password.
pub fn fuzz_scram(data: &[u8]) {
    let _ = scram::end_point::hash(data);
    let iterations = std::num::NonZeroU32::MIN;
    for binding in [
        server::Binding::None,
        server::Binding::TlsServerEndPoint(vec![7; 32]),
    ] {
        for mechanism in [scram::SCRAM_SHA_256, scram::SCRAM_SHA_256_PLUS] {
            let Ok(exchange) = server::Exchange::begin(mechanism, &binding, data) else {
                continue;
            };
            let (exchange, _) = exchange.challenge(scram::Verifier::mock(b"s", data, iterations), [1; 18]);
            assert!(exchange.check(data).is_err());
        }
    }
    if let Ok((start, _)) = client::Start::new([scram::SCRAM_SHA_256], client::Binding::None, [2; 18])
        && let Ok(challenge) = start.challenged(data, 10)
    {
        let keys = scram::derive(b"x", challenge.salt(), challenge.iterations());
        let (proven, _) = challenge.prove(&keys);
        assert!(proven.check(data).is_err());
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(verifier) = scram::Verifier::parse(text)
    {
        assert_eq!(scram::Verifier::parse(&verifier.to_text()), Ok(verifier));
    }
}

#[cfg(test)]
mod tests;
