//! Stand-ins for the binder's.
use super::nested::text_of;
use super::value::Column;
use super::walk::Walker;
use crate::sql::catalog::Oid;
impl Walker<'_> {
    pub(super) fn expression_text(&mut self, sql: &str, _relation: Option<Oid>) {
        self.nested_printed(&text_of("expression"), &format!("SELECT {sql}"), |walker, parsed| {
            for raw in &parsed.stmts {
                walker.optional(raw.stmt.as_deref());
            }
        });
    }
    pub(super) fn query_text(&mut self, sql: &str) -> Vec<Column> {
        self.nested_printed(&text_of("view"), sql, |walker, parsed| {
            for raw in &parsed.stmts {
                walker.optional(raw.stmt.as_deref());
            }
        });
        Vec::new()
    }
}
