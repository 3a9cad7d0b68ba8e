//! What real clients send works as it does without the gateway.
