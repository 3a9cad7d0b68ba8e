//! Overload resolution against a real server: random calls, operators, casts and common types, of what is built in and
//! of random overloads in two schemas. The server's choice is read from the parse tree that it logs.
//!
//! A server is started in a temporary folder; without PostgreSQL the test fails. `RESOLVE_CASES` is the number of cases
//! of each kind, `RESOLVE_SEED` replays.

#[path = "resolve_against_postgres/cases.rs"]
mod cases;
#[path = "resolve_against_postgres/load.rs"]
mod load;
#[path = "model_against_postgres/server.rs"]
mod server;
#[path = "resolve_against_postgres/session.rs"]
mod session;

use std::env;
use std::sync::Arc;

use cases::{NAMES, OPERATORS, Pool, Random, Written};
use server::Server;
use session::{Answer, Session};
use sluice_parsers::sql::catalog::{CastContext, Catalog, Oid, TypeKind};
use sluice_parsers::sql::resolve::{Call, CallKind, Coercion, Named, Resolution, Resolver, Ty};
use sluice_parsers::sql::world::{Deferred, SessionNames, Touched, World};

/// What the server took.
#[derive(Debug, PartialEq, Eq)]
enum Took {
    Object(Oid, Oid),
    Cast(Oid),
}

/// How often what was said.
#[derive(Debug, Default)]
struct Counts {
    one: usize,
    no_result: usize,
    several: usize,
    cast: usize,
    error: usize,
    doubtful: usize,
    wrong: Vec<String>,
}

impl Counts {
    fn judge(&mut self, sql: &str, ours: &Resolution, answer: &Answer) {
        if let Some((code, message)) = &answer.error {
            self.error += 1;
            // What is found may still fail for other reasons, but not for want of a function or operator.
            let is_unfound = matches!(code.as_str(), "42883" | "42725") && !message.contains("pseudo-type");
            let is_certain = matches!(ours, Resolution::One { .. } | Resolution::Cast { .. });
            if is_unfound && is_certain && !is_found_but_refused(message) {
                self.wrong
                    .push(format!("{sql}\n    ours {ours:?}, server {code} {message}"));
            }
            return;
        }
        let tree = answer.tree.as_deref().unwrap_or_default();
        let took = took(tree);
        let agrees = match (ours, &took) {
            (Resolution::One { oid, result }, Some(Took::Object(object, kind))) => {
                self.one += 1;
                // What a default gives is not read.
                self.no_result += usize::from(*result == Ty::Uncertain);
                oid == object && (*result == Ty::Uncertain || *result == Ty::Known(*kind))
            }
            (Resolution::Cast { to }, Some(Took::Cast(kind))) => {
                self.cast += 1;
                to == kind
            }
            (Resolution::Several { candidates, .. }, Some(Took::Object(object, _))) => {
                self.several += 1;
                candidates.contains(object)
            }
            _ => false,
        };
        if !agrees {
            self.wrong
                .push(format!("{sql}\n    ours {ours:?}, server {took:?}"));
        }
    }

    /// Where less is known, what the server took is still among what is given.
    fn judge_doubtful(&mut self, sql: &str, ours: &Resolution, may_cast: bool, answer: &Answer) {
        let Some(took) = took(answer.tree.as_deref().unwrap_or_default()).filter(|_| answer.error.is_none())
        else {
            return;
        };
        self.doubtful += 1;
        let holds = match (ours, &took) {
            (Resolution::One { oid, result }, Took::Object(object, kind)) => {
                oid == object && (*result == Ty::Uncertain || *result == Ty::Known(*kind))
            }
            (Resolution::Several { candidates, result }, Took::Object(object, kind)) => {
                candidates.contains(object) && (*result == Ty::Uncertain || *result == Ty::Known(*kind))
            }
            (Resolution::Cast { to }, Took::Cast(kind)) => to == kind,
            (Resolution::Several { .. }, Took::Cast(_)) => may_cast,
            _ => false,
        };
        if !holds {
            self.wrong
                .push(format!("in doubt {sql}\n    ours {ours:?}, server {took:?}"));
        }
    }

    fn finish(self, what: &str) {
        println!(
            "{what}: {} one ({} with an unknown result), {} several, {} casts, {} errors, {} doubtful, {} wrong",
            self.one,
            self.no_result,
            self.several,
            self.cast,
            self.error,
            self.doubtful,
            self.wrong.len()
        );
        let shown: Vec<_> = self.wrong.iter().take(40).map(String::as_str).collect();
        assert!(self.wrong.is_empty(), "{what}:\n{}", shown.join("\n"));
    }
}

/// Errors of the same code that come after the choice.
fn is_found_but_refused(message: &str) -> bool {
    message.contains("WITHIN GROUP") || message.contains("direct arguments")
}

/// The number behind a word in a tree.
fn number(tree: &str, word: &str) -> Option<Oid> {
    let (_, after) = tree.split_once(word)?;
    let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
    after[..end].parse().ok().map(Oid)
}

fn took(tree: &str) -> Option<Took> {
    let (_, expression) = tree.split_once(":targetList ({TARGETENTRY :expr {")?;
    let object = |oid, kind| Some(Took::Object(number(expression, oid)?, number(expression, kind)?));
    match expression.split(' ').next()? {
        "FUNCEXPR" => object(":funcid ", ":funcresulttype "),
        "AGGREF" => object(":aggfnoid ", ":aggtype "),
        "OPEXPR" => object(":opno ", ":opresulttype "),
        "CONST" => number(expression, ":consttype ").map(Took::Cast),
        "PARAM" => number(expression, ":paramtype ").map(Took::Cast),
        _ => {
            let (_, after) = expression.rsplit_once(":resulttype ")?;
            number(&format!(" {after}"), " ").map(Took::Cast)
        }
    }
}

fn setting(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |value| value.parse().expect("a number"))
}

struct Oracle {
    session: Session,
    world: World,
    random: Random,
    cases: u64,
    // Ends after the session.
    _server: Server,
}

impl Oracle {
    fn start() -> Self {
        let server = Server::start();
        let mut session = Session::open(&server, &[]);
        let mut random = Random::new(setting("RESOLVE_SEED", 1));
        session.rows(cases::TYPES);
        for number in 0..400 {
            session.ask(&cases::overload(&mut random));
            session.ask(&cases::operator(&mut random, number));
        }
        let major = u8::try_from(server.version).expect("a version");
        let catalog = load::load(&mut session, major);
        let world = World {
            catalog: Arc::new(catalog),
            session: Arc::new(SessionNames {
                search_path: ["a", "b", "$user", "missing", "public"].map(Box::from).into(),
                path_is_default: false,
                role: "postgres".into(),
                role_is_login: true,
                temporary_schema: Oid::NONE,
                touched: Touched::Nothing,
                deferred: Deferred::Nothing,
            }),
            protected: Arc::default(),
            listed: Arc::default(),
            parameter_types: Arc::new([]),
            parameter_values: Arc::default(),
        };
        session.rows(
            "set search_path = a, b, \"$user\", missing, public; set debug_print_parse = on;
            set debug_pretty_print = off; set client_min_messages = log",
        );
        Self {
            session,
            world,
            random,
            cases: setting("RESOLVE_CASES", 4_000),
            _server: server,
        }
    }

    /// What the role `limited` gets, which may not use the schema `a`.
    fn as_limited(&mut self, expression: &str) -> Answer {
        self.session.ask("set role limited");
        let answer = self.prepare(expression);
        self.session.ask("reset role");
        answer
    }

    fn prepare(&mut self, expression: &str) -> Answer {
        let answer = self.session.ask(&format!("prepare p as select {expression}"));
        if answer.error.is_none() {
            let end = self.session.ask("deallocate p");
            assert!(end.error.is_none());
        }
        answer
    }
}

fn spelled(written: &[Written], names: &[Option<String>], variadic: bool) -> String {
    let mut parts = Vec::new();
    for (index, (value, name)) in written.iter().zip(names).enumerate() {
        let before = if variadic && index + 1 == written.len() {
            "variadic "
        } else {
            ""
        };
        let name = name
            .as_ref()
            .map_or_else(String::new, |name| format!("\"{name}\" => "));
        parts.push(format!("{before}{name}{}", value.text));
    }
    parts.join(", ")
}

#[test]
fn t08_functions_are_resolved_as_the_server_resolves_them() {
    let mut oracle = Oracle::start();
    let world = oracle.world.clone();
    let resolver = Resolver::new(&world);
    // A role that may not use one of the schemas, which nothing tells.
    let limited = resolver.with_path(&world.session.search_path, "limited");
    let catalog = &*world.catalog;
    let mut pool = Pool::new(catalog);
    let mut functions: Vec<_> = catalog.functions.values().collect();
    functions.sort_unstable_by_key(|function| function.oid);
    let own: Vec<_> = functions
        .iter()
        .copied()
        .filter(|function| NAMES.contains(&&*function.name))
        .collect();
    let mut counts = Counts::default();
    for _ in 0..oracle.cases {
        pool.begin();
        let random = &mut oracle.random;
        let function = if random.one_in(2) {
            *random.pick(&own)
        } else {
            *random.pick(&functions)
        };
        let (written, names, variadic) = pool.arguments(random, function);
        let schema = &*catalog.schemas[&function.schema].name;
        let schema = random.one_in(5).then_some(schema);
        let prefix = schema.map_or_else(String::new, |schema| format!("\"{schema}\"."));
        let sql = format!(
            "{prefix}\"{}\"({})",
            function.name,
            spelled(&written, &names, variadic)
        );
        let types: Vec<Ty> = written.iter().map(|value| value.ty).collect();
        let names: Vec<Option<&str>> = names.iter().map(Option::as_deref).collect();
        let call = Call {
            schema,
            name: &function.name,
            arguments: &types,
            names: &names,
            variadic,
            kind: CallKind::Function,
        };
        let ours = resolver.functions(&call);
        let answer = oracle.prepare(&sql);
        counts.judge(&sql, &ours, &answer);
        if !types.is_empty() {
            let mut types = types.clone();
            types[oracle.random.below(written.len())] = Ty::Uncertain;
            let call = Call {
                arguments: &types,
                ..call
            };
            let may_cast = resolver.cast_notation(&call) != Named::Missing;
            counts.judge_doubtful(&sql, &resolver.functions(&call), may_cast, &answer);
        }
        let answer_of_limited = oracle.as_limited(&sql);
        let may_cast = limited.cast_notation(&call) != Named::Missing;
        counts.judge_doubtful(&sql, &limited.functions(&call), may_cast, &answer_of_limited);
        if let (Resolution::One { oid, .. }, Some(tree)) = (&ours, &answer.tree)
            && answer.error.is_none()
        {
            let targets = resolver.argument_types(*oid, &call);
            let pairs = types.iter().copied().zip(targets);
            check_casts(&resolver, &sql, pairs, tree, &mut counts.wrong);
        }
    }
    counts.finish("functions");
}

#[test]
fn t08_operators_are_resolved_as_the_server_resolves_them() {
    let mut oracle = Oracle::start();
    let world = oracle.world.clone();
    let resolver = Resolver::new(&world);
    // A role that may not use one of the schemas, which nothing tells.
    let limited = resolver.with_path(&world.session.search_path, "limited");
    let catalog = &*world.catalog;
    let mut pool = Pool::new(catalog);
    let mut operators: Vec<_> = catalog.operators.values().collect();
    operators.sort_unstable_by_key(|operator| operator.oid);
    let own: Vec<_> = operators
        .iter()
        .copied()
        .filter(|operator| OPERATORS.contains(&&*operator.name))
        .collect();
    let mut counts = Counts::default();
    for _ in 0..oracle.cases {
        pool.begin();
        let random = &mut oracle.random;
        let operator = if random.one_in(2) {
            *random.pick(&own)
        } else {
            *random.pick(&operators)
        };
        let left = (!operator.left.is_none()).then(|| pool.written(random, operator.left));
        let mut right = pool.written(random, operator.right);
        if let Some(left) = &left
            && random.one_in(4)
            && left.ty != Ty::Parameter
        {
            right = left.clone();
        }
        let schema = &*catalog.schemas[&operator.schema].name;
        let schema = random.one_in(5).then_some(schema);
        // An operator between rows is one for each column.
        let is_rows =
            left.as_ref().is_some_and(|left| left.text.starts_with("ROW")) && right.text.starts_with("ROW");
        if is_rows {
            continue;
        }
        let text = left.as_ref().map_or("", |left| &left.text);
        let name = &operator.name;
        let name = schema.map_or_else(
            || name.to_string(),
            |schema| format!("operator(\"{schema}\".{name})"),
        );
        let sql = format!("({text}) {name} ({})", right.text);
        let sql = sql.trim_start_matches("() ");
        let left = left.map(|left| left.ty);
        let ours = resolver.operators(schema, &operator.name, left, Some(right.ty));
        let answer = oracle.prepare(sql);
        counts.judge(sql, &ours, &answer);
        let doubtful = match left {
            Some(_) if oracle.random.one_in(2) => (Some(Ty::Uncertain), right.ty),
            left => (left, Ty::Uncertain),
        };
        let doubtful = resolver.operators(schema, &operator.name, doubtful.0, Some(doubtful.1));
        counts.judge_doubtful(sql, &doubtful, false, &answer);
        let answer_of_limited = oracle.as_limited(sql);
        let doubtful = limited.operators(schema, &operator.name, left, Some(right.ty));
        counts.judge_doubtful(sql, &doubtful, false, &answer_of_limited);
        if let (Resolution::One { oid, .. }, Some(tree)) = (&ours, &answer.tree)
            && answer.error.is_none()
        {
            let targets = resolver.operand_types(*oid, left, Some(right.ty));
            let pairs = [(left, targets.0), (Some(right.ty), targets.1)];
            let pairs = pairs.into_iter().filter_map(|(from, to)| from.zip(to));
            check_casts(&resolver, sql, pairs, tree, &mut counts.wrong);
        }
    }
    counts.finish("operators");
}

/// The functions that run where `NULL::type` is written.
fn functions_of_writing(resolver: &Resolver<'_>, ty: Ty) -> Vec<Oid> {
    match ty {
        Ty::Known(oid) => match resolver.coercion(Ty::Literal, oid, CastContext::Explicit) {
            Coercion::Runs { functions, .. } => functions.into_vec(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Every cast function in the tree is one that the arguments' coercions were said to run.
fn check_casts(
    resolver: &Resolver<'_>,
    sql: &str,
    pairs: impl Iterator<Item = (Ty, Ty)>,
    tree: &str,
    wrong: &mut Vec<String>,
) {
    let mut said: Vec<Oid> = Vec::new();
    for (from, to) in pairs {
        said.extend(functions_of_writing(resolver, from));
        let coercion = match to {
            Ty::Known(to) => resolver.coercion(from, to, CastContext::Implicit),
            _ => Coercion::Free,
        };
        match coercion {
            Coercion::Runs { functions, .. } => said.extend(functions),
            Coercion::Uncertain => return,
            Coercion::Impossible => wrong.push(format!("{sql}\n    {from:?} to {to:?} should be possible")),
            Coercion::Free => {}
        }
    }
    // `:funcformat 2` is an implicit cast.
    for call in tree.split("{FUNCEXPR :funcid ").skip(1) {
        let is_implicit = call
            .split_once(":funcformat ")
            .is_some_and(|(_, after)| after.starts_with('2'));
        let oid = number(&format!("#{call}"), "#");
        if is_implicit && !oid.is_some_and(|oid| said.contains(&oid)) {
            wrong.push(format!("{sql}\n    casts by {oid:?}, said {said:?}"));
        }
    }
}

#[test]
fn t08_casts_and_common_types_are_the_servers() {
    let mut oracle = Oracle::start();
    let world = oracle.world.clone();
    let resolver = Resolver::new(&world);
    let catalog = &*world.catalog;
    let mut pool = Pool::new(catalog);
    let types = pool.types().to_vec();
    let mut wrong = Vec::new();
    let (mut possible, mut impossible, mut common, mut none) = (0, 0, 0, 0);
    for _ in 0..oracle.cases {
        let (from, to) = (*oracle.random.pick(&types), *oracle.random.pick(&types));
        let sql = format!("NULL::{}::{}", pool.spell(from), pool.spell(to));
        let answer = oracle.prepare(&sql);
        let ours = resolver.coercion(Ty::Known(from), to, CastContext::Explicit);
        let agrees = match (&answer.error, &answer.tree, &ours) {
            (Some((code, _)), _, ours) => {
                impossible += 1;
                code != "42846" || *ours == Coercion::Impossible || *ours == Coercion::Uncertain
            }
            (None, Some(tree), ours) => {
                possible += 1;
                let mut said = functions_of_writing(&resolver, Ty::Known(from));
                if let Coercion::Runs { functions, .. } = ours {
                    said.extend_from_slice(functions);
                }
                let mut calls = tree.split("{FUNCEXPR :funcid ").skip(1);
                let all_said =
                    calls.all(|call| number(&format!("#{call}"), "#").is_some_and(|oid| said.contains(&oid)));
                let is_io_of_row = tree.contains("{COERCEVIAIO") && is_row(catalog, from);
                let row_said = matches!(ours, Coercion::Runs { types, .. } if types.contains(&from) || is_domain(catalog, from));
                all_said && *ours != Coercion::Impossible && (!is_io_of_row || row_said)
            }
            _ => false,
        };
        if !agrees {
            wrong.push(format!("{sql}\n    ours {ours:?}, server {:?}", answer.error));
        }
    }
    for _ in 0..oracle.cases {
        pool.begin();
        let random = &mut oracle.random;
        let declared = *random.pick(&types);
        let values: Vec<_> = (0..2 + random.below(3))
            .map(|_| pool.written(random, declared))
            .collect();
        if values.iter().any(|value| value.ty == Ty::Parameter) {
            continue;
        }
        let texts: Vec<_> = values.iter().map(|value| value.text.as_str()).collect();
        let sql = format!("coalesce({})", texts.join(", "));
        let given: Vec<Ty> = values.iter().map(|value| value.ty).collect();
        let ours = resolver.common_type(&given);
        let answer = oracle.prepare(&sql);
        let theirs = answer
            .tree
            .as_deref()
            .and_then(|tree| number(tree, ":coalescetype "));
        if answer.error.is_some() {
            none += 1;
            continue;
        }
        common += 1;
        if Some(ours) != theirs.map(Ty::Known) {
            wrong.push(format!("{sql}\n    ours {ours:?}, server {theirs:?}"));
        }
    }
    println!("casts: {possible} possible, {impossible} not; common types: {common}, {none} none");
    let shown: Vec<_> = wrong.iter().take(40).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), shown.join("\n"));
}

#[test]
fn t12_names_are_looked_up_as_the_server_looks_them_up() {
    let server = Server::start();
    let mut session = Session::open(&server, &[]);
    session.rows(cases::SHADOWS);
    let major = u8::try_from(server.version).expect("a version");
    let catalog = Arc::new(load::load(&mut session, major));
    let temporary = session.rows("select pg_my_temp_schema()");
    let temporary_schema = Oid(temporary[0][0].parse().expect("an OID"));
    session.rows("set debug_print_parse = on; set debug_pretty_print = off; set client_min_messages = log");
    let mut random = Random::new(setting("RESOLVE_SEED", 1));
    let mut found = 0;
    for _ in 0..setting("RESOLVE_CASES", 4_000) / 10 {
        let path: Vec<Box<str>> = (0..random.below(6))
            .map(|_| Box::from(*random.pick(cases::SCHEMAS)))
            .collect();
        let world = World {
            catalog: catalog.clone(),
            session: Arc::new(SessionNames {
                search_path: path.clone().into(),
                path_is_default: false,
                role: "limited".into(),
                role_is_login: true,
                temporary_schema,
                touched: Touched::Nothing,
                deferred: Deferred::Nothing,
            }),
            protected: Arc::default(),
            listed: Arc::default(),
            parameter_types: Arc::new([]),
            parameter_values: Arc::default(),
        };
        let resolver = Resolver::new(&world);
        let quoted: Vec<_> = path.iter().map(|name| format!("\"{name}\"")).collect();
        let quoted = if quoted.is_empty() {
            "''".to_owned()
        } else {
            quoted.join(", ")
        };
        session.rows(&format!("set search_path = {quoted}"));
        for text in cases::TEXTS {
            let answer = session.ask(&format!(
                "select coalesce(pg_catalog.to_regclass('{text}'), 0)::pg_catalog.oid"
            ));
            let theirs = answer
                .rows
                .first()
                .map_or(Oid::NONE, |row| Oid(row[0].parse().expect("an OID")));
            let ours = match resolver.relation_of_text(text) {
                Named::One(oid) => oid,
                Named::Missing => Oid::NONE,
                Named::Several(several) => panic!("{text} under {quoted}: several {several:?}"),
            };
            // Without the right to use the schema that is written the server raises an error.
            let agrees = ours == theirs || answer.error.is_some();
            assert!(agrees, "{text} under {quoted}: ours {ours}, server {theirs}");
            found += usize::from(!theirs.is_none());
        }
        for name in ["t0", "t1", "t4", "text", "int4", "pg_class", "missing"] {
            let row = session.rows(&format!(
                "select coalesce(pg_catalog.to_regtype('\"{name}\"'), 0)::pg_catalog.oid"
            ));
            let theirs = Oid(row[0][0].parse().expect("an OID"));
            let ours = resolver.type_name(None, name);
            let agrees = ours
                == if theirs.is_none() {
                    Named::Missing
                } else {
                    Named::One(theirs)
                };
            assert!(
                agrees,
                "type {name} under {quoted}: ours {ours:?}, server {theirs}"
            );
        }
        let int4 = Ty::Known(Oid(23));
        let call = |schema, name, arguments| {
            resolver.functions(&Call {
                schema,
                name,
                arguments,
                names: &[],
                variadic: false,
                kind: CallKind::Function,
            })
        };
        let mut counts = Counts::default();
        for (sql, ours) in [
            ("g()", call(None, "g", &[])),
            ("pg_temp.g()", call(Some("pg_temp"), "g", &[])),
            ("lower('x')", call(None, "lower", &[Ty::Literal])),
            ("t4(NULL)", call(None, "t4", &[Ty::Literal])),
            ("1 = 2", resolver.operators(None, "=", Some(int4), Some(int4))),
        ] {
            let answer = session.ask(&format!("prepare p as select {sql}"));
            session.ask("deallocate p");
            counts.judge(&format!("{sql} under {quoted}"), &ours, &answer);
        }
        assert!(counts.wrong.is_empty(), "{:?}", counts.wrong);
    }
    println!("names: {found} found");
}

fn is_row(catalog: &Catalog, oid: Oid) -> bool {
    matches!(catalog.types[&oid].kind, TypeKind::Composite(_))
}

fn is_domain(catalog: &Catalog, oid: Oid) -> bool {
    matches!(catalog.types[&oid].kind, TypeKind::Domain { .. })
}
