//! Running a test's body on a core, and peers that are plain threads.

use std::future::poll_fn;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use sluice_runtime::net::{IoError, Listener, ListenerConfig, Socket};
use sluice_runtime::{CoreHandle, CoresConfig, RingConfig, spawn_cores, time};

/// Nothing here takes this long; a test that does has failed.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// One core that is not pinned, so that tests share the machine.
pub(crate) fn config() -> CoresConfig {
    CoresConfig {
        cpus: vec![None],
        ring: RingConfig::default(),
        on_panic: None,
    }
}

/// A small ring, to meet its bounds soon.
pub(crate) fn small_ring(buffers: u16, buffer_bytes: u32) -> CoresConfig {
    let ring = RingConfig {
        submissions: 16,
        completions: 64,
        buffers,
        buffer_bytes,
        receive_buffers_max: 4,
    };
    CoresConfig { ring, ..config() }
}

/// Runs a body as the main of a core and returns its result.
pub(crate) fn on_core<T, M>(body: impl FnOnce(CoreHandle) -> M + Send + 'static) -> T
where
    T: Send + 'static,
    M: Future<Output = T> + 'static,
{
    on_core_with(&config(), body)
}

pub(crate) fn on_core_with<T, M>(
    config: &CoresConfig,
    body: impl FnOnce(CoreHandle) -> M + Send + 'static,
) -> T
where
    T: Send + 'static,
    M: Future<Output = T> + 'static,
{
    let body = Arc::new(Mutex::new(Some(body)));
    let (sender, result) = mpsc::channel();
    let cores = spawn_cores(config, move |core| {
        let (body, sender) = (body.lock().unwrap().take().unwrap(), sender.clone());
        async move {
            let value = time::timeout(time::now() + LONG, body(core))
                .await
                .expect("the body ends in time");
            sender.send(value).unwrap();
        }
    })
    .unwrap();
    cores.join().unwrap();
    result.recv().unwrap()
}

/// A listener of a core on a free port.
pub(crate) fn listen(core: &CoreHandle) -> Listener {
    core.listen(any_port(), &ListenerConfig::default()).unwrap()
}

pub(crate) fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// A peer that runs as a thread on the other end of a connection to the core.
pub(crate) fn client<T: Send + 'static>(
    address: SocketAddr,
    talk: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> JoinHandle<T> {
    std::thread::spawn(move || {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
        talk(stream)
    })
}

/// A peer that accepts one connection from the core.
pub(crate) fn server<T: Send + 'static>(
    talk: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind(any_port()).unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
        talk(stream)
    });
    (address, thread)
}

/// Bytes that tell their place.
pub(crate) fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Sends bytes in pieces of these sizes, over and over.
pub(crate) fn write_pieces(stream: &mut TcpStream, bytes: &[u8], sizes: &[usize]) {
    let mut rest = bytes;
    for size in sizes.iter().cycle() {
        let (piece, behind) = rest.split_at((*size).min(rest.len()));
        stream.write_all(piece).unwrap();
        rest = behind;
        if rest.is_empty() {
            return;
        }
    }
}

/// Waits for a thread without blocking the core.
pub(crate) async fn joined<T: Send + 'static>(thread: JoinHandle<T>) -> T {
    while !thread.is_finished() {
        time::sleep(Duration::from_millis(2)).await;
    }
    thread.join().unwrap()
}

/// Sends back what comes, held back by `queued_max`, until the peer ends its side.
pub(crate) async fn echo(socket: &Socket, queued_max: usize) -> Result<(), IoError> {
    poll_fn(|context| poll_forward(socket, socket, queued_max, context)).await
}

/// Moves what has come from one socket to the other; ready when it has ended.
pub(crate) fn poll_forward(
    from: &Socket,
    to: &Socket,
    queued_max: usize,
    context: &Context<'_>,
) -> Poll<Result<(), IoError>> {
    loop {
        if to.poll_drained(context, queued_max)?.is_pending() {
            return Poll::Pending;
        }
        match from.poll_receive(context)? {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(received)) => to.send(received),
            Poll::Ready(None) => return Poll::Ready(Ok(())),
        }
    }
}
