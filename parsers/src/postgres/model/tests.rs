//! Tables of dialogues. `>` is a message of the client, numbered from 0; `<` one of the server.
//!
//! What is wanted is one word for each message of the server: the owner's number, with `.` if it is its last reply and
//! `-` for nobody; `/n` is the statement inside of a Query if it is not 0; `(n)` is a tag that was dropped with it. A
//! message of the client that is not queued gives `skip:n` or `silent:n`, an error `!` and its name, and is the end.

use super::*;

const SYNTAX: &[u8] = b"SFEHLER\0VERROR\0C42601\0Mx\0\0";
const VIOLATION: &[u8] = b"SFEHLER\0VERROR\0C08P01\0Mx\0\0";
const TIME_OUT: &[u8] = b"SFEHLER\0VERROR\0C57014\0Mx\0\0";
const FATAL: &[u8] = b"SFATAL\0VFATAL\0C57P01\0Mx\0\0";

fn kind_of(word: &str) -> Sent {
    match word {
        "Q" => Sent::Query,
        "P" => Sent::Parse,
        "B" => Sent::Bind,
        "Ds" => Sent::DescribeStatement,
        "Dp" => Sent::DescribePortal,
        "E" => Sent::Execute,
        "C" => Sent::Close,
        "H" => Sent::Flush,
        "S" => Sent::Sync,
        "F" => Sent::FunctionCall,
        "d" => Sent::CopyData,
        "c" => Sent::CopyDone,
        "f" => Sent::CopyFail,
        other => panic!("no such message: {other}"),
    }
}

fn play(script: &str) -> (Vec<String>, Model<u32>) {
    let mut model = Model::new();
    let mut seen = Vec::new();
    let mut number = 0;
    for word in script.split_whitespace() {
        let error = if let Some(kind) = word.strip_prefix('>') {
            let placed = model.sent(kind_of(kind), number);
            number += 1;
            match placed {
                Ok(Placed::Queued) => continue,
                Ok(Placed::Skipped(tag)) => {
                    seen.push(format!("skip:{tag}"));
                    continue;
                }
                Ok(Placed::Silent(tag)) => {
                    seen.push(format!("silent:{tag}"));
                    continue;
                }
                Err(error) => error,
            }
        } else {
            let (tag, body) = match word {
                "<Z" | "<Zi" => (b'Z', &b"I"[..]),
                "<Zt" => (b'Z', &b"T"[..]),
                "<Ze" => (b'Z', &b"E"[..]),
                "<E" => (b'E', SYNTAX),
                "<Etime" => (b'E', TIME_OUT),
                "<Eviolation" => (b'E', VIOLATION),
                "<Efatal" => (b'E', FATAL),
                word => (word.as_bytes()[1], &b""[..]),
            };
            let mut dropped = Vec::new();
            match model.received(tag, body, |tag| dropped.push(format!("({tag})"))) {
                Ok(reply) => {
                    let owner = match reply.owner {
                        Owner::Nobody => "-".to_owned(),
                        Owner::Open(tag) => tag.to_string(),
                        Owner::Done(tag) => format!("{tag}."),
                    };
                    let statement = match (reply.role, reply.statement) {
                        (Role::ReadyForQuery(_), _) | (_, 0) => String::new(),
                        (_, statement) => format!("/{statement}"),
                    };
                    seen.push(format!("{owner}{statement}{}", dropped.concat()));
                    continue;
                }
                Err(error) => error,
            }
        };
        let name = format!("{error:?}");
        seen.push(format!("!{}", name.split([' ', '{']).next().unwrap_or_default()));
        break;
    }
    (seen, model)
}

#[track_caller]
fn check(rows: &[(&str, &str, &str)]) {
    for (name, script, want) in rows {
        let (seen, _) = play(script);
        assert_eq!(
            seen,
            want.split_whitespace().collect::<Vec<_>>(),
            "{name}: {script}"
        );
    }
}

#[test]
fn simple_queries() {
    check(&[
        ("rows", ">Q <T <D <D <C <Z", "0 0 0 0 0."),
        ("no rows", ">Q <C <Z", "0 0."),
        ("empty text", ">Q <I <Z", "0 0."),
        ("three statements", ">Q <C <T <D <C <C <Z", "0 0/1 0/1 0/1 0/2 0."),
        (
            "two row sets of a rule in one statement",
            ">Q <T <D <T <D <C <Z",
            "0 0 0 0 0 0.",
        ),
        ("failure at once", ">Q <E <Z", "0 0."),
        (
            "failure in the second statement",
            ">Q <C <T <D <E <Z",
            "0 0/1 0/1 0/1 0.",
        ),
        ("failure at the commit", ">Q <C <E <Z", "0 0/1 0."),
        ("failure of the clean-up too", ">Q <E <E <Z", "0 0 0."),
        ("two in a row", ">Q >Q <C <Z <C <Z", "0 0. 1 1."),
        ("the second fails", ">Q >Q <C <Z <E <Z", "0 0. 1 1."),
        ("row without description", ">Q <D", "!Unexpected"),
        ("end without a statement", ">Q <Z", "!Unexpected"),
        ("end within rows", ">Q <T <D <Z", "0 0 !Unexpected"),
        ("empty text after a statement", ">Q <C <I", "0 !Unexpected"),
        ("suspended", ">Q <T <D <s", "0 0 !Unexpected"),
        ("answer of another kind", ">Q <1", "!Unexpected"),
        ("nothing was sent", "<C", "!Unexpected"),
        ("one end too many", ">Q <C <Z <Z", "0 0. !Unexpected"),
        ("rows after the end", ">Q <T <C <Z <D", "0 0 0. !Unexpected"),
    ]);
}

#[test]
fn extended_queries() {
    check(&[
        (
            "the usual pipeline",
            ">P >B >Ds >Dp >E >C >S <1 <2 <t <T <T <D <D <C <3 <Z",
            "0. 1. 2 2. 3. 4 4 4. 5. 6.",
        ),
        ("no data", ">Ds >Dp >S <t <n <n <Z", "0 0. 1. 2."),
        ("portal suspended", ">E >E >S <D <s <D <C <Z", "0 0. 1 1. 2."),
        ("suspended without rows", ">E >S <s <Z", "0. 1."),
        ("empty text", ">P >B >E >S <1 <2 <I <Z", "0. 1. 2. 3."),
        (
            "error drops up to Sync",
            ">P >B >E >S >P >S <E <Z <1 <Z",
            "0.(1)(2) 3. 4. 5.",
        ),
        (
            "error without Sync drops what comes",
            ">P >B <E >E >Q >F >S <Z",
            "0.(1) skip:2 skip:3 skip:4 5.",
        ),
        ("Query is discarded too", ">P >Q >S <E <Z", "0.(1) 2."),
        (
            "error between parameters and columns",
            ">Ds >S <t <E <Z",
            "0 0. 1.",
        ),
        ("error within rows", ">E >E >S <D <E <Z", "0 0.(1) 2."),
        ("error of the Sync itself", ">E >S <C <E <Z", "0. 1 1."),
        ("Query ends the run", ">P >Q >S <1 <C <Z <Z", "0. 1 1. 2."),
        (
            "Query fails in a run and nothing is skipped",
            ">P >Q >P >S <1 <E <Z <1 <Z",
            "0. 1 1. 2. 3.",
        ),
        ("two Syncs", ">S >S <Z <Z", "0. 1."),
        ("columns in an Execute", ">E <T", "!Unexpected"),
        ("columns before the parameters", ">Ds <T", "!Unexpected"),
        ("another's answer", ">P >B <2", "!Unexpected"),
        ("end in place of an answer", ">P >S <Z", "!Unexpected"),
        ("error after a skip began", ">P <E <E", "0. !Unexpected"),
        ("end while skipping", ">P <E <Z", "0. !Unexpected"),
    ]);
}

#[test]
fn function_calls() {
    check(&[
        ("result", ">F <V <Z", "0 0."),
        ("failure", ">F <E <Z", "0 0."),
        ("failure at the commit", ">F <V <E <Z", "0 0 0."),
        ("end without result", ">F <Z", "!Unexpected"),
        ("two results", ">F <V <V", "0 !Unexpected"),
        ("failure skips nothing", ">F >Q <E <Z <C <Z", "0 0. 1 1."),
    ]);
}

#[test]
fn unasked_messages() {
    check(&[
        ("idle", "<N <S <A", "- - -"),
        (
            "everywhere",
            ">Q <N <T <A <D <S <D <N <C <N <Z",
            "- 0 - 0 - 0 - 0 - 0.",
        ),
        ("in COPY", ">Q <H <N <d <S <d <c <C <Z", "0 - 0 - 0 0 0 0."),
        ("while skipping", ">P <E <N >S <N <Z", "0. - - 1."),
        ("fatal when idle", "<Efatal", "-"),
        (
            "fatal in rows, and rows after it",
            ">Q <T <Efatal <D",
            "0 0 !Ended",
        ),
        ("fatal, and more sent", "<Efatal >Q", "- !Ended"),
        ("fatal, and a notice", "<Efatal <N", "- !Ended"),
        ("error when idle", "<E", "!Unexpected"),
        ("authentication", ">Q <R", "!Unexpected"),
        ("key data", ">Q <K", "!Unexpected"),
        ("negotiation", ">Q <v", "!Unexpected"),
        ("unknown", ">Q <x", "!Unexpected"),
        ("replication", ">Q <W", "!Replication"),
    ]);
}

#[test]
fn copy_out() {
    check(&[
        ("in a Query", ">Q <H <d <d <c <C <Z", "0 0 0 0 0 0."),
        ("empty", ">Q <H <c <C <Z", "0 0 0 0."),
        (
            "between statements",
            ">Q <C <H <d <c <C <C <Z",
            "0 0/1 0/1 0/1 0/1 0/2 0.",
        ),
        ("in an Execute", ">E >S <H <d <c <C <Z", "0 0 0 0. 1."),
        ("fails", ">Q <H <d <E <Z", "0 0 0 0."),
        ("fails in an Execute", ">E >E >S <H <d <E <Z", "0 0 0.(1) 2."),
        ("complete without an end", ">Q <H <d <C", "0 0 !Unexpected"),
        ("data behind the end", ">Q <H <c <d", "0 0 !Unexpected"),
        ("data without a begin", ">Q <d", "!Unexpected"),
        ("row within", ">Q <H <D", "0 !Unexpected"),
    ]);
}

#[test]
fn copy_in() {
    check(&[
        (
            "in a Query",
            ">Q <G >d >d >c <C <Z",
            "0 silent:1 silent:2 0(3) 0.",
        ),
        ("sent ahead", ">Q >d >c <G <C <Z", "silent:1 0 0(2) 0."),
        (
            "two in one Query",
            ">Q >d >c >c <G <C <G <C <Z",
            "silent:1 0 0(2) 0/1 0/1(3) 0.",
        ),
        ("Query sent ahead", ">Q >c >Q <G <C <Z <C <Z", "0 0(1) 0. 2 2."),
        (
            "given up by the client",
            ">Q <G >d >f <E <Z",
            "0 silent:1 0 0.(2)",
        ),
        (
            "fails while data comes",
            ">Q <G >d <E >d <Z >d >c >Q <C <Z",
            "0 silent:1 0 silent:2 0. silent:3 silent:4 5 5.",
        ),
        (
            "fails, and the end is on its way",
            ">Q <G >d >c <E <Z",
            "0 silent:1 0 0.(2)",
        ),
        (
            "fails, end and next Query are on their way",
            ">Q <G >c >Q <E <Z <C <Z",
            "0 0 0.(1) 2 2.",
        ),
        ("not a COPY", ">Q >d >c <E <Z", "silent:1 0 0.(2)"),
        (
            "not a COPY, and then one",
            ">Q >c >Q >c <C <Z <G <C <Z",
            "0 0.(1) 2 2(3) 2.",
        ),
        (
            "complete before the end was sent",
            ">Q <G >d <C",
            "0 silent:1 !Unexpected",
        ),
        ("end of the cycle within", ">Q <G <Z", "0 !Unexpected"),
        ("rows within", ">Q <G <D", "0 !Unexpected"),
        ("Flush within", ">Q <G >H >c <C <Z", "0 silent:1 0(2) 0."),
        ("Query within", ">Q <G >Q", "0 !InCopyIn"),
        (
            "Query sent ahead into it",
            ">Q >Q <G <Eviolation <Efatal",
            "0 0 0",
        ),
        (
            "Query sent ahead into it, and the server goes on",
            ">Q >Q <G <Eviolation <Z",
            "0 0 !Unexpected",
        ),
        (
            "Query sent ahead into it, but COPY fails before",
            ">Q >d >Q <G <E <Z <C <Z",
            "silent:1 0 0 0. 2 2.",
        ),
        (
            "stale messages when idle",
            ">d >c >f >Q <C <Z",
            "silent:0 silent:1 silent:2 3 3.",
        ),
    ]);
}

#[test]
fn copy_in_by_execute() {
    check(&[
        (
            "usual",
            ">P >B >E <1 <2 <G >d >c >S <C <Z",
            "0. 1. 2 silent:3 2.(4) 5.",
        ),
        (
            "t11: a Sync within is ignored",
            ">E >S <G >d >c >S <C <Z",
            "0 silent:2 0.(1)(3) 4.",
        ),
        (
            "Syncs on both sides of the data",
            ">E >S >d >S >c >S <G <C <Z",
            "silent:2 0 0.(1)(3)(4) 5.",
        ),
        ("more in the same run", ">E >c >E >S <G <C <C <Z", "0 0.(1) 2. 3."),
        (
            "fails before COPY: both Syncs count",
            ">E >S >d >c >S <E <Z <Z",
            "silent:2 0. 1.(3) 4.",
        ),
        (
            "fails, Sync behind the end",
            ">E <G >d >c >S <E <Z",
            "0 silent:1 0.(2) 3.",
        ),
        (
            "fails, the Sync within was ignored",
            ">E >S <G >d >c >S <E <Z >Q <C <Z",
            "0 silent:2 0.(1)(3) 4. 5 5.",
        ),
        (
            "fails, the Sync within counts",
            ">E >S <G >d >c >S <E <Z <Z >Q <C <Z",
            "0 silent:2 0.(1)(3) 4. - 5 5.",
        ),
        (
            "the same, seen after the next Query was sent",
            ">E >S <G >c >S <E <Z >Q <Z <C <Z",
            "0 0.(1)(2) 3. - 4 4.",
        ),
        (
            "optional end comes once",
            ">E >S <G >c >S <E <Z <Z <Z",
            "0 0.(1)(2) 3. - !Unexpected",
        ),
        (
            "optional end is over after an answer",
            ">E >S <G >c >S <E <Z >Q <C <Z <Z",
            "0 0.(1)(2) 3. 4 4. !Unexpected",
        ),
        (
            "optional end never stands within a Query",
            ">E >S <G >c >S <E <Z >Q <T <Z",
            "0 0.(1)(2) 3. 4 !Unexpected",
        ),
        (
            "fails, only a Sync within was sent",
            ">E >S <G >d <E <Z >Q <C <Z",
            "0 silent:2 0.(1) - 3 3.",
        ),
        (
            "the same, and the next message cannot wait",
            ">E >S <G >d <E >P",
            "0 silent:2 0.(1) !Uncertain",
        ),
        (
            "the same, and data goes on",
            ">E >S <G >d <E >d >c >S <Z",
            "0 silent:2 0.(1) silent:3 silent:4 5.",
        ),
        (
            "fails, and what follows the end depends on the Sync",
            ">E >S >c >P >S <G <E",
            "0 !Ambiguous",
        ),
        (
            "fails without a Sync: what follows is dropped",
            ">E >c >P >S <G <E <Z",
            "0 0.(1)(2) 3.",
        ),
        ("Parse within", ">E <G >P", "0 !InCopyIn"),
        (
            "Sync in a Query's COPY",
            ">Q <G >S >d >c <E <Z <Z >Q <C <Z",
            "0 silent:2 0(1) 0.(3) - 4 4.",
        ),
        (
            "Sync in a Query's COPY that succeeds",
            ">Q <G >S >d >c >S <C <Z <Z",
            "0 silent:2 0(1)(3) 0. 4.",
        ),
    ]);
}

/// `statement_timeout` runs from the first message of a run and strikes between messages.
#[test]
fn t11_time_outs_between_messages() {
    check(&[
        (
            "at Flush, nothing behind it",
            ">P <1 >H <Etime >Q >S <Z",
            "0. silent:1 - skip:2 3.",
        ),
        (
            "at Flush or Parse is the same",
            ">P >H >P >S <1 <Etime <Z",
            "silent:1 0. 2. 3.",
        ),
        (
            "at Flush or Sync is the same",
            ">P >H >S <1 <Etime <Z",
            "silent:1 0. 2 2.",
        ),
        (
            "at Flush or Query is not",
            ">P >H >Q <1 <Etime",
            "silent:1 0. !Ambiguous",
        ),
        (
            "a plain error can only be the Query's",
            ">P >H >Q <1 <E <Z",
            "silent:1 0. 2 2.",
        ),
        (
            "no time-out runs after Query",
            ">Q >H >Q <C <Z <Etime <Z",
            "silent:1 0 0. 2 2.",
        ),
        (
            "at stale COPY data",
            ">P >d >P >S <1 <Etime",
            "silent:1 0. !Ambiguous",
        ),
        (
            "at stale COPY data, nothing behind it",
            ">P >d <1 <Etime",
            "silent:1 0. !Unexpected",
        ),
        ("at a stale CopyDone", ">P >c >P >S <1 <Etime", "0.(1) !Ambiguous"),
        (
            "at a stale CopyDone sent alone",
            ">P <1 >c >P >S <Etime",
            "0. silent:1 !Ambiguous",
        ),
        (
            "after COPY IN it is the message's own",
            ">E >d >c >E >S <G <C <Etime <Z",
            "silent:1 0 0.(2) 3. 4.",
        ),
        (
            "stale data after a failed COPY",
            ">E <G <E >S >d <Z >d >Q <Etime <Z",
            "0 0. silent:2 1. silent:3 4 4.",
        ),
    ]);
}

#[test]
fn idle_is_what_the_server_is() {
    for (name, script, want) in [
        ("new", "", true),
        ("Query sent", ">Q", false),
        ("Query done", ">Q <C <Z", true),
        ("run open", ">P <1", false),
        ("run closed", ">P <1 >S <Z", true),
        ("skipping", ">P <E", false),
        ("fatal", "<Efatal", false),
        ("perhaps one more end to come", ">E >S <G >c >S <E <Z", false),
        ("that end has come", ">E >S <G >c >S <E <Z <Z", true),
        ("ignored Syncs settle nothing", ">E >S <G >c <C", false),
        ("stale data", ">d >c", true),
    ] {
        assert_eq!(play(script).1.is_idle(), want, "{name}");
    }
}

#[test]
fn transaction_status() {
    for (script, want) in [
        ("", TransactionStatus::Idle),
        (">Q <C <Zt", TransactionStatus::InTransaction),
        (">Q <C <Zt >S <Ze", TransactionStatus::Failed),
    ] {
        assert_eq!(play(script).1.transaction(), want, "{script}");
    }
}

#[test]
fn a_full_queue_is_an_error_and_gives_room_again() {
    let mut model = Model::new();
    for number in 0..PIPELINE_MAX {
        assert_eq!(model.sent(Sent::Sync, number), Ok(Placed::Queued));
    }
    assert_eq!(model.room(), 0);
    assert_eq!(model.sent(Sent::Sync, 0), Err(ModelError::Full));
    assert_eq!(
        model.sent(Sent::CopyData, 7),
        Ok(Placed::Silent(7)),
        "what is not queued needs no room"
    );
    assert!(model.received(b'Z', b"I", |_| ()).is_ok());
    assert_eq!(model.room(), 1);
    for _ in 1..PIPELINE_MAX {
        assert!(model.received(b'Z', b"I", |_| ()).is_ok());
    }
    assert!(model.is_idle());
    assert_eq!(
        model.queue.capacity(),
        0,
        "a long pipeline leaves no memory behind"
    );
}

#[test]
fn rest_comes_back_at_the_end() {
    let (_, mut model) = play(">P >B >E >S <1");
    assert_eq!(model.drain().collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(model.sent(Sent::Sync, 9), Err(ModelError::Ended));
}

#[test]
fn a_ready_message_of_another_form_is_unexpected() {
    for (name, body) in [("empty", &b""[..]), ("unknown", b"X"), ("too long", b"II")] {
        let mut model = Model::new();
        assert_eq!(model.sent(Sent::Sync, ()), Ok(Placed::Queued));
        let answer = model.received(b'Z', body, |()| ());
        assert!(
            matches!(answer, Err(ModelError::Unexpected { tag: b'Z', .. })),
            "{name}"
        );
    }
}
