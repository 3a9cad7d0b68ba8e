//! The PostgreSQL frontend/backend protocol, version 3.0, without any I/O.
//!
//! Follows the chapter "Frontend/Backend Protocol" of the PostgreSQL documentation and, where that is silent, what the
//! server does (`tcop/postgres.c`, `commands/copyfromparse.c`, `libpq/auth-scram.c`).
//!
//! * [`deframer`] cuts a stream of received chunks into frames without copying what lies whole in a chunk;
//! * [`frame`] has the header and the server's limits for each kind of message;
//! * [`startup`] reads the untyped first packets;
//! * [`frontend`] and [`backend`] read and write the bodies, borrowed;
//! * [`scram`] proves identities, as the server and as the client;
//! * [`model`] says which message of the client a message of the server answers.
//!
//! Nothing here decides: what is allowed, masked or recorded is its caller's business. No function panics on what a
//! peer sent.

pub mod backend;
pub mod deframer;
pub mod error;
pub mod frame;
pub mod frontend;
pub mod fuzz;
pub mod model;
mod reader;
pub mod scram;
pub mod startup;
mod writer;

pub use deframer::{Deframer, Piece, Take};
pub use error::{ProtocolError, SqlState};
pub use frame::{Frame, Header};
pub use fuzz::{fuzz_backend, fuzz_frames, fuzz_frontend, fuzz_model, fuzz_scram, fuzz_startup};
pub use model::{Model, ModelError, Placed, Reply, Role, Sent};
