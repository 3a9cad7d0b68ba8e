//! What a statement is explained in: a database's catalog, from its server or from a file, and a session in it.

use std::path::Path;
use std::sync::Arc;

use sluice_dataplane::settings::{Connection, Limits};
use sluice_dataplane::{harmless_functions, protected_columns};
use sluice_parsers::sql::catalog::Catalog;
use sluice_parsers::sql::catalog::file;
use sluice_parsers::sql::catalog::snapshot::Bases;
use sluice_parsers::sql::resolve::parse_name_list;
use sluice_parsers::sql::world::{SessionNames, World};

use crate::cli::ExplainSql;
use crate::config;
use crate::failure::Failure;
use crate::server::Server;

/// The world of the explanation.
pub(crate) struct Subject {
    pub(crate) world: World,
    pub(crate) limits: Limits,
}

impl Subject {
    /// From the server that the configuration names, or from the file.
    pub(crate) fn of(arguments: &ExplainSql) -> Result<Self, Failure> {
        let (connection, limits) = match &arguments.config {
            Some(path) => {
                let (loaded, _warnings) = config::load(path)?;
                let connection = named(&loaded.connections, arguments.connection.as_deref())?;
                (Some(connection), loaded.limits)
            }
            None => (None, Limits::default()),
        };
        let (catalog, login) = match (&arguments.offline, &connection) {
            (Some(path), _) => (offline(path)?, None),
            (None, Some(connection)) => {
                let (catalog, settings) = online(connection, arguments.database.as_deref())?;
                (catalog, Some(settings))
            }
            (None, None) => {
                return Err(Failure::other(
                    "no catalog",
                    "name a configuration with --config, or a schema file with --offline",
                ));
            }
        };
        let session = session(arguments, login)?;
        let protected = connection
            .as_ref()
            .map(|connection| protected_columns(&catalog, &connection.masking))
            .unwrap_or_default();
        let listed = connection
            .as_ref()
            .map(|connection| harmless_functions(&catalog, &connection.harmless))
            .unwrap_or_default();
        let world = World {
            session: Arc::new(session),
            protected: Arc::new(protected),
            listed: Arc::new(listed),
            ..World::of(Arc::new(catalog))
        };
        Ok(Self { world, limits })
    }
}

/// What the login's sessions begin with.
struct LoginSettings {
    search_path: String,
    role: String,
}

fn named(connections: &[Arc<Connection>], name: Option<&str>) -> Result<Arc<Connection>, Failure> {
    let names = || {
        let names: Vec<_> = connections.iter().map(|known| known.name.as_str()).collect();
        names.join(", ")
    };
    match (name, connections) {
        (None, [only]) => Ok(Arc::clone(only)),
        (None, _) => Err(Failure::other(
            "--connection",
            format!("name one of the configuration's: {}", names()),
        )),
        (Some(name), _) => connections
            .iter()
            .find(|known| known.name == name)
            .cloned()
            .ok_or_else(|| {
                let cause = format!("the configuration has no connection {name:?}; it has {}", names());
                Failure::other("--connection", cause)
            }),
    }
}

fn offline(path: &Path) -> Result<Catalog, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::other(format!("cannot read {shown}"), error))?;
    file::read(&text, &Bases::default()).map_err(|error| Failure::other(shown.to_string(), error))
}

fn online(connection: &Connection, database: Option<&str>) -> Result<(Catalog, LoginSettings), Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::other(format!("connection {}", connection.name), error);
    let database = database.unwrap_or(&connection.default_database);
    let mut server = Server::connect(connection, database, "sluice explain-sql")
        .map_err(|error| failed(&crate::check::with_help(&error, connection)))?;
    let settings = server
        .query("SELECT pg_catalog.current_setting('search_path'), current_user")
        .map_err(|error| failed(&error))?;
    let mut settings = settings.into_iter().flatten().map(Option::unwrap_or_default);
    let mut next = || settings.next().unwrap_or_default();
    let (search_path, role) = (next(), next());
    let catalog = server.catalog().map_err(|error| failed(&error))?;
    Ok((catalog, LoginSettings { search_path, role }))
}

/// A session as the login's begins, but for what the command line says.
fn session(arguments: &ExplainSql, login: Option<LoginSettings>) -> Result<SessionNames, Failure> {
    let (search_path, role) = match login {
        Some(login) => (login.search_path, login.role),
        None => ("\"$user\", public".to_owned(), String::new()),
    };
    let written = arguments.search_path.as_ref().unwrap_or(&search_path);
    let search_path = parse_name_list(written).ok_or_else(|| {
        let cause = format!("{written:?} is not a list of schemas, such as '\"$user\", public'");
        Failure::other("--search-path", cause)
    })?;
    let role_is_login = arguments.role.as_ref().is_none_or(|other| *other == role);
    Ok(SessionNames {
        search_path: search_path.into(),
        role: arguments.role.clone().unwrap_or(role).into(),
        role_is_login,
        ..SessionNames::default()
    })
}
