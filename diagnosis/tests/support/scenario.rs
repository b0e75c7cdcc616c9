//! The format of a scenario file.
//!
//! ```yaml
//! cause: PermissionDenied          # the folder's cause
//! role: trigger                    # trigger: this cause; near-miss: looks alike, is something else; healthy: silence
//! about: A volume of root's under uid 1000.
//! as: 1000:1000                    # uid:gid[:group,group…] [caps=NAME,…|all], root without it
//! world:
//!   files: { /data/: 0755 0:0, /data/orders.db: 0644 0:0 }
//!   mounts: { /data: ext4 source=/dev/sdb }
//! steps:
//!   - 0ms exec /usr/bin/orders --db /data/orders.db
//!   - 12ms fails open /data/orders.db O_RDWR|O_CREAT = EACCES
//!   - 13ms exit 1
//! expect:
//!   - { cause: PermissionDenied, layer: mode bits, subject: /data/orders.db, confidence: Certain }
//! ```
//!
//! `pod:` is what the API server says of the pod, a [`unready_diagnosis::pod::Pod`] in its serde form; `events:` and `claims:`
//! what it answers when asked. The cgroup is then that of the pod's container `app` (`is-container:` names another), and its
//! uid and container id are filled in, as are times that are 0: with that of their step. Without any step of a process there
//! is no cgroup: the pod has not come so far. `kernel: false` is a node without eBPF. `owner:` instead is an owner that
//! has too few pods, a [`OwnerState`] in its serde form: there is nothing to play, it is judged as it is.
//!
//! `container:` is the cgroup's path, a container of containerd under Kubernetes without it; `run:` makes it a local
//! run instead, with `command` and `probe`. `when-gone:` lists the causes that may be named instead when no question is
//! answered (without it: the same ones; `[]`: silence is allowed); `needs-no-look: true` allows certainty even then, when
//! the kernel's record is the proof. The cgroup is made before the first step and removed after the last process
//! ended, unless `stays: true`.

use super::world::World;
use serde::{Deserialize, Deserializer};
use std::path::{Path, PathBuf};
use unready_diagnosis::{
    catalogue::Cause,
    platform::OwnerState,
    pod::{Claim, Pod, PodEvent},
    verdict::{Confidence, Severity, Verdict},
};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    pub cause: Cause,
    pub role: Role,
    pub about: String,
    #[serde(default)]
    pub container: Option<String>,
    #[serde(default)]
    pub run: Option<Run>,
    #[serde(default, deserialize_with = "by_json")]
    pub pod: Option<Pod>,
    #[serde(default, deserialize_with = "by_json")]
    pub owner: Option<OwnerState>,
    #[serde(default)]
    pub events: Vec<PodEvent>,
    #[serde(default)]
    pub claims: Vec<Claim>,
    #[serde(default = "app")]
    pub is_container: String,
    #[serde(default = "yes")]
    pub kernel: bool,
    #[serde(default, rename = "as")]
    pub creds: Option<String>,
    #[serde(default)]
    pub stays: bool,
    #[serde(default)]
    pub world: World,
    pub steps: Vec<String>,
    pub expect: Vec<Expected>,
    #[serde(default)]
    pub when_gone: Option<Vec<Cause>>,
    #[serde(default)]
    pub needs_no_look: bool,
    #[serde(skip)]
    pub file: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    Trigger,
    NearMiss,
    Healthy,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Run {
    pub command: Vec<String>,
    pub probe: Option<String>,
}

/// A verdict, as far as the scenario says anything about it. Texts are substrings, without regard to case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expected {
    pub cause: Cause,
    #[serde(default)]
    pub layer: Option<String>,
    #[serde(default)]
    pub subject: Option<String>,
    #[serde(default = "blocking")]
    pub severity: Severity,
    #[serde(default)]
    pub confidence: Option<Confidence>,
    #[serde(default)]
    pub count: Option<u64>,
    #[serde(default)]
    pub resolved: bool,
    /// Name of the container; empty: the pod as a whole.
    #[serde(default)]
    pub container: Option<String>,
    /// What the patch must contain; `{}`: any patch.
    #[serde(default)]
    pub patch: Option<serde_json::Value>,
    /// There must be no patch.
    #[serde(default)]
    pub no_patch: bool,
    /// What must be done beside the patch.
    #[serde(default, deserialize_with = "one_or_many")]
    pub also: Vec<String>,
    #[serde(default, deserialize_with = "one_or_many")]
    pub summary: Vec<String>,
    #[serde(default, deserialize_with = "one_or_many")]
    pub explanation: Vec<String>,
    #[serde(default, deserialize_with = "one_or_many")]
    pub remedy: Vec<String>,
    #[serde(default, deserialize_with = "one_or_many")]
    pub evidence: Vec<String>,
    /// What must not be said anywhere.
    #[serde(default, deserialize_with = "one_or_many")]
    pub never: Vec<String>,
}

fn app() -> String {
    "app".to_owned()
}

const fn yes() -> bool {
    true
}

const fn blocking() -> Severity {
    Severity::Blocking
}

/// By way of JSON, in which the variants of an enum are maps: `{ claim: { … } }` is as good as YAML's `!claim { … }`.
fn by_json<'de, D: Deserializer<'de>, T: serde::de::DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    let value = untagged(serde_norway::Value::deserialize(deserializer)?);
    serde_json::from_value(value).map(Some).map_err(serde::de::Error::custom)
}

/// A YAML value as JSON, tags as maps of one entry.
pub fn untagged(value: serde_norway::Value) -> serde_json::Value {
    use serde_norway::Value;
    match value {
        Value::Tagged(tagged) => {
            let name = tagged.tag.to_string().trim_start_matches('!').to_owned();
            serde_json::Value::Object([(name, untagged(tagged.value))].into_iter().collect())
        }
        Value::Mapping(map) => {
            let entry = |(key, value): (Value, Value)| Some((key.as_str()?.to_owned(), untagged(value)));
            serde_json::Value::Object(map.into_iter().filter_map(entry).collect())
        }
        Value::Sequence(all) => serde_json::Value::Array(all.into_iter().map(untagged).collect()),
        plain => serde_json::to_value(plain).expect("a plain value"),
    }
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(text) => vec![text],
        OneOrMany::Many(texts) => texts,
    })
}

impl Expected {
    /// What a verdict lacks; empty when it is the one expected.
    pub fn misses(&self, verdict: &Verdict) -> Vec<String> {
        let mut all = Vec::new();
        let mut check = |what: &str, ok: bool, got: &dyn std::fmt::Display| {
            if !ok {
                all.push(format!("{what} is {got}"));
            }
        };
        check("cause", verdict.cause == self.cause, &verdict.cause);
        check("severity", verdict.severity == self.severity, &verdict.severity);
        check("confidence", self.confidence.is_none_or(|wanted| verdict.confidence == wanted), &verdict.confidence);
        check("count", self.count.is_none_or(|wanted| verdict.count == wanted), &verdict.count);
        check("resolved", verdict.resolved_at.is_some() == self.resolved, &verdict.resolved_at.is_some());
        check("subject", self.subject.as_ref().is_none_or(|wanted| verdict.subject.name == *wanted), &verdict.subject.name);
        check("layer", self.layer.as_ref().is_none_or(|wanted| has(&verdict.layer, wanted)), &verdict.layer);
        let container = &verdict.workload.container;
        check("container", self.container.as_ref().is_none_or(|wanted| container == wanted), container);
        let patch = verdict.remedy.patch.as_ref().map(|patch| &patch.body);
        let shown = patch.map_or_else(|| "none".to_owned(), ToString::to_string);
        check("patch", self.patch.as_ref().is_none_or(|wanted| patch.is_some_and(|body| contains(body, wanted))), &shown);
        check("patch", !(self.no_patch && patch.is_some()), &shown);
        let also = verdict.remedy.also.join("\n");
        let explanation = verdict.explanation.join("\n");
        let evidence = verdict.evidence.iter().map(|fact| fact.text.as_str()).collect::<Vec<_>>().join("\n");
        for (what, wanted, got) in [
            ("summary", &self.summary, &verdict.summary),
            ("explanation", &self.explanation, &explanation),
            ("remedy", &self.remedy, &verdict.remedy.text),
            ("evidence", &self.evidence, &evidence),
            ("also", &self.also, &also),
        ] {
            for text in wanted.iter().filter(|text| !has(got, text)) {
                all.push(format!("{what} says nothing of {text:?}: {got:?}"));
            }
        }
        let said = [verdict.summary.as_str(), &explanation, &verdict.remedy.text, &evidence].join("\n");
        all.extend(self.never.iter().filter(|text| has(&said, text)).map(|text| format!("it speaks of {text:?}")));
        all
    }
}

/// Whether a patch holds everything that is wanted of it; lists must hold each wanted element somewhere.
fn contains(body: &serde_json::Value, wanted: &serde_json::Value) -> bool {
    use serde_json::Value;
    match (body, wanted) {
        (Value::Object(body), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| body.get(key).is_some_and(|body| contains(body, wanted)))
        }
        (Value::Array(body), Value::Array(wanted)) => wanted.iter().all(|wanted| body.iter().any(|body| contains(body, wanted))),
        _ => body == wanted,
    }
}

fn has(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

/// All scenarios, or those whose path contains the text of the variable `SCENARIO`.
pub fn load_all() -> Vec<Scenario> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scenarios");
    let mut files: Vec<PathBuf> = entries(&folder).into_iter().filter(|path| path.is_dir()).flat_map(|path| entries(&path)).collect();
    files.sort();
    files.iter().map(|file| load(file)).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let read = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    read.map(|entry| entry.unwrap().path()).collect()
}

fn load(file: &Path) -> Scenario {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut scenario: Scenario = serde_norway::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    file.clone_into(&mut scenario.file);
    scenario
}

impl Scenario {
    /// From text, for tests of their own.
    pub fn parse(text: &str) -> Self {
        serde_norway::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// `<cause>/<name>`.
    pub fn name(&self) -> String {
        let folder = self.file.parent().and_then(Path::file_name).unwrap_or_default();
        format!("{}/{}", folder.to_string_lossy(), self.file.file_stem().unwrap_or_default().to_string_lossy())
    }
}
