//! Helper threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use sluice_runtime::helpers::{HelperError, Helpers, HelpersConfig};
use sluice_runtime::net::resolve;
use sluice_runtime::{task, time};

use crate::support::on_core;

fn helpers(threads: usize, queue_max: usize) -> Helpers {
    Helpers::start(&HelpersConfig {
        threads,
        queue_max,
        ..HelpersConfig::default()
    })
    .unwrap()
}

#[test]
fn jobs_run_elsewhere_and_their_results_come_back() {
    on_core(|_| async {
        let helpers = helpers(2, 2);
        let here = std::thread::current().id();
        // More than threads and queue take at once.
        let jobs: Vec<_> = (0..40u32)
            .map(|number| {
                let helpers = helpers.clone();
                task::spawn(async move {
                    helpers
                        .run(move || {
                            assert_ne!(std::thread::current().id(), here);
                            std::thread::sleep(Duration::from_millis(1));
                            number * 2
                        })
                        .await
                })
            })
            .collect();
        for (number, job) in (0..).zip(jobs) {
            assert_eq!(job.await.unwrap(), Ok(number * 2));
        }
    });
}

#[test]
fn a_job_that_panics_is_an_error_and_its_thread_goes_on() {
    on_core(|_| async {
        let helpers = helpers(1, 8);
        let outcome: Result<(), _> = helpers.run(|| panic!("by intent")).await;
        assert_eq!(
            outcome,
            Err(HelperError::Panicked {
                message: "by intent".to_owned()
            })
        );
        assert_eq!(helpers.run(|| 1).await, Ok(1));
    });
}

#[test]
fn long_jobs_leave_a_thread_to_short_ones_and_stand_behind_them() {
    for threads in [1, 3] {
        on_core(move |_| async move {
            let helpers = helpers(threads, 8);
            let order = Arc::new(std::sync::Mutex::new(Vec::new()));
            let (go, may_go) = mpsc::channel::<()>();
            let may_go = Arc::new(std::sync::Mutex::new(may_go));
            let long = |number: usize| {
                let (helpers, may_go, order) = (helpers.clone(), Arc::clone(&may_go), Arc::clone(&order));
                task::spawn(async move {
                    let job = move || {
                        may_go.lock().unwrap().recv().unwrap();
                        order.lock().unwrap().push(format!("long {number}"));
                    };
                    helpers.run_long(job).await
                })
            };
            let jobs: Vec<_> = (0..4).map(long).collect();
            time::sleep(Duration::from_millis(20)).await;
            let short = {
                let (helpers, order) = (helpers.clone(), Arc::clone(&order));
                task::spawn(async move {
                    helpers
                        .run(move || order.lock().unwrap().push("short".to_owned()))
                        .await
                })
            };
            if threads > 1 {
                assert_eq!(short.await.unwrap(), Ok(()));
                (0..4).for_each(|_| go.send(()).unwrap());
            } else {
                time::sleep(Duration::from_millis(20)).await;
                (0..4).for_each(|_| go.send(()).unwrap());
                assert_eq!(short.await.unwrap(), Ok(()));
            }
            for job in jobs {
                assert_eq!(job.await.unwrap(), Ok(()));
            }
            let order = order.lock().unwrap();
            let place = order.iter().position(|name| name == "short").unwrap();
            // The only thread has taken one before.
            assert_eq!(place, usize::from(threads == 1), "{order:?}");
            assert_eq!(order.len(), 5);
        });
    }
}

#[test]
fn a_deep_recursion_has_the_stack_for_it() {
    fn depth(level: u32) -> u32 {
        let frame = std::hint::black_box([level; 256]);
        if level == 0 {
            frame[0]
        } else {
            depth(level - 1) + 1
        }
    }
    on_core(|_| async {
        // More frames than a thread's usual 2 MiB would hold.
        assert_eq!(helpers(1, 1).run(|| depth(4000)).await, Ok(4000));
    });
}

#[test]
fn withdrawn_jobs_do_not_run_and_pass_their_place_on() {
    on_core(|_| async {
        let helpers = helpers(1, 1);
        let ran = Arc::new(AtomicUsize::new(0));
        let (release, held) = mpsc::channel::<()>();
        let blocking = {
            let helpers = helpers.clone();
            task::spawn(async move { helpers.run(move || held.recv().is_ok()).await })
        };
        task::yield_now().await;
        let start = |helpers: &Helpers| {
            let (helpers, ran) = (helpers.clone(), Arc::clone(&ran));
            task::spawn(async move { helpers.run(move || ran.fetch_add(1, Ordering::Relaxed)).await })
        };
        // The first waits in the queue, the others in line.
        let withdrawn: Vec<_> = (0..3).map(|_| start(&helpers)).collect();
        let last = start(&helpers);
        time::sleep(Duration::from_millis(5)).await;
        withdrawn.iter().for_each(task::TaskHandle::abort);
        time::sleep(Duration::from_millis(5)).await;
        release.send(()).unwrap();
        assert_eq!(blocking.await.unwrap(), Ok(true));
        assert_eq!(last.await.unwrap(), Ok(0), "only the last one ran");
        assert_eq!(ran.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn names_are_looked_up() {
    on_core(|_| async {
        let helpers = helpers(1, 4);
        let found = resolve(&helpers, "localhost", 5432).await.unwrap();
        assert!(
            found
                .iter()
                .all(|address| address.port() == 5432 && address.ip().is_loopback()),
            "{found:?}"
        );
        assert!(resolve(&helpers, "no-such-host.invalid", 1).await.is_err());
    });
}
