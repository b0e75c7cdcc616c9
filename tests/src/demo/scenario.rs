//! A container of the demo, and the comparison of what was said about it with what is expected.

use super::world::World;
use crate::{
    bundle::Bundle,
    verdicts::{JsonVerdict, Verdicts},
};
use anyhow::Result;

#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name, id and last part of its cgroup's path.
    pub name: &'static str,
    /// What is the matter with it, for people.
    pub about: &'static str,
    /// Makes its volumes and describes it.
    pub bundle: fn(&World, &str) -> Result<Bundle>,
    /// What happens to it after its start.
    pub afterwards: Option<fn(&World) -> Result<()>>,
    /// What must be said about it.
    pub expected: Expected,
}

/// What must be said about a container.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    /// Exactly one verdict.
    Verdict(Explained),
    /// Nothing; it lives on, and listens on the port if it is a server.
    Healthy {
        /// Port that it must listen on.
        port: Option<u16>,
    },
}

/// The one verdict.
#[derive(Clone, Copy, Debug)]
pub struct Explained {
    pub cause: &'static str,
    /// Its subject. A `*` at its end: or what lies below it, where it depends on the moment whether more is known.
    pub subject: &'static str,
    pub layer: &'static str,
    /// What its remedy must name.
    pub remedy: &'static str,
}

impl Explained {
    fn is_subject(&self, said: &str) -> bool {
        let beginning = self.subject.strip_suffix('*');
        beginning.map_or(said == self.subject, |beginning| said.starts_with(beginning))
    }

    /// What is wrong with a verdict; empty when it is right.
    fn differences(&self, verdict: &JsonVerdict) -> Vec<String> {
        let mut all = Vec::new();
        let mut compare = |what: &str, expected: &str, said: &str| {
            if expected != said {
                all.push(format!("{what} is {said:?}, expected {expected:?}"));
            }
        };
        compare("cause", self.cause, &verdict.cause);
        if !self.is_subject(&verdict.subject) {
            compare("subject", self.subject, &verdict.subject);
        }
        compare("layer", self.layer, &verdict.layer);
        compare("severity", "Blocking", &verdict.severity);
        if !verdict.remedy.text.contains(self.remedy) {
            all.push(format!("the remedy does not name {:?}: {:?}", self.remedy, verdict.remedy.text));
        }
        all
    }
}

impl Scenario {
    /// What is wrong with what `who` said about this container; empty when it is as expected.
    pub fn differences(&self, who: &str, verdicts: &Verdicts) -> Vec<String> {
        let said: Vec<&JsonVerdict> = verdicts.of(self.name).collect();
        let wrong = match (self.expected, said.as_slice()) {
            (Expected::Healthy { .. }, []) => Vec::new(),
            (Expected::Healthy { .. }, several) => several.iter().map(|verdict| format!("healthy, and yet: {}", brief(verdict))).collect(),
            (Expected::Verdict(expected), []) => vec![format!("no verdict, expected {}", expected.cause)],
            (Expected::Verdict(expected), [one]) => expected.differences(one),
            (Expected::Verdict(expected), several) => {
                let all: Vec<String> = several.iter().map(|verdict| brief(verdict)).collect();
                vec![format!("{} verdicts instead of one ({}): {}", all.len(), expected.cause, all.join("; "))]
            }
        };
        wrong.into_iter().map(|what| format!("{}: {who}: {what}", self.name)).collect()
    }
}

fn brief(verdict: &JsonVerdict) -> String {
    format!("{} of {} ({}): {}", verdict.cause, verdict.subject, verdict.layer, verdict.summary)
}
