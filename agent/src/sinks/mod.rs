//! Where verdicts and starts go.
//!
//! ```text
//!                      ┌─► metrics     counts
//!   pipeline ─► wire ──┼─► events      Kubernetes Events on the pods
//!                      ├─► stdout      JSON lines
//!                      └─► collector   a gRPC stream, which sends again what was not acknowledged (`deliver`)
//! ```
//!
//! Each sink has its own bounded queues and may be slow, or down, alone; offering to it never blocks. What a queue cannot hold is dropped
//! and counted. A new sink is a file here, and a line in the program's list (`agent/src/outputs.rs`).

mod collector;
pub mod events;
mod metrics;
pub mod stdout;

use std::{future::Future, pin::Pin, time::Duration};
use unready_proto::v1::{StartReport, Verdict};

/// The end of a sink: verdicts that nobody took, oldest first.
pub type Drained = Pin<Box<dyn Future<Output = Vec<Verdict>> + Send>>;

/// Where verdicts and starts go.
pub trait Sink: Send {
    /// Takes a finding, new or with news; the same id replaces what was said before. Never blocks.
    fn verdict(&mut self, verdict: &Verdict);

    /// Takes a report of a start; the same id replaces what was told before. Never blocks. Most sinks are about what is wrong.
    fn start(&mut self, _report: &StartReport) {}

    /// The node's clock was set by so many nanoseconds: what waits here was dated by the clock before.
    fn clock_set(&mut self, _by: i64) {}

    /// Nothing more comes. What waits is told, for so long at most.
    fn drain(self: Box<Self>, within: Duration) -> Drained;
}
