//! Effects: an action on an object, the unit that policy decides on.
//!
//! An object of the catalog has its own schema and name. One that the catalog does not have is named as the statement
//! names it: without a schema it may be anything of that name.

use std::fmt;

/// What a statement does to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Action {
    /// Rows or metadata are read.
    Read,
    /// A protected column chooses, orders or groups rows.
    Filter,
    /// Rows are added.
    Insert,
    /// Rows are changed, or a sequence is moved.
    Update,
    /// Rows are removed.
    Delete,
    /// A relation is emptied.
    Truncate,
    /// An object comes into being.
    Create,
    /// An object's definition changes.
    Alter,
    /// An object is removed.
    Drop,
    /// Privileges, ownership or membership change.
    Grant,
    /// A function or large object operation that is known, and is more than reading.
    Execute,
    /// Rows move in bulk, through the connection, a file or a program.
    Copy,
    /// A setting of the session changes.
    Set,
    /// The session acts as another role.
    SetRole,
    /// Replication is used or configured.
    Replicate,
    /// The server or the database as a whole is administered.
    Admin,
    /// Locks are taken that outlive reading.
    Lock,
    /// Other sessions are notified or listened to.
    Notify,
    /// A protected value moves to where it could be read back.
    Leak,
    /// What happens cannot be known from the statement.
    Opaque,
}

impl Action {
    /// Every action, in the order of its number.
    pub const ALL: [Self; 20] = [
        Self::Read,
        Self::Filter,
        Self::Insert,
        Self::Update,
        Self::Delete,
        Self::Truncate,
        Self::Create,
        Self::Alter,
        Self::Drop,
        Self::Grant,
        Self::Execute,
        Self::Copy,
        Self::Set,
        Self::SetRole,
        Self::Replicate,
        Self::Admin,
        Self::Lock,
        Self::Notify,
        Self::Leak,
        Self::Opaque,
    ];

    /// The name used in policies, records and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "Read",
            Self::Filter => "Filter",
            Self::Insert => "Insert",
            Self::Update => "Update",
            Self::Delete => "Delete",
            Self::Truncate => "Truncate",
            Self::Create => "Create",
            Self::Alter => "Alter",
            Self::Drop => "Drop",
            Self::Grant => "Grant",
            Self::Execute => "Execute",
            Self::Copy => "Copy",
            Self::Set => "Set",
            Self::SetRole => "SetRole",
            Self::Replicate => "Replicate",
            Self::Admin => "Admin",
            Self::Lock => "Lock",
            Self::Notify => "Notify",
            Self::Leak => "Leak",
            Self::Opaque => "Opaque",
        }
    }

    /// The action of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What policy cares for beside the action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EffectFlags(u16);

impl EffectFlags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// An UPDATE or DELETE whose WHERE filters nothing.
    pub const UNFILTERED: Self = Self(1);
    /// A program is run on the server's machine.
    pub const PROGRAM: Self = Self(1 << 1);
    /// A file of the server's machine is read or written.
    pub const FILE: Self = Self(1 << 2);
    /// Another server is reached.
    pub const FOREIGN: Self = Self(1 << 3);
    /// It happens with, or to, the rights or state of another user.
    pub const OTHER_USER: Self = Self(1 << 4);
    /// What depends on the object goes with it.
    pub const CASCADE: Self = Self(1 << 5);
    /// `Set` of a setting that changes only how the session itself is served.
    pub const HARMLESS: Self = Self(1 << 6);
    /// `Set` that changes how the next statement's text is read, to something the gateway does not follow.
    pub const LEXING: Self = Self(1 << 7);
    /// The object is one of the server's catalogs or their views.
    pub const CATALOG: Self = Self(1 << 8);
    /// Which object it is cannot be known: this is one of several candidates.
    pub const UNCERTAIN: Self = Self(1 << 9);
    /// A catalog that tells of values in tables or of what other sessions do.
    pub const SENSITIVE: Self = Self(1 << 10);
    /// `Read` of how many rows there are, and of no column's value.
    pub const ROWS: Self = Self(1 << 11);

    const NAMES: [(Self, &'static str); 12] = [
        (Self::UNFILTERED, "unfiltered"),
        (Self::PROGRAM, "program"),
        (Self::FILE, "file"),
        (Self::FOREIGN, "foreign"),
        (Self::OTHER_USER, "other_user"),
        (Self::CASCADE, "cascade"),
        (Self::HARMLESS, "harmless"),
        (Self::LEXING, "lexing"),
        (Self::CATALOG, "catalog"),
        (Self::UNCERTAIN, "uncertain"),
        (Self::SENSITIVE, "sensitive"),
        (Self::ROWS, "rows"),
    ];

    /// Whether all of `other` is set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set less those of another.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The bits, as records keep them.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The flags of a record's bits; bits of a later version are kept.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// Whether no flag is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names of the flags that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES
            .into_iter()
            .filter(move |(flag, _)| self.contains(*flag))
            .map(|(_, name)| name)
    }
}

impl std::ops::BitOr for EffectFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl std::ops::BitOrAssign for EffectFlags {
    fn bitor_assign(&mut self, other: Self) {
        *self = self.union(other);
    }
}

impl fmt::Display for EffectFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.names().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

/// What kind of thing an effect is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectKind {
    /// Nothing in particular: the session, the server, or a whole statement.
    Nothing,
    /// A table, view, foreign table, materialized view, index or partition.
    Relation,
    /// A sequence.
    Sequence,
    /// A function, procedure or aggregate.
    Function,
    /// An operator.
    Operator,
    /// A type or domain.
    Type,
    /// A setting.
    Setting,
    /// A role.
    Role,
    /// A database.
    Database,
    /// A schema.
    Schema,
    /// A tablespace.
    Tablespace,
    /// A large object.
    LargeObject,
    /// A notification channel.
    Channel,
    /// A cursor.
    Cursor,
    /// A prepared statement.
    Prepared,
    /// A prepared transaction.
    Transaction,
    /// A library file.
    Library,
    /// A file or program of the server's machine.
    Path,
    /// An extension.
    Extension,
    /// A foreign server, user mapping or data wrapper.
    ForeignServer,
    /// A publication, subscription or replication slot.
    Replication,
    /// An advisory lock.
    AdvisoryLock,
    /// Anything else that DDL can name.
    Other,
}

impl ObjectKind {
    /// The word used in records and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Relation => "relation",
            Self::Sequence => "sequence",
            Self::Function => "function",
            Self::Operator => "operator",
            Self::Type => "type",
            Self::Setting => "setting",
            Self::Role => "role",
            Self::Database => "database",
            Self::Schema => "schema",
            Self::Tablespace => "tablespace",
            Self::LargeObject => "large object",
            Self::Channel => "channel",
            Self::Cursor => "cursor",
            Self::Prepared => "prepared statement",
            Self::Transaction => "prepared transaction",
            Self::Library => "library",
            Self::Path => "path",
            Self::Extension => "extension",
            Self::ForeignServer => "foreign server",
            Self::Replication => "replication",
            Self::AdvisoryLock => "advisory lock",
            Self::Other => "object",
        }
    }
}

/// What an effect is on, named as the statement names it after folding of case and quotes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Object {
    /// What kind of thing it is.
    pub kind: ObjectKind,
    /// The schema, where the statement says it.
    pub schema: Option<Box<str>>,
    /// The name; empty where there is none.
    pub name: Box<str>,
}

impl Object {
    /// An effect on nothing in particular.
    pub fn nothing() -> Self {
        Self::new(ObjectKind::Nothing, "")
    }

    /// An object whose name has no schema.
    pub fn new(kind: ObjectKind, name: impl Into<Box<str>>) -> Self {
        Self {
            kind,
            schema: None,
            name: name.into(),
        }
    }

    /// An object in a schema; an empty schema is none.
    pub fn in_schema(kind: ObjectKind, schema: &str, name: &str) -> Self {
        let schema = (!schema.is_empty()).then(|| schema.into());
        Self {
            kind,
            schema,
            name: name.into(),
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        if self.name.is_empty() {
            return Ok(());
        }
        if self.kind != ObjectKind::Nothing {
            f.write_str(" ")?;
        }
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        f.write_str(&self.name)
    }
}

/// How a protected column is used other than as plain output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FilterKind {
    /// Compared for equality with one constant or parameter.
    Equality,
    /// Compared for order with constants or parameters.
    Range,
    /// Matched with a pattern.
    Pattern,
    /// Sorted by.
    Order,
    /// Grouped by, or made distinct.
    Group,
    /// Compared with another column.
    Join,
    /// Compared through UNION, INTERSECT or EXCEPT, or with a list or an array of constants.
    Set,
    /// An argument of an aggregate or window function.
    Aggregate,
    /// A condition of CASE, COALESCE or NULLIF.
    Case,
    /// Decides how many rows there are.
    Limit,
    /// Any other use that chooses rows or values.
    Other,
}

impl FilterKind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Equality,
        Self::Range,
        Self::Pattern,
        Self::Order,
        Self::Group,
        Self::Join,
        Self::Set,
        Self::Aggregate,
        Self::Case,
        Self::Limit,
        Self::Other,
    ];

    /// The name used in policies, records and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Equality => "equality",
            Self::Range => "range",
            Self::Pattern => "pattern",
            Self::Order => "order",
            Self::Group => "group",
            Self::Join => "join",
            Self::Set => "set",
            Self::Aggregate => "aggregate",
            Self::Case => "case",
            Self::Limit => "limit",
            Self::Other => "other",
        }
    }
}

/// One thing that a statement does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Effect {
    /// What is done.
    pub action: Action,
    /// How.
    pub flags: EffectFlags,
    /// On what.
    pub object: Object,
    /// The object's columns that it is about, ascending; empty where none are named or they are not known: it may be about
    /// any, unless it is of [`EffectFlags::ROWS`].
    pub columns: Box<[Box<str>]>,
    /// How [`Action::Filter`] uses them; none for other actions.
    pub filter: Option<FilterKind>,
}

impl Effect {
    /// An effect without flags.
    pub fn new(action: Action, object: Object) -> Self {
        Self {
            action,
            flags: EffectFlags::NONE,
            object,
            columns: Box::default(),
            filter: None,
        }
    }

    /// The same effect on these columns.
    #[must_use]
    pub fn on_columns(mut self, mut columns: Vec<Box<str>>) -> Self {
        columns.sort_unstable();
        columns.dedup();
        self.columns = columns.into();
        self
    }

    /// The same effect with more flags.
    #[must_use]
    pub fn with(mut self, flags: EffectFlags) -> Self {
        self.flags |= flags;
        self
    }
}

/// `Delete relation public.orders [unfiltered]`, `Filter equality relation public.customers (email)`.
impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.action.name())?;
        if let Some(kind) = self.filter {
            write!(f, " {}", kind.name())?;
        }
        if self.object.kind != ObjectKind::Nothing || !self.object.name.is_empty() {
            write!(f, " {}", self.object)?;
        }
        for (index, column) in self.columns.iter().enumerate() {
            f.write_str(if index == 0 { " (" } else { ", " })?;
            f.write_str(column)?;
        }
        if !self.columns.is_empty() {
            f.write_str(")")?;
        }
        if !self.flags.is_empty() {
            write!(f, " [{}]", self.flags)?;
        }
        Ok(())
    }
}

/// The actions of a statement and the union of their flags, as the audit record keeps them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EffectMask {
    actions: u32,
    flags: EffectFlags,
}

impl EffectMask {
    /// The mask of nothing.
    pub const EMPTY: Self = Self {
        actions: 0,
        flags: EffectFlags::NONE,
    };

    /// The mask of a record's bits; bits of a later version are kept.
    pub const fn from_bits(actions: u32, flags: u16) -> Self {
        Self {
            actions,
            flags: EffectFlags::from_bits(flags),
        }
    }

    /// One bit for each action, numbered as in [`Action::ALL`].
    pub const fn action_bits(self) -> u32 {
        self.actions
    }

    /// The flags of all effects together.
    pub const fn flags(self) -> EffectFlags {
        self.flags
    }

    /// Adds an effect.
    pub fn insert(&mut self, effect: &Effect) {
        self.actions |= 1 << effect.action as u32;
        self.flags |= effect.flags;
    }

    /// Whether the action is among them.
    pub const fn contains(self, action: Action) -> bool {
        self.actions & (1 << action as u32) != 0
    }

    /// Whether there is no effect at all.
    pub const fn is_empty(self) -> bool {
        self.actions == 0
    }

    /// The actions, in the order of their number.
    pub fn actions(self) -> impl Iterator<Item = Action> {
        Action::ALL
            .into_iter()
            .filter(move |action| self.contains(*action))
    }
}

impl<'a> FromIterator<&'a Effect> for EffectMask {
    fn from_iter<I: IntoIterator<Item = &'a Effect>>(effects: I) -> Self {
        let mut mask = Self::EMPTY;
        for effect in effects {
            mask.insert(effect);
        }
        mask
    }
}

impl fmt::Display for EffectMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, action) in self.actions().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            f.write_str(action.name())?;
        }
        if !self.flags.is_empty() {
            write!(f, " [{}]", self.flags)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_number_and_name_themselves() {
        for (number, action) in Action::ALL.into_iter().enumerate() {
            assert_eq!(action as usize, number, "{action}");
            assert_eq!(Action::from_name(action.name()), Some(action));
        }
        assert_eq!(Action::from_name("read"), None);
    }

    #[test]
    fn effects_read_as_a_line() {
        let orders = Object::in_schema(ObjectKind::Relation, "public", "orders");
        let program = EffectFlags::PROGRAM | EffectFlags::FILE;
        for (name, effect, want) in [
            (
                "plain",
                Effect::new(Action::Read, orders.clone()),
                "Read relation public.orders",
            ),
            (
                "flag",
                Effect::new(Action::Delete, orders.clone()).with(EffectFlags::UNFILTERED),
                "Delete relation public.orders [unfiltered]",
            ),
            (
                "flags",
                Effect::new(Action::Copy, orders).with(program),
                "Copy relation public.orders [program,file]",
            ),
            (
                "no object",
                Effect::new(Action::Admin, Object::nothing()),
                "Admin",
            ),
            (
                "setting",
                Effect::new(Action::Set, Object::new(ObjectKind::Setting, "role")),
                "Set setting role",
            ),
        ] {
            assert_eq!(effect.to_string(), want, "{name}");
        }
    }

    #[test]
    fn masks_gather_effects() {
        let effects = [
            Effect::new(Action::Opaque, Object::nothing()),
            Effect::new(Action::Delete, Object::nothing()).with(EffectFlags::UNFILTERED),
        ];
        let mask: EffectMask = effects.iter().collect();
        assert!(
            mask.contains(Action::Opaque) && mask.contains(Action::Delete) && !mask.contains(Action::Read)
        );
        assert_eq!(mask.to_string(), "Delete,Opaque [unfiltered]");
        assert_eq!(
            EffectMask::from_bits(mask.action_bits(), mask.flags().bits()),
            mask
        );
    }
}
