//! What the gateway's login on a server may do, and how the server is set up.
//!
//! Policy binds what passes the gateway. What the login may do beyond is what a hole in policy would be worth, so a
//! login with more rights than its clients need is named here, with the statement that takes them away.

use sluice_audit::visible::Visible;
use sluice_dataplane::settings::{Connection, UpstreamTls};
use sluice_parsers::sql::resolve::quote_identifier;

use crate::failure::counted;
use crate::server::{Rows, Server, ServerError};

/// One thing that was found out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// As it should be.
    Fact(String),
    /// It works, and it is dangerous.
    Warning(String),
    /// The gateway could not serve this connection, or not as it is configured.
    Error(String),
}

impl Finding {
    /// Its line.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Fact(text) | Self::Warning(text) | Self::Error(text) => text,
        }
    }
}

/// PostgreSQL 12 is the oldest whose rules of statement and state the gateway follows.
const SERVER_VERSION_MIN: i64 = 120_000;

/// Logs in and looks around; says whether other databases can be asked.
pub(crate) fn examine(connection: &Connection) -> (Vec<Finding>, bool) {
    let mut server = match Server::connect(connection, &connection.default_database, "sluice check") {
        Ok(server) => server,
        Err(error) => {
            let answers = matches!(error, ServerError::Refused { .. });
            return (vec![Finding::Error(with_help(&error, connection))], answers);
        }
    };
    let mut findings = Vec::new();
    let examined =
        settings(&mut server, &mut findings).and_then(|()| rights(&mut server, connection, &mut findings));
    if let Err(error) = examined {
        findings.push(Finding::Error(visible(&error.to_string())));
    }
    (findings, true)
}

/// What the settings of a connection are called where they were written.
pub(crate) struct Words {
    /// Host and port.
    pub(crate) address: &'static str,
    pub(crate) host: &'static str,
    /// What turns TLS off.
    pub(crate) no_tls: &'static str,
    /// What decides which certificates hold.
    pub(crate) certificate: &'static str,
    /// Where a password can be written.
    pub(crate) password: &'static str,
    /// What the server knows the login by.
    pub(crate) login: &'static str,
    pub(crate) database: &'static str,
}

/// In a configuration.
const CONFIGURED: Words = Words {
    address: "`host` and `port`",
    host: "`host`",
    no_tls: "write tls = \"off\"",
    certificate: "`ca` names who signed the certificate, `server_name` the name in it",
    password: "write `password_file` or `password_env`",
    login: "`user`, its password",
    database: "`database`",
};

/// What is wrong, and how a configured connection is mended.
pub(crate) fn with_help(error: &ServerError, connection: &Connection) -> String {
    with_help_in(&CONFIGURED, error, connection)
}

/// What is wrong, and how a connection is mended whose settings are called that.
pub(crate) fn with_help_in(words: &Words, error: &ServerError, connection: &Connection) -> String {
    let help = match error {
        ServerError::Connect { .. } => format!("is the server running, and do {} lead to it?", words.address),
        ServerError::Resolve { .. } => format!("check {}", words.host),
        ServerError::NoTls => format!("turn TLS on at the server (ssl = on), or {}", words.no_tls),
        ServerError::Tls(_) => match connection.tls {
            UpstreamTls::Off => String::new(),
            UpstreamTls::On { .. } => words.certificate.to_owned(),
        },
        ServerError::NoPassword => words.password.to_owned(),
        ServerError::Cleartext => {
            "use TLS, or let the server ask for scram-sha-256 in pg_hba.conf".to_owned()
        }
        ServerError::Method(_) => "let the server ask for scram-sha-256 in pg_hba.conf".to_owned(),
        ServerError::Refused { code, .. } => match code.as_str() {
            "28P01" | "28000" => format!("check {}, and the server's pg_hba.conf", words.login),
            "3D000" => format!("check {}", words.database),
            _ => String::new(),
        },
        ServerError::Io(_) | ServerError::Unexpected(_) => "is this a PostgreSQL server?".to_owned(),
    };
    let error = visible(&error.to_string());
    if help.is_empty() {
        error
    } else {
        format!("{error}; {help}")
    }
}

fn settings(server: &mut Server, findings: &mut Vec<Finding>) -> Result<(), ServerError> {
    let rows = server.query(
        "select current_setting('server_version_num'), current_setting('server_version'), \
         current_setting('standard_conforming_strings'), current_setting('backslash_quote'), \
         current_setting('server_encoding'), current_setting('client_encoding')",
    )?;
    let [number, version, strings, backslash, encoding, client] = fields(&rows);
    let tls = server
        .tls
        .as_deref()
        .map_or_else(|| "without TLS".to_owned(), |version| format!("over {version}"));
    findings.push(Finding::Fact(visible(&format!(
        "PostgreSQL {version} {tls}, encoding {encoding}"
    ))));
    if number.parse::<i64>().unwrap_or(0) < SERVER_VERSION_MIN {
        findings.push(Finding::Error(format!(
            "PostgreSQL {} is too old; use 12 or later",
            visible(&version)
        )));
    }
    if strings != "on" {
        findings.push(Finding::Error(
            "standard_conforming_strings is off, under which statements read differently; sessions are refused: \
             ALTER ROLE the login SET standard_conforming_strings = on"
                .to_owned(),
        ));
    }
    if backslash == "on" {
        findings.push(Finding::Warning(
            "backslash_quote is on; ALTER ROLE the login SET backslash_quote = safe_encoding".to_owned(),
        ));
    }
    if !matches!(client.as_str(), "UTF8" | "SQL_ASCII") {
        findings.push(Finding::Error(format!(
            "client_encoding is {}; sessions are refused unless it is UTF8: ALTER ROLE the login SET client_encoding = 'UTF8'",
            visible(&client)
        )));
    }
    Ok(())
}

fn rights(
    server: &mut Server,
    connection: &Connection,
    findings: &mut Vec<Finding>,
) -> Result<(), ServerError> {
    let rows = server.query(
        "select rolsuper, rolbypassrls, rolreplication, rolcreaterole, rolcreatedb \
         from pg_catalog.pg_roles where rolname = current_user",
    )?;
    let [superuser, bypass, replication, create_role, create_database] = fields(&rows);
    let login = quote_identifier(&connection.user);
    for (has, attribute, why) in [
        (
            superuser,
            "SUPERUSER",
            "nothing on the server is closed to it, the operating system included",
        ),
        (bypass, "BYPASSRLS", "row security does not bind it"),
        (
            replication,
            "REPLICATION",
            "it can copy the whole cluster past policy and masking",
        ),
        (create_role, "CREATEROLE", "it can give itself other roles"),
        (
            create_database,
            "CREATEDB",
            "it can copy a database under another name",
        ),
    ] {
        if has == "t" {
            findings.push(Finding::Warning(format!(
                "the login has {attribute}: {why}; ALTER ROLE {login} NO{attribute}"
            )));
        }
    }
    // A superuser is a member of everything, which says nothing more.
    let rows = server.query(
        "select rolname from pg_catalog.pg_roles \
         where rolname in ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program') \
         and pg_catalog.pg_has_role(current_user, oid, 'member') \
         and not (select rolsuper from pg_catalog.pg_roles where rolname = current_user) order by 1",
    )?;
    for role in rows.iter().flatten().flatten() {
        findings.push(Finding::Warning(format!(
            "the login is a member of {role}: it reaches the server's files or programs; REVOKE {role} FROM {login}"
        )));
    }
    let rows = server.query(
        "select datname from pg_catalog.pg_database where datname = current_database() \
         and pg_catalog.pg_has_role(current_user, datdba, 'usage') \
         and not (select rolsuper from pg_catalog.pg_roles where rolname = current_user)",
    )?;
    for database in rows.iter().flatten().flatten() {
        findings.push(Finding::Warning(format!(
            "the login owns the database {}: it can drop it; ALTER DATABASE {} OWNER TO another role",
            visible(database),
            visible(&quote_identifier(database))
        )));
    }
    owned(server, &login, findings)
}

fn owned(server: &mut Server, login: &str, findings: &mut Vec<Finding>) -> Result<(), ServerError> {
    let rows = server.query(
        "select count(*) over (), n.nspname || '.' || c.relname from pg_catalog.pg_class c \
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
         where pg_catalog.pg_has_role(current_user, c.relowner, 'usage') and c.relkind in ('r', 'p', 'v', 'm', 'f') \
         and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)' \
         and not (select rolsuper from pg_catalog.pg_roles where rolname = current_user) order by 2 limit 3",
    )?;
    let Some(count) = rows
        .first()
        .and_then(|row| row.first())
        .and_then(Option::as_deref)
    else {
        return Ok(());
    };
    let names: Vec<String> = rows
        .iter()
        .filter_map(|row| row.get(1)?.as_deref())
        .map(visible)
        .collect();
    findings.push(Finding::Warning(format!(
        "the login owns {} ({}{}): an owner can drop them and switch row security off; \
         let another role own them and GRANT {login} what it needs",
        counted(count.parse().unwrap_or(0), "relation"),
        names.join(", "),
        if names.len() < count.parse().unwrap_or(0) {
            ", ..."
        } else {
            ""
        }
    )));
    Ok(())
}

/// What the server says, safe to print.
fn visible(text: &str) -> String {
    Visible(text.as_bytes()).to_string()
}

/// The columns of the first row; what is missing or NULL is empty.
fn fields<const N: usize>(rows: &Rows) -> [String; N] {
    std::array::from_fn(|at| {
        rows.first()
            .and_then(|row| row.get(at)?.clone())
            .unwrap_or_default()
    })
}
