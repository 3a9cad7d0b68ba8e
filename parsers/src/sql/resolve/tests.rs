//! What the oracle against a server cannot ask: state that is in doubt, CALL, and a catalog of other versions.

use std::sync::Arc;

use super::super::catalog::{
    Cast, CastContext, CastMethod, Function, Language, Operator, Schema, Type, Volatility,
};
use super::super::world::{Deferred, SessionNames, Touched};
use super::*;

const INT4: Oid = Oid(23);
const TEXT: Oid = Oid(25);
const PG_CATALOG: u32 = 11;
const A: u32 = 20_001;
const B: u32 = 20_002;
const TEMPORARY: u32 = 20_003;
const HIDDEN: u32 = 20_004;

fn schema(oid: u32, name: &str, is_usable: bool) -> Schema {
    Schema {
        oid: Oid(oid),
        name: name.into(),
        owner: Oid(10),
        is_usable,
    }
}

fn a_type(oid: u32, schema: u32, name: &str, kind: TypeKind, category: u8) -> Type {
    Type {
        oid: Oid(oid),
        schema: Oid(schema),
        name: name.into(),
        owner: Oid(10),
        kind,
        category,
        is_preferred: name == "text",
        element: Oid::NONE,
        array: Oid::NONE,
        functions: SmallVec::new(),
        extension: Oid::NONE,
    }
}

fn function(oid: u32, schema: u32, name: &str, arguments: &[Oid]) -> Function {
    Function {
        oid: Oid(oid),
        schema: Oid(schema),
        name: name.into(),
        owner: Oid(10),
        kind: FunctionKind::Plain,
        arguments: arguments.into(),
        argument_names: Box::default(),
        outputs: Box::default(),
        defaults: 0,
        default_expressions: Box::default(),
        variadic: Oid::NONE,
        returns: INT4,
        returns_set: false,
        is_strict: false,
        volatility: Volatility::Volatile,
        security_definer: false,
        settings: Box::default(),
        language: Language::Sql,
        body: None,
        parts: SmallVec::new(),
        extension: Oid::NONE,
        known: None,
        definition_hash: None,
    }
}

fn operator(oid: u32, schema: u32) -> Operator {
    Operator {
        oid: Oid(oid),
        schema: Oid(schema),
        name: "=".into(),
        left: INT4,
        right: INT4,
        result: Oid(16),
        function: Oid(65),
        estimators: SmallVec::new(),
    }
}

fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    catalog.server_major = 15;
    let schemas = [
        schema(PG_CATALOG, "pg_catalog", true),
        schema(A, "a", true),
        schema(B, "b", true),
        schema(TEMPORARY, "pg_temp_3", true),
        schema(HIDDEN, "hidden", false),
    ];
    catalog.schemas = schemas.into_iter().map(|schema| (schema.oid, schema)).collect();
    let checks = Box::new([Box::from("CHECK (a.f(VALUE) > 0)")]);
    let types = [
        a_type(23, PG_CATALOG, "int4", TypeKind::Base, b'N'),
        a_type(25, PG_CATALOG, "text", TypeKind::Base, b'S'),
        a_type(705, PG_CATALOG, "unknown", TypeKind::Pseudo, b'X'),
        a_type(
            21_001,
            A,
            "checked",
            TypeKind::Domain {
                base: INT4,
                checks,
                default: None,
            },
            b'N',
        ),
        a_type(21_002, A, "own", TypeKind::Base, b'U'),
        a_type(21_003, TEMPORARY, "t", TypeKind::Enum, b'E'),
        a_type(21_004, A, "t", TypeKind::Enum, b'E'),
    ];
    catalog.types = types.into_iter().map(|found| (found.oid, found)).collect();
    let mut with_out = function(22_010, A, "p", &[INT4]);
    with_out.kind = FunctionKind::Procedure;
    with_out.argument_names = ["i", "o"].map(Box::from).into();
    with_out.outputs = [("o".into(), TEXT)].into();
    let mut of_set = function(22_011, A, "rows", &[]);
    of_set.outputs = [("x".into(), INT4), ("".into(), TEXT)].into();
    let functions = [
        function(22_001, A, "f", &[INT4]),
        function(22_002, B, "f", &[INT4]),
        function(22_003, B, "f", &[TEXT]),
        function(22_004, TEMPORARY, "f", &[INT4]),
        function(22_005, A, "own", &[TEXT]),
        function(22_006, HIDDEN, "g", &[INT4]),
        with_out,
        of_set,
    ];
    catalog.functions = functions.into_iter().map(|found| (found.oid, found)).collect();
    let operators = [operator(96, PG_CATALOG), operator(23_001, A)];
    catalog.operators = operators.into_iter().map(|found| (found.oid, found)).collect();
    let cast = Cast {
        source: INT4,
        target: Oid(21_002),
        function: Oid(22_005),
        context: CastContext::Assignment,
        method: CastMethod::Function,
    };
    catalog.casts.insert((cast.source, cast.target), cast);
    catalog.index();
    catalog
}

fn world(path: &[&str], is_login: bool, touched: Touched) -> World {
    World {
        catalog: Arc::new(catalog()),
        session: Arc::new(SessionNames {
            search_path: path.iter().map(|&name| name.into()).collect(),
            path_is_default: false,
            role: "someone".into(),
            role_is_login: is_login,
            temporary_schema: Oid(TEMPORARY),
            touched,
            deferred: Deferred::Nothing,
        }),
        protected: Arc::default(),
        listed: Arc::default(),
        parameter_types: Arc::new([]),
        parameter_values: Arc::default(),
    }
}

fn call<'a>(name: &'a str, arguments: &'a [Ty], kind: CallKind) -> Call<'a> {
    Call {
        schema: None,
        name,
        arguments,
        names: &[],
        variadic: false,
        kind,
    }
}

fn one(oid: u32) -> Resolution {
    let result = Ty::Known(INT4);
    Resolution::One {
        oid: Oid(oid),
        result,
    }
}

fn several(oids: &[u32], result: Ty) -> Resolution {
    let candidates = oids.iter().map(|&oid| Oid(oid)).collect();
    Resolution::Several { candidates, result }
}

#[test]
fn t12_schemas_of_which_the_right_is_not_known_leave_every_candidate() {
    let int4 = &[Ty::Known(INT4)];
    let known = Ty::Known(INT4);
    for (path, is_login, name, want) in [
        (&["a", "b"][..], true, "f", one(22_001)),
        (&["b", "a"], true, "f", one(22_002)),
        (&["pg_temp", "b"], true, "f", one(22_002)),
        (&["pg_temp"], true, "f", Resolution::Missing),
        (&["a", "b"], false, "f", several(&[22_001, 22_002], known)),
        (&["hidden"], true, "g", Resolution::Missing),
        (&["hidden"], false, "g", one(22_006)),
    ] {
        let world = world(path, is_login, Touched::Nothing);
        let found = Resolver::new(&world).functions(&call(name, int4, CallKind::Function));
        assert_eq!(found, want, "{name} under {path:?}");
    }
    let here = world(&["a"], false, Touched::Nothing);
    let found = Resolver::new(&here).operators(None, "=", Some(int4[0]), Some(Ty::Literal));
    assert_eq!(
        found,
        Resolution::One {
            oid: Oid(96),
            result: Ty::Known(Oid(16))
        }
    );
    let here = world(&["a", "pg_catalog"], false, Touched::Nothing);
    let found = Resolver::new(&here).operators(None, "=", Some(int4[0]), Some(Ty::Literal));
    assert_eq!(found, several(&[96, 23_001], Ty::Known(Oid(16))));
    // The types' own lookup knows temporary objects, whatever the path says.
    assert_eq!(Resolver::new(&here).type_name(None, "t"), Named::One(Oid(21_003)));
    assert_eq!(
        Resolver::new(&here)
            .with_path(&["a".into(), "pg_temp".into()], "x")
            .type_name(None, "t"),
        Named::Several([Oid(21_004), Oid(21_003)].into_iter().collect())
    );
}

#[test]
fn t12_names_that_the_session_touched_mean_anything() {
    let names = Touched::Names(["f", "t"].map(Box::from).into_iter().collect());
    for touched in [names, Touched::Everything] {
        let world = world(&["a"], true, touched);
        let resolver = Resolver::new(&world);
        let found = resolver.functions(&call("f", &[Ty::Known(INT4)], CallKind::Function));
        assert_eq!(found, several(&[22_001, 22_002, 22_003, 22_004], Ty::Uncertain));
        let both = [Oid(21_003), Oid(21_004)].into_iter().collect();
        assert_eq!(resolver.type_name(Some("a"), "t"), Named::Several(both));
        assert!(resolver.is_touched("f"));
    }
}

#[test]
fn t01_a_literal_is_cast_where_a_parameter_calls() {
    let world = world(&["a"], true, Touched::Nothing);
    let resolver = Resolver::new(&world);
    let find = |ty| resolver.functions(&call("own", &[ty], CallKind::Function));
    assert_eq!(find(Ty::Literal), Resolution::Cast { to: Oid(21_002) });
    assert_eq!(find(Ty::Parameter), one(22_005));
    assert_eq!(find(Ty::Uncertain), several(&[22_005], Ty::Known(INT4)));
    assert_eq!(
        resolver.cast_notation(&call("own", &[Ty::Uncertain], CallKind::Function)),
        Named::One(Oid(21_002))
    );
}

#[test]
fn t08_call_gives_out_arguments_too() {
    let world = world(&["a"], true, Touched::Nothing);
    let resolver = Resolver::new(&world);
    let both = [Ty::Known(INT4), Ty::Literal];
    assert_eq!(
        resolver.functions(&call("p", &both, CallKind::Procedure)),
        one(22_010)
    );
    assert_eq!(
        resolver.functions(&call("p", &both[..1], CallKind::Procedure)),
        Resolution::Missing
    );
    assert_eq!(
        resolver.functions(&call("p", &both[..1], CallKind::Function)),
        Resolution::Missing
    );
    assert_eq!(
        resolver.functions(&call("f", &both[..1], CallKind::Procedure)),
        Resolution::Missing
    );
    let columns = vec![("x".into(), Ty::Known(INT4)), ("column2".into(), Ty::Known(TEXT))];
    assert_eq!(resolver.output_columns(Oid(22_011), &[]), Some(columns));
    assert_eq!(resolver.output_columns(Oid(22_001), &[Ty::Literal]), None);
}

#[test]
fn t08_coercions_tell_what_runs() {
    let world = world(&["a"], true, Touched::Nothing);
    let resolver = Resolver::new(&world);
    let (checked, own) = (Oid(21_001), Oid(21_002));
    let runs = |functions: &[Oid], types: &[Oid]| Coercion::Runs {
        functions: functions.into(),
        types: types.into(),
    };
    for (from, to, context, want) in [
        (Ty::Known(INT4), INT4, CastContext::Implicit, Coercion::Free),
        (Ty::Literal, INT4, CastContext::Implicit, Coercion::Free),
        (Ty::Known(INT4), TEXT, CastContext::Implicit, Coercion::Impossible),
        (Ty::Known(INT4), TEXT, CastContext::Assignment, Coercion::Free),
        (Ty::Literal, checked, CastContext::Implicit, runs(&[], &[checked])),
        (
            Ty::Known(INT4),
            checked,
            CastContext::Implicit,
            runs(&[], &[checked]),
        ),
        (Ty::Known(checked), INT4, CastContext::Implicit, Coercion::Free),
        (Ty::Known(INT4), own, CastContext::Implicit, Coercion::Impossible),
        (
            Ty::Known(checked),
            own,
            CastContext::Explicit,
            runs(&[Oid(22_005)], &[]),
        ),
        (Ty::Uncertain, own, CastContext::Explicit, Coercion::Uncertain),
        (
            Ty::Uncertain,
            types::ANYELEMENT,
            CastContext::Implicit,
            Coercion::Free,
        ),
    ] {
        assert_eq!(resolver.coercion(from, to, context), want, "{from:?} to {to}");
    }
}
