//! The flags about the cluster.

use clap::{Args, ValueEnum};
use std::path::PathBuf;
use unready_kubernetes::client::{self, Access};

/// See the module's head.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Kubernetes")]
pub struct KubernetesArgs {
    /// Follow the pods of this node: auto does when it runs in a pod, or when --kubeconfig or --context is given
    #[arg(long, value_enum, default_value_t = Follow::Auto)]
    pub kubernetes: Follow,
    /// The cluster, as kubectl knows it [default: the pod's service account, else KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig other than the current one
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Put verdicts onto their pods as Events
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub events: Switch,
}

/// Whether pods are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Follow {
    /// When it makes sense
    Auto,
    /// Yes
    On,
    /// No
    Off,
}

/// Whether something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Yes
    On,
    /// No
    Off,
}

impl KubernetesArgs {
    /// How to get to the cluster; `None`: none is wanted.
    pub fn access(&self) -> Option<Access> {
        self.access_when(client::in_cluster())
    }

    fn access_when(&self, in_pod: bool) -> Option<Access> {
        let is_named = self.kubeconfig.is_some() || self.context.is_some();
        let wanted = match self.kubernetes {
            Follow::Auto => is_named || in_pod,
            Follow::On => true,
            Follow::Off => false,
        };
        wanted.then(|| Access { kubeconfig: self.kubeconfig.clone(), context: self.context.clone() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        args: KubernetesArgs,
    }

    fn access(flags: &[&str], in_pod: bool) -> Option<Access> {
        Program::try_parse_from(["agent"].iter().chain(flags)).unwrap().args.access_when(in_pod)
    }

    #[test]
    fn a_pod_or_a_name_makes_it_follow() {
        assert_eq!(access(&[], false), None);
        assert_eq!(access(&[], true), Some(Access::default()));
        assert_eq!(access(&["--kubernetes=off", "--kubeconfig=/k"], true), None);
        assert_eq!(access(&["--kubernetes=on"], false), Some(Access::default()));
        assert_eq!(access(&["--kubeconfig=/k"], false), Some(Access { kubeconfig: Some("/k".into()), context: None }));
        assert_eq!(access(&["--context=c"], false), Some(Access { kubeconfig: None, context: Some("c".into()) }));
    }
}
