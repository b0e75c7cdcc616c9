//! Owners that may make no pods: found by their controllers' events, looked at until they have what they want.
//!
//! ```text
//!   events FailedCreate, ReplicaSetCreateError ─┐
//!   list of all owners, at the start and then   ├─► key ─► look: object, its events, its top ─► platform::owner
//!   now and then (paged)                        ┘              ▲                                   │
//!                                                              └── again soon while it is short ◄──┴─► verdicts
//! ```
//!
//! Nothing of all the owners of a cluster is kept but the few that are short of pods, at most [`TROUBLED`].

use super::{Clock, due, ledger::Ledger};
use crate::{
    metrics::{Metrics, WatchKind},
    store::{Store, StoreError},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, timeout},
};
use unready_kubernetes::{
    Client,
    events::Regarding,
    owner, request_error,
    shortfall::{
        self, FRESH, Key, Look,
        feed::{self, News},
    },
};
use unready_proto::{time::timestamp, v1::Verdict};

/// Owners in trouble that are looked at.
const TROUBLED: usize = 1000;
/// Between two looks at one that is short of pods.
const SOON: Duration = Duration::from_secs(3);
/// Longest time between two looks, when nothing is known to be wrong with it.
const SELDOM: Duration = Duration::from_secs(30);
/// Looks under way.
const LOOKS: usize = 8;
/// For one look.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Owners {
    client: Client,
    clock: Clock,
    tops: owner::Owners,
    metrics: Arc<Metrics>,
    news: mpsc::Receiver<News>,
    troubled: BTreeMap<Key, Trouble>,
    looks: JoinSet<(Key, Looked)>,
    looked: Option<(Key, Looked)>,
    was_listed: bool,
    _feeds: JoinSet<()>,
}

struct Trouble {
    due: Instant,
    is_looked_at: bool,
    wait: Duration,
    said: Vec<Said>,
}

struct Said {
    verdict: Verdict,
    regarding: Regarding,
}

/// What a look found; `None`: it is gone.
type Looked = Result<Option<Look>, String>;

impl Owners {
    pub(super) fn new(client: Client, clock: Clock, metrics: Arc<Metrics>) -> Self {
        let (feeds, news) = feed::start(&client);
        let tops = owner::Owners::new(client.clone());
        Self {
            client,
            clock,
            tops,
            metrics,
            news,
            troubled: BTreeMap::new(),
            looks: JoinSet::new(),
            looked: None,
            was_listed: false,
            _feeds: feeds,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.troubled.len()
    }

    pub(super) const fn is_listed(&self) -> bool {
        self.was_listed
    }

    /// Waits for news, for a look, or for the time of the next one. May be dropped at any moment: looks go on.
    pub(super) async fn next(&mut self) {
        let may_look = self.looks.len() < LOOKS;
        let waiting = self.troubled.iter().filter(|(_, trouble)| may_look && !trouble.is_looked_at);
        let next = waiting.min_by_key(|(_, trouble)| trouble.due).map(|(key, trouble)| (key.clone(), trouble.due));
        let time = next.as_ref().map(|(_, due)| *due);
        tokio::select! {
            Some(news) = self.news.recv() => match news {
                News::Of(key) => self.note(key),
                News::Listed => self.was_listed = true,
                News::EventsFailed => self.metrics.watch_error(WatchKind::Events),
                News::ListFailed => self.metrics.watch_error(WatchKind::Owners),
            },
            Some(Ok(looked)) = self.looks.join_next() => self.looked = Some(looked),
            () = due(time) => if let Some((key, _)) = next {
                self.start_look(key);
            },
        }
    }

    fn start_look(&mut self, key: Key) {
        let Some(trouble) = self.troubled.get_mut(&key) else { return };
        trouble.is_looked_at = true;
        let (client, tops) = (self.client.clone(), self.tops.clone());
        self.looks.spawn(async move {
            let looked = timeout(PATIENCE, shortfall::look(&client, &key, &tops)).await;
            let looked = looked.map_err(|_| "the API server does not answer".to_owned());
            let looked = looked.and_then(|looked| looked.map_err(|error| request_error::clause(&error)));
            (key, looked)
        });
    }

    fn note(&mut self, key: Key) {
        let now = Instant::now();
        if let Some(trouble) = self.troubled.get_mut(&key) {
            trouble.due = trouble.due.min(now + FRESH.min(SOON));
        } else if self.troubled.len() < TROUBLED {
            self.troubled.insert(key, Trouble { due: now, is_looked_at: false, wait: SOON, said: Vec::new() });
        } else {
            tracing::debug!("{key} is short of pods, and so are {TROUBLED} others that are looked at first");
        }
    }

    /// What the last look means.
    pub(super) async fn tell<S: Store>(&mut self, ledger: &mut Ledger<S>) -> Result<(), StoreError> {
        let Some((key, looked)) = self.looked.take() else { return Ok(()) };
        if let Some(trouble) = self.troubled.get_mut(&key) {
            trouble.is_looked_at = false;
        }
        match looked {
            Ok(look) => self.judge(key, look, ledger).await,
            Err(reason) => {
                self.metrics.watch_error(WatchKind::Owners);
                tracing::debug!("{key} cannot be looked at: {reason}");
                if let Some(trouble) = self.troubled.get_mut(&key) {
                    trouble.put_off();
                }
                Ok(())
            }
        }
    }

    async fn judge<S: Store>(&mut self, key: Key, look: Option<Look>, ledger: &mut Ledger<S>) -> Result<(), StoreError> {
        let now = self.clock.wall();
        let Some(trouble) = self.troubled.get_mut(&key) else { return Ok(()) };
        let found = look.filter(Look::is_short);
        let is_short = found.is_some();
        let fresh = found.map(|look| judged(&look, self.clock)).unwrap_or_default();
        let over: Vec<_> = trouble.said.extract_if(.., |said| !fresh.iter().any(|fresh| fresh.verdict.id == said.verdict.id)).collect();
        for mut said in over {
            said.verdict.resolved_at = Some(timestamp(now));
            ledger.say(said.verdict, Some(said.regarding)).await?;
        }
        for said in &fresh {
            if trouble.said.iter().find(|old| old.verdict.id == said.verdict.id).is_none_or(|old| is_news(&old.verdict, &said.verdict)) {
                ledger.say(said.verdict.clone(), Some(said.regarding.clone())).await?;
            }
        }
        let is_quiet = fresh.is_empty();
        trouble.said = fresh;
        if is_quiet {
            trouble.put_off();
        } else {
            trouble.soon();
        }
        // One that is short and of which nothing is known: its next event, or the next list, brings it back.
        if !is_short || (is_quiet && trouble.wait >= SELDOM) {
            self.troubled.remove(&key);
        }
        Ok(())
    }
}

impl Trouble {
    fn soon(&mut self) {
        self.wait = SOON;
        self.due = Instant::now() + SOON;
    }

    fn put_off(&mut self) {
        self.due = Instant::now() + self.wait;
        self.wait = (self.wait * 2).min(SELDOM);
    }
}

/// Times and counts alone are told with the next real news, or when the count has doubled.
fn is_news(old: &Verdict, new: &Verdict) -> bool {
    let words = |verdict: &Verdict| {
        (verdict.summary.clone(), verdict.explanation.clone(), verdict.remedy.clone(), verdict.confidence.clone(), verdict.layer.clone())
    };
    words(old) != words(new) || new.count >= old.count.saturating_mul(2)
}

fn judged(look: &Look, clock: Clock) -> Vec<Said> {
    let verdicts = look.verdicts(clock.wall(), clock.anchor());
    let said = |verdict| Said { verdict: unready_wire::verdict(verdict, clock.anchor(), ""), regarding: look.regarding() };
    verdicts.iter().map(said).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_told_when_they_double() {
        let say = |summary: &str, count| Verdict { summary: summary.to_owned(), count, ..Verdict::default() };
        assert!(!is_news(&say("a", 4), &say("a", 7)));
        assert!(is_news(&say("a", 4), &say("a", 8)));
        assert!(is_news(&say("a", 4), &say("b", 4)));
    }
}
