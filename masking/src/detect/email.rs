//! E-mail addresses.

/// The most bytes before the `@` that are masked: twice what RFC 5321 (4.5.3.1.1) allows.
pub(crate) const LOCAL_MAX: usize = 128;
/// The most bytes after the `@` that are read (RFC 5321, 4.5.3.1.2).
pub(crate) const DOMAIN_MAX: usize = 255;
/// How many backslashes before a local part are counted to tell an escape from an escaped backslash.
pub(crate) const BACKSLASHES_MAX: usize = 16;
