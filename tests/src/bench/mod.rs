//! What `unready-bench` measures, each with its own module. All numbers of one table come from one run on one machine.
//!
//! - [`latency`]: from a failing call to its verdict, committed at the collector.
//! - [`footprint`]: memory of agent and maps with 250 cgroups.
//! - [`launch`]: what `unready run` adds to a command.
//! - [`cost`]: what a system call costs with nothing attached, with level 1, and in a watched container.
//! - [`machine`]: the conditions.

pub mod cost;
pub mod footprint;
pub mod latency;
pub mod launch;
pub mod machine;

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Now, since boot, suspend included: the clock of the kernel's records and of `first-calls`.
pub fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec.try_into().unwrap_or_default(), now.tv_nsec.try_into().unwrap_or_default())
}

/// The moment that `first-calls` printed.
pub fn failed_at(stdout: &str) -> Option<Duration> {
    let nanos = stdout.lines().find_map(|line| line.strip_prefix("failed at "))?;
    nanos.trim().parse().ok().map(Duration::from_nanos)
}

/// Some durations, to be asked for their quantiles.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    sorted: Vec<Duration>,
}

impl Sample {
    /// Of these.
    pub fn new(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        Self { sorted: durations }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// The smallest that at least `percent` of them do not exceed (nearest rank).
    pub fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.len() * percent).div_ceil(100).max(1);
        self.sorted.get(rank - 1).copied().unwrap_or_default()
    }

    pub fn max(&self) -> Duration {
        self.sorted.last().copied().unwrap_or_default()
    }
}

/// Milliseconds, for a table.
pub fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::{Sample, failed_at};
    use std::time::Duration;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let sample = Sample::new((1..=200).rev().map(Duration::from_millis).collect());
        assert_eq!(sample.percentile(50), Duration::from_millis(100));
        assert_eq!(sample.percentile(99), Duration::from_millis(198));
        assert_eq!(sample.max(), Duration::from_millis(200));
        assert_eq!(Sample::default().percentile(99), Duration::ZERO);
    }

    #[test]
    fn the_moment_of_a_failure_is_found_in_its_output() {
        assert_eq!(failed_at("hello\nfailed at 1500\n"), Some(Duration::from_nanos(1500)));
        assert_eq!(failed_at("nothing failed"), None);
    }
}
