//! Statements of a body.

use std::ops::Range;

use super::{Block, Piece, Place, Reader, Unreadable};
use crate::sql::lexer::TokenKind;

impl Reader<'_> {
    /// One statement, or one of the words that open, part and close blocks.
    pub(super) fn statement(&mut self) -> Result<(), Unreadable> {
        if self.take_sign("<<") {
            let label = self.name()?;
            self.variable(label)?;
            return self.expect_sign(">>");
        }
        if !self.is_name(self.at) && self.kind(self.at) != Some(TokenKind::Param) {
            return Err(Unreadable);
        }
        // Only blocks stand outside of a block.
        let outside = self.blocks.is_empty();
        let assigns = [":=", "=", "[", "."]
            .iter()
            .any(|sign| self.is_sign(self.at + 1, sign));
        if !outside && assigns {
            return self.assignment();
        }
        let word = match self.kind(self.at) {
            Some(TokenKind::Word) => self.token(self.at).to_ascii_lowercase(),
            _ => String::new(),
        };
        match (word.as_str(), outside) {
            ("declare", _) => self.declarations(),
            ("begin", _) => {
                self.at += 1;
                self.open(Block::Begin)
            }
            (_, true) => Err(Unreadable),
            ("if", _) => {
                self.at += 1;
                self.open(Block::If)?;
                self.condition("then")
            }
            ("elsif" | "elseif", _) if self.blocks.last() == Some(&Block::If) => {
                self.at += 1;
                self.condition("then")
            }
            ("else", _) if matches!(self.blocks.last(), Some(Block::If | Block::Case(_))) => {
                self.at += 1;
                Ok(())
            }
            ("case", _) => self.case(),
            ("when", _) => self.when(),
            ("exception", _) if self.blocks.last() == Some(&Block::Begin) => {
                self.at += 1;
                self.blocks.pop();
                self.found.catches = true;
                self.open(Block::Exception)
            }
            ("end", _) => self.end(),
            ("loop", _) => {
                self.at += 1;
                self.open(Block::Loop)
            }
            ("while", _) => {
                self.at += 1;
                self.open(Block::Loop)?;
                self.condition("loop")
            }
            ("for", _) => self.for_loop(),
            ("foreach", _) => self.foreach(),
            ("exit" | "continue", _) => {
                self.at += 1;
                if !self.is_word(self.at, "when") && self.is_name(self.at) {
                    self.name()?;
                }
                if self.take_word("when") {
                    let condition = self.until_semicolon()?;
                    return self.expression(&condition);
                }
                self.expect_sign(";")
            }
            ("return", _) => self.return_value(),
            ("raise", _) => self.raise(),
            ("assert", _) => {
                self.at += 1;
                let arguments = self.until_semicolon()?;
                self.expression(&arguments)
            }
            ("execute", _) => {
                self.at += 1;
                self.found.may_end = true;
                self.execute()
            }
            ("call" | "do", _) => {
                self.found.may_end = true;
                let first = self.at;
                self.sql()?;
                if (first..self.at).any(|at| self.names_a_row(at)) {
                    // A procedure's output.
                    self.stores(vec![Place::Row]);
                }
                Ok(())
            }
            ("perform", _) => {
                self.at += 1;
                let rest = self.until_semicolon()?;
                let text = format!("SELECT {}", self.slice(&rest)?);
                self.found.pieces.push(Piece::Statement(text));
                Ok(())
            }
            ("get", _) => {
                let first = self.at;
                self.only(|reader, at| {
                    reader.is_name(at) || [".", ",", "=", ":="].iter().any(|sign| reader.is_sign(at, sign))
                })?;
                if (first..self.at).any(|at| self.names_a_row(at)) {
                    // It tells what the variable does: a message, with values in it.
                    self.found.pieces.push(Piece::Expression("sqlerrm".to_owned()));
                    self.stores(vec![Place::Row]);
                }
                Ok(())
            }
            ("open", _) => {
                self.found.takes_cursors = true;
                self.open_cursor()
            }
            (word @ ("fetch" | "move" | "close"), _) => {
                self.found.takes_cursors |= word == "close";
                self.found.fetches |= word == "fetch";
                self.only(|reader, at| {
                    reader.is_name(at)
                        || matches!(reader.kind(at), Some(TokenKind::Integer | TokenKind::Param))
                        || [".", ",", "-", "+"].iter().any(|sign| reader.is_sign(at, sign))
                })
            }
            ("null", _) => {
                self.at += 1;
                self.expect_sign(";")
            }
            ("commit" | "rollback", _) => {
                self.found.may_end = true;
                self.only(|reader, at| {
                    ["commit", "rollback", "and", "no", "chain"]
                        .iter()
                        .any(|word| reader.is_word(at, word))
                })
            }
            _ => self.sql(),
        }
    }

    /// A statement in which no code can be: only tokens that `fits`, up to its end.
    fn only(&mut self, fits: impl Fn(&Self, usize) -> bool) -> Result<(), Unreadable> {
        let mut tokens = self.until_semicolon()?;
        if tokens.all(|at| fits(self, at)) {
            Ok(())
        } else {
            Err(Unreadable)
        }
    }

    fn condition(&mut self, end: &str) -> Result<(), Unreadable> {
        let condition = self.until_word(end)?;
        self.expression(&condition)
    }

    /// `a.b[i] := value`; `=` is the same.
    fn assignment(&mut self) -> Result<(), Unreadable> {
        let target = self.until(|reader, at| reader.is_sign(at, ":=") || reader.is_sign(at, "="))?;
        self.expression(&target)?;
        let behind = self.at + 1;
        self.at = target.start;
        let place = self.target()?;
        self.at = behind;
        let value = self.until_semicolon()?;
        self.expression(&value)?;
        self.stores(vec![place]);
        Ok(())
    }

    fn case(&mut self) -> Result<(), Unreadable> {
        self.at += 1;
        let compared = if self.is_word(self.at, "when") {
            None
        } else {
            let compared = self.until(|reader, at| reader.is_word(at, "when"))?;
            Some(self.slice(&compared)?.to_owned())
        };
        self.open(Block::Case(compared))
    }

    fn when(&mut self) -> Result<(), Unreadable> {
        self.at += 1;
        match self.blocks.last() {
            Some(Block::Case(compared)) => {
                let compared = compared.clone();
                let values = self.until_word("then")?;
                let text = self.slice(&values)?;
                let text = match compared {
                    // How the server compares.
                    Some(compared) => format!("({compared}) IN ({text})"),
                    None => text.to_owned(),
                };
                self.found.pieces.push(Piece::Expression(text));
                Ok(())
            }
            Some(Block::Exception) => {
                // Conditions: names, and SQLSTATE with a constant.
                let mut conditions = self.until_word("then")?;
                let fit = conditions.all(|at| self.is_name(at) || self.kind(at) == Some(TokenKind::String));
                if fit { Ok(()) } else { Err(Unreadable) }
            }
            _ => Err(Unreadable),
        }
    }

    fn end(&mut self) -> Result<(), Unreadable> {
        self.at += 1;
        match self.blocks.pop().ok_or(Unreadable)? {
            Block::Begin | Block::Exception => {
                if self.is_name(self.at) {
                    self.name()?;
                }
                if self.blocks.is_empty() {
                    // The last one may go without.
                    return Ok(());
                }
            }
            Block::If => self.expect_word("if")?,
            Block::Case(_) => self.expect_word("case")?,
            Block::Loop => {
                self.expect_word("loop")?;
                if self.is_name(self.at) {
                    self.name()?;
                }
            }
        }
        self.expect_sign(";")
    }

    fn for_loop(&mut self) -> Result<(), Unreadable> {
        self.at += 1;
        self.open(Block::Loop)?;
        let first = self.at;
        let places = self.targets()?;
        if self.at == first + 1 {
            // The variable of a loop over numbers needs no declaration.
            self.at = first;
            let name = self.name()?;
            self.variable(name)?;
        }
        self.expect_word("in")?;
        if self.take_word("execute") {
            let query = self.until(|reader, at| reader.is_word(at, "loop") || reader.is_word(at, "using"))?;
            self.dynamic(&query)?;
            self.stores(places);
            if self.take_word("using") {
                return self.condition("loop");
            }
            self.at += 1;
            return Ok(());
        }
        if self.is_name(self.at) && (self.is_word(self.at + 1, "loop") || self.is_sign(self.at + 1, "(")) {
            let at = self.at;
            let name = self.name()?;
            if self.cursors.contains(&name) {
                self.arguments()?;
                return self.expect_word("loop");
            }
            self.at = at;
        }
        self.take_word("reverse");
        let lower = self.until(|reader, at| reader.is_sign(at, "..") || reader.is_word(at, "loop"))?;
        if self.take_word("loop") {
            self.query(&lower)?;
            self.stores(places);
            return Ok(());
        }
        self.expression(&lower)?;
        self.at += 1;
        let upper = self.until(|reader, at| reader.is_word(at, "by") || reader.is_word(at, "loop"))?;
        self.expression(&upper)?;
        if self.take_word("by") {
            return self.condition("loop");
        }
        self.at += 1;
        Ok(())
    }

    fn foreach(&mut self) -> Result<(), Unreadable> {
        self.at += 1;
        self.open(Block::Loop)?;
        let places = self.targets()?;
        if self.take_word("slice") {
            if self.kind(self.at) != Some(TokenKind::Integer) {
                return Err(Unreadable);
            }
            self.at += 1;
        }
        self.expect_word("in")?;
        self.expect_word("array")?;
        self.condition("loop")?;
        self.stores(places);
        Ok(())
    }

    fn return_value(&mut self) -> Result<(), Unreadable> {
        self.at += 1;
        if self.take_word("query") {
            if self.take_word("execute") {
                return self.execute();
            }
            let query = self.until_semicolon()?;
            return self.query(&query);
        }
        self.take_word("next");
        if self.take_sign(";") {
            return Ok(());
        }
        let value = self.until_semicolon()?;
        self.expression(&value)?;
        // A trigger's own row, or none: `COALESCE(NEW, OLD)` is one of the two.
        let is_own = value.clone().all(|at| {
            self.names_a_row(at)
                || ["coalesce", "null"].iter().any(|word| self.is_word(at, word))
                || ["(", ",", ")"].iter().any(|sign| self.is_sign(at, sign))
        });
        if !is_own {
            self.stores(vec![Place::Row]);
        }
        Ok(())
    }

    fn raise(&mut self) -> Result<(), Unreadable> {
        self.at += 1;
        for level in ["debug", "log", "info", "notice", "warning", "exception"] {
            if self.take_word(level) {
                break;
            }
        }
        match self.kind(self.at) {
            Some(
                TokenKind::String
                | TokenKind::EscapeString
                | TokenKind::UnicodeString
                | TokenKind::DollarString,
            ) => {
                self.at += 1;
                if self.take_sign(",") {
                    let ends = |reader: &Self, at| reader.is_sign(at, ";") || reader.is_word(at, "using");
                    let arguments = self.until(ends)?;
                    self.expression(&arguments)?;
                }
            }
            _ if self.take_word("sqlstate") => {
                if self.kind(self.at) != Some(TokenKind::String) {
                    return Err(Unreadable);
                }
                self.at += 1;
            }
            _ if self.is_name(self.at) && !self.is_word(self.at, "using") => {
                self.name()?;
            }
            _ => {}
        }
        if self.take_word("using") {
            loop {
                self.name()?;
                if !self.take_sign("=") {
                    self.expect_sign(":=")?;
                }
                let value = self.until(|reader, at| reader.is_sign(at, ",") || reader.is_sign(at, ";"))?;
                self.expression(&value)?;
                if !self.take_sign(",") {
                    break;
                }
            }
        }
        self.expect_sign(";")
    }

    /// What stands behind EXECUTE.
    fn execute(&mut self) -> Result<(), Unreadable> {
        let ends = |reader: &Self, at| {
            reader.is_word(at, "into") || reader.is_word(at, "using") || reader.is_sign(at, ";")
        };
        let query = self.until(ends)?;
        self.dynamic(&query)?;
        let run = self.found.pieces.len().saturating_sub(1);
        loop {
            if self.take_word("into") {
                self.take_word("strict");
                let places = self.targets()?;
                self.stores_of(run, places);
            } else if self.take_word("using") {
                let values = self.until(ends)?;
                self.expression(&values)?;
            } else {
                return self.expect_sign(";");
            }
        }
    }

    fn open_cursor(&mut self) -> Result<(), Unreadable> {
        self.at += 1;
        self.target()?;
        self.take_word("no");
        self.take_word("scroll");
        if self.take_word("for") {
            if self.take_word("execute") {
                return self.execute();
            }
            let query = self.until_semicolon()?;
            return self.query(&query);
        }
        self.arguments()?;
        self.expect_sign(";")
    }

    /// A cursor's arguments, if there are any: `(1, name := 2, name => 3)`.
    fn arguments(&mut self) -> Result<(), Unreadable> {
        if !self.take_sign("(") {
            return Ok(());
        }
        loop {
            if self.is_sign(self.at + 1, ":=") || self.is_sign(self.at + 1, "=>") {
                self.name()?;
                self.at += 1;
            }
            let value = self.until(|reader, at| reader.is_sign(at, ",") || reader.is_sign(at, ")"))?;
            self.expression(&value)?;
            if !self.take_sign(",") {
                break;
            }
        }
        self.expect_sign(")")
    }

    /// A statement of SQL, without its INTO and what is stored there.
    fn sql(&mut self) -> Result<(), Unreadable> {
        let tokens = self.until_semicolon()?;
        let behind = self.at;
        let imports = self.is_word(tokens.start, "import");
        let stores = |at: usize| {
            at > tokens.start
                && self.is_word(at, "into")
                && !imports
                && !self.is_word(at - 1, "insert")
                && !self.is_word(at - 1, "merge")
        };
        let mut intos = tokens.clone().filter(|&at| stores(at));
        let mut places = Vec::new();
        let text = match (intos.next(), intos.next()) {
            (None, _) => self.slice(&tokens)?.to_owned(),
            (Some(into), None) => {
                let before = self.slice(&(tokens.start..into))?;
                self.at = into + 1;
                self.take_word("strict");
                places = self.targets()?;
                let rest = self.rest(self.at..tokens.end)?;
                format!("{before} {rest}")
            }
            (Some(_), Some(_)) => return Err(Unreadable),
        };
        self.at = behind;
        self.found.pieces.push(Piece::Statement(text));
        self.stores(places);
        Ok(())
    }

    fn rest(&self, tokens: Range<usize>) -> Result<&str, Unreadable> {
        if tokens.is_empty() {
            Ok("")
        } else {
            self.slice(&tokens)
        }
    }
}
