//! Definitions: CREATE, ALTER, DROP, GRANT and their like.
//!
//! Their effects are coarse, but what they hold is walked too: a default, a CHECK, an index expression or a view's
//! query runs its functions now or at a later statement that does not show them. What makes code run without being
//! called (triggers, rules, operators, casts, functions that take the name of a pure one) is opaque.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AlterTableType, CreateFunctionStmt, DropBehavior, DropStmt, Node, ObjectType, RoleSpec, TypeName,
};

use super::walk::{Walker, named, object_of, relation_object, string};
use crate::sql::builtin;
use crate::sql::effect::{Action, Effect, EffectFlags, Object, ObjectKind};
use crate::sql::pure;
use crate::sql::settings;
use crate::sql::statement::Cause;

impl Walker<'_> {
    pub(super) fn definition(&mut self, kind: &NodeEnum) {
        let outside = self.in_definition;
        self.in_definition = true;
        if !(self.relation_definition(kind) || self.other_definition(kind) || self.administration(kind)) {
            self.unknown(&variant_name(kind));
        }
        self.in_definition = outside;
    }

    /// Tables, indexes, views and what belongs to them.
    fn relation_definition(&mut self, kind: &NodeEnum) -> bool {
        match kind {
            NodeEnum::CreateStmt(create) => self.create_table(create),
            NodeEnum::CreateForeignTableStmt(create) => {
                if let Some(base) = &create.base_stmt {
                    self.create_table(base);
                }
                let server = Object::new(ObjectKind::ForeignServer, create.servername.as_str());
                self.add(Effect::new(Action::Create, server).with(EffectFlags::FOREIGN));
            }
            NodeEnum::IndexStmt(index) => {
                let relation = index.relation.as_ref();
                self.act(
                    Action::Create,
                    Object::new(ObjectKind::Relation, index.idxname.as_str()),
                );
                self.act(Action::Alter, relation_object(ObjectKind::Relation, relation));
                self.nodes(&index.index_params);
                self.nodes(&index.index_including_params);
                self.optional(index.where_clause.as_deref());
            }
            NodeEnum::ViewStmt(view) => {
                self.act(
                    Action::Create,
                    relation_object(ObjectKind::Relation, view.view.as_ref()),
                );
                self.optional(view.query.as_deref());
            }
            NodeEnum::RefreshMatViewStmt(refresh) => {
                let view = || relation_object(ObjectKind::Relation, refresh.relation.as_ref());
                self.act(Action::Update, view());
                self.act(Action::Read, view());
            }
            NodeEnum::AlterTableStmt(alter) => {
                self.act(
                    Action::Alter,
                    relation_object(object_kind(alter.objtype), alter.relation.as_ref()),
                );
                for command in &alter.cmds {
                    self.alter_command(command, alter.relation.as_ref());
                }
            }
            NodeEnum::CreateSeqStmt(create) => {
                self.act(
                    Action::Create,
                    relation_object(ObjectKind::Sequence, create.sequence.as_ref()),
                );
            }
            NodeEnum::AlterSeqStmt(alter) => {
                self.act(
                    Action::Alter,
                    relation_object(ObjectKind::Sequence, alter.sequence.as_ref()),
                );
                // RESTART moves it.
                self.act(
                    Action::Update,
                    relation_object(ObjectKind::Sequence, alter.sequence.as_ref()),
                );
            }
            NodeEnum::CreateTrigStmt(trigger) => {
                self.act(
                    Action::Create,
                    Object::new(ObjectKind::Other, trigger.trigname.as_str()),
                );
                self.act(
                    Action::Alter,
                    relation_object(ObjectKind::Relation, trigger.relation.as_ref()),
                );
                self.optional(trigger.when_clause.as_deref());
                self.opaque(Cause::Definition, named(ObjectKind::Function, &trigger.funcname));
            }
            NodeEnum::RuleStmt(rule) => {
                self.act(
                    Action::Create,
                    Object::new(ObjectKind::Other, rule.rulename.as_str()),
                );
                self.act(
                    Action::Alter,
                    relation_object(ObjectKind::Relation, rule.relation.as_ref()),
                );
                self.optional(rule.where_clause.as_deref());
                self.nodes_with_gaps(&rule.actions);
                self.opaque(
                    Cause::Definition,
                    Object::new(ObjectKind::Other, rule.rulename.as_str()),
                );
            }
            NodeEnum::CreatePolicyStmt(policy) => {
                self.act(
                    Action::Create,
                    Object::new(ObjectKind::Other, policy.policy_name.as_str()),
                );
                self.act(
                    Action::Grant,
                    relation_object(ObjectKind::Relation, policy.table.as_ref()),
                );
                self.optional(policy.qual.as_deref());
                self.optional(policy.with_check.as_deref());
            }
            NodeEnum::AlterPolicyStmt(policy) => {
                self.act(
                    Action::Alter,
                    Object::new(ObjectKind::Other, policy.policy_name.as_str()),
                );
                self.act(
                    Action::Grant,
                    relation_object(ObjectKind::Relation, policy.table.as_ref()),
                );
                self.optional(policy.qual.as_deref());
                self.optional(policy.with_check.as_deref());
            }
            NodeEnum::CreateStatsStmt(statistics) => {
                self.act(Action::Create, named(ObjectKind::Other, &statistics.defnames));
                self.nodes(&statistics.exprs);
                self.nodes(&statistics.relations);
            }
            NodeEnum::AlterStatsStmt(statistics) => {
                self.act(Action::Alter, named(ObjectKind::Other, &statistics.defnames));
            }
            NodeEnum::TruncateStmt(truncate) => {
                let flags = cascade(truncate.behavior);
                for relation in &truncate.relations {
                    let object = object_of(ObjectKind::Relation, Some(relation));
                    self.add(Effect::new(Action::Truncate, object).with(flags));
                }
            }
            NodeEnum::DropStmt(drop) => self.drop_objects(drop),
            _ => return false,
        }
        true
    }

    fn create_table(&mut self, create: &pg_query::protobuf::CreateStmt) {
        self.act(
            Action::Create,
            relation_object(ObjectKind::Relation, create.relation.as_ref()),
        );
        self.nodes(&create.table_elts);
        self.nodes(&create.constraints);
        self.nodes(&create.nnconstraints);
        if let Some(name) = &create.of_typename {
            self.type_name(name);
        }
        if let Some(bound) = &create.partbound {
            self.nodes(&bound.listdatums);
            self.nodes(&bound.lowerdatums);
            self.nodes(&bound.upperdatums);
        }
        if let Some(specification) = &create.partspec {
            self.nodes(&specification.part_params);
        }
        for parent in &create.inh_relations {
            self.act(Action::Alter, object_of(ObjectKind::Relation, Some(parent)));
        }
    }

    fn alter_command(&mut self, command: &Node, relation: Option<&pg_query::protobuf::RangeVar>) {
        let Some(NodeEnum::AlterTableCmd(command)) = &command.node else {
            return self.unknown("ALTER TABLE action");
        };
        let target = || relation_object(ObjectKind::Relation, relation);
        match AlterTableType::try_from(command.subtype) {
            Ok(AlterTableType::Undefined) | Err(_) => self.unknown("ALTER TABLE action"),
            Ok(AlterTableType::AtDropColumn | AlterTableType::AtDropConstraint) => {
                self.add(Effect::new(Action::Drop, target()).with(cascade(command.behavior)));
            }
            Ok(AlterTableType::AtAlterColumnType) => self.act(Action::Update, target()),
            Ok(
                AlterTableType::AtChangeOwner
                | AlterTableType::AtEnableRowSecurity
                | AlterTableType::AtDisableRowSecurity
                | AlterTableType::AtForceRowSecurity
                | AlterTableType::AtNoForceRowSecurity,
            ) => self.act(Action::Grant, target()),
            Ok(_) => {}
        }
        match command.def.as_deref().and_then(|def| def.node.as_ref()) {
            // Partitions, parents and the like are changed too.
            Some(NodeEnum::RangeVar(other)) => {
                self.act(Action::Alter, relation_object(ObjectKind::Relation, Some(other)));
            }
            Some(NodeEnum::PartitionCmd(partition)) => {
                self.act(
                    Action::Alter,
                    relation_object(ObjectKind::Relation, partition.name.as_ref()),
                );
                if let Some(bound) = &partition.bound {
                    self.nodes(&bound.listdatums);
                    self.nodes(&bound.lowerdatums);
                    self.nodes(&bound.upperdatums);
                }
            }
            // Options.
            Some(NodeEnum::List(list)) => self.nodes_with_gaps(&list.items),
            None
            | Some(
                NodeEnum::ReplicaIdentityStmt(_)
                | NodeEnum::AtalterConstraint(_)
                | NodeEnum::Integer(_)
                | NodeEnum::String(_),
            ) => {}
            Some(other) => self.kind(other),
        }
    }

    fn drop_objects(&mut self, drop: &DropStmt) {
        let DropStmt {
            objects,
            remove_type,
            behavior,
            missing_ok: _,
            concurrent: _,
        } = drop;
        let kind = object_kind(*remove_type);
        for object in objects {
            let effect = Effect::new(Action::Drop, object_of(kind, Some(object)));
            self.add(effect.with(cascade(*behavior)));
        }
    }

    /// Functions, types, schemas, extensions and other objects.
    fn other_definition(&mut self, kind: &NodeEnum) -> bool {
        match kind {
            NodeEnum::CreateFunctionStmt(create) => self.create_function(create),
            NodeEnum::AlterFunctionStmt(alter) => {
                let names = alter.func.as_ref().map_or(&[][..], |function| &function.objname);
                self.act(Action::Alter, named(ObjectKind::Function, names));
            }
            NodeEnum::CreateSchemaStmt(create) => {
                self.act(
                    Action::Create,
                    Object::new(ObjectKind::Schema, create.schemaname.as_str()),
                );
                self.nodes(&create.schema_elts);
            }
            NodeEnum::CreateDomainStmt(create) => {
                self.act(Action::Create, named(ObjectKind::Type, &create.domainname));
                self.defined_type(create.type_name.as_ref());
                self.nodes(&create.constraints);
            }
            NodeEnum::AlterDomainStmt(alter) => {
                self.act(Action::Alter, named(ObjectKind::Type, &alter.type_name));
                self.optional(alter.def.as_deref());
            }
            NodeEnum::CompositeTypeStmt(create) => {
                self.act(
                    Action::Create,
                    relation_object(ObjectKind::Type, create.typevar.as_ref()),
                );
                self.nodes(&create.coldeflist);
            }
            NodeEnum::CreateEnumStmt(create) => {
                self.act(Action::Create, named(ObjectKind::Type, &create.type_name));
            }
            NodeEnum::AlterEnumStmt(alter) => {
                self.act(Action::Alter, named(ObjectKind::Type, &alter.type_name));
            }
            NodeEnum::CreateRangeStmt(create) => {
                self.code(Action::Create, named(ObjectKind::Type, &create.type_name));
            }
            NodeEnum::AlterTypeStmt(alter) => {
                self.code(Action::Alter, named(ObjectKind::Type, &alter.type_name));
            }
            NodeEnum::DefineStmt(define) => {
                self.code(Action::Create, named(object_kind(define.kind), &define.defnames));
            }
            NodeEnum::AlterOperatorStmt(alter) => {
                let names = alter
                    .opername
                    .as_ref()
                    .map_or(&[][..], |operator| &operator.objname);
                self.code(Action::Alter, named(ObjectKind::Operator, names));
            }
            NodeEnum::CreateCastStmt(create) => {
                let target = create.targettype.as_ref().map_or(&[][..], |name| &name.names);
                self.code(Action::Create, named(ObjectKind::Type, target));
            }
            NodeEnum::CreateTransformStmt(create) => {
                self.code(
                    Action::Create,
                    Object::new(ObjectKind::Other, create.lang.as_str()),
                );
            }
            NodeEnum::CreateConversionStmt(create) => {
                self.code(Action::Create, named(ObjectKind::Other, &create.conversion_name));
            }
            NodeEnum::CreateOpClassStmt(create) => {
                self.code(Action::Create, named(ObjectKind::Other, &create.opclassname));
            }
            NodeEnum::CreateOpFamilyStmt(create) => {
                self.code(Action::Create, named(ObjectKind::Other, &create.opfamilyname));
            }
            NodeEnum::AlterOpFamilyStmt(alter) => {
                self.code(Action::Alter, named(ObjectKind::Other, &alter.opfamilyname));
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
                self.code(
                    Action::Create,
                    Object::new(ObjectKind::Other, create.trigname.as_str()),
                );
            }
            NodeEnum::AlterEventTrigStmt(alter) => {
                self.code(
                    Action::Alter,
                    Object::new(ObjectKind::Other, alter.trigname.as_str()),
                );
            }
            NodeEnum::CreateExtensionStmt(create) => {
                self.code(
                    Action::Create,
                    Object::new(ObjectKind::Extension, create.extname.as_str()),
                );
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
            }
            NodeEnum::AlterCollationStmt(alter) => {
                self.act(Action::Alter, named(ObjectKind::Other, &alter.collname));
            }
            NodeEnum::AlterTsdictionaryStmt(alter) => {
                self.act(Action::Alter, named(ObjectKind::Other, &alter.dictname));
            }
            NodeEnum::AlterTsconfigurationStmt(alter) => {
                self.act(Action::Alter, named(ObjectKind::Other, &alter.cfgname));
            }
            NodeEnum::RenameStmt(rename) => {
                let object = match &rename.relation {
                    Some(relation) => relation_object(object_kind(rename.rename_type), Some(relation)),
                    None => object_of(object_kind(rename.rename_type), rename.object.as_deref()),
                };
                self.moved(rename.rename_type, object, &rename.newname);
            }
            NodeEnum::AlterObjectSchemaStmt(alter) => {
                let object = match &alter.relation {
                    Some(relation) => relation_object(object_kind(alter.object_type), Some(relation)),
                    None => object_of(object_kind(alter.object_type), alter.object.as_deref()),
                };
                let name = object.name.clone();
                self.moved(alter.object_type, object, &name);
            }
            NodeEnum::AlterObjectDependsStmt(alter) => {
                self.act(
                    Action::Alter,
                    object_of(object_kind(alter.object_type), alter.object.as_deref()),
                );
            }
            NodeEnum::CommentStmt(comment) => {
                self.act(
                    Action::Alter,
                    object_of(object_kind(comment.objtype), comment.object.as_deref()),
                );
            }
            NodeEnum::SecLabelStmt(label) => {
                let object = object_of(object_kind(label.objtype), label.object.as_deref());
                self.act(Action::Alter, object.clone());
                self.act(Action::Grant, object);
            }
            NodeEnum::ReturnStmt(returned) => self.optional(returned.returnval.as_deref()),
            _ => return false,
        }
        true
    }

    /// A definition through which code runs that no statement shows.
    fn code(&mut self, action: Action, object: Object) {
        self.act(action, object.clone());
        self.opaque(Cause::Definition, object);
    }

    fn create_function(&mut self, create: &CreateFunctionStmt) {
        let CreateFunctionStmt {
            is_procedure: _,
            replace: _,
            funcname,
            parameters,
            return_type: _,
            options,
            sql_body,
        } = create;
        let function = named(ObjectKind::Function, funcname);
        self.act(Action::Create, function.clone());
        for node in parameters {
            if let Some(NodeEnum::FunctionParameter(parameter)) = &node.node {
                self.optional(parameter.defexpr.as_deref());
            }
        }
        let native = options.iter().any(|node| match &node.node {
            Some(NodeEnum::DefElem(option)) if option.defname == "language" => {
                !matches!(option.arg.as_deref().and_then(string), Some("sql" | "plpgsql"))
            }
            _ => false,
        });
        if native || takes_known_name(&function.name) {
            self.opaque(Cause::Definition, function);
        }
        // The body runs when it is called, and a call of it is opaque; its names are of no use here.
        let _ = sql_body;
    }

    /// An object that gets another name or schema.
    fn moved(&mut self, object_type: i32, object: Object, new_name: &str) {
        self.act(Action::Alter, object.clone());
        let callable = matches!(
            ObjectType::try_from(object_type),
            Ok(ObjectType::ObjectFunction
                | ObjectType::ObjectAggregate
                | ObjectType::ObjectRoutine
                | ObjectType::ObjectProcedure)
        );
        let operator = matches!(ObjectType::try_from(object_type), Ok(ObjectType::ObjectOperator));
        if operator || (callable && takes_known_name(new_name)) {
            self.opaque(Cause::Definition, object);
        }
    }

    /// Roles, privileges, databases, replication, foreign servers.
    fn administration(&mut self, kind: &NodeEnum) -> bool {
        match kind {
            NodeEnum::GrantStmt(grant) => {
                let kind = object_kind(grant.objtype);
                for object in &grant.objects {
                    self.act(Action::Grant, object_of(kind, Some(object)));
                }
                if grant.objects.is_empty() {
                    self.act(Action::Grant, Object::new(kind, ""));
                }
            }
            NodeEnum::GrantRoleStmt(grant) => {
                for node in &grant.grantee_roles {
                    self.act(Action::Grant, object_of(ObjectKind::Role, Some(node)));
                }
            }
            NodeEnum::AlterDefaultPrivilegesStmt(_) => {
                self.act(
                    Action::Grant,
                    Object::new(ObjectKind::Other, "default privileges"),
                );
            }
            NodeEnum::AlterOwnerStmt(alter) => {
                let object = match &alter.relation {
                    Some(relation) => relation_object(object_kind(alter.object_type), Some(relation)),
                    None => object_of(object_kind(alter.object_type), alter.object.as_deref()),
                };
                self.act(Action::Alter, object.clone());
                self.act(Action::Grant, object);
            }
            NodeEnum::CreateRoleStmt(create) => {
                self.act(
                    Action::Create,
                    Object::new(ObjectKind::Role, create.role.as_str()),
                );
                self.act(Action::Grant, Object::new(ObjectKind::Role, create.role.as_str()));
            }
            NodeEnum::AlterRoleStmt(alter) => {
                self.act(Action::Alter, role(alter.role.as_ref()));
                self.act(Action::Grant, role(alter.role.as_ref()));
            }
            NodeEnum::AlterRoleSetStmt(alter) => {
                let object = role(alter.role.as_ref());
                self.add(Effect::new(Action::Alter, object).with(EffectFlags::OTHER_USER));
                self.later_setting(alter.setstmt.as_ref());
            }
            NodeEnum::DropRoleStmt(drop) => {
                for node in &drop.roles {
                    self.act(Action::Drop, object_of(ObjectKind::Role, Some(node)));
                }
            }
            NodeEnum::DropOwnedStmt(drop) => {
                for node in &drop.roles {
                    let owner = object_of(ObjectKind::Role, Some(node));
                    let flags = EffectFlags::OTHER_USER | cascade(drop.behavior);
                    self.add(Effect::new(Action::Drop, owner.clone()).with(flags));
                    self.add(Effect::new(Action::Grant, owner).with(EffectFlags::OTHER_USER));
                }
            }
            NodeEnum::ReassignOwnedStmt(reassign) => {
                for node in &reassign.roles {
                    let owner = object_of(ObjectKind::Role, Some(node));
                    self.add(Effect::new(Action::Alter, owner.clone()).with(EffectFlags::OTHER_USER));
                    self.add(Effect::new(Action::Grant, owner).with(EffectFlags::OTHER_USER));
                }
            }
            NodeEnum::CreatedbStmt(create) => {
                self.act(
                    Action::Create,
                    Object::new(ObjectKind::Database, create.dbname.as_str()),
                );
            }
            NodeEnum::DropdbStmt(drop) => {
                self.act(
                    Action::Drop,
                    Object::new(ObjectKind::Database, drop.dbname.as_str()),
                );
            }
            NodeEnum::AlterDatabaseStmt(alter) => {
                self.act(
                    Action::Alter,
                    Object::new(ObjectKind::Database, alter.dbname.as_str()),
                );
            }
            NodeEnum::AlterDatabaseRefreshCollStmt(alter) => {
                self.act(
                    Action::Alter,
                    Object::new(ObjectKind::Database, alter.dbname.as_str()),
                );
            }
            NodeEnum::AlterDatabaseSetStmt(alter) => {
                let object = Object::new(ObjectKind::Database, alter.dbname.as_str());
                self.add(Effect::new(Action::Alter, object).with(EffectFlags::OTHER_USER));
                self.later_setting(alter.setstmt.as_ref());
            }
            NodeEnum::CreateTableSpaceStmt(create) => {
                let object = Object::new(ObjectKind::Tablespace, create.tablespacename.as_str());
                self.add(Effect::new(Action::Create, object).with(EffectFlags::FILE));
            }
            NodeEnum::DropTableSpaceStmt(drop) => {
                self.act(
                    Action::Drop,
                    Object::new(ObjectKind::Tablespace, drop.tablespacename.as_str()),
                );
            }
            NodeEnum::AlterTableSpaceOptionsStmt(alter) => {
                self.act(
                    Action::Alter,
                    Object::new(ObjectKind::Tablespace, alter.tablespacename.as_str()),
                );
            }
            NodeEnum::AlterTableMoveAllStmt(alter) => {
                self.act(
                    Action::Alter,
                    Object::new(ObjectKind::Tablespace, alter.orig_tablespacename.as_str()),
                );
            }
            _ => return self.outside_world(kind),
        }
        true
    }

    /// Foreign servers and replication.
    fn outside_world(&mut self, kind: &NodeEnum) -> bool {
        let foreign = |name: &str| Object::new(ObjectKind::ForeignServer, name);
        let replication = |name: &str| Object::new(ObjectKind::Replication, name);
        let (action, object, flags) = match kind {
            NodeEnum::CreateFdwStmt(create) => {
                self.code(Action::Create, foreign(&create.fdwname));
                return true;
            }
            NodeEnum::AlterFdwStmt(alter) => {
                self.code(Action::Alter, foreign(&alter.fdwname));
                return true;
            }
            NodeEnum::CreateForeignServerStmt(s) => {
                (Action::Create, foreign(&s.servername), EffectFlags::FOREIGN)
            }
            NodeEnum::AlterForeignServerStmt(s) => {
                (Action::Alter, foreign(&s.servername), EffectFlags::FOREIGN)
            }
            NodeEnum::CreateUserMappingStmt(s) => {
                (Action::Create, foreign(&s.servername), EffectFlags::FOREIGN)
            }
            NodeEnum::AlterUserMappingStmt(s) => {
                (Action::Alter, foreign(&s.servername), EffectFlags::FOREIGN)
            }
            NodeEnum::DropUserMappingStmt(s) => (Action::Drop, foreign(&s.servername), EffectFlags::FOREIGN),
            NodeEnum::ImportForeignSchemaStmt(s) => {
                (Action::Create, foreign(&s.server_name), EffectFlags::FOREIGN)
            }
            NodeEnum::CreatePublicationStmt(s) => {
                (Action::Create, replication(&s.pubname), EffectFlags::NONE)
            }
            NodeEnum::AlterPublicationStmt(s) => (Action::Alter, replication(&s.pubname), EffectFlags::NONE),
            NodeEnum::CreateSubscriptionStmt(s) => {
                (Action::Create, replication(&s.subname), EffectFlags::FOREIGN)
            }
            NodeEnum::AlterSubscriptionStmt(s) => {
                (Action::Alter, replication(&s.subname), EffectFlags::FOREIGN)
            }
            NodeEnum::DropSubscriptionStmt(s) => {
                (Action::Drop, replication(&s.subname), EffectFlags::FOREIGN)
            }
            _ => return false,
        };
        if object.kind == ObjectKind::Replication {
            self.add(Effect::new(Action::Replicate, object.clone()).with(flags));
        }
        self.add(Effect::new(action, object).with(flags));
        true
    }

    /// A setting that later sessions begin with.
    fn later_setting(&mut self, set: Option<&pg_query::protobuf::VariableSetStmt>) {
        match set {
            Some(set) => {
                let class = settings::classify(&set.name);
                let flags = if class == settings::Class::Lexing {
                    EffectFlags::LEXING
                } else {
                    EffectFlags::NONE
                };
                let object = Object::new(ObjectKind::Setting, set.name.as_str());
                self.add(Effect::new(Action::Alter, object).with(flags | EffectFlags::OTHER_USER));
            }
            None => self.unknown("SET"),
        }
    }

    /// The type of a column or domain that is being defined: one that the statement's user made is as good as any.
    fn defined_type(&mut self, name: Option<&TypeName>) {
        if let Some(name) = name {
            self.nodes(&name.typmods);
        }
    }

    /// Walks a part of a definition; false if the node is none.
    pub(super) fn definition_part(&mut self, kind: &NodeEnum) -> bool {
        match kind {
            NodeEnum::TypeName(name) => self.type_name(name),
            NodeEnum::ColumnDef(column) => {
                if self.in_definition {
                    self.defined_type(column.type_name.as_ref());
                } else if let Some(name) = &column.type_name {
                    // The column definitions of a function in FROM.
                    self.type_name(name);
                }
                self.optional(column.raw_default.as_deref());
                self.nodes(&column.constraints);
            }
            NodeEnum::Constraint(constraint) => {
                self.optional(constraint.raw_expr.as_deref());
                self.optional(constraint.where_clause.as_deref());
                for exclusion in &constraint.exclusions {
                    if let Some(NodeEnum::List(pair)) = &exclusion.node {
                        self.exclusion(&pair.items);
                    }
                }
                if let Some(other) = &constraint.pktable {
                    self.act(Action::Alter, relation_object(ObjectKind::Relation, Some(other)));
                }
            }
            NodeEnum::IndexElem(element) => self.optional(element.expr.as_deref()),
            NodeEnum::PartitionElem(element) => self.optional(element.expr.as_deref()),
            NodeEnum::PartitionRangeDatum(datum) => self.optional(datum.value.as_deref()),
            NodeEnum::StatsElem(element) => self.optional(element.expr.as_deref()),
            NodeEnum::TableLikeClause(like) => {
                if let Some(relation) = &like.relation {
                    self.read(relation);
                }
            }
            NodeEnum::DefElem(_) | NodeEnum::RoleSpec(_) => {}
            _ => return false,
        }
        true
    }

    /// An element of an exclusion constraint and its operator.
    fn exclusion(&mut self, pair: &[Node]) {
        for node in pair {
            match &node.node {
                Some(NodeEnum::List(operator)) => self.operator(&operator.items),
                _ => self.node(node),
            }
        }
    }
}

/// Whether a function of this name would be called in the place of a built-in one that is taken for pure.
fn takes_known_name(name: &str) -> bool {
    pure::is_pure(name, true, u8::MAX) || builtin::is_type(None, name)
}

fn cascade(behavior: i32) -> EffectFlags {
    if behavior == DropBehavior::DropCascade as i32 {
        EffectFlags::CASCADE
    } else {
        EffectFlags::NONE
    }
}

fn role(role: Option<&RoleSpec>) -> Object {
    Object::new(ObjectKind::Role, role.map_or("", |role| role.rolename.as_str()))
}

fn object_kind(object_type: i32) -> ObjectKind {
    match ObjectType::try_from(object_type) {
        Ok(
            ObjectType::ObjectTable
            | ObjectType::ObjectView
            | ObjectType::ObjectMatview
            | ObjectType::ObjectForeignTable
            | ObjectType::ObjectIndex
            | ObjectType::ObjectColumn,
        ) => ObjectKind::Relation,
        Ok(ObjectType::ObjectSequence) => ObjectKind::Sequence,
        Ok(
            ObjectType::ObjectFunction
            | ObjectType::ObjectProcedure
            | ObjectType::ObjectRoutine
            | ObjectType::ObjectAggregate,
        ) => ObjectKind::Function,
        Ok(ObjectType::ObjectOperator) => ObjectKind::Operator,
        Ok(ObjectType::ObjectType | ObjectType::ObjectDomain) => ObjectKind::Type,
        Ok(ObjectType::ObjectRole) => ObjectKind::Role,
        Ok(ObjectType::ObjectDatabase) => ObjectKind::Database,
        Ok(ObjectType::ObjectSchema) => ObjectKind::Schema,
        Ok(ObjectType::ObjectTablespace) => ObjectKind::Tablespace,
        Ok(ObjectType::ObjectLargeobject) => ObjectKind::LargeObject,
        Ok(ObjectType::ObjectExtension) => ObjectKind::Extension,
        Ok(ObjectType::ObjectForeignServer | ObjectType::ObjectFdw | ObjectType::ObjectUserMapping) => {
            ObjectKind::ForeignServer
        }
        Ok(ObjectType::ObjectPublication | ObjectType::ObjectSubscription) => ObjectKind::Replication,
        Ok(ObjectType::ObjectParameterAcl) => ObjectKind::Setting,
        _ => ObjectKind::Other,
    }
}

/// The name of a kind of node that is not known, for the reason.
fn variant_name(kind: &NodeEnum) -> String {
    let debug = format!("{kind:?}");
    debug.split(['(', ' ', '{']).next().unwrap_or("node").to_owned()
}
