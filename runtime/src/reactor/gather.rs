//! The list of ranges that one `sendmsg` takes.

use std::mem;
use std::ptr;

/// Ranges in one send.
pub(crate) const GATHER_MAX: usize = 32;

/// A message header and its ranges at an address that does not change.
pub(crate) struct Gather {
    header: libc::msghdr,
    ranges: [libc::iovec; GATHER_MAX],
}

impl Default for Box<Gather> {
    fn default() -> Self {
        // SAFETY: both are plain C structures for which all zeroes is a valid value.
        Self::new(unsafe { mem::zeroed() })
    }
}

impl Gather {
    /// Lists the items, the first without its first `skip` bytes, up to `bytes_max`; returns how many bytes that are.
    pub(super) fn fill<'a>(
        &mut self,
        items: impl Iterator<Item = &'a [u8]>,
        mut skip: usize,
        bytes_max: usize,
    ) -> usize {
        let (mut count, mut bytes) = (0, 0);
        for (range, item) in self.ranges.iter_mut().zip(items) {
            let item = &item[mem::take(&mut skip)..];
            let item = &item[..item.len().min(bytes_max - bytes)];
            *range = libc::iovec {
                iov_base: item.as_ptr().cast_mut().cast(),
                iov_len: item.len(),
            };
            count += 1;
            bytes += item.len();
            if bytes == bytes_max {
                break;
            }
        }
        self.header.msg_iovlen = count;
        bytes
    }

    /// The header, pointing to the ranges beside it.
    pub(super) fn header(&mut self) -> *const libc::msghdr {
        self.header.msg_iov = self.ranges.as_mut_ptr();
        ptr::from_ref(&self.header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_is_bounded() {
        let items: [&[u8]; 3] = [b"abcd", b"ef", b"ghi"];
        let rows: [(&str, usize, usize, &[usize]); 7] = [
            ("all", 0, 100, &[4, 2, 3]),
            ("without the front", 3, 100, &[1, 2, 3]),
            ("up to the end of an item", 0, 6, &[4, 2]),
            ("up to the middle of one", 0, 5, &[4, 1]),
            ("within the first", 0, 3, &[3]),
            ("without the front and within the first", 1, 2, &[2]),
            ("without the front and up to its end", 1, 3, &[3]),
        ];
        for (name, skip, bytes_max, want) in rows {
            let mut gather = Box::<Gather>::default();
            let bytes = gather.fill(items.into_iter(), skip, bytes_max);
            let count = gather.header.msg_iovlen;
            let lens: Vec<_> = gather.ranges[..count].iter().map(|range| range.iov_len).collect();
            assert_eq!(lens, want, "{name}");
            assert_eq!(bytes, want.iter().sum(), "{name}");
            assert_eq!(
                gather.ranges[0].iov_base.cast_const().cast(),
                items[0][skip..].as_ptr(),
                "{name}"
            );
        }
    }
}
