//! Real servers and the gateway for end-to-end tests, each on a private port of loopback, gone when dropped.

#![forbid(unsafe_code)]

mod gateway;
mod issuer;
mod log;
mod postgres;
pub mod probe;
mod process;
pub mod raw;

pub use gateway::{Gateway, Settings};
pub use issuer::Issuer;
pub use log::Log;
pub use postgres::Postgres;
pub use process::{
    Output, Server, documented, driver_in_java, driver_in_node, driver_in_python, free_port, python,
    raise_open_files, root, run, sluice, wait_until,
};
