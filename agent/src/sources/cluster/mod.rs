//! The agent in a cluster: this node's pods go into the engine, its questions to the API server, verdicts onto the pods as
//! Events.
//!
//! ```text
//!   watch ─ PodChange ─► Input::Pods ─┐            ┌─ Event::AskCluster ─► ask ─ Input::ClusterAnswer ─┐
//!                                     ├─► pipeline ┤                                                   │
//!                                     │            └─ Event::Verdict ─► sinks ─► Publisher             │
//!                                     └────────────────────────────────────────────────────────────────┘
//! ```
//!
//! All of it happens on a thread of its own, at ordinary priority: reading the JSON of many pods takes milliseconds, in which a
//! process that has just failed would be gone before the pipeline could look at it. Nothing here is waited for: the agent works
//! on while the API server is away, and what is known of the pods is then as old as the log says.

mod flags;

pub use flags::{KubernetesArgs, Switch};

use crate::{pipeline::Handle, sinks::events::Events};
use anyhow::Context as _;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc as channel,
    },
    thread,
};
use tokio::{
    runtime::{self, Runtime},
    sync::{Semaphore, oneshot},
    task::AbortHandle,
};
use unready_diagnosis::{
    Input,
    cluster::{ClusterAnswer, ClusterQuestion, PodChange},
    question::QuestionId,
};
use unready_kubernetes::{
    Client, ask,
    client::{self, Access},
    events::Publisher,
    watch,
};

/// Questions that are asked of the API server at once; further ones wait.
const AT_ONCE: usize = 8;

/// The way to the cluster. When it is dropped, its thread ends and so does everything that goes on there.
pub struct Cluster {
    client: Client,
    thread: runtime::Handle,
    places: Arc<Semaphore>,
    publisher: Option<Arc<Publisher>>,
    tasks: Vec<AbortHandle>,
    /// That a question had no answer has been said.
    unanswered: Arc<AtomicBool>,
    _stop: oneshot::Sender<()>,
}

impl Cluster {
    /// Finds the cluster; nothing is asked of it yet. With a name, Events are published under it.
    pub async fn connect(access: Access, publish_as: Option<&str>) -> anyhow::Result<Self> {
        let (thread, stop) = start_thread()?;
        let client = thread.spawn(async move { client::connect(&access).await }).await.context("the thread for Kubernetes ended")??;
        let publisher = publish_as.map(|node| {
            let _inside = thread.enter();
            Arc::new(Publisher::spawn(client.clone(), node))
        });
        Ok(Self {
            client,
            thread,
            places: Arc::new(Semaphore::new(AT_ONCE)),
            publisher,
            tasks: Vec::new(),
            unanswered: Arc::default(),
            _stop: stop,
        })
    }

    /// The client, for others who have a question.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Follows the pods of this node from now on, into the engine; `look` sees each change first.
    pub fn follow(&mut self, node: &str, handle: Handle, look: impl Fn(&PodChange) + Send + 'static) {
        let _inside = self.thread.enter();
        let mut changes = watch::node_pods(self.client.clone(), node);
        let node = node.to_owned();
        let task = self.thread.spawn(async move {
            let mut is_first = true;
            while let Some(change) = changes.recv().await {
                if let PodChange::Reset(pods) = &change
                    && std::mem::take(&mut is_first)
                {
                    begin(&node, pods.len());
                }
                look(&change);
                handle.input(Input::Pods(change)).await;
            }
        });
        self.tasks.push(task.abort_handle());
    }

    /// Finds the answer to a question, and gives it to the engine.
    pub fn answer(&mut self, handle: Handle, id: QuestionId, question: ClusterQuestion) {
        let (client, places, unanswered) = (self.client.clone(), Arc::clone(&self.places), Arc::clone(&self.unanswered));
        let task = self.thread.spawn(async move {
            let answer = match places.acquire().await {
                Ok(_place) => ask::answer(&client, question).await,
                Err(closed) => ClusterAnswer::Unknown { reason: closed.to_string() },
            };
            if let ClusterAnswer::Unknown { reason } = &answer
                && !unanswered.swap(true, Ordering::Relaxed)
            {
                tracing::warn!("verdicts may say less than they could, a question about the cluster has no answer: {reason}");
            }
            handle.input(Input::ClusterAnswer { id, answer }).await;
        });
        self.tasks.retain(|task| !task.is_finished());
        self.tasks.push(task.abort_handle());
    }

    /// Where verdicts become Events on their pods, if they are wanted. The cluster must outlive it.
    pub fn events(&self) -> Option<Events> {
        self.publisher.clone().map(Events::new)
    }

    /// Nothing goes into the engine any more: what holds it is let go of.
    pub fn let_go(&mut self) {
        self.tasks.drain(..).for_each(|task| task.abort());
    }
}

fn begin(node: &str, pods: usize) {
    if pods == 0 {
        tracing::info!("there are no pods on node {node:?}; if there should be, give the node's name with --node");
    } else {
        tracing::info!("following {pods} pods of node {node}");
    }
}

/// A thread with a runtime of its own, until the sender goes.
fn start_thread() -> anyhow::Result<(runtime::Handle, oneshot::Sender<()>)> {
    let (stop, stopped) = oneshot::channel::<()>();
    let (tell, told) = channel::channel();
    let run = move || {
        let runtime: std::io::Result<Runtime> = runtime::Builder::new_current_thread().enable_all().build();
        let _ = tell.send(runtime.as_ref().map(|runtime| runtime.handle().clone()).map_err(std::io::Error::kind));
        if let Ok(runtime) = runtime {
            let _ = runtime.block_on(stopped);
        }
    };
    thread::Builder::new().name("kubernetes".to_owned()).spawn(run).context("start a thread for Kubernetes")?;
    let handle = told.recv().context("the thread for Kubernetes ended")?;
    let handle = handle.map_err(|kind| anyhow::anyhow!("the thread for Kubernetes has no runtime: {kind}"))?;
    Ok((handle, stop))
}
