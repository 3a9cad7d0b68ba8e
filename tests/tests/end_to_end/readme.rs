//! The commands of the README do what it says, on a fresh clone.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use sluice_tests::{Postgres, Server, documented, free_port, root, run, sluice, wait_until};
use tempfile::TempDir;

/// The commands that begin with the gateway's binary.
fn commands() -> Vec<&'static str> {
    let readme = include_str!("../../../README.md");
    let blocks = readme
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next());
    blocks
        .flat_map(str::lines)
        .filter(|line| line.starts_with("target/release/sluice "))
        .collect()
}

/// A clone whose build is this one; its small configuration is for a port that is free and for a server of this test.
fn clone(postgres: &Postgres, port: u16) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let release = folder.path().join("target/release");
    fs::create_dir_all(&release).expect("a folder");
    symlink(sluice(), release.join("sluice")).expect("a link");
    let configs = folder.path().join("configs");
    fs::create_dir(&configs).expect("a folder");
    for name in ["dev.toml", "sluice.toml"] {
        let configuration = fs::read_to_string(root().join("configs").join(name)).expect("a configuration");
        let configuration = configuration
            .replace("127.0.0.1:6432", &format!("127.0.0.1:{port}"))
            .replace("/tmp/sluice-dev", "data")
            .replace(
                "host = \"127.0.0.1\"",
                &format!("host = \"127.0.0.1\"\nport = {}", postgres.port()),
            );
        fs::write(configs.join(name), configuration).expect("a configuration");
    }
    symlink(root().join("configs/policies"), configs.join("policies")).expect("a link");
    folder
}

/// A command that runs until it is stopped, with what it prints in a file.
fn start(script: &str, folder: &Path, out: &str) -> Server {
    let out = fs::File::create(folder.join(out)).expect("a file");
    let mut command = documented(&format!("exec {script}"), folder);
    Server::start(
        command.stdout(out.try_clone().expect("a file")).stderr(out),
        Signal::SIGTERM,
    )
}

#[test]
fn the_commands_of_the_readme_do_what_it_says() {
    let postgres = Postgres::start(&[]);
    let port = free_port();
    let folder = clone(&postgres, port);
    let folder = folder.path();
    let printed = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
    let commands = commands();
    let [dev, check, serve, tail, top] = commands[..] else {
        panic!("other commands than this test knows: {commands:?}");
    };

    let server = format!("postgres://postgres:x@127.0.0.1:{}/shop", postgres.port());
    let dev = dev.replace("postgres://USER:PASSWORD@HOST:5432/DATABASE", &server);
    let mut gateway = start(&format!("{dev} --listen 127.0.0.1:0"), folder, "dev");
    wait_until("the command line", || {
        assert!(!gateway.has_ended(), "{}", printed("dev"));
        printed("dev").contains("  record: ")
    });
    let command = printed("dev");
    let command = command
        .lines()
        .find(|line| line.ends_with(" psql"))
        .expect("psql");
    let output = run(&mut documented(&format!("{command} -X -c 'SELECT 1'"), folder));
    assert!(output.success, "{output:?}");
    drop(gateway);

    let output = run(&mut documented(check, folder));
    assert!(
        output.success && output.stdout.contains("configs/dev.toml: ok: 1 listener"),
        "{output:?}"
    );
    let mut gateway = start(serve, folder, "serve");
    wait_until("the gateway", || {
        assert!(!gateway.has_ended(), "{}", printed("serve"));
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    let configuration = include_str!("../../../configs/dev.toml");
    let psql = configuration
        .lines()
        .find_map(|line| line.strip_prefix("#   PGPASSWORD="))
        .expect("a command line");
    let psql = psql.replace("6432", &port.to_string());
    let output = run(&mut documented(
        &format!("PGPASSWORD={psql} -X -c 'SELECT 1'"),
        folder,
    ));
    assert!(output.success, "{output:?}");
    for (command, name, told) in [(tail, "tail", "SELECT 1"), (top, "top", "CORE")] {
        let mut reader = start(command, folder, name);
        wait_until(name, || {
            assert!(!reader.has_ended(), "{command}: {}", printed(name));
            printed(name).contains(told)
        });
    }
    assert!(!gateway.has_ended(), "{}", printed("serve"));

    // The other configuration wants files of one's own, and says which.
    let output = run(Command::new(sluice())
        .args(["check", "--config", "configs/sluice.toml"])
        .current_dir(folder));
    assert!(!output.success, "{output:?}");
    for file in [
        "tls/gateway.crt",
        "tls/gateway.key",
        "secrets/orders",
        "tls/server-ca.crt",
    ] {
        assert!(output.stderr.contains(file), "{file}: {}", output.stderr);
    }
}
