//! What of an error or notice reaches the client where columns are configured, or policy keeps values from it.
//!
//! Any statement can make the server quote a value: a cast (`invalid input syntax for type integer: "Ada"`), a
//! constraint (`Key (name)=(Ada) already exists`), a function's own words. So the texts give way to a fixed one, but
//! where they can be about nothing but names: an error with a position in the statement's text was found before anything
//! ran, and some places of the server name objects only. There the names of schema, table, column, type and constraint
//! stay too; elsewhere only severity, SQLSTATE, position, file, line and routine do. RAISE chooses even the SQLSTATE.

use sluice_parsers::postgres::backend::Fields;
use sluice_parsers::postgres::frame::HEADER_BYTES;

/// What stands in the place of the server's message.
const WITHHELD: &[u8] =
    b"sluice: the server's message is withheld, as it may quote hidden columns; the SQLSTATE tells what failed";

/// Fields that pass: severity, SQLSTATE, position; file, line and routine. Not so message, detail, hint, where, internal
/// query with its position, and what is not known.
const PASSING: &[u8] = b"SVCPFLR";

/// Names of schema, table, column, type and constraint.
const NAMES: &[u8] = b"stcdn";

/// The routine of PL/pgSQL's RAISE, and the SQLSTATE that it has for an exception if none is given.
const RAISE: &[u8] = b"exec_stmt_raise";
const RAISED: &[u8] = b"P0001";

/// The SQLSTATE of a notice.
const NOTICED: &[u8] = b"00000";

/// Routines of the server whose messages have names of objects and nothing else in them. RAISE and functions in other
/// languages report routines of their own.
const NAMING: [&[u8]; 10] = [
    // "duplicate key value violates unique constraint", "null value in column", "violates foreign key constraint" ...
    b"_bt_check_unique",
    b"ExecConstraints",
    b"ReportNotNullViolationError",
    b"ri_ReportViolation",
    // "permission denied for table"
    b"aclcheck_error",
    // "cannot execute DELETE in a read-only transaction"
    b"PreventCommandIfReadOnly",
    // "canceling statement due to user request"
    b"ProcessInterrupts",
    // "current transaction is aborted"
    b"exec_simple_query",
    b"exec_bind_message",
    b"exec_execute_message",
];

/// The error or notice without its texts; none if all of it may pass.
pub(super) fn withheld(tag: u8, body: &[u8]) -> Option<Vec<u8>> {
    let fields = Fields::parse(body).ok();
    let of = |kind| fields.and_then(|fields| fields.of(kind));
    // A statement that a function runs has its position beside the internal query.
    if of(b'P').is_some() && of(b'q').is_none() && of(b'W').is_none() {
        return None;
    }
    let is_naming = of(b'R').is_some_and(|routine| NAMING.contains(&routine));
    let mut frame = vec![tag, 0, 0, 0, 0];
    let mut push = |kind: u8, value: &[u8]| {
        frame.push(kind);
        frame.extend_from_slice(value);
        frame.push(0);
    };
    for field in fields.iter().flat_map(Fields::iter) {
        match field.kind {
            b'M' if is_naming => push(b'M', field.value),
            b'M' => push(b'M', WITHHELD),
            b'C' if of(b'R') == Some(RAISE) => push(b'C', if tag == b'E' { RAISED } else { NOTICED }),
            kind if is_naming && NAMES.contains(&kind) => push(kind, field.value),
            kind if PASSING.contains(&kind) => push(kind, field.value),
            _ => {}
        }
    }
    if of(b'M').is_none() {
        push(b'M', WITHHELD);
    }
    frame.push(0);
    let len = u32::try_from(frame.len() - 1).unwrap_or(u32::MAX);
    frame[1..HEADER_BYTES].copy_from_slice(&len.to_be_bytes());
    Some(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(fields: &[&str]) -> Vec<u8> {
        let mut body: Vec<u8> = fields
            .iter()
            .flat_map(|field| [field.as_bytes(), b"\0"].concat())
            .collect();
        body.push(0);
        body
    }

    #[test]
    fn texts_are_withheld_where_they_may_quote() {
        let withheld_message = format!("M{}", String::from_utf8_lossy(WITHHELD));
        let message = withheld_message.as_str();
        for (name, fields, want) in [
            (
                "a cast",
                &[
                    "SERROR",
                    "VERROR",
                    "C22P02",
                    "Minvalid input \"Ada\"",
                    "Fnumutils.c",
                    "L1",
                    "Rpg_strtoint",
                ][..],
                Some(
                    &[
                        "SERROR",
                        "VERROR",
                        "C22P02",
                        message,
                        "Fnumutils.c",
                        "L1",
                        "Rpg_strtoint",
                    ][..],
                ),
            ),
            (
                "a constraint",
                &[
                    "SERROR",
                    "C23505",
                    "Mduplicate \"c\"",
                    "DKey (name)=(Ada)",
                    "stea",
                    "nc",
                    "R_bt_check_unique",
                ],
                Some(&[
                    "SERROR",
                    "C23505",
                    "Mduplicate \"c\"",
                    "stea",
                    "nc",
                    "R_bt_check_unique",
                ]),
            ),
            (
                "RAISE, which chooses every field",
                &["SERROR", "CLE078", "Mm", "cAda", "nAda", "Rexec_stmt_raise"],
                Some(&["SERROR", "CP0001", message, "Rexec_stmt_raise"]),
            ),
            (
                "a mistake in the text",
                &["SERROR", "C42601", "Msyntax error", "Hhint", "P7"],
                None,
            ),
            (
                "a mistake in a function's text",
                &[
                    "SERROR",
                    "C42601",
                    "Msyntax error",
                    "P7",
                    "p3",
                    "qSELECT Ada",
                    "WSQL",
                ],
                Some(&["SERROR", "C42601", message, "P7"]),
            ),
            (
                "a function's own words",
                &[
                    "SERROR",
                    "CP0001",
                    "MAda",
                    "HAda",
                    "WPL/pgSQL",
                    "Rexec_stmt_raise",
                    "xAda",
                ],
                Some(&["SERROR", "CP0001", message, "Rexec_stmt_raise"]),
            ),
            (
                "no message",
                &["SERROR", "C22P02"],
                Some(&["SERROR", "C22P02", message]),
            ),
        ] {
            let want = want.map(|fields| {
                let body = body(fields);
                let len = u32::try_from(body.len() + 4).unwrap();
                [b"E", &len.to_be_bytes()[..], &body].concat()
            });
            assert_eq!(withheld(b'E', &body(fields)), want, "{name}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_withheld() {
        for body in [&b""[..], b"M", b"MAda", b"MAda\0", b"MAda\0\0more"] {
            let frame = withheld(b'N', body).unwrap();
            assert!(Fields::parse(&frame[HEADER_BYTES..]).is_ok());
            assert!(
                !frame.windows(3).any(|window| window == b"Ada"),
                "{}",
                body.escape_ascii()
            );
        }
    }
}
