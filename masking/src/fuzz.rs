//! Bodies of the fuzz targets, here so that a test can run them on any input: each panics if the scanner and the
//! oracle disagree.

use std::ops::Range;

use crate::kernel::Kernel;
#[cfg(target_arch = "x86_64")]
use crate::kernel::avx2::Avx2;
use crate::kernel::scalar::Scalar;
use crate::scan::{Pass, Progress};
use crate::{ClassSet, Counts, HOLD_BACK_MAX, Ranges, ValueStream, Values, mask_values, naive};

/// Masks values that lie in a buffer between other bytes, by every kernel, and each by itself with the oracle.
///
/// The data are two bytes of classes and then values, each behind a byte that is its length.
pub fn fuzz_mask(data: &[u8]) {
    let Some((classes, buf)) = split_classes(data) else {
        return;
    };
    let values = length_prefixed(buf);

    let mut want = buf.to_vec();
    let mut want_counts = Counts::default();
    for value in &values {
        naive::mask_value(&mut want[value.clone()], classes, &mut want_counts);
    }

    let mut masked = buf.to_vec();
    let mut counts = Counts::default();
    mask_values(&mut masked, classes, values.iter().cloned(), &mut counts);
    assert_same("the CPU's kernel", &masked, &want, buf);
    assert_eq!(counts, want_counts, "hits in {}", buf.escape_ascii());

    let check = |engine: &str, mask: &dyn Fn(&mut [u8], &mut Counts)| {
        let mut masked = buf.to_vec();
        let mut counts = Counts::default();
        mask(&mut masked, &mut counts);
        assert_same(engine, &masked, &want, buf);
        assert_eq!(counts, want_counts, "hits by {engine} in {}", buf.escape_ascii());
    };
    let values = || Ranges::new(values.iter().cloned());
    check("the scalar kernel", &|buf, counts| {
        mask_with(Scalar, buf, classes, values(), counts);
    });
    // The CPU's best kernel ran above; where that is not AVX2, this one did not.
    #[cfg(target_arch = "x86_64")]
    if let Some(kernel) = Avx2::detect() {
        check("the AVX2 kernel", &|buf, counts| {
            mask_with(kernel, buf, classes, values(), counts);
        });
    }
}

/// Streams a value in pieces and masks it whole with the oracle.
///
/// The data are two bytes of classes, two sizes of pieces and then the value.
pub fn fuzz_stream(data: &[u8]) {
    let Some((classes, [first, second, value @ ..])) = split_classes(data) else {
        return;
    };

    let mut want = value.to_vec();
    let mut want_counts = Counts::default();
    naive::mask_value(&mut want, classes, &mut want_counts);

    let sizes = [usize::from(*first) + 1, usize::from(*second) + 1];
    let (sent, counts) = stream(value, classes, &sizes);
    assert_same("the stream", &sent, &want, value);
    assert_eq!(
        counts,
        want_counts,
        "hits by the stream in {}",
        value.escape_ascii()
    );
}

/// Masks with this kernel, whatever better one the CPU has.
pub(crate) fn mask_with(
    kernel: impl Kernel,
    buf: &mut [u8],
    classes: ClassSet,
    values: impl Values,
    counts: &mut Counts,
) {
    let progress = &mut Progress::new();
    let mut pass = Pass {
        buf,
        values,
        counts,
        progress,
        classes,
        is_open: false,
    };
    kernel.drive(&mut pass);
    pass.close();
}

/// Feeds a value in pieces of these sizes in turn, as a session does, and joins what may be sent.
pub(crate) fn stream(value: &[u8], classes: ClassSet, sizes: &[usize]) -> (Vec<u8>, Counts) {
    let (mut sent, mut piece, mut counts) = (Vec::new(), Vec::new(), Counts::default());
    let mut stream = ValueStream::new(classes);
    let mut rest = value;
    for size in sizes.iter().cycle() {
        let (received, later) = rest.split_at((*size).min(rest.len()));
        piece.extend(received);
        rest = later;
        if rest.is_empty() {
            break;
        }
        let before = piece.clone();
        let finished = stream.feed(&mut piece, &mut counts);
        assert!(
            piece.len() - finished <= HOLD_BACK_MAX,
            "{} bytes held back",
            piece.len() - finished
        );
        assert!(
            piece[finished..] == before[finished..],
            "bytes that are held back changed"
        );
        sent.extend(piece.drain(..finished));
    }
    stream.finish(&mut piece, &mut counts);
    sent.append(&mut piece);
    (sent, counts)
}

fn split_classes(data: &[u8]) -> Option<(ClassSet, &[u8])> {
    let (classes, rest) = data.split_first_chunk()?;
    Some((ClassSet::from_bits(u16::from_le_bytes(*classes)), rest))
}

fn length_prefixed(buf: &[u8]) -> Vec<Range<usize>> {
    let mut values = Vec::new();
    let mut at = 0;
    while let Some(length) = buf.get(at) {
        let start = at + 1;
        at = buf.len().min(start + usize::from(*length));
        values.push(start..at);
    }
    values
}

fn assert_same(engine: &str, masked: &[u8], want: &[u8], text: &[u8]) {
    assert!(
        masked == want,
        "{engine} and the oracle disagree\n  text   {}\n  engine {}\n  oracle {}",
        text.escape_ascii(),
        masked.escape_ascii(),
        want.escape_ascii()
    );
}
