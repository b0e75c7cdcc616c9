//! Verdicts and start reports to the collector, over one gRPC stream.
//!
//! ```text
//!            connect, hello, welcome            offer: a batch goes out at once
//!   ┌─ wait ◄──────────────┐  ┌──────────────► session ◄──────── ack: in flight shrinks
//!   │ (backoff with jitter)│  │                  │
//!   └────────► connect ────┴──┘ what is in flight│is sent again first
//!                 ▲                              │
//!                 ├─────────── stream failed ◄───┤
//!                 └─ at once ◄─ stream was ended ┘
//! ```
//!
//! Nothing is forgotten before the collector acknowledges it, and it acknowledges after its commit. When the queue is
//! full the oldest verdict that waits is dropped and counted, and the collector is told the count. There is no timer: a
//! batch holds what happens to wait when the stream can take one. A collector that comes back may have moved without its
//! database: it is told again what is still so, which the verdicts' ids make harmless. One that is the same as before is not.
//!
//! A collector that asks who we are ends our stream now and then without an error, so that we show it again. That is no outage:
//! another stream is opened at once, and only when that fails is there something to tell.

pub use super::{
    config::Config,
    counts::Counts,
    outbox::{Left, Limits},
};
use super::{
    ended::{Ended, Next},
    outbox::Outbox,
    peer,
    report::Report,
    tls::Credentials,
    url::CollectorUrl,
};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Streaming,
    transport::{Channel, Endpoint},
};
use unready_proto::{
    PROTOCOL_VERSION,
    v1::{
        AgentMessage, CollectorMessage, Hello, StartReport, Verdict, VerdictBatch, Welcome, agent_message, collector_message,
        ingest_client::IngestClient,
    },
};
use unready_transport::outgoing;

/// How long connecting, and then the welcome, may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// A peer that vanished without a word is noticed after this time and `PATIENCE`.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Batches handed to the transport and not yet written.
const OUTGOING: usize = 4;

/// How delivery stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// What became of the verdicts that were offered.
    pub counts: Counts,
    /// Verdicts that wait.
    pub waiting: usize,
    /// Verdicts sent and not acknowledged.
    pub in_flight: usize,
    /// Start reports.
    pub starts: StartStats,
    /// The collector's welcome has come on the present connection, or the one before was ended to be replaced by it.
    pub connected: bool,
}

/// How the delivery of start reports stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartStats {
    /// What became of those that were offered.
    pub counts: Counts,
    /// Those that wait.
    pub waiting: usize,
    /// Those sent and not acknowledged.
    pub in_flight: usize,
}

impl Stats {
    /// Everything that was offered, and neither replaced nor dropped, is committed.
    pub const fn is_delivered(&self) -> bool {
        self.waiting == 0 && self.in_flight == 0 && self.starts.waiting == 0 && self.starts.in_flight == 0
    }
}

/// The handle of the delivering task.
#[derive(Debug)]
pub struct Delivery {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// A verdict waits.
    more: Notify,
    /// The last acknowledgement has come.
    emptied: Notify,
    /// Somebody waits for the end: do not sleep on.
    hurry: Notify,
}

#[derive(Debug)]
struct State {
    outbox: Outbox,
    connected: bool,
    /// The collector that welcomed us last: which run of which one.
    collector: Option<String>,
    /// Why the last connection failed or ended, until the next one is welcomed.
    trouble: Option<String>,
}

impl State {
    /// A collector takes our verdicts. Another one than before may know nothing of what that one acknowledged.
    fn welcomed(&mut self, by: Welcome) {
        (self.connected, self.trouble) = (true, None);
        self.outbox.starts_are_kept(by.keeps_starts);
        let is_same = !by.instance.is_empty() && self.collector.as_ref() == Some(&by.instance);
        if self.collector.replace(by.instance).is_some() && !is_same {
            self.outbox.tell_again();
        }
    }
}

impl State {
    fn tell_drops(&self, report: &mut Report) {
        report.dropped(self.outbox.counts().dropped, self.outbox.starts().counts().dropped);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the collector that there is now nothing may be left: to one that keeps no starts they are not sent.
    fn welcomed(&self, by: Welcome) {
        let mut state = self.state();
        state.welcomed(by);
        if state.outbox.is_empty() {
            self.emptied.notify_one();
        }
    }

    fn stats(&self) -> Stats {
        let state = self.state();
        Stats {
            counts: state.outbox.counts(),
            waiting: state.outbox.waiting_len(),
            in_flight: state.outbox.in_flight_len(),
            starts: StartStats {
                counts: state.outbox.starts().counts(),
                waiting: state.outbox.starts().len(),
                in_flight: state.outbox.starts_in_flight(),
            },
            connected: state.connected,
        }
    }
}

/// Starts to deliver; call inside a tokio runtime.
pub fn spawn(config: Config) -> Delivery {
    let state = Mutex::new(State { outbox: Outbox::new(config.limits), connected: false, collector: None, trouble: None });
    let shared = Arc::new(Shared { state, more: Notify::new(), emptied: Notify::new(), hurry: Notify::new() });
    let task = tokio::spawn(run(config, Arc::clone(&shared)));
    Delivery { shared, task }
}

impl Delivery {
    /// Takes a verdict; never blocks.
    pub fn offer(&self, verdict: Verdict) {
        self.shared.state().outbox.offer(verdict);
        self.shared.more.notify_one();
    }

    /// Takes a report of a start; never blocks.
    pub fn offer_start(&self, report: StartReport) {
        self.shared.state().outbox.offer_start(report);
        self.shared.more.notify_one();
    }

    /// The node's clock was set by so many nanoseconds: what is not delivered yet is dated by it as it runs now.
    pub fn clock_set(&self, by: i64) {
        self.shared.state().outbox.clock_set(by);
    }

    /// How it stands now.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// The same for whoever looks from outside, now and later.
    pub fn look(&self) -> impl Fn() -> Stats + Clone + Send + Sync + use<> {
        let shared = Arc::clone(&self.shared);
        move || shared.stats()
    }

    /// Why there is no connection, in a sentence; `None`: there is one, or the first one is being made.
    pub fn trouble(&self) -> Option<String> {
        self.shared.state().trouble.clone()
    }

    /// Waits, at most this long, until everything is acknowledged, and ends the task.
    pub async fn drain(self, deadline: Duration) -> Stats {
        self.wait(deadline).await;
        self.stats()
    }

    /// As [`Delivery::drain`]; what is not acknowledged by then is handed back.
    pub async fn finish(self, deadline: Duration) -> Left {
        self.wait(deadline).await;
        self.shared.state().outbox.take_all()
    }

    async fn wait(&self, deadline: Duration) {
        self.shared.hurry.notify_one();
        let _ = timeout(deadline, self.emptied()).await;
        self.task.abort();
    }

    async fn emptied(&self) {
        while !self.shared.state().outbox.is_empty() {
            self.shared.emptied.notified().await;
        }
    }
}

async fn run(config: Config, shared: Arc<Shared>) {
    let (shortest, longest) = config.retry;
    let backoff = || ExponentialBuilder::new().with_min_delay(shortest).with_max_delay(longest).without_max_times().with_jitter().build();
    let mut report = Report::new(config.url.clone());
    let mut waits = backoff();
    loop {
        let ended = session(&config, &shared, &mut report).await;
        if ended.next == Next::Renew {
            tracing::debug!("{}; opening another", ended.reason);
            continue;
        }
        let was_connected = std::mem::take(&mut shared.state().connected);
        if ended.next == Next::AtOnce {
            continue;
        }
        shared.state().trouble = Some(ended.reason.clone());
        report.trouble(&ended.reason);
        shared.state().tell_drops(&mut report);
        if was_connected {
            waits = backoff();
        }
        tokio::select! {
            () = tokio::time::sleep(waits.next().unwrap_or(longest)) => {}
            () = shared.hurry.notified() => {}
        }
    }
}

/// One connection, until it ends.
async fn session(config: &Config, shared: &Shared, report: &mut Report) -> Ended {
    let Config { url, security, .. } = config;
    let credentials = match security.credentials(url).await {
        Ok(credentials) => credentials,
        Err(reason) => return reason.into(),
    };
    let connection = match outgoing::connect(url.host(), url.port(), credentials.tls.clone(), PATIENCE).await {
        Ok(connection) => connection,
        Err(error) => return Ended::unconnected(config, &credentials, &error),
    };
    let trouble = connection.trouble();
    let channel = match endpoint(url).map(|endpoint| connection.channel(endpoint)) {
        Ok(connecting) => connecting.await,
        Err(error) => Err(error),
    };
    let channel = match channel {
        Ok(channel) => channel,
        Err(error) => return Ended::lost(config, &trouble, &tonic::Status::from_error(error.into())).await,
    };
    let (outgoing, messages) = mpsc::channel(OUTGOING);
    let opened = timeout(PATIENCE, open(channel, config, credentials, &outgoing, messages)).await;
    let (welcome, mut incoming) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(status)) => return Ended::lost(config, &trouble, &status).await,
        Err(_) => return peer::explain(url, "no welcome came within 5 s").await.into(),
    };
    if !welcome.keeps_starts {
        report.starts_are_held(&welcome.collector_version);
    }
    shared.welcomed(welcome);
    report.delivering();
    let begun = Instant::now();
    match exchange(shared, report, &outgoing, &mut incoming).await {
        Ok(()) => Ended::by_collector(config, begun.elapsed()),
        Err(status) => Ended::lost(config, &trouble, &status).await,
    }
}

fn endpoint(url: &CollectorUrl) -> Result<Endpoint, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(url.to_string())?;
    Ok(endpoint.http2_keep_alive_interval(KEEP_ALIVE).keep_alive_timeout(PATIENCE).keep_alive_while_idle(true))
}

/// Opens the stream, says hello and takes the welcome.
async fn open(
    channel: Channel,
    config: &Config,
    credentials: Credentials,
    outgoing: &mpsc::Sender<AgentMessage>,
    messages: mpsc::Receiver<AgentMessage>,
) -> Result<(Welcome, Streaming<CollectorMessage>), tonic::Status> {
    let hello =
        Hello { protocol_version: PROTOCOL_VERSION, node: config.node.clone(), agent_version: env!("CARGO_PKG_VERSION").to_owned() };
    let _ = outgoing.send(AgentMessage { message: Some(agent_message::Message::Hello(hello)) }).await;
    let mut request = Request::new(ReceiverStream::new(messages));
    if let Some(authorization) = credentials.authorization {
        request.metadata_mut().insert("authorization", authorization);
    }
    let mut incoming = IngestClient::new(channel).stream(request).await?.into_inner();
    match incoming.message().await?.and_then(|message| message.message) {
        Some(collector_message::Message::Welcome(welcome)) => Ok((welcome, incoming)),
        Some(collector_message::Message::Ack(_) | collector_message::Message::Stalled(_)) | None => {
            Err(tonic::Status::failed_precondition("it answered our hello with something else than a welcome"))
        }
    }
}

/// Batches up, acknowledgements down, until the stream ends.
async fn exchange(
    shared: &Shared,
    report: &mut Report,
    outgoing: &mpsc::Sender<AgentMessage>,
    incoming: &mut Streaming<CollectorMessage>,
) -> Result<(), tonic::Status> {
    let mut again = shared.state().outbox.unacknowledged().into_iter();
    loop {
        let can_send = again.len() > 0 || shared.state().outbox.can_send();
        tokio::select! {
            message = incoming.message() => match message? {
                Some(CollectorMessage { message }) => receive(shared, report, message),
                None => return Ok(()),
            },
            Ok(permit) = outgoing.reserve(), if can_send => {
                let batch = again.next().or_else(|| shared.state().outbox.next_batch());
                if let Some(batch) = batch {
                    permit.send(message(batch));
                }
            }
            () = shared.more.notified() => {}
        }
        shared.state().tell_drops(report);
    }
}

const fn message(batch: VerdictBatch) -> AgentMessage {
    AgentMessage { message: Some(agent_message::Message::Batch(batch)) }
}

fn receive(shared: &Shared, report: &mut Report, message: Option<collector_message::Message>) {
    match message {
        Some(collector_message::Message::Ack(ack)) => {
            report.delivering();
            let mut state = shared.state();
            state.outbox.acknowledge(ack.sequence);
            if state.outbox.is_empty() {
                shared.emptied.notify_one();
            }
        }
        Some(collector_message::Message::Stalled(stalled)) => report.stalled(&stalled.reason),
        // A second welcome changes nothing, and what a newer collector adds may be ignored.
        Some(collector_message::Message::Welcome(_)) | None => {}
    }
}
