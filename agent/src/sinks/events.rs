//! Kubernetes Events: a verdict becomes one on its pod. What it does is done on the cluster's thread (`kubernetes`), which must outlive it.

use super::{Drained, Sink};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use unready_kubernetes::events::{Counts, Publisher};
use unready_proto::v1::Verdict;

/// The pods of this node.
#[derive(Clone)]
pub struct Events(Arc<Publisher>);

impl Events {
    pub(crate) const fn new(publisher: Arc<Publisher>) -> Self {
        Self(publisher)
    }

    /// How the publishing stands, now and later.
    pub fn look(&self) -> impl Fn() -> Counts + Clone + Send + Sync + use<> {
        let publisher: Weak<Publisher> = Arc::downgrade(&self.0);
        move || publisher.upgrade().map(|publisher| publisher.counts()).unwrap_or_default()
    }
}

impl Sink for Events {
    fn verdict(&mut self, verdict: &Verdict) {
        self.0.offer(verdict);
    }

    fn drain(self: Box<Self>, within: Duration) -> Drained {
        Box::pin(async move {
            let left = self.0.finish(within).await;
            if left.waiting > 0 || left.dropped > 0 {
                tracing::warn!("{} Events were not published to the end, {} were dropped", left.waiting, left.dropped);
            }
            Vec::new() // the pods' own status says what the API server can say of them
        })
    }
}
