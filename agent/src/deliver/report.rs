//! What the log says about the connection: one sentence when something changes, none for each attempt.

use super::url::CollectorUrl;

#[derive(Debug)]
pub(super) struct Report {
    url: CollectorUrl,
    state: State,
    /// Dropped as of the last sentence about it.
    dropped: u64,
    overflowing: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Fresh,
    Delivering,
    Trouble(String),
    Stalled(String),
}

impl Report {
    pub(super) const fn new(url: CollectorUrl) -> Self {
        Self { url, state: State::Fresh, dropped: 0, overflowing: false }
    }

    /// Verdicts are taken.
    pub(super) fn delivering(&mut self) {
        if self.enter(State::Delivering) {
            tracing::info!("delivering verdicts to the collector at {}", self.url);
            self.overflowing = false;
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

    /// How many verdicts were dropped by now: news once, until verdicts are taken again.
    pub(super) fn dropped(&mut self, total: u64) {
        if total > self.dropped && !self.overflowing {
            tracing::warn!("the queue for the collector is full and drops its oldest verdicts: {total} so far");
            self.overflowing = true;
        }
        self.dropped = total;
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
}
