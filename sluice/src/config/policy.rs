//! `[policy]`: a file of the operator's, or one that is shipped.

use std::path::Path;

use sluice_policy::PolicySet;

use super::problem::Problems;
use super::reader::Table;
use super::value::{path, url, word};

/// A policy that is shipped with the binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bundled {
    /// Reads, and what drivers do at start-up.
    ReadOnly,
    /// Everything, `Opaque` included.
    AllowAll,
}

impl Bundled {
    /// The policy itself.
    fn policies(self) -> PolicySet {
        match self {
            Self::ReadOnly => PolicySet::read_only(),
            Self::AllowAll => PolicySet::allow_all(),
        }
    }
}

/// Reads the policy and where people read about it.
pub(super) fn read(table: &Table<'_>, problems: &Problems, folder: &Path) -> Option<PolicySet> {
    let documentation = table.optional("documentation", url);
    let policies = policies(table, problems, folder)?;
    match documentation {
        Some(url) => Some(policies.documented_at(&url.value)),
        None => Some(policies),
    }
}

/// Mistakes in a file bring their own snippets.
fn policies(table: &Table<'_>, problems: &Problems, folder: &Path) -> Option<PolicySet> {
    let file = table.optional("file", path(folder));
    let shipped = [("read-only", Bundled::ReadOnly), ("allow-all", Bundled::AllowAll)];
    let bundled = table.optional("bundled", word(&shipped));
    match (file, bundled) {
        (Some(_), Some(bundled)) => {
            table.error(
                "bundled",
                bundled.span,
                "is a second policy",
                "keep one of `file` and `bundled`",
            );
            None
        }
        (Some(file), None) => {
            let source = match std::fs::read_to_string(&file.value) {
                Ok(source) => source,
                Err(error) => {
                    let message = format!("{} cannot be read: {error}", file.value.display());
                    table.error("file", file.span, message, "name a file of Cedar policies");
                    return None;
                }
            };
            match PolicySet::parse(&source, &file.value.display().to_string()) {
                Ok(policies) => Some(policies),
                Err(errors) => {
                    problems.foreign(errors.into());
                    None
                }
            }
        }
        (None, Some(bundled)) => {
            if bundled.value == Bundled::AllowAll {
                let message = "permits everything to everybody who can log in";
                table.warning(
                    "bundled",
                    bundled.span,
                    message,
                    "use \"read-only\", or a file of your own",
                );
            }
            Some(bundled.value.policies())
        }
        (None, None) => {
            if !table.has("file") && !table.has("bundled") {
                let help = "write [policy] with file = \"policy.cedar\", or bundled = \"read-only\"";
                table.error(
                    "file",
                    table.span(),
                    "is missing: without a policy everything is denied",
                    help,
                );
            }
            None
        }
    }
}
