//! One collector at a time watches the cluster: a Lease of `coordination.k8s.io`, as the controllers of Kubernetes hold theirs.
//!
//! ```text
//!   waiting ─ free, released, ours, or unchanged for its whole duration ─► held ─ renewed each RETRY
//!      ▲                                                                    │
//!      └── not renewed for DEADLINE (API server away), or taken by another ─┘
//! ```
//!
//! Whether another's lease has run out is judged by our own clock from the moment at which we last saw it change, never by the
//! times in it: clocks of nodes differ, and are set. A holder that cannot renew gives up before anybody else may begin. Every
//! write carries the resource version that was read, so that of two who try at once one wins.

use crate::request_error::{self, Kind};
use k8s_openapi::{
    api::coordination::v1::{Lease as Object, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{Api, Client, Error, api::PostParams};
use std::{future::Future, time::Duration};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// The times of client-go's leader election, as the controllers of Kubernetes use them.
const DURATION: Duration = Duration::from_secs(15);
const DEADLINE: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(2);
/// For one request.
const PATIENCE: Duration = Duration::from_secs(5);

/// What happens to a lease, for whoever counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is ours.
    Held,
    /// It is ours no more.
    Lost,
    /// A request about it failed.
    Failed,
}

/// A lease that we may hold.
#[derive(Clone)]
pub struct Lease {
    api: Api<Object>,
    /// For sentences.
    place: String,
    name: String,
    identity: String,
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").field("place", &self.place).field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Lease {
    /// The lease of this name, for the collector of this identity.
    pub fn new(client: Client, namespace: &str, name: &str, identity: &str) -> Self {
        let place = format!("{namespace}/{name}");
        Self { api: Api::namespaced(client, namespace), place, name: name.to_owned(), identity: identity.to_owned() }
    }

    /// Does `work` while the lease is held, again and again, until `shutdown` completes; then gives it back. `told` hears of
    /// each change.
    pub async fn lead<W: Future<Output = ()>>(
        &self,
        told: impl Fn(Change),
        mut work: impl FnMut() -> W,
        shutdown: impl Future<Output = ()>,
    ) {
        tokio::pin!(shutdown);
        loop {
            let asked = tokio::select! {
                asked = self.acquire(&told) => asked,
                () = &mut shutdown => return,
            };
            told(Change::Held);
            tracing::info!("this collector watches the cluster: it holds the lease {}", self.place);
            let ended = tokio::select! {
                () = work() => false,
                () = self.renew(&told, asked) => false,
                () = &mut shutdown => true,
            };
            told(Change::Lost);
            if ended {
                return self.release().await;
            }
        }
    }

    /// Until it is ours; says when that was asked for.
    async fn acquire(&self, told: &impl Fn(Change)) -> Instant {
        let mut seen = Seen::default();
        let mut trouble = String::new();
        loop {
            let asked = Instant::now();
            match timeout(PATIENCE, self.try_once(&mut seen)).await {
                Ok(Ok(true)) => return asked,
                Ok(Ok(false)) => trouble.clear(),
                Ok(Err(error)) => self.complain(told, &mut trouble, request_error::clause(&error)),
                Err(_) => self.complain(told, &mut trouble, "the API server does not answer".to_owned()),
            }
            sleep(RETRY).await;
        }
    }

    fn complain(&self, told: &impl Fn(Change), trouble: &mut String, reason: String) {
        told(Change::Failed);
        if *trouble != reason {
            tracing::warn!("the lease {} cannot be had, what has no node is not watched meanwhile: {reason}", self.place);
            *trouble = reason;
        }
    }

    /// Until it is ours no more. The deadline counts from before the request (`asked`: of the acquisition): others may have
    /// seen the write long before its answer was here.
    async fn renew(&self, told: &impl Fn(Change), asked: Instant) {
        let mut seen = Seen::default();
        let mut until = asked + DEADLINE;
        loop {
            sleep(RETRY).await;
            let asked = Instant::now();
            match timeout_at(until, self.try_once(&mut seen)).await {
                Ok(Ok(true)) => until = asked + DEADLINE,
                Ok(Ok(false)) => {
                    return tracing::warn!("another collector has the lease {}; this one stops to watch the cluster", self.place);
                }
                Ok(Err(error)) => {
                    told(Change::Failed);
                    tracing::debug!("the lease {} was not renewed: {}", self.place, request_error::clause(&error));
                }
                Err(_) => {
                    told(Change::Failed);
                    let seconds = DEADLINE.as_secs();
                    return tracing::warn!(
                        "the lease {} could not be renewed for {seconds} s; this collector stops to watch the cluster until it can",
                        self.place
                    );
                }
            }
            if Instant::now() >= until {
                return tracing::warn!(
                    "the lease {} could not be renewed in time; this collector stops to watch the cluster until it can",
                    self.place
                );
            }
        }
    }

    /// Takes or renews it, if that may be; says whether it is ours.
    async fn try_once(&self, seen: &mut Seen) -> Result<bool, Error> {
        let Some(mut object) = self.api.get_opt(&self.name).await? else {
            let mut object = Object { spec: Some(self.written(None)), ..Object::default() };
            object.metadata.name = Some(self.name.clone());
            return ours(self.api.create(&PostParams::default(), &object).await);
        };
        let spec = object.spec.clone().unwrap_or_default();
        if !seen.may_take(&spec, &self.identity, Instant::now()) {
            return Ok(false);
        }
        object.spec = Some(self.written(Some(&spec)));
        ours(self.api.replace(&self.name, &PostParams::default(), &object).await)
    }

    /// What it says when it is ours; `before` is what it said.
    fn written(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let kept = before.filter(|before| before.holder_identity.as_deref() == Some(&self.identity));
        let transitions = before.and_then(|before| before.lease_transitions).unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: kept.and_then(|kept| kept.acquire_time.clone()).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(if kept.is_some() || before.is_none() { transitions } else { transitions.saturating_add(1) }),
            ..before.cloned().unwrap_or_default()
        }
    }

    /// So that the next one need not wait for it to run out.
    async fn release(&self) {
        let released = timeout(PATIENCE, async {
            let Some(mut object) = self.api.get_opt(&self.name).await? else { return Ok(()) };
            let spec = object.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() != Some(&self.identity) {
                return Ok(());
            }
            // As client-go releases: nobody, for one second.
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            spec.renew_time = Some(MicroTime(Timestamp::now()));
            self.api.replace(&self.name, &PostParams::default(), &object).await.map(drop)
        });
        match released.await {
            Ok(Ok(())) => tracing::debug!("the lease {} is given back", self.place),
            Ok(Err(error)) => tracing::debug!("the lease {} runs out by itself: {}", self.place, request_error::clause(&error)),
            Err(_) => tracing::debug!("the lease {} runs out by itself: the API server does not answer", self.place),
        }
    }
}

/// Of two who write at once one is told of a conflict: it is not his.
fn ours(written: Result<Object, Error>) -> Result<bool, Error> {
    match written {
        Ok(_) => Ok(true),
        Err(error) if request_error::kind(&error) == Kind::AlreadyExists || matches!(&error, Error::Api(status) if status.code == 409) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// What was last seen of the lease, and when that was new.
#[derive(Debug, Default)]
struct Seen(Option<(Option<String>, Option<Timestamp>, Instant)>);

impl Seen {
    /// It is ours, nobody's, or has not changed for its whole duration.
    fn may_take(&mut self, spec: &LeaseSpec, identity: &str, now: Instant) -> bool {
        let holder = spec.holder_identity.clone().filter(|holder| !holder.is_empty());
        let renewed = spec.renew_time.as_ref().map(|at| at.0);
        let since = match &self.0 {
            Some((known, at, since)) if *known == holder && *at == renewed => *since,
            Some(_) | None => now,
        };
        self.0 = Some((holder.clone(), renewed, since));
        let duration = u64::try_from(spec.lease_duration_seconds.unwrap_or(0)).unwrap_or(0);
        holder.is_none_or(|holder| holder == identity) || now.duration_since(since) > Duration::from_secs(duration)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use kube::Config;

    fn held(holder: &str, renewed: i64) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            renew_time: Timestamp::from_second(renewed).ok().map(MicroTime),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn what_is_free_or_ours_may_be_taken() {
        let (mut seen, now) = (Seen::default(), Instant::now());
        assert!(seen.may_take(&LeaseSpec::default(), "a", now));
        assert!(seen.may_take(&held("", 1), "a", now), "released");
        assert!(seen.may_take(&held("a", 1), "a", now), "ours, from before a restart");
        assert!(!seen.may_take(&held("b", 1), "a", now));
    }

    #[test]
    fn anothers_may_be_taken_when_it_has_not_changed_for_its_duration() {
        let (mut seen, start) = (Seen::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        // Its own times lie years back, or ahead: they are not looked at.
        assert!(!seen.may_take(&held("b", 1), "a", at(0)));
        assert!(!seen.may_take(&held("b", 1), "a", at(14)));
        assert!(!seen.may_take(&held("b", 9_000_000_000), "a", at(16)), "it was renewed");
        assert!(!seen.may_take(&held("b", 9_000_000_000), "a", at(30)));
        assert!(!seen.may_take(&held("c", 9_000_000_000), "a", at(32)), "another took it");
        assert!(seen.may_take(&held("c", 9_000_000_000), "a", at(48)));
    }

    #[tokio::test]
    async fn the_deadline_counts_from_before_the_request() {
        // An API server that is connected to and never answers.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let lease = Lease::new(Client::try_from(Config::new(uri)).unwrap(), "unready", "collector", "a");
        let begun = Instant::now();
        let left = DEADLINE.checked_sub(RETRY).unwrap();
        let asked = begun.checked_sub(left).unwrap();
        timeout(left, lease.renew(&|_| {}, asked)).await.unwrap();
        assert!(begun.elapsed() >= RETRY, "not before one attempt");
    }
}
