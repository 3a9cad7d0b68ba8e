//! Every body cut at every byte, malformed ones by a table, and ours there and back.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::postgres::frame::Frame;

type Parser = fn(&[u8]) -> Result<(), ProtocolError>;

const QUERY: Parser = |body| query(body).map(|_| ());
const EMPTY: Parser = empty;
const PARSE: Parser = |body| Parse::parse(body).map(|_| ());
const BIND: Parser = |body| Bind::parse(body).map(|_| ());
const TARGET: Parser = |body| Target::parse(body).map(|_| ());
const EXECUTE: Parser = |body| Execute::parse(body).map(|_| ());
const CALL: Parser = |body| FunctionCall::parse(body).map(|_| ());
const SASL: Parser = |body| SaslInitialResponse::parse(body).map(|_| ());

/// Well-formed bodies; each of their prefixes is not.
const WELL_FORMED: [(&str, Parser, &[u8]); 12] = [
    ("query", QUERY, b"select 1\0"),
    ("empty query", QUERY, b"\0"),
    ("parse", PARSE, b"s\0select $1\0\0\x01\0\0\0\x17"),
    ("parse without types", PARSE, b"\0\0\0\0"),
    (
        "bind",
        BIND,
        b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\x01\0\0",
    ),
    ("bind of nothing", BIND, b"\0\0\0\0\0\0\0\0"),
    ("describe", TARGET, b"Ss\0"),
    ("close", TARGET, b"P\0"),
    ("execute", EXECUTE, b"p\0\0\0\0\x05"),
    (
        "function call",
        CALL,
        b"\0\0\x03\xe9\0\x01\0\x01\0\x01\0\0\0\x02ab\0\x01",
    ),
    (
        "function call without arguments",
        CALL,
        b"\0\0\x03\xe9\0\0\0\0\0\0",
    ),
    ("SASL", SASL, b"SCRAM-SHA-256\0\0\0\0\x03n,,"),
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
    assert_eq!(EMPTY(b""), Ok(()));
    assert_eq!(EMPTY(b"x"), Err(ProtocolError::Trailing { left: 1 }));
}

#[test]
fn malformed_bodies() {
    for (name, parser, body, want) in [
        (
            "describe of nothing known",
            TARGET,
            &b"X\0"[..],
            ProtocolError::Selector { value: b'X' },
        ),
        (
            "format code 2",
            BIND,
            b"\0\0\0\x01\0\x02\0\0\0\0",
            ProtocolError::Format { value: 2 },
        ),
        (
            "negative format code",
            BIND,
            b"\0\0\0\x01\xff\xff\0\0\0\0",
            ProtocolError::Format { value: -1 },
        ),
        (
            "two formats for one value",
            BIND,
            b"\0\0\0\x02\0\0\0\0\0\x01\xff\xff\xff\xff\0\0",
            ProtocolError::FormatCount {
                formats: 2,
                values: 1,
            },
        ),
        (
            "value length -2",
            BIND,
            b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0",
            ProtocolError::Count { value: -2 },
        ),
        (
            "value over the end",
            BIND,
            b"\0\0\0\0\0\x01\x7f\xff\xff\xff\0\0",
            ProtocolError::Truncated { at: 10 },
        ),
        (
            "65,535 types that are not there",
            PARSE,
            b"\0\0\xff\xff\0\0",
            ProtocolError::Truncated { at: 4 },
        ),
    ] {
        assert_eq!(parser(body), Err(want), "{name}");
    }
}

#[test]
fn formats_of_values() {
    for (name, codes, index, want) in [
        ("none is text", &b"\0\0"[..], 5, Format::Text),
        ("one is for all", b"\0\x01\0\x01", 5, Format::Binary),
        ("each its own", b"\0\x02\0\0\0\x01", 1, Format::Binary),
        ("each its own, first", b"\0\x02\0\0\0\x01", 0, Format::Text),
        ("behind the last", b"\0\x02\0\x01\0\x01", 2, Format::Text),
    ] {
        assert_eq!(
            Reader::new(codes).formats().map(|formats| formats.of(index)),
            Ok(want),
            "{name}"
        );
    }
}

#[test]
fn the_head_of_a_bind_from_a_part() {
    let body = b"portal\0statement\0\0\0\0\x01\x3f\xff\xff\xff";
    for cut in 0..body.len() {
        let want = (cut >= 17).then_some(BindHead {
            portal: b"portal",
            statement: b"statement",
        });
        assert_eq!(BindHead::parse(&body[..cut]), want, "cut at {cut}");
    }
}

#[test]
fn names_count_up_to_63_bytes() {
    let long = [b'n'; 70];
    assert_eq!(name_key(&long), &long[..63]);
    assert_eq!(name_key(&long[..63]), &long[..63]);
    assert_eq!(name_key(b""), b"");
}

proptest! {
    #[test]
    fn binds_come_back(
        portal in "[a-z]{0,9}",
        statement in "[a-z]{0,9}",
        values in vec(option::of(vec(any::<u8>(), 0..30)), 0..9),
    ) {
        let borrowed: Vec<_> = values.iter().map(Option::as_deref).collect();
        let mut out = Vec::new();
        encode::bind(&mut out, portal.as_bytes(), statement.as_bytes(), &borrowed);
        let frame = Frame::from_bytes(&out).unwrap();
        let bind = Bind::parse(frame.body).unwrap();
        prop_assert_eq!((bind.portal, bind.statement), (portal.as_bytes(), statement.as_bytes()));
        prop_assert_eq!(bind.parameters.iter().collect::<Vec<_>>(), borrowed);
    }

    #[test]
    fn parses_come_back(name in "[a-z]{0,9}", sql in "[ -~]{0,60}", types in vec(any::<u32>(), 0..9)) {
        let mut out = Vec::new();
        encode::parse(&mut out, name.as_bytes(), sql.as_bytes(), &types);
        let parse = Parse::parse(Frame::from_bytes(&out).unwrap().body).unwrap();
        prop_assert_eq!((parse.name, parse.sql), (name.as_bytes(), sql.as_bytes()));
        prop_assert_eq!(parse.parameter_types.iter().collect::<Vec<_>>(), types);
    }
}
