//! The metrics port over real sockets on loopback.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};
use unready_transport::http::{Endpoints, serve};

const DEADLINE: Duration = Duration::from_secs(30);

struct Port {
    address: SocketAddr,
    ready: Arc<AtomicBool>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn port() -> Port {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ready, asked) = (Arc::new(AtomicBool::new(false)), AtomicU32::new(0));
    let state = Arc::clone(&ready);
    let endpoints = Endpoints {
        metrics: Box::new(move || format!("asked {}\n# EOF\n", asked.fetch_add(1, Ordering::SeqCst) + 1)),
        ready: Box::new(move || state.load(Ordering::SeqCst).then_some(()).ok_or_else(|| "waits for the store".to_owned())),
    };
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(serve(listener, endpoints, async {
        let _ = stopped.await;
    }));
    Port { address, ready, stop, task }
}

impl Port {
    async fn ask(&self, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(DEADLINE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        answer
    }
}

#[tokio::test]
async fn the_three_paths_answer_and_nothing_else_does() {
    let port = port().await;
    let metrics = port.ask("GET", "/metrics").await;
    assert!(metrics.starts_with("HTTP/1.1 200") && metrics.contains("application/openmetrics-text; version=1.0.0"), "{metrics}");
    assert!(metrics.ends_with("asked 1\n# EOF\n"), "{metrics}");
    assert!(port.ask("GET", "/metrics").await.ends_with("asked 2\n# EOF\n"), "each scrape asks again");
    assert!(port.ask("GET", "/livez").await.starts_with("HTTP/1.1 200"));
    let waiting = port.ask("GET", "/readyz?verbose").await;
    assert!(waiting.starts_with("HTTP/1.1 503") && waiting.ends_with("waits for the store\n"), "{waiting}");
    port.ready.store(true, Ordering::SeqCst);
    assert!(port.ask("GET", "/readyz").await.starts_with("HTTP/1.1 200"));
    assert!(port.ask("GET", "/").await.starts_with("HTTP/1.1 404"));
    assert!(port.ask("POST", "/metrics").await.starts_with("HTTP/1.1 405"));
    let head = port.ask("HEAD", "/livez").await;
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test]
async fn silent_connections_do_not_keep_it_from_ending() {
    let port = port().await;
    let mut silent = vec![TcpStream::connect(port.address).await.unwrap()];
    assert!(port.ask("GET", "/livez").await.starts_with("HTTP/1.1 200"), "served beside the silent one");
    for _ in 0..40 {
        silent.push(TcpStream::connect(port.address).await.unwrap());
    }
    port.stop.send(()).unwrap();
    timeout(DEADLINE, port.task).await.unwrap().unwrap();
    drop(silent);
}
