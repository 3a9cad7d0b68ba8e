//! Reads a PL/pgSQL body: which statements, expressions and types it holds.
//!
//! A reader of our own over [`Lexer`]'s tokens, with the rules of the server's `pl_gram.y`. `parse_plpgsql` of the
//! parser's binding cannot serve: what it gives out leaves out the initial values of record variables, which are code,
//! it knows no row types, so that `r.column := ...` is an error to it, and of 417 bodies in PostgreSQL 15's regression
//! suite it answers 117 with JSON that is none. The rule that makes this reader safe is that
//! no token is passed over: each is one of the grammar's own words, a name that something is stored in, or part of a
//! [`Piece`], which PostgreSQL's own parser reads afterwards. What does not fit is [`Unreadable`].

mod declarations;
mod statements;
#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::sql::lexer::{Lexer, Token, TokenKind};
use crate::sql::resolve::NAME_BYTES_MAX;

/// Something in a body that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A statement of SQL.
    Statement(String),
    /// A list of expressions, what may stand behind SELECT.
    Expression(String),
    /// An expression whose value is run as a statement.
    Dynamic(String),
    /// A type that values are converted to.
    Type(String),
    /// A relation of which a variable has the type of a column or of the row: its name, as in the text.
    TypeOf(String),
}

/// What a body holds.
#[expect(clippy::struct_excessive_bools, reason = "each says one thing about the body")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Body {
    /// In the order of the text.
    pub(super) pieces: Vec<Piece>,
    /// Names of variables, cursors and labels, as the server spells them.
    pub(super) variables: Vec<Box<str>>,
    /// Variables that are declared with a type of their own, and that type as in the text.
    pub(super) typed: Vec<(Box<str>, String)>,
    /// It may commit or roll back: by itself, or by what it calls.
    pub(super) may_end: bool,
    /// It handles errors, whose texts tell of rows.
    pub(super) catches: bool,
    /// It opens or closes cursors.
    pub(super) takes_cursors: bool,
    /// It reads from a cursor, of which it does not tell what that gives.
    pub(super) fetches: bool,
    /// Pieces, by their place, whose values are stored in a trigger's row, or returned as one.
    pub(super) stored: Vec<(usize, Vec<Place>)>,
}

/// Where one of a piece's values goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To a variable.
    Variable,
    /// To `NEW` or `OLD` as a whole.
    Row,
    /// To a column of it.
    Field(Box<str>),
}

/// A body that does not follow the grammar, or is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// Longest body that is read.
pub(super) const BYTES_MAX: usize = 64 << 10;

/// Most blocks inside of each other.
const BLOCKS_MAX: usize = 100;

/// Most tokens of a body.
const TOKENS_MAX: usize = 20_000;

/// Reads a body.
pub(super) fn read(text: &str) -> Result<Body, Unreadable> {
    let mut reader = Reader::new(text)?;
    reader.body()?;
    Ok(reader.found)
}

/// An open block.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Block {
    Begin,
    Exception,
    If,
    /// With the text of what is compared, if it has one.
    Case(Option<String>),
    Loop,
}

struct Reader<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    blocks: Vec<Block>,
    cursors: Vec<Box<str>>,
    /// What a trigger's rows are called.
    rows: Vec<Box<str>>,
    found: Body,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Result<Self, Unreadable> {
        if text.len() > BYTES_MAX {
            return Err(Unreadable);
        }
        let mut lexer = Lexer::new(text.as_bytes()).map_err(|_| Unreadable)?;
        let mut tokens = Vec::new();
        while let Some(token) = lexer.next_token().map_err(|_| Unreadable)? {
            if tokens.len() == TOKENS_MAX {
                return Err(Unreadable);
            }
            tokens.push(token);
        }
        Ok(Self {
            text,
            tokens,
            at: 0,
            blocks: Vec::new(),
            cursors: Vec::new(),
            rows: vec!["new".into(), "old".into()],
            found: Body::default(),
        })
    }

    fn body(&mut self) -> Result<(), Unreadable> {
        // `#variable_conflict use_column` and the like.
        while self.is_sign(self.at, "#") {
            self.at += 1;
            self.name()?;
            self.name()?;
        }
        loop {
            let inside = !self.blocks.is_empty();
            self.statement()?;
            if inside && self.blocks.is_empty() {
                self.take_sign(";");
                let is_end = self.at == self.tokens.len();
                return if is_end { Ok(()) } else { Err(Unreadable) };
            }
        }
    }

    /// The text of the token at this place; empty behind the end.
    fn token(&self, at: usize) -> &'a str {
        self.tokens
            .get(at)
            .and_then(|token| self.text.get(token.start..token.end))
            .unwrap_or("")
    }

    fn kind(&self, at: usize) -> Option<TokenKind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    fn is_word(&self, at: usize, word: &str) -> bool {
        self.kind(at) == Some(TokenKind::Word) && self.token(at).eq_ignore_ascii_case(word)
    }

    fn is_sign(&self, at: usize, sign: &str) -> bool {
        matches!(self.kind(at), Some(TokenKind::Sign | TokenKind::Punctuation)) && self.token(at) == sign
    }

    fn is_name(&self, at: usize) -> bool {
        matches!(self.kind(at), Some(TokenKind::Word | TokenKind::QuotedWord))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(self.at, word);
        self.at += usize::from(found);
        found
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(self.at, sign);
        self.at += usize::from(found);
        found
    }

    fn expect_word(&mut self, word: &str) -> Result<(), Unreadable> {
        if self.take_word(word) {
            Ok(())
        } else {
            Err(Unreadable)
        }
    }

    fn expect_sign(&mut self, sign: &str) -> Result<(), Unreadable> {
        if self.take_sign(sign) {
            Ok(())
        } else {
            Err(Unreadable)
        }
    }

    /// The name at this place, as the server spells it.
    fn name(&mut self) -> Result<Box<str>, Unreadable> {
        let text = self.token(self.at);
        let mut name = match self.kind(self.at) {
            Some(TokenKind::Word) => text.to_ascii_lowercase(),
            Some(TokenKind::QuotedWord) => text
                .get(1..text.len().saturating_sub(1))
                .ok_or(Unreadable)?
                .replace("\"\"", "\""),
            _ => return Err(Unreadable),
        };
        let mut end = name.len().min(NAME_BYTES_MAX);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
        self.at += 1;
        Ok(name.into())
    }

    /// A name that something is stored in: `a`, `a.b`; subscripts may follow, which are expressions.
    fn target(&mut self) -> Result<Place, Unreadable> {
        if self.kind(self.at) == Some(TokenKind::Param) {
            self.at += 1;
            return Ok(Place::Variable);
        }
        let mut names = vec![self.name()?];
        while self.take_sign(".") {
            names.push(self.name()?);
        }
        // The label of a block may stand before it.
        let row = names.iter().take(2).position(|name| self.rows.contains(name));
        Ok(match row {
            None => Place::Variable,
            Some(row) => names.into_iter().nth(row + 1).map_or(Place::Row, Place::Field),
        })
    }

    fn targets(&mut self) -> Result<Vec<Place>, Unreadable> {
        let mut places = vec![self.target()?];
        while self.take_sign(",") {
            places.push(self.target()?);
        }
        Ok(places)
    }

    /// What the last piece gives is stored.
    fn stores(&mut self, places: Vec<Place>) {
        if let Some(last) = self.found.pieces.len().checked_sub(1) {
            self.stores_of(last, places);
        }
    }

    fn stores_of(&mut self, piece: usize, places: Vec<Place>) {
        if places.iter().any(|place| *place != Place::Variable) {
            self.found.stored.push((piece, places));
        }
    }

    fn names_a_row(&self, at: usize) -> bool {
        self.is_name(at)
            && self.rows.iter().any(|row| {
                let token = self.token(at);
                token.trim_matches('"').eq_ignore_ascii_case(row)
            })
    }

    /// The tokens up to one that `ends` outside of brackets; that one is not among them.
    fn until(&mut self, ends: impl Fn(&Self, usize) -> bool) -> Result<Range<usize>, Unreadable> {
        let start = self.at;
        let mut open = 0usize;
        loop {
            match self.kind(self.at) {
                None => return Err(Unreadable),
                Some(_) if open == 0 && ends(self, self.at) => return Ok(start..self.at),
                Some(TokenKind::Punctuation) => match self.token(self.at) {
                    "(" | "[" => open += 1,
                    ")" | "]" => open = open.checked_sub(1).ok_or(Unreadable)?,
                    ";" if open == 0 => return Err(Unreadable),
                    _ => {}
                },
                Some(_) => {}
            }
            self.at += 1;
        }
    }

    fn until_word(&mut self, word: &str) -> Result<Range<usize>, Unreadable> {
        let found = self.until(|reader, at| reader.is_word(at, word))?;
        self.at += 1;
        Ok(found)
    }

    fn until_semicolon(&mut self) -> Result<Range<usize>, Unreadable> {
        let found = self.until(|reader, at| reader.is_sign(at, ";"))?;
        self.at += 1;
        Ok(found)
    }

    /// The text of some tokens.
    fn slice(&self, tokens: &Range<usize>) -> Result<&'a str, Unreadable> {
        let span = self.tokens.get(tokens.clone()).ok_or(Unreadable)?;
        match (span.first(), span.last()) {
            (Some(first), Some(last)) => self.text.get(first.start..last.end).ok_or(Unreadable),
            _ => Err(Unreadable),
        }
    }

    fn expression(&mut self, tokens: &Range<usize>) -> Result<(), Unreadable> {
        let text = self.slice(tokens)?.to_owned();
        self.found.pieces.push(Piece::Expression(text));
        Ok(())
    }

    fn query(&mut self, tokens: &Range<usize>) -> Result<(), Unreadable> {
        let text = self.slice(tokens)?.to_owned();
        self.found.pieces.push(Piece::Statement(text));
        Ok(())
    }

    fn dynamic(&mut self, tokens: &Range<usize>) -> Result<(), Unreadable> {
        let text = self.slice(tokens)?.to_owned();
        self.found.pieces.push(Piece::Dynamic(text));
        Ok(())
    }

    /// A variable, cursor or label. Words that the grammar looks for where an expression may begin would mean
    /// something else if they were variables: nobody calls one so.
    fn variable(&mut self, name: Box<str>) -> Result<(), Unreadable> {
        if matches!(
            &*name,
            "next"
                | "query"
                | "reverse"
                | "slice"
                | "array"
                | "debug"
                | "log"
                | "info"
                | "notice"
                | "warning"
        ) {
            return Err(Unreadable);
        }
        self.found.variables.push(name);
        Ok(())
    }

    fn open(&mut self, block: Block) -> Result<(), Unreadable> {
        if self.blocks.len() == BLOCKS_MAX {
            return Err(Unreadable);
        }
        self.blocks.push(block);
        Ok(())
    }
}
