//! Every body cut at every byte, malformed ones by a table, and ours there and back.

use proptest::prelude::*;

use super::encode::Report;
use super::*;
use crate::postgres::frame::Frame;

type Parser = fn(&[u8]) -> Result<(), ProtocolError>;

const AUTHENTICATION: Parser = |body| Authentication::parse(body).map(|_| ());
const COLUMNS: Parser = |body| RowDescription::parse(body).map(|_| ());
const COPY: Parser = |body| CopyResponse::parse(body).map(|_| ());
const FIELDS: Parser = |body| Fields::parse(body).map(|_| ());
const READY: Parser = |body| ready_for_query(body).map(|_| ());

/// Well-formed bodies; each of their prefixes is not.
const WELL_FORMED: [(&str, Parser, &[u8]); 14] = [
    ("authentication ok", AUTHENTICATION, b"\0\0\0\0"),
    ("md5", AUTHENTICATION, b"\0\0\0\x05abcd"),
    ("SASL", AUTHENTICATION, b"\0\0\0\x0aSCRAM-SHA-256\0\0"),
    (
        "key data",
        |body| backend_key_data(body).map(|_| ()),
        b"\0\0\0\x01\0\0\0\x02",
    ),
    (
        "parameter status",
        |body| ParameterStatus::parse(body).map(|_| ()),
        b"TimeZone\0UTC\0",
    ),
    (
        "columns",
        COLUMNS,
        b"\0\x01n\0\0\0\0\x01\0\x02\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0",
    ),
    ("no columns", COLUMNS, b"\0\0"),
    (
        "parameters",
        |body| parameter_description(body).map(|_| ()),
        b"\0\x02\0\0\0\x17\0\0\0\x19",
    ),
    (
        "complete",
        |body| CommandComplete::parse(body).map(|_| ()),
        b"SELECT 1\0",
    ),
    ("ready", READY, b"I"),
    ("copy", COPY, b"\x01\0\x02\0\x01\0\x01"),
    (
        "notification",
        |body| Notification::parse(body).map(|_| ()),
        b"\0\0\0\x07c\0p\0",
    ),
    (
        "function result",
        |body| function_call_response(body).map(|_| ()),
        b"\0\0\0\x02ab",
    ),
    ("error", FIELDS, b"SERROR\0VERROR\0C42601\0Mno\0\0"),
];

#[test]
fn well_formed_bodies_cut_at_every_byte() {
    for (name, parser, body) in WELL_FORMED {
        assert_eq!(parser(body), Ok(()), "{name}");
        for cut in 0..body.len() {
            let end = parser(&body[..cut]);
            assert!(
                matches!(
                    end,
                    Err(ProtocolError::Truncated { .. } | ProtocolError::Unterminated)
                ),
                "{name} cut at {cut}: {end:?}"
            );
        }
        let longer = [body, b"\0"].concat();
        assert_eq!(
            parser(&longer),
            Err(ProtocolError::Trailing { left: 1 }),
            "{name} and a byte"
        );
    }
}

#[test]
fn malformed_bodies() {
    for (name, parser, body, want) in [
        (
            "unknown status",
            READY,
            &b"X"[..],
            ProtocolError::Selector { value: b'X' },
        ),
        (
            "copy format 2",
            COPY,
            b"\x02\0\0",
            ProtocolError::Format { value: 2 },
        ),
        (
            "column format 2",
            COLUMNS,
            b"\0\x01n\0\0\0\0\x01\0\x02\0\0\0\x17\0\x04\xff\xff\xff\xff\0\x02",
            ProtocolError::Format { value: 2 },
        ),
    ] {
        assert_eq!(parser(body), Err(want), "{name}");
    }
}

#[test]
fn authentication_messages() {
    for (name, body, want) in [
        ("cleartext", &b"\0\0\0\x03"[..], Authentication::CleartextPassword),
        (
            "md5",
            b"\0\0\0\x05abcd",
            Authentication::Md5Password { salt: *b"abcd" },
        ),
        ("continue", b"\0\0\0\x0br=x", Authentication::SaslContinue(b"r=x")),
        ("final", b"\0\0\0\x0cv=x", Authentication::SaslFinal(b"v=x")),
        ("GSSAPI", b"\0\0\0\x07", Authentication::Other { code: 7 }),
        (
            "GSSAPI data",
            b"\0\0\0\x08data",
            Authentication::Other { code: 8 },
        ),
    ] {
        assert_eq!(Authentication::parse(body), Ok(want), "{name}");
    }
    let Ok(Authentication::Sasl(mechanisms)) = Authentication::parse(b"\0\0\0\x0aA-PLUS\0A\0\0") else {
        panic!("a list");
    };
    assert_eq!(mechanisms.iter().collect::<Vec<_>>(), [&b"A-PLUS"[..], b"A"]);
}

#[test]
fn rows_of_completed_commands() {
    for (tag, want) in [
        (&b"SELECT 100000"[..], Some(100_000)),
        (b"INSERT 0 5", Some(5)),
        (b"COPY 3", Some(3)),
        (b"BEGIN", None),
        (b"CREATE TABLE AS", None),
        (b"", None),
        (b"7", None),
        (b"SELECT 99999999999999999999999", None),
    ] {
        let body = [tag, b"\0"].concat();
        assert_eq!(
            CommandComplete::parse(&body),
            Ok(CommandComplete { tag, rows: want })
        );
    }
}

#[test]
fn columns_are_read() {
    let body = b"\0\x01mail\0\0\0\x40\x05\0\x02\0\0\0\x19\xff\xff\0\0\0\x07\0\x01";
    let description = RowDescription::parse(body).unwrap();
    let want = Column {
        name: b"mail",
        table_oid: 0x4005,
        column_number: 2,
        type_oid: 25,
        type_len: -1,
        type_modifier: 7,
        format: Format::Binary,
    };
    assert_eq!(description.iter().collect::<Vec<_>>(), [want]);
}

#[test]
fn fields_of_errors() {
    let body = b"SFEHLER\0VERROR\0C42501\0Mno\0Dmore\0\0";
    let fields = Fields::parse(body).unwrap();
    assert_eq!(fields.sqlstate(), Some(SqlState::INSUFFICIENT_PRIVILEGE));
    assert_eq!(
        (fields.message(), fields.of(b'D'), fields.of(b'H')),
        (Some(&b"no"[..]), Some(&b"more"[..]), None)
    );
    assert!(!fields.is_fatal());
    for (name, body, want) in [
        ("fatal in a translation", &b"SSCHWERWIEGEND\0VFATAL\0\0"[..], true),
        ("panic", b"SPANIC\0VPANIC\0\0", true),
        ("fatal only where it may be translated", b"SFATAL\0\0", false),
        ("fatal in the text", b"SERROR\0VERROR\0MVFATAL\0\0", false),
    ] {
        assert_eq!(is_fatal(body), want, "{name}");
    }
}

#[test]
fn only_whole_fields_of_a_prefix_count() {
    let body = b"SFATAL\0VFATAL\0C57P01\0M\0\0";
    for cut in 0..body.len() {
        assert_eq!(is_fatal(&body[..cut]), cut >= 14, "cut at {cut}");
        assert_eq!(sqlstate_of(&body[..cut]).is_some(), cut >= 21, "cut at {cut}");
    }
}

proptest! {
    #[test]
    fn reports_come_back(message in "[ -~]{0,40}", detail in proptest::option::of("[ -~]{0,40}"), fatal in any::<bool>()) {
        let report = if fatal { Report::fatal(SqlState::ADMIN_SHUTDOWN, &message) } else { Report::error(SqlState::ADMIN_SHUTDOWN, &message) };
        let report = Report { detail: detail.as_deref(), ..report };
        let mut out = Vec::new();
        report.encode(&mut out);
        let frame = Frame::from_bytes(&out).unwrap();
        let fields = Fields::parse(frame.body).unwrap();
        prop_assert_eq!(frame.tag, b'E');
        prop_assert_eq!(fields.message(), Some(message.as_bytes()));
        prop_assert_eq!(fields.of(b'D'), detail.as_deref().map(str::as_bytes));
        prop_assert_eq!((fields.sqlstate(), fields.is_fatal()), (Some(SqlState::ADMIN_SHUTDOWN), fatal));
    }
}
