//! `[connections.NAME]`: the servers, the gateway's own login there, and what is masked in their rows.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use sluice_dataplane::settings::{
    CATALOG_MAX_AGE, Connection, Databases, Enforcement, MaskedColumn, Masking, Secret, UpstreamTls, Verify,
};
use sluice_masking::{Class, ClassSet};

use super::harmless;
use super::reader::{At, Reported, Table, nearest};
use super::value::{Mistake, boolean, duration, integer, path, sql_name, text, word};
use crate::tls;

/// A connection by name; `None` when its settings are wrong, so that a reference to it is no second mistake.
pub(super) struct Found {
    pub(super) name: At<String>,
    pub(super) connection: Option<Arc<Connection>>,
}

const PASSWORD_BYTES_MAX: u64 = 64 << 10;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads every connection.
pub(super) fn read(root: &Table<'_>, folder: &Path) -> Vec<Found> {
    let found: Vec<Found> = root
        .named_tables("connections")
        .into_iter()
        .map(|(name, table)| {
            if name.value.contains('/') || name.value.is_empty() {
                let help = "a client writes connection/database: leave the slash out of the name";
                table.error("", name.span.clone(), "is not a name for a connection", help);
            }
            let connection = connection(&name.value, &table, folder).map(Arc::new);
            Found { name, connection }
        })
        .collect();
    if found.is_empty() {
        root.error(
            "connections",
            root.span(),
            "there is none",
            "add [connections.NAME] with host, user and database",
        );
    }
    found
}

fn connection(name: &str, table: &Table<'_>, folder: &Path) -> Option<Connection> {
    let host = table.required("host", "name the server: host = \"db.internal\"", text);
    let port = u16::try_from(table.or("port", 5432, integer(1, 65_535))).unwrap_or(5432);
    let user = table.required(
        "user",
        "name the gateway's login on the server: user = \"sluice\"",
        text,
    );
    let database = table.required(
        "database",
        "name the default database: database = \"orders\"",
        text,
    );
    let password = password(table, folder);
    let tls = host.as_ref().and_then(|host| upstream_tls(table, host, folder));
    let masking = masking(&table.table("masking"));
    let harmless = harmless::read(&table.table("harmless"));
    let enforce = enforcement(table);
    let connect_timeout = table.or(
        "connect_timeout",
        CONNECT_TIMEOUT,
        duration(Duration::from_millis(100), Duration::from_mins(5)),
    );
    let catalog_max_age = table.or(
        "catalog_max_age",
        CATALOG_MAX_AGE,
        duration(Duration::from_secs(1), Duration::from_mins(10)),
    );
    let default_database = database?;
    let databases = databases(table, &default_database.value);
    Some(Connection {
        name: name.to_owned(),
        host: host?.value,
        port,
        user: user?.value,
        password: password.ok()?,
        tls: tls?,
        databases,
        default_database: default_database.value,
        masking: masking?,
        enforce,
        harmless: harmless?,
        connect_timeout,
        catalog_max_age,
    })
}

fn enforcement(table: &Table<'_>) -> Enforcement {
    let words = [("policy", Enforcement::Policy), ("observe", Enforcement::Observe)];
    let Some(enforce) = table.optional("enforce", word(&words)) else {
        return Enforcement::Policy;
    };
    if enforce.value == Enforcement::Observe {
        table.warning(
            "enforce",
            enforce.span,
            "lets run what the policy denies, and records it",
            "remove it when `sluice audit query --observed` shows nothing that is missed",
        );
    }
    enforce.value
}

/// Databases that clients may name: the default one unless listed; `["*"]` is any.
fn databases(table: &Table<'_>, default: &str) -> Databases {
    let Some(listed) = table.list("databases", text) else {
        return Databases::Listed(vec![default.to_owned()]);
    };
    if listed.iter().any(|database| database.value == "*") {
        if listed.len() > 1 {
            let help = "write databases = [\"*\"] alone, or list names";
            table.error(
                "databases",
                table.span_of("databases"),
                "mixes \"*\" with names",
                help,
            );
        }
        return Databases::Any;
    }
    for (at, database) in listed.iter().enumerate() {
        if listed[..at].iter().any(|earlier| earlier.value == database.value) {
            table.error(
                "databases",
                database.span.clone(),
                format!("\"{}\" is listed twice", database.value),
                "remove one",
            );
        }
    }
    if !listed.iter().any(|database| database.value == default) {
        table.error(
            "databases",
            table.span_of("databases"),
            format!("lacks \"{default}\", which `database` makes the default"),
            format!("add \"{default}\", or make another one the default"),
        );
    }
    Databases::Listed(listed.into_iter().map(|database| database.value).collect())
}

/// The login's password, if it has one. `Err` means a mistake, which is reported.
fn password(table: &Table<'_>, folder: &Path) -> Result<Option<Secret>, Reported> {
    let file = table.optional("password_file", path(folder));
    let variable = table.optional("password_env", text);
    match (file, variable) {
        (Some(_), Some(variable)) => {
            let help = "keep one of `password_file` and `password_env`";
            table.error("password_env", variable.span, "is a second password", help);
            Err(Reported)
        }
        (Some(file), None) => match secret_file(&file.value) {
            Ok(secret) => {
                warn_if_others_read(table, "password_file", &file);
                Ok(Some(secret))
            }
            Err(mistake) => {
                table.error("password_file", file.span, mistake.message, mistake.help);
                Err(Reported)
            }
        },
        (None, Some(variable)) => match secret_variable(&variable.value) {
            Ok(secret) => Ok(Some(secret)),
            Err(mistake) => {
                table.error("password_env", variable.span, mistake.message, mistake.help);
                Err(Reported)
            }
        },
        // One that is there and wrong has been reported.
        (None, None) if table.has("password_file") || table.has("password_env") => Err(Reported),
        (None, None) => Ok(None),
    }
}

fn secret_file(path: &Path) -> Result<Secret, Mistake> {
    const HELP: &str = "write the password into the file, readable by the gateway's user alone (mode 0600)";
    let shown = path.display();
    let metadata = std::fs::metadata(path)
        .map_err(|error| Mistake::new(format!("{shown} cannot be read: {error}"), HELP))?;
    if metadata.len() > PASSWORD_BYTES_MAX {
        return Err(Mistake::new(
            format!("{shown} is over 64 KiB, which is no password"),
            HELP,
        ));
    }
    let bytes = std::fs::read(path)
        .map_err(|error| Mistake::new(format!("{shown} cannot be read: {error}"), HELP))?;
    secret(bytes).map_err(|what| Mistake::new(format!("{shown} {what}"), HELP))
}

fn secret_variable(name: &str) -> Result<Secret, Mistake> {
    let help =
        format!("set {name} for the gateway's process (a systemd unit takes it from EnvironmentFile=)");
    let value = std::env::var_os(name)
        .ok_or_else(|| Mistake::new(format!("the environment has no {name}"), help.clone()))?;
    let bytes = std::os::unix::ffi::OsStringExt::into_vec(value);
    secret(bytes).map_err(|what| Mistake::new(format!("{name} {what}"), help))
}

/// A password without the line break that editors add.
fn secret(mut bytes: Vec<u8>) -> Result<Secret, &'static str> {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    if bytes.is_empty() {
        return Err("is empty");
    }
    if bytes.contains(&0) {
        return Err("contains a NUL, which no password can");
    }
    Ok(Secret::new(bytes))
}

/// Warns when a secret's file is readable beyond its owner.
pub(super) fn warn_if_others_read(table: &Table<'_>, key: &str, file: &At<std::path::PathBuf>) {
    use std::os::unix::fs::PermissionsExt as _;
    let Ok(metadata) = std::fs::metadata(&file.value) else {
        return;
    };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        let shown = file.value.display();
        let message = format!("{shown} can be read by every user of this machine (mode {mode:04o})");
        table.warning(key, file.span.clone(), message, format!("chmod 600 {shown}"));
    }
}

#[derive(Clone, Copy)]
enum Mode {
    Off,
    On(Verify),
}

fn upstream_tls(table: &Table<'_>, host: &At<String>, folder: &Path) -> Option<UpstreamTls> {
    let modes = [
        ("verify-full", Mode::On(Verify::Full)),
        ("verify-ca", Mode::On(Verify::Authority)),
        ("off", Mode::Off),
    ];
    let mode = table.or("tls", Mode::On(Verify::Full), word(&modes));
    let authorities = table.optional("ca", path(folder));
    let name = table.optional("server_name", text);
    let Mode::On(verify) = mode else {
        for key in ["ca", "server_name"] {
            if table.has(key) {
                table.error(
                    key,
                    table.span_of(key),
                    "has no effect with tls = \"off\"",
                    "remove it, or turn TLS on",
                );
            }
        }
        if !is_this_machine(&host.value) {
            let message = "the gateway's password and every row cross the network in the clear";
            table.warning("tls", table.span_of("tls"), message, "use tls = \"verify-full\"");
        }
        return Some(UpstreamTls::Off);
    };
    let name = name.unwrap_or_else(|| host.clone());
    let server_name = ServerName::try_from(name.value.clone()).ok();
    if server_name.is_none() {
        let message = format!("\"{}\" is neither a host name nor an address", name.value);
        let key = if table.has("server_name") {
            "server_name"
        } else {
            "host"
        };
        table.error(
            key,
            name.span,
            message,
            "write the name that the server's certificate carries",
        );
    }
    let (file, span) = authorities_file(table, verify, authorities)?;
    match tls::client(verify, &file) {
        Ok(config) => Some(UpstreamTls::On {
            verify,
            config: Arc::new(config),
            server_name: server_name?,
        }),
        Err(error) => {
            table.error(
                "ca",
                span,
                error.to_string(),
                "name a PEM file with the authorities that sign the server's certificate",
            );
            None
        }
    }
}

fn authorities_file(
    table: &Table<'_>,
    verify: Verify,
    file: Option<At<std::path::PathBuf>>,
) -> Option<(std::path::PathBuf, Range<usize>)> {
    if let Some(file) = file {
        return Some((file.value, file.span));
    }
    if table.has("ca") {
        return None;
    }
    let help = "name the authority that signs the server's certificate: ca = \"/etc/sluice/server-ca.pem\"";
    if verify == Verify::Authority {
        // Any public authority would do otherwise, for any name.
        table.error(
            "ca",
            table.span_of("tls"),
            "is missing, and `verify-ca` means nothing without it",
            help,
        );
        return None;
    }
    let Some(system) = tls::system_authorities() else {
        table.error(
            "ca",
            table.span(),
            "is missing, and this machine has no bundle of authorities",
            help,
        );
        return None;
    };
    Some((system, table.span()))
}

/// Whether what is sent there stays on this machine.
pub(crate) fn is_this_machine(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// What a masked column counts as when its data is of no detector's class.
const OTHER: &str = "other";

fn masking(table: &Table<'_>) -> Option<Masking> {
    let on = table.or("enabled", true, boolean);
    let classes = classes(table);
    let columns = columns(table);
    if !on {
        return Some(Masking::Off);
    }
    Some(Masking::On {
        classes: classes?,
        columns: columns?,
    })
}

fn class(name: &str) -> Result<Class, Mistake> {
    Class::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = Class::ALL.iter().map(|class| class.name()).collect();
        let help = match nearest(name, &names) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("the classes are {}", names.join(", ")),
        };
        Mistake::new(format!("\"{name}\" is not a class"), help)
    })
}

/// Classes found by content: all unless listed.
fn classes(table: &Table<'_>) -> Option<ClassSet> {
    if !table.has("detectors") {
        let _ = table.list("detectors", text);
        return Some(ClassSet::ALL);
    }
    let listed = table.list("detectors", |value| class(&text(value)?))?;
    Some(
        listed
            .into_iter()
            .fold(ClassSet::EMPTY, |set, class| set.with(class.value)),
    )
}

/// Columns masked whatever they contain: `"schema.table.column" = "class"`.
fn columns(table: &Table<'_>) -> Option<Vec<MaskedColumn>> {
    let mut columns: Vec<MaskedColumn> = Vec::new();
    let mut right = true;
    for (name, value) in table.pairs("columns") {
        let key = format!("columns.\"{}\"", name.value);
        let class = text(value.get_ref()).and_then(|name| {
            if name == OTHER {
                Ok(None)
            } else {
                class(&name).map(Some)
            }
        });
        let class = match class {
            Ok(class) => class,
            Err(mistake) => {
                let help = format!("{}; or \"{OTHER}\"", mistake.help);
                table.error(&key, value.span(), mistake.message, help);
                right = false;
                continue;
            }
        };
        let parts = sql_name(&name.value, 3).and_then(|parts| <[String; 3]>::try_from(parts).ok());
        let Some([schema, relation, column]) = parts else {
            let help = "write \"schema.table.column\" = \"class\"; a name with capitals or dots goes into double quotes";
            table.error(&key, name.span, "is not the name of a column", help);
            right = false;
            continue;
        };
        let column = MaskedColumn {
            schema,
            table: relation,
            column,
            class,
        };
        if columns.iter().any(|earlier| {
            (&earlier.schema, &earlier.table, &earlier.column)
                == (&column.schema, &column.table, &column.column)
        }) {
            table.error(
                &key,
                name.span,
                "names a column that is named already",
                "remove one of them",
            );
            right = false;
            continue;
        }
        columns.push(column);
    }
    right.then_some(columns)
}
