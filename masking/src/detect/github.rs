//! GitHub tokens.

/// The fewest characters after `ghp_` and its like.
pub(crate) const SHORT_BODY_MIN: usize = 36;
/// The fewest characters after `github_pat_`.
pub(crate) const LONG_BODY_MIN: usize = 22;
