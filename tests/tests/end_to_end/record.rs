//! Each statement is in the record, whatever happens to the gateway.
