//! The pass: blocks through a kernel, candidates to validators, hits to the buffer.

use std::ops::ControlFlow::{self, Continue};
use std::ops::Range;

use crate::detect::{LOOK_BEHIND, View, aws, card, email, github, iban, ipv4, jwt, ssn};
#[cfg(target_arch = "x86_64")]
use crate::kernel::avx2::{Avx2, Windows};
#[cfg(target_arch = "x86_64")]
use crate::kernel::avx512::Avx512;
#[cfg(target_arch = "x86_64")]
use crate::kernel::batch::{AtSigns, BATCH_BYTES, Batch, GROUP_BYTES, WINDOW_BYTES};
use crate::kernel::scalar::Scalar;
use crate::kernel::{BLOCK_BYTES, Block, Candidates, Classify, Group, Kernel, LANES, LOOK_BACK_BYTES};
use crate::pending::Pending;
use crate::{Class, ClassSet, Counts, Values};

/// One pass over a buffer.
pub(crate) struct Pass<'a, V> {
    pub(crate) buf: &'a mut [u8],
    pub(crate) values: V,
    pub(crate) counts: &'a mut Counts,
    pub(crate) progress: &'a mut Progress,
    pub(crate) classes: ClassSet,
    /// More of the last value is to come.
    pub(crate) is_open: bool,
}

/// What a pass knows of the bytes behind it; places are the buffer's.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    pending: Pending,
    /// The value that the last candidate was in.
    value: Range<usize>,
    /// Where the last hit of each class ended.
    ends: [usize; Class::COUNT],
    /// Where the last run of digits ended that was looked at for a card.
    digits_end: usize,
    /// Up to where the last header of a token was read.
    header_seen: usize,
    /// Candidates before this place were dealt with in an earlier pass.
    resume: usize,
    /// Where in this buffer a token goes on that had no end in the last one: of GitHub, a JSON web token.
    running: [Option<usize>; RUNNING.len()],
}

type IsBody = fn(u8) -> bool;

/// The classes whose hits may be of any length, and what they go on with.
const RUNNING: [(Class, IsBody); 2] = [(Class::GithubToken, github::is_body), (Class::Jwt, jwt::is_body)];

impl Progress {
    pub(crate) const fn new() -> Self {
        Self {
            pending: Pending::new(),
            value: 0..0,
            ends: [0; Class::COUNT],
            digits_end: 0,
            header_seen: 0,
            resume: 0,
            running: [None; RUNNING.len()],
        }
    }

    /// The state for a buffer that begins `bytes` further on, of which nothing before is needed.
    fn rebase(&mut self, bytes: usize) {
        self.pending.rebase(bytes);
        self.value = 0..0;
        for place in
            self.ends
                .iter_mut()
                .chain([&mut self.digits_end, &mut self.header_seen, &mut self.resume])
        {
            *place = place.saturating_sub(bytes);
        }
        for place in self.running.iter_mut().flatten() {
            *place -= bytes;
        }
    }
}

/// Masks the hits in all values of a buffer.
#[inline]
pub(crate) fn mask(buf: &mut [u8], classes: ClassSet, values: impl Values, counts: &mut Counts) {
    let progress = &mut Progress::new();
    let mut pass = Pass {
        buf,
        values,
        counts,
        progress,
        classes,
        is_open: false,
    };
    pass.run();
    pass.close();
}

impl<V: Values> Pass<'_, V> {
    /// Goes over the buffer once, with the best kernel that the CPU has.
    pub(crate) fn run(&mut self) {
        #[cfg(target_arch = "x86_64")]
        if let Some(kernel) = Avx512::detect() {
            return kernel.drive(self);
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(kernel) = Avx2::detect() {
            return kernel.drive(self);
        }
        Scalar.drive(self);
    }

    /// Writes all hits: nothing follows.
    pub(crate) fn close(&mut self) {
        self.progress.pending.write(self.buf, usize::MAX);
    }

    /// Writes the hits that nothing to come can change, and says where these bytes end.
    pub(crate) fn advance(&mut self) -> usize {
        let end = self.progress.resume.saturating_sub(LOOK_BEHIND);
        self.progress.pending.write(self.buf, end);
        self.progress.rebase(end);
        end
    }

    /// Goes on with tokens that had no end in the last buffer.
    pub(crate) fn go_on(&mut self) {
        for (index, (class, is_body)) in RUNNING.into_iter().enumerate() {
            let Some(start) = self.progress.running[index].take() else {
                continue;
            };
            let end = self.buf[start..]
                .iter()
                .position(|byte| !is_body(*byte))
                .map(|bytes| start + bytes);
            if end.is_none() {
                self.progress.running[index] = Some(self.buf.len());
            }
            let end = end.unwrap_or(self.buf.len());
            self.progress.ends[class.index()] = end;
            self.progress.pending.push(self.buf, start, start, end);
        }
    }

    /// Runs the validators at these places of a block, until one needs bytes that are still to come.
    #[inline(never)]
    fn validate(
        &mut self,
        mut places: u64,
        found: &Candidates<u64>,
        start: usize,
        around: impl email::Around,
    ) -> ControlFlow<()> {
        while places != 0 {
            let bit = places & places.wrapping_neg();
            let at = start + places.trailing_zeros() as usize;
            places ^= bit;
            if !self.enter(at) {
                continue;
            }
            if bit & found.email != 0 {
                self.address_in_value(at, around)?;
            }
            if bit & found.card != 0 && at >= self.progress.digits_end {
                let mut digits_end = at;
                self.settle(Class::PaymentCard, at, |view, _| {
                    card::find(view, at, &mut digits_end)
                })?;
                self.progress.digits_end = digits_end;
                let later = u32::try_from(digits_end - start)
                    .ok()
                    .and_then(|bits| u64::MAX.checked_shl(bits));
                places &= later.unwrap_or(0) | found.any_but_card();
            }
            if bit & found.ssn != 0 {
                self.settle(Class::UsSsn, at, |view, _| ssn::find(view, at))?;
            }
            if bit & found.ipv4 != 0 {
                self.settle(Class::Ipv4, at, |view, _| ipv4::find(view, at))?;
            }
            if bit & found.iban != 0 {
                self.settle(Class::Iban, at, |view, _| iban::find(view, at))?;
            }
            if bit & found.any_key() != 0 {
                self.validate_key(at, bit, found)?;
            }
        }
        Continue(())
    }

    /// As [`Self::validate`], where there are candidates of e-mail addresses only: mostly they are the only ones.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    fn addresses(&mut self, mut places: u64, start: usize, around: impl email::Around) -> ControlFlow<()> {
        while places != 0 {
            let at = start + places.trailing_zeros() as usize;
            places &= places - 1;
            self.address(at, around)?;
        }
        Continue(())
    }

    /// Validates the e-mail address whose `@` is at `at`, if it is to be looked at.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn address(&mut self, at: usize, around: impl email::Around) -> ControlFlow<()> {
        if self.enter(at) {
            self.address_in_value(at, around)?;
        }
        Continue(())
    }

    #[inline(always)]
    #[allow(clippy::inline_always)]
    fn address_in_value(&mut self, at: usize, around: impl email::Around) -> ControlFlow<()> {
        let last_end = self.progress.ends[Class::Email.index()];
        // A value that goes on may go on with more of the address.
        if !self.is_open
            && let Some(hit) = email::find_plain(self.buf, &self.progress.value, at, last_end, around)
        {
            self.take(Class::Email, at, &hit);
            return Continue(());
        }
        self.other_address(at)
    }

    /// Validates an e-mail address that the bytes near its `@` do not tell.
    #[inline(never)]
    fn other_address(&mut self, at: usize) -> ControlFlow<()> {
        let last_end = self.progress.ends[Class::Email.index()];
        self.settle(Class::Email, at, |view, _| email::find(view, at, last_end))
    }

    #[inline(never)]
    fn validate_key(&mut self, at: usize, bit: u64, found: &Candidates<u64>) -> ControlFlow<()> {
        if bit & found.aws_key != 0 {
            self.settle(Class::AwsKey, at, |view, _| aws::find(view, at))?;
        }
        if bit & found.github_token != 0 && at >= self.progress.ends[Class::GithubToken.index()] {
            self.settle(Class::GithubToken, at, |view, _| github::find(view, at))?;
        }
        if bit & found.jwt != 0 && at >= self.progress.ends[Class::Jwt.index()] {
            self.settle(Class::Jwt, at, |view, progress| {
                jwt::find(view, at, &mut progress.header_seen)
            })?;
        }
        Continue(())
    }

    /// Finds the value that the candidate at `at` is in, if it is in one, and was not dealt with before.
    #[inline]
    fn enter(&mut self, at: usize) -> bool {
        if at < self.progress.resume {
            return false;
        }
        if self.progress.value.contains(&at) {
            return true;
        }
        let Some(value) = self.values.value_at(self.buf, at) else {
            return false;
        };
        assert!(
            value.contains(&at) && value.end <= self.buf.len(),
            "value {value:?} for position {at}"
        );
        self.progress.value = value;
        true
    }

    /// Runs one validator and takes its hit.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    fn settle(
        &mut self,
        class: Class,
        at: usize,
        find: impl FnOnce(&View<'_>, &mut Progress) -> Option<Range<usize>>,
    ) -> ControlFlow<()> {
        let view = View::new(self.buf, &self.progress.value.clone());
        let hit = find(&view, self.progress);
        if self.is_open && view.asked_past_end() {
            let end = view.end();
            let running = RUNNING.iter().position(|(running, _)| *running == class);
            let (Some(index), true) = (running, hit.is_some()) else {
                self.progress.resume = at;
                return ControlFlow::Break(());
            };
            self.progress.running[index] = Some(end);
        }
        if let Some(hit) = hit {
            self.take(class, at, &hit);
        }
        Continue(())
    }

    #[inline]
    fn take(&mut self, class: Class, at: usize, hit: &Range<usize>) {
        let last_end = &mut self.progress.ends[class.index()];
        if hit.start >= *last_end {
            self.counts.add(class, 1);
        }
        *last_end = hit.end.max(*last_end);
        self.progress.pending.push(self.buf, at, hit.start, hit.end);
    }
}

/// Goes over the buffer with this kernel.
///
/// Always inlined, so that it is compiled for the CPU features of the kernel's own entry.
#[inline(always)]
#[allow(clippy::inline_always)]
pub(crate) fn drive_blocks<K: Classify, V: Values>(kernel: K, pass: &mut Pass<'_, V>) {
    let wanted = &Candidates::wanted(pass.classes);
    let length = pass.buf.len();
    if length < BLOCK_BYTES {
        let mut padded = [0; BLOCK_BYTES];
        padded[..length].copy_from_slice(pass.buf);
        let block = kernel.classify(&padded);
        let found = Candidates::of(&block.kinds).and(wanted);
        if found.any() != 0 && pass.validate(found.any(), &found, 0, alone(0, &block)).is_break() {
            return;
        }
        pass.progress.resume = length;
        return;
    }

    let Continue(done) = drive_lanes(kernel, wanted, pass) else {
        return;
    };
    let mut start = done.saturating_sub(LOOK_BACK_BYTES);
    let mut new = if done == 0 {
        u64::MAX
    } else {
        u64::MAX << LOOK_BACK_BYTES
    };
    while let Some(bytes) = pass.buf[start..].first_chunk() {
        let block = kernel.classify(bytes);
        let found = Candidates::of(&block.kinds).and(wanted);
        let places = found.any() & new;
        if places != 0
            && pass
                .validate(places, &found, start, alone(start, &block))
                .is_break()
        {
            return;
        }
        start += BLOCK_BYTES - LOOK_BACK_BYTES;
        new = u64::MAX << LOOK_BACK_BYTES;
    }
    let seen = start + LOOK_BACK_BYTES;
    if let (Some(bytes), true) = (pass.buf.last_chunk(), seen < length) {
        let start = length - BLOCK_BYTES;
        let block = kernel.classify(bytes);
        let found = Candidates::of(&block.kinds).and(wanted);
        let places = found.any() & u64::MAX << (seen - start);
        if places != 0
            && pass
                .validate(places, &found, start, alone(start, &block))
                .is_break()
        {
            return;
        }
    }
    pass.progress.resume = length;
}

/// A block of which its neighbours are not known.
#[inline(always)]
#[allow(clippy::inline_always)]
fn alone(start: usize, block: &Block) -> email::Beside<'_> {
    email::Beside {
        start,
        block,
        before: None,
        behind: None,
    }
}

/// New blocks that are looked at together at most; the one before them comes first.
const NEW_LANES: usize = LANES - 1;
/// Fewer are looked at one by one.
const NEW_LANES_MIN: usize = 3;

/// Goes over the front of the buffer, several blocks at once; says how far.
#[inline(always)]
#[allow(clippy::inline_always)]
fn drive_lanes<K: Classify, V: Values>(
    kernel: K,
    wanted: &Candidates<u64>,
    pass: &mut Pass<'_, V>,
) -> ControlFlow<(), usize> {
    let mut group = Group::default();
    let mut start = 0;
    loop {
        let new = pass.buf[start..].as_chunks().0;
        let count = new.len().min(NEW_LANES);
        if count < NEW_LANES_MIN {
            return Continue(start);
        }
        kernel.look(&mut group, &new[..count], wanted);
        for lane in 1..=count {
            let places = group.any.0[lane];
            if places != 0 {
                let around = email::Beside {
                    start: start + (lane - 1) * BLOCK_BYTES,
                    block: &group.blocks[lane],
                    // What lies before the buffer is in no value.
                    before: group.blocks.get(lane - 1),
                    behind: group.blocks[..=count].get(lane + 1),
                };
                if places == group.found.email.0[lane] {
                    pass.addresses(places, around.start, around)?;
                } else {
                    pass.validate(places, &group.found.lane(lane), around.start, around)?;
                }
            }
        }
        group.repeat_last();
        start += count * BLOCK_BYTES;
    }
}

/// Goes over the buffer batch by batch. Always inlined, as [`drive_blocks`] is.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[allow(clippy::inline_always)]
pub(crate) fn drive_batches<V: Values>(kernel: Avx2, pass: &mut Pass<'_, V>) {
    let length = pass.buf.len();
    let (mut batch, mut at_signs) = (Batch::default(), AtSigns::new());
    for start in (0..length).step_by(BATCH_BYTES) {
        if start > 0 {
            batch.turn();
        }
        if drive_batch(kernel, pass, start, &mut batch, &mut at_signs).is_break() {
            return;
        }
    }
    pass.progress.resume = length;
}

/// Looks at the groups of one batch.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[allow(clippy::inline_always)]
fn drive_batch<V: Values>(
    kernel: Avx2,
    pass: &mut Pass<'_, V>,
    start: usize,
    batch: &mut Batch,
    at_signs: &mut AtSigns,
) -> ControlFlow<()> {
    let end = pass.buf.len().min(start + BATCH_BYTES);
    let wants_email = pass.classes.contains(Class::Email);
    kernel.fill(batch, 0, &pass.buf[start..end.min(start + GROUP_BYTES)]);
    for (group, group_start) in (start..end).step_by(GROUP_BYTES).enumerate() {
        let next = group_start + GROUP_BYTES;
        if next < end {
            kernel.fill(batch, group + 1, &pass.buf[next..end.min(next + GROUP_BYTES)]);
        }
        let windows = kernel.windows(batch, group);
        if !Candidates::hint(&windows).is_zero() {
            let wanted = Candidates::wanted(pass.classes).map(|bits| Windows::all(kernel, bits));
            let found = Candidates::of(&windows).and(&wanted);
            if !found.any_but_email().is_zero() {
                kernel.addresses(pass, start, at_signs.take())?;
                look_at_group(kernel, pass, &found, group_start)?;
                continue;
            }
        }
        if wants_email && !windows.at.is_zero() {
            at_signs.add(batch, group);
            if at_signs.are_enough() {
                kernel.addresses(pass, start, at_signs.take())?;
            }
        }
    }
    kernel.addresses(pass, start, at_signs.take())
}

/// Has the candidates of a group validated.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[allow(clippy::inline_always)]
fn look_at_group<V: Values>(
    kernel: Avx2,
    pass: &mut Pass<'_, V>,
    found: &Candidates<Windows>,
    start: usize,
) -> ControlFlow<()> {
    let any = found.any().words();
    let found = found.map(Windows::words);
    for (window, places) in any.into_iter().enumerate() {
        if places != 0 {
            let found = found.map(|words| words[window]);
            pass.validate(places, &found, start + window * WINDOW_BYTES, kernel)?;
        }
    }
    Continue(())
}
