//! `AdmissionDenied`: an owner that may make no pod. There is no pod that could tell; the owner's events and conditions do.
//!
//! Controllers say `FailedCreate` (Kubernetes 1.37 `pkg/controller/controller_utils.go`, `statefulset/stateful_pod_control.go`) and put the API
//! server's refusal into the message; a `ReplicaSet` has the condition `ReplicaFailure` with the same words. What was refused is read from the
//! admission plug-ins' own sentences (`apiserver/pkg/admission/plugin/resourcequota`, `plugin/pkg/admission/*`, `pod-security-admission`).

use super::{
    OwnerState, PodFinding,
    build::{Build, found},
    message::{between, has_any, quote, quoted, word},
    pod_security,
    scene::last,
};
use crate::{
    catalogue::{Layer, admission_denied},
    pod::{Pod, PodEvent},
    verdict::{Confidence, SubjectKind},
};

/// Says why an owner makes no pod, or fewer than it wants.
pub(super) fn explain(state: &OwnerState, now: u64) -> Vec<PodFinding> {
    if state.present >= state.wanted {
        return Vec::new();
    }
    let failed = state.events.iter().filter(|event| is_failure(event)).max_by_key(|event| last(event));
    let made = state.events.iter().filter(|event| event.reason == "SuccessfulCreate").map(last).max().unwrap_or(0);
    let Some(event) = failed.filter(|event| last(event) >= made) else { return Vec::new() };
    let refusal = Refusal { state, text: refusal(&event.message), pod: &template(state) };
    let missing = format!("{} of {} pods exist", state.present, state.wanted);
    let build = refusal.say().because(missing).because(format!("the API server says: {}", quote(refusal.text, 400)));
    vec![build.event(event).then(now)]
}

fn is_failure(event: &PodEvent) -> bool {
    let by_reason = matches!(event.reason.as_str(), "FailedCreate" | "ReplicaFailure");
    by_reason && !event.message.is_empty()
}

/// What a patch is made for: the template, as a pod of this owner.
fn template(state: &OwnerState) -> Pod {
    let pod = state.template.as_deref().cloned().unwrap_or_default();
    Pod { owner: Some(state.owner.clone()), namespace: state.namespace.clone(), ..pod }
}

/// The API server's own words, without what the controller puts before them.
fn refusal(message: &str) -> &str {
    let text = message.split_once("failed error: ").map_or(message, |(_, rest)| rest);
    let text = text.strip_prefix("Error creating: ").unwrap_or(text);
    text.split_once(" is forbidden: ").map_or(text, |(_, rest)| rest)
}

struct Refusal<'a> {
    state: &'a OwnerState,
    text: &'a str,
    pod: &'a Pod,
}

impl Refusal<'_> {
    fn start(&self, layer: Layer, summary: &str) -> Build {
        let owner = self.state.owner.to_string();
        found(layer, (SubjectKind::Pod, &owner), format!("{owner} may make no pod: {summary}"))
    }

    fn say(&self) -> Build {
        let text = self.text;
        match text {
            _ if text.starts_with("violates PodSecurity") => self.pod_security(),
            _ if text.contains("exceeded quota: ") || text.contains("failed quota: ") => self.quota(),
            _ if has_any(
                &text.to_lowercase(),
                &["usage per container", "usage per pod", "limit to request ratio", "usage per persistentvolumeclaim"],
            ) =>
            {
                self.limit_range()
            }
            _ if text.contains("service account") || text.contains("serviceaccount") => self.service_account(),
            _ if text.contains("admission webhook") => self.webhook_denied(),
            _ if text.contains("ValidatingAdmissionPolicy") => self.policy(),
            _ if text.contains("calling webhook") => self.webhook_away(),
            _ if text.contains("PriorityClass") => self
                .start(
                    admission_denied::MISSING_OBJECT,
                    &format!("PriorityClass {} does not exist", word(text, "PriorityClass with name ").unwrap_or("of the pod")),
                )
                .fix("Create the PriorityClass, or correct priorityClassName."),
            _ if text.contains("RuntimeClass") => self
                .start(
                    admission_denied::MISSING_OBJECT,
                    &format!("RuntimeClass {} does not exist", quoted(text, "RuntimeClass ").unwrap_or("of the pod")),
                )
                .fix("Create the RuntimeClass, or correct runtimeClassName."),
            _ if text.contains(" is invalid: ") => self.invalid(),
            _ if text.contains("not found") && text.contains("namespace") => self
                .start(admission_denied::MISSING_OBJECT, "its namespace does not exist, or is being deleted")
                .fix("Create the namespace, or wait until its deletion has ended."),
            _ if text.contains("being terminated") => self
                .start(admission_denied::MISSING_OBJECT, "its namespace is being deleted")
                .fix("Nothing new can be made in a namespace that is being deleted: use another, or wait and create it again."),
            _ => self
                .start(admission_denied::REFUSED, &quote(text, 200))
                .sure(Confidence::Likely)
                .fix("See what the API server says. Rules of admission are set by whoever runs the cluster."),
        }
    }

    /// `exceeded quota: NAME, requested: a=1,b=2, used: …, limited: …`, and `failed quota: NAME: must specify a for: c`.
    fn quota(&self) -> Build {
        let (text, ns) = (self.text, &self.state.namespace);
        if let Some(rest) = text.split_once("failed quota: ").map(|(_, rest)| rest) {
            let (name, what) = rest.split_once(": ").unwrap_or((rest, ""));
            return self
                .start(
                    admission_denied::QUOTA,
                    &format!("ResourceQuota {name} demands that every container sets {}", what.trim_start_matches("must specify ")),
                )
                .fix("Set them in the containers' resources, or give the namespace a LimitRange with defaults.");
        }
        let name = word(text, "exceeded quota: ").unwrap_or("of the namespace");
        let list = |name: &str, until: &str| {
            between(&format!("{text}, "), name, until).unwrap_or_default().trim_end_matches(',').replace(',', ", ")
        };
        let (requested, used) = (list("requested: ", ", used"), list("used: ", ", limited"));
        let limited = text.split_once("limited: ").map(|(_, rest)| rest.replace(',', ", ")).unwrap_or_default();
        self.start(admission_denied::QUOTA, &format!("ResourceQuota {name} is used up"))
            .because(format!("a pod needs {requested}; used are {used}, allowed {limited}"))
            .fix(format!(
                "Raise the quota (`kubectl -n {ns} edit resourcequota {name}`), end what is not needed in the namespace, or let the pods request less."
            ))
    }

    fn limit_range(&self) -> Build {
        let what = self.text.trim_matches(['[', ']']);
        self.start(
            admission_denied::LIMIT_RANGE,
            &format!("a LimitRange of namespace {} forbids it: {}", self.state.namespace, quote(what, 200)),
        )
        .fix(format!(
            "Set the containers' resources within its bounds, or change it: `kubectl -n {} get limitrange -o yaml`.",
            self.state.namespace
        ))
    }

    fn service_account(&self) -> Build {
        let text = self.text;
        let name =
            quoted(text, "serviceaccount ").or_else(|| word(text, "service account ").map(|path| path.rsplit('/').next().unwrap_or(path)));
        let name = name.unwrap_or("of the pod");
        let ns = &self.state.namespace;
        let build = self.start(admission_denied::SERVICE_ACCOUNT, &format!("service account {name} does not exist in namespace {ns}"));
        build.fix(format!("Create it: `kubectl -n {ns} create serviceaccount {name}`, or correct serviceAccountName. The controller tries again by itself, which may take some minutes."))
    }

    fn webhook_denied(&self) -> Build {
        let name = quoted(self.text, "admission webhook ").unwrap_or("of the cluster");
        let why =
            self.text.split_once("denied the request").map(|(_, rest)| rest.trim_start_matches(": ").trim()).filter(|why| !why.is_empty());
        let why = why.map(|why| format!(": {}", quote(why, 200))).unwrap_or_default();
        self.start(admission_denied::WEBHOOK, &format!("the admission webhook {name} denies it{why}"))
            .fix("Change the pod template as the webhook's message asks; its rules are set by whoever runs the cluster.")
    }

    fn policy(&self) -> Build {
        let name = word(self.text, "ValidatingAdmissionPolicy ").unwrap_or("of the cluster");
        self.start(admission_denied::WEBHOOK, &format!("the ValidatingAdmissionPolicy {name} denies it"))
            .fix("Change the pod template as the policy's message asks; its rules are set by whoever runs the cluster.")
    }

    fn webhook_away(&self) -> Build {
        let name = quoted(self.text, "calling webhook ").unwrap_or("of the cluster");
        let lower = self.text.to_lowercase();
        let how = match lower.as_str() {
            text if text.contains("no endpoints available") => "its Service has no ready endpoint",
            text if text.contains("connection refused") => "nothing listens at its address",
            text if text.contains("x509") => "its certificate is not trusted",
            text if has_any(text, &["deadline exceeded", "i/o timeout", "timeout"]) => "it does not answer in time",
            text if text.contains("service \"") && text.contains("not found") => "its Service does not exist",
            _ => "it cannot be called",
        };
        self.start(admission_denied::WEBHOOK_AWAY, &format!("the admission webhook {name} must agree, and {how}")).fix(
            "Bring the webhook's pods up. Until then nothing that it is asked about can be made; its configuration (`kubectl get mutatingwebhookconfigurations,validatingwebhookconfigurations`) has failurePolicy, namespaceSelector and caBundle.",
        )
    }

    fn invalid(&self) -> Build {
        let what = self.text.split_once(" is invalid: ").map_or(self.text, |(_, rest)| rest);
        self.start(admission_denied::INVALID, &format!("its pod template is invalid: {}", quote(what, 300)))
            .fix("Correct the field that is named, in the pod template.")
    }

    fn pod_security(&self) -> Build {
        let level = quoted(self.text, "PodSecurity ").unwrap_or("of the namespace");
        let violations = pod_security::violations(self.text);
        let names = violations.iter().map(|violation| violation.name);
        let summary = format!("it violates Pod Security {level}: {}", crate::words::list(names, 8));
        let build = self.start(admission_denied::POD_SECURITY, &summary);
        let build = violations.iter().map(|violation| violation.detail.to_owned()).fold(build, Build::because);
        match pod_security::fragment(&violations, self.pod) {
            Some(fragment) => {
                let build = build.fix("Give the pod template what the violations ask for, and no more.");
                let build = if violations.iter().any(|violation| violation.name.starts_with("runAsNonRoot")) && self.pod.security.run_as_user.is_none() {
                    build.also("If the image's user is root, the kubelet refuses the container next (ContainerRefused): then set runAsUser, too.")
                } else {
                    build
                };
                build.change_owner(self.pod, fragment)
            }
            None => build.fix(format!(
                "Change the pod template as the violations say; or, if it needs these rights, let it run in a namespace with a lower level (`pod-security.kubernetes.io/enforce` of namespace {}).",
                self.state.namespace
            )),
        }
    }
}
