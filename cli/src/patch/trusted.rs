//! Which patches are shown: only those of the pod that is not ready, or of what makes it, as the API server names them.
//!
//! Verdicts come from agents over the collector. A patch of anything else would be somebody's attempt to have it applied by a
//! user who may do more than he: it is left out, and that is said.

use crate::output;
use unready_diagnosis::{outside, pod::Pod};
use unready_kubernetes::events::read::is_of_owner;
use unready_proto::v1::{Patch, Verdict};

/// The verdicts of a pod, without patches of strangers.
pub(super) fn of_pod(pod: &Pod, verdicts: Vec<Verdict>) -> Vec<Verdict> {
    verdicts.into_iter().map(|verdict| checked(verdict, |patch| is_of_pod(pod, patch))).collect()
}

/// The verdicts of owners without pods, likewise.
pub(super) fn of_owners(verdicts: Vec<Verdict>) -> impl Iterator<Item = Verdict> {
    verdicts.into_iter().map(|verdict| {
        let workload = verdict.workload.clone().unwrap_or_default();
        checked(verdict, |patch| is_of_owner(patch, &workload))
    })
}

fn is_of_pod(pod: &Pod, patch: &Patch) -> bool {
    let owner = pod.owner.as_ref().is_some_and(|owner| (&owner.kind, &owner.name) == (&patch.kind, &patch.name));
    let itself = patch.kind == "Pod" && patch.name == pod.name;
    patch.namespace == pod.namespace && (owner || itself)
}

fn checked(mut verdict: Verdict, is_theirs: impl FnOnce(&Patch) -> bool) -> Verdict {
    let Some(remedy) = &mut verdict.remedy else { return verdict };
    if remedy.patch.as_ref().is_some_and(|patch| !is_theirs(patch))
        && let Some(patch) = remedy.patch.take()
    {
        output::note(&format!(
            "a patch of {}/{} in namespace \"{}\" is left out: it is neither the pod nor what makes it",
            patch.kind,
            patch.name,
            outside::quoted(&patch.namespace)
        ));
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use unready_diagnosis::pod::Owner;
    use unready_proto::v1::{Remedy, Workload};

    fn verdict(namespace: &str, kind: &str, name: &str, owner: &str) -> Verdict {
        let patch = Patch { kind: kind.into(), name: name.into(), namespace: namespace.into(), ..Patch::default() };
        let workload = Workload { namespace: "shop".into(), owner: owner.into(), ..Workload::default() };
        Verdict { workload: Some(workload), remedy: Some(Remedy { patch: Some(patch), ..Remedy::default() }), ..Verdict::default() }
    }

    fn is_kept(verdict: &Verdict) -> bool {
        verdict.remedy.as_ref().is_some_and(|remedy| remedy.patch.is_some())
    }

    #[test]
    fn only_the_pod_and_what_makes_it_are_patched() {
        let owner = Owner { kind: "Deployment".into(), name: "orders".into(), ..Owner::default() };
        let pod = Pod { namespace: "shop".into(), name: "orders-1".into(), owner: Some(owner), ..Pod::default() };
        let kept = |namespace, kind, name| is_kept(&of_pod(&pod, vec![verdict(namespace, kind, name, "")])[0]);
        assert!(kept("shop", "Deployment", "orders") && kept("shop", "Pod", "orders-1"));
        assert!(!kept("kube-system", "Deployment", "orders"));
        assert!(!kept("shop", "Deployment", "payments"));
        assert!(!kept("", "ClusterRoleBinding", "admins"));
    }

    #[test]
    fn an_owner_is_patched_itself() {
        let kept = |kind, name, owner| of_owners(vec![verdict("shop", kind, name, owner)]).all(|verdict| is_kept(&verdict));
        assert!(kept("Deployment", "orders", "Deployment/orders"));
        assert!(!kept("Deployment", "payments", "Deployment/orders"));
        assert!(!kept("ClusterRoleBinding", "admins", "ClusterRoleBinding/admins"));
    }
}
