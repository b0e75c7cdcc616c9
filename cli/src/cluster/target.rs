//! What was meant by the words after `kubectl unready`: pods, owners of pods, or all.
//!
//! As kubectl: `NAME…`, `pod/NAME`, `deployment/NAME`, `deployment NAME`, short names and plurals. Without a kind a name is a
//! pod's. An owner means its pods and what is said of the owner itself.

use super::{Cluster, Trouble};
use crate::status::Usage;
use anyhow::anyhow;
use serde_json::Value;
use unready_kubernetes::{
    objects::{self, Object, Sort},
    pods::Query,
};
use unready_proto::v1::Verdict;

/// Kinds that own pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Pod,
    Deployment,
    ReplicaSet,
    StatefulSet,
    DaemonSet,
    Job,
    CronJob,
    ReplicationController,
}

impl Kind {
    /// With the words that kubectl takes for it.
    const WORDS: [(Self, &'static [&'static str]); 8] = [
        (Self::Pod, &["pod", "pods", "po"]),
        (Self::Deployment, &["deployment", "deployments", "deploy", "deployment.apps", "deployments.apps"]),
        (Self::ReplicaSet, &["replicaset", "replicasets", "rs", "replicaset.apps", "replicasets.apps"]),
        (Self::StatefulSet, &["statefulset", "statefulsets", "sts", "statefulset.apps", "statefulsets.apps"]),
        (Self::DaemonSet, &["daemonset", "daemonsets", "ds", "daemonset.apps", "daemonsets.apps"]),
        (Self::Job, &["job", "jobs", "job.batch", "jobs.batch"]),
        (Self::CronJob, &["cronjob", "cronjobs", "cj", "cronjob.batch", "cronjobs.batch"]),
        (Self::ReplicationController, &["replicationcontroller", "replicationcontrollers", "rc"]),
    ];

    /// The kind that this word names.
    pub(crate) fn of(word: &str) -> Option<Self> {
        let word = word.to_lowercase();
        Self::WORDS.iter().find(|(_, words)| words.contains(&word.as_str())).map(|(kind, _)| *kind)
    }

    /// As the API has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::Deployment => "Deployment",
            Self::ReplicaSet => "ReplicaSet",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
            Self::ReplicationController => "ReplicationController",
        }
    }

    /// As it is asked for.
    pub(crate) const fn sort(self) -> Sort<'static> {
        let api_version = match self {
            Self::Pod | Self::ReplicationController => "v1",
            Self::Job | Self::CronJob => "batch/v1",
            Self::Deployment | Self::ReplicaSet | Self::StatefulSet | Self::DaemonSet => "apps/v1",
        };
        Sort { api_version, kind: self.name() }
    }
}

/// One thing that was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    pub(crate) name: String,
}

impl Target {
    /// `Deployment/orders`, as verdicts name owners.
    pub(crate) fn owner(&self) -> String {
        format!("{}/{}", self.kind.name(), self.name)
    }
}

/// All that was named; empty: everything.
pub(crate) fn parse(words: &[String]) -> Result<Vec<Target>, Usage> {
    targets(words).map_err(Usage)
}

fn targets(words: &[String]) -> Result<Vec<Target>, String> {
    if let Some((first, names)) = words.split_first()
        && let Some(kind) = Kind::of(first)
    {
        return match (kind, names) {
            (Kind::Pod, []) => Ok(Vec::new()),
            (_, []) => Err(format!("name one: {first}/NAME")),
            _ => names.iter().map(|name| plain(kind, name)).collect(),
        };
    }
    words.iter().map(|word| one(word)).collect()
}

fn one(word: &str) -> Result<Target, String> {
    let Some((kind, name)) = word.split_once('/') else { return plain(Kind::Pod, word) };
    let kinds = || Kind::WORDS.map(|(_, words)| words[0]).join(", ");
    let kind = Kind::of(kind).ok_or_else(|| format!("{kind:?} is no kind that has pods; there are {}", kinds()))?;
    plain(kind, name)
}

fn plain(kind: Kind, name: &str) -> Result<Target, String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    if name.is_empty() || !name.chars().all(is_name) {
        return Err(format!("{name:?} is not a name: names have lower-case letters, digits, '-' and '.'"));
    }
    Ok(Target { kind, name: name.to_owned() })
}

/// Whether a verdict is about what was named.
pub(crate) fn is_meant(verdict: &Verdict, targets: &[Target]) -> bool {
    let Some(workload) = &verdict.workload else { return targets.is_empty() };
    let is_it = |target: &Target| {
        if target.kind == Kind::Pod {
            workload.pod == target.name || (workload.pod.is_empty() && workload.container == target.name)
        } else {
            workload.owner == target.owner()
        }
    };
    targets.is_empty() || targets.iter().any(is_it)
}

/// What to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    /// The questions that together give the pods.
    pub(crate) queries: Vec<Query>,
    /// Owners that were named, as verdicts name them.
    pub(crate) owners: Vec<String>,
    /// Pods that were named.
    pub(crate) names: Vec<String>,
    /// Nothing was named, and no selector given.
    pub(crate) everything: bool,
}

impl Selection {
    /// Whether the verdict on an owner that has no pod is of concern.
    pub(crate) fn includes_owner(&self, owner: &str) -> bool {
        self.everything || self.owners.iter().any(|named| named == owner)
    }
}

/// Finds out by which labels the owners' pods are known.
pub(crate) async fn select(cluster: &Cluster, targets: &[Target], labels: Option<&str>) -> anyhow::Result<Selection> {
    let labels = labels.map(str::to_owned);
    let mut selection = Selection { queries: vec![], owners: vec![], names: vec![], everything: targets.is_empty() && labels.is_none() };
    if targets.is_empty() {
        selection.queries.push(Query { labels, fields: None });
        return Ok(selection);
    }
    let Some(namespace) = &cluster.namespace else {
        return Err(anyhow!("a resource cannot be retrieved by name across all namespaces"));
    };
    for target in targets {
        if target.kind == Kind::Pod {
            selection.names.push(target.name.clone());
            selection.queries.push(Query { labels: None, fields: Some(format!("metadata.name={}", target.name)) });
            continue;
        }
        let selectors = selectors(cluster, namespace, target).await.map_err(|trouble| trouble.to_error())?;
        selection.owners.push(target.owner());
        selection.queries.extend(selectors.into_iter().map(|labels| Query { labels: Some(labels), fields: None }));
    }
    Ok(selection)
}

async fn selectors(cluster: &Cluster, namespace: &str, target: &Target) -> Result<Vec<String>, Trouble> {
    let owner = cluster.ask(objects::get(&cluster.client, target.kind.sort(), namespace, &target.name)).await?;
    if target.kind != Kind::CronJob {
        return Ok(selector(&owner.fields).into_iter().collect());
    }
    // A CronJob's pods are known through its Jobs.
    let jobs = cluster.ask(objects::list(&cluster.client, Kind::Job.sort(), namespace)).await?;
    let is_ours = |job: &&Object| job.owners.contains(&owner.uid);
    Ok(jobs.iter().filter(is_ours).filter_map(|job| selector(&job.fields)).collect())
}

/// `spec.selector` as a query has it; a `ReplicationController`'s is a plain map.
fn selector(owner: &Value) -> Option<String> {
    let selector = owner.get("spec")?.get("selector")?;
    let structured = selector.get("matchLabels").is_some() || selector.get("matchExpressions").is_some();
    let labels = if structured { selector.get("matchLabels") } else { Some(selector) };
    let equal = labels.and_then(|labels| labels.as_object()).into_iter().flatten();
    let equal = equal.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)));
    let expressions = selector.get("matchExpressions").and_then(|all| all.as_array()).into_iter().flatten();
    let all: Vec<String> = equal.chain(expressions.filter_map(expression)).collect();
    (!all.is_empty()).then(|| all.join(","))
}

fn expression(expression: &Value) -> Option<String> {
    let key = expression.get("key")?.as_str()?;
    let values = expression.get("values").and_then(|values| values.as_array()).into_iter().flatten();
    let values = values.filter_map(|value| value.as_str()).collect::<Vec<_>>().join(",");
    match expression.get("operator")?.as_str()? {
        "In" => Some(format!("{key} in ({values})")),
        "NotIn" => Some(format!("{key} notin ({values})")),
        "Exists" => Some(key.to_owned()),
        "DoesNotExist" => Some(format!("!{key}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;
    use unready_proto::v1::Workload;

    fn parsed(line: &str) -> Result<Vec<String>, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        targets(&words).map(|all| all.iter().map(Target::owner).collect())
    }

    #[test]
    fn as_kubectl_names_things() {
        for (line, expected) in [
            ("", &[][..]),
            ("pods", &[]),
            ("orders-7d9f billing", &["Pod/orders-7d9f", "Pod/billing"]),
            ("pod/orders po/b", &["Pod/orders", "Pod/b"]),
            ("deploy/orders", &["Deployment/orders"]),
            ("deployments.apps/orders sts/db", &["Deployment/orders", "StatefulSet/db"]),
            ("deployment orders billing", &["Deployment/orders", "Deployment/billing"]),
            ("cj/nightly", &["CronJob/nightly"]),
        ] {
            assert_eq!(parsed(line).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn what_cannot_be_a_name_says_so() {
        for (line, expected) in [
            ("deployment", "name one: deployment/NAME"),
            ("service/web", "\"service\" is no kind that has pods; there are pod, deployment,"),
            ("pod/", "is not a name"),
            ("Orders", "is not a name"),
            ("../x", "is no kind"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }

    #[test]
    fn selectors_become_queries() {
        let of = |value: Value| selector(&json!({ "spec": { "selector": value } }));
        let both = json!({
            "matchLabels": { "app": "orders", "tier": "web" },
            "matchExpressions": [
                { "key": "env", "operator": "In", "values": ["a", "b"] },
                { "key": "old", "operator": "DoesNotExist" },
                { "key": "new", "operator": "Exists" },
                { "key": "x", "operator": "NotIn", "values": ["1"] },
            ],
        });
        assert_eq!(of(both).unwrap(), "app=orders,tier=web,env in (a,b),!old,new,x notin (1)");
        assert_eq!(of(json!({ "app": "orders" })).unwrap(), "app=orders", "a ReplicationController's");
        assert_eq!(of(json!({})), None, "an owner without a selector has no pods");
    }

    #[test]
    fn a_name_is_a_pods_or_a_containers() {
        let meant = |workload: Workload, words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            is_meant(&Verdict { workload: Some(workload), ..Verdict::default() }, &parse(&words).unwrap())
        };
        let pod = || Workload { pod: "orders".into(), container: "app".into(), owner: "Deployment/orders".into(), ..Workload::default() };
        let local = || Workload { container: "web".into(), ..Workload::default() };
        assert!(meant(pod(), &[]) && meant(pod(), &["pod/orders"]) && meant(pod(), &["x", "orders"]));
        assert!(meant(pod(), &["deployment/orders"]) && !meant(pod(), &["deployment/other"]));
        assert!(!meant(pod(), &["app"]), "a container of a pod has a pod to be named by");
        assert!(meant(local(), &["web"]) && !meant(local(), &["app"]));
    }
}
