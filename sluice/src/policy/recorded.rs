//! What the record tells of a statement, asked about again: who it was, from where, when, and what it did.
//!
//! A record that does not tell all that a decision may depend on is not decided: see [`Untold`].

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sluice_audit::names::ChainId;
use sluice_audit::reader::{self, Filter, Problem, Row, Session, StatementRow};
use sluice_audit::record::{FORM, LEFT_OUT, Method as RecordedMethod, VALUE_LEN_MAX};
use sluice_parsers::sql::effect::Effect;
use sluice_parsers::sql::shape::{Shape, hash_bytes};
use sluice_policy::identity::{Identity, Method};
use sluice_policy::{
    Client, Decision, Limits, Moment, PolicySet, Principal, Target, Told, read_effect, tells_of_budget,
};

use super::expectations::Verdict;
use crate::cli::Recorded;
use crate::failure::Failure;

/// As much of a statement's text as is kept.
pub(super) const TEXT_BYTES_MAX: usize = 2048;

/// More sessions and askers than these are forgotten and made again when they come up.
const SESSIONS_MAX: usize = 16 * 1024;
const ASKERS_MAX: usize = 4 * 1024;
/// As many answers are kept, over all who ask.
const ANSWERS_MAX: usize = 128 * 1024;
/// How many rows pass between two looks at the progress.
const ROWS_BETWEEN: u64 = 4096;

/// Why what is recorded of a statement does not suffice to decide it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Untold {
    /// The record of its session's start is not in the log.
    NoSession,
    /// A gateway wrote it whose records had no form.
    Form,
    /// More effects than are recorded.
    EffectsLeftOut,
    /// An effect that this version does not know.
    EffectUnknown,
    /// Policy was asked about more than its effects.
    AsksMore,
    /// A budget had no room for it.
    Budget,
    /// More groups than are recorded.
    GroupsLeftOut,
    /// A name that was cut, or that this version does not know.
    Names,
    /// Claims that cannot be read, which the policy looks at.
    Claims,
    /// An address that cannot be read, which the policy looks at.
    Address,
    /// Whether the client gave no name or an empty one, which the policy looks at.
    ApplicationName,
}

impl fmt::Display for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSession => "the start of its session is not in the record",
            Self::Form => "it was recorded by an earlier version, whose records do not tell effects exactly",
            Self::EffectsLeftOut => "it has more effects than are recorded",
            Self::EffectUnknown => "it has an effect that this version does not know",
            Self::AsksMore => {
                "policy was asked about more than its effects: what they depend on was in doubt when it came"
            }
            Self::GroupsLeftOut => "the identity is in more groups than are recorded",
            Self::Budget => "a budget had no room for it, and what is used up is not counted again",
            Self::Names => "a name in it was cut, or is not known to this version",
            Self::Claims => "the policy looks at claims, and those in the record cannot be read",
            Self::Address => "the policy looks at the client's address, and the record has none",
            Self::ApplicationName => {
                "the policy looks at the application's name, and the record does not tell an empty one from none"
            }
        })
    }
}

/// What a policy says of a recorded statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) verdict: Verdict,
    /// The policy that denies, or the first that permits.
    pub(super) policy: Option<Arc<str>>,
    /// What the client would be told, if it is denied.
    pub(super) message: Option<String>,
    /// What it would be held to, if it is allowed.
    pub(super) limits: Limits,
}

impl From<&Decision> for Answer {
    fn from(decision: &Decision) -> Self {
        Self {
            verdict: Verdict::from(decision),
            policy: match decision {
                Decision::Allow(permission) => permission.policies.first().cloned(),
                Decision::Deny(denial) => denial.policy.clone(),
            },
            message: decision.denial().map(ToString::to_string),
            limits: match decision {
                Decision::Allow(permission) => permission.limits,
                Decision::Deny(_) => Limits::default(),
            },
        }
    }
}

/// Who asks, as far as a policy can tell one from another.
struct Asker {
    principal: Principal,
    /// The client; several where the record leaves open which it was.
    clients: Vec<Client>,
    answers: HashMap<Box<[u8]>, Known>,
}

/// What is known of effects that somebody asked about before.
#[derive(Clone)]
enum Known {
    Answer(Rc<Answer>),
    /// A condition looks at the time.
    Timed(Rc<[Effect]>),
    Untold(Untold),
}

/// Asks a policy about recorded statements, about each distinct question once.
pub(super) struct Decider<'p> {
    policies: &'p PolicySet,
    sessions: HashMap<(ChainId, u64), Result<usize, Untold>>,
    askers: Vec<Asker>,
    by_key: HashMap<AskerKey, usize>,
    answers: usize,
    /// Scratch for the key of effects, reused.
    key: Vec<u8>,
}

#[derive(PartialEq, Eq, Hash)]
struct AskerKey {
    issuer: String,
    subject: String,
    is_token: bool,
    groups: Vec<String>,
    target: Target,
    told: Vec<Option<Told>>,
}

impl<'p> Decider<'p> {
    pub(super) fn new(policies: &'p PolicySet) -> Self {
        Self {
            policies,
            sessions: HashMap::new(),
            askers: Vec::new(),
            by_key: HashMap::new(),
            answers: 0,
            key: Vec::new(),
        }
    }

    /// What the policy says of a statement.
    pub(super) fn decide(&mut self, row: &StatementRow) -> Result<Rc<Answer>, Untold> {
        let asker = self.asker(&row.session)?;
        if row.asks_more {
            return Err(Untold::AsksMore);
        }
        if tells_of_budget(&row.message) {
            return Err(Untold::Budget);
        }
        if self.answers >= ANSWERS_MAX {
            self.answers = 0;
            self.askers.iter_mut().for_each(|asker| asker.answers.clear());
        }
        let Some(asker) = self.askers.get_mut(asker) else {
            return Err(Untold::NoSession);
        };
        effects_key(row, &mut self.key);
        let moment = Moment::from_unix_ms(row.time_ns / 1_000_000);
        let known = if let Some(known) = asker.answers.get(&*self.key) {
            known.clone()
        } else {
            let known = match effects_of(row) {
                Ok(effects) => asker.find(self.policies, effects, moment),
                Err(untold) => Known::Untold(untold),
            };
            asker.answers.insert(self.key.as_slice().into(), known.clone());
            self.answers += 1;
            known
        };
        match known {
            Known::Answer(answer) => Ok(answer),
            Known::Timed(effects) => asker.ask(self.policies, &effects, moment).0.map(Rc::new),
            Known::Untold(untold) => Err(untold),
        }
    }

    fn asker(&mut self, session: &Session) -> Result<usize, Untold> {
        let name = (session.chain, session.number);
        if let Some(known) = self.sessions.get(&name) {
            return *known;
        }
        if self.sessions.len() >= SESSIONS_MAX || self.askers.len() >= ASKERS_MAX {
            self.sessions.clear();
            self.askers.clear();
            self.by_key.clear();
            self.answers = 0;
        }
        let asker = self.find_asker(session);
        self.sessions.insert(name, asker);
        asker
    }

    fn find_asker(&mut self, session: &Session) -> Result<usize, Untold> {
        let identity = identity_of(session)?;
        let target = target_of(session)?;
        let mut clients = self.clients(session, &identity)?;
        let mut told: Vec<Option<Told>> = Vec::new();
        clients.retain(|client| {
            let one = self.policies.told(client);
            let is_new = !told.contains(&one);
            if is_new {
                told.push(one);
            }
            is_new
        });
        let key = AskerKey {
            issuer: identity.issuer.clone(),
            subject: identity.subject.clone(),
            is_token: identity.method == Method::Oidc,
            groups: identity.groups().to_vec(),
            target: target.clone(),
            told,
        };
        let askers = &mut self.askers;
        Ok(*self.by_key.entry(key).or_insert_with(|| {
            askers.push(Asker {
                principal: Principal::new(&identity, target),
                clients,
                answers: HashMap::new(),
            });
            askers.len() - 1
        }))
    }

    /// What the session's client may have been, as far as this policy looks at it.
    fn clients(&self, session: &Session, identity: &Identity) -> Result<Vec<Client>, Untold> {
        let tells_apart = |one: &Client, other: &Client| self.policies.told(one) != self.policies.told(other);
        let mut identity = identity.clone();
        let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        if let Ok(claims) = serde_json::from_slice(&session.claims) {
            identity.claims = claims;
        } else if !session.claims.is_empty() {
            let (whole, mut cut) = (identity.clone(), identity.clone());
            cut.claims_are_cut = true;
            let [whole, cut] = [whole, cut].map(|identity| Client::new(nowhere).with_claims(&identity));
            if tells_apart(&whole, &cut) {
                return Err(Untold::Claims);
            }
        }
        identity.claims_are_cut = session.cut.claims;
        let address = match session.client.parse::<SocketAddr>() {
            Ok(address) => address.ip(),
            Err(_)
                if tells_apart(
                    &Client::new(nowhere),
                    &Client::new(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                ) =>
            {
                return Err(Untold::Address);
            }
            Err(_) => nowhere,
        };
        let client = Client::new(address).with_claims(&identity);
        if !session.application_name.is_empty() {
            let name = String::from_utf8_lossy(&session.application_name);
            return Ok(vec![client.with_application_name(&name)]);
        }
        if may_name_itself(session) {
            let nameless = client.clone().with_application_name("");
            return Ok(vec![client, nameless]);
        }
        Ok(vec![client])
    }
}

impl Asker {
    fn find(&self, policies: &PolicySet, effects: Vec<Effect>, moment: Moment) -> Known {
        match self.ask(policies, &effects, moment) {
            (_, true) => Known::Timed(effects.into()),
            (Ok(answer), false) => Known::Answer(Rc::new(answer)),
            (Err(untold), false) => Known::Untold(untold),
        }
    }

    /// The answer, and whether it depends on the time.
    fn ask(
        &self,
        policies: &PolicySet,
        effects: &[Effect],
        moment: Moment,
    ) -> (Result<Answer, Untold>, bool) {
        let mut is_timed = false;
        let mut answers = Vec::with_capacity(self.clients.len());
        for client in &self.clients {
            let decision = policies.decide(&self.principal, client, moment, effects);
            is_timed |= decision.is_timed();
            answers.push(Answer::from(&decision));
        }
        answers.dedup();
        let only = answers.pop().filter(|_| answers.is_empty());
        (only.ok_or(Untold::ApplicationName), is_timed)
    }
}

/// The identity of a session, without its claims.
pub(super) fn identity_of(session: &Session) -> Result<Identity, Untold> {
    if session.time_ns == 0 {
        return Err(Untold::NoSession);
    }
    if session.form < FORM {
        return Err(Untold::Form);
    }
    if is_cut(&session.issuer) {
        return Err(Untold::Names);
    }
    let method = match session.method {
        RecordedMethod::Oidc => Method::Oidc,
        RecordedMethod::Scram => Method::Scram,
        _ => return Err(Untold::Names),
    };
    if session.cut.groups {
        return Err(Untold::GroupsLeftOut);
    }
    let identity = Identity::new(&*session.issuer, &*session.subject, method);
    Ok(identity.with_groups(session.groups.iter().cloned()))
}

/// The database that a session is in.
pub(super) fn target_of(session: &Session) -> Result<Target, Untold> {
    let database = str::from_utf8(&session.database).map_err(|_| Untold::Names)?;
    if is_cut(&session.connection) || is_cut(database) {
        return Err(Untold::Names);
    }
    Target::new(&*session.connection, database).map_err(|_| Untold::Names)
}

/// Whether there may be more of a text than is recorded: texts are cut between characters.
fn is_cut(text: &str) -> bool {
    text.len() + 4 > VALUE_LEN_MAX
}

/// Whether a client without a recorded name may have given an empty one.
fn may_name_itself(session: &Session) -> bool {
    let names = |name: &[u8]| name == b"application_name" || name == b"options";
    session.cut.startup || session.startup.iter().any(|(name, _)| names(name))
}

/// The effects that a statement was recorded with.
pub(super) fn effects_of(row: &StatementRow) -> Result<Vec<Effect>, Untold> {
    let effect = |line: &Vec<u8>| {
        let line = str::from_utf8(line).map_err(|_| Untold::EffectUnknown)?;
        if line.starts_with(LEFT_OUT) {
            return Err(Untold::EffectsLeftOut);
        }
        read_effect(line).ok_or(Untold::EffectUnknown)
    };
    row.effects.iter().map(effect).collect()
}

/// The lines, so that no two lists of them have one key.
fn effects_key(row: &StatementRow, key: &mut Vec<u8>) {
    key.clear();
    for line in &row.effects {
        key.extend_from_slice(&line.len().to_le_bytes());
        key.extend_from_slice(line);
    }
}

/// Gives out the recorded statements that are wanted, with the progress on a terminal; returns the damage that was met.
pub(super) fn each(wanted: &Recorded, mut take: impl FnMut(StatementRow)) -> Result<Vec<Problem>, Failure> {
    let folder = wanted.folder.resolve()?;
    let filter = Filter {
        statements_only: true,
        ..wanted.filter()
    };
    let style = ProgressStyle::with_template("{wide_bar} {percent}% of the record, {msg} statements");
    let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut rows: u64 = 0;
    let problems = reader::scan(&folder, &filter, |row, progress| {
        if rows.is_multiple_of(ROWS_BETWEEN) {
            bar.set_length(progress.all);
            bar.set_position(progress.done.min(progress.all));
            bar.set_message(rows.to_string());
        }
        rows += 1;
        if let Row::Statement(statement) = row {
            take(statement);
        }
    });
    bar.finish_and_clear();
    problems.map_err(crate::audit::unreadable)
}

/// What a text is without its literals.
pub(super) fn fingerprint(shape: &mut Shape, seed: u64, text: &[u8]) -> u64 {
    // What cannot be read has no shape, and is what it is.
    match shape.scan(text) {
        Ok(()) => shape.hash(),
        Err(_) => hash_bytes(seed, text),
    }
}

/// As much of a statement's text as is kept.
pub(super) fn shown(row: &StatementRow) -> String {
    let text = row.text.get(..TEXT_BYTES_MAX).unwrap_or(&row.text);
    String::from_utf8_lossy(text).trim().to_owned()
}
