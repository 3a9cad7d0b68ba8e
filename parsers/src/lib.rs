//! Wire protocols and SQL as sans-I/O, zero-copy parsers.

pub mod sql;
