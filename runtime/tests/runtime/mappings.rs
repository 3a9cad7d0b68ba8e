//! Mapped files.

use std::fs;
use std::sync::atomic::Ordering;

use sluice_runtime::mapped::Mapping;

#[test]
fn what_is_written_is_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    let mapping = Mapping::open(&path, 10_000).unwrap();
    assert_eq!((mapping.len(), mapping.is_empty()), (10_000, false));
    mapping.populate().unwrap();
    mapping.write_at(9_990, b"0123456789");
    mapping.store_u32(4, 0x0102_0304, Ordering::Release);
    mapping.store_u64(8, 7, Ordering::Relaxed);
    mapping.add_u64(8, 5);
    let mut read = [0; 10];
    mapping.read_at(9_990, &mut read);
    assert_eq!(&read, b"0123456789");
    mapping.zero(9_995, 5);
    let file = fs::read(&path).unwrap();
    assert_eq!(file.len(), 10_000, "with all of its space");
    assert_eq!(&file[9_990..], b"01234\0\0\0\0\0");
    assert_eq!(file[4..8], 0x0102_0304u32.to_ne_bytes());
    mapping.sync().unwrap();
    drop(mapping);

    let again = Mapping::open(&path, 10_000).unwrap();
    assert_eq!(again.load_u32(4, Ordering::Acquire), 0x0102_0304);
    assert_eq!(again.load_u64(8, Ordering::Acquire), 12);
    std::thread::spawn(move || again.store_u64(16, 1, Ordering::Release))
        .join()
        .unwrap();
    assert_eq!(fs::read(&path).unwrap()[16], 1);
}

#[test]
fn nothing_outside_of_it_is_touched() {
    type Access = fn(&Mapping);
    let cases: [(&str, Access); 7] = [
        ("write behind", |mapping| mapping.write_at(4090, &[0; 7])),
        ("read behind", |mapping| mapping.read_at(4096, &mut [0])),
        ("overflowing offset", |mapping| {
            mapping.write_at(usize::MAX, &[0; 2]);
        }),
        ("zero behind", |mapping| mapping.zero(1, 4096)),
        ("word behind", |mapping| {
            assert_eq!(mapping.load_u64(4096, Ordering::Relaxed), 0);
        }),
        ("unaligned word", |mapping| {
            mapping.store_u32(2, 0, Ordering::Relaxed);
        }),
        ("unaligned long word", |mapping| {
            mapping.store_u64(4, 0, Ordering::Relaxed);
        }),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (name, access) in cases {
        let mapping = Mapping::open(folder.path().join("small"), 4096).unwrap();
        let touched = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| access(&mapping)));
        assert!(touched.is_err(), "{name}");
    }
    assert!(Mapping::open(folder.path().join("empty"), 0).is_err());
}
