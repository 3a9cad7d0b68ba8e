//! Puts frames of our own together. The bytes are appended to what the caller lends.

/// Appends one frame: type byte, length word, and the body that `body` appends.
pub(super) fn frame(out: &mut Vec<u8>, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    untyped(out, body);
}

/// Appends a length word and the body that `body` appends.
pub(super) fn untyped(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let len = u32::try_from(out.len() - start).expect("a frame of our own is far below 4 GiB");
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
}

/// Appends a string and its zero byte. A zero byte inside would shift every field behind it, so the string ends there.
pub(super) fn string(out: &mut Vec<u8>, text: &[u8]) {
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    out.extend_from_slice(&text[..end]);
    out.push(0);
}

/// Appends a count that the caller's data fixes.
pub(super) fn count(out: &mut Vec<u8>, count: usize) {
    let count = u16::try_from(count).expect("a message of our own has few items");
    out.extend_from_slice(&count.to_be_bytes());
}
