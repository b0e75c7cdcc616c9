//! What of all that is [known](Known) is news. Pure: time is an argument.
//!
//! What a pod waits for is told only when it has waited for long: a healthy start is silent. A container that crashes again and
//! again may make its pod ready for a moment each time: what was said is taken back after [`SETTLED`].

use super::known::{Known, Update};
use crate::{
    cause::WAITING,
    get::fingerprints::{Detail, Fingerprints},
    join::{current, is_about, owner},
};
use std::collections::HashMap;
use unready_diagnosis::pod::Pod;
use unready_proto::{time::timestamp, v1::Verdict};

/// How long a pod has to be ready before it counts as mended, unless its verdict was resolved by who made it;
/// nanoseconds.
const SETTLED: u64 = 10_000_000_000;

pub(super) struct Board {
    known: Known,
    printed: Fingerprints,
    /// What was printed of each pod, and not yet taken back.
    shown: HashMap<String, Vec<Verdict>>,
    /// The first look: also what has begun just now is told.
    first: bool,
    all: bool,
}

impl Board {
    pub(super) fn new(lists: usize, all: bool, detail: Detail) -> Self {
        Self { known: Known::new(lists), printed: Fingerprints::new(detail), shown: HashMap::new(), first: true, all }
    }

    /// Every source has told what there was.
    pub(super) fn is_complete(&self) -> bool {
        self.known.is_complete()
    }

    pub(super) fn take(&mut self, news: Update) {
        self.known.take(news);
    }

    /// Pods whose status has to be asked for now.
    pub(super) fn due(&mut self, now: u64) -> Vec<Pod> {
        self.known.due(self.first, now)
    }

    /// The rows to print.
    pub(super) fn news(&mut self, now: u64) -> Vec<Verdict> {
        let mut rows = Vec::new();
        let mut pods: Vec<&Pod> = self.known.pods.values().map(|known| &known.pod).collect();
        pods.sort_by_key(|pod| (&pod.namespace, &pod.name));
        let uids: Vec<String> = pods.into_iter().map(|pod| pod.api_uid.clone()).collect();
        for uid in uids {
            let said = self.said(&uid, now);
            self.print(&uid, said, now, &mut rows);
        }
        let gone: Vec<String> = self.shown.keys().filter(|uid| !uid.is_empty() && !self.known.pods.contains_key(*uid)).cloned().collect();
        for uid in gone {
            self.print(&uid, Vec::new(), now, &mut rows);
        }
        let owners = self.known.verdicts.values().filter(|verdict| owner(verdict).is_some()).collect();
        let owners = current(owners, true);
        rows.extend(owners.into_iter().filter(|verdict| self.printed.is_news(verdict, self.all)).collect::<Vec<_>>());
        self.first = false;
        rows
    }

    /// What is to be said of a pod now.
    fn said(&self, uid: &str, now: u64) -> Vec<Verdict> {
        let Some(known) = self.known.pods.get(uid) else { return Vec::new() };
        if known.pod.status.phase == "Failed" && self.known.pods.values().any(|other| known.pod.is_replaced_by(&other.pod)) {
            return Vec::new();
        }
        if known.pod.is_well() {
            let settled = now >= known.pod.condition("Ready").map_or(0, |ready| ready.since) + SETTLED;
            return if settled { Vec::new() } else { self.still_shown(uid) };
        }
        if known.pod.deleted.is_some() && !self.first {
            // Its end is no news.
            return self.still_shown(uid);
        }
        let about = self.known.verdicts.values().filter(|verdict| is_about(verdict, &known.pod)).collect();
        let told = current(about, false);
        if !told.is_empty() {
            return told;
        }
        let is_worth_it = |verdict: &&Verdict| verdict.cause != WAITING || self.first || known.waits_for_long();
        known.status.iter().filter(is_worth_it).cloned().collect()
    }

    /// What was said and was not resolved by who said it.
    fn still_shown(&self, uid: &str) -> Vec<Verdict> {
        let lasts = |shown: &&Verdict| {
            shown.cause != WAITING && self.known.verdicts.get(&shown.id).is_none_or(|verdict| verdict.resolved_at.is_none())
        };
        self.shown.get(uid).into_iter().flatten().filter(lasts).cloned().collect()
    }

    /// What is new is printed; what was printed and is no longer said is printed as resolved.
    fn print(&mut self, uid: &str, said: Vec<Verdict>, now: u64, rows: &mut Vec<Verdict>) {
        let before = self.shown.remove(uid).unwrap_or_default();
        for mut gone in before.into_iter().filter(|gone| !said.iter().any(|verdict| verdict.id == gone.id)) {
            // Another word for the same state takes its place without a line that takes it back.
            let is_ready = self.known.pods.get(uid).is_some_and(|known| known.pod.is_well());
            if gone.cause == WAITING && is_ready {
                "the pod is ready".clone_into(&mut gone.summary);
            }
            if gone.cause != WAITING || is_ready {
                gone.resolved_at = self.known.verdicts.get(&gone.id).and_then(|verdict| verdict.resolved_at).or(Some(timestamp(now)));
                if self.printed.is_news(&gone, true) {
                    rows.push(gone.clone());
                }
            }
            self.printed.forget(&gone.id);
        }
        rows.extend(said.iter().filter(|verdict| self.printed.is_news(verdict, self.all)).cloned());
        if !said.is_empty() {
            self.shown.insert(uid.to_owned(), said);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::known::STRAYS;
    use super::*;
    use crate::cluster::status::waiting;
    use unready_diagnosis::pod::{Condition, PodStatus};
    use unready_proto::v1::Workload;

    const SECOND: u64 = 1_000_000_000;

    fn pod(ready: &str) -> Update {
        changed(the_pod(ready))
    }

    fn changed(pod: Pod) -> Update {
        Update::Pod { query: 0, pod: Box::new(pod) }
    }

    fn listed(uids: &[&str]) -> Update {
        Update::PodsListed { query: 0, uids: uids.iter().map(|uid| (*uid).to_owned()).collect() }
    }

    fn the_pod(ready: &str) -> Pod {
        pod_since(ready, 100)
    }

    fn pod_since(ready: &str, since: u64) -> Pod {
        let condition = Condition { kind: "Ready".into(), status: ready.into(), since: since * SECOND, ..Condition::default() };
        Pod {
            uid: "u".into(),
            api_uid: "u".into(),
            created: 100 * SECOND,
            status: PodStatus { conditions: vec![condition], ..PodStatus::default() },
            ..Pod::default()
        }
    }

    fn verdict(cause: &str) -> Verdict {
        Verdict {
            id: cause.into(),
            cause: cause.into(),
            workload: Some(Workload { pod_uid: "u".into(), ..Workload::default() }),
            ..Verdict::default()
        }
    }

    fn status(asked: u64, sentence: &str) -> Update {
        Update::Status { uid: "u".into(), asked: asked * SECOND, verdicts: vec![waiting(&the_pod("False"), sentence.into())] }
    }

    fn told(board: &mut Board, at: u64) -> Vec<String> {
        let word = |row: Verdict| format!("{}{}", row.cause, if row.resolved_at.is_some() { " resolved" } else { "" });
        board.news(at * SECOND).into_iter().map(word).collect()
    }

    fn begun(all: bool) -> Board {
        let mut board = Board::new(1, all, Detail::Row);
        board.take(listed(&[]));
        board.take(Update::Verdicts(vec![]));
        assert!(board.is_complete());
        assert!(told(&mut board, 100).is_empty());
        board
    }

    #[test]
    fn a_verdict_is_told_once_and_taken_back_when_the_pod_is_ready() {
        let mut board = begun(false);
        board.take(Update::Verdict(Box::new(verdict("FileMissing"))));
        assert!(told(&mut board, 101).is_empty(), "the pod is not known yet");
        board.take(pod("False"));
        assert_eq!(told(&mut board, 101), ["FileMissing"]);
        board.take(Update::Verdict(Box::new(Verdict { count: 9, ..verdict("FileMissing") })));
        board.take(Update::Verdicts(vec![verdict("FileMissing")]));
        board.take(pod("False"));
        assert!(told(&mut board, 102).is_empty(), "a collector that came back says the same");
        board.take(pod("True"));
        assert_eq!(told(&mut board, 110), ["FileMissing resolved"]);
        assert!(told(&mut board, 111).is_empty());
        board.take(pod("False"));
        assert_eq!(told(&mut board, 112), ["FileMissing"], "it is so again");
    }

    #[test]
    fn a_crash_loop_does_not_flap() {
        let mut board = begun(false);
        board.take(pod("False"));
        board.take(Update::Verdict(Box::new(verdict("Crashed"))));
        assert_eq!(told(&mut board, 101), ["Crashed"]);
        for start in 0..3 {
            board.take(changed(pod_since("True", 110 + 10 * start)));
            assert!(told(&mut board, 112 + 10 * start).is_empty());
            board.take(changed(pod_since("False", 113 + 10 * start)));
            assert!(told(&mut board, 114 + 10 * start).is_empty());
        }
        board.take(changed(pod_since("True", 150)));
        board.take(Update::Verdict(Box::new(Verdict { resolved_at: Some(timestamp(1)), ..verdict("Crashed") })));
        assert_eq!(told(&mut board, 151), ["Crashed resolved"], "who made it knows better");
    }

    #[test]
    fn healthy_starts_are_silent() {
        let mut board = begun(false);
        board.take(pod("False"));
        assert!(board.due(101 * SECOND).is_empty(), "the agent speaks first");
        assert_eq!(board.due(103 * SECOND).len(), 1);
        assert!(board.due(104 * SECOND).is_empty(), "asked already");
        board.take(status(103, "waits"));
        assert!(told(&mut board, 105).is_empty());
        board.take(pod("True"));
        assert!(told(&mut board, 106).is_empty());
        assert!(board.due(200 * SECOND).is_empty());
    }

    #[test]
    fn a_long_wait_is_told_and_a_cause_takes_its_place() {
        let mut board = begun(false);
        board.take(pod("False"));
        assert_eq!(board.due(103 * SECOND).len(), 1);
        board.take(status(103, "waits"));
        assert!(told(&mut board, 110).is_empty(), "it is old, and another is due");
        assert_eq!(board.due(110 * SECOND).len(), 1);
        board.take(status(110, "waits"));
        assert_eq!(told(&mut board, 111), [WAITING]);
        board.take(status(111, "waits longer"));
        assert!(told(&mut board, 112).is_empty());
        board.take(Update::Verdict(Box::new(verdict("Crashed"))));
        assert_eq!(told(&mut board, 113), ["Crashed"]);
        board.take(Update::Gone(Box::new(the_pod("False"))));
        assert_eq!(told(&mut board, 114), ["Crashed resolved"]);
    }

    #[test]
    fn a_pod_that_went_during_an_outage_is_gone() {
        let mut board = begun(false);
        board.take(pod("False"));
        board.take(Update::Verdict(Box::new(verdict("Crashed"))));
        assert_eq!(told(&mut board, 101), ["Crashed"]);
        board.take(Update::Away(true));
        assert!(board.due(200 * SECOND).is_empty() && told(&mut board, 200).is_empty());
        board.take(Update::Away(false));
        board.take(listed(&["another"]));
        assert_eq!(told(&mut board, 201), ["Crashed resolved"]);
    }

    #[test]
    fn verdicts_of_pods_that_are_gone_make_room() {
        let mut board = begun(false);
        let of = |uid: usize| Verdict {
            id: uid.to_string(),
            workload: Some(Workload { pod_uid: format!("gone-{uid}"), ..Workload::default() }),
            ..verdict("Crashed")
        };
        (0..=STRAYS).for_each(|uid| board.take(Update::Verdict(Box::new(of(uid)))));
        assert!(board.known.verdicts.len() <= STRAYS);
        board.take(pod("False"));
        board.take(Update::Verdict(Box::new(verdict("FileMissing"))));
        assert_eq!(told(&mut board, 101), ["FileMissing"]);
    }

    #[test]
    fn the_end_of_a_pod_is_no_news() {
        let mut board = begun(false);
        board.take(pod("False"));
        board.take(Update::Verdict(Box::new(verdict("Crashed"))));
        assert_eq!(told(&mut board, 101), ["Crashed"]);
        board.take(changed(Pod { deleted: Some(102 * SECOND), ..the_pod("False") }));
        board.take(status(103, "is being ended"));
        assert!(told(&mut board, 120).is_empty());
    }

    #[test]
    fn a_long_wait_that_ends_well_is_told() {
        let mut board = begun(false);
        board.take(pod("False"));
        board.take(status(111, "waits"));
        assert_eq!(told(&mut board, 111), [WAITING]);
        board.take(pod("True"));
        let rows = board.news(112 * SECOND);
        assert_eq!(rows.iter().map(|row| row.summary.as_str()).collect::<Vec<_>>(), ["the pod is ready"]);
    }

    #[test]
    fn the_first_table_has_an_answer_for_every_pod() {
        let mut board = Board::new(1, false, Detail::Row);
        board.take(pod("False"));
        board.take(listed(&["u"]));
        board.take(Update::Verdicts(vec![]));
        assert!(!board.is_complete(), "the status is missing");
        assert_eq!(board.due(100 * SECOND).len(), 1);
        board.take(status(100, "waits"));
        assert!(board.is_complete());
        assert_eq!(told(&mut board, 100), [WAITING]);
    }

    #[test]
    fn owners_without_pods_are_told_too() {
        let mut board = begun(false);
        let workload = Workload { owner: "ReplicaSet/x".into(), ..Workload::default() };
        let denied = || Verdict { workload: Some(workload.clone()), ..verdict("AdmissionDenied") };
        board.take(Update::Verdict(Box::new(denied())));
        assert_eq!(told(&mut board, 101), ["AdmissionDenied"]);
        assert!(told(&mut board, 102).is_empty());
        board.take(Update::Verdict(Box::new(Verdict { resolved_at: Some(timestamp(1)), ..denied() })));
        assert_eq!(told(&mut board, 103), ["AdmissionDenied resolved"]);
    }
}
