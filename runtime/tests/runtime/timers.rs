//! Timers on a core.

use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::time::Duration;

use sluice_runtime::task;
use sluice_runtime::time::{self, Elapsed, Instant, Timer};

use crate::support::on_core;

#[test]
fn sleepers_wake_in_order_and_not_early() {
    on_core(|core| async move {
        let order = Rc::new(RefCell::new(Vec::new()));
        let begun = Instant::now();
        let sleepers: Vec<_> = [70u64, 5, 130, 0, 64, 63, 65, 5]
            .into_iter()
            .map(|millis| {
                let order = Rc::clone(&order);
                task::spawn(async move {
                    time::sleep_until(begun + Duration::from_millis(millis)).await;
                    assert!(begun.elapsed() >= Duration::from_millis(millis));
                    order.borrow_mut().push(millis);
                })
            })
            .collect();
        for sleeper in sleepers {
            sleeper.await.unwrap();
        }
        assert_eq!(*order.borrow(), [0, 5, 5, 63, 64, 65, 70, 130]);
        assert_eq!(core.stats().timers_expired, 8);
    });
}

#[test]
fn a_timer_can_be_moved_and_cleared() {
    on_core(|_| async {
        let mut timer = Timer::new();
        let begun = Instant::now();
        timer.set(begun + Duration::from_hours(1));
        timer.set(begun + Duration::from_millis(10));
        assert_eq!(timer.deadline(), Some(begun + Duration::from_millis(10)));
        poll_fn(|context| timer.poll_expired(context)).await;
        assert!(begun.elapsed() >= Duration::from_millis(10));
        assert_eq!(timer.deadline(), None);

        timer.set_after(Duration::from_millis(5));
        timer.clear();
        let waited = time::timeout(
            time::now() + Duration::from_millis(20),
            poll_fn(|context| timer.poll_expired(context)),
        );
        assert_eq!(waited.await, Err(Elapsed));

        // A deadline that has passed already, and one that passed unseen.
        timer.set(begun);
        poll_fn(|context| timer.poll_expired(context)).await;
        timer.set_after(Duration::from_millis(1));
        time::sleep(Duration::from_millis(5)).await;
        let moved = Instant::now() + Duration::from_millis(5);
        timer.set(moved);
        poll_fn(|context| timer.poll_expired(context)).await;
        assert!(Instant::now() >= moved, "it was moved before it was seen");
    });
}

#[test]
fn a_timeout_drops_what_it_waited_for() {
    on_core(|_| async {
        let held = Rc::new(());
        let inside = Rc::clone(&held);
        let waited = time::timeout(time::now() + Duration::from_millis(5), async move {
            pending::<()>().await;
            drop(inside);
        });
        assert_eq!(waited.await, Err(Elapsed));
        assert_eq!(Rc::strong_count(&held), 1);
        assert_eq!(
            time::timeout(time::now() + Duration::from_secs(5), async { 3 }).await,
            Ok(3)
        );
    });
}
