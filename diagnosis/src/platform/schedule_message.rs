//! The scheduler's sentence, taken apart: `0/3 nodes are available: 1 Insufficient memory, 2 node(s) had untolerated taint(s).`
//!
//! Kubernetes 1.37 `pkg/scheduler/framework/types.go` (`FitError`) and the plug-ins' `ErrReason…`. What precedes filtering has no
//! count (`pod has unbound immediate PersistentVolumeClaims`); what follows, about preemption, repeats the same for other ends.

use super::message::has_any;

/// What keeps nodes from taking the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hindrance {
    Resources,
    Claims,
    Selection,
    HostPorts,
    Spreading,
    Cordoned,
    Taints,
    Other,
}

/// One of the reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reason<'a> {
    /// Nodes that it keeps; 0: all, before nodes were looked at.
    pub(super) nodes: u32,
    pub(super) hindrance: Hindrance,
    /// As the scheduler words it, without the count.
    pub(super) text: &'a str,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unfit<'a> {
    /// How many nodes there are.
    pub(super) nodes: u32,
    /// What keeps them, the widest first.
    pub(super) reasons: Vec<Reason<'a>>,
}

/// Takes it apart; without reasons when it is another sentence.
pub(super) fn parse(message: &str) -> Unfit<'_> {
    let Some((head, rest)) = message.split_once(" nodes are available") else { return Unfit::default() };
    let nodes = head.rsplit('/').next().and_then(|total| total.trim().parse().ok()).unwrap_or(0);
    let rest = rest.trim_start_matches([':', ' ']);
    let end = [". preemption:", ". no new claims", ". "].iter().filter_map(|mark| rest.find(mark)).min().unwrap_or(rest.len());
    let body = rest.get(..end).unwrap_or(rest).trim_end_matches('.');
    let mut reasons: Vec<Reason<'_>> = body.split(", ").filter(|text| !text.is_empty()).map(reason).collect();
    reasons.sort_by_key(|reason| (reason.nodes != 0, std::cmp::Reverse(reason.nodes), reason.hindrance));
    Unfit { nodes, reasons }
}

fn reason(text: &str) -> Reason<'_> {
    let counted = text.split_once(' ').and_then(|(count, rest)| Some((count.parse().ok()?, rest)));
    let (nodes, text) = counted.unwrap_or((0, text));
    Reason { nodes, hindrance: hindrance(&text.to_lowercase()), text }
}

fn hindrance(lower: &str) -> Hindrance {
    const PHRASES: [(Hindrance, &[&str]); 7] = [
        (Hindrance::Resources, &["insufficient ", "too many pods"]),
        (
            Hindrance::Claims,
            &[
                "persistentvolume",
                "volume node affinity",
                "persistent volumes",
                "volume zone",
                "volume count",
                "free storage",
                "pvc(s)",
                "no available disk",
            ],
        ),
        (
            Hindrance::Selection,
            &["node affinity/selector", "node selector", "requested node name", "nodeaffinity", "node(s) didn't match node"],
        ),
        (Hindrance::HostPorts, &["free ports"]),
        (Hindrance::Spreading, &["anti-affinity", "pod affinity", "topology spread"]),
        (Hindrance::Cordoned, &["were unschedulable", "unknown conditions"]),
        (Hindrance::Taints, &["taint"]),
    ];
    PHRASES.iter().find(|(_, phrases)| has_any(lower, phrases)).map_or(Hindrance::Other, |(hindrance, _)| *hindrance)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn each_plugins_words() {
        let cases = [
            ("Insufficient nvidia.com/gpu", Hindrance::Resources),
            ("Too many pods", Hindrance::Resources),
            ("node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }", Hindrance::Taints),
            ("node(s) had untolerated taint(s)", Hindrance::Taints),
            ("node(s) didn't match Pod's node affinity/selector", Hindrance::Selection),
            ("node(s) didn't match the requested node name", Hindrance::Selection),
            ("node(s) didn't have free ports for the requested pod ports", Hindrance::HostPorts),
            ("node(s) didn't match pod anti-affinity rules", Hindrance::Spreading),
            ("node(s) didn't match pod topology spread constraints (missing required label)", Hindrance::Spreading),
            ("node(s) were unschedulable", Hindrance::Cordoned),
            ("node(s) didn't match PersistentVolume's node affinity", Hindrance::Claims),
            ("node(s) had volume node affinity conflict", Hindrance::Claims),
            ("pod has unbound immediate PersistentVolumeClaims", Hindrance::Claims),
            ("persistentvolumeclaim \"data\" not found", Hindrance::Claims),
            ("node(s) exceed max volume count", Hindrance::Claims),
            ("cannot allocate all claims", Hindrance::Other),
        ];
        for (text, expected) in cases {
            assert_eq!(hindrance(&text.to_lowercase()), expected, "{text}");
        }
    }

    #[test]
    fn counts_and_ends() {
        let text = "0/5 nodes are available: 1 node(s) had untolerated taint {a/b: }, 4 Insufficient memory. preemption: 0/5 nodes are available: 1 Preemption is not helpful for scheduling, 4 No preemption victims found for incoming pod.";
        let unfit = parse(text);
        assert_eq!(unfit.nodes, 5);
        assert_eq!(
            unfit.reasons.iter().map(|reason| (reason.nodes, reason.hindrance)).collect::<Vec<_>>(),
            [(4, Hindrance::Resources), (1, Hindrance::Taints)]
        );
        assert_eq!(unfit.reasons.first().unwrap().text, "Insufficient memory");
        let text = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found";
        assert_eq!(
            parse(text).reasons,
            [Reason { nodes: 0, hindrance: Hindrance::Claims, text: "pod has unbound immediate PersistentVolumeClaims" }]
        );
        assert_eq!(parse("no nodes available to schedule pods"), Unfit::default());
        assert_eq!(parse("0/0 nodes are available"), Unfit { nodes: 0, reasons: Vec::new() });
    }
}
