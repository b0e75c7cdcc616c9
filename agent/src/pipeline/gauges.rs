//! How the pipeline's queues stand, for whoever looks from outside. Looking does not keep the pipeline alive.

use super::{Event, handle::Command};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::mpsc::WeakSender;

/// A view of a pipeline's queues.
#[derive(Clone, Debug)]
pub struct Gauges {
    pub(super) commands: WeakSender<Command>,
    pub(super) events: WeakSender<Event>,
    pub(super) dropped_events: Arc<AtomicU64>,
    pub(super) refused_pods: Arc<AtomicU64>,
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

    /// Events that wait for whoever runs the pipeline.
    pub fn events(&self) -> Option<QueueFill> {
        let dropped = self.dropped_events.load(Ordering::Relaxed);
        self.events.upgrade().map(|sender| fill(sender.capacity(), sender.max_capacity(), dropped))
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
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::pipeline::Event;
    use tokio::sync::mpsc;
    use unready_diagnosis::units::CgroupId;

    #[tokio::test]
    async fn a_queue_is_seen_while_it_lives() {
        let (commands, _commands_out) = mpsc::channel(4);
        let (events, _events_out) = mpsc::channel(3);
        let gauges = Gauges {
            commands: commands.downgrade(),
            events: events.downgrade(),
            dropped_events: Arc::new(AtomicU64::new(7)),
            refused_pods: Arc::default(),
        };
        events.send(Event::Listening { cgroup: CgroupId(1), address: String::new(), port: 80, open: true }).await.unwrap();
        assert_eq!(gauges.events(), Some(QueueFill { length: 1, capacity: 3, dropped: 7 }));
        assert_eq!(gauges.commands(), Some(QueueFill { length: 0, capacity: 4, dropped: 0 }));
        drop((commands, events));
        assert_eq!((gauges.commands(), gauges.events()), (None, None));
    }
}
