//! What a SQL statement does: its effects, its fingerprint and the literals that a decision may ignore.
//!
//! Three layers, each usable alone. [`shape`] walks a statement once with the server's lexical rules and gives
//! the normalized tokens that a cached decision is looked up by; it runs for every statement. [`analyze`] parses
//! with PostgreSQL's own grammar and turns statements into [`effect::Effect`]s, in a [`world::World`]: over a database's
//! [`catalog`], whose names [`resolve`] finds as the server does; it runs on a miss. [`settings`] says what a setting may
//! change. Nothing here opens a socket, reads a clock or starts a thread.
//!
//! The rule for effects: the set must contain what the server does. Too large is a nuisance, too small is a hole;
//! whatever is not known is [`effect::Action::Opaque`].

pub mod analyze;
pub mod catalog;
pub mod effect;
pub mod lexer;
pub mod lineage;
pub mod neutral;
pub mod resolve;
mod runs;
pub mod settings;
pub mod shape;
pub mod statement;
pub mod template;
pub mod weight;
pub mod world;
