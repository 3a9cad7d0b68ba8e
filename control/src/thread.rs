//! The control thread: one ordinary thread with a tokio runtime of its own.
//!
//! The data plane never waits for it. What both need (keys of issuers) is swapped whole behind an `Arc`.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::export::Exporter;
use crate::http::{Answers, router};
use crate::oidc::{FetchError, RefreshTimes, Verifier, keep_fresh};

/// How long the start waits for issuers' keys, so that the first tokens find them.
const FIRST_KEYS_WAIT: Duration = Duration::from_secs(5);

/// What the control thread is told.
#[derive(Clone)]
pub struct ControlSettings {
    /// Where `/metrics` is served, if anywhere; port 0 takes a free one.
    pub metrics_address: Option<SocketAddr>,
    /// The data folder with the cores' figures.
    pub data: PathBuf,
    /// Whose keys are kept fresh.
    pub verifier: Option<Arc<Verifier>>,
}

/// Why the control thread cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The metrics address cannot be listened on.
    #[error("metrics cannot be served at {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// No thread, or no runtime on it.
    #[error("the control thread cannot start: {0}")]
    Thread(io::Error),
}

/// The control thread while it runs.
#[derive(Debug)]
pub struct Control {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
    metrics_address: Option<SocketAddr>,
}

impl Control {
    /// Starts the thread. Returns when every issuer's keys were tried once, or after a few seconds.
    pub fn start(settings: ControlSettings) -> Result<Self, ControlError> {
        let listener = settings.metrics_address.map(listen).transpose()?;
        let metrics_address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let runtime = runtime()?;
        let (stop, stopped) = oneshot::channel();
        let (keys_tried, wait) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("sluice-control".to_owned())
            .spawn(move || runtime.block_on(run(settings, listener, keys_tried, stopped)))
            .map_err(ControlError::Thread)?;
        // An error means that the thread ended, which its log explains.
        let _ = wait.recv_timeout(FIRST_KEYS_WAIT * 2);
        Ok(Self {
            stop,
            thread,
            metrics_address,
        })
    }

    /// Where metrics are served.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Ends the thread and waits for it.
    pub fn stop(self) {
        // A thread that ended by itself has nobody who listens.
        let _ = self.stop.send(());
        if self.thread.join().is_err() {
            tracing::error!("the control thread panicked");
        }
    }
}

/// Fetches every issuer's keys once: the number of keys that can verify tokens, or why there is none.
pub fn fetch_keys(verifier: &Verifier) -> Result<Vec<(String, Result<usize, FetchError>)>, ControlError> {
    Ok(runtime()?.block_on(verifier.refresh_all()))
}

fn runtime() -> Result<Runtime, ControlError> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ControlError::Thread)
}

fn listen(address: SocketAddr) -> Result<TcpListener, ControlError> {
    TcpListener::bind(address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .map_err(|cause| ControlError::Listen { address, cause })
}

async fn run(
    settings: ControlSettings,
    listener: Option<TcpListener>,
    keys_tried: mpsc::SyncSender<()>,
    stopped: oneshot::Receiver<()>,
) {
    let ControlSettings { data, verifier, .. } = settings;
    let keys = async {
        let Some(verifier) = verifier.clone() else {
            let _ = keys_tried.send(());
            return std::future::pending().await;
        };
        tokio::join!(
            keep_fresh(Arc::clone(&verifier), RefreshTimes::default()),
            tell(verifier, keys_tried)
        );
    };
    let exporter = Exporter::new(data.clone(), verifier.clone());
    tokio::select! {
        // A sender that is dropped means the same as one that sends.
        _ = stopped => {}
        () = keys => {}
        () = serve(listener, Answers { exporter, data }) => {}
    }
}

/// Tells when every issuer was tried once.
async fn tell(verifier: Arc<Verifier>, keys_tried: mpsc::SyncSender<()>) {
    let deadline = Instant::now() + FIRST_KEYS_WAIT;
    let untried = || {
        verifier
            .status()
            .iter()
            .any(|issuer| issuer.keys == 0 && issuer.last_error.is_none())
    };
    while untried() && Instant::now() < deadline {
        sleep(Duration::from_millis(10)).await;
    }
    let _ = keys_tried.send(());
}

async fn serve(listener: Option<TcpListener>, answers: Answers) {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    let served = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => axum::serve(listener, router(answers)).await,
        Err(error) => Err(error),
    };
    if let Err(error) = served {
        tracing::error!(%error, "metrics are no longer served");
    }
    std::future::pending().await
}
