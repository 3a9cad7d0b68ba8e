//! The configured columns, by the numbers that the server has for them.

use hashbrown::HashSet;
use sluice_parsers::sql::catalog::{Catalog, Oid};
use sluice_parsers::sql::lineage::BaseColumn;

use crate::postgres::columns::Tags;
use crate::settings::Masking;

/// The configured columns of a database, those of tables that inherit from theirs or are partitions among them.
pub(in crate::postgres) fn tags(catalog: &Catalog, masking: &Masking) -> Tags {
    let mut tags = Tags::new();
    for column in masking.columns() {
        let table = catalog
            .schema_named(&column.schema)
            .and_then(|schema| catalog.relation_in(schema, &column.table));
        for relation in table.into_iter().flat_map(|table| catalog.with_children(table)) {
            let relation = catalog.relation(relation);
            let named = relation.into_iter().flat_map(|relation| {
                let named = relation
                    .columns
                    .iter()
                    .filter(|found| *found.name == *column.column);
                named.map(|found| (relation.oid.0, found.number))
            });
            tags.extend(named.map(|key| (key, column.class)));
        }
    }
    tags
}

/// The columns by themselves.
pub(super) fn columns(tags: &Tags) -> HashSet<BaseColumn> {
    let columns = tags.keys().map(|&(relation, number)| BaseColumn {
        relation: Oid(relation),
        number,
    });
    columns.collect()
}

/// The columns of a database that its connection's configuration masks.
pub fn protected_columns(catalog: &Catalog, masking: &Masking) -> HashSet<BaseColumn> {
    columns(&tags(catalog, masking))
}

#[cfg(test)]
mod tests {
    use sluice_masking::Class;
    use sluice_masking::ClassSet;
    use sluice_parsers::sql::catalog::snapshot::{Bases, Rows};

    use super::*;
    use crate::settings::MaskedColumn;

    fn catalog(rows: &[&[&str]]) -> Catalog {
        let mut all = Rows::new(1 << 20);
        let header: &[&str] = &["v", "150000", "shop"];
        for row in std::iter::once(&header).chain(rows) {
            let fields = row
                .iter()
                .map(|field| (!field.is_empty()).then_some(field.as_bytes()));
            all.push(fields).expect("few rows");
        }
        all.decode(&Bases::default()).expect("the rows decode")
    }

    fn table(oid: &'static str, name: &'static str) -> Vec<&'static str> {
        [
            "r", oid, "2200", name, "10", "r", "0", "f", "f", "f", "f", "", "", "", "f", "",
        ]
        .to_vec()
    }

    fn column(table: &'static str, number: &'static str, name: &'static str) -> Vec<&'static str> {
        ["a", table, number, name, "25", "f", "f", ""].to_vec()
    }

    #[test]
    fn configured_columns_are_found_in_tables_and_what_inherits_from_them() {
        let rows = [
            vec!["n", "2200", "public", "10", "t"],
            table("20000", "people"),
            table("20001", "child"),
            table("20002", "grandchild"),
            table("20003", "other"),
            column("20000", "1", "name"),
            column("20000", "2", "born"),
            column("20001", "3", "name"),
            column("20002", "1", "name"),
            column("20003", "1", "name"),
            vec!["h", "20001", "20000"],
            vec!["h", "20002", "20001"],
            // Not that the server would allow it.
            vec!["h", "20000", "20002"],
        ];
        let rows: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
        let masked = |table: &str, column: &str, class| MaskedColumn {
            schema: "public".into(),
            table: table.into(),
            column: column.into(),
            class,
        };
        let masking = Masking::On {
            classes: ClassSet::EMPTY,
            columns: vec![
                masked("people", "name", Some(Class::Email)),
                masked("people", "gone", None),
                masked("nothing", "name", None),
            ],
        };
        let tags = tags(&catalog(&rows), &masking);
        let mut keys: Vec<_> = tags.into_iter().collect();
        keys.sort_unstable_by_key(|(key, _)| *key);
        let email = Some(Class::Email);
        assert_eq!(
            keys,
            [((20_000, 1), email), ((20_001, 3), email), ((20_002, 1), email)]
        );
    }
}
