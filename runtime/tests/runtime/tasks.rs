//! Tasks, their wakers and their ends.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use sluice_runtime::task::{self, TaskError};
use sluice_runtime::{CoresConfig, time};

use crate::support::{config, on_core, on_core_with};

#[test]
fn a_panic_ends_one_task_and_is_reported() {
    let reported = Arc::new(Mutex::new(Vec::new()));
    let hook = Arc::clone(&reported);
    let on_panic: sluice_runtime::PanicHook =
        Arc::new(move |panic| hook.lock().unwrap().push((panic.core, panic.message.clone())));
    let config = CoresConfig {
        on_panic: Some(on_panic),
        ..config()
    };
    on_core_with(&config, |core| async move {
        struct PanicsOnDrop;
        impl Drop for PanicsOnDrop {
            fn drop(&mut self) {
                panic!("in a destructor");
            }
        }
        let neighbour = task::spawn(async {
            time::sleep(Duration::from_millis(20)).await;
            "goes on"
        });
        let failing = task::spawn(async {
            task::yield_now().await;
            let message = "formatted";
            panic!("{message}")
        });
        let outcome: Result<(), _> = failing.await;
        assert_eq!(
            outcome,
            Err(TaskError::Panicked {
                message: "formatted".to_owned()
            })
        );
        let dropped = task::spawn(async {
            let _guard = PanicsOnDrop;
            pending::<()>().await;
        });
        task::yield_now().await;
        dropped.abort();
        assert_eq!(neighbour.await, Ok("goes on"));
        assert_eq!(core.stats().tasks_panicked, 2);
    });
    let reported = reported.lock().unwrap();
    assert_eq!(
        *reported,
        vec![(0, "formatted".to_owned()), (0, "in a destructor".to_owned())]
    );
}

#[test]
fn results_come_back_and_aborted_tasks_are_dropped() {
    on_core(|_| async {
        let value = task::spawn(async {
            task::yield_now().await;
            7
        });
        assert_eq!(value.await, Ok(7));

        let dropped = Rc::new(Cell::new(false));
        let guard = Rc::clone(&dropped);
        let endless = task::spawn(async move {
            struct Guard(Rc<Cell<bool>>);
            impl Drop for Guard {
                fn drop(&mut self) {
                    self.0.set(true);
                }
            }
            let _guard = Guard(guard);
            pending::<()>().await;
        });
        task::yield_now().await;
        assert!(!endless.is_finished());
        endless.abort();
        assert_eq!(endless.await, Err(TaskError::Aborted));
        assert!(dropped.get());
        assert_eq!(task::live(), 1);
    });
}

#[test]
fn other_threads_wake_tasks() {
    on_core(|core| async move {
        let shared = Arc::new(Mutex::new((0u32, None::<Waker>)));
        let other = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for _ in 0..200 {
                let waker = {
                    let mut shared = other.lock().unwrap();
                    shared.0 += 1;
                    shared.1.take()
                };
                if let Some(waker) = waker {
                    waker.wake();
                }
                std::thread::sleep(Duration::from_micros(50));
            }
        });
        poll_fn(|context| {
            let mut shared = shared.lock().unwrap();
            shared.1 = Some(context.waker().clone());
            if shared.0 == 200 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        thread.join().unwrap();
        assert!(core.stats().remote_wakes > 0);
    });
}

#[test]
fn a_waker_that_outlives_its_task_and_core_is_harmless() {
    let waker = on_core(|_| async {
        let stored = Rc::new(Cell::new(None));
        let store = Rc::clone(&stored);
        let task = task::spawn(poll_fn(move |context| {
            store.set(Some(context.waker().clone()));
            Poll::Ready(())
        }));
        assert_eq!(task.await, Ok(()));
        let waker: Waker = stored.take().unwrap();
        waker.wake_by_ref();
        task::yield_now().await;
        waker
    });
    waker.wake();
}

#[test]
fn tasks_started_while_a_core_ends_are_ended_too() {
    on_core(|_| async {
        struct Respawn(u32);
        impl Drop for Respawn {
            fn drop(&mut self) {
                if self.0 > 0 {
                    let next = Self(self.0 - 1);
                    task::spawn(async move {
                        let _next = next;
                        pending::<()>().await;
                    });
                }
            }
        }
        let first = Respawn(5);
        task::spawn(async move {
            let _first = first;
            pending::<()>().await;
        });
        task::yield_now().await;
    });
}
