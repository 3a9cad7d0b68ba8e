//! Identity, metrics export and the control thread.

pub mod oidc;

mod export;
mod http;
mod thread;

pub use thread::{Control, ControlError, ControlSettings, FetchedKeys, fetch_keys};
