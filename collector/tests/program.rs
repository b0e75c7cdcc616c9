//! The program itself: its flags, its metrics port, its end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStderr, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};
use unready_agent::deliver::collector::{Config, spawn};
use unready_proto::v1::{ListRequest, Verdict, verdicts_client::VerdictsClient};

const DEADLINE: Duration = Duration::from_secs(30);

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_unready-collector"))
}

fn refused(flags: &str) -> Output {
    program().args(flags.split_whitespace()).stdin(Stdio::null()).output().unwrap()
}

/// A running collector; ended by its pid when the test ends early.
struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Running {
    fn start(flags: &str, database: &Path) -> Self {
        let mut child = program().args(flags.split_whitespace()).arg("--database").arg(database).stderr(Stdio::piped()).spawn().unwrap();
        let (lines, received) = mpsc::channel();
        let stderr: ChildStderr = child.stderr.take().unwrap();
        thread::spawn(move || BufReader::new(stderr).lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
        Self { child, lines: received }
    }

    /// What follows `before` in its log, up to a blank.
    fn told(&self, before: &str) -> String {
        let until = Instant::now() + DEADLINE;
        loop {
            let line = self.lines.recv_timeout(until.saturating_duration_since(Instant::now())).expect(before);
            if let Some((_, rest)) = line.split_once(before) {
                return rest.split([' ', ',']).next().unwrap_or_default().to_owned();
            }
        }
    }

    fn terminate(mut self) -> Option<i32> {
        assert!(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap().success());
        let until = Instant::now() + DEADLINE;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("it did not end");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn what_cannot_be_meant_is_refused_with_the_way_out() {
    for (flags, expected) in [
        ("--listen 0.0.0.0:0", "add --tls self-signed or --tls DIRECTORY, or --plaintext"),
        ("--query 0.0.0.0:0", "where a port-forward reaches it"),
        ("--tls self-signed", "--tls-name NAME"),
        ("--agents unready", "write NAMESPACE/NAME"),
        ("--lease a/b", "--cluster"),
    ] {
        let output = refused(flags);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && stderr.contains(expected), "{flags}: {stderr}");
    }
    let place = tempfile::tempdir().unwrap();
    let flags = format!("--tls {0} --listen 127.0.0.1:0 --query 127.0.0.1:0 --database {0}/db", place.path().display());
    let output = refused(&flags);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("tls.crt: it does not exist; a TLS directory holds tls.crt, tls.key"), "{stderr}");
}

#[test]
fn a_name_for_agents_needs_an_authority_for_agents() {
    let place = tempfile::tempdir().unwrap();
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(place.path().join("tls.crt"), key.cert.pem()).unwrap();
    std::fs::write(place.path().join("tls.key"), key.signing_key.serialize_pem()).unwrap();
    let directory = place.path().display();
    let output = refused(&format!(
        "--tls {directory} --agent-name unready-agent.unready.svc --listen 127.0.0.1:0 --query 127.0.0.1:0 --database {directory}/db"
    ));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("has no ca.crt that says who signs them; put it there"), "{stderr}");
}

#[test]
fn it_tells_its_metrics_and_ends_when_told_to() {
    let place = tempfile::tempdir().unwrap();
    let running = Running::start("--listen 127.0.0.1:0 --metrics 127.0.0.1:0", &place.path().join("db"));
    let listening = running.told("listening on http://");
    let metrics = running.told("metrics on http://");
    let metrics = metrics.trim_end_matches("/metrics");
    TcpStream::connect(&listening).unwrap();
    assert!(get(metrics, "/livez").starts_with("HTTP/1.1 200"));
    assert!(get(metrics, "/readyz").starts_with("HTTP/1.1 200"));
    let text = get(metrics, "/metrics");
    assert!(text.contains("# HELP unready_collector_stored_verdicts ") && text.ends_with("# EOF\n"), "{text}");
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn with_tls_agents_and_queries_have_ports_of_their_own() {
    let place = tempfile::tempdir().unwrap();
    let flags = "--listen 127.0.0.1:0 --tls self-signed --tls-name localhost --query 127.0.0.1:0";
    let running = Running::start(flags, &place.path().join("db"));
    assert!(running.told("listening on ").starts_with("https://127.0.0.1:"));
    TcpStream::connect(running.told("answering queries on http://")).unwrap();
    assert_eq!(running.terminate(), Some(0));
}

#[tokio::test]
async fn a_database_that_takes_nothing_shows_everywhere_until_it_does() {
    let place = tempfile::tempdir().unwrap();
    let database = place.path().join("db");
    let running = Running::start("--listen 127.0.0.1:0 --metrics 127.0.0.1:0", &database);
    let listening = running.told("listening on ");
    let metrics = running.told("metrics on http://").trim_end_matches("/metrics").to_owned();
    let other = rusqlite::Connection::open(&database).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    let delivery = spawn(Config::new(listening.parse().unwrap(), "node-1"));
    delivery.offer(Verdict { id: "a".into(), ..Verdict::default() });
    let until = |ready: bool| {
        let metrics = metrics.clone();
        async move {
            let begun = Instant::now();
            loop {
                let answer = get(&metrics, "/readyz");
                if answer.starts_with("HTTP/1.1 200") == ready {
                    return answer;
                }
                assert!(begun.elapsed() < DEADLINE, "{answer}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    };
    let answer = until(false).await;
    assert!(answer.contains("verdicts cannot be stored: another program has it locked"), "{answer}");
    assert!(get(&metrics, "/livez").starts_with("HTTP/1.1 200"), "a restart would not help");
    assert!(get(&metrics, "/metrics").contains("unready_collector_store_stalled 1"));
    let mut client = VerdictsClient::connect(listening).await.unwrap();
    let listed = client.list(ListRequest::default()).await.unwrap().into_inner();
    assert!(listed.stalled.contains("locked") && listed.verdicts.is_empty(), "{listed:?}");

    other.execute_batch("ROLLBACK").unwrap();
    until(true).await;
    assert!(delivery.drain(DEADLINE).await.is_delivered());
    let listed = client.list(ListRequest::default()).await.unwrap().into_inner();
    assert!(listed.stalled.is_empty() && listed.verdicts.len() == 1, "{listed:?}");
    assert_eq!(running.terminate(), Some(0));
}
