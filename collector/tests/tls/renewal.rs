//! No stream lasts for ever: agents show again who they are, and nothing is lost or told twice over it.

use super::support::{Authority, Clerk, Collector, DEADLINE, Volume, complaint, delivered, eventually, trusting, verdict, written};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use rcgen::date_time_ymd;
use std::{
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Status, Streaming,
    transport::{Channel, Endpoint},
};
use unready_agent::deliver::tls::SecurityArgs;
use unready_collector::ingest::{admission::Admission, identity::Agents};
use unready_proto::{
    PROTOCOL_VERSION,
    v1::{
        AgentMessage, CollectorMessage, Hello, VerdictBatch, agent_message, collector_message::Message as Told, ingest_client::IngestClient,
    },
};
use unready_transport::{
    outgoing,
    tls::{Identity, Trust, client_config},
};

/// As good as for ever.
const LONG: Duration = Duration::from_hours(24);

/// A collector that asks for tokens, and an agent's directory with one.
struct Tokens {
    clerk: Clerk,
    collector: Collector,
    args: SecurityArgs,
    place: TempDir,
    _volume: Volume,
}

impl Tokens {
    async fn with_age(age: Duration) -> Self {
        let (place, authority, clerk) = (tempfile::tempdir().unwrap(), Authority::new("ours"), Clerk::default());
        let (certificate, key) = authority.sign("127.0.0.1", |_| {});
        let volume = Volume::new(&[("tls.crt", &certificate), ("tls.key", &key)]);
        let admission = Admission { age, ..clerk.agents().into() };
        let collector = Collector::start(Some(volume.server()), admission).await;
        let token = Some(place.path().join("token"));
        let args = SecurityArgs { collector_token: token, ..trusting(&written(&place, "ca", &authority.pem())) };
        Self { clerk, collector, args, place, _volume: volume }
    }

    /// The agent has this token from now on.
    fn give(&self, token: &str) {
        written(&self.place, "token", token);
    }

    fn knows(&self, token: &str) {
        self.clerk.knows(token, "unready:agent", Some("node-1"), "unready-collector");
    }
}

/// A token that ends then.
fn ending(at: SystemTime, who: &str) -> String {
    let seconds = at.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = format!(r#"{{"sub":"{who}","exp":{seconds}}}"#);
    format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims))
}

#[tokio::test]
async fn a_stream_ended_by_age_while_verdicts_flow_loses_and_doubles_nothing() {
    let tokens = Tokens::with_age(Duration::from_millis(600)).await;
    tokens.knows("good");
    tokens.give("good");
    let delivery = tokens.collector.delivery(&tokens.args);
    eventually("it delivers", async || delivery.stats().connected.then_some(())).await;
    let mut offered = Vec::new();
    let flowing = async {
        while tokens.clerk.asked() < 6 {
            let id = format!("{:05}", offered.len());
            delivery.offer(verdict(&id));
            offered.push(id);
            assert!(delivery.stats().connected, "that is no outage");
            assert_eq!(delivery.trouble(), None);
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(DEADLINE, flowing).await.expect("each stream asks anew");
    let stats = delivery.drain(DEADLINE).await;
    assert!(stats.is_delivered() && stats.counts.dropped == 0 && stats.counts.replaced == 0, "{stats:?}");
    assert_eq!(stats.counts.acknowledged, offered.len() as u64);
    assert_eq!(tokens.collector.store.told(), offered, "each once, in order");
    let metrics = tokens.collector.metrics.encode();
    assert!(!metrics.contains("streams_refused_total{"), "{metrics}");
    tokens.collector.stop().await;
}

#[tokio::test]
async fn a_token_that_is_no_longer_good_is_refused_at_the_next_opening() {
    let tokens = Tokens::with_age(Duration::from_millis(400)).await;
    tokens.knows("good");
    tokens.give("good");
    let delivery = tokens.collector.delivery(&tokens.args);
    delivery.offer(verdict("before"));
    eventually("it is delivered", async || delivery.stats().is_delivered().then_some(())).await;

    tokens.clerk.forgets("good");
    let told = complaint(&delivery).await;
    assert!(told.contains("refuses: the API server does not accept the token for the audience unready-collector"), "{told}");
    delivery.offer(verdict("meanwhile"));
    let stays = timeout(Duration::from_millis(500), async {
        while delivery.stats().waiting == 1 {
            sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(stays.await.is_err(), "the agent keeps it");
    assert_eq!(tokens.collector.store.told(), ["before"]);

    tokens.knows("renewed");
    tokens.give("renewed");
    assert!(delivery.drain(DEADLINE).await.is_delivered());
    assert_eq!(tokens.collector.store.told(), ["before", "meanwhile"]);
    tokens.collector.stop().await;
}

#[tokio::test]
async fn no_stream_outlives_its_token() {
    let tokens = Tokens::with_age(LONG).await;
    let end = SystemTime::now() + Duration::from_secs(3);
    let (first, second) = (ending(end, "first"), ending(end + LONG, "second"));
    tokens.knows(&first);
    tokens.knows(&second);
    tokens.give(&first);
    let delivery = tokens.collector.delivery(&tokens.args);
    delivery.offer(verdict("a"));
    eventually("it is delivered", async || delivery.stats().is_delivered().then_some(())).await;
    tokens.give(&second);
    eventually("it shows the second", async || (tokens.clerk.asked() == 2).then_some(())).await;
    // Seconds of Unix time have no fraction: it ended up to one second before `end`.
    let early = end.duration_since(SystemTime::now()).unwrap_or_default();
    assert!(early <= Duration::from_secs(1), "{early:?} before its end");
    delivery.offer(verdict("b"));
    assert_eq!(delivery.trouble(), None);
    assert!(delivery.drain(DEADLINE).await.is_delivered());
    assert_eq!(tokens.collector.store.told(), ["a", "b"]);
    tokens.collector.stop().await;
}

#[tokio::test]
async fn clocks_that_disagree_over_a_tokens_end_cut_no_stream_at_once() {
    let tokens = Tokens::with_age(LONG).await;
    let ended = ending(SystemTime::now() - LONG, "by another clock");
    tokens.knows(&ended);
    tokens.give(&ended);
    let delivery = tokens.collector.delivery(&tokens.args);
    for id in ["a", "b"] {
        delivery.offer(verdict(id));
        eventually("it is delivered", async || delivery.stats().is_delivered().then_some(())).await;
    }
    assert_eq!((delivery.trouble(), tokens.clerk.asked()), (None, 1));
    tokens.collector.stop().await;
}

#[tokio::test]
async fn a_collector_that_ends_streams_at_once_is_not_asked_without_pause() {
    // Less than the agent's longest wait.
    let tokens = Tokens::with_age(Duration::from_millis(4)).await;
    tokens.knows("good");
    tokens.give("good");
    let delivery = tokens.collector.delivery(&tokens.args);
    let told = eventually("a complaint", async || delivery.trouble()).await;
    assert!(told.contains("ended the stream"), "{told}");
    tokens.collector.stop().await;
}

/// A collector that asks for certificates.
struct Certificates {
    ours: Authority,
    server: Volume,
    collector: Collector,
}

impl Certificates {
    async fn start(admission: Admission) -> Self {
        let ours = Authority::new("ours");
        let (certificate, key) = ours.sign("127.0.0.1", |_| {});
        let server = Volume::new(&[("tls.crt", &certificate), ("tls.key", &key), ("ca.crt", &ours.pem())]);
        let collector = Collector::start(Some(server.server()), admission).await;
        Self { ours, server, collector }
    }

    /// An agent's directory.
    fn directory(&self, (certificate, key): &(String, String)) -> Volume {
        Volume::new(&[("tls.crt", certificate), ("tls.key", key), ("ca.crt", &self.ours.pem())])
    }

    /// A connection of an agent that shows a good one.
    async fn connected(&self) -> Channel {
        let (certificate, key) = self.ours.sign("node-1", |_| {});
        let identity = Identity::from_pem(&certificate, &key, "the agent").unwrap();
        connected(&self.collector, &self.ours, Some(&identity)).await
    }
}

async fn connected(collector: &Collector, trusted: &Authority, identity: Option<&Identity>) -> Channel {
    let config = client_config(&Trust::from_pem(&trusted.pem(), "the test").unwrap(), identity).unwrap();
    let address = collector.address;
    let connection = outgoing::connect("127.0.0.1", address.port(), Some(config), DEADLINE).await.unwrap();
    connection.channel(Endpoint::from_shared(format!("https://{address}")).unwrap()).await.unwrap()
}

fn showing(directory: &Path) -> SecurityArgs {
    SecurityArgs { tls: Some(directory.to_owned()), ..SecurityArgs::default() }
}

#[tokio::test]
async fn no_stream_outlives_its_certificate() {
    let certificates = Certificates::start(Admission { age: LONG, ..Admission::default() }).await;
    let end = SystemTime::now() + Duration::from_secs(4);
    let seconds = Duration::from_secs(end.duration_since(UNIX_EPOCH).unwrap().as_secs());
    let short = certificates.ours.sign("node-1", |parameters| parameters.not_after = date_time_ymd(1970, 1, 1) + seconds);
    let mut directory = certificates.directory(&short);
    let delivery = certificates.collector.delivery(&showing(directory.path()));
    delivery.offer(verdict("a"));
    eventually("it is delivered", async || delivery.stats().is_delivered().then_some(())).await;
    // The stream ends with the certificate, or in the second before; then nothing else is to be shown.
    let told = eventually("it is refused", async || delivery.trouble().filter(|told| told.contains("is not valid now"))).await;
    assert!(told.contains("the certificate that was shown is not valid now"), "{told}");
    delivery.offer(verdict("b"));
    let (certificate, key) = certificates.ours.sign("node-1", |_| {});
    directory.swap(&[("tls.crt", &certificate), ("tls.key", &key), ("ca.crt", &certificates.ours.pem())]);
    assert!(delivery.drain(DEADLINE).await.is_delivered());
    assert_eq!(certificates.collector.store.told(), ["a", "b"]);
    certificates.collector.stop().await;
}

/// A stream on a connection that is there already.
struct Bare {
    outgoing: mpsc::Sender<AgentMessage>,
    incoming: Streaming<CollectorMessage>,
}

impl Bare {
    async fn open(channel: &Channel) -> Result<Self, Status> {
        let (outgoing, messages) = mpsc::channel(8);
        let hello = Hello { protocol_version: PROTOCOL_VERSION, node: "node-1".into(), agent_version: "test".into() };
        outgoing.send(AgentMessage { message: Some(agent_message::Message::Hello(hello)) }).await.unwrap();
        let incoming = IngestClient::new(channel.clone()).stream(ReceiverStream::new(messages)).await?.into_inner();
        let mut bare = Self { outgoing, incoming };
        assert!(matches!(bare.told().await, Some(Told::Welcome(_))));
        Ok(bare)
    }

    async fn send(&self, sequence: u64, id: &str) {
        let batch = VerdictBatch { sequence, verdicts: vec![verdict(id)], dropped: 0, ..VerdictBatch::default() };
        self.outgoing.send(AgentMessage { message: Some(agent_message::Message::Batch(batch)) }).await.unwrap();
    }

    /// `None`: the stream ended without an error.
    async fn told(&mut self) -> Option<Told> {
        timeout(DEADLINE, self.incoming.message()).await.expect("in time").unwrap().map(|told| told.message.unwrap())
    }
}

#[tokio::test]
async fn each_stream_of_a_connection_is_judged_by_the_certificates_of_its_moment() {
    let mut certificates = Certificates::start(Admission::default()).await;
    let channel = certificates.connected().await;
    let mut open = Bare::open(&channel).await.unwrap();

    let theirs = Authority::new("theirs");
    let (server, server_key) = theirs.sign("127.0.0.1", |_| {});
    certificates.server.swap(&[("tls.crt", &server), ("tls.key", &server_key), ("ca.crt", &theirs.pem())]);
    let refused = Bare::open(&channel).await.err().expect("its authority is gone");
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(refused.message().contains("the agent shows a certificate that none of the trusted authorities signed"), "{refused:?}");
    open.send(1, "a").await;
    assert!(matches!(open.told().await, Some(Told::Ack(_))), "the stream from before has its time");
    certificates.collector.stop().await;
}

#[tokio::test]
async fn who_came_before_there_was_an_authority_is_asked_too() {
    let ours = Authority::new("ours");
    let (certificate, key) = ours.sign("127.0.0.1", |_| {});
    let mut server = Volume::new(&[("tls.crt", &certificate), ("tls.key", &key)]);
    let age = Duration::from_secs(1);
    let collector = Collector::start(Some(server.server()), Admission { age, ..Admission::default() }).await;
    let channel = connected(&collector, &ours, None).await;
    let mut open = Bare::open(&channel).await.unwrap();
    drop(Bare::open(&channel).await.unwrap());

    server.swap(&[("tls.crt", &certificate), ("tls.key", &key), ("ca.crt", &ours.pem())]);
    let refused = Bare::open(&channel).await.err().expect("it has shown nothing");
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(refused.message().contains("agents show a certificate here since the collector has a ca.crt"), "{refused:?}");
    assert_eq!(open.told().await, None, "the stream from before has its time, and no more");
    collector.stop().await;
}

#[tokio::test]
async fn what_was_taken_is_acknowledged_before_the_end() {
    let certificates = Certificates::start(Admission { age: Duration::from_secs(1), ..Admission::default() }).await;
    let channel = certificates.connected().await;
    let mut open = Bare::open(&channel).await.unwrap();
    open.send(1, "a").await;
    assert!(matches!(open.told().await, Some(Told::Ack(ack)) if ack.sequence == 1));
    assert_eq!(open.told().await, None, "it ends without an error");
    certificates.collector.stop().await;
}

#[tokio::test]
async fn in_the_clear_where_nobody_is_asked_streams_stay() {
    let age = Duration::from_millis(100);
    let collector = Collector::start(None, Admission { age, ..Agents::Anyone.into() }).await;
    let channel = Endpoint::from_shared(format!("http://{}", collector.address)).unwrap().connect().await.unwrap();
    let mut open = Bare::open(&channel).await.unwrap();
    for sequence in 1..=3 {
        sleep(2 * age).await;
        open.send(sequence, &sequence.to_string()).await;
        assert!(matches!(open.told().await, Some(Told::Ack(ack)) if ack.sequence == sequence));
    }
    collector.stop().await;
}

#[tokio::test]
async fn an_authority_that_signs_for_others_too_makes_no_agents_of_them() {
    let wanted = "unready-agent.unready.svc";
    let certificates = Certificates::start(Admission { name: Some(wanted.parse().unwrap()), ..Admission::default() }).await;
    for (name, found) in
        [("shop.shop.svc", "for shop.shop.svc, not for"), ("10.0.0.1", "for 10.0.0.1, not for"), ("", "for no name, not for")]
    {
        let other = certificates.ours.sign("x", |parameters| {
            let names = [name].into_iter().filter(|name| !name.is_empty()).map(str::to_owned);
            parameters.subject_alt_names = rcgen::CertificateParams::new(names.collect::<Vec<_>>()).unwrap().subject_alt_names;
        });
        let directory = certificates.directory(&other);
        let told = complaint(&certificates.collector.delivery(&showing(directory.path()))).await;
        assert!(told.contains(&format!("refuses: the agent shows a certificate {found} {wanted}; have tls.crt")), "{name}: {told}");
    }
    assert_eq!(certificates.collector.store.told(), Vec::<String>::new());
    let right = certificates.ours.sign(wanted, |_| {});
    delivered(certificates.collector.delivery(&showing(certificates.directory(&right).path())), "a").await;
    certificates.collector.stop().await;
}

#[tokio::test]
async fn who_wants_a_name_takes_no_stream_without_a_certificate() {
    let (place, authority) = (tempfile::tempdir().unwrap(), Authority::new("ours"));
    let (certificate, key) = authority.sign("127.0.0.1", |_| {});
    let volume = Volume::new(&[("tls.crt", &certificate), ("tls.key", &key)]);
    let admission = Admission { name: Some("unready-agent.unready.svc".parse().unwrap()), ..Admission::default() };
    let collector = Collector::start(Some(volume.server()), admission).await;
    let told = complaint(&collector.delivery(&trusting(&written(&place, "ca", &authority.pem())))).await;
    assert!(told.contains("refuses: agents show a certificate for unready-agent.unready.svc here; give one by --tls"), "{told}");
    collector.stop().await;
}
