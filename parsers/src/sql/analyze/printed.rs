//! Queries as the server prints them, where its own grammar does not read what it prints.
//!
//! The marks of a CYCLE clause are constants without a cast in the grammar, and printed with one:
//! `CYCLE f, t SET is_cycle TO 'Y'::text DEFAULT 'N'::text USING path`.

use std::borrow::Cow;
use std::ops::Range;

use crate::sql::lexer::{Lexer, Token, TokenKind};

/// The text as the grammar reads it, with the same meaning.
pub(super) fn readable(sql: &str) -> Cow<'_, str> {
    if !sql.contains(" CYCLE ") {
        return sql.into();
    }
    let casts = casts_of_marks(sql);
    if casts.is_empty() {
        return sql.into();
    }
    let mut text = String::with_capacity(sql.len());
    let mut from = 0;
    for cast in casts {
        text.push_str(sql.get(from..cast.start).unwrap_or_default());
        from = cast.end;
    }
    text.push_str(sql.get(from..).unwrap_or_default());
    text.into()
}

/// How far a CYCLE clause has been read.
#[derive(Clone, Copy)]
enum Reading {
    /// There is none.
    Outside,
    /// Behind CYCLE.
    Columns,
    /// Behind SET and the mark's name, TO or DEFAULT.
    BeforeMark,
    /// Behind a mark that ends there.
    BehindMark(usize),
}

/// Where casts stand behind the marks of CYCLE clauses.
fn casts_of_marks(sql: &str) -> Vec<Range<usize>> {
    let mut casts = Vec::new();
    let Ok(mut lexer) = Lexer::new(sql.as_bytes()) else {
        return casts;
    };
    let mut reading = Reading::Outside;
    while let Ok(Some(token)) = lexer.next_token() {
        let is = |word: &str| is_keyword(sql, &token, word);
        reading = match reading {
            Reading::Outside if is("CYCLE") => Reading::Columns,
            Reading::Outside => Reading::Outside,
            Reading::Columns if is("TO") => Reading::BeforeMark,
            // It ends without marks, or is none.
            Reading::Columns if is("USING") || token.kind == TokenKind::Punctuation && !is(",") => {
                Reading::Outside
            }
            Reading::Columns => Reading::Columns,
            Reading::BeforeMark => Reading::BehindMark(token.end),
            Reading::BehindMark(end) if is("DEFAULT") || is("USING") => {
                let between = end..token.start;
                if sql
                    .get(between.clone())
                    .is_some_and(|cast| cast.starts_with("::"))
                {
                    // The space in front of the keyword stays.
                    casts.push(between.start..between.end.saturating_sub(1));
                }
                if is("DEFAULT") {
                    Reading::BeforeMark
                } else {
                    Reading::Outside
                }
            }
            Reading::BehindMark(end) => Reading::BehindMark(end),
        };
    }
    casts
}

fn is_keyword(sql: &str, token: &Token, word: &str) -> bool {
    matches!(token.kind, TokenKind::Word | TokenKind::Punctuation)
        && sql.get(token.start..token.end) == Some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts_of_a_cycles_marks_are_left_out() {
        let with = |clause: &str| {
            format!(
                "WITH RECURSIVE g(f, t) AS (SELECT 1, 2 UNION ALL SELECT g_1.f, g_1.t FROM g g_1) {clause} \
                 SELECT 'DEFAULT'::text AS f FROM g"
            )
        };
        for (name, printed, read) in [
            (
                "text",
                "CYCLE f, t SET is_cycle TO 'Y'::text DEFAULT 'N'::text USING path",
                "CYCLE f, t SET is_cycle TO 'Y' DEFAULT 'N' USING path",
            ),
            (
                "a type's own words",
                "CYCLE f SET c TO 'a'::character varying(3) DEFAULT 'b'::\"my USING\".\"DEFAULT\" USING \"to\"",
                "CYCLE f SET c TO 'a' DEFAULT 'b' USING \"to\"",
            ),
            (
                "no cast",
                "CYCLE f, t SET is_cycle TO true DEFAULT false USING path",
                "CYCLE f, t SET is_cycle TO true DEFAULT false USING path",
            ),
            (
                "no marks",
                "CYCLE f, t SET is_cycle USING path",
                "CYCLE f, t SET is_cycle USING path",
            ),
            (
                "keywords in marks",
                "CYCLE f SET c TO ' DEFAULT '::text DEFAULT ' USING '::text USING path",
                "CYCLE f SET c TO ' DEFAULT ' DEFAULT ' USING ' USING path",
            ),
        ] {
            let read = with(read);
            assert_eq!(readable(&with(printed)), read, "{name}");
            assert!(pg_query::parse(&read, 0).is_ok(), "{name}");
        }
    }

    #[test]
    fn other_texts_stay_as_they_are() {
        for sql in [
            "",
            " CYCLE ",
            "SELECT ' CYCLE f SET c TO 1::int USING'::text",
            "ALTER SEQUENCE s CYCLE SET a TO 'x'::text",
            "a CYCLE TO 'x'::text",
            "a CYCLE 'unterminated",
        ] {
            assert_eq!(readable(sql), sql);
        }
    }
}
