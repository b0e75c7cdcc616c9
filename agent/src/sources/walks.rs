//! When what is known is compared with what exists: a walk through all cgroups some moments after the start, after each loss of
//! records, and every minute. It reads thousands of small files and so runs beside the pipeline, one at a time.
//!
//! ```text
//!   resting ── due, or something was lost ──► walking ── the snapshot goes into the engine ──► resting
//! ```

use crate::cgroupfs::{CgroupRoot, Limits};
use std::time::Duration;
use tokio::sync::mpsc;
use unready_diagnosis::{snapshot::Snapshot, units::BootNanos};

/// Between two walks, when nothing is lost.
const EVERY: Duration = Duration::from_mins(1);
/// After a loss: what was let through meanwhile has been told by then, and a flood does not make a walk of each batch.
const AFTER_LOSS: Duration = Duration::from_secs(1);

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Walks {
    due: BootNanos,
    is_walking: bool,
    sender: mpsc::Sender<Snapshot>,
    receiver: mpsc::Receiver<Snapshot>,
}

impl Walks {
    /// The first one is due soon.
    pub(crate) fn new(now: BootNanos) -> Self {
        let (sender, receiver) = mpsc::channel(1);
        Self { due: now.after(AFTER_LOSS), is_walking: false, sender, receiver }
    }

    /// Something was lost.
    pub(crate) fn hasten(&mut self, now: BootNanos) {
        self.due = self.due.min(now.after(AFTER_LOSS));
    }

    /// When [`Walks::tick`] has something to do, from now; `None` while a walk is under way.
    pub(crate) fn due(&self, now: BootNanos) -> Option<Duration> {
        (!self.is_walking).then(|| self.due.since(now))
    }

    /// Begins a walk that is due; whether it did.
    pub(crate) fn tick(&mut self, root: &CgroupRoot, now: BootNanos) -> bool {
        if self.is_walking || now < self.due {
            return false;
        }
        (self.is_walking, self.due) = (true, now.after(EVERY));
        let (root, sender) = (root.clone(), self.sender.clone());
        tokio::task::spawn_blocking(move || {
            let _ended = sender.blocking_send(root.snapshot(&Limits::default()));
        });
        true
    }

    /// What a walk has found. May be dropped while it waits: nothing is lost.
    pub(crate) async fn found(&mut self) -> Snapshot {
        // The sender's other end is here, so that there always is a next one, in time.
        match self.receiver.recv().await {
            Some(snapshot) => {
                self.is_walking = false;
                snapshot
            }
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_loss_hastens_the_next_walk_and_never_delays_it() {
        let mut walks = Walks::new(BootNanos(0));
        assert_eq!(walks.due(BootNanos(0)), Some(AFTER_LOSS));
        walks.due = BootNanos(60 * SECOND);
        walks.hasten(BootNanos(10 * SECOND));
        assert_eq!(walks.due(BootNanos(10 * SECOND)), Some(AFTER_LOSS));
        walks.hasten(BootNanos(59 * SECOND));
        assert_eq!(walks.due(BootNanos(10 * SECOND)), Some(AFTER_LOSS), "a flood of losses does not put it off");
    }
}
