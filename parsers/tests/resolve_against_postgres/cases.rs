//! Random overloads and random calls of them and of what is built in.

use sluice_parsers::sql::catalog::{Catalog, Function, Oid, TypeKind};
use sluice_parsers::sql::resolve::Ty;

/// xorshift64*: the same seed gives the same cases.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let value = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(value).expect("it has 31 bits") % limit
    }

    pub(crate) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Types and casts that the overloads are over.
pub(crate) const TYPES: &str = "
    create schema a; create schema b;
    create type a.color as enum ('red');
    create type b.shade as enum ('dark');
    create type a.pair as (x int4, y text);
    create table a.parent (x int4, y varchar);
    create table a.child (z int4) inherits (a.parent);
    create table a.typed of a.pair;
    create domain a.positive as int4 check (value > 0);
    create domain a.small as a.positive;
    create domain b.words as text;
    create domain b.numbers as int4[];
    create domain b.couple as a.pair;
    create type b.span as range (subtype = float8);
    create function a.color_number(a.color) returns int4 language plpgsql as 'begin return 1; end';
    create cast (a.color as int4) with function a.color_number(a.color) as implicit;
    create function b.shade_color(b.shade) returns a.color language plpgsql as 'begin return null; end';
    create cast (b.shade as a.color) with function b.shade_color(b.shade) as assignment;
    create function a.pair_text(a.pair) returns text language plpgsql as 'begin return null; end';
    create cast (a.pair as text) with function a.pair_text(a.pair) as implicit;
    create cast (b.shade as varchar) with inout as implicit;
    create role limited; grant usage on schema b to limited;
";

/// Objects of the same names in many schemas.
pub(crate) const SHADOWS: &str = "
    create role limited; create schema limited; create schema a; create schema b; create schema hidden;
    grant usage, create on schema a, b, limited, public to limited;
    create table a.t0 (); create table b.t0 (); create table hidden.t0 (); create table limited.t1 ();
    create table hidden.t1 (); create view b.t2 as select 1 v; create sequence a.t2; create table public.t3 ();
    create table a.pg_class (); create table hidden.pg_class (); create type b.int4 as (v text);
    create domain a.text as int8; create type limited.t4 as enum (); create domain hidden.t4 as int4;
    create table a.\"T0\" (); create table b.\"q\"\"q\" ();
    create function a.g() returns int4 language plpgsql as 'begin return 1; end';
    create function b.g() returns int4 language plpgsql as 'begin return 1; end';
    create function hidden.g() returns int4 language plpgsql as 'begin return 1; end';
    create function a.lower(text) returns text language plpgsql as 'begin return 1; end';
    create operator a.= (leftarg = int4, rightarg = int4, function = int4eq);
    create operator hidden.= (leftarg = int4, rightarg = int4, function = int4eq);
    set session authorization limited;
    create temp table t0 (); create temp table t3 (); create temp table pg_class (); create domain pg_temp.t4 as int4;
    create function pg_temp.g() returns int4 language plpgsql as 'begin return 1; end';
";

/// What a search path is made of.
pub(crate) const SCHEMAS: &[&str] = &[
    "a",
    "b",
    "$user",
    "missing",
    "pg_catalog",
    "pg_temp",
    "public",
    "hidden",
];

/// Names as they stand in texts.
pub(crate) const TEXTS: &[&str] = &[
    "t0",
    "T0",
    "\"T0\"",
    "t1",
    "t2",
    "t3",
    "t4",
    "pg_class",
    "PG_TYPE",
    "text",
    "int4",
    "a.t0",
    " a . t0",
    "hidden.t0",
    "pg_temp.t0",
    "pg_temp.t1",
    "pg_catalog.pg_class",
    "\"q\"\"q\"",
    "missing.t0",
    "postgres.a.t0",
];

const DECLARED: &[&str] = &[
    "int2",
    "int4",
    "int8",
    "float4",
    "float8",
    "numeric",
    "text",
    "varchar",
    "bpchar",
    "name",
    "\"char\"",
    "bool",
    "date",
    "timestamp",
    "timestamptz",
    "interval",
    "time",
    "json",
    "jsonb",
    "oid",
    "regclass",
    "bytea",
    "uuid",
    "bit",
    "varbit",
    "inet",
    "cidr",
    "point",
    "int4[]",
    "int8[]",
    "text[]",
    "varchar[]",
    "int4range",
    "xml",
    "int4multirange",
    "a.color",
    "b.shade",
    "a.pair",
    "a.parent",
    "a.child",
    "a.typed",
    "a.positive",
    "a.small",
    "b.words",
    "b.numbers",
    "b.couple",
    "b.span",
    "a.color[]",
    "a.pair[]",
    "a.positive[]",
    "record",
    "int2vector",
    "oidvector",
];

const POLYMORPHIC: &[&str] = &[
    "anyelement",
    "anyarray",
    "anynonarray",
    "anyenum",
    "anyrange",
    "anymultirange",
    "anycompatible",
    "anycompatiblearray",
    "anycompatiblenonarray",
    "anycompatiblerange",
    "anycompatiblemultirange",
];

pub(crate) const NAMES: &[&str] = &[
    "f0", "f1", "f2", "f3", "f4", "f5", "pair", "color", "words", "abs", "lower", "date",
];
pub(crate) const OPERATORS: &[&str] = &["===", "<~>", "=", "+", "||", "@@@", "<"];

/// A CREATE FUNCTION that may fail.
pub(crate) fn overload(random: &mut Random) -> String {
    let schema = *random.pick(&["a", "b"]);
    let name = *random.pick(NAMES);
    let count = [0, 1, 1, 1, 2, 2, 2, 3, 4][random.below(9)];
    let mut arguments: Vec<String> = Vec::new();
    let first_default = if random.one_in(4) {
        random.below(count + 1)
    } else {
        count
    };
    let variadic = random.one_in(6) && count > 0 && first_default == count;
    let mut is_polymorphic = false;
    for index in 0..count {
        let kind = if random.one_in(7) {
            *random.pick(POLYMORPHIC)
        } else {
            *random.pick(DECLARED)
        };
        is_polymorphic |= POLYMORPHIC.contains(&kind);
        let kind = kind.trim_end_matches("[]");
        let last = index + 1 == count;
        arguments.push(match variadic && last {
            true if random.one_in(4) => "variadic anyarray".to_owned(),
            true => format!("variadic {kind}[]"),
            false => format!("p{} {kind}", random.below(2) * 4 + index),
        });
        if index >= first_default {
            arguments[index].push_str(" default null");
        }
    }
    let results = if is_polymorphic {
        POLYMORPHIC
    } else {
        &["int4", "text", "record", "a.pair"]
    };
    let result = *random.pick(results);
    let arguments = arguments.join(", ");
    format!(
        "create function {schema}.{name}({arguments}) returns {result} language plpgsql as 'begin return null; end'"
    )
}

/// A CREATE OPERATOR, with its function, that may fail.
pub(crate) fn operator(random: &mut Random, number: usize) -> String {
    let schema = *random.pick(&["a", "b"]);
    let name = *random.pick(OPERATORS);
    let kind = |random: &mut Random| {
        if random.one_in(8) {
            *random.pick(POLYMORPHIC)
        } else {
            *random.pick(DECLARED)
        }
    };
    let (left, right) = (kind(random), kind(random));
    let is_prefix = random.one_in(4);
    let declared = if is_prefix {
        right.to_owned()
    } else {
        format!("{left}, {right}")
    };
    let left = if is_prefix {
        String::new()
    } else {
        format!("leftarg = {left}, ")
    };
    format!(
        "create function {schema}.op{number}({declared}) returns int4 language plpgsql as 'begin return 1; end';
        create operator {schema}.{name} ({left}rightarg = {right}, function = {schema}.op{number})"
    )
}

/// A value as it is written, and its type.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) text: String,
    pub(crate) ty: Ty,
}

/// What arguments are made of.
pub(crate) struct Pool<'a> {
    catalog: &'a Catalog,
    types: Vec<Oid>,
    /// How many parameters the statement has.
    parameters: usize,
}

impl<'a> Pool<'a> {
    pub(crate) fn new(catalog: &'a Catalog) -> Self {
        let mut types: Vec<Oid> = catalog.types.values().map(|found| found.oid).collect();
        types.retain(|&oid| {
            let found = &catalog.types[&oid];
            let of_catalog = matches!(found.kind, TypeKind::Composite(_)) && oid.is_built_in();
            let of_array = catalog.types.get(&found.element);
            let of_array = of_array
                .is_some_and(|found| matches!(found.kind, TypeKind::Composite(_)) && oid.is_built_in());
            found.kind != TypeKind::Pseudo && !of_catalog && !of_array
        });
        types.sort_unstable();
        Self {
            catalog,
            types,
            parameters: 0,
        }
    }

    pub(crate) fn types(&self) -> &[Oid] {
        &self.types
    }

    pub(crate) fn begin(&mut self) {
        self.parameters = 0;
    }

    /// The type as it is written.
    pub(crate) fn spell(&self, oid: Oid) -> String {
        let found = &self.catalog.types[&oid];
        let schema = &self.catalog.schemas[&found.schema].name;
        format!("\"{schema}\".\"{}\"", found.name)
    }

    /// Something for a declared type: often of that type.
    pub(crate) fn written(&mut self, random: &mut Random, declared: Oid) -> Written {
        match random.below(20) {
            0..=3 => {
                return Written {
                    text: "NULL".to_owned(),
                    ty: Ty::Literal,
                };
            }
            4 => {
                self.parameters += 1;
                return Written {
                    text: format!("${}", self.parameters),
                    ty: Ty::Parameter,
                };
            }
            5 => {
                return Written {
                    text: "ROW(1, 'x')".to_owned(),
                    ty: Ty::Known(Oid(2249)),
                };
            }
            _ => {}
        }
        let is_concrete = self
            .catalog
            .types
            .get(&declared)
            .is_some_and(|found| found.kind != TypeKind::Pseudo);
        let oid = if is_concrete && !random.one_in(3) {
            declared
        } else if random.one_in(3) {
            // Arrays and ranges, for what is polymorphic.
            let fitting: Vec<Oid> = self
                .types
                .iter()
                .copied()
                .filter(|oid| {
                    !matches!(
                        self.catalog.types[oid].kind,
                        TypeKind::Base | TypeKind::Composite(_)
                    )
                })
                .collect();
            *random.pick(&fitting)
        } else if random.one_in(2) {
            let common = [
                16, 17, 20, 21, 23, 25, 114, 700, 701, 1007, 1009, 1042, 1043, 1082, 1114, 1184, 1186, 1700,
                2950, 3802, 3904,
            ];
            Oid(*random.pick(&common))
        } else {
            *random.pick(&self.types)
        };
        Written {
            text: format!("NULL::{}", self.spell(oid)),
            ty: Ty::Known(oid),
        }
    }

    /// Arguments for a function, with names if it has such.
    pub(crate) fn arguments(
        &mut self,
        random: &mut Random,
        function: &Function,
    ) -> (Vec<Written>, Vec<Option<String>>, bool) {
        let declared = function.arguments.len();
        let mut count = declared;
        if function.defaults > 0 {
            count -= random.below(usize::from(function.defaults) + 1);
        }
        let is_variadic = !function.variadic.is_none();
        let writes_variadic = is_variadic && random.one_in(3);
        if is_variadic && !writes_variadic {
            count += random.below(4);
            count = count.saturating_sub(1);
        }
        let mut written: Vec<Written> = Vec::new();
        let mut same: Option<Written> = None;
        for index in 0..count {
            let wanted = function.arguments.get(index).copied();
            let wanted = wanted.filter(|_| !is_variadic || writes_variadic || index + 1 < declared);
            let mut value = self.written(random, wanted.unwrap_or(function.variadic));
            // What is polymorphic wants the same type more often.
            if let Some(same) = &same
                && random.one_in(3)
                && !matches!(same.ty, Ty::Parameter)
            {
                value = same.clone();
            }
            same = Some(value.clone());
            written.push(value);
        }
        let mut names: Vec<Option<String>> = vec![None; count];
        let is_named = function.argument_names.len() >= declared && declared >= count;
        if is_named && count > 0 && random.one_in(3) {
            let first = random.below(count);
            for (index, written_name) in names.iter_mut().enumerate().skip(first) {
                let other = if random.one_in(5) {
                    random.below(declared)
                } else {
                    index
                };
                let name = function.argument_names[other].to_string();
                *written_name = (!name.is_empty()).then_some(name);
            }
            // After a named argument all are named.
            let first = names.iter().position(Option::is_some).unwrap_or(count);
            if names[first..].iter().any(Option::is_none) {
                names.fill(None);
            }
        }
        (written, names, writes_variadic && count > 0)
    }
}
