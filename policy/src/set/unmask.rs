//! Who may see values as they are, and by which policy.

use std::sync::Arc;

use super::Policies;
use super::ask::{Asker, Said};
use super::question::{self, On, Question, Reach};
use crate::client::{Client, Moment};
use crate::decision::Cause;
use crate::explain::{Explained, Opinion, Word};
use crate::principal::Principal;
use crate::schema::UNMASK;

impl Policies {
    /// The request of [`Self::unmasks`], and which policies had a say in it.
    pub(super) fn explain_unmasking(
        &self,
        who: &Principal,
        client: &Client,
        now: Moment,
        class: &str,
    ) -> Explained {
        let known = self.known(who);
        let question = Question {
            action: UNMASK,
            context: 0,
            filter: None,
            is_lexing: false,
            on: On::Class(class),
            reach: Reach::Itself,
        };
        let said = Asker::new(self, who, client, now, &known).ask(&self.rules, &question, false);
        let is_error = |said: &Said<'_>| matches!(said.word, Word::Error(_));
        let forbids = |said: &Said<'_>| said.rule.is_forbid && said.word == Word::Applies;
        let cause = match self.unmasks(who, client, now, class).is_permitted {
            true => None,
            false if said.iter().any(is_error) => Some(Cause::EvaluationError),
            false if said.iter().any(forbids) => Some(Cause::Forbid),
            false => Some(Cause::NoPermit),
        };
        let opinions = said.into_iter().map(|said| Opinion {
            policy: Arc::clone(&said.rule.name),
            is_forbid: said.rule.is_forbid,
            word: said.word,
        });
        explained(class, cause, opinions.collect())
    }
}

/// The request on a class.
pub(super) fn explained(class: &str, cause: Option<Cause>, opinions: Vec<Opinion>) -> Explained {
    Explained {
        effect: None,
        action: "Unmask",
        resource: question::written("Class", class),
        cause,
        approval: None,
        opinions,
    }
}
