//! Replays the fuzz bodies: on real messages cut and changed at every byte, and on random bytes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::postgres::SqlState;
use crate::postgres::backend::TransactionStatus;
use crate::postgres::backend::encode::{self as backend_encode, Report};
use crate::postgres::frame::HEADER_BYTES;
use crate::postgres::frontend::encode as frontend_encode;
use crate::postgres::startup::CancelKey;

const BODIES: [fn(&[u8]); 6] = [
    fuzz_frames,
    fuzz_startup,
    fuzz_frontend,
    fuzz_backend,
    fuzz_model,
    fuzz_scram,
];

/// One message of each kind that we write, as a frame.
fn messages() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut add = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        all.push(out);
    };
    add(&|out| frontend_encode::query(out, b"select 1"));
    add(&|out| frontend_encode::parse(out, b"s", b"select $1", &[23, 0]));
    add(&|out| frontend_encode::bind(out, b"p", b"s", &[Some(b"x"), None]));
    add(&|out| frontend_encode::describe(out, frontend::Target::Portal(b"p")));
    add(&|out| frontend_encode::close(out, frontend::Target::Statement(b"s")));
    add(&|out| frontend_encode::execute(out, b"p", 7));
    add(&|out| frontend_encode::function_call(out, 0));
    add(&|out| frontend_encode::copy_fail(out, b"why"));
    add(&|out| frontend_encode::sync(out));
    add(&|out| frontend_encode::sasl_initial_response(out, b"SCRAM-SHA-256", b"n,,n=,r=abc"));
    add(&|out| backend_encode::authentication_sasl(out, &["SCRAM-SHA-256"]));
    add(&|out| backend_encode::authentication_md5(out, [1, 2, 3, 4]));
    add(&|out| {
        backend_encode::backend_key_data(
            out,
            CancelKey {
                process: 1,
                secret: 2,
            },
        );
    });
    add(&|out| backend_encode::parameter_status(out, b"TimeZone", b"UTC"));
    add(&|out| backend_encode::ready_for_query(out, TransactionStatus::Failed));
    add(&|out| backend_encode::command_complete(out, b"INSERT 0 5"));
    add(&|out| backend_encode::data_row(out, &[Some(b"abc"), None, Some(b"")]));
    add(&|out| {
        Report::error(SqlState::INSUFFICIENT_PRIVILEGE, "no")
            .detail("d")
            .hint("h")
            .encode(out);
    });
    add(&|out| {
        out.extend_from_slice(b"T\0\0\0\x1b\0\x01n\0\0\0\0\x01\0\x02\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0");
    });
    add(&|out| out.extend_from_slice(b"G\0\0\0\x09\0\0\x01\0\0"));
    add(&|out| startup::startup_message(out, [(&b"user"[..], &b"x"[..]), (b"options", b"-c a=b\\ c")]));
    add(&|out| {
        startup::cancel_request(
            out,
            CancelKey {
                process: 1,
                secret: 2,
            },
        );
    });
    add(&|out| startup::ssl_request(out));
    all
}

#[test]
fn real_messages_cut_and_changed_at_every_byte() {
    for message in messages() {
        for start in [0, HEADER_BYTES] {
            let input = message.get(start..).unwrap_or_default();
            for at in 0..=input.len() {
                for body in BODIES {
                    body(&input[..at]);
                }
                let mut changed = input.to_vec();
                for value in [0, 1, 0x7f, 0x80, 0xff] {
                    if let Some(byte) = changed.get_mut(at) {
                        *byte = value;
                        for body in BODIES {
                            body(&changed);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn dialogues_of_a_few_bytes() {
    for first in 0..=u8::MAX {
        for second in 0..=u8::MAX {
            // A Query, and what two messages can do to it.
            fuzz_model(&[0, first, second, 0x8e, 0x85]);
        }
    }
}

proptest! {
    #[test]
    fn random_bytes(data in vec(any::<u8>(), 0..200)) {
        for body in BODIES {
            body(&data);
        }
    }

    #[test]
    fn random_dialogues(data in vec(any::<u8>(), 0..400)) {
        fuzz_model(&data);
    }

    /// Rows of any values, with lengths that fit.
    #[test]
    fn random_rows(values in vec(proptest::option::of(vec(any::<u8>(), 0..20)), 0..8)) {
        let borrowed: Vec<_> = values.iter().map(Option::as_deref).collect();
        let mut frame = Vec::new();
        backend_encode::data_row(&mut frame, &borrowed);
        prop_assert_eq!(row_whole(&frame[HEADER_BYTES..]), Some(values));
        fuzz_backend(&frame[HEADER_BYTES..]);
    }
}
