//! The table of counters: their names here are the names everywhere.

/// Whether a figure only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CounterKind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// A label that several counters of one name differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: &'static str,
}

/// What a counter is called and means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description {
    /// The Prometheus name without the `sluice_` before it and the `_total` behind a counter.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Whether it only grows.
    pub kind: CounterKind,
    /// `bytes`, or empty.
    pub unit: &'static str,
    /// What tells it from others of its name.
    pub label: Option<Label>,
}

macro_rules! label {
    () => {
        None
    };
    ($name:literal $value:literal) => {
        Some(Label {
            name: $name,
            value: $value,
        })
    };
}

macro_rules! counters {
    ($($variant:ident $kind:ident $name:literal $unit:literal $(($label:literal $value:literal))? $help:literal;)*) => {
        /// A figure of a core.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(usize)]
        pub enum Counter {
            $(#[doc = $help] $variant,)*
        }

        impl Counter {
            /// Every counter, in the order of the file.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// Its name, kind and meaning.
            pub const fn describe(self) -> Description {
                match self {
                    $(Self::$variant => Description {
                        name: $name,
                        help: $help,
                        kind: CounterKind::$kind,
                        unit: $unit,
                        label: label!($($label $value)?),
                    },)*
                }
            }
        }
    };
}

// New ones go at the end: the place in this table is the place in the file.
counters! {
    ConnectionsAccepted Counter "connections_accepted" "" "Connections accepted.";
    SessionsOpen Gauge "sessions_open" "" "Sessions open now.";
    SessionsTotal Counter "sessions" "" "Sessions begun.";
    Statements Counter "statements" "" "Statements decided.";
    StatementsAllowed Counter "statements_allowed" "" "Statements allowed.";
    StatementsDenied Counter "statements_denied" "" "Statements denied.";
    StatementsFailed Counter "statements_failed" "" "Statements that the server failed.";
    DecisionHits Counter "decision_hits" "" "Decisions found in the core's cache.";
    DecisionMisses Counter "decision_misses" "" "Decisions made by analysis and policy.";
    AnalysesOffloaded Counter "analyses_offloaded" "" "Analyses done on helper threads.";
    BytesFromClients Counter "bytes_from_clients" "bytes" "Bytes received from clients.";
    BytesFromServers Counter "bytes_from_servers" "bytes" "Bytes received from servers.";
    BytesForwarded Counter "bytes_forwarded" "bytes" "Bytes sent on from the buffer they were received in.";
    BytesCopied Counter "bytes_copied" "bytes" "Bytes copied on their way through.";
    RowsForwarded Counter "rows_forwarded" "" "Rows sent to clients.";
    ValuesMaskedEmail Counter "values_masked" "" ("class" "email") "Values masked, by class.";
    ValuesMaskedPaymentCard Counter "values_masked" "" ("class" "payment_card") "Values masked, by class.";
    ValuesMaskedUsSsn Counter "values_masked" "" ("class" "us_ssn") "Values masked, by class.";
    ValuesMaskedIpv4 Counter "values_masked" "" ("class" "ipv4") "Values masked, by class.";
    ValuesMaskedIban Counter "values_masked" "" ("class" "iban") "Values masked, by class.";
    ValuesMaskedAwsKey Counter "values_masked" "" ("class" "aws_key") "Values masked, by class.";
    ValuesMaskedGithubToken Counter "values_masked" "" ("class" "github_token") "Values masked, by class.";
    ValuesMaskedJwt Counter "values_masked" "" ("class" "jwt") "Values masked, by class.";
    AuditRecords Counter "audit_records" "" "Records appended to the ring.";
    AuditBytes Counter "audit" "bytes" "Bytes of records appended to the ring.";
    AuditFlushes Counter "audit_flushes" "" "Writes of records to segments.";
    AuditRingDepth Gauge "audit_ring_depth" "bytes" "Bytes of records in the ring that are not durable yet.";
    AuditRingCapacity Gauge "audit_ring_capacity" "bytes" "Bytes of records that the ring holds.";
    AuditStalls Counter "audit_stalls" "" "Statements refused because they could not be recorded.";
    AuditWriteErrors Counter "audit_write_errors" "" "Writes of records to segments that failed.";
    AuthFailures Counter "auth_failures" "" "Proofs of identity that failed.";
    HostileInputs Counter "hostile_inputs" "" "Connections ended for input that no client sends, and statements too deep or too many-worded to be read.";
    Panics Counter "panics" "" "Sessions ended by a panic.";
    Cancels Counter "cancels" "" "Cancel requests passed on.";
    CancelsRefused Counter "cancels_refused" "" "Cancel requests that named no session.";
    UpstreamErrors Counter "upstream_errors" "" "Servers that could not be reached, refused, or broke off.";
    HeldRequests Gauge "held_requests" "" "Statements waiting for a person's approval.";
    HelperQueue Gauge "helper_queue" "" "Jobs of all cores waiting for a helper thread, told by the first core.";
    Handshakes Gauge "handshakes" "" "Connections that are not sessions yet.";
    BuffersLent Gauge "buffers_lent" "" "Receive buffers that sessions hold.";
    BuffersTotal Gauge "buffers" "" "Receive buffers of the core.";
    PolicyEpoch Gauge "policy_epoch" "" "The number of the policy in force.";
    PolicyErrors Counter "policy_errors" "" "Decisions denied because a policy failed to evaluate.";
    CacheEntries Gauge "decision_cache_entries" "" "Decisions in the core's cache.";
    Wakeups Counter "wakeups" "" "Times that the core's ring was reaped.";
    BusyNanoseconds Counter "busy_nanoseconds" "" "CPU time of the core's thread, in nanoseconds.";
    SessionsRefused Counter "sessions_refused" "" "Connections refused because the core had as many sessions as it may.";
    StatementsObserved Counter "statements_observed" "" "Statements that ran although policy denies them: their connection only observes.";
    StatementsLimited Counter "statements_limited" "" "Statements that passed a limit of policy, and were stopped or taken back.";
    StatementsOverBudget Counter "statements_over_budget" "" "Statements that were refused or cut because a budget is used up.";
}

impl Counter {
    /// The counter of a masked class, by its place in [`crate::record::CLASS_NAMES`].
    pub fn values_masked(class: usize) -> Option<Self> {
        let first = Self::ValuesMaskedEmail as usize;
        (class < crate::record::CLASS_NAMES.len()).then(|| Self::ALL[first + class])
    }

    /// The Prometheus name, whole.
    pub fn full_name(self) -> String {
        let description = self.describe();
        let unit = if description.unit.is_empty() || description.name.contains(description.unit) {
            ""
        } else {
            "_bytes"
        };
        let total = if description.kind == CounterKind::Counter {
            "_total"
        } else {
            ""
        };
        format!("sluice_{}{unit}{total}", description.name)
    }
}
