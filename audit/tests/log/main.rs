//! The log as a whole: ring, segments, recovery and readers on files.

mod kill;
mod live;
mod readers;
mod support;
mod tamper;
