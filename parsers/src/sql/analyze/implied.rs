//! Code that runs without being called: what types, relations and functions bring with them.
//!
//! A statement has the effects of all that it makes run (`reads`, `writes`, `uses_type`, `converts`, `runs_function`).
//! What was followed once is not followed again, unless names would mean something else or other rights hold: that
//! ends recursion of triggers, keys, rules and functions. Expressions of the catalog are printed with the schema of every
//! name, so they are read under an empty search path; the bodies of functions are read under the session's.

mod documents;
mod functions;
mod relations;
#[cfg(test)]
mod tests;
mod writes;

use hashbrown::HashSet;

use super::types::RECORD;
use super::value::Column;
use super::walk::Walker;
use crate::sql::catalog::{Cast, CastContext, Catalog, Event, Oid, Type, TypeKind};
use crate::sql::effect::{Action, EffectFlags, Object, ObjectKind};
use crate::sql::lineage::Lineage;
use crate::sql::resolve::{Coercion, Resolver, Ty};
use crate::sql::statement::Cause;
use crate::sql::world::World;

/// A search path as it is set.
type SearchPath = Box<[Box<str>]>;

/// Under which names and rights code runs.
#[derive(Clone, Debug)]
pub(super) struct Runtime<'w> {
    /// Finds names as a body's are found.
    pub(super) resolver: Resolver<'w>,
    /// Its search path.
    search_path: SearchPath,
    /// Whose rights hold.
    role: Box<str>,
    /// Those are not of the session's own role.
    is_other_user: bool,
    /// Its place among all that this statement came by.
    number: usize,
}

/// What was followed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Followed {
    /// A function, with where its arguments come from if that is followed into its body.
    Function(Oid, Vec<Lineage>),
    Trigger(Oid, Oid),
    Type(Oid),
    Shows(Oid),
    Reads(Oid),
    Writes(Oid, Event, Box<[i16]>),
    Fires(Oid, Event),
    Recomputes(Oid),
    Plans(Oid),
    Document(Oid),
    EventTriggers,
    AnyType,
}

/// What is known of code that runs without being called, while a statement is walked.
#[derive(Debug)]
pub(super) struct Implied<'w> {
    pub(super) runtime: Runtime<'w>,
    /// Finds names as they are in what the server printed: with their schemas.
    pub(super) printed: Resolver<'w>,
    /// Names and rights that code ran under, by number.
    runtimes: Vec<(SearchPath, Box<str>)>,
    followed: HashSet<(usize, Followed)>,
    /// Types of values so far that are not built in.
    pub(super) seen: HashSet<Oid>,
    /// Types of the rows that the last statement inside of another gave.
    pub(super) given: Vec<Ty>,
    /// Where those come from.
    pub(super) values: Vec<Lineage>,
    /// The relation whose trigger runs, by itself or by what it calls: it has a row at hand that no statement reads.
    pub(super) row_of: Oid,
    /// Types whose values become part of a document by a cast that reads.
    pub(super) open_documents: HashSet<Oid>,
    /// Types that the bodies which are being read convert values to.
    pub(super) wanted: Vec<Oid>,
    /// Names were looked up that the server looks up while the statement runs.
    pub(super) looks_up_late: bool,
}

/// What was followed up to some moment.
pub(super) struct FollowedSoFar(HashSet<(usize, Followed)>);

/// Most things that are followed for one statement.
const FOLLOWED_MAX: usize = 20_000;

impl<'w> Implied<'w> {
    pub(super) fn new(world: &'w World, resolver: Resolver<'w>) -> Self {
        let session = &world.session;
        Self {
            printed: resolver.with_path(&[], ""),
            runtime: Runtime {
                resolver,
                search_path: session.search_path.clone(),
                role: session.role.clone(),
                is_other_user: false,
                number: 0,
            },
            runtimes: vec![(session.search_path.clone(), session.role.clone())],
            followed: HashSet::new(),
            seen: HashSet::new(),
            given: Vec::new(),
            values: Vec::new(),
            row_of: Oid::NONE,
            open_documents: HashSet::new(),
            wanted: Vec::new(),
            looks_up_late: false,
        }
    }
}

impl<'w> Walker<'w> {
    pub(super) fn catalog(&self) -> &'w Catalog {
        &self.world.catalog
    }

    /// Flags that every effect has here: that of another user's rights.
    pub(super) fn flags_here(&self) -> EffectFlags {
        if self.implied.runtime.is_other_user {
            EffectFlags::OTHER_USER
        } else {
            EffectFlags::NONE
        }
    }

    /// The role whose rights hold; none if something that came before may have set another.
    pub(super) fn role_here(&self) -> Option<&str> {
        let Runtime { resolver, role, .. } = &self.implied.runtime;
        Some(&**role).filter(|role| !resolver.is_path_in_doubt() && !role.is_empty())
    }

    /// Runs something under another search path or other rights.
    pub(super) fn under(
        &mut self,
        search_path: Option<SearchPath>,
        role: Option<&str>,
        run: impl FnOnce(&mut Self),
    ) {
        let before = self.implied.runtime.clone();
        let search_path = search_path.unwrap_or_else(|| before.search_path.clone());
        let is_other_user = role.map_or(before.is_other_user, |role| *role != *self.world.session.role);
        let role: Box<str> = role.map_or_else(|| before.role.clone(), Box::from);
        let key = (search_path, role);
        let runtimes = &mut self.implied.runtimes;
        // Few functions have a path of their own.
        let number = runtimes
            .iter()
            .position(|known| *known == key)
            .unwrap_or_else(|| {
                runtimes.push(key.clone());
                runtimes.len() - 1
            });
        let (search_path, role) = key;
        self.implied.runtime = Runtime {
            resolver: before.resolver.with_path(&search_path, &role),
            search_path,
            role,
            is_other_user,
            // Other rights show in the effects' flags.
            number: number * 2 + usize::from(is_other_user),
        };
        run(self);
        self.implied.runtime = before;
    }

    /// Runs something under the names and rights of the session itself.
    fn under_own_names(&mut self, run: impl FnOnce(&mut Self)) {
        let session = &self.world.session;
        self.under(Some(session.search_path.clone()), Some(&session.role), run);
    }

    /// Whether a function ran that is not built in.
    pub(super) fn ran_own_function(&self) -> bool {
        let mut followed = self.implied.followed.iter();
        followed.any(|(_, what)| matches!(what, Followed::Function(oid, _) if !oid.is_built_in()))
    }

    /// Whether code finds names as it does in a session that has changed nothing: by the login's own search path, and with
    /// neither temporary objects, which come before others, nor any that the catalog does not show yet.
    pub(super) fn finds_usual_names(&self) -> bool {
        let Runtime {
            resolver,
            search_path,
            ..
        } = &self.implied.runtime;
        let session = &self.world.session;
        session.path_is_default
            && *search_path == session.search_path
            && session.temporary_schema.is_none()
            && resolver.is_untouched()
    }

    /// Whether something is to be followed: not if it was, under the same names and rights.
    fn follow(&mut self, what: Followed) -> bool {
        let number = self.implied.runtime.number;
        if self.implied.followed.len() >= FOLLOWED_MAX {
            self.opaque(Cause::TooDeep, Object::nothing());
            return false;
        }
        self.implied.followed.insert((number, what))
    }

    pub(super) fn followed_so_far(&mut self) -> FollowedSoFar {
        self.spend(self.implied.followed.len());
        FollowedSoFar(self.implied.followed.clone())
    }

    /// What was followed since then counts as if it was not.
    pub(super) fn follow_again(&mut self, since: FollowedSoFar) {
        self.implied.followed = since.0;
    }

    /// Whether a trigger's function is to be followed for a relation.
    pub(super) fn follows_trigger(&mut self, function: Oid, relation: Oid) -> bool {
        self.follow(Followed::Trigger(function, relation))
    }

    /// A value becomes one of a type, or one of the type is read or shown: input and output functions and domain checks
    /// run, and the type's own comparisons where values are sorted or matched.
    pub(super) fn uses_type(&mut self, oid: Oid) {
        if oid.is_built_in() || !self.follow(Followed::Type(oid)) {
            return;
        }
        let Some(found) = self.catalog().type_of(oid) else {
            return self.opaque(Cause::Type, Object::new(ObjectKind::Type, oid.to_string()));
        };
        for &function in &found.functions {
            self.runs_support(function);
        }
        let classes = self.catalog().operator_classes.iter();
        for class in classes.filter(|class| class.is_default && class.input == oid) {
            for &function in &class.functions {
                self.runs_support(function);
            }
        }
        self.uses_parts(found);
    }

    /// The same for a column, which may be a row of others.
    pub(super) fn shows_column(&mut self, column: &Column) {
        match (column.ty, &column.row) {
            (Ty::Known(oid), _) if !oid.is_built_in() => self.shows_type(oid),
            (_, Some(row)) => {
                for column in row.iter() {
                    if self.spend(1) {
                        self.shows_column(column);
                    }
                }
            }
            (ty, None) => self.uses_type_of(ty),
        }
    }

    /// A value of this type is sent to the client: output functions run, nothing is compared or checked.
    pub(super) fn shows_type(&mut self, oid: Oid) {
        if oid.is_built_in() || !self.follow(Followed::Shows(oid)) {
            return;
        }
        let Some(found) = self.catalog().type_of(oid) else {
            return self.opaque(Cause::Type, Object::new(ObjectKind::Type, oid.to_string()));
        };
        for &function in &found.functions {
            self.runs_support(function);
        }
        match &found.kind {
            TypeKind::Array => self.shows_type(found.element),
            TypeKind::Range { subtype } => self.shows_type(*subtype),
            TypeKind::Multirange { range } => self.shows_type(*range),
            TypeKind::Domain { base, .. } => self.shows_type(*base),
            TypeKind::Composite(relation) => {
                let relation = self.catalog().relation(*relation);
                for column in relation.map_or(&[][..], |relation| &relation.columns) {
                    self.shows_type(column.type_oid);
                }
            }
            TypeKind::Base | TypeKind::Enum | TypeKind::Pseudo => {}
        }
    }

    fn uses_parts(&mut self, found: &'w Type) {
        match &found.kind {
            TypeKind::Array => self.uses_type(found.element),
            TypeKind::Range { subtype } => self.uses_type(*subtype),
            TypeKind::Multirange { range } => self.uses_type(*range),
            TypeKind::Composite(relation) => {
                let relation = self.catalog().relation(*relation);
                for column in relation.map_or(&[][..], |relation| &relation.columns) {
                    self.uses_type(column.type_oid);
                }
            }
            TypeKind::Domain {
                base,
                checks,
                default,
            } => {
                self.uses_type(*base);
                for check in checks.iter().chain(default) {
                    self.domain_text(check, *base);
                }
            }
            TypeKind::Base | TypeKind::Enum | TypeKind::Pseudo => {}
        }
    }

    /// A value of one type becomes one of another: cast functions, input and output functions, domain checks. Gives
    /// whether a function reads that gives the new value.
    pub(super) fn converts(&mut self, from: Ty, to: Oid, context: CastContext) -> bool {
        match self.resolver.coercion(from, to, context) {
            // The server refuses the statement, or the two are the same.
            Coercion::Free | Coercion::Impossible => false,
            Coercion::Runs { functions, types } => {
                let mut reads = false;
                for function in functions {
                    reads |= self.runs_support(function);
                }
                for used in types {
                    self.uses_type(used);
                }
                reads
            }
            // A variable has values of a type that came up in the body.
            Coercion::Uncertain if self.arguments.is_some() && from == Ty::Uncertain => {
                self.converts_in_body(to);
                false
            }
            Coercion::Uncertain => {
                let mut reads = self.converts_somehow(to);
                // Which columns a row has is not known.
                let row = self
                    .resolver
                    .row_relation(to)
                    .filter(|_| from == Ty::Known(RECORD));
                let row = row.and_then(|relation| self.catalog().relation(relation));
                for column in row.map_or(&[][..], |relation| &relation.columns) {
                    reads |= self.converts_somehow(column.type_oid);
                }
                reads
            }
        }
    }

    /// Any cast to the type may be what runs; gives whether one reads.
    pub(super) fn converts_somehow(&mut self, to: Oid) -> bool {
        self.uses_type(to);
        self.runs_casts(|_, cast| cast.target == to && !cast.function.is_built_in())
    }

    /// Runs the functions of some casts, in the order of their OIDs; gives whether one reads.
    pub(super) fn runs_casts(&mut self, is_meant: impl Fn(&Self, &Cast) -> bool) -> bool {
        let casts = self.catalog().casts.values();
        let mut functions: Vec<Oid> = casts
            .filter(|cast| is_meant(self, cast))
            .map(|cast| cast.function)
            .collect();
        functions.sort_unstable();
        let mut reads = false;
        for function in functions {
            reads |= self.runs_support(function);
        }
        reads
    }

    /// A value of a body becomes one of this type, if not now then where the body is run again.
    pub(super) fn converts_in_body(&mut self, to: Oid) {
        self.uses_type(to);
        if !self.implied.wanted.contains(&to) {
            self.implied.wanted.push(to);
        }
    }

    /// The conversions of a body that has been read: from the types of values that came up, or from built-in ones.
    pub(super) fn converts_what_was_seen(&mut self, outside: usize) {
        let wanted = self
            .implied
            .wanted
            .split_off(outside.min(self.implied.wanted.len()));
        self.runs_casts(|walker, cast| {
            let is_seen = cast.source.is_built_in() || walker.implied.seen.contains(&cast.source);
            wanted.contains(&cast.target) && !cast.function.is_built_in() && is_seen
        });
    }

    /// The type of a value that came up.
    pub(super) fn sees_type(&mut self, ty: Ty) {
        if let Ty::Known(oid) = ty
            && !oid.is_built_in()
        {
            self.implied.seen.insert(oid);
        }
    }

    /// The event triggers of the database, which any DDL fires.
    pub(super) fn fires_event_triggers(&mut self) {
        if self.event_triggers_unseen() {
            self.opaque(Cause::Definition, Object::new(ObjectKind::Other, "event trigger"));
        }
        if self.catalog().event_triggers.is_empty() || !self.follow(Followed::EventTriggers) {
            return;
        }
        for trigger in &self.catalog().event_triggers {
            self.runs_trigger(trigger.function, Oid::NONE);
        }
    }

    /// A function of the catalog, as effects name it: built-in ones by their name alone.
    pub(super) fn function_named(&self, oid: Oid) -> Object {
        let Some(function) = self.catalog().function(oid) else {
            return Object::new(ObjectKind::Function, oid.to_string());
        };
        match self.schema_name(function.schema) {
            "pg_catalog" => Object::new(ObjectKind::Function, function.name.clone()),
            schema => Object::in_schema(ObjectKind::Function, schema, &function.name),
        }
    }

    fn schema_name(&self, oid: Oid) -> &'w str {
        self.catalog().schema(oid).map_or("", |schema| &schema.name)
    }

    /// An effect on a relation of the catalog.
    pub(super) fn act_on_found(&mut self, action: Action, relation: Oid, more: EffectFlags) {
        let effect = self.effect_on(action, relation);
        self.add(effect.with(more));
    }
}
