//! `cargo xtask cluster`: a real single-node Kubernetes on this machine, and what is done with it.
//!
//! ```text
//!   set-up ─► tests/cluster/cluster.sh up ─► kubeconfig ─► kubectl, helm, demo, the ring `cluster`
//!             builds cached by version          ▲
//!                                        or KUBECONFIG: your own
//! ```
//!
//! The work is done by `tests/cluster/cluster.sh`; here it gets what it needs, and its folders. Where `KUBECONFIG` names
//! another cluster, what only needs *a* cluster uses that one and says so; what makes or changes the machine's own refuses.

mod demo;
mod folders;

use crate::{
    project::{Project, root_is_missing},
    setup::{self, Purpose},
};
use anyhow::{Result, bail};
pub(crate) use demo::{obstacle, test};
use folders::{Folders, Whose, become_it};
use std::{ffi::OsString, path::PathBuf};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Build what is missing, start the node and wait until it is Ready
    Up,
    /// Stop it and take away all that it made; the builds stay cached
    Down,
    /// Import images: docker- or OCI-archives
    Load {
        /// Archives
        #[arg(required = true, value_name = "FILE")]
        archives: Vec<PathBuf>,
    },
    /// kubectl, as cluster-admin
    Kubectl(Passed),
    /// Helm
    Helm(Passed),
    /// containerd's own command, in the namespace of Kubernetes
    Ctr(Passed),
    /// Print the path of the kubeconfig
    Kubeconfig,
    /// What runs, how much memory it takes, the node and its pods; exit status 1 when it is not up
    Status,
    /// Print the log of a daemon: kubelet, containerd, kube-apiserver, …
    Logs {
        /// The daemon
        name: String,
    },
    /// End a daemon, as a crash would
    Stop {
        /// The daemon
        name: String,
    },
    /// Start a daemon that was stopped
    Start {
        /// The daemon
        name: String,
    },
    /// Only build: kube, containerd, runc, coredns and images, or what is named (also helm)
    Build {
        /// Parts
        names: Vec<String>,
    },
    /// See that pods behave as in production
    Facts,
    /// Install Unready by its chart, create workloads that do not come up, explain and repair them
    Demo(demo::Arguments),
}

/// For commands without arguments.
const NOTHING: [OsString; 0] = [];

/// Arguments of another program, its `--help` too.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
struct Passed {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    rest: Vec<OsString>,
}

/// The command. It becomes the process that does the work, so that signals and exit status are that one's.
pub(crate) fn run(project: &Project, arguments: Arguments) -> Result<()> {
    let folders = Folders::of(project)?;
    let whose = Whose::by_environment(&folders);
    match arguments.command {
        Command::Up => up(project, &folders, &whose),
        Command::Down => own(&folders, &whose, "down", NOTHING),
        Command::Load { archives } => own(&folders, &whose, "load", archives),
        Command::Ctr(passed) => own(&folders, &whose, "ctr", passed.rest),
        Command::Status => own(&folders, &whose, "status", NOTHING),
        Command::Logs { name } => own(&folders, &whose, "logs", [name]),
        Command::Stop { name } => own(&folders, &whose, "stop", [name]),
        Command::Start { name } => own(&folders, &whose, "start", [name]),
        Command::Facts => {
            whose.must_be_ours("facts")?;
            become_it(&mut folders.facts())
        }
        Command::Build { names } => {
            setup::ensure(project, Purpose::Cluster)?;
            become_it(folders.script("build").args(names))
        }
        Command::Kubectl(passed) => become_it(folders.tool("kubectl", &whose)?.args(passed.rest)),
        Command::Helm(passed) => become_it(folders.tool("helm", &whose)?.args(passed.rest)),
        Command::Kubeconfig => kubeconfig(&folders, &whose),
        Command::Demo(arguments) => demo::run(project, &folders, &whose, &arguments),
    }
}

/// kubectl or Helm: on the PATH, or built.
pub(crate) fn program(project: &Project, name: &str) -> Result<PathBuf> {
    Folders::of(project)?.program(name)
}

/// Helm, where it is on the PATH or was built; nothing is built for it.
pub(crate) fn helm_if_there(project: &Project) -> Option<PathBuf> {
    Folders::of(project).ok()?.helm_if_there()
}

fn up(project: &Project, folders: &Folders, whose: &Whose) -> Result<()> {
    whose.must_be_ours("up")?;
    if let Some(reason) = root_is_missing("cluster up") {
        bail!("{reason}");
    }
    setup::ensure(project, Purpose::Cluster)?;
    become_it(&mut folders.script("up"))
}

/// What is about the cluster of this machine and no other.
fn own<T: Into<OsString>>(folders: &Folders, whose: &Whose, command: &str, rest: impl IntoIterator<Item = T>) -> Result<()> {
    whose.must_be_ours(command)?;
    become_it(folders.script(command).args(rest.into_iter().map(Into::into)))
}

fn kubeconfig(folders: &Folders, whose: &Whose) -> Result<()> {
    whose.say();
    match whose {
        Whose::Yours(path) => println!("{}", path.display()),
        Whose::Ours if folders.is_up() => {
            println!("{}", folders.kubeconfig().display());
            eprintln!("cluster: for other programs: export KUBECONFIG=\"$(cargo xtask cluster kubeconfig)\"");
        }
        Whose::Ours => bail!("the cluster is not up: `cargo xtask cluster up` starts it"),
    }
    Ok(())
}
