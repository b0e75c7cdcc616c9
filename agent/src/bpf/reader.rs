//! The ring buffer: wait until there is something, then take all of it.
//!
//! Waiting and taking are two calls, so that a caller may drop the wait (`tokio::select!`) and lose nothing, and may take what
//! is there without waiting.

use super::{error::LoadError, log::Messages, wait::waitable};
use aya::maps::{Map, MapData, RingBuf};
use std::io;
use tokio::io::unix::AsyncFd;

/// Records taken in one batch. It bounds how long a flood keeps the caller from its other work: some milliseconds.
const BATCH_MAX: usize = 256;

/// Reads records. There is one.
pub struct Reader {
    ring: AsyncFd<RingBuf<MapData>>,
    messages: Option<Messages>,
    /// The last batch was full: there may be more, of which the kernel does not tell again.
    more: bool,
}

impl Reader {
    pub(super) fn new(map: Map, messages: Option<Messages>) -> Result<Self, LoadError> {
        let ring = RingBuf::try_from(map).map_err(|error| LoadError::of_map("RECORDS", &error))?;
        let ring = waitable(ring)?;
        Ok(Self { ring, messages, more: false })
    }

    /// Waits until there are records, and passes debug messages on meanwhile.
    pub async fn ready(&mut self) -> io::Result<()> {
        if self.more {
            return Ok(());
        }
        let Some(messages) = &mut self.messages else {
            return readable(&mut self.ring).await;
        };
        loop {
            tokio::select! {
                ready = readable(&mut self.ring) => return ready,
                passed = messages.pass_on() => passed?,
            }
        }
    }

    /// Takes what is there, a batch at most; returns how many records it were.
    pub fn drain(&mut self, mut each: impl FnMut(&[u8])) -> usize {
        let ring = self.ring.get_mut();
        let mut taken = 0;
        while taken < BATCH_MAX {
            let Some(record) = ring.next() else {
                break;
            };
            each(&record);
            taken += 1;
        }
        self.more = taken == BATCH_MAX;
        taken
    }
}

/// Readiness is cleared before the ring is read: what comes in between wakes once too often, never once too few.
async fn readable(ring: &mut AsyncFd<RingBuf<MapData>>) -> io::Result<()> {
    ring.readable_mut().await?.clear_ready();
    Ok(())
}
