//! `--probe`: asks CMD as the kubelet asks a container.
//!
//! HTTP: GET with `User-Agent: kube-probe/…`, a status of 200 to 399 is success, redirects are followed on the same host
//! only (one to another host counts as success and ends there), certificates are not checked, no proxy, a new connection
//! each time (pkg/probe/http of Kubernetes). TCP: the connection is made. The first attempt comes at once, the next
//! ones a period after the beginning of the last.
//!
//! Refused as usage: `grpc` and `exec`, which are to come, and what has no host or port.

use anyhow::Context;
use reqwest::{
    Client, Url,
    header::{ACCEPT, CONNECTION, HeaderMap, HeaderValue},
    redirect::Policy,
};
use std::{net::SocketAddr, str::FromStr, time::Duration};
use tokio::{net::TcpStream, sync::mpsc, time};

/// What the kubelet of Kubernetes 1.37 sends.
const USER_AGENT: &str = "kube-probe/1.37";
/// As net/http of Go follows; pkg/probe/http keeps it.
const REDIRECTS_MAX: usize = 10;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    text: String,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Http(Url),
    Tcp { host: String, port: u16 },
}

impl FromStr for Probe {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORMS: &str = "write http://HOST:PORT/PATH, https://HOST:PORT/PATH or tcp://HOST:PORT";
        let (scheme, _) = text.split_once("://").ok_or(FORMS)?;
        let url = Url::parse(text).map_err(|error| format!("{error}; {FORMS}"))?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| format!("no host; {FORMS}"))?.to_owned();
        let port = url.port_or_known_default().filter(|port| *port != 0);
        let kind = match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" if port.is_some() => Kind::Http(url),
            "tcp" if !matches!(url.path(), "" | "/") || url.query().is_some() => {
                return Err("a tcp probe asks for no path; write tcp://HOST:PORT".into());
            }
            "http" | "https" | "tcp" => Kind::Tcp { host, port: port.ok_or_else(|| format!("no port; {FORMS}"))? },
            "grpc" | "exec" => return Err(format!("{scheme} probes are not supported yet; {FORMS}")),
            _ => return Err(format!("{scheme} is no scheme of a probe; {FORMS}")),
        };
        Ok(Self { text: text.into(), kind })
    }
}

impl Probe {
    /// As it was given.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// Answered as a ready container answers.
    Success {
        /// Who was connected to.
        peer: Option<SocketAddr>,
        /// E.g. `200 OK`.
        answer: String,
    },
    /// Not so; why, as a clause.
    Failure(String),
}

/// Asks again and again in a task of its own, until the receiver is gone.
pub(crate) fn start(probe: &Probe, period: Duration, timeout: Duration) -> anyhow::Result<mpsc::Receiver<Attempt>> {
    let asker = Asker::new(probe, timeout)?;
    let (attempts, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut ticks = time::interval(period);
        ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if attempts.send(asker.ask().await).await.is_err() {
                break;
            }
        }
    });
    Ok(receiver)
}

struct Asker {
    kind: Kind,
    client: Option<Client>,
    timeout: Duration,
}

impl Asker {
    fn new(probe: &Probe, timeout: Duration) -> anyhow::Result<Self> {
        let client = match probe.kind {
            Kind::Http(_) => Some(client()?),
            Kind::Tcp { .. } => None,
        };
        Ok(Self { kind: probe.kind.clone(), client, timeout })
    }

    async fn ask(&self) -> Attempt {
        let answer = async {
            match (&self.kind, &self.client) {
                (Kind::Http(url), Some(client)) => http(client, url).await,
                (Kind::Http(_), None) => Attempt::Failure("there is no client".into()),
                (Kind::Tcp { host, port }, _) => tcp(host, *port).await,
            }
        };
        time::timeout(self.timeout, answer)
            .await
            .unwrap_or_else(|_| Attempt::Failure(format!("no answer within {}", humantime::format_duration(self.timeout))))
    }
}

fn client() -> anyhow::Result<Client> {
    // It fails only if one is installed already, which then serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let headers = [(ACCEPT, HeaderValue::from_static("*/*")), (CONNECTION, HeaderValue::from_static("close"))];
    Client::builder()
        .user_agent(USER_AGENT)
        .default_headers(HeaderMap::from_iter(headers))
        .tls_danger_accept_invalid_certs(true)
        .redirect(same_host())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .build()
        .context("cannot prepare the probe")
}

fn same_host() -> Policy {
    Policy::custom(|attempt| {
        let first = attempt.previous().first().and_then(Url::host_str);
        if first != attempt.url().host_str() {
            attempt.stop()
        } else if attempt.previous().len() > REDIRECTS_MAX {
            attempt.error("more than 10 redirects")
        } else {
            attempt.follow()
        }
    })
}

async fn http(client: &Client, url: &Url) -> Attempt {
    match client.get(url.clone()).send().await {
        Ok(response) if (200..400).contains(&response.status().as_u16()) => {
            Attempt::Success { peer: response.remote_addr(), answer: response.status().to_string() }
        }
        Ok(response) => Attempt::Failure(format!("answered with status {}", response.status())),
        Err(error) => Attempt::Failure(innermost(&error)),
    }
}

async fn tcp(host: &str, port: u16) -> Attempt {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match TcpStream::connect((host, port)).await {
        Ok(stream) => Attempt::Success { peer: stream.peer_addr().ok(), answer: "the connection is accepted".into() },
        Err(error) => Attempt::Failure(plain(&error.to_string())),
    }
}

/// The last of a chain of reasons says what happened, e.g. `Connection refused`.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut reason = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    plain(&reason.to_string())
}

/// Without `(os error 111)`.
fn plain(text: &str) -> String {
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    #[test]
    fn forms() {
        assert!(matches!("http://127.0.0.1:8080/ready?x=1".parse::<Probe>().unwrap().kind, Kind::Http(_)));
        assert!(matches!("https://localhost".parse::<Probe>().unwrap().kind, Kind::Http(_)));
        let Kind::Tcp { host, port } = "tcp://[::1]:5432".parse::<Probe>().unwrap().kind else { panic!() };
        assert_eq!((host.as_str(), port), ("[::1]", 5432));
        for (text, word) in [
            ("grpc://127.0.0.1:1", "not supported yet"),
            ("exec://true", "not supported yet"),
            ("ftp://127.0.0.1:1", "no scheme of a probe"),
            ("127.0.0.1:8080", "write http://"),
            ("tcp://127.0.0.1", "no port"),
            ("tcp://127.0.0.1:80/x", "no path"),
            ("http://", "write http://"),
            ("http://127.0.0.1:99999/", "write http://"),
            ("", "write http://"),
        ] {
            let error = text.parse::<Probe>().unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    /// Answers each connection with the next of the texts, and gives back the requests.
    async fn serve(answers: Vec<String>) -> (SocketAddr, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut requests = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let count = stream.read(&mut request).await.unwrap();
                requests.push(String::from_utf8_lossy(&request[..count]).into_owned());
                stream.write_all(answer.replace("PORT", &address.port().to_string()).as_bytes()).await.unwrap();
            }
            requests
        });
        (address, task)
    }

    async fn ask(url: &str) -> Attempt {
        Asker::new(&url.parse().unwrap(), Duration::from_secs(5)).unwrap().ask().await
    }

    fn answer(status: &str, more: &str) -> String {
        format!("HTTP/1.1 {status}\r\n{more}Content-Length: 0\r\nConnection: close\r\n\r\n")
    }

    #[tokio::test]
    async fn asks_as_the_kubelet_does() {
        let (address, task) = serve(vec![answer("204 No Content", "")]).await;
        let attempt = ask(&format!("http://{address}/readyz")).await;
        assert_eq!(attempt, Attempt::Success { peer: Some(address), answer: "204 No Content".into() });
        let request = task.await.unwrap().remove(0).to_lowercase();
        assert!(request.starts_with("get /readyz http/1.1\r\n"), "{request}");
        for header in ["user-agent: kube-probe/", "accept: */*", "connection: close"] {
            assert!(request.contains(header), "{header}: {request}");
        }
    }

    #[tokio::test]
    async fn a_status_from_400_on_is_a_failure() {
        for (status, ready) in [("200 OK", true), ("304 Not Modified", true), ("404 Not Found", false), ("503 Busy", false)] {
            let (address, _task) = serve(vec![answer(status, "")]).await;
            let attempt = ask(&format!("http://{address}/")).await;
            assert_eq!(matches!(attempt, Attempt::Success { .. }), ready, "{status}: {attempt:?}");
        }
    }

    #[tokio::test]
    async fn redirects_are_followed_on_the_same_host_only() {
        let here = answer("302 Found", "Location: http://127.0.0.1:PORT/there\r\n");
        let (address, task) = serve(vec![here, answer("500 Internal Server Error", "")]).await;
        assert!(matches!(ask(&format!("http://{address}/")).await, Attempt::Failure(reason) if reason.contains("500")));
        assert!(task.await.unwrap()[1].starts_with("GET /there "));

        let elsewhere = answer("302 Found", "Location: http://localhost:PORT/there\r\n");
        let (address, _task) = serve(vec![elsewhere]).await;
        assert!(matches!(ask(&format!("http://{address}/")).await, Attempt::Success { answer, .. } if answer.starts_with("302")));
    }

    #[tokio::test]
    async fn silence_and_refusal_are_told_apart() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = silent.local_addr().unwrap();
        let asker = Asker::new(&format!("http://{address}/").parse().unwrap(), Duration::from_millis(50)).unwrap();
        assert_eq!(asker.ask().await, Attempt::Failure("no answer within 50ms".into()));
        assert!(matches!(ask(&format!("tcp://{address}")).await, Attempt::Success { .. }));
        drop(silent);
        for scheme in ["http", "tcp"] {
            assert_eq!(ask(&format!("{scheme}://{address}")).await, Attempt::Failure("connection refused".into()), "{scheme}");
        }
    }
}
