//! Wire protocols and SQL as sans-I/O, zero-copy parsers.

#![forbid(unsafe_code)]

pub mod postgres;
pub mod sql;
