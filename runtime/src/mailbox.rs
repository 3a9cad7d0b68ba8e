//! Bounded queues into a task, from any thread.
//!
//! A mailbox belongs to the task that receives from it; any number of senders on any threads fill it. It is for
//! control traffic, not for bytes: each message takes a lock, and wakes a sleeping core through its eventfd.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use crate::remote::lock;
use crate::task::store_waker;

/// Makes a mailbox that holds up to `capacity` messages.
pub fn mailbox<T>(capacity: usize) -> (Sender<T>, Mailbox<T>) {
    let shared = Arc::new(Shared {
        capacity,
        state: Mutex::new(State {
            messages: VecDeque::new(),
            waker: None,
            senders: 1,
            received_from: true,
        }),
    });
    (
        Sender {
            shared: Arc::clone(&shared),
        },
        Mailbox { shared },
    )
}

#[derive(Debug)]
struct Shared<T> {
    capacity: usize,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    messages: VecDeque<T>,
    waker: Option<Waker>,
    senders: usize,
    /// The mailbox still exists.
    received_from: bool,
}

/// Why a message was not taken; it is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError<T> {
    /// The mailbox holds as many messages as it may.
    #[error("the mailbox is full")]
    Full(T),
    /// Nobody receives any more.
    #[error("the mailbox is closed")]
    Closed(T),
}

/// The end that messages are put into.
#[derive(Debug)]
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Puts a message in and wakes the receiver. Never blocks.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        let mut state = lock(&self.shared.state);
        if !state.received_from {
            return Err(SendError::Closed(message));
        }
        if state.messages.len() >= self.shared.capacity {
            return Err(SendError::Full(message));
        }
        state.messages.push_back(message);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Whether nobody receives any more.
    pub fn is_closed(&self) -> bool {
        !lock(&self.shared.state).received_from
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        lock(&self.shared.state).senders += 1;
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.shared.state);
        state.senders -= 1;
        let waker = if state.senders == 0 {
            state.waker.take()
        } else {
            None
        };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The end that messages are taken from.
#[derive(Debug)]
pub struct Mailbox<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Mailbox<T> {
    /// The next message; `None` when it is empty and all senders are gone.
    pub fn poll_receive(&mut self, context: &Context<'_>) -> Poll<Option<T>> {
        let mut state = lock(&self.shared.state);
        if let Some(message) = state.messages.pop_front() {
            return Poll::Ready(Some(message));
        }
        if state.senders == 0 {
            return Poll::Ready(None);
        }
        store_waker(&mut state.waker, context);
        Poll::Pending
    }

    /// Waits for the next message; `None` when it is empty and all senders are gone.
    pub async fn receive(&mut self) -> Option<T> {
        poll_fn(|context| self.poll_receive(context)).await
    }

    /// The next message, if there is one.
    pub fn try_receive(&mut self) -> Option<T> {
        lock(&self.shared.state).messages.pop_front()
    }

    /// Takes no further messages; those that are in it can still be received.
    pub fn close(&mut self) {
        lock(&self.shared.state).received_from = false;
    }
}

impl<T> Drop for Mailbox<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.shared.state);
        state.received_from = false;
        let messages = std::mem::take(&mut state.messages);
        drop(state);
        drop(messages);
    }
}
