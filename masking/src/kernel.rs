//! The pass over the buffer that finds candidates, one bit a byte.
//!
//! A [`Kernel`] finds which bytes are what ([`Block`]), and candidates among them; there are AVX-512 and AVX2 ones,
//! which hold the crate's only `unsafe`, and their scalar twin. What makes a candidate is the same code for all, shifts
//! and ANDs over 64 bits of each kind ([`Candidates::of`]), for several such words at once:
//!
//! - With AVX-512, and in plain code, these are eight blocks in a row ([`Lanes`], [`Group`]), each shift carrying bits
//!   from word to word.
//! - AVX2 has no instruction that does that. There they are four windows, which overlap by the bytes that candidates
//!   look back on ([`batch`]): to carry these bits over costs more than to find them again. So it is with the few
//!   blocks at the end of a buffer, which the others look at one by one.
//!
//! A block has eight kinds of byte and no more, so that a byte's kinds are the bits of one byte. Most text has addresses
//! or nothing: with AVX2, [`Candidates::hint`] tells so before the others are looked for.
//!
//! The pass sees frames, not values: beside a value's bytes stand header bytes that may look like digits or letters.
//! So a candidate is made only of what *is* in a hit, never of what is not around it, and every hit of a class makes
//! a candidate at a byte within itself:
//!
//! | class | candidate | look back |
//! |---|---|---|
//! | email | `@` | 0 |
//! | payment card | a digit that ends 13 digits, or 16 digits and single separators, or 14 with five digits in a row among the last 15 bytes | 15 |
//! | US SSN | the last digit | 10 |
//! | IPv4 | the first digit after the third dot | 12 |
//! | IBAN | the fourth letter or digit behind the check digits, which may have a separator between | 8 |
//! | AWS key, JWT | `A` or `J` behind `I`, `y` or `h`, as in `AKIA` and `eyJ` | 1 |
//! | GitHub token | `_`, two or three bytes after one of these, as in `ghp_` and `github_` | 3 |

// What runs for each block is compiled into the pass of each kernel, for that kernel's CPU features.
#![allow(clippy::inline_always)]

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(target_arch = "x86_64")]
pub(crate) mod batch;
pub(crate) mod scalar;

use std::ops::{BitAnd, BitOr};

use crate::scan::Pass;
use crate::{Class, ClassSet, Values};

/// How many bytes a word has bits for.
pub(crate) const BLOCK_BYTES: usize = 64;

/// Finds candidates, in the way that suits the CPU.
pub(crate) trait Kernel: Copy {
    /// Goes over the pass's buffer and has all candidates validated.
    fn drive<V: Values>(self, pass: &mut Pass<'_, V>);
}

/// Says which bytes of a block are what, and finds candidates in groups of them.
pub(crate) trait Classify: Copy {
    /// Classifies 64 bytes.
    fn classify(self, block: &[u8; BLOCK_BYTES]) -> Block;

    /// Classifies new blocks of a group, at most one less than it has lanes, and finds their candidates.
    #[inline(always)]
    fn look(self, group: &mut Group, new: &[[u8; BLOCK_BYTES]], wanted: &Candidates<u64>) {
        let mut lanes = Kinds::default();
        lanes.set(0, &group.blocks[0]);
        for (lane, (block, bytes)) in (1..).zip(group.blocks[1..].iter_mut().zip(new)) {
            *block = self.classify(bytes);
            lanes.set(lane, block);
        }
        group.found = Candidates::of(&lanes).and(&wanted.map(|bits| Lanes([bits; LANES])));
        group.any = group.found.any();
    }
}

/// Blocks in a row that are looked at together. The first was looked at before, for the candidates of the second.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group {
    pub(crate) blocks: [Block; LANES],
    /// Candidates of all blocks but the first.
    pub(crate) found: Candidates<Lanes>,
    /// Where there is one of any class.
    pub(crate) any: Lanes,
}

impl Group {
    /// Makes the last block the first: the one before those to come.
    #[inline(always)]
    pub(crate) fn repeat_last(&mut self) {
        self.blocks[0] = self.blocks[LANES - 1];
    }
}

/// A bit for each byte, the first byte's lowest: of one block, or of several in a row.
pub(crate) trait Bits: Copy + BitAnd<Output = Self> + BitOr<Output = Self> {
    /// Moves each bit to the byte that lies so many bytes behind its own.
    fn later<const BYTES: u32>(self) -> Self;

    /// The bits that the other has not.
    fn without(self, other: Self) -> Self;
}

impl Bits for u64 {
    #[inline(always)]
    fn later<const BYTES: u32>(self) -> Self {
        self << BYTES
    }

    #[inline(always)]
    fn without(self, other: Self) -> Self {
        self & !other
    }
}

/// How many blocks in a row are looked at together.
pub(crate) const LANES: usize = 8;

/// The bits of [`LANES`] blocks in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(align(64))]
pub(crate) struct Lanes(pub(crate) [u64; LANES]);

impl BitAnd for Lanes {
    type Output = Self;

    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane] & other.0[lane]))
    }
}

impl BitOr for Lanes {
    type Output = Self;

    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane] | other.0[lane]))
    }
}

impl Bits for Lanes {
    #[inline(always)]
    fn later<const BYTES: u32>(self) -> Self {
        Self(std::array::from_fn(|lane| {
            let before = if lane == 0 { 0 } else { self.0[lane - 1] };
            self.0[lane] << BYTES | before >> (u64::BITS - BYTES)
        }))
    }

    #[inline(always)]
    fn without(self, other: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane] & !other.0[lane]))
    }
}

/// Which bytes are of the kinds that candidates are made of, in the order of their bits in [`kinds`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Kinds<B> {
    pub(crate) digit: B,
    pub(crate) letter: B,
    pub(crate) at: B,
    pub(crate) dot: B,
    /// A dash or a space.
    pub(crate) separator: B,
    /// One of `I`, `y`, `h`.
    pub(crate) key_first: B,
    /// One of `A`, `J`, `_`.
    pub(crate) key_second: B,
}

/// Which bytes of a block are what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub(crate) struct Block {
    pub(crate) kinds: Kinds<u64>,
    /// What else may stand in an address.
    pub(crate) dash: u64,
}

/// The kinds of a byte, as the bits of one.
pub(crate) const fn kinds(byte: u8) -> u8 {
    let kinds = [
        byte.is_ascii_digit(),
        byte.is_ascii_alphabetic(),
        byte == b'@',
        byte == b'.',
        matches!(byte, b'-' | b' '),
        matches!(byte, b'I' | b'y' | b'h'),
        matches!(byte, b'A' | b'J' | b'_'),
        byte == b'-',
    ];
    let (mut bits, mut kind) = (0, 0);
    while kind < kinds.len() {
        bits |= (kinds[kind] as u8) << kind;
        kind += 1;
    }
    bits
}

impl<B: Bits> Kinds<B> {
    #[inline(always)]
    pub(crate) fn underscore(&self) -> B {
        self.key_second.without(self.letter)
    }

    /// The second of two digits in a row.
    #[inline(always)]
    fn digits_2(&self) -> B {
        self.digit & self.digit.later::<1>()
    }

    /// The last of eight bytes in a row that are digits, or single separators behind them.
    #[inline(always)]
    fn grouped_8(&self) -> B {
        let grouped = self.digit | self.separator & self.digit.later::<1>();
        let grouped_2 = grouped & grouped.later::<1>();
        let grouped_4 = grouped_2 & grouped_2.later::<2>();
        grouped_4 & grouped_4.later::<4>()
    }

    /// The digit behind a dot with a digit before it.
    #[inline(always)]
    fn dotted(&self) -> B {
        self.digit & self.dot.later::<1>() & self.digit.later::<2>()
    }

    /// One that is [dotted](Self::dotted), close behind another one.
    #[inline(always)]
    fn dotted_2(&self) -> B {
        let dotted = self.dotted();
        dotted & (dotted.later::<2>() | dotted.later::<3>() | dotted.later::<4>())
    }

    /// What begins as an account number does.
    #[inline(always)]
    fn iban(&self) -> B {
        let country = self.digits_2() & self.letter.later::<2>() & self.letter.later::<3>();
        let words = self.digit | self.letter;
        let words_2 = words & words.later::<1>();
        let words_4 = words_2 & words_2.later::<2>();
        words_4 & (country.later::<4>() | country.later::<5>() & self.separator.later::<4>())
    }

    /// What begins as an AWS key or a JSON web token does.
    #[inline(always)]
    fn key(&self) -> B {
        self.key_second & self.letter & self.key_first.later::<1>()
    }

    /// What begins as a token of GitHub does.
    #[inline(always)]
    fn github_token(&self) -> B {
        self.underscore() & (self.key_first.later::<2>() | self.key_first.later::<3>())
    }
}

impl Kinds<Lanes> {
    /// Sets what one of the blocks is.
    #[inline(always)]
    pub(crate) fn set(&mut self, lane: usize, block: &Block) {
        let kinds = &block.kinds;
        self.digit.0[lane] = kinds.digit;
        self.letter.0[lane] = kinds.letter;
        self.at.0[lane] = kinds.at;
        self.dot.0[lane] = kinds.dot;
        self.separator.0[lane] = kinds.separator;
        self.key_first.0[lane] = kinds.key_first;
        self.key_second.0[lane] = kinds.key_second;
    }
}

/// Candidates by class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Candidates<B> {
    pub(crate) email: B,
    pub(crate) card: B,
    pub(crate) ssn: B,
    pub(crate) ipv4: B,
    pub(crate) iban: B,
    pub(crate) aws_key: B,
    pub(crate) github_token: B,
    pub(crate) jwt: B,
}

impl Candidates<u64> {
    /// All bits for each class in the set.
    pub(crate) fn wanted(classes: ClassSet) -> Self {
        let bits = |class| if classes.contains(class) { u64::MAX } else { 0 };
        Self {
            email: bits(Class::Email),
            card: bits(Class::PaymentCard),
            ssn: bits(Class::UsSsn),
            ipv4: bits(Class::Ipv4),
            iban: bits(Class::Iban),
            aws_key: bits(Class::AwsKey),
            github_token: bits(Class::GithubToken),
            jwt: bits(Class::Jwt),
        }
    }
}

impl<B> Candidates<B> {
    /// The same in another form.
    #[inline(always)]
    pub(crate) fn map<C>(self, form: impl Fn(B) -> C) -> Candidates<C> {
        Candidates {
            email: form(self.email),
            card: form(self.card),
            ssn: form(self.ssn),
            ipv4: form(self.ipv4),
            iban: form(self.iban),
            aws_key: form(self.aws_key),
            github_token: form(self.github_token),
            jwt: form(self.jwt),
        }
    }
}

impl Candidates<Lanes> {
    /// The candidates of one of the blocks.
    #[inline(always)]
    pub(crate) fn lane(&self, lane: usize) -> Candidates<u64> {
        Candidates {
            email: self.email.0[lane],
            card: self.card.0[lane],
            ssn: self.ssn.0[lane],
            ipv4: self.ipv4.0[lane],
            iban: self.iban.0[lane],
            aws_key: self.aws_key.0[lane],
            github_token: self.github_token.0[lane],
            jwt: self.jwt.0[lane],
        }
    }
}

/// The bytes before the first that a block may have for its candidates to be complete.
pub(crate) const LOOK_BACK_BYTES: usize = 16;

impl<B: Bits> Candidates<B> {
    /// The candidates of a block, complete for bytes that have [`LOOK_BACK_BYTES`] of the block before them.
    #[inline(always)]
    pub(crate) fn of(kinds: &Kinds<B>) -> Self {
        let digit = kinds.digit;
        let separator = kinds.separator;
        let digits_2 = kinds.digits_2();
        let digits_4 = digits_2 & digits_2.later::<2>();
        let digits_8 = digits_4 & digits_4.later::<4>();
        let grouped_8 = kinds.grouped_8();

        // Five digits in a row somewhere in the last 15 bytes.
        let five = digits_4 & digit.later::<4>();
        let five_before = five | five.later::<1>();
        let five_before = five_before | five_before.later::<2>();
        let five_before = five_before | five_before.later::<4>();
        let five_before = five_before | five_before.later::<3>();

        let dotted_2 = kinds.dotted_2();
        let key = kinds.key();

        Self {
            email: kinds.at,
            card: digits_8 & digits_8.later::<5>()
                | digit & grouped_8 & (grouped_8.later::<8>() | grouped_8.later::<6>() & five_before),
            ssn: digits_4
                & separator.later::<4>()
                & digits_2.later::<5>()
                & separator.later::<7>()
                & digits_2.later::<8>()
                & digit.later::<10>(),
            ipv4: kinds.dotted() & (dotted_2.later::<2>() | dotted_2.later::<3>() | dotted_2.later::<4>()),
            iban: kinds.iban(),
            aws_key: key,
            github_token: kinds.github_token(),
            jwt: key,
        }
    }

    /// Where it has no bit, there is no candidate of any class but e-mail: most text has none, and to know that takes
    /// half of what it takes to find them.
    #[inline(always)]
    pub(crate) fn hint(kinds: &Kinds<B>) -> B {
        let grouped_8 = kinds.grouped_8();
        // Cards have 13 such bytes in a row, social security numbers 11.
        let grouped_11 = grouped_8 & grouped_8.later::<3>();
        grouped_11 | kinds.dotted_2() | kinds.iban() | kinds.key() | kinds.github_token()
    }

    /// The candidates that are in both.
    #[inline(always)]
    pub(crate) fn and(self, other: &Self) -> Self {
        Self {
            email: self.email & other.email,
            card: self.card & other.card,
            ssn: self.ssn & other.ssn,
            ipv4: self.ipv4 & other.ipv4,
            iban: self.iban & other.iban,
            aws_key: self.aws_key & other.aws_key,
            github_token: self.github_token & other.github_token,
            jwt: self.jwt & other.jwt,
        }
    }

    /// The bytes at which there is a candidate of any class.
    #[inline(always)]
    pub(crate) fn any(&self) -> B {
        self.email | self.any_but_email()
    }

    /// The bytes at which there is a candidate of any class but e-mail addresses.
    #[inline(always)]
    pub(crate) fn any_but_email(&self) -> B {
        self.card | self.ssn | self.ipv4 | self.iban | self.any_key()
    }

    /// The bytes at which there is a candidate of any class but payment cards.
    #[inline(always)]
    pub(crate) fn any_but_card(&self) -> B {
        self.email | self.ssn | self.ipv4 | self.iban | self.any_key()
    }

    /// The bytes at which there is a candidate of a class with a prefix of its own.
    #[inline(always)]
    pub(crate) fn any_key(&self) -> B {
        self.aws_key | self.github_token | self.jwt
    }
}

#[cfg(test)]
mod tests {
    use super::scalar::Scalar;
    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn avx512_agrees_with_the_scalar_kernel() {
        // A CPU without the features has nothing to test.
        if let Some(kernel) = avx512::Avx512::detect() {
            agrees_on_every_byte_at_every_place(kernel);
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn agrees_on_every_byte_at_every_place(kernel: impl Classify) {
        for byte in 0..=u8::MAX {
            assert_eq!(
                kernel.classify(&[byte; BLOCK_BYTES]),
                Scalar.classify(&[byte; BLOCK_BYTES]),
                "{byte:#04x}"
            );
            for place in 0..BLOCK_BYTES {
                let mut block = [0; BLOCK_BYTES];
                block[place] = byte;
                assert_eq!(
                    kernel.classify(&block),
                    Scalar.classify(&block),
                    "{byte:#04x} at {place}"
                );
            }
        }
    }

    /// Groups one after the other, each of so many new blocks, seen by two kernels.
    #[cfg(target_arch = "x86_64")]
    fn agrees_on_groups(kernel: impl Classify, bytes: &[u8]) {
        let blocks = bytes.as_chunks().0;
        for size in 1..LANES {
            let (mut one, mut other) = (Group::default(), Group::default());
            for wanted in [ClassSet::ALL, ClassSet::ALL.without(Class::Email)] {
                for new in blocks.chunks(size) {
                    let wanted = Candidates::wanted(wanted);
                    kernel.look(&mut one, new, &wanted);
                    Scalar.look(&mut other, new, &wanted);
                    assert_eq!(one.blocks[..=new.len()], other.blocks[..=new.len()]);
                    for lane in 1..=new.len() {
                        assert_eq!(
                            one.found.lane(lane),
                            other.found.lane(lane),
                            "lane {lane} of {size}"
                        );
                        assert_eq!(one.any.0[lane], other.any.0[lane]);
                    }
                    if new.len() == LANES - 1 {
                        one.repeat_last();
                        other.repeat_last();
                    } else {
                        (one, other) = (Group::default(), Group::default());
                    }
                }
            }
        }
    }

    proptest::proptest! {
        #[test]
        #[cfg(target_arch = "x86_64")]
        fn groups_are_seen_alike(
            bytes in proptest::collection::vec(
                proptest::prop_oneof![
                    4 => b'0'..=b'9',
                    2 => proptest::sample::select(b"@.- _IyhAJgKe".to_vec()),
                    2 => proptest::prelude::any::<u8>(),
                ],
                0..20 * BLOCK_BYTES,
            ),
        ) {
            if let Some(kernel) = avx512::Avx512::detect() {
                agrees_on_groups(kernel, &bytes);
            }
        }
    }

    #[test]
    fn every_hit_has_its_candidate_wherever_it_lies_in_a_block() {
        type Places = fn(&Candidates<u64>) -> u64;
        let rows: [(&str, &str, usize, Places); 18] = [
            ("email", "a@b.co", 1, |found| found.email),
            ("card", "4111111111111", 12, |found| found.card),
            ("card", "4-111111111111", 13, |found| found.card),
            ("card", "411111111111-1", 13, |found| found.card),
            ("card", "41111-1111-1111", 14, |found| found.card),
            ("card", "4111-1111 11111", 14, |found| found.card),
            ("card", "4111-1111-1111-1", 15, |found| found.card),
            ("card", "4-1-1-1-1-1-1-1-1-1-1-1-1", 24, |found| found.card),
            ("ssn", "123-45-6789", 10, |found| found.ssn),
            ("ipv4", "1.2.3.4", 6, |found| found.ipv4),
            ("ipv4", "111.222.133.144", 12, |found| found.ipv4),
            ("iban", "DE893704", 7, |found| found.iban),
            ("iban", "DE89 3704", 8, |found| found.iban),
            ("iban", "gb29-nwbk", 8, |found| found.iban),
            ("aws", "AKIA", 3, |found| found.aws_key),
            ("github", "ghp_", 3, |found| found.github_token),
            ("github", "github_pat_", 6, |found| found.github_token),
            ("jwt", "eyJ", 2, |found| found.jwt),
        ];
        for around in [b' ', b'0', b'A', b'-', b'.', 0] {
            for (name, text, place, of) in rows {
                for start in 0..BLOCK_BYTES - text.len() {
                    let mut block = [around; BLOCK_BYTES];
                    block[start..start + text.len()].copy_from_slice(text.as_bytes());
                    let found = Candidates::of(&Scalar.classify(&block).kinds);
                    assert!(
                        of(&found) >> (start + place) & 1 == 1,
                        "{name} at {start} within {around:#04x}"
                    );
                }
            }
        }
    }
}
