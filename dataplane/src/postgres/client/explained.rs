//! What a denied client is told beside the message: a DETAIL for programs and language models, and a HINT at what would
//! be permitted or whom to ask.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use sluice_parsers::sql::effect::{Action, Effect, EffectFlags, FilterKind};
use sluice_policy::{Cause, Denial, UsedUp};

use super::judging::Refused;
use crate::gate::{Outcome, Terms};
use crate::postgres::session::{DETAIL_VERSION, Session};
use crate::postgres::statements::{Judged, Refusal, Run};

/// More effects than these are counted.
const EFFECTS_MAX: usize = 16;

/// Longer lines and reasons are cut.
const LINE_CHARS_MAX: usize = 200;

/// Columns that policy is asked about one by one.
const COLUMNS_MAX: usize = 16;

/// What would be permitted in the place of a denied effect.
#[derive(Debug, Default, PartialEq, Eq)]
struct Instead {
    /// These of its columns, each by itself.
    columns: Vec<Box<str>>,
    /// The same with a WHERE that filters.
    is_filtered: bool,
    /// A comparison by `=` with one value.
    is_equality: bool,
}

impl Session {
    /// The refusal with what a denial says beside its message. The statement's effects are what it was decided by.
    pub(super) fn explained(&self, refused: Refused, run: Run, judged: &Judged) -> Refusal {
        let reason = judged.verdict.reason(judged.index);
        self.explained_effects(refused, run, judged.effects(), reason)
    }

    /// The same for what is no prepared statement.
    pub(super) fn explained_effects(
        &self,
        (mut refusal, outcome): Refused,
        run: Run,
        effects: &[Effect],
        reason: Option<&str>,
    ) -> Refusal {
        let request = self.request_name(run.id);
        let denial = match &outcome {
            Outcome::Deny(denial) => denial,
            Outcome::Limited { terms, .. } => {
                refusal.detail = Some(detail_of_terms(terms, &request).into());
                return refusal;
            }
            Outcome::Allow(_) | Outcome::Observe(_) => return refusal,
        };
        let policies = Arc::clone(self.core.gate.borrow_mut().policies());
        let instead = self.permitted_instead(denial, effects);
        refusal.detail = Some(detail(denial, &request, effects, policies.documentation()).into());
        refusal.hint = Some(hint(denial, &request, &instead, reason).into());
        refusal
    }

    fn permitted_instead(&self, denial: &Denial, effects: &[Effect]) -> Instead {
        let mut instead = Instead::default();
        let Some(denied) = effects.iter().find(|effect| is_of(denial, effect)) else {
            return instead;
        };
        let is_permitted = |effect: Effect| {
            matches!(
                self.decide(&[effect]),
                Outcome::Allow(_) | Outcome::Limited { .. }
            )
        };
        if denied.flags.contains(EffectFlags::UNFILTERED) {
            instead.is_filtered = is_permitted(Effect {
                flags: denied.flags.without(EffectFlags::UNFILTERED),
                ..denied.clone()
            });
        }
        if denied.filter.is_some_and(|kind| kind != FilterKind::Equality) {
            instead.is_equality = is_permitted(Effect {
                filter: Some(FilterKind::Equality),
                ..denied.clone()
            });
        }
        if (2..=COLUMNS_MAX).contains(&denied.columns.len()) {
            let columns = denied.columns.iter().filter(|&column| {
                is_permitted(Effect {
                    columns: [column.clone()].into(),
                    ..denied.clone()
                })
            });
            instead.columns = columns.cloned().collect();
        }
        instead
    }
}

/// Whether a denial is of this effect.
fn is_of(denial: &Denial, effect: &Effect) -> bool {
    effect.action.name() == denial.action && effect.object.to_string() == *denial.object
}

/// One line of JSON. What code does with the rights of others is not the client's to know.
fn detail(denial: &Denial, request: &str, effects: &[Effect], documentation: Option<&str>) -> String {
    let own = |effect: &&Effect| !effect.flags.contains(EffectFlags::OTHER_USER);
    let lines: Vec<String> = effects
        .iter()
        .filter(own)
        .map(|effect| cut(&effect.to_string()))
        .collect();
    let mut fields = Map::from_iter([
        ("sluice".to_owned(), json!(DETAIL_VERSION)),
        ("request".to_owned(), json!(request)),
        ("cause".to_owned(), json!(denial.cause.name())),
        (
            "effects".to_owned(),
            json!(lines.get(..lines.len().min(EFFECTS_MAX))),
        ),
    ]);
    match &denial.used_up {
        Some(used_up) => fields.extend(detail_of_budget(used_up)),
        None => fields.extend([
            ("action".to_owned(), json!(denial.action)),
            ("object".to_owned(), json!(cut(&denial.object))),
            ("resource".to_owned(), json!(cut(&denial.resource))),
        ]),
    }
    if lines.len() > EFFECTS_MAX {
        fields.insert("effects_left_out".to_owned(), json!(lines.len() - EFFECTS_MAX));
    }
    if let Some(policy) = &denial.policy {
        fields.insert("policy".to_owned(), json!(policy));
    }
    if let Some(approval) = &denial.approval {
        let groups: Vec<Vec<&str>> = approval
            .required
            .iter()
            .map(|groups| groups.iter().map(AsRef::as_ref).collect())
            .collect();
        fields.insert("approvers".to_owned(), json!(groups));
    }
    if let Some(url) = documentation {
        fields.insert("documentation".to_owned(), json!(url));
    }
    Value::Object(fields).to_string()
}

/// What is used up, and when there is room again.
pub(in crate::postgres) fn detail_of_budget(used_up: &UsedUp) -> Map<String, Value> {
    Map::from_iter([
        ("policy".to_owned(), json!(used_up.policy)),
        ("budget".to_owned(), json!(used_up.budget.to_string())),
        ("retry_after".to_owned(), json!(used_up.wait.as_secs())),
    ])
}

/// The same of what is permitted within terms that it cannot be held to.
fn detail_of_terms(terms: &Terms, request: &str) -> String {
    let charges: Vec<String> = terms
        .charges
        .iter()
        .map(|charge| cut(&charge.to_string()))
        .collect();
    let fields = json!({
        "sluice": DETAIL_VERSION, "request": request, "cause": "terms", "limits": terms.limits.written(),
        "budgets": charges,
    });
    fields.to_string()
}

fn hint(denial: &Denial, request: &str, instead: &Instead, reason: Option<&str>) -> String {
    let ask = format!("Who owns the policy can permit it; tell them the request {request}.");
    match denial.cause {
        Cause::Approval => {
            let approval = denial.approval.as_deref().map(ToString::to_string);
            format!(
                "Ask {}, and tell them the request {request}.",
                cut(&approval.unwrap_or_default())
            )
        }
        Cause::EvaluationError => format!(
            "The policy has a mistake: trying again will not help. Tell who owns it the request {request}."
        ),
        Cause::Lexing => "Leave the setting as it is.".to_owned(),
        Cause::Budget => {
            let again = denial.used_up.as_deref().map(UsedUp::hint);
            let owner = format!("Who owns the policy can raise the budget; tell them the request {request}.");
            format!("{} {owner}", again.unwrap_or_default())
        }
        Cause::NoPermit | Cause::Forbid if instead.is_filtered => {
            "With a WHERE that names the rows it is permitted.".to_owned()
        }
        Cause::NoPermit | Cause::Forbid if instead.is_equality => {
            "A comparison with one value by = is permitted.".to_owned()
        }
        Cause::NoPermit | Cause::Forbid if !instead.columns.is_empty() => {
            let columns = instead.columns.join(", ");
            format!(
                "Of the columns that it names these are permitted: {}.",
                cut(&columns)
            )
        }
        Cause::NoPermit | Cause::Forbid if denial.action == Action::Opaque.name() => match reason {
            Some(reason) => format!(
                "What it would do cannot be told before it runs: {}. Write it without that. {ask}",
                cut(reason)
            ),
            None => format!("What it would do cannot be told before it runs. {ask}"),
        },
        Cause::NoPermit | Cause::Forbid => format!("Trying it in another way will not help. {ask}"),
    }
}

fn cut(text: &str) -> String {
    let mut printable = text
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char });
    let mut line: String = printable.by_ref().take(LINE_CHARS_MAX).collect();
    if printable.next().is_some() {
        line.push_str("...");
    }
    line
}

#[cfg(test)]
mod tests {
    use sluice_parsers::sql::effect::{Object, ObjectKind};
    use std::time::Duration;

    use sluice_policy::{Approval, Budget, Measure};

    use super::*;

    fn denial(cause: Cause, action: Action) -> Denial {
        Denial {
            policy: Some("ask".into()),
            message: None,
            severity: None,
            cause,
            effect: Some(0),
            action: action.name(),
            object: "relation public.t".into(),
            on: "orders/shop".into(),
            resource: "orders/shop/public.t".into(),
            approval: (cause == Cause::Approval).then(|| {
                Box::new(Approval {
                    required: vec![Arc::from([Arc::from("dba"), Arc::from("owners")])],
                    ..Approval::default()
                })
            }),
            used_up: (cause == Cause::Budget).then(|| {
                Box::new(UsedUp {
                    policy: "ask".into(),
                    budget: Budget {
                        measure: Measure::Rows,
                        max: 5,
                        per: Duration::from_hours(1),
                    },
                    wait: Duration::from_secs(200),
                })
            }),
            error: None,
            is_timed: false,
        }
    }

    fn read(name: &str) -> Effect {
        Effect::new(Action::Read, Object::new(ObjectKind::Relation, name))
    }

    #[test]
    fn hints_say_what_would_be_permitted_or_whom_to_ask() {
        use Cause::{Approval, EvaluationError, Forbid, Lexing, NoPermit};
        let nothing = Instead::default;
        for (cause, action, instead, reason, want) in [
            (
                Approval,
                Action::Delete,
                nothing(),
                None,
                "Ask one of dba, owners, and tell them the request a.1/2.",
            ),
            (
                Forbid,
                Action::Delete,
                Instead {
                    is_filtered: true,
                    ..nothing()
                },
                None,
                "With a WHERE that names the rows it is permitted.",
            ),
            (
                NoPermit,
                Action::Read,
                Instead {
                    columns: vec!["id".into(), "name".into()],
                    ..nothing()
                },
                None,
                "Of the columns that it names these are permitted: id, name.",
            ),
            (
                NoPermit,
                Action::Opaque,
                nothing(),
                Some("unknown function f"),
                "What it would do cannot be told before it runs: unknown function f. Write it without that. Who owns the \
                 policy can permit it; tell them the request a.1/2.",
            ),
            (
                Forbid,
                Action::Drop,
                nothing(),
                None,
                "Trying it in another way will not help. Who owns the policy can permit it; tell them the request a.1/2.",
            ),
            (
                Lexing,
                Action::Set,
                nothing(),
                None,
                "Leave the setting as it is.",
            ),
            (
                Cause::Budget,
                Action::Read,
                nothing(),
                None,
                "There is room again in 200 s, about 4 minutes. Who owns the policy can raise the budget; tell them the request a.1/2.",
            ),
            (
                EvaluationError,
                Action::Read,
                nothing(),
                None,
                "The policy has a mistake: trying again will not help. Tell who owns it the request a.1/2.",
            ),
        ] {
            let denial = denial(cause, action);
            assert_eq!(
                hint(&denial, "a.1/2", &instead, reason),
                want,
                "{cause:?} {action:?}"
            );
        }
    }

    #[test]
    fn details_are_one_line_of_json_and_bounded() {
        let mut effects: Vec<Effect> = (0..40).map(|number| read(&format!("t{number}"))).collect();
        effects[0] = read(&"\u{e9}\n".repeat(500));
        effects[1] = read("of_another").with(EffectFlags::OTHER_USER);
        let text = detail(
            &denial(Cause::Approval, Action::Read),
            "a.1/2",
            &effects,
            Some("https://x.test/"),
        );
        assert!(!text.contains('\n') && text.len() < 8 * 1024, "{}", text.len());
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["effects"].as_array().map(Vec::len), Some(EFFECTS_MAX));
        assert_eq!(value["effects_left_out"], 39 - EFFECTS_MAX);
        assert_eq!(value["effects"][1], "Read relation t2");
        assert_eq!(value["approvers"], json!([["dba", "owners"]]));
        assert_eq!(value["documentation"], "https://x.test/");
        assert_eq!(value["request"], "a.1/2");
    }
}
