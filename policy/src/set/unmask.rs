//! Who may see values as they are, and by which policy.

use super::Policies;
use super::ask::Asker;
use super::decide::{Answer, Outcome, explained};
use super::question::{self, On, Question, Reach};
use crate::client::{Client, Moment};
use crate::decision::{Cause, Unmasking};
use crate::explain::Explained;
use crate::principal::Principal;
use crate::schema::UNMASK;

/// Whether values of a class may be seen as they are.
const fn of_class(class: &str) -> Question<'_> {
    Question {
        action: UNMASK,
        context: 0,
        filter: None,
        is_lexing: false,
        on: On::Class(class),
        reach: Reach::Itself,
    }
}

impl Policies {
    pub(super) fn unmasks(&self, who: &Principal, client: &Client, now: Moment, class: &str) -> Unmasking {
        let known = self.known(who);
        let answer = self.answer(&mut Asker::new(self, who, client, now, &known), &of_class(class));
        Unmasking {
            is_permitted: matches!(answer.outcome, Outcome::Permit),
            is_timed: answer.is_timed(),
        }
    }

    /// The request of [`Self::unmasks`], and which policies had a say in it.
    pub(super) fn explain_unmasking(
        &self,
        who: &Principal,
        client: &Client,
        now: Moment,
        class: &str,
    ) -> Explained {
        let known = self.known(who);
        let answer = self.answer(&mut Asker::new(self, who, client, now, &known), &of_class(class));
        of_answer(class, answer)
    }
}

/// The request where there are no policies: nothing permits it.
pub(super) fn unpermitted(class: &str) -> Explained {
    let outcome = Outcome::Deny {
        cause: Cause::NoPermit,
        rule: None,
        error: None,
        approval: None,
        severity: None,
    };
    let said = Vec::new();
    of_answer(class, Answer { outcome, said })
}

fn of_answer(class: &str, answer: Answer<'_>) -> Explained {
    explained(None, "Unmask", question::written("Class", class), answer)
}
