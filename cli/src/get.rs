//! `unready get`, and `kubectl unready` without another word: which pods are not ready, and why.
//!
//! - [`args`]: what can be asked for.
//! - [`listing`]: a cluster's pods with what the collector, the agents' Events and the API server say of them.
//! - [`watching`]: the same, kept current.
//! - [`direct`]: one collector without a cluster, `--collector URL`: a single machine.
//! - [`show`]: what is printed, and how; [`fingerprints`]: what of a watch is news.
//!
//! Verdicts go to stdout, everything else to stderr, so that `-o json | jq` works. Exit status: 0 answered (also when there is
//! nothing), 1 no answer, with one sentence that says why; with `--exit-code` 3 when a verdict says that a pod cannot become ready.

pub(crate) mod args;
mod direct;
mod fingerprints;
mod listing;
mod show;
mod watching;

use crate::{
    cluster::{Cluster, target},
    route::Route,
    status::Status,
};
use args::GetArgs;
use std::process::ExitCode;

/// Asks, prints, and watches if told to.
pub(crate) async fn get(args: GetArgs) -> anyhow::Result<ExitCode> {
    let targets = target::parse(&args.names)?;
    let blocked = match Route::choose(args.collector.as_ref(), &args.cluster)? {
        Route::Direct(url) if args.watch => direct::watch(&args, &url, &targets).await,
        Route::Direct(url) => direct::list(&args, &url, &targets).await,
        Route::Cluster => match Cluster::connect(&args.cluster).await {
            Ok(cluster) if args.watch => watching::watch(&args, &cluster, &targets).await,
            Ok(cluster) => listing::list(&args, &cluster, &targets).await,
            Err(error) => Err(error),
        },
    };
    match blocked {
        // The reader of a pipe (`| head`) has seen enough.
        Err(error) if error.downcast_ref().map(std::io::Error::kind) == Some(std::io::ErrorKind::BrokenPipe) => Ok(Status::Healthy.into()),
        Ok(true) if args.exit_code => Ok(Status::Blocked.into()),
        blocked => blocked.map(|_| Status::Healthy.into()),
    }
}
