//! PostgreSQL sessions: login on both sides, the way of a statement, and the masks on the way back.

pub(crate) mod cancel;
pub(crate) mod catalog;
mod client;
pub(crate) mod columns;
mod copy;
mod cursors;
mod deny;
pub(crate) mod expected;
mod hidden;
mod large;
mod limited;
mod login;
mod look;
mod names;
mod nested;
pub(crate) mod preview;
mod pump;
mod rows;
mod server;
mod session;
pub(crate) mod state;
pub(crate) mod statements;
mod types;
pub(crate) mod unmask;
pub(crate) mod upstream;
mod wire;

pub(crate) use pump::serve;
