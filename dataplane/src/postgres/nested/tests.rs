//! Values of any depth, made with what is expected of them.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use sluice_masking::Class;

use super::*;

/// A type of the database's own.
const OWN: u32 = 20_000;

/// A value in binary format, as the parts that it is made of.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    Null,
    Number(i32),
    /// Text of a built-in type.
    Text(Vec<u8>),
    /// Of an enum, a domain, citext ...
    OwnText(Vec<u8>),
    /// Elements of a type that is not known.
    Array(Vec<Self>),
    Record(Vec<Self>),
    /// A row type with a name.
    OwnRecord(Vec<Self>),
    /// The bounds that are not infinite, two at most.
    Range(Vec<Self>),
    Multirange(Vec<Vec<Self>>),
    Hstore(Vec<(Vec<u8>, Option<Vec<u8>>)>),
    Lexemes(Vec<(Vec<u8>, Vec<u16>)>),
}

impl Tree {
    pub(crate) fn type_oid(&self) -> u32 {
        match self {
            Self::Null | Self::Text(_) => 25,
            Self::Number(_) => 23,
            Self::Array(_) => 2287,
            Self::Record(_) => 2249,
            Self::Lexemes(_) => 3614,
            _ => OWN,
        }
    }

    /// Its bytes; none for NULL.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        match self {
            Self::Null => return None,
            Self::Number(number) => out.extend(number.to_be_bytes()),
            Self::Text(text) | Self::OwnText(text) => out.extend(text),
            Self::Array(elements) => {
                let dimensions = u32::from(!elements.is_empty());
                for word in [dimensions, 0, OWN] {
                    out.extend(word.to_be_bytes());
                }
                if dimensions > 0 {
                    out.extend(count(elements.len()));
                    out.extend(1u32.to_be_bytes());
                }
                for element in elements {
                    element.behind_its_length(&mut out);
                }
            }
            Self::Record(fields) | Self::OwnRecord(fields) => {
                out.extend(count(fields.len()));
                for field in fields {
                    out.extend(field.type_oid().to_be_bytes());
                    field.behind_its_length(&mut out);
                }
            }
            Self::Range(bounds) => {
                out.push([0x18, 0x08, 0x02][bounds.len()]);
                for bound in bounds {
                    bound.behind_its_length(&mut out);
                }
            }
            Self::Multirange(ranges) => {
                out.extend(count(ranges.len()));
                for range in ranges {
                    Self::Range(range.clone()).behind_its_length(&mut out);
                }
            }
            Self::Hstore(pairs) => {
                out.extend(count(pairs.len()));
                for (key, value) in pairs {
                    Self::Text(key.clone()).behind_its_length(&mut out);
                    value
                        .clone()
                        .map_or(Self::Null, Self::Text)
                        .behind_its_length(&mut out);
                }
            }
            Self::Lexemes(lexemes) => {
                out.extend(count(lexemes.len()));
                for (lexeme, positions) in lexemes {
                    out.extend(lexeme);
                    out.push(0);
                    out.extend(u16::try_from(positions.len()).unwrap().to_be_bytes());
                    out.extend(positions.iter().flat_map(|position| position.to_be_bytes()));
                }
            }
        }
        Some(out)
    }

    fn behind_its_length(&self, out: &mut Vec<u8>) {
        match self.encode() {
            None => out.extend((-1i32).to_be_bytes()),
            Some(bytes) => {
                out.extend(count(bytes.len()));
                out.extend(bytes);
            }
        }
    }

    /// Masks each text in it by itself.
    pub(crate) fn mask(&mut self, counts: &mut Counts) {
        let mut mask = |text: &mut Vec<u8>| sluice_masking::mask_value(text, ClassSet::ALL, counts);
        match self {
            Self::Null | Self::Number(_) => {}
            Self::Text(text) | Self::OwnText(text) => mask(text),
            Self::Hstore(pairs) => pairs.iter_mut().for_each(|(key, value)| {
                mask(key);
                value.iter_mut().for_each(&mut mask);
            }),
            Self::Lexemes(lexemes) => lexemes.iter_mut().for_each(|(lexeme, _)| mask(lexeme)),
            Self::Array(items) | Self::Record(items) | Self::OwnRecord(items) | Self::Range(items) => {
                for item in items {
                    item.mask(counts);
                }
            }
            Self::Multirange(ranges) => {
                ranges.iter_mut().flatten().for_each(|bound| bound.mask(counts));
            }
        }
    }
}

fn count(items: usize) -> [u8; 4] {
    u32::try_from(items).unwrap().to_be_bytes()
}

/// Text with hits at its ends or not, of lengths that look like digits and letters.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let hit = prop_oneof![
        Just("ada@example.org"),
        Just("4111111111111111"),
        Just("078-05-1120"),
        Just("10.0.0.1"),
        Just(""),
    ];
    let filling = prop_oneof![Just(String::new()), "[ -~]{0,9}", "[ -~]{30,100}"];
    (filling.clone(), hit, filling)
        .prop_map(|(before, hit, after)| format!("{before}{hit}{after}").into_bytes())
}

/// Any value that is no tsvector: of these the type has to be known.
fn element() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        1 => Just(Tree::Null),
        2 => any::<i32>().prop_map(Tree::Number),
        4 => text().prop_map(Tree::Text),
        4 => text().prop_map(Tree::OwnText),
        1 => vec((text(), option::of(text())), 0..3).prop_map(Tree::Hstore),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let bound = inner
            .clone()
            .prop_filter("a bound is not NULL", |tree| !matches!(tree, Tree::Null));
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Tree::Array),
            vec(prop_oneof![9 => inner.clone(), 1 => lexemes()], 0..4).prop_map(Tree::Record),
            vec(inner, 0..4).prop_map(Tree::OwnRecord),
            vec(bound.clone(), 0..=2).prop_map(Tree::Range),
            vec(vec(bound, 1..=2), 0..3).prop_map(Tree::Multirange),
        ]
    })
}

fn lexemes() -> impl Strategy<Value = Tree> {
    vec((text(), vec(any::<u16>(), 0..4)), 0..4).prop_map(Tree::Lexemes)
}

pub(crate) fn tree() -> impl Strategy<Value = Tree> {
    prop_oneof![9 => element(), 1 => lexemes()]
}

pub(crate) fn records_around(text: &str, depth: usize) -> Tree {
    (0..depth).fold(Tree::Text(text.into()), |inner, _| Tree::OwnRecord(vec![inner]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_text_is_masked_by_itself(tree in tree()) {
        let Some(mut value) = tree.encode() else { return Ok(()) };
        let (mut masked, mut counts, mut want_counts) = (tree.clone(), Counts::default(), Counts::default());
        masked.mask(&mut want_counts);
        prop_assert_eq!(check(&value, carries(tree.type_oid(), Format::Binary)), Ok(()));
        let done = mask(&mut value, carries(tree.type_oid(), Format::Binary), 0, ClassSet::ALL, &mut counts);
        prop_assert_eq!(done, Ok(()));
        prop_assert_eq!(Some(value), masked.encode());
        prop_assert_eq!(counts, want_counts);
    }

    #[test]
    fn any_bytes_do_no_harm(
        mut value in vec(prop_oneof![3 => 0..3u8, 1 => any::<u8>()], 0..120),
        carries in prop_oneof![
            Just(Carries::Array), Just(Carries::Record), Just(Carries::Lexemes), Just(Carries::Range), Just(Carries::Unknown),
        ],
    ) {
        let len = value.len();
        let _ = check(&value, carries);
        let _ = mask(&mut value, carries, 0, ClassSet::ALL, &mut Counts::default());
        prop_assert_eq!(value.len(), len);
    }
}

#[test]
fn text_is_text_whatever_its_type_is_called() {
    for text in [
        "",
        "a",
        "ada@example.org",
        "\u{1}\u{2}",
        "\n ada@example.org 4111111111111111",
    ] {
        let shape = Shape::of(Carries::Unknown, text.as_bytes(), text.len());
        assert_eq!(shape, Ok(None), "{text:?}");
    }
}

#[test]
fn what_is_too_deep_or_broken_is_not_readable() {
    let broken = |carries| {
        let mut value = Tree::Array(vec![Tree::Text(b"ada@example.org".to_vec())])
            .encode()
            .unwrap();
        value.extend(b" jo@example.org");
        (value, carries)
    };
    let depth = |depth| {
        (
            records_around("ada@example.org", depth).encode().unwrap(),
            Carries::Unknown,
        )
    };
    for (name, (value, carries), want) in [
        ("as deep as may be", depth(DEPTH_MAX), Ok(1)),
        ("too deep", depth(DEPTH_MAX + 1), Err(Unreadable::TooDeep)),
        (
            "an array with more behind it",
            broken(Carries::Array),
            Err(Unreadable::Broken),
        ),
        (
            "a row that is an array",
            broken(Carries::Record),
            Err(Unreadable::Broken),
        ),
        ("text that begins as an array", broken(Carries::Unknown), Ok(2)),
    ] {
        assert_eq!(check(&value, carries), want.map(drop), "{name}");
        let (mut masked, mut counts) = (value.clone(), Counts::default());
        let done = mask(&mut masked, carries, 0, ClassSet::ALL, &mut counts);
        assert_eq!(done.map(|()| counts.of(Class::Email)), want, "{name}");
    }
}
