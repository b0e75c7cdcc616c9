//! `ImagePull`: the kubelet says so in the container's status, with the runtime's message.
//!
//! Reasons: Kubernetes 1.37 `pkg/kubelet/images/types.go`, `cri-api/pkg/errors`. The layer is read from the runtime's message (containerd
//! 2.4 `core/remotes/docker`, `core/images`; CRI-O, Docker). A pull that takes long and goes on is not here: nothing is wrong with it.

use super::{
    Explanation, Scene,
    asked::{self, Asked},
    build::{Build, container, found},
    message::{core, has_any},
    scene::{container_of, last, waits},
};
use crate::{
    catalogue::{Layer, image_pull},
    pod::PodEvent,
    verdict::{Confidence, SubjectKind},
};

const REASONS: [&str; 7] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
];
const FAILED: [&str; 2] = ["Failed", "InspectFailed"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    NeverPulled,
    Name,
    Signature,
    RateLimit,
    Platform,
    Disk,
    Tls,
    Unreachable,
    Denied,
    NotFound,
    Other,
}

/// Phrases of runtimes and registries, in lower case; the first that fits decides.
const SIGNS: [(Kind, &[&str]); 7] = [
    (Kind::RateLimit, &["toomanyrequests", "429 too many", "too many requests", "rate limit"]),
    (
        Kind::Platform,
        &["no match for platform", "no matching manifest for", "no image found in manifest list", "does not match the specified platform"],
    ),
    (Kind::Disk, &["no space left on device", "disk quota exceeded"]),
    (Kind::Tls, &["x509:", "http response to https client", "first record does not look like a tls", "tls: "]),
    (
        Kind::Unreachable,
        &[
            "no such host",
            "server misbehaving",
            "connection refused",
            "connection reset",
            "i/o timeout",
            "tls handshake timeout",
            "deadline exceeded",
            "network is unreachable",
            "no route to host",
            "dial tcp",
            "unexpected eof",
            "502 bad gateway",
            "503 service unavailable",
            "504 gateway",
            "500 internal server error",
        ],
    ),
    (
        Kind::Denied,
        &[
            "401 unauthorized",
            "403 forbidden",
            "unauthorized",
            "access denied",
            "access to the resource is denied",
            "denied: ",
            "insufficient_scope",
            "authorization failed",
            "no basic auth credentials",
            "authentication required",
            "failed to authorize",
        ],
    ),
    (Kind::NotFound, &["not found", "manifest unknown", "name unknown"]),
];

/// Adds what is known about images.
pub(super) fn explain(scene: &Scene<'_>, explanation: &mut Explanation) {
    let mut images: Vec<&str> = Vec::new();
    for (spec, status) in scene.containers() {
        let (reason, message) = waits(status);
        if !REASONS.contains(&reason) || images.contains(&spec.image.as_str()) {
            continue;
        }
        images.push(&spec.image);
        let event = failed_pull(scene, &spec.name, &spec.image);
        let text = detail(reason, message, event);
        explanation.needs_events |= text.is_none();
        let text = text.unwrap_or(message);
        let image = Image::of(&spec.image);
        let kind = kind(reason, &text.replace(&spec.image, "").to_lowercase());
        let fact = format!("{}: waiting, {reason}: {message}", container(scene, &spec.name));
        let build = say(scene, &spec.name, &image, kind, text).of(&spec.name).event_if(event);
        let build = build.event_if(secret_event(scene).filter(|_| kind == Kind::Denied));
        explanation.findings.push(build.status(scene.taken_up(), &fact).now(scene));
    }
}

/// The event of the failed pull; a failed creation of the container has the same reason.
fn failed_pull<'a>(scene: &Scene<'a>, container: &str, image: &str) -> Option<&'a PodEvent> {
    let about = |event: &&PodEvent| container_of(event).is_none_or(|name| name == container) && event.message.contains(image);
    scene.events_with(&FAILED).filter(about).max_by_key(|event| last(event))
}

/// What the runtime said. Older kubelets do not repeat it in the back-off's message: then only the event has it.
fn detail<'a>(reason: &str, message: &'a str, event: Option<&'a PodEvent>) -> Option<&'a str> {
    let backs_off = reason == "ImagePullBackOff";
    let told = if backs_off { message.split_once("\": ").map(|(_, rest)| rest) } else { Some(message) };
    told.or_else(|| Some(event?.message.as_str()))
}

fn secret_event<'a>(scene: &Scene<'a>) -> Option<&'a PodEvent> {
    scene.last_with(&["FailedToRetrieveImagePullSecret"])
}

fn kind(reason: &str, lower: &str) -> Kind {
    let read = || SIGNS.iter().find(|(_, phrases)| has_any(lower, phrases)).map_or(Kind::Other, |(kind, _)| *kind);
    match reason {
        "ErrImageNeverPull" => Kind::NeverPulled,
        "InvalidImageName" => Kind::Name,
        "SignatureValidationFailed" => Kind::Signature,
        "RegistryUnavailable" => Some(read()).filter(|kind| matches!(kind, Kind::Tls | Kind::RateLimit)).unwrap_or(Kind::Unreachable),
        _ => match lower {
            // The back-off's message begins with the reason of the pull that failed.
            text if text.starts_with("registryunavailable") => Kind::Unreachable,
            text if text.starts_with("signaturevalidationfailed") => Kind::Signature,
            _ => read(),
        },
    }
}

/// An image's name, taken apart as the runtimes do (`distribution/reference`).
struct Image<'a> {
    name: &'a str,
    registry: &'a str,
    repository: &'a str,
    tag: Option<&'a str>,
}

impl<'a> Image<'a> {
    fn of(name: &'a str) -> Self {
        let bare = name.split_once('@').map_or(name, |(bare, _)| bare);
        let (path, tag) = match bare.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
            _ => (bare, None),
        };
        let (registry, repository) = match path.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host, rest),
            _ => ("docker.io", path),
        };
        Self { name, registry, repository, tag }
    }

    fn has_digest(&self) -> bool {
        self.name.contains('@')
    }
}

fn say(scene: &Scene<'_>, name: &str, image: &Image<'_>, kind: Kind, text: &str) -> Build {
    let asked = Asked::read(text);
    let other = asked.filter(|asked| !asked.is_registry(image.registry));
    let (layer, summary) = headline(image, kind, other);
    let build = found(layer, (SubjectKind::Image, image.name), summary);
    let build = build.because(format!("the runtime says: {}", core(&asked::without_queries(text))));
    let build = build.because_if(other.map(|asked| asked.sentence(image.registry)));
    let sure = match kind {
        Kind::Denied | Kind::Other => Confidence::Likely,
        Kind::NeverPulled
        | Kind::Name
        | Kind::Signature
        | Kind::RateLimit
        | Kind::Platform
        | Kind::Disk
        | Kind::Tls
        | Kind::Unreachable
        | Kind::NotFound => Confidence::Certain,
    };
    let build = details(build, scene, image, kind, text);
    build.fix(remedy(scene, name, image, kind, asked)).sure(sure)
}

fn headline(image: &Image<'_>, kind: Kind, other: Option<Asked<'_>>) -> (Layer, String) {
    let Image { name, registry, .. } = image;
    match kind {
        Kind::NeverPulled => {
            (image_pull::NEVER_PULLED, format!("image {name} is not on the node, and imagePullPolicy Never forbids to pull it"))
        }
        Kind::Name => (image_pull::IMAGE_NAME, format!("{name} is no valid image name")),
        Kind::Signature => (image_pull::SIGNATURE, format!("the signature of image {name} is not accepted")),
        Kind::RateLimit => {
            (image_pull::RATE_LIMIT, format!("registry {registry} answers no more pulls for now: its rate limit is reached"))
        }
        Kind::Platform => (image_pull::PLATFORM, format!("image {name} exists, but not for this node's platform")),
        Kind::Disk => (image_pull::NODE_DISK, format!("the node's disk is too full to unpack image {name}")),
        Kind::Tls => (image_pull::TLS, format!("registry {registry} and this node do not agree on TLS")),
        Kind::Unreachable => {
            let whom = other.map_or_else(|| format!("registry {registry}"), |asked| asked.name(registry));
            (image_pull::REGISTRY_UNREACHABLE, format!("{whom} cannot be reached from the node"))
        }
        Kind::Denied => (image_pull::ACCESS_DENIED, format!("registry {registry} refuses access to image {name}")),
        Kind::NotFound if image.has_digest() => {
            (image_pull::NO_SUCH_IMAGE, format!("image {name} does not exist: {registry} knows no such digest"))
        }
        Kind::NotFound => (
            image_pull::NO_SUCH_IMAGE,
            format!("image {name} does not exist: {registry} knows no such {}", if image.tag.is_some() { "tag" } else { "image" }),
        ),
        Kind::Other => (image_pull::PULL_FAILED, format!("image {name} could not be pulled")),
    }
}

fn details(build: Build, scene: &Scene<'_>, image: &Image<'_>, kind: Kind, text: &str) -> Build {
    let lower = text.to_lowercase();
    match kind {
        Kind::NotFound if image.tag.is_none() && !image.has_digest() => {
            build.because("it names no tag, so that `latest` was asked for; not every repository has one")
        }
        Kind::NotFound if lower.contains("name unknown") => build.because("it is the repository that the registry does not know"),
        Kind::Denied => {
            let secrets = &scene.pod.pull_secrets;
            let given = if secrets.is_empty() {
                "the pod names no imagePullSecrets (its service account may have some)".to_owned()
            } else {
                format!("the pod's imagePullSecrets: {}", secrets.join(", "))
            };
            let build = build.because(given);
            let missing = secret_event(scene).map(|_| "the kubelet could not read some of its imagePullSecrets: they do not exist, or are of the wrong type".to_owned());
            let build = build.because_if(missing);
            build.because("registries answer the same for a repository that does not exist, so as not to give it away")
        }
        Kind::Unreachable if has_any(&lower, &["no such host", "server misbehaving"]) => build.because(
            "the node's resolver does not know the registry's name; it is not the cluster's DNS, so that names of Services do not work here",
        ),
        Kind::Unreachable if lower.contains("connection refused") => build.because("nothing listens at that address, seen from the node"),
        Kind::Tls if lower.contains("http response to https client") => build.because("the registry speaks plain HTTP, the node expects TLS"),
        Kind::Tls if lower.contains("unknown authority") => build.because("the node does not know who signed the registry's certificate"),
        Kind::NeverPulled
        | Kind::Name
        | Kind::Signature
        | Kind::RateLimit
        | Kind::Platform
        | Kind::Disk
        | Kind::Tls
        | Kind::Unreachable
        | Kind::NotFound
        | Kind::Other => build,
    }
}

fn remedy(scene: &Scene<'_>, name: &str, image: &Image<'_>, kind: Kind, asked: Option<Asked<'_>>) -> String {
    let Image { registry, repository, .. } = image;
    let ns = &scene.pod.namespace;
    match kind {
        Kind::NeverPulled => format!(
            "Load the image into the node's runtime (`ctr -n k8s.io images import FILE`), or set imagePullPolicy: IfNotPresent on container {name} if a registry has it."
        ),
        Kind::Name => format!("Correct `image` of container {name}: [REGISTRY/]REPOSITORY[:TAG][@DIGEST], the repository in lower case, without a scheme."),
        Kind::Signature => "Sign the image with a key that the node's policy accepts, or take an image that is signed so.".to_owned(),
        Kind::RateLimit => format!(
            "It is tried again by itself. To raise the limit, log in: imagePullSecrets with an account of {registry}; to need it less, use a mirror or a pull-through cache, and imagePullPolicy: IfNotPresent."
        ),
        Kind::Platform => format!(
            "Build the image for the node's platform too (`docker buildx build --platform linux/amd64,linux/arm64`), or keep the pod on nodes that it was built for: nodeSelector kubernetes.io/arch. `docker manifest inspect {}` lists what there is.",
            image.name
        ),
        Kind::Disk => "Free the node's image file system (`crictl rmi --prune`), or enlarge it; the kubelet removes unused images only above its threshold (imageGCHighThresholdPercent).".to_owned(),
        Kind::Tls => format!(
            "Give the registry a certificate that the node trusts, or tell the node's runtime about it: for containerd /etc/containerd/certs.d/{registry}/hosts.toml with `ca`, or a `http://` server for one without TLS. No change of the manifest helps."
        ),
        Kind::Unreachable => asked::unreachable(asked, registry),
        Kind::Denied => format!(
            "If the repository {repository} exists: `kubectl -n {ns} create secret docker-registry NAME --docker-server={registry} --docker-username=USER --docker-password=PASSWORD`, and name it in the pod's imagePullSecrets or the service account's. If it does not: correct `image` of container {name}."
        ),
        Kind::NotFound => format!(
            "Correct `image` of container {name}, or push it. `skopeo list-tags docker://{registry}/{repository}` lists the tags that there are."
        ),
        Kind::Other => format!("Pull it by hand on the node to see more: `crictl pull {}`.", image.name),
    }
}
