//! The runtime on real sockets, files and threads.

mod cores;
mod files;
mod helpers;
mod mailboxes;
mod mappings;
mod sockets;
mod stress;
mod support;
mod tasks;
mod timers;
