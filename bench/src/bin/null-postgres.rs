//! A PostgreSQL back end without a database. See `sluice_bench::null_postgres`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser;
use sluice_bench::{kernel, null_postgres::NullPostgres};

/// A PostgreSQL back end without a database, for measuring what stands in front of it
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Be killed when the starting process ends
    #[arg(long)]
    die_with_parent: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if arguments.die_with_parent {
        kernel::die_with_parent()?;
    }
    kernel::lift_open_files()?;
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGTERM, Arc::clone(&stop))?;
    let mut server = NullPostgres::bind(arguments.listen)?;
    println!("{}", server.address()?);
    Ok(server.run(&stop)?)
}
