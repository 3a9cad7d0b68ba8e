//! What a statement is looked at in without being run: a database's catalog, from its server or from a file, and a session
//! in it.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use sluice_dataplane::settings::{Connection, Identities, Limits, Masking};
use sluice_dataplane::{harmless_functions, protected_columns};
use sluice_parsers::sql::analyze;
use sluice_parsers::sql::catalog::Catalog;
use sluice_parsers::sql::catalog::file;
use sluice_parsers::sql::catalog::snapshot::Bases;
use sluice_parsers::sql::resolve::parse_name_list;
use sluice_parsers::sql::statement::Analysis;
use sluice_parsers::sql::world::{SessionNames, World};
use sluice_policy::PolicySet;

use crate::cli::Place;
use crate::config;
use crate::failure::Failure;
use crate::server::Server;

/// The world of a statement.
pub(crate) struct Subject {
    pub(crate) world: World,
    /// The configuration's identities, if one was named.
    pub(crate) identities: Option<Identities>,
    /// What the configuration masks on the connection.
    pub(crate) masking: Option<Masking>,
    /// Its policy, until somebody takes it.
    pub(crate) policy: Option<PolicySet>,
    limits: analyze::Limits,
    /// What policies call the connection.
    pub(crate) connection: String,
    pub(crate) database: String,
}

/// What policies call a connection that no configuration names.
const UNNAMED: &str = "offline";

impl Subject {
    /// From the server that the configuration names, or from the file.
    pub(crate) fn of(place: &Place) -> Result<Self, Failure> {
        let configuration = match &place.config {
            Some(path) => Some(config::load(path)?.0),
            None => None,
        };
        let connection = match &configuration {
            Some(loaded) => Some(named(&loaded.connections, place.connection.as_deref())?),
            None => None,
        };
        let (catalog, login) = match (&place.offline, &connection) {
            (Some(path), _) => (offline(path)?, None),
            (None, Some(connection)) => {
                let (catalog, settings) = online(connection, place.database.as_deref())?;
                (catalog, Some(settings))
            }
            (None, None) => {
                return Err(Failure::other(
                    "no catalog",
                    "name a configuration with --config, or a schema file with --offline",
                ));
            }
        };
        let database = place.database.clone().or_else(|| {
            let connection = connection.as_ref()?;
            Some(connection.default_database.clone())
        });
        let database = database.unwrap_or_else(|| catalog.database.to_string());
        let session = session(place, login)?;
        let protected = connection
            .as_ref()
            .map(|connection| protected_columns(&catalog, &connection.masking))
            .unwrap_or_default();
        let listed = connection
            .as_ref()
            .map(|connection| harmless_functions(&catalog, &connection.harmless))
            .unwrap_or_default();
        let name = match (&connection, &place.connection) {
            (Some(connection), _) => connection.name.clone(),
            (None, Some(name)) => name.clone(),
            (None, None) => UNNAMED.to_owned(),
        };
        let world = World {
            session: Arc::new(session),
            protected: Arc::new(protected),
            listed: Arc::new(listed),
            ..World::of(Arc::new(catalog))
        };
        let (identities, policy, limits) = match configuration {
            Some(loaded) => (Some(loaded.identities), Some(loaded.policy), loaded.limits),
            None => (None, None, Limits::default()),
        };
        Ok(Self {
            identities,
            policy,
            limits: analyze::Limits {
                bytes_max: limits.max_statement_bytes,
                depth_max: limits.max_depth,
                ..analyze::Limits::default()
            },
            world,
            masking: connection.map(|connection| connection.masking.clone()),
            connection: name,
            database,
        })
    }

    /// What the statements of a text do.
    pub(crate) fn analyze(&self, sql: &str) -> Analysis {
        analyze::analyze(sql, &self.limits, &self.world)
    }
}

/// The argument, or what stdin has for `-`.
pub(crate) fn text_of(argument: &str) -> Result<String, Failure> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Failure::other("cannot read the statement from stdin", error))?;
    Ok(text)
}

/// What the login's sessions begin with.
pub(crate) struct LoginSettings {
    search_path: String,
    role: String,
}

/// The connection of that name, or the only one.
pub(crate) fn named(connections: &[Arc<Connection>], name: Option<&str>) -> Result<Arc<Connection>, Failure> {
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

/// The catalog in a schema file.
pub(crate) fn offline(path: &Path) -> Result<Catalog, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::other(format!("cannot read {shown}"), error))?;
    file::read(&text, &Bases::default()).map_err(|error| Failure::other(shown.to_string(), error))
}

/// The catalog of a database, and what sessions there begin with.
pub(crate) fn online(
    connection: &Connection,
    database: Option<&str>,
) -> Result<(Catalog, LoginSettings), Failure> {
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
fn session(place: &Place, login: Option<LoginSettings>) -> Result<SessionNames, Failure> {
    let (search_path, role) = match login {
        Some(login) => (login.search_path, login.role),
        None => ("\"$user\", public".to_owned(), String::new()),
    };
    let written = place.search_path.as_ref().unwrap_or(&search_path);
    let path_is_default = *written == search_path;
    let search_path = parse_name_list(written).ok_or_else(|| {
        let cause = format!("{written:?} is not a list of schemas, such as '\"$user\", public'");
        Failure::other("--search-path", cause)
    })?;
    let role_is_login = place.role.as_ref().is_none_or(|other| *other == role);
    Ok(SessionNames {
        search_path: search_path.into(),
        path_is_default,
        role: place.role.clone().unwrap_or(role).into(),
        role_is_login,
        ..SessionNames::default()
    })
}
