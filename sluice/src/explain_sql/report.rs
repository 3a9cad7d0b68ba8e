//! How an analysis is shown: a text for people, JSON for scripts.

use std::fmt;

use serde::Serialize;
use sluice_audit::visible::Visible;
use sluice_parsers::sql::catalog::{Catalog, Oid};
use sluice_parsers::sql::lexer::{Lexer, TokenKind};
use sluice_parsers::sql::lineage::{BaseColumn, Lineage};
use sluice_parsers::sql::resolve::Ty;
use sluice_parsers::sql::shape::Shape;
use sluice_parsers::sql::statement::{Analysis, OutputColumn, Statement};

/// What is known of a text.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    statements: Vec<Explained>,
    key: Key,
}

/// What a statement does.
#[derive(Debug, Serialize)]
pub(crate) struct Explained {
    text: String,
    kind: &'static str,
    effects: Vec<String>,
    /// Why it is opaque.
    reasons: Vec<String>,
    columns: Vec<Column>,
    /// The prepared statement whose effects come on top.
    #[serde(skip_serializing_if = "Option::is_none")]
    runs_prepared: Option<String>,
    /// Parameters that decide what it does, so that it is judged again when they are bound.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    decided_at_bind: Vec<u16>,
}

#[derive(Debug, Serialize)]
struct Column {
    name: String,
    r#type: String,
    /// `exact`, `derived`, `constant` or `unknown`.
    lineage: &'static str,
    /// `schema.table.column`.
    from: Vec<String>,
}

/// What a decision is looked up by, beside who asks for which database in which state.
#[derive(Debug, Serialize)]
struct Key {
    /// The tokens, with the kind of each literal that no decision depends on in its place.
    text: String,
    /// The literals that stay, byte for byte.
    literals: Vec<String>,
    /// How many do not.
    neutral: usize,
}

impl Report {
    pub(crate) fn new(sql: &str, analysis: &Analysis, catalog: &Catalog) -> Self {
        let statements = analysis.statements.iter();
        Self {
            statements: statements
                .map(|statement| Explained::new(sql, statement, catalog))
                .collect(),
            key: Key::new(sql, analysis),
        }
    }
}

impl Explained {
    pub(crate) fn new(sql: &str, statement: &Statement, catalog: &Catalog) -> Self {
        let columns = statement.columns.iter();
        Self {
            text: sql
                .get(statement.range.clone())
                .unwrap_or_default()
                .trim()
                .to_owned(),
            kind: statement.kind.name(),
            effects: statement.effects.iter().map(ToString::to_string).collect(),
            reasons: statement.reasons.iter().map(ToString::to_string).collect(),
            columns: columns.map(|column| Column::new(column, catalog)).collect(),
            runs_prepared: statement.runs_prepared.as_ref().map(ToString::to_string),
            decided_at_bind: statement.decided_at_bind.to_vec(),
        }
    }
}

impl Column {
    fn new(column: &OutputColumn, catalog: &Catalog) -> Self {
        let lineage = match &column.lineage {
            Lineage::Exact(columns) if columns.is_empty() => "constant",
            Lineage::Exact(_) => "exact",
            Lineage::Derived(_) => "derived",
            Lineage::Unknown => "unknown",
        };
        let from = column.lineage.columns().unwrap_or_default();
        Self {
            name: column.name.to_string(),
            r#type: type_name(column.ty, catalog),
            lineage,
            from: from.iter().map(|column| column_name(*column, catalog)).collect(),
        }
    }
}

fn type_name(ty: Ty, catalog: &Catalog) -> String {
    let Ty::Known(oid) = ty else {
        return match ty {
            Ty::Literal | Ty::Parameter => "unknown",
            _ => "?",
        }
        .to_owned();
    };
    match catalog.type_of(oid) {
        Some(kind) => qualified(kind.schema, &kind.name, catalog),
        None => oid.to_string(),
    }
}

fn qualified(schema: Oid, name: &str, catalog: &Catalog) -> String {
    match catalog.schema(schema) {
        Some(schema) if &*schema.name != "pg_catalog" => format!("{}.{name}", schema.name),
        _ => name.to_owned(),
    }
}

fn column_name(column: BaseColumn, catalog: &Catalog) -> String {
    let Some(relation) = catalog.relation(column.relation) else {
        return format!("{}.{}", column.relation, column.number);
    };
    let table = qualified(relation.schema, &relation.name, catalog);
    match catalog.column(column.relation, column.number) {
        Some(known) => format!("{table}.{}", known.name),
        None => format!("{table}.{}", column.number),
    }
}

impl Key {
    fn new(sql: &str, analysis: &Analysis) -> Self {
        let mut key = Self {
            text: String::new(),
            literals: Vec::new(),
            neutral: 0,
        };
        let mut shape = Shape::new();
        let (Ok(()), Ok(mut lexer)) = (shape.scan(sql.as_bytes()), Lexer::new(sql.as_bytes())) else {
            return key;
        };
        let mut ordinal = 0;
        while let Ok(Some(token)) = lexer.next_token() {
            let text = sql.get(token.start..token.end).unwrap_or_default();
            if !key.text.is_empty() {
                key.text.push(' ');
            }
            if !token.kind.is_literal() {
                match token.kind {
                    TokenKind::Word => key.text.push_str(&text.to_ascii_lowercase()),
                    _ => key.text.push_str(text),
                }
                continue;
            }
            let kind = shape.literals().get(ordinal).map(|literal| literal.kind);
            if analysis.readable && analysis.neutral.contains(ordinal) {
                key.neutral += 1;
                let kind = kind.map_or_else(|| "?".to_owned(), |kind| format!("{kind:?}"));
                key.text.push('<');
                key.text.push_str(&kind.to_ascii_lowercase());
                key.text.push('>');
            } else {
                key.text.push_str(text);
                key.literals.push(text.to_owned());
            }
            ordinal += 1;
        }
        key
    }
}

/// What the statement's author wrote must not move the reader's cursor.
pub(crate) fn line(f: &mut fmt::Formatter<'_>, indent: usize, text: &str) -> fmt::Result {
    writeln!(f, "{:indent$}{}", "", Visible(text.as_bytes()))
}

/// A title with lines below it; nothing without lines.
pub(crate) fn section(f: &mut fmt::Formatter<'_>, title: &str, lines: &[String]) -> fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    line(f, 2, title)?;
    lines.iter().try_for_each(|text| line(f, 4, text))
}

impl Explained {
    /// `DELETE: DELETE FROM t`
    pub(crate) fn title(&self) -> String {
        format!("{}: {}", self.kind, self.text)
    }

    /// Whether columns of a result are known.
    pub(crate) fn gives_rows(&self) -> bool {
        !self.columns.is_empty()
    }
}

/// All but the title.
impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.effects.is_empty() {
            line(f, 2, "no effects: needs Connect alone")?;
        }
        section(f, "effects", &self.effects)?;
        section(f, "opaque because of", &self.reasons)?;
        if let Some(name) = &self.runs_prepared {
            line(
                f,
                2,
                &format!("runs the prepared statement {name}, whose effects come on top"),
            )?;
        }
        if !self.decided_at_bind.is_empty() {
            let numbers: Vec<_> = self
                .decided_at_bind
                .iter()
                .map(|number| format!("${number}"))
                .collect();
            line(
                f,
                2,
                &format!("judged again when bound, by {}", numbers.join(", ")),
            )?;
        }
        let columns: Vec<_> = self.columns.iter().map(ToString::to_string).collect();
        section(f, "columns", &columns)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for statement in &self.statements {
            line(f, 0, &statement.title())?;
            write!(f, "{statement}")?;
        }
        line(f, 0, "decision key")?;
        line(f, 2, &self.key.text)?;
        match self.key.literals.len() {
            0 => line(f, 2, "no literal stays in it"),
            _ => section(f, "literals that stay in it", &self.key.literals),
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.name, self.r#type, self.lineage)?;
        for (index, column) in self.from.iter().enumerate() {
            write!(f, "{} {column}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}
