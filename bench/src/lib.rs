//! Load generators, null back ends, floor and report.
