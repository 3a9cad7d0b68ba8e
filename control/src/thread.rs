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

/// An issuer, and how many of its keys can verify tokens, or why there is none.
pub type FetchedKeys = (String, Result<usize, FetchError>);

/// Fetches every issuer's keys once.
pub fn fetch_keys(verifier: &Verifier) -> Result<Vec<FetchedKeys>, ControlError> {
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
    std::future::pending::<()>().await;
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;
    use crate::oidc::{IssuerConfig, KeySource};

    fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn it_serves_until_it_is_stopped() {
        let data = tempfile::tempdir().unwrap();
        let keys = data.path().join("keys.json");
        std::fs::write(&keys, "{}").unwrap();
        let issuer = IssuerConfig::new("https://login.example.com", "sluice", KeySource::File(keys));
        let verifier = Arc::new(Verifier::new(vec![issuer]).unwrap());
        let settings = ControlSettings {
            metrics_address: Some("127.0.0.1:0".parse().unwrap()),
            data: data.path().to_owned(),
            verifier: Some(Arc::clone(&verifier)),
        };
        let control = Control::start(settings.clone()).unwrap();
        assert!(
            verifier.status()[0].last_error.is_some(),
            "keys were tried before it is up"
        );
        let address = control.metrics_address().unwrap();
        for (path, status, want) in [
            (
                "/metrics",
                "200",
                "sluice_issuer_keys{issuer=\"https://login.example.com\"} 0",
            ),
            ("/metrics", "200", "content-type: application/openmetrics-text"),
            ("/healthz", "200", "ok"),
            ("/readyz", "503", "no core serves"),
            ("/", "404", ""),
        ] {
            let answer = get(address, path);
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(want),
                "{path}: {answer}"
            );
        }
        let taken = ControlSettings {
            metrics_address: Some(address),
            ..settings
        };
        assert!(matches!(Control::start(taken), Err(ControlError::Listen { .. })));
        control.stop();
        assert!(TcpStream::connect(address).is_err());
    }
}
