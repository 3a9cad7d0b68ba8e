//! Detectors, transforms and the streaming masker.
