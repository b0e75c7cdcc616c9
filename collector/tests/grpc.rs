//! The collector in process, on loopback and a port of the system's choice, with the agent's own client and with bare ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, transport::Channel};
use unready_agent::deliver::{
    collector::{Config, Delivery, spawn},
    peer,
    url::CollectorUrl,
};
use unready_collector::{
    ServeError, serve,
    store::{Batch, Census, Health, Keep, Page, Selection, Starts, Store, StoreError, sqlite::Sqlite},
};
use unready_proto::{
    PROTOCOL_VERSION,
    time::timestamp,
    v1::{
        AgentMessage, CollectorMessage, Filter, Hello, ListRequest, Start, StartFilter, Verdict, VerdictBatch, WatchRequest, Workload,
        agent_message, collector_message::Message as Told, ingest_client::IngestClient, verdicts_client::VerdictsClient, watch_response,
    },
};

/// Nothing here takes a second; this is for machines under load.
const DEADLINE: Duration = Duration::from_secs(30);

struct Collector {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ServeError>>,
}

impl Collector {
    async fn start<S: Store>(address: &str, store: S) -> Self {
        let listener = eventually(async || TcpListener::bind(address).await.ok()).await;
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(listener, Arc::new(store), async {
            let _ = stopped.await;
        }));
        Self { address, stop, task }
    }

    async fn sqlite(address: &str, path: &Path) -> Self {
        Self::start(address, Sqlite::open(path, Keep::verdicts(1000)).unwrap()).await
    }

    fn url(&self) -> CollectorUrl {
        self.address.to_string().parse().unwrap()
    }

    fn delivery(&self) -> Delivery {
        spawn(Config { retry: (Duration::from_millis(5), Duration::from_millis(50)), ..Config::new(self.url(), "node-1") })
    }

    async fn channel(&self) -> Channel {
        tonic::transport::Endpoint::from_shared(self.url().to_string()).unwrap().connect().await.unwrap()
    }

    async fn list(&self, filter: Filter) -> Vec<Verdict> {
        let request = ListRequest { filter: Some(filter), limit: 0 };
        VerdictsClient::new(self.channel().await).list(request).await.unwrap().into_inner().verdicts
    }

    async fn ids(&self) -> Vec<String> {
        self.list(Filter::default()).await.into_iter().map(|verdict| verdict.id).collect()
    }

    async fn stop(self) -> Result<(), ServeError> {
        self.stop.send(()).unwrap();
        timeout(DEADLINE, self.task).await.expect("the collector ends").unwrap()
    }
}

/// Asks again until there is an answer.
async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(DEADLINE, asking).await.expect("in time")
}

fn verdict(id: &str) -> Verdict {
    Verdict {
        id: id.to_owned(),
        cause: "PermissionDenied".into(),
        workload: Some(Workload { namespace: "shop".into(), pod: format!("pod-{id}"), container: "app".into(), ..Workload::default() }),
        start: Some(Start { container_id: format!("container-{id}"), restart_count: 0 }),
        first_seen: Some(timestamp(1_000)),
        last_seen: Some(timestamp(2_000)),
        count: 1,
        ..Verdict::default()
    }
}

/// A bare agent: what it sends and what it is told.
struct Raw {
    outgoing: mpsc::Sender<AgentMessage>,
    incoming: Streaming<CollectorMessage>,
}

impl Raw {
    async fn open(collector: &Collector, first: agent_message::Message) -> Result<Self, Status> {
        let (outgoing, messages) = mpsc::channel(64);
        outgoing.send(AgentMessage { message: Some(first) }).await.unwrap();
        let incoming = IngestClient::new(collector.channel().await).stream(ReceiverStream::new(messages)).await?.into_inner();
        Ok(Self { outgoing, incoming })
    }

    async fn welcomed(collector: &Collector) -> Self {
        let mut raw = Self::open(collector, hello(PROTOCOL_VERSION)).await.unwrap();
        assert!(matches!(raw.told().await, Told::Welcome(_)));
        raw
    }

    async fn send(&self, sequence: u64, ids: &[&str]) {
        let verdicts = ids.iter().map(|id| verdict(id)).collect();
        let batch = VerdictBatch { sequence, verdicts, dropped: 0, ..VerdictBatch::default() };
        self.outgoing.send(AgentMessage { message: Some(agent_message::Message::Batch(batch)) }).await.unwrap();
    }

    async fn told(&mut self) -> Told {
        timeout(DEADLINE, self.incoming.message()).await.expect("in time").unwrap().unwrap().message.unwrap()
    }
}

fn hello(protocol_version: u32) -> agent_message::Message {
    agent_message::Message::Hello(Hello { protocol_version, node: "node-1".into(), agent_version: "test".into() })
}

#[tokio::test]
async fn what_is_delivered_is_listed() {
    let directory = tempfile::tempdir().unwrap();
    let collector = Collector::sqlite("127.0.0.1:0", &directory.path().join("db")).await;
    let delivery = collector.delivery();
    for id in ["a", "b", "c"] {
        delivery.offer(verdict(id));
    }
    let stats = delivery.drain(DEADLINE).await;
    assert!(stats.is_delivered(), "{stats:?}");
    assert_eq!(stats.counts.acknowledged, 3);
    assert_eq!(collector.ids().await, ["a", "b", "c"]);
    let by = |filter| collector.list(filter);
    assert_eq!(by(Filter { pod: "pod-b".into(), namespace: "shop".into(), ..Filter::default() }).await, [verdict("b")]);
    assert_eq!(by(Filter { container: "container-c".into(), ..Filter::default() }).await, [verdict("c")]);
    assert_eq!(by(Filter { container: "app".into(), ..Filter::default() }).await.len(), 3);
    assert_eq!(by(Filter { cause: "FileMissing".into(), ..Filter::default() }).await, []);
    collector.stop().await.unwrap();
}

#[tokio::test]
async fn resolved_verdicts_are_listed_when_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let collector = Collector::sqlite("127.0.0.1:0", &directory.path().join("db")).await;
    let delivery = collector.delivery();
    delivery.offer(Verdict { resolved_at: Some(timestamp(3_000)), ..verdict("a") });
    delivery.offer(Verdict { last_seen: Some(timestamp(9_000)), ..verdict("b") });
    delivery.offer(Verdict { last_seen: Some(timestamp(5_000)), ..verdict("c") });
    assert!(delivery.drain(DEADLINE).await.is_delivered());
    assert_eq!(collector.ids().await, ["b", "c"], "the last seen first");
    assert_eq!(collector.list(Filter { include_resolved: true, ..Filter::default() }).await.len(), 3);
    let request = ListRequest { filter: None, limit: 1 };
    let answer = VerdictsClient::new(collector.channel().await).list(request).await.unwrap().into_inner();
    assert!(answer.truncated && answer.verdicts.len() == 1, "{answer:?}");
}

/// A store that commits when it is told to.
struct Gate {
    open: watch::Sender<bool>,
    appending: AtomicUsize,
    stored: Mutex<Vec<Verdict>>,
    health: watch::Sender<Health>,
}

impl Default for Gate {
    fn default() -> Self {
        let (open, health) = (watch::Sender::new(false), watch::Sender::new(Health::Storing));
        Self { open, appending: AtomicUsize::new(0), stored: Mutex::default(), health }
    }
}

/// The collector owns a store; the test keeps a hand on it.
#[derive(Clone, Default)]
struct Gated(Arc<Gate>);

impl Store for Gated {
    async fn append(&self, batch: impl Into<Batch> + Send) -> Result<Vec<bool>, StoreError> {
        let Batch { verdicts, .. } = batch.into();
        self.0.appending.fetch_add(1, Ordering::SeqCst);
        self.0.open.subscribe().wait_for(|open| *open).await.map_err(|_| StoreError::Closed)?;
        let is_new = vec![true; verdicts.len()];
        self.0.stored.lock().unwrap().extend(verdicts);
        Ok(is_new)
    }

    async fn list(&self, _: Selection, _: usize) -> Result<Page, StoreError> {
        Ok(Page { verdicts: self.0.stored.lock().unwrap().clone(), ..Page::default() })
    }

    async fn starts(&self, _: StartFilter, _: usize) -> Result<Starts, StoreError> {
        Ok(Starts::default())
    }

    async fn census(&self) -> Result<Census, StoreError> {
        Ok(Census::default())
    }

    fn revision(&self) -> watch::Receiver<u64> {
        watch::Sender::new(0).subscribe()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.0.health.subscribe()
    }
}

#[tokio::test]
async fn no_acknowledgement_before_the_commit() {
    let gate = Gated::default();
    let collector = Collector::start("127.0.0.1:0", gate.clone()).await;
    let mut agent = Raw::welcomed(&collector).await;
    agent.send(7, &["a"]).await;
    eventually(async || (gate.0.appending.load(Ordering::SeqCst) == 1).then_some(())).await;
    assert!(timeout(Duration::from_millis(300), agent.incoming.message()).await.is_err(), "acknowledged before the commit");
    gate.0.open.send_replace(true);
    let Told::Ack(ack) = agent.told().await else { panic!("no ack") };
    assert_eq!(ack.sequence, 7);
    assert_eq!(gate.0.stored.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_arrives_during_a_commit_is_one_commit_and_one_acknowledgement() {
    let gate = Gated::default();
    let collector = Collector::start("127.0.0.1:0", gate.clone()).await;
    let mut agent = Raw::welcomed(&collector).await;
    agent.send(1, &["a"]).await;
    eventually(async || (gate.0.appending.load(Ordering::SeqCst) == 1).then_some(())).await;
    for sequence in 2..=40 {
        agent.send(sequence, &["b"]).await;
    }
    sleep(Duration::from_millis(200)).await; // so that they have arrived; if not, the count below is higher and still bounded
    gate.0.open.send_replace(true);
    let mut last = 0;
    while last < 40 {
        let Told::Ack(ack) = agent.told().await else { panic!("no ack") };
        assert!(ack.sequence > last);
        last = ack.sequence;
    }
    assert!(gate.0.appending.load(Ordering::SeqCst) < 20, "{:?} appends for 40 batches", gate.0.appending);
    assert_eq!(gate.0.stored.lock().unwrap().len(), 40);
}

#[tokio::test]
async fn an_agent_is_told_that_the_store_is_stalled_and_keeps_its_verdicts() {
    let gate = Gated::default();
    let collector = Collector::start("127.0.0.1:0", gate.clone()).await;
    let mut agent = Raw::welcomed(&collector).await;
    gate.0.health.send_replace(Health::Stalled("the disk is full; make room".into()));
    agent.send(1, &["a"]).await;
    let Told::Stalled(stalled) = agent.told().await else { panic!("not told") };
    assert_eq!(stalled.reason, "the disk is full; make room");
    gate.0.health.send_replace(Health::Storing);
    gate.0.open.send_replace(true);
    assert!(matches!(agent.told().await, Told::Ack(_)));
}

#[tokio::test]
async fn a_broken_store_ends_the_collector_with_its_reason() {
    let gate = Gated::default();
    let collector = Collector::start("127.0.0.1:0", gate.clone()).await;
    gate.0.health.send_replace(Health::Broken("the database is damaged".into()));
    let ended = timeout(DEADLINE, collector.task).await.expect("it ends").unwrap();
    assert_eq!(ended.unwrap_err().to_string(), "the database is damaged");
}

#[tokio::test]
async fn a_restart_of_the_collector_loses_nothing_and_doubles_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let first = Collector::sqlite("127.0.0.1:0", &path).await;
    let address = first.address.to_string();
    let delivery = first.delivery();
    for number in 0..50 {
        delivery.offer(verdict(&format!("before-{number:02}")));
    }
    eventually(async || delivery.stats().is_delivered().then_some(())).await;
    first.stop().await.unwrap();
    for number in 0..50 {
        delivery.offer(verdict(&format!("while-down-{number:02}")));
    }
    delivery.offer(Verdict { count: 9, ..verdict("before-00") });
    let second = Collector::sqlite(&address, &path).await;
    delivery.offer(verdict("after"));
    let stats = delivery.drain(DEADLINE).await;
    assert!(stats.is_delivered() && stats.counts.dropped == 0, "{stats:?}");
    let all = second.list(Filter::default()).await;
    assert_eq!(all.len(), 101);
    assert_eq!(all.iter().find(|verdict| verdict.id == "before-00").unwrap().count, 9);
}

#[tokio::test]
async fn what_was_sent_and_not_acknowledged_is_sent_again() {
    let gate = Gated::default();
    let first = Collector::start("127.0.0.1:0", gate.clone()).await;
    let address = first.address.to_string();
    let delivery = first.delivery();
    delivery.offer(verdict("a"));
    eventually(async || (delivery.stats().in_flight == 1 && gate.0.appending.load(Ordering::SeqCst) == 1).then_some(())).await;
    first.stop().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let second = Collector::sqlite(&address, &directory.path().join("db")).await;
    assert!(delivery.drain(DEADLINE).await.is_delivered());
    assert_eq!(second.ids().await, ["a"]);
}

#[tokio::test]
async fn batches_that_are_sent_twice_are_stored_once() {
    let directory = tempfile::tempdir().unwrap();
    let collector = Collector::sqlite("127.0.0.1:0", &directory.path().join("db")).await;
    let mut agent = Raw::welcomed(&collector).await;
    agent.send(1, &["a", "b"]).await;
    agent.told().await;
    let mut again = Raw::welcomed(&collector).await;
    again.send(1, &["a", "b"]).await;
    assert!(matches!(again.told().await, Told::Ack(ack) if ack.sequence == 1));
    assert_eq!(collector.ids().await, ["a", "b"]);
}

#[tokio::test]
async fn a_full_queue_drops_the_oldest_counts_it_and_tells() {
    let gate = Gated::default();
    gate.0.open.send_replace(true);
    let collector = Collector::start("127.0.0.1:0", gate.clone()).await;
    let mut config = Config::new(collector.url(), "node-1");
    config.limits.waiting = 10;
    let delivery = spawn(config);
    for number in 0..25 {
        delivery.offer(verdict(&number.to_string())); // before the task had a turn: this runtime has one thread
    }
    assert_eq!(delivery.stats().counts.dropped, 15);
    assert!(delivery.drain(DEADLINE).await.is_delivered());
    let stored: Vec<_> = gate.0.stored.lock().unwrap().iter().map(|verdict| verdict.id.clone()).collect();
    assert_eq!(stored, (15..25).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_watch_shows_what_there_is_then_what_changes() {
    let directory = tempfile::tempdir().unwrap();
    let collector = Collector::sqlite("127.0.0.1:0", &directory.path().join("db")).await;
    let delivery = collector.delivery();
    delivery.offer(verdict("a"));
    eventually(async || delivery.stats().is_delivered().then_some(())).await;
    let filter = Some(Filter { namespace: "shop".into(), ..Filter::default() });
    let mut changes = VerdictsClient::new(collector.channel().await).watch(WatchRequest { filter, limit: 0 }).await.unwrap().into_inner();
    let mut next = async || timeout(DEADLINE, changes.message()).await.expect("in time").unwrap().unwrap().message.unwrap();
    assert_eq!(next().await, watch_response::Message::Verdict(verdict("a")));
    assert!(matches!(next().await, watch_response::Message::SnapshotComplete(mark) if !mark.truncated));
    let elsewhere = Verdict { workload: None, ..verdict("elsewhere") };
    let resolved = Verdict { resolved_at: Some(timestamp(3_000)), ..verdict("a") };
    for change in [elsewhere, verdict("b"), verdict("b"), resolved.clone()] {
        delivery.offer(change);
        eventually(async || delivery.stats().is_delivered().then_some(())).await;
    }
    assert_eq!(next().await, watch_response::Message::Verdict(verdict("b")));
    assert_eq!(next().await, watch_response::Message::Verdict(resolved), "the second telling of b said nothing new");
}

#[tokio::test]
async fn a_watch_ends_when_the_collector_does() {
    let directory = tempfile::tempdir().unwrap();
    let collector = Collector::sqlite("127.0.0.1:0", &directory.path().join("db")).await;
    let mut changes = VerdictsClient::new(collector.channel().await).watch(WatchRequest::default()).await.unwrap().into_inner();
    assert!(changes.message().await.unwrap().is_some());
    collector.stop().await.unwrap();
    let status = timeout(DEADLINE, changes.message()).await.expect("in time").unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "the collector is shutting down"));
}

#[tokio::test]
async fn an_unknown_protocol_version_is_refused_clearly() {
    let collector = Collector::start("127.0.0.1:0", Gated::default()).await;
    let status = Raw::open(&collector, hello(99)).await.err().expect("is refused");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("the agent version 99; update the older of the two"), "{status}");
    let told = peer::explain_status(&collector.url(), &status).await;
    assert!(told.starts_with(&format!("the collector at {} refuses: ", collector.url())), "{told}");
}

#[tokio::test]
async fn nonsense_is_refused() {
    let collector = Collector::start("127.0.0.1:0", Gated::default()).await;
    let status = Raw::open(&collector, agent_message::Message::Batch(VerdictBatch::default())).await.err().expect("is refused");
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "the first message must be a hello"));
    let mut agent = Raw::welcomed(&collector).await;
    agent.send(1, &[""]).await;
    let status = timeout(DEADLINE, agent.incoming.message()).await.expect("in time").unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "a verdict has no id"));
}

/// A peer that answers each connection with these bytes and closes it.
async fn impostor(answer: &'static [u8]) -> CollectorUrl {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut peer, _)) = listener.accept().await {
            let _ = peer.read(&mut [0; 1024]).await;
            let _ = peer.write_all(answer).await;
        }
    });
    address.to_string().parse().unwrap()
}

/// What an agent's log would say of a collector at this address.
async fn complaint(url: &CollectorUrl) -> String {
    let connected = tonic::transport::Endpoint::from_shared(url.to_string()).unwrap().connect().await;
    let error = match connected {
        Err(error) => return peer::explain(url, &peer::innermost(&error)).await,
        Ok(channel) => VerdictsClient::new(channel).list(ListRequest::default()).await.unwrap_err(),
    };
    peer::explain_status(url, &error).await
}

#[tokio::test]
async fn a_peer_that_is_no_collector_is_named() {
    for (answer, expected) in [
        (&b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"[..], "speaks HTTP/1 and is no gRPC server"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "speaks TLS"),
        (b"-ERR unknown command\r\n", "is no gRPC server"),
        (b"", "closes the connection at an HTTP/2 greeting"),
    ] {
        let url = impostor(answer).await;
        let sentence = timeout(DEADLINE, complaint(&url)).await.expect("in time");
        assert!(sentence.contains(expected) && sentence.contains(&url.to_string()), "{answer:?}: {sentence}");
    }
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let sentence = complaint(&free.to_string().parse().unwrap()).await;
    assert!(sentence.contains(&format!("nothing listens at http://{free}; start `unready-collector`")), "{sentence}");
}

#[tokio::test]
async fn a_grpc_server_without_our_services_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: CollectorUrl = listener.local_addr().unwrap().to_string().parse().unwrap();
    let (_, health) = tonic_health::server::health_reporter();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(tonic::transport::Server::builder().add_service(health).serve_with_incoming(incoming));
    let sentence = complaint(&url).await;
    assert!(sentence.contains("is a gRPC server but no collector"), "{sentence}");
}

#[tokio::test]
async fn health_follows_the_store() {
    let gate = Gated::default();
    let collector = Collector::start("127.0.0.1:0", gate.clone()).await;
    let client = tonic_health::pb::health_client::HealthClient::new(collector.channel().await);
    let status = async |service: &str| {
        let request = tonic_health::pb::HealthCheckRequest { service: service.into() };
        client.clone().check(request).await.map(|answer| answer.into_inner().status().as_str_name()).ok()
    };
    eventually(async || (status("unready.v1.Ingest").await == Some("SERVING")).then_some(())).await;
    gate.0.health.send_replace(Health::Stalled("full".into()));
    eventually(async || (status("unready.v1.Ingest").await == Some("NOT_SERVING")).then_some(())).await;
    assert_eq!(status("unready.v1.Verdicts").await, Some("SERVING"), "what is stored can be read");
    gate.0.health.send_replace(Health::Storing);
    eventually(async || (status("unready.v1.Ingest").await == Some("SERVING")).then_some(())).await;
}

#[tokio::test]
async fn reflection_names_the_services() {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient, server_reflection_request::MessageRequest,
        server_reflection_response::MessageResponse,
    };
    let collector = Collector::start("127.0.0.1:0", Gated::default()).await;
    let ask = ServerReflectionRequest { host: String::new(), message_request: Some(MessageRequest::ListServices(String::new())) };
    let mut client = ServerReflectionClient::new(collector.channel().await);
    let mut answers = client.server_reflection_info(tokio_stream::once(ask)).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) = answers.message().await.unwrap().unwrap().message_response else {
        panic!("no list")
    };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    for name in ["unready.v1.Ingest", "unready.v1.Verdicts", "unready.v1.Starts", "grpc.health.v1.Health"] {
        assert!(names.iter().any(|known| known == name), "{name} is not in {names:?}");
    }
}

/// 500 failures at once: how long the last takes is printed, not judged, apart from a generous bound.
#[tokio::test]
async fn a_burst_is_delivered_quickly() {
    let directory = tempfile::tempdir().unwrap();
    let collector = Collector::sqlite("127.0.0.1:0", &directory.path().join("db")).await;
    let delivery = collector.delivery();
    delivery.offer(verdict("first"));
    eventually(async || delivery.stats().is_delivered().then_some(())).await;
    let begin = std::time::Instant::now();
    for number in 0..500 {
        delivery.offer(verdict(&number.to_string()));
        tokio::task::yield_now().await;
    }
    assert!(delivery.drain(DEADLINE).await.is_delivered());
    println!("500 verdicts were committed and acknowledged after {:?}", begin.elapsed());
    assert_eq!(collector.ids().await.len(), 501);
}

/// The compiler checks that a delivery may move between threads.
#[test]
fn a_delivery_is_send() {
    fn assert_send<T: Send + Sync + 'static>() {}
    assert_send::<Delivery>();
}
