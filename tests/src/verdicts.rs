//! What agent and collector said: verdicts as the JSON lines that users get, read as a stranger would read them.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

/// The fields of a verdict that matter here; see `unready.v1.Verdict`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Verdict {
    /// The same finding again has the same id.
    pub id: String,
    /// Code of the catalogue.
    pub cause: String,
    /// Which rule of the cause.
    pub layer: String,
    /// Blocking, Slowing, Advisory.
    pub severity: String,
    /// Certain, Likely, Possible.
    pub confidence: String,
    /// The thing.
    pub subject: String,
    /// What sort of thing.
    pub subject_kind: String,
    /// Whose start.
    pub workload: Workload,
    /// One sentence.
    pub summary: String,
    /// The chain of reasons.
    pub explanation: Vec<String>,
    /// What to do.
    pub remedy: Remedy,
    /// Set when the condition went away.
    pub resolved_at: Option<String>,
}

/// Whose start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Workload {
    /// The container's name or id.
    pub container: String,
    /// Node.
    pub node: String,
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Remedy {
    /// In words.
    pub text: String,
}

/// Verdicts of a run; a later one with the same id replaces the earlier one.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    by_id: BTreeMap<String, Verdict>,
}

impl Verdicts {
    /// Reads one verdict a line.
    pub fn parse(text: &str) -> Result<Self> {
        let mut all = Self::default();
        text.lines().filter(|line| !line.is_empty()).try_for_each(|line| all.add(line))?;
        Ok(all)
    }

    fn add(&mut self, line: &str) -> Result<()> {
        let verdict: Verdict = serde_json::from_str(line).with_context(|| format!("not a verdict: {line}"))?;
        self.by_id.insert(verdict.id.clone(), verdict);
        Ok(())
    }

    /// Those about one container.
    pub fn of<'a>(&'a self, container: &'a str) -> impl Iterator<Item = &'a Verdict> {
        self.iter().filter(move |verdict| verdict.workload.container == container)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Verdict> {
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
