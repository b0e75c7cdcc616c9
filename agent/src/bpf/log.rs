//! The programs' debug messages, passed on to `tracing`.

use super::{error::LoadError, wait::waitable};
use aya::Ebpf;
use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};
use std::io;
use tokio::io::unix::AsyncFd;

/// Name of the ring that aya-log makes in the object.
pub(super) const RING: &str = "AYA_LOGS";

/// Passes messages of `aya-log` on.
pub(super) struct ToTracing;

impl Log for ToTracing {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        tracing::debug!(target: "unready_agent_ebpf", "{}", record.args());
    }

    fn flush(&self) {}
}

/// The ring of messages, and waiting for it.
pub(super) struct Messages(AsyncFd<EbpfLogger<ToTracing>>);

impl Messages {
    /// Takes the ring from the object. Needs a tokio runtime.
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, LoadError> {
        let logger = EbpfLogger::init_with_logger(ebpf, ToTracing)
            .map_err(|error| LoadError::Map { map: RING, reason: super::error::chain(&error) })?;
        waitable(logger).map(Self)
    }

    /// Waits until there are messages, and passes them on.
    pub(super) async fn pass_on(&mut self) -> io::Result<()> {
        let mut guard = self.0.readable_mut().await?;
        guard.clear_ready();
        guard.get_inner_mut().flush();
        Ok(())
    }
}
