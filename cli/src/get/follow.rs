//! A collector's changes, across its restarts, and what of them is news.
//!
//! ```text
//!   connect ─► snapshot ─► change ─► change … ─► stream ends: said once on stderr
//!      ▲                                              │
//!      └───────── again, after a growing pause ◄──────┘
//! ```
//!
//! The snapshot after an interruption holds what is known already; [`Fingerprints`] tells what is new, so that nothing is
//! printed twice.

use super::Format;
use anyhow::anyhow;
use backon::BackoffBuilder as _;
use std::{collections::HashMap, future::Future, pin::Pin, time::Duration};
use tonic::{Status, Streaming, transport::Channel};
use unready_kubernetes::kube::runtime::utils::Backoff;
use unready_proto::v1::{Filter, Verdict, WatchRequest, WatchResponse, verdicts_client::VerdictsClient, watch_response::Message};

/// A sentence that takes a look at the peer.
pub(super) type Explained = Pin<Box<dyn Future<Output = String> + Send>>;

/// What a feed brings.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// All that there is.
    Snapshot { verdicts: Vec<Verdict>, truncated: bool },
    /// A verdict, new or changed.
    Verdict(Box<Verdict>),
}

/// A watch that begins anew whenever it ends.
pub(super) struct Feed {
    client: VerdictsClient<Channel>,
    filter: Filter,
    limit: u32,
    explain: Box<dyn Fn(Status) -> Explained + Send + Sync>,
    stream: Option<Streaming<WatchResponse>>,
    /// Gathered until the mark comes.
    snapshot: Option<Vec<Verdict>>,
    pauses: backon::ExponentialBackoff,
    /// The interruption was told.
    told: bool,
}

/// The same for what kube watches: its own pauses grow to half a minute.
pub(super) struct Pauses(backon::ExponentialBackoff);

impl Pauses {
    pub(super) fn new() -> Self {
        Self(pauses())
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next()
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.0 = pauses();
    }
}

/// From a restart that nobody notices to an outage.
fn pauses() -> backon::ExponentialBackoff {
    backon::ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(5))
        .with_factor(1.7)
        .with_jitter()
        .without_max_times()
        .build()
}

impl Feed {
    /// Connects; an address where no collector is, is an error, other than an interruption later.
    pub(super) async fn begin(
        client: VerdictsClient<Channel>,
        filter: Filter,
        limit: u32,
        explain: impl Fn(Status) -> Explained + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let mut feed =
            Self { client, filter, limit, explain: Box::new(explain), stream: None, snapshot: None, pauses: pauses(), told: false };
        match feed.connect().await {
            Ok(()) => Ok(feed),
            Err(status) => Err(anyhow!((feed.explain)(status).await)),
        }
    }

    async fn connect(&mut self) -> Result<(), Status> {
        let request = WatchRequest { filter: Some(self.filter.clone()), limit: self.limit };
        self.stream = Some(self.client.watch(request).await?.into_inner());
        self.snapshot = Some(Vec::new());
        Ok(())
    }

    /// The next change. It may be dropped while it waits: nothing is lost.
    pub(super) async fn next(&mut self) -> Change {
        loop {
            let Some(stream) = &mut self.stream else {
                self.reconnect().await;
                continue;
            };
            match stream.message().await {
                Ok(Some(message)) => {
                    if let Some(change) = self.take(message) {
                        return change;
                    }
                }
                Ok(None) => self.interrupted(None).await,
                Err(status) => self.interrupted(Some(status)).await,
            }
        }
    }

    fn take(&mut self, response: WatchResponse) -> Option<Change> {
        match (response.message, &mut self.snapshot) {
            (Some(Message::Verdict(verdict)), Some(before)) => {
                before.push(verdict);
                None
            }
            (Some(Message::Verdict(verdict)), None) => Some(Change::Verdict(Box::new(verdict))),
            (Some(Message::SnapshotComplete(mark)), before) => {
                note_stall(&mark.stalled);
                if std::mem::take(&mut self.told) {
                    eprintln!("unready: the collector is back");
                }
                self.pauses = pauses();
                // What was resolved during an interruption must be heard of after it.
                self.filter.include_resolved = true;
                Some(Change::Snapshot { verdicts: before.take().unwrap_or_default(), truncated: mark.truncated })
            }
            // What a newer collector adds may be ignored.
            (None, _) => None,
        }
    }

    async fn interrupted(&mut self, status: Option<Status>) {
        self.stream = None;
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let reason = match status {
            Some(status) => (self.explain)(status).await,
            None => "it ended the stream".to_owned(),
        };
        eprintln!("unready: the collector is away, trying again: {reason}");
    }

    async fn reconnect(&mut self) {
        tokio::time::sleep(self.pauses.next().unwrap_or(Duration::from_secs(5))).await;
        if let Err(status) = self.connect().await {
            self.interrupted(Some(status)).await;
        }
    }
}

/// A collector that cannot write shows what it knew before.
pub(super) fn note_stall(reason: &str) {
    if !reason.is_empty() {
        eprintln!("unready: the collector takes nothing new at the moment, what follows may be old: {reason}");
    }
}

/// How much of a verdict is shown: what is not seen is no news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// Cause, subject and whether it is resolved: a row.
    Row,
    /// Layer, confidence and fix, too: a wide row.
    Wide,
    /// Everything but how often and when.
    Full,
}

impl From<Format> for Detail {
    fn from(format: Format) -> Self {
        match format {
            Format::Table | Format::Name => Self::Row,
            Format::Wide => Self::Wide,
            Format::Text | Format::Json | Format::Yaml => Self::Full,
        }
    }
}

/// What was said of each verdict last.
#[derive(Debug)]
pub(super) struct Fingerprints {
    detail: Detail,
    said: HashMap<String, u64>,
}

impl Fingerprints {
    pub(super) fn new(detail: Detail) -> Self {
        Self { detail, said: HashMap::new() }
    }

    /// Whether a verdict says something that was not said; then it counts as said. That it was seen once more is no news. What
    /// is resolved is news for those who knew of it, or asked for all.
    pub(super) fn is_news(&mut self, verdict: &Verdict, all: bool) -> bool {
        let print = fingerprint(verdict, self.detail);
        let known = self.said.get(&verdict.id);
        if known == Some(&print) || (known.is_none() && verdict.resolved_at.is_some() && !all) {
            return false;
        }
        self.said.insert(verdict.id.clone(), print);
        true
    }

    /// Forgets a verdict.
    pub(super) fn forget(&mut self, id: &str) {
        self.said.remove(id);
    }
}

/// Of what makes a difference to the reader: not how often and when.
fn fingerprint(verdict: &Verdict, detail: Detail) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    let Verdict { cause, layer, severity, confidence, subject, explanation, remedy, .. } = verdict;
    (cause, subject, verdict.resolved_at.is_some()).hash(&mut hasher);
    if detail != Detail::Row {
        (layer, severity, confidence, remedy.as_ref().map(|remedy| &remedy.text)).hash(&mut hasher);
    }
    if detail == Detail::Full {
        (explanation, remedy.as_ref().map(|remedy| (&remedy.also, remedy.patch.as_ref().map(|patch| &patch.body)))).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use unready_proto::time::timestamp;

    fn verdict() -> Verdict {
        Verdict { id: "a".into(), cause: "FileMissing".into(), count: 1, ..Verdict::default() }
    }

    #[test]
    fn nothing_is_said_twice() {
        let mut known = Fingerprints::new(Detail::Full);
        assert!(known.is_news(&verdict(), false));
        assert!(!known.is_news(&verdict(), false));
        let again = Verdict { count: 2, last_seen: Some(timestamp(9)), summary: "2 times".into(), ..verdict() };
        assert!(!known.is_news(&again, false), "once more is no news");
        let more = Verdict { explanation: vec!["because".into()], ..verdict() };
        assert!(known.is_news(&more, false));
        assert!(!known.is_news(&more, false));
        known.forget("a");
        assert!(known.is_news(&more, false));
    }

    #[test]
    fn what_a_row_does_not_show_is_no_news() {
        let surer = Verdict { confidence: "Certain".into(), explanation: vec!["because".into()], ..verdict() };
        for (detail, is_news) in [(Detail::Row, false), (Detail::Wide, true), (Detail::Full, true)] {
            let mut known = Fingerprints::new(detail);
            assert!(known.is_news(&verdict(), false));
            assert_eq!(known.is_news(&surer, false), is_news, "{detail:?}");
        }
    }

    #[test]
    fn the_end_is_news_for_those_who_knew_the_beginning() {
        let resolved = || Verdict { resolved_at: Some(timestamp(9)), ..verdict() };
        let mut known = Fingerprints::new(Detail::Row);
        assert!(!known.is_news(&resolved(), false));
        assert!(known.is_news(&verdict(), false));
        assert!(known.is_news(&resolved(), false));
        assert!(!known.is_news(&resolved(), false));
        assert!(Fingerprints::new(Detail::Row).is_news(&resolved(), true));
    }

    #[test]
    fn pauses_grow_to_some_seconds() {
        let all: Vec<Duration> = pauses().take(40).collect();
        assert!(all[0] < Duration::from_millis(300), "{:?}", all[0]);
        assert!(all[20..].iter().all(|pause| *pause >= Duration::from_secs(4) && *pause <= Duration::from_secs(11)), "{all:?}");
    }
}
