//! Recognises a text that differs from a known one in its literals alone, without cutting it into tokens.
//!
//! Applications send the same statements with other values all day. What lies between the literals is then equal byte
//! for byte, which is one comparison, and only the literals themselves have to be read by the lexer. A text that is
//! recognised has the [`Shape`] of the known one; a text that is not may have it all the same, and is walked.
//!
//! # Why equal bytes are equal tokens
//!
//! The lexer's only state is its place. Let it stand, in both texts, at the end of a literal or at the start. The bytes
//! up to the next literal are equal, so it cuts the same tokens, as long as none of them depends on the literal behind
//! it. What a token that is no literal looks at lies within these bytes or is the literal's first byte, and there both
//! texts have the same byte, or both a digit, which no rule tells from another at that place. So it comes to the
//! literal's first byte in both, and what it cuts there is asked of the lexer itself, with all that it looks at behind
//! the literal.

use super::lexer::{Lexer, Token};
use super::shape::{Literal, Shape, hash_bytes, literal_kind};

/// Longer texts are not kept, so that many fit: they are walked.
const TEMPLATE_BYTES_MAX: usize = 1024;

/// Longer texts are not recognised: their literals may be as long again as a template.
const RECOGNISED_BYTES_MAX: usize = 2 * TEMPLATE_BYTES_MAX;

/// A text whose tokens are known.
///
/// ```
/// use sluice_parsers::sql::shape::Shape;
/// use sluice_parsers::sql::template::Template;
///
/// let (known, mut shape) = (b"SELECT name FROM t WHERE id = 7", Shape::new());
/// shape.scan(known).unwrap();
/// let template = Template::of(known, &shape).unwrap();
/// let mut literals = Vec::new();
/// assert!(template.matches(b"SELECT name FROM t WHERE id = 12", &mut literals));
/// assert_eq!((literals[0].start, literals[0].end), (30, 32));
/// assert!(!template.matches(b"SELECT name FROM t WHERE id = '7'", &mut literals));
/// ```
#[derive(Clone, Debug)]
pub struct Template {
    text: Box<[u8]>,
    literals: Box<[Literal]>,
}

impl Template {
    /// Keeps a text and the literals of its shape; none if the text is too long to be kept.
    pub fn of(sql: &[u8], shape: &Shape) -> Option<Self> {
        (sql.len() <= TEMPLATE_BYTES_MAX).then(|| Self {
            text: sql.into(),
            literals: shape.literals().into(),
        })
    }

    /// Whether a text differs from this one in the values of its literals alone. If so it has the same shape, and
    /// `literals` are replaced by its own.
    pub fn matches(&self, sql: &[u8], literals: &mut Vec<Literal>) -> bool {
        literals.clear();
        if sql.len() > RECOGNISED_BYTES_MAX {
            return false;
        }
        // Where the last literal ended, in this text and in that one.
        let (mut known, mut at) = (0, 0);
        for literal in &self.literals {
            let gap = self.text.get(known..literal.start as usize).unwrap_or_default();
            if !sql.get(at..).is_some_and(|rest| rest.starts_with(gap)) {
                return false;
            }
            at += gap.len();
            let Some(found) = self.literal_at(sql, at, literal) else {
                return false;
            };
            at = found.end as usize;
            literals.push(found);
            known = literal.end as usize;
        }
        sql.get(at..) == self.text.get(known..)
    }

    /// The literal that begins here, if it may stand for the known one.
    fn literal_at(&self, sql: &[u8], at: usize, known: &Literal) -> Option<Literal> {
        let (first, known_first) = (*sql.get(at)?, *self.text.get(known.start as usize)?);
        if first != known_first && !(first.is_ascii_digit() && known_first.is_ascii_digit()) {
            return None;
        }
        let Token { kind, start, end } = Lexer::at(sql, at).next_token().ok()??;
        let text = sql.get(start..end)?;
        if start != at || literal_kind(kind, text) != Some(known.kind) || !is_text(text) {
            return None;
        }
        Some(Literal {
            start: u32::try_from(start).ok()?,
            end: u32::try_from(end).ok()?,
            kind: known.kind,
        })
    }

    /// How many bytes it keeps.
    pub fn bytes(&self) -> usize {
        self.text.len() + size_of_val(&*self.literals)
    }
}

/// UTF-8 without a NUL, as the lexer asks of a whole text.
fn is_text(bytes: &[u8]) -> bool {
    let is_plain = bytes.iter().all(|byte| matches!(byte, 0x01..=0x7f));
    is_plain || (std::str::from_utf8(bytes).is_ok() && !bytes.contains(&0))
}

/// A hash to find templates by: that of a text up to where its first literal may begin. Texts that differ in their
/// literals alone have the same.
pub fn head_hash(seed: u64, sql: &[u8]) -> u64 {
    hash_bytes(seed, head(sql))
}

fn head(sql: &[u8]) -> &[u8] {
    let sql = sql.get(..TEMPLATE_BYTES_MAX).unwrap_or(sql);
    let mut at = 0;
    while let Some(found) = sql.get(at..).and_then(digit_or_quote) {
        at += found;
        let before = at.checked_sub(1).and_then(|before| sql.get(before));
        let is_in_word = before.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        if !(is_in_word && sql[at].is_ascii_digit()) {
            return &sql[..at];
        }
        at += 1;
    }
    sql
}

/// The first byte that is a digit, a quote or a dollar sign, eight at a time.
fn digit_or_quote(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH: u64 = ONES << 7;
    let is_wanted = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'\'' | b'$');
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // Of each byte without its high bit; others with it may be taken for one, and are looked at again.
        let low = word & !HIGH;
        let digit = (low + ONES * (0x80 - 0x30)) & !(low + ONES * (0x80 - 0x3a));
        let is = |byte: u8| !((low ^ (ONES * u64::from(byte))) + ONES * 0x7f);
        let mut found = (digit | is(b'\'') | is(b'$')) & HIGH;
        while found != 0 {
            let at = index * 8 + found.trailing_zeros() as usize / 8;
            if is_wanted(&bytes[at]) {
                return Some(at);
            }
            found &= found - 1;
        }
    }
    let before = words.len() * 8;
    rest.iter().position(is_wanted).map(|at| before + at)
}

/// Fuzz body: of two texts with a NUL between them, what one's template says of the other is what their shapes say.
pub fn fuzz_template(data: &[u8]) {
    let mut halves = data.splitn(2, |byte| *byte == 0);
    let (Some(known), Some(other)) = (halves.next(), halves.next()) else {
        return;
    };
    check(known, other);
}

fn check(known: &[u8], other: &[u8]) {
    let (mut shape, mut other_shape) = (Shape::new(), Shape::new());
    if shape.scan(known).is_err() {
        return;
    }
    let Some(template) = Template::of(known, &shape) else {
        return;
    };
    let mut literals = Vec::new();
    assert!(
        template.matches(known, &mut literals),
        "a text is its own template"
    );
    assert_eq!(literals, shape.literals());
    if template.matches(other, &mut literals) {
        assert_eq!(other_shape.scan(other), Ok(()));
        assert_eq!(shape.normalized(), other_shape.normalized());
        assert_eq!(literals, other_shape.literals());
        assert_eq!(head(known), head(other), "they are found by the same hash");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(known: &str, other: &str) -> bool {
        let mut shape = Shape::new();
        shape.scan(known.as_bytes()).expect(known);
        let template = Template::of(known.as_bytes(), &shape).expect("a short text");
        check(known.as_bytes(), other.as_bytes());
        template.matches(other.as_bytes(), &mut Vec::new())
    }

    #[test]
    fn what_differs_in_literals_alone_is_recognised() {
        for (name, known, other, want) in [
            ("another number", "select 1", "select 22", true),
            ("another string", "select 'a', 'b'", "select 'it''s', ''", true),
            ("no literal", "select a from t", "select a from t", true),
            ("a longer number kind", "select 1", "select 5000000000", false),
            ("another kind", "select 1", "select '1'", false),
            ("numeric", "select 1.5", "select 15", false),
            ("another word", "select a", "select b", false),
            ("more behind", "select 1", "select 1, 2", false),
            ("less behind", "select 1, 2", "select 1", false),
            (
                "a quote that opens",
                "select 'a' from t",
                "select 'a'' from t",
                false,
            ),
            ("a string that goes on", "select 'a'\n", "select 'a'\n'b'\n", true),
            (
                "a comment in the way",
                "select 1 --x\n, 2",
                "select 3 --x\n, 4",
                true,
            ),
            ("a number that runs on", "select 1 a", "select 1a", false),
            ("escape strings", "select E'a'", "select E'\\''", true),
            ("a prefix of another case", "select E'a'", "select e'a'", false),
            ("dollar quotes", "select $$a$$", "select $$b$$", true),
            ("another tag", "select $$a$$", "select $a$b$a$", true),
            ("point first", "select .5", "select .7", true),
            ("digit for point", "select .5", "select 0.5", false),
            ("range", "select 1..2", "select 1..3", true),
            ("range to a name", "select 1..2", "select 1..x", false),
            ("exponent", "select 1e5", "select 1e+5", true),
            ("exponent for none", "select 15", "select 1e5", false),
            ("edge of int4", "select 2147483647", "select 2147483648", false),
            (
                "edge of int8",
                "select 9223372036854775807",
                "select 9223372036854775808",
                false,
            ),
            ("parameter and point", "select $1.5", "select $1.7", true),
            ("parameter", "select $1", "select $2", false),
            ("operator before", "select u&5", "select u&6", true),
            ("operator and string", "select u &'a'", "select u&'a'", false),
            ("national", "select n'x'", "select n'y'", true),
            (
                "quoted name",
                "select \"a\"\"b\", 1",
                "select \"a\"\"b\", 2",
                true,
            ),
            ("another quoted name", "select \"a\", 1", "select \"b\", 1", false),
            ("literal first", "'a' b", "'c' b", true),
            ("literal last", "b 'a'", "b 'c'", true),
            (
                "string over lines",
                "select 'a' --c\n'b', 1",
                "select 'x' --d\n'y', 1",
                true,
            ),
            (
                "a comment opens",
                "select 1 /* a */, 2",
                "select 1 /* a, 2",
                false,
            ),
            ("statements", "select 1; select 2", "select 3; select 4", true),
            ("beyond ASCII", "select 'ä'", "select 'öü'", true),
            (
                "a digit in a name",
                "select 1 from t1 where a = 2",
                "select 3 from t1 where a = 4",
                true,
            ),
        ] {
            assert_eq!(matches(known, other), want, "{name}");
        }
    }

    #[test]
    fn long_texts_are_walked() {
        let text = |bytes: usize| format!("select '{}'", "x".repeat(bytes - "select ''".len()));
        let mut shape = Shape::new();
        let mut of = |bytes| {
            let text = text(bytes);
            shape.scan(text.as_bytes()).unwrap();
            Template::of(text.as_bytes(), &shape)
        };
        assert!(of(TEMPLATE_BYTES_MAX + 1).is_none());
        let template = of(TEMPLATE_BYTES_MAX).expect("it is kept");
        for (bytes, want) in [(RECOGNISED_BYTES_MAX, true), (RECOGNISED_BYTES_MAX + 1, false)] {
            assert_eq!(
                template.matches(text(bytes).as_bytes(), &mut Vec::new()),
                want,
                "{bytes}"
            );
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_not_recognised() {
        let (known, mut shape) = (b"select 'a'", Shape::new());
        shape.scan(known).unwrap();
        let template = Template::of(known, &shape).unwrap();
        for other in [&b"select '\xff'"[..], b"select '\0'", b"select '\xc3'"] {
            assert!(!template.matches(other, &mut Vec::new()), "{other:?}");
        }
    }

    #[test]
    fn the_head_ends_where_a_literal_may_begin() {
        for (text, want) in [
            ("select 1", 7),
            ("select 'a'", 7),
            ("select rows100_a.b from rows100_a where c = 5", 44),
            ("select a from t", 15),
            ("", 0),
            ("7", 0),
            ("select ä, ö from t where ü = 'x'", 32),
        ] {
            assert_eq!(head(text.as_bytes()).len(), want, "{text}");
        }
    }

    /// Pieces of statements that can be put together in any order, half of them literals.
    fn piece() -> impl Strategy<Value = String> {
        prop_oneof![
            Just(" ".to_owned()),
            Just("\n".to_owned()),
            "[a-zE$U&_.:<>=*/-]{1,3}",
            "[(),;\\[\\]@?\"]{1,2}",
            "[0-9]{1,12}",
            "[0-9]{0,2}\\.[0-9]{0,2}",
            "'[a-z'\\\\ ]{0,4}'",
            "[EeBbXxNn]'[01]{0,3}'",
            Just("$$x$$".to_owned()),
            Just("--c\n".to_owned()),
            Just("/*c*/".to_owned()),
            Just("U&'a'".to_owned()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn a_template_says_what_shapes_say(
            pieces in proptest::collection::vec(piece(), 1..12),
            others in proptest::collection::vec(proptest::option::of(piece()), 12),
        ) {
            let other = pieces.iter().zip(&others).map(|(piece, other)| {
                // Mostly literals change, so that many texts are recognised.
                match other {
                    Some(other) if piece.chars().any(|letter| letter.is_ascii_digit() || letter == '\'') => other,
                    _ => piece,
                }
            });
            let other: String = other.map(String::as_str).collect();
            check(pieces.concat().as_bytes(), other.as_bytes());
        }

        #[test]
        fn a_digit_or_quote_is_found(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let want = bytes.iter().position(|byte| byte.is_ascii_digit() || matches!(byte, b'\'' | b'$'));
            prop_assert_eq!(digit_or_quote(&bytes), want);
        }
    }
}
