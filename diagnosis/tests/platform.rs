//! What the API server's word on a pod means, rule by rule: the messages that Kubernetes 1.37, containerd 2.4 and others
//! really write, and what must be silent.
//!
//! Times in the YAML below are `@5`, five seconds after a pod was created.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "what the crate may not do, its tests must")]

use serde::de::DeserializeOwned;
use std::time::Duration;
use unready_diagnosis::{
    catalogue::Cause,
    platform::{self, Explanation, OwnerState, PodFinding, Scene},
    pod::{Claim, Pod, PodEvent},
    verdict::{Confidence, Severity},
};

const SECOND: u64 = 1_000_000_000;
const CREATED: u64 = 1_700_000_000 * SECOND;

/// By way of JSON, in which the variants of an enum are maps.
fn parse<T: DeserializeOwned>(yaml: &str) -> T {
    let mut text = String::new();
    let mut parts = yaml.split('@');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        match digits.parse::<u64>() {
            Ok(seconds) => text.push_str(&(CREATED + seconds * SECOND).to_string()),
            Err(_) => text.push('@'),
        }
        text.push_str(part.get(digits.len()..).unwrap_or_default());
    }
    let value: serde_json::Value = serde_norway::from_str(&text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
    serde_json::from_value(value).unwrap_or_else(|error| panic!("{error}:\n{text}"))
}

/// All that is known of a pod, with its own copies.
struct World {
    pod: Pod,
    events: Vec<PodEvent>,
    claims: Vec<Claim>,
    kernel: bool,
    unseen: Vec<String>,
}

impl World {
    /// A pod on a node, owned by a Deployment, unless the YAML says otherwise.
    fn of(pod: &str) -> Self {
        let mut pod: Pod = parse(pod);
        let fill = |field: &mut String, text: &str| {
            if field.is_empty() {
                text.clone_into(field);
            }
        };
        fill(&mut pod.name, "orders-7d9f");
        fill(&mut pod.namespace, "shop");
        fill(&mut pod.status.phase, "Pending");
        pod.created = CREATED;
        Self { pod, events: Vec::new(), claims: Vec::new(), kernel: false, unseen: Vec::new() }
    }

    fn with_events(mut self, events: &str) -> Self {
        self.events = parse(events);
        self
    }

    fn with_claims(mut self, claims: &str) -> Self {
        self.claims = parse(claims);
        self
    }

    const fn with_kernel(mut self) -> Self {
        self.kernel = true;
        self
    }

    /// There is a kernel's evidence, but not of this container.
    fn but_unseen(mut self, name: &str) -> Self {
        self.kernel = true;
        self.unseen.push(name.to_owned());
        self
    }

    const fn scene(&self, seconds: u64) -> Scene<'_> {
        Scene {
            pod: &self.pod,
            events: self.events.as_slice(),
            claims: self.claims.as_slice(),
            now: CREATED + seconds * SECOND,
            kernel: self.kernel,
            unseen: self.unseen.as_slice(),
        }
    }

    fn explain(&self, seconds: u64) -> Explanation {
        platform::explain(&self.scene(seconds))
    }

    fn waiting(&self, seconds: u64) -> String {
        platform::waiting(&self.scene(seconds)).expect("it waits")
    }

    /// The only finding.
    fn only(&self, seconds: u64) -> PodFinding {
        let mut findings = self.explain(seconds).findings;
        assert_eq!(findings.len(), 1, "{findings:#?}");
        findings.remove(0)
    }

    fn said(&self, seconds: u64) -> Vec<(Cause, String)> {
        self.explain(seconds).findings.into_iter().map(|found| (found.finding.cause(), found.finding.layer.word.to_owned())).collect()
    }
}

fn pair(found: &PodFinding) -> (Cause, &str) {
    (found.finding.cause(), found.finding.layer.word)
}

fn all_words(found: &PodFinding) -> String {
    let finding = &found.finding;
    [finding.summary.as_str(), &finding.explanation.join("\n"), &finding.remedy.text, &finding.remedy.also.join("\n")].join("\n")
}

const OWNER: &str = "owner: { api_version: apps/v1, kind: Deployment, name: orders, strategy: RollingUpdate }";
const SCHEDULED: &str = "{ kind: PodScheduled, status: 'True', since: @0 }";

/// A pod of one container that waits with this reason.
fn waits(image: &str, reason: &str, message: &str) -> World {
    let message = message.replace('\'', "''");
    World::of(&format!(
        "{{ node: node-1, {OWNER}, containers: [{{ name: app, image: '{image}' }}], status: {{ started: @0, conditions: [{SCHEDULED}],
           containers: [{{ name: app, state: {{ waiting: {{ reason: {reason}, message: '{message}' }} }} }}] }} }}"
    ))
}

fn creating(more: &str) -> World {
    World::of(&format!(
        "{{ node: node-1, {OWNER}, {more} containers: [{{ name: app, image: 'shop/orders:2' }}], status: {{ started: @0, conditions: [{SCHEDULED}],
           containers: [{{ name: app, state: {{ waiting: {{ reason: ContainerCreating, message: '' }} }} }}] }} }}"
    ))
}

fn event(at: u64, reason: &str, message: &str) -> String {
    format!(
        "{{ reason: {reason}, message: '{}', is_warning: true, source: kubelet, first: @{at}, last: @{at}, count: 1 }}",
        message.replace('\'', "''")
    )
}

fn events(all: &[(u64, &str, &str)]) -> String {
    format!("[{}]", all.iter().map(|(at, reason, message)| event(*at, reason, message)).collect::<Vec<_>>().join(", "))
}

#[test]
fn images_by_what_runtimes_and_registries_say() {
    let cases = [
        (
            "no such image",
            "failed to pull and unpack image \"docker.io/shop/orders:9\": failed to resolve image: docker.io/shop/orders:9: not found",
        ),
        ("no such image", "rpc error: code = Unknown desc = reading manifest 9 in docker.io/shop/orders: manifest unknown"),
        (
            "access denied",
            "failed to resolve reference \"docker.io/shop/orders:9\": pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
        ),
        ("access denied", "unexpected status from HEAD request to https://r.example.com/v2/orders/manifests/9: 403 Forbidden"),
        ("access denied", "initializing source docker://r/shop/orders:9: reading manifest 9: requested access to the resource is denied"),
        (
            "registry unreachable",
            "failed to do request: Head \"https://r.example.com/v2/orders/manifests/9\": dial tcp: lookup r.example.com: no such host",
        ),
        ("registry unreachable", "failed to do request: Head \"https://r.example.com/v2/\": dial tcp 10.0.0.1:443: i/o timeout"),
        ("registry unreachable", "Head \"https://r.example.com/v2/\": net/http: TLS handshake timeout"),
        (
            "registry unreachable",
            "failed to authorize: failed to fetch anonymous token: Get \"https://auth.example.com/token\": dial tcp 10.0.0.1:443: connect: connection refused",
        ),
        (
            "TLS",
            "failed to do request: Head \"https://r.example.com/v2/\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
        ),
        ("TLS", "http: server gave HTTP response to HTTPS client"),
        ("rate limit", "429 Too Many Requests - Server message: toomanyrequests: You have reached your unauthenticated pull rate limit."),
        ("platform", "failed to pull and unpack image \"docker.io/shop/orders:9\": no match for platform in manifest: not found"),
        ("node disk", "failed to extract layer sha256:ab: write /var/lib/containerd/x: no space left on device"),
        ("pull failed", "something that nobody has written before"),
    ];
    for (layer, message) in cases {
        let found = waits("shop/orders:9", "ErrImagePull", message).only(2);
        assert_eq!(pair(&found), (Cause::ImagePull, layer), "{message}");
        assert_eq!(found.finding.subject.name, "shop/orders:9");
        assert_eq!(found.container.as_deref(), Some("app"));
        let unsure = matches!(layer, "access denied" | "pull failed");
        assert_eq!(found.confidence, if unsure { Confidence::Likely } else { Confidence::Certain }, "{message}");
    }
    let quoted = waits("shop/orders:9", "ErrImagePull", "something that nobody has written before").only(2);
    assert!(all_words(&quoted).contains("something that nobody has written before"), "what is not understood is quoted");
}

#[test]
fn an_images_own_name_is_no_sign_of_anything() {
    let found = waits("shop/x509: ", "ErrImagePull", "failed to resolve image: shop/x509: not found").only(2);
    assert_eq!(found.finding.layer.word, "no such image");
    let found = waits("tls: /unauthorized", "ErrImagePull", "failed to resolve tls: /unauthorized: not found").only(2);
    assert_eq!(found.finding.layer.word, "no such image");
}

#[test]
fn reasons_of_images_decide_before_messages() {
    for (reason, layer) in [
        ("ErrImageNeverPull", "never pulled"),
        ("InvalidImageName", "image name"),
        ("SignatureValidationFailed", "signature"),
        ("RegistryUnavailable", "registry unreachable"),
    ] {
        assert_eq!(waits("shop/orders:9", reason, "not found").only(2).finding.layer.word, layer);
    }
    let back_off = "Back-off pulling image \"shop/orders:9\": RegistryUnavailable: image pull failed for shop/orders:9 because the registry is unavailable";
    assert_eq!(waits("shop/orders:9", "ImagePullBackOff", back_off).only(9).finding.layer.word, "registry unreachable");
}

#[test]
fn a_back_off_without_its_reason_asks_for_the_events() {
    let world = waits("shop/orders:9", "ImagePullBackOff", "Back-off pulling image \"shop/orders:9\"");
    let explained = world.explain(9);
    assert!(explained.needs_events);
    assert_eq!(explained.findings.len(), 1, "that it fails is known all the same");
    let told = world.with_events(&events(&[
        (3, "Failed", "Failed to pull image \"shop/orders:9\": manifest unknown"),
        (4, "Failed", "Error: ErrImagePull"),
    ]));
    assert_eq!(told.only(9).finding.layer.word, "no such image");
    assert!(!told.explain(9).needs_events);
}

#[test]
fn one_image_of_two_containers_is_one_finding() {
    let world = World::of(&format!(
        "{{ node: node-1, {OWNER}, containers: [{{ name: a, image: x }}, {{ name: b, image: x }}], status: {{ containers: [
           {{ name: a, state: {{ waiting: {{ reason: ErrImagePull, message: 'x: not found' }} }} }}, {{ name: b, state: {{ waiting: {{ reason: ErrImagePull, message: 'x: not found' }} }} }}] }} }}"
    ));
    assert_eq!(world.only(3).container.as_deref(), Some("a"));
}

#[test]
fn volumes_by_what_the_events_say() {
    let volumes = "volumes: [{ name: conf, source: { config-map: { name: app, items: [{ key: a, path: a }], optional: false } } },
        { name: data, source: { claim: { name: orders-data, read_only: false } } }, { name: host, source: { host-path: { path: /srv, kind: File } } },
        { name: all, source: { projected: { sources: [{ secret: { name: keys, items: [{ key: k, path: k }], optional: false } }] } } }],";
    let cases = [
        (
            "FailedMount",
            "MountVolume.SetUp failed for volume \"conf\" : configmap \"app\" not found",
            "missing object",
            "conf",
            "ConfigMap app",
        ),
        (
            "FailedMount",
            "MountVolume.SetUp failed for volume \"conf\" : configmap references non-existent config key: a",
            "missing key",
            "conf",
            "ConfigMap app has no key a",
        ),
        (
            "FailedMount",
            "MountVolume.SetUp failed for volume \"all\" : references non-existent secret key: k",
            "missing key",
            "all",
            "Secret keys has no key k",
        ),
        (
            "FailedMount",
            "MountVolume.SetUp failed for volume \"host\" : hostPath type check failed: /srv is not a file, it's a Directory",
            "host path",
            "host",
            "it is a Directory",
        ),
        (
            "FailedMount",
            "MountVolume.MountDevice failed for volume \"pvc-7\" : kubernetes.io/csi: attacher.MountDevice failed to create newCsiDriverClient: driver name ebs.csi.aws.com not found in the list of registered CSI drivers",
            "driver",
            "data",
            "ebs.csi.aws.com",
        ),
        (
            "FailedAttachVolume",
            "Multi-Attach error for volume \"pvc-7\" Volume is already exclusively attached to one node and can't be attached to another",
            "attached elsewhere",
            "data",
            "another node",
        ),
        (
            "FailedAttachVolume",
            "AttachVolume.Attach failed for volume \"pvc-7\" : timed out waiting for external-attacher of ebs.csi.aws.com CSI driver to attach volume vol-1",
            "attach",
            "data",
            "csi-attacher",
        ),
        ("FileSystemResizeFailed", "MountVolume.Setup failed while expanding volume \"pvc-7\" : resize2fs", "resize", "data", "resized"),
        (
            "FailedMount",
            "MountVolume.SetUp failed for volume \"pvc-7\" : mount failed: exit status 32\nmount.nfs: access denied by server while mounting nfs:/x",
            "mount",
            "data",
            "list of clients",
        ),
        (
            "FailedMount",
            "Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[], failed to process volumes=[]: context deadline exceeded",
            "mount",
            "data",
            "does not say why",
        ),
        (
            "FailedMount",
            "Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[], failed to process volumes=[data]: error processing PVC shop/orders-data: failed to fetch PVC from API server: persistentvolumeclaims \"orders-data\" not found",
            "missing claim",
            "data",
            "the claim orders-data does not exist",
        ),
        (
            "FailedMount",
            "MountVolume.SetUp failed for volume \"pvc-7\" : kubernetes.io/csi: mounter.SetUpAt failed to get service account token attributes: failed to fetch token: serviceaccounts \"orders\" is forbidden: audience \"vault\" not found in pod spec volume",
            "mount",
            "data",
            "tokenRequests",
        ),
        (
            "FailedMount",
            "Unable to attach or mount volumes: unmounted volumes=[data kube-api-access-x], unattached volumes=[], failed to process volumes=[data]: error processing PVC shop/orders-data: PVC is being deleted",
            "mount",
            "data",
            "make it anew",
        ),
        (
            "FailedMount",
            "Unable to attach or mount volumes: unmounted volumes=[data kube-api-access-x], unattached volumes=[], failed to process volumes=[]: volume data has volumeMode Block, but is specified in volumeMounts",
            "mount",
            "data",
            "volumeDevices",
        ),
        (
            "FailedMount",
            "Unable to attach or mount volumes: unmounted volumes=[all], unattached volumes=[], failed to process volumes=[all]: something new",
            "mount",
            "all",
            "something new",
        ),
        (
            "FailedMount",
            "MountVolume.SetUp failed for volume \"all\" : failed to fetch token: serviceaccounts \"orders\" not found",
            "mount",
            "all",
            "ServiceAccount is gone",
        ),
    ];
    for (reason, message, layer, subject, words) in cases {
        let world = creating(volumes)
            .with_events(&events(&[(1, reason, message)]))
            .with_claims("[{ name: orders-data, exists: true, volume: pvc-7 }]");
        let found = world.only(10);
        assert_eq!((pair(&found), found.finding.subject.name.as_str()), ((Cause::VolumeSetup, layer), subject), "{message}");
        assert!(all_words(&found).contains(words), "{words}: {}", all_words(&found));
    }
}

#[test]
fn volumes_are_silent_at_first_and_when_the_sandbox_came_later() {
    let failed = [(1, "FailedMount", "MountVolume.SetUp failed for volume \"conf\" : configmap \"app\" not found")];
    let world = creating("").with_events(&events(&failed));
    let early = world.explain(2);
    assert!(early.findings.is_empty() && early.look_again == Some(Duration::from_secs(1)), "{early:?}");
    assert_eq!(world.said(3), [(Cause::VolumeSetup, "missing object".to_owned())]);
    let passed = creating("").with_events(&events(&[failed[0], (5, "Pulling", "Pulling image \"shop/orders:2\"")]));
    assert_eq!(passed.said(30), []);
    let passing = [(
        1,
        "FailedMount",
        "MountVolume.SetUp failed for volume \"t\" : failed to sync configmap cache: timed out waiting for the condition",
    )];
    assert_eq!(creating("").with_events(&events(&passing)).said(30), []);
}

#[test]
fn a_cache_that_never_fills_is_told_after_a_minute() {
    let text = "[{ reason: FailedMount, message: 'MountVolume.SetUp failed for volume \"t\" : failed to sync secret cache: timed out waiting for the condition', first: @1, last: @90, count: 20 }]";
    assert_eq!(creating("").with_events(text).said(95), [(Cause::VolumeSetup, "mount".to_owned())]);
}

#[test]
fn what_the_kubelet_gets_over_is_no_problem_before_it_has_lasted() {
    let volumes = "volumes: [{ name: data, source: { claim: { name: orders-data, read_only: false } } },
        { name: kube-api-access-x, source: { projected: { sources: [] } } }],";
    let unmounted = "Unable to attach or mount volumes: unmounted volumes=[data kube-api-access-x], unattached volumes=[], failed to process volumes=[data]: error processing PVC shop/orders-data: ";
    let passing = [
        "PVC is not bound",
        "failed to fetch PVC from API server: persistentvolumeclaims \"orders-data\" is forbidden: User \"system:node:n\" cannot get resource \"persistentvolumeclaims\" in API group \"\" in the namespace \"shop\": no relationship found between node 'n' and this object",
        "failed to fetch PV pvc-7 from API server: Get \"https://api/api/v1/persistentvolumes/pvc-7\": proxy says no; net/http: TLS handshake timeout",
        "PVC is not bound; error processing PVC shop/orders-data: PVC is not bound",
    ]
    .map(|error| format!("{unmounted}{error}"));
    for message in &passing {
        let once = events(&[(1, "FailedMount", message)]);
        assert_eq!(creating(volumes).with_events(&once).said(100), [], "{message}");
        let lasting = once.replace("last: @1,", "last: @120,");
        let found = creating(volumes).with_events(&lasting).only(130);
        assert_eq!((pair(&found), found.finding.subject.name.as_str()), ((Cause::VolumeSetup, "mount"), "data"), "{message}");
    }
    let interrupted = "Unable to attach or mount volumes: unmounted volumes=[data kube-api-access-x], unattached volumes=[], failed to process volumes=[]: context canceled";
    assert_eq!(creating(volumes).with_events(&events(&[(1, "FailedMount", interrupted)])).said(300), []);
    let fresh = "MountVolume.SetUp failed for volume \"kube-api-access-x\" : configmap \"kube-root-ca.crt\" not found";
    assert_eq!(creating(volumes).with_events(&events(&[(1, "FailedMount", fresh)])).said(30), []);
}

#[test]
fn the_most_telling_event_of_a_volume_is_taken() {
    let world = creating(
        "volumes: [{ name: conf, source: { config-map: { name: app, items: [], optional: false } } }, { name: tmp, source: { empty-dir: { medium: '' } } }],",
    );
    let world = world.with_events(&events(&[
        (1, "FailedMount", "MountVolume.SetUp failed for volume \"conf\" : configmap \"app\" not found"),
        (
            123,
            "FailedMount",
            "Unable to attach or mount volumes: unmounted volumes=[conf tmp], unattached volumes=[]: timed out waiting for the condition",
        ),
    ]));
    let found = world.only(130);
    assert_eq!((pair(&found), found.finding.subject.name.as_str()), ((Cause::VolumeSetup, "missing object"), "conf"));
}

#[test]
fn a_slow_change_of_ownership_is_slow_and_has_a_patch_unless_that_is_set_already() {
    let said = events(&[(
        40,
        "VolumePermissionChangeInProgress",
        "Setting volume ownership for 8a0c/volumes/kubernetes.io~local-volume/pv-1, processed 5 files.",
    )]);
    let with = |policy: &str| {
        let world = creating(&format!(
            "security: {{ fs_group: 70, fs_group_change_policy: '{policy}' }}, volumes: [{{ name: data, source: {{ claim: {{ name: c, read_only: false }} }} }}],"
        ));
        world.with_events(&said).only(60)
    };
    let always = with("");
    assert_eq!(
        (pair(&always), always.finding.severity, always.finding.subject.name.as_str()),
        ((Cause::VolumeSetup, "ownership change"), Severity::Slowing, "data")
    );
    let patch = always.finding.remedy.patch.as_ref().expect("a patch");
    assert_eq!(patch.body["spec"]["template"]["spec"]["securityContext"]["fsGroupChangePolicy"], "OnRootMismatch");
    assert!(with("OnRootMismatch").finding.remedy.patch.is_none());
}

#[test]
fn sandboxes_by_what_runtimes_say() {
    let cases = [
        (
            "FailedCreatePodSandBox",
            "failed to setup network for sandbox \"1\": plugin type=\"bridge\" failed (add): failed to allocate for range 0: no IP addresses available in range set: 10.0.0.1-10.0.0.9",
            "addresses",
        ),
        (
            "FailedCreatePodSandBox",
            "failed to setup network for sandbox \"1\": plugin type=\"calico\" failed (add): stat /var/lib/calico/nodename: no such file or directory",
            "network plug-in",
        ),
        ("FailedCreatePodSandBox", "failed to setup network for sandbox \"1\": cni config uninitialized", "no network"),
        (
            "NetworkNotReady",
            "network is not ready: container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized",
            "no network",
        ),
        ("FailedCreatePodSandBox", "unable to get OCI runtime for sandbox \"1\": no runtime for \"kata\" is configured", "runtime class"),
        (
            "FailedCreatePodSandBox",
            "failed to start sandbox \"1\": failed to get sandbox image \"registry.k8s.io/pause:3.10\": failed to pull image",
            "sandbox image",
        ),
        (
            "FailedCreatePodSandBox",
            "failed to start sandbox \"1\": runc create failed: open /proc/sys/net/ipv4/x: no such file or directory",
            "sysctl",
        ),
        ("FailedCreatePodSandBox", "can't set `spec.hostUsers: false`, runtime does not support user namespaces", "user namespace"),
        (
            "FailedCreatePodContainer",
            "unable to ensure pod container exists: failed to create container for [kubepods]: no space left on device",
            "cgroup",
        ),
        ("FailedPrepareDynamicResources", "Failed to prepare dynamic resources: no driver", "devices"),
        ("FailedCreatePodSandBox", "failed to reserve sandbox name \"x\"", "sandbox"),
    ];
    for (reason, message, layer) in cases {
        let message = format!("Failed to create pod sandbox: rpc error: code = Unknown desc = {message}");
        let found = creating("").with_events(&events(&[(2, reason, &message)])).only(10);
        assert_eq!(pair(&found), (Cause::SandboxSetup, layer), "{message}");
    }
    let once = creating("").with_events(&events(&[(1, "FailedCreatePodSandBox", "cni config uninitialized")]));
    assert_eq!(once.said(4), [], "one failure is no news");
}

#[test]
fn unschedulable_pods() {
    let with = |message: &str, more: &str| {
        World::of(&format!(
            "{{ {OWNER}, scheduler: default-scheduler, {more} containers: [{{ name: app, requests: [[memory, 9Ti]] }}], status: {{ phase: Pending,
               conditions: [{{ kind: PodScheduled, status: 'False', reason: Unschedulable, message: '{}', since: @0 }}] }} }}",
            message.replace('\'', "''")
        ))
    };
    let cases = [
        (
            "0/2 nodes are available: 1 Insufficient memory, 1 node(s) had untolerated taint(s). preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.",
            "resources",
            "memory 9Ti in container app",
        ),
        ("0/3 nodes are available: 3 Too many pods.", "resources", "maxPods"),
        ("0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.", "cordoned", "uncordon"),
        ("0/3 nodes are available: 3 node(s) had untolerated taint {dedicated: gpu}.", "taints", "the taint dedicated: gpu"),
        (
            "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.",
            "host ports",
            "1 has its hostPort in use",
        ),
        ("0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules.", "spreading", "preference"),
        (
            "0/3 nodes are available: persistentvolumeclaim \"data\" not found. not found",
            "claims",
            "persistentvolumeclaim \"data\" not found",
        ),
        ("0/3 nodes are available: 3 cannot allocate all claims.", "another condition", "cannot allocate all claims"),
        ("no nodes available to schedule pods", "no nodes", "Add a node"),
        ("running PreBind plugin \"VolumeBinding\": binding volumes: context deadline exceeded", "another condition", "binding volumes"),
    ];
    for (message, layer, words) in cases {
        let found = with(message, "").only(60);
        assert_eq!(pair(&found), (Cause::Unschedulable, layer), "{message}");
        assert!(all_words(&found).contains(words), "{words}: {}", all_words(&found));
    }
    assert_eq!(with(cases[0].0, "").said(1), [], "other pods may just be ending");
    assert_eq!(with("Scheduling is blocked due to non-empty scheduling gates", "scheduling_gates: [a/b],").said(600), []);
    assert!(with("x", "scheduling_gates: [a/b],").waiting(600).contains("scheduling gate a/b"));
}

#[test]
fn claims_explain_why_they_are_not_bound() {
    let world = |claim: &str| {
        World::of(&format!(
            "{{ {OWNER}, volumes: [{{ name: data, source: {{ claim: {{ name: c, read_only: false }} }} }}], containers: [{{ name: app }}], status: {{ phase: Pending,
               conditions: [{{ kind: PodScheduled, status: 'False', reason: Unschedulable, message: '0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.', since: @0 }}] }} }}"
        ))
        .with_claims(claim)
    };
    assert_eq!(world("[]").explain(5).needs_claims, ["c"]);
    for (claim, words) in [
        ("[{ name: c, exists: false }]", "Create PersistentVolumeClaim c"),
        ("[{ name: c, exists: true, phase: Pending, storage_class: fsat, class_exists: false }]", "Create StorageClass fsat"),
        ("[{ name: c, exists: true, phase: Lost, volume: pv-1 }]", "lost its PersistentVolume pv-1"),
    ] {
        assert!(all_words(&world(claim).only(5)).contains(words), "{words}");
    }
    let provisioning = world("[{ name: c, exists: true, phase: Pending, storage_class: fast, class_exists: true }]");
    assert_eq!(provisioning.said(5), []);
    assert!(all_words(&provisioning.only(40)).contains("StorageClass fast has not made a volume for it"));
}

#[test]
fn a_pod_that_no_scheduler_sees() {
    let world = World::of(&format!("{{ {OWNER}, scheduler: mine, containers: [{{ name: app }}] }}"));
    assert_eq!(world.said(29), []);
    assert_eq!(world.explain(29).look_again, Some(Duration::from_secs(1)));
    let found = world.only(31);
    assert_eq!((pair(&found), found.confidence), ((Cause::Unschedulable, "scheduler"), Confidence::Likely));
    assert!(found.finding.remedy.patch.is_some());
    let default = World::of("{ scheduler: default-scheduler, containers: [{ name: app }] }").only(31);
    assert!(default.finding.remedy.patch.is_none(), "there is nothing to correct in the manifest");
}

#[test]
fn what_the_environment_lacks() {
    for (message, subject) in [
        ("secret \"db\" not found", "Secret db"),
        ("configmap \"app\" not found", "ConfigMap app"),
        ("couldn't find key url in Secret shop/db", "Secret db, key url"),
        ("couldn't find key url in ConfigMap shop/app", "ConfigMap app, key url"),
    ] {
        let found = waits("x", "CreateContainerConfigError", message).only(3);
        assert_eq!((found.finding.cause(), found.finding.subject.name.as_str()), (Cause::ConfigMissing, subject));
        assert!(found.finding.remedy.text.contains("kubectl -n shop"), "{}", found.finding.remedy.text);
        assert!(found.finding.remedy.patch.is_none());
    }
    for passing in ["failed to sync secret cache: timed out waiting for the condition", "object \"shop\"/\"db\" not registered"] {
        assert_eq!(waits("x", "CreateContainerConfigError", passing).said(3), []);
    }
}

#[test]
fn a_key_that_is_spelt_much_the_same_is_corrected_only_if_it_is_known_to_exist() {
    let world = |volume_is_optional: bool| {
        World::of(&format!(
            "{{ node: node-1, {OWNER}, volumes: [{{ name: s, source: {{ secret: {{ name: db, items: [{{ key: password, path: p }}], optional: {volume_is_optional} }} }} }}],
               containers: [{{ name: app, env_from: [{{ variable: P, kind: Secret, name: db, key: pasword }}] }}],
               status: {{ containers: [{{ name: app, state: {{ waiting: {{ reason: CreateContainerConfigError, message: 'couldn''t find key pasword in Secret shop/db' }} }} }}] }} }}"
        ))
        .only(3)
    };
    let patch = world(false).finding.remedy.patch.expect("a patch").body;
    let env = &patch["spec"]["template"]["spec"]["containers"][0]["env"][0];
    assert_eq!((&env["name"], &env["valueFrom"]["secretKeyRef"]["key"]), (&"P".into(), &"password".into()));
    assert!(world(true).finding.remedy.patch.is_none());
}

#[test]
fn refusals_by_what_kubelet_and_runtime_say() {
    let cases = [
        (
            "CreateContainerConfigError",
            "container has runAsNonRoot and image will run as root (pod: \"a_b(c)\", container: app)",
            "root user",
        ),
        ("CreateContainerConfigError", "container's runAsUser breaks non-root policy (pod: \"a_b(c)\", container: app)", "root user"),
        (
            "CreateContainerConfigError",
            "container has runAsNonRoot and image has non-numeric user (nginx), cannot verify user is non-root (pod: \"a_b(c)\", container: app)",
            "unverifiable user",
        ),
        ("CreateContainerConfigError", "failed to prepare subPath for volumeMount \"data\" of container \"app\"", "mount"),
        ("CreateContainerError", "failed to reserve container name \"app_1\": name \"app_1\" is reserved for \"2\"", "name reserved"),
        ("CreateContainerError", "failed to generate container \"1\" spec: failed to generate spec: no command specified", "no command"),
        ("CreateContainerError", "failed to generate spec: failed to generate user string: no users found", "no such user"),
        (
            "CreateContainerError",
            "failed to create containerd container: cannot load seccomp profile \"/k/seccomp/none.json\": open /k/seccomp/none.json: no such file or directory",
            "security profile",
        ),
        ("CreateContainerError", "context deadline exceeded", "runtime"),
        (
            "RunContainerError",
            "failed to create containerd task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: error mounting \"/v/e\" to rootfs at \"/etc/passwd\": mount src=/v/e, dst=/etc/passwd: not a directory",
            "mount",
        ),
        (
            "RunContainerError",
            "OCI runtime create failed: runc create failed: unable to start container process: chdir to cwd (\"/srv/app\") set in config.json failed: permission denied",
            "working directory",
        ),
        ("RunContainerError", "something else", "runtime"),
    ];
    for (reason, message, layer) in cases {
        for world in [waits("x", reason, message), waits("x", reason, message).with_kernel()] {
            let found = world.only(3);
            assert_eq!(pair(&found), (Cause::ContainerRefused, layer), "{message}");
            assert_eq!(found.container.as_deref(), Some("app"));
        }
    }
}

#[test]
fn a_working_directory_that_is_a_file() {
    let world = World::of(
        "{ node: node-1, containers: [{ name: app, working_dir: /etc/passwd }], status: { containers: [{ name: app, state: { waiting: { reason: RunContainerError,
           message: 'OCI runtime create failed: runc create failed: unable to start container process: error during container init: mkdir /etc/passwd: not a directory' } } }] } }",
    );
    let found = world.only(3);
    assert_eq!(pair(&found), (Cause::ContainerRefused, "working directory"));
    assert!(found.finding.summary.contains("is not a directory"));
}

#[test]
fn the_user_of_a_patch_is_one_that_is_known_or_the_patch_says_that_it_is_not() {
    let user = |image_user: &str, pod: &str| {
        let message = format!(
            "container has runAsNonRoot and image has non-numeric user ({image_user}), cannot verify user is non-root (pod: \"a\", container: app)"
        );
        let found = World::of(&format!(
            "{{ node: node-1, {OWNER}, {pod} status: {{ containers: [{{ name: app, state: {{ waiting: {{ reason: CreateContainerConfigError, message: '{message}' }} }} }}] }} }}"
        ))
        .only(3);
        let remedy = found.finding.remedy;
        let body = remedy.patch.expect("a patch").body;
        (body["spec"]["template"]["spec"]["containers"][0]["securityContext"]["runAsUser"].clone(), remedy.also.join(" "))
    };
    let one = "containers: [{ name: app }],";
    assert_eq!(user("nobody", one), (65534.into(), String::new()));
    assert_eq!(user("nginx", "containers: [{ name: other, security: { run_as_user: 33 } }, { name: app }],").0, 33);
    let (uid, also) = user("nginx", one);
    assert!(uid == 1000 && also.contains("1000 stands for the number of nginx"), "{also}");
}

#[test]
fn commands_are_left_to_the_kernel_where_there_is_one() {
    let message = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: \"servre\": executable file not found in $PATH";
    let world = waits("x", "RunContainerError", message);
    let found = world.only(3);
    assert_eq!((pair(&found), found.finding.subject.name.as_str()), ((Cause::CommandNotFound, "not on PATH"), "servre"));
    assert_eq!(world.with_kernel().said(3), []);
}

fn rejected(reason: &str, message: &str, more: &str) -> World {
    World::of(&format!(
        "{{ node: node-1, {more} containers: [{{ name: app, storage_limit: 1073741824 }}], status: {{ phase: Failed, reason: {reason}, message: '{}', started: @0, conditions: [{{ kind: Ready, status: 'False' }}] }} }}",
        message.replace('\'', "''")
    ))
}

#[test]
fn rejections_by_their_reason() {
    let cases = [
        ("SysctlForbidden", "Pod was rejected: forbidden sysctl: \"kernel.msgmax\" not allowlisted", "sysctl", Severity::Blocking),
        (
            "OutOfcpu",
            "Pod was rejected: Node didn't have enough resource: cpu, requested: 1500, used: 900, capacity: 2000",
            "node resources",
            Severity::Advisory,
        ),
        (
            "OutOfmemory",
            "Pod was rejected: Node didn't have enough resource: memory, requested: 9895604649984, used: 125829120, capacity: 25066799104",
            "node resources",
            Severity::Blocking,
        ),
        (
            "OutOfexample.com/gpu",
            "Node didn't have enough resource: example.com/gpu, requested: 1, used: 1, capacity: 1",
            "node resources",
            Severity::Advisory,
        ),
        (
            "NodeAffinity",
            "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
            "node selection",
            Severity::Advisory,
        ),
        ("NodePorts", "Predicate NodePorts failed", "host ports", Severity::Blocking),
        (
            "UnexpectedAdmissionError",
            "Allocate failed due to no healthy devices present; cannot allocate unhealthy devices example.com/gpu, which is unexpected",
            "devices",
            Severity::Blocking,
        ),
        ("TopologyAffinityError", "Resources cannot be allocated with Topology locality", "node resources", Severity::Blocking),
        (
            "AppArmor",
            "Pod was rejected: Cannot enforce AppArmor: AppArmor is not enabled on the host",
            "security profile",
            Severity::Blocking,
        ),
        ("NodeShutdown", "Pod was rejected as the node is shutting down.", "node shutdown", Severity::Advisory),
        ("Terminated", "Pod was terminated in response to imminent node shutdown.", "node shutdown", Severity::Advisory),
        ("Preempting", "Preempted in order to admit critical pod", "preemption", Severity::Advisory),
        ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline", "deadline", Severity::Blocking),
        (
            "Evicted",
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 60Mi. Container app was using 2Gi, request is 0, has larger consumption of memory. ",
            "node pressure",
            Severity::Advisory,
        ),
        ("Evicted", "The node had condition: [DiskPressure]. ", "node pressure", Severity::Advisory),
        ("Evicted", "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ", "storage limit", Severity::Blocking),
        (
            "SupplementalGroupsPolicyNotSupported",
            "SupplementalGroupsPolicy=Strict is not supported in this node",
            "node features",
            Severity::Blocking,
        ),
        ("SomethingNew", "nobody knows", "refused", Severity::Blocking),
    ];
    for (reason, message, layer, severity) in cases {
        let found = rejected(reason, message, &format!("{OWNER},")).only(5);
        assert_eq!((pair(&found), found.finding.severity), ((Cause::PodRejected, layer), severity), "{reason}: {message}");
    }
    assert_eq!(rejected("NodeAffinity", "x", "").only(5).finding.severity, Severity::Blocking, "nobody makes it again");
}

#[test]
fn evictions_for_a_limit_raise_it() {
    let found = rejected("Evicted", "Container app exceeded its local ephemeral storage limit \"1Gi\". ", &format!("{OWNER},")).only(5);
    let body = found.finding.remedy.patch.expect("a patch").body;
    assert_eq!(body["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["ephemeral-storage"], "2Gi");
}

#[test]
fn an_evicted_pods_containers_did_not_crash() {
    let world = World::of(
        "{ node: node-1, containers: [{ name: app }], status: { phase: Failed, reason: DeadlineExceeded, message: x, containers: [
           { name: app, id: a, state: { terminated: { code: 137, signal: 0, reason: Error, message: '', started: @1, finished: @9 } } }] } }",
    );
    assert_eq!(world.said(10), [(Cause::PodRejected, "deadline".to_owned())]);
}

fn ended(more: &str, policy: &str, state: &str) -> World {
    World::of(&format!(
        "{{ node: node-1, {OWNER}, restart_policy: {policy}, containers: [{{ name: app, image: x, {more} }}], status: {{ phase: Running, conditions: [{SCHEDULED}, {{ kind: Ready, status: 'False' }}],
           containers: [{{ name: app, id: a, {state} }}] }} }}"
    ))
}

fn terminated(code: i32, reason: &str) -> String {
    format!("{{ terminated: {{ code: {code}, signal: 0, reason: {reason}, message: '', started: @10, finished: @12 }} }}")
}

fn backs_off(code: i32, reason: &str) -> String {
    format!(
        "restarts: 3, state: {{ waiting: {{ reason: CrashLoopBackOff, message: 'back-off 40s restarting failed container=app' }} }}, last: {}",
        terminated(code, reason)
    )
}

#[test]
fn ends_without_a_kernel() {
    let cases = [
        ("memory_limit: 67108864", backs_off(137, "OOMKilled"), Some((Cause::OutOfMemory, "main process"))),
        ("", backs_off(0, "Completed"), Some((Cause::ExitedEarly, "exit code 0"))),
        ("", backs_off(2, "Error"), Some((Cause::Crashed, "exit code"))),
        ("", backs_off(139, "Error"), Some((Cause::Crashed, "signal"))),
        ("", format!("state: {}", terminated(0, "Completed")), None),
        ("", format!("state: {}", terminated(255, "Unknown")), None),
        (
            "",
            format!("restarts: 1, state: {{ running: {{ since: @13 }} }}, last: {}", terminated(1, "Error")),
            Some((Cause::Crashed, "exit code")),
        ),
    ];
    for (more, state, expected) in cases {
        let world = ended(more, "Always", &state);
        let said = world.said(20);
        assert_eq!(said.first().map(|(cause, layer)| (*cause, layer.as_str())), expected, "{state}");
        assert_eq!(world.with_kernel().said(20), [], "with the kernel's evidence that decides");
    }
    let patch =
        ended("memory_limit: 67108864", "Always", &backs_off(137, "OOMKilled")).only(20).finding.remedy.patch.expect("a patch").body;
    assert_eq!(patch["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"], "128Mi");
    assert_eq!(ended("", "OnFailure", &backs_off(0, "Completed")).said(20), [], "a task may end");
    let settled = format!("restarts: 1, state: {{ running: {{ since: @13 }} }}, last: {}", terminated(1, "Error"));
    assert_eq!(ended("", "Always", &settled).said(200), [], "old news");
}

#[test]
fn what_the_kernels_evidence_does_not_cover_is_judged_from_the_status() {
    let crash = || ended("", "Always", &backs_off(2, "Error"));
    let found = crash().but_unseen("app").only(20);
    assert_eq!((pair(&found), found.confidence), ((Cause::Crashed, "exit code"), Confidence::Likely));
    assert_eq!(crash().but_unseen("proxy").said(20), [], "another container was not seen");
    assert_eq!(crash().only(20).confidence, Confidence::Certain, "without a kernel it is all that there is");
    assert_eq!(ended("", "OnFailure", &backs_off(0, "Completed")).but_unseen("app").said(20), [], "a task may end");
}

#[test]
fn a_container_that_its_probe_killed_did_not_crash_by_itself() {
    let probe = "liveness: { action: 'TCP :8080', period: 1, failures: 2 }";
    let asking = ended(probe, "Always", &backs_off(137, "Error"));
    assert_eq!(asking.said(13), [], "the events are waited for");
    assert!(asking.explain(13).needs_events);
    assert_eq!(asking.said(18), [(Cause::Crashed, "signal".to_owned())], "but not for ever");
    for code in [137, 0] {
        let told = ended(probe, "Always", &backs_off(code, "Error")).with_events(&events(&[
            (11, "Unhealthy", "Liveness probe failed: dial tcp 10.0.0.1:8080: connect: connection refused"),
            (12, "Killing", "Container app failed liveness probe, will be restarted"),
        ]));
        let found = told.only(13);
        assert_eq!(pair(&found), (Cause::Crashed, "failed probe"));
        assert!(all_words(&found).contains("connection refused"));
    }
    let throttled = ended(probe, "Always", &backs_off(137, "Error")).with_events(&events(&[(
        2,
        "Killing",
        "Container app failed liveness probe, will be restarted",
    )]));
    assert_eq!((pair(&throttled.only(13)), throttled.only(13).confidence), ((Cause::Crashed, "failed probe"), Confidence::Likely));
    let by_itself = ended(probe, "Always", &backs_off(3, "Error")).with_events(&events(&[(
        2,
        "Killing",
        "Container app failed liveness probe, will be restarted",
    )]));
    assert_eq!(by_itself.said(13), [(Cause::Crashed, "exit code".to_owned())]);
}

#[test]
fn hooks_that_fail() {
    let base = |state: &str| ended("post_start: exec /bin/register", "Always", state);
    let waiting = |message: &str| {
        base(&format!("state: {{ waiting: {{ reason: PostStartHookError, message: '{}' }} }}", message.replace('\'', "''")))
    };
    let cases = [
        (
            "Exec lifecycle hook ([sh -c x]) for Container \"app\" in Pod \"p\" failed - error: command 'sh -c x' exited with 7: hello , message: \"hello\\n\"",
            "exit code",
            "it wrote: hello",
        ),
        (
            "Exec lifecycle hook ([/bin/none]) for Container \"app\" in Pod \"p\" failed - error: rpc error: code = Unknown desc = failed to exec in container: failed to start exec \"7\": OCI runtime exec failed: exec failed: unable to start container process: exec: \"/bin/none\": stat /bin/none: no such file or directory",
            "hook command",
            "by its path",
        ),
        (
            "HTTP lifecycle hook (/x) for Container \"app\" in Pod \"p\" failed - error: Get \"http://10.0.0.1:8080/x\": dial tcp 10.0.0.1:8080: connect: connection refused",
            "HTTP request",
            "connection refused",
        ),
    ];
    for (message, layer, words) in cases {
        let found = waiting(message).only(3);
        assert_eq!((pair(&found), found.finding.subject.name.as_str()), ((Cause::HookFailed, layer), "postStart"), "{message}");
        assert!(all_words(&found).contains(words), "{}", all_words(&found));
    }
    let told = base(&backs_off(137, "Error")).with_events(&events(&[(12, "FailedPostStartHook", "PostStartHook failed")]));
    assert_eq!(told.said(14), [(Cause::HookFailed, "postStart".to_owned())], "the container did not crash by itself");
    let throttled = base(&backs_off(137, "Error")).with_events(&events(&[(2, "FailedPostStartHook", "PostStartHook failed")])).only(14);
    assert_eq!(
        (pair(&throttled), throttled.confidence),
        ((Cause::HookFailed, "postStart"), Confidence::Likely),
        "the kubelet stops sending events"
    );
    let earlier = base(&backs_off(1, "Error")).with_events(&events(&[(2, "FailedPostStartHook", "PostStartHook failed")]));
    assert_eq!(earlier.said(14), [(Cause::Crashed, "exit code".to_owned())], "that was an earlier start");
}

#[test]
fn a_pod_that_is_being_ended_is_only_told_of_its_hooks() {
    let world = |hook: &str| {
        World::of(&format!(
            "{{ node: node-1, deleted: @40, grace_seconds: 30, containers: [{{ name: app, pre_stop: '{hook}' }}], status: {{ phase: Running, containers: [{{ name: app, id: a, state: {{ running: {{ since: @1 }} }} }}] }} }}"
        ))
    };
    let early = world("exec sleep 60").explain(20);
    assert!(early.findings.is_empty() && early.look_again == Some(Duration::from_secs(20)));
    assert!(world("x").waiting(20).contains("being ended, since 10 s"));
    let sleeps = world("exec sleep 60").only(41);
    assert_eq!((pair(&sleeps), sleeps.confidence), ((Cause::HookFailed, "grace period"), Confidence::Certain));
    assert_eq!(world("exec /drain").only(41).confidence, Confidence::Possible);
    let failed = world("exec /drain").with_events(&events(&[(15, "FailedPreStopHook", "PreStopHook failed")])).only(20);
    assert_eq!((pair(&failed), failed.finding.severity), ((Cause::HookFailed, "preStop"), Severity::Advisory));
}

#[test]
fn gates_that_nobody_opens() {
    let world = |gate: &str, more: &str| {
        World::of(&format!(
            "{{ node: node-1, readiness_gates: ['{gate}'], containers: [{{ name: app }}], status: {{ phase: Running, conditions: [{{ kind: ContainersReady, status: 'True', since: @5 }},
               {{ kind: Ready, status: 'False', reason: ReadinessGatesNotReady, since: @5 }}{more}], containers: [{{ name: app, id: a, is_ready: true, is_started: true, state: {{ running: {{ since: @1 }} }} }}] }} }}"
        ))
    };
    assert_eq!(world("a.example/x", "").said(34), []);
    assert!(world("cloud.google.com/load-balancer-neg-ready", "").waiting(20).contains("GKE's NEG controller sets it"));
    assert_eq!(pair(&world("a.example/x", "").only(36)), (Cause::ReadinessGate, "condition absent"));
    let set = world("a.example/x", ", { kind: a.example/x, status: 'False', reason: Cold, message: not warm }").only(36);
    assert_eq!(pair(&set), (Cause::ReadinessGate, "condition false"));
    assert!(all_words(&set).contains("not warm"));
    assert_eq!(world("a.example/x", ", { kind: a.example/x, status: 'True' }").said(100), []);
}

fn init(containers: &str, statuses: &str) -> World {
    World::of(&format!(
        "{{ node: node-1, {OWNER}, containers: [{containers}, {{ name: app, image: x }}], status: {{ phase: Pending, conditions: [{SCHEDULED}, {{ kind: PodReadyToStartContainers, status: 'True' }}],
           containers: [{statuses}, {{ name: app, state: {{ waiting: {{ reason: PodInitializing, message: '' }} }} }}] }} }}"
    ))
}

#[test]
fn init_containers_in_their_order() {
    let two = "{ name: a, kind: init, image: y }, { name: b, kind: init, image: z }";
    let done =
        "{ name: a, id: a1, state: { terminated: { code: 0, signal: 0, reason: Completed, message: '', started: @1, finished: @2 } } }";
    let runs = format!("{done}, {{ name: b, id: b1, state: {{ running: {{ since: @3 }} }} }}");
    let world = init(two, &runs);
    assert_eq!(world.said(30), []);
    assert!(world.waiting(30).contains("init container b (2 of 2) runs since 27 s"), "{}", world.waiting(30));
    let long = world.only(70);
    assert_eq!((pair(&long), long.finding.severity), ((Cause::InitSequence, "init container"), Severity::Slowing));
    assert!(all_words(&long).contains("still to come: app"));

    let fails = format!(
        "{done}, {{ name: b, id: b1, restarts: 2, {} }}",
        "state: { terminated: { code: 1, signal: 0, reason: Error, message: '', started: @3, finished: @4 } }"
    );
    let with_kernel = init(two, &fails).with_kernel().only(6);
    assert_eq!((pair(&with_kernel), with_kernel.finding.severity), ((Cause::InitSequence, "init container"), Severity::Blocking));
    assert_eq!(with_kernel.container.as_deref(), None, "it is about the pod");
    let without = init(two, &fails).explain(6).findings;
    let severities: Vec<_> = without.iter().map(|found| (found.finding.cause(), found.finding.severity)).collect();
    assert_eq!(severities, [(Cause::Crashed, Severity::Blocking), (Cause::InitSequence, Severity::Advisory)]);
}

#[test]
fn a_sidecar_counts_until_it_has_started() {
    let sidecar = "{ name: proxy, kind: sidecar, image: y, startup: { action: 'GET http://:15021/ready' } }";
    let state = |started: bool| format!("{{ name: proxy, id: p1, is_started: {started}, state: {{ running: {{ since: @1 }} }} }}");
    assert_eq!(init(sidecar, &state(false)).said(70), [(Cause::InitSequence, "sidecar".to_owned())]);
    assert!(init(sidecar, &state(false)).waiting(9).contains("its startup probe GET http://:15021/ready has not succeeded yet"));
    assert_eq!(init(sidecar, &state(true)).said(70), []);
}

#[test]
fn a_sidecar_that_crashes_later_holds_nobody() {
    let crashed = "restarts: 2, state: { waiting: { reason: CrashLoopBackOff, message: x } },
        last: { terminated: { code: 1, signal: 0, reason: Error, message: '', started: @3, finished: @4 } }";
    let world = |initialized: &str, app: &str| {
        World::of(&format!(
            "{{ node: node-1, {OWNER}, containers: [{{ name: proxy, kind: sidecar, image: y }}, {{ name: app, image: x }}], status: {{ phase: Running,
               conditions: [{SCHEDULED}, {{ kind: Initialized, status: '{initialized}' }}],
               containers: [{{ name: proxy, id: p1, {crashed} }}, {{ name: app, {app} }}] }} }}"
        ))
        .with_kernel()
        .said(9)
    };
    let (waits, runs) = ("state: { waiting: { reason: PodInitializing, message: '' } }", "id: a, state: { running: { since: @2 } }");
    assert_eq!(world("False", waits), [(Cause::InitSequence, "sidecar".to_owned())]);
    assert_eq!(world("True", waits), []);
    assert_eq!(world("False", runs), []);
}

fn owner(kind: &str, message: &str) -> OwnerState {
    let message = message.replace('\'', "''");
    parse(&format!(
        "{{ owner: {{ api_version: apps/v1, kind: {kind}, name: orders, strategy: RollingUpdate }}, namespace: shop, wanted: 2, present: 0, template: {{ containers: [{{ name: app }}] }},
           events: [{{ reason: FailedCreate, message: '{message}', is_warning: true, first: @1, last: @9, count: 4 }}] }}"
    ))
}

#[test]
fn owners_that_may_make_no_pod() {
    let forbidden = |text: &str| format!("Error creating: pods \"orders-7d9f-\" is forbidden: {text}");
    let cases = [
        (forbidden("exceeded quota: compute, requested: pods=1, used: pods=4, limited: pods=4"), "quota", "a pod needs pods=1; used are pods=4, allowed pods=4"),
        (forbidden("failed quota: compute: must specify limits.cpu for: app"), "quota", "demands that every container sets limits.cpu for: app"),
        (forbidden("maximum memory usage per Container is 64Mi, but limit is 1Gi"), "limit range", "get limitrange"),
        (forbidden("error looking up service account shop/orders: serviceaccount \"orders\" not found"), "service account", "create serviceaccount orders"),
        ("create Pod orders-0 in StatefulSet orders failed error: pods \"orders-0\" is forbidden: error looking up service account shop/x: serviceaccount \"x\" not found".to_owned(), "service account", "create serviceaccount x"),
        ("Error creating: admission webhook \"validate.example.com\" denied the request: image tag latest is not allowed".to_owned(), "webhook", "image tag latest is not allowed"),
        ("Error creating: Internal error occurred: failed calling webhook \"w.example.com\": failed to call webhook: Post \"https://w.ns.svc:443/\": dial tcp 10.96.0.9:443: connect: connection refused".to_owned(), "webhook away", "nothing listens"),
        (forbidden("no PriorityClass with name gold was found"), "missing object", "PriorityClass gold"),
        (forbidden("pod rejected: RuntimeClass \"kata\" not found"), "missing object", "RuntimeClass kata"),
        ("Error creating: Pod \"orders-7d9f-x\" is invalid: spec.containers[0].volumeMounts[0].name: Not found: \"data\"".to_owned(), "invalid template", "spec.containers[0].volumeMounts[0].name"),
        (forbidden("something else"), "refused", "something else"),
    ];
    for (message, layer, words) in cases {
        let found = platform::owner(&owner("Deployment", &message), CREATED + 20 * SECOND);
        assert_eq!(found.len(), 1, "{message}");
        assert_eq!(
            (pair(&found[0]), found[0].finding.subject.name.as_str()),
            ((Cause::AdmissionDenied, layer), "Deployment/orders"),
            "{message}"
        );
        assert!(all_words(&found[0]).contains(words), "{words}: {}", all_words(&found[0]));
        assert_eq!((found[0].count, found[0].since, found[0].last), (4, CREATED + SECOND, CREATED + 9 * SECOND));
    }
}

#[test]
fn owners_that_have_all_or_are_getting_them() {
    let refused =
        owner("Deployment", "Error creating: pods \"x\" is forbidden: exceeded quota: c, requested: pods=1, used: pods=4, limited: pods=4");
    assert!(platform::owner(&OwnerState { present: 2, ..refused.clone() }, CREATED).is_empty());
    let mut events = refused.events.clone();
    events.push(PodEvent { reason: "SuccessfulCreate".to_owned(), last: CREATED + 11 * SECOND, ..PodEvent::default() });
    assert!(platform::owner(&OwnerState { events, ..refused.clone() }, CREATED).is_empty());
    assert!(platform::owner(&OwnerState { events: Vec::new(), ..refused }, CREATED).is_empty());
}

#[test]
fn a_pod_that_is_well_is_silent_whatever_is_said_of_its_past() {
    let noise = events(&[
        (1, "FailedMount", "MountVolume.SetUp failed for volume \"conf\" : configmap \"app\" not found"),
        (2, "FailedCreatePodSandBox", "cni config uninitialized"),
        (3, "FailedPostStartHook", "PostStartHook failed"),
        (4, "Unhealthy", "Readiness probe failed: 503"),
    ]);
    let ready = World::of(
        "{ node: node-1, containers: [{ name: app, post_start: x }], status: { phase: Running, conditions: [{ kind: Ready, status: 'True' }], containers: [
           { name: app, id: a, is_ready: true, restarts: 4, state: { running: { since: @5 } }, last: { terminated: { code: 1, signal: 0, reason: Error, message: '', started: @1, finished: @2 } } }] } }",
    )
    .with_events(&noise);
    let explained = ready.explain(100);
    assert_eq!(explained, Explanation::default());
    assert_eq!(platform::waiting(&ready.scene(100)), None);
    let done = World::of("{ node: node-1, containers: [{ name: app }], status: { phase: Succeeded, conditions: [{ kind: Ready, status: 'False', reason: PodCompleted }] } }").with_events(&noise);
    assert_eq!(done.explain(100), Explanation::default());
    assert_eq!(platform::waiting(&done.scene(100)), None);
}

#[test]
fn what_a_pod_waits_for() {
    let running = |more: &str, started: bool| {
        World::of(&format!(
            "{{ node: node-1, containers: [{{ name: app, image: x, {more} }}], status: {{ phase: Running, conditions: [{SCHEDULED}, {{ kind: Ready, status: 'False' }}],
               containers: [{{ name: app, id: a, is_started: {started}, state: {{ running: {{ since: @5 }} }} }}] }} }}"
        ))
    };
    let unhealthy = events(&[(14, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")]);
    let probed = running("readiness: { action: 'GET http://:8080/readyz', period: 5 }", true);
    assert_eq!(
        probed.with_events(&unhealthy).waiting(17),
        "waiting, nothing wrong so far: container app runs since 12 s, its readiness probe GET http://:8080/readyz has not succeeded yet; the last answer: Readiness probe failed: HTTP probe failed with statuscode: 503"
    );
    let delayed = running("startup: { action: 'TCP :80', initial_delay: 20 }, readiness: { action: 'GET /' }", false);
    assert_eq!(
        delayed.waiting(10),
        "waiting, nothing wrong so far: container app runs since 5.0 s, its startup probe TCP :80 has not succeeded yet (the first attempt is made after 20 s)"
    );
    let pull = "[{ reason: Pulling, message: x, field: 'spec.containers{app}', first: @4, last: @4 }]";
    assert_eq!(
        creating("").with_events(pull).waiting(38),
        "waiting, nothing wrong so far: image shop/orders:2 of container app is being pulled, since 34 s"
    );
    assert_eq!(
        creating("").waiting(3),
        "waiting, nothing wrong so far: it was given to node node-1 3.0 s ago; its sandbox is being prepared"
    );
    assert_eq!(
        ended("", "Always", &backs_off(1, "Error")).waiting(20),
        "container app is started again by the kubelet, at most 40s after its end; it ended with code 1 (Error) 8.0 s ago"
    );
    let new = World::of("{ containers: [{ name: app }] }");
    assert_eq!(new.waiting(2), "waiting, nothing wrong so far: it was created 2.0 s ago and is not scheduled yet");
    let lost = World::of(
        "{ node: node-1, containers: [{ name: app }], status: { phase: Running, conditions: [{ kind: Ready, status: Unknown, reason: NodeStatusUnknown, since: @10 }] } }",
    );
    assert_eq!(lost.waiting(70), "node node-1 has not reported since 1 min 0 s: what became of the pod is not known");
}

/// What is said is said again whenever somebody looks; only what has changed may be news.
#[test]
fn what_is_said_stays_the_same_as_time_goes_by() {
    let unfit = format!(
        "{{ {OWNER}, node_selector: [[disk, sdd]], containers: [{{ name: app, requests: [[memory, 9Ti]] }}], status: {{ phase: Pending,
           conditions: [{{ kind: PodScheduled, status: 'False', reason: Unschedulable, message: '0/2 nodes are available: 1 Insufficient memory, 1 node(s) didn''t match Pod''s node affinity/selector.', since: @0 }}] }} }}"
    );
    let runs = "{ name: a, id: a1, state: { running: { since: @3 } } }";
    let gate = "{ node: node-1, readiness_gates: [x/y], containers: [{ name: app }], status: { phase: Running, conditions: [{ kind: ContainersReady, status: 'True', since: @5 }] } }";
    let slow = events(&[(
        40,
        "VolumePermissionChangeInProgress",
        "Setting volume ownership for 8a0c/volumes/kubernetes.io~local-volume/pv-1, processed 5 files.",
    )]);
    let worlds = [
        World::of(&unfit),
        World::of("{ scheduler: mine, containers: [{ name: app }] }"),
        World::of(gate),
        init("{ name: a, kind: init, image: y }", runs),
        creating("").with_events(&slow),
        ended("", "Always", &backs_off(1, "Error")),
        waits("x", "ErrImagePull", "x: not found"),
        rejected("Evicted", "The node had condition: [DiskPressure]. ", ""),
    ];
    for world in worlds {
        let without_last =
            |seconds| world.explain(seconds).findings.into_iter().map(|found| PodFinding { last: 0, ..found }).collect::<Vec<_>>();
        assert!(!without_last(100).is_empty(), "{:?}", world.pod);
        assert_eq!(without_last(100), without_last(4000));
    }
}

#[test]
fn no_message_makes_it_panic_and_none_is_passed_over() {
    let odd = [
        "",
        "\"",
        "\"\"",
        ": ",
        "volume \"",
        "unmounted volumes=[",
        "exec: \"",
        "0/ nodes are available",
        "violates PodSecurity",
        "ääää(((",
        "{",
        "find key in Secret /",
    ];
    for text in odd {
        for reason in ["ErrImagePull", "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PostStartHookError"] {
            let said = waits("x", reason, text).explain(60);
            let silent_by_right = reason == "RunContainerError" && text.is_empty();
            assert!(!said.findings.is_empty() || silent_by_right, "{reason}: {text:?}");
        }
        for reason in ["FailedMount", "FailedAttachVolume", "VolumePermissionChangeInProgress", "FailedCreatePodSandBox"] {
            let text = if text.is_empty() { "x" } else { text };
            let _ = creating("volumes: [{ name: d, source: { claim: { name: c, read_only: false } } }],")
                .with_events(&events(&[(1, reason, text)]))
                .explain(60);
        }
        let _ = platform::owner(&owner("Deployment", &format!("{text} is forbidden: {text}")), CREATED);
        let _ = rejected("Evicted", text, "").explain(60);
    }
}
