//! The workloads: manifests that say of themselves what is to be said of them.
//!
//! The first object of a file that has the annotation `unready.dev/expect` is the workload; its annotations are:
//!
//! | annotation | meaning |
//! | --- | --- |
//! | `expect` | the cause, or `healthy`: nothing is to be said |
//! | `about` | for people |
//! | `container`, `subject` | of the verdict; in the subject a `*` stands for anything |
//! | `patch` | a patch is proposed that has this word in it, and makes it ready; absent: none is proposed |
//! | `also` | what must be done beside the patch: this word is in a sentence about it |
//! | `beside` | a second cause that is said of the same pod, that of the pod as a whole |
//! | `pod` | `none`: there will be no pod, and the verdict is about the owner |

use super::kube::field;
use anyhow::{Context, Result, ensure};
use serde::Deserialize as _;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

const PREFIX: &str = "unready.dev/";
const HEALTHY: &str = "healthy";

/// A manifest, and what is expected of it.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Its name, which its pods carry as label `app`.
    pub name: String,
    pub namespace: String,
    pub kind: String,
    /// What is the matter with it, for people.
    pub about: String,
    /// All objects of its file.
    pub objects: Vec<Value>,
    /// What must be said; `None`: nothing, and it gets ready or finishes.
    pub expected: Option<Expected>,
}

/// What must be said about a sick workload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    pub cause: String,
    /// The container; empty: the pod as a whole.
    pub container: String,
    /// The subject, with `*` for anything.
    pub subject: String,
    /// A word of the patch that makes it ready.
    pub patch: Option<String>,
    /// A word of what must be done beside it.
    pub also: Option<String>,
    /// A second cause.
    pub beside: Option<String>,
    /// There is no pod to speak about.
    pub without_pod: bool,
}

impl Workload {
    /// `Deployment/orders`, as verdicts name it; a bare pod is owned by nobody.
    pub fn owner(&self) -> String {
        if self.kind == "Pod" { String::new() } else { format!("{}/{}", self.kind, self.name) }
    }

    /// The label of its pods.
    pub fn selector(&self) -> String {
        format!("app={}", self.name)
    }

    /// The same workload in another namespace.
    #[must_use]
    pub fn within(&self, namespace: &str) -> Self {
        let mut other = Self { namespace: namespace.to_owned(), ..self.clone() };
        for object in &mut other.objects {
            object["metadata"]["namespace"] = namespace.into();
        }
        other
    }

    fn read(path: &Path) -> Result<Option<Self>> {
        let objects = objects(&fs::read_to_string(path)?)?;
        let Some(main) = objects.iter().find(|object| !annotation(object, "expect").is_empty()) else { return Ok(None) };
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = field(main, "/metadata/name").to_owned();
        ensure!(stem == name, "it is about {name}: call the file {name}.yaml");
        Ok(Some(Self {
            namespace: field(main, "/metadata/namespace").to_owned(),
            kind: field(main, "/kind").to_owned(),
            about: annotation(main, "about").to_owned(),
            expected: expected(main),
            name,
            objects,
        }))
    }
}

fn expected(main: &Value) -> Option<Expected> {
    let given = |name: &str| Some(annotation(main, name).to_owned()).filter(|value| !value.is_empty());
    let cause = given("expect").filter(|cause| cause != HEALTHY)?;
    Some(Expected {
        cause,
        container: given("container").unwrap_or_default(),
        subject: given("subject").unwrap_or_default(),
        patch: given("patch"),
        also: given("also"),
        beside: given("beside"),
        without_pod: annotation(main, "pod") == "none",
    })
}

fn annotation<'a>(object: &'a Value, name: &str) -> &'a str {
    let all = object.pointer("/metadata/annotations");
    all.and_then(|all| all.get(format!("{PREFIX}{name}"))).and_then(Value::as_str).unwrap_or_default()
}

/// The objects of a file of YAML.
pub fn objects(text: &str) -> Result<Vec<Value>> {
    let documents = serde_norway::Deserializer::from_str(text).map(Value::deserialize);
    let objects: Vec<Value> = documents.collect::<Result<_, _>>().context("no YAML")?;
    Ok(objects.into_iter().filter(|object| !object.is_null()).collect())
}

/// The folder of the manifests.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster/workloads")
}

/// All workloads, the sick ones first, by name.
pub fn all() -> Result<Vec<Workload>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder()).context("the workloads are not there")? {
        let path = entry?.path();
        all.extend(Workload::read(&path).with_context(|| format!("{} cannot be used", path.display()))?);
    }
    all.sort_by_key(|workload| (workload.expected.is_none(), workload.name.clone()));
    Ok(all)
}

/// The namespaces of the workloads.
pub fn namespaces() -> Result<Vec<Value>> {
    objects(&fs::read_to_string(folder().join("00-namespaces.yaml")).context("the namespaces are not there")?)
}

/// Whether a text is what a pattern says, in which `*` stands for anything.
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((beginning, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(beginning) else { return false };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        match left.split_once(part) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    left.ends_with(end)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use std::collections::BTreeSet;
    use unready_diagnosis::catalogue::Cause;

    #[test]
    fn manifests_say_what_is_expected() {
        let all = all().unwrap();
        let causes: BTreeSet<&str> = Cause::ALL.iter().map(|cause| cause.code()).collect();
        let namespaces: Vec<String> = namespaces().unwrap().iter().map(|one| field(one, "/metadata/name").to_owned()).collect();
        for workload in &all {
            assert!(!workload.about.is_empty() && namespaces.contains(&workload.namespace), "{}", workload.name);
            let template = if workload.kind == "Pod" { "/metadata/labels/app" } else { "/spec/template/metadata/labels/app" };
            assert!(workload.objects.iter().any(|object| field(object, template) == workload.name), "{}", workload.name);
            for cause in workload.expected.iter().flat_map(|expected| std::iter::once(&expected.cause).chain(&expected.beside)) {
                assert!(causes.contains(cause.as_str()), "{}: {cause} is no cause", workload.name);
            }
        }
        let sick = all.iter().filter(|workload| workload.expected.is_some()).count();
        assert!(sick >= 14 && all.len() - sick >= 6, "{sick} of {}", all.len());
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text) in [
            ("/a", "/a"),
            ("/a*", "/a"),
            ("/a*", "/a/b"),
            ("*", ""),
            ("*8080", "0.0.0.0:8080"),
            ("/lib*/ld-*", "/lib64/ld-x"),
            ("*b*", "abc"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("/a", "/ab"), ("*8080", "8080 "), ("/lib*/ld-*", "/lib64/l"), ("a*b*c", "acb")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn another_namespace_is_another_namespace_everywhere() {
        let one = all().unwrap().into_iter().find(|workload| workload.objects.len() > 1).unwrap().within("elsewhere");
        assert!(one.objects.iter().all(|object| field(object, "/metadata/namespace") == "elsewhere"));
    }
}
