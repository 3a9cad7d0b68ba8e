//! The walk over a parse tree: what it has found, and where each kind of node goes.
//!
//! Each struct of the tree that can hold an expression is taken apart without `..`, so that a field which a later
//! grammar adds stops the compiler, and a kind of node that is not listed is opaque.

use hashbrown::HashSet;
use pg_query::NodeEnum;
use pg_query::protobuf::{Node, RangeVar, TypeName};
use smallvec::SmallVec;

use super::implied::Implied;
use super::nested::Budget;
use super::touches::Touches;
use crate::sql::builtin;
use crate::sql::resolve::Resolver;
use crate::sql::effect::{Action, Effect, EffectFlags, Object, ObjectKind};
use crate::sql::statement::{Cause, Reason};
use crate::sql::world::World;

/// Gathers what one statement does.
pub(super) struct Walker<'w> {
    pub(super) world: &'w World,
    /// Finds names as the text that is being walked means them.
    pub(super) resolver: Resolver<'w>,
    /// What runs without being called.
    pub(super) implied: Implied<'w>,
    /// The function whose body this is, and what it was called with.
    pub(super) arguments: Option<std::rc::Rc<super::scope::Arguments>>,
    /// Names that the statement may give to something else.
    pub(super) touches: Touches,
    /// What may still be spent on texts of the catalog.
    pub(super) budget: Budget,
    pub(super) effects: SmallVec<[Effect; 4]>,
    pub(super) reasons: SmallVec<[Reason; 1]>,
    pub(super) runs_prepared: Option<Box<str>>,
    /// Names of common table expressions that can be seen from here.
    pub(super) ctes: Vec<Box<str>>,
    /// Where neutral constants begin in the text.
    pub(super) neutral_at: Vec<i32>,
    /// Inside of a definition no constant is neutral.
    pub(super) in_definition: bool,
    /// The same as `effects`, once those are many.
    seen: HashSet<Effect>,
}

/// Causes beyond these are not listed: one is enough to be opaque.
const REASONS_MAX: usize = 32;

/// From this many effects on, doubles are looked up instead of searched.
const SEARCHED_MAX: usize = 16;

impl<'w> Walker<'w> {
    pub(super) fn new(world: &'w World) -> Self {
        Self {
            world,
            resolver: Resolver::new(world),
            implied: Implied::new(world),
            arguments: None,
            touches: Touches::default(),
            budget: Budget::default(),
            effects: SmallVec::new(),
            reasons: SmallVec::new(),
            runs_prepared: None,
            ctes: Vec::new(),
            neutral_at: Vec::new(),
            in_definition: false,
            seen: HashSet::new(),
        }
    }

    /// The server's major version: what a later grammar has a form for may be a user's function on an earlier server.
    pub(super) fn server_major(&self) -> u8 {
        self.world.catalog.server_major
    }

    pub(super) fn add(&mut self, effect: Effect) {
        let effect = effect.with(self.flags_here());
        let double = if self.effects.len() < SEARCHED_MAX {
            self.effects.contains(&effect)
        } else {
            if self.seen.is_empty() {
                self.seen.extend(self.effects.iter().cloned());
            }
            !self.seen.insert(effect.clone())
        };
        if !double {
            self.effects.push(effect);
        }
    }

    pub(super) fn act(&mut self, action: Action, object: Object) {
        self.add(Effect::new(action, object));
    }

    pub(super) fn opaque(&mut self, cause: Cause, object: Object) {
        let name = match &object.schema {
            Some(schema) => format!("{schema}.{}", object.name).into(),
            None => object.name.clone(),
        };
        let reason = Reason { cause, name };
        if self.reasons.len() < REASONS_MAX && !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
        self.act(Action::Opaque, object);
    }

    /// A kind of node that the analysis does not know.
    pub(super) fn unknown(&mut self, what: &str) {
        self.opaque(Cause::Unknown, Object::new(ObjectKind::Nothing, what));
    }

    pub(super) fn nodes(&mut self, nodes: &[Node]) {
        for node in nodes {
            self.node(node);
        }
    }

    pub(super) fn optional(&mut self, node: Option<&Node>) {
        if let Some(node) = node {
            self.node(node);
        }
    }

    /// Nodes of a list in which the grammar leaves gaps.
    pub(super) fn nodes_with_gaps(&mut self, nodes: &[Node]) {
        for kind in nodes.iter().filter_map(|node| node.node.as_ref()) {
            self.kind(kind);
        }
    }

    pub(super) fn node(&mut self, node: &Node) {
        match &node.node {
            Some(kind) => self.kind(kind),
            None => self.unknown("node"),
        }
    }

    pub(super) fn kind(&mut self, kind: &NodeEnum) {
        if self.expression(kind) || self.source(kind) || self.definition_part(kind) {
            return;
        }
        self.nested_statement(kind);
    }

    /// A relation that is read, unless it is a common table expression.
    pub(super) fn read(&mut self, relation: &RangeVar) {
        let RangeVar {
            catalogname,
            schemaname,
            relname,
            inh: _,
            relpersistence: _,
            alias: _,
            location: _,
        } = relation;
        let local = catalogname.is_empty() && schemaname.is_empty();
        if local && self.ctes.iter().any(|cte| **cte == *relname) {
            return;
        }
        self.add(on_relation(Action::Read, relation));
    }

    /// A type that an expression uses: its input, output and domain checks run.
    pub(super) fn type_name(&mut self, name: &TypeName) {
        let TypeName {
            names,
            type_oid: _,
            setof: _,
            pct_type,
            typmods,
            typemod: _,
            array_bounds: _,
            location: _,
        } = name;
        // Modifiers are constants, which the type's own function reads.
        self.nodes(typmods);
        let object = named(ObjectKind::Type, names);
        if *pct_type || !builtin::is_type(object.schema.as_deref(), &object.name) {
            self.opaque(Cause::Type, object);
        }
    }

    /// A form of the grammar that reads like a call: before its version it calls the function of that name.
    pub(super) fn form_since(&mut self, server_major: u8, name: &str) {
        if self.server_major() < server_major {
            self.opaque(Cause::Function, Object::new(ObjectKind::Function, name));
        }
    }

    pub(super) fn operator(&mut self, names: &[Node]) {
        let object = named(ObjectKind::Operator, names);
        if !builtin::is_operator(object.schema.as_deref(), &object.name) {
            self.opaque(Cause::Operator, object);
        }
    }
}

/// An effect on a relation, with the flag of a system catalog.
pub(super) fn on_relation(action: Action, relation: &RangeVar) -> Effect {
    let catalog = builtin::is_catalog_relation(&relation.schemaname, &relation.relname);
    let flags = if catalog {
        EffectFlags::CATALOG
    } else {
        EffectFlags::NONE
    };
    Effect::new(action, relation_object(ObjectKind::Relation, Some(relation))).with(flags)
}

pub(super) fn relation_object(kind: ObjectKind, relation: Option<&RangeVar>) -> Object {
    match relation {
        Some(relation) => Object::in_schema(kind, &relation.schemaname, &relation.relname),
        None => Object::new(kind, ""),
    }
}

/// The text of a String node.
pub(super) fn string(node: &Node) -> Option<&str> {
    match &node.node {
        Some(NodeEnum::String(string)) => Some(&string.sval),
        _ => None,
    }
}

/// An object whose name is a list of strings, the last one its own.
pub(super) fn named(kind: ObjectKind, names: &[Node]) -> Object {
    let mut parts: SmallVec<[&str; 3]> = SmallVec::new();
    for name in names {
        match string(name) {
            Some(part) => parts.push(part),
            None => return Object::new(kind, ""),
        }
    }
    match &parts[..] {
        [] => Object::new(kind, ""),
        [name] => Object::new(kind, *name),
        [qualifiers @ .., name] => Object::in_schema(kind, &qualifiers.join("."), name),
    }
}

/// An object named by whatever node DDL names it with.
pub(super) fn object_of(kind: ObjectKind, node: Option<&Node>) -> Object {
    match node.and_then(|node| node.node.as_ref()) {
        Some(NodeEnum::String(string)) => Object::new(kind, string.sval.as_str()),
        Some(NodeEnum::List(list)) => named(kind, &list.items),
        Some(NodeEnum::TypeName(name)) => named(kind, &name.names),
        Some(NodeEnum::ObjectWithArgs(object)) => named(kind, &object.objname),
        Some(NodeEnum::RangeVar(relation)) => relation_object(kind, Some(relation)),
        Some(NodeEnum::Integer(number)) => Object::new(kind, number.ival.to_string()),
        Some(NodeEnum::Float(number)) => Object::new(kind, number.fval.as_str()),
        Some(NodeEnum::RoleSpec(role)) => Object::new(kind, role.rolename.as_str()),
        _ => Object::new(kind, ""),
    }
}
