//! The lists under `tests/evasions/`, read as they are written: see its README.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use sluice_tests::raw;

/// One entry of a list.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// `t07 an immutable function that calls a volatile one`.
    pub(crate) name: String,
    /// The file that it is in, without its ending: the kind of evasion.
    pub(crate) kind: String,
    pub(crate) protocol: Protocol,
    pub(crate) login: Login,
    pub(crate) shows: Shows,
    /// Whether it cannot run in a transaction that is rolled back afterwards.
    pub(crate) outside: bool,
    /// Whether it needs a session in which nothing ran before.
    pub(crate) fresh: bool,
    pub(crate) body: Body,
}

/// What a case sends.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// One text.
    Text(String),
    /// The harmless text and, once that has warmed the cache, the one that differs in a literal.
    Pair { harmless: String, harmful: String },
    /// Messages and what a second session does between them.
    Script(Vec<Step>),
    /// Parameters of the startup packet.
    Startup(Vec<(String, String)>),
}

/// How a text is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Simple,
    Extended,
    Both,
}

/// The gateway's own login at the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    /// `postgres`, a superuser.
    Superuser,
    /// `reader`, to whom row-level security applies.
    Reader,
}

/// By what an evasion is seen to be one when it runs without a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shows {
    /// The database or the session is not what it was.
    Change,
    /// The rows contain this.
    Rows(String),
    /// It takes its time.
    Delay,
    /// It ends a session.
    End,
    /// It cannot be seen here, for this reason.
    Nothing(String),
}

/// A line of a script.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Messages that wait for the next one that is answered by ReadyForQuery.
    Queue(Message),
    /// Sends what waits, and reads every answer.
    Send,
    /// A second session, past the gateway.
    Direct(String),
    /// The last answers contain a denial.
    Denied,
    /// The last answers contain no error.
    Passes,
    /// The last answers contain an error of the server's with this SQLSTATE.
    Fails(String),
}

/// A message of a script; names of types and functions become OIDs when it is sent.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Query(String),
    Parse {
        name: String,
        types: Vec<String>,
        sql: String,
    },
    Bind {
        portal: String,
        statement: String,
        values: Vec<String>,
    },
    Describe {
        kind: u8,
        name: String,
    },
    Execute(String),
    Close {
        kind: u8,
        name: String,
    },
    Sync,
    Call {
        function: String,
        arguments: Vec<String>,
    },
}

impl Message {
    /// Whether `ReadyForQuery` follows it.
    pub(crate) fn is_answered(&self) -> bool {
        matches!(self, Self::Query(_) | Self::Sync | Self::Call { .. })
    }

    /// Its bytes; `oid` finds a type or function by the kind of its `reg` type and its name.
    pub(crate) fn encode(&self, mut oid: impl FnMut(&str, &str) -> u32) -> Vec<u8> {
        fn texts(values: &[String]) -> Vec<&str> {
            values.iter().map(String::as_str).collect()
        }
        match self {
            Self::Query(sql) => raw::query(sql),
            Self::Parse { name, types, sql } => {
                let types: Vec<u32> = types.iter().map(|name| oid("regtype", name)).collect();
                raw::parse_with(name, sql, &types)
            }
            Self::Bind {
                portal,
                statement,
                values,
            } => raw::bind_with(portal, statement, &texts(values)),
            Self::Describe { kind, name } => raw::describe(*kind, name),
            Self::Execute(portal) => raw::execute(portal),
            Self::Close { kind, name } => raw::close(*kind, name),
            Self::Sync => raw::sync(),
            Self::Call { function, arguments } => raw::call(oid("regprocedure", function), &texts(arguments)),
        }
    }
}

impl Case {
    /// The item of the list of threats that its name begins with.
    pub(crate) fn item(&self) -> u8 {
        let digits = self.name.strip_prefix('t').and_then(|name| name.get(..2));
        digits
            .and_then(|digits| digits.parse().ok())
            .unwrap_or_else(|| panic!("{self}: a name begins with its item, as in `t07 ...`"))
    }

    /// How many evasions or look-alikes it is.
    pub(crate) fn is_pair(&self) -> bool {
        matches!(self.body, Body::Pair { .. })
    }

    /// Whether something else than the case itself changes the database.
    pub(crate) fn has_second_session(&self) -> bool {
        matches!(&self.body, Body::Script(steps) if steps.iter().any(|step| matches!(step, Step::Direct(_))))
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.kind, self.name)
    }
}

/// The folder of the lists.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("evasions")
}

/// Every case of a list: `denied`, `pairs` or `harmless`.
pub(crate) fn list(name: &str) -> Vec<Case> {
    let folder = folder().join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().flat_map(|path| read(path)).collect()
}

fn read(path: &Path) -> Vec<Case> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let kind = path.file_stem().unwrap_or_default().to_string_lossy();
    text.split("-- name: ")
        .skip(1)
        .map(|entry| entry_of(&kind, entry))
        .collect()
}

fn entry_of(kind: &str, entry: &str) -> Case {
    let (name, mut rest) = entry.split_once('\n').unwrap_or((entry, ""));
    let mut case = Case {
        name: name.trim().to_owned(),
        kind: kind.to_owned(),
        protocol: Protocol::Both,
        login: Login::Superuser,
        shows: Shows::Change,
        outside: false,
        fresh: false,
        body: Body::Text(String::new()),
    };
    let (mut startup, mut escapes) = (false, false);
    while let Some((line, after)) = rest.split_once('\n') {
        let Some((key, value)) = line.strip_prefix("-- ").and_then(|line| line.split_once(": ")) else {
            break;
        };
        match (key, value.trim()) {
            ("protocol", "simple") => case.protocol = Protocol::Simple,
            ("protocol", "extended") => case.protocol = Protocol::Extended,
            ("protocol", "startup") => startup = true,
            ("login", "reader") => case.login = Login::Reader,
            ("transaction", "no") => case.outside = true,
            ("session", "fresh") => case.fresh = true,
            ("escapes", "yes") => escapes = true,
            ("shows", "delay") => case.shows = Shows::Delay,
            ("shows", "end") => case.shows = Shows::End,
            ("shows", value) => {
                case.shows = match value.split_once(' ') {
                    Some(("rows", text)) => Shows::Rows(text.to_owned()),
                    Some(("nothing:", why)) => Shows::Nothing(why.to_owned()),
                    _ => panic!("{case}: shows: {value}"),
                }
            }
            _ => break,
        }
        rest = after;
    }
    let text = repeat(rest.trim());
    let text = if escapes { unescape(&text) } else { text };
    case.body = if startup {
        Body::Startup(text.lines().filter_map(parameter).collect())
    } else if text.starts_with('@') {
        Body::Script(script(&text))
    } else if let Some((harmless, harmful)) = text.split_once("\n-- against\n") {
        Body::Pair {
            harmless: harmless.to_owned(),
            harmful: harmful.to_owned(),
        }
    } else {
        Body::Text(text)
    };
    case
}

fn parameter(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once('=')?;
    Some((name.to_owned(), value.to_owned()))
}

/// `{many 600 (1), }` is `(1), ` six hundred times.
fn repeat(text: &str) -> String {
    let mut pieces = text.split("{many ");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (count, piece) = piece.split_once(' ').expect("a count");
        let (repeated, rest) = piece.split_once('}').expect("a repetition has an end");
        let count = count.parse().expect("a count is a number");
        out.push_str(&repeated.repeat(count));
        out.push_str(rest);
    }
    out
}

/// `\u{feff}` in a text whose white space would not be seen.
fn unescape(text: &str) -> String {
    let mut pieces = text.split("\\u{");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (code, rest) = piece.split_once('}').expect("an escape has an end");
        let code = u32::from_str_radix(code, 16).expect("an escape is hexadecimal");
        out.push(char::from_u32(code).expect("an escape is a character"));
        out.push_str(rest);
    }
    out
}

fn script(text: &str) -> Vec<Step> {
    // A line that begins with no `@` goes on with the one above it.
    let lines = text.strip_prefix('@').unwrap_or(text).split("\n@");
    lines.flat_map(|line| steps(line.trim())).collect()
}

fn steps(line: &str) -> Vec<Step> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let name = |name: &str| {
        if name == "-" {
            String::new()
        } else {
            name.to_owned()
        }
    };
    let word = || rest.split_once(' ').unwrap_or((rest, ""));
    let sent = |message| vec![Step::Queue(message), Step::Send];
    match verb {
        "query" => sent(Message::Query(rest.to_owned())),
        "queue" => vec![Step::Queue(Message::Query(rest.to_owned()))],
        "sync" => sent(Message::Sync),
        "parse" => {
            let (head, sql) = word();
            let (statement, types) = head.split_once('[').unwrap_or((head, ""));
            let types = types.strip_suffix(']').unwrap_or(types).split(',');
            vec![Step::Queue(Message::Parse {
                name: name(statement),
                types: types.filter(|name| !name.is_empty()).map(str::to_owned).collect(),
                sql: sql.to_owned(),
            })]
        }
        "bind" => {
            let mut parts = rest.split(" | ");
            let (portal, statement) = parts.next().and_then(|head| head.split_once(' ')).expect("names");
            vec![Step::Queue(Message::Bind {
                portal: name(portal),
                statement: name(statement),
                values: parts.map(str::to_owned).collect(),
            })]
        }
        "call" => {
            let mut parts = rest.split(" | ");
            sent(Message::Call {
                function: parts.next().unwrap_or_default().to_owned(),
                arguments: parts.map(str::to_owned).collect(),
            })
        }
        "describe" | "close" => {
            let (kind, named) = word();
            let (kind, name) = (kind.as_bytes()[0], name(named));
            vec![Step::Queue(if verb == "close" {
                Message::Close { kind, name }
            } else {
                Message::Describe { kind, name }
            })]
        }
        "execute" => vec![Step::Queue(Message::Execute(name(rest)))],
        "direct" => vec![Step::Direct(rest.to_owned())],
        "denied" => vec![Step::Denied],
        "passes" => vec![Step::Passes],
        "fails" => vec![Step::Fails(rest.to_owned())],
        _ => panic!("no step: @{line}"),
    }
}
