//! Patches as text: YAML with comments, JSON, or commands for a shell.
//!
//! `kubectl patch` is the right hand for them, not `kubectl apply --server-side`: the API server takes from an apply what an
//! earlier apply of the same manager had set and this one no longer mentions, so that a second patch would undo the first,
//! and an apply cannot remove a field that somebody else set.

use super::merge::Document;
use crate::render;
use anyhow::Context as _;
use std::fmt::Write as _;
use unready_diagnosis::outside;
use unready_proto::v1::{Patch, Verdict};

/// Verdicts named in the comment of one document.
const NAMED: usize = 5;

/// A YAML document with comments that say what it does and how it is applied; `pipe`: what prints this document alone.
pub(super) fn yaml(document: &Document<'_>, pipe: Option<&str>) -> anyhow::Result<String> {
    let mut text = String::new();
    for verdict in document.verdicts.iter().take(NAMED) {
        comment(&mut text, &format!("{}  {}  {}", verdict.cause, render::workload(verdict), verdict.summary));
    }
    if let Some(more) = document.verdicts.len().checked_sub(NAMED).filter(|more| *more > 0) {
        comment(&mut text, &format!("and {more} more of the same object"));
    }
    for remedy in remedies(document) {
        comment(&mut text, &remedy);
    }
    if let Some(field) = &document.contradiction {
        comment(&mut text, &format!("It has another value for {field} than the patch above: apply one of them, and look again."));
    }
    match pipe {
        Some(pipe) => comment(&mut text, &format!("Apply it with: {pipe} | {}", from_stdin(document))),
        None => comment(&mut text, &format!("Apply it with: {} FILE", through_file(document))),
    }
    Ok(text + &render::yaml_of(&document.body).context("cannot write the patch as YAML")?)
}

/// What to do in words, each sentence once.
fn remedies(document: &Document<'_>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for remedy in document.verdicts.iter().filter_map(|verdict| verdict.remedy.as_ref()) {
        for text in std::iter::once(&remedy.text).chain(&remedy.also) {
            if !text.is_empty() && !all.contains(text) {
                all.push(text.clone());
            }
        }
    }
    all
}

/// A comment in one line: what comes from a cluster must not leave it.
fn comment(text: &mut String, what: &str) {
    let _ = writeln!(text, "# {}", outside::escaped(what.trim_end()));
}

/// One JSON value in a line.
pub(super) fn json(document: &Document<'_>) -> String {
    format!("{}\n", body(document))
}

fn body(document: &Document<'_>) -> String {
    outside::json(document.body.to_string())
}

/// A command line that needs nothing else, with the sentences of the remedy as comments.
pub(super) fn command(document: &Document<'_>) -> String {
    let mut text = String::new();
    for remedy in remedies(document) {
        comment(&mut text, &remedy);
    }
    if let Some(field) = &document.contradiction {
        comment(&mut text, &format!("left out, for it has another value for {field} than the one above:"));
        comment(&mut text, &format!("{} -p {}", target(document), quoted(&body(document))));
        return text;
    }
    let _ = writeln!(text, "{} -p {}", target(document), quoted(&body(document)));
    text
}

/// `kubectl patch deployment orders -n shop --type strategic`.
fn target(document: &Document<'_>) -> String {
    let patch = document.patch;
    let kind = if patch.r#type == "Json" { "json" } else { "strategic" };
    let namespace = if patch.namespace.is_empty() { String::new() } else { format!(" -n {}", quoted(&patch.namespace)) };
    format!("kubectl{} patch {} {}{namespace} --type {kind}", document.flags, quoted(&resource(patch)), quoted(&patch.name))
}

fn through_file(document: &Document<'_>) -> String {
    format!("{} --patch-file", target(document))
}

/// The right-hand side of a pipe.
pub(super) fn from_stdin(document: &Document<'_>) -> String {
    format!("{} /dev/stdin", through_file(document))
}

/// As kubectl's arguments name kinds: the group is told where the word alone may be another group's.
fn resource(patch: &Patch) -> String {
    let kind = patch.kind.to_lowercase();
    match patch.api_version.split_once('/') {
        None | Some(("apps" | "batch", _)) => kind,
        Some((group, version)) => format!("{kind}.{version}.{group}"),
    }
}

/// One word of a POSIX shell. No object has a name with what cannot be seen: escaped, it is found by nobody.
pub(super) fn quoted(word: &str) -> String {
    let word = &*outside::escaped(word);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':');
    if !word.is_empty() && word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// What can be done where no manifest is at fault: one sentence for each verdict.
pub(super) fn otherwise(verdict: &Verdict) -> String {
    let text = verdict.remedy.as_ref().map(|remedy| remedy.text.as_str()).filter(|text| !text.is_empty());
    let also = verdict.remedy.iter().flat_map(|remedy| &remedy.also).fold(String::new(), |all, also| all + " " + also);
    let what = text.unwrap_or("nothing is known to be wrong that a change of the manifest could mend");
    outside::escaped(&format!("{}  {}: {what}{also}", verdict.cause, render::workload(verdict))).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::super::merge::{
        documents,
        tests::{spec, verdict},
    };
    use super::*;
    use serde_json::{Value, json};

    fn fs_group() -> Value {
        spec(json!({ "securityContext": { "fsGroup": 1000 } }))
    }

    #[test]
    fn yaml_says_what_it_does_and_how_it_is_applied() {
        let verdicts =
            [verdict("orders-1", "orders", "StrategicMerge", &fs_group()), verdict("orders-2", "orders", "StrategicMerge", &fs_group())];
        let text = yaml(&documents(&verdicts).unwrap()[0], Some("kubectl unready patch pod/orders-1 -n shop")).unwrap();
        assert_eq!(
            text,
            "\
# PermissionDenied  shop/orders-1/app  open = EACCES
# PermissionDenied  shop/orders-2/app  open = EACCES
# Do it.
# Then wait.
# Apply it with: kubectl unready patch pod/orders-1 -n shop | kubectl patch deployment orders -n shop --type strategic --patch-file /dev/stdin
apiVersion: apps/v1
kind: Deployment
metadata:
  name: orders
  namespace: shop
spec:
  template:
    spec:
      securityContext:
        fsGroup: 1000
"
        );
        assert_eq!(serde_norway::from_str::<Value>(&text).unwrap(), fs_group());
    }

    #[test]
    fn many_replicas_do_not_flood_the_comment() {
        let verdicts: Vec<Verdict> = (0..20).map(|n| verdict(&format!("orders-{n}"), "orders", "StrategicMerge", &fs_group())).collect();
        let text = yaml(&documents(&verdicts).unwrap()[0], None).unwrap();
        assert!(text.contains("# and 15 more of the same object\n# Do it.\n"), "{text}");
        assert!(text.contains("--patch-file FILE\n"), "{text}");
    }

    #[test]
    fn a_comment_stays_a_comment() {
        let mut hostile = verdict("a", "orders", "StrategicMerge", &fs_group());
        hostile.summary = "x\nspec: {}\r\u{1b}".into();
        let text = yaml(&documents(std::slice::from_ref(&hostile)).unwrap()[0], None).unwrap();
        assert_eq!(serde_norway::from_str::<Value>(&text).unwrap(), fs_group());
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn commands_survive_a_shell() {
        let body = json!([{ "op": "add", "path": "/spec/x", "value": "it's $HOME" }]);
        let one = verdict("a", "orders", "Json", &body);
        let text = command(&documents(std::slice::from_ref(&one)).unwrap()[0]);
        let line = text.lines().last().unwrap();
        assert!(line.starts_with("kubectl patch deployment orders -n shop --type json -p '"), "{line}");
        let script = format!("kubectl() {{ for last; do :; done; printf %s \"$last\"; }}\n{text}");
        let said = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&said.stdout).unwrap(), body, "{text}");
    }

    #[test]
    fn contradictions_are_not_run() {
        let user = |id: u32| spec(json!({ "securityContext": { "runAsUser": id } }));
        let verdicts = [1, 2].map(|id| verdict("a", "orders", "StrategicMerge", &user(id)));
        let all: String = documents(&verdicts).unwrap().iter().map(command).collect();
        assert_eq!(all.lines().filter(|line| !line.starts_with('#')).count(), 1, "{all}");
        assert!(all.contains("another value for spec.template.spec.securityContext.runAsUser"), "{all}");
    }

    #[test]
    fn foreign_kinds_are_named_with_their_group() {
        let of =
            |api_version: &str, kind: &str| resource(&Patch { api_version: api_version.into(), kind: kind.into(), ..Patch::default() });
        assert_eq!(of("apps/v1", "StatefulSet"), "statefulset");
        assert_eq!(of("v1", "Pod"), "pod");
        assert_eq!(of("argoproj.io/v1alpha1", "Rollout"), "rollout.v1alpha1.argoproj.io");
    }
}
