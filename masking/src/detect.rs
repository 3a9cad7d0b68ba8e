//! What is a hit, class by class: the facts, and the validators that run at candidates.

pub(crate) mod card;
pub(crate) mod email;
pub(crate) mod github;
pub(crate) mod iban;
pub(crate) mod jwt;
