//! What the bodies of functions and DO blocks do, in SQL and PL/pgSQL.
//!
//! A body is read when its function runs, under the function's SET clauses and its owner's rights; each once for a
//! statement. What cannot be read is opaque.

mod plpgsql;

use std::rc::Rc;

use hashbrown::HashMap;
use pg_query::NodeEnum;
use pg_query::protobuf::{DoStmt, Node, ParseResult, TypeName, a_const};

use self::plpgsql::{Piece, Place};
use super::nested::text_of;
use super::scope::Arguments;
use super::value::{Name, Value};
use super::walk::{Walker, string};
use crate::sql::catalog::{CastContext, Function, Language, Oid, TypeKind, is_standard};
use crate::sql::effect::{Object, ObjectKind};
use crate::sql::lineage::Lineage;
use crate::sql::resolve::{Named, Ty, parse_name_list, parse_qualified_name};
use crate::sql::settings;
use crate::sql::statement::{Cause, Taken};

/// Variables that every PL/pgSQL body has.
const PLPGSQL_VARIABLES: [&str; 3] = ["found", "sqlstate", "sqlerrm"];

/// Variables of a trigger's body that tell what fires it.
const TRIGGER_VARIABLES: [&str; 12] = [
    "tg_name",
    "tg_when",
    "tg_level",
    "tg_op",
    "tg_relid",
    "tg_relname",
    "tg_table_name",
    "tg_table_schema",
    "tg_nargs",
    "tg_argv",
    "tg_event",
    "tg_tag",
];

impl<'w> Walker<'w> {
    /// The body of a function, called for a relation if it is a trigger.
    pub(super) fn runs_body(&mut self, function: &'w Function, arguments: &[Value], relation: Oid) {
        let Some(body) = &function.body else {
            return self.unreadable(function);
        };
        let outside = self.implied.wanted.len();
        // What planning folds is run.
        let plans_only = std::mem::take(&mut self.plans_only);
        self.implied.given.clear();
        for &used in &function.arguments {
            self.uses_type(used);
            self.sees_type(Ty::Known(used));
        }
        // What a trigger assigns to its row becomes one of the columns' types.
        let row = self.catalog().relation(relation);
        for column in row.map_or(&[][..], |row| &row.columns) {
            self.converts_in_body(column.type_oid);
        }
        let mut search_path = None;
        for (name, value) in &function.settings {
            if name.eq_ignore_ascii_case("search_path") {
                search_path = parse_name_list(value).map(Into::into);
                if search_path.is_none() {
                    return self.unreadable(function);
                }
            } else {
                self.add(settings::set_effect(name, Some(value)));
            }
        }
        // A trigger's changes follow from those that are counted.
        let is_called = relation == Oid::NONE;
        self.code_depth += usize::from(is_called);
        let owner = function.security_definer.then(|| {
            let owner = self.catalog().roles.get(&function.owner);
            owner.map_or("", |role| &*role.name)
        });
        self.under(search_path, owner, |walker| {
            walker.with_arguments(function, arguments, relation, |walker| match function.language {
                Language::Sql => walker.sql_body(function, body),
                _ => walker.plpgsql_body(&function.name, body, function),
            });
        });
        self.code_depth -= usize::from(is_called);
        let given = std::mem::take(&mut self.implied.given);
        self.returns(function, &given);
        self.converts_what_was_seen(outside);
        self.plans_only = plans_only;
    }

    /// What a body computes becomes what the function returns.
    fn returns(&mut self, function: &'w Function, given: &[Ty]) {
        self.uses_type(function.returns);
        let row = self.catalog().type_of(function.returns).map(|found| &found.kind);
        let columns: Vec<Oid> = match row {
            _ if !function.outputs.is_empty() => function.outputs.iter().map(|(_, output)| *output).collect(),
            Some(TypeKind::Composite(relation)) => self
                .catalog()
                .relation(*relation)
                .map_or(&[][..], |relation| &relation.columns)
                .iter()
                .map(|column| column.type_oid)
                .collect(),
            _ => vec![function.returns],
        };
        // The rows of an SQL function are those of its last statement; PL/pgSQL's come from anywhere.
        if function.language == Language::Sql && given.len() == columns.len() {
            for (from, to) in given.iter().zip(&columns) {
                self.converts(*from, *to, CastContext::Assignment);
            }
            return;
        }
        for to in columns.into_iter().chain([function.returns]) {
            self.converts_in_body(to);
        }
    }

    /// A trigger's function runs for a relation, or an event trigger's for none.
    pub(super) fn runs_trigger(&mut self, function: Oid, relation: Oid) {
        let Some(found) = self.catalog().function(function) else {
            let object = self.function_named(function);
            return self.opaque(Cause::Function, object);
        };
        if found.known.is_none()
            && found.language == Language::Plpgsql
            && !self.is_listed(found)
            && !self.implied.printed.is_touched(&found.name)
        {
            if self.follows_trigger(function, relation) {
                self.runs_body(found, &[], relation);
            }
        } else {
            self.runs_function(function, &[]);
        }
    }

    fn unreadable(&mut self, function: &Function) {
        let object = self.function_named(function.oid);
        self.opaque(Cause::Function, object);
    }

    /// Walks a body, which sees its arguments and variables and nothing of what surrounds the call.
    fn with_arguments(
        &mut self,
        function: &'w Function,
        arguments: &[Value],
        relation: Oid,
        run: impl FnOnce(&mut Self),
    ) {
        let catalog = self.catalog();
        let is_sql = function.language == Language::Sql;
        let declared = |index: usize| match function.arguments.get(index) {
            Some(&oid)
                if catalog
                    .type_of(oid)
                    .is_some_and(|found| found.kind != TypeKind::Pseudo) =>
            {
                Ty::Known(oid)
            }
            _ => Ty::Uncertain,
        };
        // A PL/pgSQL body may assign to its arguments. Which constants a call gives is not followed: a body is read once.
        let value = |index: usize| {
            let lineage = arguments.get(index).filter(|_| is_sql);
            Value {
                lineage: lineage.map_or(Lineage::Unknown, |value| value.lineage.clone()),
                ..Value::unknown().with_type(declared(index))
            }
        };
        let values: Vec<Value> = (0..function.arguments.len().max(arguments.len()))
            .map(value)
            .collect();
        let mut named: HashMap<Name, Value> = HashMap::new();
        if !is_sql {
            for name in PLPGSQL_VARIABLES.iter().chain(&["new", "old"]) {
                named.insert((*name).into(), Value::unknown());
            }
            for name in TRIGGER_VARIABLES {
                let value = Value {
                    lineage: Lineage::constant(),
                    ..Value::unknown()
                };
                named.insert(name.into(), value);
            }
        }
        if let Some(found) = self.catalog().relation(relation) {
            for name in ["new", "old"] {
                let row = Value {
                    row: Some(self.relation_row(relation)),
                    ..Value::unknown().with_type(Ty::Known(found.row_type))
                };
                named.insert(name.into(), row);
            }
        }
        for (index, name) in function.argument_names.iter().enumerate() {
            let value = values.get(index).cloned();
            named.insert((**name).into(), value.unwrap_or_else(Value::unknown));
        }
        let arguments = Arguments {
            function: (*function.name).into(),
            relation,
            values,
            named,
        };
        let outside = self.arguments.replace(Rc::new(arguments));
        let row_of = self.implied.row_of;
        if !relation.is_none() {
            self.implied.row_of = relation;
        }
        run(self);
        self.implied.row_of = row_of;
        self.arguments = outside;
    }

    fn sql_body(&mut self, function: &Function, body: &str) {
        let what = self.function_named(function.oid);
        if is_standard(body) {
            // The server prints it, with the schema of every name.
            let definition = format!("CREATE FUNCTION f() RETURNS void LANGUAGE sql {body}");
            return self.nested_printed(&what, &definition, Self::standard_body);
        }
        self.with_runtime_names(|walker| walker.nested_statements(&what, body));
    }

    fn standard_body(&mut self, parsed: &ParseResult) {
        let first = parsed.stmts.first().and_then(|raw| raw.stmt.as_ref());
        match first.and_then(|stmt| stmt.node.as_ref()) {
            Some(NodeEnum::CreateFunctionStmt(create)) => match create.sql_body.as_deref() {
                Some(body) => self.sql_statements(body),
                None => self.unknown("body"),
            },
            _ => self.unknown("body"),
        }
    }

    /// `RETURN value`, or lists of statements.
    fn sql_statements(&mut self, node: &Node) {
        match &node.node {
            Some(NodeEnum::List(list)) => list.items.iter().for_each(|item| self.sql_statements(item)),
            Some(NodeEnum::ReturnStmt(returned)) => self.optional(returned.returnval.as_deref()),
            Some(kind) => self.nested_statement(kind),
            None => {}
        }
    }

    fn plpgsql_body(&mut self, name: &str, body: &str, function: &Function) {
        if !self.spend(body.len()) {
            return;
        }
        match plpgsql::read(body) {
            Ok(body) => {
                self.catches(&body);
                self.pieces(&text_of(name), body);
            }
            Err(plpgsql::Unreadable) => self.unreadable(function),
        }
    }

    /// What an error says of a row can be read where it is caught.
    fn catches(&mut self, body: &plpgsql::Body) {
        if body.catches {
            self.reads.shows_written();
            self.sources += 1;
        }
    }

    /// DO. Gives whether it may end the transaction.
    pub(super) fn do_block(&mut self, block: &DoStmt) -> bool {
        let what = Object::new(ObjectKind::Nothing, "DO");
        let option = |name: &str| {
            let mut options = block.args.iter().filter_map(|node| match &node.node {
                Some(NodeEnum::DefElem(option)) if option.defname == name => option.arg.as_deref(),
                _ => None,
            });
            options.next().and_then(string)
        };
        let body = match (option("language").unwrap_or("plpgsql"), option("as")) {
            ("plpgsql", Some(body)) => plpgsql::read(body),
            _ => Err(plpgsql::Unreadable),
        };
        let Ok(body) = body else {
            self.opaque(Cause::Code, what);
            return true;
        };
        let may_end = body.may_end;
        let arguments = Arguments {
            named: PLPGSQL_VARIABLES
                .map(|name| (name.into(), Value::unknown()))
                .into(),
            ..Arguments::default()
        };
        let outside = self.arguments.replace(Rc::new(arguments));
        let wanted = self.implied.wanted.len();
        self.catches(&body);
        self.pieces(&what, body);
        self.converts_what_was_seen(wanted);
        self.arguments = outside;
        may_end
    }

    fn pieces(&mut self, what: &Object, body: plpgsql::Body) {
        if body.takes_cursors {
            self.takes(Taken::Cursors);
        }
        if body.fetches && !self.world.protected.is_empty() {
            // What the cursor gives may be of a protected column, and go anywhere from here.
            self.opaque(Cause::Code, Object::new(ObjectKind::Cursor, "FETCH in a body"));
        }
        let typed = self.typed_variables(what, &body);
        if let Some(arguments) = self.arguments.as_mut().and_then(Rc::get_mut) {
            let variables = body.variables.iter();
            arguments
                .named
                .extend(variables.map(|name| ((**name).into(), Value::unknown())));
            for (name, oid) in typed {
                let value = Value::unknown().with_type(Ty::Known(oid));
                arguments.named.insert(name, value);
            }
        }
        let relation = self
            .arguments
            .as_ref()
            .map_or(Oid::NONE, |arguments| arguments.relation);
        let mut stored = body.stored.into_iter().peekable();
        self.with_runtime_names(|walker| {
            for (index, piece) in body.pieces.into_iter().enumerate() {
                walker.implied.values.clear();
                walker.piece(what, piece);
                while let Some((_, places)) = stored.next_if(|(piece, _)| *piece == index) {
                    let values = walker.implied.values.clone();
                    walker.stores_in_row(relation, &places, &values);
                }
            }
        });
    }

    /// Values that a trigger's body stores in the row that is to be written, or gives instead of it.
    fn stores_in_row(&mut self, relation: Oid, places: &[Place], values: &[Lineage]) {
        if self.world.protected.is_empty() || relation.is_none() {
            return;
        }
        let row = self.relation_row(relation);
        let is_known = !values.is_empty() && !values.contains(&Lineage::Unknown);
        for (index, place) in places.iter().enumerate() {
            match place {
                Place::Variable => {}
                Place::Field(name) => {
                    let column = row.iter().find(|column| *column.name == **name);
                    let value = values.get(index).filter(|_| places.len() == values.len());
                    self.stores_in_column(column, value.unwrap_or(&Lineage::Unknown));
                }
                Place::Row if is_known && values.len() > 1 => {
                    for (index, value) in values.iter().enumerate() {
                        self.stores_in_column(row.get(index), value);
                    }
                }
                Place::Row => self.leaks(values.first().unwrap_or(&Lineage::Unknown)),
            }
        }
    }

    /// Variables of plain types, of which there is one of that name in the whole body: others may be anything.
    fn typed_variables(&mut self, what: &Object, body: &plpgsql::Body) -> Vec<(Name, Oid)> {
        let mut found = Vec::new();
        for (name, text) in &body.typed {
            if body.variables.iter().filter(|other| *other == name).count() > 1 {
                continue;
            }
            let mut ty = None;
            self.nested(what, &format!("SELECT NULL::{text}"), |walker, parsed| {
                ty = cast_of(parsed).map(|name| walker.type_name(name));
            });
            let Some(Ty::Known(oid)) = ty else { continue };
            let kind = self.catalog().type_of(oid).map(|known| &known.kind);
            if matches!(
                kind,
                Some(TypeKind::Base | TypeKind::Enum | TypeKind::Domain { .. })
            ) {
                found.push(((**name).into(), oid));
            }
        }
        found
    }

    /// Whether `||` can be no other operator than the server's own.
    fn concatenates_plainly(&self) -> bool {
        let mut own = self.catalog().operators.values();
        !self.resolver.is_touched("||") && !own.any(|operator| &*operator.name == "||")
    }

    fn piece(&mut self, what: &Object, piece: Piece) {
        match piece {
            Piece::Statement(sql) => self.nested_statements(what, &sql),
            Piece::Expression(sql) => self.nested_statements(what, &format!("SELECT {sql}")),
            Piece::Type(name) => {
                self.nested(
                    what,
                    &format!("SELECT NULL::{name}"),
                    |walker, parsed| match cast_of(parsed).map(|name| walker.type_name(name)) {
                        Some(Ty::Known(oid)) => {
                            walker.sees_type(Ty::Known(oid));
                            walker.converts_in_body(oid);
                        }
                        Some(_) => {}
                        None => walker.unknown("type"),
                    },
                );
            }
            Piece::TypeOf(name) => self.type_of_relation(&name),
            Piece::Dynamic(sql) => {
                let mut code = None;
                self.nested(what, &format!("SELECT {sql}"), |walker, parsed| {
                    code = constant_of(parsed, walker.concatenates_plainly());
                    for raw in &parsed.stmts {
                        walker.optional(raw.stmt.as_deref());
                    }
                });
                match code {
                    Some(code) => self.nested_statements(what, &code),
                    None => self.opaque(Cause::Code, Object::new(ObjectKind::Nothing, "EXECUTE")),
                }
            }
        }
    }

    /// A variable of the type of a column or of a row: `t.c%TYPE`, `s.t%ROWTYPE`. Which of the two it is does not matter:
    /// the types of all columns are used.
    fn type_of_relation(&mut self, name: &str) {
        let parts = parse_qualified_name(name).unwrap_or_default();
        let (first, second) = (parts.first(), parts.get(1));
        let mut found = Vec::new();
        for named in [
            first.map(|relation| self.resolver.relation(None, relation)),
            first
                .zip(second)
                .map(|(schema, relation)| self.resolver.relation(Some(schema), relation)),
        ] {
            match named {
                Some(Named::One(oid)) => found.push(oid),
                Some(Named::Several(candidates)) => found.extend(candidates),
                Some(Named::Missing) | None => {}
            }
        }
        for oid in found {
            for column in self
                .catalog()
                .relation(oid)
                .map_or(&[][..], |found| &found.columns)
            {
                self.sees_type(Ty::Known(column.type_oid));
                self.converts_in_body(column.type_oid);
            }
        }
    }
}

/// The type of `SELECT NULL::type`.
fn cast_of(parsed: &ParseResult) -> Option<&TypeName> {
    match &only_value(parsed)?.node {
        Some(NodeEnum::TypeCast(cast)) => cast.type_name.as_ref(),
        _ => None,
    }
}

/// The expression of a SELECT of one and nothing else.
fn only_value(parsed: &ParseResult) -> Option<&Node> {
    let [raw] = &parsed.stmts[..] else {
        return None;
    };
    let Some(NodeEnum::SelectStmt(select)) = raw.stmt.as_ref()?.node.as_ref() else {
        return None;
    };
    let [target] = &select.target_list[..] else {
        return None;
    };
    match &target.node {
        Some(NodeEnum::ResTarget(target)) if select.from_clause.is_empty() => target.val.as_deref(),
        _ => None,
    }
}

/// The text that a SELECT of one expression gives, if it is a constant: strings and, if that is the server's own, their
/// concatenation.
fn constant_of(parsed: &ParseResult, concatenates: bool) -> Option<String> {
    constant_text(only_value(parsed)?, concatenates)
}

fn constant_text(node: &Node, concatenates: bool) -> Option<String> {
    match &node.node {
        Some(NodeEnum::AConst(constant)) => match constant.val.as_ref()? {
            a_const::Val::Sval(text) => Some(text.sval.clone()),
            _ => None,
        },
        Some(NodeEnum::AExpr(operation)) => match &operation.name[..] {
            [name] if concatenates && string(name) == Some("||") => {
                let left = constant_text(operation.lexpr.as_deref()?, concatenates)?;
                let right = constant_text(operation.rexpr.as_deref()?, concatenates)?;
                Some(left + &right)
            }
            _ => None,
        },
        _ => None,
    }
}
