//! Names of built-in operators, types and catalogs.
//!
//! From `pg_operator`, `pg_type` and `pg_class` of PostgreSQL 15. An unqualified name that a user's object shares with
//! a built-in one cannot be told apart without a catalog; creating such an operator or cast is opaque.

use pg_query::NodeEnum;
use pg_query::protobuf::TypeName;

/// Whether an operator of this name is built in.
pub(super) fn is_operator(schema: Option<&str>, name: &str) -> bool {
    schema.is_none_or(|schema| schema == "pg_catalog") && OPERATORS.binary_search(&name).is_ok()
}

/// Whether an operator is a plain comparison.
pub(super) fn is_comparison(name: &str) -> bool {
    matches!(name, "=" | "<>" | "<" | ">" | "<=" | ">=")
}

/// Whether a type of this name is built in. Domains are not: their checks run code.
pub(super) fn is_type(schema: Option<&str>, name: &str) -> bool {
    match schema {
        // `_int4` is the array of `int4`.
        None | Some("pg_catalog") => TYPES
            .binary_search(&name.strip_prefix('_').unwrap_or(name))
            .is_ok(),
        // The standard's views are defined over these domains, whose checks are built in.
        Some("information_schema") => {
            matches!(
                name,
                "cardinal_number" | "character_data" | "sql_identifier" | "time_stamp" | "yes_or_no"
            )
        }
        Some(_) => false,
    }
}

/// Whether a value of this type stands for nothing but itself: not a name that the server looks up, and no code.
pub(super) fn is_plain_type(name: &TypeName) -> bool {
    built_in_name(name)
        .is_some_and(|name| !name.starts_with("reg") && !matches!(name, "xml" | "record" | "refcursor"))
}

/// Whether a constant of this type names an object by its text.
pub(super) fn is_name_type(name: &TypeName) -> bool {
    built_in_name(name)
        .is_some_and(|name| name.starts_with("reg") || matches!(name, "text" | "name" | "varchar" | "oid"))
}

fn built_in_name(name: &TypeName) -> Option<&str> {
    let part = |index: usize| match &name.names.get(index)?.node {
        Some(NodeEnum::String(text)) => Some(text.sval.as_str()),
        _ => None,
    };
    let (schema, own) = match name.names.len() {
        1 => (None, part(0)?),
        2 => (Some(part(0)?), part(1)?),
        _ => return None,
    };
    (schema.is_none_or(|schema| schema == "pg_catalog") && is_type(schema, own)).then_some(own)
}

/// Whether a relation is one of the system's catalogs or views.
pub(super) fn is_catalog_relation(schema: &str, name: &str) -> bool {
    match schema {
        "pg_catalog" | "information_schema" => true,
        "" => CATALOGS.binary_search(&name).is_ok(),
        _ => false,
    }
}

/// Sorted by bytes.
const OPERATORS: &[&str] = &[
    "!!", "!~", "!~*", "!~~", "!~~*", "#", "##", "#-", "#>", "#>>", "%", "&", "&&", "&<", "&<|", "&>", "*",
    "*<", "*<=", "*<>", "*=", "*>", "*>=", "+", "-", "->", "->>", "-|-", "/", "<", "<->", "<<", "<<=", "<<|",
    "<=", "<>", "<@", "<^", "=", ">", ">=", ">>", ">>=", ">^", "?", "?#", "?&", "?-", "?-|", "?|", "?||",
    "@", "@-@", "@>", "@?", "@@", "@@@", "^", "^@", "|", "|&>", "|/", "|>>", "||", "||/", "~", "~*", "~<=~",
    "~<~", "~=", "~>=~", "~>~", "~~", "~~*",
];

/// Base, range and multirange types. Sorted.
const TYPES: &[&str] = &[
    "aclitem",
    "bit",
    "bool",
    "box",
    "bpchar",
    "bytea",
    "char",
    "cid",
    "cidr",
    "circle",
    "date",
    "datemultirange",
    "daterange",
    "float4",
    "float8",
    "inet",
    "int2",
    "int2vector",
    "int4",
    "int4multirange",
    "int4range",
    "int8",
    "int8multirange",
    "int8range",
    "interval",
    "json",
    "jsonb",
    "jsonpath",
    "line",
    "lseg",
    "macaddr",
    "macaddr8",
    "money",
    "name",
    "numeric",
    "nummultirange",
    "numrange",
    "oid",
    "oidvector",
    "path",
    "pg_lsn",
    "pg_snapshot",
    "point",
    "polygon",
    "record",
    "refcursor",
    "regclass",
    "regcollation",
    "regconfig",
    "regdictionary",
    "regnamespace",
    "regoper",
    "regoperator",
    "regproc",
    "regprocedure",
    "regrole",
    "regtype",
    "text",
    "tid",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "tsmultirange",
    "tsquery",
    "tsrange",
    "tstzmultirange",
    "tstzrange",
    "tsvector",
    "txid_snapshot",
    "uuid",
    "varbit",
    "varchar",
    "xid",
    "xid8",
    "xml",
];

/// Sorted.
const CATALOGS: &[&str] = &[
    "pg_aggregate",
    "pg_am",
    "pg_amop",
    "pg_amproc",
    "pg_attrdef",
    "pg_attribute",
    "pg_auth_members",
    "pg_authid",
    "pg_available_extension_versions",
    "pg_available_extensions",
    "pg_backend_memory_contexts",
    "pg_cast",
    "pg_class",
    "pg_collation",
    "pg_config",
    "pg_constraint",
    "pg_conversion",
    "pg_cursors",
    "pg_database",
    "pg_db_role_setting",
    "pg_default_acl",
    "pg_depend",
    "pg_description",
    "pg_enum",
    "pg_event_trigger",
    "pg_extension",
    "pg_file_settings",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_foreign_table",
    "pg_group",
    "pg_hba_file_rules",
    "pg_ident_file_mappings",
    "pg_index",
    "pg_indexes",
    "pg_inherits",
    "pg_init_privs",
    "pg_language",
    "pg_largeobject",
    "pg_largeobject_metadata",
    "pg_locks",
    "pg_matviews",
    "pg_namespace",
    "pg_opclass",
    "pg_operator",
    "pg_opfamily",
    "pg_parameter_acl",
    "pg_partitioned_table",
    "pg_policies",
    "pg_policy",
    "pg_prepared_statements",
    "pg_prepared_xacts",
    "pg_proc",
    "pg_publication",
    "pg_publication_namespace",
    "pg_publication_rel",
    "pg_publication_tables",
    "pg_range",
    "pg_replication_origin",
    "pg_replication_origin_status",
    "pg_replication_slots",
    "pg_rewrite",
    "pg_roles",
    "pg_rules",
    "pg_seclabel",
    "pg_seclabels",
    "pg_sequence",
    "pg_sequences",
    "pg_settings",
    "pg_shadow",
    "pg_shdepend",
    "pg_shdescription",
    "pg_shmem_allocations",
    "pg_shseclabel",
    "pg_stat_activity",
    "pg_stat_all_indexes",
    "pg_stat_all_tables",
    "pg_stat_archiver",
    "pg_stat_bgwriter",
    "pg_stat_database",
    "pg_stat_database_conflicts",
    "pg_stat_gssapi",
    "pg_stat_progress_analyze",
    "pg_stat_progress_basebackup",
    "pg_stat_progress_cluster",
    "pg_stat_progress_copy",
    "pg_stat_progress_create_index",
    "pg_stat_progress_vacuum",
    "pg_stat_recovery_prefetch",
    "pg_stat_replication",
    "pg_stat_replication_slots",
    "pg_stat_slru",
    "pg_stat_ssl",
    "pg_stat_subscription",
    "pg_stat_subscription_stats",
    "pg_stat_sys_indexes",
    "pg_stat_sys_tables",
    "pg_stat_user_functions",
    "pg_stat_user_indexes",
    "pg_stat_user_tables",
    "pg_stat_wal",
    "pg_stat_wal_receiver",
    "pg_stat_xact_all_tables",
    "pg_stat_xact_sys_tables",
    "pg_stat_xact_user_functions",
    "pg_stat_xact_user_tables",
    "pg_statio_all_indexes",
    "pg_statio_all_sequences",
    "pg_statio_all_tables",
    "pg_statio_sys_indexes",
    "pg_statio_sys_sequences",
    "pg_statio_sys_tables",
    "pg_statio_user_indexes",
    "pg_statio_user_sequences",
    "pg_statio_user_tables",
    "pg_statistic",
    "pg_statistic_ext",
    "pg_statistic_ext_data",
    "pg_stats",
    "pg_stats_ext",
    "pg_stats_ext_exprs",
    "pg_subscription",
    "pg_subscription_rel",
    "pg_tables",
    "pg_tablespace",
    "pg_timezone_abbrevs",
    "pg_timezone_names",
    "pg_transform",
    "pg_trigger",
    "pg_ts_config",
    "pg_ts_config_map",
    "pg_ts_dict",
    "pg_ts_parser",
    "pg_ts_template",
    "pg_type",
    "pg_user",
    "pg_user_mapping",
    "pg_user_mappings",
    "pg_views",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        for table in [OPERATORS, TYPES, CATALOGS] {
            assert!(table.is_sorted_by(|left, right| left < right));
        }
    }

    #[test]
    fn schemas_are_told_apart() {
        assert!(is_operator(None, "=") && is_operator(Some("pg_catalog"), "->>"));
        assert!(!is_operator(Some("public"), "=") && !is_operator(None, "<=>"));
        assert!(is_type(None, "int4") && is_type(Some("pg_catalog"), "regclass"));
        assert!(!is_type(None, "mood") && !is_type(Some("public"), "int4"));
        assert!(is_catalog_relation("", "pg_class") && is_catalog_relation("information_schema", "tables"));
        assert!(!is_catalog_relation("public", "pg_class") && !is_catalog_relation("", "orders"));
    }
}
