//! What is known of pods and verdicts while we watch. Pure: time is an argument.
//!
//! A pod that starts is not ready for a while, and nothing is wrong with that: the API server's word of it is asked for after
//! [`GRACE`], so that the agent, who sees more, speaks first.

use crate::{
    cluster::facts::not_ready_since,
    join::{is_about, owner},
};
use std::collections::{BTreeMap, HashMap, HashSet};
use unready_diagnosis::pod::Pod;
use unready_proto::v1::Verdict;

const SECOND: u64 = 1_000_000_000;
/// How long an agent has to speak before the API server is asked, nanoseconds.
const GRACE: u64 = 2 * SECOND;
/// How long a pod may wait before it is worth a line, nanoseconds.
const PATIENCE: u64 = 10 * SECOND;
/// A pod of which nothing is known is asked about again after this time, nanoseconds.
const AGAIN: u64 = 10 * SECOND;
/// Verdicts that are kept, those for pods that are not known yet included.
pub(super) const STRAYS: usize = 10_000;

/// What the sources bring.
#[derive(Debug)]
pub(super) enum Update {
    /// A pod, new or changed, of one of the queries.
    Pod { query: usize, pod: Box<Pod> },
    /// A pod that is gone.
    Gone(Box<Pod>),
    /// Uids of all pods of a query. What is not in it is gone: an interruption may have been too long for the API server's memory.
    PodsListed { query: usize, uids: HashSet<String> },
    /// The API server does not answer, or does again: its words are worth nothing meanwhile.
    Away(bool),
    /// A verdict, new or changed.
    Verdict(Box<Verdict>),
    /// All verdicts that there are.
    Verdicts(Vec<Verdict>),
    /// What the API server tells of a pod.
    Status { uid: String, asked: u64, verdicts: Vec<Verdict> },
}

/// All that the sources brought.
pub(super) struct Known {
    /// By the uid that the API server gave.
    pub(super) pods: BTreeMap<String, KnownPod>,
    /// By id: about pods that are known or may come, and about owners.
    pub(super) verdicts: HashMap<String, Verdict>,
    /// Queries of which not all pods have been told yet.
    lists_missing: HashSet<usize>,
    verdicts_missing: bool,
    /// The API server does not answer.
    away: bool,
}

/// A pod, and the API server's word of it.
pub(super) struct KnownPod {
    /// Which one brought it.
    query: usize,
    pub(super) pod: Pod,
    /// The API server's word.
    pub(super) status: Vec<Verdict>,
    /// When it was asked for last.
    asked: u64,
    /// When the status was asked for that there is.
    answered: u64,
}

impl KnownPod {
    /// The status was given when it had waited for long.
    pub(super) fn waits_for_long(&self) -> bool {
        self.answered >= not_ready_since(&self.pod) + PATIENCE
    }
}

impl Known {
    pub(super) fn new(lists: usize) -> Self {
        Self { pods: BTreeMap::new(), verdicts: HashMap::new(), lists_missing: (0..lists).collect(), verdicts_missing: true, away: false }
    }

    /// Every source has told what there was.
    pub(super) fn is_complete(&self) -> bool {
        let is_open = |known: &KnownPod| !known.pod.is_well() && known.status.is_empty() && !self.has_verdict(&known.pod);
        self.lists_missing.is_empty() && !self.verdicts_missing && !self.pods.values().any(is_open)
    }

    pub(super) fn take(&mut self, news: Update) {
        match news {
            Update::Pod { query, pod } => self.pod(query, *pod),
            Update::Away(away) => self.away = away,
            Update::Gone(pod) => {
                self.pods.remove(&pod.api_uid);
            }
            Update::PodsListed { query, uids } => {
                self.lists_missing.remove(&query);
                self.pods.retain(|uid, known| known.query != query || uids.contains(uid));
            }
            Update::Verdict(verdict) => self.verdict(*verdict),
            Update::Verdicts(all) => {
                self.verdicts_missing = false;
                for verdict in all {
                    self.verdict(verdict);
                }
            }
            Update::Status { uid, asked, verdicts } => {
                if let Some(known) = self.pods.get_mut(&uid) {
                    known.answered = asked;
                    known.status = verdicts;
                }
            }
        }
    }

    fn pod(&mut self, query: usize, pod: Pod) {
        match self.pods.get_mut(&pod.api_uid) {
            Some(known) => {
                // Another state deserves another look, after its time.
                if known.pod.status.containers != pod.status.containers {
                    known.asked = known.asked.min(not_ready_since(&pod));
                }
                known.pod = pod;
            }
            None => {
                self.pods.insert(pod.api_uid.clone(), KnownPod { query, pod, status: Vec::new(), asked: 0, answered: 0 });
            }
        }
    }

    fn verdict(&mut self, verdict: Verdict) {
        if self.verdicts.len() >= STRAYS {
            let pods = &self.pods;
            self.verdicts.retain(|_, known| owner(known).is_some() || pods.values().any(|pod| is_about(known, &pod.pod)));
        }
        if self.verdicts.len() < STRAYS || self.verdicts.contains_key(&verdict.id) {
            self.verdicts.insert(verdict.id.clone(), verdict);
        }
    }

    fn has_verdict(&self, pod: &Pod) -> bool {
        self.verdicts.values().any(|verdict| verdict.resolved_at.is_none() && is_about(verdict, pod))
    }

    /// Pods whose status has to be asked for now; `first`: nothing has been told yet, and every pod is to have an answer.
    pub(super) fn due(&mut self, first: bool, now: u64) -> Vec<Pod> {
        if self.away {
            return Vec::new();
        }
        let told: HashSet<String> =
            self.pods.values().filter(|known| self.has_verdict(&known.pod)).map(|known| known.pod.api_uid.clone()).collect();
        let first = first && self.lists_missing.is_empty() && !self.verdicts_missing;
        let mut due = Vec::new();
        for known in self.pods.values_mut().filter(|known| !known.pod.is_well() && !told.contains(&known.pod.api_uid)) {
            let since = not_ready_since(&known.pod);
            let is_worth_a_line = now >= since + PATIENCE && known.asked < since + PATIENCE;
            let is_due = is_worth_a_line || now.saturating_sub(known.asked) >= AGAIN;
            if (first || now >= since + GRACE) && is_due {
                known.asked = now;
                due.push(known.pod.clone());
            }
        }
        due
    }
}
