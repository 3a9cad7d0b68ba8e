//! The functions that the configuration takes for harmless, by the numbers that the server has for them.

use hashbrown::HashSet;
use sluice_parsers::sql::catalog::{Catalog, DefinitionHash, Oid};

use crate::settings::{Harmless, HarmlessExtension, HarmlessFunction};

/// What a database has of what an entry names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// What the entry says: these functions are taken for harmless.
    Holds(Vec<Oid>),
    /// Nothing of that name.
    Missing,
    /// Something else: the entry does not hold.
    Differs {
        /// Who owns the function; none of an extension.
        owner: Option<Box<str>>,
        /// The hash of what is there. None if it cannot be told, which no entry holds for.
        definition: Option<DefinitionHash>,
    },
}

impl HarmlessFunction {
    /// What a database has of it.
    pub fn standing(&self, catalog: &Catalog) -> Standing {
        let Some(function) = self.signature.find(catalog) else {
            return Standing::Missing;
        };
        let owner = catalog.role(function.owner).map(|role| role.name.clone());
        let definition = function.definition_hash;
        if owner.as_deref() == Some(&*self.owner) && definition.is_some() && definition == self.definition {
            return Standing::Holds(vec![function.oid]);
        }
        Standing::Differs { owner, definition }
    }
}

impl HarmlessExtension {
    /// What a database has of it.
    pub fn standing(&self, catalog: &Catalog) -> Standing {
        let Some(extension) = catalog.extension_named(&self.name) else {
            return Standing::Missing;
        };
        let definition = catalog.extension_hash(extension);
        if definition.is_some() && definition == self.definition {
            return Standing::Holds(catalog.members_of(extension));
        }
        Standing::Differs {
            owner: None,
            definition,
        }
    }
}

/// The functions of a database that its connection's configuration takes for harmless.
pub fn harmless_functions(catalog: &Catalog, harmless: &Harmless) -> HashSet<Oid> {
    let functions = harmless.functions.iter();
    let extensions = harmless.extensions.iter();
    functions
        .map(|entry| entry.standing(catalog))
        .chain(extensions.map(|entry| entry.standing(catalog)))
        .flat_map(|standing| match standing {
            Standing::Holds(functions) => functions,
            Standing::Missing | Standing::Differs { .. } => Vec::new(),
        })
        .collect()
}

/// Says which entries name something that is not what they say.
pub(super) fn warn_of_others(catalog: &Catalog, connection: &str, harmless: &Harmless) {
    let differs = |standing: &Standing| matches!(standing, Standing::Differs { .. });
    for entry in &harmless.functions {
        if differs(&entry.standing(catalog)) {
            warn(catalog, connection, "function", &entry.signature.to_string());
        }
    }
    for entry in &harmless.extensions {
        if differs(&entry.standing(catalog)) {
            warn(catalog, connection, "extension", &entry.name);
        }
    }
}

fn warn(catalog: &Catalog, connection: &str, kind: &str, name: &str) {
    tracing::warn!(
        connection,
        database = &*catalog.database,
        "the {kind} {name} is not what the configuration takes for harmless, and counts as Opaque; \
         `sluice check --connect` says what differs"
    );
}

#[cfg(test)]
mod tests {
    use sluice_parsers::sql::catalog::snapshot::{Bases, Rows};

    use super::*;

    type Row = Vec<&'static str>;
    type Change = Box<dyn Fn(&mut Vec<Row>)>;

    /// A database with a C function, a PL/pgSQL function beside it and an extension of two.
    fn catalog(change: impl Fn(&mut Vec<Row>)) -> Catalog {
        let function = |oid, schema, name, owner, arguments, language, body, extension| {
            vec![
                "F", oid, schema, name, owner, "f", arguments, "-", "-", "-", "0", "-", "0", "25", "f", "f",
                "v", "f", "-", language, "f", body, "-", extension, "{}", "some",
            ]
        };
        let mut rows = vec![
            vec!["v", "150000", "shop"],
            vec!["n", "2200", "public", "10", "t"],
            vec!["n", "20100", "geo", "10", "t"],
            vec!["l", "10", "postgres", "t", "t"],
            vec!["l", "16400", "somebody", "f", "f"],
            vec!["x", "20200", "shapes", "1.0"],
            function("20001", "20100", "area", "10", "701 701", "c", "area", "-"),
            function(
                "20002",
                "20100",
                "area",
                "10",
                "701",
                "p",
                "BEGIN EXECUTE x; END",
                "-",
            ),
            function("20003", "2200", "circle", "10", "", "c", "circle", "20200"),
            function("20004", "2200", "square", "10", "", "c", "square", "20200"),
        ];
        change(&mut rows);
        let mut all = Rows::new(1 << 20);
        for row in &rows {
            let fields = row
                .iter()
                .map(|field| (*field != "-").then_some(field.as_bytes()));
            all.push(fields).expect("few rows");
        }
        all.decode(&Bases::default()).expect("the rows decode")
    }

    fn area(definition: Option<DefinitionHash>) -> HarmlessFunction {
        HarmlessFunction {
            signature: "geo.area(double precision, float8)".parse().expect("a signature"),
            owner: "postgres".to_owned(),
            definition,
        }
    }

    fn shapes(definition: Option<DefinitionHash>) -> HarmlessExtension {
        HarmlessExtension {
            name: "shapes".to_owned(),
            definition,
        }
    }

    #[test]
    fn t07_an_entry_holds_while_what_it_names_is_as_it_was() {
        let as_it_was = catalog(|_| ());
        let differing = |standing| match standing {
            Standing::Differs { definition, .. } => definition.expect("a hash"),
            other => panic!("{other:?}"),
        };
        let of_area = Some(differing(area(None).standing(&as_it_was)));
        let of_shapes = Some(differing(shapes(None).standing(&as_it_was)));
        assert_eq!(
            area(of_area).standing(&as_it_was),
            Standing::Holds(vec![Oid(20_001)])
        );
        let members = vec![Oid(20_003), Oid(20_004)];
        assert_eq!(shapes(of_shapes).standing(&as_it_was), Standing::Holds(members));
        let other = Some("00".repeat(32).parse().expect("a hash"));
        assert!(matches!(
            area(other).standing(&as_it_was),
            Standing::Differs { .. }
        ));

        let set = |row: usize, field: usize, value: &'static str| {
            move |rows: &mut Vec<Row>| rows[row][field] = value
        };
        let changes: [(&str, Change, bool, bool); 12] = [
            ("nothing", Box::new(|_| ()), true, true),
            ("another OID", Box::new(set(6, 1, "30000")), true, true),
            ("the body", Box::new(set(6, 21, "area2")), false, true),
            ("the library", Box::new(set(6, 22, "$libdir/x")), false, true),
            ("the owner", Box::new(set(6, 4, "16400")), false, true),
            ("a setting", Box::new(set(6, 18, "{search_path=a}")), false, true),
            ("rights", Box::new(set(6, 17, "t")), false, true),
            ("the language", Box::new(set(6, 25, "other")), false, true),
            ("the schema", Box::new(set(6, 2, "2200")), false, true),
            ("a member", Box::new(set(8, 21, "circle2")), true, false),
            ("a member less", Box::new(set(9, 23, "-")), true, false),
            ("a member more", Box::new(set(7, 23, "20200")), true, false),
        ];
        for (name, change, area_holds, shapes_hold) in changes {
            let catalog = catalog(change);
            let holds = |standing| matches!(standing, Standing::Holds(_));
            assert_eq!(holds(area(of_area).standing(&catalog)), area_holds, "{name}");
            assert_eq!(holds(shapes(of_shapes).standing(&catalog)), shapes_hold, "{name}");
            let both = Harmless {
                functions: vec![area(of_area)],
                extensions: vec![shapes(of_shapes)],
            };
            let found = harmless_functions(&catalog, &both).len();
            let members = if shapes_hold { 2 } else { 0 };
            assert_eq!(found, usize::from(area_holds) + members, "{name}");
        }
        let without = catalog(|rows| rows.retain(|row| row[1] != "20001" && row[0] != "x"));
        assert_eq!(area(of_area).standing(&without), Standing::Missing);
        assert_eq!(shapes(of_shapes).standing(&without), Standing::Missing);
    }
}
