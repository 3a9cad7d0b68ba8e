//! Every input that fuzzing kept in `fuzz/corpus`, through the body of its target.

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::{fs, thread};

use sluice_audit::{record, ring, segment};
use sluice_control::oidc;
use sluice_masking::fuzz as masking;
use sluice_parsers::postgres;
use sluice_parsers::sql::{analyze, lexer, template};

type Body = fn(&[u8]);

const BODIES: [(&str, Body); 15] = [
    ("analyze", analyze::fuzz_analyze),
    ("backend", postgres::fuzz_backend),
    ("frames", postgres::fuzz_frames),
    ("frontend", postgres::fuzz_frontend),
    ("lexer", lexer::fuzz_lexer),
    ("mask", masking::fuzz_mask),
    ("model", postgres::fuzz_model),
    ("record", record::fuzz_record),
    ("ring", ring::fuzz_ring),
    ("scram", postgres::fuzz_scram),
    ("segment", segment::fuzz_segment),
    ("startup", postgres::fuzz_startup),
    ("stream", masking::fuzz_stream),
    ("template", template::fuzz_template),
    ("token", oidc::fuzz_token),
];

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

fn fuzz_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

#[test]
fn every_target_is_replayed() {
    let stem = |path: PathBuf| path.file_stem()?.to_str().map(str::to_owned);
    let targets = files(&fuzz_folder().join("fuzz_targets")).into_iter();
    let targets: BTreeSet<_> = targets.map(|path| stem(path).expect("a name")).collect();
    let replayed = BODIES.map(|(target, _)| target.to_owned()).into();
    assert_eq!(targets, replayed);
}

#[test]
fn no_kept_input_breaks_a_body() {
    let replay = || {
        for (target, body) in BODIES {
            let inputs = files(&fuzz_folder().join("corpus").join(target));
            assert!(!inputs.is_empty(), "{target} has no corpus");
            for path in inputs {
                let input = fs::read(&path).expect("a file of the corpus");
                assert!(catch_unwind(|| body(&input)).is_ok(), "{}", path.display());
            }
        }
    };
    let thread = thread::Builder::new().stack_size(analyze::ANALYSIS_STACK_BYTES);
    thread.spawn(replay).expect("a thread").join().expect("no panic");
}
