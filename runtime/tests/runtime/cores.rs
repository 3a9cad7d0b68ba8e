//! Several cores: balance, drain, stop, and what they are told.

use std::cell::RefCell;
use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use sluice_runtime::net::ListenerConfig;
use sluice_runtime::{CoreError, Cores, CoresConfig, StartError, spawn_cores, task, time};

use crate::support::{LONG, any_port, config};

/// Cores that hold whatever connects to the first one until it hangs up.
fn holding_cores(count: usize) -> (Cores, SocketAddr) {
    let (sender, address) = mpsc::channel();
    let config = CoresConfig {
        cpus: vec![None; count],
        ..config()
    };
    let cores = spawn_cores(&config, move |core| {
        let sender = sender.clone();
        async move {
            let listener =
                (core.index() == 0).then(|| core.listen(any_port(), &ListenerConfig::default()).unwrap());
            if let Some(listener) = &listener {
                sender.send(listener.local_address()).unwrap();
            }
            while let Some(arrival) = core.accept().await {
                task::spawn(async move { while let Ok(Some(_)) = arrival.socket.receive().await {} });
            }
            drop(listener);
            core.stopping().await;
        }
    })
    .unwrap();
    let address = address.recv().unwrap();
    (cores, address)
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn connections_are_balanced() {
    let (cores, address) = holding_cores(3);
    let mut held: Vec<_> = (0..100).map(|_| TcpStream::connect(address).unwrap()).collect();
    wait_until("all are accepted", || cores.loads().iter().sum::<usize>() == 100);
    let loads = cores.loads();
    assert!(
        loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1,
        "{loads:?}"
    );
    // The ones that end leave room, which is filled first.
    held.truncate(40);
    wait_until("60 have ended", || cores.loads().iter().sum::<usize>() == 40);
    held.extend((0..80).map(|_| TcpStream::connect(address).unwrap()));
    wait_until("80 more are accepted", || {
        cores.loads().iter().sum::<usize>() == 120
    });
    let loads = cores.loads();
    assert!(
        loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1,
        "{loads:?}"
    );
    cores.stop_and_join().unwrap();
}

#[test]
fn draining_takes_no_more_and_keeps_the_rest() {
    let (cores, address) = holding_cores(2);
    let mut held: Vec<_> = (0..4).map(|_| TcpStream::connect(address).unwrap()).collect();
    wait_until("all are accepted", || cores.loads().iter().sum::<usize>() == 4);
    cores.control().drain();
    wait_until("the listener is closed", || TcpStream::connect(address).is_err());
    assert_eq!(cores.loads(), vec![2, 2], "they live on");
    cores.stop();
    cores.join().unwrap();
    for stream in &mut held {
        assert!(
            matches!(stream.read(&mut [0]), Ok(0) | Err(_)),
            "closed at the end"
        );
    }
}

#[test]
fn stopping_reaches_sleeping_cores() {
    let (cores, _) = holding_cores(3);
    std::thread::sleep(Duration::from_millis(20));
    let begun = Instant::now();
    cores.stop_and_join().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_core_whose_main_panics_says_so() {
    let cores = spawn_cores(&config(), |_| async { panic!("by intent") }).unwrap();
    match cores.join() {
        Err(CoreError::Main { core: 0, source }) => {
            assert_eq!(source.to_string(), "the task panicked: by intent");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn cores_that_cannot_start_say_why() {
    let nothing = spawn_cores(&CoresConfig::pinned([]), |_| async {});
    assert!(matches!(nothing.err(), Some(StartError::NoCpu)));
    let nowhere = spawn_cores(&CoresConfig::pinned([4095]), |_| async {});
    assert!(matches!(
        nowhere.err(),
        Some(StartError::Executor { core: 0, .. })
    ));
    let mut large = config();
    large.ring.submissions = 1 << 30;
    let large = spawn_cores(&large, |_| async {});
    assert!(matches!(large.err(), Some(StartError::Ring { core: 0, .. })));
}

#[test]
fn an_idle_core_makes_no_wake_ups() {
    let (sender, counted) = mpsc::channel();
    let cores = spawn_cores(&config(), move |core| {
        let sender = sender.clone();
        async move {
            let listener = core.listen(any_port(), &ListenerConfig::default()).unwrap();
            let address = listener.local_address();
            let peers = std::thread::spawn(move || {
                (0..300)
                    .map(|_| TcpStream::connect(address).unwrap())
                    .collect::<Vec<_>>()
            });
            let held = Rc::new(RefCell::new(Vec::new()));
            for _ in 0..300 {
                let socket = core.accept().await.unwrap().socket;
                let held = Rc::clone(&held);
                task::spawn(async move {
                    // A session that waits for its client with an idle time-out.
                    let deadline = time::now() + Duration::from_hours(1);
                    let _ = time::timeout(deadline, socket.receive()).await;
                    held.borrow_mut().push(socket);
                });
            }
            let peers = peers.join().unwrap();
            time::sleep(Duration::from_millis(20)).await;
            let before = core.stats();
            time::sleep(Duration::from_millis(300)).await;
            let after = core.stats();
            drop(peers);
            sender
                .send((
                    after.ring_enters - before.ring_enters,
                    after.completions - before.completions,
                ))
                .unwrap();
        }
    })
    .unwrap();
    cores.join().unwrap();
    let (enters, completions) = counted.recv().unwrap();
    // The wheel's levels may cost the one sleep a few stops.
    assert!(enters <= 8, "{enters} system calls in 300 ms");
    assert_eq!(completions, 0);
}
