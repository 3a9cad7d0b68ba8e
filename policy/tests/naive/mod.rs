//! The decision that the documentation describes, with nothing but Cedar's own `Authorizer` and no thought for its cost.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::Duration;

use cedar_policy::{Authorizer, Context, Effect as Word, Entities, EntityUid, Policy, Request, Schema};
use serde_json::{Value, json};
use sluice_parsers::sql::effect::{Action, Effect, EffectFlags, FilterKind, ObjectKind};
use sluice_policy::identity::Identity;
use sluice_policy::{Cause, Limits, SCHEMA, Target};

const FLAGS: [(EffectFlags, &str); 9] = [
    (EffectFlags::UNFILTERED, "unfiltered"),
    (EffectFlags::PROGRAM, "program"),
    (EffectFlags::FILE, "file"),
    (EffectFlags::FOREIGN, "foreign"),
    (EffectFlags::OTHER_USER, "other_user"),
    (EffectFlags::CASCADE, "cascade"),
    (EffectFlags::CATALOG, "catalog"),
    (EffectFlags::UNCERTAIN, "uncertain"),
    (EffectFlags::SENSITIVE, "sensitive"),
];

static READ_SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::from_cedarschema_str(SCHEMA).unwrap().0);

/// The answer to a statement.
#[derive(Debug)]
pub(crate) enum Verdict {
    Allow {
        policies: BTreeSet<String>,
        limits: Limits,
        /// What is used up, and the policies that it is charged to.
        charges: BTreeSet<(String, BTreeSet<String>)>,
    },
    Deny {
        cause: Cause,
        /// Those that it comes from.
        policies: BTreeSet<String>,
        /// Of an approval: one group of each of these.
        required: Option<BTreeSet<Vec<String>>>,
    },
}

/// Who asks, when and from where.
pub(crate) struct Naive<'a> {
    pub(crate) policies: &'a Policies,
    pub(crate) identity: &'a Identity,
    pub(crate) target: &'a Target,
    pub(crate) unix_ms: u64,
    pub(crate) address: [u8; 4],
    pub(crate) application_name: Option<&'static str>,
    /// Filled by [`Naive::decide`].
    pub(crate) universe: Vec<Resource>,
    pub(crate) entities: RefCell<BTreeMap<(Resource, bool), Entities>>,
}

/// Policies, by what they say; Cedar names no permits where a forbid applies.
pub(crate) struct Policies {
    all: cedar_policy::PolicySet,
    of_word: [cedar_policy::PolicySet; 2],
    alone: Vec<Self>,
}

impl Policies {
    pub(crate) fn new(source: &str) -> Self {
        let all = cedar_policy::PolicySet::from_str(source).unwrap();
        let alone = all.policies().map(|policy| Self::of([policy.clone()]));
        Self {
            alone: alone.collect(),
            ..Self::of(all.policies().cloned())
        }
    }

    fn of(policies: impl IntoIterator<Item = Policy>) -> Self {
        let all = cedar_policy::PolicySet::from_policies(policies).unwrap();
        let of_word = [Word::Permit, Word::Forbid].map(|word| {
            let of_word = all.policies().filter(|policy| policy.effect() == word).cloned();
            cedar_policy::PolicySet::from_policies(of_word).unwrap()
        });
        Self {
            all,
            of_word,
            alone: Vec::new(),
        }
    }
}

/// A resource: its type and names, of which an empty one is no name that anything has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Resource {
    kind: &'static str,
    names: Vec<String>,
}

/// What an effect is on: the resource, and what else it may be on.
struct Subject {
    on: Resource,
    /// It may be on any of these; which one, nobody knows.
    any_of: Vec<Resource>,
    /// It is on the resource, and may be on any of these besides.
    besides: Vec<Resource>,
}

/// What was said of a subject.
#[derive(Default, Debug)]
struct Said {
    permits: BTreeSet<String>,
    forbids: BTreeSet<String>,
    failed: BTreeSet<String>,
}

impl Resource {
    fn new(kind: &'static str, names: &[&str]) -> Self {
        Self {
            kind,
            names: names.iter().map(ToString::to_string).collect(),
        }
    }
}

fn quoted(name: &str) -> String {
    let is_plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_plain {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

fn uid(kind: &str, id: &str) -> Value {
    json!({"type": kind, "id": id})
}

fn applies(action: &str, kind: &str) -> bool {
    static KINDS: LazyLock<std::sync::Mutex<BTreeMap<(String, String), bool>>> =
        LazyLock::new(std::sync::Mutex::default);
    let mut known = KINDS.lock().unwrap();
    *known
        .entry((action.to_owned(), kind.to_owned()))
        .or_insert_with(|| is_declared(action, kind))
}

fn is_declared(action: &str, kind: &str) -> bool {
    let action = EntityUid::from_json(uid("Action", action)).unwrap();
    let kinds = READ_SCHEMA.resources_for_action(&action);
    kinds.into_iter().flatten().any(|name| name.to_string() == kind)
}

impl Naive<'_> {
    fn on(&self) -> String {
        format!("{}/{}", self.target.connection(), self.target.database())
    }

    /// Everything in the database that a policy names, and one of each kind in everything that is named.
    fn all_named(&self) -> Vec<Resource> {
        let mut found = BTreeSet::new();
        for policy in self.policies.all.policies() {
            found.extend(self.named(policy));
        }
        for (kind, names) in [
            ("Schema", 1),
            ("Table", 2),
            ("Column", 3),
            ("Function", 2),
            ("Role", 1),
        ] {
            found.insert(Resource::new(kind, &vec![""; names]));
        }
        found.into_iter().collect()
    }

    /// What a policy names in the database, and one of each kind in that.
    fn named(&self, policy: &Policy) -> BTreeSet<Resource> {
        let mut found = BTreeSet::new();
        for literal in policy.entity_literals() {
            let id: &str = literal.id().as_ref();
            let kind = literal.type_name().to_string();
            let Some(rest) = id.strip_prefix(&format!("{}/", self.on())) else {
                continue;
            };
            // Names of this test hold neither dots nor slashes.
            let names: Vec<String> = rest
                .split('.')
                .map(|part| {
                    part.strip_prefix('"').map_or_else(
                        || part.to_owned(),
                        |part| part[..part.len() - 1].replace("\"\"", "\""),
                    )
                })
                .collect();
            let mut add = |kind: &'static str, more: usize| {
                let mut names = names.clone();
                names.extend(std::iter::repeat_n(String::new(), more));
                found.insert(Resource { kind, names });
            };
            match kind.as_str() {
                "Schema" => {
                    add("Schema", 0);
                    add("Table", 1);
                    add("Function", 1);
                    add("Column", 2);
                }
                "Table" => {
                    add("Table", 0);
                    add("Column", 1);
                }
                "Column" => add("Column", 0),
                "Function" => add("Function", 0),
                "Role" => add("Role", 0),
                _ => {}
            }
        }
        found
    }

    /// What an effect is on, by the table of the documentation; one subject for each of its columns.
    fn subjects(&self, effect: &Effect) -> Vec<Subject> {
        let action = effect.action.name();
        let of = |kinds: &[&str], holder: &[String]| -> Vec<Resource> {
            let all = self.universe.iter().cloned();
            all.filter(|one| {
                kinds.contains(&one.kind) && one.names.starts_with(holder) && applies(action, one.kind)
            })
            .collect()
        };
        let anything = || of(&["Schema", "Table", "Column", "Function", "Role"], &[]);
        let alone = |on: Resource| Subject {
            on,
            any_of: Vec::new(),
            besides: Vec::new(),
        };
        let database = || Resource::new("Database", &[]);
        let object = &effect.object;
        let schema = object.schema.as_deref().filter(|schema| *schema != "pg_temp");
        if effect.action == Action::Set {
            return vec![alone(Resource::new("Setting", &[&object.name]))];
        }
        let unknown = |kind: &'static str, parts: usize, kinds: &[&str]| Subject {
            on: Resource::new(kind, &vec![""; parts]),
            any_of: of(kinds, &[]),
            besides: Vec::new(),
        };
        // What lies in a schema is no role.
        let lies_in_schema = matches!(
            object.kind,
            ObjectKind::Relation | ObjectKind::Sequence | ObjectKind::Function
        );
        let role = || {
            if object.name.is_empty() || lies_in_schema {
                unknown("Role", 1, &["Role"])
            } else {
                alone(Resource::new("Role", &[&object.name]))
            }
        };
        let mut subject = match object.kind {
            _ if effect.action == Action::SetRole => role(),
            ObjectKind::Relation | ObjectKind::Sequence if applies(action, "Table") => match schema {
                Some(schema) if !object.name.is_empty() => {
                    let table = Resource::new("Table", &[schema, &object.name]);
                    let is_on_columns = applies(action, "Column");
                    if is_on_columns && !effect.columns.is_empty() {
                        let mut subjects = Vec::new();
                        for column in &effect.columns {
                            let mut subject = alone(Resource::new("Column", &[schema, &object.name, column]));
                            if effect.flags.contains(EffectFlags::CASCADE) || effect.action == Action::Opaque
                            {
                                subject.besides = anything();
                            }
                            subjects.push(subject);
                        }
                        return subjects;
                    }
                    let counts_rows =
                        effect.action == Action::Read && effect.flags.contains(EffectFlags::ROWS);
                    let mut columns = of(&["Column"], &table.names);
                    columns.push(Resource::new("Column", &[schema, &object.name, ""]));
                    Subject {
                        on: table,
                        any_of: if is_on_columns && !counts_rows {
                            columns
                        } else {
                            Vec::new()
                        },
                        besides: Vec::new(),
                    }
                }
                _ => unknown("Table", 2, &["Table", "Column"]),
            },
            ObjectKind::Function if applies(action, "Function") => match schema {
                Some(schema) => alone(Resource::new("Function", &[schema, &object.name])),
                None if object.schema.is_none()
                    && effect.action == Action::Execute
                    && !effect.flags.contains(EffectFlags::UNCERTAIN) =>
                {
                    alone(Resource::new("Function", &["pg_catalog", &object.name]))
                }
                None => unknown("Function", 2, &["Function"]),
            },
            ObjectKind::Schema if applies(action, "Schema") => {
                let mut subject = alone(Resource::new("Schema", &[&object.name]));
                if effect.action != Action::Create {
                    subject.any_of = of(&["Table", "Column", "Function"], &[object.name.to_string()]);
                    for (kind, parts) in [("Table", 1), ("Column", 2), ("Function", 1)] {
                        let mut one = Resource::new(kind, &[&object.name]);
                        one.names.extend(vec![String::new(); parts]);
                        subject.any_of.extend(applies(action, kind).then_some(one));
                    }
                }
                subject
            }
            ObjectKind::Type if applies(action, "Schema") => {
                alone(Resource::new("Schema", &[schema.unwrap()]))
            }
            ObjectKind::Role if applies(action, "Role") => {
                let mut subject = role();
                if matches!(effect.action, Action::Drop | Action::Alter) {
                    subject.any_of = Vec::new();
                    subject.besides = anything();
                }
                subject
            }
            ObjectKind::Function
            | ObjectKind::Type
            | ObjectKind::Role
            | ObjectKind::Path
            | ObjectKind::AdvisoryLock => alone(database()),
            _ => {
                let mut subject = alone(database());
                if effect.action != Action::Create {
                    subject.besides = anything();
                }
                subject
            }
        };
        if effect.flags.contains(EffectFlags::CASCADE) || effect.action == Action::Opaque {
            subject.any_of = Vec::new();
            subject.besides = anything();
        }
        vec![subject]
    }

    /// What the policies say of one resource.
    fn ask(
        &self,
        policies: &Policies,
        action: &str,
        effect: Option<&Effect>,
        on: &Resource,
        approved: bool,
    ) -> Said {
        let schema = &*READ_SCHEMA;
        let database = self.on();
        let who = format!("{}#{}", self.identity.issuer, self.identity.subject);
        let groups: Vec<_> = self
            .identity
            .groups()
            .iter()
            .map(|group| uid("Group", group))
            .collect();
        let mut claims = serde_json::Map::new();
        for (name, value) in &self.identity.claims {
            let claim = match value {
                Value::String(_) => json!({"text": value}),
                Value::Bool(_) => json!({"flag": value}),
                Value::Number(_) => json!({"number": value}),
                Value::Array(_) => json!({"texts": value}),
                _ => json!({}),
            };
            claims.insert(name.clone(), claim);
        }
        let attributes = json!({
            "issuer": self.identity.issuer,
            "subject": self.identity.subject,
            "method": self.identity.method.name(),
            "claims": uid("Claims", &who),
        });
        let mut entities = vec![
            json!({"uid": uid("Identity", &who), "attrs": attributes, "parents": groups}),
            json!({"uid": uid("Claims", &who), "attrs": {}, "parents": [], "tags": claims}),
            json!({"uid": uid("Connection", self.target.connection()), "attrs": {}, "parents": []}),
            json!({"uid": uid("Database", &database), "attrs": {"name": self.target.database()}, "parents": [uid("Connection", self.target.connection())]}),
        ];
        let in_database = |parts: &[String]| {
            let parts: Vec<_> = parts.iter().map(|part| quoted(part)).collect();
            format!("{database}/{}", parts.join("."))
        };
        let resource = match on.kind {
            "Database" => uid("Database", &database),
            "Setting" => {
                let setting = uid("Setting", &on.names[0]);
                let mut parents = vec![uid("Database", &database)];
                if effect.is_some_and(|effect| effect.flags.contains(EffectFlags::HARMLESS)) {
                    parents.push(uid("SettingGroup", "harmless"));
                }
                entities.push(json!({"uid": setting, "attrs": {}, "parents": parents}));
                setting
            }
            kind => {
                let mut holder = uid("Database", &database);
                for at in 1..=on.names.len() {
                    let step = match (at == on.names.len(), at) {
                        (true, _) => kind,
                        (false, 1) => "Schema",
                        (false, _) => "Table",
                    };
                    let next = uid(step, &in_database(&on.names[..at]));
                    entities.push(json!({"uid": next, "attrs": {}, "parents": [holder]}));
                    holder = next;
                }
                holder
            }
        };
        let seconds = self.unix_ms / 1000;
        let day = seconds / 86400;
        let mut context = json!({
            "time": {"__extn": {"fn": "datetime", "arg": date(day, seconds % 86400)}},
            "hour": seconds / 3600 % 24,
            "weekday": (day + 3) % 7 + 1,
            "client_address": {"__extn": {"fn": "ip", "arg": self.address.map(|byte| byte.to_string()).join(".")}},
        });
        if let Some(name) = self.application_name {
            context["application_name"] = name.into();
        }
        if let Some(effect) = effect {
            context["approved"] = approved.into();
            for (flag, name) in FLAGS {
                context[name] = effect.flags.contains(flag).into();
            }
            if effect.action == Action::Filter {
                context["kind"] = effect.filter.unwrap_or(FilterKind::Other).name().into();
            }
        }
        // Written out once for each resource: reading JSON takes longer than all the rest.
        let is_harmless = effect.is_some_and(|effect| effect.flags.contains(EffectFlags::HARMLESS));
        let mut read = self.entities.borrow_mut();
        let read = read.entry((on.clone(), is_harmless));
        let entities =
            read.or_insert_with(|| Entities::from_json_value(entities.into(), Some(schema)).unwrap());
        let action = EntityUid::from_json(uid("Action", action)).unwrap();
        let context = Context::from_json_value(context, Some((schema, &action))).unwrap();
        let principal = EntityUid::from_json(uid("Identity", &who)).unwrap();
        let request = Request::new(
            principal,
            action,
            EntityUid::from_json(resource).unwrap(),
            context,
            Some(schema),
        )
        .unwrap();
        let mut said = Said::default();
        for of_word in &policies.of_word {
            let response = Authorizer::new().is_authorized(&request, of_word, entities);
            let name = |id: &cedar_policy::PolicyId| of_word.annotation(id, "id").unwrap().to_owned();
            said.failed.extend(response.diagnostics().errors().map(|error| {
                let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
                name(error.policy_id())
            }));
            let reasons = response.diagnostics().reason().map(name);
            match response.decision() {
                cedar_policy::Decision::Allow => said.permits.extend(reasons),
                cedar_policy::Decision::Deny => said.forbids.extend(reasons),
            }
        }
        said
    }

    /// What they say of what an effect is on and may be on.
    fn ask_subject(&self, action: &str, effect: Option<&Effect>, subject: &Subject, approved: bool) -> Said {
        let mut said = self.ask(self.policies, action, effect, &subject.on, approved);
        for one in &subject.any_of {
            let other = self.ask(self.policies, action, effect, one, approved);
            said.permits.retain(|name| other.permits.contains(name));
            said.forbids.extend(other.forbids);
            said.failed.extend(other.failed);
        }
        for alone in self.policies.alone.iter().filter(|_| !subject.besides.is_empty()) {
            let policy = alone.all.policies().next().unwrap();
            let named = self.named(policy);
            for one in &subject.besides {
                // A permit is asked about what it names itself.
                if policy.effect() == Word::Permit && !named.contains(one) {
                    continue;
                }
                let other = self.ask(alone, action, effect, one, approved);
                said.forbids.extend(other.forbids);
                said.failed.extend(other.failed);
                let name = policy.annotation("id").unwrap();
                if policy.effect() == Word::Permit && !other.permits.contains(name) {
                    said.permits.remove(name);
                }
            }
        }
        said
    }

    fn annotation(&self, policy: &str, key: &str) -> Option<String> {
        let mut policies = self.policies.all.policies();
        let policy = policies.find(|one| one.annotation("id") == Some(policy))?;
        policy.annotation(key).map(str::to_owned)
    }

    fn approvers(&self, policy: &str) -> Vec<String> {
        let groups = self.annotation(policy, "approvers");
        let mut groups: Vec<String> = groups
            .iter()
            .flat_map(|groups| groups.split(','))
            .map(str::to_owned)
            .collect();
        groups.sort();
        groups
    }

    fn hold(&self, before: &Said, with: &Said) -> Option<(BTreeSet<String>, BTreeSet<Vec<String>>)> {
        if !with.failed.is_empty() || !with.forbids.is_empty() || with.permits.is_empty() {
            return None;
        }
        let mut policies = BTreeSet::new();
        let mut required = BTreeSet::new();
        for forbid in &before.forbids {
            let groups = self.approvers(forbid);
            if groups.is_empty() {
                return None;
            }
            required.insert(groups);
            policies.insert(forbid.clone());
        }
        if before.permits.is_empty() {
            let mut groups = BTreeSet::new();
            for permit in &with.permits {
                let own = self.approvers(permit);
                if !own.is_empty() {
                    policies.insert(permit.clone());
                }
                groups.extend(own);
            }
            if groups.is_empty() {
                return None;
            }
            required.insert(groups.into_iter().collect());
        }
        Some((policies, required))
    }

    fn limits(&self, permits: &BTreeSet<String>) -> Limits {
        let each = |key: &str| {
            permits
                .iter()
                .map(|permit| self.annotation(permit, key))
                .collect::<Vec<_>>()
        };
        let most = |key: &str, read: &dyn Fn(String) -> u64| {
            let values: Option<Vec<u64>> = each(key).into_iter().map(|value| value.map(read)).collect();
            values.and_then(|values| values.into_iter().max())
        };
        Limits {
            max_rows: most("max_rows", &|rows| u64::from_str(&rows).unwrap()),
            max_time: most("max_time", &|time| time.trim_end_matches('s').parse().unwrap())
                .map(Duration::from_secs),
            ..Limits::default()
        }
    }

    fn charges(&self, permits: &BTreeSet<String>, action: &str) -> BTreeSet<(String, BTreeSet<String>)> {
        let is_counted = |measure: &str| {
            let counts = |permit: &String| {
                let budget = self.annotation(permit, "budget");
                budget.is_some_and(|budget| budget.contains(&format!(" {measure} per ")))
            };
            (measure != "probes" || action == "Filter") && permits.iter().all(counts)
        };
        let measures = ["statements", "rows", "masked", "probes"].into_iter();
        measures
            .filter(|measure| is_counted(measure))
            .map(|measure| (measure.to_owned(), permits.clone()))
            .collect()
    }

    /// What comes of a statement.
    pub(crate) fn decide(&mut self, effects: &[Effect]) -> Verdict {
        self.universe = self.all_named();
        let connect = Subject {
            on: Resource::new("Database", &[]),
            any_of: Vec::new(),
            besides: Vec::new(),
        };
        let said = self.ask_subject("Connect", None, &connect, false);
        let deny = |cause, policies| Verdict::Deny {
            cause,
            policies,
            required: None,
        };
        if !said.failed.is_empty() {
            return deny(Cause::EvaluationError, said.failed);
        }
        if !said.forbids.is_empty() {
            return deny(Cause::Forbid, said.forbids);
        }
        if said.permits.is_empty() {
            return deny(Cause::NoPermit, BTreeSet::new());
        }
        let mut limits = self.limits(&said.permits);
        let mut charges = self.charges(&said.permits, "Connect");
        let mut policies = if effects.is_empty() {
            said.permits
        } else {
            BTreeSet::new()
        };
        let mut denials: BTreeMap<Cause, BTreeSet<String>> = BTreeMap::new();
        let mut required = BTreeSet::new();
        for effect in effects {
            for subject in self.subjects(effect) {
                if effect.flags.contains(EffectFlags::LEXING) {
                    denials.entry(Cause::Lexing).or_default();
                    continue;
                }
                let action = effect.action.name();
                let said = self.ask_subject(action, Some(effect), &subject, false);
                if !said.failed.is_empty() {
                    denials
                        .entry(Cause::EvaluationError)
                        .or_default()
                        .extend(said.failed);
                } else if said.forbids.is_empty() && !said.permits.is_empty() {
                    limits = limits.strictest(self.limits(&said.permits));
                    charges.extend(self.charges(&said.permits, action));
                    policies.extend(said.permits);
                } else {
                    let with = self.ask_subject(action, Some(effect), &subject, true);
                    if let Some((asking, groups)) = self.hold(&said, &with) {
                        denials.entry(Cause::Approval).or_default().extend(asking);
                        required.extend(groups);
                    } else if said.forbids.is_empty() {
                        denials.entry(Cause::NoPermit).or_default();
                    } else {
                        denials.entry(Cause::Forbid).or_default().extend(said.forbids);
                    }
                }
            }
        }
        match denials.pop_last() {
            None => Verdict::Allow {
                policies,
                limits,
                charges,
            },
            Some((cause, policies)) => Verdict::Deny {
                cause,
                policies,
                required: (cause == Cause::Approval).then_some(required),
            },
        }
    }
}

/// By counting days: the years of this test are few.
fn date(day: u64, second: u64) -> String {
    let (mut year, mut left) = (1970, day);
    let is_leap = |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    while left >= 365 + u64::from(is_leap(year)) {
        left -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 0;
    let days = [
        31,
        28 + u64::from(is_leap(year)),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    while left >= days[month] {
        left -= days[month];
        month += 1;
    }
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!(
        "{year}-{:02}-{:02}T{hour:02}:{minute:02}:{:02}Z",
        month + 1,
        left + 1,
        second % 60
    )
}
