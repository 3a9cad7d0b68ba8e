//! Identity, metrics export and the control thread.

#![forbid(unsafe_code)]

pub mod oidc;

mod export;
mod http;
mod thread;

pub use thread::{Control, ControlError, ControlSettings, FetchedKeys, fetch_keys};
