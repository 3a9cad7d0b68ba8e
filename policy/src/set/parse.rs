//! From the text of a policy file to a checked set, or to every mistake in it.

use std::collections::HashSet;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{Authorizer, Policy, PolicyId, ValidationMode, ValidationWarning};

use super::Policies;
use super::rule::Rule;
use super::statements::statements;
use crate::errors::{Mistakes, PolicyErrors};
use crate::schema::VOCABULARY;

/// The longest `@id`.
const ID_BYTES_MAX: usize = 128;
/// The longest `@message`: it becomes the message of an error.
const MESSAGE_BYTES_MAX: usize = 1024;
/// Annotations with a meaning. Any other is refused: who writes one expects it to do something.
const ANNOTATIONS: [&str; 2] = ["id", "message"];
/// Types that policies of a later version will name.
const LATER_TYPES: [&str; 10] = [
    "Table",
    "View",
    "Relation",
    "Schema",
    "Column",
    "Function",
    "Class",
    "Role",
    "Sequence",
    "Extension",
];

/// One policy of the file.
struct Piece<'a> {
    range: Range<usize>,
    text: &'a str,
    policy: Policy,
    name: Arc<str>,
    message: Option<Arc<str>>,
}

pub(super) fn parse(source: &str, file: &str) -> Result<Policies, PolicyErrors> {
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
        Ok(assemble(&pieces))
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
    for (key, value) in policy.annotations() {
        if let Some((message, help)) = refuse_annotation(key, value) {
            let (start, len) = annotation_place(text, key);
            mistakes.note(range.start + start, len, message, None, Some(help));
        }
    }
    let name = policy.annotation("id").unwrap_or(&default_name).into();
    let message = policy.annotation("message").map(Arc::from);
    Some(Piece {
        range,
        text,
        policy,
        name,
        message,
    })
}

/// What is wrong with an annotation, and what to do.
fn refuse_annotation(key: &str, value: &str) -> Option<(String, String)> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
    match key {
        "id" if value.is_empty() || value.len() > ID_BYTES_MAX || !value.bytes().all(plain) => Some((
            format!("@id({value:?}) is no name for a policy"),
            format!("use 1 to {ID_BYTES_MAX} letters, digits and any of - _ . : /"),
        )),
        "id" if is_default_name(value) => Some((
            format!("@id({value:?}) is what a policy without @id is called"),
            "give it a name that says what it is for".to_owned(),
        )),
        "message"
            if value.is_empty() || value.len() > MESSAGE_BYTES_MAX || value.chars().any(char::is_control) =>
        {
            Some((
                "@message is no message for a client".to_owned(),
                format!("use one line of 1 to {MESSAGE_BYTES_MAX} bytes"),
            ))
        }
        key if ANNOTATIONS.contains(&key) => None,
        "approvers" | "ttl" | "max_affected" => Some((
            format!("@{key} has no effect: this version does not hold statements for approval"),
            "take the annotation out, and permit or forbid".to_owned(),
        )),
        key => Some((
            format!("@{key} is not known"),
            "known are @id and @message; a comment begins with //".to_owned(),
        )),
    }
}

fn is_default_name(name: &str) -> bool {
    name.strip_prefix("policy")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Where `@key` stands in a policy's text.
fn annotation_place(text: &str, key: &str) -> (usize, usize) {
    let written = format!("@{key}");
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
    let named = |name: &&&str| message.contains(&format!("entity type `{name}`"));
    if let Some(name) = LATER_TYPES.iter().find(named) {
        return Some(format!(
            "this version decides on connections, databases and settings; {name} needs names resolved as the server \
             does, which a later version brings"
        ));
    }
    if message.contains("approved") {
        return Some("this version does not hold statements for approval".to_owned());
    }
    None
}

/// Puts checked pieces together. No mistake was found, so ids differ and pieces are policies.
fn assemble(pieces: &[Piece<'_>]) -> Policies {
    let rules: Vec<_> = pieces
        .iter()
        .map(|piece| Rule::new(&piece.policy, Arc::clone(&piece.name), piece.message.clone()))
        .collect();
    let by_action = std::array::from_fn(|number| {
        let action = &VOCABULARY.actions[number];
        (0..rules.len())
            .filter(|place| rules[*place].may_name(action))
            .collect()
    });
    Policies {
        rules,
        by_action,
        authorizer: Authorizer::new(),
    }
}
