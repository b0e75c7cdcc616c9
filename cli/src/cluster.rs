//! The cluster behind `kubectl unready`: kubectl's flags for it, its pods, its collector, its Events.
//!
//! - [`target`]: which pods were meant: names, owners, a selector.
//! - [`gather`]: all that is known of what was meant, whoever said it; of that:
//! - [`pods`]: the pods themselves, listed; [`facts`]: each in a line.
//! - [`collector`]: finding the collector and reaching it through the API server.
//! - [`status`]: what the API server alone tells of a pod, for pods of which nobody else has said anything.
//! - [`owners`]: owners that may make no pod, likewise.
//!
//! Nothing is written to the cluster, and nothing is remembered between two calls.

pub(crate) mod collector;
pub(crate) mod facts;
pub(crate) mod gather;
pub(crate) mod owners;
pub(crate) mod pods;
pub(crate) mod status;
pub(crate) mod target;

use crate::time::timeout;
use anyhow::anyhow;
use clap::{Args, ValueHint};
use std::{future::Future, path::PathBuf, time::Duration};
use unready_kubernetes::{
    Client, Error,
    client::{self, Access},
    request_error,
};

/// Which cluster and which part of it, as kubectl's flags of the same names.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct ClusterArgs {
    /// Only this namespace; by default that of the kubeconfig's context
    #[arg(short, long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// All namespaces
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
    /// Context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Kubeconfig file; by default the files of KUBECONFIG, or ~/.kube/config
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// How long an answer of the API server or the collector may take
    #[arg(long, value_name = "D", default_value = "10s", value_parser = timeout)]
    pub(crate) request_timeout: Duration,
    /// Namespace of the collector, if it is not `unready`
    #[arg(long, value_name = "NAMESPACE", env = "UNREADY_COLLECTOR_NAMESPACE")]
    pub(crate) collector_namespace: Option<String>,
}

impl ClusterArgs {
    /// A cluster was named on the command line.
    pub(crate) const fn names_a_cluster(&self) -> bool {
        self.context.is_some() || self.kubeconfig.is_some()
    }

    fn access(&self) -> Access {
        Access { kubeconfig: self.kubeconfig.clone(), context: self.context.clone() }
    }
}

/// A cluster that can be asked.
#[derive(Clone)]
pub(crate) struct Cluster {
    /// The client.
    pub(crate) client: Client,
    /// The namespace that is looked at; `None`: all.
    pub(crate) namespace: Option<String>,
    /// Where the collector is, if the user knows.
    pub(crate) collector_namespace: Option<String>,
    /// For one answer.
    pub(crate) patience: Duration,
}

impl Cluster {
    /// Reads the kubeconfig. Nothing is sent yet.
    pub(crate) async fn connect(args: &ClusterArgs) -> anyhow::Result<Self> {
        rustls_provider();
        let client = client::connect(&args.access()).await?;
        let namespace = args.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
        Ok(Self {
            client,
            namespace: (!args.all_namespaces).then_some(namespace),
            collector_namespace: args.collector_namespace.clone(),
            patience: args.request_timeout,
        })
    }

    /// The namespace as the API is asked for it.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// An answer in time, or why there is none.
    pub(crate) async fn ask<T>(&self, question: impl Future<Output = Result<T, Error>>) -> Result<T, Trouble> {
        match tokio::time::timeout(self.patience, question).await {
            Ok(answer) => answer.map_err(|error| Trouble::Refused(Box::new(error))),
            Err(_) => Err(Trouble::Slow(self.patience)),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The API server refuses, or is away.
    #[error("{}", request_error::clause(.0))]
    Refused(Box<Error>),
    /// It takes too long.
    #[error("the API server has not answered within {}; give it longer with --request-timeout", humantime::format_duration(*.0))]
    Slow(Duration),
}

impl Trouble {
    /// We may not ask that.
    pub(crate) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused(error) if request_error::kind(error) == request_error::Kind::Forbidden)
    }

    /// As kubectl says it where it has a form for it.
    pub(crate) fn to_error(&self) -> anyhow::Error {
        match self {
            Self::Refused(error) if let Some((reason, message)) = request_error::refusal(error) => {
                anyhow!("error from the server ({reason}): {message}")
            }
            Self::Refused(_) | Self::Slow(_) => anyhow!("{self}"),
        }
    }
}

/// TLS needs a provider of cryptography for the whole process, once.
fn rustls_provider() {
    // An error says that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Whether a kubeconfig or a service account is there without being named.
pub(crate) fn is_configured() -> bool {
    let listed = std::env::var_os("KUBECONFIG").is_some_and(|list| !list.is_empty());
    let home = std::env::home_dir().is_some_and(|home| home.join(".kube/config").exists());
    listed || home || client::in_cluster()
}
