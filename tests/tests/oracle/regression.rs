//! PostgreSQL's regression suite of version 15 by psql, file after file. None is left out: those that want another
//! encoding or locale end by themselves.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sluice_tests::run;
use tempfile::TempDir;

use crate::setup::Setup;

/// Runs these files, or all, in the suite's order.
pub(crate) fn run_files(setup: &Setup, files: Option<&[&str]>) {
    let suite = Suite::prepare(setup);
    let schedule = suite.schedule();
    for file in files.into_iter().flatten() {
        assert!(
            schedule.iter().any(|known| known == file),
            "the suite has no {file}"
        );
    }
    for file in schedule {
        if files.is_none_or(|files| files.contains(&file.as_str())) {
            suite.run(setup, &file);
        }
    }
}

/// The suite's files where both the server and psql can read them.
struct Suite {
    source: PathBuf,
    folder: TempDir,
}

impl Suite {
    fn prepare(setup: &Setup) -> Self {
        let source = std::env::var_os("SLUICE_REGRESSION_SQL").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/regression-sql"),
            PathBuf::from,
        );
        assert!(
            source.join("sql").exists(),
            "{} is missing: `make test-oracle` fetches it",
            source.display()
        );
        let folder = tempfile::Builder::new()
            .prefix("sluice-regress-")
            .tempdir()
            .expect("a temporary folder");
        for part in ["sql", "data", "lib"] {
            let copied = run(Command::new("cp")
                .arg("-r")
                .arg(source.join(part))
                .arg(folder.path()));
            assert!(copied.success, "{}", copied.stderr);
        }
        let results = folder.path().join("results");
        fs::create_dir(&results).expect("a folder for results");
        // The server writes there too.
        let server = fs::metadata(setup.postgres.data()).expect("the data folder");
        let _ = chown(&results, Some(server.uid()), Some(server.gid()));
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a readable folder");
        fs::set_permissions(&results, fs::Permissions::from_mode(0o777)).expect("a folder for everybody");
        Self { source, folder }
    }

    /// Names of the files in order: the words behind `test:`.
    fn schedule(&self) -> Vec<String> {
        let text = fs::read_to_string(self.source.join("parallel_schedule")).expect("the schedule");
        let groups = text.lines().filter_map(|line| line.strip_prefix("test:"));
        groups
            .flat_map(str::split_whitespace)
            .map(str::to_owned)
            .collect()
    }

    fn run(&self, setup: &Setup, file: &str) {
        let status = setup
            .client("timeout", file)
            .args(["--kill-after=5", "300", "psql", "-X", "-q", "-a", "-f"])
            .arg(self.folder.path().join("sql").join(format!("{file}.sql")))
            .current_dir(self.folder.path())
            .env("PG_ABS_SRCDIR", self.folder.path())
            .env("PG_ABS_BUILDDIR", self.folder.path())
            .env("PG_LIBDIR", self.folder.path().join("lib"))
            .env("PG_DLSUFFIX", ".so")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("psql");
        // What its statements answer is of no interest, but they have to run.
        if !status.success() {
            println!("{file}: {status}");
        }
    }
}
