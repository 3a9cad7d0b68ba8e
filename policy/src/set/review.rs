//! Looks for policies that can never apply, that change nothing, or whose budgets hold nobody.

mod budgets;

use std::collections::BTreeSet;

use cedar_policy::pst::{BinaryOp, Clause, Expr, Literal, Var};
use cedar_policy::{ActionConstraint, Effect, EntityUid, Policy, PrincipalConstraint, ResourceConstraint};
use sluice_parsers::sql::effect::Action;

use super::parse::{self, Piece, entity_place};
use super::rule;
use crate::errors::{Mistakes, PolicyErrors};
use crate::names::{self, Kind};
use crate::review::{Served, Surroundings, Warning};
use crate::schema::{CONNECT, VOCABULARY};

pub(super) fn review(source: &str, file: &str, around: &Surroundings) -> Result<Vec<Warning>, PolicyErrors> {
    let pieces = parse::pieces(source, file)?;
    let scopes: Vec<Scope> = pieces.iter().map(Scope::of).collect();
    let mut found = Mistakes::new(file, source);
    for (piece, scope) in pieces.iter().zip(&scopes) {
        let mut notes = Notes {
            piece,
            found: &mut found,
        };
        notes.names(around);
        notes.actions(scope);
        notes.contradictions(scope);
    }
    for (place, (piece, scope)) in pieces.iter().zip(&scopes).enumerate() {
        let mut notes = Notes {
            piece,
            found: &mut found,
        };
        if !notes.shadow(place, scope, &pieces, &scopes) {
            notes.budgets(place, scope, &pieces, &scopes);
        }
        notes.settings(place, scope, &pieces, &scopes);
    }
    Ok(found.into_found().into_iter().map(Warning).collect())
}

/// What a policy names, as far as one such thing may hold another.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Connection(String),
    /// `connection/database`
    Database(String),
    Named {
        database: String,
        kind: Kind,
        parts: Vec<String>,
    },
    Other(EntityUid),
}

impl Place {
    fn of(of_type: &str, id: &str, uid: &EntityUid) -> Self {
        let named = Kind::from_name(of_type).and_then(|kind| {
            let named = names::read(kind, id).ok()?;
            Some(Self::Named {
                database: named.database.to_owned(),
                kind,
                parts: named.parts.iter().map(ToString::to_string).collect(),
            })
        });
        match of_type {
            "Connection" => Self::Connection(id.to_owned()),
            "Database" => Self::Database(id.to_owned()),
            _ => named.unwrap_or_else(|| Self::Other(uid.clone())),
        }
    }

    fn of_uid(uid: &EntityUid) -> Self {
        Self::of(&uid.type_name().to_string(), uid.id().as_ref(), uid)
    }

    /// Whether another one is this or in it.
    fn holds(&self, other: &Self) -> bool {
        let on = |database: &str, connection: &str| {
            database.split_once('/').is_some_and(|(of, _)| of == connection)
        };
        match (self, other) {
            (Self::Connection(one), Self::Connection(other)) => one == other,
            (Self::Connection(one), Self::Database(database) | Self::Named { database, .. }) => {
                on(database, one)
            }
            (Self::Database(one), Self::Database(database) | Self::Named { database, .. }) => one == database,
            (
                Self::Named {
                    database,
                    kind,
                    parts,
                },
                Self::Named {
                    database: of,
                    kind: of_kind,
                    parts: of_parts,
                },
            ) => {
                database == of
                    && kind.and_below().any(|below| below == *of_kind)
                    && of_parts.starts_with(parts)
            }
            (Self::Other(one), Self::Other(other)) => one == other,
            _ => false,
        }
    }

    /// Whether nothing is in both. Of settings and classes that is not known.
    fn is_apart(&self, other: &Self) -> bool {
        let is_other = matches!(self, Self::Other(_)) || matches!(other, Self::Other(_));
        !is_other && !self.holds(other) && !other.holds(self)
    }

    /// The types of what is in it; none if that is all.
    fn types(&self) -> Option<Vec<String>> {
        match self {
            Self::Connection(_) | Self::Database(_) => None,
            Self::Named { kind, .. } => Some(kind.and_below().map(|kind| kind.name().to_owned()).collect()),
            Self::Other(uid) => match uid.type_name().to_string().as_str() {
                "SettingGroup" | "Setting" => Some(vec!["Setting".to_owned()]),
                "Class" => Some(vec!["Class".to_owned()]),
                _ => None,
            },
        }
    }
}

/// Whom, what and on what a policy is about.
struct Scope {
    /// Anybody if none. Whether it has to be it, and not to be in it.
    principal: Option<(EntityUid, bool)>,
    actions: BTreeSet<usize>,
    of_type: Option<String>,
    place: Option<Place>,
    is_itself: bool,
}

impl Scope {
    fn of(piece: &Piece<'_>) -> Self {
        let policy = &piece.policy;
        let principal = match policy.principal_constraint() {
            PrincipalConstraint::Any | PrincipalConstraint::Is(_) => None,
            PrincipalConstraint::In(uid) | PrincipalConstraint::IsIn(_, uid) => Some((uid, false)),
            PrincipalConstraint::Eq(uid) => Some((uid, true)),
        };
        let (of_type, uid, is_itself) = match policy.resource_constraint() {
            ResourceConstraint::Any => (None, None, false),
            ResourceConstraint::Is(of_type) => (Some(of_type), None, false),
            ResourceConstraint::In(uid) => (None, Some(uid), false),
            ResourceConstraint::IsIn(of_type, uid) => (Some(of_type), Some(uid), false),
            ResourceConstraint::Eq(uid) => (None, Some(uid), true),
        };
        Self {
            principal,
            actions: rule::actions(policy).into_iter().collect(),
            of_type: of_type.map(|of_type| of_type.to_string()),
            place: uid.as_ref().map(Place::of_uid),
            is_itself,
        }
    }

    /// Whether every request of another scope is one of this.
    fn covers(&self, other: &Self) -> bool {
        self.covers_whom_and_where(other) && self.actions.is_superset(&other.actions)
    }

    /// The same whatever the actions.
    fn covers_whom_and_where(&self, other: &Self) -> bool {
        let principal = match (&self.principal, &other.principal) {
            (None, _) => true,
            (Some((one, _)), Some((other, _))) => one == other,
            (Some(_), None) => false,
        };
        // Who is somebody is in somebody; who is in a group is not the group.
        let principal = principal
            && match (&self.principal, &other.principal) {
                (Some((_, true)), Some((_, is_it))) => *is_it,
                _ => true,
            };
        let of_type = self.of_type.is_none() || self.of_type == other.of_type;
        let place = match (&self.place, &other.place) {
            (None, _) => true,
            (Some(one), Some(other_place)) if self.is_itself => one == other_place && other.is_itself,
            (Some(one), Some(other)) => one.holds(other),
            (Some(_), None) => false,
        };
        principal && of_type && place
    }

    fn types(&self) -> Option<Vec<String>> {
        match (&self.of_type, &self.place) {
            (Some(of_type), _) => Some(vec![of_type.clone()]),
            (None, Some(Place::Database(_))) if self.is_itself => Some(vec!["Database".to_owned()]),
            (None, Some(Place::Named { kind, .. })) if self.is_itself => Some(vec![kind.name().to_owned()]),
            (None, Some(place)) => place.types(),
            (None, None) => None,
        }
    }
}

/// Who may connect, and who may set what drivers set when they do.
impl Scope {
    fn takes_in_type(&self, name: &str) -> bool {
        self.of_type.as_deref().is_none_or(|of_type| of_type == name)
    }

    /// Whether some sessions are in it.
    fn connects(&self) -> bool {
        let may_be_database = match &self.place {
            None | Some(Place::Database(_)) => true,
            Some(Place::Connection(_)) => !self.is_itself,
            Some(Place::Named { .. } | Place::Other(_)) => false,
        };
        self.actions.contains(&CONNECT) && self.takes_in_type("Database") && may_be_database
    }

    /// Whether some settings are in it that are harmless, or are named: whoever names one has thought of them.
    fn sets(&self) -> bool {
        let may_be_setting = match &self.place {
            None => true,
            Some(Place::Database(_) | Place::Connection(_)) => !self.is_itself,
            Some(Place::Other(uid)) => uid.type_name().to_string().starts_with("Setting"),
            Some(Place::Named { .. }) => false,
        };
        self.actions.contains(&(Action::Set as usize)) && self.takes_in_type("Setting") && may_be_setting
    }

    /// Whether nothing is known to be in the places of both.
    fn is_elsewhere(&self, other: &Self) -> bool {
        matches!((&self.place, &other.place), (Some(one), Some(other)) if one.is_apart(other))
    }

    /// Whom it is about, as policies write it.
    fn whom(&self) -> String {
        match &self.principal {
            None => "principal".to_owned(),
            Some((uid, true)) => format!("principal == {uid}"),
            Some((uid, false)) => format!("principal in {uid}"),
        }
    }
}

/// What one condition asks of the request, where that can be told.
enum Asked {
    /// The resource is in one of these, or with `==` is it.
    Resource { named: Vec<Place>, is_itself: bool },
    /// The principal is this.
    Principal(EntityUid),
    /// The principal is in this.
    Group(EntityUid),
}

fn uids(expression: &Expr) -> Option<Vec<EntityUid>> {
    match expression {
        Expr::Literal(Literal::EntityUID(uid)) => {
            let of_type = uid.ty.to_string().parse().ok()?;
            Some(vec![EntityUid::from_type_name_and_id(
                of_type,
                cedar_policy::EntityId::new(&*uid.eid),
            )])
        }
        Expr::Set(parts) => {
            let parts: Option<Vec<_>> = parts.iter().map(|part| uids(part)).collect();
            Some(parts?.into_iter().flatten().collect())
        }
        _ => None,
    }
}

fn asked(expression: &Expr) -> Option<Asked> {
    let Expr::BinaryOp { op, left, right } = expression else {
        return None;
    };
    let Expr::Var(of) = &**left else { return None };
    let named = uids(right)?;
    match (of, op) {
        (Var::Resource, BinaryOp::In | BinaryOp::Eq) => Some(Asked::Resource {
            named: named.iter().map(Place::of_uid).collect(),
            is_itself: *op == BinaryOp::Eq,
        }),
        (Var::Principal, BinaryOp::Eq) => named.into_iter().next().map(Asked::Principal),
        (Var::Principal, BinaryOp::In) if named.len() == 1 => named.into_iter().next().map(Asked::Group),
        _ => None,
    }
}

/// The parts of a condition that are joined by an operator.
fn parts<'e>(expression: &'e Expr, by: BinaryOp, into: &mut Vec<&'e Expr>) {
    match expression {
        Expr::BinaryOp { op, left, right } if *op == by => {
            parts(left, by, into);
            parts(right, by, into);
        }
        other => into.push(other),
    }
}

/// Takes warnings of one policy.
struct Notes<'a, 's> {
    piece: &'a Piece<'s>,
    found: &'a mut Mistakes,
}

impl Notes<'_, '_> {
    fn note(&mut self, at: (usize, usize), message: String, help: &str) {
        let start = self.piece.range.start + at.0;
        self.found.note(start, at.1, message, None, Some(help.to_owned()));
    }

    /// Things that are not there.
    fn names(&mut self, around: &Surroundings) {
        for uid in self.piece.policy.entity_literals() {
            let (of_type, id) = (uid.type_name().to_string(), uid.id().as_ref() as &str);
            let at = entity_place(self.piece.text, &(of_type.clone(), Some(id.to_owned())));
            let place = Place::of_uid(&uid);
            let database = match &place {
                Place::Connection(_) | Place::Other(_) => None,
                Place::Database(id) => Some(id),
                Place::Named { database, .. } => Some(database),
            };
            let connection = match (&place, database.and_then(|id| id.split_once('/'))) {
                (Place::Connection(name), _) => Some(name.as_str()),
                (_, Some((connection, _))) => Some(connection),
                _ => None,
            };
            if let (Some(known), Some(connection)) = (&around.connections, connection) {
                let Some(served) = known.get(connection) else {
                    let names: Vec<_> = known.keys().map(String::as_str).collect();
                    let help = format!("the configuration has {}", names.join(", "));
                    self.note(
                        at,
                        format!("no connection is called {connection:?}: {uid} is never asked about"),
                        &help,
                    );
                    continue;
                };
                if let (Served::These(served), Some((_, name))) =
                    (served, database.and_then(|id| id.split_once('/')))
                    && !served.contains(name)
                {
                    let names: Vec<_> = served.iter().map(String::as_str).collect();
                    let help = format!("it serves {}", names.join(", "));
                    let message =
                        format!("the connection {connection:?} does not serve the database {name:?}");
                    self.note(at, message, &help);
                    continue;
                }
            }
            let catalog = database.and_then(|database| around.catalogs.get(database));
            if let (Some(catalog), Place::Named { kind, parts, .. }) = (catalog, &place)
                && let Some(message) = missing(catalog, *kind, parts)
            {
                self.note(
                    at,
                    message,
                    "compare the name with the database, or say that it is to come",
                );
            }
        }
    }

    /// Actions that are on none of what the policy is on.
    fn actions(&mut self, scope: &Scope) {
        let (ActionConstraint::In(named), Some(types)) =
            (self.piece.policy.action_constraint(), scope.types())
        else {
            return;
        };
        for action in named {
            let leaves = VOCABULARY
                .actions
                .iter()
                .filter(|leaf| **leaf == action || VOCABULARY.groups.is_ancestor_of(&action, leaf));
            let schema = VOCABULARY.validator.schema();
            let mut applies = leaves
                .filter_map(|leaf| schema.resources_for_action(leaf))
                .flatten();
            if !applies.any(|of_type| types.contains(&of_type.to_string())) {
                let id: &str = action.id().as_ref();
                let at = entity_place(self.piece.text, &("Action".to_owned(), Some(id.to_owned())));
                let message = format!("{action} is never on a {}", types.join(" or "));
                self.note(at, message, "take the action out, or name what it can be on");
            }
        }
    }

    /// Conditions that the scope rules out, or that rule each other out. Those on actions are mistakes to the validator.
    fn contradictions(&mut self, scope: &Scope) {
        let Ok(tree) = self.piece.policy.to_pst() else {
            return;
        };
        let mut has_to_be: Vec<Asked> = Vec::new();
        let mut must_not: Vec<Asked> = Vec::new();
        for clause in tree.body().clauses() {
            let (condition, by, into) = match clause {
                Clause::When(condition) => (condition, BinaryOp::And, &mut has_to_be),
                Clause::Unless(condition) => (condition, BinaryOp::Or, &mut must_not),
            };
            let mut conditions = Vec::new();
            parts(condition, by, &mut conditions);
            into.extend(conditions.into_iter().filter_map(asked));
        }
        let mut places: Vec<Vec<&Place>> = Vec::new();
        places.extend(scope.place.as_ref().map(|place| vec![place]));
        for asked in &has_to_be {
            let never = match asked {
                Asked::Resource { named, .. } => {
                    let named: Vec<&Place> = named.iter().collect();
                    let is_apart = places.iter().any(|before| {
                        before
                            .iter()
                            .all(|one| named.iter().all(|other| one.is_apart(other)))
                    });
                    places.push(named);
                    is_apart
                }
                Asked::Principal(who) => {
                    matches!(&scope.principal, Some((scope, true)) if scope != who)
                }
                Asked::Group(_) => false,
            };
            if never {
                self.never();
            }
        }
        for asked in &must_not {
            let never = match asked {
                // What is in a thing is not the thing.
                Asked::Resource { named, is_itself } => scope.place.as_ref().is_some_and(|place| {
                    named.iter().any(|one| {
                        if *is_itself {
                            scope.is_itself && one == place
                        } else {
                            one.holds(place)
                        }
                    })
                }),
                Asked::Principal(who) => {
                    matches!(&scope.principal, Some((scope, true)) if scope == who)
                }
                Asked::Group(group) => {
                    matches!(&scope.principal, Some((scope, _)) if scope == group)
                }
            };
            if never {
                self.never();
            }
        }
    }

    fn never(&mut self) {
        let message = format!(
            "\"{}\" never applies: its conditions rule out what its scope is",
            self.piece.name
        );
        self.note(
            (0, 0),
            message,
            "compare `resource`, `principal` and `action` in the scope with `when` and `unless`",
        );
    }

    /// Somebody who may connect and set nothing. Who is in one group may be in another: only groups that connect by a permit
    /// of their own are taken for others.
    fn settings(&mut self, place: usize, scope: &Scope, pieces: &[Piece<'_>], scopes: &[Scope]) {
        let permits = || {
            let all = pieces.iter().zip(scopes).enumerate();
            all.filter(|(_, (piece, _))| piece.policy.effect() == Effect::Permit)
                .map(|(place, (_, scope))| (place, scope))
        };
        if !scope.connects() || !permits().any(|(permit, _)| permit == place) {
            return;
        }
        let is_of_type = |uid: &EntityUid, name: &str| uid.type_name().to_string() == name;
        let may_be_of = |other: &Scope| match (&scope.principal, &other.principal) {
            (None, _) | (_, None) => true,
            (Some((who, _)), Some((whom, _))) if who == whom => true,
            (Some((who, _)), Some((whom, _))) if is_of_type(who, "Identity") => is_of_type(whom, "Group"),
            (Some(_), whom) => !permits().any(|(_, own)| own.connects() && own.principal == *whom),
        };
        let is_told = permits().any(|(before, other)| {
            let is_same = (&other.principal, &other.place) == (&scope.principal, &scope.place);
            before < place && is_same && other.connects()
        });
        let may_set =
            permits().any(|(_, other)| other.sets() && may_be_of(other) && !other.is_elsewhere(scope));
        if is_told || may_set {
            return;
        }
        let message = format!(
            "\"{}\" permits Connect, and nothing permits the same to set what is harmless: nearly every driver sets \
             application_name or the like when it connects, and is refused",
            self.piece.name
        );
        let help = format!(
            "permit ({}, action == Action::\"Set\", resource in SettingGroup::\"harmless\");",
            scope.whom()
        );
        self.note((0, 0), message, &help);
    }

    /// Another policy that leaves nothing for this one to do. Says whether there is one.
    fn shadow(&mut self, place: usize, scope: &Scope, pieces: &[Piece<'_>], scopes: &[Scope]) -> bool {
        if scope.actions.is_empty() {
            return false;
        }
        let is_forbid = |policy: &Policy| policy.effect() == Effect::Forbid;
        let own = self.piece;
        for (other_place, (other, other_scope)) in pieces.iter().zip(scopes).enumerate() {
            if other_place == place || other.policy.has_non_scope_constraint() || !other_scope.covers(scope) {
                continue;
            }
            let name = &other.name;
            match (is_forbid(&own.policy), is_forbid(&other.policy)) {
                (false, true) => {
                    let message = format!("\"{}\" permits nothing: \"{name}\" forbids all of it", own.name);
                    self.note((0, 0), message, "take one of them out, or narrow the forbid");
                    return true;
                }
                (true, true) if other_place < place => {
                    let message = format!(
                        "\"{}\" forbids nothing more: \"{name}\" forbids all of it before",
                        own.name
                    );
                    self.note((0, 0), message, "take it out, or narrow the other one");
                    return true;
                }
                (false, false) => {
                    // Of two that are alike the first stays.
                    let is_same = scope.covers(other_scope) && !own.policy.has_non_scope_constraint();
                    let (mine, its) = (&own.annotations, &other.annotations);
                    let adds_severity = mine.severity > its.severity;
                    // Of permits the most generous limits hold. What is counted for less than the other one may have
                    // room when that has none.
                    let has_other_account = !is_same || its.budgets != mine.budgets;
                    let adds_room = its.limits.most_generous(mine.limits) != its.limits
                        || !its.budgets.is_empty() && has_other_account;
                    if adds_severity || adds_room || is_same && place < other_place {
                        continue;
                    }
                    let message = format!(
                        "\"{}\" permits nothing more: \"{name}\" permits all of it",
                        own.name
                    );
                    let help = if mine.limits.is_none() && mine.budgets.is_empty() {
                        "take it out, or narrow the other one"
                    } else {
                        "narrow the other one: what this one limits holds nobody, as the other permits more"
                    };
                    self.note((0, 0), message, help);
                    return true;
                }
                _ => {}
            }
        }
        false
    }
}

/// What of a name a catalog does not have.
fn missing(catalog: &sluice_parsers::sql::catalog::Catalog, kind: Kind, parts: &[String]) -> Option<String> {
    let database = &catalog.database;
    if let (Kind::Role, [role]) = (kind, parts) {
        let is_known = catalog.role_named(role).is_some();
        return (!is_known).then(|| format!("the server has no role {role:?}"));
    }
    let (schema, rest) = parts.split_first()?;
    let Some(oid) = catalog.schema_named(schema) else {
        return Some(format!("the database {database:?} has no schema {schema:?}"));
    };
    let name = rest.first()?;
    if kind == Kind::Function {
        let is_known = !catalog.functions_in(oid, name).is_empty();
        return (!is_known).then(|| format!("the schema {schema:?} has no function {name:?}"));
    }
    let relation = catalog
        .relation_in(oid, name)
        .and_then(|oid| catalog.relation(oid));
    let Some(relation) = relation else {
        return Some(format!("the schema {schema:?} has no table {name:?}"));
    };
    let column = rest.get(1)?;
    let is_known = relation.columns.iter().any(|known| *known.name == **column);
    (!is_known).then(|| format!("the table {schema}.{name} has no column {column:?}"))
}
