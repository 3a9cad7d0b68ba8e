//! The statements that read a database's own objects.
//!
//! Each row begins with a letter that says what it is of. Statements order their rows, so that an unchanged database
//! gives the same bytes. Names are written with their schema throughout, so that no temporary object takes the place
//! of a catalog.
//!
//! Views, expressions and bodies have to be printed under an empty `search_path`, and the reading must leave no trace
//! in the session that it borrows. A setting that is changed and put back by hand would stay changed if the reading
//! fails. So in a transaction of the session's own, everything stands between SAVEPOINT and ROLLBACK TO SAVEPOINT:
//! SET LOCAL ends with the savepoint, whether the reading succeeds or not, and nothing is written that would be lost.
//! Outside of one, a transaction of the gateway's own does the same.

use std::fmt::Write as _;

use crate::sql::catalog::base;

/// Where the statements run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a connection without a transaction in progress.
    Idle,
    /// In a transaction block, which has not failed, of whoever's connection it is.
    InTransaction,
}

/// The savepoint's name. One of that name that is there already is hidden for a while and stays.
const SAVEPOINT: &str = "sluice_catalog";

/// What a printed text depends on, and what might end or delay the reading.
const SETTINGS: &str = "SET LOCAL search_path = '';\
    SET LOCAL statement_timeout = 0;\
    SET LOCAL max_parallel_workers_per_gather = 0;\
    SET LOCAL jit = off;\n";

/// The text of one simple Query that reads everything.
pub(super) fn all(major: u8, place: Place) -> String {
    let mut text = String::with_capacity(16 * 1024);
    // Writing to a string does not fail.
    let _ = match place {
        Place::Idle => writeln!(text, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"),
        Place::InTransaction => writeln!(text, "SAVEPOINT {SAVEPOINT};"),
    };
    text.push_str(SETTINGS);
    for query in [
        HEADER,
        SCHEMAS,
        BUILT_IN,
        ALTERED,
        ROLES,
        EXTENSIONS,
        RELATIONS,
        COLUMNS,
        PARENTS,
        IDENTITIES,
        PARTITION_KEYS,
        CHECKS,
        INDEXES,
        STATISTICS,
        RULES,
        TRIGGERS,
        POLICIES,
        FOREIGN_KEYS,
        FUNCTIONS,
        TYPES,
        OPERATORS,
        CASTS,
        OPERATOR_CLASSES,
        FAMILY_MEMBERS,
        EVENT_TRIGGERS,
        FOREIGN_SERVERS,
    ] {
        fill(&mut text, query, major);
        text.push_str(";\n");
    }
    let _ = match place {
        Place::Idle => writeln!(text, "COMMIT"),
        Place::InTransaction => {
            writeln!(
                text,
                "ROLLBACK TO SAVEPOINT {SAVEPOINT};RELEASE SAVEPOINT {SAVEPOINT}"
            )
        }
    };
    text
}

/// What a text must do when its reading failed inside of a transaction: the transaction is as it was before.
pub(super) fn undo(place: Place) -> String {
    match place {
        Place::Idle => "ROLLBACK".into(),
        Place::InTransaction => {
            format!("ROLLBACK TO SAVEPOINT {SAVEPOINT};RELEASE SAVEPOINT {SAVEPOINT}")
        }
    }
}

/// What of a statement depends on the version.
type Part = fn(u8) -> &'static str;

/// Parts of the statements that stand in several of them or differ between versions.
const PARTS: [(&str, Part); 10] = [
    ("{own_schemas}", |_| OWN_SCHEMAS),
    ("{checksum}", |_| base::CHECKSUM_QUERY),
    ("{expected_checksum}", base::checksum),
    ("{locked}", |_| LOCKED),
    ("{sql_body}", |major| {
        if major >= 14 {
            "CASE WHEN p.prosqlbody IS NOT NULL THEN pg_catalog.pg_get_function_sqlbody(p.oid) ELSE p.prosrc END"
        } else {
            "p.prosrc"
        }
    }),
    ("{is_sql_body}", |major| {
        if major >= 14 {
            "p.prosqlbody IS NOT NULL"
        } else {
            "false"
        }
    }),
    (
        "{subscript}",
        |major| {
            if major >= 14 { "t.typsubscript" } else { "0" }
        },
    ),
    ("{is_array}", |major| {
        if major >= 14 {
            "t.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc"
        } else {
            "t.typelem <> 0 AND t.typlen = -1"
        }
    }),
    ("{multirange}", |major| {
        if major >= 14 {
            "(SELECT m.rngtypid FROM pg_catalog.pg_range m WHERE m.rngmultitypid = t.oid)"
        } else {
            "0"
        }
    }),
    ("{statistics}", |major| {
        if major >= 14 {
            "SELECT 's', x.stxrelid, pg_catalog.pg_get_expr(x.stxexprs, x.stxrelid) \
             FROM pg_catalog.pg_statistic_ext x \
             WHERE x.stxexprs IS NOT NULL AND x.stxrelid NOT IN (SELECT relation FROM locked) ORDER BY 2, x.oid"
        } else {
            "SELECT 's', 0, '' FROM locked WHERE false"
        }
    }),
];

fn fill(into: &mut String, query: &str, major: u8) {
    let mut rest = query;
    while let Some((before, from)) = rest.split_once('{') {
        into.push_str(before);
        let known = PARTS
            .iter()
            .find_map(|(name, part)| Some((part(major), from.strip_prefix(name.strip_prefix('{')?)?)));
        // A brace is of no statement's text.
        let (part, behind) = known.unwrap_or(("{", from));
        into.push_str(part);
        rest = behind;
    }
    into.push_str(rest);
}

/// All schemas but those of other sessions' temporary objects, which nobody else can use.
const OWN_SCHEMAS: &str = "(SELECT n.oid FROM pg_catalog.pg_namespace n \
    WHERE n.oid = pg_catalog.pg_my_temp_schema() \
    OR NOT pg_catalog.starts_with(n.nspname::pg_catalog.text, 'pg_temp_') \
    AND NOT pg_catalog.starts_with(n.nspname::pg_catalog.text, 'pg_toast_temp_'))";

/// Relations that somebody is changing. To print what is said of them would wait for the end of that; so would
/// whatever uses them, so it does no harm that they are unknown for so long.
const LOCKED: &str = "WITH locked AS MATERIALIZED (SELECT l.relation FROM pg_catalog.pg_locks l \
    WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.relation IS NOT NULL \
    AND l.pid <> pg_catalog.pg_backend_pid() AND l.database = \
    (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()))";

const HEADER: &str =
    "SELECT 'v', pg_catalog.current_setting('server_version_num'), pg_catalog.current_database()";

const SCHEMAS: &str = "SELECT 'n', n.oid, n.nspname, n.nspowner, \
    pg_catalog.has_schema_privilege(session_user, n.oid, 'USAGE') \
    FROM pg_catalog.pg_namespace n WHERE n.oid IN {own_schemas} ORDER BY 2";

/// What `initdb` gave numbers to: they differ from machine to machine.
const BUILT_IN: &str = "SELECT 'b', 'n', n.oid, '', n.nspname, '' FROM pg_catalog.pg_namespace n \
      WHERE n.oid BETWEEN 10000 AND 16383 \
    UNION ALL SELECT 'b', 'r', c.oid, n.nspname, c.relname, '' FROM pg_catalog.pg_class c \
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
      WHERE c.oid BETWEEN 10000 AND 16383 AND c.relkind IN ('r', 'v') \
    UNION ALL SELECT 'b', 't', t.oid, n.nspname, t.typname, '' FROM pg_catalog.pg_type t \
      JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
      WHERE t.oid BETWEEN 10000 AND 16383 AND NOT pg_catalog.starts_with(t.typname::pg_catalog.text, 'pg_toast') \
    UNION ALL SELECT 'b', 'f', p.oid, n.nspname, p.proname, p.proargtypes::pg_catalog.text \
      FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
      WHERE p.oid BETWEEN 10000 AND 16383 ORDER BY 2, 3";

/// The server's own functions, where somebody has altered or replaced one; nothing otherwise.
const ALTERED: &str = "SELECT 'B', p.oid, p.prolang, p.prosrc, p.prosecdef, p.proconfig IS NOT NULL \
    FROM pg_catalog.pg_proc p WHERE p.oid < 10000 AND ({checksum}) IS DISTINCT FROM '{expected_checksum}' ORDER BY 2";

const ROLES: &str =
    "SELECT 'l', r.oid, r.rolname, r.rolsuper, r.rolbypassrls FROM pg_catalog.pg_roles r ORDER BY 2";

const EXTENSIONS: &str =
    "SELECT 'x', e.oid, e.extname, e.extversion FROM pg_catalog.pg_extension e ORDER BY 2";

const RELATIONS: &str = "{locked} SELECT 'r', c.oid, c.relnamespace, c.relname, c.relowner, c.relkind, c.reltype, \
    c.relpersistence = 't', c.relrowsecurity, c.relforcerowsecurity, \
    EXISTS (SELECT FROM pg_catalog.pg_options_to_table(c.reloptions) o \
      WHERE CASE WHEN o.option_name = 'security_invoker' THEN o.option_value::pg_catalog.bool END), \
    f.ftserver, d.refobjid, a.amhandler::pg_catalog.oid, \
    c.oid IN (SELECT o.o FROM pg_catalog.pg_constraint k, pg_catalog.unnest(ARRAY[k.conrelid, k.confrelid]) o (o) \
      WHERE k.condeferrable AND (k.contype = 'x' \
        OR EXISTS (SELECT FROM pg_catalog.unnest(k.conpfeqop || k.conppeqop || k.conffeqop) e (e) WHERE e.e >= 16384) \
        OR EXISTS (SELECT FROM pg_catalog.pg_index i, pg_catalog.unnest(i.indclass::pg_catalog.oid[]) e (e) \
          WHERE i.indexrelid = k.conindid AND e.e >= 16384))), \
    CASE WHEN c.relkind IN ('v', 'm') AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend u \
      JOIN pg_catalog.pg_rewrite w ON u.classid = 2618 AND u.objid = w.oid AND u.refclassid = 1259 \
      WHERE w.ev_class = c.oid AND u.refobjid IN (SELECT relation FROM locked)) \
      THEN pg_catalog.pg_get_viewdef(c.oid) END \
    FROM pg_catalog.pg_class c \
    LEFT JOIN pg_catalog.pg_foreign_table f ON f.ftrelid = c.oid \
    LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam AND a.oid >= 16384 \
    LEFT JOIN pg_catalog.pg_depend d ON d.classid = 1259 AND d.objid = c.oid AND d.objsubid = 0 \
      AND d.refclassid = 3079 AND d.deptype = 'e' \
    WHERE c.oid >= 16384 AND c.relnamespace IN {own_schemas} ORDER BY 2";

const COLUMNS: &str = "{locked} SELECT 'a', a.attrelid, a.attnum, a.attname, a.atttypid, a.attgenerated <> '', \
    d.oid IS NOT NULL, CASE WHEN d.oid IS NOT NULL AND a.attrelid NOT IN (SELECT relation FROM locked) \
      THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END \
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
    WHERE a.attrelid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped \
    AND c.relkind NOT IN ('i', 'I', 't') AND c.relnamespace IN {own_schemas} ORDER BY 2, 3";

const PARENTS: &str = "SELECT 'h', i.inhrelid, i.inhparent FROM pg_catalog.pg_inherits i \
    WHERE i.inhrelid >= 16384 ORDER BY 2, i.inhseqno, 3";

const IDENTITIES: &str = "SELECT 'q', d.refobjid, d.refobjsubid, d.objid FROM pg_catalog.pg_depend d \
    JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind = 'S' \
    WHERE d.classid = 1259 AND d.refclassid = 1259 AND d.deptype = 'i' AND d.refobjsubid > 0 ORDER BY 2, 3, 4";

const PARTITION_KEYS: &str = "{locked} SELECT 'p', p.partrelid, p.partexprs IS NOT NULL, \
    CASE WHEN p.partexprs IS NOT NULL AND p.partrelid NOT IN (SELECT relation FROM locked) \
      THEN pg_catalog.pg_get_expr(p.partexprs, p.partrelid) END, p.partclass \
    FROM pg_catalog.pg_partitioned_table p ORDER BY 2";

const CHECKS: &str = "{locked} SELECT 'k', c.conrelid, c.contypid, \
    CASE WHEN c.conrelid NOT IN (SELECT relation FROM locked) \
      THEN pg_catalog.pg_get_expr(c.conbin, c.conrelid) END \
    FROM pg_catalog.pg_constraint c WHERE c.contype = 'c' AND c.oid >= 16384 ORDER BY 2, 3, c.oid";

const INDEXES: &str = "{locked} SELECT 'i', i.indrelid, i.indexprs IS NOT NULL, \
    CASE WHEN i.indexprs IS NOT NULL AND i.indrelid NOT IN (SELECT relation FROM locked) \
      THEN pg_catalog.pg_get_expr(i.indexprs, i.indrelid) END, \
    i.indpred IS NOT NULL, \
    CASE WHEN i.indpred IS NOT NULL AND i.indrelid NOT IN (SELECT relation FROM locked) \
      THEN pg_catalog.pg_get_expr(i.indpred, i.indrelid) END, \
    i.indclass, a.amhandler::pg_catalog.oid, x.conexclop \
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
    LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam AND a.oid >= 16384 \
    LEFT JOIN pg_catalog.pg_constraint x ON x.conindid = i.indexrelid AND x.contype = 'x' \
    WHERE i.indexrelid >= 16384 AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL OR a.oid IS NOT NULL \
      OR x.oid IS NOT NULL OR EXISTS (SELECT FROM pg_catalog.unnest(i.indclass::pg_catalog.oid[]) o (o) WHERE o.o >= 16384)) \
    ORDER BY 2, i.indexrelid";

const STATISTICS: &str = "{locked} {statistics}";

const RULES: &str = "{locked} SELECT 'u', r.ev_class, r.rulename, r.ev_type, r.is_instead, \
    CASE WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_depend u WHERE u.classid = 2618 AND u.objid = r.oid \
      AND u.refclassid = 1259 AND u.refobjid IN (SELECT relation FROM locked)) \
      THEN pg_catalog.pg_get_ruledef(r.oid) END \
    FROM pg_catalog.pg_rewrite r WHERE r.rulename <> '_RETURN' AND r.ev_enabled <> 'D' AND r.oid >= 16384 \
    ORDER BY 2, 3";

/// Foreign keys' own triggers are built in; those that older versions copy to partitions are marked internal too.
const TRIGGERS: &str = "SELECT 't', t.tgrelid, t.tgname, t.tgfoid, t.tgtype, t.tgattr, t.tgdeferrable, \
    t.tgqual IS NOT NULL, CASE WHEN t.tgqual IS NOT NULL THEN pg_catalog.pg_get_triggerdef(t.oid) END \
    FROM pg_catalog.pg_trigger t WHERE t.tgenabled <> 'D' AND (NOT t.tgisinternal OR t.tgfoid >= 16384) \
    ORDER BY 2, 3, t.oid";

const POLICIES: &str = "{locked} SELECT 'y', p.polrelid, p.polname, p.polcmd, \
    p.polqual IS NOT NULL, CASE WHEN p.polrelid NOT IN (SELECT relation FROM locked) \
      THEN pg_catalog.pg_get_expr(p.polqual, p.polrelid) END, \
    p.polwithcheck IS NOT NULL, CASE WHEN p.polrelid NOT IN (SELECT relation FROM locked) \
      THEN pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) END \
    FROM pg_catalog.pg_policy p ORDER BY 2, 3";

const FOREIGN_KEYS: &str = "SELECT 'f', c.conname, c.conrelid, c.conkey, c.confrelid, c.confkey, c.confupdtype, \
    c.confdeltype, ARRAY(SELECT o.oprcode::pg_catalog.oid FROM pg_catalog.pg_operator o \
      WHERE o.oid >= 16384 AND o.oid = ANY (c.conpfeqop || c.conppeqop || c.conffeqop) ORDER BY 1) \
    FROM pg_catalog.pg_constraint c WHERE c.contype = 'f' ORDER BY c.oid";

/// PL/pgSQL is what its own handler runs, whatever a language is called.
const FUNCTIONS: &str = "SELECT 'F', p.oid, p.pronamespace, p.proname, p.proowner, p.prokind, p.proargtypes, \
    p.proallargtypes, p.proargmodes, p.proargnames, p.pronargdefaults, \
    CASE WHEN p.pronargdefaults > 0 THEN ARRAY(SELECT e.e FROM (SELECT g.g, \
      pg_catalog.pg_get_function_arg_default(p.oid, g.g) e FROM pg_catalog.generate_series(1, \
      COALESCE(pg_catalog.array_length(p.proallargtypes, 1), p.pronargs::pg_catalog.int4)) g (g)) e \
      WHERE e.e IS NOT NULL ORDER BY e.g) END, \
    p.provariadic, p.prorettype, p.proretset, p.proisstrict, p.provolatile, p.prosecdef, p.proconfig, \
    CASE WHEN p.prolang = 12 THEN 'i' WHEN p.prolang = 13 THEN 'c' WHEN p.prolang = 14 THEN 's' \
      WHEN h.prosrc = 'plpgsql_call_handler' AND h.probin = '$libdir/plpgsql' THEN 'p' ELSE 'o' END, \
    {is_sql_body}, {sql_body}, p.probin, d.refobjid, \
    ARRAY(SELECT f.f FROM pg_catalog.unnest(ARRAY[g.aggtransfn::pg_catalog.oid, g.aggfinalfn, g.aggcombinefn, \
      g.aggserialfn, g.aggdeserialfn, g.aggmtransfn, g.aggminvtransfn, g.aggmfinalfn, \
      (SELECT o.oprcode::pg_catalog.oid FROM pg_catalog.pg_operator o WHERE o.oid = g.aggsortop), \
      CASE WHEN p.prosupport::pg_catalog.oid >= 16384 AND d.refobjid IS NULL THEN p.prosupport::pg_catalog.oid END]) f (f) WHERE f.f <> 0), \
    l.lanname \
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
    LEFT JOIN pg_catalog.pg_proc h ON h.oid = l.lanplcallfoid \
    LEFT JOIN pg_catalog.pg_aggregate g ON g.aggfnoid = p.oid \
    LEFT JOIN pg_catalog.pg_depend d ON d.classid = 1255 AND d.objid = p.oid AND d.refclassid = 3079 AND d.deptype = 'e' \
    WHERE p.oid >= 16384 AND p.pronamespace IN {own_schemas} ORDER BY 2";

const TYPES: &str = "SELECT 'T', t.oid, t.typnamespace, t.typname, t.typowner, t.typtype, t.typcategory, \
    t.typispreferred, t.typelem, t.typarray, t.typrelid, t.typbasetype, t.typdefaultbin IS NOT NULL, \
    pg_catalog.pg_get_expr(t.typdefaultbin, 0), {is_array}, \
    r.rngsubtype, r.rngsubopc, {multirange}, d.refobjid, \
    ARRAY(SELECT f.f FROM pg_catalog.unnest(ARRAY[t.typinput::pg_catalog.oid, t.typoutput, t.typreceive, t.typsend, \
      t.typmodin, t.typmodout, t.typanalyze, {subscript}, r.rngcanonical, r.rngsubdiff]) f (f) WHERE f.f >= 16384) \
    FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid \
    LEFT JOIN pg_catalog.pg_depend d ON d.classid = 1247 AND d.objid = t.oid AND d.refclassid = 3079 AND d.deptype = 'e' \
    WHERE t.oid >= 16384 AND t.typnamespace IN {own_schemas} ORDER BY 2";

const OPERATORS: &str = "SELECT 'o', o.oid, o.oprnamespace, o.oprname, o.oprleft, o.oprright, o.oprresult, \
    o.oprcode::pg_catalog.oid, ARRAY(SELECT f.f FROM pg_catalog.unnest(ARRAY[o.oprrest::pg_catalog.oid, o.oprjoin]) f (f) WHERE f.f >= 16384) \
    FROM pg_catalog.pg_operator o WHERE o.oid >= 16384 AND o.oprnamespace IN {own_schemas} ORDER BY 2";

const CASTS: &str = "SELECT 'c', c.castsource, c.casttarget, c.castfunc, c.castcontext, c.castmethod \
    FROM pg_catalog.pg_cast c WHERE c.oid >= 16384 ORDER BY 2, 3";

const OPERATOR_CLASSES: &str = "SELECT 'O', c.oid, c.opcname, c.opcintype, c.opcdefault, \
    ARRAY(SELECT a.amproc::pg_catalog.oid FROM pg_catalog.pg_amproc a WHERE a.amprocfamily = c.opcfamily \
      UNION SELECT o.oprcode::pg_catalog.oid FROM pg_catalog.pg_amop a \
      JOIN pg_catalog.pg_operator o ON o.oid = a.amopopr WHERE a.amopfamily = c.opcfamily ORDER BY 1) \
    FROM pg_catalog.pg_opclass c WHERE c.oid >= 16384 ORDER BY 2";

/// What users added to built-in operator families: as if it were a class of its own.
const FAMILY_MEMBERS: &str = "SELECT 'O', 0, f.opfname, m.t, true, ARRAY[m.f] FROM ( \
      SELECT a.amprocfamily, a.amproclefttype, a.amproc::pg_catalog.oid FROM pg_catalog.pg_amproc a WHERE a.oid >= 16384 \
      UNION SELECT a.amopfamily, a.amoplefttype, o.oprcode::pg_catalog.oid FROM pg_catalog.pg_amop a \
      JOIN pg_catalog.pg_operator o ON o.oid = a.amopopr WHERE a.oid >= 16384) m (family, t, f) \
    JOIN pg_catalog.pg_opfamily f ON f.oid = m.family AND f.oid < 16384 ORDER BY 3, 4, 6";

const EVENT_TRIGGERS: &str = "SELECT 'e', e.evtname, e.evtfoid FROM pg_catalog.pg_event_trigger e \
    WHERE e.evtenabled <> 'D' ORDER BY 2";

const FOREIGN_SERVERS: &str = "SELECT 'S', s.oid, s.srvname, w.fdwname, \
    EXISTS (SELECT FROM pg_catalog.pg_foreign_table f, pg_catalog.pg_options_to_table(f.ftoptions) o \
      WHERE f.ftserver = s.oid AND o.option_name = 'program'), \
    ARRAY(SELECT f.f FROM pg_catalog.unnest(ARRAY[w.fdwhandler, w.fdwvalidator]) f (f) WHERE f.f <> 0) \
    FROM pg_catalog.pg_foreign_server s JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw ORDER BY 2";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_filled_in_and_parses() {
        for major in 12..=18 {
            for place in [Place::Idle, Place::InTransaction] {
                let text = all(major, place);
                assert!(!text.contains('{'), "{text}");
                let parsed = pg_query::parse(&text, 0).expect("the statements parse");
                assert!(parsed.protobuf.stmts.len() > 25, "{major}");
            }
        }
    }
}
