//! Every kind of mistake with the place and the words that it is reported with.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;

/// The smallest configuration that works, with `{}` for what a case adds at the front.
const MINIMAL: &str = r#"
data = "data"
[listeners.main]
address = "127.0.0.1:6432"
tls = "off"
[connections.orders]
host = "127.0.0.1"
user = "sluice"
database = "orders"
tls = "off"
[identities.ops]
verifier = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
groups = ["dba"]
[policy]
bundled = "read-only"
"#;

/// A folder with the files that cases refer to.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| fs::write(folder.path().join(name), content).unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    write("gateway.crt", &made.cert.pem());
    write("gateway.key", &made.signing_key.serialize_pem());
    write("other.key", &other.signing_key.serialize_pem());
    write("password", "secret\n");
    for secret in ["gateway.crt", "gateway.key", "other.key", "password"] {
        fs::set_permissions(folder.path().join(secret), fs::Permissions::from_mode(0o600)).unwrap();
    }
    write("empty", "\n");
    write("text", "hello");
    fs::set_permissions(folder.path().join("text"), fs::Permissions::from_mode(0o644)).unwrap();
    write(
        "broken.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    write("bad.cedar", "permit (principal, action, resource)");
    write("keys.json", "{\"keys\":[]}");
    folder
}

fn read(source: &str, folder: &Path) -> Result<(Loaded, Report), Report> {
    load_source("test.toml", source, folder)
}

/// `line:column: setting: message` of everything found, as a person is shown it.
fn found(report: &Report) -> Vec<String> {
    // The place stands on the line after the message: `╭─[test.toml:3:8]`.
    let text = report.to_string();
    let mut lines = Vec::new();
    let mut message = String::new();
    for line in text.lines() {
        if let Some(start) = line.strip_prefix("  × ").or_else(|| line.strip_prefix("  ⚠ ")) {
            message = start.to_owned();
            if let Some(rest) = message.strip_prefix("test.toml: ") {
                lines.push(format!("-: {rest}"));
            }
        } else if let Some((_, place)) = line.split_once("[test.toml:") {
            lines.push(format!("{}: {message}", place.trim_end_matches(']')));
        }
    }
    lines
}

/// Settings as `Debug` shows them, without the policies, whose order is that of a hash table.
fn shown(settings: &Settings) -> String {
    let Settings {
        cores,
        helper_cpus,
        listeners,
        connections,
        identities,
        policy: _,
        limits,
        audit,
        buffers,
    } = settings;
    format!(
        "{:#?}",
        (
            cores,
            helper_cpus,
            listeners,
            connections,
            identities,
            limits,
            audit,
            buffers
        )
    )
}

#[test]
fn the_smallest_configuration_works() {
    let folder = folder();
    let (loaded, report) = read(MINIMAL, folder.path())
        .map_err(|report| report.to_string())
        .unwrap();
    assert_eq!(found(&report), Vec::<String>::new());
    assert_eq!(loaded.audit.dir, folder.path().join("data"));
    assert_eq!(loaded.listeners.len(), 1);
    let settings = loaded.into_settings();
    assert_eq!(settings.connections[0].default_database, "orders");
    assert_eq!(
        settings.identities.scram.identity("ops").unwrap().groups(),
        ["dba"]
    );
    assert_eq!(settings.identities.token_users, ["token"]);
    assert!(
        !folder.path().join("data").exists(),
        "reading a configuration leaves no trace"
    );
}

/// Each row changes the smallest configuration: the first text is replaced by the second.
#[test]
fn mistakes() {
    let folder = folder();
    let mut differing = Vec::new();
    for (name, replaced, by, want) in [
        (
            "unknown key",
            "user = ",
            "usr = ",
            &[
                "6:1: connections.orders.user: is missing",
                "8:1: connections.orders.usr: there is no such setting",
            ][..],
        ),
        (
            "unknown table",
            "[policy]",
            "[polices]",
            &[
                "1:1: policy.file: is missing: without a policy everything is denied",
                "14:2: polices: there is no such setting",
            ],
        ),
        (
            "wrong type",
            "\"127.0.0.1:6432\"",
            "6432",
            &["4:11: listeners.main.address: expects a text, not a whole number"],
        ),
        (
            "no port",
            ":6432",
            "",
            &["4:11: listeners.main.address: \"127.0.0.1\" has no port"],
        ),
        (
            "mistyped word",
            "tls = \"off\"\n[conn",
            "tls = \"requird\"\n[conn",
            &[
                "3:1: listeners.main.certificate: is missing",
                "3:1: listeners.main.key: is missing",
                "5:7: listeners.main.tls: \"requird\" is none of its values",
            ],
        ),
        (
            "unknown connection",
            "tls = \"off\"\n[conn",
            "tls = \"off\"\nconnection = \"order\"\n[conn",
            &[
                "6:14: listeners.main.connection: there is no connection \"order\"",
                "7:14: connections.orders: no listener leads to it",
            ],
        ),
        (
            "no certificate file",
            "tls = \"off\"\n[conn",
            "certificate = \"none.crt\"\nkey = \"gateway.key\"\n[conn",
            &["5:15: listeners.main.certificate: FOLDER/none.crt: No such file or directory (os error 2)"],
        ),
        (
            "not a certificate",
            "tls = \"off\"\n[conn",
            "certificate = \"text\"\nkey = \"gateway.key\"\n[conn",
            &["5:15: listeners.main.certificate: FOLDER/text: there is no certificate in it"],
        ),
        (
            "no key in the file",
            "tls = \"off\"\n[conn",
            "certificate = \"gateway.crt\"\nkey = \"gateway.crt\"\n[conn",
            &["6:7: listeners.main.key: FOLDER/gateway.crt: there is no private key in it"],
        ),
        (
            "another certificate's key",
            "tls = \"off\"\n[conn",
            "certificate = \"gateway.crt\"\nkey = \"other.key\"\n[conn",
            &["6:7: listeners.main.key: the key does not belong to the certificate"],
        ),
        (
            "everybody's password",
            "user = ",
            "password_file = \"text\"\nuser = ",
            &[
                "8:17: connections.orders.password_file: FOLDER/text can be read by every user of this machine (mode 0644)",
            ],
        ),
        (
            "certificate without TLS",
            "tls = \"off\"\n[conn",
            "tls = \"off\"\ncertificate = \"gateway.crt\"\n[conn",
            &["6:15: listeners.main.certificate: has no effect with tls = \"off\""],
        ),
        (
            "address twice",
            "[connections.orders]",
            "[listeners.two]\naddress = \"127.0.0.1:6432\"\ntls = \"off\"\n[connections.orders]",
            &["7:11: listeners.two.address: 127.0.0.1:6432 is the address of listener \"main\" already"],
        ),
        (
            "table twice",
            "[connections.orders]",
            "[listeners.main]\n[connections.orders]",
            &["6:12: duplicate key"],
        ),
        (
            "syntax",
            "data = \"data\"",
            "data = ",
            &["2:8: string values must be quoted, expected literal string"],
        ),
        (
            "inline password",
            "user = ",
            "password = \"hunter2\"\nuser = ",
            &["8:1: connections.orders.password: there is no such setting"],
        ),
        (
            "no password file",
            "user = ",
            "password_file = \"none\"\nuser = ",
            &[
                "8:17: connections.orders.password_file: FOLDER/none cannot be read: No such file or directory (os error 2)",
            ],
        ),
        (
            "empty password",
            "user = ",
            "password_file = \"empty\"\nuser = ",
            &["8:17: connections.orders.password_file: FOLDER/empty is empty"],
        ),
        (
            "no such variable",
            "user = ",
            "password_env = \"SLUICE_TEST_NOT_SET\"\nuser = ",
            &["8:16: connections.orders.password_env: the environment has no SLUICE_TEST_NOT_SET"],
        ),
        (
            "two passwords",
            "user = ",
            "password_env = \"PATH\"\npassword_file = \"password\"\nuser = ",
            &["8:16: connections.orders.password_env: is a second password"],
        ),
        (
            "verify-ca without ca",
            "tls = \"off\"\n[ident",
            "tls = \"verify-ca\"\n[ident",
            &["10:7: connections.orders.ca: is missing, and `verify-ca` means nothing without it"],
        ),
        (
            "ca without TLS",
            "tls = \"off\"\n[ident",
            "tls = \"off\"\nca = \"gateway.crt\"\n[ident",
            &["11:6: connections.orders.ca: has no effect with tls = \"off\""],
        ),
        (
            "broken ca",
            "tls = \"off\"\n[ident",
            "ca = \"broken.pem\"\n[ident",
            &["10:6: connections.orders.ca: FOLDER/broken.pem: invalid peer certificate: BadEncoding"],
        ),
        (
            "server's name",
            "tls = \"off\"\n[ident",
            "ca = \"gateway.crt\"\nserver_name = \"a b\"\n[ident",
            &["11:15: connections.orders.server_name: \"a b\" is neither a host name nor an address"],
        ),
        (
            "clear text over the network",
            "host = \"127.0.0.1\"",
            "host = \"db.example\"",
            &[
                "10:7: connections.orders.tls: the gateway's password and every row cross the network in the clear",
            ],
        ),
        (
            "default database not listed",
            "user = ",
            "databases = [\"a\", \"a\"]\nuser = ",
            &[
                "8:13: connections.orders.databases: lacks \"orders\", which `database` makes the default",
                "8:19: connections.orders.databases: \"a\" is listed twice",
            ],
        ),
        (
            "any and some",
            "user = ",
            "databases = [\"*\", \"a\"]\nuser = ",
            &["8:13: connections.orders.databases: mixes \"*\" with names"],
        ),
        (
            "slash in a name",
            "[connections.orders]",
            "[connections.\"a/b\"]",
            &["6:14: connections.a/b: is not a name for a connection"],
        ),
        (
            "class",
            "user = ",
            "masking.detectors = [\"emial\"]\nuser = ",
            &["8:22: connections.orders.masking.detectors: \"emial\" is not a class"],
        ),
        (
            "column",
            "user = ",
            "masking.columns = { \"customers.email\" = \"email\" }\nuser = ",
            &["8:21: connections.orders.masking.columns.\"customers.email\": is not the name of a column"],
        ),
        (
            "column's class",
            "user = ",
            "masking.columns = { \"public.a.b\" = \"x\" }\nuser = ",
            &["8:36: connections.orders.masking.columns.\"public.a.b\": \"x\" is not a class"],
        ),
        (
            "column twice",
            "user = ",
            "masking.columns = { \"public.a.b\" = \"other\", \"PUBLIC.a.b\" = \"email\" }\nuser = ",
            &[
                "8:45: connections.orders.masking.columns.\"PUBLIC.a.b\": names a column that is named already",
            ],
        ),
        (
            "harmless function",
            "user = ",
            "harmless.functions = { \"f(int)\" = { owner = \"a\" } }\nuser = ",
            &["8:24: connections.orders.harmless.functions.f(int): names no schema"],
        ),
        (
            "harmless function's type",
            "user = ",
            "harmless.functions = { \"a.f(point3d)\" = { owner = \"a\" } }\nuser = ",
            &[
                "8:24: connections.orders.harmless.functions.a.f(point3d): names the type point3d without its schema",
            ],
        ),
        (
            "harmless function without its types",
            "user = ",
            "harmless.functions = { \"a.f\" = { owner = \"a\" } }\nuser = ",
            &["8:24: connections.orders.harmless.functions.a.f: is not schema.name(type, ...)"],
        ),
        (
            "harmless function's owner",
            "user = ",
            "harmless.functions = { \"a.f()\" = { owner = \"a b\" }, \"a.g()\" = {} }\nuser = ",
            &[
                "8:44: connections.orders.harmless.functions.a.f().owner: \"a b\" is not the name of a role",
                "8:63: connections.orders.harmless.functions.a.g().owner: is missing",
            ],
        ),
        (
            "harmless function twice",
            "user = ",
            "harmless.functions = { \"a.f(int)\" = { owner = \"a\" }, \"A.F(integer)\" = { owner = \"a\" } }\nuser = ",
            &[
                "8:24: connections.orders.harmless.functions.a.f(int): has no `definition`, so it holds for nothing",
                "8:54: connections.orders.harmless.functions.A.F(integer): names a function that is named already",
            ],
        ),
        (
            "definition",
            "user = ",
            "harmless.extensions = { a = { definition = \"12\" }, b = {}, c = { owner = \"x\" } }\nuser = ",
            &[
                "8:44: connections.orders.harmless.extensions.a.definition: \"12\" is not 64 hexadecimal digits",
                "8:52: connections.orders.harmless.extensions.b: has no `definition`, so it holds for nothing",
                "8:60: connections.orders.harmless.extensions.c: has no `definition`, so it holds for nothing",
                "8:66: connections.orders.harmless.extensions.c.owner: there is no such setting",
            ],
        ),
        (
            "time",
            "user = ",
            "connect_timeout = \"10\"\nuser = ",
            &["8:19: connections.orders.connect_timeout: \"10\" is not a time"],
        ),
        (
            "verifier",
            "SCRAM-SHA-256$4096",
            "SCRAM-SHA-1$4096",
            &[
                "12:12: identities.ops.verifier: is not a SCRAM verifier: it does not begin with SCRAM-SHA-256$",
            ],
        ),
        (
            "cut verifier",
            "2dU=",
            "2d",
            &[
                "12:12: identities.ops.verifier: has a server key that is not base64 of the right length (was it cut when it was pasted?)",
            ],
        ),
        (
            "group twice",
            "[\"dba\"]",
            "[\"dba\", \"dba\"]",
            &["13:18: identities.ops.groups: \"dba\" is listed twice"],
        ),
        (
            "identity is a token user",
            "[identities.ops]",
            "[identities.token]",
            &[
                "11:13: identities.token: \"token\" is a token user as well, and the user name chooses the proof",
            ],
        ),
        (
            "enforcement",
            "user = ",
            "enforce = \"log\"\nuser = ",
            &["8:11: connections.orders.enforce: \"log\" is none of its values"],
        ),
        (
            "policy documentation",
            "[policy]",
            "[policy]\ndocumentation = \"our wiki\"",
            &["15:17: policy.documentation: \"our wiki\" is not the address of a page"],
        ),
        (
            "policy file",
            "bundled = \"read-only\"",
            "file = \"none.cedar\"",
            &["15:8: policy.file: FOLDER/none.cedar cannot be read: No such file or directory (os error 2)"],
        ),
        (
            "two policies",
            "bundled = ",
            "file = \"bad.cedar\"\nbundled = ",
            &["16:11: policy.bundled: is a second policy"],
        ),
        (
            "everything permitted",
            "read-only",
            "allow-all",
            &["15:11: policy.bundled: permits everything to everybody who can log in"],
        ),
        (
            "core",
            "data = ",
            "cores = [0, 4000]\ndata = ",
            &["2:9: cores: this process may not run on CPU 4000"],
        ),
        (
            "core twice",
            "data = ",
            "cores = [0, 0]\ndata = ",
            &["2:9: cores: lists a CPU twice, or none"],
        ),
        (
            "no CPU for helpers",
            "data = ",
            "helper_cpus = []\ndata = ",
            &["2:15: helper_cpus: lists a CPU twice, or none"],
        ),
        ("no data", "data = \"data\"", "", &["1:1: data: is missing"]),
        (
            "limit out of range",
            "[policy]",
            "[limits]\nmax_statement_bytes = \"1GiB\"\n[policy]",
            &["15:23: limits.max_statement_bytes: \"1GiB\" is out of range"],
        ),
        (
            "ring's size",
            "[policy]",
            "[audit]\nring_bytes = 1000001\n[policy]",
            &["15:14: audit.ring_bytes: is not a multiple of 4096"],
        ),
        (
            "issuer without anything",
            "[policy]",
            "[issuers.corp]\n[policy]",
            &[
                "14:1: issuers.corp.issuer: is missing",
                "14:1: issuers.corp.audiences: is missing",
                "14:1: issuers.corp.keys: is missing",
            ],
        ),
        (
            "keys without TLS",
            "[policy]",
            "[issuers.corp]\nissuer = \"i\"\naudiences = [\"a\"]\nkeys = \"http://i.example/jwks\"\n[policy]",
            &[
                "17:8: issuers.corp.keys: keys cannot be read from \"http://i.example/jwks\": who can change what travels without TLS could add a key; use https",
            ],
        ),
        (
            "keys' file",
            "[policy]",
            "[issuers.corp]\nissuer = \"i\"\naudiences = [\"a\"]\nkeys = \"none.json\"\n[policy]",
            &[
                "17:8: issuers.corp.keys: FOLDER/none.json cannot be read: No such file or directory (os error 2)",
            ],
        ),
        (
            "algorithm",
            "[policy]",
            "[issuers.corp]\nissuer = \"i\"\naudiences = [\"a\"]\nkeys = \"keys.json\"\nalgorithms = [\"HS256\"]\n[policy]",
            &["18:15: issuers.corp.algorithms: \"HS256\" is not an algorithm that tokens may be signed with"],
        ),
        (
            "issuer's name",
            "[policy]",
            "[issuers.corp]\nissuer = \"local\"\naudiences = [\"a\"]\nkeys = \"keys.json\"\n[policy]",
            &[
                "15:10: issuers.corp.issuer: \"local\" cannot be an issuer: it is empty, \"local\" or holds a `#`",
            ],
        ),
    ] {
        assert!(MINIMAL.contains(replaced), "{name}");
        let source = MINIMAL.replacen(replaced, by, 1);
        let report = match read(&source, folder.path()) {
            Ok((_, report)) | Err(report) => report,
        };
        let folder = folder.path().display().to_string();
        let want: Vec<String> = want.iter().map(|line| line.replace("FOLDER", &folder)).collect();
        if found(&report) != want {
            differing.push(format!("{name}: {:#?}", found(&report)));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn one_run_reports_every_mistake() {
    let folder = folder();
    let source = r#"
cores = "many"
[listeners.main]
address = "nowhere"
[connections.orders]
port = 0
[limits]
drain_timeout = 30
[policy]
file = "bad.cedar"
"#;
    let Err(report) = read(source, folder.path()) else {
        panic!("it is accepted")
    };
    let settings: Vec<String> = found(&report)
        .iter()
        .filter_map(|line| Some(line.split_once(": ")?.1.split_once(": ")?.0.to_owned()))
        .collect();
    for setting in [
        "data",
        "cores",
        "identities",
        "listeners.main.address",
        "listeners.main.certificate",
        "listeners.main.key",
        "connections.orders.host",
        "connections.orders.user",
        "connections.orders.database",
        "connections.orders.port",
        "limits.drain_timeout",
    ] {
        assert!(
            settings.iter().any(|found| found == setting),
            "{setting} in\n{report}"
        );
    }
    assert!(report.to_string().contains("bad.cedar"), "{report}");
}

#[test]
fn help_comes_with_it() {
    let folder = folder();
    for (name, replaced, by, want) in [
        ("near key", "user = ", "usr = ", "did you mean `user`?"),
        (
            "near class",
            "user = ",
            "masking.detectors = [\"emial\"]\nuser = ",
            "did you mean \"email\"?",
        ),
        (
            "near connection",
            "tls = \"off\"\n[conn",
            "tls = \"off\"\nconnection = \"order\"\n[conn",
            "did you mean \"orders\"?",
        ),
        (
            "password",
            "user = ",
            "password = \"hunter2\"\nuser = ",
            "use `password_file` or `password_env`",
        ),
        ("verifier", "SCRAM-SHA-256$", "x", "sluice scram-verifier"),
    ] {
        let Err(report) = read(&MINIMAL.replacen(replaced, by, 1), folder.path()) else {
            panic!("{name}")
        };
        let text = report.to_string();
        assert!(text.contains(want), "{name}\n{text}");
        assert!(
            !text.contains("hunter2") && !text.contains("W22ZaJ0SNY7soEsUEjb6gQ"),
            "{name}\n{text}"
        );
    }
}

#[test]
fn settings_take_effect() {
    let folder = folder();
    let source = MINIMAL.replace(
        "tls = \"off\"\n[conn",
        "certificate = \"gateway.crt\"\nkey = \"gateway.key\"\nconnection = \"orders\"\n[conn",
    ) + r#"
[connections.second]
host = "db.internal"
port = 6000
user = "u"
password_file = "password"
database = "a"
databases = ["*"]
ca = "gateway.crt"
tls = "verify-ca"
server_name = "other.internal"
connect_timeout = "3s"
catalog_max_age = "4s"
enforce = "observe"
masking.detectors = ["email", "jwt"]
masking.columns = { "public.\"Customers\".name" = "other", "public.customers.mail" = "email" }
harmless.functions = { 'geo."Area"(int, text[])' = { owner = '"DBA"', definition = "00000000000000000000000000000000000000000000000000000000000000ff" } }
harmless.extensions = { "uuid-ossp" = { definition = "00000000000000000000000000000000000000000000000000000000000000ee" } }
[connections.third]
host = "127.0.0.1"
user = "u"
database = "a"
tls = "off"
masking.enabled = false
[issuers.corp]
issuer = "https://login.example.com"
audiences = ["sluice", "gateway"]
keys = "keys.json"
algorithms = ["ES256"]
groups_claim = "roles"
leeway = "5s"
[limits]
max_statement_bytes = "1MiB"
inline_parse_bytes = 1000
max_depth = 100
max_recorded_bytes = "1KiB"
password_bytes = "8KiB"
authentication_timeout = "5s"
prepared_max = 200
sessions_per_core_max = 300
drain_timeout = "1m"
helper_threads = 3
decisions_max = 400
[audit]
ring_bytes = "1MiB"
segment_bytes = "2MiB"
flush_ms = 7
[buffers]
receive_bytes = "8KiB"
receive_count = 64
queued_bytes_max = "128KiB"
[metrics]
address = "127.0.0.1:9000"
"#;
    let (loaded, _) = read(&source, folder.path())
        .map_err(|report| report.to_string())
        .unwrap();
    assert_eq!(loaded.metrics_address, Some("127.0.0.1:9000".parse().unwrap()));
    assert_eq!(
        loaded.verifier.as_ref().unwrap().status()[0].issuer,
        "https://login.example.com"
    );
    let settings = loaded.into_settings();
    let shown = shown(&settings);
    for want in [
        "port: 6000",
        "connect_timeout: 3s",
        "catalog_max_age: 4s",
        "enforce: Observe",
        "verify: Authority",
        "other.internal",
        "databases: Any",
        "table: \"Customers\"",
        "class: None",
        "masking: Off",
        "owner: \"DBA\"",
        "name: \"Area\"",
        "00000000000000000000000000000000000000000000000000000000000000ff",
        "name: \"uuid-ossp\"",
        "00000000000000000000000000000000000000000000000000000000000000ee",
        "max_statement_bytes: 1048576",
        "inline_parse_bytes: 1000",
        "max_depth: 100",
        "max_recorded_bytes: 1024",
        "password_bytes: 8192",
        "authentication_timeout: 5s",
        "prepared_max: 200",
        "sessions_per_core_max: 300",
        "drain_timeout: 60s",
        "helper_threads: 3",
        "decisions_max: 400",
        "ring_bytes: 1048576",
        "segment_bytes: 2097152",
        "flush_interval: 7ms",
        "receive_bytes: 8192",
        "receive_count: 64",
        "queued_bytes_max: 131072",
        "tokens: true",
        "end_point: true",
    ] {
        assert!(shown.contains(want), "{want} in\n{shown}");
    }
    assert!(
        !shown.contains("secret\"") && !shown.contains("115, 101, 99"),
        "no secrets in\n{shown}"
    );
    let second = settings.connection("second").unwrap();
    assert_eq!(
        second.password.as_ref().unwrap().expose(),
        b"secret",
        "without the line break"
    );
}

#[test]
fn the_data_folder_is_found_in_a_broken_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sluice.toml");
    fs::write(&path, "data = \"here\"\n[listeners.x]\naddress = 5\n").unwrap();
    assert_eq!(
        data_folder(&path).map_err(|report| report.to_string()),
        Ok(folder.path().join("here"))
    );
    fs::write(&path, "cores = 1\n").unwrap();
    assert!(data_folder(&path).is_err());
}

/// The shipped examples, in a folder with the files they name.
fn example(name: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
    for sub in ["tls", "secrets", "policies"] {
        fs::create_dir(folder.path().join(sub)).unwrap();
    }
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    for (file, content) in [
        ("tls/gateway.crt", made.cert.pem()),
        ("tls/gateway.key", made.signing_key.serialize_pem()),
        ("tls/server-ca.crt", made.cert.pem()),
        ("tls/issuer-ca.crt", made.cert.pem()),
        ("secrets/orders", "secret".to_owned()),
        ("secrets/reports", "secret".to_owned()),
        (
            "policies/read-only.cedar",
            fs::read_to_string(configs.join("policies/read-only.cedar")).unwrap(),
        ),
    ] {
        let path = folder.path().join(file);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let source = fs::read_to_string(configs.join(name)).unwrap();
    (folder, source)
}

#[test]
fn the_full_example_works_and_its_defaults_are_the_defaults() {
    let (folder, source) = example("sluice.toml");
    let settings = |source: &str| {
        let (loaded, report) = read(source, folder.path())
            .map_err(|report| report.to_string())
            .unwrap();
        assert_eq!(found(&report), Vec::<String>::new());
        shown(&loaded.into_settings())
    };
    // `#name = value` is a setting at its default, `# text` is a comment.
    let is_setting = |line: &str| {
        line.strip_prefix('#').is_some_and(|rest| {
            rest.split_once(" = ")
                .is_some_and(|(key, _)| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        })
    };
    let mut written = 0;
    let mut whole = String::new();
    for line in source.lines() {
        written += usize::from(is_setting(line));
        whole += if is_setting(line) { &line[1..] } else { line };
        whole.push('\n');
    }
    assert!(written >= 25, "{written} settings are shown at their defaults");
    assert_eq!(settings(&source), settings(&whole));
}

#[test]
fn the_example_for_development_works() {
    let (folder, source) = example("dev.toml");
    let (loaded, report) = read(&source, folder.path())
        .map_err(|report| report.to_string())
        .unwrap();
    assert_eq!(found(&report), Vec::<String>::new());
    assert_eq!(loaded.listeners.len(), 1);
}

/// A setting that the reference does not name is one that nobody finds.
#[test]
fn the_reference_names_every_setting() {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let reference = fs::read_to_string(reference).unwrap();
    let (_, source) = example("sluice.toml");
    for line in source.lines() {
        let Some((key, _)) = line.trim_start_matches('#').split_once(" = ") else {
            continue;
        };
        if key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            assert!(reference.contains(&format!("`{key}`")), "{key}");
        }
    }
}
