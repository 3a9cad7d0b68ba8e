//! The data plane: sessions, the gate, the ring log and metrics, over the runtime.
//!
//! [`start`] takes [`Settings`] and serves until it is told to drain or stop. Each core has everything of its own
//! (see `core`); what the cores share is read only, swapped whole, or a mailbox.

#![forbid(unsafe_code)]

mod budgets;
mod core;
mod flusher;
pub mod gate;
mod ledger;
mod mapped;
mod postgres;
mod running;
pub mod settings;
mod stream;
mod tls;

pub use budgets::{Fullest, Spent};
pub use postgres::catalog::harmless::{Standing, harmless_functions};
pub use postgres::catalog::protected::protected_columns;
pub use postgres::preview::{Preview, PreviewedColumn, Shown, preview};
pub use running::{RunError, Running, StartError, start};
pub use settings::Settings;
pub use sluice_parsers::postgres::scram::end_point::hash as tls_server_end_point;
