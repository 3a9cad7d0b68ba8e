//! The gateway in front of a real PostgreSQL, with real clients.

mod clients;
mod denial;
mod hostile;
mod masking;
mod record;
mod session;
mod shared;
