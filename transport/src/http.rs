//! A port with `/metrics` (`OpenMetrics`, for Prometheus), `/livez` and `/readyz` (for the kubelet's probes).
//!
//! ```text
//!   accept ─► one of CONNECTIONS places ─► HTTP/1.1, kept alive while requests come
//!      └─ no place, no descriptor: wait     └─ GET or HEAD of the three paths; 404 and 405 for all else
//! ```
//!
//! Bounded: at most [`CONNECTIONS`] at a time, [`PATIENCE`] for a request's head, bodies are not read. There is neither TLS
//! nor authentication: it tells numbers and names of namespaces, and who may reach it is a matter of network policy.

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, fmt, future::Future, io, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::sleep,
};

/// Connections served at a time: a scraper, two probes, a curious person.
const CONNECTIONS: usize = 16;
/// For the head of a request, also of the next one on a connection that is kept alive.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between attempts to accept when the system has no descriptor left.
const PAUSE: Duration = Duration::from_millis(100);
/// What `prometheus-client` encodes.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// What the port tells. Both are called for each request, on the runtime's thread: they must be quick.
pub struct Endpoints {
    /// The body of `/metrics`, as `prometheus_client::encoding::text::encode` writes it.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// Whether the program does its work; the error is a sentence that says what it waits for. `/livez` answers as long as
    /// the program can answer at all: a restart cures nothing else.
    pub ready: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoints").finish_non_exhaustive()
    }
}

/// Serves until `shutdown` completes; what is being answered then is cut.
pub async fn serve(listener: TcpListener, endpoints: Endpoints, shutdown: impl Future<Output = ()>) {
    let endpoints = Arc::new(endpoints);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = &mut shutdown => return,
        };
        match accepted {
            Ok((stream, place)) => {
                let endpoints = Arc::clone(&endpoints);
                connections.spawn(async move {
                    connection(stream, &endpoints).await;
                    drop(place);
                });
            }
            Err(error) => refused(&error).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

/// A place first, then a connection: who finds none waits in the listener's queue.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

async fn refused(error: &io::Error) {
    tracing::debug!("a connection to the metrics port cannot be accepted: {error}");
    sleep(PAUSE).await;
}

async fn connection(stream: TcpStream, endpoints: &Endpoints) {
    let service = service_fn(|request| async move { Ok::<_, Infallible>(answer(&request, endpoints)) });
    let served =
        http1::Builder::new().timer(TokioTimer::new()).header_read_timeout(PATIENCE).serve_connection(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::debug!("a connection to the metrics port ended: {error}");
    }
}

fn answer(request: &Request<Incoming>, endpoints: &Endpoints) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n".to_owned());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/metrics" => text(StatusCode::OK, OPEN_METRICS, (endpoints.metrics)()),
        "/livez" => text(StatusCode::OK, TEXT, "ok\n".to_owned()),
        "/readyz" => match (endpoints.ready)() {
            Ok(()) => text(StatusCode::OK, TEXT, "ok\n".to_owned()),
            Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{reason}\n")),
        },
        _ => text(StatusCode::NOT_FOUND, TEXT, "there are /metrics, /livez and /readyz\n".to_owned()),
    }
}

fn text(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
