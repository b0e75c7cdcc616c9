//! Answers to questions about the cluster. They come soon or say why not: an API server that is away, or that forbids it,
//! makes an answer "unknown", never a wait.

use crate::{convert, events::CONTROLLER, request_error};
use k8s_openapi::api::{
    core::v1::{PersistentVolume, PersistentVolumeClaim},
    events::v1::Event,
    storage::v1::StorageClass,
};
use kube::{Api, Client, api::ListParams};
use std::time::Duration;
use unready_diagnosis::{
    cluster::{ClusterAnswer, ClusterQuestion},
    pod::{Claim, PodEvent},
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Events of one pod that are read at most; the API server forgets them after an hour.
const EVENTS: u32 = 300;

/// Answers a question.
pub async fn answer(client: &Client, question: ClusterQuestion) -> ClusterAnswer {
    let answer = async {
        match &question {
            ClusterQuestion::PodEvents { namespace, pod, uid } => {
                pod_events(client, namespace, pod, uid).await.map(ClusterAnswer::PodEvents)
            }
            ClusterQuestion::Claim { namespace, name } => claim(client, namespace, name).await.map(ClusterAnswer::Claim),
        }
    };
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => ClusterAnswer::Unknown { reason: request_error::clause(&error) },
        Err(_) => ClusterAnswer::Unknown { reason: format!("the API server did not answer within {} s", PATIENCE.as_secs()) },
    }
}

/// Others' events about a pod, oldest first. The kubelet's events about a static pod carry the hash of its manifest as uid,
/// and not the uid of the mirror pod; an earlier pod of the same name has another uid.
async fn pod_events(client: &Client, namespace: &str, pod: &str, uid: &str) -> kube::Result<Vec<PodEvent>> {
    let about = ListParams::default().fields(&format!("regarding.kind=Pod,regarding.name={pod}")).limit(EVENTS);
    let list = Api::<Event>::namespaced(client.clone(), namespace).list(&about).await?;
    let concerns = |event: &&Event| {
        let about = event.regarding.as_ref().and_then(|regarding| regarding.uid.as_deref()).unwrap_or_default();
        (about == uid || is_manifest_hash(about)) && event.reporting_controller.as_deref() != Some(CONTROLLER)
    };
    let mut events: Vec<_> = list.items.iter().filter(concerns).map(convert::event).collect();
    events.sort_by_key(|event| event.last);
    Ok(events)
}

/// The kubelet's hash of a manifest is 32 hexadecimal digits; a uid of the API has dashes.
fn is_manifest_hash(uid: &str) -> bool {
    uid.len() == 32 && uid.bytes().all(|byte| byte.is_ascii_hexdigit())
}

async fn claim(client: &Client, namespace: &str, name: &str) -> kube::Result<Claim> {
    let found = Api::<PersistentVolumeClaim>::namespaced(client.clone(), namespace).get_opt(name).await?;
    let Some(object) = found else {
        return Ok(Claim { name: name.to_owned(), ..Claim::default() });
    };
    let spec = object.spec.unwrap_or_default();
    let mut claim = Claim {
        name: name.to_owned(),
        exists: true,
        phase: object.status.and_then(|status| status.phase).unwrap_or_default(),
        storage_class: spec.storage_class_name.unwrap_or_default(),
        volume: spec.volume_name.unwrap_or_default(),
        access_modes: spec.access_modes.unwrap_or_default(),
        ..Claim::default()
    };
    claim.read_only = claim.access_modes.iter().all(|mode| mode == "ReadOnlyMany") && !claim.access_modes.is_empty();
    tell_class(client, &mut claim).await?;
    tell_volume(client, &mut claim).await?;
    Ok(claim)
}

async fn tell_class(client: &Client, claim: &mut Claim) -> kube::Result<()> {
    if claim.storage_class.is_empty() {
        return Ok(());
    }
    match Api::<StorageClass>::all(client.clone()).get_opt(&claim.storage_class).await {
        Ok(class) => {
            claim.class_exists = class.is_some();
            claim.binding_mode = class.and_then(|class| class.volume_binding_mode).unwrap_or_default();
        }
        // What we may not see is not said to be missing.
        Err(error) if request_error::kind(&error) == request_error::Kind::Forbidden => claim.class_exists = true,
        Err(error) => return Err(error),
    }
    Ok(())
}

async fn tell_volume(client: &Client, claim: &mut Claim) -> kube::Result<()> {
    if claim.volume.is_empty() {
        return Ok(());
    }
    let volume = match Api::<PersistentVolume>::all(client.clone()).get_opt(&claim.volume).await {
        Err(error) if request_error::kind(&error) == request_error::Kind::Forbidden => None,
        other => other?,
    };
    if let Some(spec) = volume.and_then(|volume| volume.spec) {
        claim.read_only |= spec.csi.as_ref().and_then(|csi| csi.read_only).unwrap_or_default();
        claim.source = convert::volume_source(&spec);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_manifests_are_no_uids() {
        assert!(is_manifest_hash("5c4d94ca8a2ef8b7b8b5f7e4b9a0f3d1"));
        assert!(!is_manifest_hash("0d1b2c3a-5c4d-4a8a-8b7b-8b5f7e4b9a0f"));
        assert!(!is_manifest_hash(""));
    }
}
