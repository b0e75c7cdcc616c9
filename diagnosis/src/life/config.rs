//! The engine's limits and times.

#[expect(unused_imports, reason = "the documentation links to it")]
use crate::input::Input;
use crate::{judge::weights::Weights, units::ClockAnchor};
use std::time::Duration;

/// The engine's limits and times.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Turns dates into kernel times, until [`Input::Clock`] brings another.
    pub clock: ClockAnchor,
    /// A container that listens and lives on for this long is ready, as far as one can tell without a probe.
    pub ready_after: Duration,
    /// A container that runs for this long without a failure that repeats is left alone, unless somebody waits for it to become ready: then
    /// it is late.
    pub settle_after: Duration,
    /// A container that is waited for may be quiet for at least this long.
    pub quiet_at_least: Duration,
    /// The same, and at most, whatever its probes allow.
    pub quiet_at_most: Duration,
    /// A cgroup of no known pattern is kept for this long, in case a runtime shows itself in it.
    pub confirm_within: Duration,
    /// How long a judgement waits for answers.
    pub answer_within: Duration,
    /// Containers kept.
    pub containers: usize,
    /// Distinct failures kept of each container.
    pub failures: usize,
    /// Questions asked a container.
    pub questions: usize,
    /// Pods kept.
    pub pods: usize,
    /// There is evidence from the kernel; without it, the API server's word is all there is.
    pub kernel: bool,
    /// The judge's numbers.
    pub weights: Weights,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            clock: ClockAnchor::default(),
            ready_after: Duration::from_secs(1),
            settle_after: Duration::from_secs(30),
            quiet_at_least: Duration::from_mins(5),
            quiet_at_most: Duration::from_mins(30),
            confirm_within: Duration::from_secs(5),
            answer_within: Duration::from_millis(150),
            containers: 2048,
            failures: 512,
            questions: 96,
            pods: 1024,
            kernel: true,
            weights: Weights::default(),
        }
    }
}
