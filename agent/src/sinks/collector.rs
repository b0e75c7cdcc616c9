//! The collector: all verdicts and all starts, by the stream of [`crate::deliver`].

use super::{Drained, Sink};
use crate::deliver::collector::Delivery;
use std::time::Duration;
use unready_proto::v1::{StartReport, Verdict};

impl Sink for Delivery {
    fn verdict(&mut self, verdict: &Verdict) {
        self.offer(verdict.clone());
    }

    fn start(&mut self, report: &StartReport) {
        self.offer_start(report.clone());
    }

    fn clock_set(&mut self, by: i64) {
        Self::clock_set(self, by);
    }

    fn drain(self: Box<Self>, within: Duration) -> Drained {
        Box::pin(async move {
            let left = self.finish(within).await;
            if !left.verdicts.is_empty() {
                tracing::warn!("{} verdicts could not be delivered to the collector", left.verdicts.len());
            }
            if left.starts > 0 {
                tracing::info!("{} start reports could not be delivered to the collector", left.starts);
            }
            left.verdicts
        })
    }
}
