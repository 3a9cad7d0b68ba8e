//! One connection at a time.

use std::future::poll_fn;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener};
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use sluice_runtime::net::{self, IoError, IoOperation, Outgoing, Received};
use sluice_runtime::{task, time};

use crate::support::{
    LONG, client, echo, joined, listen, on_core, on_core_with, pattern, server, small_ring, write_pieces,
};

#[test]
fn what_comes_goes_back() {
    for (name, len, sizes) in [
        ("one byte", 1, &[1][..]),
        ("small pieces", 20_000, &[1, 7, 100, 3]),
        ("one large piece", 3_000_000, &[3_000_000]),
        (
            "pieces around the buffer size",
            1_000_000,
            &[32_767, 1, 32_768, 32_769],
        ),
    ] {
        let echoed = on_core(move |core| async move {
            let listener = listen(&core);
            let peer = client(listener.local_address(), move |mut stream| {
                let sent = pattern(len, 7);
                let mut reader = stream.try_clone().unwrap();
                let reading = std::thread::spawn(move || {
                    let mut back = Vec::new();
                    reader.read_to_end(&mut back).unwrap();
                    back
                });
                write_pieces(&mut stream, &sent, sizes);
                stream.shutdown(Shutdown::Write).unwrap();
                reading.join().unwrap() == sent
            });
            let arrival = core.accept().await.unwrap();
            assert_eq!(arrival.socket.local_address().unwrap(), listener.local_address());
            echo(&arrival.socket, 1 << 20).await.unwrap();
            arrival.socket.finish(time::now() + LONG).await;
            joined(peer).await
        });
        assert!(echoed, "{name}");
    }
}

#[test]
fn ranges_of_one_buffer_are_cut_changed_and_sent_apart() {
    let back = on_core(|core| async move {
        let listener = listen(&core);
        let peer = client(listener.local_address(), |mut stream| {
            stream.write_all(b"head-SECRET-tail").unwrap();
            let mut back = Vec::new();
            stream.read_to_end(&mut back).unwrap();
            back
        });
        let socket = core.accept().await.unwrap().socket;
        let mut received = socket.receive().await.unwrap().unwrap();
        let mut back = received.split_off(12);
        let mut head = received.split_to(5);
        assert!(head.is_lent() && back.is_lent());
        head.make_ascii_uppercase();
        received.fill(b'*');
        received.truncate(6);
        back.advance(1);
        // Out of order, with bytes of our own between.
        socket.send(back);
        socket.send(&b"|"[..]);
        socket.send(head);
        socket.send(vec![b'-'; 3]);
        received.detach();
        assert!(!received.is_lent());
        let stars = received.split_to(2);
        socket.send(received);
        socket.send(stars);
        socket.finish(time::now() + LONG).await;
        let (free, all) = core.buffers();
        assert_eq!(free, all, "all buffers are back");
        joined(peer).await
    });
    assert_eq!(String::from_utf8_lossy(&back), "ail|HEAD----******");
}

#[test]
fn a_slow_reader_stops_the_fast_writer() {
    // Enough that a full socket's worth is not half of them.
    let config = small_ring(8192, 4096);
    let (copied, in_time) = on_core_with(&config, |core| async move {
        let total = 24_000_000;
        let (full, is_full) = mpsc::channel();
        let (address, sink) = server(move |mut stream| {
            // Reads nothing until everything before it is full.
            is_full.recv().unwrap();
            let mut read = Vec::new();
            stream.read_to_end(&mut read).unwrap();
            read == pattern(total, 3)
        });
        let listener = listen(&core);
        let source = client(listener.local_address(), move |mut stream| {
            stream.write_all(&pattern(total, 3))
        });
        let from = core.accept().await.unwrap().socket;
        let to = net::connect(address, time::now() + LONG).await.unwrap();
        let mut most_queued = 0;
        let mut look_again = time::Timer::new();
        look_again.set_after(Duration::from_millis(5));
        poll_fn(|context| {
            let done = crate::support::poll_forward(&from, &to, 64 * 1024, context);
            most_queued = most_queued.max(to.queued());
            // The stall itself wakes nobody here, so that it is looked for again and again.
            if core.stats().sends_stalled > 0 {
                // It may have gone on already.
                let _ = full.send(());
            } else if done.is_pending() && look_again.poll_expired(context).is_ready() {
                look_again.set_after(Duration::from_millis(5));
                context.waker().wake_by_ref();
            }
            done
        })
        .await
        .unwrap();
        to.finish(time::now() + LONG).await;
        // The bound, and what one turn may add to it.
        assert!(most_queued <= 64 * 1024 + 4096, "{most_queued} bytes were queued");
        assert!(joined(source).await.is_ok());
        let whole = joined(sink).await;
        let stats = core.stats();
        assert_eq!(stats.bytes_received, total as u64);
        assert_eq!(stats.bytes_sent, total as u64);
        (stats.bytes_copied, whole)
    });
    assert!(in_time, "the bytes arrive whole");
    // The send queue pins a few buffers, and nothing is scarce.
    assert_eq!(copied, 0);
}

#[test]
fn a_send_that_nobody_waits_for_and_that_falls_short_goes_on() {
    let total = 24_000_000;
    let piece = 200_000;
    let read = on_core(move |core| async move {
        let listener = listen(&core);
        let (begin, may_begin) = mpsc::channel();
        let peer = client(listener.local_address(), move |mut stream| {
            may_begin.recv().unwrap();
            let mut read = Vec::new();
            stream.read_to_end(&mut read).map(|_| read)
        });
        let socket = core.accept().await.unwrap().socket;
        let bytes = pattern(total, 5);
        let mut offered = 0;
        // All that the stream has to send counts as sent once it is submitted, until it turns out that it is not.
        while core.stats().sends_stalled == 0 {
            assert_eq!(socket.queued(), 0);
            assert!(offered + piece <= total, "the peer takes all without reading");
            socket.send(bytes[offered..offered + piece].to_vec());
            offered += piece;
            time::sleep(Duration::from_millis(1)).await;
        }
        let (sent, queued) = (core.stats().bytes_sent, socket.queued());
        assert!(sent > 0 && queued > 0, "{sent} bytes are sent, {queued} are not");
        assert_eq!(sent + queued as u64, offered as u64);
        socket.send(bytes[offered..].to_vec());
        socket.send(&b"end"[..]);
        begin.send(()).unwrap();
        while socket.queued() > 0 {
            time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(core.stats().bytes_sent, total as u64 + 3);
        socket.finish(time::now() + LONG).await;
        joined(peer).await.unwrap()
    });
    let mut want = pattern(total, 5);
    want.extend_from_slice(b"end");
    assert!(read == want, "{} bytes came", read.len());
}

#[test]
fn a_long_send_takes_turns() {
    let total = 8_000_000;
    let read = on_core(move |core| async move {
        let listener = listen(&core);
        let peer = client(listener.local_address(), move |mut stream| {
            let mut read = Vec::new();
            stream.read_to_end(&mut read).map(|_| read)
        });
        let socket = core.accept().await.unwrap().socket;
        // In one vector, and in several that go out together.
        socket.send(pattern(total, 5));
        task::yield_now().await;
        let first = core.stats().bytes_sent;
        assert!(
            0 < first && first <= 256 * 1024,
            "{first} bytes went out in a turn"
        );
        while socket.queued() > 0 {
            time::sleep(Duration::from_millis(1)).await;
        }
        for part in pattern(total, 7).chunks(100_000) {
            socket.send(part.to_vec());
        }
        task::yield_now().await;
        let then = core.stats().bytes_sent - total as u64;
        assert!(0 < then && then <= 256 * 1024, "{then} bytes went out in a turn");
        socket.finish(time::now() + LONG).await;
        joined(peer).await.unwrap()
    });
    let want = [pattern(total, 5), pattern(total, 7)].concat();
    assert!(read == want, "{} bytes came", read.len());
}

#[test]
fn a_socket_that_is_not_read_stops_receiving() {
    let config = small_ring(64, 1024);
    on_core_with(&config, |core| async move {
        let listener = listen(&core);
        let peer = client(listener.local_address(), |mut stream| {
            stream.write_all(&pattern(500_000, 5)).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            // The core closes when it has everything.
            let _ = stream.read(&mut [0]);
        });
        let socket = core.accept().await.unwrap().socket;
        while core.stats().bytes_received < 4 * 1024 {
            time::sleep(Duration::from_millis(1)).await;
        }
        task::yield_now().await;
        let before = core.stats().bytes_received;
        time::sleep(Duration::from_millis(100)).await;
        let received = core.stats().bytes_received;
        assert!(
            received <= before + 32 * 1024,
            "it has stopped, but for what was on its way"
        );
        // The bound and what one turn brought before the core could say so.
        assert!(
            (4 * 1024..=64 * 1024).contains(&received),
            "{received} bytes were taken in"
        );
        let mut whole = Vec::new();
        while let Some(received) = socket.receive().await.unwrap() {
            whole.extend_from_slice(&received);
        }
        assert_eq!(whole, pattern(500_000, 5));
        drop(socket);
        joined(peer).await;
    });
}

#[test]
fn pausing_and_resuming_lose_nothing() {
    on_core(|core| async move {
        let listener = listen(&core);
        let peer = client(listener.local_address(), |mut stream| {
            for piece in pattern(200_000, 9).chunks(1000) {
                stream.write_all(piece).unwrap();
            }
        });
        let socket = core.accept().await.unwrap().socket;
        let (mut whole, mut turns) = (Vec::new(), 0u32);
        while let Some(received) = socket.receive().await.unwrap() {
            whole.extend_from_slice(&received);
            turns += 1;
            socket.pause();
            if turns.is_multiple_of(3) {
                task::yield_now().await;
            }
            // Also while the cancellation is still under way.
            socket.resume();
            if turns.is_multiple_of(5) {
                socket.pause();
                time::sleep(Duration::from_millis(1)).await;
                socket.resume();
            }
        }
        assert_eq!(whole, pattern(200_000, 9));
        joined(peer).await;
    });
}

#[test]
fn finishing_delivers_everything_and_dropping_tries_once() {
    on_core(|core| async move {
        let listener = listen(&core);
        let address = listener.local_address();
        let read_all = |mut stream: std::net::TcpStream| {
            std::thread::sleep(Duration::from_millis(50));
            let mut read = Vec::new();
            stream.read_to_end(&mut read).map(|_| read)
        };
        let peer = client(address, read_all);
        let socket = core.accept().await.unwrap().socket;
        socket.send(pattern(5_000_000, 1));
        socket.finish(time::now() + LONG).await;
        assert_eq!(joined(peer).await.unwrap(), pattern(5_000_000, 1));

        let peer = client(address, read_all);
        let socket = core.accept().await.unwrap().socket;
        socket.send(&b"goodbye"[..]);
        drop(socket);
        assert_eq!(joined(peer).await.unwrap(), b"goodbye");
    });
}

#[test]
fn a_reset_is_an_error_and_an_end_is_not() {
    on_core(|core| async move {
        let listener = listen(&core);
        let address = listener.local_address();

        let peer = client(address, drop);
        let socket = core.accept().await.unwrap().socket;
        joined(peer).await;
        assert!(socket.receive().await.unwrap().is_none());
        assert!(socket.receive().await.unwrap().is_none(), "it stays ended");

        let peer = client(address, |stream| stream);
        let socket = core.accept().await.unwrap().socket;
        socket.send(&b"unread"[..]);
        task::yield_now().await;
        time::sleep(Duration::from_millis(10)).await;
        // Closing with unread bytes makes a reset.
        drop(joined(peer).await);
        poll_fn(|context| socket.poll_hangup(context)).await;
        let error = socket.receive().await.unwrap_err();
        assert!(error.is_peer_gone(), "{error}");
        socket.send(&b"more"[..]);
        let error = socket.drained(0).await.unwrap_err();
        assert!(error.is_peer_gone(), "{error}");
        assert_eq!(socket.queued(), 0);
    });
}

#[test]
fn a_reset_on_close_reaches_the_peer() {
    on_core(|core| async move {
        let listener = listen(&core);
        let peer = client(listener.local_address(), |mut stream| {
            stream.read(&mut [0]).unwrap_err().kind()
        });
        let socket = core.accept().await.unwrap().socket;
        socket.reset_on_close();
        drop(socket);
        assert_eq!(joined(peer).await, std::io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn connecting_fails_with_a_reason() {
    on_core(|_| async move {
        // Bound but not listening: refused.
        let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = closed.local_addr().unwrap();
        drop(closed);
        let error = net::connect(address, time::now() + LONG).await.unwrap_err();
        assert_eq!(
            error,
            IoError::Os {
                operation: IoOperation::Connect,
                errno: libc::ECONNREFUSED
            }
        );

        // A full backlog: the handshake never ends.
        let full = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        // Listening again shortens the backlog.
        nix::sys::socket::listen(&full, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
        let address = full.local_addr().unwrap();
        let mut held = Vec::new();
        let error = loop {
            match net::connect(address, time::now() + Duration::from_millis(100)).await {
                Ok(socket) => held.push(socket),
                Err(error) => break error,
            }
            assert!(held.len() < 10, "the backlog is full by now");
        };
        assert_eq!(
            error,
            IoError::TimedOut {
                operation: IoOperation::Connect
            }
        );
    });
}

#[test]
fn hangup_is_seen_before_the_bytes_are_taken() {
    on_core(|core| async move {
        let listener = listen(&core);
        let peer = client(listener.local_address(), |mut stream| {
            stream.write_all(b"last words").unwrap();
        });
        let socket = core.accept().await.unwrap().socket;
        poll_fn(|context| socket.poll_hangup(context)).await;
        assert_eq!(&socket.receive().await.unwrap().unwrap()[..], b"last words");
        assert!(socket.receive().await.unwrap().is_none());
        joined(peer).await;
    });
}

#[test]
fn received_bytes_can_be_made_of_a_vector() {
    let mut whole = Received::from(b"abcdef".to_vec());
    let mut back = whole.split_off(4);
    let front = whole.split_to(1);
    back[0] = b'E';
    assert_eq!(
        (&front[..], &whole[..], &back[..]),
        (&b"a"[..], &b"bcd"[..], &b"Ef"[..])
    );
    drop(whole);
    assert_eq!((&front[..], &back[..]), (&b"a"[..], &b"Ef"[..]));
    assert!(Received::from(Vec::new()).is_empty());
    assert_eq!(Outgoing::from(front).len(), 1);
}

#[test]
fn the_vector_comes_back_where_nobody_shares_it() {
    let whole = Received::from(b"abcdef".to_vec());
    let address = whole.as_ptr();
    let vector = whole.into_vec().unwrap();
    assert_eq!((vector.as_ptr(), &vector[..]), (address, &b"abcdef"[..]));

    let mut front = Received::from(vector);
    let back = front.split_off(4);
    let mut front = front.into_vec().unwrap_err();
    drop(back);
    front.truncate(3);
    assert_eq!(front.into_vec().unwrap(), b"abc");

    let mut cut = Received::from(b"abcdef".to_vec());
    cut.advance(1);
    assert_eq!(&cut.into_vec().unwrap_err()[..], b"bcdef");
    assert!(Received::from(Vec::new()).into_vec().unwrap().is_empty());
}

#[test]
fn a_task_that_never_waits_does_not_hold_the_core() {
    on_core(|core| async move {
        let listener = listen(&core);
        let peer = client(listener.local_address(), |mut stream| {
            stream.write_all(b"ping").unwrap();
            stream.read_exact(&mut [0; 4]).unwrap();
        });
        let busy = task::spawn(async {
            loop {
                task::yield_now().await;
            }
        });
        let socket = core.accept().await.unwrap().socket;
        poll_fn(|context| match socket.poll_receive(context) {
            Poll::Ready(received) => {
                socket.send(received.unwrap().unwrap());
                Poll::Ready(())
            }
            Poll::Pending => Poll::Pending,
        })
        .await;
        joined(peer).await;
        busy.abort();
        assert!(busy.await.is_err());
    });
}
