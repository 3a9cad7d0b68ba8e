//! From the text of a policy file to a checked set, or to every mistake in it.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{Effect, EntityUid, Policy, PolicyId, ValidationMode, ValidationWarning};

use super::Policies;
use super::conditions::{self, Misnomer};
use super::known::{ByPrincipal, is_group};
use super::rule::{self, Rule};
use super::statements::statements;
use super::tree::{NodeId, Tree};
use crate::annotations::Annotations;
use crate::budget::Measure;
use crate::client::Mentions;
use crate::errors::{Mistakes, PolicyErrors, Unplaced};
use crate::names::{self, Kind};
use crate::schema::{FILTER, UNMASK, VOCABULARY};

/// One policy of the file.
pub(super) struct Piece<'a> {
    pub(super) range: Range<usize>,
    pub(super) text: &'a str,
    pub(super) policy: Policy,
    /// The `@id`, or `policy0` and so on.
    pub(super) name: Arc<str>,
    pub(super) annotations: Annotations,
    mentions: Mentions,
}

pub(super) fn parse(source: &str, file: &str) -> Result<Policies, PolicyErrors> {
    pieces(source, file).map(assemble)
}

/// The policies of a file without a mistake.
pub(super) fn pieces<'a>(source: &'a str, file: &str) -> Result<Vec<Piece<'a>>, PolicyErrors> {
    let mut mistakes = Mistakes::new(file, source);
    let ranges = statements(source);
    let count = ranges.len();
    let pieces: Vec<_> = ranges
        .into_iter()
        .enumerate()
        .filter_map(|(number, range)| read_piece(source, number, range, &mut mistakes))
        .collect();
    check_names(&pieces, &mut mistakes);
    validate(&pieces, &mut mistakes);
    match cedar_policy::PolicySet::from_str(source) {
        Ok(whole) if whole.num_of_policies() == count => {}
        // The pieces are as good as the file, or the file is not good.
        Ok(_) if mistakes.is_empty() => {
            mistakes.note(
                0,
                0,
                "the policies of this file cannot be told apart".to_owned(),
                None,
                None,
            );
        }
        Err(errors) if mistakes.is_empty() => mistakes.note_diagnostic(0, &errors, |_| None),
        Ok(_) | Err(_) => {}
    }
    if mistakes.is_empty() {
        Ok(pieces)
    } else {
        Err(mistakes.into_errors())
    }
}

/// Reads one policy, with its annotations.
fn read_piece<'a>(
    source: &'a str,
    number: usize,
    range: Range<usize>,
    mistakes: &mut Mistakes,
) -> Option<Piece<'a>> {
    let text = &source[range.clone()];
    let default_name = format!("policy{number}");
    let policy = match Policy::parse(Some(PolicyId::new(&default_name)), text) {
        Ok(policy) => policy,
        Err(errors) => {
            mistakes.note_diagnostic(range.start, &errors, explain_syntax);
            return None;
        }
    };
    let mut annotations = Annotations::default();
    let mut refuse = |key: &str, mistake: Unplaced| {
        let (start, len) = annotation_place(text, key);
        mistakes.note_at(range.start + start, len, mistake);
    };
    let mut keys: Vec<_> = policy.annotations().collect();
    keys.sort_unstable();
    for (key, value) in &keys {
        if let Err(mistake) = annotations.take(key, value) {
            refuse(key, mistake);
        }
    }
    let found = conditions::look_through(&policy);
    for (key, _) in &keys {
        if let Some(mistake) = without_effect(key, &policy, &annotations, &found.mentions) {
            refuse(key, mistake);
        }
    }
    for Misnomer { about, mistake } in found.misnomers {
        let (start, len) = entity_place(text, &about);
        mistakes.note_at(range.start + start, len, mistake);
    }
    let name = annotations.id.clone().unwrap_or_else(|| default_name.into());
    Some(Piece {
        range,
        text,
        policy,
        name,
        annotations,
        mentions: found.mentions,
    })
}

/// Who writes an annotation expects it to do something.
fn without_effect(
    key: &str,
    policy: &Policy,
    annotations: &Annotations,
    mentions: &Mentions,
) -> Option<Unplaced> {
    match key {
        "approvers" if !mentions.approved => Some(Unplaced::new(
            "@approvers has no effect: no condition asks for an approval",
            "add `when { context.approved }` to a permit, or `unless { context.approved }` to a forbid",
        )),
        "ttl" if annotations.approvers.is_empty() => Some(Unplaced::new(
            "@ttl has no effect: it says how long an approval holds",
            "say with @approvers whose approval that is, or take @ttl out",
        )),
        "max_rows" | "max_bytes" | "max_time" | "max_affected" | "budget"
            if policy.effect() == Effect::Forbid =>
        {
            Some(Unplaced::new(
                format!("@{key} has no effect: a forbid lets nothing through"),
                "put it on the permit that lets the statement through",
            ))
        }
        "max_rows" | "max_bytes" | "max_time" | "max_affected" | "budget"
            if rule::actions(policy) == [UNMASK] =>
        {
            Some(Unplaced::new(
                format!("@{key} has no effect: Unmask permits no statement"),
                "put it on the permit that lets the statement through",
            ))
        }
        "budget" if annotations.id.is_none() => Some(Unplaced::new(
            "@budget needs an @id: what is used up is kept by the policy's name",
            "give the policy an @id, so that a reload finds the account whatever place it has in the file",
        )),
        "budget"
            if annotations
                .budgets
                .iter()
                .any(|budget| budget.measure == Measure::Probes)
                && !rule::actions(policy).contains(&FILTER) =>
        {
            Some(Unplaced::new(
                "@budget of probes has no effect: the policy permits no Filter",
                "put it on a permit of Action::\"Filter\": only what compares a protected column is a probe",
            ))
        }
        _ => None,
    }
}

/// Where `@key` stands in a policy's text.
pub(super) fn annotation_place(text: &str, key: &str) -> (usize, usize) {
    let written = format!("@{key}");
    text.find(&written).map_or((0, 0), |start| (start, written.len()))
}

/// Where an entity or a type stands in a policy's text, if it is written in the plain way.
pub(super) fn entity_place(text: &str, (of_type, id): &(String, Option<String>)) -> (usize, usize) {
    let written = match id {
        Some(id) => format!("{of_type}::{id:?}"),
        None => format!("is {of_type}"),
    };
    text.find(&written).map_or((0, 0), |start| (start, written.len()))
}

fn check_names(pieces: &[Piece<'_>], mistakes: &mut Mistakes) {
    let mut seen = HashSet::new();
    for piece in pieces {
        if !seen.insert(&piece.name) {
            let (start, len) = annotation_place(piece.text, "id");
            mistakes.note(
                piece.range.start + start,
                len,
                format!("@id(\"{}\") is another policy's as well", piece.name),
                None,
                Some("denials and records name policies by it: give each its own".to_owned()),
            );
        }
    }
}

/// Checks every piece against the schema.
fn validate(pieces: &[Piece<'_>], mistakes: &mut Mistakes) {
    for piece in pieces {
        let set =
            cedar_policy::PolicySet::from_policies([piece.policy.clone()]).expect("one policy has one id");
        let result = VOCABULARY.validator.validate(&set, ValidationMode::Strict);
        let base = piece.range.start;
        let mut refused = false;
        for error in result.validation_errors() {
            refused = true;
            mistakes.note_diagnostic(base, error, explain_schema);
        }
        for warning in result.validation_warnings() {
            let help = match warning {
                ValidationWarning::ImpossiblePolicy(_) | ValidationWarning::InvalidActionApplication(_) => {
                    // What follows from a mistake is not another one.
                    if std::mem::replace(&mut refused, true) {
                        continue;
                    }
                    "it would never apply: compare its actions with its resource and its conditions"
                }
                _ => "write it in plain letters of one script, so that it is what it looks like",
            };
            mistakes.note_diagnostic(base, warning, |_| Some(help.to_owned()));
        }
    }
}

fn explain_syntax(message: &str) -> Option<String> {
    message
        .contains("template")
        .then(|| "?principal and ?resource are for templates, which are not used here".to_owned())
}

fn explain_schema(message: &str) -> Option<String> {
    if message.contains("entity type `View`")
        || message.contains("entity type `Relation`")
        || message.contains("entity type `Sequence`")
    {
        return Some("relations of every kind are a Table".to_owned());
    }
    None
}

/// Puts checked pieces together. No mistake was found, so ids differ and can be read, and pieces are policies.
fn assemble(pieces: Vec<Piece<'_>>) -> Policies {
    let mut trees: Vec<Tree> = Vec::new();
    let mut tree_of: HashMap<Box<str>, usize> = HashMap::new();
    let mut by_principal = ByPrincipal::default();
    let mut node = |uid: &EntityUid| -> Option<(usize, NodeId)> {
        let kind = Kind::from_name(&uid.type_name().to_string())?;
        let named = names::read(kind, uid.id().as_ref()).ok()?;
        let tree = *tree_of.entry(named.database.into()).or_insert_with(|| {
            trees.push(Tree::default());
            trees.len() - 1
        });
        let parts: Vec<&str> = named.parts.iter().map(|part| &**part).collect();
        Some((tree, trees.get_mut(tree)?.add(named.database, kind, &parts)))
    };
    let mut rules = Vec::with_capacity(pieces.len());
    for (place, piece) in pieces.into_iter().enumerate() {
        let Piece {
            policy,
            name,
            annotations,
            mentions,
            ..
        } = piece;
        by_principal.add(place, rule::principal(&policy));
        policy
            .entity_literals()
            .iter()
            .filter(|uid| is_group(uid))
            .for_each(|uid| by_principal.add_group(uid));
        rules.push(Rule::new(&policy, name, annotations, mentions, &mut node));
    }
    Policies::new(rules, by_principal, trees, tree_of)
}
