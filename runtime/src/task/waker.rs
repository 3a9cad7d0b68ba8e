//! Wakers that are numbers: core, generation and slot of a task packed into the data word.

use std::ptr;
use std::task::{RawWaker, RawWakerVTable, Waker};

use crate::reactor;
use crate::remote::{self, CoreId};
use crate::slots::{GENERATION_BITS, Key, SLOT_BITS};

const _: () = assert!(SLOT_BITS + GENERATION_BITS + u16::BITS == usize::BITS);

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake, ignore);

/// The waker of a task.
pub(super) fn waker(core: CoreId, task: Key) -> Waker {
    let word = usize::from(core.0) << (SLOT_BITS + GENERATION_BITS)
        | (task.generation as usize) << SLOT_BITS
        | task.slot as usize;
    // SAFETY: the data word is never dereferenced, and the functions of the table keep the contract for any word:
    // a clone is the same number, dropping does nothing, waking looks the number up.
    unsafe { Waker::from_raw(RawWaker::new(ptr::without_provenance(word), &VTABLE)) }
}

fn clone(word: *const ()) -> RawWaker {
    RawWaker::new(word, &VTABLE)
}

fn ignore(_: *const ()) {}

fn wake(word: *const ()) {
    let word = word.addr();
    let field =
        |shift: u32, bits: u32| u32::try_from((word >> shift) & ((1 << bits) - 1)).unwrap_or_default();
    let task = Key {
        slot: field(0, SLOT_BITS),
        generation: field(SLOT_BITS, GENERATION_BITS),
    };
    let core = CoreId(u16::try_from(word >> (SLOT_BITS + GENERATION_BITS)).unwrap_or_default());
    let here = reactor::try_with(|reactor| {
        let here = reactor.id == core;
        if here {
            reactor.tasks.wake(task);
        }
        here
    });
    if here != Some(true) {
        remote::wake(core, task);
    }
}
