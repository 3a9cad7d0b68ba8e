//! Whether the recorded effects cover a line of pgaudit.
//!
//! `Opaque` covers what stems from it: lines of statements that run inside, and of functions. It covers nothing of the
//! statement itself, so that a gateway that calls everything opaque does not pass.

use std::borrow::Cow;
use std::collections::BTreeSet;

use sluice_parsers::sql::catalog::{Behavior, base};
use sluice_parsers::sql::effect::Action;

use crate::audit_log::AuditLine;
use crate::effect_line::EffectLine;
use crate::join::Run;

/// The server that pgaudit is installed for.
const SERVER_MAJOR: u8 = 15;

/// Parts of a relation or type, which come and go with it, and are covered by what is done to it.
const PARTS: &[&str] = &[
    "INDEX",
    "SEQUENCE",
    "TABLE CONSTRAINT",
    "TABLE COLUMN",
    "FOREIGN TABLE COLUMN",
    "COMPOSITE TYPE COLUMN",
    "VIEW COLUMN",
    "MATERIALIZED VIEW COLUMN",
    "DOMAIN CONSTRAINT",
    "DEFAULT VALUE",
    "TRIGGER",
    "POLICY",
    "RULE",
    "STATISTICS OBJECT",
    "TOAST TABLE",
    "COMPOSITE TYPE",
    "PUBLICATION RELATION",
    "PUBLICATION NAMESPACE",
    "FUNCTION OF ACCESS METHOD",
    "OPERATOR OF ACCESS METHOD",
];

/// Functions that were made in C: what they do can only be listed. Those in SQL have lines for what they do, and those
/// that are other names of pure built-in code do nothing.
#[derive(Debug, Default)]
pub(crate) struct Natives(BTreeSet<String>);

impl Natives {
    /// Those that the lines tell of.
    pub(crate) fn of<'a>(lines: impl Iterator<Item = &'a AuditLine>) -> Self {
        let made = lines.filter(|line| line.command.starts_with("CREATE"));
        let made = made.filter(|line| has_language(&line.text, "c") || is_unknown(&line.text));
        let functions = made.filter(|line| ["FUNCTION", "PROCEDURE"].contains(&line.object_type.as_str()));
        Self(functions.map(|line| object_name(&line.object_name)).collect())
    }
}

/// `... LANGUAGE C ...`
fn has_language(text: &str, language: &str) -> bool {
    text.split_whitespace()
        .zip(text.split_whitespace().skip(1))
        .any(|(word, next)| {
            let next = next.trim_matches([';', '\'']);
            word.eq_ignore_ascii_case("language") && next.eq_ignore_ascii_case(language)
        })
}

/// `... LANGUAGE internal AS 'int8eq'`, but code that is not known to be pure.
fn is_unknown(text: &str) -> bool {
    let parts: Vec<&str> = text.split(['\'', '$']).collect();
    let is_as = |part: &str| part.trim_end().to_ascii_lowercase().ends_with(" as");
    let behind = parts.iter().position(|part| is_as(part)).unwrap_or(parts.len());
    // Between the quotes, or between `$$` and `$$`.
    let mut symbols = parts.iter().skip(behind + 1);
    let symbol = symbols.find(|part| !part.is_empty()).copied();
    has_language(text, "internal")
        && base::internal(SERVER_MAJOR, symbol.unwrap_or_default()) != Some(Behavior::Pure)
}

/// Whether the effects of a statement cover one of its lines.
pub(crate) fn covers(run: &Run, line: &AuditLine, natives: &Natives) -> bool {
    let is_inner = run.is_inner(line);
    let is_opaque = run.effects.iter().any(EffectLine::is_opaque);
    if is_opaque && (is_inner || line.class == "FUNCTION") {
        return true;
    }
    if is_inner && is_refresh(run, line) {
        return true;
    }
    let is_planned = run.text.trim_start().to_ascii_lowercase().starts_with("explain");
    let wanted = Wanted {
        line,
        is_planned,
        natives,
    };
    let is_earlier_opaque = is_inner && run.earlier.iter().any(EffectLine::is_opaque);
    wanted.is_covered(&run.effects) || wanted.is_covered(&run.earlier) || is_earlier_opaque
}

/// REFRESH MATERIALIZED VIEW CONCURRENTLY compares by SQL over tables of its own, `pg_temp_2.pg_temp_1234`: its `Update`
/// says it all.
fn is_refresh(run: &Run, line: &AuditLine) -> bool {
    let updated = run
        .effects
        .iter()
        .filter(|effect| effect.action == Action::Update);
    let is_own = line.text.contains(".pg_temp_");
    is_own
        && updated.count() == 1
        && run
            .text
            .to_ascii_uppercase()
            .contains("REFRESH MATERIALIZED VIEW")
}

struct Wanted<'a> {
    line: &'a AuditLine,
    /// The statement is an EXPLAIN.
    is_planned: bool,
    natives: &'a Natives,
}

impl Wanted<'_> {
    fn is_covered(&self, effects: &[EffectLine]) -> bool {
        let line = self.line;
        match line.class.as_str() {
            "READ" | "WRITE" => self.data(effects),
            "MISC" => self.other(effects),
            "FUNCTION" => self.function(effects),
            "ROLE" => self.role(effects),
            "DDL" => self.definition(effects),
            _ => false,
        }
    }

    fn has_object(&self) -> bool {
        !self.line.object_name.is_empty()
    }

    /// Whether one of the actions is done to the line's object, or, if it names none, to anything.
    fn has(&self, effects: &[EffectLine], actions: &[Action]) -> bool {
        let name = object_name(&self.line.object_name);
        effects
            .iter()
            .any(|effect| actions.contains(&effect.action) && (!self.has_object() || effect.is_on(&name)))
    }

    fn has_any(effects: &[EffectLine], actions: &[Action]) -> bool {
        effects.iter().any(|effect| actions.contains(&effect.action))
    }

    fn data(&self, effects: &[EffectLine]) -> bool {
        let (class, command) = (self.line.class.as_str(), self.line.command.as_str());
        let actions: &[Action] = match (class, command) {
            ("READ", "COPY") => &[Action::Read, Action::Copy],
            ("WRITE", "COPY") => &[Action::Insert, Action::Copy],
            // Without an object it reads nothing but what its functions read.
            ("READ", _) if !self.has_object() => return true,
            ("READ", _) => &[Action::Read],
            ("WRITE", "INSERT") => &[Action::Insert],
            // A row lock needs the same right.
            ("WRITE", "UPDATE") => &[Action::Update, Action::Lock],
            ("WRITE", "DELETE") => &[Action::Delete],
            ("WRITE", "TRUNCATE TABLE") => &[Action::Truncate],
            // EXPLAIN and PREPARE have lines of their own for what they plan.
            ("WRITE", "EXPLAIN" | "PREPARE" | "DECLARE CURSOR" | "EXECUTE") if !self.has_object() => {
                return true;
            }
            _ => return false,
        };
        // EXPLAIN plans a change, for which the server asks for the right, and makes none.
        self.has(effects, actions)
            || self.is_planned && class == "WRITE" && self.has(effects, &[Action::Read])
    }

    fn other(&self, effects: &[EffectLine]) -> bool {
        let actions: &[Action] = match self.line.command.as_str() {
            // A relation in the plan that needs no right of its own: a child, or what stands below a view.
            "???" => &[
                Action::Read,
                Action::Insert,
                Action::Update,
                Action::Delete,
                Action::Lock,
                Action::Truncate,
            ],
            "SET" | "RESET" => &[Action::Set, Action::SetRole],
            // The weakest lock is that of reading.
            "LOCK TABLE" => &[Action::Lock, Action::Read],
            "LISTEN" | "NOTIFY" => &[Action::Notify],
            "ANALYZE" | "VACUUM" | "CLUSTER" | "REINDEX" | "CHECKPOINT" | "COMMIT PREPARED"
            | "ROLLBACK PREPARED" | "LOAD" => &[Action::Admin],
            "PREPARE TRANSACTION" => &[Action::Admin, Action::Lock],
            // What they do has lines of its own, or is the session's own affair.
            "BEGIN" | "START TRANSACTION" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" | "FETCH"
            | "MOVE" | "DECLARE CURSOR" | "CLOSE CURSOR" | "CLOSE CURSOR ALL" | "SHOW" | "EXPLAIN"
            | "PREPARE" | "EXECUTE" | "DEALLOCATE" | "DEALLOCATE ALL" | "CALL" | "UNLISTEN"
            | "SET CONSTRAINTS" | "DISCARD" | "DISCARD ALL" | "DISCARD PLANS" | "DISCARD SEQUENCES"
            | "DISCARD TEMP" => return true,
            _ => return false,
        };
        self.has(effects, actions)
    }

    fn function(&self, effects: &[EffectLine]) -> bool {
        self.line.command == "DO"
            || !self.natives.0.contains(&object_name(&self.line.object_name))
            || self.has(effects, &[Action::Execute])
    }

    fn role(&self, effects: &[EffectLine]) -> bool {
        let first = self.line.command.split(' ').next().unwrap_or_default();
        let actions: &[Action] = match first {
            "GRANT" | "REVOKE" | "REASSIGN" => &[Action::Grant],
            "CREATE" => &[Action::Create],
            "ALTER" => &[Action::Alter, Action::Grant],
            "DROP" => &[Action::Drop],
            _ => return false,
        };
        Self::has_any(effects, actions)
    }

    fn definition(&self, effects: &[EffectLine]) -> bool {
        let command = self.line.command.as_str();
        let first = command.split(' ').next().unwrap_or_default();
        // A range type comes and goes with its constructors.
        let is_part = PARTS.contains(&self.line.object_type.as_str())
            || (command.ends_with(" TYPE") && self.line.object_type == "FUNCTION");
        match first {
            // In a CREATE TABLE, a sequence is altered to be owned, and an index is made.
            "CREATE" | "ALTER" if is_part => {
                Self::has_any(effects, &[Action::Create, Action::Alter, Action::Replicate])
            }
            "CREATE" | "SELECT" | "IMPORT" => self.has_named(effects, &[Action::Create]),
            "ALTER" if command == "ALTER SYSTEM" => Self::has_any(effects, &[Action::Admin]),
            // The line has the name that it has now.
            "ALTER" if self.is_renamed() => Self::has_any(effects, &[Action::Alter, Action::Create]),
            "ALTER" => self.has_named(effects, &[Action::Alter, Action::Grant, Action::Create]),
            "COMMENT" | "SECURITY" => Self::has_any(effects, &[Action::Alter, Action::Create]),
            "DROP" if command == "DROP OWNED" => Self::has_any(effects, &[Action::Drop]),
            "DROP" => {
                let cascades = effects
                    .iter()
                    .any(|effect| effect.action == Action::Drop && (is_part || effect.has_flag("cascade")));
                cascades || self.has_named(effects, &[Action::Drop])
            }
            "REASSIGN" => Self::has_any(effects, &[Action::Alter, Action::Grant]),
            "REFRESH" => self.has(effects, &[Action::Update]),
            "CLUSTER" | "REINDEX" => Self::has_any(effects, &[Action::Admin]),
            "TRUNCATE" => self.has(effects, &[Action::Truncate]),
            "EXPLAIN" => true,
            _ => false,
        }
    }

    fn is_renamed(&self) -> bool {
        let text = self.line.text.to_ascii_uppercase();
        text.contains("RENAME") || text.contains("SET SCHEMA")
    }

    /// As [`Self::has`]; of objects whose identity is more than a name, only the action is compared.
    fn has_named(&self, effects: &[EffectLine], actions: &[Action]) -> bool {
        let has_name = matches!(
            self.line.object_type.as_str(),
            "TABLE"
                | "VIEW"
                | "MATERIALIZED VIEW"
                | "FOREIGN TABLE"
                | "INDEX"
                | "SEQUENCE"
                | "SCHEMA"
                | "TYPE"
                | "FUNCTION"
                | "PROCEDURE"
                | "AGGREGATE"
        );
        if has_name {
            self.has(effects, actions)
        } else {
            Self::has_any(effects, actions)
        }
    }
}

/// pgaudit's name of an object as effects write it: without quotes and arguments.
pub(crate) fn object_name(identity: &str) -> String {
    let mut name = String::new();
    let mut is_quoted = false;
    let mut chars = identity.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' if is_quoted && chars.peek() == Some(&'"') => {
                name.push('"');
                chars.next();
            }
            '"' => is_quoted = !is_quoted,
            '(' if !is_quoted => break,
            char => name.push(char),
        }
    }
    without_session(&name).into_owned()
}

/// A session's schema of temporary objects is one for all.
pub(crate) fn without_session(name: &str) -> Cow<'_, str> {
    match name
        .strip_prefix("pg_temp_")
        .and_then(|rest| rest.split_once('.'))
    {
        Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("pg_temp.{rest}").into()
        }
        _ => name.into(),
    }
}

#[test]
fn names_are_those_of_effects() {
    for (identity, name) in [
        ("public.t", "public.t"),
        ("public.\"My \"\"T\"", "public.My \"T"),
        ("public.f(integer,\"char\")", "public.f"),
        ("pg_temp_3.t", "pg_temp.t"),
        ("pg_temp.t", "pg_temp.t"),
    ] {
        assert_eq!(object_name(identity), name);
    }
}

#[test]
fn functions_of_pure_code_are_no_natives() {
    let create = |text: &str| AuditLine {
        statement: 1,
        substatement: 1,
        class: "DDL".to_owned(),
        command: "CREATE FUNCTION".to_owned(),
        object_type: "FUNCTION".to_owned(),
        object_name: "public.f(integer)".to_owned(),
        text: text.to_owned(),
    };
    for (text, is_native) in [
        (
            "create function f(int) returns int language internal as 'int4abs';",
            false,
        ),
        (
            "CREATE FUNCTION f(int) RETURNS int LANGUAGE internal AS $$int4abs$$",
            false,
        ),
        (
            "CREATE FUNCTION f(int, int) RETURNS bool AS 'int4lt' LANGUAGE internal IMMUTABLE -- not $leakproof",
            false,
        ),
        (
            "CREATE FUNCTION f(int) RETURNS int LANGUAGE internal AS 'pg_sleep'",
            true,
        ),
        (
            "CREATE FUNCTION f(int) RETURNS int LANGUAGE C AS 'x', 'int4abs'",
            true,
        ),
        (
            "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            false,
        ),
    ] {
        let natives = Natives::of([create(text)].iter());
        assert_eq!(!natives.0.is_empty(), is_native, "{text}");
    }
}
