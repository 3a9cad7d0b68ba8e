//! The DECLARE section.

use std::ops::Range;

use super::{Piece, Place, Reader, Unreadable};
use crate::sql::lexer::TokenKind;

impl Reader<'_> {
    /// Declarations, up to the BEGIN of their block.
    pub(super) fn declarations(&mut self) -> Result<(), Unreadable> {
        while !self.is_word(self.at, "begin") {
            if !self.take_word("declare") {
                self.declaration()?;
            }
        }
        Ok(())
    }

    fn declaration(&mut self) -> Result<(), Unreadable> {
        let name = self.name()?;
        if self.is_word(self.at, "alias") && self.is_word(self.at + 1, "for") {
            self.at += 2;
            if self.target()? != Place::Variable {
                self.rows.push(name.clone());
            }
            self.variable(name)?;
            return self.expect_sign(";");
        }
        let scroll = usize::from(self.is_word(self.at, "no"));
        let scroll = scroll + usize::from(self.is_word(self.at + scroll, "scroll"));
        if self.is_word(self.at + scroll, "cursor") {
            self.at += scroll + 1;
            return self.cursor(name);
        }
        self.take_word("constant");
        self.variable(name.clone())?;
        self.declared_type(|reader, at| {
            ["not", "default", "collate"]
                .iter()
                .any(|word| reader.is_word(at, word))
                || [";", ":=", "="].iter().any(|sign| reader.is_sign(at, sign))
        })?;
        if let Some(Piece::Type(text)) = self.found.pieces.last() {
            let text = text.clone();
            self.found.typed.push((name, text));
        }
        if self.take_word("collate") {
            self.target()?;
        }
        if self.take_word("not") {
            self.expect_word("null")?;
        }
        if self.take_word("default") || self.take_sign(":=") || self.take_sign("=") {
            let value = self.until_semicolon()?;
            return self.expression(&value);
        }
        self.expect_sign(";")
    }

    /// `CURSOR (a integer, b text) FOR query`.
    fn cursor(&mut self, name: Box<str>) -> Result<(), Unreadable> {
        self.cursors.push(name.clone());
        self.variable(name)?;
        if self.take_sign("(") {
            loop {
                let parameter = self.name()?;
                self.variable(parameter)?;
                self.declared_type(|reader, at| reader.is_sign(at, ",") || reader.is_sign(at, ")"))?;
                if !self.take_sign(",") {
                    break;
                }
            }
            self.expect_sign(")")?;
        }
        if !self.take_word("is") {
            self.expect_word("for")?;
        }
        let query = self.until_semicolon()?;
        self.query(&query)
    }

    fn declared_type(&mut self, ends: impl Fn(&Self, usize) -> bool) -> Result<(), Unreadable> {
        // Brackets are counted by `until`, so that a closing one can only be an end at the outermost level.
        let tokens = self.until(ends)?;
        let piece = match self.borrowed_type(&tokens)? {
            Some(name) => Piece::TypeOf(name),
            None => Piece::Type(self.slice(&tokens)?.to_owned()),
        };
        self.found.pieces.push(piece);
        Ok(())
    }

    /// The name before `%TYPE` or `%ROWTYPE`; it may have array bounds behind it.
    fn borrowed_type(&self, tokens: &Range<usize>) -> Result<Option<String>, Unreadable> {
        let Some(percent) = tokens.clone().find(|&at| self.is_sign(at, "%")) else {
            return Ok(None);
        };
        let is_row = self.is_word(percent + 1, "rowtype");
        if !is_row && !self.is_word(percent + 1, "type") {
            return Err(Unreadable);
        }
        let bounds_only = (percent + 2..tokens.end).all(|at| {
            self.is_sign(at, "[")
                || self.is_sign(at, "]")
                || self.is_word(at, "array")
                || self.kind(at) == Some(TokenKind::Integer)
        });
        let named = (tokens.start..percent).all(|at| self.is_name(at) || self.is_sign(at, "."));
        if !bounds_only || !named {
            return Err(Unreadable);
        }
        Ok(Some(self.slice(&(tokens.start..percent))?.to_owned()))
    }
}
