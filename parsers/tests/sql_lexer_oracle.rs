//! The lexer against `libpg_query`'s own scanner: where both take a text, every token boundary agrees.

use pg_query::protobuf::Token as ServerToken;
use proptest::prelude::*;
use sluice_parsers::sql::lexer::{LexError, Lexer, TokenKind, fuzz_lexer};
use sluice_parsers::sql::shape::Shape;

/// The server's tokens without comments, or none if it refuses the text.
fn server_tokens(sql: &str) -> Option<Vec<(usize, usize)>> {
    let tokens = pg_query::scan(sql).ok()?.tokens;
    tokens
        .iter()
        .filter(|token| {
            !matches!(
                ServerToken::try_from(token.token),
                Ok(ServerToken::SqlComment | ServerToken::CComment)
            )
        })
        .map(|token| {
            Some((
                usize::try_from(token.start).ok()?,
                usize::try_from(token.end).ok()?,
            ))
        })
        .collect()
}

fn our_tokens(sql: &str) -> Result<Vec<(usize, usize)>, LexError> {
    Lexer::new(sql.as_bytes())?
        .map(|token| token.map(|token| (token.start, token.end)))
        .collect()
}

/// What both say of a text; an error of ours is allowed anywhere, it only costs the cache.
fn agree(sql: &str) -> Result<(), String> {
    match (our_tokens(sql), server_tokens(sql)) {
        (Ok(ours), Some(server)) if ours != server => {
            Err(format!("{sql:?}\n ours   {ours:?}\n server {server:?}"))
        }
        // A text that only we take: the server's scanner also checks what is inside of strings.
        _ => Ok(()),
    }
}

/// Texts that must lex, and agree.
const TAKEN: &[(&str, &str)] = &[
    ("empty", ""),
    ("words", "select Foo _bar b1$x tÄst ümlaut"),
    ("white space", " a\tb\nc\r\nd\x0ce "),
    ("line comment", "a--b\nc -- d"),
    ("line comment at a carriage return", "a--b\rc"),
    ("block comment", "a/* b */c"),
    ("nested comment", "a/* /* b */ c */d"),
    ("comment with stars", "a/***/b/**//**/c/* ** / */d"),
    ("comment that shares a star", "a/*/*/**/*/*/b"),
    ("strings", "'a' 'it''s' '' 'a\\'"),
    ("escape strings", r"E'a\'b' e'\\' E'\x41' E'\101' E'\u0041'"),
    ("escape string with a doubled quote", r"E'a''\'b'"),
    ("unicode string", "U&'\\0041' u&'x' U&'d!0061' UESCAPE '!'"),
    ("unicode identifier", "U&\"d\\0061\" u&\"x\"\"y\""),
    ("U and ampersand apart", "u & 'x' U &\"x\" u&x"),
    ("bits", "B'01' b'' X'1F' x'aB'"),
    ("bits do not double quotes", "B'0''1' X"),
    ("national", "N'x' n'y' N 'z' nchar 'x'"),
    ("prefix letters as words", "E 'x' b x e n u"),
    ("longer words before quotes", "be'x' ne'y' xx'z'"),
    ("continued string", "'a'\n'b' 'c' \n \t 'd'"),
    ("not continued", "'a' 'b'"),
    ("continued over a comment", "'a' -- x\n 'b'"),
    ("continued over comments on both sides", "'a'--x\n--y\n  'b'"),
    ("not continued over a block comment", "'a' /* x */ \n 'b'"),
    ("continued escape string", "E'a'\n'\\''"),
    ("comment and minus behind a string", "'a' - 1 'a' -- b"),
    ("continued bit string", "B'01'\n'10'"),
    ("dollar", "$$a$$ $t$ $$ ' $t$ $T$ $t$ $T$"),
    ("dollar tag with high bytes", "$ä$ x $ä$"),
    ("dollar within", "$a$ $b$ $a $a$"),
    ("dollar right behind", "$a$x$a$a$a$y$a$"),
    ("dollar in a word", "k$$ a$b$c a$1"),
    ("parameters", "$1 $22,$3"),
    ("parameter and dollar", "$1$2 $1$$a$$"),
    ("integers", "0 1 00 123456789012345678901234567890"),
    ("numerics", "1.5 1. .5 1e5 1E+5 1.e-5 .5e1 1.5.3"),
    ("ranges", "1..10 a[1..2] 1...5"),
    ("dots", "a.b a..b a.5 a . b *.x"),
    ("quoted", "\"a\" \"a\"\"b\" \"A b\" \"ü\""),
    ("punctuation", "(a,[b];c)"),
    ("colons", "a::b a:=b a:b :: : :="),
    (
        "operators",
        "a+b a-b a*b a/b a%b a^b a<b a>b a=b a<=b a>=b a<>b a!=b a=>b",
    ),
    ("long operators", "a|||b a@>b a->>b a#>>b a?&b a~~*b a!~~*b a<->b"),
    ("trailing signs", "a+-b a*-b a<-b a@-b a~-b a!+b a=-1 a<+-+1"),
    ("sign before a comment", "a+--b\nc a-/*x*/b a@/*x*/b a*--x\n"),
    ("comment inside of an operator", "a@--b\nc a|/*x*/|b"),
    ("stars and slashes", "a*/b a**/b a/ *b a//b"),
    ("arrows", "a=>b a=>-b a<=-1 a>=+1 a<>-1 a!=-1"),
    ("backquote and question mark", "a`b a?b a?|b"),
    ("semicolons in strings", "';' \";\" $$;$$ /*;*/ --;\n;"),
    ("high bytes everywhere", "sélect 'é' /* é */ \"é\" -- é\n é"),
    ("byte order mark", "\u{feff}select 1"),
    ("no-break space is a letter", "a\u{a0}b"),
];

/// Texts that must be refused, whether or not some version of the server takes them.
const REFUSED: &[(&str, &[u8])] = &[
    ("string", b"'a"),
    ("string that a doubled quote leaves open", b"'a''"),
    ("escape string", b"E'a\\'"),
    ("escape string ending in a backslash", b"E'a\\"),
    ("comment", b"/* a"),
    ("nested comment", b"/* /* a */"),
    ("quoted identifier", b"\"a"),
    ("empty identifier", b"\"\""),
    ("dollar string", b"$a$ $b$"),
    ("dollar string with another tag", b"$a$ $A$"),
    ("dollar alone", b"a $ b"),
    ("dollar and a word", b"$abc"),
    ("number and letter", b"123abc"),
    ("hexadecimal", b"0x1F"),
    ("octal", b"0o17"),
    ("binary", b"0b11"),
    ("underscores", b"1_000"),
    ("exponent without digits", b"1e"),
    ("exponent with a sign alone", b"1e+"),
    ("numeric and letter", b"1.5x"),
    ("real and letter", b"1e5x"),
    ("parameter and letter", b"$1a"),
    ("vertical tab", b"a\x0bb"),
    ("backslash", b"a \\ b"),
    ("braces", b"{a}"),
    ("control byte", b"a\x01b"),
    ("delete", b"a\x7fb"),
    ("NUL", b"a\0b"),
    ("NUL in a string", b"'a\0b'"),
    ("not UTF-8", b"a\xffb"),
    ("not UTF-8 in a string", b"'\xc0\xaf'"),
    ("not UTF-8 in a comment", b"/* \xed\xa0\x80 */ a"),
    (
        "operator of 64 bytes",
        b"a ++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++@ b",
    ),
];

#[test]
fn taken_texts_agree() {
    for (name, sql) in TAKEN {
        let ours = our_tokens(sql);
        assert!(ours.is_ok(), "{name}: {ours:?}");
        assert_eq!(ours.ok(), server_tokens(sql), "{name}");
    }
}

#[test]
fn refused_texts_are_refused() {
    for (name, sql) in REFUSED {
        let refused = Shape::new().scan(sql);
        assert!(refused.is_err(), "{name}");
    }
}

#[test]
fn every_cut_of_a_text_agrees() {
    for (name, sql) in TAKEN {
        for end in (0..sql.len()).filter(|&end| sql.is_char_boundary(end)) {
            assert_eq!(agree(&sql[..end]), Ok(()), "{name}");
            assert_eq!(agree(&sql[end..]), Ok(()), "{name}");
        }
    }
}

#[test]
fn kinds_are_told() {
    for (sql, want) in [
        ("a", TokenKind::Word),
        ("\"a\"", TokenKind::QuotedWord),
        ("U&\"a\"", TokenKind::UnicodeWord),
        ("N'a'", TokenKind::National),
        ("1", TokenKind::Integer),
        ("1.", TokenKind::Numeric),
        ("1e1", TokenKind::Numeric),
        ("'a'", TokenKind::String),
        ("E'a'", TokenKind::EscapeString),
        ("U&'a'", TokenKind::UnicodeString),
        ("B'1'", TokenKind::BitString),
        ("X'1'", TokenKind::HexString),
        ("$$a$$", TokenKind::DollarString),
        ("$1", TokenKind::Param),
        (",", TokenKind::Punctuation),
        (".", TokenKind::Sign),
        ("->>", TokenKind::Sign),
    ] {
        let token = Lexer::new(sql.as_bytes()).unwrap().next_token().unwrap().unwrap();
        assert_eq!(token.kind, want, "{sql}");
    }
}

/// Pieces that tokens are made of, so that random texts are dense in edges.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "'",
            "''",
            "\\",
            "\\'",
            "\"",
            "\"\"",
            "$",
            "$$",
            "$a$",
            "$1",
            "$a",
            "--",
            "/*",
            "*/",
            "\n",
            "\r",
            "\t",
            " ",
            ";",
            "+",
            "-",
            "*",
            "/",
            "<",
            ">",
            "=",
            "~",
            "!",
            "@",
            "#",
            "%",
            "^",
            "&",
            "|",
            "`",
            "?",
            ".",
            "..",
            ":",
            "::",
            ":=",
            ",",
            "(",
            ")",
            "[",
            "]",
            "E'",
            "e'",
            "U&'",
            "u&\"",
            "U&",
            "N'",
            "n'",
            "B'",
            "X'",
            "x'",
            "UESCAPE '!'",
            "e",
            "E",
            "u",
            "n",
            "b",
            "x",
            "1",
            "0",
            "12",
            "1.5",
            ".5",
            "1e5",
            "1e",
            "0x",
            "_",
            "a",
            "select",
            "é",
            "\u{a0}",
            "\u{feff}",
            "\x0c",
            "'a'\n'b'",
            "{",
            "}",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,4}",
        "\\PC{0,2}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_texts_agree(pieces in prop::collection::vec(piece(), 0..24)) {
        let sql = pieces.concat();
        prop_assert_eq!(agree(&sql), Ok(()));
        fuzz_lexer(sql.as_bytes());
    }

    #[test]
    fn random_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz_lexer(&bytes);
        let _ = Shape::new().scan(&bytes);
    }

    /// Two texts have one fingerprint exactly if their tokens differ in literals' values alone.
    #[test]
    fn shapes_stand_for_token_streams(
        left in prop::collection::vec(piece(), 0..8),
        right in prop::collection::vec(piece(), 0..8),
        gap in prop::sample::select(vec![" ", "/**/", "\n", "  "]),
    ) {
        let spaced = |pieces: &[String], gap: &str| pieces.join(gap);
        let (one, other) = (spaced(&left, " "), spaced(&right, " "));
        if let (Some(one), Some(other)) = (stream(&one), stream(&other)) {
            prop_assert_eq!(one.0 == other.0, one.1 == other.1);
        }
        // White space and comments between tokens leave no trace.
        if let (Some(one), Some(other)) = (stream(&spaced(&left, " ")), stream(&spaced(&left, gap)))
            && one.1.len() == other.1.len()
        {
            prop_assert_eq!(one.0 == other.0, one.1 == other.1);
        }
    }
}

/// A text's fingerprint, and its tokens with literals reduced to their kind.
type Stream = (Vec<u8>, Vec<(TokenKind, String)>);

fn stream(sql: &str) -> Option<Stream> {
    let mut shape = Shape::new();
    shape.scan(sql.as_bytes()).ok()?;
    let mut kinds = shape.literals().iter().map(|literal| literal.kind);
    let tokens = Lexer::new(sql.as_bytes()).ok()?;
    let tokens = tokens
        .map(|token| {
            let token = token.ok()?;
            let text = &sql[token.start..token.end];
            Some(match token.kind {
                // The server has one token for both.
                TokenKind::National => (TokenKind::Word, "nchar".to_owned()),
                TokenKind::Word => (token.kind, text.to_ascii_lowercase()),
                TokenKind::DollarString => (TokenKind::String, format!("{:?}", kinds.next()?)),
                kind if kind.is_literal() => {
                    let literal = format!("{:?}", kinds.next()?);
                    let kind = if kind == TokenKind::Numeric {
                        TokenKind::Integer
                    } else {
                        kind
                    };
                    (kind, literal)
                }
                kind => (kind, text.to_owned()),
            })
        })
        .collect::<Option<Vec<_>>>()?;
    Some((shape.normalized().to_vec(), tokens))
}
