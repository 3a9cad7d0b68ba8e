//! What a setting may change: how text is read, what names mean, whose rights hold, or nothing of concern.

use super::effect::{Action, Effect, EffectFlags, Object, ObjectKind};

/// What kind of setting a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Changes only how this session is served: time-outs, formats, planner costs.
    Harmless,
    /// Changes how the next statement's text or bytes are read.
    Lexing,
    /// Changes whose rights hold: `role`, `session_authorization`.
    Role,
    /// Anything else, unknown and custom settings among it.
    Other,
}

/// Settings of the group that needs no permission of its own: they change how this session's own answers are
/// formatted, how long it may run, or how its own statements are planned and reported to itself. Sorted.
const HARMLESS: &[&str] = &[
    "application_name",
    "bytea_output",
    "client_connection_check_interval",
    "client_min_messages",
    "constraint_exclusion",
    "cpu_index_tuple_cost",
    "cpu_operator_cost",
    "cpu_tuple_cost",
    "cursor_tuple_fraction",
    "datestyle",
    "default_table_access_method",
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "effective_cache_size",
    "enable_async_append",
    "enable_bitmapscan",
    "enable_distinct_reordering",
    "enable_gathermerge",
    "enable_group_by_reordering",
    "enable_hashagg",
    "enable_hashjoin",
    "enable_incremental_sort",
    "enable_indexonlyscan",
    "enable_indexscan",
    "enable_material",
    "enable_memoize",
    "enable_mergejoin",
    "enable_nestloop",
    "enable_parallel_append",
    "enable_parallel_hash",
    "enable_partition_pruning",
    "enable_partitionwise_aggregate",
    "enable_partitionwise_join",
    "enable_presorted_aggregate",
    "enable_self_join_elimination",
    "enable_seqscan",
    "enable_sort",
    "enable_tidscan",
    "escape_string_warning",
    "extra_float_digits",
    "from_collapse_limit",
    "geqo",
    "geqo_effort",
    "geqo_generations",
    "geqo_pool_size",
    "geqo_seed",
    "geqo_selection_bias",
    "geqo_threshold",
    "gin_fuzzy_search_limit",
    "hnsw.ef_search",
    "hnsw.iterative_scan",
    "hnsw.max_scan_tuples",
    "hnsw.scan_mem_multiplier",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "intervalstyle",
    "ivfflat.iterative_scan",
    "ivfflat.max_probes",
    "ivfflat.probes",
    "jit",
    "jit_above_cost",
    "jit_inline_above_cost",
    "jit_optimize_above_cost",
    "join_collapse_limit",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "lock_timeout",
    "max_parallel_workers_per_gather",
    "min_parallel_index_scan_size",
    "min_parallel_table_scan_size",
    "parallel_leader_participation",
    "parallel_setup_cost",
    "parallel_tuple_cost",
    "pg_trgm.similarity_threshold",
    "pg_trgm.strict_word_similarity_threshold",
    "pg_trgm.word_similarity_threshold",
    "plan_cache_mode",
    "quote_all_identifiers",
    "random_page_cost",
    "recursive_worktable_factor",
    "seq_page_cost",
    "statement_timeout",
    "synchronize_seqscans",
    "tcp_keepalives_count",
    "tcp_keepalives_idle",
    "tcp_keepalives_interval",
    "tcp_user_timeout",
    "timezone",
    "transaction_deferrable",
    "transaction_isolation",
    "transaction_read_only",
    "transaction_timeout",
    "xmloption",
];

/// Settings by which the server reads text differently. Sorted.
const LEXING: &[&str] = &[
    "backslash_quote",
    "client_encoding",
    "standard_conforming_strings",
];

/// The class of a setting; names are compared as the server does, without regard to ASCII case.
pub fn classify(name: &str) -> Class {
    let folded = name.to_ascii_lowercase();
    let name = canonical(&folded);
    if LEXING.binary_search(&name).is_ok() {
        Class::Lexing
    } else if name == "role" || name == "session_authorization" {
        Class::Role
    } else if HARMLESS.binary_search(&name).is_ok() {
        Class::Harmless
    } else {
        Class::Other
    }
}

/// Whether a value of a lexing setting is one under which the gateway reads text as the server does. Settings that are
/// not lexing settings accept every value.
pub fn value_accepted(name: &str, value: &str) -> bool {
    let folded = name.to_ascii_lowercase();
    match canonical(&folded) {
        "standard_conforming_strings" => is_true(value),
        // `off` refuses `\'`, the others take it in UTF-8: where the server reads the text at all, it reads the same.
        "backslash_quote" => {
            is_true(value) || is_false(value) || value.trim().eq_ignore_ascii_case("safe_encoding")
        }
        "client_encoding" => {
            let letters: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
            ["utf8", "unicode", "sqlascii"]
                .iter()
                .any(|name| letters.eq_ignore_ascii_case(name))
        }
        _ => true,
    }
}

/// The effect of setting `name` to a value, or to one that is not known (a parameter, DEFAULT, RESET).
pub fn set_effect(name: &str, value: Option<&str>) -> Effect {
    let folded = name.to_ascii_lowercase();
    let name = canonical(&folded);
    let object = Object::new(ObjectKind::Setting, name);
    match classify(name) {
        Class::Harmless => Effect::new(Action::Set, object).with(EffectFlags::HARMLESS),
        Class::Lexing if value.is_some_and(|value| value_accepted(name, value)) => {
            Effect::new(Action::Set, object).with(EffectFlags::HARMLESS)
        }
        Class::Lexing => Effect::new(Action::Set, object).with(EffectFlags::LEXING),
        Class::Role => Effect::new(
            Action::SetRole,
            Object::new(ObjectKind::Role, value.unwrap_or_default()),
        )
        .with(EffectFlags::OTHER_USER),
        // Nothing of a user's is found by its name then.
        Class::Other if name == "search_path" && value.is_some_and(is_path_of_server) => {
            Effect::new(Action::Set, object).with(EffectFlags::HARMLESS)
        }
        Class::Other => Effect::new(Action::Set, object),
    }
}

/// Whether a search path has no schema but the server's own.
fn is_path_of_server(path: &str) -> bool {
    ["", "\"\"", "pg_catalog"].contains(&path.trim())
}

/// The effect of RESET, and of SET ... TO DEFAULT: the session's first value, which was judged when it began. `all` is
/// every setting but the roles.
pub fn reset_effect(name: &str) -> Effect {
    let folded = name.to_ascii_lowercase();
    let name = canonical(&folded);
    match classify(name) {
        Class::Role => set_effect(name, None),
        Class::Harmless | Class::Lexing | Class::Other => {
            Effect::new(Action::Set, Object::new(ObjectKind::Setting, name)).with(EffectFlags::HARMLESS)
        }
    }
}

/// The effect of a startup parameter or of a `-c` in `options`: the same as that of SET. None for the parameters that
/// are no settings (`user`, `database`, `options`, and protocol options).
pub fn startup_effect(name: &str, value: &str) -> Option<Effect> {
    if matches!(name, "user" | "database" | "options") || name.starts_with("_pq_.") {
        return None;
    }
    if name == "replication" {
        let off = is_false(value);
        return (!off)
            .then(|| Effect::new(Action::Replicate, Object::new(ObjectKind::Setting, "replication")));
    }
    Some(set_effect(name, Some(value)))
}

/// Whether the server's `parse_bool` takes this for true: unambiguous prefixes count.
fn is_true(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    value == "1" || value == "on" || is_prefix(&value, "true") || is_prefix(&value, "yes")
}

fn is_false(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    value == "0"
        || (value.len() >= 2 && is_prefix(&value, "off"))
        || is_prefix(&value, "false")
        || is_prefix(&value, "no")
}

fn is_prefix(value: &str, of: &str) -> bool {
    !value.is_empty() && of.starts_with(value)
}

/// Other names of the same settings.
fn canonical(folded: &str) -> &str {
    match folded {
        "names" => "client_encoding",
        "time zone" => "timezone",
        "session authorization" => "session_authorization",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_of_their_class() {
        assert!(HARMLESS.is_sorted() && LEXING.is_sorted());
        for (name, want) in [
            ("Application_Name", Class::Harmless),
            ("hnsw.ef_search", Class::Harmless),
            ("ivfflat.probes", Class::Harmless),
            ("hnsw.other", Class::Other),
            ("Time Zone", Class::Harmless),
            ("NAMES", Class::Lexing),
            ("role", Class::Role),
            ("search_path", Class::Other),
            ("session_replication_role", Class::Other),
        ] {
            assert_eq!(classify(name), want, "{name}");
        }
    }
}
