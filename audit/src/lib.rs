//! Audit record format, ring, segments, hash chain and readers.
