//! `sluice check`: everything that would go wrong later, now.

use std::fmt::Write as _;
use std::io::Write as _;

use self::login::Finding;
pub(crate) use self::login::{Words, with_help, with_help_in};
use crate::cli::Check;
use crate::config::{self, Loaded};
use crate::failure::{Failure, counted};

mod harmless;
mod login;

/// Reports every mistake; what is right is said in a line each.
pub(crate) fn run(arguments: &Check) -> Result<(), Failure> {
    let (loaded, report) = config::load(&arguments.config)?;
    eprint!("{report}");
    let mut tally = Tally {
        errors: 0,
        warnings: report.warnings(),
    };
    let mut said = String::new();
    preflight(&loaded, &mut said, &mut tally);
    if arguments.connect {
        servers(&loaded, &mut said, &mut tally);
        issuers(&loaded, &mut said, &mut tally);
    }
    let path = arguments.config.display();
    if tally.errors > 0 {
        eprint!("{said}");
        eprintln!(
            "{path}: {}, {}",
            counted(tally.errors, "mistake"),
            counted(tally.warnings, "warning")
        );
        return Err(Failure::Reported);
    }
    let mut out = std::io::stdout();
    write!(out, "{said}").map_err(Failure::Output)?;
    writeln!(out, "{path}: ok: {}", summary(&loaded, tally.warnings)).map_err(Failure::Output)
}

struct Tally {
    errors: usize,
    warnings: usize,
}

fn summary(loaded: &Loaded, warnings: usize) -> String {
    let mut text = [
        counted(loaded.listeners.len(), "listener"),
        counted(loaded.connections.len(), "connection"),
        counted(loaded.identities.scram.len(), "local identity").replace("identitys", "identities"),
        counted(
            loaded
                .verifier
                .as_ref()
                .map_or(0, |verifier| verifier.status().len()),
            "issuer",
        ),
        counted(loaded.cores.len(), "core"),
    ]
    .join(", ");
    if warnings > 0 {
        let _ = write!(text, "; {}", counted(warnings, "warning"));
    }
    text
}

/// The machine: kernel, seccomp, limits.
fn preflight(loaded: &Loaded, said: &mut String, tally: &mut Tally) {
    for obstacle in crate::serve::obstacles(loaded.cores.len(), &loaded.limits) {
        tally.errors += 1;
        let _ = writeln!(said, "error: this machine: {obstacle}");
    }
}

/// Every server: whether the login works, and what it may do.
fn servers(loaded: &Loaded, said: &mut String, tally: &mut Tally) {
    for connection in &loaded.connections {
        let (mut findings, answers) = login::examine(connection);
        if answers {
            findings.extend(harmless::examine(connection));
        }
        for finding in findings {
            let word = match &finding {
                Finding::Fact(_) => "ok",
                Finding::Warning(_) => {
                    tally.warnings += 1;
                    "warning"
                }
                Finding::Error(_) => {
                    tally.errors += 1;
                    "error"
                }
            };
            let _ = writeln!(
                said,
                "{word}: connections.{}: {}",
                connection.name,
                finding.text()
            );
        }
    }
}

/// Every issuer: whether its keys can be fetched.
fn issuers(loaded: &Loaded, said: &mut String, tally: &mut Tally) {
    let Some(verifier) = &loaded.verifier else { return };
    match sluice_control::fetch_keys(verifier) {
        Ok(issuers) => {
            for (issuer, keys) in issuers {
                match keys {
                    Ok(count) => {
                        let _ = writeln!(said, "ok: issuer {issuer}: {}", counted(count, "key"));
                    }
                    Err(error) => {
                        tally.errors += 1;
                        let _ = writeln!(said, "error: issuer {issuer}: {error}");
                    }
                }
            }
        }
        Err(error) => {
            tally.errors += 1;
            let _ = writeln!(said, "error: issuers: {error}");
        }
    }
}
