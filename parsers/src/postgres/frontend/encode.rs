//! Messages that the gateway itself sends to a server. Each function appends one frame.

use super::{Target, name_key};
use crate::postgres::writer::{count, frame, string};

/// Appends a Query.
pub fn query(out: &mut Vec<u8>, sql: &[u8]) {
    frame(out, b'Q', |body| string(body, sql));
}

/// Appends a Parse.
pub fn parse(out: &mut Vec<u8>, name: &[u8], sql: &[u8], parameter_types: &[u32]) {
    frame(out, b'P', |body| {
        string(body, name);
        string(body, sql);
        count(body, parameter_types.len());
        for oid in parameter_types {
            body.extend_from_slice(&oid.to_be_bytes());
        }
    });
}

/// Appends a Bind of text parameters with text results.
pub fn bind(out: &mut Vec<u8>, portal: &[u8], statement: &[u8], parameters: &[Option<&[u8]>]) {
    frame(out, b'B', |body| {
        string(body, portal);
        string(body, statement);
        count(body, 0);
        count(body, parameters.len());
        for parameter in parameters {
            match parameter {
                None => body.extend_from_slice(&(-1_i32).to_be_bytes()),
                Some(value) => {
                    let len = i32::try_from(value.len()).expect("a value of our own is short");
                    body.extend_from_slice(&len.to_be_bytes());
                    body.extend_from_slice(value);
                }
            }
        }
        count(body, 0);
    });
}

/// Appends a Describe.
pub fn describe(out: &mut Vec<u8>, target: Target<'_>) {
    named(out, b'D', target);
}

/// Appends a Close.
pub fn close(out: &mut Vec<u8>, target: Target<'_>) {
    named(out, b'C', target);
}

fn named(out: &mut Vec<u8>, tag: u8, target: Target<'_>) {
    let (kind, name) = match target {
        Target::Statement(name) => (b'S', name),
        Target::Portal(name) => (b'P', name),
    };
    frame(out, tag, |body| {
        body.push(kind);
        string(body, name_key(name));
    });
}

/// Appends an Execute.
pub fn execute(out: &mut Vec<u8>, portal: &[u8], rows_max: i32) {
    frame(out, b'E', |body| {
        string(body, portal);
        body.extend_from_slice(&rows_max.to_be_bytes());
    });
}

/// Appends a `FunctionCall` without arguments; of OID 0 it is the call that must fail.
pub fn function_call(out: &mut Vec<u8>, function: u32) {
    frame(out, b'F', |body| {
        body.extend_from_slice(&function.to_be_bytes());
        body.extend_from_slice(&[0; 6]);
    });
}

/// Appends a Sync.
pub fn sync(out: &mut Vec<u8>) {
    frame(out, b'S', |_| ());
}

/// Appends a Flush.
pub fn flush(out: &mut Vec<u8>) {
    frame(out, b'H', |_| ());
}

/// Appends a `CopyData`.
pub fn copy_data(out: &mut Vec<u8>, data: &[u8]) {
    frame(out, b'd', |body| body.extend_from_slice(data));
}

/// Appends a `CopyDone`.
pub fn copy_done(out: &mut Vec<u8>) {
    frame(out, b'c', |_| ());
}

/// Appends a `CopyFail`.
pub fn copy_fail(out: &mut Vec<u8>, reason: &[u8]) {
    frame(out, b'f', |body| string(body, reason));
}

/// Appends a Terminate.
pub fn terminate(out: &mut Vec<u8>) {
    frame(out, b'X', |_| ());
}

/// Appends a `PasswordMessage`. The caller wipes `out`.
pub fn password(out: &mut Vec<u8>, password: &[u8]) {
    frame(out, b'p', |body| string(body, password));
}

/// Appends a `SASLInitialResponse`.
pub fn sasl_initial_response(out: &mut Vec<u8>, mechanism: &[u8], data: &[u8]) {
    frame(out, b'p', |body| {
        string(body, mechanism);
        let len = i32::try_from(data.len()).expect("a message of our own is short");
        body.extend_from_slice(&len.to_be_bytes());
        body.extend_from_slice(data);
    });
}

/// Appends a `SASLResponse`.
pub fn sasl_response(out: &mut Vec<u8>, data: &[u8]) {
    frame(out, b'p', |body| body.extend_from_slice(data));
}
