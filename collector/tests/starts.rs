//! Start reports: from an agent's stream into the database and out of a query, beside verdicts, for as long as they are kept.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::{path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming, transport::Channel};
use unready_collector::{Ports, ingest::admission::Admission};
use unready_collector::{
    metrics::Metrics,
    serve_on,
    store::{Batch, Keep, Store as _, sqlite::Sqlite},
};
use unready_diagnosis::{
    record::ExitStatus,
    story::report::{self, Attempt, Milestone, Stage, Step, Wait},
    units::{BootNanos, CgroupId, ClockAnchor},
    verdict,
};
use unready_proto::{
    PROTOCOL_VERSION,
    time::timestamp,
    v1::{
        AgentMessage, CollectorMessage, Hello, ListRequest, ListStartsRequest, ListStartsResponse, StartFilter, StartReport, Verdict,
        VerdictBatch, agent_message, collector_message::Message as Told, ingest_client::IngestClient, starts_client::StartsClient,
        verdicts_client::VerdictsClient,
    },
};

/// Nothing here takes a second; this is for machines under load.
const DEADLINE: Duration = Duration::from_secs(30);
const SECOND: u64 = 1_000_000_000;
const ANCHOR: ClockAnchor = ClockAnchor { boot: BootNanos(0), wall: 1_795_000_000 * SECOND };

/// A start of a container of the pod `orders`, `millis` long, as the engine tells it.
fn domain(id: &str, container: &str, millis: u64) -> report::StartReport {
    let at = |millis: u64| BootNanos(SECOND + millis * 1_000_000);
    let milestone = |millis, step| Milestone { at: at(millis), step };
    report::StartReport {
        id: id.to_owned(),
        workload: verdict::Workload {
            namespace: "shop".into(),
            pod: "orders".into(),
            container: container.into(),
            container_id: format!("container-{id}"),
            ..verdict::Workload::default()
        },
        cgroup: CgroupId(7),
        stage: Stage::Ended,
        note: String::new(),
        began: at(0),
        told: at(millis),
        milestones: vec![
            milestone(0, Step::Created),
            milestone(113, Step::Executed { path: "/app/server".into(), pid: 41 }),
            milestone(310, Step::Listening { address: "::".into(), port: 8080 }),
            milestone(millis, Step::Ended { status: ExitStatus::Code(1) }),
        ],
        attempts: vec![Attempt {
            first: at(120),
            last: at(300),
            count: 4,
            target: "readiness".into(),
            passed: false,
            outcome: "connection refused".into(),
        }],
        waits: vec![Wait { from: at(115), until: Some(at(290)), target: "/run/key".into(), text: "open = ENOENT".into() }],
        dropped: 0,
        completeness: verdict::Completeness::default(),
    }
}

fn report(id: &str, container: &str, millis: u64) -> StartReport {
    unready_wire::start(&domain(id, container, millis), ANCHOR, "node-1")
}

fn ids(starts: &[StartReport]) -> Vec<&str> {
    starts.iter().map(|start| start.id.as_str()).collect()
}

struct Collector {
    channel: Channel,
    metrics: Arc<Metrics>,
    _stop: oneshot::Sender<()>,
}

impl Collector {
    async fn start(path: &Path, keep: Keep) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let metrics = Arc::<Metrics>::default();
        let store = Arc::new(Sqlite::open(path, keep).unwrap());
        tokio::spawn(serve_on(Ports::one(listener), store, Admission::default(), Arc::clone(&metrics), async {
            let _ = stopped.await;
        }));
        let channel = tonic::transport::Endpoint::from_shared(url).unwrap().connect().await.unwrap();
        Self { channel, metrics, _stop: stop }
    }

    async fn list(&self, filter: StartFilter, limit: u32) -> ListStartsResponse {
        let request = ListStartsRequest { filter: Some(filter), limit };
        StartsClient::new(self.channel.clone()).list(request).await.unwrap().into_inner()
    }

    async fn agent(&self) -> Agent {
        let (outgoing, messages) = mpsc::channel(64);
        let hello = Hello { protocol_version: PROTOCOL_VERSION, node: "node-1".into(), agent_version: "test".into() };
        outgoing.send(AgentMessage { message: Some(agent_message::Message::Hello(hello)) }).await.unwrap();
        let incoming = IngestClient::new(self.channel.clone()).stream(ReceiverStream::new(messages)).await.unwrap().into_inner();
        let mut agent = Agent { outgoing, incoming };
        assert!(matches!(agent.told().await, Told::Welcome(welcome) if welcome.keeps_starts));
        agent
    }
}

/// A bare agent.
struct Agent {
    outgoing: mpsc::Sender<AgentMessage>,
    incoming: Streaming<CollectorMessage>,
}

impl Agent {
    async fn send(&self, batch: VerdictBatch) {
        self.outgoing.send(AgentMessage { message: Some(agent_message::Message::Batch(batch)) }).await.unwrap();
    }

    async fn told(&mut self) -> Told {
        timeout(DEADLINE, self.incoming.message()).await.expect("in time").unwrap().unwrap().message.unwrap()
    }

    async fn deliver(&mut self, batch: VerdictBatch) {
        let sequence = batch.sequence;
        self.send(batch).await;
        let Told::Ack(ack) = self.told().await else { panic!("no ack") };
        assert_eq!(ack.sequence, sequence);
    }
}

fn place() -> (TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    (directory, path)
}

#[tokio::test]
async fn what_an_engine_tells_of_a_start_comes_out_of_a_query() {
    let (_directory, path) = place();
    let collector = Collector::start(&path, Keep::default()).await;
    let mut agent = collector.agent().await;
    let starts = vec![report("a", "app", 1_299), report("b", "sidecar", 2_000)];
    let verdicts = vec![Verdict { id: "v".into(), ..Verdict::default() }];
    agent.deliver(VerdictBatch { sequence: 1, verdicts, starts, ..VerdictBatch::default() }).await;
    let by = |filter| collector.list(filter, 0);
    let all = by(StartFilter::default()).await;
    assert_eq!((ids(&all.starts), all.truncated, all.stalled.as_str()), (vec!["b", "a"], false, ""), "the last told first");
    let one = by(StartFilter { namespace: "shop".into(), pod: "orders".into(), container: "container-a".into(), ..StartFilter::default() });
    assert_eq!(one.await.starts, [report("a", "app", 1_299)], "to the nanosecond");
    assert_eq!(ids(&by(StartFilter { container: "sidecar".into(), ..StartFilter::default() }).await.starts), ["b"]);
    assert_eq!(ids(&by(StartFilter { node: "node-1".into(), ..StartFilter::default() }).await.starts).len(), 2);
    for elsewhere in [
        StartFilter { node: "node-2".into(), ..StartFilter::default() },
        StartFilter { namespace: "bank".into(), ..StartFilter::default() },
        StartFilter { pod: "order".into(), ..StartFilter::default() },
    ] {
        assert_eq!(by(elsewhere).await.starts, []);
    }
    let cut = collector.list(StartFilter::default(), 1).await;
    assert!(cut.truncated && cut.starts.len() == 1, "{cut:?}");
    let verdicts = VerdictsClient::new(collector.channel.clone()).list(ListRequest::default()).await.unwrap().into_inner().verdicts;
    assert_eq!(verdicts.len(), 1, "one acknowledgement stands for both");
}

#[tokio::test]
async fn the_last_account_of_a_start_counts() {
    let (_directory, path) = place();
    let collector = Collector::start(&path, Keep::default()).await;
    let mut agent = collector.agent().await;
    let early = StartReport { stage: "Starting".into(), milestones: Vec::new(), ..report("a", "", 200) };
    agent.deliver(VerdictBatch { sequence: 1, starts: vec![early], ..VerdictBatch::default() }).await;
    agent.deliver(VerdictBatch { sequence: 2, starts: vec![report("a", "app", 900)], ..VerdictBatch::default() }).await;
    assert_eq!(
        collector.list(StartFilter { container: "app".into(), ..StartFilter::default() }, 0).await.starts,
        [report("a", "app", 900)]
    );
    assert_eq!(collector.list(StartFilter::default(), 0).await.starts.len(), 1);
    let metrics = collector.metrics.encode();
    assert!(metrics.contains("unready_collector_start_reports_total 2"), "{metrics}");
}

#[tokio::test]
async fn a_start_without_id_is_refused() {
    let (_directory, path) = place();
    let collector = Collector::start(&path, Keep::default()).await;
    let mut agent = collector.agent().await;
    agent.send(VerdictBatch { sequence: 1, starts: vec![StartReport::default()], ..VerdictBatch::default() }).await;
    let status = timeout(DEADLINE, agent.incoming.message()).await.expect("in time").unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "a start has no id"));
}

#[tokio::test]
async fn what_agents_gave_up_is_counted_by_kind() {
    let (_directory, path) = place();
    let collector = Collector::start(&path, Keep::default()).await;
    let mut agent = collector.agent().await;
    agent.deliver(VerdictBatch { sequence: 1, dropped_starts: 3, ..VerdictBatch::default() }).await;
    agent.deliver(VerdictBatch { sequence: 2, dropped_starts: 5, dropped: 1, ..VerdictBatch::default() }).await;
    let metrics = collector.metrics.encode();
    assert!(metrics.contains("unready_collector_agent_dropped_starts_total 5"), "{metrics}");
    assert!(metrics.contains("unready_collector_agent_dropped_verdicts_total 1"), "{metrics}");
}

fn starts(reports: impl IntoIterator<Item = StartReport>) -> Batch {
    Batch { starts: reports.into_iter().collect(), ..Batch::default() }
}

async fn kept(store: &Sqlite) -> Vec<String> {
    let mut ids: Vec<_> = store.starts(StartFilter::default(), 1000).await.unwrap().reports.into_iter().map(|start| start.id).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn only_so_many_starts_are_kept_and_verdicts_are_not_theirs_to_take() {
    let (_directory, path) = place();
    let keep = Keep { verdicts: 2, starts: 3, ..Keep::default() };
    let store = Sqlite::open(&path, keep).unwrap();
    let verdicts = vec![Verdict { id: "v".into(), ..Verdict::default() }];
    store.append(Batch { verdicts, ..starts([report("a", "app", 900)]) }).await.unwrap();
    for id in ["b", "c", "d"] {
        // What a node's clock says of the time does not decide what goes.
        store.append(starts([StartReport { told: Some(timestamp(5)), ..report(id, "app", 1) }])).await.unwrap();
    }
    assert_eq!(kept(&store).await, ["b", "c", "d"], "nothing was heard of a for longest");
    store.append(starts([report("b", "app", 1), report("e", "app", 1)])).await.unwrap();
    assert_eq!(kept(&store).await, ["b", "d", "e"], "a word of it keeps it");
    let census = store.census().await.unwrap();
    assert_eq!((census.verdicts, census.starts), (1, 3));
    drop(store);
    let again = Sqlite::open(&path, Keep { starts: 1, ..keep }).unwrap();
    again.append(starts([report("f", "app", 1)])).await.unwrap();
    assert_eq!(kept(&again).await, ["f"], "a lower limit is kept at the next commit");
}

#[tokio::test]
async fn what_is_too_old_is_not_shown_and_goes_with_the_next_commit() {
    let (_directory, path) = place();
    let store = Sqlite::open(&path, Keep { starts_for: Duration::from_millis(300), ..Keep::default() }).unwrap();
    store.append(starts([report("a", "app", 1), report("b", "app", 1)])).await.unwrap();
    let until = tokio::time::Instant::now() + DEADLINE;
    while !kept(&store).await.is_empty() {
        assert!(tokio::time::Instant::now() < until, "they are shown for ever");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(store.census().await.unwrap().starts, 2, "not shown any more, and not removed yet");
    store.append(Batch::default()).await.unwrap();
    assert_eq!(store.census().await.unwrap().starts, 0);
}

#[tokio::test]
async fn a_database_of_the_version_before_is_brought_up_to_date() {
    let (_directory, path) = place();
    let verdict = || vec![Verdict { id: "v".into(), ..Verdict::default() }];
    Sqlite::open(&path, Keep::default()).unwrap().append(verdict()).await.unwrap();
    let database = rusqlite::Connection::open(&path).unwrap();
    database.execute_batch("DROP TABLE starts; PRAGMA user_version = 2;").unwrap();
    drop(database);
    let store = Sqlite::open(&path, Keep::default()).unwrap();
    store.append(starts([report("a", "app", 1)])).await.unwrap();
    let census = store.census().await.unwrap();
    assert_eq!((census.verdicts, census.starts), (1, 1));
}

#[tokio::test]
async fn an_answer_stays_below_what_clients_take() {
    let (_directory, path) = place();
    let collector = Collector::start(&path, Keep::default()).await;
    let mut agent = collector.agent().await;
    for sequence in 1..=20 {
        let large = StartReport { note: "x".repeat(1 << 20), ..report(&sequence.to_string(), "app", sequence) };
        agent.deliver(VerdictBatch { sequence, starts: vec![large], ..VerdictBatch::default() }).await;
    }
    let request = ListStartsRequest::default();
    let answer = StartsClient::new(collector.channel.clone()).max_decoding_message_size(20 << 20).list(request).await.unwrap().into_inner();
    assert!(answer.truncated && answer.starts.len() == 15, "{} of 20", answer.starts.len());
}
