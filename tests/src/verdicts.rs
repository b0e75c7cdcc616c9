//! What agent and collector said: verdicts as the JSON lines that users get, read as a stranger would read them.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

/// The fields of a verdict that matter to tests; see `unready.v1.Verdict`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct JsonVerdict {
    /// The same finding again has the same id.
    pub id: String,
    /// Code of the catalogue; `Waiting` where nothing is wrong so far.
    pub cause: String,
    /// Which rule of the cause.
    pub layer: String,
    /// Blocking, Slowing, Advisory.
    pub severity: String,
    /// Certain, Likely, Possible.
    pub confidence: String,
    pub subject: String,
    pub subject_kind: String,
    pub workload: Workload,
    /// One sentence.
    pub summary: String,
    /// The chain of reasons.
    pub explanation: Vec<String>,
    pub remedy: Remedy,
    /// When it was first observed, RFC 3339.
    pub first_seen: String,
    pub count: u32,
    /// Set when the condition went away.
    pub resolved_at: Option<String>,
}

/// Whose start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Workload {
    pub namespace: String,
    /// Its name; empty: the owner has no pod.
    pub pod: String,
    pub pod_uid: String,
    /// The container's name or id; empty: the pod as a whole.
    pub container: String,
    /// `Deployment/orders`.
    pub owner: String,
    pub node: String,
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Remedy {
    pub text: String,
    /// A change of a manifest.
    pub patch: Option<Value>,
    pub also: Vec<String>,
}

impl JsonVerdict {
    /// A finding, and not the sentence about what a pod waits for.
    pub fn is_finding(&self) -> bool {
        self.cause != "Waiting"
    }

    /// What makes two verdicts the same finding.
    pub fn finding(&self) -> (&str, &str, &str, &str) {
        (&self.workload.pod_uid, &self.workload.container, &self.cause, &self.subject)
    }

    /// Still so.
    pub const fn is_current(&self) -> bool {
        self.resolved_at.is_none()
    }

    /// One verdict for each line that is not empty.
    pub fn lines(text: &str) -> Result<Vec<Self>> {
        text.lines().filter(|line| !line.is_empty()).map(Self::line).collect()
    }

    fn line(line: &str) -> Result<Self> {
        serde_json::from_str(line).with_context(|| format!("not a verdict: {line}"))
    }
}

/// Verdicts of a run; a later one with the same id replaces the earlier one.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    by_id: BTreeMap<String, JsonVerdict>,
}

impl Verdicts {
    /// Reads one verdict from each line.
    pub fn parse(text: &str) -> Result<Self> {
        let mut all = Self::default();
        text.lines().filter(|line| !line.is_empty()).try_for_each(|line| all.add(line))?;
        Ok(all)
    }

    fn add(&mut self, line: &str) -> Result<()> {
        let verdict = JsonVerdict::line(line)?;
        self.by_id.insert(verdict.id.clone(), verdict);
        Ok(())
    }

    /// Those about one container.
    pub fn of<'a>(&'a self, container: &'a str) -> impl Iterator<Item = &'a JsonVerdict> {
        self.iter().filter(move |verdict| verdict.workload.container == container)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &JsonVerdict> {
        self.by_id.values()
    }
}

/// Verdicts as they arrive on a stream of JSON lines.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    shared: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    verdicts: Verdicts,
    nonsense: Vec<String>,
}

impl Feed {
    /// Reads a stream to its end, in a thread of its own.
    pub fn read(stream: impl Read + Send + 'static) -> Self {
        let feed = Self::default();
        let writer = feed.clone();
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let mut state = writer.lock();
                if let Err(error) = state.verdicts.add(&line) {
                    state.nonsense.push(format!("{error:#}"));
                }
            }
        });
        feed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has arrived so far; an error when something else than a verdict came.
    pub fn verdicts(&self) -> Result<Verdicts> {
        let state = self.lock();
        match state.nonsense.first() {
            Some(error) => Err(anyhow::anyhow!("{error}")),
            None => Ok(state.verdicts.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn verdicts_are_lines() {
        let text = "{\"id\":\"1\",\"cause\":\"FileMissing\",\"workload\":{\"podUid\":\"u\"}}\n\n{\"id\":\"2\",\"cause\":\"Waiting\"}\n";
        let all = JsonVerdict::lines(text).unwrap();
        assert_eq!(all.iter().filter(|one| one.is_finding()).map(|one| one.workload.pod_uid.as_str()).collect::<Vec<_>>(), ["u"]);
        assert!(JsonVerdict::lines("no").is_err());
    }
}
