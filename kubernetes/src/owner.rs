//! Who makes a pod again: the controller at the top of the chain, with the strategy by which it replaces its pods.
//!
//! `ReplicaSet` → Deployment, Job → `CronJob`, and whatever else is there by its name. Each link is one request, and is
//! remembered for some minutes. An API server that is slow or forbids it is not waited for: then the pod's own labels say
//! as much as they can (`convert::pod`), and the question is put again later.

use crate::{
    convert,
    request_error::{self, Kind},
};
use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet},
        batch::v1::Job,
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use unready_diagnosis::pod::Owner;

/// Owners that are remembered.
const REMEMBERED: usize = 1024;
/// For how long: a strategy may be changed, a `ReplicaSet` adopted.
const FRESH: Duration = Duration::from_mins(10);
/// What a guess is worth: after this time the server is asked again.
const GUESSED: Duration = Duration::from_secs(30);
/// How long a pod waits for its owner at most.
const PATIENCE: Duration = Duration::from_millis(700);

/// Resolves owners. Clones share what is remembered.
#[derive(Clone)]
pub struct Owners {
    client: Client,
    memory: Arc<Mutex<Memory>>,
}

#[derive(Default)]
struct Memory {
    /// By the uid of the pod's controller.
    owners: HashMap<String, (Owner, Instant)>,
    /// The server let us wait, or refused: it is not asked before.
    quiet_until: Option<Instant>,
    /// That it refuses has been said.
    is_forbidden: bool,
}

/// The lower end of a chain of owners: what a pod tells of it.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    namespace: String,
    controller: OwnerReference,
    /// The top, as far as the pod's own labels tell.
    guess: Owner,
}

impl Chain {
    /// Of a pod; `None`: nobody makes it again.
    pub(crate) fn of(pod: &ObjectMeta) -> Option<Self> {
        let controller = convert::controller(pod)?.clone();
        Some(Self { namespace: pod.namespace.clone().unwrap_or_default(), controller, guess: convert::owner(pod)? })
    }
}

/// A link of the chain.
enum Link {
    /// This is the top.
    Top { strategy: String },
    /// Somebody else stands above.
    Next(OwnerReference),
}

impl Owners {
    /// With nothing remembered.
    pub fn new(client: Client) -> Self {
        Self { client, memory: Arc::default() }
    }

    /// The owner of a pod; `None`: nobody makes it again.
    pub(crate) async fn of(&self, pod: &ObjectMeta) -> Option<Owner> {
        let chain = Chain::of(pod)?;
        Some(self.resolve(&chain).await)
    }

    /// The top of a chain.
    pub(crate) async fn resolve(&self, chain: &Chain) -> Owner {
        let uid = &chain.controller.uid;
        if let Some(owner) = self.remembered(uid) {
            return owner;
        }
        let (owner, is_known) = match self.ask(chain).await {
            Some(owner) => (owner, true),
            None => (chain.guess.clone(), false),
        };
        self.remember(uid.clone(), owner.clone(), is_known);
        owner
    }

    async fn ask(&self, Chain { namespace, controller, .. }: &Chain) -> Option<Owner> {
        let is_quiet = self.lock().quiet_until.is_some_and(|until| until > Instant::now());
        if is_quiet && !is_top(&controller.kind) {
            return None;
        }
        let answer = tokio::time::timeout(PATIENCE, self.climb(namespace, controller)).await;
        match answer {
            Ok(Ok(owner)) => return Some(owner),
            Ok(Err(error)) if request_error::kind(&error) == Kind::Forbidden && !std::mem::replace(&mut self.lock().is_forbidden, true) => {
                tracing::warn!(
                    "who makes a pod again is guessed from its labels, and patches do not know its strategy: {}; grant get on it",
                    request_error::clause(&error)
                );
            }
            Ok(Err(error)) => tracing::debug!("who owns {namespace}/{} is not known: {}", controller.name, request_error::clause(&error)),
            Err(_) => tracing::debug!("who owns {namespace}/{} was not answered in time", controller.name),
        }
        self.lock().quiet_until = Some(Instant::now() + GUESSED);
        None
    }

    /// From the pod's controller to the top. The chains that exist have two links; a loop of references ends here too.
    async fn climb(&self, namespace: &str, controller: &OwnerReference) -> kube::Result<Owner> {
        let mut at = controller.clone();
        for _ in 0..4 {
            match self.look(namespace, &at).await? {
                Link::Next(above) => at = above,
                Link::Top { strategy } => return Ok(Owner { api_version: at.api_version, kind: at.kind, name: at.name, strategy }),
            }
        }
        Ok(Owner { api_version: at.api_version, kind: at.kind, name: at.name, strategy: String::new() })
    }

    async fn look(&self, namespace: &str, at: &OwnerReference) -> kube::Result<Link> {
        match (at.api_version.as_str(), at.kind.as_str()) {
            ("apps/v1", "ReplicaSet") => self.metadata::<ReplicaSet>(namespace, &at.name).await,
            ("batch/v1", "Job") => self.metadata::<Job>(namespace, &at.name).await,
            ("apps/v1", "Deployment") => {
                self.top(namespace, &at.name, |it: Deployment| it.spec.and_then(|spec| spec.strategy).and_then(|strategy| strategy.type_))
                    .await
            }
            ("apps/v1", "StatefulSet") => {
                let strategy = |it: StatefulSet| it.spec.and_then(|spec| spec.update_strategy).and_then(|strategy| strategy.type_);
                self.top(namespace, &at.name, strategy).await
            }
            ("apps/v1", "DaemonSet") => {
                let strategy = |it: DaemonSet| it.spec.and_then(|spec| spec.update_strategy).and_then(|strategy| strategy.type_);
                self.top(namespace, &at.name, strategy).await
            }
            _ => Ok(Link::Top { strategy: String::new() }),
        }
    }

    /// Who stands above it.
    async fn metadata<K>(&self, namespace: &str, name: &str) -> kube::Result<Link>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let found = Api::<K>::namespaced(self.client.clone(), namespace).get_metadata_opt(name).await?;
        let above = found.as_ref().and_then(|object| convert::controller(&object.metadata)).cloned();
        Ok(above.map_or(Link::Top { strategy: String::new() }, Link::Next))
    }

    /// It is the top; how does it replace pods? One that is gone already has no strategy.
    async fn top<K>(&self, namespace: &str, name: &str, strategy: impl FnOnce(K) -> Option<String>) -> kube::Result<Link>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let api = Api::<K>::namespaced(self.client.clone(), namespace);
        match api.get_opt(name).await {
            Ok(found) => Ok(Link::Top { strategy: found.and_then(strategy).unwrap_or_default() }),
            // Its name is known by now; the strategy is not worth losing it.
            Err(error) if request_error::kind(&error) == Kind::Forbidden => Ok(Link::Top { strategy: String::new() }),
            Err(error) => Err(error),
        }
    }

    fn remembered(&self, uid: &str) -> Option<Owner> {
        let memory = self.lock();
        memory.owners.get(uid).filter(|(_, until)| *until > Instant::now()).map(|(owner, _)| owner.clone())
    }

    fn remember(&self, uid: String, owner: Owner, is_known: bool) {
        let mut memory = self.lock();
        let now = Instant::now();
        if memory.owners.len() >= REMEMBERED {
            memory.owners.retain(|_, (_, until)| *until > now);
        }
        if memory.owners.len() >= REMEMBERED {
            memory.owners.clear(); // more owners than pods fit on a node: asking again costs less than order
        }
        memory.owners.insert(uid, (owner, now + if is_known { FRESH } else { GUESSED }));
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Kinds that need no request.
fn is_top(kind: &str) -> bool {
    !matches!(kind, "ReplicaSet" | "Job" | "Deployment" | "StatefulSet" | "DaemonSet")
}
