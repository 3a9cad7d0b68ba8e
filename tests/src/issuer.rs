//! A real `OpenID` Connect issuer (npm `oidc-provider`), on loopback.

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::process::{Server, free_port, root, run, wait_until};

/// A running issuer; `demo/oidc-provider/provider.mjs` says what it gives to whom.
#[derive(Debug)]
pub struct Issuer {
    _server: Server,
    port: u16,
    _folder: TempDir,
}

impl Issuer {
    /// Starts one.
    ///
    /// # Panics
    /// When it is not installed.
    pub fn start() -> Self {
        let provider = root().join("target/oidc-provider");
        assert!(
            provider.join("node_modules").exists(),
            "{} has no packages: run `make test`, which installs them",
            provider.display()
        );
        let folder = tempfile::Builder::new()
            .prefix("sluice-issuer-")
            .tempdir()
            .expect("a temporary folder");
        let path = folder.path().join("log");
        let log = fs::File::create(&path).expect("a log");
        let port = free_port();
        let mut command = Command::new("node");
        command
            .args(["provider.mjs", &port.to_string()])
            .current_dir(provider)
            .stdout(log.try_clone().expect("a log"))
            .stderr(log);
        let mut server = Server::start(&mut command, Signal::SIGTERM);
        wait_until("the issuer", || {
            let log = fs::read_to_string(&path).unwrap_or_default();
            assert!(!server.has_ended(), "the issuer ended: {log}");
            log.contains("ready")
        });
        Self {
            _server: server,
            port,
            _folder: folder,
        }
    }

    /// Its `iss`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A token of the client-credentials grant.
    ///
    /// # Panics
    /// When it gives none.
    pub fn token(&self, client: &str, audience: &str) -> String {
        let form = format!("grant_type=client_credentials&resource={audience}");
        let credentials = format!("{client}:secret-of-{client}");
        let url = format!("{}/token", self.url());
        let answer = run(Command::new("curl").args(["-sf", "-u", &credentials, "-d", &form, &url]));
        let answer: serde_json::Value = serde_json::from_str(&answer.stdout).expect("the issuer's answer");
        answer["access_token"].as_str().expect("a token").to_owned()
    }
}
