//! Files of expectations: what a policy should decide of statements.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sluice_audit::time::now_ns;
use sluice_policy::{Cause, Decision};
use toml::Spanned;

use super::asked::Who;
use crate::cli::Claims;
use crate::failure::Failure;

/// What a decision is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// Every statement of the text is allowed.
    Allow,
    /// One is denied.
    Deny,
    /// One lacks nothing but an approval.
    Approval,
}

impl Verdict {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Approval => "approval",
        }
    }
}

impl From<&Decision> for Verdict {
    fn from(decision: &Decision) -> Self {
        match decision.denial().map(|denial| denial.cause) {
            None => Self::Allow,
            Some(Cause::Approval) => Self::Approval,
            Some(_) => Self::Deny,
        }
    }
}

/// One expectation.
#[derive(Debug)]
pub(super) struct Expectation {
    /// The file, as it was named.
    pub(super) file: PathBuf,
    /// Where it stands in the file.
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) who: Who,
    pub(super) sql: String,
    pub(super) verdict: Verdict,
    /// The policy that has to decide.
    pub(super) policy: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    identity: Option<String>,
    issuer: Option<String>,
    groups: Option<Vec<String>>,
    claims: Option<Claims>,
    address: Option<IpAddr>,
    application_name: Option<String>,
    at: Option<Spanned<String>>,
    case: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: Option<String>,
    sql: Spanned<String>,
    expect: Verdict,
    policy: Option<String>,
    identity: Option<String>,
    issuer: Option<String>,
    groups: Option<Vec<String>>,
    claims: Option<Claims>,
    address: Option<IpAddr>,
    application_name: Option<String>,
    at: Option<Spanned<String>>,
}

/// The expectations of files, and of all such files in folders, in the order of their names.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<Expectation>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        find(path, true, &mut files)?;
    }
    let mut all = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).map_err(|error| unreadable(&file, error))?;
        all.extend(parse(&file, &text)?);
    }
    if all.is_empty() {
        let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(Failure::other(
            paths.join(", "),
            "there is no [[case]] in a *.toml",
        ));
    }
    Ok(all)
}

fn unreadable(path: &Path, error: std::io::Error) -> Failure {
    Failure::other(format!("cannot read {}", path.display()), error)
}

/// Adds a file, or the files in a folder.
fn find(path: &Path, is_named: bool, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if !path.is_dir() {
        if is_named || path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path.to_owned());
        }
        return Ok(());
    }
    let entries = std::fs::read_dir(path).map_err(|error| unreadable(path, error))?;
    let mut inside = Vec::new();
    for entry in entries {
        inside.push(entry.map_err(|error| unreadable(path, error))?.path());
    }
    inside.sort();
    inside.iter().try_for_each(|path| find(path, false, files))
}

fn parse(path: &Path, text: &str) -> Result<Vec<Expectation>, Failure> {
    let file: File =
        toml::from_str(text).map_err(|error| Failure::other(path.display().to_string(), error))?;
    let mut expectations = Vec::with_capacity(file.case.len());
    for case in &file.case {
        let line = line_of(text, case.sql.span().start);
        let place = || format!("{}:{line}", path.display());
        let identity = case.identity.as_ref().or(file.identity.as_ref());
        let identity = identity.ok_or_else(|| {
            Failure::other(place(), "the case names no `identity`, and neither does the file")
        })?;
        let at = match case.at.as_ref().or(file.at.as_ref()) {
            Some(at) => {
                let moment = sluice_audit::time::parse(at.get_ref(), now_ns());
                let line = line_of(text, at.span().start);
                Some(
                    moment
                        .map_err(|error| Failure::other(format!("{}:{line}: at", path.display()), error))?,
                )
            }
            None => None,
        };
        // An identity of the case's own is not the file's with the file's groups.
        let of_file = (case.identity.is_none() && case.issuer.is_none()).then_some(&file);
        expectations.push(Expectation {
            file: path.to_owned(),
            line,
            name: case.name.clone().unwrap_or_else(|| case.sql.get_ref().clone()),
            who: Who {
                identity: identity.clone(),
                issuer: case.issuer.clone().or_else(|| of_file?.issuer.clone()),
                groups: case
                    .groups
                    .clone()
                    .or_else(|| of_file?.groups.clone())
                    .unwrap_or_default(),
                claims: case.claims.clone().or_else(|| of_file?.claims.clone()),
                address: case
                    .address
                    .or(file.address)
                    .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                application_name: case
                    .application_name
                    .clone()
                    .or_else(|| file.application_name.clone()),
                at,
            },
            sql: case.sql.get_ref().clone(),
            verdict: case.expect,
            policy: case.policy.clone(),
        });
    }
    Ok(expectations)
}

fn line_of(text: &str, position: usize) -> usize {
    let before = text.get(..position).unwrap_or(text);
    before.matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<Expectation>, String> {
        parse(Path::new("cases.toml"), text).map_err(|failure| failure.to_string())
    }

    #[test]
    fn cases_take_from_the_file_what_they_do_not_say() {
        let text = r#"
identity = "crew"
issuer = "https://a.example"
groups = ["analysts"]
address = "10.0.0.1"

[[case]]
sql = "SELECT 1"
expect = "allow"

[[case]]
name = "another"
identity = "ops"
sql = "DROP TABLE t"
expect = "deny"
policy = "no-drop"
at = "2026-11-24T03:00:00Z"
"#;
        let cases = parsed(text).expect("two cases");
        let [first, second] = cases.as_slice() else {
            panic!("{cases:?}");
        };
        assert_eq!(
            (first.name.as_str(), first.line, first.verdict),
            ("SELECT 1", 8, Verdict::Allow)
        );
        assert_eq!(first.who.identity, "crew");
        assert_eq!(first.who.issuer.as_deref(), Some("https://a.example"));
        assert_eq!(first.who.groups, ["analysts"]);
        assert_eq!((second.name.as_str(), second.line), ("another", 14));
        assert_eq!((second.who.identity.as_str(), &second.who.issuer), ("ops", &None));
        assert!(second.who.groups.is_empty() && second.who.at.is_some());
        assert_eq!(second.who.address.to_string(), "10.0.0.1");
        assert_eq!(second.policy.as_deref(), Some("no-drop"));
    }

    #[test]
    fn mistakes_name_their_line() {
        for (text, told) in [
            (
                "[[case]]\nsql = \"SELECT 1\"\nexpect = \"allow\"\n",
                "cases.toml:2: the case names no `identity`",
            ),
            (
                "identity = \"a\"\n[[case]]\nsql = \"SELECT 1\"\nexpect = \"perhaps\"\n",
                "line 4",
            ),
            (
                "identity = \"a\"\n[[case]]\nsql = \"SELECT 1\"\nexpect = \"allow\"\nverdict = 1\n",
                "unknown field `verdict`",
            ),
            (
                "identity = \"a\"\nat = \"soon\"\n[[case]]\nsql = \"SELECT 1\"\nexpect = \"allow\"\n",
                "cases.toml:2: at",
            ),
        ] {
            let error = parsed(text).expect_err(text);
            assert!(error.contains(told), "{error}");
        }
    }
}
