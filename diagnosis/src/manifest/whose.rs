//! Whose a cgroup is, seen from a container of a pod.

use crate::{
    attribution::{self, Place},
    case::Case,
};

/// Whose a cgroup is, seen from a container of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The same container's, of this start or another.
    Own(String),
    /// Another container's of the same pod.
    Beside(String),
    /// Another pod's.
    Elsewhere(String),
}

impl Whose {
    /// In words: `container metrics of this pod`.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Own(name) | Self::Beside(name) | Self::Elsewhere(name) => name,
        }
    }
}

/// Which container of the pod a cgroup belongs to, or whose it is instead.
pub(crate) fn owner_of_cgroup(case: &Case<'_>, path: &str) -> Option<Whose> {
    let spec = case.manifest?;
    let place = match attribution::place(path) {
        Place::Nested { container } => attribution::place(&container),
        place @ (Place::Pod { .. } | Place::Container { .. } | Place::Run { .. } | Place::Other) => place,
    };
    let Place::Container { pod_uid, container_id, .. } = place else { return None };
    let known = spec.pod.container_with_id(&container_id).map(|(container, _)| container.name.as_str());
    let is_own = container_id == case.workload.container_id || known == Some(spec.container.name.as_str());
    if let Some(name) = known.or(is_own.then_some(spec.container.name.as_str())) {
        let name = format!("container {name} of this pod");
        return Some(if is_own { Whose::Own(name) } else { Whose::Beside(name) });
    }
    let same = pod_uid.as_deref() == Some(spec.pod.uid.as_str());
    Some(if same {
        Whose::Beside("another container of this pod".to_owned())
    } else {
        Whose::Elsewhere(format!("another pod (uid {})", pod_uid?))
    })
}

/// One container, two servers.
pub(crate) fn twice(port: u16) -> String {
    format!(
        "Let only one process of the container listen on port {port}: look for a second server, a second `listen`, or a start script that starts it twice."
    )
}
