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

use super::{
    Clock, due,
    feeds::{self, News},
    ledger::Ledger,
    shortfall::{self, Key, Shortfall},
};
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
use unready_diagnosis::{
    of_owner,
    platform,
    pod::{Owner, PodEvent},
};
use unready_kubernetes::{
    convert,
    events::CONTROLLER,
    k8s_openapi::api::{core::v1::ObjectReference, events::v1::Event},
    kube::{Api, Client, Error, api::ListParams},
    owner, trouble,
};
use unready_proto::{time::timestamp, v1::Verdict};

/// Owners in trouble that are looked at.
const TROUBLED: usize = 1000;
/// Between two looks at one that is short of pods.
const SOON: Duration = Duration::from_secs(3);
/// Longest time between two looks, when nothing is known to be wrong with it.
const SELDOM: Duration = Duration::from_secs(30);
/// Events that are older than this prove nothing any more: controllers try again after at most 17 minutes (1000 s,
/// `DefaultTypedControllerRateLimiter` of client-go).
const OLD: Duration = Duration::from_mins(20);
/// An event that is this fresh may be ahead of the condition that says the same.
const FRESH: Duration = Duration::from_secs(10);
/// Events of one owner that are read.
const EVENTS: u32 = 100;
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
    looks: JoinSet<(Key, Result<Look, String>)>,
    looked: Option<(Key, Result<Look, String>)>,
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
    regarding: ObjectReference,
}

/// What a look found; `None`: it is gone.
type Look = Option<(Shortfall, Owner, Vec<PodEvent>)>;

impl Owners {
    pub(super) fn new(client: Client, clock: Clock, metrics: Arc<Metrics>) -> Self {
        let (feeds, news) = feeds::start(&client, &metrics);
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
            let looked = timeout(PATIENCE, look(&key, &client, &tops)).await;
            let looked = looked.map_err(|_| "the API server does not answer".to_owned());
            let looked = looked.and_then(|looked| looked.map_err(|error| trouble::clause(&error)));
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

    async fn judge<S: Store>(&mut self, key: Key, look: Look, ledger: &mut Ledger<S>) -> Result<(), StoreError> {
        let now = self.clock.wall();
        let Some(trouble) = self.troubled.get_mut(&key) else { return Ok(()) };
        let found = look.filter(|(seen, ..)| seen.is_short());
        let is_short = found.is_some();
        let fresh = found.map(|(seen, top, events)| judged(&key, &seen, top, events, self.clock)).unwrap_or_default();
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

fn judged(key: &Key, seen: &Shortfall, top: Owner, events: Vec<PodEvent>, clock: Clock) -> Vec<Said> {
    let now = clock.wall();
    let regarding = seen.regarding(key, &top);
    let state = seen.state(key, top, weighed(seen, events, now));
    let findings = platform::owner(&state, now);
    let verdict = |finding| unready_wire::verdict(&of_owner(&state, finding, clock.anchor()), clock.anchor(), "");
    findings.iter().map(|finding| Said { verdict: verdict(finding), regarding: regarding.clone() }).collect()
}

/// The events that still prove something, and the condition. An owner that has conditions is believed by them; an event
/// counts only if it may be ahead of them.
fn weighed(seen: &Shortfall, events: Vec<PodEvent>, now: u64) -> Vec<PodEvent> {
    let age = if seen.has_conditions && seen.condition.is_none() { FRESH } else { OLD };
    let since = now.saturating_sub(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX));
    let mut all: Vec<_> = events.into_iter().filter(|event| event.last >= since && event.last > seen.made).map(as_failed_create).collect();
    // The event says the same with its count; the condition stays when events are forgotten.
    if let Some(condition) = seen.condition.clone().filter(|_| !all.iter().any(|event| event.reason == "FailedCreate")) {
        all.insert(0, condition);
    }
    all
}

/// A Deployment that may make no `ReplicaSet` fails to create as the others do.
fn as_failed_create(event: PodEvent) -> PodEvent {
    if event.reason == "ReplicaSetCreateError" { PodEvent { reason: "FailedCreate".to_owned(), ..event } } else { event }
}

async fn look(key: &Key, client: &Client, tops: &owner::Owners) -> Result<Look, Error> {
    let Some(seen) = shortfall::read(client, key).await? else { return Ok(None) };
    let top = tops.of(&seen.of_a_pod).await.unwrap_or_default();
    let events = if seen.is_short() { events(client, key, &seen.uid).await? } else { Vec::new() };
    Ok(Some((seen, top, events)))
}

/// Others' events about an owner, oldest first.
async fn events(client: &Client, key: &Key, uid: &str) -> Result<Vec<PodEvent>, Error> {
    let about = ListParams::default().fields(&format!("regarding.kind={},regarding.name={}", key.kind.name(), key.name)).limit(EVENTS);
    let list = Api::<Event>::namespaced(client.clone(), &key.namespace).list(&about).await?;
    let concerns = |event: &&Event| {
        let about = event.regarding.as_ref().and_then(|regarding| regarding.uid.as_deref());
        about == Some(uid) && event.reporting_controller.as_deref() != Some(CONTROLLER)
    };
    let mut events: Vec<_> = list.items.iter().filter(concerns).map(convert::event).collect();
    events.sort_by_key(|event| event.last);
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_000_000_000_000_000;

    fn event(reason: &str, seconds_ago: u64) -> PodEvent {
        PodEvent { reason: reason.to_owned(), message: reason.to_owned(), last: NOW - seconds_ago * 1_000_000_000, ..PodEvent::default() }
    }

    fn reasons(seen: &Shortfall, events: Vec<PodEvent>) -> Vec<String> {
        weighed(seen, events, NOW).into_iter().map(|event| event.reason).collect()
    }

    #[test]
    fn an_old_event_proves_nothing_where_conditions_tell() {
        let (set, failing) = (Shortfall::with_conditions(None), Shortfall::with_conditions(Some(event("ReplicaFailure", 3000))));
        assert_eq!(reasons(&set, vec![event("FailedCreate", 60)]), Vec::<String>::new(), "its condition is gone");
        assert_eq!(reasons(&set, vec![event("FailedCreate", 2)]), ["FailedCreate"], "its condition may be on the way");
        assert_eq!(reasons(&failing, vec![event("FailedCreate", 60)]), ["FailedCreate"]);
        assert_eq!(reasons(&failing, vec![]), ["ReplicaFailure"], "events are forgotten after an hour, the condition stays");
    }

    #[test]
    fn without_conditions_recent_events_are_believed() {
        let mut plain = Shortfall::with_conditions(None);
        (plain.made, plain.has_conditions) = (NOW - 100_000_000_000, false);
        assert_eq!(reasons(&plain, vec![event("FailedCreate", 200), event("ReplicaSetCreateError", 60)]), ["FailedCreate"]);
        plain.made = 0;
        assert_eq!(reasons(&plain, vec![event("FailedCreate", 3000)]), Vec::<String>::new());
    }

    #[test]
    fn counts_are_told_when_they_double() {
        let say = |summary: &str, count| Verdict { summary: summary.to_owned(), count, ..Verdict::default() };
        assert!(!is_news(&say("a", 4), &say("a", 7)));
        assert!(is_news(&say("a", 4), &say("a", 8)));
        assert!(is_news(&say("a", 4), &say("b", 4)));
    }
}
