//! `cores`, `helper_cpus`, `[limits]`, `[audit]` and `[buffers]`: numbers with bounds.

use std::path::PathBuf;
use std::time::Duration;

use sluice_dataplane::settings::{Audit, Buffers, Limits};
use toml::de::DeValue;

use super::reader::Table;
use super::value::{Mistake, bytes, count, duration, integer, kind};
use crate::machine;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

/// CPUs that serve.
pub(super) fn cores(root: &Table<'_>) -> Vec<usize> {
    cpus(root, "cores")
}

/// CPUs that helper threads may run on.
pub(super) fn helper_cpus(root: &Table<'_>) -> Vec<usize> {
    cpus(root, "helper_cpus")
}

/// CPU numbers: all that the process may use, the first so many of them, or those listed.
fn cpus(root: &Table<'_>, key: &'static str) -> Vec<usize> {
    let usable = machine::usable_cpus();
    let read = |value: &DeValue<'_>| match value {
        DeValue::String(text) if text == "all" => Ok(usable.clone()),
        DeValue::Integer(_) => {
            let count = count(1, usable.len())(value)?;
            Ok(usable[..count].to_vec())
        }
        DeValue::Array(items) => {
            let mut listed = Vec::with_capacity(items.len());
            for item in items {
                let cpu = count(0, 4095)(item.get_ref())?;
                if !usable.contains(&cpu) {
                    return Err(Mistake::new(
                        format!("this process may not run on CPU {cpu}"),
                        format!("list some of {usable:?}"),
                    ));
                }
                listed.push(cpu);
            }
            listed.sort_unstable();
            let before = listed.len();
            listed.dedup();
            if listed.is_empty() || listed.len() < before {
                return Err(Mistake::new(
                    "lists a CPU twice, or none",
                    "list every CPU once, as in [0, 1]",
                ));
            }
            Ok(listed)
        }
        other => Err(Mistake::new(
            format!("expects a number, a list or \"all\", not {}", kind(other)),
            format!("write {key} = \"all\", {key} = 2 or {key} = [0, 1]"),
        )),
    };
    root.or(key, usable.clone(), read)
}

/// `[limits]`; as many sessions as the open files allow, unless the file says how many.
pub(super) fn limits(table: &Table<'_>, cores: usize) -> Limits {
    let mut default = Limits::default();
    default.sessions_per_core_max = machine::sessions_per_core(cores, default.sessions_per_core_max);
    Limits {
        max_statement_bytes: table.or(
            "max_statement_bytes",
            default.max_statement_bytes,
            bytes(1 << 10, 64 << 20),
        ),
        inline_parse_bytes: table.or(
            "inline_parse_bytes",
            default.inline_parse_bytes,
            bytes(0, 64 << 10),
        ),
        max_depth: table.or("max_depth", default.max_depth, count(16, 2000)),
        max_recorded_bytes: table.or(
            "max_recorded_bytes",
            default.max_recorded_bytes,
            bytes(0, 64 << 10),
        ),
        password_bytes: table.or("password_bytes", default.password_bytes, bytes(1 << 10, 64 << 10)),
        authentication_timeout: table.or(
            "authentication_timeout",
            default.authentication_timeout,
            duration(SECOND, 10 * 60 * SECOND),
        ),
        prepared_max: table.or("prepared_max", default.prepared_max, count(16, 1 << 20)),
        sessions_per_core_max: table.or(
            "sessions_per_core_max",
            default.sessions_per_core_max,
            count(1, 1 << 20),
        ),
        drain_timeout: table.or(
            "drain_timeout",
            default.drain_timeout,
            duration(Duration::ZERO, 24 * HOUR),
        ),
        helper_threads: table.or("helper_threads", default.helper_threads, count(1, 64)),
        decisions_max: table.or("decisions_max", default.decisions_max, count(64, 1 << 22)),
    }
}

/// `[audit]`, in the data folder.
pub(super) fn audit(table: &Table<'_>, dir: PathBuf) -> Audit {
    let default = Audit::in_folder(dir);
    let flush_ms = u64::try_from(default.flush_interval.as_millis()).unwrap_or(u64::MAX);
    let ring_bytes = table.or("ring_bytes", default.ring_bytes, bytes(512 << 10, 1 << 30));
    if !ring_bytes.is_multiple_of(4096) {
        let help = format!("write {}", ring_bytes.next_multiple_of(4096));
        table.error(
            "ring_bytes",
            table.span_of("ring_bytes"),
            "is not a multiple of 4096",
            help,
        );
    }
    let segment_bytes = usize::try_from(default.segment_bytes).unwrap_or(usize::MAX);
    let segment_bytes = table.or("segment_bytes", segment_bytes, bytes(1 << 20, 16 << 30));
    Audit {
        ring_bytes,
        segment_bytes: segment_bytes as u64,
        flush_interval: Duration::from_millis(table.or("flush_ms", flush_ms, integer(1, 10_000))),
        dir: default.dir,
    }
}

/// `[buffers]`.
pub(super) fn buffers(table: &Table<'_>) -> Buffers {
    let default = Buffers::default();
    let receive_count = table.or(
        "receive_count",
        usize::from(default.receive_count),
        count(16, 1 << 15),
    );
    if !receive_count.is_power_of_two() {
        let help = format!("write {}", receive_count.next_power_of_two());
        table.error(
            "receive_count",
            table.span_of("receive_count"),
            "is not a power of two",
            help,
        );
    }
    Buffers {
        receive_bytes: table.or("receive_bytes", default.receive_bytes, bytes(4 << 10, 1 << 20)),
        receive_count: u16::try_from(receive_count).unwrap_or(default.receive_count),
        queued_bytes_max: table.or(
            "queued_bytes_max",
            default.queued_bytes_max,
            bytes(64 << 10, 64 << 20),
        ),
    }
}
