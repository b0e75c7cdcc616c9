//! Verdicts that are kept while the node's clock is set: their dates are those of the clock as it runs now. Pure.
//!
//! An agent often starts before its node has the right time. What could not be delivered until then would be dated years away.

use unready_proto::{
    prost_types::Timestamp,
    time::{nanos, timestamp},
    v1::Verdict,
};

/// Moves all dates of a verdict by so many nanoseconds; what is not dated stays so.
pub(super) fn shift(verdict: &mut Verdict, by: i64) {
    let evidence = verdict.evidence.iter_mut().map(|evidence| &mut evidence.at);
    let own = [&mut verdict.first_seen, &mut verdict.last_seen, &mut verdict.resolved_at];
    evidence.chain(own).flatten().for_each(|date| *date = moved(date, by));
}

fn moved(date: &Timestamp, by: i64) -> Timestamp {
    timestamp(nanos(date).saturating_add_signed(by))
}

#[cfg(test)]
mod tests {
    use super::*;
    use unready_proto::v1::Evidence;

    #[test]
    fn all_dates_move_and_none_is_made() {
        let at = |seconds: u64| Some(timestamp(seconds * 1_000_000_000 + 5));
        let dated = |seconds: u64| Verdict {
            first_seen: at(seconds),
            last_seen: at(seconds + 1),
            evidence: vec![Evidence { at: at(seconds + 2), ..Evidence::default() }, Evidence::default()],
            ..Verdict::default()
        };
        let mut verdict = dated(100);
        shift(&mut verdict, 7_000_000_000);
        assert_eq!(verdict, dated(107));
        shift(&mut verdict, -57_000_000_000);
        assert_eq!(verdict, dated(50));
        let mut resolved = Verdict { resolved_at: at(9), ..Verdict::default() };
        shift(&mut resolved, i64::MIN);
        assert_eq!(resolved.resolved_at, Some(timestamp(0)), "not before 1970");
    }
}
