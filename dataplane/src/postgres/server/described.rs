//! What the server describes of a result, beside what the analysis expects of it.

use std::rc::Rc;

use sluice_parsers::sql::statement::StatementKind;

use crate::postgres::columns::Description;
use crate::postgres::expected::Expectation;
use crate::postgres::session::{End, Session};
use crate::postgres::statements::{Judged, Portal};

impl Session {
    /// Reads a RowDescription. One that contradicts the analysis shows that the database is no longer
    /// what the snapshot says: it is read again, and nothing of these rows is shown as it is where columns are configured.
    pub(super) fn described(&mut self, body: &[u8], expected: &Rc<Expectation>) -> Result<Description, End> {
        let description = {
            let mut plans = self.core.plans.borrow_mut();
            plans
                .read(body, self.masks.scans(), &self.masks.tags, expected)
                .map_err(End::server)?
        };
        if description.is_expected {
            return Ok(description);
        }
        tracing::debug!(session = self.id, ?expected, described = ?description.columns, "other columns");
        // A snapshot that is read again and found the same is not at fault.
        if self.contradicted != self.database.epoch {
            self.contradicted = self.database.epoch;
            self.catalog.request_refresh(&self.core);
            tracing::warn!(
                session = self.id,
                connection = self.connection.name,
                "the server gives other columns than the catalog's snapshot tells; it is read again"
            );
            // What was read within the transaction is what others have changed since.
            self.leave_own_catalog();
        }
        Ok(description)
    }

    /// What is expected of the rows of a statement that is being answered.
    pub(super) fn expected_of(&self, judged: &Judged) -> Rc<Expectation> {
        if !judged.verdict.runs_by_name {
            return self.expected_by_text(judged);
        }
        let Some(statement) = judged.statement() else {
            return anything();
        };
        match &statement.kind {
            StatementKind::Execute { name } => match self.statements.current(name.as_bytes()) {
                Some(prepared) if !prepared.is_doubtful() => self.expected_by_text(&prepared.judged()),
                _ => anything(),
            },
            StatementKind::Fetch { name } => {
                let portal = self.portals.current(name.as_bytes());
                match (self.cursors.get(name.as_bytes()), portal) {
                    (Some(declared), None) => self.expected_by_text(declared),
                    (None, Some(portal)) => match &portal.bound {
                        Some((judged, _)) if !portal.is_ambiguous.get() => self.expected_by_text(judged),
                        _ => anything(),
                    },
                    _ => anything(),
                }
            }
            _ => self.expected_by_text(judged),
        }
    }

    fn expected_by_text(&self, judged: &Judged) -> Rc<Expectation> {
        let catalog = &self.database.catalog;
        let expected = judged.verdict.expected(judged.index, &self.masks.tags, catalog);
        expected.unwrap_or_else(anything)
    }

    /// What is expected of a portal's rows: its names got their meaning at its Bind, or at the DECLARE.
    pub(in crate::postgres) fn expected_of_portal(&self, portal: &Portal) -> Rc<Expectation> {
        match &portal.bound {
            Some((judged, _)) if !portal.is_ambiguous.get() => self.expected_of(judged),
            _ => anything(),
        }
    }
}

fn anything() -> Rc<Expectation> {
    Rc::new(Expectation::anything())
}
