//! Moves a core's committed records from its ring to segments, by direct I/O on the core's own ring.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use sluice_audit::metrics::Counter;
use sluice_audit::names::ChainId;
use sluice_audit::record::{Body, Seal, SealCause};
use sluice_audit::ring::RingError;
use sluice_audit::segment::{Flush, SegmentBuilder, scratch_len};
use sluice_runtime::file::{AlignedBuffer, File};
use sluice_runtime::net::IoError;
use sluice_runtime::time;

use crate::core::Core;

/// Records moved in one write.
const FLUSH_BYTES_MAX: usize = 256 * 1024;

/// How long to wait after a failed write.
const RETRY: Duration = Duration::from_millis(500);

/// Why records cannot be moved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FlushError {
    #[error("the audit log's segment {path}: {source}")]
    Open { path: PathBuf, source: std::io::Error },
    #[error("the audit log: {0}")]
    Write(#[from] IoError),
    #[error("the audit log: {0}")]
    Ring(#[from] RingError),
}

/// The writer of one core's chain.
pub(crate) struct Flusher {
    chain: ChainId,
    folder: PathBuf,
    builder: SegmentBuilder,
    file: Option<File>,
    buffer: Option<AlignedBuffer>,
}

impl Flusher {
    pub(crate) fn new(chain: ChainId, folder: &Path, segment_bytes: u64) -> Self {
        Self {
            chain,
            folder: folder.to_owned(),
            builder: SegmentBuilder::new(chain, segment_bytes),
            file: None,
            buffer: Some(AlignedBuffer::zeroed(scratch_len(FLUSH_BYTES_MAX))),
        }
    }

    /// Moves what is committed; says whether there was anything.
    pub(crate) async fn flush(&mut self, core: &Core) -> Result<bool, FlushError> {
        let mut buffer = self
            .buffer
            .take()
            .unwrap_or_else(|| AlignedBuffer::zeroed(scratch_len(FLUSH_BYTES_MAX)));
        let built = {
            let mut ledger = core.ledger.borrow_mut();
            let ring = ledger.ring();
            self.builder
                .build(&mut buffer, |into| ring.copy(ring.flushed(), into))
        };
        let flush = match built {
            Ok(Some(flush)) => flush,
            Ok(None) => {
                self.buffer = Some(buffer);
                return Ok(false);
            }
            Err(error) => {
                self.buffer = Some(buffer);
                return Err(error.into());
            }
        };
        let written = self.write(core, buffer, &flush).await;
        let mut ledger = core.ledger.borrow_mut();
        if let Err(error) = written {
            ledger.metrics.add(Counter::AuditWriteErrors, 1);
            return Err(error);
        }
        self.builder.written(&flush);
        ledger.ring().release(&flush.batch);
        ledger.metrics.add(Counter::AuditFlushes, 1);
        Ok(true)
    }

    async fn write(&mut self, core: &Core, buffer: AlignedBuffer, flush: &Flush) -> Result<(), FlushError> {
        if flush.creates || self.file.is_none() {
            let path = self.chain.segment_path(&self.folder, flush.number);
            self.file = Some(File::open(&path).map_err(|source| FlushError::Open { path, source })?);
        }
        let Some(file) = &self.file else { return Ok(()) };
        let (buffer, written) = file.write_at(buffer, 0..flush.len, flush.offset).await;
        self.buffer = Some(buffer);
        written?;
        file.sync_data().await?;
        if flush.creates {
            // The file's name has to be durable too.
            let path = self.folder.clone();
            let folder = path.clone();
            let synced = core
                .helpers
                .run(move || std::fs::File::open(&folder).and_then(|folder| folder.sync_all()))
                .await;
            if let Ok(Err(source)) = synced {
                return Err(FlushError::Open { path, source });
            }
        }
        Ok(())
    }
}

/// Flushes every interval; once `is_stopping` says so, seals the chain, flushes the rest and removes the ring.
pub(crate) async fn run(core: Rc<Core>, mut flusher: Flusher, is_stopping: Rc<Cell<bool>>) {
    let interval = core.settings.audit.flush_interval;
    while !is_stopping.get() {
        match flusher.flush(&core).await {
            // More may be waiting than one write takes.
            Ok(true) if core.ledger.borrow_mut().ring().depth() > FLUSH_BYTES_MAX as u64 => {}
            Ok(_) => time::sleep(interval).await,
            Err(error) => {
                tracing::error!(%error, "records wait in the ring");
                time::sleep(RETRY).await;
            }
        }
    }
    let seal = Body::Seal(Seal {
        cause: SealCause::Stopped,
    });
    // A ring that is full is sealed by the next start.
    let is_sealed = core
        .ledger
        .borrow_mut()
        .append(time::Moment::now(), 0, 0, seal)
        .is_ok();
    loop {
        match flusher.flush(&core).await {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                tracing::error!(%error, "records stay in the ring; the next start moves them");
                return;
            }
        }
    }
    if is_sealed && let Err(error) = std::fs::remove_file(flusher.chain.ring_path(&flusher.folder)) {
        tracing::warn!(%error, "the audit ring's file stays; the next start removes it");
    }
}
