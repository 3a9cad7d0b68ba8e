//! The forwarder that gateways are compared with. See `sluice_bench::floor`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser;
use sluice_bench::{floor::Floor, kernel};

/// Forwards TCP connections and does nothing else
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where to forward to
    target: SocketAddr,
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
    let mut floor = Floor::bind(arguments.listen, arguments.target)?;
    println!("{}", floor.address()?);
    Ok(floor.run(&stop)?)
}
