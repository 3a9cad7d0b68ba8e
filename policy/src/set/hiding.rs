//! Whether policies keep values of a database from a principal: then errors must not quote any.

use std::collections::BTreeSet;

use sluice_parsers::sql::effect::Action;

use super::Policies;
use super::ask::Asker;
use super::question::{Kinds, On, Question, Reach};
use super::tree::{NodeId, Thing, Tree};
use crate::client::{Client, Moment};
use crate::explain::Word;
use crate::names::Kind;
use crate::principal::Principal;

/// Whether some values are not for a principal to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hiding {
    /// Policies name columns, tables or schemas of the database that may not be read.
    pub is_hiding: bool,
    /// That looked at the time, and has to be asked again for every use.
    pub is_timed: bool,
}

/// Of so many tables and schemas policy is asked; where more are named, some are taken for hidden.
const ASKED_MAX: usize = 64;

/// What a read of anything in the database may be held against.
const READING: Question<'static> = Question {
    action: Action::Read as usize,
    context: 0,
    filter: None,
    is_lexing: false,
    on: On::Database,
    reach: Reach::Any(Kinds::ALL),
};

impl Policies {
    /// Asks about reading the whole of each table and schema of which a `forbid` names a part, and whether that applies; of
    /// those too of which a `permit` names columns, and whether anything permits the others.
    pub(super) fn hides(&self, who: &Principal, client: &Client, now: Moment) -> Hiding {
        let known = self.known(who);
        let Some(tree) = known.tree.and_then(|tree| self.trees.get(tree)) else {
            return Hiding::default();
        };
        let rules = known.rules(&READING, Some(tree));
        let rules = rules.into_iter().filter_map(|place| self.rules.get(place));
        let mut wholes = BTreeSet::new();
        for rule in rules {
            let named = rule.named.iter().filter(|(of, _)| Some(*of) == known.tree);
            wholes.extend(named.filter_map(|&(_, node)| {
                let whole = whole_of(node, tree)?;
                (rule.is_forbid || whole != node).then_some((whole, rule.is_forbid))
            }));
        }
        if wholes.len() > ASKED_MAX {
            return Hiding {
                is_hiding: true,
                is_timed: false,
            };
        }
        let mut asker = Asker::new(self, who, client, now, &known);
        let mut hiding = Hiding::default();
        for (node, is_forbid) in wholes {
            let question = Question {
                on: On::Thing(Thing {
                    kind: tree.kind(node),
                    node: Some(node),
                    is_named: true,
                }),
                reach: Reach::Parts,
                ..READING
            };
            let said = asker.ask(&self.rules, &question, false);
            let applies = |forbids| {
                let mut said = said.iter();
                said.any(|said| said.rule.is_forbid == forbids && said.word == Word::Applies)
            };
            let fails = said.iter().any(|said| matches!(said.word, Word::Error(_)));
            hiding.is_hiding |= fails || applies(true) || !is_forbid && !applies(false);
            hiding.is_timed |= said.iter().any(|said| said.rule.mentions.time);
        }
        hiding
    }
}

/// The table of a column, a table or a schema; none of what holds no values.
fn whole_of(node: NodeId, tree: &Tree) -> Option<NodeId> {
    match tree.kind(node) {
        Kind::Column => tree.parent(node),
        Kind::Table | Kind::Schema => Some(node),
        Kind::Function | Kind::Role => None,
    }
}
