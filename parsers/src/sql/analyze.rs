//! From a text to its statements with their effects, by PostgreSQL's own grammar.
//!
//! The text is bounded before the C code sees it: its length, its tokens, and its depth as [`super::weight`] estimates
//! it. A panic below (the parser's binding has a few) is caught and ends as an opaque statement; a crash of the C code
//! could not be, which is why it runs on well-formed, bounded text only.
//!

mod assign;
mod body;
mod call;
mod change;
mod column;
mod constant;
mod deferred;
mod definition;
mod expand;
mod expression;
mod filter;
#[cfg(test)]
mod fixture;
mod implied;
mod json;
mod maintenance;
mod name;
mod nested;
mod operation;
mod predicted;
mod printed;
mod protect;
mod query;
mod relation;
mod scope;
mod select;
mod source;
mod touches;
mod types;
mod utility;
mod value;
mod walk;

use std::panic::{AssertUnwindSafe, catch_unwind};

use pg_query::protobuf::{ParseResult, RawStmt};
use smallvec::{SmallVec, smallvec};

use self::nested::Allowance;
use self::predicted::Predicted;
use self::walk::Walker;
use super::effect::{Action, Effect, Object, ObjectKind};
use super::lexer::{Lexer, TokenKind};
use super::neutral::Neutral;
use super::resolve::Resolver;
use super::runs;
use super::shape::Shape;
use super::statement::{Analysis, Cause, PreparedUse, Probes, Reason, Statement, StatementKind, Taken};
use super::weight;
use super::world::{Deferred, Touched, World};

/// Bounds of one analysis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest text.
    pub bytes_max: usize,
    /// Most tokens, after long lists of constants were shortened.
    pub tokens_max: usize,
    /// Deepest nesting, as [`super::weight`] estimates it; at most [`DEPTH_MAX`] counts.
    pub depth_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes_max: 4 << 20,
            tokens_max: 100_000,
            depth_max: DEPTH_MAX,
        }
    }
}

/// The oldest major version of the server that is served.
pub const SERVER_MAJOR_MIN: u8 = 12;

/// The depth that [`ANALYSIS_STACK_BYTES`] suffice for.
pub const DEPTH_MAX: usize = 500;

/// The stack that a thread needs for an analysis within the default limits: a level of nesting takes up to 9 KiB to
/// decode, twenty times that without optimization. It is address space, memory only as far as it is used.
pub const ANALYSIS_STACK_BYTES: usize = if cfg!(debug_assertions) {
    256 << 20
} else {
    16 << 20
};

/// The statements of a text with their effects. Never panics; what cannot be read is opaque.
pub fn analyze(sql: &str, limits: &Limits, world: &World) -> Analysis {
    match catch_unwind(AssertUnwindSafe(|| read(sql, limits, world))) {
        Ok(Ok(analysis)) => analysis,
        Ok(Err(reason)) => unreadable(sql.len(), reason),
        Err(_panic) => unreadable(
            sql.len(),
            Reason {
                cause: Cause::Parser,
                name: "panic".into(),
            },
        ),
    }
}

/// [`analyze`] for a text that may not be UTF-8.
pub fn analyze_bytes(sql: &[u8], limits: &Limits, world: &World) -> Analysis {
    match std::str::from_utf8(sql) {
        Ok(text) => analyze(text, limits, world),
        Err(_) => unreadable(
            sql.len(),
            Reason {
                cause: Cause::Lexical,
                name: "invalid UTF-8".into(),
            },
        ),
    }
}

fn read(sql: &str, limits: &Limits, world: &World) -> Result<Analysis, Reason> {
    let reason = |cause, name: String| Reason {
        cause,
        name: name.into(),
    };
    if sql.len() > limits.bytes_max {
        return Err(reason(Cause::TooLong, format!("{} bytes", sql.len())));
    }
    if !runs::are_bounded(sql.as_bytes()) {
        return Err(reason(Cause::TooManyTokens, "comments without end".to_owned()));
    }
    let mut shape = Shape::new();
    shape
        .scan(sql.as_bytes())
        .map_err(|error| reason(Cause::Lexical, error.to_string()))?;
    let trimmed = weight::trim(sql, &shape).map_err(|error| reason(Cause::Lexical, error.to_string()))?;
    let text = trimmed.text();
    let weight =
        weight::try_weigh(text.as_bytes()).map_err(|error| reason(Cause::Lexical, error.to_string()))?;
    if weight.tokens > limits.tokens_max {
        return Err(reason(Cause::TooManyTokens, weight.tokens.to_string()));
    }
    if weight.depth > limits.depth_max.min(DEPTH_MAX) {
        return Err(reason(Cause::TooDeep, weight.depth.to_string()));
    }
    let parsed = pg_query::parse(text, 0).map_err(|error| match error {
        pg_query::Error::Parse(message) => reason(Cause::Syntax, message),
        other => reason(Cause::Parser, other.to_string()),
    })?;
    let mut analysis = walk(sql, &shape, &parsed.protobuf, world)?;
    trimmed.extend(&mut analysis.neutral);
    Ok(analysis)
}

fn walk(sql: &str, shape: &Shape, tree: &ParseResult, world: &World) -> Result<Analysis, Reason> {
    let mut statements = Vec::with_capacity(tree.stmts.len());
    let mut neutral = Neutral::none();
    let mut start = 0;
    let mut session = Predicted::new(world);
    let mut allowance = Allowance::default();
    let mut allowance_of_deferred = Allowance::default();
    for (index, raw) in tree.stmts.iter().enumerate() {
        let last = index + 1 == tree.stmts.len();
        let end = statement_end(raw, sql, last)?;
        let semicolon = u32::try_from(end)
            .ok()
            .filter(|_| sql.as_bytes().get(end) == Some(&b';'))
            .and_then(|end| shape.semicolons().binary_search(&end).ok());
        if semicolon.is_none() && end != sql.len() {
            return Err(Reason {
                cause: Cause::Parser,
                name: "statement end".into(),
            });
        }
        let world = session.world();
        let (mut walker, mut kind) = walked(raw, Walker::new(&world, Resolver::new(&world), &allowance));
        allowance.take(&walker);
        // In which order bodies run, and how often, is not followed: what the statement changes while it runs, it may
        // have changed before any name that is looked up while it runs.
        let changes = walker.late_changes();
        let mut defers = walker.defers;
        if !changes.are_none() {
            let again = Walker::new(&world, Resolver::new(&world), &allowance).while_changing(&changes);
            (walker, kind) = walked(raw, again);
            allowance.take(&walker);
            if !changes.covers(&walker.late_changes()) {
                walker.opaque(Cause::Code, Object::new(ObjectKind::Nothing, "names that change"));
                walker.touches_unseen();
            }
        }
        if walker.is_opaque() {
            walker.takes(Taken::Statements);
            defers = defers.max(Deferred::Checks);
        }
        for &location in &walker.neutral_at {
            if let Some(ordinal) = literal_at(sql, shape, location) {
                neutral.insert(ordinal);
            }
        }
        let behind = if last { sql.len() } else { end + 1 };
        let protected_reads = walker.protected_reads();
        let mut statement = Statement {
            range: start..behind,
            semicolon,
            kind,
            leaks_if_stored: walker.leaks_if_stored(&protected_reads),
            leaks_if_explained: walker.leaks_if_explained(),
            protected_reads,
            use_of_prepared: walker.use_of_prepared,
            takes: walker.takes,
            changes_uncounted: walker.changes_uncounted,
            probes: walker.probes,
            effects: walker.effects,
            reasons: walker.reasons,
            runs_prepared: walker.runs_prepared,
            touches: walker.touches.found(),
            columns: walker.output.into(),
            decided_at_bind: walker.decided_at_bind,
            opaque_until_bind: walker.opaque_until_bind,
            defers: defers.max(walker.defers),
        };
        session.after(&statement);
        if session.may_change_deferred(&statement)
            && let Some(changed) = deferred::changed(
                session.deferred(),
                &world,
                &session.world(),
                &mut allowance_of_deferred,
            )
        {
            statement.changes_deferred(changed);
            session.after(&statement);
        }
        statements.push(statement);
        start = behind;
    }
    Ok(Analysis {
        statements,
        neutral,
        readable: true,
    })
}

/// Walks one statement.
fn walked<'w>(raw: &RawStmt, mut walker: Walker<'w>) -> (Walker<'w>, StatementKind) {
    let kind = if let Some(kind) = raw.stmt.as_ref().and_then(|stmt| stmt.node.as_ref()) {
        walker.statement(kind)
    } else {
        walker.unknown("statement");
        StatementKind::Other
    };
    walker.uses_parameter_types();
    walker.touches_unseen();
    walker.finish();
    (walker, kind)
}

/// Where the statement's own `;` stands, or the end of the text.
fn statement_end(raw: &RawStmt, sql: &str, last: bool) -> Result<usize, Reason> {
    let broken = || Reason {
        cause: Cause::Parser,
        name: "statement location".into(),
    };
    let location = usize::try_from(raw.stmt_location).map_err(|_| broken())?;
    let length = usize::try_from(raw.stmt_len).map_err(|_| broken())?;
    match length {
        0 if last => Ok(sql.len()),
        0 => Err(broken()),
        _ => location
            .checked_add(length)
            .filter(|&end| end <= sql.len())
            .ok_or_else(broken),
    }
}

/// The literal whose token begins at a constant's location. A negative number's location is that of its sign.
fn literal_at(sql: &str, shape: &Shape, location: i32) -> Option<usize> {
    let location = usize::try_from(location).ok()?;
    let find = |at: usize| {
        let at = u32::try_from(at).ok()?;
        shape
            .literals()
            .binary_search_by_key(&at, |literal| literal.start)
            .ok()
    };
    if let Some(ordinal) = find(location) {
        return Some(ordinal);
    }
    let mut lexer = Lexer::at(sql.as_bytes(), location);
    loop {
        let token = lexer.next_token().ok()??;
        match token.kind {
            TokenKind::Sign if sql.as_bytes()[token.start..token.end] == *b"-" => {}
            TokenKind::Integer | TokenKind::Numeric => return find(token.start),
            _ => return None,
        }
    }
}

fn unreadable(text_len: usize, reason: Reason) -> Analysis {
    Analysis {
        statements: vec![Statement {
            range: 0..text_len,
            semicolon: None,
            kind: StatementKind::Unreadable,
            effects: smallvec![Effect::new(
                Action::Opaque,
                Object::new(ObjectKind::Nothing, reason.cause.text())
            )],
            reasons: smallvec![reason],
            runs_prepared: None,
            touches: Touched::Everything,
            columns: Box::default(),
            protected_reads: SmallVec::new(),
            leaks_if_stored: SmallVec::new(),
            leaks_if_explained: SmallVec::new(),
            use_of_prepared: PreparedUse::Runs,
            decided_at_bind: SmallVec::new(),
            opaque_until_bind: SmallVec::new(),
            takes: Taken::Statements,
            changes_uncounted: false,
            probes: Probes::NONE,
            defers: Deferred::Checks,
        }],
        neutral: Neutral::none(),
        readable: false,
    }
}

/// Fuzz body: any bytes give an analysis whose statements cover the text in order.
pub fn fuzz_analyze(data: &[u8]) {
    let analysis = analyze_bytes(data, &Limits::default(), &World::built_in(SERVER_MAJOR_MIN));
    let mut behind = 0;
    for statement in &analysis.statements {
        assert_eq!(statement.range.start, behind);
        assert!(statement.range.end >= behind);
        behind = statement.range.end;
        assert!(
            statement.reasons.is_empty()
                || statement
                    .effects
                    .iter()
                    .any(|effect| effect.action == Action::Opaque)
        );
    }
    assert!(analysis.statements.is_empty() || behind == data.len());
}
