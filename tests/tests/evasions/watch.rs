//! What changes behind the gateway.

use sluice_tests::probe::{Area, Difference, State, StateProbe};

use crate::bench::{BEHIND, Bench, scratch};

/// Compares the state of the server with what it was before.
pub(crate) struct Watch {
    probe: StateProbe,
    state: State,
}

impl Watch {
    pub(crate) fn new(bench: &Bench) -> Self {
        let mut probe = StateProbe::connect(&bench.postgres, BEHIND);
        probe.watch(&scratch());
        let state = probe.take();
        Self { probe, state }
    }

    /// What is other than it was when this was last asked.
    pub(crate) fn changes(&mut self) -> Vec<String> {
        let state = self.probe.take();
        let differences = self.state.differences(&state);
        self.state = state;
        let counted = differences.iter().filter(|difference| is_change(difference));
        counted.map(ToString::to_string).collect()
    }
}

/// Whether a difference is more than sessions that come and go, and what they look at.
fn is_change(difference: &Difference) -> bool {
    difference.area != Area::Session
        && !difference.is_release()
        && !(difference.area == Area::Lock && difference.name.contains("AccessShareLock"))
}
