//! The search path that holds: what of `search_path` exists and may be used, and what the server puts before it.

use smallvec::SmallVec;

use super::super::catalog::{Catalog, Oid};
use super::super::world::World;

/// The schemas that names without one are looked up in, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Path {
    steps: SmallVec<[Step; 6]>,
    temporary: Oid,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) schema: Oid,
    /// Whether the role is known to have the right to use it; otherwise the server may pass over it.
    pub(super) is_certain: bool,
}

impl Path {
    pub(super) fn effective(world: &World, search_path: &[Box<str>], role: &str) -> Self {
        let (catalog, session) = (&*world.catalog, &*world.session);
        let temporary = session.temporary_schema;
        let is_superuser = catalog.role_named(role).is_some_and(|role| role.is_superuser);
        let is_login = session.role_is_login && *session.role == *role;
        let mut path = Self {
            steps: SmallVec::new(),
            temporary,
        };
        for name in search_path {
            let name = if **name == *"$user" { role } else { name };
            let schema = match name {
                "pg_temp" => Some(temporary).filter(|oid| !oid.is_none()),
                name => catalog.schema_named(name),
            };
            let Some(schema) = schema.filter(|&oid| !path.contains(oid)) else {
                continue;
            };
            let is_usable = catalog.schema(schema).is_none_or(|schema| schema.is_usable);
            let is_everyones = schema == Oid::PG_CATALOG || schema == temporary || is_superuser;
            let is_certain = is_everyones || is_login;
            if is_usable || !is_certain || is_everyones {
                path.steps.push(Step { schema, is_certain });
            }
        }
        // A listed schema that may turn out unusable leaves the implicit ones as they are: neither can be such.
        for schema in [Oid::PG_CATALOG, temporary] {
            if !schema.is_none() && !path.contains(schema) {
                let is_certain = true;
                path.steps.insert(0, Step { schema, is_certain });
            }
        }
        path
    }

    fn contains(&self, schema: Oid) -> bool {
        self.steps.iter().any(|step| step.schema == schema)
    }

    /// Where relations and types are looked up.
    pub(super) fn steps(&self) -> impl Iterator<Item = Step> + '_ {
        self.steps.iter().copied()
    }

    /// Where functions and operators are looked up: never among temporary objects.
    pub(super) fn code_steps(&self) -> impl Iterator<Item = Step> + '_ {
        self.steps().filter(|step| step.schema != self.temporary)
    }

    /// The schema that a written name means.
    pub(super) fn explicit(&self, catalog: &Catalog, name: &str) -> Option<Oid> {
        if name == "pg_temp" && !self.temporary.is_none() {
            return Some(self.temporary);
        }
        catalog.schema_named(name)
    }
}
