//! `cargo xtask manifests`: deploy/manifests/unready.yaml, the chart with its defaults for those without Helm.
//!
//! It is what `helm template` gives, without the labels that say it came by Helm, and with the namespace before it: what is
//! not installed by Helm has nobody else to make one.

use crate::{cluster, progress::Progress, project::Project};
use anyhow::{Context as _, Result, bail};
use std::{fs, path::Path};
use xshell::cmd;

const PROGRESS: Progress = Progress::new("deploy");
const CHART: &str = "deploy/helm/unready";
/// What is made of it.
pub(crate) const MANIFESTS: &str = "deploy/manifests/unready.yaml";
/// Labels of Helm's own.
const HELMS: [&str; 2] = ["helm.sh/chart: ", "app.kubernetes.io/managed-by: "];
const HEAD: &str = "\
# Unready in the namespace `unready`, with the defaults of the chart in deploy/helm/unready. Made by `cargo xtask manifests`.
#
#   kubectl apply -f unready.yaml
apiVersion: v1
kind: Namespace
metadata:
  name: unready
  labels:
    # The agent has hostPID and hostPath volumes, which Pod Security forbids below `privileged`. Its container is not privileged.
    pod-security.kubernetes.io/enforce: privileged
";

pub(crate) fn run(project: &Project) -> Result<()> {
    let helm = cluster::program(project, "helm")?;
    let text = PROGRESS.step(MANIFESTS, || {
        let text = render(project, &helm)?;
        let path = project.root.join(MANIFESTS);
        fs::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
        anyhow::Ok(text)
    })?;
    PROGRESS.say(format_args!("{} objects", objects(&text)));
    Ok(())
}

/// What the file should hold.
pub(crate) fn render(project: &Project, helm: &Path) -> Result<String> {
    let sh = &project.sh;
    let rendered = cmd!(sh, "{helm} template unready {CHART} --namespace unready --skip-tests").quiet().read();
    let rendered = rendered.context("`helm template` failed; the reason is above")?;
    let text = format!("{HEAD}{}", without_helm(&rendered));
    if objects(&text) < 2 {
        bail!("`helm template` made nothing of {CHART}");
    }
    Ok(text)
}

fn without_helm(rendered: &str) -> String {
    let own = rendered.lines().filter(|line| !HELMS.iter().any(|label| line.trim_start().starts_with(label)));
    own.flat_map(|line| [line.trim_end(), "\n"]).collect()
}

fn objects(text: &str) -> usize {
    text.lines().filter(|line| line.starts_with("kind: ")).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helms_own_labels_go() {
        let rendered = "---\nkind: A\n  labels:\n    app.kubernetes.io/managed-by: Helm\n    helm.sh/chart: unready-0.1.0\n    app.kubernetes.io/name: unready\n";
        assert_eq!(without_helm(rendered), "---\nkind: A\n  labels:\n    app.kubernetes.io/name: unready\n");
    }
}
