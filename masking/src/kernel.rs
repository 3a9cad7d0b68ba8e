//! The pass over the buffer that finds candidates, 64 bytes a step and one bit a byte.
//!
//! A [`Kernel`] only says which bytes of a block are what ([`Block`]); there is one for AVX2 and a scalar twin. What
//! makes a candidate of that is the same code for both: shifts and ANDs over whole blocks, with the last block's bits
//! carried in ([`Carry`]).
//!
//! The pass sees frames, not values: beside a value's bytes stand header bytes that may look like digits or letters.
//! So a candidate is made only of what *is* in a hit, never of what is not around it, and every hit of a class makes
//! a candidate at a byte within itself:
//!
//! | class | candidate | look back |
//! |---|---|---|
//! | email | `@` | 0 |
//! | payment card | a digit that ends 14 bytes of digits and single separators, or 13 with a digit third from the end | 13 |
//! | US SSN | the first digit of the serial, in `d-dd-d` | 5 |
//! | IPv4 | the first digit after the third dot | 12 |
//! | IBAN | the second check digit, in letter, letter, digit, digit | 3 |
//! | AWS key | the `A` in `IA` | 1 |
//! | GitHub token | `_`, two or three bytes after an `h` | 3 |
//! | JWT | the `J` in `yJ` | 1 |

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
pub(crate) mod scalar;

use crate::{Class, ClassSet};

/// How many bytes a kernel looks at in a step.
pub(crate) const BLOCK_BYTES: usize = 64;

/// Says which bytes of a block are what.
pub(crate) trait Kernel: Copy {
    /// Classifies 64 bytes.
    fn classify(self, block: &[u8; BLOCK_BYTES]) -> Block;
}

/// A bit for each byte of a block, the first byte's lowest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) digit: u64,
    pub(crate) letter: u64,
    pub(crate) at: u64,
    pub(crate) dot: u64,
    pub(crate) dash: u64,
    pub(crate) space: u64,
    pub(crate) underscore: u64,
    pub(crate) lower_h: u64,
    pub(crate) lower_y: u64,
    pub(crate) upper_a: u64,
    pub(crate) upper_i: u64,
    pub(crate) upper_j: u64,
}

impl Block {
    /// The block whose first `bytes` bytes are dropped, and nothing known of what comes after.
    #[inline(always)]
    pub(crate) const fn skip(self, bytes: u32) -> Self {
        Self {
            digit: self.digit >> bytes,
            letter: self.letter >> bytes,
            at: self.at >> bytes,
            dot: self.dot >> bytes,
            dash: self.dash >> bytes,
            space: self.space >> bytes,
            underscore: self.underscore >> bytes,
            lower_h: self.lower_h >> bytes,
            lower_y: self.lower_y >> bytes,
            upper_a: self.upper_a >> bytes,
            upper_i: self.upper_i >> bytes,
            upper_j: self.upper_j >> bytes,
        }
    }
}

/// Candidates of a block by class, a bit for each byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Candidates {
    pub(crate) email: u64,
    pub(crate) card: u64,
    pub(crate) ssn: u64,
    pub(crate) ipv4: u64,
    pub(crate) iban: u64,
    pub(crate) aws_key: u64,
    pub(crate) github_token: u64,
    pub(crate) jwt: u64,
}

impl Candidates {
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

    /// The candidates that are in both.
    #[inline(always)]
    pub(crate) const fn and(self, other: &Self) -> Self {
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
    pub(crate) const fn any(&self) -> u64 {
        self.email
            | self.card
            | self.ssn
            | self.ipv4
            | self.iban
            | self.aws_key
            | self.github_token
            | self.jwt
    }
}

/// What the next block needs of the last one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Carry {
    last: Block,
    /// A digit after a dot after a digit.
    dotted: u64,
    /// Such a digit that follows another such, an octet before.
    dotted_twice: u64,
    /// Ends of 1, 2, 4 and 8 digits with single separators.
    grouped: [u64; 4],
}

impl Carry {
    /// The candidates of the next block.
    #[inline(always)]
    pub(crate) fn step(&mut self, block: &Block) -> Candidates {
        let last = &self.last;
        let digit = |back| shift(block.digit, last.digit, back);
        let dash = |back| shift(block.dash, last.dash, back);
        let (digit_1, digit_2) = (digit(1), digit(2));

        let ssn = block.digit & dash(1) & digit_2 & digit(3) & dash(4) & digit(5);

        let dotted = block.digit & shift(block.dot, last.dot, 1) & digit_2;
        let octet_later = |now, last| shift(now, last, 2) | shift(now, last, 3) | shift(now, last, 4);
        let dotted_twice = dotted & octet_later(dotted, self.dotted);
        let ipv4 = dotted & octet_later(dotted_twice, self.dotted_twice);

        let one = block.digit | (block.dash | block.space) & digit_1;
        let two = one & shift(one, self.grouped[0], 1);
        let four = two & shift(two, self.grouped[1], 2);
        let eight = four & shift(four, self.grouped[2], 4);
        let thirteen = eight & shift(eight, self.grouped[3], 5);
        let fourteen = eight & shift(eight, self.grouped[3], 6);
        // A date with an hour is 13 such bytes too; the space before the hour tells it from 13 digits.
        let card = block.digit & (fourteen | thirteen & digit_2);

        let letter = |back| shift(block.letter, last.letter, back);
        let iban = block.digit & digit_1 & letter(2) & letter(3);

        let lower_h = |back| shift(block.lower_h, last.lower_h, back);
        let candidates = Candidates {
            email: block.at,
            card,
            ssn,
            ipv4,
            iban,
            aws_key: block.upper_a & shift(block.upper_i, last.upper_i, 1),
            github_token: block.underscore & (lower_h(2) | lower_h(3)),
            jwt: block.upper_j & shift(block.lower_y, last.lower_y, 1),
        };
        *self = Self {
            last: *block,
            dotted,
            dotted_twice,
            grouped: [one, two, four, eight],
        };
        candidates
    }
}

/// The bits of this block and the last, `back` bytes later.
#[inline(always)]
const fn shift(now: u64, last: u64, back: u32) -> u64 {
    now << back | last >> (64 - back)
}
