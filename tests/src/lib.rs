//! End to end, against real servers and real clients.
