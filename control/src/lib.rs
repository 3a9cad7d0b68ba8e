//! Identity, metrics export and the control thread.
