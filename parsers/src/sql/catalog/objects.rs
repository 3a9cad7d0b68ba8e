//! The objects of a catalog, as far as an analysis has to know them.

use std::fmt;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::DefinitionHash;

/// An object identifier. Zero is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Oid(pub u32);

impl Oid {
    /// No object.
    pub const NONE: Self = Self(0);
    /// Objects below are built in or were made by `initdb`.
    pub const FIRST_OF_USERS: Self = Self(16_384);
    /// The schema `pg_catalog`.
    pub const PG_CATALOG: Self = Self(11);

    /// Whether it is no object.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether the object came with the server.
    pub const fn is_built_in(self) -> bool {
        self.0 < Self::FIRST_OF_USERS.0
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A schema.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// Its OID.
    pub oid: Oid,
    /// Its name.
    pub name: Box<str>,
    /// Who owns it.
    pub owner: Oid,
    /// Whether the gateway's own login may use it: the server leaves others out of a search path.
    pub is_usable: bool,
}

/// A row of `pg_class`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are columns of a row, each by itself"
)]
pub struct Relation {
    /// Its OID.
    pub oid: Oid,
    /// The schema that it is in.
    pub schema: Oid,
    /// Its name.
    pub name: Box<str>,
    /// Who owns it.
    pub owner: Oid,
    /// What kind it is.
    pub kind: RelationKind,
    /// Its row type; none for indexes and sequences.
    pub row_type: Oid,
    /// Columns that are not dropped, by number. System columns are not among them.
    pub columns: Box<[Column]>,
    /// What it inherits from or is a partition of.
    pub parents: SmallVec<[Oid; 1]>,
    /// A temporary relation, of whatever session.
    pub is_temporary: bool,
    /// The query of a view or materialized view.
    pub query: Option<Box<str>>,
    /// A view that checks rights and runs its functions as whoever asks.
    pub security_invoker: bool,
    /// Rules other than a view's own `_RETURN`.
    pub rules: Box<[Rule]>,
    /// Triggers that are enabled, those of foreign keys not among them.
    pub triggers: Box<[Trigger]>,
    /// Row security policies; they count only if `row_security`.
    pub policies: Box<[RowPolicy]>,
    /// Row security is enabled.
    pub row_security: bool,
    /// Row security holds for the owner too.
    pub force_row_security: bool,
    /// CHECK constraints' expressions.
    pub checks: Box<[Box<str>]>,
    /// What its indexes compute, and their predicates.
    pub index_expressions: Box<[Box<str>]>,
    /// Functions of operator classes of its indexes that are not built in, and of its access methods.
    pub index_functions: Box<[Oid]>,
    /// A deferrable constraint of it, or to it, may run code that is not built in as late as at the end of the transaction.
    #[serde(default = "yes")]
    pub checks_late: bool,
    /// The partition key's expressions and functions.
    pub partition_expressions: Box<[Box<str>]>,
    /// The server of a foreign table.
    pub foreign_server: Oid,
    /// The extension that it belongs to.
    pub extension: Oid,
    /// What a built-in view reads directly; its query is not kept.
    pub reads: Box<[Oid]>,
    /// Sensitive catalogs tell of data or of other sessions; only built-in ones are marked.
    pub is_sensitive: bool,
}

/// What kind of relation it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelationKind {
    /// A table.
    #[default]
    Table,
    /// A partitioned table.
    Partitioned,
    /// A view.
    View,
    /// A materialized view.
    Materialized,
    /// A foreign table.
    Foreign,
    /// A sequence.
    Sequence,
    /// An index, partitioned or not.
    Index,
    /// A composite type.
    Composite,
    /// A TOAST table.
    Toast,
}

/// A column of a relation or an attribute of a composite type.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its `attnum`.
    pub number: i16,
    /// Its name.
    pub name: Box<str>,
    /// Its type.
    pub type_oid: Oid,
    /// The default's expression, or what a generated column computes.
    #[serde(default)]
    pub default: Option<Box<str>>,
    /// Whether the default is what it always is.
    #[serde(default)]
    pub is_generated: bool,
    /// The sequence of an identity column.
    #[serde(default)]
    pub identity: Oid,
}

/// What a rule or trigger fires on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// SELECT.
    Select,
    /// INSERT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// TRUNCATE.
    Truncate,
}

/// A rewrite rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name.
    pub name: Box<str>,
    /// What it fires on.
    pub event: Event,
    /// DO INSTEAD.
    pub instead: bool,
    /// The whole CREATE RULE.
    pub definition: Box<str>,
}

/// A trigger.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// Its name.
    pub name: Box<str>,
    /// The function.
    pub function: Oid,
    /// What it fires on.
    pub events: SmallVec<[Event; 4]>,
    /// Numbers of the columns of UPDATE OF; empty for any.
    #[serde(default)]
    pub columns: Box<[i16]>,
    /// INSTEAD OF: of a view, whose query then tells what can be changed no more.
    #[serde(default)]
    pub instead: bool,
    /// BEFORE ... FOR EACH ROW: what its function gives is stored in the place of the row.
    #[serde(default = "yes")]
    pub sets_row: bool,
    /// DEFERRABLE: it may run as late as at the end of the transaction.
    #[serde(default = "yes")]
    pub is_deferrable: bool,
    /// The WHEN expression.
    #[serde(default)]
    pub when: Option<Box<str>>,
}

impl Relation {
    /// Whether code that is not built in may run at the end of a transaction that writes its rows.
    pub fn defers(&self) -> bool {
        self.checks_late || self.triggers.iter().any(|trigger| trigger.is_deferrable)
    }
}

/// What is not said counts.
const fn yes() -> bool {
    true
}

/// A row security policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowPolicy {
    /// Its name.
    pub name: Box<str>,
    /// None for ALL.
    #[serde(default)]
    pub event: Option<Event>,
    /// USING and WITH CHECK.
    pub expressions: SmallVec<[Box<str>; 2]>,
}

/// A foreign key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignKey {
    /// Its name.
    pub name: Box<str>,
    /// The relation that has the key.
    pub child: Oid,
    /// Its columns.
    pub child_columns: Box<[i16]>,
    /// The relation that it points to.
    pub parent: Oid,
    /// The columns there, in the same order.
    pub parent_columns: Box<[i16]>,
    /// ON UPDATE.
    pub on_update: KeyAction,
    /// ON DELETE.
    pub on_delete: KeyAction,
}

/// What a foreign key does to the rows that point to one that goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyAction {
    /// NO ACTION or RESTRICT: the child is read.
    Nothing,
    /// CASCADE.
    Cascade,
    /// SET NULL.
    SetNull,
    /// SET DEFAULT.
    SetDefault,
}

/// A row of `pg_proc`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Function {
    /// Its OID.
    pub oid: Oid,
    /// The schema that it is in.
    pub schema: Oid,
    /// Its name.
    pub name: Box<str>,
    /// Who owns it.
    pub owner: Oid,
    /// What kind it is.
    pub kind: FunctionKind,
    /// Types of the input arguments; a VARIADIC one is last, as its array.
    pub arguments: Box<[Oid]>,
    /// Names of all arguments, inputs first in the order of `arguments`; may be empty.
    pub argument_names: Box<[Box<str>]>,
    /// OUT, INOUT and TABLE columns.
    pub outputs: Box<[(Box<str>, Oid)]>,
    /// How many of the last arguments have defaults.
    pub defaults: u16,
    /// The defaults' expressions, comma separated, as `pg_get_function_arg_default` prints them one by one.
    pub default_expressions: Box<[Box<str>]>,
    /// The element type of a VARIADIC argument; none if there is no such.
    pub variadic: Oid,
    /// What it returns; a pseudo type if it is polymorphic.
    pub returns: Oid,
    /// Whether it returns a set.
    pub returns_set: bool,
    /// Whether it is not called with a NULL.
    pub is_strict: bool,
    /// Its volatility.
    pub volatility: Volatility,
    /// Whether it runs as its owner.
    pub security_definer: bool,
    /// SET clauses.
    pub settings: Box<[(Box<str>, Box<str>)]>,
    /// What it is written in.
    pub language: Language,
    /// `prosrc`, or the printed SQL-standard body; of SQL and PL/pgSQL functions only.
    pub body: Option<Box<str>>,
    /// Functions that an aggregate consists of.
    pub parts: SmallVec<[Oid; 2]>,
    /// The extension that it belongs to.
    pub extension: Oid,
    /// What it is known to do: from the shipped tables. None is an unknown function.
    pub known: Option<Behavior>,
    /// Over everything that defines it, so that a listing dies with the definition. None of what is built in, and where
    /// the definition is not known.
    pub definition_hash: Option<DefinitionHash>,
}

impl Function {
    /// Whether it looks names up when it runs, by the search path of who calls it.
    pub fn finds_callers_names(&self) -> bool {
        let pins = |(name, _): &(Box<str>, Box<str>)| name.eq_ignore_ascii_case("search_path");
        let looks_up = match self.language {
            Language::Sql => self.body.as_deref().is_none_or(|body| !is_standard(body)),
            Language::Plpgsql => true,
            _ => false,
        };
        looks_up && !self.settings.iter().any(pins)
    }
}

/// Whether a body is of the SQL standard's form, as the server prints it: what it names is settled.
pub(crate) fn is_standard(body: &str) -> bool {
    let mut words = body.split_ascii_whitespace();
    let is = |word: Option<&str>, want: &str| word.is_some_and(|word| word.eq_ignore_ascii_case(want));
    let first = words.next();
    is(first, "RETURN") || (is(first, "BEGIN") && is(words.next(), "ATOMIC"))
}

/// What kind of function it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FunctionKind {
    /// A function.
    #[default]
    Plain,
    /// A procedure.
    Procedure,
    /// An aggregate.
    Aggregate,
    /// A window function.
    Window,
}

/// What the server may assume of a function. It is never evidence of what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Volatility {
    /// IMMUTABLE.
    Immutable,
    /// STABLE.
    Stable,
    /// VOLATILE.
    #[default]
    Volatile,
}

/// What a function is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// C inside of the server.
    Internal,
    /// C in a library.
    C,
    /// SQL.
    Sql,
    /// PL/pgSQL.
    Plpgsql,
    /// Another language.
    #[default]
    Other,
}

/// What a function of the shipped tables does, beside giving its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behavior {
    /// Nothing: it computes, or reads what is no secret.
    Pure,
    /// It calls another function, or the input or output of another type, that an argument names or brings with it:
    /// `array_sort` calls a comparison, `json_agg` and `format` call output functions. Harmless as far as its arguments' types are.
    CallsTypes,
    /// The same, and it reads metadata: of the catalogs or of the server.
    Metadata,
    /// Reads what policy treats as sensitive: other sessions' statements, statistics of values, logs.
    Sensitive,
    /// Takes locks that outlive the statement.
    Lock,
    /// Gives back what the session took: locks, its own resources.
    Release,
    /// Moves a sequence that the first argument names.
    SequenceUpdate,
    /// Reads a sequence.
    SequenceRead,
    /// Sets a setting: `set_config(name, value, local)`.
    SetConfig,
    /// Notifies a channel.
    Notify,
    /// Creates a large object.
    LargeObjectCreate,
    /// Reads a large object.
    LargeObjectRead,
    /// Writes a large object.
    LargeObjectUpdate,
    /// Removes a large object.
    LargeObjectDelete,
    /// Opens, closes or moves in a large object.
    LargeObjectUse,
    /// Reads files of the server's machine.
    FileRead,
    /// Writes files of the server's machine.
    FileWrite,
    /// Signals other sessions.
    Signal,
    /// Administers the server.
    Admin,
    /// Uses or configures replication.
    Replicate,
    /// Reaches another server or runs a program.
    Foreign,
    /// Waits: `pg_sleep`.
    Sleep,
    /// Reads any relation that an argument names or whose name it computes, or runs SQL that an argument gives.
    RunsText,
    /// Runs code that its arguments do not name and the catalog does not tell: internal support functions that only the
    /// server should call, handlers.
    Opaque,
}

/// A row of `pg_type`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Type {
    /// Its OID.
    pub oid: Oid,
    /// The schema that it is in.
    pub schema: Oid,
    /// Its name.
    pub name: Box<str>,
    /// Who owns it.
    pub owner: Oid,
    /// What kind it is.
    pub kind: TypeKind,
    /// `typcategory`.
    pub category: u8,
    /// `typispreferred`.
    pub is_preferred: bool,
    /// `typelem`: what subscripting gives; none if it cannot be.
    pub element: Oid,
    /// Its array type.
    pub array: Oid,
    /// Input, output, receive, send, typmod, analyze and subscript functions that are not built in.
    pub functions: SmallVec<[Oid; 4]>,
    /// The extension that it belongs to.
    pub extension: Oid,
}

/// What kind of type it is.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TypeKind {
    /// A base type.
    #[default]
    Base,
    /// A true array (`typsubscript` is `array_subscript_handler` and `typlen` -1); its element is `element`.
    Array,
    /// The row type of this relation.
    Composite(Oid),
    /// A domain.
    Domain {
        /// The type below.
        base: Oid,
        /// The CHECK expressions, about `VALUE`.
        checks: Box<[Box<str>]>,
        /// The default's expression.
        default: Option<Box<str>>,
    },
    /// An enumeration.
    Enum,
    /// A range.
    Range {
        /// The type of its bounds.
        subtype: Oid,
    },
    /// A multirange.
    Multirange {
        /// The range type.
        range: Oid,
    },
    /// A pseudo type.
    Pseudo,
}

/// A row of `pg_operator`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// Its OID.
    pub oid: Oid,
    /// The schema that it is in.
    pub schema: Oid,
    /// Its name.
    pub name: Box<str>,
    /// None for a prefix operator.
    #[serde(default)]
    pub left: Oid,
    /// None for a postfix operator (before 14).
    #[serde(default)]
    pub right: Oid,
    /// What it gives.
    pub result: Oid,
    /// The function.
    pub function: Oid,
    /// Estimators that are not built in.
    #[serde(default)]
    pub estimators: SmallVec<[Oid; 2]>,
}

/// A row of `pg_cast`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cast {
    /// From this type.
    pub source: Oid,
    /// To this type.
    pub target: Oid,
    /// None if the types are binary coercible or converted by text.
    #[serde(default)]
    pub function: Oid,
    /// Where it applies by itself.
    pub context: CastContext,
    /// How it converts.
    pub method: CastMethod,
}

/// Where a cast applies by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CastContext {
    /// Everywhere.
    Implicit,
    /// Where a value is stored.
    Assignment,
    /// Where it is written.
    Explicit,
}

/// How a cast converts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CastMethod {
    /// By a function.
    Function,
    /// Not at all: the bytes are the same.
    Binary,
    /// By the output and the input function.
    InOut,
}

/// An operator class that is not built in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorClass {
    /// Its name.
    pub name: Box<str>,
    /// The type that it is for.
    pub input: Oid,
    /// Whether it is the default for the type.
    #[serde(default)]
    pub is_default: bool,
    /// Its support functions and the functions of its operators.
    pub functions: Box<[Oid]>,
}

/// An event trigger.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventTrigger {
    /// Its name.
    pub name: Box<str>,
    /// The function.
    pub function: Oid,
}

/// A foreign server.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignServer {
    /// Its OID.
    pub oid: Oid,
    /// Its name.
    pub name: Box<str>,
    /// The wrapper's name.
    pub wrapper: Box<str>,
    /// Whether its tables may run programs (`file_fdw`'s option `program`).
    #[serde(default)]
    pub programs: bool,
    /// Handler and validator functions.
    #[serde(default)]
    pub functions: SmallVec<[Oid; 2]>,
}

/// A role.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Its OID.
    pub oid: Oid,
    /// Its name.
    pub name: Box<str>,
    /// Whether no right is checked.
    #[serde(default)]
    pub is_superuser: bool,
    /// BYPASSRLS.
    #[serde(default)]
    pub bypasses_row_security: bool,
}

/// An extension.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    /// Its OID.
    pub oid: Oid,
    /// Its name.
    pub name: Box<str>,
    /// Its version.
    pub version: Box<str>,
}
