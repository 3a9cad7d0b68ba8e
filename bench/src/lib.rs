//! Load generators, null back ends, the floor and the report.
//!
//! Everything here speaks PostgreSQL through its own few frame encoders (`wire`) and not through `sluice_parsers`: a
//! fault in the product's parser must not hide behind the same fault in its measure.
//!
//! The programs: `null-postgres` answers without a database, `floor` forwards bytes and nothing else, `load` asks and
//! checks what it gets, `bench` runs all of them against each proxy in interleaved rounds.
#![forbid(unsafe_code)]
#![allow(
    clippy::doc_markdown,
    reason = "messages are named as the protocol's documentation names them"
)]

pub mod chains;
pub mod floor;
pub mod kernel;
pub mod load;
pub mod null_postgres;
pub mod poll;
pub mod reply;
pub mod report;
pub mod rows;
pub mod runner;
pub mod shapes;
pub mod wire;
