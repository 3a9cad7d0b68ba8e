//! Effects as the record has them, read back: `Filter equality relation public.t (a, b) [catalog]`.

use std::fmt;

use sluice_audit::record::LEFT_OUT;
use sluice_parsers::sql::effect::Action;
use sluice_policy::read_effect;

/// One effect of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EffectLine {
    pub(crate) action: Action,
    /// The word for the object's kind; empty for nothing in particular.
    pub(crate) kind: &'static str,
    /// Schema and name as one text, without quotes.
    pub(crate) name: String,
    pub(crate) flags: String,
}

impl EffectLine {
    /// Whether it is on this object: `schema.name`, or a name alone where the effect knows no schema.
    pub(crate) fn is_on(&self, object: &str) -> bool {
        let name = super::coverage::without_session(&self.name);
        *name == *object || object.rsplit_once('.').is_some_and(|(_, name)| self.name == name)
    }

    /// Whether it is on something that has a schema, and does not say which.
    pub(crate) fn lacks_schema(&self) -> bool {
        ["relation", "sequence", "function", "type"].contains(&self.kind) && !self.name.contains('.')
    }

    pub(crate) fn is_opaque(&self) -> bool {
        self.action == Action::Opaque
    }

    pub(crate) fn has_flag(&self, flag: &str) -> bool {
        self.flags.split(',').any(|one| one == flag)
    }
}

impl fmt::Display for EffectLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            action,
            kind,
            name,
            flags,
        } = self;
        write!(f, "{action} {kind} {name} [{flags}]")
    }
}

/// The effects, and whether all of them are there.
pub(crate) fn read<'a>(lines: impl IntoIterator<Item = &'a str>) -> (Vec<EffectLine>, bool) {
    let mut effects = Vec::new();
    let mut is_whole = true;
    for line in lines {
        match effect(line) {
            Some(effect) => effects.push(effect),
            None if line.starts_with(LEFT_OUT) => is_whole = false,
            None => panic!("no effect: {line}"),
        }
    }
    (effects, is_whole)
}

fn effect(line: &str) -> Option<EffectLine> {
    let effect = read_effect(line)?;
    let object = effect.object;
    Some(EffectLine {
        action: effect.action,
        kind: object.kind.name(),
        name: match object.schema {
            Some(schema) => format!("{schema}.{}", object.name),
            None => object.name.into(),
        },
        flags: effect.flags.to_string(),
    })
}

#[test]
fn lines_are_read_back() {
    for (line, action, kind, name, flags) in [
        ("Opaque", Action::Opaque, "", "", ""),
        ("Read relation t", Action::Read, "relation", "t", ""),
        (
            "Read relation public.t (a, b) [catalog,uncertain]",
            Action::Read,
            "relation",
            "public.t",
            "catalog,uncertain",
        ),
        (
            "Filter equality relation public.my table (a)",
            Action::Filter,
            "relation",
            "public.my table",
            "",
        ),
        ("Execute large object", Action::Execute, "large object", "", ""),
        (
            "Set setting work_mem [harmless]",
            Action::Set,
            "setting",
            "work_mem",
            "harmless",
        ),
        ("Admin [other_user]", Action::Admin, "", "", "other_user"),
    ] {
        let (effects, is_whole) = read([line]);
        let want = EffectLine {
            action,
            kind,
            name: name.to_owned(),
            flags: flags.to_owned(),
        };
        assert_eq!((effects, is_whole), (vec![want], true), "{line}");
    }
    assert!(!read(["... 3 more"]).1);
}
