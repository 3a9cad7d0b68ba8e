//! Definitions: CREATE, ALTER, DROP, GRANT and their like.
//!
//! An object that is defined has the effect of its definition alone: what it makes run is seen when a statement makes it
//! run, from the catalog. What runs at once counts here: expressions over the rows that are there, functions of types,
//! event triggers, code in libraries and scripts. Every name that may mean something else afterwards is kept in
//! [`Touches`](super::touches::Touches).

mod administration;
mod objects;
mod parts;
mod relations;
mod tables;

use pg_query::NodeEnum;
use pg_query::protobuf::{DropBehavior, Node, ObjectType, RangeVar};

use super::scope::{Item, Level};
use super::touches::ties_code;
use super::walk::{Walker, object_of, relation_object, string};
use crate::sql::catalog::{Found, Oid};
use crate::sql::effect::{Action, Effect, EffectFlags, Object, ObjectKind};
use crate::sql::statement::Cause;

impl Walker<'_> {
    pub(super) fn definition(&mut self, kind: &NodeEnum) {
        let outside = self.in_definition;
        self.in_definition = true;
        let known = self.relation_definition(kind)
            || self.object_definition(kind)
            || self.object_change(kind)
            || self.administration(kind);
        if ties_code(kind) {
            self.touches.code();
        }
        if known {
            self.fires_event_triggers();
        } else {
            self.unknown(&variant_name(kind));
        }
        self.in_definition = outside;
    }

    /// What is opaque may define anything, and a function that is called may be called by what is defined.
    pub(super) fn touches_unseen(&mut self) {
        if self.effects.iter().any(|effect| effect.action == Action::Execute) {
            self.touches.code();
        }
        if self.is_opaque() {
            self.touches.everything();
        }
    }

    /// A relation comes into being.
    pub(super) fn creates(&mut self, kind: ObjectKind, relation: Option<&RangeVar>) {
        self.act(Action::Create, relation_object(kind, relation));
        self.touches
            .name_of_type(relation.map_or("", |relation| &relation.relname));
    }

    /// A relation's definition changes, or what belongs to it; gives what the name means.
    pub(super) fn changes(
        &mut self,
        action: Action,
        relation: Option<&RangeVar>,
        flags: EffectFlags,
    ) -> Found {
        let Some(relation) = relation else {
            self.unknown("relation");
            return Found::new();
        };
        self.touches.name(&relation.relname);
        self.act_on(action, relation, flags).oids
    }

    /// Walks expressions that see the columns of a relation, or of one that is not there yet.
    pub(super) fn over(&mut self, relation: &[Oid], walk: impl FnOnce(&mut Self)) {
        let mut level = Level::default();
        match relation {
            [oid] => {
                let name = self.catalog().relation(*oid).map(|found| (*found.name).into());
                let item = self.item_of(*oid, name);
                level.show(item);
            }
            _ => {
                level.show(Item::open(None));
            }
        }
        self.in_level(level, walk);
    }

    /// A definition of code that runs at once, or that the catalog does not show when it runs.
    fn code(&mut self, action: Action, object: Object) {
        self.touches.everything();
        self.act(action, object.clone());
        self.opaque(Cause::Definition, object);
    }

    /// An object changes that a name in a list of names, or something else that DDL names it with, says.
    fn changes_object(
        &mut self,
        action: Action,
        object_type: i32,
        relation: Option<&RangeVar>,
        object: Option<&Node>,
        flags: EffectFlags,
    ) {
        let object_type = ObjectType::try_from(object_type).unwrap_or(ObjectType::Undefined);
        if let Some(relation) = relation {
            self.changes(action, Some(relation), flags);
            return;
        }
        if is_relation(object_type)
            && let Some(relation) = object.and_then(range_var)
        {
            self.changes(action, Some(&relation), flags);
            return;
        }
        if is_part_of_relation(object_type) {
            return self.changes_part(action, object, flags);
        }
        let named = object_of(kind_of(object_type), object);
        self.touches.name_of_type(&named.name);
        self.add(Effect::new(action, named).with(flags));
    }

    /// A column, constraint, trigger, rule or policy: the relation's name stands before its own.
    fn changes_part(&mut self, action: Action, object: Option<&Node>, flags: EffectFlags) {
        let names = strings(object);
        let Some((own, relation)) = names.split_last() else {
            return self.unknown("object");
        };
        self.add(Effect::new(action, Object::new(ObjectKind::Other, *own)).with(flags));
        if let Some(relation) = range_var_of(relation) {
            self.changes(Action::Alter, Some(&relation), EffectFlags::NONE);
        }
    }
}

impl Walker<'_> {
    /// Whether this session may have made event triggers that the catalog does not show.
    pub(super) fn event_triggers_unseen(&self) -> bool {
        self.implied.printed.is_all_touched()
    }
}

/// The strings of a list of names.
fn strings(object: Option<&Node>) -> Vec<&str> {
    match object.and_then(|node| node.node.as_ref()) {
        Some(NodeEnum::List(list)) => list.items.iter().filter_map(string).collect(),
        Some(NodeEnum::String(name)) => vec![&name.sval],
        _ => Vec::new(),
    }
}

/// A relation that is named by a list of names.
fn range_var(object: &Node) -> Option<RangeVar> {
    match &object.node {
        Some(NodeEnum::RangeVar(relation)) => Some(relation.clone()),
        Some(NodeEnum::List(_)) => range_var_of(&strings(Some(object))),
        _ => None,
    }
}

fn range_var_of(names: &[&str]) -> Option<RangeVar> {
    let (catalog, schema, name) = match *names {
        [name] => ("", "", name),
        [schema, name] => ("", schema, name),
        [catalog, schema, name] => (catalog, schema, name),
        _ => return None,
    };
    Some(RangeVar {
        catalogname: catalog.to_owned(),
        schemaname: schema.to_owned(),
        relname: name.to_owned(),
        inh: true,
        ..RangeVar::default()
    })
}

fn is_relation(object_type: ObjectType) -> bool {
    matches!(
        object_type,
        ObjectType::ObjectTable
            | ObjectType::ObjectView
            | ObjectType::ObjectMatview
            | ObjectType::ObjectForeignTable
            | ObjectType::ObjectIndex
            | ObjectType::ObjectSequence
    )
}

fn is_part_of_relation(object_type: ObjectType) -> bool {
    matches!(
        object_type,
        ObjectType::ObjectColumn
            | ObjectType::ObjectTabconstraint
            | ObjectType::ObjectTrigger
            | ObjectType::ObjectRule
            | ObjectType::ObjectPolicy
    )
}

fn cascade(behavior: i32) -> EffectFlags {
    if behavior == DropBehavior::DropCascade as i32 {
        EffectFlags::CASCADE
    } else {
        EffectFlags::NONE
    }
}

fn object_kind(object_type: i32) -> ObjectKind {
    kind_of(ObjectType::try_from(object_type).unwrap_or(ObjectType::Undefined))
}

fn kind_of(object_type: ObjectType) -> ObjectKind {
    match object_type {
        ObjectType::ObjectTable
        | ObjectType::ObjectView
        | ObjectType::ObjectMatview
        | ObjectType::ObjectForeignTable
        | ObjectType::ObjectIndex
        | ObjectType::ObjectColumn => ObjectKind::Relation,
        ObjectType::ObjectSequence => ObjectKind::Sequence,
        ObjectType::ObjectFunction
        | ObjectType::ObjectProcedure
        | ObjectType::ObjectRoutine
        | ObjectType::ObjectAggregate => ObjectKind::Function,
        ObjectType::ObjectOperator => ObjectKind::Operator,
        ObjectType::ObjectType | ObjectType::ObjectDomain | ObjectType::ObjectAttribute => ObjectKind::Type,
        ObjectType::ObjectRole => ObjectKind::Role,
        ObjectType::ObjectDatabase => ObjectKind::Database,
        ObjectType::ObjectSchema => ObjectKind::Schema,
        ObjectType::ObjectTablespace => ObjectKind::Tablespace,
        ObjectType::ObjectLargeobject => ObjectKind::LargeObject,
        ObjectType::ObjectExtension => ObjectKind::Extension,
        ObjectType::ObjectForeignServer | ObjectType::ObjectFdw | ObjectType::ObjectUserMapping => {
            ObjectKind::ForeignServer
        }
        ObjectType::ObjectPublication | ObjectType::ObjectSubscription => ObjectKind::Replication,
        ObjectType::ObjectParameterAcl => ObjectKind::Setting,
        _ => ObjectKind::Other,
    }
}

/// The name of a kind of node that is not known, for the reason.
fn variant_name(kind: &NodeEnum) -> String {
    let debug = format!("{kind:?}");
    debug.split(['(', ' ', '{']).next().unwrap_or("node").to_owned()
}
