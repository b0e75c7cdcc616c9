//! Which cluster, and how to get there: kubectl's rules for kubeconfig files, or the service account of the pod that we are.
//!
//! In this order: a file or context that was named; the files of `KUBECONFIG`; the pod's service account; `~/.kube/config`.
//! Nothing is sent to the server here: whether it answers shows with the first request ([`crate::request_error`] has the words).

use crate::request_error::innermost;
use kube::{
    Client, Config,
    config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

/// Where the kubelet mounts a pod's credentials (`pkg/serviceaccount` of Kubernetes; the same path since 1.0).
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// A server that takes longer to accept a connection is away.
const CONNECT: Duration = Duration::from_secs(5);

/// What the user named. Default: nothing, the rules of this module's head decide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// `--kubeconfig`.
    pub kubeconfig: Option<PathBuf>,
    /// `--context`.
    pub context: Option<String>,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Neither kubeconfig nor service account.
    #[error("no cluster is known: name one with --kubeconfig FILE or KUBECONFIG, or write ~/.kube/config")]
    NoCluster,
    /// A kubeconfig file cannot be used.
    #[error("the kubeconfig {} cannot be used: {reason}; check it with `kubectl config view`", path.display())]
    Kubeconfig {
        /// The file; of several, the first.
        path: PathBuf,
        reason: String,
    },
    /// The context does not exist.
    #[error("there is no context {name:?} in the kubeconfig {}: `kubectl config get-contexts` lists them", path.display())]
    NoContext {
        name: String,
        /// The file; of several, the first.
        path: PathBuf,
    },
    /// No context was named.
    #[error("the kubeconfig {} has no current context: name one with --context, or set it with `kubectl config use-context`", .0.display())]
    NoCurrentContext(PathBuf),
    /// The pod's service account cannot be used.
    #[error("the pod's service account cannot be used: {0}; is automountServiceAccountToken false?")]
    InCluster(String),
    /// The client cannot be built from the configuration.
    #[error("the client for the API server cannot be set up: {0}; check certificates and keys of the kubeconfig")]
    Client(String),
}

/// A client for the cluster. Nothing is sent yet.
pub async fn connect(access: &Access) -> Result<Client, ConnectError> {
    let mut config = configuration(access).await?;
    config.connect_timeout = Some(CONNECT);
    Client::try_from(config).map_err(|error| ConnectError::Client(innermost(&error)))
}

/// The configuration for the cluster, for those who need more than a client (its namespace, its server's address).
pub async fn configuration(access: &Access) -> Result<Config, ConnectError> {
    match source(access) {
        Source::Files(paths) => from_files(&paths, access.context.as_deref()).await,
        Source::Pod => Config::incluster().map_err(|error: InClusterError| ConnectError::InCluster(error.to_string())),
        Source::None => Err(ConnectError::NoCluster),
    }
}

/// The contexts of this file, or of those that kubectl would read.
pub fn contexts(kubeconfig: Option<&Path>) -> Vec<String> {
    let config = kubeconfig.map_or_else(Kubeconfig::read, Kubeconfig::read_from);
    config.map(|config| config.contexts.into_iter().map(|context| context.name).collect()).unwrap_or_default()
}

/// Whether this process runs in a pod that may speak to its API server.
pub fn in_cluster() -> bool {
    env::var_os("KUBERNETES_SERVICE_HOST").is_some() && Path::new(SERVICE_ACCOUNT).join("token").exists()
}

#[derive(Debug, PartialEq, Eq)]
enum Source {
    Files(Vec<PathBuf>),
    Pod,
    None,
}

fn source(access: &Access) -> Source {
    let list = env::var_os("KUBECONFIG").map(|list| env::split_paths(&list).collect()).unwrap_or_default();
    let home = env::home_dir().map(|home| home.join(".kube/config"));
    choose(access, list, in_cluster(), home.filter(|path| path.exists()))
}

fn choose(access: &Access, list: Vec<PathBuf>, in_pod: bool, home: Option<PathBuf>) -> Source {
    if let Some(path) = &access.kubeconfig {
        return Source::Files(vec![path.clone()]);
    }
    let list: Vec<_> = list.into_iter().filter(|path| !path.as_os_str().is_empty()).collect();
    match home {
        _ if !list.is_empty() => Source::Files(list),
        _ if in_pod && access.context.is_none() => Source::Pod,
        Some(home) => Source::Files(vec![home]),
        None => Source::None,
    }
}

async fn from_files(paths: &[PathBuf], context: Option<&str>) -> Result<Config, ConnectError> {
    let first = paths.first().cloned().unwrap_or_default();
    let kubeconfig = read(paths)?;
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| explain(error, first))
}

/// As client-go merges: a list may name files that are not there, a single file may not.
fn read(paths: &[PathBuf]) -> Result<Kubeconfig, ConnectError> {
    let existing: Vec<_> = if paths.len() > 1 { paths.iter().filter(|path| path.exists()).collect() } else { paths.iter().collect() };
    if existing.is_empty() {
        return Err(ConnectError::NoCluster);
    }
    existing.into_iter().try_fold(Kubeconfig::default(), |merged, path| {
        let wrong = |error| unusable(&error, path.clone());
        merged.merge(Kubeconfig::read_from(path).map_err(wrong)?).map_err(wrong)
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's other errors have their own words, also those to come")]
fn explain(error: KubeconfigError, path: PathBuf) -> ConnectError {
    match error {
        KubeconfigError::CurrentContextNotSet => ConnectError::NoCurrentContext(path),
        KubeconfigError::LoadContext(name) if name.is_empty() => ConnectError::NoCurrentContext(path),
        KubeconfigError::LoadContext(name) => ConnectError::NoContext { name, path },
        error => unusable(&error, path),
    }
}

/// The library's own sentences name the path again.
fn unusable(error: &KubeconfigError, path: PathBuf) -> ConnectError {
    let reason = if let KubeconfigError::ReadConfig(reason, _) = error { reason.to_string() } else { error.to_string() };
    ConnectError::Kubeconfig { path, reason }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn path(text: &str) -> PathBuf {
        PathBuf::from(text)
    }

    #[test]
    fn what_is_named_goes_before_what_is_there() {
        let named = Access { kubeconfig: Some(path("/n")), context: None };
        let context = Access { kubeconfig: None, context: Some("x".into()) };
        let none = Access::default();
        let home = || Some(path("/h"));
        assert_eq!(choose(&named, vec![path("/a")], true, home()), Source::Files(vec![path("/n")]));
        assert_eq!(choose(&none, vec![path("/a"), path(""), path("/b")], true, home()), Source::Files(vec![path("/a"), path("/b")]));
        assert_eq!(choose(&none, vec![path("")], true, home()), Source::Pod, "an empty KUBECONFIG is none");
        assert_eq!(choose(&context, vec![], true, home()), Source::Files(vec![path("/h")]), "a service account has no contexts");
        assert_eq!(choose(&none, vec![], false, home()), Source::Files(vec![path("/h")]));
        assert_eq!(choose(&none, vec![], false, None), Source::None);
    }

    const CONFIG: &str = "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
        clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n\
        users: [{name: u, user: {token: t}}]\n\
        contexts: [{name: a, context: {cluster: c, user: u, namespace: shop}}]\n";

    async fn error(files: &[(&str, &str)], list: &[&str], context: Option<&str>) -> Result<String, String> {
        let place = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(place.path().join(name), text).unwrap();
        }
        let paths: Vec<_> = list.iter().map(|name| place.path().join(name)).collect();
        let shown = |error: ConnectError| error.to_string().replace(&format!("{}/", place.path().display()), "");
        from_files(&paths, context).await.map(|config| config.default_namespace).map_err(shown)
    }

    #[tokio::test]
    async fn each_error_says_what_to_do() {
        let good = [("good", CONFIG)];
        assert_eq!(error(&good, &["good"], None).await, Ok("shop".into()));
        assert_eq!(error(&good, &["absent", "good"], None).await, Ok("shop".into()), "a list may name absent files");
        assert!(error(&good, &["absent"], None).await.unwrap_err().contains("kubeconfig absent cannot be used: No such file"));
        let unknown = error(&good, &["good"], Some("b")).await.unwrap_err();
        assert!(unknown.contains("no context \"b\"") && unknown.contains("get-contexts"), "{unknown}");
        let currentless = CONFIG.replace("current-context: a\n", "");
        assert!(error(&[("x", &currentless)], &["x"], None).await.unwrap_err().contains("use-context"));
        assert!(error(&[("x", "clusters: 3")], &["x"], None).await.unwrap_err().contains("kubectl config view"));
    }
}
