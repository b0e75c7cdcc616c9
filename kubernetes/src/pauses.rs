//! Pauses between attempts: from a restart of the server that nobody notices to an outage. A part of each is left to chance,
//! because all who watch a server lose it at the same moment.

use kube::runtime::utils::Backoff;
use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

/// First and longest pause.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Pauses of a watch that begins anew: those of kube itself grow to half a minute.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    attempts: u32,
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = PAUSE.0.saturating_mul(1 << self.attempts.min(8)).min(PAUSE.1);
        self.attempts = self.attempts.saturating_add(1);
        Some(shortened(pause))
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.attempts = 0;
    }
}

/// A pause, or up to a third less.
pub(crate) fn shortened(pause: Duration) -> Duration {
    // A number by chance: every hasher of the standard library has its own keys.
    let chance = u32::try_from(RandomState::new().hash_one(0) >> 32).unwrap_or(0);
    pause.mul_f64(1.0 - f64::from(chance) / f64::from(u32::MAX) / 3.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit_and_begin_anew() {
        let mut pauses = Pauses::default();
        let all: Vec<Duration> = pauses.by_ref().take(20).collect();
        assert!(all[0] <= PAUSE.0 && all.iter().all(|pause| *pause <= PAUSE.1), "{all:?}");
        assert!(all[19] > PAUSE.1 / 2, "{all:?}");
        pauses.reset();
        assert!(pauses.next().is_some_and(|pause| pause <= PAUSE.0));
    }
}
