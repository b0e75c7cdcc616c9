//! The cluster's demo, and the ring of tests that is made of it.
//!
//! The program `unready-cluster-demo` does both: for people it tells what it does, with `--check` it compares and ends with
//! `N passed, N failed`. It is given a kubeconfig, the folders of the programs and images, and, where the cluster is ours, its
//! state, so that it can import images; `kubectl`, `helm` and `ctr` are first on its PATH.

use super::{Folders, Whose, folders::become_it};
use crate::{
    build::{self, Profile},
    demo, image, options, passed,
    progress::Progress,
    project::{Project, host_triple, root_is_missing},
    setup::{self, Purpose},
    test::{
        Count, counted,
        targets::{self, Needs},
    },
};
use anyhow::{Context as _, Result, bail};
use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const PROGRESS: Progress = Progress::new("cluster");
const PROGRAM: &str = "unready-cluster-demo";
/// Where kubectl and Helm keep what they remember of a cluster: it goes when the cluster goes.
const REMEMBERED: &[(&str, &str)] =
    &[("KUBECACHEDIR", "kubectl"), ("HELM_CACHE_HOME", "helm/cache"), ("HELM_CONFIG_HOME", "helm/config"), ("HELM_DATA_HOME", "helm/data")];

#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(super) struct Arguments {
    /// Passed on to the demo; `--help` lists what it takes
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// `cargo xtask cluster demo`.
pub(super) fn run(project: &Project, place: &Folders, whose: &Whose, arguments: &Arguments) -> Result<()> {
    let about = "Shows in a cluster why its pods are not ready, and repairs them";
    let options: options::ClusterDemo = passed::check("cargo xtask cluster demo", about, &arguments.rest);
    // What is measured and written down is what is shipped.
    let profile = if options.measure.is_some() { Profile::Release } else { Profile::Dev };
    if let (Whose::Ours, Some(reason)) = (whose, root_is_missing("cluster demo")) {
        bail!("{reason}");
    }
    whose.say();
    bring_up(project, place, whose)?;
    become_it(prepare(project, place, whose, profile)?.args(&arguments.rest))
}

/// What keeps the ring from running: only our own cluster needs root.
pub(crate) fn obstacle(project: &Project) -> Option<String> {
    let place = Folders::of(project).ok()?;
    (Whose::by_environment(&place) == Whose::Ours).then(|| root_is_missing("test --ring cluster"))?
}

/// The ring: facts about the cluster, then the demo, compared. What was not up before is taken away again.
pub(crate) fn test(project: &Project) -> Result<Count> {
    let place = Folders::of(project)?;
    let whose = Whose::by_environment(&place);
    whose.say();
    let stays = whose != Whose::Ours || place.is_up();
    let count = bring_up(project, &place, &whose).and_then(|()| check(project, &place, &whose));
    if !stays {
        if !count.as_ref().is_ok_and(|count| count.failed == 0) {
            keep_logs(&place.state.join("log"), &project.target.join("cluster-logs"))?;
        }
        finished(&mut place.script("down"), "the cluster could not be taken down")?;
    }
    count
}

fn bring_up(project: &Project, place: &Folders, whose: &Whose) -> Result<()> {
    match whose {
        Whose::Ours => {
            setup::ensure(project, Purpose::Cluster)?;
            PROGRESS.open_step("up", || finished(&mut place.script("up"), "the cluster could not be started"))
        }
        // Whoever has a cluster need not be able to build one; the workloads are those of the demo.
        Whose::Yours(_) => setup::ensure(project, Purpose::Demo),
    }
}

fn check(project: &Project, place: &Folders, whose: &Whose) -> Result<Count> {
    let mut total = Count::default();
    if *whose == Whose::Ours {
        total += passed_and_failed(place.facts())?;
    }
    let mut demo = prepare(project, place, whose, Profile::Dev)?;
    demo.arg("--check");
    total += passed_and_failed(demo)?;
    total += crates(project, place, whose)?;
    Ok(total)
}

/// The tests that need a cluster: of the crates, and of the chart, its permissions and the dashboard, with the images that the demo
/// has brought.
fn crates(project: &Project, place: &Folders, whose: &Whose) -> Result<Count> {
    let programs = build::programs(project, Profile::Dev, &["unready"])?;
    let workloads = build::statics(project, Profile::Dev, &host_triple(&project.sh)?);
    targets::run(project, PROGRESS, Needs::Cluster, |command| {
        match whose {
            Whose::Ours => {
                ours(command, place)?;
                command.env("UNREADY_CLUSTER", place.kubeconfig()).env("UNREADY_CLUSTER_STATE", &place.state);
            }
            Whose::Yours(kubeconfig) => {
                yours(command, place, kubeconfig)?;
                command.env("UNREADY_CLUSTER", kubeconfig);
            }
        }
        command.env("UNREADY_BIN_DIR", &programs).env("UNREADY_WORKLOADS_DIR", &workloads);
        Ok(())
    })
}

/// Runs something that ends with `N passed, N failed`.
fn passed_and_failed(command: Command) -> Result<Count> {
    let name = command.get_program().display().to_string();
    let (count, ok) = counted(command, Count::of_summary_line)?;
    match (ok, count) {
        (true, Count { passed: 0, failed: 0 }) => bail!("{name} did not say how many of its checks passed"),
        (false, Count { failed: 0, passed }) => Ok(Count { passed, failed: 1 }),
        (_, count) => Ok(count),
    }
}

/// Build and images; returns the demo, ready to be started.
fn prepare(project: &Project, place: &Folders, whose: &Whose, profile: Profile) -> Result<Command> {
    let mut command = demo::build(project, profile, PROGRAM)?;
    command.arg("--images").arg(image::of_this_machine(project, profile)?);
    match whose {
        Whose::Ours => with_ours(&mut command, place)?,
        Whose::Yours(kubeconfig) => with_yours(&mut command, place, kubeconfig)?,
    }
    Ok(command)
}

fn with_ours(command: &mut Command, place: &Folders) -> Result<()> {
    command.arg("--kubeconfig").arg(place.kubeconfig()).arg("--state").arg(&place.state);
    ours(command, place)
}

/// Our cluster's tools and kubeconfig.
fn ours(command: &mut Command, place: &Folders) -> Result<()> {
    finished(place.script("build").arg("helm"), "Helm could not be built")?;
    let state = &place.state;
    command.env("PATH", first_on_path(&[state.join("bin")])?).env("KUBECONFIG", place.kubeconfig());
    command.envs(REMEMBERED.iter().map(|(variable, folder)| (variable, state.join(folder))));
    Ok(())
}

fn with_yours(command: &mut Command, place: &Folders, kubeconfig: &Path) -> Result<()> {
    command.arg("--kubeconfig").arg(kubeconfig);
    yours(command, place, kubeconfig)
}

/// The tools for your cluster.
fn yours(command: &mut Command, place: &Folders, kubeconfig: &Path) -> Result<()> {
    let tools = [place.program("kubectl")?, place.program("helm")?];
    let folders: Vec<PathBuf> = tools.iter().filter_map(|tool| tool.parent()).map(Path::to_owned).collect();
    command.env("PATH", first_on_path(&folders)?).env("KUBECONFIG", kubeconfig);
    Ok(())
}

/// PATH, with other folders before it.
fn first_on_path(folders: &[PathBuf]) -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::join_paths(folders.iter().cloned().chain(env::split_paths(&path)))
        .context("a folder with a colon in its name cannot be on the PATH")
}

fn finished(command: &mut Command, otherwise: &'static str) -> Result<()> {
    let status = command.status().with_context(|| format!("{} cannot be started", command.get_program().display()))?;
    if !status.success() {
        bail!("{otherwise} ({status}); the reason is above");
    }
    Ok(())
}

/// The daemons' logs outlive a cluster that is taken away after a failure.
fn keep_logs(from: &Path, to: &Path) -> Result<()> {
    if !from.exists() {
        return Ok(());
    }
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name())).with_context(|| format!("cannot keep {}", entry.path().display()))?;
    }
    PROGRESS.say(format_args!("the logs of its daemons are kept in {}", to.display()));
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may end on the first surprise")]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn checks_count_by_their_summary_and_their_status() {
        let count = |script| passed_and_failed(shell(script));
        assert_eq!(count("echo ok; echo 3 passed, 0 failed").unwrap(), Count { passed: 3, failed: 0 });
        assert_eq!(count("echo 3 passed, 2 failed; exit 1").unwrap(), Count { passed: 3, failed: 2 });
        assert_eq!(count("echo 3 passed, 0 failed; exit 1").unwrap(), Count { passed: 3, failed: 1 }, "it failed after its count");
        assert_eq!(count("exit 1").unwrap(), Count { passed: 0, failed: 1 });
        assert!(count("true").is_err(), "nothing was checked");
    }

    #[test]
    fn the_clusters_tools_come_first() {
        let path = first_on_path(&[PathBuf::from("/cluster/bin")]).unwrap();
        assert_eq!(env::split_paths(&path).next(), Some(PathBuf::from("/cluster/bin")));
        assert!(env::split_paths(&path).count() > 1);
        assert!(first_on_path(&[PathBuf::from("/a:b")]).is_err());
    }

    #[test]
    fn logs_outlive_the_cluster() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("log"), folder.path().join("kept"));
        keep_logs(&from, &to).unwrap();
        assert!(!to.exists());
        fs::create_dir(&from).unwrap();
        fs::write(from.join("kubelet.log"), "the reason").unwrap();
        keep_logs(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("kubelet.log")).unwrap(), "the reason");
    }
}
