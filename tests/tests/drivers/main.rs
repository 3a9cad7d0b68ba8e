//! Real drivers, ORMs and migration tools under the starter policies of `configs/policies`, on real servers.

mod application;
mod break_glass;
mod documents;
mod migrations;
mod read_only;
mod shared;
