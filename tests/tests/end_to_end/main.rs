//! The gateway in front of a real PostgreSQL, with real clients.

mod catalog;
mod clients;
mod crowd;
mod denial;
mod ending;
mod hostile;
mod masking;
mod record;
mod session;
mod shared;
mod state;
mod token;
