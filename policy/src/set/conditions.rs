//! What a policy's conditions look at, and what in them could not mean what it says.

use std::collections::BTreeSet;

use cedar_policy::pst::{BinaryOp, Clause, Expr, Literal, Var};
use cedar_policy::{EntityUid, Policy, ResourceConstraint};

use super::rule::actions;
use crate::client::{ClaimNames, Mentions};
use crate::errors::Unplaced;
use crate::names::{self, Kind};
use crate::schema::{CONNECT, VOCABULARY};

/// A mistake, and the text that it is about, as it may stand in the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misnomer {
    /// The type and the id of the entity that it is about, or the type alone.
    pub(super) about: (String, Option<String>),
    pub(super) mistake: Unplaced,
}

/// What one policy looks at.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    pub(super) mentions: Mentions,
    pub(super) misnomers: Vec<Misnomer>,
}

/// Looks through a policy.
pub(super) fn look_through(policy: &Policy) -> Conditions {
    let mut walk = Walk {
        actions: actions(policy),
        found: Conditions::default(),
    };
    for uid in policy.entity_literals() {
        walk.check_id(&uid);
    }
    match policy.resource_constraint() {
        ResourceConstraint::Eq(uid) => {
            walk.check_equal(&uid.type_name().to_string(), Some(uid.id().as_ref()));
        }
        ResourceConstraint::Is(name) | ResourceConstraint::IsIn(name, _) => {
            walk.check_equal(&name.to_string(), None);
        }
        ResourceConstraint::Any | ResourceConstraint::In(_) => {}
    }
    // What has no such form could not be looked through, and looks at everything.
    match policy.to_pst() {
        Ok(tree) => {
            for clause in tree.body().clauses() {
                let (Clause::When(condition) | Clause::Unless(condition)) = clause;
                walk.expression(condition);
            }
        }
        Err(_) => walk.everything(),
    }
    walk.found
}

struct Walk {
    actions: Vec<usize>,
    found: Conditions,
}

impl Walk {
    /// An id that no effect can have would make a policy that never applies.
    fn check_id(&mut self, uid: &EntityUid) {
        let (of_type, id) = (uid.type_name().to_string(), uid.id().as_ref() as &str);
        let read = match of_type.as_str() {
            "Database" => names::read_database(id).map(drop),
            "Connection" if id.is_empty() || id.contains('/') => Err(Unplaced {
                message: format!("{id:?} is no name of a connection"),
                help: "write Connection::\"name\", or Database::\"connection/database\"".to_owned(),
            }),
            "Setting" if *id != id.to_ascii_lowercase() => Err(Unplaced {
                message: format!("settings are named in lower case, not {id:?}"),
                help: format!("write Setting::{:?}", id.to_ascii_lowercase()),
            }),
            name => match Kind::from_name(name) {
                Some(kind) => names::read(kind, id).map(drop),
                None => Ok(()),
            },
        };
        if let Err(mistake) = read {
            let about = (of_type, Some(id.to_owned()));
            self.found.misnomers.push(Misnomer { about, mistake });
        }
    }

    /// `==` and `is` leave out what is in a thing, which is what an effect on it may be asked about.
    fn check_equal(&mut self, of_type: &str, id: Option<&str>) {
        let below: &[Kind] = match of_type {
            "Database" => &Kind::ALL,
            "Schema" => &[Kind::Table, Kind::Column, Kind::Function],
            "Table" => &[Kind::Column],
            _ => return,
        };
        let is_missed = |number: usize| below.iter().any(|&kind| VOCABULARY.applies(number, kind));
        let missed = self
            .actions
            .iter()
            .find(|&&number| number != CONNECT && is_missed(number));
        let Some(&missed) = missed else { return };
        let action = &VOCABULARY.actions[missed];
        let what = id.map_or_else(
            || format!("`is {of_type}`"),
            |id| format!("`== {of_type}::{id:?}`"),
        );
        let help = match id {
            Some(id) => format!("write `resource in {of_type}::{id:?}`, which takes in what it holds"),
            None => format!(
                "leave `is {of_type}` out, or name what holds it: `resource in Database::\"connection/database\"`"
            ),
        };
        self.found.misnomers.push(Misnomer {
            about: (of_type.to_owned(), id.map(str::to_owned)),
            mistake: Unplaced {
                message: format!("{what} misses what a {of_type} holds, which {action} may be on"),
                help,
            },
        });
    }

    /// What is asked of something that the policy names itself, and no request tells of.
    fn check_known(&mut self, asked: &Expr) {
        if let Expr::Literal(Literal::EntityUID(uid)) = asked {
            self.found.misnomers.push(Misnomer {
                about: (uid.ty.to_string(), Some(uid.eid.to_string())),
                mistake: Unplaced {
                    message: format!("of {uid} nothing is known here"),
                    help: "ask of principal, action or resource, and name on the right side what it is in"
                        .to_owned(),
                },
            });
        }
    }

    fn everything(&mut self) {
        self.found.mentions = Mentions {
            time: true,
            client_address: true,
            application_name: true,
            approved: true,
            claims: ClaimNames::All,
        };
    }

    fn attribute(&mut self, of: &Expr, name: &str) {
        let mentions = &mut self.found.mentions;
        match (of, name) {
            (Expr::Var(Var::Context), "time" | "hour" | "weekday") => mentions.time = true,
            (Expr::Var(Var::Context), "client_address") => mentions.client_address = true,
            (Expr::Var(Var::Context), "application_name") => mentions.application_name = true,
            (Expr::Var(Var::Context), "approved") => mentions.approved = true,
            (Expr::Var(Var::Principal), "claims") => mentions.claims = ClaimNames::All,
            (Expr::Var(_), _) => {}
            (of, name) => {
                if name == "claims" {
                    mentions.claims = ClaimNames::All;
                }
                self.expression(of);
            }
        }
        self.check_known(of);
    }

    fn expression(&mut self, expression: &Expr) {
        match expression {
            Expr::Literal(Literal::EntityUID(uid)) => self.check_equal(&uid.ty.to_string(), Some(&uid.eid)),
            // Looked at as a whole.
            Expr::Var(Var::Context) => self.everything(),
            Expr::Literal(_) | Expr::Var(_) => {}
            Expr::GetAttr { expr, attr } => self.attribute(expr, attr),
            Expr::HasAttr { expr, attrs } => self.attribute(expr, attrs.first()),
            Expr::BinaryOp {
                op: BinaryOp::HasTag | BinaryOp::GetTag,
                left,
                right,
            } => self.tag(left, right),
            Expr::BinaryOp {
                op: BinaryOp::In,
                left,
                right,
            } => {
                self.check_known(left);
                self.expression(left);
                self.holder(right);
            }
            Expr::BinaryOp { left, right, .. } => {
                self.expression(left);
                self.expression(right);
            }
            Expr::UnaryOp { expr, .. } | Expr::Like { expr, .. } => self.expression(expr),
            Expr::Is {
                expr,
                entity_type,
                in_expr,
            } => {
                self.check_known(expr);
                self.check_equal(&entity_type.to_string(), None);
                self.expression(expr);
                if let Some(holder) = in_expr {
                    self.holder(holder);
                }
            }
            Expr::IfThenElse {
                cond,
                then_expr,
                else_expr,
            } => {
                self.expression(cond);
                self.expression(then_expr);
                self.expression(else_expr);
            }
            Expr::Set(parts) => parts.iter().for_each(|part| self.expression(part)),
            Expr::Record(fields) => fields.values().for_each(|field| self.expression(field)),
            // Of a later version of Cedar.
            _ => self.everything(),
        }
    }

    /// The right side of `in`: what is named there takes in what it holds.
    fn holder(&mut self, holder: &Expr) {
        match holder {
            Expr::Literal(Literal::EntityUID(_)) => {}
            Expr::Set(parts) => parts.iter().for_each(|part| self.holder(part)),
            other => self.expression(other),
        }
    }

    fn tag(&mut self, of: &Expr, name: &Expr) {
        let is_claims = matches!(of, Expr::GetAttr { expr, attr }
            if matches!(**expr, Expr::Var(Var::Principal)) && attr == "claims");
        match name {
            Expr::Literal(Literal::String(name)) if is_claims => {
                let names = BTreeSet::from([name.as_str().into()]);
                self.found.mentions.claims.add(&ClaimNames::These(names));
            }
            name => {
                self.expression(of);
                self.expression(name);
            }
        }
    }
}
