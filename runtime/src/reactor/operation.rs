//! Operations that complete once and own what the kernel uses: connects, file writes, syncs.
//!
//! The resource is boxed in the reactor's table until the completion, whatever becomes of the future.

use std::any::Any;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use io_uring::squeue;

use super::token::{Kind, Token};
use super::{Reactor, try_with, with};
use crate::slots::{Key, Slots};

#[derive(Default)]
pub(super) struct Operations(RefCell<Slots<Operation>>);

struct Operation {
    state: State,
    resource: Box<dyn Any>,
}

enum State {
    Waiting(Option<Waker>),
    Done(i32),
    /// The future was dropped: nobody takes the resource.
    Abandoned,
}

/// Submits an operation on `resource`; the entry is made when the resource has its final address.
///
/// # Safety
/// The entry may point to nothing but the resource and what the resource keeps alive.
pub(crate) unsafe fn submit<R: 'static>(
    reactor: &Reactor,
    resource: R,
    make: impl FnOnce(&mut R) -> squeue::Entry,
) -> OperationFuture<R> {
    let mut resource = Box::new(resource);
    let entry = make(&mut resource);
    let key = reactor.operations.0.borrow_mut().insert(Operation {
        state: State::Waiting(None),
        resource,
    });
    let token = Token::new(Kind::Operation, key);
    // SAFETY: the resource stays boxed in the table until the completion, the rest is the caller's promise.
    unsafe { reactor.push(entry, token) };
    OperationFuture {
        key: Some(key),
        _resource: PhantomData,
    }
}

impl Operations {
    pub(super) fn complete(&self, key: Key, result: i32) {
        let mut operations = self.0.borrow_mut();
        let Some(operation) = operations.get_mut(key) else {
            return;
        };
        match std::mem::replace(&mut operation.state, State::Done(result)) {
            State::Waiting(waker) => {
                drop(operations);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            State::Abandoned => {
                let removed = operations.remove(key);
                drop(operations);
                drop(removed);
            }
            State::Done(_) => {}
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }
}

/// The result to come, with the resource.
pub(crate) struct OperationFuture<R> {
    key: Option<Key>,
    _resource: PhantomData<R>,
}

impl<R> Unpin for OperationFuture<R> {}

impl<R: 'static> Future for OperationFuture<R> {
    type Output = (R, i32);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<(R, i32)> {
        let key = self.key.expect("polled after it was ready");
        let done = with(|reactor| {
            let mut operations = reactor.operations.0.borrow_mut();
            let operation = operations
                .get_mut(key)
                .expect("an operation stays until it is taken");
            let result = match &mut operation.state {
                State::Done(result) => *result,
                State::Waiting(Some(waker)) if waker.will_wake(context.waker()) => return None,
                State::Waiting(_) | State::Abandoned => {
                    operation.state = State::Waiting(Some(context.waker().clone()));
                    return None;
                }
            };
            Some((operations.remove(key)?.resource, result))
        });
        let Some((resource, result)) = done else {
            return Poll::Pending;
        };
        self.key = None;
        let resource = resource
            .downcast()
            .expect("the future and its operation have one resource type");
        Poll::Ready((*resource, result))
    }
}

impl<R> Drop for OperationFuture<R> {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        try_with(|reactor| {
            let mut operations = reactor.operations.0.borrow_mut();
            let Some(operation) = operations.get_mut(key) else {
                return;
            };
            if matches!(operation.state, State::Done(_)) {
                let removed = operations.remove(key);
                drop(operations);
                drop(removed);
            } else {
                operation.state = State::Abandoned;
                drop(operations);
                reactor.cancel(Token::new(Kind::Operation, key));
            }
        });
    }
}
