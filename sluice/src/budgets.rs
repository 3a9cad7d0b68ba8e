//! `sluice budgets`: what identities have used up of what policy lets them use up over time.
//!
//! The gateway that runs writes it into its data folder once a second, where anything changed, and the command reads that: as
//! all who look, it asks the data plane for nothing and needs only the right to read the folder.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sluice_audit::lock;
use sluice_audit::names::metrics_dir;
use sluice_audit::time::{Timestamp, now_ns, parse};
use sluice_audit::visible::Visible;
use sluice_dataplane::{Fullest, Running, Spent};

use crate::cli::Budgets;
use crate::failure::{Failure, counted};
use crate::private_file;

/// How often the accounts are looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// Of a hundred parts of the time they are looked at for one at most.
const PARTS: u32 = 100;

/// So many accounts are told, the fullest.
const ACCOUNTS_MAX: usize = 1000;

/// The version of the file.
const VERSION: u32 = 1;

/// What the file says.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    version: u32,
    /// How many accounts there are of which anything is used up, told or not.
    count: usize,
    /// The fullest first.
    accounts: Vec<Account>,
}

/// What an identity has used up of a budget.
#[derive(Debug, Serialize, Deserialize)]
struct Account {
    identity: String,
    policy: String,
    /// As policies write it.
    budget: String,
    measure: String,
    used: u64,
    limit: u64,
    per_ms: u64,
    /// When there is room again, if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    room_at: Option<String>,
}

impl Account {
    fn of(spent: &Spent, now: Instant, now_ns: u64) -> Self {
        let room_at = spent.room_at.map(|at| {
            let wait = at.saturating_duration_since(now).as_nanos();
            Timestamp(now_ns.saturating_add(u64::try_from(wait).unwrap_or(u64::MAX))).to_string()
        });
        Self {
            identity: spent.identity.to_string(),
            policy: spent.policy.to_string(),
            budget: spent.budget.to_string(),
            measure: spent.budget.measure.name().to_owned(),
            used: spent.used,
            limit: spent.budget.max,
            per_ms: u64::try_from(spent.budget.per.as_millis()).unwrap_or(u64::MAX),
            room_at,
        }
    }

    /// Whether it is that identity's: by its whole id, or by its subject.
    fn is_of(&self, identity: &str) -> bool {
        let subject = self.identity.strip_suffix(identity);
        subject.is_some_and(|issuer| issuer.is_empty() || issuer.ends_with('#'))
    }

    /// ` 75%  45 of 60 statements per 1m by "crew": local#agent-7`
    fn line(&self, now_ns: u64) -> String {
        let percent = u128::from(self.used) * 100 / u128::from(self.limit.max(1));
        let room_at = self.room_at.as_deref().and_then(|at| parse(at, now_ns).ok());
        let wait = room_at.and_then(|at| at.checked_sub(now_ns));
        let room = wait.map(|wait| format!(", room again in {} s", wait.div_ceil(1_000_000_000)));
        format!(
            "{percent:>3}%  {} of {} by \"{}\": {}{}",
            self.used,
            Visible(self.budget.as_bytes()),
            Visible(self.policy.as_bytes()),
            Visible(self.identity.as_bytes()),
            room.unwrap_or_default(),
        )
    }
}

impl Told {
    fn of(fullest: &Fullest) -> Self {
        let (now, now_ns) = (Instant::now(), now_ns());
        let accounts = fullest.accounts.iter();
        Self {
            version: VERSION,
            count: fullest.count,
            accounts: accounts.map(|spent| Account::of(spent, now, now_ns)).collect(),
        }
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let text = serde_json::to_vec(self)?;
        private_file::replace(path, &text)
    }

    /// What a gateway wrote; nothing is used up where it wrote nothing yet.
    fn read(path: &Path) -> Result<Self, Failure> {
        let failed = |cause: &dyn std::fmt::Display| Failure::other(path.display().to_string(), cause);
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self::of(&Fullest::default()));
            }
            Err(error) => return Err(failed(&error)),
        };
        let told: Self = serde_json::from_slice(&text).map_err(|error| failed(&error))?;
        if told.version == VERSION {
            Ok(told)
        } else {
            Err(failed(&"another version of sluice wrote it"))
        }
    }
}

fn path(data: &Path) -> PathBuf {
    metrics_dir(data).join("budgets.json")
}

/// Prints the accounts.
pub(crate) fn run(arguments: &Budgets) -> Result<(), Failure> {
    let folder = arguments.folder.resolve()?;
    let holder =
        lock::holder(&folder).map_err(|error| Failure::other(folder.display().to_string(), error))?;
    if holder.is_none() {
        return Err(Failure::other(
            folder.display().to_string(),
            "no gateway runs over this data folder, and accounts end with it",
        ));
    }
    let mut told = Told::read(&path(&folder))?;
    let untold = told.count.saturating_sub(told.accounts.len());
    told.accounts.retain(|account| {
        let is_wanted = |wanted: &Option<String>, is: &dyn Fn(&str) -> bool| wanted.as_deref().is_none_or(is);
        is_wanted(&arguments.identity, &|identity| account.is_of(identity))
            && is_wanted(&arguments.policy, &|policy| account.policy == policy)
    });
    let more = told.accounts.len().saturating_sub(arguments.limit);
    told.accounts.truncate(arguments.limit);
    let mut out = io::stdout();
    let printed = if arguments.json {
        serde_json::to_string(&told)
            .map_err(io::Error::from)
            .and_then(|json| writeln!(out, "{json}"))
    } else {
        print(&mut out, &told, more, untold)
    };
    printed.map_err(Failure::Output)
}

fn print(out: &mut impl Write, told: &Told, more: usize, untold: usize) -> io::Result<()> {
    let now_ns = now_ns();
    for account in &told.accounts {
        writeln!(out, "{}", account.line(now_ns))?;
    }
    if told.accounts.is_empty() {
        writeln!(out, "nothing is used up")?;
    }
    if more > 0 {
        writeln!(out, "{}", counted(more, "more account"))?;
    }
    if untold > 0 {
        writeln!(
            out,
            "{} less full, of anybody, not told",
            counted(untold, "account")
        )?;
    }
    Ok(())
}

/// Writes the file while it lives.
#[derive(Debug)]
pub(crate) struct Teller {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Teller {
    /// Begins to tell of a gateway's accounts.
    pub(crate) fn start(running: Arc<Running>, data: &Path) -> io::Result<Self> {
        let path = path(data);
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("sluice-budgets".to_owned())
            .spawn(move || tell(&running, &path, &stopped))?;
        Ok(Self { stop, thread })
    }

    /// Ends it and waits for it.
    pub(crate) fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the thread that tells of budgets panicked");
        }
    }
}

fn tell(running: &Running, path: &Path, stopped: &mpsc::Receiver<()>) {
    let mut before: Option<Fullest> = None;
    let mut has_failed = false;
    loop {
        let began = Instant::now();
        let fullest = running.fullest_budgets(ACCOUNTS_MAX);
        if before.as_ref() != Some(&fullest) {
            match Told::of(&fullest).write(path) {
                Ok(()) => (before, has_failed) = (Some(fullest), false),
                Err(error) => {
                    // Once is enough until it works again.
                    if !has_failed {
                        tracing::warn!(%error, path = %path.display(), "what is used up of budgets cannot be told");
                    }
                    has_failed = true;
                }
            }
        }
        let pause = INTERVAL.max(began.elapsed().saturating_mul(PARTS));
        if stopped.recv_timeout(pause) != Err(mpsc::RecvTimeoutError::Timeout) {
            break;
        }
    }
    // The accounts end with the process.
    let _ = fs::remove_file(path);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(identity: &str, used: u64, room_at: Option<&str>) -> Account {
        Account {
            identity: identity.to_owned(),
            policy: "crew".to_owned(),
            budget: "60 statements per 1m".to_owned(),
            measure: "statements".to_owned(),
            used,
            limit: 60,
            per_ms: 60_000,
            room_at: room_at.map(str::to_owned),
        }
    }

    #[test]
    fn accounts_are_lines_that_a_terminal_can_be_shown() {
        let now_ns = parse("2026-11-23T15:04:05Z", 0).unwrap();
        for (account, want) in [
            (
                account("local#agent-7", 45, None),
                " 75%  45 of 60 statements per 1m by \"crew\": local#agent-7",
            ),
            (
                account(
                    "https://login.example#\x1b[2J",
                    60,
                    Some("2026-11-23T15:04:46.5Z"),
                ),
                "100%  60 of 60 statements per 1m by \"crew\": https://login.example#\\x1b[2J, room again in 42 s",
            ),
            (
                account("local#long-ago", 60, Some("2026-11-23T15:04:04Z")),
                "100%  60 of 60 statements per 1m by \"crew\": local#long-ago",
            ),
        ] {
            assert_eq!(account.line(now_ns), want);
        }
    }

    #[test]
    fn an_identity_is_named_by_its_id_or_its_subject() {
        let account = account("https://login.example#agent-7", 1, None);
        for (name, is_it) in [
            ("agent-7", true),
            ("https://login.example#agent-7", true),
            ("7", false),
            ("agent-70", false),
            ("", false),
        ] {
            assert_eq!(account.is_of(name), is_it, "{name:?}");
        }
    }
}
