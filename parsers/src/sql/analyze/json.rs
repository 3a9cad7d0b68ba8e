//! JSON and XML constructors, queries and tests.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    JsonAggConstructor, JsonArgument, JsonArrayAgg, JsonArrayConstructor, JsonArrayQueryConstructor,
    JsonBehavior, JsonExprOp, JsonFuncExpr, JsonIsPredicate, JsonKeyValue, JsonObjectAgg,
    JsonObjectConstructor, JsonOutput, JsonParseExpr, JsonScalarExpr, JsonSerializeExpr, JsonTablePathSpec,
    JsonValueExpr, XmlExpr, XmlExprOp, XmlSerialize,
};

use super::types::{BOOL, JSON, JSONB, TEXT, XML};
use super::value::Value;
use super::walk::Walker;
use crate::sql::catalog::CastContext;
use crate::sql::effect::FilterKind;
use crate::sql::resolve::Ty;

impl Walker<'_> {
    /// Walks an expression that makes or reads a document; none if the node is none.
    pub(super) fn document(&mut self, kind: &NodeEnum) -> Option<Value> {
        Some(match kind {
            NodeEnum::XmlExpr(xml) => self.xml(xml),
            NodeEnum::XmlSerialize(xml) => {
                let XmlSerialize {
                    xmloption: _,
                    expr,
                    type_name,
                    indent: _,
                    location: _,
                } = &**xml;
                let value = self.optional_value(expr.as_deref());
                let ty = match type_name {
                    Some(name) => self.type_name(name),
                    None => Ty::Uncertain,
                };
                self.computed(ty, &[value])
            }
            NodeEnum::JsonValueExpr(value) => self.json_value(Some(value)),
            NodeEnum::JsonOutput(output) => Value::constant(self.json_output(Some(output), JSON)),
            NodeEnum::JsonBehavior(behavior) => {
                self.json_behavior(Some(behavior));
                Value::constant(Ty::Literal)
            }
            NodeEnum::JsonArgument(argument) => {
                let JsonArgument { val, name: _ } = &**argument;
                self.json_value(val.as_deref())
            }
            NodeEnum::JsonKeyValue(pair) => self.json_pair(Some(pair)),
            NodeEnum::JsonIsPredicate(test) => {
                let JsonIsPredicate {
                    expr,
                    format: _,
                    item_type: _,
                    unique_keys: _,
                    location: _,
                } = &**test;
                let value = self.optional_value(expr.as_deref());
                self.decides(FilterKind::Other, &value);
                self.prints(&value);
                self.computed(Ty::Known(BOOL), &[value])
            }
            NodeEnum::JsonFuncExpr(call) => self.json_query(call),
            NodeEnum::JsonTablePathSpec(path) => {
                self.json_path(Some(path));
                Value::constant(Ty::Literal)
            }
            NodeEnum::JsonParseExpr(parse) => {
                self.form_since(17, "json");
                let JsonParseExpr {
                    expr,
                    output,
                    unique_keys: _,
                    location: _,
                } = &**parse;
                let value = self.json_value(expr.as_deref());
                self.json_made(output.as_ref(), JSON, &[value])
            }
            NodeEnum::JsonScalarExpr(scalar) => {
                self.form_since(17, "json_scalar");
                let JsonScalarExpr {
                    expr,
                    output,
                    location: _,
                } = &**scalar;
                let value = self.optional_value(expr.as_deref());
                self.json_made(output.as_ref(), JSON, &[value])
            }
            NodeEnum::JsonSerializeExpr(serialize) => {
                self.form_since(17, "json_serialize");
                let JsonSerializeExpr {
                    expr,
                    output,
                    location: _,
                } = &**serialize;
                let value = self.json_value(expr.as_deref());
                self.json_made(output.as_ref(), TEXT, &[value])
            }
            NodeEnum::JsonObjectConstructor(object) => {
                let JsonObjectConstructor {
                    exprs,
                    output,
                    absent_on_null: _,
                    unique: _,
                    location: _,
                } = object;
                if exprs.is_empty() {
                    self.form_since(16, "json_object");
                }
                let values = self.value_list(exprs);
                self.json_made(output.as_ref(), JSON, &values)
            }
            NodeEnum::JsonArrayConstructor(array) => {
                self.form_since(16, "json_array");
                let JsonArrayConstructor {
                    exprs,
                    output,
                    absent_on_null: _,
                    location: _,
                } = array;
                let values = self.value_list(exprs);
                self.json_made(output.as_ref(), JSON, &values)
            }
            NodeEnum::JsonArrayQueryConstructor(array) => {
                let JsonArrayQueryConstructor {
                    query,
                    output,
                    format: _,
                    absent_on_null: _,
                    location: _,
                } = &**array;
                let columns = self.query(query.as_deref());
                let values: Vec<Value> = columns.iter().map(Value::column).collect();
                self.json_made(output.as_ref(), JSON, &values)
            }
            NodeEnum::JsonObjectAgg(aggregate) => {
                let JsonObjectAgg {
                    constructor,
                    arg,
                    absent_on_null: _,
                    unique: _,
                } = &**aggregate;
                let value = self.json_pair(arg.as_deref());
                self.json_aggregate(constructor.as_deref(), value)
            }
            NodeEnum::JsonArrayAgg(aggregate) => {
                self.form_since(16, "json_arrayagg");
                let JsonArrayAgg {
                    constructor,
                    arg,
                    absent_on_null: _,
                } = &**aggregate;
                let value = self.json_value(arg.as_deref());
                self.json_aggregate(constructor.as_deref(), value)
            }
            _ => return None,
        })
    }

    fn xml(&mut self, xml: &XmlExpr) -> Value {
        let XmlExpr {
            xpr: _,
            op,
            name: _,
            named_args,
            arg_names,
            args,
            xmloption: _,
            indent: _,
            r#type: _,
            typmod: _,
            location: _,
        } = xml;
        let mut values = self.value_list(named_args);
        self.nodes(arg_names);
        // The grammar leaves gaps.
        for node in args.iter().filter(|node| node.node.is_some()) {
            values.push(self.value(node));
        }
        for value in &values {
            self.prints(value);
        }
        let ty = if *op == XmlExprOp::IsDocument as i32 {
            BOOL
        } else {
            XML
        };
        self.computed(Ty::Known(ty), &values)
    }

    fn json_query(&mut self, call: &JsonFuncExpr) -> Value {
        // JSON_VALUE, JSON_QUERY or JSON_EXISTS.
        self.form_since(17, "json_value");
        let JsonFuncExpr {
            op,
            column_name: _,
            context_item,
            pathspec,
            passing,
            output,
            on_empty,
            on_error,
            wrapper: _,
            quotes: _,
            location: _,
        } = call;
        let mut values = vec![self.json_value(context_item.as_deref())];
        values.push(self.optional_value(pathspec.as_deref()));
        values.extend(self.value_list(passing));
        for behavior in [on_empty, on_error] {
            if let Some(value) = self.json_behavior(behavior.as_deref()) {
                values.push(value);
            }
        }
        let by_default = match JsonExprOp::try_from(*op) {
            Ok(JsonExprOp::JsonExistsOp) => BOOL,
            Ok(JsonExprOp::JsonValueOp) => TEXT,
            _ => JSONB,
        };
        if by_default == BOOL {
            for value in &values {
                self.decides(FilterKind::Other, value);
            }
        }
        self.json_made(output.as_ref(), by_default, &values)
    }

    /// A document of these values: their types' output functions and casts run.
    fn json_made(
        &mut self,
        output: Option<&JsonOutput>,
        by_default: crate::sql::catalog::Oid,
        values: &[Value],
    ) -> Value {
        for value in values {
            self.in_document(value);
        }
        let ty = self.json_output(output, by_default);
        if output.is_some() {
            for from in [JSON, JSONB, TEXT] {
                self.coerces(Ty::Known(from), ty, CastContext::Explicit);
            }
        }
        self.computed(ty, values)
    }

    /// A value becomes part of a document, by a cast of its type or as text.
    fn in_document(&mut self, value: &Value) {
        self.prints(value);
        let mut reads = self.becomes_document(value);
        for to in [JSON, JSONB, TEXT] {
            reads |= self.coerces(value.ty, Ty::Known(to), CastContext::Explicit);
        }
        self.documents_read |= reads;
    }

    /// A value becomes text.
    fn prints(&mut self, value: &Value) {
        self.uses_types_in(value);
    }

    pub(super) fn json_value(&mut self, value: Option<&JsonValueExpr>) -> Value {
        let Some(JsonValueExpr {
            raw_expr,
            formatted_expr,
            format: _,
        }) = value
        else {
            return Value::constant(Ty::Literal);
        };
        self.optional(formatted_expr.as_deref());
        self.optional_value(raw_expr.as_deref())
    }

    fn json_output(&mut self, output: Option<&JsonOutput>, by_default: crate::sql::catalog::Oid) -> Ty {
        match output {
            Some(JsonOutput {
                type_name: Some(name),
                returning: _,
            }) => self.type_name(name),
            _ => Ty::Known(by_default),
        }
    }

    pub(super) fn json_behavior(&mut self, behavior: Option<&JsonBehavior>) -> Option<Value> {
        let JsonBehavior {
            btype: _,
            expr,
            coerce: _,
            location: _,
        } = behavior?;
        expr.as_deref().map(|node| self.value(node))
    }

    pub(super) fn json_path(&mut self, path: Option<&JsonTablePathSpec>) {
        if let Some(JsonTablePathSpec {
            string,
            name: _,
            name_location: _,
            location: _,
        }) = path
        {
            self.optional(string.as_deref());
        }
    }

    fn json_pair(&mut self, pair: Option<&JsonKeyValue>) -> Value {
        let Some(JsonKeyValue { key, value }) = pair else {
            return Value::constant(Ty::Literal);
        };
        let key = self.optional_value(key.as_deref());
        let value = self.json_value(value.as_deref());
        self.in_document(&key);
        self.in_document(&value);
        self.computed(Ty::Known(JSON), &[key, value])
    }

    fn json_aggregate(&mut self, constructor: Option<&JsonAggConstructor>, value: Value) -> Value {
        self.filters(FilterKind::Aggregate, &value.lineage);
        let mut output = None;
        if let Some(JsonAggConstructor {
            output: own,
            agg_filter,
            agg_order,
            over,
            location: _,
        }) = constructor
        {
            output = own.as_ref();
            if let Some(filter) = agg_filter {
                let value = self.value(filter);
                self.decides(FilterKind::Aggregate, &value);
            }
            self.nodes(agg_order);
            if let Some(window) = over {
                self.window(window);
            }
        }
        let made = self.json_made(output, JSON, &[value]);
        Value {
            is_single: false,
            ..made
        }
    }

    /// A form of the grammar that reads like a call: before its version it calls the function of that name.
    pub(super) fn form_since(&mut self, server_major: u8, name: &str) {
        use crate::sql::effect::{Object, ObjectKind};
        if self.server_major() < server_major {
            self.opaque(
                crate::sql::statement::Cause::Function,
                Object::new(ObjectKind::Function, name),
            );
        }
    }
}
