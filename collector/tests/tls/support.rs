//! Authorities, directories of certificates, a collector that remembers, and somebody who judges tokens.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};
use unready_agent::deliver::{
    collector::{Config, Delivery, spawn},
    tls::{AuthoritySource, SecurityArgs},
};
use unready_collector::{
    Ports,
    ingest::{
        admission::Admission,
        identity::{Agents, Answer, Judge},
    },
    metrics::Metrics,
    serve_on,
    store::{Batch, Census, Health, Keep, Page, Selection, Starts, Store, StoreError, sqlite::Sqlite},
};
use unready_kubernetes::{Client, token::Review};
use unready_proto::v1::{ListRequest, StartFilter, Verdict, Workload, verdicts_client::VerdictsClient};
use unready_transport::{
    incoming::Incoming,
    tls::{Directory, ServerTls},
};

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(DEADLINE, asking).await.unwrap_or_else(|_| panic!("in time: {what}"))
}

/// Somebody who signs certificates.
pub(crate) struct Authority(pub(crate) CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key.
    pub(crate) fn sign(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut parameters);
        (parameters.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

/// A directory as the kubelet mounts a Secret: links through `..data`, which is swapped as a whole.
pub(crate) struct Volume {
    place: TempDir,
    generation: u32,
}

impl Volume {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let mut volume = Self { place: tempfile::tempdir().unwrap(), generation: 0 };
        volume.swap(files);
        volume
    }

    pub(crate) fn path(&self) -> &Path {
        self.place.path()
    }

    pub(crate) fn server(&self) -> ServerTls {
        ServerTls::from_directory(Directory::new(self.path())).unwrap()
    }

    pub(crate) fn swap(&mut self, files: &[(&str, &str)]) {
        self.generation += 1;
        let name = format!("..{}", self.generation);
        fs::create_dir(self.path().join(&name)).unwrap();
        for (file, text) in files {
            fs::write(self.path().join(&name).join(file), text).unwrap();
        }
        symlink(&name, self.path().join("..new")).unwrap();
        fs::rename(self.path().join("..new"), self.path().join("..data")).unwrap();
        for (file, _) in files {
            let link = self.path().join(file);
            if link.symlink_metadata().is_err() {
                symlink(Path::new("..data").join(file), link).unwrap();
            }
        }
    }
}

/// A store that remembers all that it was ever told, in order.
#[derive(Clone)]
pub(crate) struct Recording(Arc<(Sqlite, Mutex<Vec<String>>)>);

impl Recording {
    /// Ids, each as often as it came.
    pub(crate) fn told(&self) -> Vec<String> {
        self.0.1.lock().unwrap().clone()
    }
}

impl Store for Recording {
    async fn append(&self, batch: impl Into<Batch> + Send) -> Result<Vec<bool>, StoreError> {
        let batch = batch.into();
        self.0.1.lock().unwrap().extend(batch.verdicts.iter().map(|verdict| verdict.id.clone()));
        self.0.0.append(batch).await
    }

    async fn starts(&self, filter: StartFilter, limit: usize) -> Result<Starts, StoreError> {
        self.0.0.starts(filter, limit).await
    }

    async fn list(&self, selection: Selection, limit: usize) -> Result<Page, StoreError> {
        self.0.0.list(selection, limit).await
    }

    async fn census(&self) -> Result<Census, StoreError> {
        self.0.0.census().await
    }

    fn revision(&self) -> watch::Receiver<u64> {
        self.0.0.revision()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.0.0.health()
    }
}

pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    query: SocketAddr,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) store: Recording,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    _place: TempDir,
}

impl Collector {
    pub(crate) async fn start(tls: Option<ServerTls>, admission: impl Into<Admission>) -> Self {
        Self::start_at("127.0.0.1:0", tls, admission).await
    }

    pub(crate) async fn start_at(address: &str, tls: Option<ServerTls>, admission: impl Into<Admission>) -> Self {
        let place = tempfile::tempdir().unwrap();
        let listener = eventually("the port is free", async || TcpListener::bind(address).await.ok()).await;
        let queries = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, query) = (listener.local_addr().unwrap(), queries.local_addr().unwrap());
        let store = Recording(Arc::new((Sqlite::open(&place.path().join("db"), Keep::verdicts(10_000)).unwrap(), Mutex::default())));
        let metrics = Arc::new(Metrics::default());
        let ports = Ports { ingest: Incoming::new(listener, tls.map(Arc::new)), query: Some(Incoming::new(queries, None)) };
        let (stop, stopped) = oneshot::channel();
        let served = serve_on(ports, Arc::new(store.clone()), admission.into(), Arc::clone(&metrics), async {
            let _ = stopped.await;
        });
        let task = tokio::spawn(async { served.await.unwrap() });
        Self { address, query, metrics, store, stop, task, _place: place }
    }

    pub(crate) async fn with_directory(volume: &Volume) -> Self {
        Self::start(Some(volume.server()), Agents::Anyone).await
    }

    pub(crate) fn delivery(&self, args: &SecurityArgs) -> Delivery {
        self.delivery_to("https://127.0.0.1", args, None)
    }

    pub(crate) fn delivery_to(&self, host: &str, args: &SecurityArgs, client: Option<Client>) -> Delivery {
        let url = format!("{host}:{}", self.address.port()).parse().unwrap();
        let security = args.resolve(&url, client).unwrap();
        spawn(Config { security, retry: (Duration::from_millis(5), Duration::from_millis(50)), ..Config::new(url, "node-1") })
    }

    pub(crate) async fn ids(&self) -> Vec<String> {
        let mut client = VerdictsClient::connect(format!("http://{}", self.query)).await.unwrap();
        let listed = client.list(ListRequest::default()).await.unwrap().into_inner().verdicts;
        listed.into_iter().map(|verdict| verdict.id).collect()
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        timeout(DEADLINE, self.task).await.expect("it ends").unwrap();
    }
}

pub(crate) fn verdict(id: &str) -> Verdict {
    let workload = Workload { namespace: "shop".into(), pod: "p".into(), node: "node-1".into(), ..Workload::default() };
    Verdict {
        id: id.to_owned(),
        cause: "PermissionDenied".into(),
        severity: "Blocking".into(),
        workload: Some(workload),
        ..Verdict::default()
    }
}

pub(crate) async fn delivered(delivery: Delivery, id: &str) {
    delivery.offer(verdict(id));
    let stats = delivery.drain(DEADLINE).await;
    assert!(stats.is_delivered() && stats.counts.acknowledged > 0, "{id}: {stats:?}");
}

/// What is said of a connection that does not come about.
pub(crate) async fn complaint(delivery: &Delivery) -> String {
    let told = eventually("a complaint", async || delivery.trouble()).await;
    assert!(!delivery.stats().connected);
    told
}

pub(crate) fn trusting(path: &Path) -> SecurityArgs {
    SecurityArgs { collector_ca: Some(AuthoritySource::File(path.to_owned())), ..SecurityArgs::default() }
}

pub(crate) fn written(place: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = place.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

/// Knows tokens by heart.
#[derive(Clone, Default)]
pub(crate) struct Clerk(pub(crate) Arc<Desk>);

#[derive(Default)]
pub(crate) struct Desk {
    pub(crate) asked: AtomicU32,
    known: Mutex<BTreeMap<String, Review>>,
    pub(crate) away: Mutex<bool>,
}

impl Clerk {
    pub(crate) fn knows(&self, token: &str, account: &str, node: Option<&str>, audience: &str) {
        let review = Review {
            authenticated: true,
            user: format!("system:serviceaccount:{account}"),
            audiences: vec![audience.to_owned()],
            node: node.map(str::to_owned),
            ..Review::default()
        };
        self.0.known.lock().unwrap().insert(token.to_owned(), review);
    }
}

impl Clerk {
    /// The token is not good any more.
    pub(crate) fn forgets(&self, token: &str) {
        self.0.known.lock().unwrap().remove(token);
    }

    pub(crate) fn asked(&self) -> u32 {
        self.0.asked.load(Ordering::SeqCst)
    }

    /// Agents of the service account that the tests use.
    pub(crate) fn agents(&self) -> Agents {
        Agents::known(self.clone(), "unready-collector", vec!["unready/agent".parse().unwrap()])
    }
}

impl Judge for Clerk {
    fn review(&self, token: String, audience: String) -> Answer {
        assert_eq!(audience, "unready-collector");
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let away = *self.0.away.lock().unwrap();
        let answer = self.0.known.lock().unwrap().get(&token).cloned().unwrap_or_default();
        Box::pin(async move { if away { Err("the API server does not answer".to_owned()) } else { Ok(answer) } })
    }
}
