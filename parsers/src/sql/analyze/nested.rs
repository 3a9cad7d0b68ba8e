//! Texts that the catalog holds: expressions, queries and bodies, parsed within one bound for the whole statement.

use pg_query::protobuf::ParseResult;

use super::printed::readable;
use super::walk::{WORK_MAX, Walker};
use crate::sql::effect::{Object, ObjectKind};
use crate::sql::resolve::Named;
use crate::sql::runs;
use crate::sql::statement::Cause;
use crate::sql::weight;

/// What may still be spent on texts of the catalog.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Bytes that may still be read.
    bytes: usize,
    /// Texts that are being read, each inside of the one before.
    texts: usize,
    /// Their depth together, as [`weight`] estimates it.
    depth: usize,
}

/// Longest text of the catalog that is read.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// Bytes of such texts that one statement may need.
const BYTES_MAX: usize = 1 << 20;

/// How many of them may be inside of each other: a view over a view, a function that a trigger calls.
const TEXTS_MAX: usize = 24;

/// Their depth together. With that of the statement it stays in what the stack suffices for.
const DEPTH_MAX: usize = 250;

/// Levels that a text costs by itself.
const DEPTH_OF_TEXT: usize = 4;

impl Budget {
    /// Of a statement, where so many bytes are left for all of its text.
    fn within(left: usize) -> Self {
        Self {
            bytes: left.min(BYTES_MAX),
            texts: 0,
            depth: 0,
        }
    }
}

/// What a client's text may spend on the analysis of all its statements together.
#[derive(Debug)]
pub(super) struct Allowance {
    /// Nodes and columns that are looked at.
    work: usize,
    /// Bytes of the catalog's texts.
    bytes: usize,
}

/// So many statements of a text may take as much as one may.
const FULL_STATEMENTS: usize = 4;

impl Default for Allowance {
    fn default() -> Self {
        Self {
            work: FULL_STATEMENTS * WORK_MAX,
            bytes: FULL_STATEMENTS * BYTES_MAX,
        }
    }
}

impl Allowance {
    /// What the next statement may spend of it. Its names are looked up along a search path, which may be long.
    pub(super) fn of_statement(&self, path: &[Box<str>]) -> (usize, Budget) {
        let work = self.work.min(WORK_MAX).saturating_sub(path.len());
        (work, Budget::within(self.bytes))
    }

    /// Whether the next statement may spend as much as one may.
    pub(super) fn is_full(&self) -> bool {
        self.work >= WORK_MAX && self.bytes >= BYTES_MAX
    }

    /// Takes off what a statement spent.
    pub(super) fn take(&mut self, walker: &Walker<'_>) {
        let (work, budget) = self.of_statement(&[]);
        self.work -= work.saturating_sub(walker.work_left);
        self.bytes -= budget.bytes.saturating_sub(walker.budget.bytes);
    }
}

impl Walker<'_> {
    /// Parses a text and walks it as `walk` does. What is too large or cannot be read is opaque. No constant in it is
    /// neutral, and no common table expression of the statement can be seen from it.
    pub(super) fn nested(&mut self, what: &Object, sql: &str, walk: impl FnOnce(&mut Self, &ParseResult)) {
        let outside = self.budget;
        let Some(depth) = self.enter(sql) else {
            return self.opaque(Cause::TooDeep, what.clone());
        };
        let parsed = runs::are_bounded(sql.as_bytes()).then(|| pg_query::parse(sql, 0));
        let Some(Ok(parsed)) = parsed else {
            self.budget.texts = outside.texts;
            return self.opaque(Cause::Syntax, what.clone());
        };
        self.budget.depth += depth;
        let in_definition = std::mem::replace(&mut self.in_definition, true);
        let ctes = std::mem::take(&mut self.ctes);
        let levels = std::mem::take(&mut self.levels);
        walk(self, &parsed.protobuf);
        self.levels = levels;
        self.ctes = ctes;
        self.in_definition = in_definition;
        self.budget.texts = outside.texts;
        self.budget.depth = outside.depth;
    }

    /// The same for a text that the server printed: every name in it that is not built in has its schema. What was
    /// expanded once counts for bodies too, so that what is uncertain in those is so in all such texts.
    pub(super) fn nested_printed(
        &mut self,
        what: &Object,
        sql: &str,
        walk: impl FnOnce(&mut Self, &ParseResult),
    ) {
        let printed = self.implied.printed.clone();
        let outside = std::mem::replace(&mut self.resolver, printed);
        self.nested(what, &readable(sql), walk);
        self.resolver = outside;
    }

    /// Reads names as a body's are that runs now.
    pub(super) fn with_runtime_names(&mut self, run: impl FnOnce(&mut Self)) {
        self.implied.looks_up_late = true;
        let runtime = self.implied.runtime.resolver.clone();
        let outside = std::mem::replace(&mut self.resolver, runtime);
        run(self);
        self.resolver = outside;
    }

    /// The relation that a text names where the statement comes to it.
    pub(super) fn relation_named_late(&mut self, text: &str) -> Named {
        self.implied.looks_up_late = true;
        self.implied.runtime.resolver.relation_of_text(text)
    }

    /// Every statement of a text.
    pub(super) fn nested_statements(&mut self, what: &Object, sql: &str) {
        self.nested(what, sql, |walker, parsed| {
            for raw in &parsed.stmts {
                match raw.stmt.as_ref().and_then(|stmt| stmt.node.as_ref()) {
                    Some(kind) => walker.nested_statement(kind),
                    None => walker.unknown("statement"),
                }
            }
        });
    }

    /// What is walked is the statement's own text, and no view, body or expression of the catalog.
    pub(super) fn is_in_own_text(&self) -> bool {
        self.budget.depth == 0 && self.arguments.is_none()
    }

    /// Takes from the budget; gives the text's depth, or none if there is too little left.
    fn enter(&mut self, sql: &str) -> Option<usize> {
        if sql.len() > TEXT_BYTES_MAX || self.budget.texts == TEXTS_MAX {
            return None;
        }
        // A text costs something even if it is short.
        self.budget.bytes = self.budget.bytes.checked_sub(sql.len() + 64)?;
        let depth = weight::weigh(sql.as_bytes()).depth + DEPTH_OF_TEXT;
        if self.budget.depth + depth > DEPTH_MAX {
            return None;
        }
        self.budget.texts += 1;
        Some(depth)
    }
}

/// What a text belongs to, for the reason of what is opaque in it.
pub(super) fn text_of(name: &str) -> Object {
    Object::new(ObjectKind::Nothing, name)
}
