//! What the log says about the connection: one sentence when something changes, none for each attempt.

use super::url::CollectorUrl;

#[derive(Debug)]
pub(super) struct Report {
    url: CollectorUrl,
    state: State,
    verdicts: Overflow,
    starts: Overflow,
    /// Version of the collector of which it was said that it keeps no start reports.
    starts_held_for: Option<String>,
}

/// A queue that drops its oldest.
#[derive(Debug, Default)]
struct Overflow {
    /// Dropped as of the last look.
    dropped: u64,
    /// It was said.
    is_told: bool,
}

impl Overflow {
    /// More were dropped, and nothing was said of it since things were taken.
    const fn is_news(&mut self, total: u64) -> bool {
        let is_news = total > self.dropped && !self.is_told;
        self.is_told |= is_news;
        self.dropped = total;
        is_news
    }
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Fresh,
    Delivering,
    Trouble(String),
    Stalled(String),
}

impl Report {
    pub(super) fn new(url: CollectorUrl) -> Self {
        Self { url, state: State::Fresh, verdicts: Overflow::default(), starts: Overflow::default(), starts_held_for: None }
    }

    /// Verdicts are taken.
    pub(super) fn delivering(&mut self) {
        if self.enter(State::Delivering) {
            tracing::info!("delivering verdicts to the collector at {}", self.url);
            (self.verdicts.is_told, self.starts.is_told) = (false, false);
        }
    }

    /// The collector is of a version that does not keep start reports. Said once for each version.
    pub(super) fn starts_are_held(&mut self, version: &str) {
        if self.starts_held_for.as_deref() != Some(version) {
            tracing::info!("the collector (version {version}) does not keep start reports: they wait here until it is updated");
            self.starts_held_for = Some(version.to_owned());
        }
    }

    /// There is no connection, for this reason.
    pub(super) fn trouble(&mut self, reason: &str) {
        if self.enter(State::Trouble(reason.to_owned())) {
            tracing::warn!("{reason}; verdicts wait, and go out when the collector answers");
        }
    }

    /// The collector takes verdicts and cannot commit them.
    pub(super) fn stalled(&mut self, reason: &str) {
        if self.enter(State::Stalled(reason.to_owned())) {
            tracing::warn!("the collector at {} cannot store verdicts, they are kept here until it can: {reason}", self.url);
        }
    }

    /// How many verdicts and start reports were dropped by now: news once, until they are taken again.
    pub(super) fn dropped(&mut self, verdicts: u64, starts: u64) {
        if self.verdicts.is_news(verdicts) {
            tracing::warn!("the queue for the collector is full and drops its oldest verdicts: {verdicts} so far");
        }
        if self.starts.is_news(starts) {
            tracing::info!("the queue for the collector is full and drops its oldest start reports: {starts} so far");
        }
    }

    fn enter(&mut self, state: State) -> bool {
        let changed = self.state != state;
        self.state = state;
        changed
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_news() {
        let mut report = Report::new("http://h:1".parse().expect("is an address"));
        assert!(report.enter(State::Trouble("a".into())));
        assert!(!report.enter(State::Trouble("a".into())));
        assert!(report.enter(State::Trouble("b".into())));
        assert!(report.enter(State::Delivering));
        assert!(!report.enter(State::Delivering));
    }

    #[test]
    fn that_a_queue_overflows_is_said_once_until_it_is_taken_from() {
        let mut overflow = Overflow::default();
        assert_eq!([0, 1, 2, 2].map(|total| overflow.is_news(total)), [false, true, false, false]);
        overflow.is_told = false;
        assert_eq!([2, 3].map(|total| overflow.is_news(total)), [false, true], "what was counted before is no news");
    }
}
