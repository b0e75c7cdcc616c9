//! How the pipeline's queues stand, for whoever looks from outside. Looking does not keep the pipeline alive.

use super::handle::Command;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::mpsc::WeakSender;

/// A view of a pipeline's queues.
#[derive(Clone, Debug)]
pub struct Gauges {
    pub(super) commands: WeakSender<Command>,
    pub(super) verdicts: Gauge,
    pub(super) questions: Gauge,
    pub(super) starts: Gauge,
    pub(super) refused_pods: Arc<AtomicU64>,
}

/// A look at one queue, `None` once it is gone.
#[derive(Clone)]
pub(super) struct Gauge(Arc<dyn Fn() -> Option<QueueFill> + Send + Sync>);

impl Gauge {
    pub(super) fn new(look: impl Fn() -> Option<QueueFill> + Send + Sync + 'static) -> Self {
        Self(Arc::new(look))
    }

    pub(super) fn look(&self) -> Option<QueueFill> {
        (self.0)()
    }
}

impl fmt::Debug for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gauge").field(&self.look()).finish()
    }
}

/// A queue: what waits in it, what it can hold, what it could not hold so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFill {
    /// What waits.
    pub length: usize,
    /// What it can hold.
    pub capacity: usize,
    /// What was dropped since the start.
    pub dropped: u64,
}

impl Gauges {
    /// Commands and inputs that wait for the engine; their senders wait when it is full. `None` once the pipeline has ended.
    pub fn commands(&self) -> Option<QueueFill> {
        self.commands.upgrade().map(|sender| fill(sender.capacity(), sender.max_capacity(), 0))
    }

    /// Verdicts that wait for whoever runs the pipeline.
    pub fn verdicts(&self) -> Option<QueueFill> {
        self.verdicts.look()
    }

    /// Questions about the cluster that wait for whoever runs the pipeline.
    pub fn questions(&self) -> Option<QueueFill> {
        self.questions.look()
    }

    /// Start reports that wait for whoever runs the pipeline.
    pub fn starts(&self) -> Option<QueueFill> {
        self.starts.look()
    }

    /// Changes of pods that the engine ignored, because it keeps that many already.
    pub fn refused_pods(&self) -> u64 {
        self.refused_pods.load(Ordering::Relaxed)
    }
}

const fn fill(free: usize, capacity: usize, dropped: u64) -> QueueFill {
    QueueFill { length: capacity.saturating_sub(free), capacity, dropped }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    #[tokio::test]
    async fn a_queue_is_seen_while_it_lives() {
        let (commands, _commands_out) = mpsc::channel(4);
        let gauges = Gauges {
            commands: commands.downgrade(),
            verdicts: Gauge::new(|| None),
            questions: Gauge::new(|| Some(QueueFill { length: 1, capacity: 2, dropped: 3 })),
            starts: Gauge::new(|| None),
            refused_pods: Arc::default(),
        };
        assert_eq!(gauges.commands(), Some(QueueFill { length: 0, capacity: 4, dropped: 0 }));
        assert_eq!(gauges.questions(), Some(QueueFill { length: 1, capacity: 2, dropped: 3 }));
        drop(commands);
        assert_eq!((gauges.commands(), gauges.verdicts()), (None, None));
    }
}
