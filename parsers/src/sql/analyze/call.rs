//! Function calls: which function is meant, what it runs and where its result comes from.

use std::borrow::Cow;

use pg_query::NodeEnum;
use pg_query::protobuf::{CoercionForm, FuncCall, Node};
use smallvec::SmallVec;

use super::value::{Given, Value};
use super::walk::{Walker, named, parts};
use crate::sql::catalog::{Behavior, CastContext, FunctionKind, Language, Oid, Volatility};
use crate::sql::effect::{FilterKind, Object, ObjectKind};
use crate::sql::lineage::Lineage;
use crate::sql::resolve::{Call, CallKind, Named, Resolution, Ty};
use crate::sql::statement::Cause;

/// The columns that a function declares.
pub(super) type Outputs = Option<Vec<(Box<str>, Ty)>>;

impl Walker<'_> {
    pub(super) fn call(&mut self, call: &FuncCall) -> Value {
        self.call_with_columns(call).0
    }

    /// A call, and the columns that its function declares.
    pub(super) fn call_with_columns(&mut self, call: &FuncCall) -> (Value, Outputs) {
        let FuncCall {
            funcname,
            args,
            agg_order,
            agg_filter,
            over,
            agg_within_group,
            agg_star: _,
            agg_distinct,
            func_variadic,
            funcformat,
            location: _,
        } = call;
        let mut values = self.value_list(args);
        let names: SmallVec<[Option<&str>; 8]> = args.iter().map(argument_name).collect();
        if *agg_distinct {
            for value in &values {
                self.uses_types_in(value);
            }
        }
        for node in agg_order {
            let value = self.value(node);
            if *agg_within_group {
                values.push(value);
            }
        }
        if let Some(filter) = agg_filter {
            let value = self.value(filter);
            self.decides(FilterKind::Aggregate, &value);
        }
        if let Some(window) = over {
            self.window(window);
        }
        let function = named(ObjectKind::Function, funcname);
        // `NORMALIZE(x)` is written without a schema, although the grammar names one.
        let is_sugar = &*function.name == "normalize" && *funcformat == CoercionForm::CoerceSqlSyntax as i32;
        let (schema, name) = match parts(funcname).as_deref() {
            Some([name]) => (None, *name),
            Some([_, name]) if is_sugar && self.server_major() < 13 => (None, *name),
            Some([schema, name]) => (Some(*schema), *name),
            Some([database, schema, name]) if *database == &*self.world.catalog.database => {
                (Some(*schema), *name)
            }
            _ => {
                self.opaque(Cause::Function, function);
                return (Value::unknown(), None);
            }
        };
        let types: SmallVec<[Ty; 8]> = values.iter().map(|value| value.ty).collect();
        let call = Call {
            schema,
            name,
            arguments: &types,
            names: &names,
            variadic: *func_variadic,
            kind: CallKind::Function,
        };
        self.resolved_call(&call, &values, function)
    }

    fn resolved_call(&mut self, call: &Call<'_>, values: &[Value], function: Object) -> (Value, Outputs) {
        match self.resolver.functions(call) {
            Resolution::One { oid, result } => {
                let lineage = self.applies_call(oid, call, values);
                let outputs = self.resolver.output_columns(oid, call.arguments);
                (self.result(oid, result, lineage, values), outputs)
            }
            Resolution::Cast { to } => match values {
                [value] => (self.cast_value(value.clone(), Ty::Known(to)), None),
                _ => (Value::unknown(), None),
            },
            Resolution::Several { candidates, result } => {
                let mut lineage = Lineage::constant();
                for &oid in &candidates {
                    let own = self.applies_call(oid, call, values);
                    lineage = self.merge(lineage, &own);
                }
                let mut may_be_other = candidates.is_empty() || self.resolver.is_touched(call.name);
                match self.resolver.cast_notation(call) {
                    Named::One(to) => {
                        self.uses(to);
                        may_be_other = false;
                        if let [value] = values {
                            let reads = self.coerces(value.ty, Ty::Known(to), CastContext::Explicit);
                            lineage = self.merge(lineage, &value.lineage);
                            lineage = if reads { Lineage::Unknown } else { lineage };
                        }
                    }
                    Named::Several(types) => {
                        for to in types {
                            self.uses(to);
                        }
                    }
                    Named::Missing => {}
                }
                if may_be_other || self.resolver.is_touched(call.name) {
                    self.opaque(Cause::Function, function);
                    lineage = Lineage::Unknown;
                }
                let value = Value {
                    lineage: lineage.derived(),
                    is_single: false,
                    ..Value::constant(result)
                };
                (value, None)
            }
            Resolution::Missing => {
                // `name(row)` is `row.name`.
                if let (None, [row]) = (call.schema, values)
                    && let Some(columns) = self.row_of(row)
                    && let Some(column) = columns.iter().find(|column| *column.name == *call.name)
                {
                    return (Value::column(column), None);
                }
                self.opaque(Cause::Function, function);
                (Value::unknown(), None)
            }
        }
    }

    fn result(&mut self, oid: Oid, ty: Ty, lineage: Lineage, values: &[Value]) -> Value {
        let function = self.world.catalog.function(oid);
        let is_plain = function.is_some_and(|function| {
            function.kind == FunctionKind::Plain
                && !function.returns_set
                && function.known.is_some()
                // Another value in every row is not one value.
                && function.volatility != Volatility::Volatile
        });
        Value {
            lineage,
            varies: self.stays_a_call(oid) && Value::vary(values),
            is_single: is_plain && values.iter().all(|value| value.is_single),
            is_reported: values
                .iter()
                .all(|value| value.is_reported || value.is_constant()),
            ..Value::constant(ty)
        }
    }

    /// Whether a planner does not put anything else in the place of a call whose arguments vary.
    pub(super) fn stays_a_call(&self, oid: Oid) -> bool {
        let function = self.world.catalog.function(oid);
        function.is_some_and(|function| {
            function.kind == FunctionKind::Plain
                && matches!(
                    function.language,
                    Language::Internal | Language::C | Language::Plpgsql
                )
        })
    }

    /// The arguments in the order of the function's declaration, with the defaults of those that are left out by name.
    /// Where the order is not known, none is a constant.
    fn as_declared<'v>(&mut self, oid: Oid, call: &Call<'_>, values: &'v [Value]) -> Cow<'v, [Value]> {
        if call.names.iter().all(Option::is_none) {
            return Cow::Borrowed(values);
        }
        let declared = self.world.catalog.function(oid);
        let names = declared.map_or(&[][..], |function| &function.argument_names);
        let width = declared
            .map_or(0, |function| function.arguments.len())
            .max(values.len());
        let mut ordered: Vec<Option<Value>> = vec![None; width];
        for (index, value) in values.iter().enumerate() {
            let place = match call.names.get(index).copied().flatten() {
                Some(name) => names.iter().position(|declared| **declared == *name),
                None => Some(index),
            };
            let Some(slot) = place.and_then(|place| ordered.get_mut(place)) else {
                for expression in declared.map_or(&[][..], |function| &function.default_expressions) {
                    self.expression_text(expression, None);
                }
                let unordered = values.iter().cloned().map(|value| Value {
                    given: Given::Computed,
                    ..value
                });
                return unordered.collect();
            };
            *slot = Some(value.clone());
        }
        let defaults = declared.map_or(&[][..], |function| &function.default_expressions);
        let first = width.saturating_sub(defaults.len());
        let ordered = ordered.into_iter().enumerate().map(|(index, given)| {
            let default = index.checked_sub(first).and_then(|index| defaults.get(index));
            match (given, default) {
                (Some(value), _) => value,
                (None, Some(expression)) => self.default_value(expression),
                (None, None) => Value::constant(Ty::Literal),
            }
        });
        Cow::Owned(ordered.collect())
    }

    /// What an expression of the catalog gives that stands in the place of an argument.
    fn default_value(&mut self, expression: &str) -> Value {
        let before = self.sources;
        let lineage = self.expression_text(expression, None);
        Value {
            lineage: if self.sources > before {
                Lineage::Unknown
            } else {
                lineage
            },
            ..Value::unknown()
        }
    }

    fn applies_call(&mut self, oid: Oid, call: &Call<'_>, values: &[Value]) -> Lineage {
        let reads = self.converts_arguments(oid, call, values);
        let ordered = self.as_declared(oid, call, values);
        let lineage = self.applies(oid, &ordered);
        if reads { Lineage::Unknown } else { lineage }
    }

    /// What runs where arguments become what the function takes; gives whether it reads.
    fn converts_arguments(&mut self, oid: Oid, call: &Call<'_>, values: &[Value]) -> bool {
        let is_of_server = |ty: &Ty| match ty {
            Ty::Known(oid) => oid.is_built_in(),
            Ty::Literal | Ty::Parameter | Ty::Uncertain => true,
        };
        if values.is_empty() || (oid.is_built_in() && call.arguments.iter().all(is_of_server)) {
            return false;
        }
        let targets = self.resolver.argument_types(oid, call);
        let mut reads = false;
        for (value, to) in values.iter().zip(targets) {
            reads |= self.coerces_value(value, to, CastContext::Implicit);
        }
        reads
    }

    /// The effects of a function, and where its result comes from.
    pub(super) fn applies(&mut self, oid: Oid, values: &[Value]) -> Lineage {
        if self.plans_only && !self.is_planned && self.waits_for_execution(oid) {
            return Lineage::Unknown;
        }
        let function = self.world.catalog.function(oid);
        let known = function.and_then(|function| function.known);
        let gathers = function
            .is_some_and(|function| matches!(function.kind, FunctionKind::Aggregate | FunctionKind::Window));
        for value in values {
            if gathers {
                self.filters(FilterKind::Aggregate, &value.lineage);
            }
            // How many rows there are tells what it was given.
            if function.is_some_and(|function| function.returns_set) {
                self.filters(FilterKind::Limit, &value.lineage);
            }
            if known.is_some_and(is_sink) {
                self.leaks(&value.lineage);
            }
        }
        if !self.only_computes(oid, known, values) {
            return Lineage::Unknown;
        }
        let mut lineage = Lineage::constant();
        for value in values {
            lineage = self.merge(lineage, &value.lineage);
        }
        lineage.derived()
    }

    /// Runs a function; whether its result comes from nothing but its arguments.
    pub(super) fn only_computes(&mut self, oid: Oid, known: Option<Behavior>, values: &[Value]) -> bool {
        if let Some(behavior) = known {
            let outside = std::mem::take(&mut self.documents_read);
            self.runs_function(oid, values);
            let is_closed = computes(behavior) && !self.documents_read;
            self.documents_read |= outside;
            self.sources += usize::from(!is_closed);
            return is_closed;
        }
        // A body is followed once; what it read counts for every call.
        let before = self.sources;
        self.runs_function(oid, values);
        let reads = self.sources > before;
        let open = self.open_functions.entry(oid).or_insert(reads);
        *open |= reads;
        let is_closed = !*open;
        if !is_closed && self.is_folded(oid, values) {
            self.folds = true;
            if self.explains {
                self.leaks(&Lineage::Unknown);
            }
        }
        self.sources += usize::from(!is_closed);
        is_closed
    }

    /// Whether a call is of no concern to planning: it is volatile, so that it is not folded, and has no query that could
    /// stand in its place.
    fn waits_for_execution(&self, oid: Oid) -> bool {
        let function = self.world.catalog.function(oid);
        function.is_some_and(|function| {
            function.kind == FunctionKind::Plain
                && function.volatility == Volatility::Volatile
                && (function.known.is_some() && oid.is_built_in() || function.language == Language::Plpgsql)
                && !self.resolver.is_touched(&function.name)
        })
    }

    /// Whether planning puts what a function gives in the place of its call, where EXPLAIN shows it.
    fn is_folded(&self, oid: Oid, values: &[Value]) -> bool {
        let function = self.world.catalog.function(oid);
        function.is_some_and(|function| function.volatility == Volatility::Immutable)
            && values.iter().all(Value::is_constant)
    }
}

/// Whether what a function is given can be read back elsewhere: a setting, a lock's key, a delay.
const fn is_sink(behavior: Behavior) -> bool {
    !matches!(
        behavior,
        Behavior::Pure
            | Behavior::CallsTypes
            | Behavior::Metadata
            | Behavior::Sensitive
            | Behavior::Release
            | Behavior::SequenceRead
    )
}

/// Whether a function's result comes from its arguments, from metadata or from nothing.
const fn computes(behavior: Behavior) -> bool {
    !matches!(
        behavior,
        Behavior::RunsText
            | Behavior::Opaque
            | Behavior::Sensitive
            | Behavior::LargeObjectRead
            | Behavior::FileRead
            | Behavior::Foreign
            | Behavior::Replicate
    )
}

fn argument_name(node: &Node) -> Option<&str> {
    match &node.node {
        Some(NodeEnum::NamedArgExpr(named)) => Some(&named.name),
        _ => None,
    }
}

impl Value {
    /// The value after a cast that may change what is written.
    #[must_use]
    pub(super) fn computed_from(self) -> Self {
        Self {
            given: match self.given {
                Given::Text(_) => Given::Computed,
                other => other,
            },
            ..self
        }
    }
}
