//! Roles, privileges, databases, tablespaces, replication and foreign servers.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    GrantStmt, GrantTargetType, Node, ObjectType, RoleSpec, RoleSpecType, VariableSetStmt,
};

use super::super::walk::{Walker, object_of};
use super::{cascade, is_relation, object_kind, range_var};
use crate::sql::effect::{Action, Effect, EffectFlags, Object, ObjectKind};
use crate::sql::settings;

impl Walker<'_> {
    /// Roles, privileges, databases, replication, foreign servers.
    pub(super) fn administration(&mut self, kind: &NodeEnum) -> bool {
        match kind {
            NodeEnum::GrantStmt(grant) => self.grant(grant),
            NodeEnum::GrantRoleStmt(grant) => {
                self.touches.every_name();
                for node in grant.granted_roles.iter().chain(&grant.grantee_roles) {
                    let object = match &node.node {
                        Some(NodeEnum::AccessPriv(role)) => {
                            Object::new(ObjectKind::Role, role.priv_name.as_str())
                        }
                        _ => object_of(ObjectKind::Role, Some(node)),
                    };
                    self.act(Action::Grant, object);
                }
            }
            NodeEnum::AlterDefaultPrivilegesStmt(_) => {
                self.act(
                    Action::Grant,
                    Object::new(ObjectKind::Other, "default privileges"),
                );
            }
            NodeEnum::CreateRoleStmt(create) => {
                if !create.options.is_empty() {
                    // Memberships come with it.
                    self.touches.every_name();
                }
                self.act(
                    Action::Create,
                    Object::new(ObjectKind::Role, create.role.as_str()),
                );
                self.act(Action::Grant, Object::new(ObjectKind::Role, create.role.as_str()));
            }
            NodeEnum::AlterRoleStmt(alter) => {
                self.touches.every_name();
                let object = self.role(alter.role.as_ref());
                self.act(Action::Alter, object.clone());
                self.act(Action::Grant, object);
            }
            NodeEnum::AlterRoleSetStmt(alter) => {
                let object = self.role(alter.role.as_ref());
                self.add(Effect::new(Action::Alter, object).with(EffectFlags::OTHER_USER));
                self.later_setting(alter.setstmt.as_ref());
            }
            NodeEnum::DropRoleStmt(drop) => {
                // Its memberships go with it.
                self.touches.every_name();
                for node in &drop.roles {
                    self.act(Action::Drop, object_of(ObjectKind::Role, Some(node)));
                    self.act(Action::Grant, object_of(ObjectKind::Role, Some(node)));
                }
            }
            NodeEnum::DropOwnedStmt(drop) => {
                for node in &drop.roles {
                    let owner = object_of(ObjectKind::Role, Some(node));
                    let flags = EffectFlags::OTHER_USER | cascade(drop.behavior);
                    self.touches.everything();
                    self.add(Effect::new(Action::Drop, owner.clone()).with(flags));
                    self.add(Effect::new(Action::Grant, owner).with(EffectFlags::OTHER_USER));
                }
            }
            NodeEnum::ReassignOwnedStmt(reassign) => {
                self.touches.every_name();
                for node in &reassign.roles {
                    let owner = object_of(ObjectKind::Role, Some(node));
                    self.add(Effect::new(Action::Alter, owner.clone()).with(EffectFlags::OTHER_USER));
                    self.add(Effect::new(Action::Grant, owner).with(EffectFlags::OTHER_USER));
                }
            }
            NodeEnum::CreatedbStmt(create) => {
                self.whole(
                    Action::Create,
                    ObjectKind::Database,
                    &create.dbname,
                    EffectFlags::NONE,
                );
            }
            NodeEnum::DropdbStmt(drop) => {
                // All that is in it goes with it.
                self.whole(
                    Action::Drop,
                    ObjectKind::Database,
                    &drop.dbname,
                    EffectFlags::CASCADE,
                );
            }
            NodeEnum::AlterDatabaseStmt(alter) => {
                self.whole(
                    Action::Alter,
                    ObjectKind::Database,
                    &alter.dbname,
                    EffectFlags::NONE,
                );
            }
            NodeEnum::AlterDatabaseRefreshCollStmt(alter) => {
                self.whole(
                    Action::Alter,
                    ObjectKind::Database,
                    &alter.dbname,
                    EffectFlags::NONE,
                );
            }
            NodeEnum::AlterDatabaseSetStmt(alter) => {
                let object = Object::new(ObjectKind::Database, alter.dbname.as_str());
                self.add(Effect::new(Action::Alter, object).with(EffectFlags::OTHER_USER));
                self.later_setting(alter.setstmt.as_ref());
            }
            NodeEnum::CreateTableSpaceStmt(create) => {
                let name = &create.tablespacename;
                self.whole(Action::Create, ObjectKind::Tablespace, name, EffectFlags::FILE);
            }
            NodeEnum::DropTableSpaceStmt(drop) => {
                let name = &drop.tablespacename;
                self.whole(Action::Drop, ObjectKind::Tablespace, name, EffectFlags::NONE);
            }
            NodeEnum::AlterTableSpaceOptionsStmt(alter) => {
                let name = &alter.tablespacename;
                self.whole(Action::Alter, ObjectKind::Tablespace, name, EffectFlags::NONE);
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

    /// What the server has as a whole: it is defined, and the server is administered.
    fn whole(&mut self, action: Action, kind: ObjectKind, name: &str, flags: EffectFlags) {
        let object = Object::new(kind, name);
        self.add(Effect::new(Action::Admin, object.clone()).with(flags));
        self.add(Effect::new(action, object).with(flags));
    }

    fn grant(&mut self, grant: &GrantStmt) {
        let object_type = ObjectType::try_from(grant.objtype).unwrap_or(ObjectType::Undefined);
        let is_of_all = grant.targtype == GrantTargetType::AclTargetAllInSchema as i32;
        if object_type == ObjectType::ObjectSchema && !is_of_all {
            self.touches.every_name();
        }
        for object in &grant.objects {
            match range_var(object).filter(|_| is_relation(object_type) && !is_of_all) {
                Some(relation) => {
                    self.act_on(Action::Grant, &relation, EffectFlags::NONE);
                }
                // ALL TABLES IN SCHEMA names schemas.
                None if is_of_all => self.act(Action::Grant, object_of(ObjectKind::Schema, Some(object))),
                None => self.act(Action::Grant, object_of(object_kind(grant.objtype), Some(object))),
            }
        }
        if grant.objects.is_empty() {
            self.act(Action::Grant, Object::new(object_kind(grant.objtype), ""));
        }
    }

    /// The tables and schemas of a publication.
    fn published(&mut self, objects: &[Node]) {
        for node in objects {
            let Some(NodeEnum::PublicationObjSpec(object)) = &node.node else {
                continue;
            };
            match object.pubtable.as_deref() {
                Some(table) => {
                    if let Some(relation) = &table.relation {
                        let found = self.act_on(Action::Replicate, relation, EffectFlags::NONE);
                        self.over(&found.oids, |walker| {
                            walker.optional(table.where_clause.as_deref());
                        });
                    }
                }
                None => self.act(
                    Action::Replicate,
                    Object::new(ObjectKind::Schema, object.name.as_str()),
                ),
            }
        }
    }

    /// Foreign servers and replication.
    fn outside_world(&mut self, kind: &NodeEnum) -> bool {
        match kind {
            NodeEnum::CreatePublicationStmt(create) => self.published(&create.pubobjects),
            NodeEnum::AlterPublicationStmt(alter) => self.published(&alter.pubobjects),
            NodeEnum::ImportForeignSchemaStmt(import) => {
                self.touches.everything();
                let schema = Object::new(ObjectKind::Schema, import.local_schema.as_str());
                self.add(Effect::new(Action::Create, schema).with(EffectFlags::FOREIGN));
            }
            NodeEnum::CreateForeignServerStmt(create) => {
                let wrapper = Object::new(ObjectKind::ForeignServer, create.fdwname.as_str());
                self.add(Effect::new(Action::Create, wrapper).with(EffectFlags::FOREIGN));
            }
            _ => {}
        }
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
    fn later_setting(&mut self, set: Option<&VariableSetStmt>) {
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

    fn role(&self, role: Option<&RoleSpec>) -> Object {
        let name = role.and_then(|role| self.name_of_role(role));
        Object::new(ObjectKind::Role, name.unwrap_or_default())
    }

    /// The name of a role; none for one whose name is not known for certain.
    pub(super) fn name_of_role<'r>(&'r self, role: &'r RoleSpec) -> Option<&'r str> {
        match RoleSpecType::try_from(role.roletype) {
            Ok(RoleSpecType::RolespecCstring) => Some(&role.rolename),
            Ok(RoleSpecType::RolespecCurrentRole | RoleSpecType::RolespecCurrentUser) => self.role_here(),
            Ok(RoleSpecType::RolespecSessionUser) => {
                let is_login = self.world.session.role_is_login && self.is_in_own_text();
                self.role_here().filter(|_| is_login)
            }
            _ => None,
        }
    }
}
