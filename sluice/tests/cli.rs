//! The commands as an operator runs them.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

#[path = "cli/fake_server.rs"]
mod fake_server;

fn sluice(arguments: &[&str], folder: &Path) -> Output {
    run(
        Command::new(env!("CARGO_BIN_EXE_sluice"))
            .args(arguments)
            .current_dir(folder),
        "",
    )
}

fn run(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .env_remove("SLUICE_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that does not read its input closes it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A configuration for a server at that port.
fn configuration(port: u16) -> String {
    format!(
        r#"data = "data"
cores = 1
[listeners.main]
address = "127.0.0.1:0"
tls = "off"
[connections.orders]
host = "127.0.0.1"
port = {port}
user = "agent"
database = "orders"
tls = "off"
connect_timeout = "2s"
[identities.ops]
verifier = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
[policy]
bundled = "read-only"
[limits]
sessions_per_core_max = 10
"#
    )
}

#[test]
fn help_teaches() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, wants) in [
        (
            &["--help"][..],
            &[
                "Examples:",
                "serve",
                "check",
                "dev",
                "audit",
                "top",
                "scram-verifier",
                "SLUICE_LOG",
            ][..],
        ),
        (&["serve", "--help"], &["--config <FILE>", "SIGHUP", "SIGTERM"]),
        (&["check", "--help"], &["--connect", "Exit status"]),
        (
            &["dev", "--help"],
            &[
                "--postgres",
                "--listen",
                "--policy",
                "--allow-all",
                "--mask",
                "--env-file",
                "--data",
                "--cores",
                "--metrics",
                "--tls",
            ],
        ),
        (
            &["audit", "query", "--help"],
            &["--since", "--denied", "--json", "--outcome"],
        ),
        (&["audit", "tail", "--help"], &["--last"]),
        (&["audit", "verify", "--help"], &["--json"]),
        (&["top", "--help"], &["--once", "--interval"]),
    ] {
        let output = sluice(arguments, folder.path());
        assert!(output.status.success(), "{arguments:?}");
        for want in wants {
            assert!(
                stdout(&output).contains(want),
                "{want} in {arguments:?}\n{}",
                stdout(&output)
            );
        }
    }
}

#[test]
fn wrong_command_lines_are_told_apart_from_failures() {
    let folder = tempfile::tempdir().unwrap();
    for (name, arguments, status, want) in [
        ("no command", &[][..], 2, "Usage"),
        ("unknown command", &["sevre"], 2, "serve"),
        ("no configuration", &["serve"], 2, "--config"),
        (
            "missing file",
            &["check", "--config", "none.toml"],
            1,
            "none.toml: cannot be read",
        ),
        ("no folder", &["audit", "verify"], 2, "--dir"),
        (
            "two folders",
            &["audit", "verify", "--dir", "a", "--config", "b"],
            2,
            "cannot be used with",
        ),
        (
            "missing folder",
            &["audit", "verify", "--dir", "none"],
            1,
            "data folder none",
        ),
        (
            "bad address",
            &["dev", "--postgres", "postgres://a@b/c", "--listen", "here"],
            2,
            "ADDRESS:PORT",
        ),
        (
            "bad URL",
            &["dev", "--postgres", "mysql://a@b/c"],
            1,
            "postgres://",
        ),
        (
            "two policies",
            &[
                "dev",
                "--postgres",
                "postgres://a@b/c",
                "--policy",
                "x",
                "--allow-all",
            ],
            2,
            "cannot be used with",
        ),
        (
            "bad time",
            &["audit", "query", "--dir", ".", "--since", "soon"],
            2,
            "age",
        ),
        (
            "bad outcome",
            &["audit", "query", "--dir", ".", "--outcome", "good"],
            2,
            "completed",
        ),
    ] {
        let output = sluice(arguments, folder.path());
        assert_eq!(output.status.code(), Some(status), "{name}: {}", stderr(&output));
        assert!(stderr(&output).contains(want), "{name}: {}", stderr(&output));
    }
}

#[test]
fn completions_and_the_manual_are_printed() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, want) in [
        (&["completions", "bash"][..], "_sluice()"),
        (&["completions", "zsh"], "#compdef sluice"),
        (&["completions", "fish"], "complete -c sluice"),
        (&["man"], ".TH sluice"),
    ] {
        let output = sluice(arguments, folder.path());
        assert!(
            output.status.success() && stdout(&output).contains(want),
            "{arguments:?}"
        );
    }
    let manual = stdout(&sluice(&["man"], folder.path()));
    // Commands of every depth, with their options.
    for word in [
        "env\\-file",
        "scram\\-verifier",
        "deny\\-warnings",
        "junit",
        "observed",
    ] {
        assert!(manual.contains(word), "{word}: {manual}");
    }
}

#[test]
fn verifiers_are_made_from_a_pipe_and_at_random() {
    let made = |input| {
        run(
            Command::new(env!("CARGO_BIN_EXE_sluice")).arg("scram-verifier"),
            input,
        )
    };
    let (one, two) = (made("secret\n"), made("secret"));
    for output in [&one, &two] {
        assert!(output.status.success(), "{}", stderr(output));
        assert!(stdout(output).starts_with("SCRAM-SHA-256$4096:") && stdout(output).lines().count() == 1);
        assert!(!stdout(output).contains("secret") && !stderr(output).contains("secret"));
    }
    assert_ne!(stdout(&one), stdout(&two), "each has a salt of its own");
    assert_eq!(made("\n").status.code(), Some(1), "no password");
    let generated = run(
        Command::new(env!("CARGO_BIN_EXE_sluice")).args(["scram-verifier", "--generate"]),
        "",
    );
    assert!(stdout(&generated).starts_with("SCRAM-SHA-256$") && stderr(&generated).starts_with("password: "));
}

#[test]
fn check_says_ok_or_every_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sluice.toml");
    fs::write(&path, configuration(1)).unwrap();
    let output = sluice(&["check", "--config", "sluice.toml"], folder.path());
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert_eq!(
        stdout(&output),
        "sluice.toml: ok: 1 listener, 1 connection, 1 local identity, 0 issuers, 1 core\n"
    );
    assert!(!folder.path().join("data").exists(), "it leaves no trace");

    fs::write(
        &path,
        configuration(1)
            .replace("user =", "usr =")
            .replace("cores = 1", "cores = 0"),
    )
    .unwrap();
    let output = sluice(&["check", "--config", "sluice.toml"], folder.path());
    assert_eq!(output.status.code(), Some(1));
    for want in [
        "[sluice.toml:2:9]",
        "connections.orders.user: is missing",
        "did you mean `user`?",
        "3 mistakes, 0 warnings",
    ] {
        assert!(stderr(&output).contains(want), "{want} in\n{}", stderr(&output));
    }

    fs::write(
        folder.path().join("bad.cedar"),
        "permit (principal, action == Action::\"Reed\", resource);\n",
    )
    .unwrap();
    fs::write(
        &path,
        configuration(1).replace("bundled = \"read-only\"", "file = \"bad.cedar\""),
    )
    .unwrap();
    let output = sluice(&["check", "--config", "sluice.toml"], folder.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("bad.cedar:1:"), "{}", stderr(&output));
}

#[test]
fn check_connects_and_judges_the_login() {
    let folder = tempfile::tempdir().unwrap();
    for (name, server, status, wants) in [
        (
            "a login with few rights",
            fake_server::Server::default(),
            0,
            &[
                "ok: connections.orders: PostgreSQL 15.4 without TLS, encoding UTF8",
                "sluice.toml: ok:",
            ][..],
        ),
        (
            "a superuser",
            fake_server::Server {
                rights: ["t", "t", "t", "t", "t"],
                ..Default::default()
            },
            0,
            &[
                "has SUPERUSER",
                "has BYPASSRLS",
                "has REPLICATION",
                "ALTER ROLE agent NOCREATEROLE",
                "has CREATEDB",
                "5 warnings",
            ],
        ),
        (
            "a member and an owner",
            fake_server::Server {
                roles: &["pg_read_server_files"],
                owned: &["public.t"],
                ..Default::default()
            },
            0,
            &[
                "REVOKE pg_read_server_files FROM agent",
                "owns 1 relation (public.t)",
                "2 warnings",
            ],
        ),
        (
            "strings that read differently",
            fake_server::Server {
                conforming: "off",
                encoding: "LATIN1",
                ..Default::default()
            },
            1,
            &[
                "standard_conforming_strings is off",
                "client_encoding is LATIN1",
                "2 mistakes",
            ],
        ),
        (
            "a server that is too old",
            fake_server::Server {
                version: ("110022", "11.22"),
                ..Default::default()
            },
            1,
            &["PostgreSQL 11.22 is too old"],
        ),
        (
            "a terminal's escape in its answer",
            fake_server::Server {
                version: ("150004", "15\x1b[2J"),
                ..Default::default()
            },
            0,
            &["PostgreSQL 15\\x1b[2J"],
        ),
    ] {
        let server = fake_server::start(server);
        fs::write(folder.path().join("sluice.toml"), configuration(server.port())).unwrap();
        let output = sluice(&["check", "--config", "sluice.toml", "--connect"], folder.path());
        let text = stdout(&output) + &stderr(&output);
        assert_eq!(output.status.code(), Some(status), "{name}: {text}");
        for want in wants {
            assert!(text.contains(want), "{name}: {want} in\n{text}");
        }
    }
}

#[test]
fn check_says_why_a_server_cannot_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    let server = fake_server::start(fake_server::Server::default());
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let password = fake_server::start(fake_server::Server {
        asks_password: true,
        ..Default::default()
    });
    for (name, configuration, want) in [
        (
            "nobody listens",
            configuration(closed),
            "cannot be reached: Connection refused",
        ),
        (
            "no TLS",
            configuration(server.port()).replace(
                "\"orders\"\ntls = \"off\"",
                "\"orders\"\ntls = \"verify-ca\"\nca = \"ca.crt\"",
            ),
            "does not offer TLS; turn TLS on at the server (ssl = on), or write tls = \"off\"",
        ),
        (
            "no password",
            configuration(password.port()),
            "asks for a password, and none is configured",
        ),
    ] {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs::write(folder.path().join("ca.crt"), made.cert.pem()).unwrap();
        fs::write(folder.path().join("sluice.toml"), configuration).unwrap();
        let output = sluice(&["check", "--config", "sluice.toml", "--connect"], folder.path());
        assert_eq!(output.status.code(), Some(1), "{name}: {}", stderr(&output));
        assert!(stderr(&output).contains(want), "{name}: {}", stderr(&output));
    }
}

#[test]
fn serve_refuses_a_configuration_with_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sluice.toml");
    fs::write(&path, configuration(1).replace("bundled = \"read-only\"", "")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let output = sluice(&["serve", "--config", "sluice.toml"], folder.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("policy.file: is missing"),
        "{}",
        stderr(&output)
    );
    assert!(!folder.path().join("data").exists());
}
