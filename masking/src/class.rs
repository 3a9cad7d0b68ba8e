//! Classes of data that a detector knows by content, sets of them, and counts by class.

use std::fmt;

/// A class of personal or secret data with a detector of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Class {
    /// An e-mail address.
    Email,
    /// A payment card number of a known issuer with a right Luhn digit.
    PaymentCard,
    /// A US social security number in its dashed form.
    UsSsn,
    /// An IPv4 address in dotted decimal.
    Ipv4,
    /// An international bank account number with right check digits.
    Iban,
    /// An AWS access key id.
    AwsKey,
    /// A GitHub token.
    GithubToken,
    /// A JSON web token, signed or encrypted.
    Jwt,
}

impl Class {
    /// How many classes there are.
    pub const COUNT: usize = 8;

    /// Every class, in the order of its number.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Email,
        Self::PaymentCard,
        Self::UsSsn,
        Self::Ipv4,
        Self::Iban,
        Self::AwsKey,
        Self::GithubToken,
        Self::Jwt,
    ];

    /// The name that configuration, policy, metrics and the audit log use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::PaymentCard => "payment_card",
            Self::UsSsn => "us_ssn",
            Self::Ipv4 => "ipv4",
            Self::Iban => "iban",
            Self::AwsKey => "aws_key",
            Self::GithubToken => "github_token",
            Self::Jwt => "jwt",
        }
    }

    /// The class of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// The class's number, an index below [`Class::COUNT`] that never changes its meaning.
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of classes: what is to be masked for somebody.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ClassSet(u16);

impl ClassSet {
    /// No class at all.
    pub const EMPTY: Self = Self(0);
    /// Every class.
    pub const ALL: Self = Self((1 << Class::COUNT) - 1);

    /// The set of these bits, `1 << class.index()` each; bits of no class are dropped.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// The set as bits, `1 << class.index()` each.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether the set has no class.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `class` is in the set.
    pub const fn contains(self, class: Class) -> bool {
        self.0 & (1 << class.index()) != 0
    }

    /// The set with `class` in it.
    #[must_use]
    pub const fn with(self, class: Class) -> Self {
        Self(self.0 | 1 << class.index())
    }

    /// The set with `class` not in it.
    #[must_use]
    pub const fn without(self, class: Class) -> Self {
        Self(self.0 & !(1 << class.index()))
    }

    /// The classes of the set, in the order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = Class> {
        Class::ALL.into_iter().filter(move |class| self.contains(*class))
    }
}

impl FromIterator<Class> for ClassSet {
    fn from_iter<I: IntoIterator<Item = Class>>(classes: I) -> Self {
        classes.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for ClassSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// How many hits of each class were masked. Saturates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts([u32; Class::COUNT]);

impl Counts {
    /// The hits of `class`.
    pub const fn of(&self, class: Class) -> u32 {
        self.0[class.index()]
    }

    /// The hits of all classes together.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|count| u64::from(*count)).sum()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Counts `hits` more of `class`.
    pub fn add(&mut self, class: Class, hits: u32) {
        let count = &mut self.0[class.index()];
        *count = count.saturating_add(hits);
    }

    /// Adds another count to this one.
    pub fn merge(&mut self, other: &Self) {
        for class in Class::ALL {
            self.add(class, other.of(class));
        }
    }

    /// Each class with its hits, in the order of the classes' numbers.
    pub fn iter(&self) -> impl Iterator<Item = (Class, u32)> + '_ {
        Class::ALL.into_iter().map(|class| (class, self.of(class)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_lead_back_to_the_class() {
        for (index, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(Class::from_name(class.name()), Some(class));
            assert_eq!(class.index(), index);
        }
        assert_eq!(Class::from_name("Email"), None);
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        let set: ClassSet = [Class::Jwt, Class::Email].into_iter().collect();
        assert!(set.contains(Class::Jwt) && set.contains(Class::Email) && !set.contains(Class::Iban));
        assert_eq!(set.without(Class::Jwt), ClassSet::EMPTY.with(Class::Email));
        assert_eq!(ClassSet::from_bits(u16::MAX), ClassSet::ALL);
        assert_eq!(ClassSet::ALL.iter().count(), Class::COUNT);
    }

    #[test]
    fn counts_saturate() {
        let mut counts = Counts::default();
        counts.add(Class::Iban, u32::MAX);
        counts.add(Class::Iban, 1);
        assert_eq!(counts.of(Class::Iban), u32::MAX);
        let mut sum = Counts::default();
        sum.merge(&counts);
        assert_eq!(sum.total(), u64::from(u32::MAX));
    }
}
