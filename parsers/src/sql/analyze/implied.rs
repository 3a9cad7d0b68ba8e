//! Code that runs without a call.

use super::value::Value;
use super::walk::Walker;
use crate::sql::catalog::{Behavior, CastContext, Event, Oid};
use crate::sql::effect::{Object, ObjectKind};
use crate::sql::resolve::Ty;
use crate::sql::statement::Cause;

impl Walker<'_> {
    /// The effects of calling a function.
    pub(super) fn runs_function(&mut self, oid: Oid, _arguments: &[Value]) {
        let known = self
            .world
            .catalog
            .function(oid)
            .and_then(|function| function.known);
        if !matches!(
            known,
            Some(Behavior::Pure | Behavior::CallsTypes | Behavior::Metadata)
        ) {
            let name = self
                .world
                .catalog
                .function(oid)
                .map_or("", |function| &function.name);
            self.opaque(Cause::Function, Object::new(ObjectKind::Function, name));
        }
    }

    pub(super) fn uses_type(&mut self, _oid: Oid) {}

    pub(super) fn converts(&mut self, _from: &Ty, _to: Oid, _context: CastContext) {}

    pub(super) fn reads(&mut self, _relation: Oid) {}

    pub(super) fn writes(&mut self, _relation: Oid, _event: Event, _columns: &[i16]) {}
}
