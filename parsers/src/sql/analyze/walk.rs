//! The walk over a parse tree: what it has found, and where each kind of node goes.
//!
//! Each struct of the tree that can hold an expression is taken apart without `..`, so that a field which a later
//! grammar adds stops the compiler, and a kind of node that is not listed is opaque.
//!
//! Views and bodies are parsed while a statement is walked, so nothing in a walker borrows from a tree.

use std::rc::Rc;

use hashbrown::{HashMap, HashSet};
use pg_query::NodeEnum;
use pg_query::protobuf::{Node, RangeVar};
use smallvec::SmallVec;

use super::implied::Implied;
use super::nested::{Allowance, Budget};
use super::predicted::{LateChanges, changed_names};
use super::protect::Unknowns;
use super::relation::Reads;
use super::scope::{Arguments, Cte, Level};
use super::touches::Touches;
use super::value::{Column, Row, Value};
use crate::sql::catalog::Oid;
use crate::sql::effect::{Action, Effect, EffectFlags, Object, ObjectKind};
use crate::sql::resolve::Resolver;
use crate::sql::statement::{Cause, OutputColumn, PreparedUse, Probes, Reason, Taken};
use crate::sql::world::{Deferred, World};

/// Gathers what one statement does.
#[expect(
    clippy::struct_excessive_bools,
    reason = "where the walk is, in respects that do not depend on each other"
)]
pub(super) struct Walker<'w> {
    pub(super) world: &'w World,
    /// What names mean here.
    pub(super) resolver: Resolver<'w>,
    pub(super) effects: SmallVec<[Effect; 4]>,
    pub(super) reasons: SmallVec<[Reason; 1]>,
    pub(super) runs_prepared: Option<Box<str>>,
    /// What becomes of its rows.
    pub(super) use_of_prepared: PreparedUse,
    /// Parameters whose values decide what happens.
    pub(super) decided_at_bind: SmallVec<[u16; 2]>,
    /// What is opaque for that.
    pub(super) opaque_until_bind: SmallVec<[Object; 1]>,
    /// What bodies open, close, prepare or let go.
    pub(super) takes: Taken,
    pub(super) changes_uncounted: bool,
    /// What is left to the end of the transaction.
    pub(super) defers: Deferred,
    /// What protected columns are compared with.
    pub(super) probes: Probes,
    /// Functions and rules whose code is walked now.
    pub(super) code_depth: usize,
    /// The columns of the rows that the statement gives.
    pub(super) output: Vec<OutputColumn>,
    /// The types that PREPARE declares for parameters.
    pub(super) parameter_types: Option<Rc<[Oid]>>,
    /// Common table expressions that can be seen from here.
    pub(super) ctes: Vec<Cte>,
    /// The queries around this place, outermost first.
    pub(super) levels: Vec<Level>,
    /// The function whose body this is, and what it was called with.
    pub(super) arguments: Option<Rc<Arguments>>,
    /// Columns of views that were expanded.
    pub(super) views: HashMap<Oid, Option<Row>>,
    /// Relations' columns that were looked up.
    pub(super) rows: HashMap<Oid, Row>,
    /// Relations that were read, and which columns of them.
    pub(super) reads: Reads,
    /// How often something was read or became opaque: where that grows while a function runs, its result may come from
    /// there.
    pub(super) sources: usize,
    /// Functions whose bodies were followed, and whether their results may come from elsewhere than their arguments.
    pub(super) open_functions: HashMap<Oid, bool>,
    /// What is walked belongs to a table, not to the statement: its conditions are nobody's question.
    pub(super) is_quiet: bool,
    /// What is walked is only simplified by the planner: what varies from row to row does not run.
    pub(super) is_planned: bool,
    /// Uses of values that may come from anywhere.
    pub(super) unknowns: Unknowns,
    /// Where neutral constants begin in the text.
    pub(super) neutral_at: Vec<i32>,
    /// Inside of a definition no constant is neutral.
    pub(super) in_definition: bool,
    /// The plan is shown.
    pub(super) explains: bool,
    /// The plan has values in it that a function read.
    pub(super) folds: bool,
    /// The statement is planned and not executed.
    pub(super) plans_only: bool,
    /// Names that the statement may give to something else.
    pub(super) touches: Touches,
    /// What runs without being called.
    pub(super) implied: Implied<'w>,
    /// A value became part of a document by a cast that reads.
    pub(super) documents_read: bool,
    /// What may still be spent on texts of the catalog.
    pub(super) budget: Budget,
    /// How much may still be walked.
    pub(super) work_left: usize,
    /// More was asked for.
    pub(super) is_spent: bool,
    /// The same as `effects`, once those are many.
    seen: HashSet<Effect>,
}

/// Causes beyond these are not listed: one is enough to be opaque.
const REASONS_MAX: usize = 32;

/// From this many effects on, doubles are looked up instead of searched.
const SEARCHED_MAX: usize = 16;

/// How many nodes and columns one statement may make the analysis look at, views and bodies included. Some 0.2 s.
pub(super) const WORK_MAX: usize = 2_000_000;

impl<'w> Walker<'w> {
    /// A walker for the next statement of a text.
    pub(super) fn new(world: &'w World, resolver: Resolver<'w>, allowance: &Allowance) -> Self {
        let (work_left, budget) = allowance.of_statement(&world.session.search_path);
        Self {
            world,
            effects: SmallVec::new(),
            reasons: SmallVec::new(),
            runs_prepared: None,
            use_of_prepared: PreparedUse::Runs,
            decided_at_bind: SmallVec::new(),
            opaque_until_bind: SmallVec::new(),
            takes: Taken::Nothing,
            changes_uncounted: false,
            defers: Deferred::Nothing,
            probes: Probes::NONE,
            code_depth: 0,
            output: Vec::new(),
            parameter_types: None,
            ctes: Vec::new(),
            levels: Vec::new(),
            arguments: None,
            views: HashMap::new(),
            rows: HashMap::new(),
            reads: Reads::default(),
            sources: 0,
            open_functions: HashMap::new(),
            is_quiet: false,
            is_planned: false,
            unknowns: Unknowns::default(),
            neutral_at: Vec::new(),
            in_definition: false,
            explains: false,
            folds: false,
            plans_only: false,
            touches: Touches::default(),
            implied: Implied::new(world, resolver.clone()),
            resolver,
            documents_read: false,
            budget,
            work_left,
            is_spent: false,
            seen: HashSet::new(),
        }
    }

    /// The same, but while the statement runs names change.
    #[must_use]
    pub(super) fn while_changing(mut self, changes: &'w LateChanges) -> Self {
        let Implied { runtime, printed, .. } = &mut self.implied;
        runtime.resolver = runtime.resolver.with_touched(&changes.names);
        *printed = printed.with_touched(&changes.objects);
        self
    }

    /// What the statement may change before it looks names up. What is opaque may do anything already.
    pub(super) fn late_changes(&self) -> LateChanges {
        let mut changes = LateChanges::default();
        if self.implied.looks_up_late && !self.is_opaque() {
            changes.objects = self.touches.found();
            changes.names = changes.objects.clone();
            for changed in self.effects.iter().filter_map(changed_names) {
                changes.names.extend(&changed);
            }
        }
        changes
    }

    pub(super) fn is_opaque(&self) -> bool {
        self.effects.iter().any(|effect| effect.action == Action::Opaque)
    }

    /// The server's major version: what a later grammar has a form for may be a user's function on an earlier server.
    pub(super) fn server_major(&self) -> u8 {
        self.world.catalog.server_major
    }

    /// Takes from what may still be walked; false if that is used up, which makes the statement opaque.
    pub(super) fn spend(&mut self, work: usize) -> bool {
        if let Some(left) = self.work_left.checked_sub(work) {
            self.work_left = left;
            return true;
        }
        self.work_left = 0;
        if !self.is_spent {
            self.is_spent = true;
            self.opaque(Cause::TooDeep, Object::new(ObjectKind::Nothing, "work"));
        }
        false
    }

    pub(super) fn add(&mut self, effect: Effect) {
        let Some(effect) = self.as_planned(effect) else {
            return;
        };
        let effect = effect.with(self.flags_here());
        self.changes_uncounted |= self.code_depth > 0
            && matches!(
                effect.action,
                Action::Insert | Action::Update | Action::Delete | Action::Truncate
            );
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

    /// What is left of an effect if the change is planned and not made: planning reads what a change would be about.
    /// What runs at once, such as a function that folds, keeps its effects.
    fn as_planned(&self, effect: Effect) -> Option<Effect> {
        if !self.plans_only || effect.object.kind != ObjectKind::Relation {
            return Some(effect);
        }
        match effect.action {
            Action::Insert | Action::Update | Action::Delete => Some(Effect {
                action: Action::Read,
                flags: effect.flags.without(EffectFlags::UNFILTERED),
                ..effect
            }),
            // CREATE TABLE AS.
            Action::Create => None,
            _ => Some(effect),
        }
    }

    pub(super) fn forget_seen(&mut self) -> HashSet<Effect> {
        std::mem::take(&mut self.seen)
    }

    pub(super) fn remember_seen(&mut self, seen: HashSet<Effect>) {
        self.seen = seen;
    }

    pub(super) fn act(&mut self, action: Action, object: Object) {
        self.add(Effect::new(action, object));
    }

    /// Code in a body takes names.
    pub(super) fn takes(&mut self, names: Taken) {
        self.takes = self.takes.max(names);
    }

    /// Something is left to the end of the transaction.
    pub(super) fn defers(&mut self, what: Deferred) {
        self.defers = self.defers.max(what);
    }

    pub(super) fn opaque(&mut self, cause: Cause, object: Object) {
        self.sources += 1;
        let reason = Reason::about(cause, &object);
        if self.reasons.len() < REASONS_MAX && !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
        self.act(Action::Opaque, object);
    }

    /// A kind of node that the analysis does not know.
    pub(super) fn unknown(&mut self, what: &str) {
        self.opaque(Cause::Unknown, Object::new(ObjectKind::Nothing, what));
    }

    /// A value decides what a built-in function does and is not known: opaque, until Bind if it is a parameter's. The
    /// parameters of a PREPARE are not those of Bind.
    pub(super) fn undecided(&mut self, value: &Value, object: Object) {
        if let super::value::Given::Parameter(number) = value.given
            && self.parameter_types.is_none()
        {
            if !self.decided_at_bind.contains(&number) {
                self.decided_at_bind.push(number);
            }
            if !self.opaque_until_bind.contains(&object) {
                self.opaque_until_bind.push(object.clone());
            }
        }
        self.opaque(Cause::Computed, object);
    }

    /// The rows that the statement gives.
    pub(super) fn gives(&mut self, columns: &[Column]) {
        for column in columns {
            // It is sent as text or binary; built-in functions give rows of built-in types.
            self.shows_column(column);
        }
        self.output = columns
            .iter()
            .map(|column| OutputColumn {
                name: (*column.name).into(),
                ty: column.ty,
                lineage: column.lineage.clone().without_given(),
                origin: column.origin,
            })
            .collect();
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

    /// Walks a node of any kind for its effects alone.
    pub(super) fn kind(&mut self, kind: &NodeEnum) {
        if self.expression(kind).is_some() || self.definition_part(kind) {
            return;
        }
        self.nested_statement(kind);
    }
}

/// The text of a String node.
pub(super) fn string(node: &Node) -> Option<&str> {
    match &node.node {
        Some(NodeEnum::String(string)) => Some(&string.sval),
        _ => None,
    }
}

/// The parts of a name that is a list of strings; none if it is anything else.
pub(super) fn parts(names: &[Node]) -> Option<SmallVec<[&str; 3]>> {
    names.iter().map(string).collect()
}

/// An object whose name is a list of strings, the last one its own.
pub(super) fn named(kind: ObjectKind, names: &[Node]) -> Object {
    match parts(names).as_deref() {
        None | Some([]) => Object::new(kind, ""),
        Some([name]) => Object::new(kind, *name),
        // The server takes no database but its own before the schema.
        Some([.., schema, name]) => Object::in_schema(kind, schema, name),
    }
}

pub(super) fn relation_object(kind: ObjectKind, relation: Option<&RangeVar>) -> Object {
    match relation {
        Some(relation) => Object::in_schema(kind, &relation.schemaname, &relation.relname),
        None => Object::new(kind, ""),
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
