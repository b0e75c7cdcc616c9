//! Limits of the manifest: memory, sizes of volumes. A limit that was too small is doubled (from 1 GiB on: half as much again),
//! to a round number: how much the program needs is not known from its being stopped.

use super::{
    advice::{Advice, change},
    located::{Located, locate},
    patch::{join, of_container},
};
use crate::{
    case::{Case, Manifest},
    knowledge::runtimes,
    pod::{Container, VolumeSource},
    question::{Memory, Usage},
    words,
};
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Doubled below 1 GiB, half as much again above; rounded up to 16 MiB below 256 MiB, to 128 MiB below 2 GiB, to 512 MiB above.
fn raised(amount: u64) -> u64 {
    let more = amount.saturating_add(if amount < GIB { amount } else { amount / 2 });
    let step = match more {
        0..0x1000_0000 => 16 * MIB,
        0x1000_0000..0x8000_0000 => 128 * MIB,
        0x8000_0000.. => 512 * MIB,
    };
    more.div_ceil(step).saturating_mul(step)
}

/// As Kubernetes writes quantities: `384Mi`, `2Gi`.
fn quantity(amount: u64) -> String {
    if amount.is_multiple_of(GIB) { format!("{}Gi", amount / GIB) } else { format!("{}Mi", amount.div_ceil(MIB)) }
}

/// The kernel killed a process at the container's memory limit.
pub(super) fn out_of_memory(advice: &mut Advice, case: &Case<'_>, memory: Option<Memory>) {
    let Some(spec) = case.manifest else { return };
    let container = spec.container;
    let Some(limit) = container.memory_limit else {
        advice.explanation.push(format!("container {} sets no resources.limits.memory", container.name));
        return;
    };
    advice.explanation.push(format!("container {} sets resources.limits.memory to {}", container.name, words::bytes(limit)));
    let in_memory = memory_volumes(&spec);
    if !in_memory.is_empty() {
        advice.explanation.push(format!("what is written to {} counts as memory of the container", words::list(in_memory, 3)));
    }
    // A limit that the kernel does not have was changed since, or belongs to the pod as a whole.
    if memory.and_then(|memory| memory.limit).is_some_and(|known| known != limit) {
        return;
    }
    let peak = memory.and_then(|memory| memory.peak).unwrap_or(limit).max(limit);
    let wanted = quantity(raised(peak));
    let text = format!(
        "Raise resources.limits.memory from {} to {wanted}: the program reached {} and wanted more; what it needs shows only when it is not stopped. {}",
        quantity(limit),
        words::bytes(peak),
        runtimes::tell_bound(memory.and_then(|memory| memory.limit))
    );
    change(advice, &spec, text, memory_limit(container, &wanted));
}

fn memory_limit(container: &Container, wanted: &str) -> Value {
    of_container(container, json!({ "resources": { "limits": { "memory": wanted } } }))
}

/// Volumes of this container that lie in memory.
fn memory_volumes(spec: &Manifest<'_>) -> Vec<String> {
    let lies_in_memory = |name: &str| {
        spec.pod
            .volumes
            .iter()
            .any(|volume| volume.name == name && matches!(&volume.source, VolumeSource::EmptyDir { medium, .. } if medium == "Memory"))
    };
    spec.container.mounts.iter().filter(|mount| lies_in_memory(&mount.volume)).map(|mount| mount.path.clone()).collect()
}

/// No room where the program writes.
pub(super) fn storage(advice: &mut Advice, case: &Case<'_>, point: &str, usage: Option<&Usage>) {
    let Some(spec) = case.manifest else { return };
    let Some(place) = locate(&spec, point) else { return image_layer(advice, &spec) };
    let mount = usage.map(|usage| &usage.mount);
    advice.explanation.push(place.sentence(mount));
    if let VolumeSource::EmptyDir { medium, size_limit } = &place.volume.source {
        if medium == "Memory" { in_memory(advice, &spec, &place, *size_limit, usage) } else { on_disk(advice, &spec, *size_limit) }
    } else if let Some(name) = place.volume.claim() {
        claim(advice, &spec, &place, name, usage);
    }
}

fn on_disk(advice: &mut Advice, spec: &Manifest<'_>, size_limit: Option<u64>) {
    advice.explanation.push(match size_limit {
        Some(_) => {
            "sizeLimit of an emptyDir on disk refuses no write: the pod would be evicted; it is the node's disk that is full".to_owned()
        }
        None => "an emptyDir lies on the node's disk, with images, logs and all other pods".to_owned(),
    });
    advice.remedy.text = format!(
        "No change of the manifest makes room on this node: free its disk (node {}); a request for ephemeral-storage that fits sends the pod to a node that has it; a PersistentVolumeClaim has room of its own.",
        spec.pod.node
    );
}

fn image_layer(advice: &mut Advice, spec: &Manifest<'_>) {
    if let Some(limit) = spec.container.storage_limit {
        advice
            .explanation
            .push(format!("resources.limits.ephemeral-storage is {}; it evicts the pod and refuses no write", words::bytes(limit)));
    }
}

fn in_memory(advice: &mut Advice, spec: &Manifest<'_>, place: &Located<'_>, size_limit: Option<u64>, usage: Option<&Usage>) {
    let name = &place.volume.name;
    let Some(size) = size_limit.or_else(|| usage.map(|usage| usage.bytes)) else { return };
    let wanted = raised(size);
    let mut fragment = json!({});
    let mut steps = Vec::new();
    if size_limit.is_some() {
        steps.push(format!("sizeLimit of emptyDir {name} from {} to {}", quantity(size), quantity(wanted)));
        join(&mut fragment, json!({ "volumes": [{ "name": name, "emptyDir": { "sizeLimit": quantity(wanted) } }] }));
    }
    // Its content counts as memory, and the kubelet makes the tmpfs no larger than the limits allow.
    if let Some(limit) = spec.container.memory_limit {
        let memory = quantity(limit.saturating_add(wanted - size.min(wanted)));
        steps.push(format!("resources.limits.memory from {} to {memory} (what lies in it counts as memory)", quantity(limit)));
        join(&mut fragment, memory_limit(spec.container, &memory));
    }
    if !steps.is_empty() {
        change(advice, spec, format!("Raise {}; or write less.", words::list(&steps, 2)), fragment);
    }
}

/// Another object has to change.
fn claim(advice: &mut Advice, spec: &Manifest<'_>, place: &Located<'_>, name: &str, usage: Option<&Usage>) {
    let ns = &spec.pod.namespace;
    let size = usage.map(|usage| usage.bytes).filter(|bytes| *bytes > 0);
    let wanted = size.map_or_else(|| "SIZE".to_owned(), |size| quantity(raised(size).div_ceil(GIB).saturating_mul(GIB)));
    advice.remedy.text =
        format!("Enlarge PVC {name} (it holds {}), or remove files from it. The manifest of the pod stays as it is.", place.mount.path);
    advice.remedy.also.push(format!(
        "`kubectl -n {ns} patch pvc {name} --type merge -p '{{\"spec\":{{\"resources\":{{\"requests\":{{\"storage\":\"{wanted}\"}}}}}}}}'`; its StorageClass must say allowVolumeExpansion: true."
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_raised_to_round_numbers() {
        for (limit, expected) in [
            (32 * MIB, "64Mi"),
            (64 * MIB, "128Mi"),
            (200 * MIB, "512Mi"),
            (GIB, "1536Mi"),
            (2 * GIB, "3Gi"),
            (3 * GIB, "4608Mi"),
            (1, "16Mi"),
        ] {
            assert_eq!(quantity(raised(limit)), expected, "{limit}");
        }
        assert!(raised(u64::MAX / 2) > u64::MAX / 2);
    }
}
