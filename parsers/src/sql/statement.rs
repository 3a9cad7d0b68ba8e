//! The result of an analysis: statements with their place in the text, their kind, their effects and reasons.

use std::ops::Range;

use smallvec::SmallVec;

use super::effect::{Action, Effect, EffectMask, FilterKind, Object, ObjectKind};
use super::lineage::{BaseColumn, Lineage};
use super::neutral::Neutral;
use super::resolve::Ty;
use super::shape::Shape;
use super::world::{Deferred, Touched};

/// What a text does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Analysis {
    /// The statements in the order of the text; none for an empty text. A text that could not be read is one
    /// statement that is opaque.
    pub statements: Vec<Statement>,
    /// The literals that decisions may ignore, by their ordinal in the [`Shape`] of the text.
    pub neutral: Neutral,
    /// Whether the text was read. If not, nothing of it may be cached.
    pub readable: bool,
}

/// One statement of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its part of the text: everything behind the statement before it, up to and including its own `;`. The parts of
    /// all statements together are the text.
    pub range: Range<usize>,
    /// The `;` that ends it, as an index into [`Shape::semicolons`]; none if the text ends it.
    pub semicolon: Option<usize>,
    /// What the gate has to know of it.
    pub kind: StatementKind,
    /// What it does, without doubles.
    pub effects: SmallVec<[Effect; 4]>,
    /// Why effects are opaque, one for each cause.
    pub reasons: SmallVec<[Reason; 1]>,
    /// The prepared statement that it runs (EXECUTE, also below EXPLAIN or CREATE TABLE AS). Its effects come on top:
    /// see [`Self::effects_with`].
    pub runs_prepared: Option<Box<str>>,
    /// What becomes of the rows of that.
    pub use_of_prepared: PreparedUse,
    /// What comes on top where the rows of this statement go to a new table, run by its name.
    pub leaks_if_stored: SmallVec<[Effect; 1]>,
    /// The same where its plan is shown.
    pub leaks_if_explained: SmallVec<[Effect; 1]>,
    /// Names whose meaning it may change. Everything if it is opaque.
    pub touches: Touched,
    /// The columns of the rows that it gives; none if it gives no rows, or rows that only the server knows (EXECUTE,
    /// FETCH).
    pub columns: Box<[OutputColumn]>,
    /// Columns named for masking that it reads or may read, ascending: a value of unknown lineage may come from these. What
    /// is opaque may read any.
    pub protected_reads: SmallVec<[BaseColumn; 1]>,
    /// Parameters whose values decide what it does. It is opaque as long as they are not known.
    pub decided_at_bind: SmallVec<[u16; 2]>,
    /// What is opaque for that: built-in functions, which Parse and planning do not call.
    pub opaque_until_bind: SmallVec<[Object; 1]>,
    /// The names under which code in it may put something else.
    pub takes: Taken,
    /// Queries in a WITH, functions or rules change rows: the count in its CommandComplete leaves these out.
    pub changes_uncounted: bool,
    /// What it compares protected columns with.
    pub probes: Probes,
    /// What it may leave to the end of the transaction.
    pub defers: Deferred,
}

/// What a statement gives that protected columns are compared with: guesses at their values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probes {
    /// How many constants and parameters; none if it cannot be told, as of patterns, ranges, lists and whatever else gives more
    /// away than a comparison with one value.
    pub count: Option<u32>,
    /// One of them is computed: the same text with the same parameters compares with another value at another time.
    pub vary: bool,
}

impl Probes {
    /// Nothing is compared.
    pub const NONE: Self = Self {
        count: Some(0),
        vary: false,
    };

    /// A protected column is used in this way. Sorting, grouping and joining columns guess nothing.
    pub(crate) fn add(&mut self, kind: FilterKind) {
        match kind {
            FilterKind::Equality => self.count = self.count.and_then(|count| count.checked_add(1)),
            FilterKind::Order | FilterKind::Group | FilterKind::Join => {}
            _ => self.count = None,
        }
    }

    /// Those of two statements.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            count: self
                .count
                .zip(other.count)
                .and_then(|(one, other)| one.checked_add(other)),
            vary: self.vary || other.vary,
        }
    }
}

/// What becomes of the rows of a prepared statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PreparedUse {
    /// They are those of the statement that runs it.
    #[default]
    Runs,
    /// They go to a new table.
    Stores,
    /// Its plan is shown instead.
    Explains,
    /// Both: EXPLAIN of a CREATE TABLE AS.
    ExplainsAndStores,
}

/// Names that code in a statement may take: what stands under them then has not passed the gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Taken {
    /// None.
    #[default]
    Nothing,
    /// Those of cursors and portals.
    Cursors,
    /// Those of prepared statements too.
    Statements,
}

/// A column of the rows that a statement gives. A column `*` of unknown lineage stands for columns that are not known,
/// because a relation's are not; what stands behind it cannot be told by its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputColumn {
    /// Its name.
    pub name: Box<str>,
    /// Its type.
    pub ty: Ty,
    /// Where its values come from.
    pub lineage: Lineage,
    /// What the server's RowDescription names as its origin, as far as can be told: the column of the table or view that
    /// the statement names. A view's is not among those of its lineage.
    pub origin: Option<BaseColumn>,
}

impl Statement {
    /// What it does before Bind tells parameters' values, also where it is opaque until then.
    pub fn effects_before_bind(&self) -> impl Iterator<Item = &Effect> {
        self.effects.iter().filter(|effect| {
            effect.action != Action::Opaque || !self.opaque_until_bind.contains(&effect.object)
        })
    }

    /// The statement's part of another text with the same shape, or of the text that was analysed.
    pub fn range_in(statements: &[Self], index: usize, shape: &Shape, text_len: usize) -> Range<usize> {
        let behind = |statement: &Self| {
            statement
                .semicolon
                .and_then(|ordinal| shape.semicolons().get(ordinal))
                .map_or(text_len, |&at| at as usize + 1)
        };
        let start = index
            .checked_sub(1)
            .and_then(|before| statements.get(before))
            .map_or(0, behind);
        let last = index + 1 >= statements.len();
        let end = if last {
            text_len
        } else {
            statements.get(index).map_or(text_len, behind)
        };
        start..end
    }

    /// The effects of a prepared statement where this one runs it.
    pub fn effects_of<'a>(&self, prepared: &'a Self) -> impl Iterator<Item = &'a Effect> {
        let (of_rows, of_plan) = (&prepared.leaks_if_stored[..], &prepared.leaks_if_explained[..]);
        let (of_rows, of_plan) = match self.use_of_prepared {
            PreparedUse::Runs => (&[][..], &[][..]),
            PreparedUse::Stores => (of_rows, &[][..]),
            PreparedUse::Explains => (&[][..], of_plan),
            PreparedUse::ExplainsAndStores => (of_rows, of_plan),
        };
        prepared.effects.iter().chain(of_rows).chain(of_plan)
    }

    /// All effects, those of a prepared statement that it runs included. `lookup` knows prepared statements by name;
    /// one that it does not know is opaque.
    pub fn effects_with<'a>(&self, lookup: impl FnOnce(&str) -> Option<&'a Self>) -> SmallVec<[Effect; 4]> {
        let mut effects = self.effects.clone();
        if let Some(name) = &self.runs_prepared {
            match lookup(name) {
                Some(prepared) => effects.extend(self.effects_of(prepared).cloned()),
                None => {
                    effects.push(Effect::new(
                        Action::Opaque,
                        Object::new(ObjectKind::Prepared, name.clone()),
                    ));
                }
            }
        }
        effects
    }

    /// [`Self::effects_with`] where the session has nothing under any name but what the statements before this one in its
    /// text made; of a FETCH with those of its cursor.
    pub fn effects_behind(&self, before: &[Self]) -> SmallVec<[Effect; 4]> {
        let made = |wanted: &str| {
            before.iter().rev().find(|statement| match &statement.kind {
                StatementKind::Prepare { name } | StatementKind::Declare { name, .. } => **name == *wanted,
                _ => false,
            })
        };
        let mut effects = self.effects_with(made);
        if let StatementKind::Fetch { name } = &self.kind
            && let Some(declared) = made(name)
        {
            effects.extend(declared.effects.iter().cloned());
        }
        effects
    }

    /// The statement's own effects as a mask.
    pub fn mask(&self) -> EffectMask {
        self.effects.iter().collect()
    }
}

/// What the gate has to know of a statement beside its effects.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatementKind {
    /// SELECT, VALUES, TABLE.
    Select,
    /// SELECT INTO, CREATE TABLE AS, CREATE MATERIALIZED VIEW.
    CreateTableAs,
    /// INSERT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// MERGE.
    Merge,
    /// BEGIN, START TRANSACTION.
    Begin,
    /// COMMIT, END.
    Commit {
        /// AND CHAIN.
        chain: bool,
    },
    /// ROLLBACK, ABORT.
    Rollback {
        /// AND CHAIN.
        chain: bool,
    },
    /// SAVEPOINT.
    Savepoint {
        /// Its name.
        name: Box<str>,
    },
    /// RELEASE SAVEPOINT.
    Release {
        /// Its name.
        name: Box<str>,
    },
    /// ROLLBACK TO SAVEPOINT.
    RollbackTo {
        /// Its name.
        name: Box<str>,
    },
    /// PREPARE TRANSACTION, which ends the transaction.
    PrepareTransaction,
    /// COMMIT PREPARED, ROLLBACK PREPARED.
    FinishPrepared,
    /// PREPARE. The statement's effects are those of what it prepares.
    Prepare {
        /// Its name, in the name space of the protocol's Parse.
        name: Box<str>,
    },
    /// EXECUTE.
    Execute {
        /// The prepared statement's name.
        name: Box<str>,
    },
    /// DEALLOCATE.
    Deallocate {
        /// Its name; none for ALL.
        name: Option<Box<str>>,
    },
    /// DISCARD ALL: settings, prepared statements, cursors, temporary objects and locks go.
    DiscardAll,
    /// DISCARD PLANS, SEQUENCES or TEMP.
    Discard,
    /// SET, also SET ROLE, SET SESSION AUTHORIZATION, SET TIME ZONE, SET TRANSACTION.
    Set {
        /// The setting as written, folded.
        name: Box<str>,
        /// The values; none for DEFAULT or FROM CURRENT.
        values: Option<Vec<Box<str>>>,
        /// SET LOCAL.
        local: bool,
    },
    /// RESET.
    Reset {
        /// The setting; none for ALL.
        name: Option<Box<str>>,
    },
    /// SHOW.
    Show {
        /// The setting, or `all`.
        name: Box<str>,
    },
    /// COPY ... FROM STDIN.
    CopyIn {
        /// Its format option: text, csv or binary.
        format: CopyFormat,
    },
    /// COPY ... TO STDOUT.
    CopyOut {
        /// Its format option: text, csv or binary.
        format: CopyFormat,
        /// The columns by their place in the rows, where the text tells them.
        columns: Option<CopyColumns>,
    },
    /// COPY with a file or program of the server.
    CopyServer,
    /// DECLARE CURSOR.
    Declare {
        /// The cursor.
        name: Box<str>,
        /// WITH HOLD: it outlives its transaction.
        holds: bool,
    },
    /// FETCH, MOVE.
    Fetch {
        /// The cursor.
        name: Box<str>,
    },
    /// CLOSE.
    Close {
        /// The cursor; none for ALL.
        name: Option<Box<str>>,
    },
    /// LISTEN.
    Listen,
    /// UNLISTEN.
    Unlisten,
    /// NOTIFY.
    Notify,
    /// EXPLAIN.
    Explain {
        /// Whether the statement is executed too.
        analyze: bool,
    },
    /// DO.
    Do {
        /// It may commit or roll back, or what it does is not seen.
        may_end: bool,
    },
    /// CALL. May end transactions.
    Call,
    /// Any other statement that was understood.
    Other,
    /// A text that could not be read.
    Unreadable,
}

impl StatementKind {
    /// Whether it begins, ends or divides a transaction, and does nothing else.
    pub const fn is_of_transaction(&self) -> bool {
        matches!(
            self,
            Self::Begin
                | Self::Commit { .. }
                | Self::Rollback { .. }
                | Self::Savepoint { .. }
                | Self::Release { .. }
                | Self::RollbackTo { .. }
        )
    }

    /// Whether no transaction from before is open behind it.
    pub const fn ends_transaction(&self) -> bool {
        matches!(
            self,
            Self::Commit { .. } | Self::Rollback { .. } | Self::PrepareTransaction
        )
    }

    /// Whether it gives back what the session holds or has set, and does nothing else.
    pub const fn gives_back(&self) -> bool {
        matches!(
            self,
            Self::Deallocate { .. }
                | Self::DiscardAll
                | Self::Discard
                | Self::Reset { .. }
                | Self::Close { .. }
                | Self::Unlisten
        )
    }

    /// A word for records and messages.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::CreateTableAs => "CREATE TABLE AS",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Merge => "MERGE",
            Self::Begin => "BEGIN",
            Self::Commit { .. } => "COMMIT",
            Self::Rollback { .. } => "ROLLBACK",
            Self::Savepoint { .. } => "SAVEPOINT",
            Self::Release { .. } => "RELEASE",
            Self::RollbackTo { .. } => "ROLLBACK TO",
            Self::PrepareTransaction => "PREPARE TRANSACTION",
            Self::FinishPrepared => "COMMIT PREPARED",
            Self::Prepare { .. } => "PREPARE",
            Self::Execute { .. } => "EXECUTE",
            Self::Deallocate { .. } => "DEALLOCATE",
            Self::DiscardAll => "DISCARD ALL",
            Self::Discard => "DISCARD",
            Self::Set { .. } => "SET",
            Self::Reset { .. } => "RESET",
            Self::Show { .. } => "SHOW",
            Self::CopyIn { .. } => "COPY FROM STDIN",
            Self::CopyOut { .. } => "COPY TO STDOUT",
            Self::CopyServer => "COPY",
            Self::Declare { .. } => "DECLARE",
            Self::Fetch { .. } => "FETCH",
            Self::Close { .. } => "CLOSE",
            Self::Listen => "LISTEN",
            Self::Unlisten => "UNLISTEN",
            Self::Notify => "NOTIFY",
            Self::Explain { .. } => "EXPLAIN",
            Self::Do { .. } => "DO",
            Self::Call => "CALL",
            Self::Other => "statement",
            Self::Unreadable => "unreadable",
        }
    }
}

/// The columns of a COPY that lists those of a table, in text or CSV rows with the format's own delimiters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyColumns {
    /// Their names as the catalog has them.
    pub names: Box<[Box<str>]>,
    /// The first row has their names.
    pub has_header: bool,
}

/// The format of COPY data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyFormat {
    /// Tab-separated text with backslash escapes, or with another delimiter.
    Text,
    /// CSV.
    Csv,
    /// PostgreSQL's binary format.
    Binary,
}

/// Why something is opaque.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reason {
    /// The cause.
    pub cause: Cause,
    /// The name that it is about; empty where there is none.
    pub name: Box<str>,
}

impl Reason {
    /// A cause that is about an object.
    pub(super) fn about(cause: Cause, object: &Object) -> Self {
        let name = match &object.schema {
            Some(schema) => format!("{schema}.{}", object.name).into(),
            None => object.name.clone(),
        };
        Self { cause, name }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.cause.text())?;
        if !self.name.is_empty() {
            write!(f, " {}", self.name)?;
        }
        Ok(())
    }
}

/// A cause of opacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Cause {
    /// The lexer refuses the text.
    Lexical,
    /// The grammar refuses the text.
    Syntax,
    /// Too many bytes.
    TooLong,
    /// Too many tokens.
    TooManyTokens,
    /// Nested too deeply.
    TooDeep,
    /// The parser gave up on it in another way.
    Parser,
    /// A function that is not known to be harmless.
    Function,
    /// An operator that is not known to be built in.
    Operator,
    /// A type that is not known to be built in.
    Type,
    /// Code that is computed or given as text: DO, dynamic SQL.
    Code,
    /// A value that decides what happens and is not a constant.
    Computed,
    /// An object through which code runs later without being called: a trigger, a rule, an operator.
    Definition,
    /// A temporary relation of another session, which the catalog does not show.
    OtherSession,
    /// A change of what runs at the end of the transaction.
    Deferred,
    /// A kind of statement or expression that the analysis does not know.
    Unknown,
}

impl Cause {
    /// What a message says.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Lexical => "text that cannot be read",
            Self::Syntax => "syntax error",
            Self::TooLong => "text too long",
            Self::TooManyTokens => "too many tokens",
            Self::TooDeep => "nested too deeply",
            Self::Parser => "parser failure",
            Self::Function => "unknown function",
            Self::Operator => "unknown operator",
            Self::Type => "unknown type",
            Self::Code => "code given as text",
            Self::Computed => "computed value for",
            Self::Definition => "definition that runs code",
            Self::OtherSession => "another session's temporary",
            Self::Deferred => "commit first, for this changes what is deferred to it:",
            Self::Unknown => "unknown construct",
        }
    }
}
