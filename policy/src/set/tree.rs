//! What the policies name in each database. All that is not named is alike to them: an unnamed column of a table is
//! asked about like any other one, so a decision costs what its policies tell apart and not what a statement touches.

use std::collections::HashMap;

use cedar_policy::EntityUid;

use crate::names::{self, Kind};
use crate::schema::VOCABULARY;

/// The place of a node in its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct NodeId(u32);

/// Something that policies name, or that holds it.
#[derive(Debug)]
struct Node {
    kind: Kind,
    uid: EntityUid,
    /// The identifiers of its id.
    parts: Vec<Box<str>>,
    parent: Option<NodeId>,
    /// Tables of a schema, columns of a table.
    members: HashMap<Box<str>, NodeId>,
    /// Functions of a schema.
    functions: HashMap<Box<str>, NodeId>,
}

/// What the policies name in one database.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    schemas: HashMap<Box<str>, NodeId>,
    roles: HashMap<Box<str>, NodeId>,
}

/// What an effect is on, as far as policies can tell. `node` is the thing itself where `is_named`, else the nearest named
/// thing that holds it: one of all the others in there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Thing {
    pub(super) kind: Kind,
    pub(super) node: Option<NodeId>,
    pub(super) is_named: bool,
}

impl Thing {
    /// One of those of a kind that nothing names, in what the node holds.
    pub(super) const fn other_in(kind: Kind, node: Option<NodeId>) -> Self {
        Self {
            kind,
            node,
            is_named: false,
        }
    }
}

impl Tree {
    /// Adds what an id names, and gives its node.
    pub(super) fn add(&mut self, database: &str, kind: Kind, parts: &[&str]) -> NodeId {
        let (own, holders) = parts.split_last().expect("an id has a name");
        let holder_kind = match kind {
            Kind::Column => Some(Kind::Table),
            Kind::Table | Kind::Function => Some(Kind::Schema),
            Kind::Schema | Kind::Role => None,
        };
        let parent = holder_kind.map(|kind| self.add(database, kind, holders));
        if let Some(known) = self.children(parent, kind).and_then(|known| known.get(*own)) {
            return *known;
        }
        let id = NodeId(u32::try_from(self.nodes.len()).expect("a file names fewer things"));
        self.nodes.push(Node {
            kind,
            uid: VOCABULARY.named(kind, &names::id(database, parts)),
            parts: parts.iter().map(|part| (*part).into()).collect(),
            parent,
            members: HashMap::new(),
            functions: HashMap::new(),
        });
        let siblings = match parent.map(|parent| &mut self.nodes[parent.0 as usize]) {
            Some(parent) if kind == Kind::Function => &mut parent.functions,
            Some(parent) => &mut parent.members,
            None if kind == Kind::Role => &mut self.roles,
            None => &mut self.schemas,
        };
        siblings.insert((*own).into(), id);
        id
    }

    /// The named things of a kind in a node, or in the database.
    fn children(&self, parent: Option<NodeId>, kind: Kind) -> Option<&HashMap<Box<str>, NodeId>> {
        match (parent, kind) {
            (Some(parent), Kind::Function) => Some(&self.node(parent).functions),
            (Some(parent), Kind::Table | Kind::Column) => Some(&self.node(parent).members),
            (None, Kind::Role) => Some(&self.roles),
            (None, Kind::Schema) => Some(&self.schemas),
            _ => None,
        }
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    pub(super) fn kind(&self, id: NodeId) -> Kind {
        self.node(id).kind
    }

    pub(super) fn parent(&self, id: NodeId) -> Option<NodeId> {
        self.node(id).parent
    }

    pub(super) fn uid(&self, id: NodeId) -> &EntityUid {
        &self.node(id).uid
    }

    /// What these identifiers name.
    pub(super) fn find(&self, kind: Kind, parts: &[&str]) -> Thing {
        let mut holder = None;
        for (index, part) in parts.iter().enumerate() {
            let step = match (index, kind) {
                (0, Kind::Role) => Kind::Role,
                (0, _) => Kind::Schema,
                (1, Kind::Function) => Kind::Function,
                (1, _) => Kind::Table,
                _ => Kind::Column,
            };
            match self.children(holder, step).and_then(|known| known.get(*part)) {
                Some(known) => holder = Some(*known),
                None => return Thing::other_in(kind, holder),
            }
        }
        Thing {
            kind,
            node: holder,
            is_named: holder.is_some(),
        }
    }

    /// The named columns of a table, if that has any.
    pub(super) fn columns(&self, table: Thing) -> Option<&HashMap<Box<str>, NodeId>> {
        let node = table.node.filter(|_| table.is_named)?;
        let columns = &self.node(node).members;
        (!columns.is_empty()).then_some(columns)
    }

    /// Whether a node is another one or in it; all are in the database.
    pub(super) fn is_in(&self, node: NodeId, holder: Option<NodeId>) -> bool {
        let Some(holder) = holder else { return true };
        let mut next = Some(node);
        while let Some(at) = next {
            if at == holder {
                return true;
            }
            next = self.parent(at);
        }
        false
    }
}

/// The entity of a thing and of those that hold it in the database, the nearest first. What is not named gets an empty name,
/// which no policy can write.
pub(super) fn entity(tree: Option<&Tree>, database: &str, thing: Thing) -> (EntityUid, Vec<EntityUid>) {
    let Some((tree, node)) = tree.zip(thing.node) else {
        let parts = vec![""; thing.kind.parts()];
        return (
            VOCABULARY.named(thing.kind, &names::id(database, &parts)),
            Vec::new(),
        );
    };
    let mut holders = Vec::new();
    let mut next = tree.parent(node);
    while let Some(at) = next {
        holders.push(tree.uid(at).clone());
        next = tree.parent(at);
    }
    if thing.is_named {
        return (tree.uid(node).clone(), holders);
    }
    holders.insert(0, tree.uid(node).clone());
    let parts = tree.node(node).parts.iter();
    let mut parts: Vec<&str> = parts.map(|part| &**part).collect();
    parts.resize(thing.kind.parts(), "");
    (
        VOCABULARY.named(thing.kind, &names::id(database, &parts)),
        holders,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_is_one_of_the_others() {
        let mut tree = Tree::default();
        let column = tree.add("o/s", Kind::Column, &["public", "customers", "email"]);
        assert_eq!(
            tree.add("o/s", Kind::Column, &["public", "customers", "email"]),
            column
        );
        let table = tree.parent(column).unwrap();
        let schema = tree.parent(table).unwrap();
        let function = tree.add("o/s", Kind::Function, &["public", "customers"]);
        let named = |kind, node| Thing {
            kind,
            node: Some(node),
            is_named: true,
        };
        for (kind, parts, want) in [
            (
                Kind::Column,
                &["public", "customers", "email"][..],
                named(Kind::Column, column),
            ),
            (
                Kind::Column,
                &["public", "customers", "id"],
                Thing::other_in(Kind::Column, Some(table)),
            ),
            (
                Kind::Column,
                &["public", "orders", "email"],
                Thing::other_in(Kind::Column, Some(schema)),
            ),
            (
                Kind::Column,
                &["app", "customers", "email"],
                Thing::other_in(Kind::Column, None),
            ),
            (Kind::Table, &["public", "customers"], named(Kind::Table, table)),
            (
                Kind::Function,
                &["public", "customers"],
                named(Kind::Function, function),
            ),
            (
                Kind::Function,
                &["public", "f"],
                Thing::other_in(Kind::Function, Some(schema)),
            ),
            (Kind::Role, &["public"], Thing::other_in(Kind::Role, None)),
            (Kind::Schema, &["public"], named(Kind::Schema, schema)),
        ] {
            assert_eq!(tree.find(kind, parts), want, "{kind:?} {parts:?}");
        }
        assert!(tree.is_in(column, Some(schema)) && tree.is_in(schema, None));
        assert!(!tree.is_in(schema, Some(table)) && !tree.is_in(function, Some(table)));
        let (uid, holders) = entity(Some(&tree), "o/s", Thing::other_in(Kind::Column, Some(table)));
        assert_eq!(uid.to_string(), r#"Column::"o/s/public.customers.\"\"""#);
        let holders: Vec<_> = holders.iter().map(ToString::to_string).collect();
        assert_eq!(
            holders,
            [r#"Table::"o/s/public.customers""#, r#"Schema::"o/s/public""#]
        );
    }
}
