//! What a function does.

use super::super::value::Value;
use super::super::walk::Walker;
use super::Followed;
use super::documents::makes_document;
use crate::sql::catalog::{Behavior, Function, Language, Oid};
use crate::sql::effect::{Action, Effect, EffectFlags, Object, ObjectKind};
use crate::sql::resolve::{Named, Ty};
use crate::sql::settings;
use crate::sql::statement::Cause;

impl<'w> Walker<'w> {
    /// A function runs: its effects by what it is known to do, by its body, or none of both.
    pub(in super::super) fn runs_function(&mut self, oid: Oid, arguments: &[Value]) {
        if self.is_planned {
            // Where an argument differs from row to row, the call is left for the rows.
            if self.stays_a_call(oid) && Value::vary(arguments) {
                return;
            }
            self.is_planned = false;
            self.runs_function(oid, arguments);
            self.is_planned = true;
            return;
        }
        let Some(function) = self.catalog().function(oid) else {
            let object = self.function_named(oid);
            return self.opaque(Cause::Function, object);
        };
        if !oid.is_built_in() && self.implied.printed.is_touched(&function.name) {
            // The session may have given it another body, or this statement before it comes to it.
            let object = self.function_named(oid);
            return self.opaque(Cause::Function, object);
        }
        if arguments.len() < function.arguments.len() {
            for default in &function.default_expressions {
                self.expression_text(default, None);
            }
        }
        self.sees_type(Ty::Known(function.returns));
        for (_, output) in &function.outputs {
            self.sees_type(Ty::Known(*output));
        }
        if let Some(behavior) = function.known {
            self.behaves(function, behavior, arguments);
        } else {
            let lineages = match function.language {
                Language::Sql => arguments.iter().map(|value| value.lineage.clone()).collect(),
                _ => Vec::new(),
            };
            if self.follow(Followed::Function(oid, lineages)) {
                let before = self.sources;
                self.runs_unknown(function, arguments);
                // It is not followed again where a call asks for what it gives.
                if self.sources > before {
                    self.open_functions.insert(oid, true);
                }
            }
        }
        for &part in &function.parts {
            self.runs_support(part);
        }
    }

    /// A function that the server calls by itself, with values that nobody wrote; gives whether it reads.
    pub(super) fn runs_support(&mut self, oid: Oid) -> bool {
        // Support functions that are built in only compute; they are not meant to be called by statements.
        if oid.is_built_in() || oid.is_none() {
            return false;
        }
        self.runs_function(oid, &[]);
        self.open_functions.get(&oid).copied().unwrap_or(false)
    }

    fn runs_unknown(&mut self, function: &'w Function, arguments: &[Value]) {
        if self.is_listed(function) {
            return;
        }
        match (function.language, &function.body) {
            (Language::Sql | Language::Plpgsql, Some(_)) => self.runs_body(function, arguments, Oid::NONE),
            // An aggregate is no more than its parts.
            _ if !function.parts.is_empty() => {}
            _ => {
                let object = self.function_named(function.oid);
                self.opaque(Cause::Function, object);
            }
        }
    }

    /// Whether the configuration takes a function for harmless. What it is in depends on the session where it finds names by
    /// the caller's search path.
    pub(in super::super) fn is_listed(&self, function: &Function) -> bool {
        self.world.listed.contains(&function.oid)
            && (!function.finds_callers_names() || self.finds_usual_names())
    }

    fn behaves(&mut self, function: &'w Function, behavior: Behavior, arguments: &[Value]) {
        let object = self.function_named(function.oid);
        match behavior {
            Behavior::Pure | Behavior::Release => {}
            Behavior::CallsTypes => {
                self.uses_types_of(arguments);
                if makes_document(function) {
                    for argument in arguments {
                        let reads = self.becomes_document(argument);
                        self.documents_read |= reads;
                    }
                }
            }
            Behavior::Metadata => {
                self.uses_types_of(arguments);
                // They ask by a statement of their own.
                let asked: &[&str] = match &*function.name {
                    "pg_get_viewdef" | "pg_get_ruledef" => &["pg_rewrite"],
                    "col_description" => &["pg_description"],
                    "obj_description" => &["pg_description", "pg_class"],
                    "shobj_description" => &["pg_shdescription", "pg_class"],
                    "ts_debug" => &["pg_ts_config", "pg_ts_config_map", "pg_ts_dict"],
                    _ => &[],
                };
                for catalog in asked {
                    let object = Object::in_schema(ObjectKind::Relation, "pg_catalog", catalog);
                    self.add(Effect::new(Action::Read, object).with(EffectFlags::CATALOG));
                }
            }
            Behavior::Sensitive => {
                let flags = EffectFlags::CATALOG | EffectFlags::SENSITIVE;
                self.add(Effect::new(Action::Read, object).with(flags));
            }
            Behavior::Lock => self.act(Action::Lock, Object::new(ObjectKind::AdvisoryLock, "")),
            Behavior::SequenceUpdate => self.on_sequence(Action::Update, arguments),
            Behavior::SequenceRead => self.on_sequence(Action::Read, arguments),
            Behavior::SetConfig => self.sets(object, arguments),
            Behavior::Notify => self.on_argument(Action::Notify, ObjectKind::Channel, arguments),
            Behavior::LargeObjectUse | Behavior::Sleep => self.act(Action::Execute, object),
            Behavior::LargeObjectRead => {
                self.act(Action::Execute, object);
                self.on_argument(Action::Read, ObjectKind::LargeObject, arguments);
            }
            Behavior::LargeObjectCreate => {
                self.act(Action::Execute, object);
                self.on_argument(Action::Create, ObjectKind::LargeObject, arguments);
            }
            Behavior::LargeObjectUpdate => {
                self.act(Action::Execute, object);
                self.on_argument(Action::Update, ObjectKind::LargeObject, arguments);
            }
            Behavior::LargeObjectDelete => {
                self.act(Action::Execute, object);
                self.on_argument(Action::Delete, ObjectKind::LargeObject, arguments);
            }
            Behavior::FileRead | Behavior::FileWrite => {
                self.add(Effect::new(Action::Execute, object).with(EffectFlags::FILE));
                let path = arguments.iter().find_map(Value::as_text).unwrap_or_default();
                self.add(
                    Effect::new(Action::Copy, Object::new(ObjectKind::Path, path)).with(EffectFlags::FILE),
                );
            }
            Behavior::Signal => self.add(Effect::new(Action::Admin, object).with(EffectFlags::OTHER_USER)),
            Behavior::Admin => self.act(Action::Admin, object),
            Behavior::Replicate => self.act(Action::Replicate, object),
            Behavior::Foreign => {
                self.add(Effect::new(Action::Execute, object.clone()).with(EffectFlags::FOREIGN));
                self.opaque(Cause::Code, object);
            }
            Behavior::RunsText => self.runs_text(&function.name, object, arguments),
            Behavior::Opaque => self.opaque(Cause::Function, object),
        }
    }

    /// A function that reads what its first argument names, or runs it.
    fn runs_text(&mut self, name: &str, object: Object, arguments: &[Value]) {
        // `ts_rewrite(query, text)` has the text behind what it rewrites.
        let place = usize::from(name == "ts_rewrite");
        let Some(first) = arguments.get(place) else {
            return self.opaque(Cause::Code, object);
        };
        let Some(text) = first.as_text() else {
            return self.undecided(first, object);
        };
        match name {
            "query_to_xml"
            | "query_to_xmlschema"
            | "query_to_xml_and_xmlschema"
            | "ts_stat"
            | "ts_rewrite" => {
                self.with_runtime_names(|walker| walker.nested_statements(&object, text));
            }
            "table_to_xml" | "table_to_xmlschema" | "table_to_xml_and_xmlschema" => {
                match self.relation_named_late(text) {
                    // A view's query is the binder's to read: as a statement.
                    Named::One(oid)
                        if self
                            .catalog()
                            .relation(oid)
                            .is_some_and(|found| found.query.is_none()) =>
                    {
                        self.read_relation(oid, true);
                        self.uses_all_columns(oid);
                    }
                    Named::One(_) | Named::Several(_) | Named::Missing => self.opaque(Cause::Code, object),
                }
            }
            _ => self.opaque(Cause::Code, object),
        }
    }

    fn uses_types_of(&mut self, arguments: &[Value]) {
        for argument in arguments {
            match argument.ty {
                Ty::Known(_) => self.uses_types_in(argument),
                Ty::Literal | Ty::Parameter => {}
                Ty::Uncertain => self.uses_any_type(),
            }
        }
    }

    /// A value of a type that is not known is shown or compared: it may be any that is not built in.
    pub(in super::super) fn uses_any_type(&mut self) {
        if !self.follow(Followed::AnyType) {
            return;
        }
        let catalog = self.catalog();
        let mut types: Vec<Oid> = catalog.types.keys().copied().collect();
        types.sort_unstable();
        for oid in types {
            self.uses_type(oid);
        }
    }

    /// The object that the first argument names, if it is a constant; any otherwise.
    fn on_argument(&mut self, action: Action, kind: ObjectKind, arguments: &[Value]) {
        let effect = match arguments.first().and_then(Value::as_text) {
            Some(name) => Effect::new(action, Object::new(kind, name)),
            None => Effect::new(action, Object::new(kind, "")).with(EffectFlags::UNCERTAIN),
        };
        self.add(effect);
    }

    fn on_sequence(&mut self, action: Action, arguments: &[Value]) {
        let found = arguments
            .first()
            .and_then(Value::as_text)
            .map(|name| self.relation_named_late(name));
        match found {
            Some(Named::One(oid)) => self.act_on_found(action, oid, EffectFlags::NONE),
            Some(Named::Several(found)) if !found.is_empty() => {
                for oid in found {
                    self.act_on_found(action, oid, EffectFlags::UNCERTAIN);
                }
            }
            // A name without an object is an error.
            _ => self.on_argument(action, ObjectKind::Sequence, arguments),
        }
    }

    /// `set_config(setting, value, is_local)`.
    fn sets(&mut self, function: Object, arguments: &[Value]) {
        match arguments {
            [setting, value, _is_local] => match setting.as_text() {
                Some(setting) => self.add(settings::set_effect(setting, value.as_text())),
                None => self.undecided(setting, function),
            },
            // Named arguments, or a form that the server refuses.
            _ => self.opaque(Cause::Computed, function),
        }
    }
}
