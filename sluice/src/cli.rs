//! The command line, and the help that teaches it.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use sluice_audit::reader::SessionName;
use sluice_audit::record::{Outcome, Severity};
use sluice_audit::time::{TimeError, now_ns};

use crate::config::{parse_duration, parse_listen_address};

/// An access gateway for non-human identities.
///
/// Sluice stands between agents, services or scripts and a PostgreSQL server. It proves who the client is, judges
/// every statement by policy, masks personal data in what comes back, and records all of it. The client never holds
/// the server's credential.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  Try it in front of a server of yours, read-only, with masking:
    sluice dev --postgres postgres://me:secret@localhost/shop

  Check a configuration, and the servers it leads to:
    sluice check --config /etc/sluice/sluice.toml --connect

  Serve, and look at what happens:
    sluice serve --config /etc/sluice/sluice.toml
    sluice top --config /etc/sluice/sluice.toml
    sluice audit tail --config /etc/sluice/sluice.toml

Environment:
  SLUICE_LOG   what is logged to stderr, as in \"info\" (default) or
               \"sluice_dataplane=debug,warn\"
  NO_COLOR     set to anything for output without colours";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve what a configuration says, until SIGTERM.
    #[command(after_help = SERVE_HELP)]
    Serve(Serve),
    /// Report every mistake of a configuration, with its line and what to write instead.
    #[command(after_help = CHECK_HELP)]
    Check(Check),
    /// Put a gateway in front of one server, with one command and no configuration.
    #[command(after_help = DEV_HELP)]
    Dev(Dev),
    /// Show what the gate sees in a statement: its effects, where its values come from, and its decision key.
    #[command(after_help = EXPLAIN_HELP)]
    ExplainSql(ExplainSql),
    /// Check, ask, test, replay and suggest policies.
    #[command(subcommand)]
    Policy(Policy),
    /// Read the record: follow it, search it, verify it.
    #[command(subcommand)]
    Audit(Audit),
    /// Show what every core does, refreshed in place.
    #[command(after_help = TOP_HELP)]
    Top(Top),
    /// Show what identities have used up of their budgets (`@budget`), the fullest first.
    #[command(after_help = BUDGETS_HELP)]
    Budgets(Budgets),
    /// Make the verifier of a local identity's password, for the configuration.
    #[command(after_help = VERIFIER_HELP)]
    ScramVerifier(ScramVerifier),
    /// Print completions for a shell.
    #[command(after_help = "Example:\n  sluice completions bash > /etc/bash_completion.d/sluice")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    #[command(after_help = "Example:\n  sluice man > /usr/local/share/man/man1/sluice.1")]
    Man,
}

const SERVE_HELP: &str = "\
Signals:
  SIGTERM, SIGINT   stop accepting, let sessions go on until
                    `limits.drain_timeout`, then end them (57P01); a second
                    one ends them at once
  SIGHUP            read certificates and policy again; with a mistake in
                    them the old ones stay in force

Example:
  sluice serve --config /etc/sluice/sluice.toml";

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The configuration; configs/sluice.toml shows every setting.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}

const CHECK_HELP: &str = "\
Exit status: 0 when there is no mistake (warnings do not count), 1 when there is one, 2 for a wrong command line.

Examples:
  sluice check --config sluice.toml
  # also log in to every server and judge the login's rights
  sluice check --config sluice.toml --connect";

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Connect to every server and fetch every issuer's keys as well.
    #[arg(long)]
    pub(crate) connect: bool,
}

const EXPLAIN_HELP: &str = "\
Nothing is run: the statement is analysed as the gate does it, over the catalog of the connection's database, in a \
session as it begins. Names in the lineage are those of tables, whatever views and aliases are between.

Examples:
  sluice explain-sql --config sluice.toml 'SELECT * FROM customers'
  sluice explain-sql --config sluice.toml --connection orders \\
      --json - < statement.sql
  sluice explain-sql --config sluice.toml --save-schema orders.json
  sluice explain-sql --offline orders.json --search-path sales \\
      'DELETE FROM orders WHERE id = 7'";

#[derive(Debug, Args)]
pub(crate) struct ExplainSql {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Write the catalog to a schema file.
    #[arg(long, value_name = "FILE")]
    pub(crate) save_schema: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// The text of one or more statements; `-` reads stdin.
    #[arg(value_name = "SQL", required_unless_present = "save_schema")]
    pub(crate) sql: Option<String>,
}

/// Where a statement would run, and as whom on the server.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The configuration.
    #[arg(long, value_name = "FILE", required_unless_present = "offline")]
    pub(crate) config: Option<PathBuf>,
    /// The configuration's connection; may be left out if there is only one. Without a configuration, what policies call it.
    #[arg(long, value_name = "NAME")]
    pub(crate) connection: Option<String>,
    /// Another database than the connection's default.
    #[arg(long, value_name = "NAME", requires = "config")]
    pub(crate) database: Option<String>,
    /// Take the catalog from a schema file, as `explain-sql --save-schema` writes it, and ask no server.
    #[arg(long, value_name = "FILE", conflicts_with = "database")]
    pub(crate) offline: Option<PathBuf>,
    /// The session's `search_path`, where it is not the login's.
    #[arg(long, value_name = "SCHEMAS")]
    pub(crate) search_path: Option<String>,
    /// The role that the session has taken, where it is not the login.
    #[arg(long, value_name = "NAME")]
    pub(crate) role: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Say whether an identity may run a statement, what it would see of the result, and which policies had a say.
    #[command(after_help = WHY_HELP)]
    Why(Why),
    /// Check that a policy decides as files of expectations say, for your own CI.
    #[command(after_help = POLICY_TEST_HELP)]
    Test(PolicyTest),
    /// Report every mistake of policy files with its line, and warn of policies that can have no effect.
    #[command(after_help = POLICY_CHECK_HELP)]
    Check(PolicyCheck),
    /// Compare what a policy would have decided of recorded statements with what was decided.
    #[command(after_help = REPLAY_HELP)]
    Replay(Replay),
    /// Write the least policy under which the recorded statements of an identity or a group would run.
    // Its usage would be one line of over a hundred columns.
    #[command(after_help = SUGGEST_HELP, override_usage = SUGGEST_USAGE)]
    Suggest(Suggest),
}

const WHY_HELP: &str = "\
Nothing is run and nobody logs in: the statement is analysed as `sluice explain-sql` does it, and the policy is asked as \
the gate asks it. Each effect is a request of its own; all have to be permitted. Policies that nearly permit or forbid a \
request are listed with it: their scope takes it in, and their conditions do not hold. What the configuration masks is \
told for each column of the result, with the requests to `Unmask` it.

Examples:
  sluice policy why --config sluice.toml --identity reporting-crew \\
      'SELECT * FROM customers'
  sluice policy why --config sluice.toml --identity crew-7 \\
      --issuer https://login.example --group analysts \\
      --policy next.cedar 'DELETE FROM orders WHERE id = 7'
  sluice policy why --config sluice.toml --identity reporting-crew \\
      --at 2026-11-28T03:00:00Z --json - < statement.sql";

#[derive(Debug, Args)]
pub(crate) struct Why {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Who asks: a local identity's name, or with --issuer the subject of its tokens.
    #[arg(long, value_name = "NAME")]
    pub(crate) identity: String,
    /// Whose tokens the identity has.
    #[arg(long, value_name = "ISSUER")]
    pub(crate) issuer: Option<String>,
    /// A group of the identity, as policies name it; a local identity of the configuration has its own too.
    #[arg(long = "group", value_name = "NAME")]
    pub(crate) groups: Vec<String>,
    /// What else its issuer says of it: a JSON object.
    #[arg(long, value_name = "JSON", requires = "issuer", value_parser = claims)]
    pub(crate) claims: Option<Claims>,
    /// Where its client is.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(crate) address: IpAddr,
    /// What its client calls itself.
    #[arg(long, value_name = "NAME")]
    pub(crate) application_name: Option<String>,
    /// When, if not now: a time (`2026-11-23T15:04:05Z`), or an age (`8h`).
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) at: Option<u64>,
    /// Ask this file of Cedar policies instead of the configuration's.
    #[arg(long, value_name = "FILE", required_unless_present = "config")]
    pub(crate) policy: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// The text of one or more statements; `-` reads stdin.
    #[arg(value_name = "SQL")]
    pub(crate) sql: String,
}

const POLICY_TEST_HELP: &str = "\
A file has cases, and what they have in common:

  identity = \"reporting-crew\"
  # beside it `issuer`, `groups`, `claims`, `address`, `application_name`, `at`

  [[case]]
  name = \"crews read no cards\"
  sql = \"SELECT card FROM customers\"
  expect = \"deny\"                    # or \"allow\", or \"approval\"
  policy = \"no-cards\"                # the policy that decides, if that matters

What a case says itself comes before what the file says. With --offline no server is asked.

Exit status: 0 when all is as expected, 1 when it is not, 2 for a wrong command line.

Examples:
  sluice policy test --config sluice.toml expectations/
  sluice policy test --policy next.cedar --offline shop.json \\
      --connection orders --junit report.xml expectations/";

#[derive(Debug, Args)]
pub(crate) struct PolicyTest {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Ask this file of Cedar policies instead of the configuration's.
    #[arg(long, value_name = "FILE", required_unless_present = "config")]
    pub(crate) policy: Option<PathBuf>,
    /// Write a report in the XML of `JUnit` too.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Files of expectations, and folders with such (`*.toml`).
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
}

const POLICY_CHECK_HELP: &str = "\
Files are read as at the start of a gateway: syntax, schema, annotations, ids. Warnings are of policies that are valid and \
cannot do what they say: they name connections that the configuration does not have, databases that their connection \
does not serve, or with --connect or --schema tables, columns, functions and roles that are not there; their conditions \
rule out what their scope is; they have actions that are never on what they name; another policy leaves nothing for \
them to do; their budget holds nobody, as other permits of the same have none or more room; or they let somebody connect \
and set nothing, while nearly every driver sets something when it connects. That there is no warning does not say that a \
policy means what you want: see `sluice policy test`.

Exit status: 0 when there is no mistake, 1 when there is one, or with --deny-warnings a warning, 2 for a wrong command \
line.

Examples:
  sluice policy check next.cedar
  sluice policy check --config sluice.toml --connect --deny-warnings
  sluice policy check --connection orders --schema shop.json \\
      --json policies/*.cedar";

#[derive(Debug, Args)]
pub(crate) struct PolicyCheck {
    /// The configuration: names are compared with its connections, and without a file its policy is checked.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The configuration's connection to ask with --connect; without a configuration, what policies call that of --schema.
    #[arg(long, value_name = "NAME")]
    pub(crate) connection: Option<String>,
    /// Log in to the servers and compare names with their databases.
    #[arg(long, requires = "config", conflicts_with = "schema")]
    pub(crate) connect: bool,
    /// Compare names with a schema file, as `explain-sql --save-schema` writes it.
    #[arg(long, value_name = "FILE")]
    pub(crate) schema: Option<PathBuf>,
    /// Exit with 1 where there is a warning.
    #[arg(long)]
    pub(crate) deny_warnings: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Files of Cedar policies.
    #[arg(value_name = "FILE", required_unless_present = "config")]
    pub(crate) files: Vec<PathBuf>,
}

const REPLAY_HELP: &str = "\
Nothing is run, no server is asked and no gateway has to run: each recorded statement is decided again from what its \
record has of it, its effects, the identity with its groups and claims, the client and the time. Statements that would \
be decided otherwise are shown by identity, connection and text, the most frequent first; texts that differ in nothing \
but literals are one. Where a record does not tell all that the decision depends on, that is said and nothing guessed. \
Statements that would pass a limit of the policy (@max_rows and its kind) are shown in the same way.

The effects are those that the gateway found then: other masked columns or another catalog would give others.

Exit status: 0, also where decisions differ; 1 when the record cannot be read as a whole; 2 for a wrong command line.

Examples:
  sluice policy replay --config sluice.toml --since 7d next.cedar
  sluice policy replay --dir /var/lib/sluice --identity crew-7 \\
      --limit 100 --json next.cedar
  # the configuration's own policy, on what was observed
  sluice policy replay --config sluice.toml --since 7d";

#[derive(Debug, Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    pub(crate) recorded: Recorded,
    /// So many differences at most, the most frequent.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// The file of Cedar policies; without it, the configuration's.
    #[arg(value_name = "POLICY", required_unless_present = "config")]
    pub(crate) policy: Option<PathBuf>,
}

const SUGGEST_USAGE: &str = "sluice policy suggest [OPTIONS] <--dir <DIR>|--config <FILE>>
                             <--identity <SUBJECT>|--group <NAME>>";

const SUGGEST_HELP: &str = "\
What ran is what is permitted: Connect to the databases, and of each table, function or setting the actions that were \
recorded, without the circumstances that were not (files, programs, another's rights, a missing WHERE ...). Columns that \
the configuration masks, or that policy denied, are left out where nothing that ran reads them. What is not covered is \
said, with the reason, in comments: what was denied or failed, what cannot be known, and what destroys, unless it \
is asked for.

Nothing is in force by this. Read the policy, replay it, and try it on a connection that observes.

Examples:
  sluice policy suggest --config sluice.toml --since 7d \\
      --identity crew-7 > crew-7.cedar
  sluice policy suggest --config sluice.toml --since 30d --group analysts \\
      --include destructive --output analysts.cedar \\
      --tests expectations/analysts.toml
  sluice policy replay --config sluice.toml --since 7d --identity crew-7 \\
      crew-7.cedar";

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("whose").args(["identity", "group"]).required(true)))]
pub(crate) struct Suggest {
    #[command(flatten)]
    pub(crate) recorded: Recorded,
    /// Whose tokens the identity has, where identities of several issuers have its name.
    #[arg(long, value_name = "ISSUER")]
    pub(crate) issuer: Option<String>,
    /// For whoever is in this group, of what they ran.
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Option<String>,
    /// Cover this too.
    #[arg(long, value_name = "KIND", value_enum, value_delimiter = ',')]
    pub(crate) include: Vec<Include>,
    /// Write the policy there and a summary to stdout.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Write expectations for `sluice policy test`: what was recorded is allowed, its neighbours are denied.
    #[arg(long, value_name = "FILE")]
    pub(crate) tests: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is suggested only if somebody asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Include {
    /// TRUNCATE, ALTER, DROP, CASCADE, and DELETE and UPDATE without a WHERE that filters.
    Destructive,
    /// Roles, rights and the server; its files and programs.
    Administrative,
    /// Masked values that move to where they could be read back.
    Leak,
    /// Catalogs that tell of values in tables or of what other sessions do.
    Sensitive,
}

/// Which records are looked at.
#[derive(Debug, Args)]
pub(crate) struct Recorded {
    #[command(flatten)]
    pub(crate) folder: Folder,
    /// Not older than this: an age (`30m`, `24h`, `7d`) or a time (`2026-11-23T15:04:05Z`).
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) since: Option<u64>,
    /// Not younger than this.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) until: Option<u64>,
    /// Of this identity: a local one's name, or the subject of a token.
    #[arg(long, value_name = "SUBJECT", visible_alias = "subject")]
    pub(crate) identity: Option<String>,
    /// To this connection.
    #[arg(long, value_name = "NAME")]
    pub(crate) connection: Option<String>,
    /// In this database.
    #[arg(long, value_name = "NAME")]
    pub(crate) database: Option<String>,
}

/// The claims of a token.
pub(crate) type Claims = serde_json::Map<String, serde_json::Value>;

const DEV_HELP: &str = "\
The gateway listens with a self-signed certificate and knows one local identity with a random password. Its data \
folder is temporary unless --data names one. It logs in to the server once before it says that it is ready, and runs \
until Ctrl-C.

With --tls optional (the default) both sslmode=disable and sslmode=require work.

Examples:
  sluice dev --postgres postgres://me:secret@localhost/shop
  sluice dev --postgres postgres://me@db.internal/shop?sslmode=verify-full \\
      --policy my.cedar
  sluice dev --postgres postgres://me@localhost/shop --env-file gateway.env &
  set -a; . ./gateway.env; psql -c 'select 1'";

#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// The server: `postgres://USER[:PASSWORD]@HOST[:PORT]/DATABASE`, with `?sslmode=disable`, `verify-full` or
    /// `verify-ca&sslrootcert=FILE`. Without sslmode it is disable on this machine and verify-full elsewhere.
    #[arg(long, value_name = "URL", env = "SLUICE_DEV_POSTGRES", hide_env_values = true)]
    pub(crate) postgres: String,
    /// Where clients connect; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6432", value_parser = address)]
    pub(crate) listen: SocketAddr,
    /// A file of Cedar policies, in place of the bundled read-only policy.
    #[arg(long, value_name = "FILE", conflicts_with = "allow_all")]
    pub(crate) policy: Option<PathBuf>,
    /// Permit everything; what the server answers is what the client sees.
    #[arg(long)]
    pub(crate) allow_all: bool,
    /// Whether personal data is masked.
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub(crate) mask: Switch,
    /// Whether clients come by TLS.
    #[arg(long, value_enum, default_value_t = DevTls::Optional)]
    pub(crate) tls: DevTls,
    /// Write PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE and PGSSLMODE there when ready (mode 0600).
    #[arg(long, value_name = "PATH")]
    pub(crate) env_file: Option<PathBuf>,
    /// Keep the record in that folder; without it, it goes when the gateway ends.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// How many cores serve: the first so many that the process may use.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) cores: usize,
    /// Export Prometheus metrics there, at /metrics.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) metrics: Option<SocketAddr>,
    /// The name of the one identity.
    #[arg(long, value_name = "NAME", default_value = "dev")]
    pub(crate) user: String,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

/// Whether clients of `sluice dev` come by TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DevTls {
    /// Never.
    Off,
    /// As the client likes.
    Optional,
    /// Always.
    Required,
}

/// Reading the record needs no running gateway.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Follow the record: what is written from now on.
    #[command(after_help = TAIL_HELP)]
    Tail(Tail),
    /// Search the record.
    #[command(after_help = QUERY_HELP)]
    Query(Query),
    /// Verify checksums and the hash chain; exit status 1 when something is wrong.
    #[command(after_help = "Example:\n  sluice audit verify --dir /var/lib/sluice")]
    Verify(Verify),
}

const TAIL_HELP: &str = "\
Examples:
  sluice audit tail --dir /var/lib/sluice --last 20
  sluice audit tail --dir /var/lib/sluice --severity high --json --last 0";

const QUERY_HELP: &str = "\
Conditions are joined by AND.

Examples:
  sluice audit query --dir /var/lib/sluice --denied --since 1h
  sluice audit query --dir /var/lib/sluice --severity high --since 7d
  sluice audit query --dir /var/lib/sluice --observed --since 7d
  sluice audit query --dir /var/lib/sluice --outcome unknown
  sluice audit query --dir /var/lib/sluice --subject agent-7 \\
      --contains customers --json | jq .text";

/// Where the record is.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Folder {
    /// The data folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// The configuration that names the data folder.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    pub(crate) folder: Folder,
    /// Print one JSON object a record.
    #[arg(long)]
    pub(crate) json: bool,
    /// Begin with so many records that are there already.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) last: usize,
    /// Only what policies of this `@severity` or a higher one denied: info, low, medium, high or critical.
    #[arg(long, value_name = "LEVEL", value_parser = severity)]
    pub(crate) severity: Option<Severity>,
}

#[derive(Debug, Args)]
pub(crate) struct Query {
    #[command(flatten)]
    pub(crate) recorded: Recorded,
    /// Print one JSON object a record.
    #[arg(long)]
    pub(crate) json: bool,
    /// Of this session, as rows name it.
    #[arg(long, value_name = "NAME", value_parser = session)]
    pub(crate) session: Option<SessionName>,
    /// Statements with this in their text (upper and lower case alike).
    #[arg(long, value_name = "TEXT")]
    pub(crate) contains: Option<String>,
    #[command(flatten)]
    pub(crate) decided: Decided,
    /// Only what policies of this `@severity` or a higher one denied: info, low, medium, high or critical.
    #[arg(long, value_name = "LEVEL", value_parser = severity)]
    pub(crate) severity: Option<Severity>,
    /// Statements that ended so; `unknown` is for those whose end was never recorded.
    #[arg(long, value_name = "OUTCOME", value_parser = outcome)]
    pub(crate) outcome: Option<Outcome>,
    /// Statements only, without sessions and events.
    #[arg(long)]
    pub(crate) statements: bool,
    /// So many at most, the latest.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
}

/// What was decided.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct Decided {
    /// Denied statements.
    #[arg(long)]
    pub(crate) denied: bool,
    /// Statements that ran although policy denies them, since their connection only observes.
    #[arg(long)]
    pub(crate) observed: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) folder: Folder,
    /// Print the report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

const TOP_HELP: &str = "\
Rates are taken over the interval; with --once they are averages since the start.

Examples:
  sluice top --dir /var/lib/sluice
  sluice top --dir /var/lib/sluice --once";

#[derive(Debug, Args)]
pub(crate) struct Top {
    #[command(flatten)]
    pub(crate) folder: Folder,
    /// Print one table and end.
    #[arg(long)]
    pub(crate) once: bool,
    /// Time between two tables.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub(crate) interval: Duration,
}

const BUDGETS_HELP: &str = "\
The gateway that runs over the data folder tells it once a second, of its 1,000 fullest accounts. What its cores have \
drawn in advance, up to a 64th of a budget, counts as used.

Examples:
  sluice budgets --config sluice.toml
  sluice budgets --config sluice.toml --identity crew-7
  sluice budgets --config sluice.toml --json \\
      | jq '.accounts[] | select(.used >= .limit)'";

#[derive(Debug, Args)]
pub(crate) struct Budgets {
    #[command(flatten)]
    pub(crate) folder: Folder,
    /// Of this identity: a local one's name, or the subject of a token, or the issuer and the subject with # between them.
    #[arg(long, value_name = "SUBJECT", visible_alias = "subject")]
    pub(crate) identity: Option<String>,
    /// Of the policy of this @id.
    #[arg(long, value_name = "ID")]
    pub(crate) policy: Option<String>,
    /// So many at most.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

const VERIFIER_HELP: &str = "\
The password is read from stdin, without an echo on a terminal. The verifier goes to stdout, everything else to stderr.

Examples:
  sluice scram-verifier               # asks for the password
  sluice scram-verifier --generate    # makes one, and prints it to stderr
  pass show crew | sluice scram-verifier";

#[derive(Debug, Args)]
pub(crate) struct ScramVerifier {
    /// Make a random password instead of reading one.
    #[arg(long)]
    pub(crate) generate: bool,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    parse_listen_address(text).map_err(|mistake| format!("{}: {}", mistake.message, mistake.help))
}

fn claims(text: &str) -> Result<Claims, String> {
    serde_json::from_str(text)
        .map_err(|error| format!("{error}: write an object, as in '{{\"department\": \"sales\"}}'"))
}

fn time(text: &str) -> Result<u64, TimeError> {
    sluice_audit::time::parse(text, now_ns())
}

fn session(text: &str) -> Result<SessionName, String> {
    SessionName::parse(text).ok_or_else(|| "write it as rows show it, as in 3f2a9c1b.42".to_owned())
}

fn outcome(text: &str) -> Result<Outcome, String> {
    Outcome::from_name(text).ok_or_else(|| one_of(Outcome::ALL.iter().map(|outcome| outcome.name())))
}

fn severity(text: &str) -> Result<Severity, String> {
    let said = || Severity::ALL.iter().filter(|severity| severity.said().is_some());
    let found = said().find(|severity| severity.name() == text);
    found
        .copied()
        .ok_or_else(|| one_of(said().map(|severity| severity.name())))
}

fn one_of<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.collect();
    format!("it is one of {}", names.join(", "))
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a number with a unit: 500ms, 30s, 5m, 1h or 7d".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Every command that does something, with its path.
    fn commands() -> Vec<(String, clap::Command)> {
        fn walk(command: &clap::Command, path: &str, into: &mut Vec<(String, clap::Command)>) {
            for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
                let path = format!("{path} {}", sub.get_name());
                walk(sub, &path, into);
                into.push((path, sub.clone()));
            }
        }
        let mut command = Cli::command();
        command.build();
        let mut commands = Vec::new();
        walk(&command, "sluice", &mut commands);
        commands.push(("sluice".to_owned(), command));
        commands
    }

    fn after_help(command: &clap::Command) -> String {
        command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default()
    }

    #[test]
    fn every_command_has_examples() {
        for (path, command) in commands() {
            if !command.has_subcommands() {
                assert!(after_help(&command).contains("Example"), "{path}");
            }
        }
    }

    #[test]
    fn help_fits_terminals() {
        for (path, command) in commands() {
            for width in [80, 100, 120] {
                let mut command = command.clone().term_width(width);
                for (kind, help) in [
                    ("-h", command.render_help()),
                    ("--help", command.render_long_help()),
                ] {
                    for line in help.to_string().lines() {
                        assert!(line.chars().count() <= width, "{path} {kind} at {width}: {line}");
                    }
                }
            }
        }
    }

    /// What is wrapped already is wrapped once more at another width, and what is to be typed must not be.
    #[test]
    fn help_is_wrapped_by_the_terminal_and_examples_are_not() {
        for (path, command) in commands() {
            let text = after_help(&command);
            for (line, next) in text.lines().zip(text.lines().skip(1).chain([""])) {
                if line.starts_with(' ') {
                    assert!(line.chars().count() <= 80, "{path}: {line}");
                } else {
                    let is_followed = !line.is_empty() && !next.is_empty() && !next.starts_with(' ');
                    assert!(!is_followed, "{path}: {line} / {next}");
                }
            }
        }
    }
}
