//! Two streams that run along: `kubectl unready --watch` and a watch of our Events, each line with the time of its arrival.

use super::{events::Event, kube::Kube};
use crate::verdicts::JsonVerdict;
use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::SystemTime,
};

/// A watch of Events prints each as one object in a line.
const EVENTS: [&str; 6] = ["get", "events.events.k8s.io", "-A", "--watch", "-o", "jsonpath={@}{\"\\n\"}"];

/// What arrived, and when.
#[derive(Clone, Debug, Default)]
pub struct Arrivals {
    /// The first line about each verdict, by id: when, and what it said at first.
    pub verdicts: BTreeMap<String, (SystemTime, JsonVerdict)>,
    /// The first line about each Event, by name.
    pub events: BTreeMap<String, (SystemTime, Event)>,
}

/// Both streams; ended on drop.
#[derive(Debug)]
pub struct Feed {
    shared: Arc<Mutex<Arrivals>>,
    children: Vec<Child>,
}

impl Feed {
    /// Starts both.
    pub fn start(kube: &Kube) -> Result<Self> {
        let mut feed = Self { shared: Arc::default(), children: Vec::new() };
        let stream = feed.watch(kube, &["unready", "-A", "--watch", "-o", "json"])?;
        let arrived = Arc::clone(&feed.shared);
        read(stream, move |line, now| {
            if let Ok(verdict) = serde_json::from_str::<JsonVerdict>(line)
                && verdict.is_finding()
            {
                arrived.lock().unwrap_or_else(PoisonError::into_inner).verdicts.entry(verdict.id.clone()).or_insert((now, verdict));
            }
        });
        let stream = feed.watch(kube, &EVENTS)?;
        let arrived = Arc::clone(&feed.shared);
        read(stream, move |line, now| {
            if let Some(event) = serde_json::from_str(line).ok().as_ref().and_then(Event::of) {
                arrived.lock().unwrap_or_else(PoisonError::into_inner).events.entry(event.name.clone()).or_insert((now, event));
            }
        });
        Ok(feed)
    }

    /// All that arrived so far.
    pub fn arrivals(&self) -> Arrivals {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn watch(&mut self, kube: &Kube, arguments: &[&str]) -> Result<ChildStdout> {
        let mut command = kube.command("kubectl")?;
        let mut child =
            command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().context("kubectl cannot be started")?;
        let stdout = child.stdout.take().context("kubectl has no stdout");
        self.children.push(child);
        stdout
    }
}

/// Reads lines until the stream ends.
fn read(stream: ChildStdout, mut take: impl FnMut(&str, SystemTime) + Send + 'static) {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { break };
            take(&line, SystemTime::now());
        }
    });
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.children.iter_mut().for_each(end);
    }
}

/// Asks a child to end, and waits for that.
pub(super) fn end(child: &mut Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
    let _ = child.wait();
}
