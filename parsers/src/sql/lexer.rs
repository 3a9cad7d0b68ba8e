//! Tokens of a statement's text, cut exactly where the server's own scanner cuts them.
//!
//! Follows PostgreSQL's `scan.l` with `standard_conforming_strings = on` (a session with it off is refused by the
//! gate). Tokens are ranges of the text; nothing is unescaped. Where the versions 12 to 18 of the server cut
//! differently, where the text is not UTF-8, holds a NUL, or ends inside a token, the answer is a [`LexError`]:
//! such a text is never cached and counts as opaque.

use thiserror::Error;

/// Why a text has no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LexError {
    /// The text is longer than offsets can say.
    #[error("text of {bytes} bytes")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not UTF-8 from here on.
    #[error("invalid UTF-8 at byte {at}")]
    Utf8 {
        /// The first byte that is not.
        at: usize,
    },
    /// A NUL byte, which ends the text for the server.
    #[error("NUL at byte {at}")]
    Nul {
        /// Where it is.
        at: usize,
    },
    /// A comment, string or quoted identifier that does not end.
    #[error("unterminated {what} at byte {at}")]
    Unterminated {
        /// What it is.
        what: &'static str,
        /// Where it begins.
        at: usize,
    },
    /// Server versions cut this text differently, or refuse it.
    #[error("ambiguous {what} at byte {at}")]
    Ambiguous {
        /// What it is.
        what: &'static str,
        /// Where it begins.
        at: usize,
    },
    /// A byte that begins no token.
    #[error("unexpected byte 0x{byte:02x} at byte {at}")]
    Unexpected {
        /// The byte.
        byte: u8,
        /// Where it is.
        at: usize,
    },
}

/// What a token is. Its text says the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// An unquoted identifier or a keyword.
    Word,
    /// `"..."`.
    QuotedWord,
    /// `U&"..."`.
    UnicodeWord,
    /// The `N` in front of a string, the keyword NCHAR for the server.
    National,
    /// Decimal digits.
    Integer,
    /// Digits with a point or an exponent.
    Numeric,
    /// `'...'`, continued strings included.
    String,
    /// `E'...'`.
    EscapeString,
    /// `U&'...'`; a UESCAPE that follows is tokens of its own.
    UnicodeString,
    /// `B'...'`.
    BitString,
    /// `X'...'`.
    HexString,
    /// `$tag$...$tag$`.
    DollarString,
    /// `$1`.
    Param,
    /// One of `, ( ) [ ] ;`.
    Punctuation,
    /// An operator, or another sign: `.`, `..`, `:`, `::`, `:=`, `=>`.
    Sign,
}

impl TokenKind {
    /// Whether it is a constant by itself.
    pub const fn is_literal(self) -> bool {
        match self {
            Self::Integer
            | Self::Numeric
            | Self::String
            | Self::EscapeString
            | Self::UnicodeString
            | Self::BitString
            | Self::HexString
            | Self::DollarString => true,
            Self::Word
            | Self::QuotedWord
            | Self::UnicodeWord
            | Self::National
            | Self::Param
            | Self::Punctuation
            | Self::Sign => false,
        }
    }
}

/// One token: what it is and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Its first byte.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
}

/// Cuts a text into tokens; comments and white space are skipped.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    sql: &'a [u8],
    at: usize,
}

/// Longest text that is cut: offsets are kept in 32 bits.
pub const TEXT_BYTES_MAX: usize = 1 << 30;

/// A run of operator characters over this is refused, whatever the server would make of it.
const SIGNS_MAX: usize = 256;

/// The server refuses operators of 64 bytes and more. A longer run of operator bytes may be many signs in a row, but
/// to cut those takes time that grows with the square of their number, here and there.
const OPERATOR_BYTES_MAX: usize = 63;

impl<'a> Lexer<'a> {
    /// A lexer at the start of a text.
    pub fn new(sql: &'a [u8]) -> Result<Self, LexError> {
        if sql.len() > TEXT_BYTES_MAX {
            return Err(LexError::TooLong { bytes: sql.len() });
        }
        if let Err(error) = std::str::from_utf8(sql) {
            return Err(LexError::Utf8 {
                at: error.valid_up_to(),
            });
        }
        if let Some(at) = memchr::memchr(0, sql) {
            return Err(LexError::Nul { at });
        }
        Ok(Self { sql, at: 0 })
    }

    /// A lexer in the middle of a text; `at` is where a token begins. That it is UTF-8 without a NUL is for the caller to
    /// know.
    pub(super) fn at(sql: &'a [u8], at: usize) -> Self {
        Self { sql, at }
    }

    /// The next token, or none at the end of the text.
    #[inline]
    pub fn next_token(&mut self) -> Result<Option<Token>, LexError> {
        let sql = self.sql;
        let mut at = self.at;
        let (kind, start, end) = loop {
            let Some(&byte) = sql.get(at) else {
                self.at = at;
                return Ok(None);
            };
            match CLASS[usize::from(byte)] {
                Class::Space => at += 1,
                Class::Letter => {
                    let (kind, end) = word_or_prefix(sql, at, byte)?;
                    break (kind, at, end);
                }
                Class::Punctuation => break (TokenKind::Punctuation, at, at + 1),
                Class::Operator => {
                    let next = sql.get(at + 1).copied();
                    match (byte, next) {
                        (b'-', Some(b'-')) => at = line_comment_end(sql, at + 2),
                        (b'/', Some(b'*')) => at = block_comment_end(sql, at)?,
                        _ => break (TokenKind::Sign, at, operator_end(sql, at)?),
                    }
                }
                Class::Digit => {
                    let (kind, end) = number(sql, at)?;
                    break (kind, at, end);
                }
                Class::Dot => match sql.get(at + 1) {
                    Some(b'.') => break (TokenKind::Sign, at, at + 2),
                    Some(b'0'..=b'9') => {
                        let (kind, end) = number(sql, at)?;
                        break (kind, at, end);
                    }
                    _ => break (TokenKind::Sign, at, at + 1),
                },
                Class::Colon => {
                    let pair = matches!(sql.get(at + 1), Some(b':' | b'='));
                    break (TokenKind::Sign, at, at + 1 + usize::from(pair));
                }
                Class::Quote => break (TokenKind::String, at, string_end(sql, at, at + 1)?),
                Class::DoubleQuote => {
                    break (TokenKind::QuotedWord, at, quoted_word_end(sql, at, at + 1)?);
                }
                Class::Dollar => {
                    let (kind, end) = dollar(sql, at)?;
                    break (kind, at, end);
                }
                Class::Other => {
                    // PostgreSQL 16 made the vertical tab white space; before it is a syntax error.
                    return Err(LexError::Unexpected { byte, at });
                }
            }
        };
        self.at = end;
        Ok(Some(Token { kind, start, end }))
    }
}

impl Iterator for Lexer<'_> {
    type Item = Result<Token, LexError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_token().transpose()
    }
}

/// What a byte may begin.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Other,
    Space,
    Letter,
    Digit,
    Punctuation,
    Operator,
    Dot,
    Colon,
    Quote,
    DoubleQuote,
    Dollar,
}

const CLASS: [Class; 256] = {
    let mut table = [Class::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "the loop ends at 256")]
        let class = match byte as u8 {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0c => Class::Space,
            b'A'..=b'Z' | b'a'..=b'z' | b'_' | 0x80..=0xff => Class::Letter,
            b'0'..=b'9' => Class::Digit,
            b',' | b'(' | b')' | b'[' | b']' | b';' => Class::Punctuation,
            b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'+' | b'-' | b'*' | b'/'
            | b'%' | b'<' | b'>' | b'=' => Class::Operator,
            b'.' => Class::Dot,
            b':' => Class::Colon,
            b'\'' => Class::Quote,
            b'"' => Class::DoubleQuote,
            b'$' => Class::Dollar,
            _ => Class::Other,
        };
        table[byte] = class;
        byte += 1;
    }
    table
};

const fn is_word_start(byte: u8) -> bool {
    matches!(CLASS[byte as usize], Class::Letter)
}

/// Whether a byte continues an identifier.
const IN_WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(CLASS[byte], Class::Letter | Class::Digit | Class::Dollar);
        byte += 1;
    }
    table
};

/// A word, or a string whose form a letter in front of it says.
#[inline]
fn word_or_prefix(sql: &[u8], start: usize, first: u8) -> Result<(TokenKind, usize), LexError> {
    match (first | 0x20, sql.get(start + 1), sql.get(start + 2)) {
        (b'e', Some(b'\''), _) => Ok((TokenKind::EscapeString, escape_string_end(sql, start, start + 2)?)),
        (b'b', Some(b'\''), _) => Ok((TokenKind::BitString, bit_string_end(sql, start, start + 2)?)),
        (b'x', Some(b'\''), _) => Ok((TokenKind::HexString, bit_string_end(sql, start, start + 2)?)),
        (b'n', Some(b'\''), _) => Ok((TokenKind::National, start + 1)),
        (b'u', Some(b'&'), Some(b'\'')) => Ok((TokenKind::UnicodeString, string_end(sql, start, start + 3)?)),
        (b'u', Some(b'&'), Some(b'"')) => {
            Ok((TokenKind::UnicodeWord, quoted_word_end(sql, start, start + 3)?))
        }
        _ => {
            let mut end = start + 1;
            while end < sql.len() && IN_WORD[usize::from(sql[end])] {
                end += 1;
            }
            Ok((TokenKind::Word, end))
        }
    }
}

pub(super) fn line_comment_end(sql: &[u8], from: usize) -> usize {
    memchr::memchr2(b'\n', b'\r', &sql[from..]).map_or(sql.len(), |length| from + length)
}

/// The end of a comment that may hold others.
pub(super) fn block_comment_end(sql: &[u8], start: usize) -> Result<usize, LexError> {
    let mut at = start + 2;
    let mut depth = 1_usize;
    loop {
        let Some(skipped) = memchr::memchr2(b'*', b'/', &sql[at..]) else {
            return Err(LexError::Unterminated {
                what: "comment",
                at: start,
            });
        };
        at += skipped;
        match (sql[at], sql.get(at + 1)) {
            (b'*', Some(b'/')) => {
                at += 2;
                depth -= 1;
                if depth == 0 {
                    return Ok(at);
                }
            }
            (b'/', Some(b'*')) => {
                at += 2;
                depth += 1;
            }
            _ => at += 1,
        }
    }
}

/// The end of a string without backslash escapes; `at` is behind its opening quote.
fn string_end(sql: &[u8], start: usize, mut at: usize) -> Result<usize, LexError> {
    loop {
        let Some(length) = memchr::memchr(b'\'', &sql[at..]) else {
            return Err(LexError::Unterminated {
                what: "string",
                at: start,
            });
        };
        at += length + 1;
        match behind_quote(sql, at) {
            Some(inside) => at = inside,
            None => return Ok(at),
        }
    }
}

/// The end of a bit string, in which a doubled quote is not one quote but the end and another string's beginning.
fn bit_string_end(sql: &[u8], start: usize, mut at: usize) -> Result<usize, LexError> {
    loop {
        let Some(length) = memchr::memchr(b'\'', &sql[at..]) else {
            return Err(LexError::Unterminated {
                what: "bit string",
                at: start,
            });
        };
        at += length + 1;
        match continued_string(sql, at) {
            Some(inside) => at = inside,
            None => return Ok(at),
        }
    }
}

/// The end of a string with backslash escapes; `at` is behind its opening quote.
fn escape_string_end(sql: &[u8], start: usize, mut at: usize) -> Result<usize, LexError> {
    loop {
        let Some(length) = memchr::memchr2(b'\'', b'\\', &sql[at..]) else {
            return Err(LexError::Unterminated {
                what: "string",
                at: start,
            });
        };
        at += length + 1;
        if sql[at - 1] == b'\\' {
            // Whatever follows is taken: digits and letters of longer escapes hold neither quote nor backslash.
            if at == sql.len() {
                return Err(LexError::Unterminated {
                    what: "string",
                    at: start,
                });
            }
            at += 1;
            continue;
        }
        match behind_quote(sql, at) {
            Some(inside) => at = inside,
            None => return Ok(at),
        }
    }
}

/// Where a string goes on although a quote was met: behind a doubled quote, or behind the opening quote of a part
/// that white space with a line break joins to it.
#[inline]
fn behind_quote(sql: &[u8], at: usize) -> Option<usize> {
    match sql.get(at)? {
        b'\'' => Some(at + 1),
        b' ' | b'\t' | 0x0c | b'\n' | b'\r' | b'-' => continued_string(sql, at),
        _ => None,
    }
}

fn continued_string(sql: &[u8], mut at: usize) -> Option<usize> {
    let mut line_broken = false;
    loop {
        match (sql.get(at)?, sql.get(at + 1)) {
            (b' ' | b'\t' | 0x0c, _) => at += 1,
            (b'\n' | b'\r', _) => {
                line_broken = true;
                at += 1;
            }
            (b'-', Some(b'-')) => at = line_comment_end(sql, at + 2),
            (b'\'', _) if line_broken => return Some(at + 1),
            _ => return None,
        }
    }
}

fn quoted_word_end(sql: &[u8], start: usize, from: usize) -> Result<usize, LexError> {
    let mut at = from;
    loop {
        let Some(length) = memchr::memchr(b'"', &sql[at..]) else {
            return Err(LexError::Unterminated {
                what: "quoted identifier",
                at: start,
            });
        };
        at += length + 1;
        if sql.get(at) != Some(&b'"') {
            break;
        }
        at += 1;
    }
    if at == from + 1 {
        // The server refuses an empty identifier.
        return Err(LexError::Unexpected {
            byte: b'"',
            at: start,
        });
    }
    Ok(at)
}

/// The end of an operator: it ends in front of a comment, and its trailing signs belong to what follows unless it
/// holds a byte that no standard operator has.
#[inline]
fn operator_end(sql: &[u8], start: usize) -> Result<usize, LexError> {
    let mut end = start + 1;
    while end < sql.len() && matches!(CLASS[usize::from(sql[end])], Class::Operator) {
        // Signs would be given back one by one, each after another look at all of them.
        if end - start > SIGNS_MAX {
            return Err(LexError::Ambiguous {
                what: "operator",
                at: start,
            });
        }
        match (sql[end], sql.get(end + 1)) {
            (b'-', Some(b'-')) | (b'/', Some(b'*')) => break,
            _ => end += 1,
        }
        if end - start > OPERATOR_BYTES_MAX {
            return Err(LexError::Ambiguous {
                what: "operator",
                at: start,
            });
        }
    }
    if end - start > 1 && matches!(sql[end - 1], b'+' | b'-') {
        let keeps = sql[start..end - 1].iter().any(|byte| {
            matches!(
                byte,
                b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'%'
            )
        });
        if !keeps {
            while end - start > 1 && matches!(sql[end - 1], b'+' | b'-') {
                end -= 1;
            }
        }
    }
    Ok(end)
}

/// A number in the form that all versions agree on: one directly followed by a letter is refused, because versions
/// before 15 cut it into two tokens and later ones refuse it or, as `0x1F` and `1_000`, take it as one.
#[inline]
fn number(sql: &[u8], start: usize) -> Result<(TokenKind, usize), LexError> {
    let digits = |mut at: usize| {
        while matches!(sql.get(at), Some(b'0'..=b'9')) {
            at += 1;
        }
        at
    };
    let mut kind = TokenKind::Integer;
    let mut end = digits(start);
    if sql.get(end) == Some(&b'.') {
        if end > start && sql.get(end + 1) == Some(&b'.') {
            // `1..10` is an integer and two dots.
            return Ok((kind, end));
        }
        kind = TokenKind::Numeric;
        end = digits(end + 1);
    }
    if matches!(sql.get(end), Some(b'e' | b'E')) {
        let signed = usize::from(matches!(sql.get(end + 1), Some(b'+' | b'-')));
        let exponent_end = digits(end + 1 + signed);
        if exponent_end > end + 1 + signed {
            kind = TokenKind::Numeric;
            end = exponent_end;
        }
    }
    match sql.get(end) {
        Some(&byte) if is_word_start(byte) => Err(LexError::Ambiguous {
            what: "number",
            at: start,
        }),
        _ => Ok((kind, end)),
    }
}

/// A parameter or a dollar-quoted string.
fn dollar(sql: &[u8], start: usize) -> Result<(TokenKind, usize), LexError> {
    let mut end = start + 1;
    if matches!(sql.get(end), Some(b'0'..=b'9')) {
        while matches!(sql.get(end), Some(b'0'..=b'9')) {
            end += 1;
        }
        return match sql.get(end) {
            Some(&byte) if is_word_start(byte) => Err(LexError::Ambiguous {
                what: "parameter",
                at: start,
            }),
            _ => Ok((TokenKind::Param, end)),
        };
    }
    // The tag is an identifier without a dollar sign.
    while sql
        .get(end)
        .is_some_and(|&byte| byte != b'$' && IN_WORD[usize::from(byte)])
    {
        end += 1;
    }
    if sql.get(end) != Some(&b'$') {
        return Err(LexError::Unexpected {
            byte: b'$',
            at: start,
        });
    }
    let delimiter = &sql[start..=end];
    match memchr::memmem::find(&sql[end + 1..], delimiter) {
        Some(length) => Ok((TokenKind::DollarString, end + 1 + length + delimiter.len())),
        None => Err(LexError::Unterminated {
            what: "dollar-quoted string",
            at: start,
        }),
    }
}

/// Fuzz body: any bytes lex or fail without a panic, and tokens lie in the text in order.
pub fn fuzz_lexer(data: &[u8]) {
    let Ok(mut lexer) = Lexer::new(data) else {
        return;
    };
    let mut behind = 0;
    while let Ok(Some(token)) = lexer.next_token() {
        assert!(behind <= token.start && token.start < token.end && token.end <= data.len());
        behind = token.end;
    }
}
