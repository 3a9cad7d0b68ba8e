//! Mailboxes between threads and cores.

use std::time::Duration;

use sluice_runtime::mailbox::{SendError, mailbox};
use sluice_runtime::time;

use crate::support::{joined, on_core};

#[test]
fn messages_arrive_in_order_and_within_the_bound() {
    on_core(|_| async {
        let (sender, mut inbox) = mailbox(4);
        let feeding = std::thread::spawn(move || {
            let mut full = 0;
            for number in 0..2000 {
                while sender.send(number) == Err(SendError::Full(number)) {
                    full += 1;
                    std::thread::yield_now();
                }
            }
            full
        });
        time::sleep(Duration::from_millis(10)).await;
        for number in 0..2000 {
            assert_eq!(inbox.receive().await, Some(number));
        }
        assert_eq!(inbox.receive().await, None, "all senders are gone");
        assert!(joined(feeding).await > 0, "the bound was met");
    });
}

#[test]
fn a_closed_mailbox_gives_messages_back() {
    let (sender, mut inbox) = mailbox(2);
    sender.send('a').unwrap();
    inbox.close();
    assert_eq!(sender.send('b'), Err(SendError::Closed('b')));
    assert_eq!(inbox.try_receive(), Some('a'));
    drop(inbox);
    assert!(sender.is_closed());
}
