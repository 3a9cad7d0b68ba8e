//! The commands of `docs/starter-policies.md` do what it says.

use sluice_tests::{Gateway, Settings, documented, run};

use crate::shared::Want::{Denied, Passes};
use crate::shared::{library, library_of, tries};

/// The scripts of the document, in its order.
fn scripts() -> Vec<&'static str> {
    let document = include_str!("../../../docs/starter-policies.md");
    document
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect()
}

#[test]
fn trying_one() {
    let postgres = library();
    library_of(&postgres, "documents");
    let folder = tempfile::tempdir().expect("a folder");
    let server = format!("postgres://postgres@127.0.0.1:{}/documents", postgres.port());
    let output = run(documented(scripts()[0], folder.path()).env("SERVER", server));
    assert!(
        output.success && output.stdout.contains("UPDATE 1") && output.stdout.contains("as it should be"),
        "{output:?}"
    );
    let document = include_str!("../../../docs/starter-policies.md");
    let answer = document
        .lines()
        .find(|line| line.starts_with("ERROR:"))
        .expect("an answer");
    assert!(output.stderr.contains(answer), "{}", output.stderr);
}

#[test]
fn several_at_one_gateway() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = run(&mut documented(scripts()[1], folder.path()));
    assert!(output.success, "{}", output.stderr);
    let policy = std::fs::read_to_string(folder.path().join("policy.cedar")).expect("the policy");
    let postgres = library();
    let gateway = |groups| {
        let settings = Settings {
            policy: Some(policy.clone()),
            groups,
            ..Settings::default()
        };
        Gateway::start(&postgres, &settings)
    };
    tries(
        &gateway(&["read-only"]),
        &[
            (Passes, &["SELECT count(*) FROM books"]),
            (
                Denied("nothing permits"),
                &[
                    "UPDATE books SET price = 1 WHERE id = 1",
                    "CREATE TABLE made (id int)",
                ],
            ),
        ],
    );
    tries(
        &gateway(&["application"]),
        &[
            (Passes, &["UPDATE books SET price = 1 WHERE id = 1"]),
            (
                Denied("application-no-definition"),
                &["CREATE TABLE made (id int)"],
            ),
        ],
    );
    tries(
        &gateway(&["migrations"]),
        &[
            (
                Passes,
                &["CREATE TABLE made (id int)", "UPDATE books SET price = 1"],
            ),
            (Denied("migrations-no-administration"), &["CREATE ROLE mallory"]),
        ],
    );
    tries(
        &gateway(&["break-glass"]),
        &[
            (Passes, &["CREATE ROLE mallory", "DELETE FROM books"]),
            (Denied("break-glass-no-machine"), &["COPY books TO PROGRAM 'cat'"]),
        ],
    );
    let nobody = gateway(&["testers"]).sql("SELECT 1");
    assert!(nobody.stderr.contains("nothing permits CONNECT"), "{nobody:?}");
}
