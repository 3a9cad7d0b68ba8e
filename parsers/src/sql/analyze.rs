//! From a text to its statements with their effects, by PostgreSQL's own grammar.

use smallvec::smallvec;

use super::effect::{Action, Effect, Object};
use super::neutral::Neutral;
use super::statement::{Analysis, Cause, Reason, Statement, StatementKind};

/// Bounds of one analysis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest text.
    pub bytes_max: usize,
    /// Most tokens, after long lists of constants were shortened.
    pub tokens_max: usize,
    /// Deepest nesting, as `weight` estimates it.
    pub depth_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes_max: 4 << 20,
            tokens_max: 100_000,
            depth_max: 500,
        }
    }
}

/// The stack that a thread needs for an analysis within the default limits.
pub const ANALYSIS_STACK_BYTES: usize = 16 << 20;

/// The statements of a text with their effects. Never panics; what cannot be read is opaque.
pub fn analyze(sql: &str, limits: &Limits) -> Analysis {
    let _ = limits;
    unreadable(sql.len(), Cause::Unknown, "")
}

fn unreadable(text_len: usize, cause: Cause, name: &str) -> Analysis {
    Analysis {
        statements: vec![Statement {
            range: 0..text_len,
            semicolon: None,
            kind: StatementKind::Unreadable,
            effects: smallvec![Effect::new(Action::Opaque, Object::nothing())],
            reasons: smallvec![Reason {
                cause,
                name: name.into()
            }],
            runs_prepared: None,
        }],
        neutral: Neutral::none(),
        readable: false,
    }
}
