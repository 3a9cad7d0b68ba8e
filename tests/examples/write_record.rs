//! Writes a record of many statements, to measure those who read it:
//!
//! ```sh
//! cargo run --release --example write_record -- /tmp/record 1000000
//! time target/release/sluice policy replay --dir /tmp/record --since 7d next.cedar
//! ```
//!
//! 100 identities in 400 sessions send 500 different statements with other literals each time, spread over the last
//! six days.

use std::path::PathBuf;

use sluice_audit::record::{Decision, FORM, ListBuffer, Method, Protocol, SessionStart, StatementBegin};
use sluice_audit::time::now_ns;
use sluice_tests::Log;

const IDENTITIES: u64 = 100;
const SESSIONS: u64 = 400;
const SHAPES: u64 = 500;
const SPAN_NS: u64 = 6 * 24 * 3600 * 1_000_000_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let data = PathBuf::from(arguments.next().expect("a data folder"));
    let count: u64 = arguments
        .next()
        .and_then(|count| count.parse().ok())
        .expect("how many");
    let end_ns = now_ns();
    let at = |done: u64| end_ns - SPAN_NS + SPAN_NS / count.max(1) * done;
    let mut log = Log::create(&data);
    let groups = ListBuffer::of(["analysts", "crew"]);
    let startup = ListBuffer::of(["user", "token", "database", "shop"]);
    let mut sessions = Vec::new();
    for session in 0..SESSIONS {
        let subject = format!("crew-{}", session % IDENTITIES);
        let claims = format!("{{\"team\":\"t{}\"}}", session % 7);
        let client = format!("10.0.{}.{}:40000", session / 250, session % 250);
        let start = SessionStart {
            issuer: "https://login.example",
            subject: &subject,
            method: Method::Oidc,
            groups: groups.as_list(),
            claims: claims.as_bytes(),
            client: &client,
            connection: "orders",
            database: b"shop",
            startup: startup.as_list(),
            form: FORM,
            ..SessionStart::default()
        };
        sessions.push(log.start(at(0), start));
    }
    for done in 0..count {
        let shape = done * 7919 % SHAPES;
        let (kind, table) = (shape % 4, shape / 4);
        let text = match kind {
            0 => format!("SELECT id, name, total FROM public.t{table} WHERE id = {done}"),
            1 => format!(
                "SELECT count(*) FROM public.t{table} JOIN public.orders USING (id) WHERE note = 'n{done}'"
            ),
            2 => format!("INSERT INTO public.t{table} (id, name) VALUES ({done}, 'x')"),
            _ => format!("DELETE FROM public.t{table} WHERE id = {done}"),
        };
        let (actions, effects) = match kind {
            0 => (
                1,
                vec![format!("Read relation public.t{table} (id, name, total)")],
            ),
            1 => (
                1,
                vec![
                    format!("Read relation public.t{table} (id)"),
                    "Read relation public.orders (id, note)".to_owned(),
                ],
            ),
            2 => (
                1 << 2,
                vec![format!("Insert relation public.t{table} (id, name)")],
            ),
            _ => (
                1 | 1 << 4,
                vec![
                    format!("Read relation public.t{table} (id)"),
                    format!("Delete relation public.t{table}"),
                ],
            ),
        };
        let effects = ListBuffer::of(effects);
        let session = sessions[usize::try_from(done % SESSIONS).expect("few")];
        let begin = StatementBegin {
            protocol: Protocol::Execute,
            text: text.as_bytes(),
            actions,
            effects: effects.as_list(),
            decision: Decision::Allow,
            policy: "everything",
            ..StatementBegin::default()
        };
        log.statement(at(done), session, begin);
    }
    for session in sessions {
        log.end(end_ns, session);
    }
    log.seal(end_ns);
}
