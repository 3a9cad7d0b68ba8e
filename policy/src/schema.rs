//! The shipped schema, compiled once, and the names that requests are made of.

use std::sync::LazyLock;

use cedar_policy::{
    Context, Entities, EntityId, EntityTypeName, EntityUid, RestrictedExpression, Schema, Validator,
};
use sluice_parsers::sql::effect::{Action, EffectFlags, FilterKind};

use crate::names::Kind;

/// The schema's text.
pub const SCHEMA: &str = include_str!("sluice.cedarschema");
/// Counts up when a policy that was valid may no longer be; `sluice policy check --json` tells it.
pub const SCHEMA_VERSION: u32 = 2;

/// Requests are numbered: the actions of effects by their own number, then `Connect` and `Unmask`.
pub(crate) const CONNECT: usize = Action::ALL.len();
/// The number of `Filter`.
pub(crate) const FILTER: usize = Action::Filter as usize;
/// To get values of a class as they are.
pub(crate) const UNMASK: usize = CONNECT + 1;
/// How many actions a request can have.
pub(crate) const REQUEST_ACTIONS: usize = UNMASK + 1;

/// The flags that are attributes of a request's context, as conditions name them. `HARMLESS` is membership in a group of
/// settings and `LEXING` is not policy's to permit.
pub const CONTEXT_FLAGS: [(EffectFlags, &str); 9] = [
    (EffectFlags::UNFILTERED, "unfiltered"),
    (EffectFlags::PROGRAM, "program"),
    (EffectFlags::FILE, "file"),
    (EffectFlags::FOREIGN, "foreign"),
    (EffectFlags::OTHER_USER, "other_user"),
    (EffectFlags::CASCADE, "cascade"),
    (EffectFlags::CATALOG, "catalog"),
    (EffectFlags::UNCERTAIN, "uncertain"),
    (EffectFlags::SENSITIVE, "sensitive"),
];

/// The schema and everything that is the same for every principal and policy set.
pub(crate) struct Vocabulary {
    /// Held to by tests; requests are made of its own words.
    #[cfg(test)]
    pub(crate) schema: Schema,
    pub(crate) validator: Validator,
    /// By number of request.
    pub(crate) actions: [EntityUid; REQUEST_ACTIONS],
    /// By what [`context_number`] gives: of effects other than `Filter`.
    contexts: Vec<Context>,
    /// The actions in their groups.
    pub(crate) groups: Entities,
    pub(crate) harmless: EntityUid,
    /// By number of request: the kinds of what lies in a database that the action applies to.
    kinds: [Vec<Kind>; REQUEST_ACTIONS],
    identity: EntityTypeName,
    claims: EntityTypeName,
    group: EntityTypeName,
    connection: EntityTypeName,
    database: EntityTypeName,
    setting: EntityTypeName,
    class: EntityTypeName,
    /// In the order of [`Kind::ALL`].
    named: [EntityTypeName; Kind::ALL.len()],
}

/// The vocabulary. Its parts come from this crate's own text, which a test reads.
pub(crate) static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| {
    let (schema, _warnings) = Schema::from_cedarschema_str(SCHEMA).expect("the shipped schema is valid");
    let action = entity_type("Action");
    let names = Action::ALL
        .map(Action::name)
        .into_iter()
        .chain(["Connect", "Unmask"]);
    let actions: Vec<_> = names.map(|name| uid(&action, name)).collect();
    let groups = schema.action_entities().expect("the shipped schema is valid");
    let named = Kind::ALL.map(|kind| entity_type(kind.name()));
    let kinds: Vec<Vec<Kind>> = actions
        .iter()
        .map(|action| {
            let types = schema.resources_for_action(action);
            let types: Vec<_> = types.into_iter().flatten().collect();
            let kinds = Kind::ALL.into_iter();
            kinds
                .filter(|&kind| types.contains(&&named[kind as usize]))
                .collect()
        })
        .collect();
    Vocabulary {
        validator: Validator::new(schema),
        #[cfg(test)]
        schema: Schema::from_cedarschema_str(SCHEMA)
            .expect("the shipped schema is valid")
            .0,
        groups,
        actions: actions.try_into().expect("one action for each number of request"),
        contexts: (0..1 << CONTEXT_FLAGS.len())
            .map(|number| context(number, None, false))
            .collect(),
        harmless: uid(&entity_type("SettingGroup"), "harmless"),
        kinds: kinds.try_into().expect("one list for each action"),
        named,
        identity: entity_type("Identity"),
        claims: entity_type("Claims"),
        group: entity_type("Group"),
        connection: entity_type("Connection"),
        database: entity_type("Database"),
        setting: entity_type("Setting"),
        class: entity_type("Class"),
    }
});

impl Vocabulary {
    pub(crate) fn identity(&self, id: &str) -> EntityUid {
        uid(&self.identity, id)
    }

    /// The claims of the identity of that id.
    pub(crate) fn claims(&self, id: &str) -> EntityUid {
        uid(&self.claims, id)
    }

    /// What lies in a database, by its id.
    pub(crate) fn named(&self, kind: Kind, id: &str) -> EntityUid {
        uid(&self.named[kind as usize], id)
    }

    /// Whether an action is ever on something of that kind.
    pub(crate) fn applies(&self, number: usize, kind: Kind) -> bool {
        self.kinds[number].contains(&kind)
    }

    pub(crate) fn group(&self, name: &str) -> EntityUid {
        uid(&self.group, name)
    }

    pub(crate) fn connection(&self, name: &str) -> EntityUid {
        uid(&self.connection, name)
    }

    pub(crate) fn database(&self, id: &str) -> EntityUid {
        uid(&self.database, id)
    }

    pub(crate) fn setting(&self, name: &str) -> EntityUid {
        uid(&self.setting, name)
    }

    /// A class of data that is masked.
    pub(crate) fn class(&self, name: &str) -> EntityUid {
        uid(&self.class, name)
    }

    /// The context of an effect with that number, without the session's attributes; only `Filter` has a kind.
    pub(crate) fn context(&self, number: u16, filter: Option<FilterKind>, is_approved: bool) -> Context {
        match filter {
            None if !is_approved => self.contexts[usize::from(number)].clone(),
            kind => context(number, kind, is_approved),
        }
    }
}

/// One bit for each flag that a context shows.
pub(crate) fn context_number(flags: EffectFlags) -> u16 {
    CONTEXT_FLAGS
        .iter()
        .enumerate()
        .filter(|(_, (flag, _))| flags.contains(*flag))
        .fold(0, |number, (bit, _)| number | 1 << bit)
}

/// Inverse of [`context_number`] for the context's attributes.
fn context(number: u16, filter: Option<FilterKind>, is_approved: bool) -> Context {
    let kind = filter.map(|kind| {
        let name = RestrictedExpression::new_string(kind.name().to_owned());
        ("kind".to_owned(), name)
    });
    let pairs = CONTEXT_FLAGS.iter().enumerate().map(|(bit, (_, name))| {
        (
            (*name).to_owned(),
            RestrictedExpression::new_bool(number & 1 << bit != 0),
        )
    });
    let approved = ("approved".to_owned(), RestrictedExpression::new_bool(is_approved));
    Context::from_pairs(pairs.chain(kind).chain([approved])).expect("the names differ from each other")
}

fn entity_type(name: &str) -> EntityTypeName {
    name.parse().expect("a plain identifier")
}

fn uid(of: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(of.clone(), EntityId::new(id))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::client::{Client, Mentions, Moment};

    #[test]
    fn the_text_tells_its_version() {
        let first = SCHEMA.lines().next().expect("a line");
        assert!(first.ends_with(&format!(" Version {SCHEMA_VERSION}.")), "{first}");
    }

    #[test]
    fn every_action_of_an_effect_is_in_the_schema_and_nothing_else() {
        let declared: BTreeSet<String> = VOCABULARY.schema.actions().map(ToString::to_string).collect();
        let groups: BTreeSet<String> = VOCABULARY
            .schema
            .action_groups()
            .map(ToString::to_string)
            .collect();
        let asked: BTreeSet<String> = VOCABULARY.actions.iter().map(ToString::to_string).collect();
        assert!(
            declared.is_superset(&asked),
            "not in the schema: {:?}",
            asked.difference(&declared)
        );
        let never: Vec<_> = declared
            .difference(&asked)
            .filter(|name| !groups.contains(*name))
            .collect();
        assert!(never.is_empty(), "never asked for: {never:?}");
    }

    #[test]
    fn contexts_are_what_the_schema_says() {
        let vocabulary = &*VOCABULARY;
        for (number, flags) in [
            (0, EffectFlags::NONE),
            (1, EffectFlags::UNFILTERED),
            (64, EffectFlags::CATALOG),
        ] {
            assert_eq!(context_number(flags), number);
            for (action, kind) in FilterKind::ALL
                .into_iter()
                .map(|kind| (Action::Filter, Some(kind)))
                .chain([(Action::Delete, None)])
            {
                let every = Mentions {
                    time: true,
                    client_address: true,
                    application_name: true,
                    ..Mentions::default()
                };
                let client = Client::new([10, 0, 0, 1].into()).with_application_name("psql");
                let session = every.attributes(&client, Moment::from_unix_ms(0));
                let session = Context::from_pairs(session).unwrap();
                let context = vocabulary.context(number, kind, true).merge(session).unwrap();
                context
                    .validate(&vocabulary.schema, &vocabulary.actions[action as usize])
                    .unwrap();
            }
        }
        assert_eq!(context_number(EffectFlags::HARMLESS | EffectFlags::LEXING), 0);
        assert_eq!(
            usize::from(context_number(EffectFlags::from_bits(u16::MAX))),
            vocabulary.contexts.len() - 1
        );
    }
}
