//! The few PostgreSQL 3.0 frames that the bench's programs send and read.
//!
//! "Message Formats", PostgreSQL 17 docs, 53.7. Lengths count themselves but not the type byte.

/// Protocol version 3.0 of a start-up packet.
pub const VERSION_3_0: u32 = 196_608;
/// Code of a CancelRequest.
pub const CANCEL_REQUEST: u32 = 80_877_102;
/// Code of an SSLRequest.
pub const SSL_REQUEST: u32 = 80_877_103;
/// Code of a GSSENCRequest.
pub const GSSENC_REQUEST: u32 = 80_877_104;
/// Start-up packets longer than this are refused, as the server does.
pub const STARTUP_LEN_MAX: usize = 10_000;
/// Frames from clients longer than this are refused.
pub const FRAME_LEN_MAX: usize = 64 << 20;

/// Text types as they stand in descriptions.
pub const OID_INT4: u32 = 23;
/// `text`.
pub const OID_TEXT: u32 = 25;
/// `numeric`.
pub const OID_NUMERIC: u32 = 1700;

/// Appends one frame whose body `write` appends.
pub fn frame(out: &mut Vec<u8>, tag: u8, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    packet(out, write);
}

/// Appends a length word and the body that `write` appends: a start-up packet.
pub fn packet(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let len = u32::try_from(out.len() - start).expect("frames of the bench are small");
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
}

/// Appends `text` and a zero byte.
pub fn text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(text);
    out.push(0);
}

/// Appends an i16.
pub fn int16(out: &mut Vec<u8>, value: usize) {
    let value = i16::try_from(value).expect("counts of the bench are small");
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a u32.
pub fn int32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a counted value.
pub fn value(out: &mut Vec<u8>, bytes: &[u8]) {
    int32(
        out,
        u32::try_from(bytes.len()).expect("values of the bench are small"),
    );
    out.extend_from_slice(bytes);
}

/// The u32 at `at`, if it is there.
pub fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The zero-terminated text at the front of `bytes`, and what follows it.
pub fn split_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

/// Appends a StartupMessage.
pub fn startup(out: &mut Vec<u8>, parameters: &[(&str, &str)]) {
    packet(out, |out| {
        int32(out, VERSION_3_0);
        for (name, setting) in parameters {
            text(out, name.as_bytes());
            text(out, setting.as_bytes());
        }
        out.push(0);
    });
}

/// Appends an SSLRequest.
pub fn ssl_request(out: &mut Vec<u8>) {
    packet(out, |out| int32(out, SSL_REQUEST));
}

/// Appends a Sync.
pub fn sync(out: &mut Vec<u8>) {
    out.extend_from_slice(b"S\0\0\0\x04");
}

/// Appends a Terminate.
pub fn terminate(out: &mut Vec<u8>) {
    out.extend_from_slice(b"X\0\0\0\x04");
}

/// Appends a ReadyForQuery.
pub fn ready(out: &mut Vec<u8>, status: u8) {
    out.extend_from_slice(b"Z\0\0\0\x05");
    out.push(status);
}

/// Appends a CommandComplete.
pub fn complete(out: &mut Vec<u8>, tag: &str) {
    frame(out, b'C', |out| text(out, tag.as_bytes()));
}

/// Appends a ParameterStatus.
pub fn parameter_status(out: &mut Vec<u8>, name: &str, setting: &str) {
    frame(out, b'S', |out| {
        text(out, name.as_bytes());
        text(out, setting.as_bytes());
    });
}

/// Appends an ErrorResponse.
pub fn error(out: &mut Vec<u8>, sqlstate: &str, message: &str) {
    frame(out, b'E', |out| {
        for (field, content) in [
            (b'S', "ERROR"),
            (b'V', "ERROR"),
            (b'C', sqlstate),
            (b'M', message),
        ] {
            out.push(field);
            text(out, content.as_bytes());
        }
        out.push(0);
    });
}

/// The SQLSTATE and message of an ErrorResponse's body, for people.
pub fn error_text(body: &[u8]) -> String {
    let mut rest = body;
    let mut parts = Vec::new();
    while let Some((&field, after)) = rest.split_first() {
        let Some((content, next)) = split_text(after) else {
            break;
        };
        if matches!(field, b'C' | b'M' | b'D') {
            parts.push(String::from_utf8_lossy(content).into_owned());
        }
        rest = next;
    }
    parts.join(": ")
}

/// Appends a RowDescription of columns in text format.
pub fn row_description(out: &mut Vec<u8>, columns: &[(&str, u32)]) {
    frame(out, b'T', |out| {
        int16(out, columns.len());
        for (name, oid) in columns {
            text(out, name.as_bytes());
            int32(out, 0);
            int16(out, 0);
            int32(out, *oid);
            let len: i16 = if *oid == OID_INT4 { 4 } else { -1 };
            out.extend_from_slice(&len.to_be_bytes());
            out.extend_from_slice(&(-1i32).to_be_bytes());
            int16(out, 0);
        }
    });
}

/// Appends a DataRow.
pub fn data_row<'a>(out: &mut Vec<u8>, values: impl ExactSizeIterator<Item = &'a [u8]>) {
    frame(out, b'D', |out| {
        int16(out, values.len());
        for bytes in values {
            value(out, bytes);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_encoded_as_documented() {
        type Write = fn(&mut Vec<u8>);
        let table: &[(&str, Write, &[u8])] = &[
            ("sync", sync, b"S\0\0\0\x04"),
            ("ready", |out| ready(out, b'T'), b"Z\0\0\0\x05T"),
            ("complete", |out| complete(out, "SET"), b"C\0\0\0\x08SET\0"),
            ("ssl request", ssl_request, b"\0\0\0\x08\x04\xd2\x16\x2f"),
            (
                "startup",
                |out| startup(out, &[("user", "a")]),
                b"\0\0\0\x10\0\x03\0\0user\0a\0\0",
            ),
            (
                "data row",
                |out| data_row(out, [&b"ab"[..], b""].into_iter()),
                b"D\0\0\0\x10\0\x02\0\0\0\x02ab\0\0\0\0",
            ),
        ];
        for (name, write, want) in table {
            let mut out = Vec::new();
            write(&mut out);
            assert_eq!(out, *want, "{name}");
        }
    }

    #[test]
    fn an_error_reads_back() {
        let mut out = Vec::new();
        error(&mut out, "42501", "no");
        assert_eq!(error_text(&out[5..]), "42501: no");
        assert_eq!(error_text(b"Cbroken"), "");
    }
}
