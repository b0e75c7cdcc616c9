//! Where owners in trouble are heard of: events of their controllers, and a list of all of them now and then.

use super::{Key, Kind, count};
use crate::request_error;
use futures_util::StreamExt as _;
use k8s_openapi::api::events::v1::Event;
use kube::{
    Api, Client,
    api::ListParams,
    runtime::{WatchStreamExt as _, watcher},
};
use std::{collections::BTreeSet, pin::pin, time::Duration};
use tokio::{sync::mpsc, task::JoinSet, time::sleep};

/// News that wait; more hold the watches up.
const NEWS: usize = 64;
/// Between two lists of all owners.
const LIST: Duration = Duration::from_mins(10);
/// Longest wait after a failed list.
const RETRY: Duration = Duration::from_secs(30);
/// Events of one reason that are read by who asks once.
const HEARD: u32 = 1000;
/// Reasons of events by which controllers say that they may not make something.
const REASONS: [&str; 2] = ["FailedCreate", "ReplicaSetCreateError"];

/// What is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Something about this one.
    Of(Key),
    /// All have been listed once.
    Listed,
    /// Events could not be followed for a moment.
    EventsFailed,
    /// Owners could not be listed.
    ListFailed,
}

/// Starts to listen, until the set is dropped.
pub fn start(client: &Client) -> (JoinSet<()>, mpsc::Receiver<News>) {
    let (sender, news) = mpsc::channel(NEWS);
    let mut feeds = JoinSet::new();
    for reason in REASONS {
        feeds.spawn(follow(client.clone(), reason, sender.clone()));
    }
    feeds.spawn(list(client.clone(), sender));
    (feeds, news)
}

/// The objects of all events of a reason, for ever.
async fn follow(client: Client, reason: &'static str, news: mpsc::Sender<News>) {
    let config = watcher::Config::default().fields(&format!("reason={reason}")).page_size(100);
    let mut stream = pin!(watcher(Api::<Event>::all(client), config).default_backoff());
    let mut trouble = String::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(watcher::Event::Apply(event) | watcher::Event::InitApply(event)) => {
                if let Some(key) = Key::of(&event)
                    && news.send(News::Of(key)).await.is_err()
                {
                    return;
                }
            }
            Ok(watcher::Event::InitDone) => trouble.clear(),
            Ok(watcher::Event::Init | watcher::Event::Delete(_)) => {}
            Err(error) => {
                if news.send(News::EventsFailed).await.is_err() {
                    return;
                }
                let now = request_error::of_watch(&error);
                if trouble != now {
                    tracing::warn!("events {reason} cannot be followed, owners that may make no pods are found late: {now}");
                    trouble = now;
                }
            }
        }
    }
}

/// Those of which events tell now, in this namespace or in all: for who asks once and does not stay.
pub async fn heard(client: &Client, namespace: Option<&str>) -> kube::Result<Vec<Key>> {
    let api: Api<Event> = crate::scoped(client, namespace);
    let mut keys = BTreeSet::new();
    for reason in REASONS {
        let list = api.list(&ListParams::default().fields(&format!("reason={reason}")).limit(HEARD)).await?;
        keys.extend(list.items.iter().filter_map(Key::of));
    }
    Ok(keys.into_iter().collect())
}

/// All owners that are short of pods, at the start and now and then: an event may have been forgotten (after an hour).
async fn list(client: Client, news: mpsc::Sender<News>) {
    loop {
        for kind in Kind::ALL {
            let mut wait = Duration::from_secs(1);
            let keys = loop {
                match count::list(&client, kind).await {
                    Ok(keys) => break keys,
                    Err(error) => {
                        if news.send(News::ListFailed).await.is_err() {
                            return;
                        }
                        tracing::debug!("objects of kind {} cannot be listed: {}", kind.name(), request_error::clause(&error));
                        if request_error::kind(&error) == request_error::Kind::Forbidden {
                            tracing::warn!(
                                "owners of kind {} that make no pods stay unseen: {}",
                                kind.name(),
                                request_error::clause(&error)
                            );
                            break Vec::new();
                        }
                    }
                }
                sleep(wait).await;
                wait = (wait * 2).min(RETRY);
            };
            for key in keys {
                if news.send(News::Of(key)).await.is_err() {
                    return;
                }
            }
        }
        if news.send(News::Listed).await.is_err() {
            return;
        }
        sleep(LIST).await;
    }
}
