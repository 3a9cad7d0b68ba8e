//! A policy that is put in force under load holds for the next statement of every session on every core, and drops none.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use sluice_tests::raw::{Raw, bind, execute, outline, parse, query, sync};
use sluice_tests::{Gateway, Settings, wait_until};

use crate::shared::postgres;

const ALLOWS: &str = "@id(\"all\") permit (principal, action, resource);";
const DENIES: &str = "@id(\"all\") permit (principal, action, resource);\n\
                      @id(\"no-update\") forbid (principal, action == Action::\"Update\", resource);";

const SESSIONS: usize = 12;
const RELOADS: usize = 6;

/// When a statement was sent, and whether it ran.
struct Asked {
    at: Instant,
    ran: bool,
}

#[test]
fn a_reload_holds_at_once_for_every_session_and_drops_none() {
    let postgres = postgres();
    postgres.sql("shop", "CREATE TABLE counters (id int PRIMARY KEY, n int); INSERT INTO counters SELECT generate_series(1, 20), 0");
    let settings = Settings {
        policy: Some(ALLOWS.to_owned()),
        tls: "off",
        cores: 2,
        ..Settings::default()
    };
    let gateway = Gateway::start(&postgres, &settings);
    let is_over = AtomicBool::new(false);
    let port = gateway.port();
    let work = |number: usize| {
        let sql = format!("UPDATE counters SET n = n + 1 WHERE id = {number}");
        let mut session = Raw::log_in(port, "tester", "pencil", "shop");
        assert!(session.send(&[parse("s", &sql), sync()].concat()));
        assert_eq!(outline(&session.receive_until_ready(1)), "1 ZI");
        let mut asked = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            let is_prepared = asked.len() % 2 == 0;
            let at = Instant::now();
            assert!(session.send(&if is_prepared {
                [bind("", "s"), execute(""), sync()].concat()
            } else {
                query(&sql)
            }));
            let answer = outline(&session.receive_until_ready(1));
            let ran = match answer.as_str() {
                "2 C ZI" | "C ZI" => true,
                // A reload may come between a Bind and its Execute.
                "E42501 ZI" | "2 E42501 ZI" => false,
                other => panic!("session {number}: {other}"),
            };
            asked.push(Asked { at, ran });
        }
        asked
    };
    let work = &work;
    let epoch = || gateway.metric_by_core("sluice_policy_epoch");
    let first = epoch().into_iter().fold(0.0, f64::max);
    let (asked, switches) = thread::scope(|scope| {
        #[expect(
            clippy::needless_collect,
            reason = "all sessions begin before one is waited for"
        )]
        let sessions: Vec<_> = (1..=SESSIONS)
            .map(|number| scope.spawn(move || work(number)))
            .collect();
        let mut switches = Vec::new();
        for reload in 1..=RELOADS {
            thread::sleep(Duration::from_millis(300));
            let denies = reload % 2 == 1;
            gateway.write_policy(if denies { DENIES } else { ALLOWS });
            let before = Instant::now();
            let seen = gateway.log().matches("reloaded;").count();
            gateway.signal(Signal::SIGHUP);
            wait_until("the reload", || gateway.log().matches("reloaded;").count() > seen);
            switches.push((before, Instant::now(), denies));
        }
        thread::sleep(Duration::from_millis(300));
        is_over.store(true, Ordering::Relaxed);
        let asked: Vec<Asked> = sessions
            .into_iter()
            .flat_map(|session| session.join().expect("a session that goes on"))
            .collect();
        (asked, switches)
    });
    // Between the end of one reload and the beginning of the next there is one policy, and no decision of another.
    for (number, &(_, from, denies)) in switches.iter().enumerate() {
        let to = switches.get(number + 1).map(|(before, ..)| *before);
        let within = |asked: &&Asked| asked.at > from && to.is_none_or(|to| asked.at < to);
        // What was sent shortly before the next reload may be judged after it.
        let margin = Duration::from_millis(100);
        let sure: Vec<_> = asked
            .iter()
            .filter(within)
            .filter(|asked| to.is_none_or(|to| asked.at + margin < to))
            .collect();
        assert!(
            sure.len() > SESSIONS,
            "reload {number}: only {} statements",
            sure.len()
        );
        let wrong = sure.iter().filter(|asked| asked.ran == denies).count();
        assert_eq!(wrong, 0, "reload {number}: of {} statements", sure.len());
    }
    wait_until("the epoch of every core", || {
        epoch().iter().all(|epoch| *epoch >= first + 1.0)
    });
    let ran = asked.iter().filter(|asked| asked.ran).count();
    let counted = postgres.sql("shop", "SELECT sum(n) FROM counters");
    assert_eq!(
        counted,
        ran.to_string(),
        "what was denied did not run, and what ran was not denied"
    );
}
