//! What stands in FROM, and the columns that it lets be named.

use std::rc::Rc;

use hashbrown::HashSet;
use pg_query::NodeEnum;
use pg_query::protobuf::{
    Alias, JoinExpr, JsonTable, JsonTableColumn, Node, RangeFunction, RangeSubselect, RangeTableFunc,
    RangeTableFuncCol, RangeTableSample, RangeVar,
};

use super::call::Outputs;
use super::scope::{Item, Slot};
use super::types::{BOOL, INT4, INT8};
use super::value::{Column, Name, Row, Value};
use super::walk::{Walker, named, string};
use crate::sql::catalog::Oid;
use crate::sql::effect::{Action, EffectFlags, ObjectKind};
use crate::sql::lineage::Lineage;
use crate::sql::resolve::Ty;
use crate::sql::statement::Cause;

impl Walker<'_> {
    /// Lets the items of a FROM be seen, one after another.
    pub(super) fn from(&mut self, clause: &[Node]) {
        for node in clause {
            self.source(node);
        }
    }

    fn source(&mut self, node: &Node) {
        if !self.spend(1) {
            return;
        }
        match &node.node {
            Some(NodeEnum::RangeVar(relation)) => self.range_var(relation),
            Some(NodeEnum::RangeSubselect(range)) => {
                let RangeSubselect {
                    lateral,
                    subquery,
                    alias,
                } = &**range;
                let columns = self.sibling(*lateral, |walker| walker.query(subquery.as_deref()));
                let item = self.aliased(alias.as_ref(), None, Row::from(columns));
                self.show(item);
            }
            Some(NodeEnum::RangeFunction(range)) => self.range_function(range),
            Some(NodeEnum::RangeTableFunc(range)) => self.xml_table(range),
            Some(NodeEnum::RangeTableSample(sample)) => {
                let RangeTableSample {
                    relation,
                    method,
                    args,
                    repeatable,
                    location: _,
                } = &**sample;
                if let Some(relation) = relation {
                    self.source(relation);
                }
                let object = named(ObjectKind::Function, method);
                let is_built_in = matches!(&*object.name, "system" | "bernoulli");
                let in_catalog = object
                    .schema
                    .as_deref()
                    .is_none_or(|schema| schema == "pg_catalog");
                if !(is_built_in && in_catalog) {
                    self.opaque(Cause::Function, object);
                }
                self.nodes(args);
                self.optional(repeatable.as_deref());
            }
            Some(NodeEnum::JoinExpr(join)) => self.join(join),
            Some(NodeEnum::JsonTable(table)) => self.json_table(table),
            _ => self.unknown("FROM item"),
        }
    }

    /// Walks a sub-query in FROM, which sees its siblings only if it is LATERAL.
    fn sibling<T>(&mut self, lateral: bool, walk: impl FnOnce(&mut Self) -> T) -> T {
        let outside = std::mem::replace(&mut self.level().is_hidden, !lateral);
        let result = walk(self);
        self.level().is_hidden = outside;
        result
    }

    fn range_var(&mut self, relation: &RangeVar) {
        let RangeVar {
            catalogname,
            schemaname,
            relname,
            inh: _,
            relpersistence: _,
            alias,
            location: _,
        } = relation;
        if let Some(cte) = self.cte(relation) {
            let (columns, is_open) = (Rc::clone(&cte.columns), cte.is_open);
            let mut item = self.aliased(alias.as_ref(), Some(relname), columns);
            item.is_open = is_open;
            self.show(item);
            return;
        }
        let relations = self.relations(relation);
        let item = if let Some(oid) = relations.one() {
            self.read_relation(oid, true);
            let own = self.item_of(oid, None);
            let item = self.aliased(alias.as_ref(), Some(relname), Rc::clone(&own.columns));
            let schema = self.schema_of(oid).filter(|_| alias.is_none());
            Item {
                name: item.name,
                columns: item.columns,
                schema,
                ..own
            }
        } else {
            for &oid in &relations.oids {
                self.read_relation(oid, false);
                let _its_effects_count = self.relation_row(oid);
            }
            if relations.may_be_new {
                self.act_on_new(Action::Read, relation, EffectFlags::NONE);
            }
            let name = alias.as_ref().map_or(relname, |alias| &alias.aliasname);
            let mut item = Item::open(Some(name.as_str().into()));
            if alias.is_none() && catalogname.is_empty() && !schemaname.is_empty() {
                item.schema = Some(schemaname.as_str().into());
            }
            item
        };
        self.show(item);
    }

    fn schema_of(&self, oid: Oid) -> Option<Name> {
        let catalog = &self.world.catalog;
        let schema = catalog.schema(catalog.relation(oid)?.schema)?;
        Some(Name::from(&*schema.name))
    }

    /// An item under its alias, its columns too.
    fn aliased(&mut self, alias: Option<&Alias>, name: Option<&str>, columns: Row) -> Item {
        let Some(Alias { aliasname, colnames }) = alias else {
            return Item::computed(name.map(Name::from), columns);
        };
        let columns = if colnames.is_empty() {
            columns
        } else {
            self.spend(columns.len());
            let names = colnames.iter().map(string).map(Some);
            let names = names.chain(std::iter::repeat(None));
            let renamed = columns.iter().zip(names).map(|(column, name)| Column {
                name: name.flatten().map_or_else(|| Rc::clone(&column.name), Name::from),
                ..column.clone()
            });
            renamed.collect()
        };
        Item::computed(Some(aliasname.as_str().into()), columns)
    }

    fn range_function(&mut self, range: &RangeFunction) {
        let RangeFunction {
            lateral: _,
            ordinality,
            is_rowsfrom: _,
            functions,
            alias,
            coldeflist,
        } = range;
        let mut columns: Vec<Column> = Vec::new();
        let mut is_open = false;
        let mut is_scalar = functions.len() == 1 && !*ordinality;
        let mut first_name: Option<Name> = None;
        let mut row_type = None;
        let alias_name = alias.as_ref().map(|alias| alias.aliasname.as_str());
        for function in functions {
            // A call and its column definitions, which are often absent.
            let (call, definitions) = match &function.node {
                Some(NodeEnum::List(pair)) => (pair.items.first(), pair.items.get(1)),
                _ => (Some(function), None),
            };
            let Some(call) = call else {
                self.unknown("function in FROM");
                continue;
            };
            let definitions = match definitions.and_then(|list| list.node.as_ref()) {
                Some(NodeEnum::List(list)) => &list.items[..],
                _ => &coldeflist[..],
            };
            let name = super::name::of(call).unwrap_or("?column?");
            if definitions.is_empty()
                && let Some(arrays) = several_arrays(call)
            {
                is_scalar = false;
                first_name.get_or_insert_with(|| name.into());
                for array in arrays {
                    let value = self.value(array);
                    columns.extend(self.unnested(&value));
                }
                continue;
            }
            first_name.get_or_insert_with(|| name.into());
            let (value, outputs) = self.source_call(call);
            if !definitions.is_empty() {
                is_scalar = false;
                columns.extend(self.defined_columns(definitions, &value.lineage));
            } else if let Some(outputs) = outputs {
                is_scalar = false;
                row_type = Some(value.ty);
                let lineage = value.lineage.clone().derived();
                columns.extend(outputs.into_iter().map(|(name, ty)| Column {
                    name: Name::from(&*name),
                    ty,
                    lineage: lineage.clone(),
                    origin: None,
                    row: None,
                }));
            } else if let Some(row) = self.row_of(&value) {
                is_scalar = false;
                row_type = Some(value.ty);
                columns.extend(row.iter().cloned());
            } else if matches!(value.ty, Ty::Uncertain | Ty::Known(super::types::RECORD)) {
                // It may be a row or a plain value.
                is_open = true;
                is_scalar = false;
                let name = alias_name.filter(|_| functions.len() == 1).unwrap_or(name);
                columns.push(value.named(name.into()));
            } else {
                let name = alias_name.filter(|_| functions.len() == 1).unwrap_or(name);
                columns.push(value.named(name.into()));
            }
        }
        if *ordinality {
            columns.push(Value::constant(Ty::Known(INT8)).named("ordinality".into()));
        }
        let mut item = self.aliased(alias.as_ref(), first_name.as_deref(), Row::from(columns));
        item.is_open = is_open;
        item.is_scalar = is_scalar;
        if let Some(ty) = row_type {
            item.row_type = ty;
        }
        self.show(item);
    }

    /// The columns that one of several arrays of `unnest` gives.
    fn unnested(&mut self, array: &Value) -> Vec<Column> {
        let element = match array.ty {
            Ty::Known(oid) => self.resolver.element_type(oid).map_or(Ty::Uncertain, Ty::Known),
            Ty::Literal | Ty::Parameter | Ty::Uncertain => Ty::Uncertain,
        };
        let value = Value {
            is_single: false,
            ..self.computed(element, std::slice::from_ref(array))
        };
        match self.row_of(&value) {
            Some(row) => row.to_vec(),
            None => vec![value.named("unnest".into())],
        }
    }

    /// A call in FROM, and the columns that the function declares.
    fn source_call(&mut self, node: &Node) -> (Value, Outputs) {
        match &node.node {
            Some(NodeEnum::FuncCall(call)) => self.call_with_columns(call),
            _ => (self.value(node), None),
        }
    }

    fn defined_columns(&mut self, definitions: &[Node], lineage: &Lineage) -> Vec<Column> {
        let mut columns = Vec::with_capacity(definitions.len());
        for node in definitions {
            let Some(NodeEnum::ColumnDef(definition)) = &node.node else {
                self.unknown("column definition");
                continue;
            };
            let ty = match &definition.type_name {
                Some(name) => self.type_name(name),
                None => Ty::Uncertain,
            };
            columns.push(Column {
                name: definition.colname.as_str().into(),
                ty,
                lineage: lineage.clone().derived(),
                origin: None,
                row: None,
            });
        }
        columns
    }

    fn xml_table(&mut self, range: &RangeTableFunc) {
        let RangeTableFunc {
            lateral: _,
            docexpr,
            rowexpr,
            namespaces,
            columns,
            alias,
            location: _,
        } = range;
        let document = self.optional_value(docexpr.as_deref());
        let row = self.optional_value(rowexpr.as_deref());
        let mut lineage = self.merge(document.lineage, &row.lineage);
        self.nodes(namespaces);
        let mut given = Vec::with_capacity(columns.len());
        for node in columns {
            let Some(NodeEnum::RangeTableFuncCol(column)) = &node.node else {
                self.unknown("column of XMLTABLE");
                continue;
            };
            let RangeTableFuncCol {
                colname,
                type_name,
                for_ordinality: _,
                is_not_null: _,
                colexpr,
                coldefexpr,
                location: _,
            } = &**column;
            let ty = match type_name {
                Some(name) => self.type_name(name),
                None => Ty::Known(INT4),
            };
            for node in [colexpr, coldefexpr].into_iter().flatten() {
                let value = self.value(node);
                lineage = self.merge(lineage, &value.lineage);
            }
            given.push((Name::from(colname.as_str()), ty));
        }
        let lineage = lineage.derived();
        let columns = given.into_iter().map(|(name, ty)| Column {
            name,
            ty,
            lineage: lineage.clone(),
            origin: None,
            row: None,
        });
        let item = self.aliased(alias.as_ref(), Some("xmltable"), columns.collect());
        self.show(item);
    }

    fn json_table(&mut self, table: &JsonTable) {
        let JsonTable {
            context_item,
            pathspec,
            passing,
            columns,
            on_error,
            alias,
            lateral: _,
            location: _,
        } = table;
        let mut lineage = self.json_value(context_item.as_deref()).lineage;
        self.json_path(pathspec.as_deref());
        for node in passing {
            let value = self.value(node);
            lineage = self.merge(lineage, &value.lineage);
        }
        self.json_behavior(on_error.as_deref());
        let lineage = lineage.derived();
        let mut given = Vec::new();
        self.json_columns(columns, &lineage, &mut given);
        let item = self.aliased(alias.as_ref(), Some("json_table"), Row::from(given));
        self.show(item);
    }

    fn json_columns(&mut self, columns: &[Node], lineage: &Lineage, given: &mut Vec<Column>) {
        for node in columns {
            let Some(NodeEnum::JsonTableColumn(column)) = &node.node else {
                self.unknown("column of JSON_TABLE");
                continue;
            };
            let JsonTableColumn {
                coltype: _,
                name,
                type_name,
                pathspec,
                format: _,
                wrapper: _,
                quotes: _,
                columns,
                on_empty,
                on_error,
                location: _,
            } = &**column;
            let ty = match type_name {
                Some(name) => self.type_name(name),
                None => Ty::Known(INT4),
            };
            self.json_path(pathspec.as_deref());
            self.json_behavior(on_empty.as_deref());
            self.json_behavior(on_error.as_deref());
            if columns.is_empty() {
                given.push(Column {
                    name: name.as_str().into(),
                    ty,
                    lineage: lineage.clone(),
                    origin: None,
                    row: None,
                });
            }
            self.json_columns(columns, lineage, given);
        }
    }

    fn join(&mut self, join: &JoinExpr) {
        let JoinExpr {
            jointype: _,
            is_natural,
            larg,
            rarg,
            using_clause,
            join_using_alias,
            quals,
            alias,
            rtindex: _,
        } = join;
        let level = self.level();
        let (first_name, first) = (level.names.len(), level.columns.len());
        if let Some(left) = larg {
            self.source(left);
        }
        let middle = self.level().columns.len();
        if let Some(right) = rarg {
            self.source(right);
        }
        let using: Vec<Name> = if *is_natural {
            if self.level().is_open {
                self.compares_any(first);
            }
            self.common_names(first, middle)
        } else {
            using_clause.iter().filter_map(string).map(Name::from).collect()
        };
        if !using.is_empty() {
            self.join_using(&using, first, middle, join_using_alias.as_ref());
        }
        if let Some(condition) = quals {
            let outside = std::mem::replace(&mut self.level().from, (first_name, first));
            let value = self.value(condition);
            self.level().from = outside;
            self.condition(&value);
        }
        if let Some(alias) = alias {
            self.join_alias(alias, first_name, first);
        }
        self.level().changed();
    }

    /// Columns that stand beside some that are not known, and may have any of their names.
    fn compares_any(&mut self, first: usize) {
        self.reads.misses_name();
        let depth = self.levels.len() - 1;
        let slots = self.level().columns[first..].to_vec();
        if self.spend(slots.len()) {
            for slot in slots {
                self.uses_slot(depth, slot);
            }
        }
    }

    /// Names that both sides of a NATURAL JOIN have, in the left one's order.
    fn common_names(&mut self, first: usize, middle: usize) -> Vec<Name> {
        let level = self.level();
        let name = |slot: &Slot| level.column(*slot).map(|column| Rc::clone(&column.name));
        let right: HashSet<Name> = level.columns[middle..].iter().filter_map(name).collect();
        let left = level.columns[first..middle].iter().filter_map(name);
        let common = left.filter(|name| right.contains(name)).collect();
        let width = level.columns.len() - first;
        self.spend(width / 4);
        common
    }

    /// Merges the columns of USING: they are compared, and stand first.
    fn join_using(&mut self, using: &[Name], first: usize, middle: usize, alias: Option<&Alias>) {
        let level = self.level();
        let width = level.columns.len() - first;
        let sides = [
            level.columns[first..middle].to_vec(),
            level.columns[middle..].to_vec(),
        ];
        if !self.spend(width.saturating_mul(using.len()) / 8) {
            return;
        }
        let depth = self.levels.len() - 1;
        let mut merged = Vec::with_capacity(using.len());
        let mut hidden: HashSet<(u32, u32)> = HashSet::new();
        for name in using {
            let [left, right] = [&sides[0], &sides[1]].map(|side| {
                let level = &self.levels[depth];
                let found = side
                    .iter()
                    .find(|&&slot| level.column(slot).is_some_and(|column| column.name == *name));
                found.copied()
            });
            let [left, right] = [left, right].map(|slot| {
                let Some(slot) = slot else {
                    // Of a relation whose columns are not known.
                    self.reads.misses_name();
                    return Value::unknown();
                };
                hidden.insert((slot.item, slot.column));
                self.column_value(depth, slot)
            });
            self.compare("=", &left, &right);
            let ty = self.resolver.common_type(&[left.ty, right.ty]);
            let lineage = self.merge(left.lineage, &right.lineage);
            merged.push(Column {
                name: Rc::clone(name),
                ty,
                lineage,
                origin: None,
                row: None,
            });
        }
        let level = self.level();
        let merged = Item::computed(
            alias.map(|alias| alias.aliasname.as_str().into()),
            Row::from(merged),
        );
        let is_named = merged.name.is_some();
        let len = u32::try_from(merged.columns.len()).unwrap_or(u32::MAX);
        let item = level.push(merged);
        if is_named {
            level.names.push(item);
        }
        level.columns.truncate(first);
        level.columns.extend((0..len).map(|column| Slot { item, column }));
        let rest = sides.into_iter().flatten();
        let rest = rest.filter(|slot| !hidden.contains(&(slot.item, slot.column)));
        level.columns.extend(rest);
    }

    /// Puts a join's alias in the place of what it joins.
    fn join_alias(&mut self, alias: &Alias, first_name: usize, first: usize) {
        let level = self.level();
        let slots: Vec<Slot> = level.columns.drain(first..).collect();
        level.names.truncate(first_name);
        let is_open = level.is_open;
        let depth = self.levels.len() - 1;
        self.spend(slots.len());
        let columns = slots.into_iter().filter_map(|slot| {
            self.uses_slot(depth, slot);
            self.levels[depth].column(slot).cloned()
        });
        let columns: Row = columns.collect();
        let mut item = self.aliased(Some(alias), None, columns);
        item.is_open = is_open;
        self.show(item);
    }

    /// Row locks on what stands in FROM: on all of it, or on what the clause names.
    pub(super) fn locks_sources(&mut self, from: &[Node], only: &[Node]) {
        for node in from {
            self.locks_source(node, only);
        }
    }

    fn locks_source(&mut self, node: &Node, only: &[Node]) {
        match &node.node {
            Some(NodeEnum::RangeVar(relation)) => {
                let name = relation
                    .alias
                    .as_ref()
                    .map_or(&relation.relname, |alias| &alias.aliasname);
                let is_meant = |node: &Node| matches!(&node.node, Some(NodeEnum::RangeVar(meant)) if meant.relname == *name);
                if (only.is_empty() || only.iter().any(is_meant)) && self.cte(relation).is_none() {
                    self.act_on(Action::Lock, relation, EffectFlags::NONE);
                }
            }
            Some(NodeEnum::RangeTableSample(sample)) => {
                if let Some(relation) = &sample.relation {
                    self.locks_source(relation, only);
                }
            }
            Some(NodeEnum::JoinExpr(join)) => {
                for side in [&join.larg, &join.rarg].into_iter().flatten() {
                    self.locks_source(side, only);
                }
            }
            _ => self.act(Action::Lock, crate::sql::effect::Object::nothing()),
        }
    }

    /// Two values are compared by an operator that is found by the search path.
    pub(super) fn compare(&mut self, operator: &str, left: &Value, right: &Value) -> Value {
        let mut value = self.operate_named(None, operator, Some(left), Some(right));
        if value.ty == Ty::Uncertain {
            value.ty = Ty::Known(BOOL);
        }
        value
    }
}

/// `unnest(a, b)` in FROM stands for a function call for each of them.
fn several_arrays(call: &Node) -> Option<&[Node]> {
    match &call.node {
        Some(NodeEnum::FuncCall(call))
            if call.args.len() > 1
                && call.agg_order.is_empty()
                && call.agg_filter.is_none()
                && call.over.is_none()
                && !call.func_variadic =>
        {
            match &call.funcname[..] {
                [name] if string(name) == Some("unnest") => Some(&call.args),
                _ => None,
            }
        }
        _ => None,
    }
}
