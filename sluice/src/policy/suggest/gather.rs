//! From recorded statements to distinct questions: those that a policy is to permit, and those that it leaves out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

use serde::Serialize;
use sluice_audit::reader::{Session, StatementRow};
use sluice_audit::record::{Decision, Outcome, Protocol};
use sluice_parsers::postgres::startup::options::{self, Setting};
use sluice_parsers::sql::effect::{Action, Effect, EffectFlags};
use sluice_parsers::sql::settings::startup_effect;
use sluice_parsers::sql::shape::Shape;
use sluice_policy::{PolicySet, Resource, Target};

use super::super::recorded::{
    TEXT_BYTES_MAX, Untold, effects_of, fingerprint, identity_of, shown, target_of,
};
use super::draft::is_nameable;
use crate::cli::{Include, Suggest};

/// More distinct questions than these are not gathered.
const QUESTIONS_MAX: usize = 50_000;
/// More kinds of statements that are left out are not told apart.
const LEFT_OUT_MAX: usize = 5_000;
/// Why a statement is not covered, in the order in which people read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in super::super) enum Why {
    Denied,
    Opaque,
    Lexing,
    Destructive,
    Administrative,
    Leak,
    Sensitive,
    Unknown,
    Unwritable,
    NotCovered,
    Failed,
    Limited,
    Unfinished,
    Untold(Untold),
    TooMany,
}

impl Why {
    const fn name(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Opaque => "opaque",
            Self::Lexing => "lexing",
            Self::Destructive => "destructive",
            Self::Administrative => "administrative",
            Self::Leak => "leak",
            Self::Sensitive => "sensitive",
            Self::Unknown => "unknown",
            Self::Unwritable => "unwritable",
            Self::NotCovered => "not_covered",
            Self::Failed => "failed",
            Self::Limited => "limited",
            Self::Unfinished => "unfinished",
            Self::Untold(_) => "cannot_be_told",
            Self::TooMany => "too_many",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Denied => "policy denied it",
            Self::Opaque => "what it does cannot be known (Opaque)",
            Self::Lexing => "it changes how statements are read, which no policy permits",
            Self::Destructive => {
                "it destroys, or changes without a WHERE that filters; --include destructive covers it"
            }
            Self::Administrative => {
                "it administers, or reaches the server's machine; --include administrative covers it"
            }
            Self::Leak => "it moves a masked value to where it could be read back; --include leak covers it",
            Self::Sensitive => {
                "it reads catalogs that tell of values or of other sessions; --include sensitive covers it"
            }
            Self::Unknown => "what it is on is not known, or nothing less than the whole database",
            Self::Unwritable => "a name in it holds characters that policies refuse",
            Self::NotCovered => "no permit of what it names would cover it: it may be on more",
            Self::Failed => "it failed",
            Self::Limited => "it passed a limit of policy (@max_...)",
            Self::Unfinished => "nobody knows what became of it, or it was never run",
            Self::Untold(untold) => return untold.fmt(f),
            Self::TooMany => "there are more kinds of statements than are gathered; narrow them with --since",
        })
    }
}

impl Serialize for Why {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Effects that somebody's statements have, and one of these statements.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) target: Target,
    pub(super) effects: Vec<Effect>,
    pub(super) statements: u64,
    /// The first statement's text, as much as is shown.
    pub(super) text: String,
    /// The text is all there is to the statement: it can be asked about by itself.
    pub(super) stands_alone: bool,
}

impl Question {
    pub(super) fn left_out(&self, why: Why) -> LeftOut {
        LeftOut {
            why,
            reason: why.to_string(),
            statements: self.statements,
            statement: self.text.clone(),
            connection: self.target.connection().to_owned(),
            database: self.target.database().to_owned(),
            effects: self.effects.iter().map(ToString::to_string).collect(),
            asked: self.effects.clone(),
            is_one_kind: true,
        }
    }
}

/// Statements that are not covered, alike but for their literals.
#[derive(Clone, Debug, Serialize)]
pub(super) struct LeftOut {
    pub(super) why: Why,
    /// In words.
    pub(super) reason: String,
    pub(super) statements: u64,
    /// The first of them.
    pub(super) statement: String,
    pub(super) connection: String,
    pub(super) database: String,
    pub(super) effects: Vec<String>,
    /// What the first of them does.
    #[serde(skip)]
    pub(super) asked: Vec<Effect>,
    /// All of them do that.
    #[serde(skip)]
    pub(super) is_one_kind: bool,
}

/// What is told apart of what is left out.
#[derive(PartialEq, Eq, Hash)]
struct LeftOutKey {
    why: Why,
    connection: String,
    database: Vec<u8>,
    /// Of the text without its literals, and the effects; none beyond what is told apart.
    kind: Option<(u64, Vec<Effect>)>,
}

/// Takes recorded statements up.
pub(super) struct Gathered<'a> {
    arguments: &'a Suggest,
    /// Issuer and subject of those whose statements these are, with their groups.
    pub(super) identities: BTreeMap<(String, String), BTreeSet<String>>,
    /// When the first and the last came.
    pub(super) span: (u64, u64),
    /// All that were looked at.
    pub(super) statements: u64,
    questions: HashMap<(Target, Vec<Effect>), Question>,
    left_out: HashMap<LeftOutKey, LeftOut>,
    seed: u64,
    shape: Shape,
}

impl<'a> Gathered<'a> {
    pub(super) fn new(arguments: &'a Suggest) -> Self {
        let seed = RandomState::new().hash_one(0);
        Self {
            arguments,
            identities: BTreeMap::new(),
            span: (u64::MAX, 0),
            statements: 0,
            questions: HashMap::new(),
            left_out: HashMap::new(),
            // Nobody who chooses texts may make two of them look like one.
            seed,
            shape: Shape::with_seed(seed),
        }
    }

    pub(super) fn take(&mut self, row: &StatementRow) {
        let session = &row.session;
        let Suggest { issuer, group, .. } = self.arguments;
        if issuer.as_ref().is_some_and(|issuer| *issuer != session.issuer)
            || group
                .as_ref()
                .is_some_and(|group| !session.groups.contains(group))
        {
            return;
        }
        let groups = self
            .identities
            .entry((session.issuer.clone(), session.subject.clone()))
            .or_default();
        if groups.is_empty() {
            groups.extend(session.groups.iter().cloned());
        }
        self.span = (self.span.0.min(row.time_ns), self.span.1.max(row.time_ns));
        self.statements += 1;
        let told = identity_of(session).and_then(|_| target_of(session));
        let told = told.and_then(|target| {
            self.take_startup(session, &target);
            match effects_of(row) {
                Ok(_) if row.asks_more => Err(Untold::AsksMore),
                effects => Ok((target, effects?)),
            }
        });
        let (target, effects) = match told {
            Ok(told) => told,
            Err(untold) => return self.leave_out(row, Why::Untold(untold), Vec::new()),
        };
        if let Some(why) = self.why_not(row, &target, &effects) {
            return self.leave_out(row, why, effects);
        }
        if self.questions.len() >= QUESTIONS_MAX {
            return self.leave_out(row, Why::TooMany, effects);
        }
        let key = (target, effects);
        if let Some(known) = self.questions.get_mut(&key) {
            known.statements += 1;
            return;
        }
        let question = Question {
            target: key.0.clone(),
            effects: key.1.clone(),
            statements: 1,
            stands_alone: stands_alone(row),
            text: shown(row),
        };
        self.questions.insert(key, question);
    }

    /// What the client set when it connected, which policy is asked about as about SET.
    fn take_startup(&mut self, session: &Session, target: &Target) {
        for (name, value) in &session.startup {
            let set = if name == b"options" {
                options::settings(value).unwrap_or_default()
            } else {
                let [name, value] = [name, value].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
                vec![Setting { name, value }]
            };
            for Setting { name, value } in set {
                let Some(effect) = startup_effect(&name, &value) else {
                    continue;
                };
                let is_covered = self.why_not_effect(target, &effect).is_none();
                let key = (target.clone(), vec![effect]);
                if is_covered && self.questions.len() < QUESTIONS_MAX && !self.questions.contains_key(&key) {
                    let question = Question {
                        target: key.0.clone(),
                        effects: key.1.clone(),
                        statements: 0,
                        text: format!("startup parameter {name}"),
                        stands_alone: false,
                    };
                    self.questions.insert(key, question);
                }
            }
        }
    }

    /// Why a statement is not to be covered; what a policy could permit comes last.
    fn why_not(&self, row: &StatementRow, target: &Target, effects: &[Effect]) -> Option<Why> {
        if row.decision == Decision::Deny {
            return Some(Why::Denied);
        }
        let by_effects = effects
            .iter()
            .filter_map(|effect| self.why_not_effect(target, effect));
        let by_outcome = || match row.outcome() {
            Some(Outcome::Completed | Outcome::Suspended) => None,
            Some(Outcome::Failed) => Some(Why::Failed),
            Some(Outcome::Limited) => Some(Why::Limited),
            _ => Some(Why::Unfinished),
        };
        by_effects.min().or_else(by_outcome)
    }

    fn why_not_effect(&self, target: &Target, effect: &Effect) -> Option<Why> {
        let includes = |wanted| self.arguments.include.contains(&wanted);
        let has = |any: EffectFlags| effect.flags.without(any) != effect.flags;
        match effect.action {
            Action::Opaque => return Some(Why::Opaque),
            _ if has(EffectFlags::LEXING) => return Some(Why::Lexing),
            _ => {}
        }
        let is_destructive = matches!(effect.action, Action::Truncate | Action::Alter | Action::Drop)
            || has(EffectFlags::UNFILTERED | EffectFlags::CASCADE);
        let is_administrative = matches!(
            effect.action,
            Action::Grant | Action::SetRole | Action::Replicate | Action::Admin
        ) || has(EffectFlags::PROGRAM | EffectFlags::FILE);
        let is_of = [
            (is_destructive, Include::Destructive, Why::Destructive),
            (is_administrative, Include::Administrative, Why::Administrative),
            (effect.action == Action::Leak, Include::Leak, Why::Leak),
            (has(EffectFlags::SENSITIVE), Include::Sensitive, Why::Sensitive),
        ];
        let refused = is_of
            .iter()
            .find(|(is_it, include, _)| *is_it && !includes(*include));
        if let Some((_, _, why)) = refused {
            return Some(*why);
        }
        let Some(resource) = Resource::of(target, effect, None) else {
            return Some(Why::Unknown);
        };
        if !is_nameable(effect.action, &resource) {
            return Some(Why::Unknown);
        }
        let columns = effect.columns.iter().map(|column| &**column);
        let mut names = columns.chain([&*resource.id]);
        (!names.all(is_writable)).then_some(Why::Unwritable)
    }

    fn leave_out(&mut self, row: &StatementRow, why: Why, effects: Vec<Effect>) {
        let fingerprint = fingerprint(&mut self.shape, self.seed, &row.text);
        // Beyond what is told apart there is one of each reason.
        let is_one_kind = self.left_out.len() < LEFT_OUT_MAX;
        let key = LeftOutKey {
            why,
            connection: row.session.connection.clone(),
            database: row.session.database.clone(),
            kind: is_one_kind.then(|| (fingerprint, effects.clone())),
        };
        let known = self.left_out.entry(key).or_insert_with(|| LeftOut {
            why,
            reason: why.to_string(),
            statements: 0,
            statement: shown(row),
            connection: row.session.connection.clone(),
            database: String::from_utf8_lossy(&row.session.database).into_owned(),
            effects: effects.iter().map(ToString::to_string).collect(),
            asked: effects,
            is_one_kind,
        });
        known.statements += 1;
    }

    /// What is to be covered, the most frequent first, and what is not.
    pub(super) fn divide(self) -> (Vec<Question>, Vec<LeftOut>) {
        let mut covered: Vec<_> = self.questions.into_values().collect();
        covered.sort_by(|one, other| (other.statements, &one.text).cmp(&(one.statements, &other.text)));
        (covered, self.left_out.into_values().collect())
    }
}

/// Whether a policy may hold a name: those that do not look like what they are are refused.
pub(super) fn is_writable(name: &str) -> bool {
    let is_plain = name.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    let policy = || {
        format!(
            "permit (principal in Group::\"{}\", action, resource);",
            name.escape_debug()
        )
    };
    is_plain || PolicySet::parse(&policy(), "the name").is_ok()
}

/// Whether a text can be asked about without the session that it came in.
fn stands_alone(row: &StatementRow) -> bool {
    let is_text = matches!(row.protocol, Protocol::Simple | Protocol::Execute);
    let is_whole = row.text_len == row.text.len() as u64 && row.text.len() <= TEXT_BYTES_MAX;
    let Ok(text) = str::from_utf8(&row.text) else {
        return false;
    };
    let first = text
        .trim_start()
        .split(|letter: char| !letter.is_ascii_alphabetic())
        .next();
    let by_name = [
        "execute",
        "fetch",
        "move",
        "close",
        "deallocate",
        "declare",
        "prepare",
    ];
    let first = first.unwrap_or_default().to_ascii_lowercase();
    is_text && is_whole && !by_name.contains(&&*first)
}
