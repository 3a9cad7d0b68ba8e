//! One executor and one ring a core.
