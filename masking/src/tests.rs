//! The scanner against the oracle: named cases, and texts made of pieces of every class.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::detect::work;
use crate::fuzz::{fuzz_mask, fuzz_stream, mask_with, stream};
use crate::kernel::BLOCK_BYTES;
#[cfg(target_arch = "x86_64")]
use crate::kernel::avx2::Avx2;
use crate::kernel::scalar::Scalar;
use crate::{Class, ClassSet, Counts, Values, Whole, mask, mask_value, naive};

/// Masks by every engine, wants one result of all, and returns it.
fn masked(text: &[u8], classes: ClassSet) -> (Vec<u8>, Counts) {
    let run = |engine: &dyn Fn(&mut [u8], &mut Counts)| {
        let (mut value, mut counts) = (text.to_vec(), Counts::default());
        engine(&mut value, &mut counts);
        (value, counts)
    };
    let want = run(&|value, counts| naive::mask_value(value, classes, counts));
    assert_eq!(
        run(&|value, counts| mask_value(value, classes, counts)),
        want,
        "{}",
        text.escape_ascii()
    );
    let scalar = run(&|value, counts| mask_with(Scalar, value, classes, Whole, counts));
    assert_eq!(scalar, want, "scalar kernel on {}", text.escape_ascii());
    #[cfg(target_arch = "x86_64")]
    if let Some(kernel) = Avx2::detect() {
        let avx2 = run(&|value, counts| mask_with(kernel, value, classes, Whole, counts));
        assert_eq!(avx2, want, "AVX2 kernel on {}", text.escape_ascii());
    }
    want
}

/// What the kernel does not tell from a key's first bytes.
#[test]
fn names_that_look_like_keys_are_left_alone() {
    for text in [
        "foreign_keyAssignments2024.csv",
        "select monkeyAndDonkeyRatios.id",
        "eyAbcdefghijklmnopqrst.x",
        "eIJabcdefghijklmnopqrst.x",
        "ehJabcdefghijklmnopqrst.x",
        "AKyAABCDEFGHIJKLMNOPQ",
        "AKhA0123456789ABCDEF",
        "AKIJ0123456789ABCDEF",
        "gyp_abcdefghijklmnopqrstuvwxyz0123456789",
        "gIp_abcdefghijklmnopqrstuvwxyz0123456789",
    ] {
        let (value, counts) = masked(text.as_bytes(), ClassSet::ALL);
        assert!(counts.is_empty() && value == text.as_bytes(), "{text}");
    }
}

/// Addresses are read off the words of up to three blocks where these tell them.
#[test]
fn addresses_over_the_edges_of_blocks() {
    let long = |length: usize| "x".repeat(length);
    let mut texts: Vec<String> = [
        "a@b.co",
        "jo.doe@mail.example.org",
        "a@b",
        "a@.co",
        "é@b.co",
        "a@bé.co",
        "\\u00e9@b.co",
    ]
    .map(str::to_owned)
    .into();
    for length in [62, 63, 64, 65, 127, 128, 129] {
        texts.push(format!("{}@b.co", long(length)));
        texts.push(format!("a@{}.co", long(length)));
    }
    for text in &texts {
        for around in ["", " ", "é", "'", "\\"] {
            for start in 0..3 * BLOCK_BYTES {
                let value = format!(
                    "{}{around}{text}{around}{}",
                    ".".repeat(start),
                    " ".repeat(7 * BLOCK_BYTES)
                );
                masked(value.as_bytes(), ClassSet::ALL);
            }
        }
    }
}

/// As above, where the value begins or ends at any place beside other bytes.
#[test]
fn addresses_at_the_edges_of_values() {
    for text in ["a@b.co", "jo.doe@mail.example.org"] {
        for beside in [b'x', b'.', b'@', b' ', 0xc3] {
            for start in 0..9 * BLOCK_BYTES {
                let mut buf = vec![beside; 10 * BLOCK_BYTES];
                let value = start..start + text.len();
                buf[value.clone()].copy_from_slice(text.as_bytes());
                let mut counts = Counts::default();
                crate::mask_values(&mut buf, ClassSet::ALL, [value.clone()], &mut counts);
                assert_eq!(counts.of(Class::Email), 1, "at {start} beside {beside:#x}");
                let mut want = vec![beside; buf.len()];
                let at = text.find('@').map(|at| start + at);
                want[value].fill(b'*');
                want[at.expect("it has one")] = b'@';
                assert!(buf == want, "at {start} beside {beside:#x}");
            }
        }
    }
}

/// What lies at the end of a buffer is seen wherever blocks, windows and batches end.
#[test]
fn hits_at_the_end_of_buffers_of_every_length() {
    let text =
        ", 4111 1111 1111 1111, jo@b.co, 078-05-1120, 10.0.0.1, DE89370400440532013000, AKIAIOSFODNN7EXAMPLE"
            .repeat(20)
            .into_bytes();
    for length in (0..900).chain(1500..1600) {
        masked(&text[text.len() - length..], ClassSet::ALL);
        masked(&text[..length], ClassSet::ALL);
    }
}

/// An address is the same wherever it lies in several batches, and however far it reaches into the next.
#[test]
fn addresses_at_every_place_of_a_long_buffer() {
    for text in ["jo@b.co", "first.last_name-1@mail.example-host.org"] {
        for start in 0..1700 {
            let mut buf = vec![b','; 1700 + text.len()];
            buf[start..start + text.len()].copy_from_slice(text.as_bytes());
            let (_, counts) = masked(&buf, ClassSet::ALL);
            assert_eq!(counts.of(Class::Email), 1, "{text} at {start}");
        }
    }
}

/// A hit of one class in a text, by the marks around it.
const CASES: &[(Class, &str, &str)] = &[
    (
        Class::Email,
        "plain",
        "mail <[jo.doe+x@mail.example.org]>, please",
    ),
    (Class::Email, "whole value", "[jo@example.org]"),
    (Class::Email, "end of a sentence", "ask [a@b.co]."),
    (Class::Email, "ellipsis and dash", "[a@b.co]... [c@d.co]-"),
    (Class::Email, "no dot", "root@localhost postgres@db"),
    (Class::Email, "no letters behind the dot", "a@1.2 a@b.c a@.co"),
    (Class::Email, "no local part", "@example.org, @ example.org"),
    (Class::Email, "two at signs", "[a@b@c.de]"),
    (
        Class::Email,
        "neighbours count as one if they overlap",
        "[a@b.co@c.de]",
    ),
    (Class::Email, "separate neighbours", "[a@b.co],[c@d.ee]"),
    (Class::Email, "apostrophe inside", "[o'brien@example.org]"),
    (Class::Email, "quoted with apostrophes", "'[a@b.co]'"),
    (Class::Email, "quoted with quotes", "{\"mail\":\"[a@b.co]\"}"),
    (Class::Email, "array", "{[a@b.co],[c@d.ee]}"),
    (
        Class::Email,
        "UTF-8",
        "an [jürgen@müller.de],[δοκιμή@παράδειγμα.δοκιμή]",
    ),
    (Class::Email, "URL", "https://h/[a@b.co]/x?[m=a@b.co]"),
    (Class::Email, "mailto", "mailto:[a@b.co]?subject=x"),
    (
        Class::Email,
        "guest of a directory",
        "[jo_contoso.com#EXT#@tenant.onmicrosoft.com]",
    ),
    (Class::Email, "escape before", "{\"x\":\"line[\\nfoo@b.co]\"}"),
    (Class::Email, "escaped backslash before", "C:\\\\[nfoo@b.co]"),
    (Class::Email, "Windows domain", "CORP[\\jsmith@corp.example.com]"),
    (Class::Email, "escaped character", "[jos\\u00e9@example.org]"),
    (Class::Email, "escaped quote", "\\\"[a@b.co]\\\""),
    (Class::Email, "underscore and digits", "[_1_@2_x.co2.uk]"),
    (Class::Email, "punycode", "[a@xn--80ak6aa92e.xn--p1ai]"),
    (Class::PaymentCard, "plain", "[4111111111111111]"),
    (Class::PaymentCard, "spaces", "card [4111 1111 1111 1111] thanks"),
    (Class::PaymentCard, "dashes", "[4111-1111-1111-1111]"),
    (
        Class::PaymentCard,
        "any groups, one kind of separator",
        "[4-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1] 4111-1111 1111-1111",
    ),
    (
        Class::PaymentCard,
        "two separators",
        "4111  1111 1111 1111 4111--1111-1111-1111",
    ),
    (
        Class::PaymentCard,
        "date before, check number after",
        "2024-01-02 [4111 1111 1111 1111] 123 12/26",
    ),
    (
        Class::PaymentCard,
        "American Express",
        "[3782 822463 10005] [371449635398431]",
    ),
    (
        Class::PaymentCard,
        "Mastercard",
        "[5555555555554444] [2223 0031 2200 3222]",
    ),
    (
        Class::PaymentCard,
        "Discover, Diners, JCB, UnionPay",
        "[6011111111111117],[30569309025904],[3530111333300000],[6200000000000005]",
    ),
    (
        Class::PaymentCard,
        "old Visa, long Maestro",
        "[4222222222222];[6304000000000000000]",
    ),
    (Class::PaymentCard, "wrong check digit", "4111111111111112"),
    (
        Class::PaymentCard,
        "no issuer",
        "1111111111111117 9111111111111119 0000000000000000",
    ),
    (
        Class::PaymentCard,
        "12 and 20 digits",
        "411111111117 41111111111111111117",
    ),
    (Class::PaymentCard, "within digits", "041111111111111110"),
    (Class::PaymentCard, "letters on both sides", "a4111111111111111b"),
    (
        Class::PaymentCard,
        "a letter on one side",
        "%B[4111111111111111]^ pan[4111111111111111],[4111111111111111]x",
    ),
    (Class::PaymentCard, "fraction", "0.4111111111111111"),
    (
        Class::PaymentCard,
        "a dot that is no fraction's",
        "no.[4111111111111111]. [4111111111111111].25 .[4111111111111111]",
    ),
    (
        Class::PaymentCard,
        "magnetic track",
        ";[4111111111111111]=25121011000012345678?",
    ),
    (
        Class::PaymentCard,
        "UUIDs and hashes",
        "fcd50764-1523-4603-ae38-f0a76250e18a 4111-1111-1111-1111f b4111 1111 1111 1111",
    ),
    (
        Class::PaymentCard,
        "two phone numbers",
        "364-365-4697 316-563-2392",
    ),
    (
        Class::PaymentCard,
        "separated beside another letter",
        "\\n[4111 1111 1111 1111], [4111 1111 1111 1111]x",
    ),
    (
        Class::PaymentCard,
        "in words with underscores",
        "card_[4111111111111111]_x",
    ),
    (Class::UsSsn, "plain", "ssn [078-05-1120]."),
    (
        Class::UsSsn,
        "never issued",
        "000-12-3456 666-12-3456 900-12-3456 123-00-4567 123-45-0000",
    ),
    (Class::UsSsn, "within digits", "1123-45-6789 123-45-67890"),
    (
        Class::UsSsn,
        "within dashes and letters",
        "1-[123-45-6789]-0 x[123-45-6789]y",
    ),
    (Class::UsSsn, "other forms", "123 45 6789 123456789 123-456-789"),
    (
        Class::Ipv4,
        "plain",
        "from [10.0.0.1]:5432 to [255.255.255.255]/32.",
    ),
    (Class::Ipv4, "end of a sentence", "[1.2.3.4]."),
    (Class::Ipv4, "too large", "256.1.1.1 1.1.1.256 1.2.3.1000"),
    (Class::Ipv4, "five parts", "[1.2.3.4.5]"),
    (Class::Ipv4, "eight parts are one", "[1.2.3.4.5.6.7.8]"),
    (Class::Ipv4, "a part too large before", "999.[1.2.3.4].999"),
    (
        Class::Ipv4,
        "three parts and empty parts",
        "1.2.3 1..2.3.4 1.2.3.",
    ),
    (Class::Ipv4, "letters around", "v[1.2.3.4]b"),
    (Class::Ipv4, "leading zeros", "[010.001.000.255]"),
    (Class::Iban, "plain", "[DE89370400440532013000]"),
    (Class::Iban, "groups", "to [DE89 3704 0044 0532 0130 00], please"),
    (
        Class::Iban,
        "small letters and dashes",
        "[gb29-nwbk-6016-1331-9268-19]",
    ),
    (
        Class::Iban,
        "more countries",
        "[FR1420041010050500013M02606] [NO9386011117947] [MT84MALT011000012345MTLCAST001S]",
    ),
    (Class::Iban, "wrong check digits", "DE88370400440532013000"),
    (Class::Iban, "no such country", "ZZ89370400440532013000"),
    (Class::Iban, "wrong structure", "DE8937040044053201300X"),
    (Class::Iban, "too short", "DE8937040044053201300"),
    (
        Class::Iban,
        "within letters",
        "\\n[DE89370400440532013000] [DE89370400440532013000]EUR xDE89370400440532013000y",
    ),
    (Class::AwsKey, "plain", "key=[AKIAIOSFODNN7EXAMPLE]"),
    (
        Class::AwsKey,
        "temporary, after an escape",
        "\\n[ASIAIOSFODNN7EXAMPLE]x",
    ),
    (
        Class::AwsKey,
        "too short, other prefix",
        "AKIAIOSFODNN7EXAMPL AROAIOSFODNN7EXAMPLE",
    ),
    (Class::AwsKey, "small letters", "AKIAiosfodnn7example"),
    (
        Class::GithubToken,
        "classic",
        "[ghp_0123456789abcdefghijABCDEFGHIJ012345]",
    ),
    (
        Class::GithubToken,
        "all kinds",
        "[gho_0123456789abcdefghijABCDEFGHIJ012345] [ghu_0123456789abcdefghijABCDEFGHIJ012345] [ghs_0123456789abcdefghijABCDEFGHIJ012345] x[ghr_0123456789abcdefghijABCDEFGHIJ0123456789]",
    ),
    (
        Class::GithubToken,
        "fine-grained",
        "[github_pat_11ABCDEFG0abcdefghijkl_0123456789abcdefghijABCDEFGHIJ0123456789abcdefghijABCDEF012]",
    ),
    (
        Class::GithubToken,
        "too short",
        "ghp_0123456789abcdefghijABCDEFGHIJ01234 github_pat_0123456789abcdefghijk",
    ),
    (
        Class::GithubToken,
        "other prefixes",
        "ghx_0123456789abcdefghijABCDEFGHIJ012345 github_tap_0123456789abcdefghijABCDEFGHIJ",
    ),
    (
        Class::Jwt,
        "signed",
        "Bearer [eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P-x]",
    ),
    (
        Class::Jwt,
        "unsigned",
        "[eyJhbGciOiJub25lIn0.eyJzdWIiOiIxMjM0In0.]",
    ),
    (
        Class::Jwt,
        "detached and encrypted",
        "[eyJhbGciOiJIUzI1NiJ9..c2ln] [eyJhbGciOiJSU0EtT0FFUCJ9.a2V5.aXY.Y3Q.dGFn]",
    ),
    (
        Class::Jwt,
        "no payload",
        "eyJhbGciOiJIUzI1NiJ9 eyJhbGciOiJIUzI1NiJ9. x",
    ),
    (Class::Jwt, "short header", "eyJh.eyJi.c eyJhbGciOiJIUzI.e"),
    (Class::Jwt, "many starts", "[eyJeyJeyJeyJeyJeyJ.x]"),
    (Class::Jwt, "in base64", "xx[eyJhbGciOiJIUzI1NiJ9.eyJz]"),
];

#[test]
fn cases_are_masked_as_marked() {
    for (class, name, marked) in CASES {
        let mut text = Vec::new();
        let mut want = Vec::new();
        let mut hits = 0;
        let mut is_hit = false;
        for byte in marked.bytes() {
            match byte {
                b'[' => (is_hit, hits) = (true, hits + 1),
                b']' => is_hit = false,
                _ => {
                    text.push(byte);
                    want.push(if is_hit && byte != b'@' { b'*' } else { byte });
                }
            }
        }
        let (value, counts) = masked(&text, ClassSet::EMPTY.with(*class));
        assert_eq!(
            String::from_utf8_lossy(&value),
            String::from_utf8_lossy(&want),
            "{class}: {name}"
        );
        assert_eq!(counts.of(*class), hits, "hits of {class}: {name}");
        for size in 1..text.len() {
            let (sent, sent_counts) = stream(&text, ClassSet::EMPTY.with(*class), &[size]);
            assert_eq!(
                String::from_utf8_lossy(&sent),
                String::from_utf8_lossy(&value),
                "{name}, pieces of {size}"
            );
            assert_eq!(sent_counts, counts, "hits of {class}: {name}, pieces of {size}");
        }
    }
}

/// Pieces of all classes, whole hits, what stands between, and what headers look like.
const FRAGMENTS: &[&[u8]] = &[
    b"4111111111111111",
    b"4111 1111 1111 1111",
    b"3782-822463-10005",
    b"4111",
    b"1111",
    b"55555555",
    b"0",
    b"1",
    b"4",
    b"12",
    b"-",
    b" ",
    b".",
    b"..",
    b"@",
    b"'",
    b"\\",
    b"\\n",
    b"\\u00e9",
    b"_",
    b",",
    b"\t",
    b"a",
    b"jo.doe",
    b"x@y",
    b"@b.co",
    b"a@b.co",
    b"example.org",
    b"\xC3\xA9",
    b"\xE2\x82\xAC",
    b"\xF0\x9F\x98\x80",
    b"\x80",
    b"\xFF",
    b"123-45-6789",
    b"078-05",
    b"000-12-3456",
    b"10.0.0.1",
    b"255.255.",
    b"256.",
    b"DE89370400440532013000",
    b"DE89 3704 0044 0532 0130 00",
    b"gb29nwbk",
    b"60161331926819",
    b"NO93",
    b"86011117947",
    b"AKIA",
    b"ASIA",
    b"IOSFODNN7EXAMPLE",
    b"ghp_",
    b"github_pat_",
    b"0123456789abcdefghijABCDEFGHIJ012345",
    b"eyJ",
    b"eyA",
    b"yJ",
    b"IJ",
    b"hA",
    b"eyJhbGciOiJIUzI1NiJ9",
    b"eyJhbGciOiJIUzI1NiJ9.eyJz.c2ln",
    b"\0\0\0",
    b"D\0\0\0",
    b"\xFF\xFF\xFF\xFF",
];

fn fragments(most: usize) -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        9 => select(FRAGMENTS).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 1..4),
        1 => (select(b"0aA.-@e\xC3 _".as_slice()), 1..200_usize).prop_map(|(byte, count)| vec![byte; count]),
    ];
    vec(fragment, 0..most).prop_map(|fragments| fragments.concat())
}

/// One class, or all, or any.
fn classes() -> impl Strategy<Value = [u8; 2]> {
    let bits = prop_oneof![
        (0..Class::COUNT).prop_map(|class| 1 << class),
        Just(ClassSet::ALL.bits()),
        any::<u16>(),
    ];
    bits.prop_map(u16::to_le_bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn values_between_headers_are_masked_as_by_the_oracle(
        classes in classes(),
        values in vec(fragments(8), 0..6),
        padding in prop_oneof![Just(None), (48..58_u8).prop_map(Some)],
    ) {
        let mut data = classes.to_vec();
        for mut value in values {
            // A length that looks like a digit, right beside the value.
            value.resize(usize::from(padding.unwrap_or(u8::MAX)).min(value.len()), 0);
            data.push(u8::try_from(value.len()).unwrap());
            data.extend(value);
        }
        fuzz_mask(&data);
    }

    #[test]
    fn headers_may_be_anything(classes in classes(), buf in fragments(40)) {
        fuzz_mask(&[&classes[..], &buf].concat());
    }

    #[test]
    fn every_split_is_masked_as_whole(
        classes in classes(),
        sizes in prop_oneof![any::<[u8; 2]>(), Just([0, 0]), Just([u8::MAX, 0])],
        value in fragments(30),
    ) {
        fuzz_stream(&[&classes[..], &sizes, &value].concat());
    }

    #[test]
    fn text_stays_text(value in "\\PC{0,40}@[a-zé€😀]{1,90}\\.[a-zé€😀]{2,90}") {
        let mut value = value.into_bytes();
        mask_value(&mut value, ClassSet::ALL, &mut Counts::default());
        prop_assert!(String::from_utf8(value).is_ok());
    }

    #[test]
    fn a_class_more_masks_no_less(value in fragments(20), some in classes(), more in classes()) {
        let some = ClassSet::from_bits(u16::from_le_bytes(some));
        let all = some.iter().chain(ClassSet::from_bits(u16::from_le_bytes(more)).iter()).collect();
        let (fewer, _) = masked(&value, some);
        let (masked, _) = masked(&value, all);
        for (place, (fewer, masked)) in fewer.iter().zip(&masked).enumerate() {
            prop_assert!(fewer == masked || *masked == b'*', "byte {}", place);
        }
    }
}

#[test]
fn long_tokens_are_masked_whole_from_piece_to_piece() {
    for (class, name, head, body, tail, is_hit) in [
        (Class::Jwt, "payload", "eyJhbGciOiJIUzI1NiJ9.", "eyJz", " x", true),
        (Class::Jwt, "longest header", "", "eyJh", ".x y", true),
        (Class::GithubToken, "token", "ghp_", "Ab9_", " x", true),
        (Class::Jwt, "no payload", "", "eyJh", " x", false),
        (Class::PaymentCard, "digits", "", "4111", " x", false),
        (Class::Email, "long local part", "", "x+y.", "@example.org", true),
        (Class::Email, "long domain", "a@b.", "x.de", " x", true),
    ] {
        let repeats = if name == "longest header" { 2048 } else { 6_000 };
        let value = [head.as_bytes(), &body.as_bytes().repeat(repeats), tail.as_bytes()].concat();
        let classes = ClassSet::EMPTY.with(class);
        let (whole, counts) = masked(&value, classes);
        assert_eq!(counts.of(class), u32::from(is_hit), "{class}: {name}");
        for size in [1000, 8192, 9999, 65_536] {
            let (sent, sent_counts) = stream(&value, classes, &[size]);
            assert!(sent == whole, "{class}: {name}, pieces of {size}");
            assert_eq!(sent_counts, counts, "{class}: {name}, pieces of {size}");
        }
    }
}

#[test]
fn a_header_over_the_limit_is_none() {
    for (more, hits) in [(8189, 1), (8190, 0)] {
        let value = format!("--eyJ{}.x", "h".repeat(more));
        assert_eq!(
            masked(value.as_bytes(), ClassSet::ALL).1.total(),
            hits,
            "{more} characters after eyJ"
        );
    }
}

/// Answers as [`Whole`] and counts how often it is asked.
struct Asked(usize);

impl Values for Asked {
    fn value_at(&mut self, buf: &[u8], position: usize) -> Option<std::ops::Range<usize>> {
        self.0 += 1;
        Whole.value_at(buf, position)
    }
}

#[test]
fn a_value_is_asked_for_once_and_no_candidates_ask_for_none() {
    let mut asked = Asked(0);
    mask(
        &mut b"a@b.co, c@d.co, 10.0.0.1".repeat(99),
        ClassSet::ALL,
        &mut asked,
        &mut Counts::default(),
    );
    assert_eq!(asked.0, 1);
    let mut asked = Asked(0);
    mask(
        &mut b"2024-01-02 12:34:56.789 nothing 12.50, ".repeat(99),
        ClassSet::ALL,
        &mut asked,
        &mut Counts::default(),
    );
    assert_eq!(asked.0, 0);
}

#[test]
fn hostile_text_costs_a_few_looks_a_byte() {
    const BYTES: usize = 200_000;
    // A separated card is looked for at the end of every group of digits, over all that one may be long.
    const LOOKS_MAX: usize = 32;
    let mut most = 0;
    for fragment in [
        "@",
        "a@",
        "a.aa@",
        "a@b.co",
        "é@é.éé",
        "'@",
        "\\",
        "\\@b.co",
        "\\u00e9@b.co",
        ".",
        "..a",
        "_",
        "-",
        "1",
        "4",
        "1-",
        "1 1-",
        "11 ",
        "1111 ",
        "4111111-",
        "1.",
        "1.1.1.1.",
        "255.",
        "1-11-1111-",
        "123-45-6789",
        "eyJ",
        "eyJ.",
        "eyJ..",
        "eyJeyJeyJeyJeyJeyJ.",
        "ghp_",
        "gh",
        "github_pat_",
        "hp_",
        "AKIA",
        "ASIAASIA",
        "AD12",
        "DE89 ",
        "GB29NWBK",
        "RU89",
        "a",
        " ",
        "\0",
        "é",
        "AKIAghp_eyJ1-1.1@a.aa",
    ] {
        let mut value = fragment.repeat(BYTES / fragment.len()).into_bytes();
        let _ = work::take();
        mask_value(&mut value, ClassSet::ALL, &mut Counts::default());
        let looks = work::take().div_ceil(BYTES);
        assert!(looks <= LOOKS_MAX, "{looks} looks a byte at {fragment:?}");
        most = most.max(looks);
    }
    assert!(most > 1, "the looks are counted");
}
