//! The flags, and which of them go together.
//!
//! Without flags it is one port on the loopback, in the clear, for agents and queries: a single machine. What leaves the
//! machine has TLS, or is asked for by name.

use clap::Parser;
use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf, str::FromStr, time::Duration};
use tracing_subscriber::EnvFilter;
use unready_collector::{ingest::identity::ServiceAccount, store::Keep};
use unready_kubernetes::client::Access;
use unready_transport::tls::ClientName;

/// Where queries are answered when agents have a port of their own.
const QUERY: &str = "127.0.0.1:50052";
/// Less is spent on handshakes, more is as good as for ever.
const AGES: RangeInclusive<Duration> = Duration::from_secs(30)..=Duration::from_hours(24);

/// Receives verdicts from agents, keeps them, and answers `unready get`. In a cluster it also says why pods get no node and
/// owners no pods
#[derive(Debug, Parser)]
#[command(name = "unready-collector", version)]
pub(crate) struct Args {
    /// Address and port for agents. Without --tls and --query it answers queries too
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:50051")]
    pub listen: SocketAddr,
    /// Address and port for queries, in the clear [default: that of --listen on a loopback without TLS, else 127.0.0.1:50052].
    /// `kubectl unready` comes in by a port-forward, which reaches the pod's loopback and needs the right to pods/portforward
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub query: Option<SocketAddr>,
    /// Address and port for /metrics, /livez and /readyz, in the clear [default: none]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub metrics: Option<SocketAddr>,
    /// File that holds verdicts and starts (`SQLite`); made when it does not exist
    #[arg(long, value_name = "PATH", default_value = "unready.db")]
    pub database: PathBuf,
    /// Verdicts to keep; resolved ones go first, then the oldest
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub keep: u64,
    /// Starts of containers to keep, healthy ones too, for `kubectl unready timeline`: some 2 KiB each. Those of which nothing was heard for
    /// longest go first
    #[arg(long, value_name = "NUMBER", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub keep_starts: u64,
    /// How long a start is kept after the last word of it, 1m to 1y
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = retention)]
    pub keep_starts_for: Duration,
    /// What to log to stderr, e.g. warn, debug, or `unready_collector=debug`
    #[arg(long, value_name = "FILTER", default_value = "info,kube_client=off")]
    pub log: EnvFilter,

    /// Encryption towards agents: `self-signed` makes a certificate at the start, a directory holds tls.crt and tls.key, and with a
    /// ca.crt beside them agents must show a certificate that it signed. Changed files are used for new connections, a changed or new
    /// ca.crt for new streams of old connections too
    #[arg(long, value_name = "self-signed|DIRECTORY", help_heading = "Agents", conflicts_with = "plaintext")]
    pub tls: Option<Tls>,
    /// Name by which agents reach this collector, for the self-signed certificate; repeat for several
    #[arg(long, value_name = "NAME", help_heading = "Agents")]
    pub tls_name: Vec<String>,
    /// `ConfigMap` in which the self-signed certificate's authority is published for agents (their --collector-ca)
    #[arg(long, value_name = "NAMESPACE/NAME", help_heading = "Agents", requires = "tls")]
    pub publish_ca: Option<ObjectName>,
    /// Service account whose token agents must show, judged by the API server; repeat for several
    #[arg(long, value_name = "NAMESPACE/NAME", help_heading = "Agents", conflicts_with = "plaintext")]
    pub agents: Vec<ServiceAccount>,
    /// Audience that agents' tokens must be made for
    #[arg(long, value_name = "NAME", default_value = "unready-collector", help_heading = "Agents")]
    pub audience: String,
    /// DNS name that an agent's certificate must carry, where one is demanded [default: whatever ca.crt signed is an agent's]. With an
    /// authority that signs for others too, their certificates are refused
    #[arg(long, value_name = "NAME", help_heading = "Agents", requires = "tls")]
    pub agent_name: Option<ClientName>,
    /// How long a stream with --tls or --agents lasts before its agent must show again what is demanded then, 30s to 24h: a random time
    /// between half of this and all of it, and never beyond the token's or the certificate's end. The agent goes on at once on another
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = stream_age, help_heading = "Agents")]
    pub stream_age: Duration,
    /// Listen in the clear beyond the loopback, to whoever connects: on a network that you trust
    #[arg(long, help_heading = "Agents")]
    pub plaintext: bool,

    /// Watch what has no node: pods that are not scheduled, and owners that may make no pods
    #[arg(long, help_heading = "Cluster")]
    pub cluster: bool,
    /// Lease by which one of several collectors watches the cluster; without it this one always does
    #[arg(long, value_name = "NAMESPACE/NAME", help_heading = "Cluster", requires = "cluster")]
    pub lease: Option<ObjectName>,
    /// Name of this collector among its replicas: holder of the lease, key of its authority [default: the host's name, which is the pod's]
    #[arg(long, value_name = "NAME", env = "POD_NAME", help_heading = "Cluster")]
    pub identity: Option<String>,
    /// File that says how to reach the API server [default: KUBECONFIG, the pod's service account, or ~/.kube/config]
    #[arg(long, value_name = "FILE", help_heading = "Cluster")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of that file
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    pub context: Option<String>,
}

/// What is kept for less is gone before anybody asks.
const RETENTIONS: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(366 * 24);

fn retention(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| format!("{error}; write a time such as 7d"))?;
    if RETENTIONS.contains(&time) { Ok(time) } else { Err("write a time from 1m to 1y".to_owned()) }
}

/// Encryption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    /// A certificate made at the start.
    SelfSigned,
    /// From files.
    Directory(PathBuf),
}

impl FromStr for Tls {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == "self-signed" { Self::SelfSigned } else { Self::Directory(text.into()) })
    }
}

/// An object of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ObjectName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl FromStr for ObjectName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err("write NAMESPACE/NAME".to_owned()),
        }
    }
}

fn stream_age(text: &str) -> Result<Duration, String> {
    let age = humantime::parse_duration(text).map_err(|error| format!("{error}; write a time such as 30m"))?;
    if AGES.contains(&age) { Ok(age) } else { Err("write a time from 30s to 24h".to_owned()) }
}

impl Args {
    /// Where queries are answered; `None`: on the agents' port.
    pub(crate) fn query_port(&self) -> Option<SocketAddr> {
        let shared = self.tls.is_none() && self.agents.is_empty() && self.listen.ip().is_loopback();
        match self.query {
            Some(query) => (!self.is_shared(query)).then_some(query),
            None if shared => None,
            None => QUERY.parse().ok(),
        }
    }

    /// It is the agents' port. (Port 0 is one of the system's choice, another each time.)
    fn is_shared(&self, query: SocketAddr) -> bool {
        query == self.listen && query.port() != 0
    }

    /// How much stays in the database.
    pub(crate) const fn keep(&self) -> Keep {
        Keep { verdicts: self.keep, starts: self.keep_starts, starts_for: self.keep_starts_for }
    }

    /// How to reach the API server.
    pub(crate) fn access(&self) -> Access {
        Access { kubeconfig: self.kubeconfig.clone(), context: self.context.clone() }
    }

    /// Something needs the API server.
    pub(crate) fn needs_cluster(&self) -> bool {
        self.cluster || self.publish_ca.is_some() || !self.agents.is_empty()
    }

    /// What cannot be meant; the sentence says what to write instead.
    pub(crate) fn check(&self) -> Result<(), String> {
        let open = |address: SocketAddr| !address.ip().is_loopback() && !self.plaintext;
        if self.tls.is_none() && open(self.listen) {
            return Err(format!(
                "--listen {} would take verdicts in the clear from beyond this machine: add --tls self-signed or --tls DIRECTORY, or --plaintext when you trust the network",
                self.listen
            ));
        }
        if self.tls.is_none() && !self.agents.is_empty() {
            return Err(
                "--agents asks for tokens, and without --tls they would come in the clear: add --tls self-signed or --tls DIRECTORY"
                    .to_owned(),
            );
        }
        if let Some(query) = self.query_port().filter(|query| open(*query)) {
            return Err(format!(
                "--query {query} would show verdicts in the clear to whoever connects: keep it on the loopback, where a port-forward reaches it, or add --plaintext when you trust the network"
            ));
        }
        if self.tls.is_some() && self.query.is_some_and(|query| self.is_shared(query)) {
            return Err("--query and --listen are the same, and with --tls queries need a port of their own: leave --query out".to_owned());
        }
        self.check_self_signed()
    }

    fn check_self_signed(&self) -> Result<(), String> {
        let is_self_signed = self.tls == Some(Tls::SelfSigned);
        if is_self_signed && self.tls_name.is_empty() {
            return Err("--tls self-signed needs the name by which agents reach this collector: --tls-name NAME, e.g. unready-collector.unready.svc".to_owned());
        }
        if !is_self_signed && (self.publish_ca.is_some() || !self.tls_name.is_empty()) {
            return Err("--tls-name and --publish-ca are of use with --tls self-signed only: leave them out".to_owned());
        }
        if is_self_signed && self.agent_name.is_some() {
            return Err(
                "--agent-name is of use where agents show certificates, with --tls DIRECTORY and a ca.crt there: leave it out".to_owned()
            );
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn args(line: &str) -> Args {
        Args::try_parse_from(std::iter::once("unready-collector").chain(line.split_whitespace())).unwrap()
    }

    #[test]
    fn one_machine_needs_no_flags() {
        let args = args("");
        assert_eq!((args.check(), args.query_port(), args.needs_cluster()), (Ok(()), None, false));
    }

    #[test]
    fn agents_with_tls_have_a_port_of_their_own() {
        let cluster = args("--listen 0.0.0.0:50051 --tls self-signed --tls-name c.unready.svc --agents unready/agent --cluster");
        assert_eq!((cluster.check(), cluster.query_port()), (Ok(()), QUERY.parse().ok()));
        assert_eq!(args("--listen 127.0.0.1:1 --tls /d").query_port(), QUERY.parse().ok());
        assert_eq!(args("--listen 127.0.0.1:1 --query 127.0.0.1:1").query_port(), None);
        assert_eq!(args("--listen 0.0.0.0:1 --plaintext").query_port(), QUERY.parse().ok(), "queries stay at home all the same");
    }

    #[test]
    fn nothing_is_open_unasked() {
        for (line, expected) in [
            ("--listen 0.0.0.0:1", "add --tls self-signed"),
            ("--listen 127.0.0.1:1 --query 0.0.0.0:2", "keep it on the loopback"),
            ("--agents a/b", "add --tls self-signed"),
            ("--tls self-signed", "--tls-name NAME"),
            ("--tls /d --tls-name x", "self-signed only"),
            ("--listen 127.0.0.1:1 --query 127.0.0.1:1 --tls /d", "leave --query out"),
            ("--tls self-signed --tls-name x --agent-name y", "with --tls DIRECTORY and a ca.crt there"),
        ] {
            let refused = args(line).check().unwrap_err();
            assert!(refused.contains(expected), "{line}: {refused}");
        }
        assert_eq!(args("--listen 0.0.0.0:1 --query 0.0.0.0:2 --plaintext").check(), Ok(()));
    }

    #[test]
    fn without_flags_as_much_is_kept_as_the_store_keeps_by_itself() {
        assert_eq!(args("").keep(), Keep::default());
        let some = args("--keep 5 --keep-starts 7 --keep-starts-for 2h").keep();
        assert_eq!(some, Keep { verdicts: 5, starts: 7, starts_for: Duration::from_hours(2) });
        for wrong in ["0s", "59s", "2y", "soon"] {
            let refused = Args::try_parse_from(["unready-collector", "--keep-starts-for", wrong]).unwrap_err().to_string();
            assert!(refused.contains("write a time"), "{wrong}: {refused}");
        }
    }

    #[test]
    fn a_streams_age_is_a_time_that_can_be_meant() {
        assert_eq!(args("").stream_age, unready_collector::ingest::admission::AGE);
        assert_eq!(args("--stream-age 45s").stream_age, Duration::from_secs(45));
        for wrong in ["0", "29s", "25h", "soon"] {
            let refused = Args::try_parse_from(["unready-collector", "--stream-age", wrong]).unwrap_err().to_string();
            assert!(refused.contains("write a time"), "{wrong}: {refused}");
        }
    }
}
