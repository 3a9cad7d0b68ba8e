//! Effects and identity to a decision, with Cedar.
