//! Functions, types, operators, schemas, extensions and other objects, and what changes any of them.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    CreateCastStmt, CreateFunctionStmt, CreateSchemaStmt, DefineStmt, DropBehavior, Node, ObjectType,
    RangeVar, RenameStmt, TypeName,
};

use super::super::relation::object;
use super::super::walk::{Walker, named, relation_object, string};
use super::{is_relation, kind_of};
use crate::sql::catalog::Found;
use crate::sql::effect::{Action, Effect, EffectFlags, Object, ObjectKind};
use crate::sql::statement::Cause;

impl Walker<'_> {
    pub(super) fn object_definition(&mut self, kind: &NodeEnum) -> bool {
        match kind {
            NodeEnum::CreateFunctionStmt(create) => self.create_function(create),
            NodeEnum::CreateSchemaStmt(create) => self.create_schema(create),
            NodeEnum::CreateDomainStmt(create) => {
                self.creates_type(&create.domainname);
                self.defined_type(create.type_name.as_ref());
                self.over(&[], |walker| walker.nodes(&create.constraints));
            }
            NodeEnum::CompositeTypeStmt(create) => {
                self.creates(ObjectKind::Type, create.typevar.as_ref());
                self.nodes(&create.coldeflist);
            }
            NodeEnum::CreateEnumStmt(create) => self.creates_type(&create.type_name),
            NodeEnum::CreateRangeStmt(create) => {
                self.creates_type(&create.type_name);
                // It comes with a multirange type and constructors, whose names may be computed.
                self.touches.everything();
            }
            NodeEnum::DefineStmt(define) => self.define(define),
            NodeEnum::CreateCastStmt(create) => self.create_cast(create),
            NodeEnum::CreateTransformStmt(create) => {
                self.act(
                    Action::Create,
                    Object::new(ObjectKind::Other, create.lang.as_str()),
                );
            }
            NodeEnum::CreateConversionStmt(create) => {
                // The server tries the function, and later runs it over every text of a client.
                self.code(Action::Create, named(ObjectKind::Other, &create.conversion_name));
            }
            NodeEnum::CreateOpClassStmt(create) => {
                self.act(Action::Create, named(ObjectKind::Other, &create.opclassname));
                self.touches.everything();
            }
            NodeEnum::CreateOpFamilyStmt(create) => {
                self.act(Action::Create, named(ObjectKind::Other, &create.opfamilyname));
            }
            NodeEnum::CreatePlangStmt(create) => {
                self.code(
                    Action::Create,
                    Object::new(ObjectKind::Other, create.plname.as_str()),
                );
            }
            NodeEnum::CreateAmStmt(create) => {
                self.code(
                    Action::Create,
                    Object::new(ObjectKind::Other, create.amname.as_str()),
                );
            }
            NodeEnum::CreateEventTrigStmt(create) => {
                self.act(
                    Action::Create,
                    Object::new(ObjectKind::Other, create.trigname.as_str()),
                );
                self.attaches(&create.funcname, &[]);
                self.touches.everything();
            }
            NodeEnum::CreateExtensionStmt(create) => {
                self.code(
                    Action::Create,
                    Object::new(ObjectKind::Extension, create.extname.as_str()),
                );
            }
            _ => return false,
        }
        true
    }

    fn create_schema(&mut self, create: &CreateSchemaStmt) {
        let CreateSchemaStmt {
            schemaname,
            authrole,
            schema_elts,
            if_not_exists: _,
        } = create;
        let name = if schemaname.is_empty() {
            authrole.as_ref().and_then(|owner| self.name_of_role(owner))
        } else {
            Some(schemaname.as_str())
        };
        let object = Object::new(ObjectKind::Schema, name.unwrap_or_default());
        if object.name.is_empty() {
            self.touches.everything();
            self.add(Effect::new(Action::Create, object).with(EffectFlags::UNCERTAIN));
        } else {
            // Of what is in the search path, only objects made in it later can mean something else.
            self.touches.name(&object.name);
            self.act(Action::Create, object);
        }
        self.nodes(schema_elts);
    }

    /// ALTER of anything but tables and what belongs to them.
    pub(super) fn object_change(&mut self, kind: &NodeEnum) -> bool {
        let none = EffectFlags::NONE;
        match kind {
            NodeEnum::AlterFunctionStmt(alter) => {
                let names = alter.func.as_ref().map_or(&[][..], |function| &function.objname);
                self.alters(named(ObjectKind::Function, names));
            }
            NodeEnum::AlterDomainStmt(alter) => {
                let object = named(ObjectKind::Type, &alter.type_name);
                if alter.behavior == DropBehavior::DropCascade as i32 {
                    self.touches.everything();
                }
                self.alters(object);
                if let Some(def) = &alter.def {
                    // A new check looks through every table that has a column of the domain.
                    self.over(&[], |walker| walker.node(def));
                    self.act(Action::Read, named(ObjectKind::Type, &alter.type_name));
                }
            }
            NodeEnum::AlterEnumStmt(alter) => self.alters(named(ObjectKind::Type, &alter.type_name)),
            NodeEnum::AlterTypeStmt(alter) => self.alters(named(ObjectKind::Type, &alter.type_name)),
            NodeEnum::AlterOperatorStmt(alter) => {
                let names = alter.opername.as_ref().map_or(&[][..], |found| &found.objname);
                self.alters(named(ObjectKind::Operator, names));
            }
            NodeEnum::AlterOpFamilyStmt(alter) => {
                self.alters(named(ObjectKind::Other, &alter.opfamilyname));
                self.touches.everything();
            }
            NodeEnum::AlterEventTrigStmt(alter) => {
                self.act(
                    Action::Alter,
                    Object::new(ObjectKind::Other, alter.trigname.as_str()),
                );
                self.touches.everything();
            }
            NodeEnum::AlterExtensionStmt(alter) => {
                self.code(
                    Action::Alter,
                    Object::new(ObjectKind::Extension, alter.extname.as_str()),
                );
            }
            NodeEnum::AlterExtensionContentsStmt(alter) => {
                self.act(
                    Action::Alter,
                    Object::new(ObjectKind::Extension, alter.extname.as_str()),
                );
                // A member of an extension with a shipped list is taken for what the list says.
                self.touches.everything();
            }
            NodeEnum::AlterCollationStmt(alter) => self.alters(named(ObjectKind::Other, &alter.collname)),
            NodeEnum::AlterTsdictionaryStmt(alter) => {
                let object = named(ObjectKind::Other, &alter.dictname);
                self.add(Effect::new(Action::Alter, object).with(EffectFlags::FILE));
            }
            NodeEnum::AlterTsconfigurationStmt(alter) => {
                self.alters(named(ObjectKind::Other, &alter.cfgname));
            }
            NodeEnum::RenameStmt(rename) => {
                self.changes_object(
                    Action::Alter,
                    rename.rename_type,
                    rename.relation.as_ref(),
                    rename.object.as_deref(),
                    none,
                );
                self.touches.name(&rename.subname);
                self.touches.name_of_type(&rename.newname);
                self.moved(rename.rename_type);
                self.takes_out_renamed(rename);
                self.names_anew(rename);
            }
            NodeEnum::AlterObjectSchemaStmt(alter) => {
                self.changes_object(
                    Action::Alter,
                    alter.object_type,
                    alter.relation.as_ref(),
                    alter.object.as_deref(),
                    none,
                );
                self.moved(alter.object_type);
                self.takes_out_relation(alter.relation.as_ref(), None);
                if let Some(relation) = &alter.relation {
                    let found = self.relations(relation).oids;
                    self.comes_into_being(&found, relation, Some(&alter.newschema), &relation.relname);
                }
            }
            NodeEnum::AlterObjectDependsStmt(alter) => {
                self.changes_object(
                    Action::Alter,
                    alter.object_type,
                    alter.relation.as_ref(),
                    alter.object.as_deref(),
                    none,
                );
            }
            NodeEnum::AlterOwnerStmt(alter) => {
                // The owner of a schema, or of the database that has it, may use it.
                if [ObjectType::ObjectSchema as i32, ObjectType::ObjectDatabase as i32]
                    .contains(&alter.object_type)
                {
                    self.touches.every_name();
                }
                for action in [Action::Alter, Action::Grant] {
                    self.changes_object(
                        action,
                        alter.object_type,
                        alter.relation.as_ref(),
                        alter.object.as_deref(),
                        none,
                    );
                }
            }
            NodeEnum::CommentStmt(comment) => {
                self.changes_object(
                    Action::Alter,
                    comment.objtype,
                    None,
                    comment.object.as_deref(),
                    none,
                );
            }
            NodeEnum::SecLabelStmt(label) => {
                for action in [Action::Alter, Action::Grant] {
                    self.changes_object(action, label.objtype, None, label.object.as_deref(), none);
                }
            }
            NodeEnum::ReturnStmt(returned) => self.optional(returned.returnval.as_deref()),
            _ => return false,
        }
        true
    }

    fn alters(&mut self, object: Object) {
        self.touches.name(&object.name);
        self.act(Action::Alter, object);
    }

    fn creates_type(&mut self, names: &[Node]) {
        let object = named(ObjectKind::Type, names);
        self.touches.name_of_type(&object.name);
        self.act(Action::Create, object);
    }

    /// The new name means what the old one did, with all that is tied to it.
    fn names_anew(&mut self, rename: &RenameStmt) {
        let object_type = ObjectType::try_from(rename.rename_type).unwrap_or(ObjectType::Undefined);
        match &rename.relation {
            Some(relation) if is_relation(object_type) => {
                let found = self.relations(relation).oids;
                for &oid in &found {
                    self.touches.new_name(&rename.newname, oid);
                }
                self.comes_into_being(&found, relation, None, &rename.newname);
                if self.resolver.has_unseen_code(&relation.relname) {
                    self.touches.code();
                }
            }
            Some(_) if object_type == ObjectType::ObjectColumn => {}
            _ => self.touches.code(),
        }
    }

    /// A relation under its new name, or in its new schema: the server asks for the right to create it there.
    fn comes_into_being(&mut self, found: &Found, written: &RangeVar, schema: Option<&str>, name: &str) {
        let catalog = self.catalog();
        let known = found.iter().filter_map(|&oid| catalog.relation(oid));
        let mut before: Vec<Object> = known.map(|relation| object(catalog, relation).0).collect();
        if before.is_empty() {
            before.push(relation_object(ObjectKind::Relation, Some(written)));
        }
        for known in before {
            let schema = schema.or(known.schema.as_deref()).unwrap_or_default();
            self.act(Action::Create, Object::in_schema(known.kind, schema, name));
        }
    }

    fn takes_out_renamed(&mut self, rename: &RenameStmt) {
        let relation = rename.relation.as_ref();
        match ObjectType::try_from(rename.rename_type) {
            Ok(ObjectType::ObjectSchema) => self.takes_out_schema(&rename.subname),
            Ok(ObjectType::ObjectColumn | ObjectType::ObjectAttribute) => {
                self.takes_out_relation(relation, Some(&rename.subname));
            }
            Ok(
                ObjectType::ObjectTable
                | ObjectType::ObjectForeignTable
                | ObjectType::ObjectView
                | ObjectType::ObjectMatview,
            ) => self.takes_out_relation(relation, None),
            _ => {}
        }
    }

    /// A relation that the name may mean, or a column of it, is not found under it any more.
    pub(super) fn takes_out_relation(&mut self, relation: Option<&RangeVar>, column: Option<&str>) {
        let Some(relation) = relation else { return };
        for oid in self.relations(relation).oids {
            self.takes_out(oid, column);
        }
    }

    /// A schema, extension or the like moves with all that is in it.
    fn moved(&mut self, object_type: i32) {
        if matches!(
            ObjectType::try_from(object_type),
            Ok(ObjectType::ObjectSchema | ObjectType::ObjectExtension | ObjectType::ObjectRole)
        ) {
            self.touches.everything();
        }
    }

    /// The functions that it consists of run when it is used.
    fn define(&mut self, define: &DefineStmt) {
        let object_type = ObjectType::try_from(define.kind).unwrap_or(ObjectType::Undefined);
        let object = named(kind_of(object_type), &define.defnames);
        match object_type {
            ObjectType::ObjectType => self.creates_type(&define.defnames),
            ObjectType::ObjectAggregate
            | ObjectType::ObjectOperator
            | ObjectType::ObjectCollation
            | ObjectType::ObjectTsconfiguration => {
                self.touches.name(&object.name);
                self.act(Action::Create, object);
            }
            // It runs its template's code over options, which name files.
            ObjectType::ObjectTsdictionary => {
                self.touches.name(&object.name);
                self.add(Effect::new(Action::Create, object).with(EffectFlags::FILE));
            }
            // Text search parsers and templates: what runs them is not followed.
            _ => self.code(Action::Create, object),
        }
    }

    fn create_cast(&mut self, create: &CreateCastStmt) {
        for name in [&create.sourcetype, &create.targettype].into_iter().flatten() {
            self.act(Action::Create, named(ObjectKind::Type, &name.names));
        }
        // Conversions of values change everywhere.
        self.touches.everything();
    }

    fn create_function(&mut self, create: &CreateFunctionStmt) {
        let CreateFunctionStmt {
            is_procedure: _,
            replace: _,
            funcname,
            parameters,
            return_type: _,
            options,
            sql_body: _,
        } = create;
        let function = named(ObjectKind::Function, funcname);
        self.touches.name(&function.name);
        self.act(Action::Create, function.clone());
        for node in parameters {
            if let Some(NodeEnum::FunctionParameter(parameter)) = &node.node {
                self.optional(parameter.defexpr.as_deref());
            }
        }
        let language = options.iter().find_map(|node| match &node.node {
            Some(NodeEnum::DefElem(option)) if option.defname == "language" => {
                option.arg.as_deref().and_then(string)
            }
            _ => None,
        });
        match language {
            // Read and checked, not run. An internal function is unknown when it is called.
            None | Some("sql" | "plpgsql" | "internal") => {}
            // The library is loaded, whose own code runs then.
            Some("c") => {
                self.add(Effect::new(Action::Admin, function.clone()).with(EffectFlags::FILE));
                self.opaque(Cause::Code, function);
            }
            // The language's validator may run parts of the body.
            Some(_) => self.opaque(Cause::Code, function),
        }
    }

    /// The type of a column or domain that is being defined: one that the statement's user made is as good as any.
    pub(super) fn defined_type(&mut self, name: Option<&TypeName>) {
        if let Some(name) = name {
            self.nodes(&name.typmods);
        }
    }
}
