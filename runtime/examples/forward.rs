//! `forward LISTEN_PORT BACKEND_PORT [CPU [BUFFERS]]`: a plain TCP forwarder, the shape of a session without its work.
//!
//! One task a connection polls both sockets; what comes from one goes to the other from the buffer it was received
//! in. The benchmark measures it against an epoll loop in C.

use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::task::{Context, Poll};
use std::time::Duration;

use sluice_runtime::net::{self, IoError, ListenerConfig, Socket};
use sluice_runtime::{CoreHandle, CoresConfig, spawn_cores, task, time};

/// A direction that has this much unsent takes no more.
const QUEUED_BYTES_MAX: usize = 256 * 1024;
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

fn main() {
    let numbers: Vec<u16> = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let [listen, backend, rest @ ..] = numbers.as_slice() else {
        eprintln!("usage: forward LISTEN_PORT BACKEND_PORT [CPU [BUFFERS]]");
        std::process::exit(2);
    };
    let (listen, backend) = (loopback(*listen), loopback(*backend));
    let cpu = rest.first().map_or(0, |cpu| usize::from(*cpu));
    let mut config = CoresConfig::pinned([cpu]);
    if let Some(buffers) = rest.get(1) {
        config.ring.buffers = *buffers;
    }
    let started = spawn_cores(&config, move |core| forward_all(core, listen, backend));
    let ended = started
        .map_err(|error| error.to_string())
        .and_then(|cores| cores.join().map_err(|e| e.to_string()));
    if let Err(error) = ended {
        eprintln!("forward: {error}");
        std::process::exit(1);
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

async fn forward_all(core: CoreHandle, listen: SocketAddr, backend: SocketAddr) {
    let _listener = core
        .listen(listen, &ListenerConfig::default())
        .expect("the port is free");
    while let Some(arrival) = core.accept().await {
        task::spawn(async move {
            // Either end may go at any time; that ends the session and nothing else.
            let _ = session(arrival.socket, backend).await;
        });
    }
}

async fn session(client: Socket, backend: SocketAddr) -> Result<(), IoError> {
    let server = net::connect(backend, time::now() + CONNECT_WITHIN).await?;
    poll_fn(|context| {
        let upward = poll_direction(&client, &server, context)?;
        let downward = poll_direction(&server, &client, context)?;
        if upward.is_ready() || downward.is_ready() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    })
    .await
}

/// Moves what has come; ready when this direction has ended.
fn poll_direction(from: &Socket, to: &Socket, context: &Context<'_>) -> Poll<Result<(), IoError>> {
    loop {
        if to.poll_drained(context, QUEUED_BYTES_MAX)?.is_pending() {
            return Poll::Pending;
        }
        match from.poll_receive(context)? {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(received)) => to.send(received),
            Poll::Ready(None) => return Poll::Ready(Ok(())),
        }
    }
}
