//! What is kept when the same finding is told again. Pure.

use unready_proto::{prost_types::Timestamp, time::nanos, v1::Verdict};

/// The later telling replaces the earlier one, but the finding keeps its earliest date and its highest count: an agent that
/// restarted counts anew, and a batch that is sent again may be older than what followed it.
pub fn merge(stored: &Verdict, told: Verdict) -> Verdict {
    Verdict {
        first_seen: extreme(stored.first_seen.as_ref(), told.first_seen.as_ref(), u64::min),
        last_seen: extreme(stored.last_seen.as_ref(), told.last_seen.as_ref(), u64::max),
        count: told.count.max(stored.count),
        ..told
    }
}

fn extreme(a: Option<&Timestamp>, b: Option<&Timestamp>, choose: fn(u64, u64) -> u64) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if choose(nanos(a), nanos(b)) == nanos(a) { *a } else { *b }),
        (one, other) => one.or(other).copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unready_proto::time::timestamp;

    fn verdict(first: u64, last: u64, count: u32, summary: &str) -> Verdict {
        Verdict {
            first_seen: Some(timestamp(first)),
            last_seen: Some(timestamp(last)),
            count,
            summary: summary.into(),
            ..Verdict::default()
        }
    }

    #[test]
    fn the_later_telling_wins_and_the_history_stays() {
        assert_eq!(merge(&verdict(5, 9, 14, "old"), verdict(7, 12, 3, "new")), verdict(5, 12, 14, "new"));
        assert_eq!(merge(&verdict(5, 9, 1, "old"), verdict(2, 4, 20, "new")), verdict(2, 9, 20, "new"));
    }

    #[test]
    fn resolution_follows_the_later_telling() {
        let resolved = Verdict { resolved_at: Some(timestamp(10)), ..verdict(1, 2, 1, "a") };
        assert_eq!(merge(&verdict(1, 2, 1, "a"), resolved.clone()).resolved_at, Some(timestamp(10)));
        assert_eq!(merge(&resolved, verdict(1, 20, 2, "a")).resolved_at, None, "it happens again");
    }

    #[test]
    fn an_unknown_time_yields_to_a_known_one() {
        let unknown = Verdict { first_seen: None, last_seen: None, ..verdict(0, 0, 1, "a") };
        assert_eq!(merge(&verdict(5, 9, 1, "a"), unknown.clone()), verdict(5, 9, 1, "a"));
        assert_eq!(merge(&unknown, verdict(5, 9, 1, "a")), verdict(5, 9, 1, "a"));
    }

    #[test]
    fn telling_twice_changes_nothing() {
        let once = verdict(1, 2, 3, "a");
        assert_eq!(merge(&once, once.clone()), once);
    }
}
