//! Sessions, the gate, the ring log and metrics, over the runtime.
