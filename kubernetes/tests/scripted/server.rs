//! An API server that says what a test wants: HTTP/1.1 on loopback, a thread of its own, one answer after the other.
//!
//! What the real one does is tested on a real one (`cluster.rs`); this one is for what a real one does once in a year.

use kube::{Client, Config};
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// A request: method and target, and its body.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) body: String,
}

/// What is answered.
pub(crate) enum Answer {
    /// A status and an object.
    Object(u16, Value),
    /// A watch: lines, for as long as the sender lives.
    Watch(mpsc::Receiver<Value>),
    /// Nothing at all, until the connection is given up.
    Silence,
}

/// How to answer.
pub(crate) type Script = dyn Fn(&Request) -> Answer + Send + Sync;

/// See the module's head. Ends with its value.
pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// On any port.
    pub(crate) fn start(script: Arc<Script>) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), script)
    }

    /// Where another one was.
    pub(crate) fn start_at(address: SocketAddr, script: Arc<Script>) -> Self {
        let listener = until("the port is free", || TcpListener::bind(address).ok());
        let address = listener.local_addr().unwrap();
        let (requests, ended) = (Arc::<Mutex<Vec<Request>>>::default(), Arc::new(AtomicBool::new(false)));
        let (seen, end) = (Arc::clone(&requests), Arc::clone(&ended));
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let (script, seen, end) = (Arc::clone(&script), Arc::clone(&seen), Arc::clone(&end));
                thread::spawn(move || serve(stream.unwrap(), &*script, &seen, &end));
            }
        });
        Self { address, requests, ended, thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests so far that begin like this.
    pub(crate) fn requests(&self, start: &str) -> Vec<Request> {
        self.requests.lock().unwrap().iter().filter(|request| request.line.starts_with(start)).cloned().collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One connection, one request.
fn serve(mut stream: TcpStream, script: &Script, seen: &Mutex<Vec<Request>>, ended: &AtomicBool) {
    let Some(request) = read(&stream) else { return };
    seen.lock().unwrap().push(request.clone());
    match script(&request) {
        Answer::Object(status, object) => {
            let body = object.to_string();
            let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n", body.len());
            let _ = write!(stream, "{head}Connection: close\r\n\r\n{body}");
        }
        Answer::Watch(lines) => {
            let _ = write!(stream, "HTTP/1.1 200 X\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n");
            while !ended.load(Ordering::SeqCst) {
                match lines.recv_timeout(Duration::from_millis(20)) {
                    Ok(line) if writeln!(stream, "{line}").is_err() => return,
                    Ok(_) | Err(mpsc::RecvTimeoutError::Timeout) => {}
                    Err(mpsc::RecvTimeoutError::Disconnected) => return,
                }
            }
        }
        Answer::Silence => {
            while !ended.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    lines.read_line(&mut line).ok()?;
    loop {
        let mut header = String::new();
        lines.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    std::io::Read::read_exact(&mut lines, &mut body).ok()?;
    Some(Request { line: line.trim().to_owned(), body: String::from_utf8(body).ok()? })
}

/// A client of such a server.
pub(crate) fn client(address: SocketAddr) -> Client {
    let mut config = Config::new(format!("http://{address}").parse().unwrap());
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

/// A pod of a `ReplicaSet`.
pub(crate) fn pod(name: &str, version: u32) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "shop", "uid": format!("uid-{name}"), "resourceVersion": version.to_string(),
            "labels": { "pod-template-hash": "5f" },
            "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5f", "uid": "rs", "controller": true }]
        },
        "spec": { "nodeName": "node-1", "containers": [{ "name": "app" }] }
    })
}

/// A list of pods.
pub(crate) fn pods(pods: &[Value], version: u32) -> Answer {
    Answer::Object(
        200,
        json!({ "kind": "PodList", "apiVersion": "v1", "metadata": { "resourceVersion": version.to_string() }, "items": pods }),
    )
}

pub(crate) fn failure(code: u16, reason: &str) -> Answer {
    Answer::Object(code, status(code, reason))
}

/// A `Status`.
pub(crate) fn status(code: u16, reason: &str) -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": format!("{reason}, says the test") })
}

/// Waits for something on this thread.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within 30 s");
        thread::sleep(Duration::from_millis(20));
    }
}
