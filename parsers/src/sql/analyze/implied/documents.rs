//! Casts to `json` that the server looks up where it makes a document of any value.

use super::super::types::{JSON, JSONB, RECORD, RECORD_ARRAY};
use super::super::value::{Row, Value};
use super::super::walk::Walker;
use super::Followed;
use crate::sql::catalog::{CastMethod, Function, Oid, TypeKind};
use crate::sql::resolve::Ty;

/// `anyarray`, which columns of statistics are of.
const ANY_ARRAY: Oid = Oid(2277);

/// Whether a function that calls its arguments' types makes a document of them: `to_json`, `jsonb_agg` and the like.
pub(super) fn makes_document(function: &Function) -> bool {
    function.oid.is_built_in() && matches!(function.returns, JSON | JSONB)
}

impl Walker<'_> {
    /// A value becomes part of a document. For a type that has a cast to `json` that cast runs, for `jsonb` too; arrays
    /// and rows are taken apart.
    pub(in super::super) fn becomes_document(&mut self, value: &Value) -> bool {
        self.documents(value.ty, value.row.as_ref())
    }

    fn documents(&mut self, ty: Ty, row: Option<&Row>) -> bool {
        match ty {
            Ty::Literal | Ty::Parameter => false,
            Ty::Uncertain => self.becomes_any_document(),
            Ty::Known(oid) => {
                let base = self.resolver.base_type(oid);
                if !base.is_built_in() {
                    return self.document_of(base);
                }
                match row {
                    Some(row) => {
                        let mut reads = false;
                        for column in row.iter() {
                            if self.spend(1) {
                                reads |= self.documents(column.ty, column.row.as_ref());
                            }
                        }
                        reads
                    }
                    None if matches!(base, RECORD | RECORD_ARRAY | ANY_ARRAY) => self.becomes_any_document(),
                    None => false,
                }
            }
        }
    }

    fn document_of(&mut self, oid: Oid) -> bool {
        if !self.follow(Followed::Document(oid)) {
            return self.implied.open_documents.contains(&oid);
        }
        let mut reads = false;
        match self.catalog().type_of(oid).map(|found| &found.kind) {
            Some(TypeKind::Array) => {
                if let Some(element) = self.resolver.element_type(oid) {
                    reads = self.documents(Ty::Known(element), None);
                }
            }
            Some(TypeKind::Composite(relation)) => {
                let relation = self.catalog().relation(*relation);
                for column in relation.map_or(&[][..], |relation| &relation.columns) {
                    reads |= self.documents(Ty::Known(column.type_oid), None);
                }
            }
            _ => {}
        }
        if let Some(cast) = self.catalog().cast(oid, JSON)
            && cast.method == CastMethod::Function
        {
            reads |= self.runs_support(cast.function);
        }
        if reads {
            self.implied.open_documents.insert(oid);
        }
        reads
    }

    /// A value of a type that is not known.
    fn becomes_any_document(&mut self) -> bool {
        self.runs_casts(|_, cast| cast.target == JSON && cast.method == CastMethod::Function)
    }
}
