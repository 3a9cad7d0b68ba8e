//! Keeps issuers' keys fresh: at an interval, sooner when a token names a key that is not there, and never
//! more often than anybody who sends tokens may make the gateway ask.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::verifier::{Issuer, Verifier};

/// How often keys are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshTimes {
    /// Between two readings that succeed.
    pub interval: Duration,
    /// At least between two attempts, whatever tokens ask for.
    pub attempt_interval_min: Duration,
    /// After the first failure; doubled for each further one, up to `interval`.
    pub retry: Duration,
}

impl Default for RefreshTimes {
    fn default() -> Self {
        Self {
            interval: Duration::from_mins(5),
            attempt_interval_min: Duration::from_secs(5),
            retry: Duration::from_secs(10),
        }
    }
}

/// Reads every issuer's keys now and whenever it is time, until it is dropped. Issuers do not wait for each
/// other. What was read last stays in force while an issuer cannot be reached. Runs on a tokio runtime with
/// time and I/O.
pub async fn keep_fresh(verifier: Arc<Verifier>, times: RefreshTimes) {
    let mut tasks = JoinSet::new();
    for index in 0..verifier.issuers.len() {
        let verifier = Arc::clone(&verifier);
        tasks.spawn(async move {
            if let Some(issuer) = verifier.issuers.get(index) {
                keep_issuer_fresh(issuer, times).await;
            }
        });
    }
    // The tasks end only by being dropped with the set, or by a panic, which must not pass unseen.
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "an issuer's keys are no longer read again");
        }
    }
    std::future::pending::<()>().await;
}

async fn keep_issuer_fresh(issuer: &Issuer, times: RefreshTimes) {
    let mut failures = 0;
    loop {
        match issuer.refresh().await {
            Ok(keys) => {
                if failures > 0 {
                    tracing::info!(
                        issuer = issuer.name(),
                        keys,
                        "the issuer's keys can be read again"
                    );
                }
                failures = 0;
            }
            Err(error) => {
                failures += 1;
                tracing::warn!(
                    issuer = issuer.name(),
                    failures,
                    "the issuer's keys cannot be read: {error}"
                );
            }
        }
        let earliest = Instant::now() + times.attempt_interval_min;
        let due = Instant::now() + pause(times, failures);
        // The time is up, or a token asks: both are the next attempt.
        let _ = timeout_at(due, issuer.wanted.notified()).await;
        sleep_until(earliest).await;
    }
}

/// How long to wait after an attempt, unless a token asks.
fn pause(times: RefreshTimes, failures: u32) -> Duration {
    match failures {
        0 => times.interval,
        _ => times
            .retry
            .saturating_mul(2_u32.saturating_pow(failures - 1))
            .min(times.interval),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_retried_ever_later_but_never_later_than_a_refresh() {
        let times = RefreshTimes::default();
        for (failures, want_s) in [
            (0, 300),
            (1, 10),
            (2, 20),
            (3, 40),
            (6, 300),
            (100, 300),
            (u32::MAX, 300),
        ] {
            assert_eq!(pause(times, failures).as_secs(), want_s, "{failures} failures");
        }
    }
}
