//! Puts the parts together as the flags say, and takes them down in order.
//!
//! ```text
//!   listen ─► store ─► API client ─► certificate, published ─► serve ◄──► cluster watch, metrics port
//!   SIGTERM ─► all of them end at once; the lease and our key of the ConfigMap are given up
//! ```

use crate::args::{Args, ObjectName, Tls};
use anyhow::{Context as _, bail};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::timeout,
};
use unready_collector::{
    Ports,
    certificate::self_signed,
    cluster,
    ingest::{admission::Admission, identity::Agents},
    metrics::Metrics,
    serve_on,
    store::{Health, Store as _, sqlite::Sqlite},
};
use unready_kubernetes::{Client, authority::Publication, client, lease::Lease};
use unready_transport::{
    http::{self, Endpoints},
    incoming::Incoming,
    tls::{Directory, ServerTls},
};

/// For publishing the authority before the first connection is answered.
const HEAD_START: Duration = Duration::from_secs(2);

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    let ended = runtime.block_on(serve(args));
    // A request to an API server that does not answer must not hold up the end.
    runtime.shutdown_background();
    ended
}

async fn serve(args: &Args) -> anyhow::Result<()> {
    let (stop, stopping) = watch::channel(false);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let listener = bind(args.listen, "--listen").await?;
    let query = match args.query_port() {
        Some(address) => Some(bind(address, "--query").await?),
        None => None,
    };
    let port = match args.metrics {
        Some(address) => Some(bind(address, "--metrics").await?),
        None => None,
    };
    let store = Arc::new(Sqlite::open(&args.database, args.keep())?);
    let client = if args.needs_cluster() { Some(client::connect(&args.access()).await?) } else { None };
    let metrics = Arc::new(Metrics::default());
    let identity = identity(args)?;
    let (tls, publication) = encryption(args, client.as_ref(), &identity)?;
    announce(args, &listener, (query.as_ref(), port.as_ref()), tls.as_deref())?;

    if let Some(publication) = &publication {
        // The port is open and nobody is answered yet: who connects now finds the authority published. Not for long, though.
        let _ = timeout(HEAD_START, publication.renew()).await;
    }
    let published = async {
        if let Some(publication) = &publication {
            publication.keep(told(stopping.clone())).await;
        }
    };
    let watched = async {
        if let Some(client) = client.clone().filter(|_| args.cluster) {
            let lease = args.lease.as_ref().map(|ObjectName { namespace, name }| Lease::new(client.clone(), namespace, name, &identity));
            cluster::run(client, lease, &identity, Arc::clone(&store), Arc::clone(&metrics), told(stopping.clone())).await;
        }
    };
    let told_metrics = async {
        if let Some(port) = port {
            http::serve(port, endpoints(&store, &metrics), told(stopping.clone())).await;
        }
    };
    let ports = Ports { ingest: Incoming::new(listener, tls), query: query.map(|listener| Incoming::new(listener, None)) };
    let served = async {
        let served = serve_on(ports, Arc::clone(&store), admission(args, client.as_ref()), Arc::clone(&metrics), async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("shutting down");
            stop.send_replace(true);
        })
        .await;
        // Also when it ended by itself.
        stop.send_replace(true);
        served
    };
    let (served, (), (), ()) = tokio::join!(served, published, watched, told_metrics);
    Ok(served?)
}

async fn told(mut stopping: watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// What replicas are told apart by.
fn identity(args: &Args) -> anyhow::Result<String> {
    if let Some(identity) = &args.identity {
        return Ok(identity.clone());
    }
    let name = rustix::system::uname().nodename().to_str().map(str::to_owned);
    name.context("this machine's name is no text; name this collector with --identity")
}

fn encryption(args: &Args, client: Option<&Client>, identity: &str) -> anyhow::Result<(Option<Arc<ServerTls>>, Option<Publication>)> {
    match &args.tls {
        None => Ok((None, None)),
        Some(Tls::Directory(path)) => {
            let tls = ServerTls::from_directory(Directory::new(path))?;
            if let Some(name) = args.agent_name.as_ref().filter(|_| !tls.demands_certificate()) {
                bail!(
                    "--agent-name {name} asks for agents' certificates, and {} has no ca.crt that says who signs them; put it there",
                    path.display()
                );
            }
            Ok((Some(Arc::new(tls)), None))
        }
        Some(Tls::SelfSigned) => {
            let made = self_signed(&args.tls_name, identity)?;
            let publication = client.zip(args.publish_ca.as_ref()).map(|(client, ObjectName { namespace, name })| {
                Publication::new(client.clone(), namespace, name, identity, made.authority.clone())
            });
            if publication.is_none() {
                tracing::info!(
                    "agents must trust this authority (--collector-ca FILE), which is good until the next start:\n{}",
                    made.authority
                );
            }
            Ok((Some(Arc::new(ServerTls::fixed(&made.identity)?)), publication))
        }
    }
}

fn admission(args: &Args, client: Option<&Client>) -> Admission {
    let agents = match client {
        Some(client) if !args.agents.is_empty() => Agents::known(client.clone(), &args.audience, args.agents.clone()),
        Some(_) | None => Agents::Anyone,
    };
    Admission { agents, name: args.agent_name.clone(), age: args.stream_age }
}

fn endpoints(store: &Arc<Sqlite>, metrics: &Arc<Metrics>) -> Endpoints {
    let (health, metrics) = (store.health(), Arc::clone(metrics));
    Endpoints {
        metrics: Box::new(move || metrics.encode()),
        ready: Box::new(move || match &*health.borrow() {
            Health::Storing => Ok(()),
            Health::Stalled(reason) | Health::Broken(reason) => Err(format!("verdicts cannot be stored: {reason}")),
        }),
    }
}

fn announce(
    args: &Args,
    listener: &TcpListener,
    (query, metrics): (Option<&TcpListener>, Option<&TcpListener>),
    tls: Option<&ServerTls>,
) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    tracing::info!("listening on {scheme}://{address}, database {}", args.database.display());
    if let Some(query) = query {
        tracing::info!("answering queries on http://{}", query.local_addr()?);
    }
    if let Some(metrics) = metrics {
        tracing::info!("metrics on http://{}/metrics", metrics.local_addr()?);
    }
    let knows_agents = !args.agents.is_empty() || tls.is_some_and(ServerTls::demands_certificate);
    if !address.ip().is_loopback() && !knows_agents {
        let way_out = if tls.is_some() { "--agents, or a ca.crt in the directory of --tls" } else { "--tls" };
        tracing::warn!("whoever reaches {address} can write verdicts, and people act on them; {way_out} lets agents only");
    }
    Ok(())
}

async fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| cannot_listen(address, flag, &error))
}

fn cannot_listen(address: SocketAddr, flag: &str, error: &io::Error) -> anyhow::Error {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the list is open; what the system says is passed on")]
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            anyhow::anyhow!("{address} is in use by another program; end that program, or choose another address with {flag}")
        }
        io::ErrorKind::AddrNotAvailable => {
            anyhow::anyhow!("{} is no address of this machine; choose another with {flag}", address.ip())
        }
        io::ErrorKind::PermissionDenied => {
            anyhow::anyhow!("port {} needs a right that this user does not have; choose one above 1023 with {flag}", address.port())
        }
        _ => anyhow::anyhow!("cannot listen on {address}: {error}"),
    }
}
