//! The fingerprint of a statement: its normalized tokens, their hash, its literals and its semicolons.
//!
//! Made for every statement, so it is one pass, and after warm-up it allocates nothing. Comments and white space are
//! gone, unquoted words are folded as the server folds them (ASCII only), each literal leaves its kind and nothing
//! more. Two texts have equal [`Shape::normalized`] bytes exactly if their token streams differ in literals alone:
//! each token is written with a mark that its payload cannot contain, so the bytes can be read back in one way only.
//!
//! The hash is for finding; a decision is only taken over after the bytes were compared.

use super::lexer::{LexError, Lexer, Token, TokenKind};
use super::neutral::Neutral;

/// What a literal is, as far as its kind can choose another function or operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum LiteralKind {
    /// A whole number that fits four bytes.
    Int4 = 0x10,
    /// A whole number that fits eight bytes.
    Int8,
    /// 2147483648, which is `int4` behind a minus sign and `int8` without.
    Int4Edge,
    /// 9223372036854775808, which is `int8` behind a minus sign and `numeric` without.
    Int8Edge,
    /// Any other number.
    Numeric,
    /// A string in quotes or dollar quotes.
    String,
    /// `E'...'`.
    EscapeString,
    /// `U&'...'`.
    UnicodeString,
    /// `B'...'`.
    Bit,
    /// `X'...'`.
    Hex,
}

/// A literal of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Literal {
    /// Its first byte, prefix and quotes included.
    pub start: u32,
    /// One past its last byte.
    pub end: u32,
    /// What it is.
    pub kind: LiteralKind,
}

/// The fingerprint of one statement text; reused for the next.
///
/// ```
/// use sluice_parsers::sql::shape::Shape;
///
/// let (mut one, mut other) = (Shape::new(), Shape::new());
/// one.scan(b"SELECT name FROM t WHERE id = 7").unwrap();
/// other.scan(b"select name /* who */ from T where id=12").unwrap();
/// assert_eq!(one.normalized(), other.normalized());
/// assert_eq!(one.hash(), other.hash());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// Invariant: `length <= bytes.len()`; what lies behind `length` is old.
    bytes: Vec<u8>,
    length: usize,
    literals: Vec<Literal>,
    semicolons: Vec<u32>,
    hash: u64,
    seed: u64,
}

/// Marks in front of tokens. None of them can stand in the payload of an unquoted word, a sign or a parameter, and
/// the payload of quoted words ends with a NUL, which no text contains.
mod mark {
    pub(super) const WORD: u8 = 0x01;
    pub(super) const QUOTED_WORD: u8 = 0x02;
    pub(super) const UNICODE_WORD: u8 = 0x03;
    pub(super) const SIGN: u8 = 0x04;
    pub(super) const PARAM: u8 = 0x05;
}

/// Scratch above this is given back before the next small text.
const SCRATCH_KEPT_BYTES: usize = 256 * 1024;

/// A token of one byte becomes at most this many: a mark, itself, an end.
const GROWTH_MAX: usize = 3;

impl Shape {
    /// An empty fingerprint.
    pub fn new() -> Self {
        Self::default()
    }

    /// One whose hashes a stranger cannot predict, if the seed is secret.
    pub fn with_seed(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    /// Takes the fingerprint of a text. After an error the shape is that of the empty text and must not be used.
    pub fn scan(&mut self, sql: &[u8]) -> Result<(), LexError> {
        let scanned = self.scan_tokens(sql);
        if scanned.is_err() {
            self.length = 0;
            self.literals.clear();
            self.semicolons.clear();
        }
        self.hash = hash_bytes(self.seed, self.normalized());
        scanned
    }

    /// The tokens in normal form, for an exact comparison.
    pub fn normalized(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// A hash of the normalized tokens, for finding only.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The literals in the order of the text; an *ordinal* is an index into this.
    pub fn literals(&self) -> &[Literal] {
        &self.literals
    }

    /// Where each `;` token stands, nested ones included.
    pub fn semicolons(&self) -> &[u32] {
        &self.semicolons
    }

    /// Appends the literals that are not neutral, byte for byte and each with an end mark. Together with
    /// [`Self::normalized`] this is the statement's part of the decision key: see [`Neutral`].
    pub fn kept_literals(&self, sql: &[u8], neutral: &Neutral, out: &mut Vec<u8>) {
        kept_literals(sql, &self.literals, neutral, out);
    }

    fn scan_tokens(&mut self, sql: &[u8]) -> Result<(), LexError> {
        self.literals.clear();
        self.semicolons.clear();
        self.length = 0;
        let mut lexer = Lexer::new(sql)?;
        let needed = sql.len() * GROWTH_MAX;
        if self.bytes.len() > SCRATCH_KEPT_BYTES && needed < SCRATCH_KEPT_BYTES {
            *self = Self::with_seed(self.seed);
        }
        if self.bytes.len() < needed {
            self.bytes.resize(needed.next_power_of_two(), 0);
        }
        let mut length = 0;
        while let Some(token) = lexer.next_token()? {
            length = self.write(sql, token, length);
        }
        self.length = length;
        Ok(())
    }

    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the lexer refuses texts over TEXT_BYTES_MAX"
    )]
    fn write(&mut self, sql: &[u8], token: Token, at: usize) -> usize {
        let text = &sql[token.start..token.end];
        let out = &mut self.bytes[at..];
        let literal = match token.kind {
            TokenKind::Word => {
                out[0] = mark::WORD;
                for (to, from) in out[1..].iter_mut().zip(text) {
                    *to = from.to_ascii_lowercase();
                }
                return at + 1 + text.len();
            }
            TokenKind::Punctuation => {
                out[0] = text[0];
                if text[0] == b';' {
                    self.semicolons.push(token.start as u32);
                }
                return at + 1;
            }
            TokenKind::Sign | TokenKind::Param => {
                out[0] = if token.kind == TokenKind::Sign {
                    mark::SIGN
                } else {
                    mark::PARAM
                };
                for (to, from) in out[1..].iter_mut().zip(text) {
                    *to = *from;
                }
                return at + 1 + text.len();
            }
            TokenKind::QuotedWord | TokenKind::UnicodeWord => {
                out[0] = if token.kind == TokenKind::QuotedWord {
                    mark::QUOTED_WORD
                } else {
                    mark::UNICODE_WORD
                };
                out[1..=text.len()].copy_from_slice(text);
                out[1 + text.len()] = 0;
                return at + 2 + text.len();
            }
            TokenKind::National => {
                // `N'x'` is `nchar 'x'` for the server, and not the word `n`. With the string behind it there is
                // room: it is at least two bytes long and leaves one.
                out[0] = mark::WORD;
                out[1..6].copy_from_slice(b"nchar");
                return at + 6;
            }
            kind => {
                let Some(literal) = literal_kind(kind, text) else {
                    debug_assert!(false, "{kind:?} is no literal and has no mark");
                    return at;
                };
                literal
            }
        };
        out[0] = literal as u8;
        self.literals.push(Literal {
            start: token.start as u32,
            end: token.end as u32,
            kind: literal,
        });
        at + 1
    }
}

/// As [`Shape::kept_literals`], of a text that has these literals.
pub fn kept_literals(sql: &[u8], literals: &[Literal], neutral: &Neutral, out: &mut Vec<u8>) {
    if neutral.covers(literals.len()) {
        return;
    }
    for (ordinal, literal) in literals.iter().enumerate() {
        if !neutral.contains(ordinal) {
            out.extend_from_slice(&sql[literal.start as usize..literal.end as usize]);
            out.push(0);
        }
    }
}

/// What a token is as a literal; none if it is no literal.
pub(super) fn literal_kind(kind: TokenKind, text: &[u8]) -> Option<LiteralKind> {
    Some(match kind {
        TokenKind::Integer => integer_kind(text),
        TokenKind::Numeric => LiteralKind::Numeric,
        TokenKind::String | TokenKind::DollarString => LiteralKind::String,
        TokenKind::EscapeString => LiteralKind::EscapeString,
        TokenKind::UnicodeString => LiteralKind::UnicodeString,
        TokenKind::BitString => LiteralKind::Bit,
        TokenKind::HexString => LiteralKind::Hex,
        TokenKind::Word
        | TokenKind::QuotedWord
        | TokenKind::UnicodeWord
        | TokenKind::National
        | TokenKind::Param
        | TokenKind::Punctuation
        | TokenKind::Sign => return None,
    })
}

/// The type that the server gives a whole number.
fn integer_kind(digits: &[u8]) -> LiteralKind {
    let mut value: u64 = 0;
    for digit in digits {
        let next = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(u64::from(digit - b'0')));
        match next {
            Some(next) => value = next,
            None => return LiteralKind::Numeric,
        }
    }
    match value {
        0..=0x7fff_ffff => LiteralKind::Int4,
        0x8000_0000 => LiteralKind::Int4Edge,
        0x8000_0001..=0x7fff_ffff_ffff_ffff => LiteralKind::Int8,
        0x8000_0000_0000_0000 => LiteralKind::Int8Edge,
        _ => LiteralKind::Numeric,
    }
}

/// A multiply-and-fold hash over words of eight bytes.
pub fn hash_bytes(seed: u64, bytes: &[u8]) -> u64 {
    const FIRST: u64 = 0x9e37_79b9_7f4a_7c15;
    const SECOND: u64 = 0xd6e8_feb8_6659_fd93;
    let fold = |left: u64, right: u64| {
        let product = u128::from(left) * u128::from(right);
        #[expect(clippy::cast_possible_truncation, reason = "both halves are used")]
        let folded = (product >> 64) as u64 ^ product as u64;
        folded
    };
    let mut state = seed ^ FIRST;
    let mut pairs = bytes.chunks_exact(16);
    for pair in &mut pairs {
        let word = |from: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&pair[from..from + 8]);
            u64::from_le_bytes(word)
        };
        state = fold(word(0) ^ SECOND, word(8) ^ state);
    }
    let rest = pairs.remainder();
    let mut last = [0; 16];
    last[..rest.len()].copy_from_slice(rest);
    let low = u64::from_le_bytes([
        last[0], last[1], last[2], last[3], last[4], last[5], last[6], last[7],
    ]);
    let high = u64::from_le_bytes([
        last[8], last[9], last[10], last[11], last[12], last[13], last[14], last[15],
    ]);
    let mixed = fold(low ^ SECOND, high ^ state);
    fold(mixed ^ bytes.len() as u64, FIRST)
}
