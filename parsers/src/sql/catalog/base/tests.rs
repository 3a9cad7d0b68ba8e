use hashbrown::HashSet;

use super::*;
use crate::sql::catalog::{Function, Language, Oid, TypeKind};

const FUNCTIONS: &str = include_str!("../../../../data/functions.tsv");
const RELATIONS: &str = include_str!("../../../../data/relations.tsv");

/// All of one name in `pg_catalog`.
fn named<'a>(catalog: &'a Catalog, name: &str) -> Vec<&'a Function> {
    let found = catalog.functions_in(Oid::PG_CATALOG, name);
    found.iter().filter_map(|&oid| catalog.function(oid)).collect()
}

#[test]
fn every_version_is_whole() {
    for (major, functions, types, relations, operators, casts) in [
        (12, 2960, 399, 381, 770, 216),
        (13, 3034, 407, 378, 784, 224),
        (14, 3202, 601, 388, 804, 230),
        (15, 3244, 611, 402, 799, 229),
        (16, 3297, 613, 405, 799, 229),
        (17, 3330, 617, 407, 799, 229),
        (18, 3413, 621, 407, 799, 235),
    ] {
        let catalog = of(major);
        let found = [
            catalog.functions.len(),
            catalog.types.len(),
            catalog.relations.len(),
            catalog.operators.len(),
            catalog.casts.len(),
        ];
        assert_eq!(found, [functions, types, relations, operators, casts], "{major}");
        assert_eq!(checksum(major).len(), 64, "{major}");
    }
}

#[test]
fn unknown_versions_are_taken_for_the_nearest() {
    for (major, want) in [(0, 12), (11, 12), (12, 12), (18, 18), (19, 18), (u8::MAX, 18)] {
        assert_eq!(of(major).server_major, want, "{major}");
    }
}

#[test]
fn no_signature_is_there_twice() {
    for major in MAJORS {
        let catalog = of(major);
        let mut seen = HashSet::new();
        for function in catalog.functions.values() {
            let signature = (function.schema, &function.name, &function.arguments);
            assert!(
                seen.insert(signature),
                "{major}: {} {}",
                function.oid,
                function.name
            );
        }
    }
}

#[test]
fn tables_are_sorted_by_name() {
    for table in [FUNCTIONS, RELATIONS] {
        let names = table.lines().skip(1).map(|line| {
            let mut fields = line.split('\t').skip(2);
            (fields.next(), fields.next())
        });
        assert!(names.is_sorted());
    }
}

#[test]
fn objects_refer_to_objects() {
    for major in MAJORS {
        let catalog = of(major);
        let is_type = |oid: Oid| oid.is_none() || catalog.type_of(oid).is_some();
        let is_function = |oid: Oid| oid.is_none() || catalog.function(oid).is_some();
        for function in catalog.functions.values() {
            let outputs = function.outputs.iter().map(|(_, oid)| oid);
            let mut types = function.arguments.iter().chain(outputs);
            assert!(types.all(|&oid| is_type(oid)), "{major}: {function:?}");
            assert!(
                is_type(function.returns) && is_type(function.variadic),
                "{major}: {function:?}"
            );
            assert!(
                function.parts.iter().all(|&oid| is_function(oid)),
                "{major}: {function:?}"
            );
            assert!(
                usize::from(function.defaults) <= function.arguments.len(),
                "{major}: {function:?}"
            );
            assert!(catalog.schema(function.schema).is_some(), "{major}: {function:?}");
        }
        for found in catalog.types.values() {
            assert!(
                is_type(found.element) && is_type(found.array),
                "{major}: {found:?}"
            );
            let is_whole = match found.kind {
                TypeKind::Composite(relation) => catalog.relation(relation).is_some(),
                TypeKind::Domain { base: other, .. }
                | TypeKind::Range { subtype: other }
                | TypeKind::Multirange { range: other } => catalog.type_of(other).is_some(),
                _ => true,
            };
            assert!(is_whole, "{major}: {found:?}");
        }
        for relation in catalog.relations.values() {
            assert!(is_type(relation.row_type), "{major}: {relation:?}");
            assert!(
                relation.columns.iter().all(|column| is_type(column.type_oid)),
                "{major}: {relation:?}"
            );
        }
        for operator in catalog.operators.values() {
            assert!(
                is_type(operator.left) && is_type(operator.right),
                "{major}: {operator:?}"
            );
            assert!(
                catalog.function(operator.function).is_some(),
                "{major}: {operator:?}"
            );
        }
        for cast in catalog.casts.values() {
            assert!(is_type(cast.source) && is_type(cast.target), "{major}: {cast:?}");
            assert!(is_function(cast.function), "{major}: {cast:?}");
        }
    }
}

#[test]
fn signatures_are_read() {
    let catalog = of(18);
    let found = named(&catalog, "json_populate_record");
    let [function] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(
        function.argument_names.join(","),
        "base,from_json,use_json_as_text"
    );
    assert_eq!(
        (function.defaults, &*function.default_expressions[0]),
        (1, "false")
    );
    let found = named(&catalog, "pg_get_keywords");
    let outputs: Vec<&str> = found[0].outputs.iter().map(|(name, _)| &**name).collect();
    assert_eq!(outputs, ["word", "catcode", "barelabel", "catdesc", "baredesc"]);
    let found = named(&catalog, "concat");
    assert_eq!(
        found[0].variadic,
        catalog.type_in(Oid::PG_CATALOG, "any").expect("any")
    );
    let schema = catalog.schema_named("information_schema").expect("a schema");
    let domain = catalog
        .type_in(schema, "cardinal_number")
        .and_then(|oid| catalog.type_of(oid));
    let TypeKind::Domain { base, checks, .. } = &domain.expect("a domain").kind else {
        panic!("{domain:?}")
    };
    assert_eq!((base.0, &*checks[0]), (23, "(VALUE >= 0)"));
}

#[test]
fn t07_every_function_is_judged() {
    for line in FUNCTIONS.lines().skip(1) {
        let (_, word) = line.rsplit_once('\t').expect(line);
        assert_eq!(format!("{:?}", load::behavior(word)), word, "{line}");
    }
    for name in [
        "citext",
        "hstore",
        "pg_trgm",
        "pgaudit",
        "pgcrypto",
        "postgis",
        "uuid-ossp",
        "vector",
    ] {
        assert!(!extension(name).expect(name).is_empty(), "{name}");
    }
    for line in extension::lines() {
        let (_, word) = line.rsplit_once('\t').expect(line);
        assert!(
            word == "body" || format!("{:?}", load::behavior(word)) == word,
            "{line}"
        );
    }
}

#[test]
fn t07_dangerous_functions_are_known_for_what_they_do() {
    const DANGEROUS: &[(Behavior, &str)] = &[
        (
            Behavior::RunsText,
            "query_to_xml query_to_xml_and_xmlschema query_to_xmlschema",
        ),
        (
            Behavior::RunsText,
            "table_to_xml table_to_xml_and_xmlschema table_to_xmlschema",
        ),
        (
            Behavior::RunsText,
            "schema_to_xml schema_to_xml_and_xmlschema schema_to_xmlschema",
        ),
        (
            Behavior::RunsText,
            "database_to_xml database_to_xml_and_xmlschema database_to_xmlschema",
        ),
        (
            Behavior::RunsText,
            "cursor_to_xml cursor_to_xmlschema ts_stat currtid2",
        ),
        (
            Behavior::Opaque,
            "array_in record_in domain_in range_in multirange_in record_recv domain_recv",
        ),
        (
            Behavior::Opaque,
            "pg_input_is_valid pg_input_error_info satisfies_hash_partition",
        ),
        (
            Behavior::Opaque,
            "lo_import lo_export brin_summarize_new_values brin_summarize_range setseed",
        ),
        (
            Behavior::Opaque,
            "fmgr_c_validator plpgsql_call_handler plpgsql_inline_handler RI_FKey_cascade_del",
        ),
        (
            Behavior::Opaque,
            "binary_upgrade_create_empty_extension pg_extension_config_dump",
        ),
        (Behavior::Opaque, "pg_restore_attribute_stats"),
        (Behavior::SetConfig, "set_config"),
        (Behavior::SequenceUpdate, "nextval setval"),
        (
            Behavior::SequenceRead,
            "currval lastval pg_sequence_last_value pg_get_sequence_data",
        ),
        (Behavior::Notify, "pg_notify"),
        (Behavior::Sleep, "pg_sleep pg_sleep_for pg_sleep_until"),
        (
            Behavior::Lock,
            "pg_advisory_lock pg_advisory_lock_shared pg_advisory_xact_lock",
        ),
        (
            Behavior::Lock,
            "pg_try_advisory_lock pg_try_advisory_xact_lock_shared",
        ),
        (
            Behavior::Release,
            "pg_advisory_unlock pg_advisory_unlock_all pg_advisory_unlock_shared",
        ),
        (Behavior::LargeObjectCreate, "lo_creat lo_create lo_from_bytea"),
        (Behavior::LargeObjectRead, "lo_get loread"),
        (
            Behavior::LargeObjectUpdate,
            "lo_put lowrite lo_truncate lo_truncate64",
        ),
        (Behavior::LargeObjectDelete, "lo_unlink"),
        (Behavior::LargeObjectUse, "lo_open lo_close"),
        (
            Behavior::FileRead,
            "pg_read_file pg_read_file_old pg_read_binary_file pg_stat_file pg_ls_dir",
        ),
        (
            Behavior::FileRead,
            "pg_ls_logdir pg_ls_waldir pg_ls_tmpdir pg_ls_archive_statusdir",
        ),
        (
            Behavior::FileRead,
            "pg_hba_file_rules pg_ident_file_mappings pg_show_all_file_settings",
        ),
        (
            Behavior::Signal,
            "pg_cancel_backend pg_terminate_backend pg_log_backend_memory_contexts",
        ),
        (
            Behavior::Sensitive,
            "pg_stat_get_activity pg_stat_get_backend_activity pg_mcv_list_items",
        ),
        (
            Behavior::Admin,
            "pg_reload_conf pg_rotate_logfile pg_switch_wal pg_promote pg_export_snapshot",
        ),
        (
            Behavior::Admin,
            "pg_create_restore_point pg_backup_start pg_backup_stop pg_start_backup pg_stop_backup",
        ),
        (
            Behavior::Admin,
            "pg_stat_reset pg_stat_reset_shared pg_wal_replay_pause gin_clean_pending_list",
        ),
        (
            Behavior::Admin,
            "pg_import_system_collations pg_nextoid brin_desummarize_range",
        ),
        (
            Behavior::Replicate,
            "pg_logical_slot_get_changes pg_logical_slot_peek_changes pg_logical_emit_message",
        ),
        (
            Behavior::Replicate,
            "pg_create_logical_replication_slot pg_create_physical_replication_slot",
        ),
        (
            Behavior::Replicate,
            "pg_copy_logical_replication_slot pg_drop_replication_slot",
        ),
        (
            Behavior::Replicate,
            "pg_replication_slot_advance pg_replication_origin_create",
        ),
        (
            Behavior::CallsTypes,
            "concat concat_ws array_to_string to_json row_to_json json_agg jsonb_agg",
        ),
        (
            Behavior::CallsTypes,
            "json_populate_record jsonb_populate_recordset json_to_record array_position",
        ),
        (
            Behavior::CallsTypes,
            "array_eq record_eq range_eq array_sort btrecordcmp record_out",
        ),
    ];
    for &(behavior, names) in DANGEROUS {
        for name in names.split(' ') {
            for major in MAJORS {
                for function in named(&of(major), name) {
                    assert_eq!(function.known, Some(behavior), "{major}: {name}");
                }
            }
            let mut majors = MAJORS;
            let is_known = majors.any(|major| !named(&of(major), name).is_empty());
            assert!(is_known, "{name}");
        }
    }
}

#[test]
fn t07_no_function_of_a_dangerous_family_is_harmless() {
    let families = [
        "lo_",
        "pg_advisory",
        "pg_ls_",
        "pg_read_",
        "pg_replication",
        "pg_logical",
        "pg_stat_reset",
        "pg_sleep",
        "binary_upgrade",
        "pg_stat_get_backend",
    ];
    for major in MAJORS {
        let catalog = of(major);
        for function in catalog.functions.values() {
            let is_dangerous = families.iter().any(|family| function.name.starts_with(family))
                || function.name.contains("to_xml");
            let is_harmless = matches!(
                function.known,
                Some(Behavior::Pure | Behavior::CallsTypes | Behavior::Metadata)
            );
            assert!(!is_dangerous || !is_harmless, "{major}: {}", function.name);
        }
    }
}

#[test]
fn t07_overloads_are_told_apart() {
    let catalog = of(18);
    for (name, types, want) in [
        ("ts_rewrite", &["tsquery", "text"][..], Behavior::RunsText),
        ("ts_rewrite", &["tsquery", "tsquery", "tsquery"], Behavior::Pure),
        ("quote_literal", &["anyelement"], Behavior::CallsTypes),
        ("quote_literal", &["text"], Behavior::Pure),
        ("format", &["text", "any"], Behavior::CallsTypes),
        ("format", &["text"], Behavior::Pure),
        ("max", &["record"], Behavior::CallsTypes),
        ("max", &["int4"], Behavior::Pure),
        ("lower", &["anyrange"], Behavior::CallsTypes),
        ("lower", &["text"], Behavior::Pure),
    ] {
        let types = types
            .iter()
            .map(|name| catalog.type_in(Oid::PG_CATALOG, name).expect(name));
        let types: Vec<Oid> = types.collect();
        let mut found = named(&catalog, name);
        found.retain(|function| *function.arguments == *types);
        let known: Vec<_> = found.iter().map(|function| function.known).collect();
        assert_eq!(known, [Some(want)], "{name}");
    }
}

#[test]
fn t16_sensitive_catalogs_are_told_from_metadata() {
    for (name, want) in [
        ("pg_stats", true),
        ("pg_stats_ext", true),
        ("pg_stats_ext_exprs", true),
        ("pg_statistic", true),
        ("pg_statistic_ext_data", true),
        ("pg_stat_activity", true),
        ("pg_authid", true),
        ("pg_shadow", true),
        ("pg_user_mapping", true),
        ("pg_user_mappings", true),
        ("pg_subscription", true),
        ("pg_largeobject", true),
        ("pg_file_settings", true),
        ("pg_hba_file_rules", true),
        ("pg_class", false),
        ("pg_attribute", false),
        ("pg_statistic_ext", false),
        ("pg_roles", false),
        ("pg_user", false),
        ("pg_settings", false),
        ("pg_locks", false),
    ] {
        for major in MAJORS {
            let catalog = of(major);
            let found = catalog
                .relation_in(Oid::PG_CATALOG, name)
                .and_then(|oid| catalog.relation(oid));
            assert!(
                found.is_none_or(|relation| relation.is_sensitive == want),
                "{major}: {name}"
            );
        }
        assert!(of(18).relation_in(Oid::PG_CATALOG, name).is_some(), "{name}");
    }
    let toast = of(12)
        .schema_named("pg_toast")
        .and_then(|schema| of(12).relation_in(schema, "pg_toast_2619"));
    assert!(
        of(12)
            .relation(toast.expect("the table"))
            .expect("the table")
            .is_sensitive
    );
}

#[test]
fn t07_internal_functions_are_known_by_their_symbols() {
    for (symbol, want) in [
        ("range_constructor2", Some(Behavior::CallsTypes)),
        ("nextval_oid", Some(Behavior::SequenceUpdate)),
        ("textlen", Some(Behavior::Pure)),
        ("pg_read_file_all", Some(Behavior::FileRead)),
        ("aggregate_dummy", None),
        ("no_such_thing", None),
    ] {
        assert_eq!(internal(15, symbol), want, "{symbol}");
    }
}

#[test]
fn t07_members_of_extensions_are_known_by_signature() {
    for (list, name, types, want) in [
        (
            "vector",
            "l2_distance",
            &["vector", "vector"][..],
            Some(Behavior::Pure),
        ),
        (
            "vector",
            "l2_distance",
            &["sparsevec", "sparsevec"],
            Some(Behavior::Pure),
        ),
        ("vector", "l2_distance", &["text", "text"], None),
        ("postgis", "st_area", &["geometry"], Some(Behavior::Pure)),
        ("postgis", "st_area", &["text"], None),
        (
            "postgis",
            "st_estimatedextent",
            &["text", "text"],
            Some(Behavior::RunsText),
        ),
        (
            "postgis",
            "st_fromflatgeobuftotable",
            &["text", "text", "bytea"],
            Some(Behavior::Opaque),
        ),
        ("postgis", "st_asmvt", &["anyelement"], Some(Behavior::CallsTypes)),
        (
            "postgis",
            "addgeometrycolumn",
            &["varchar", "varchar", "int4", "varchar", "int4", "bool"],
            None,
        ),
        ("pg_trgm", "similarity", &["text", "text"], Some(Behavior::Pure)),
        ("pg_trgm", "set_limit", &["float4"], Some(Behavior::Opaque)),
        (
            "hstore",
            "populate_record",
            &["anyelement", "hstore"],
            Some(Behavior::CallsTypes),
        ),
        ("pgcrypto", "gen_salt", &["text"], Some(Behavior::Pure)),
        ("uuid-ossp", "uuid_generate_v4", &[], Some(Behavior::Pure)),
        ("citext", "citext_eq", &["citext", "citext"], Some(Behavior::Pure)),
    ] {
        let list = extension(list).expect(list);
        assert_eq!(list.behavior(name, types), want, "{name}");
    }
    assert!(extension("dblink").is_none() && extension("").is_none());
}

#[test]
fn t07_a_replaced_member_of_an_extension_is_unknown() {
    let catalog = of(15);
    let mut function = named(&catalog, "md5")[0].clone();
    function.name = "similarity".into();
    function.arguments = [Oid(25), Oid(25)].into();
    let list = extension("pg_trgm").expect("a list");
    for (language, want) in [
        (Language::C, Some(Behavior::Pure)),
        (Language::Sql, None),
        (Language::Plpgsql, None),
        (Language::Other, None),
    ] {
        function.language = language;
        assert_eq!(list.known(&function, &catalog), want, "{language:?}");
    }
}
