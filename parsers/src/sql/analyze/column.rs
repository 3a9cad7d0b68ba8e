//! Columns, whole rows, fields and elements of values.

use std::rc::Rc;

use pg_query::NodeEnum;
use pg_query::protobuf::{AIndices, AIndirection, ColumnRef, Node};

use super::scope::Hit;
use super::types::{INT4, RECORD, RECORD_ARRAY, TEXT};
use super::value::{Column, Given, Row, Value};
use super::walk::{Walker, parts, string};
use crate::sql::catalog::CastContext;
use crate::sql::effect::{FilterKind, Object, ObjectKind};
use crate::sql::lineage::Lineage;
use crate::sql::resolve::{Resolution, Ty};
use crate::sql::statement::Cause;

impl Walker<'_> {
    pub(super) fn column_ref(&mut self, column: &ColumnRef) -> Value {
        let ColumnRef { fields, location: _ } = column;
        match &fields[..] {
            [only] => match string(only) {
                Some(name) => self.lone_column(name),
                None => self.missing(),
            },
            [qualifiers @ .., last] if matches!(last.node, Some(NodeEnum::AStar(_))) => {
                // A whole row: `count(t.*)`, `ROW(t.*)`.
                match parts(qualifiers).as_deref() {
                    Some([name]) => self.whole_row(None, name),
                    Some([.., schema, name]) => self.whole_row(Some(schema), name),
                    _ => None,
                }
                .unwrap_or_else(|| self.missing())
            }
            _ => match parts(fields).as_deref() {
                Some([item, name]) => self.qualified_column(None, item, name),
                Some([.., schema, item, name]) => self.qualified_column(Some(schema), item, name),
                _ => self.missing(),
            },
        }
    }

    fn lone_column(&mut self, name: &str) -> Value {
        if let Some(Hit::Column { level, slot }) = self.find_column(name) {
            return self.column_value(level, slot);
        }
        if let Some(value) = self.argument(name) {
            return value;
        }
        if let Some(value) = self.whole_row(None, name) {
            return value;
        }
        // A system column of the only relation that has such.
        for level in (0..self.levels.len()).rev() {
            let names = self.levels[level].names.clone();
            self.spend(names.len() / 8);
            for item in names {
                let relation = self.levels[level].item(item).map(|item| item.relation);
                if let Some(relation) = relation.filter(|relation| !relation.is_none())
                    && let Some(column) = super::relation::system_column(relation, name)
                {
                    return Value::column(&column);
                }
            }
        }
        self.missing()
    }

    /// The value of a name that means nothing that is known.
    fn missing(&mut self) -> Value {
        self.reads.misses_name();
        Value::unknown()
    }

    fn argument(&self, name: &str) -> Option<Value> {
        self.arguments.as_ref()?.named.get(name).cloned()
    }

    fn whole_row(&mut self, schema: Option<&str>, name: &str) -> Option<Value> {
        match self.find_item(schema, name)? {
            Hit::Item { level, item } => Some(self.item_value(level, item)),
            Hit::Column { .. } => None,
        }
    }

    fn qualified_column(&mut self, schema: Option<&str>, item: &str, name: &str) -> Value {
        if let Some(Hit::Item { level, item }) = self.find_item(schema, item) {
            if let Some(value) = self.item_column(level, item, name) {
                return value;
            }
            let row = self.item_value(level, item);
            return self.attribute_call(row, name);
        }
        if let Some(arguments) = self.arguments.clone()
            && schema.is_none()
        {
            if *arguments.function == *item
                && let Some(value) = arguments.named.get(name)
            {
                return value.clone();
            }
            // A field of a composite variable.
            if let Some(value) = arguments.named.get(item) {
                return self.field(value.clone(), name);
            }
        }
        self.missing()
    }

    /// `row.name` where the row has no such column: a function of that name.
    fn attribute_call(&mut self, row: Value, name: &str) -> Value {
        if self.resolver.is_touched(name) {
            self.opaque(Cause::Function, Object::new(ObjectKind::Function, name));
        }
        match self.resolver.attribute_function(row.ty, name) {
            Resolution::One { oid, result } => {
                let lineage = self.applies(oid, std::slice::from_ref(&row));
                Value {
                    lineage,
                    is_single: false,
                    ..Value::constant(result)
                }
            }
            Resolution::Cast { to } => self.cast_value(row, Ty::Known(to)),
            Resolution::Several { candidates, result } => {
                for oid in candidates {
                    self.applies(oid, std::slice::from_ref(&row));
                }
                Value {
                    ty: result,
                    ..Value::unknown()
                }
            }
            Resolution::Missing => Value::unknown(),
        }
    }

    pub(super) fn indirection(&mut self, indirection: &AIndirection) -> Value {
        let AIndirection { arg, indirection } = indirection;
        let value = self.optional_value(arg.as_deref());
        self.indirect(value, indirection)
    }

    /// Fields and subscripts of a value.
    pub(super) fn indirect(&mut self, mut value: Value, path: &[Node]) -> Value {
        for step in path {
            value = match &step.node {
                Some(NodeEnum::String(name)) => self.field(value, &name.sval),
                Some(NodeEnum::AStar(_)) => value,
                Some(kind @ NodeEnum::AIndices(indices)) => {
                    let lineage = self.subscript(kind);
                    let ty = if indices.is_slice {
                        value.ty
                    } else {
                        self.subscripted(value.ty)
                    };
                    Value {
                        ty,
                        row: value.row.filter(|_| value.ty == Ty::Known(RECORD_ARRAY)),
                        lineage: self.merge(value.lineage, &lineage).derived(),
                        given: Given::Computed,
                        origin: None,
                        ..value
                    }
                }
                _ => {
                    self.unknown("indirection");
                    Value::unknown()
                }
            };
        }
        value
    }

    fn subscripted(&mut self, ty: Ty) -> Ty {
        let Ty::Known(oid) = ty else { return Ty::Uncertain };
        self.uses(oid);
        match self.resolver.element_type(oid) {
            Some(element) => Ty::Known(element),
            // `jsonb` gives `jsonb`; old fixed arrays (`point`, `name`) their element.
            None => match self.world.catalog.type_of(oid) {
                Some(found) if !found.element.is_none() => Ty::Known(found.element),
                _ => ty,
            },
        }
    }

    /// A subscript or slice; gives what chooses the element.
    pub(super) fn subscript(&mut self, kind: &NodeEnum) -> Lineage {
        let NodeEnum::AIndices(indices) = kind else {
            return Lineage::Unknown;
        };
        let AIndices {
            is_slice: _,
            lidx,
            uidx,
        } = &**indices;
        let mut lineage = Lineage::constant();
        for node in [lidx, uidx].into_iter().flatten() {
            let value = self.value(node);
            self.decides(FilterKind::Other, &value);
            // A place in an array, or a key.
            for to in [INT4, TEXT] {
                self.coerces(value.ty, Ty::Known(to), CastContext::Assignment);
            }
            lineage = self.merge(lineage, &value.lineage);
        }
        lineage
    }

    /// Subscripts in the target of an assignment.
    pub(super) fn subscripts(&mut self, path: &[Node]) {
        for step in path {
            match &step.node {
                Some(NodeEnum::String(_) | NodeEnum::AStar(_)) => {}
                Some(kind) => {
                    self.subscript(kind);
                }
                None => self.unknown("indirection"),
            }
        }
    }

    /// A field of a composite value.
    fn field(&mut self, value: Value, name: &str) -> Value {
        let Some(row) = self.row_of(&value) else {
            return if matches!(value.ty, Ty::Known(RECORD)) {
                Value {
                    ty: Ty::Uncertain,
                    lineage: value.lineage.derived(),
                    ..Value::unknown()
                }
            } else {
                self.attribute_call(value, name)
            };
        };
        match row.iter().find(|column| *column.name == *name) {
            Some(column) => Value::column(column),
            None => self.attribute_call(value, name),
        }
    }

    /// The columns of a composite value. What is not known of them one by one comes from the whole.
    pub(super) fn row_of(&mut self, value: &Value) -> Option<Row> {
        if let Some(row) = &value.row {
            return Some(Rc::clone(row));
        }
        let Ty::Known(oid) = value.ty else { return None };
        if oid.is_built_in() {
            return None;
        }
        let relation = self.resolver.row_relation(oid)?;
        let relation = self.world.catalog.relation(relation)?;
        self.spend(relation.columns.len());
        let lineage = value.lineage.clone().derived();
        let columns = relation.columns.iter().map(|column| Column {
            name: (*column.name).into(),
            ty: Ty::Known(column.type_oid),
            lineage: lineage.clone(),
            origin: None,
            row: None,
        });
        Some(columns.collect())
    }
}
