//! Small enumerations of records: each variant has a number that stays, and a name.

/// An enum with a stable number and name for each variant; a number of a later version reads as `Other`.
macro_rules! coded {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $code:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
            /// None of these, or one of a later version.
            #[default]
            Other,
        }

        impl $name {
            /// Every variant.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)* Self::Other];

            /// The number in the record.
            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$variant => $code,)*
                    Self::Other => 0,
                }
            }

            /// The variant of a number.
            pub const fn from_code(code: u8) -> Self {
                match code {
                    $($code => Self::$variant,)*
                    _ => Self::Other,
                }
            }

            /// The name in JSON and in filters.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other => "other",
                }
            }

            /// The variant of a name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|variant| variant.name() == name)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }
    };
}

coded! {
    /// How an identity was proven.
    Method {
        /// A JWT of an OIDC issuer.
        Oidc = 1, "oidc";
        /// A SCRAM verifier of the configuration.
        Scram = 2, "scram";
    }
}

coded! {
    /// How a statement came.
    Protocol {
        /// A Query message.
        Simple = 1, "simple";
        /// A Parse message that was denied, so that no execution follows.
        Parse = 2, "parse";
        /// An Execute message.
        Execute = 3, "execute";
        /// A `FunctionCall` message.
        FunctionCall = 4, "function_call";
        /// A Bind message that was denied.
        Bind = 5, "bind";
    }
}

coded! {
    /// What was decided on a statement.
    Decision {
        /// It may run.
        Allow = 1, "allow";
        /// It may not.
        Deny = 2, "deny";
        /// It may not, and it ran: the connection only observes.
        Observe = 3, "observe";
    }
}

coded! {
    /// How much a denial weighs for whoever watches, as the policies that made it say.
    Severity {
        /// Of interest.
        Info = 1, "info";
        /// To be looked at some time.
        Low = 2, "low";
        /// To be looked at.
        Medium = 3, "medium";
        /// To be looked at today.
        High = 4, "high";
        /// To be looked at now.
        Critical = 5, "critical";
    }
}

impl Severity {
    /// The name, if anything was said.
    pub fn said(self) -> Option<&'static str> {
        (self != Self::Other).then_some(self.name())
    }
}

coded! {
    /// What became of a statement.
    Outcome {
        /// The server completed it.
        Completed = 1, "completed";
        /// The server failed it.
        Failed = 2, "failed";
        /// The gateway denied it.
        Denied = 3, "denied";
        /// It was never executed, because an earlier message failed.
        Skipped = 4, "skipped";
        /// The server ended it on a cancel request.
        Cancelled = 5, "cancelled";
        /// It was on its way and nobody knows.
        Unknown = 6, "unknown";
        /// Its portal gave the rows that were asked for and has more.
        Suspended = 7, "suspended";
        /// It passed a limit of policy, and was stopped or taken back.
        Limited = 8, "limited";
    }
}

coded! {
    /// Why a session ended.
    EndReason {
        /// The client said goodbye.
        Terminated = 1, "terminated";
        /// The client's connection broke.
        ClientGone = 2, "client_gone";
        /// The server's connection broke.
        ServerGone = 3, "server_gone";
        /// The client broke the protocol.
        ClientProtocol = 4, "client_protocol";
        /// The server sent what fits no expectation.
        ServerProtocol = 5, "server_protocol";
        /// The gateway is stopping.
        Drained = 6, "drained";
        /// A time limit passed.
        TimedOut = 7, "timed_out";
        /// The identity expired or was revoked.
        Expired = 8, "expired";
        /// The server refused the gateway's login or the connection could not be made.
        ServerRefused = 9, "server_refused";
        /// Policy does not let this identity connect.
        ConnectDenied = 10, "connect_denied";
        /// The session's task panicked.
        Panicked = 11, "panicked";
    }
}

coded! {
    /// What an event record is about.
    EventKind {
        /// A peer sent what no client sends.
        HostileInput = 1, "hostile_input";
        /// A session's task panicked.
        Panic = 2, "panic";
        /// Proof of identity failed.
        AuthFailed = 3, "auth_failed";
        /// Policy does not let the identity connect.
        ConnectDenied = 4, "connect_denied";
        /// A new policy is in force.
        PolicyReloaded = 5, "policy_reloaded";
        /// A new policy was refused; the old one stays.
        PolicyRejected = 6, "policy_rejected";
        /// A certificate was read again.
        CertificateReloaded = 7, "certificate_reloaded";
        /// The core began to serve.
        Started = 8, "started";
        /// The core stopped serving.
        Stopped = 9, "stopped";
        /// The server sent what fits no expectation.
        ServerProtocol = 10, "server_protocol";
        /// The server could not be reached or refused the gateway.
        ServerRefused = 11, "server_refused";
        /// A statement could not be recorded, and so was not sent.
        RecordRefused = 12, "record_refused";
        /// A cancel request was passed on.
        Cancelled = 13, "cancelled";
        /// A cancel request named no session.
        CancelRefused = 14, "cancel_refused";
        /// Records were lost with the machine's power.
        RecordsLost = 15, "records_lost";
        /// A connection came when the core had as many sessions as it may.
        SessionRefused = 16, "session_refused";
        /// Policy lets a session see these classes as they are; none if it no longer does.
        Unmasked = 17, "unmasked";
    }
}

coded! {
    /// What ended a chain.
    SealCause {
        /// The gateway stopped.
        Stopped = 1, "stopped";
        /// The gateway died, and the next start wrote down what its ring held.
        Recovered = 2, "recovered";
    }
}
