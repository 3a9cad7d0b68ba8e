//! The pass over the buffer that finds candidates, 64 bytes a step and one bit a byte.
//!
//! A [`Kernel`] only says which bytes of a block are what ([`Block`]); there are AVX-512 and AVX2 ones, which hold
//! the crate's only `unsafe`, and their scalar twin. What makes a candidate of that is the same code for all, shifts
//! and ANDs over a whole block ([`Candidates::of`]). Blocks overlap by the bytes that candidates look back on: to
//! carry these bits over costs more than to find them again.
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
//! | IBAN | the second check digit, in letter, letter, digit, digit | 3 |
//! | AWS key | the `A` in `IA` | 1 |
//! | GitHub token | `_`, two or three bytes after an `h` | 3 |
//! | JWT | the `J` in `yJ` | 1 |

// What runs for each block is compiled into the pass of each kernel, for that kernel's CPU features.
#![allow(clippy::inline_always)]

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
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
        self.card | self.any_but_card()
    }

    /// The bytes at which there is a candidate of any class but payment cards.
    #[inline(always)]
    pub(crate) const fn any_but_card(&self) -> u64 {
        self.email | self.ssn | self.ipv4 | self.iban | self.any_key()
    }

    /// The bytes at which there is a candidate of any class but account numbers.
    #[inline(always)]
    pub(crate) const fn any_but_iban(&self) -> u64 {
        self.email | self.card | self.ssn | self.ipv4 | self.any_key()
    }

    /// The bytes at which there is a candidate of a class with a prefix of its own.
    #[inline(always)]
    pub(crate) const fn any_key(&self) -> u64 {
        self.aws_key | self.github_token | self.jwt
    }
}

/// The bytes before the first that a block may have for its candidates to be complete.
pub(crate) const LOOK_BACK_BYTES: usize = 16;

impl Candidates {
    /// The candidates of a block, complete for bytes that have [`LOOK_BACK_BYTES`] of the block before them.
    #[inline(always)]
    pub(crate) const fn of(block: &Block) -> Self {
        let Block {
            digit, letter, dash, ..
        } = *block;
        let digits_2 = digit & digit << 1;
        let digits_4 = digits_2 & digits_2 << 2;
        let digits_8 = digits_4 & digits_4 << 4;

        let grouped = digit | (dash | block.space) & digit << 1;
        let grouped_2 = grouped & grouped << 1;
        let grouped_4 = grouped_2 & grouped_2 << 2;
        let grouped_8 = grouped_4 & grouped_4 << 4;

        // Five digits in a row somewhere in the last 15 bytes.
        let five = digits_4 & digit << 4;
        let five_before = five | five << 1;
        let five_before = five_before | five_before << 2;
        let five_before = five_before | five_before << 4;
        let five_before = five_before | five_before << 3;

        let dotted = digit & block.dot << 1 & digit << 2;
        let dotted_2 = dotted & (dotted << 2 | dotted << 3 | dotted << 4);

        Self {
            email: block.at,
            card: digits_8 & digits_8 << 5
                | digit & grouped_8 & (grouped_8 << 8 | grouped_8 << 6 & five_before),
            ssn: digits_4 & dash << 4 & digits_2 << 5 & dash << 7 & digits_2 << 8 & digit << 10,
            ipv4: dotted & (dotted_2 << 2 | dotted_2 << 3 | dotted_2 << 4),
            iban: digits_2 & letter << 2 & letter << 3,
            aws_key: block.upper_a & block.upper_i << 1,
            github_token: block.underscore & (block.lower_h << 2 | block.lower_h << 3),
            jwt: block.upper_j & block.lower_y << 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::scalar::Scalar;
    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn every_kernel_agrees_with_the_scalar_one() {
        // A CPU without the features has nothing to test.
        if let Some(kernel) = avx2::Avx2::detect() {
            agrees_on_every_byte_at_every_place(kernel);
        }
        if let Some(kernel) = avx512::Avx512::detect() {
            agrees_on_every_byte_at_every_place(kernel);
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn agrees_on_every_byte_at_every_place(kernel: impl Kernel) {
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

    #[test]
    fn every_hit_has_its_candidate_wherever_it_lies_in_a_block() {
        type Places = fn(&Candidates) -> u64;
        let rows: [(&str, &str, usize, Places); 16] = [
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
            ("iban", "DE89", 3, |found| found.iban),
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
                    let found = Candidates::of(&Scalar.classify(&block));
                    assert!(
                        of(&found) >> (start + place) & 1 == 1,
                        "{name} at {start} within {around:#04x}"
                    );
                }
            }
        }
    }
}
