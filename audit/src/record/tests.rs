//! Records there and back, cut values, unknown kinds and fields, and bytes that are no records.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn encoded(record: &Record<'_>, sequence: u64, text_len_max: usize) -> Vec<u8> {
    Encoder::new().encode(record, sequence, text_len_max).to_vec()
}

fn record(body: Body<'_>) -> Record<'_> {
    Record {
        time_ns: 1,
        session: 2,
        statement: 3,
        body,
    }
}

/// Puts a length and a checksum on whatever the fields are.
fn forged(kind: u16, fields: &[u8]) -> Vec<u8> {
    let mut bytes = encoded(&record(Body::Unknown { kind }), 9, 0);
    bytes.truncate(HEADER_LEN);
    bytes.extend_from_slice(fields);
    let length = u32::try_from(bytes.len()).expect("short");
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    let crc = crc32c(&bytes[8..]);
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

fn field(tag: u8, value: &[u8]) -> Vec<u8> {
    let word = u32::from(tag) | u32::try_from(value.len()).expect("short") << 8;
    [&word.to_le_bytes(), value].concat()
}

#[test]
fn every_body_comes_back() {
    let groups = ListBuffer::of(["crew", "pii-readers", ""]);
    let startup = ListBuffer::of(["user", "token", "database", "orders"]);
    let effects = ListBuffer::of(["Delete relation public.customers [unfiltered]"]);
    for (name, body) in [
        ("empty session start", Body::SessionStart(SessionStart::default())),
        (
            "session start",
            Body::SessionStart(SessionStart {
                issuer: "https://issuer.example",
                subject: "agent-7",
                method: Method::Oidc,
                groups: groups.as_list(),
                claims: br#"{"sub":"agent-7"}"#,
                client: "127.0.0.1:54321",
                listener: "main",
                connection: "orders",
                database: b"shop\xff",
                server_user: "gateway",
                startup: startup.as_list(),
                tls: "TLSv1.3 TLS_AES_128_GCM_SHA256",
                application_name: b"psql",
                cut: Cut {
                    groups: true,
                    ..Cut::default()
                },
                form: FORM,
            }),
        ),
        (
            "session end",
            Body::SessionEnd(SessionEnd {
                reason: EndReason::ServerGone,
                detail: "connection reset",
                statements: 3,
                denied: 1,
                rows: 4,
                bytes: 5,
                masked: [1, 0, 0, 0, 0, 0, 0, 9],
            }),
        ),
        ("empty begin", Body::StatementBegin(StatementBegin::default())),
        (
            "begin",
            Body::StatementBegin(StatementBegin {
                protocol: Protocol::Execute,
                part: 2,
                text: b"DELETE FROM customers",
                actions: 1 << 4,
                flags: 1,
                effects: effects.as_list(),
                decision: Decision::Deny,
                policy: "no-delete",
                message: "ask first",
                asks_more: true,
                severity: Severity::High,
                ..StatementBegin::default()
            }),
        ),
        (
            "begin with a prefix of its text",
            Body::StatementBegin(StatementBegin {
                text: b"SELECT",
                text_len: 5_000_000,
                text_hash: Some([5; 32]),
                ..StatementBegin::default()
            }),
        ),
        ("empty end", Body::StatementEnd(StatementEnd::default())),
        (
            "end",
            Body::StatementEnd(StatementEnd {
                outcome: Outcome::Failed,
                sqlstate: Some(*b"42P01"),
                rows: u64::MAX,
                bytes: 1 << 40,
                masked: [u64::MAX; 8],
                gateway_ns: 1,
                upstream_ns: 2,
            }),
        ),
        (
            "event",
            Body::Event(Event {
                event: EventKind::HostileInput,
                text: b"\0\xff",
                client: "[::1]:1",
                subject: b"root",
                connection: "orders",
                severity: Severity::Critical,
                first_sequence: 3,
            }),
        ),
        (
            "seal",
            Body::Seal(Seal {
                cause: SealCause::Recovered,
            }),
        ),
        ("unknown", Body::Unknown { kind: 77 }),
    ] {
        let record = record(body);
        let bytes = encoded(&record, 11, TEXT_LEN_MAX);
        assert_eq!(decode(&bytes), Ok((11, record, bytes.len())), "{name}");
        assert_eq!(check(&bytes), Ok((11, bytes.len())), "{name}");
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut]).is_err(), "{name} cut at {cut}");
        }
    }
}

#[test]
fn long_values_are_cut() {
    let text = "select ".repeat(20_000).into_bytes();
    let long = "é".repeat(3000);
    for (name, text_len_max, want) in [
        ("configured", 100, 100),
        ("nothing", 0, 0),
        ("more than there can be", usize::MAX, TEXT_LEN_MAX),
    ] {
        let begin = StatementBegin {
            text: &text,
            policy: &long,
            ..StatementBegin::default()
        };
        let bytes = encoded(&record(Body::StatementBegin(begin)), 1, text_len_max);
        let Ok((
            _,
            Record {
                body: Body::StatementBegin(found),
                ..
            },
            _,
        )) = decode(&bytes)
        else {
            panic!("{name}");
        };
        assert_eq!(found.text, &text[..want], "{name}");
        assert_eq!(found.text_len, text.len() as u64, "{name}");
        assert_eq!(found.text_hash, Some(*blake3::hash(&text).as_bytes()), "{name}");
        assert_eq!(found.whole_text_hash(), begin.whole_text_hash(), "{name}");
        assert!(
            long.starts_with(found.policy) && found.policy.len() >= VALUE_LEN_MAX - 3,
            "{name}"
        );
    }
}

#[test]
fn the_longest_records_fit() {
    let text = vec![b'x'; 1 << 20];
    let long = "y".repeat(100_000);
    let mut list = ListBuffer::new();
    while list.push(&[b'z'; 100]) {}
    assert!(
        list.is_cut() && !list.push(b""),
        "a list is a prefix of what was pushed"
    );
    let begin = StatementBegin {
        protocol: Protocol::Simple,
        part: 9,
        text: &text,
        actions: u32::MAX,
        flags: u32::MAX,
        effects: list.as_list(),
        decision: Decision::Deny,
        policy: &long,
        message: &long,
        asks_more: true,
        ..StatementBegin::default()
    };
    let start = SessionStart {
        issuer: &long,
        subject: &long,
        method: Method::Oidc,
        groups: list.as_list(),
        claims: &text,
        client: &long,
        listener: &long,
        connection: &long,
        database: &text,
        server_user: &long,
        startup: list.as_list(),
        tls: &long,
        application_name: &text,
        cut: Cut {
            claims: true,
            groups: true,
            startup: true,
        },
        form: u8::MAX,
    };
    let session_end = SessionEnd {
        reason: EndReason::Panicked,
        detail: &long,
        statements: u64::MAX,
        denied: u64::MAX,
        rows: u64::MAX,
        bytes: u64::MAX,
        masked: [u64::MAX; 8],
    };
    let end = StatementEnd {
        outcome: Outcome::Failed,
        sqlstate: Some([b'x'; 5]),
        rows: u64::MAX,
        bytes: u64::MAX,
        masked: [u64::MAX; 8],
        gateway_ns: u64::MAX,
        upstream_ns: u64::MAX,
    };
    let event = Event {
        event: EventKind::Panic,
        text: &text,
        client: &long,
        subject: &text,
        connection: &long,
        severity: Severity::Info,
        first_sequence: 1,
    };
    for (name, body, len_max) in [
        ("begin", Body::StatementBegin(begin), RECORD_LEN_MAX),
        ("session start", Body::SessionStart(start), RECORD_LEN_MAX),
        ("event", Body::Event(event), RECORD_LEN_MAX),
        ("end", Body::StatementEnd(end), END_LEN_MAX),
        ("session end", Body::SessionEnd(session_end), SESSION_END_LEN_MAX),
    ] {
        let bytes = encoded(&record(body), 1, usize::MAX);
        assert!(bytes.len() <= len_max, "{name}: {}", bytes.len());
        assert!(decode(&bytes).is_ok(), "{name}");
    }
}

#[test]
fn what_a_later_version_adds_is_skipped() {
    let end = StatementEnd {
        outcome: Outcome::Completed,
        rows: 5,
        ..StatementEnd::default()
    };
    for (name, kind, fields, want) in [
        ("unknown kind", 500, field(1, b"x"), Body::Unknown { kind: 500 }),
        (
            "unknown field between known ones",
            4,
            [
                field(20, &[1]),
                field(200, b"anything"),
                field(22, &5_u64.to_le_bytes()),
            ]
            .concat(),
            Body::StatementEnd(end),
        ),
        (
            "an integer that grew",
            4,
            [field(20, &[1, 7]), field(22, &5_u128.to_le_bytes())].concat(),
            Body::StatementEnd(end),
        ),
        (
            "an outcome of a later version",
            4,
            field(20, &[99]),
            Body::StatementEnd(StatementEnd {
                outcome: Outcome::Other,
                ..StatementEnd::default()
            }),
        ),
        (
            "a class of a later version",
            4,
            [
                field(20, &[1]),
                field(22, &5_u64.to_le_bytes()),
                field(24, &[8, 1, 0, 0, 0, 0, 0, 0, 0]),
            ]
            .concat(),
            Body::StatementEnd(end),
        ),
    ] {
        let bytes = forged(kind, &fields);
        assert_eq!(
            decode(&bytes).map(|(_, record, _)| record.body),
            Ok(want),
            "{name}"
        );
    }
}

#[test]
fn malformed_records() {
    let good = encoded(&record(Body::StatementEnd(StatementEnd::default())), 1, 0);
    let changed = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    let length = |length, available| RecordError::Length { length, available };
    for (name, bytes, want) in [
        ("nothing", vec![], length(0, 0)),
        ("uncommitted", vec![0; 64], length(0, 64)),
        ("shorter than a header", changed(0, 43), length(43, good.len())),
        ("longer than there is", changed(0, 255), length(255, good.len())),
        (
            "longer than can be",
            changed(2, 255),
            length(0x00ff_0031, good.len()),
        ),
        (
            "field longer than the record",
            forged(4, &[20, 2, 0, 0, 1]),
            RecordError::Field {
                tag: 20,
                length: 2,
                available: 1,
            },
        ),
        (
            "field cut in its word",
            forged(4, &[20, 1]),
            RecordError::Field {
                tag: 20,
                length: 0,
                available: 2,
            },
        ),
        (
            "not UTF-8",
            forged(3, &field(10, b"\xff")),
            RecordError::Text { tag: 10 },
        ),
    ] {
        assert_eq!(decode(&bytes).map(|_| ()), Err(want), "{name}");
    }
    for (at, byte) in good.iter().enumerate().skip(4) {
        // Padding is behind the checksum: a segment's hash covers it.
        let is_padding = at >= HEADER_LEN + 5;
        assert_eq!(decode(&changed(at, byte ^ 1)).is_ok(), is_padding, "byte {at}");
    }
}

#[test]
fn fuzz_bodies_take_anything() {
    let good = encoded(&record(Body::StatementEnd(StatementEnd::default())), 1, 0);
    for bytes in [&[][..], &[0; 100], &[0xff; 100], &good, &good[HEADER_LEN..]] {
        fuzz_record(bytes);
    }
}

proptest! {
    #[test]
    fn any_begin_comes_back(
        text in vec(any::<u8>(), 0..300),
        text_len_max in 0_usize..400,
        lines in vec("\\PC{0,10}", 0..4),
        policy in "\\PC{0,40}",
        actions in any::<u32>(),
        ids in any::<(u64, u64, u64, u64)>(),
    ) {
        let effects = ListBuffer::of(&lines);
        let begin = StatementBegin {
            text: &text,
            actions,
            effects: effects.as_list(),
            policy: &policy,
            decision: Decision::Allow,
            ..StatementBegin::default()
        };
        let (sequence, time_ns, session, statement) = ids;
        let record = Record { time_ns, session, statement, body: Body::StatementBegin(begin) };
        let bytes = encoded(&record, sequence, text_len_max);
        let is_cut = text.len() > text_len_max;
        let want = Record {
            body: Body::StatementBegin(StatementBegin {
                text: &text[..text.len().min(text_len_max)],
                text_len: if is_cut { text.len() as u64 } else { 0 },
                text_hash: is_cut.then(|| *blake3::hash(&text).as_bytes()),
                ..begin
            }),
            ..record
        };
        prop_assert_eq!(decode(&bytes), Ok((sequence, want, bytes.len())));
    }

    #[test]
    fn any_bytes_are_answered(bytes in vec(any::<u8>(), 0..300)) {
        fuzz_record(&bytes);
    }
}
