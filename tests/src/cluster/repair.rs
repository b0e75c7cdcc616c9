//! Applies what Unready proposes, as it is documented: the line "Apply it with" of `kubectl unready patch`, and the commands
//! of what must be done beside it.

use super::{
    judge,
    kube::{Kube, field, is_ready},
    patience::until,
    workload::Workload,
};
use crate::verdicts::JsonVerdict;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::time::{Duration, Instant};

/// One mistake can hide another: as often may a workload need a further patch.
const ROUNDS: u32 = 3;
/// From the patch until the new pods are ready, or the next mistake shows.
const READY_WITHIN: Duration = Duration::from_secs(40);
/// Old pods take their grace period, and the kubelet's back-off is none of ours.
const GONE_WITHIN: Duration = Duration::from_mins(1);
const APPLY: &str = "# Apply it with: ";

/// What was done.
#[derive(Clone, Debug, Default)]
pub struct Repair {
    /// Command lines, in their order.
    pub typed: Vec<String>,
    /// From the first of them until all was ready.
    pub took: Duration,
}

/// Patches a workload until it is ready; `verdict` is what is said of it now.
pub fn repair(kube: &Kube, workload: &Workload, verdict: &JsonVerdict) -> Result<Repair> {
    let begin = Instant::now();
    let mut repair = Repair::default();
    let mut also = commands(&verdict.remedy.also);
    for round in 0..ROUNDS {
        match proposed(kube, workload) {
            Ok(line) => run(kube, &mut repair, &line)?,
            // The manifest is right, or nothing is wrong any more: what is said is done all the same.
            Err(_) if round > 0 => also = said_now(kube, workload)?,
            Err(error) => return Err(error),
        }
        for command in also.drain(..) {
            run(kube, &mut repair, &command)?;
            scale_up_again(kube, workload, &command, &mut repair)?;
        }
        let ready = until("it to be ready", READY_WITHIN, || Ok(is_up(kube, workload)?.then_some(())));
        if ready.is_ok() || crate::interrupt::requested() {
            repair.took = begin.elapsed();
            return ready.map(|()| repair);
        }
    }
    let pods = kube.kubectl(&["-n", &workload.namespace, "get", "pods", "-l", &workload.selector()])?;
    anyhow::bail!("not ready after {ROUNDS} patches:\n{pods}typed was: {}", repair.typed.join(" ; "))
}

fn run(kube: &Kube, repair: &mut Repair, line: &str) -> Result<()> {
    kube.shell(line)?;
    repair.typed.push(line.to_owned());
    Ok(())
}

/// The commands that are said of the pods that are not ready now.
fn said_now(kube: &Kube, workload: &Workload) -> Result<Vec<String>> {
    let shown = judge::shown(kube, &format!("-n={}", workload.namespace))?;
    let of_workload = shown.iter().filter(|verdict| workload.is_of(verdict));
    Ok(of_workload.take(1).flat_map(|verdict| commands(&verdict.remedy.also)).collect())
}

/// The command line that the patch itself names.
fn proposed(kube: &Kube, workload: &Workload) -> Result<String> {
    let target = match not_ready(kube, workload)?.first() {
        Some(pod) => format!("pod/{}", field(pod, "/metadata/name")),
        None => format!("{}/{}", workload.kind.to_lowercase(), workload.name),
    };
    let text = kube.unready_text(&["patch", &target, "-n", &workload.namespace])?;
    apply_line(&text).with_context(|| format!("no line begins with {APPLY:?}:\n{text}"))
}

pub(super) fn apply_line(text: &str) -> Option<String> {
    text.lines().find_map(|line| line.strip_prefix(APPLY)).map(str::to_owned)
}

/// The commands between backquotes.
pub(super) fn commands(sentences: &[String]) -> Vec<String> {
    let quoted = sentences.iter().flat_map(|sentence| sentence.split('`').skip(1).step_by(2));
    quoted.filter(|text| text.starts_with("kubectl ")).map(str::to_owned).collect()
}

/// "Scale it to 0, and up again after the patch".
fn scale_up_again(kube: &Kube, workload: &Workload, command: &str, repair: &mut Repair) -> Result<()> {
    if !command.ends_with("--replicas=0") {
        return Ok(());
    }
    until("the old pods to go", GONE_WITHIN, || Ok(pods(kube, workload)?.is_empty().then_some(())))?;
    run(kube, repair, &command.replace("--replicas=0", "--replicas=1"))
}

fn pods(kube: &Kube, workload: &Workload) -> Result<Vec<Value>> {
    kube.list(&["pods", "-n", &workload.namespace, "-l", &workload.selector()])
}

fn not_ready(kube: &Kube, workload: &Workload) -> Result<Vec<Value>> {
    let mut pods = pods(kube, workload)?;
    pods.retain(|pod| !is_ready(pod) && pod.pointer("/metadata/deletionTimestamp").is_none());
    // The youngest first: it is the one that the last patch made.
    pods.sort_by(|one, other| field(other, "/metadata/creationTimestamp").cmp(field(one, "/metadata/creationTimestamp")));
    Ok(pods)
}

/// It has pods, all are ready, or have done their work.
pub fn is_up(kube: &Kube, workload: &Workload) -> Result<bool> {
    let pods = pods(kube, workload)?;
    Ok(!pods.is_empty() && pods.iter().all(|pod| is_ready(pod) || field(pod, "/status/phase") == "Succeeded"))
}

/// Waits until several are up; an error names those that are not.
pub fn all_up(kube: &Kube, workloads: &[&Workload], at_most: Duration) -> Result<()> {
    let mut left: Vec<&Workload> = workloads.to_vec();
    let waited = until("the healthy workloads to be ready", at_most, || {
        let mut still = Vec::new();
        for workload in &left {
            if !is_up(kube, workload)? {
                still.push(*workload);
            }
        }
        left = still;
        Ok(left.is_empty().then_some(()))
    });
    let names: Vec<&str> = left.iter().map(|workload| workload.name.as_str()).collect();
    ensure!(names.is_empty(), "not ready: {} ({:#})", names.join(", "), waited.err().unwrap_or_else(|| anyhow::anyhow!("")));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_typed_is_read_from_what_is_said() {
        let text = "# PermissionDenied  a/b  open failed\n# Apply it with: kubectl unready patch pod/b -n a | kubectl patch x\nspec: {}\n";
        assert_eq!(apply_line(text).as_deref(), Some("kubectl unready patch pod/b -n a | kubectl patch x"));
        assert_eq!(apply_line("spec: {}\n"), None);
        let also = ["Not replaced (issue 1): `kubectl -n a delete pod b` after the change; or `Recreate`.".to_owned()];
        assert_eq!(commands(&also), ["kubectl -n a delete pod b"]);
    }
}
