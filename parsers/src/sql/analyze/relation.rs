//! Stand-ins for the binder's.
use pg_query::protobuf::RangeVar;
use super::walk::{Walker, relation_object};
use crate::sql::catalog::{Catalog, Found, Oid, Relation, RelationKind};
use crate::sql::effect::{Action, Effect, EffectFlags, Object, ObjectKind};
use crate::sql::resolve::Named;
pub(super) struct Relations { pub(super) oids: Found, pub(super) is_certain: bool, pub(super) may_be_new: bool }
impl Relations {
    pub(super) fn one(&self) -> Option<Oid> { match self.oids[..] { [oid] if self.is_certain => Some(oid), _ => None } }
}
pub(super) fn object(catalog: &Catalog, relation: &Relation) -> (Object, EffectFlags) {
    let schema_name = catalog.schema(relation.schema).map_or("", |schema| &schema.name);
    let kind = if relation.kind == RelationKind::Sequence { ObjectKind::Sequence } else { ObjectKind::Relation };
    let mut flags = catalog_flag(schema_name);
    if relation.is_sensitive { flags |= EffectFlags::SENSITIVE; }
    (Object::in_schema(kind, schema_name, &relation.name), flags)
}
fn catalog_flag(schema: &str) -> EffectFlags {
    if matches!(schema, "pg_catalog" | "information_schema") { EffectFlags::CATALOG } else { EffectFlags::NONE }
}
impl Walker<'_> {
    pub(super) fn relations(&self, relation: &RangeVar) -> Relations {
        let schema = (!relation.schemaname.is_empty()).then_some(relation.schemaname.as_str());
        match self.resolver.relation(schema, &relation.relname) {
            Named::One(oid) => Relations { oids: Found::from_slice(&[oid]), is_certain: true, may_be_new: false },
            Named::Several(oids) => Relations { may_be_new: oids.is_empty() || self.resolver.is_touched(&relation.relname), oids, is_certain: false },
            Named::Missing => Relations { oids: Found::new(), is_certain: false, may_be_new: true },
        }
    }
    pub(super) fn effect_on(&self, action: Action, oid: Oid) -> Effect {
        match self.world.catalog.relation(oid) {
            Some(relation) => { let (object, flags) = object(&self.world.catalog, relation); Effect::new(action, object).with(flags) }
            None => Effect::new(action, Object::new(ObjectKind::Relation, oid.to_string())).with(EffectFlags::UNCERTAIN),
        }
    }
    pub(super) fn effect_on_new(&self, action: Action, relation: &RangeVar) -> Effect {
        let flags = catalog_flag(&relation.schemaname) | EffectFlags::UNCERTAIN;
        Effect::new(action, relation_object(ObjectKind::Relation, Some(relation))).with(flags)
    }
    pub(super) fn act_on(&mut self, action: Action, relation: &RangeVar, flags: EffectFlags) -> Relations {
        let relations = self.relations(relation);
        let uncertain = if relations.is_certain { EffectFlags::NONE } else { EffectFlags::UNCERTAIN };
        for &oid in &relations.oids { let effect = self.effect_on(action, oid); self.add(effect.with(flags | uncertain)); }
        if relations.may_be_new { let effect = self.effect_on_new(action, relation); self.add(effect.with(flags)); }
        relations
    }
}
