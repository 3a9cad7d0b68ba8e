//! JSON web tokens.

/// The shortest header: fifteen characters of JSON cannot name an algorithm.
pub(crate) const HEADER_MIN: usize = 16;
/// The longest header that is recognised, a certificate chain included.
pub(crate) const HEADER_MAX: usize = 8192;
