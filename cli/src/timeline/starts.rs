//! What the collector keeps of a pod's starts: times of the kernel, healthy starts too.

use super::exact::Known;
use crate::{
    cluster::{Cluster, collector},
    collector::{StartsClient, note_stall, starts_client},
    output,
};
use tonic::{Code, Status};
use unready_diagnosis::pod::Pod;
use unready_proto::v1::{ListStartsRequest, StartFilter};

/// Starts of a pod that are asked for: a crash loop has some 300 a day.
const STARTS: u32 = 100;

/// The starts of each pod. Without a collector all are unknown, and that is said in the picture.
pub(super) async fn of_pods(cluster: &Cluster, pods: &[&Pod], has_collector: bool) -> Vec<Known> {
    let unknown = |reason: &str| pods.iter().map(|_| Known::missing(reason)).collect();
    if !has_collector {
        return unknown("a collector keeps them, and there is none to ask: install Unready with its Helm chart");
    }
    let mut client = match collector::channel(cluster).await {
        Ok(channel) => starts_client(channel),
        Err(error) => return unknown(&error.to_string()),
    };
    let mut all = Vec::new();
    for pod in pods {
        all.push(of_pod(cluster, &mut client, pod).await.unwrap_or_else(|reason| Known::missing(&reason)));
    }
    all
}

async fn of_pod(cluster: &Cluster, client: &mut StartsClient, pod: &Pod) -> Result<Known, String> {
    let filter = StartFilter { namespace: pod.namespace.clone(), pod: pod.name.clone(), ..StartFilter::default() };
    let mut request = tonic::Request::new(ListStartsRequest { filter: Some(filter), limit: STARTS });
    request.set_timeout(cluster.patience);
    let answer = client.list(request).await.map_err(|status| refused(&status))?.into_inner();
    note_stall(&answer.stalled);
    if answer.truncated {
        output::note(&format!("of pod {} only the last {} starts are shown", pod.name, answer.starts.len()));
    }
    Ok(Known::told(answer.starts))
}

fn refused(status: &Status) -> String {
    if status.code() == Code::Unimplemented {
        return "the collector is of a version that keeps no starts: update it".to_owned();
    }
    format!("the collector does not tell its starts: {}", status.message())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_collector_is_told_from_one_in_trouble() {
        assert!(refused(&Status::unimplemented("")).contains("update it"));
        assert_eq!(refused(&Status::internal("the disk is gone")), "the collector does not tell its starts: the disk is gone");
    }
}
