//! Sessions: TLS, cancels, many of them, slow ones, and how they end.
