//! Labels, and how many namespaces they may tell apart.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use std::collections::HashSet;
use unready_diagnosis::{catalogue::Cause, outside, verdict::Severity};
use unready_proto::v1::Verdict;

/// Distinct namespaces that have their own time series.
const NAMESPACES: usize = 100;
/// Distinct kinds of owners, custom resources included.
const KINDS: usize = 30;

/// What a verdict says and of whom, coarsely.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct VerdictLabels {
    /// Code of the catalogue.
    pub cause: String,
    /// Blocking, Slowing, Advisory.
    pub severity: String,
    /// Namespace, or `other`.
    pub namespace: String,
    /// Deployment, `StatefulSet` …; empty: not known.
    pub owner_kind: String,
}

impl VerdictLabels {
    /// Of a verdict.
    pub fn of(verdict: &Verdict) -> Self {
        let workload = verdict.workload.as_ref();
        Self {
            cause: verdict.cause.clone(),
            severity: verdict.severity.clone(),
            namespace: workload.map(|workload| workload.namespace.clone()).unwrap_or_default(),
            owner_kind: workload.map(|workload| owner_kind(&workload.owner).to_owned()).unwrap_or_default(),
        }
    }

    /// With names beyond the limits told as `other`, and words that the catalogue does not have as well.
    pub(super) fn bounded(mut self, limits: &mut Limits) -> Self {
        if !Cause::ALL.iter().any(|cause| cause.code() == self.cause) {
            "other".clone_into(&mut self.cause);
        }
        if !SEVERITIES.contains(&self.severity.as_str()) {
            "other".clone_into(&mut self.severity);
        }
        self.namespace = limits.namespaces.admit(&self.namespace);
        self.owner_kind = limits.kinds.admit(&self.owner_kind);
        self
    }

    pub(super) fn example() -> Self {
        Self {
            cause: "PermissionDenied".to_owned(),
            severity: "Blocking".to_owned(),
            namespace: "shop".to_owned(),
            owner_kind: "Deployment".to_owned(),
        }
    }
}

const SEVERITIES: [&str; 3] = [Severity::Blocking.word(), Severity::Slowing.word(), Severity::Advisory.word()];

/// Names that have labels of their own.
#[derive(Debug)]
pub(super) struct Limits {
    namespaces: Names,
    kinds: Names,
}

impl Default for Limits {
    fn default() -> Self {
        Self { namespaces: Names::new(NAMESPACES), kinds: Names::new(KINDS) }
    }
}

/// Of "Deployment/orders".
pub(crate) fn owner_kind(owner: &str) -> &str {
    owner.split_once('/').map_or("", |(kind, _)| kind)
}

/// Why a stream was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Refusal {
    /// No token, a wrong one, or one of somebody else.
    Identity,
    /// The token could not be checked.
    Unchecked,
    /// Another version, or no hello.
    Protocol,
}

/// Label of refused streams.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RefusedLabels {
    pub reason: Refusal,
}

/// Which part of the cluster watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum WatchKind {
    /// Pods without a node.
    Pods,
    /// Events about owners.
    Events,
    Owners,
    Lease,
}

/// Label of watch errors.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct WatchLabels {
    pub watch: WatchKind,
}

/// The names that have a label of their own: those that came first.
#[derive(Debug)]
pub(super) struct Names {
    limit: usize,
    known: HashSet<String>,
}

impl Names {
    /// At most this many.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, known: HashSet::new() }
    }

    /// The label for a name.
    pub(super) fn admit(&mut self, name: &str) -> String {
        let name = outside::escaped(name).into_owned();
        if self.known.contains(&name) {
            return name;
        }
        if self.known.len() >= self.limit {
            return "other".to_owned();
        }
        self.known.insert(name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_limit_are_one() {
        let mut names = Names::new(2);
        let told: Vec<_> = ["a", "b", "c", "a", "d"].map(|name| names.admit(name)).into();
        assert_eq!(told, ["a", "b", "other", "a", "other"]);
        assert_eq!(Names::new(1).admit("a\u{1b}\u{202e}"), "a\\x1b\\u{202e}");
    }
}
