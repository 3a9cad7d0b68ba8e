//! Files on the ring.

use std::time::Duration;

use sluice_runtime::file::{ALIGNMENT, AlignedBuffer, File, FileMode};
use sluice_runtime::net::{IoError, IoOperation};
use sluice_runtime::time;

use crate::support::{on_core, pattern};

#[test]
fn blocks_are_written_where_they_belong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("segment");
    let read = path.clone();
    on_core(move |_| async move {
        let file = File::open(&path).unwrap();
        file.allocate(16 * ALIGNMENT as u64).await.unwrap();
        let mut buffer = AlignedBuffer::zeroed(3 * ALIGNMENT - 1);
        assert_eq!(buffer.len(), 3 * ALIGNMENT);
        assert!(buffer.as_ptr().addr().is_multiple_of(ALIGNMENT));
        buffer.copy_from_slice(&pattern(3 * ALIGNMENT, 4));
        let (buffer, written) = file
            .write_at(buffer, ALIGNMENT..3 * ALIGNMENT, 8 * ALIGNMENT as u64)
            .await;
        written.unwrap();
        let (buffer, written) = file.write_at(buffer, 0..ALIGNMENT, 0).await;
        written.unwrap();
        file.sync_data().await.unwrap();
        let (mut buffer, got) = file.read_at(buffer, 0..2 * ALIGNMENT, 8 * ALIGNMENT as u64).await;
        assert_eq!(got, Ok(2 * ALIGNMENT));
        assert_eq!(buffer[..2 * ALIGNMENT], pattern(3 * ALIGNMENT, 4)[ALIGNMENT..]);
        buffer.fill(0);
        assert_eq!(file.len().unwrap(), 16 * ALIGNMENT as u64);
    });
    let bytes = std::fs::read(read).unwrap();
    assert_eq!(bytes[..ALIGNMENT], pattern(3 * ALIGNMENT, 4)[..ALIGNMENT]);
    assert!(bytes[ALIGNMENT..8 * ALIGNMENT].iter().all(|byte| *byte == 0));
}

#[test]
fn a_file_system_without_direct_writes_gets_buffered_ones() {
    on_core(|_| async {
        // Not a regular file, but it refuses direct I/O everywhere.
        let file = File::open("/dev/null").unwrap();
        let (_, written) = file
            .write_at(AlignedBuffer::zeroed(ALIGNMENT), 0..ALIGNMENT, 0)
            .await;
        assert_eq!(written, Ok(()));
        // Either way it tells.
        assert!(matches!(file.mode(), FileMode::Direct | FileMode::Buffered));
    });
}

#[test]
fn a_failed_write_gives_the_buffer_back() {
    on_core(|_| async {
        let full = File::open("/dev/full").unwrap();
        let (buffer, written) = full
            .write_at(AlignedBuffer::zeroed(ALIGNMENT), 0..ALIGNMENT, 0)
            .await;
        assert_eq!(
            written,
            Err(IoError::Os {
                operation: IoOperation::Write,
                errno: libc::ENOSPC
            })
        );
        assert_eq!(buffer.len(), ALIGNMENT);
    });
}

#[test]
fn a_write_whose_future_is_dropped_keeps_its_buffer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("segment");
    on_core(move |_| async move {
        let file = File::open(&path).unwrap();
        for turn in 0..200 {
            let mut buffer = AlignedBuffer::zeroed(64 * ALIGNMENT);
            buffer.fill(7);
            let len = buffer.len();
            let write = file.write_at(buffer, 0..len, turn * len as u64);
            // Sometimes before, sometimes after it is done.
            let _ = time::timeout(time::now() + Duration::from_micros(turn % 7 * 300), write).await;
        }
        file.sync_data().await.unwrap();
    });
}
