//! The agents' streams: hello, welcome, then batches in and acknowledgements out.
//!
//! ```text
//!   token, certificate (where asked for) ─► known? ─ no ─► UNAUTHENTICATED or PERMISSION_DENIED
//!                            ▼ yes
//!   first message ─► hello of our version? ─ no ─► FAILED_PRECONDITION or INVALID_ARGUMENT
//!                            │ yes: welcome
//!                            ▼
//!        ┌─► take all batches that have arrived ─► append ─► ack of the last one ─┐
//!        │                                           │ store stalled: say so, once│
//!        ├───────────────────────────────────────────┴────────────────────────────┘
//!        └─ its time is over: OK, the agent opens another and shows again who it is
//! ```
//!
//! A stream whose time is over takes nothing more; what it took before is committed and acknowledged first. What the agent had
//! sent meanwhile was never taken, and comes on the next stream.
//!
//! One append is under way for each stream. What arrives meanwhile waits in the transport, whose flow control holds the
//! agent back; the next append takes all of it. So a burst costs few commits, and a lone verdict waits for nothing.

pub mod admission;
mod expiry;
pub mod identity;

use self::{
    admission::{Admission, Admitted},
    identity::{Agents, Identity},
};
use crate::{
    metrics::{Dropped, Metrics, Refusal},
    stop::stopped,
    store::{Batch, Health, Store},
};
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::{Duration, Instant},
};
use tokio::{
    sync::{mpsc, watch},
    time::{self, timeout, timeout_at},
};
use tokio_stream::{Stream as _, wrappers::ReceiverStream};
use tonic::{Code, Request, Response, Status, Streaming};
use unready_proto::{
    PROTOCOL_VERSION,
    v1::{Ack, AgentMessage, CollectorMessage, Hello, Stalled, VerdictBatch, Welcome, agent_message, collector_message, ingest_server},
};
use unready_transport::{complaints::Complaints, incoming::Peer};

/// For the hello of a new stream.
const PATIENCE: Duration = Duration::from_secs(5);
/// Messages to the agent that are not yet written.
const OUTGOING: usize = 16;
/// Verdicts and starts in one append.
const APPEND: usize = 1024;
/// Agents remembered that were sent to open another stream; when there are more, all are news again.
const RENEWING: usize = 8192;

#[derive(Debug)]
pub struct Ingest<S> {
    store: Arc<S>,
    admission: Admission,
    encrypted: bool,
    /// Tells this run from another one.
    instance: String,
    metrics: Arc<Metrics>,
    news: Complaints,
    renewing: Arc<Renewing>,
    stopping: watch::Receiver<bool>,
}

/// Nodes whose agents were sent to open another stream, and when: that they do so at once is no news.
#[derive(Debug, Default)]
struct Renewing(Mutex<HashMap<String, Instant>>);

impl Renewing {
    fn sent(&self, node: &str) {
        let mut nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if nodes.len() >= RENEWING {
            nodes.clear();
        }
        nodes.insert(node.to_owned(), Instant::now());
    }

    /// It is one of them, and back at once; after a while without it, it is news that it is back.
    fn is_back(&self, node: &str) -> bool {
        let sent = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(node);
        sent.is_some_and(|sent| sent.elapsed() < PATIENCE)
    }
}

impl<S> Ingest<S> {
    /// Into this store, from these agents, until `stopping` becomes true. On an `encrypted` port tokens must name their node.
    pub fn new(store: Arc<S>, admission: Admission, encrypted: bool, metrics: Arc<Metrics>, stopping: watch::Receiver<bool>) -> Self {
        let instance = format!("{:032x}", fastrand::u128(..));
        Self { store, admission, encrypted, instance, metrics, news: Complaints::default(), renewing: Arc::default(), stopping }
    }

    /// Takes the hello of somebody who may deliver.
    async fn admit(&self, request: Request<Streaming<AgentMessage>>) -> Result<(Hello, Admitted, Streaming<AgentMessage>), Status> {
        let peer = request.extensions().get::<Peer>();
        let admitted = self.admission.judge(request.metadata(), peer, self.encrypted).await?;
        let mut incoming = request.into_inner();
        let first = timeout(PATIENCE, incoming.message()).await.map_err(|_| Status::deadline_exceeded("no hello came within 5 s"))??;
        let hello = accept(first)?;
        admitted.identity.check_node(&hello.node)?;
        Ok((hello, admitted, incoming))
    }

    /// That this node's agent delivers is worth a line: it was refused before, or does not just go on where its last stream ended.
    fn is_news(&self, peer: Option<IpAddr>, node: &str) -> bool {
        let (was_refused, is_back) = (self.news.forget(peer), self.renewing.is_back(node));
        was_refused || !is_back
    }

    fn refused(&self, peer: Option<SocketAddr>, status: &Status) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "whatever else is wrong is wrong with the peer's protocol")]
        let reason = match status.code() {
            Code::Unauthenticated | Code::PermissionDenied => Refusal::Identity,
            Code::Unavailable => Refusal::Unchecked,
            _ => Refusal::Protocol,
        };
        self.metrics.refused(reason);
        if self.news.is_new(peer.map(|peer| peer.ip()), status.message()) {
            let peer = peer.map(|peer| peer.to_string()).unwrap_or_default();
            tracing::warn!(peer, "an agent's stream is refused: {}", status.message());
        }
    }
}

#[tonic::async_trait]
impl<S: Store> ingest_server::Ingest for Ingest<S> {
    type StreamStream = ReceiverStream<Result<CollectorMessage, Status>>;

    async fn stream(&self, request: Request<Streaming<AgentMessage>>) -> Result<Response<Self::StreamStream>, Status> {
        let peer = request.extensions().get::<Peer>().and_then(|peer| peer.address);
        let (hello, Admitted { identity, until }, incoming) = self.admit(request).await.inspect_err(|status| self.refused(peer, status))?;
        if self.is_news(peer.map(|peer| peer.ip()), &hello.node) {
            tracing::info!(node = hello.node, version = hello.agent_version, "an agent delivers");
        }
        let (outgoing, messages) = mpsc::channel(OUTGOING);
        let welcome = Welcome {
            protocol_version: PROTOCOL_VERSION,
            collector_version: env!("CARGO_PKG_VERSION").to_owned(),
            instance: self.instance.clone(),
            keeps_starts: true,
        };
        let session = Session {
            store: Arc::clone(&self.store),
            stopping: self.stopping.clone(),
            outgoing,
            metrics: Arc::clone(&self.metrics),
            renewing: Arc::clone(&self.renewing),
            node: hello.node,
            agents: self.admission.agents.clone(),
            identity,
            until,
        };
        self.metrics.stream_opened(&session.node);
        tokio::spawn(async move {
            session.send(collector_message::Message::Welcome(welcome)).await;
            session.run(incoming).await;
        });
        Ok(Response::new(ReceiverStream::new(messages)))
    }
}

fn accept(first: Option<AgentMessage>) -> Result<Hello, Status> {
    let Some(agent_message::Message::Hello(hello)) = first.and_then(|first| first.message) else {
        return Err(Status::invalid_argument("the first message must be a hello"));
    };
    if hello.protocol_version == PROTOCOL_VERSION {
        return Ok(hello);
    }
    Err(Status::failed_precondition(format!(
        "this collector speaks version {PROTOCOL_VERSION} of the protocol and the agent version {}; update the older of the two",
        hello.protocol_version
    )))
}

struct Session<S> {
    store: Arc<S>,
    stopping: watch::Receiver<bool>,
    outgoing: mpsc::Sender<Result<CollectorMessage, Status>>,
    metrics: Arc<Metrics>,
    renewing: Arc<Renewing>,
    node: String,
    agents: Agents,
    identity: Identity,
    /// From then on nothing is taken; `None`: for as long as the agent likes.
    until: Option<time::Instant>,
}

impl<S> Drop for Session<S> {
    fn drop(&mut self) {
        self.metrics.stream_closed(&self.node);
    }
}

/// How a session ends before the agent ends it.
enum End {
    Refused(Status),
    Gone,
    /// Its time is over.
    Over,
}

impl<S: Store> Session<S> {
    async fn run(mut self, mut incoming: Streaming<AgentMessage>) {
        loop {
            let stopping = self.stopping.clone();
            let ended = tokio::select! {
                stored = self.store_next(&mut incoming) => stored.err(),
                () = stopped(stopping) => Some(End::Refused(Status::unavailable("the collector is shutting down"))),
            };
            match ended {
                None => {}
                Some(End::Gone) => break,
                Some(End::Over) => {
                    self.agents.forget(&self.identity);
                    self.renewing.sent(&self.node);
                    return tracing::debug!(node = self.node, "an agent's stream is over, so that it shows again who it is");
                }
                Some(End::Refused(status)) => {
                    let _ = self.outgoing.send(Err(status)).await;
                    break;
                }
            }
        }
        tracing::info!(node = self.node, "an agent's stream ended");
    }

    /// Takes what has arrived, stores it and acknowledges it.
    async fn store_next(&mut self, incoming: &mut Streaming<AgentMessage>) -> Result<(), End> {
        let first = self.next(incoming).await?;
        let (mut last, mut taken) = (None, Batch::default());
        let mut next = Some(first);
        while let Some(message) = next {
            if let Some(batch) = self.check(message)? {
                last = Some(batch.sequence);
                taken.verdicts.extend(batch.verdicts);
                taken.starts.extend(batch.starts);
            }
            next = if taken.len() < APPEND && !self.is_over() { arrived(incoming).await } else { None };
        }
        let Some(sequence) = last else { return Ok(()) };
        self.append(taken).await?;
        self.send(collector_message::Message::Ack(Ack { sequence })).await;
        Ok(())
    }

    /// The next message, while there is time.
    async fn next(&self, incoming: &mut Streaming<AgentMessage>) -> Result<AgentMessage, End> {
        if self.is_over() {
            // An agent that always has something to say would never be found silent.
            return Err(End::Over);
        }
        let message = match self.until {
            Some(until) => timeout_at(until, incoming.message()).await.map_err(|_| End::Over)?,
            None => incoming.message().await,
        };
        message.map_err(|_| End::Gone)?.ok_or(End::Gone)
    }

    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| time::Instant::now() >= until)
    }

    /// A message that this version does not know is ignored.
    fn check(&mut self, message: AgentMessage) -> Result<Option<VerdictBatch>, End> {
        let batch = match message.message {
            Some(agent_message::Message::Batch(batch)) => batch,
            Some(agent_message::Message::Hello(_)) => {
                return Err(End::Refused(Status::invalid_argument("only the first message may be a hello")));
            }
            None => return Ok(None),
        };
        if batch.verdicts.iter().any(|verdict| verdict.id.is_empty()) {
            return Err(End::Refused(Status::invalid_argument("a verdict has no id")));
        }
        if batch.starts.iter().any(|start| start.id.is_empty()) {
            return Err(End::Refused(Status::invalid_argument("a start has no id")));
        }
        if let Err(status) = self.identity.check_batch(&batch) {
            self.metrics.refused(Refusal::Identity);
            tracing::warn!(node = self.node, "an agent's stream is ended: {}", status.message());
            return Err(End::Refused(status));
        }
        self.hear_of_drops(&batch);
        Ok(Some(batch))
    }

    /// What the agent gave up is worth a line when it is more than it said before.
    fn hear_of_drops(&self, batch: &VerdictBatch) {
        let total = Dropped { verdicts: batch.dropped, starts: batch.dropped_starts };
        let more = self.metrics.agent_dropped(&self.node, total);
        if more.verdicts > 0 {
            tracing::warn!(node = self.node, "the agent dropped {} verdicts since it started: its queue was full", total.verdicts);
        }
        if more.starts > 0 {
            tracing::warn!(node = self.node, "the agent dropped {} start reports since it started: its queue was full", total.starts);
        }
    }

    /// Waits for the commit, and tells the agent when the store stalls meanwhile.
    async fn append(&self, batch: Batch) -> Result<(), End> {
        let mut health = self.store.health();
        health.mark_changed();
        let starts = batch.starts.len();
        let labels: Vec<_> = batch.verdicts.iter().map(|verdict| self.metrics.labels(verdict)).collect();
        let begun = Instant::now();
        let append = self.store.append(batch);
        tokio::pin!(append);
        loop {
            tokio::select! {
                biased;
                stored = &mut append => {
                    let is_new = stored.map_err(|error| End::Refused(Status::unavailable(error.to_string())))?;
                    self.metrics.appended(begun.elapsed(), starts);
                    self.metrics.new_verdicts(labels.iter().zip(is_new).filter(|(_, new)| *new).map(|(labels, _)| labels));
                    return Ok(());
                }
                Ok(()) = health.changed() => {
                    let now = health.borrow_and_update().clone();
                    if let Health::Stalled(reason) = now {
                        self.send(collector_message::Message::Stalled(Stalled { reason })).await;
                    }
                }
            }
        }
    }

    /// An agent that went away is noticed when we read.
    async fn send(&self, message: collector_message::Message) {
        let _ = self.outgoing.send(Ok(CollectorMessage { message: Some(message) })).await;
    }
}

/// The next message if it is there already. An end or an error is found again by the next read.
async fn arrived(incoming: &mut Streaming<AgentMessage>) -> Option<AgentMessage> {
    std::future::poll_fn(|context| match Pin::new(&mut *incoming).poll_next(context) {
        Poll::Ready(Some(Ok(message))) => Poll::Ready(Some(message)),
        Poll::Ready(Some(Err(_)) | None) | Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn that_an_agent_goes_on_is_no_news_and_that_it_does_after_a_refusal_is() {
        let (_stop, stopping) = watch::channel(false);
        let ingest = Ingest::new(Arc::new(()), Admission::default(), true, Arc::default(), stopping);
        let peer = SocketAddr::from(([10, 0, 0, 1], 7));
        let delivers = || ingest.is_news(Some(peer.ip()), "node-1");
        assert!(delivers(), "for the first time");
        ingest.renewing.sent("node-1");
        assert!(!delivers(), "on its next stream");
        ingest.renewing.sent("node-1");
        ingest.refused(Some(peer), &Status::unauthenticated("the token has ended"));
        assert!(delivers(), "at once, but not without a complaint");
        ingest.renewing.sent("node-1");
        assert!(!delivers(), "all is well");
    }
}
