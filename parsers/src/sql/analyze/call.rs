//! Function calls: what each function is known to do.
//!
//! A name on the pure list has no effect of its own. Some functions have effects that are known; every other one is
//! opaque. Names are taken for the built-in functions that they belong to: without a catalog, a user's function that
//! overloads or shadows a pure name cannot be told apart, so the *definition* of such a function is opaque instead
//! (see `definition`).

use pg_query::NodeEnum;
use pg_query::protobuf::{CoercionForm, FuncCall, Node, a_const};

use super::walk::{Walker, named};
use crate::sql::builtin;
use crate::sql::effect::{Action, EffectFlags, Object, ObjectKind};
use crate::sql::pure;
use crate::sql::settings;
use crate::sql::statement::Cause;

impl Walker<'_> {
    pub(super) fn call(&mut self, call: &FuncCall) {
        let FuncCall {
            funcname,
            args,
            agg_order,
            agg_filter,
            over,
            agg_within_group: _,
            agg_star: _,
            agg_distinct: _,
            func_variadic: _,
            funcformat,
            location: _,
        } = call;
        self.nodes(args);
        self.nodes(agg_order);
        self.optional(agg_filter.as_deref());
        if let Some(window) = over {
            self.window(window);
        }
        let function = named(ObjectKind::Function, funcname);
        // `NORMALIZE(x)` is written without a schema, although the grammar names one.
        let sugar = &*function.name == "normalize" && *funcformat == CoercionForm::CoerceSqlSyntax as i32;
        let qualified = match function.schema.as_deref() {
            None => false,
            Some("pg_catalog") => true,
            // Helpers of the standard's views, which drivers call too.
            Some("information_schema") if function.name.starts_with("_pg_") => return,
            Some(_) => return self.opaque(Cause::Function, function),
        };
        if pure::is_pure(&function.name, qualified && !sugar, self.server_major())
            || builtin::is_type(None, &function.name)
        {
            return;
        }
        self.known_call(function, args);
    }

    /// The effects of a built-in function that is more than reading.
    fn known_call(&mut self, function: Object, args: &[Node]) {
        let name = &*function.name;
        match name {
            "set_config" => self.set_config(function, args),
            "nextval" | "setval" => self.act(Action::Update, constant_object(ObjectKind::Sequence, args)),
            "currval" | "lastval" => self.act(Action::Read, constant_object(ObjectKind::Sequence, args)),
            "pg_notify" => self.act(Action::Notify, constant_object(ObjectKind::Channel, args)),
            // A session gives back what it took.
            "pg_advisory_unlock" | "pg_advisory_unlock_all" | "pg_advisory_unlock_shared" => {}
            "pg_advisory_lock"
            | "pg_advisory_lock_shared"
            | "pg_advisory_xact_lock"
            | "pg_advisory_xact_lock_shared"
            | "pg_try_advisory_lock"
            | "pg_try_advisory_lock_shared"
            | "pg_try_advisory_xact_lock"
            | "pg_try_advisory_xact_lock_shared" => {
                self.act(Action::Lock, Object::new(ObjectKind::AdvisoryLock, ""));
            }
            "lo_open" | "lo_close" | "lo_lseek" | "lo_lseek64" | "lo_tell" | "lo_tell64" => {
                self.act(Action::Execute, function);
            }
            "lo_get" | "loread" => {
                self.act(Action::Execute, function);
                self.act(Action::Read, constant_object(ObjectKind::LargeObject, args));
            }
            "lo_creat" | "lo_create" | "lo_from_bytea" => {
                self.act(Action::Execute, function);
                self.act(Action::Create, constant_object(ObjectKind::LargeObject, args));
            }
            "lo_put" | "lowrite" | "lo_truncate" | "lo_truncate64" => {
                self.act(Action::Execute, function);
                self.act(Action::Update, constant_object(ObjectKind::LargeObject, args));
            }
            "lo_unlink" => {
                self.act(Action::Execute, function);
                self.act(Action::Delete, constant_object(ObjectKind::LargeObject, args));
            }
            "pg_cancel_backend" | "pg_terminate_backend" => {
                self.add(
                    crate::sql::effect::Effect::new(Action::Admin, function).with(EffectFlags::OTHER_USER),
                );
            }
            "pg_reload_conf"
            | "pg_rotate_logfile"
            | "pg_switch_wal"
            | "pg_promote"
            | "pg_create_restore_point" => {
                self.act(Action::Admin, function);
            }
            _ => self.opaque(Cause::Function, function),
        }
    }

    fn set_config(&mut self, function: Object, args: &[Node]) {
        match args {
            [setting, value, _local] => match constant(setting) {
                Some(setting) => self.add(settings::set_effect(&setting, constant(value).as_deref())),
                None => self.opaque(Cause::Computed, function),
            },
            // Named arguments, or a form that the server refuses.
            _ => self.opaque(Cause::Computed, function),
        }
    }
}

/// The object that the first argument names, if it is a constant.
fn constant_object(kind: ObjectKind, args: &[Node]) -> Object {
    Object::new(kind, args.first().and_then(constant).unwrap_or_default())
}

/// The value of a constant, also of one that is cast to a plain type or to a `reg` type.
fn constant(node: &Node) -> Option<String> {
    match &node.node {
        Some(NodeEnum::AConst(constant)) => match constant.val.as_ref()? {
            a_const::Val::Sval(text) => Some(text.sval.clone()),
            a_const::Val::Ival(number) => Some(number.ival.to_string()),
            a_const::Val::Fval(number) => Some(number.fval.clone()),
            a_const::Val::Boolval(boolean) => Some(boolean.boolval.to_string()),
            a_const::Val::Bsval(_) => None,
        },
        Some(NodeEnum::TypeCast(cast)) => {
            let name = cast.type_name.as_ref()?;
            builtin::is_name_type(name)
                .then(|| cast.arg.as_deref().and_then(constant))
                .flatten()
        }
        _ => None,
    }
}
