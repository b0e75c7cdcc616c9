//! Verdicts and starts that are kept while the node's clock is set: their dates are those of the clock as it runs now. Pure.
//!
//! An agent often starts before its node has the right time. What could not be delivered until then would be dated years away.

use unready_proto::{
    prost_types::Timestamp,
    time::{nanos, timestamp},
    v1::{StartReport, Verdict, evidence::Fact},
};

/// Moves all dates of a verdict by so many nanoseconds; what is not dated stays so.
pub(super) fn shift(verdict: &mut Verdict, by: i64) {
    let evidence = verdict.evidence.iter_mut().flat_map(|evidence| {
        let last = if let Some(Fact::Call(call)) = &mut evidence.fact { Some(&mut call.last) } else { None };
        [Some(&mut evidence.at), last]
    });
    let own = [&mut verdict.first_seen, &mut verdict.last_seen, &mut verdict.resolved_at];
    evidence.flatten().chain(own).flatten().for_each(|date| *date = moved(date, by));
}

/// The same of a start.
pub(super) fn shift_start(start: &mut StartReport, by: i64) {
    let own = [&mut start.began, &mut start.told].into_iter();
    let milestones = start.milestones.iter_mut().map(|milestone| &mut milestone.at);
    let attempts = start.attempts.iter_mut().flat_map(|attempt| [&mut attempt.first, &mut attempt.last]);
    let waits = start.waits.iter_mut().flat_map(|wait| [&mut wait.from, &mut wait.until]);
    own.chain(milestones).chain(attempts).chain(waits).flatten().for_each(|date| *date = moved(date, by));
}

fn moved(date: &Timestamp, by: i64) -> Timestamp {
    timestamp(nanos(date).saturating_add_signed(by))
}

#[cfg(test)]
mod tests {
    use super::*;
    use unready_proto::v1::{Attempt, CallFact, Evidence, Milestone, Wait};

    #[test]
    fn all_dates_move_and_none_is_made() {
        let at = |seconds: u64| Some(timestamp(seconds * 1_000_000_000 + 5));
        let dated = |seconds: u64| Verdict {
            first_seen: at(seconds),
            last_seen: at(seconds + 1),
            evidence: vec![
                Evidence { at: at(seconds + 2), ..Evidence::default() },
                Evidence { fact: Some(Fact::Call(CallFact { last: at(seconds + 3), ..CallFact::default() })), ..Evidence::default() },
                Evidence::default(),
            ],
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

    #[test]
    fn all_dates_of_a_start_move_and_none_is_made() {
        let at = |seconds: u64| Some(timestamp(seconds * 1_000_000_000));
        let dated = |seconds: u64| StartReport {
            began: at(seconds),
            told: at(seconds + 9),
            milestones: vec![Milestone { at: at(seconds + 1), ..Milestone::default() }, Milestone::default()],
            attempts: vec![Attempt { first: at(seconds + 2), last: at(seconds + 3), ..Attempt::default() }],
            waits: vec![
                Wait { from: at(seconds + 4), until: at(seconds + 5), ..Wait::default() },
                Wait { from: at(seconds), ..Wait::default() },
            ],
            ..StartReport::default()
        };
        let mut start = dated(100);
        shift_start(&mut start, -7_000_000_000);
        assert_eq!(start, dated(93));
    }
}
