//! What goes through, and what is said of what does not.

use super::support::{Authority, Clerk, Collector, DEADLINE, Volume, complaint, delivered, eventually, trusting, verdict, written};
use rcgen::date_time_ymd;
use std::{
    fs,
    os::unix::fs::symlink,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::mpsc,
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status};
use unready_agent::deliver::tls::SecurityArgs;
use unready_collector::ingest::identity::Agents;
use unready_proto::{
    PROTOCOL_VERSION,
    v1::{AgentMessage, Hello, Verdict, VerdictBatch, Workload, agent_message, collector_message, ingest_client::IngestClient},
};
use unready_transport::tls::{Directory, ServerTls};

#[tokio::test]
async fn verdicts_go_through_and_queries_have_their_own_port() {
    let place = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    let (certificate, key) = authority.sign("127.0.0.1", |_| {});
    let volume = Volume::new(&[("tls.crt", &certificate), ("tls.key", &key)]);
    let collector = Collector::with_directory(&volume).await;
    delivered(collector.delivery(&trusting(&written(&place, "ca", &authority.pem()))), "a").await;
    assert_eq!(collector.ids().await, ["a"]);
    collector.stop().await;
}

#[tokio::test]
async fn a_wrong_certificate_is_told_apart() {
    let place = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let ca = written(&place, "ca", &ours.pem());
    let good = ours.sign("127.0.0.1", |_| {});
    let expired = ours.sign("127.0.0.1", |parameters| parameters.not_after = date_time_ymd(2020, 1, 31));
    let early = ours.sign("127.0.0.1", |parameters| parameters.not_before = date_time_ymd(2999, 1, 31));
    let other_name = ours.sign("collector.unready.svc", |_| {});
    for ((certificate, key), trusted, expected) in [
        (&good, written(&place, "other", &theirs.pem()), ["none of the trusted authorities signed", "--collector-ca"]),
        (&expired, ca.clone(), ["expired at 2020-01-31", "renew it"]),
        (&early, ca.clone(), ["is valid from 2999-01-31", "set the clock"]),
        (&other_name, ca.clone(), ["for collector.unready.svc, not for 127.0.0.1", "--tls-name 127.0.0.1"]),
    ] {
        let volume = Volume::new(&[("tls.crt", certificate), ("tls.key", key)]);
        let collector = Collector::with_directory(&volume).await;
        let told = complaint(&collector.delivery(&trusting(&trusted))).await;
        assert!(expected.iter().all(|words| told.contains(words)), "{expected:?}: {told}");
        collector.stop().await;
    }
}

#[tokio::test]
async fn with_an_authority_for_clients_a_certificate_is_demanded() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let (server, server_key) = ours.sign("127.0.0.1", |_| {});
    let volume = Volume::new(&[("tls.crt", &server), ("tls.key", &server_key), ("ca.crt", &ours.pem())]);
    let collector = Collector::with_directory(&volume).await;
    let client = |files: &[(&str, &str)]| {
        let volume = Volume::new(files);
        (SecurityArgs { tls: Some(volume.path().to_owned()), ..SecurityArgs::default() }, volume)
    };

    let (none, _kept) = client(&[("ca.crt", &ours.pem())]);
    let told = complaint(&collector.delivery(&none)).await;
    assert!(told.contains("asks for a certificate, and none was shown; name a directory"), "{told}");

    let (certificate, key) = theirs.sign("node-1", |_| {});
    let (foreign, _kept) = client(&[("tls.crt", &certificate), ("tls.key", &key), ("ca.crt", &ours.pem())]);
    let told = complaint(&collector.delivery(&foreign)).await;
    assert!(told.contains("does not trust the authority of the certificate that was shown"), "{told}");

    let (certificate, key) = ours.sign("node-1", |parameters| parameters.not_after = date_time_ymd(2020, 1, 31));
    let (expired, _kept) = client(&[("tls.crt", &certificate), ("tls.key", &key), ("ca.crt", &ours.pem())]);
    let told = complaint(&collector.delivery(&expired)).await;
    assert!(told.contains("that was shown is not valid now"), "{told}");

    let (certificate, key) = ours.sign("node-1", |_| {});
    let (known, _kept) = client(&[("tls.crt", &certificate), ("tls.key", &key), ("ca.crt", &ours.pem())]);
    delivered(collector.delivery(&known), "a").await;
    assert_eq!(collector.ids().await, ["a"], "and nothing of the others");
    collector.stop().await;
}

#[tokio::test]
async fn one_end_without_tls_is_told() {
    let place = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    let (certificate, key) = authority.sign("127.0.0.1", |_| {});
    let volume = Volume::new(&[("tls.crt", &certificate), ("tls.key", &key)]);
    let (with, without) = (Collector::with_directory(&volume).await, Collector::start(None, Agents::Anyone).await);

    let told = complaint(&with.delivery_to("http://127.0.0.1", &SecurityArgs::default(), None)).await;
    assert!(told.contains("speaks TLS: agents write https:// there"), "{told}");
    let told = complaint(&without.delivery(&trusting(&written(&place, "ca", &authority.pem())))).await;
    assert!(told.contains("does not speak TLS; if it is the collector, start it with --tls"), "{told}");
    with.stop().await;
    without.stop().await;
}

#[tokio::test]
async fn changed_certificates_are_used_and_open_streams_stay() {
    let place = tempfile::tempdir().unwrap();
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let (certificate, key) = before.sign("127.0.0.1", |_| {});
    let mut volume = Volume::new(&[("tls.crt", &certificate), ("tls.key", &key)]);
    let collector = Collector::with_directory(&volume).await;
    let (old, new) = (trusting(&written(&place, "old", &before.pem())), trusting(&written(&place, "new", &after.pem())));

    let open = collector.delivery(&old);
    open.offer(verdict("a"));
    eventually("a is delivered", async || open.stats().is_delivered().then_some(())).await;
    let (certificate, key) = after.sign("127.0.0.1", |_| {});
    volume.swap(&[("tls.crt", &certificate), ("tls.key", &key)]);

    delivered(collector.delivery(&new), "b").await;
    let told = complaint(&collector.delivery(&old)).await;
    assert!(told.contains("none of the trusted authorities signed"), "{told}");
    assert!(open.stats().connected && open.trouble().is_none(), "the stream from before is open");
    open.offer(verdict("c"));
    eventually("c is delivered on the old stream", async || open.stats().is_delivered().then_some(())).await;
    let streams = collector.metrics.encode().lines().find(|line| line.starts_with("unready_collector_ingest_streams ")).map(str::to_owned);
    assert!(streams.is_some(), "{streams:?}");

    // Half of a change, or nonsense: what was read before goes on.
    let (_, foreign) = before.sign("127.0.0.1", |_| {});
    volume.swap(&[("tls.crt", &certificate), ("tls.key", &foreign)]);
    delivered(collector.delivery(&new), "d").await;
    volume.swap(&[("tls.crt", "nonsense"), ("tls.key", &key)]);
    delivered(collector.delivery(&new), "e").await;
    assert_eq!(collector.ids().await, ["a", "b", "c", "d", "e"]);
    collector.stop().await;
}

#[tokio::test]
async fn only_known_service_accounts_deliver_and_only_for_their_node() {
    let place = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    let (certificate, key) = authority.sign("127.0.0.1", |_| {});
    let volume = Volume::new(&[("tls.crt", &certificate), ("tls.key", &key)]);
    let clerk = Clerk::default();
    clerk.knows("good", "unready:agent", Some("node-1"), "unready-collector");
    clerk.knows("old-server", "unready:agent", None, "unready-collector");
    clerk.knows("elsewhere", "unready:agent", Some("node-2"), "unready-collector");
    clerk.knows("stranger", "shop:default", Some("node-1"), "unready-collector");
    clerk.knows("for-another", "unready:agent", Some("node-1"), "https://kubernetes.default.svc");
    let agents = Agents::known(clerk.clone(), "unready-collector", vec!["unready/agent".parse().unwrap()]);
    let tls = ServerTls::from_directory(Directory::new(volume.path())).unwrap();
    let collector = Collector::start(Some(tls), agents).await;
    let ca = written(&place, "ca", &authority.pem());
    let showing = |token: Option<&str>| SecurityArgs {
        collector_token: token.map(|token| written(&place, token, &format!("{token}\n"))),
        ..trusting(&ca)
    };

    for (token, expected) in [
        (None, "agents show a token here: give a projected service-account token for the audience unready-collector"),
        (Some("unknown"), "does not accept the token for the audience unready-collector"),
        (Some("stranger"), "the token is of system:serviceaccount:shop:default, which may not deliver"),
        (Some("old-server"), "does not say on which node the token's pod runs"),
        (Some("elsewhere"), "belongs to a pod on node node-2, and the hello names node-1"),
        (Some("for-another"), "made for another audience than unready-collector"),
    ] {
        let told = complaint(&collector.delivery(&showing(token))).await;
        assert!(told.contains(expected), "{token:?}: {told}");
    }
    assert_eq!(collector.ids().await, Vec::<String>::new());

    *clerk.0.away.lock().unwrap() = true;
    let waiting = collector.delivery(&showing(Some("good")));
    let told = complaint(&waiting).await;
    assert!(told.contains("the token cannot be checked: the API server does not answer"), "{told}");
    *clerk.0.away.lock().unwrap() = false;
    delivered(waiting, "a").await;
    let asked = clerk.0.asked.load(Ordering::SeqCst);
    delivered(collector.delivery(&showing(Some("good"))), "b").await;
    assert_eq!(clerk.0.asked.load(Ordering::SeqCst), asked, "the answer is remembered");
    assert_eq!(collector.ids().await, ["a", "b"]);
    collector.stop().await;
}

/// A stream in the clear, of a client that shows a token there; ours does not.
async fn bare(collector: &Collector, token: &str, verdicts: Vec<Verdict>) -> Result<collector_message::Message, Status> {
    let hello = Hello { protocol_version: PROTOCOL_VERSION, node: "node-1".into(), agent_version: "test".into() };
    let batch = VerdictBatch { sequence: 1, verdicts, dropped: 0, ..VerdictBatch::default() };
    let messages = [agent_message::Message::Hello(hello), agent_message::Message::Batch(batch)];
    let messages = messages.map(|message| AgentMessage { message: Some(message) });
    // Open until the answer is there.
    let (outgoing, open) = mpsc::channel(messages.len());
    for message in messages {
        outgoing.send(message).await.unwrap();
    }
    let mut request = Request::new(ReceiverStream::new(open));
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let mut client = IngestClient::connect(format!("http://{}", collector.address)).await.unwrap();
    let mut answers = client.stream(request).await?.into_inner();
    let mut told = async || timeout(DEADLINE, answers.message()).await.expect("in time").map(|told| told.unwrap().message.unwrap());
    assert!(matches!(told().await?, collector_message::Message::Welcome(_)));
    told().await
}

#[tokio::test]
async fn a_verdict_of_another_node_than_the_tokens_ends_the_stream() {
    let clerk = Clerk::default();
    clerk.knows("good", "unready:agent", Some("node-1"), "unready-collector");
    clerk.knows("old-server", "unready:agent", None, "unready-collector");
    let collector = Collector::start(None, Agents::known(clerk, "unready-collector", vec!["unready/agent".parse().unwrap()])).await;
    let of = |id: &str, workload| Verdict { workload, ..verdict(id) };
    let elsewhere = || Some(Workload { node: "node-2".into(), ..Workload::default() });

    for foreign in [elsewhere(), Some(Workload::default()), None] {
        let refused = bare(&collector, "good", vec![verdict("with-it"), of("foreign", foreign)]).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("a verdict is not of node node-1"), "{refused:?}");
    }
    assert_eq!(collector.ids().await, Vec::<String>::new(), "nothing of such a batch");
    assert!(collector.metrics.encode().contains(r#"reason="Identity"} 3"#), "{}", collector.metrics.encode());
    assert!(matches!(bare(&collector, "good", vec![verdict("own")]).await, Ok(collector_message::Message::Ack(_))));
    // In the clear, on the loopback, a token need not name a node, and then binds to none.
    assert!(matches!(bare(&collector, "old-server", vec![of("any", elsewhere())]).await, Ok(collector_message::Message::Ack(_))));
    assert_eq!(collector.ids().await.len(), 2);
    collector.stop().await;
}

#[tokio::test]
async fn who_demands_certificates_does_not_stop_when_the_authority_is_gone() {
    let authority = Authority::new("ours");
    let (server, server_key) = authority.sign("127.0.0.1", |_| {});
    let files = [("tls.crt", server.as_str()), ("tls.key", server_key.as_str())];
    let ca = authority.pem();
    let with = [files[0], files[1], ("ca.crt", ca.as_str())];
    let mut volume = Volume::new(&with);
    let collector = Collector::with_directory(&volume).await;
    let (certificate, key) = authority.sign("node-1", |_| {});
    let client = |files: &[(&str, &str)]| {
        let volume = Volume::new(files);
        (SecurityArgs { tls: Some(volume.path().to_owned()), ..SecurityArgs::default() }, volume)
    };
    let (anonymous, _kept) = client(&[("ca.crt", &ca)]);
    let (known, _kept_too) = client(&[("tls.crt", &certificate), ("tls.key", &key), ("ca.crt", &ca)]);

    delivered(collector.delivery(&known), "a").await;
    volume.swap(&files); // the kubelet's link stays and leads nowhere
    let told = complaint(&collector.delivery(&anonymous)).await;
    assert!(told.contains("asks for a certificate, and none was shown"), "{told}");
    delivered(collector.delivery(&known), "b").await;
    volume.swap(&with); // so that what follows is a change of its own
    delivered(collector.delivery(&known), "back").await;
    fs::remove_file(volume.path().join("ca.crt")).unwrap();
    symlink("ca.crt", volume.path().join("ca.crt")).unwrap(); // cannot be read, by root either
    let told = complaint(&collector.delivery(&anonymous)).await;
    assert!(told.contains("asks for a certificate, and none was shown"), "{told}");
    delivered(collector.delivery(&known), "c").await;

    let refused = ServerTls::from_directory(Directory::new(volume.path())).unwrap_err().to_string();
    assert!(refused.contains("cannot read") && refused.contains("ca.crt"), "{refused}");
    fs::remove_file(volume.path().join("ca.crt")).unwrap();
    let fresh = ServerTls::from_directory(Directory::new(volume.path())).unwrap();
    assert!(!fresh.demands_certificate(), "without the file from the start nothing is demanded");
    collector.stop().await;
}

/// An API server that has one `ConfigMap`, and counts who asks.
async fn api_server(data: Arc<Mutex<String>>) -> (kube::Client, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            assert!(request[..length].starts_with(b"GET /api/v1/namespaces/unready/configmaps/unready-ca"), "{request:?}");
            counter.fetch_add(1, Ordering::SeqCst);
            let map = serde_json::json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "unready-ca" }, "data": { "pod-1": *data.lock().unwrap() }
            });
            let body = map.to_string();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (kube::Client::try_from(kube::Config::new(uri.parse().unwrap())).unwrap(), asked)
}

#[tokio::test]
async fn a_restarted_collector_is_trusted_again() {
    let self_signed = || unready_collector::certificate::self_signed(&["127.0.0.1".to_owned()], "pod-1").unwrap();
    let first = self_signed();
    let published = Arc::new(Mutex::new(first.authority));
    let (client, asked) = api_server(Arc::clone(&published)).await;
    let args = SecurityArgs { collector_ca: Some("configmap:unready/unready-ca".parse().unwrap()), ..SecurityArgs::default() };

    let collector = Collector::start(Some(ServerTls::fixed(&first.identity).unwrap()), Agents::Anyone).await;
    let address = collector.address.to_string();
    let delivery = collector.delivery_to("https://127.0.0.1", &args, Some(client));
    delivery.offer(verdict("a"));
    eventually("a is delivered", async || delivery.stats().is_delivered().then_some(())).await;
    collector.stop().await;
    let collector = Collector::start_at(&address, Some(ServerTls::fixed(&first.identity).unwrap()), Agents::Anyone).await;
    delivery.offer(verdict("b"));
    eventually("b is delivered", async || delivery.stats().is_delivered().then_some(())).await;
    assert_eq!(asked.load(Ordering::SeqCst), 1, "whom to trust is remembered over connections");
    collector.stop().await;

    let second = self_signed();
    *published.lock().unwrap() = second.authority;
    let collector = Collector::start_at(&address, Some(ServerTls::fixed(&second.identity).unwrap()), Agents::Anyone).await;
    delivery.offer(verdict("c"));
    eventually("c is delivered", async || delivery.stats().is_delivered().then_some(())).await;
    assert_eq!(asked.load(Ordering::SeqCst), 2, "and looked up once when it does not fit");
    assert_eq!(collector.ids().await, ["a", "b", "c"], "it has another database, and was told again");
    collector.stop().await;
}
