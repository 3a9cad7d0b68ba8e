//! Many connections, small pools, and ends at random moments.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use sluice_runtime::{task, time};

use crate::support::{LONG, client, echo, joined, listen, on_core, on_core_with, pattern, small_ring};

/// A stream of numbers that a failed run can be repeated with.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[test]
fn a_starved_pool_serves_everybody_in_the_end() {
    // 48 connections at once share 8 buffers.
    let config = small_ring(8, 1024);
    let stats = on_core_with(&config, |core| async move {
        let listener = listen(&core);
        let peers: Vec<_> = (0..48u64)
            .map(|seed| {
                client(listener.local_address(), move |mut stream| {
                    let sent = pattern(60_000, seed + 1);
                    let mut reader = stream.try_clone().unwrap();
                    let reading = std::thread::spawn(move || {
                        let mut back = Vec::new();
                        reader.read_to_end(&mut back).unwrap();
                        back
                    });
                    stream.write_all(&sent).unwrap();
                    stream.shutdown(Shutdown::Write).unwrap();
                    reading.join().unwrap() == sent
                })
            })
            .collect();
        for _ in 0..peers.len() {
            let socket = core.accept().await.unwrap().socket;
            task::spawn(async move {
                echo(&socket, 8 * 1024).await.unwrap();
                socket.finish(time::now() + LONG).await;
            });
        }
        for peer in peers {
            assert!(joined(peer).await);
        }
        while task::live() > 1 {
            time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(core.buffers(), (8, 8));
        core.stats()
    });
    assert!(stats.receives_starved > 0, "{stats:?}");
}

#[test]
fn slow_peers_do_not_starve_the_others() {
    // 60 peers ask for echoes that they do not read; 64 buffers.
    let config = small_ring(64, 4096);
    on_core_with(&config, |core| async move {
        let listener = listen(&core);
        let address = listener.local_address();
        let slow = std::thread::spawn(move || {
            (0..60)
                .map(|_| {
                    let mut stream = TcpStream::connect(address).unwrap();
                    stream.set_nonblocking(true).unwrap();
                    let bytes = pattern(64 * 1024, 11);
                    // Until both socket buffers and everything between them is full.
                    while stream.write(&bytes).is_ok() {}
                    stream
                })
                .collect::<Vec<_>>()
        });
        for _ in 0..60 {
            let socket = core.accept().await.unwrap().socket;
            task::spawn(async move {
                let _ = echo(&socket, 16 * 1024).await;
            });
        }
        let slow = joined(slow).await;
        let mut received = 0;
        while core.stats().bytes_received > received {
            received = core.stats().bytes_received;
            time::sleep(Duration::from_millis(100)).await;
        }
        let (free, all) = core.buffers();
        assert!(free * 2 >= all, "{free} of {all} buffers are free");
        assert!(core.stats().bytes_copied > 0, "what stalls was moved to the heap");
        let quick = client(address, |mut stream| {
            for round in 0..50u64 {
                let sent = pattern(3000, round);
                stream.write_all(&sent).unwrap();
                let mut back = vec![0; sent.len()];
                stream.read_exact(&mut back).unwrap();
                assert_eq!(back, sent);
            }
        });
        let socket = core.accept().await.unwrap().socket;
        echo(&socket, 16 * 1024).await.unwrap();
        joined(quick).await;
        drop(slow);
        while task::live() > 1 {
            time::sleep(Duration::from_millis(1)).await;
        }
        drop(socket);
        let (free, all) = core.buffers();
        assert_eq!(free, all);
    });
}

#[test]
fn half_dead_connections_leave_nothing_behind() {
    on_core(|core| async move {
        let listener = listen(&core);
        let address = listener.local_address();
        let peers = std::thread::spawn(move || {
            let mut open = Vec::new();
            for number in 0..1000 {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(&[0, 0, 0]).unwrap();
                match number % 4 {
                    0 => drop(stream),
                    1 => stream.shutdown(Shutdown::Write).unwrap(),
                    // The rest says nothing more.
                    _ => open.push(stream),
                }
            }
            open
        });
        let ended = Rc::new(Cell::new(0));
        for _ in 0..1000 {
            let socket = core.accept().await.unwrap().socket;
            let ended = Rc::clone(&ended);
            task::spawn(async move {
                let mut seen = 0;
                while let Ok(Some(received)) = socket.receive().await {
                    seen += received.len();
                }
                assert_eq!(seen, 3);
                ended.set(ended.get() + 1);
            });
        }
        let open = joined(peers).await;
        while ended.get() < 500 {
            time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(core.load(), 500, "the ended ones are gone");
        let (free, all) = core.buffers();
        assert_eq!(free, all, "the silent ones hold no buffer");
        drop(open);
        while task::live() > 1 {
            time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(core.load(), 0);
    });
}

#[test]
fn ends_at_any_moment_are_safe() {
    for seed in 1..=3u64 {
        // The small completion queue overflows now and then.
        let config = small_ring(32, 2048);
        on_core_with(&config, move |core| async move {
            let listener = listen(&core);
            let address = listener.local_address();
            let peers = std::thread::spawn(move || {
                let mut dice = Dice(seed);
                for _ in 0..150 {
                    let mut stream = TcpStream::connect(address).unwrap();
                    stream.set_nonblocking(true).unwrap();
                    for _ in 0..dice.roll(8) {
                        let len = usize::try_from(dice.roll(60_000)).unwrap();
                        let _ = stream.write(&pattern(len, dice.roll(100)));
                        let _ = stream.read(&mut vec![0; len / 2 + 1]);
                    }
                    if dice.roll(3) == 0 {
                        let _ = stream.shutdown(Shutdown::Write);
                    }
                }
            });
            let mut dice = Dice(seed + 100);
            for _ in 0..150 {
                let socket = core.accept().await.unwrap().socket;
                let (mut polls, aborted, panics) = (dice.roll(12), dice.roll(4) == 0, dice.roll(10) == 0);
                let session = task::spawn(async move {
                    poll_fn(|context| {
                        if polls == 0 {
                            assert!(!panics, "a session fails in the middle of it");
                            return Poll::Ready(());
                        }
                        polls -= 1;
                        match crate::support::poll_forward(&socket, &socket, 30_000, context) {
                            Poll::Pending => Poll::Pending,
                            Poll::Ready(_) => Poll::Ready(()),
                        }
                    })
                    .await;
                });
                if aborted {
                    task::yield_now().await;
                    session.abort();
                }
            }
            joined(peers).await;
            let mut rounds = 0;
            while task::live() > 1 && rounds < 2000 {
                time::sleep(Duration::from_millis(1)).await;
                rounds += 1;
            }
            let (free, all) = core.buffers();
            assert_eq!((free, task::live()), (all, 1), "seed {seed}");
            assert_eq!(core.load(), 0, "seed {seed}");
        });
    }
}

#[test]
fn a_core_ends_with_everything_in_flight() {
    // Receives armed, sends stalled, a connect and an accept under way, timers set.
    let config = small_ring(16, 1024);
    let peers = on_core_with(&config, |core| async move {
        let listener = listen(&core);
        let address = listener.local_address();
        let peers = std::thread::spawn(move || {
            (0..20)
                .map(|_| {
                    let mut stream = TcpStream::connect(address).unwrap();
                    stream.write_all(&[1; 5000]).unwrap();
                    stream
                })
                .collect::<Vec<_>>()
        });
        for _ in 0..20 {
            let socket = core.accept().await.unwrap().socket;
            task::spawn(async move {
                socket.send(pattern(8_000_000, 2));
                time::sleep(Duration::from_hours(1)).await;
            });
        }
        task::spawn(async move {
            let deadline = time::now() + Duration::from_hours(1);
            let _ = sluice_runtime::net::connect((std::net::Ipv4Addr::new(127, 9, 9, 9), 9).into(), deadline)
                .await;
        });
        let mut rounds = 0;
        while core.stats().sends_stalled == 0 && rounds < 2000 {
            time::sleep(Duration::from_millis(1)).await;
            rounds += 1;
        }
        assert!(core.stats().sends_stalled > 0);
        peers
    });
    // Their connections were closed under them.
    for mut peer in peers.join().unwrap() {
        peer.set_read_timeout(Some(LONG)).unwrap();
        let mut read = 0;
        let mut piece = vec![0; 1 << 16];
        while let Ok(count @ 1..) = peer.read(&mut piece) {
            read += count;
        }
        assert!(read < 8_000_000);
    }
}
