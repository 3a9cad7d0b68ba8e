//! The scanner against the oracle: named cases, and texts made of pieces of every class.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::kernel::Candidates;
use crate::kernel::scalar::Scalar;
use crate::scan::{Pass, Progress, drive};
use crate::{Class, ClassSet, Counts, ValueStream, Values, Whole, mask_value, mask_values, naive};

const CARD: &str = "4111111111111111";

/// Masks with the scalar kernel, whatever the CPU has.
fn mask_with_scalar(buf: &mut [u8], classes: ClassSet, values: impl Values, counts: &mut Counts) {
    let progress = &mut Progress::new();
    let wanted = Candidates::wanted(classes);
    let mut pass = Pass {
        buf,
        values,
        counts,
        progress,
        wanted,
        is_open: false,
    };
    drive(Scalar, &mut pass);
    pass.close();
}

/// Masks by every engine, wants one result of all, and returns it.
fn masked(text: &[u8], classes: ClassSet) -> (Vec<u8>, Counts) {
    let run = |engine: &dyn Fn(&mut [u8], &mut Counts)| {
        let (mut value, mut counts) = (text.to_vec(), Counts::default());
        engine(&mut value, &mut counts);
        (value, counts)
    };
    let want = run(&|value, counts| naive::mask_value(value, classes, counts));
    let shown = || String::from_utf8_lossy(text).into_owned();
    assert_eq!(
        run(&|value, counts| mask_value(value, classes, counts)),
        want,
        "mask_value of {}",
        shown()
    );
    assert_eq!(
        run(&|value, counts| mask_with_scalar(value, classes, Whole, counts)),
        want,
        "scalar of {}",
        shown()
    );
    want
}

/// Feeds a value in pieces of these sizes in turn.
fn streamed(text: &[u8], classes: ClassSet, sizes: &[usize]) -> (Vec<u8>, Counts) {
    let (mut sent, mut piece, mut counts) = (Vec::new(), Vec::new(), Counts::default());
    let mut stream = ValueStream::new(classes);
    let mut rest = text;
    for size in sizes.iter().cycle() {
        let (received, later) = rest.split_at((*size).min(rest.len()));
        piece.extend(received);
        rest = later;
        if rest.is_empty() {
            stream.finish(&mut piece, &mut counts);
            sent.append(&mut piece);
            return (sent, counts);
        }
        let before = piece.clone();
        let finished = stream.feed(&mut piece, &mut counts);
        assert!(
            piece.len() - finished <= crate::HOLD_BACK_MAX,
            "{} bytes held back",
            piece.len() - finished
        );
        assert_eq!(
            piece[finished..],
            before[finished..],
            "held back bytes are unchanged"
        );
        sent.extend(piece.drain(..finished));
    }
    unreachable!("sizes are endless")
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
    (Class::PaymentCard, "mixed", "[4-1-1-1 1-1-1-1 1-1-1-1 1-1-1-1]"),
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
    (Class::Iban, "within letters", "\\n[DE89370400440532013000]EUR"),
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
            let (sent, sent_counts) = streamed(&text, ClassSet::EMPTY.with(*class), &[size]);
            assert_eq!(
                String::from_utf8_lossy(&sent),
                String::from_utf8_lossy(&value),
                "{name}, pieces of {size}"
            );
            assert_eq!(sent_counts, counts, "hits of {class}: {name}, pieces of {size}");
        }
    }
}
