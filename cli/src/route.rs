//! Whom to ask: the cluster, or one collector.

use crate::{
    cluster::{self, ClusterArgs},
    plugin::is_plugin,
};
use unready_transport::url::CollectorUrl;

/// Where the collector of this machine is asked.
const LOCAL: &str = "http://127.0.0.1:50051";

/// Whom to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// One collector.
    Direct(CollectorUrl),
    Cluster,
}

impl Route {
    /// What is named goes before what is there; as a plugin of kubectl we look at the cluster that kubectl looks at.
    pub(crate) fn choose(collector: Option<&CollectorUrl>, cluster: &ClusterArgs) -> anyhow::Result<Self> {
        match collector {
            Some(url) => Ok(Self::Direct(url.clone())),
            None if is_plugin() || cluster.names_a_cluster() || cluster::is_configured() => Ok(Self::Cluster),
            None => Ok(Self::Direct(LOCAL.parse()?)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_is_named_is_asked() {
        let prod = ClusterArgs { context: Some("prod".into()), ..ClusterArgs::default() };
        assert_eq!(Route::choose(None, &prod).unwrap(), Route::Cluster);
        let url: CollectorUrl = "localhost:7".parse().unwrap();
        assert_eq!(Route::choose(Some(&url), &prod).unwrap(), Route::Direct(url));
    }
}
