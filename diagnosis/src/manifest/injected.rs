//! Containers and volumes that admission puts into pods: the owner's template does not have them, so that a patch of the template
//! would add half a container to it.

use serde_json::Value;

/// A well-known injector: how its containers and volumes are called, and where what it injects is configured.
struct Injector {
    names: &'static [&'static str],
    by: &'static str,
    change: &'static str,
}

const KNOWN: [Injector; 6] = [
    Injector {
        names: &[
            "istio-proxy",
            "istio-init",
            "istio-validation",
            "istio-envoy",
            "istio-data",
            "istio-podinfo",
            "istio-token",
            "istiod-ca-cert",
        ],
        by: "Istio's sidecar injector",
        change: "the annotations sidecar.istio.io/… and proxy.istio.io/config of the pod template, or the injector's configuration",
    },
    Injector {
        names: &["linkerd-proxy", "linkerd-init", "linkerd-network-validator", "linkerd-identity-token", "linkerd-identity-end-entity"],
        by: "Linkerd's proxy injector",
        change: "the annotations config.linkerd.io/… of the pod template, or Linkerd's own configuration",
    },
    Injector {
        names: &["vault-agent", "vault-agent-init", "vault-secrets", "home-init", "home-sidecar"],
        by: "Vault's agent injector",
        change: "the annotations vault.hashicorp.com/… of the pod template, or the injector's configuration",
    },
    Injector {
        names: &["consul-dataplane", "consul-connect-inject-init", "consul-connect-inject-data"],
        by: "Consul's injector",
        change: "the annotations consul.hashicorp.com/… of the pod template, or the injector's configuration",
    },
    Injector {
        names: &["daprd", "dapr-identity-token"],
        by: "Dapr's sidecar injector",
        change: "the annotations dapr.io/… of the pod template, or the injector's configuration",
    },
    Injector {
        names: &["aws-iam-token", "azure-identity-token"],
        by: "the cloud's workload identity webhook",
        change: "the annotations of the ServiceAccount, or the webhook's configuration",
    },
];

/// The kubelet's token volume is admission's too: `kube-api-access-x7k2p`.
const TOKEN: &str = "kube-api-access-";

/// A sentence about what a fragment of a pod's spec would change, or mount, and the template does not have.
pub(super) fn sentence(fragment: &Value) -> Option<String> {
    ["containers", "initContainers", "volumes"].iter().find_map(|field| {
        let all = fragment.get(*field)?.as_array()?;
        all.iter().find_map(|one| of(field, name(one)?).or_else(|| mounted(one)))
    })
}

/// A container that would mount such a volume: the API server refuses a template whose mounts name no volume of its own.
fn mounted(container: &Value) -> Option<String> {
    container.get("volumeMounts")?.as_array()?.iter().find_map(|mount| of("volumes", name(mount)?))
}

fn name(one: &Value) -> Option<&str> {
    one.get("name")?.as_str()
}

fn of(field: &str, name: &str) -> Option<String> {
    let kind = if field == "volumes" { "Volume" } else { "Container" };
    let (by, change) = if field == "volumes" && name.starts_with(TOKEN) {
        ("the API server (ServiceAccount admission)", "automountServiceAccountToken, or a projected volume of your own")
    } else {
        let injector = KNOWN.iter().find(|injector| injector.names.contains(&name))?;
        (injector.by, injector.change)
    };
    Some(format!("{kind} {name} is put into the pod by {by} and is not in its owner's template: change it by {change}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_admission_puts_in_is_spoken_of() {
        let proxy = sentence(&json!({ "containers": [{ "name": "istio-proxy", "resources": {} }] }));
        assert!(proxy.is_some_and(|text| text.contains("sidecar.istio.io") && text.starts_with("Container istio-proxy")));
        assert!(sentence(&json!({ "volumes": [{ "name": "kube-api-access-x7k2p" }] })).is_some());
        let mount = |volume: &str| json!({ "containers": [{ "name": "app", "volumeMounts": [{ "name": volume, "mountPath": "/x" }] }] });
        assert!(sentence(&mount("kube-api-access-x7k2p")).is_some_and(|text| text.starts_with("Volume kube-api-access-x7k2p")));
        assert_eq!(sentence(&mount("data")), None);
        assert_eq!(sentence(&json!({ "containers": [{ "name": "app" }], "volumes": [{ "name": "data" }] })), None);
        assert_eq!(sentence(&json!({ "securityContext": { "fsGroup": 1000 } })), None, "the pod's own fields are the template's");
    }
}
