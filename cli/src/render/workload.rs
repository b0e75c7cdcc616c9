//! Names of what a verdict is about.

use super::text::shorten;
use unready_diagnosis::outside::escaped;
use unready_proto::v1::{Start, Verdict, Workload};

/// Whose start, in one word where possible: `namespace/pod/container`, a container, or the command of a local run.
pub(crate) fn workload(verdict: &Verdict) -> String {
    let (none, unknown) = (Workload::default(), Start::default());
    let workload = verdict.workload.as_ref().unwrap_or(&none);
    if !workload.pod.is_empty() {
        let parts = [&workload.namespace, &workload.pod, &workload.container];
        return parts.into_iter().filter(|part| !part.is_empty()).map(|part| escaped(part)).collect::<Vec<_>>().join("/");
    }
    if workload.container.is_empty() && !workload.owner.is_empty() {
        return escaped(&[&workload.namespace, &workload.owner].map(String::as_str).join("/")).into_owned();
    }
    container(workload, verdict.start.as_ref().unwrap_or(&unknown))
}

/// The container's name, or what stands for it: the command of a local run, the pod's UID, the id's first digits.
pub(super) fn container(workload: &Workload, start: &Start) -> String {
    if !workload.command.is_empty() {
        return shorten(&escaped(&workload.command.join(" ")), 40);
    }
    if workload.container.len() == 64 && workload.container.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return workload.container[..12].to_owned();
    }
    [&workload.container, &workload.pod_uid, &start.container_id]
        .into_iter()
        .find(|name| !name.is_empty())
        .map_or_else(|| "?".to_owned(), |name| escaped(name).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_has_the_best_name_there_is() {
        let named = |workload: Workload| Verdict {
            workload: Some(workload),
            start: Some(Start { container_id: "c1".into(), restart_count: 0 }),
            ..Verdict::default()
        };
        let of = |whose: Workload| workload(&named(whose));
        let pod = Workload { namespace: "shop".into(), pod: "orders".into(), container: "app".into(), ..Workload::default() };
        assert_eq!(of(pod.clone()), "shop/orders/app");
        assert_eq!(of(Workload { container: String::new(), ..pod }), "shop/orders");
        let owner = Workload { namespace: "shop".into(), owner: "ReplicaSet/orders".into(), ..Workload::default() };
        assert_eq!(of(owner), "shop/ReplicaSet/orders");
        assert_eq!(of(Workload { container: "web".into(), runtime: "runc".into(), ..Workload::default() }), "web");
        assert_eq!(of(Workload { container: "ab".repeat(32), ..Workload::default() }), "abababababab");
        assert_eq!(
            of(Workload { command: vec!["./server".into(), "--port".into(), "80".into()], ..Workload::default() }),
            "./server --port 80"
        );
        assert_eq!(of(Workload { command: vec!["x".repeat(99)], ..Workload::default() }), format!("{}…", "x".repeat(39)));
        assert_eq!(of(Workload { pod_uid: "0b1c".into(), ..Workload::default() }), "0b1c");
        assert_eq!(of(Workload::default()), "c1");
        assert_eq!(workload(&Verdict::default()), "?");
    }
}
