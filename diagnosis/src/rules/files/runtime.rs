//! `RuntimeFileMissing`: what minimal images lack and programs take for granted.
//!
//! Programs look for most of these in several places, or do without. A file counts only if no alternative is there
//! either, and what a program usually can do without only if the program itself complains of it.

use super::{Setting, about, walk_of};
use crate::{
    cause::Cause,
    question::{Question, Walk},
    record::{Errno, PathArg},
    rules::{Context, Failure, Finding, spec, weight, words, words::layer},
    verdict::{Evidence, EvidenceKind},
};

/// A thing that images lack.
struct Thing {
    layer: &'static str,
    name: &'static str,
    /// Where it is looked for: a path, or all below a path that ends in `/`.
    places: &'static [&'static str],
    /// Words by which a program complains of its absence, in lower case.
    complaints: &'static [&'static str],
    /// Programs can do without: only a complaint makes it the reason.
    optional: bool,
    /// Any one of these is enough: if one is there, nothing is missing.
    alternatives: &'static [&'static str],
    why: &'static str,
    remedy: &'static str,
}

const THINGS: &[Thing] = &[
    Thing {
        layer: layer::CA_BUNDLE,
        name: "the bundle of CA certificates",
        places: &[
            "/etc/ssl/",
            "/etc/pki/",
            "/usr/share/ca-certificates/",
            "/usr/local/share/certs/",
            "/system/etc/security/cacerts",
            "/usr/lib/ssl/",
        ],
        complaints: &["certificate", "x509", "ca-certificates", "ca-bundle", "ca bundle", "ca file", "cafile"],
        optional: true,
        alternatives: &[
            "/etc/ssl/certs/ca-certificates.crt",
            "/etc/pki/tls/certs/ca-bundle.crt",
            "/etc/ssl/cert.pem",
            "/etc/ssl/ca-bundle.pem",
        ],
        why: "without it no TLS server can be verified",
        remedy: "Add the package ca-certificates to the image, copy the bundle from the build stage (`COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/`), or mount it from a ConfigMap or a ClusterTrustBundle.",
    },
    Thing {
        layer: layer::ZONEINFO,
        name: "the time zone database",
        places: &[
            "/usr/share/zoneinfo/",
            "/usr/lib/zoneinfo/",
            "/usr/share/lib/zoneinfo/",
            "/etc/zoneinfo/",
            "/usr/lib/locale/TZ/",
            "/usr/local/go/lib/time/zoneinfo.zip",
        ],
        complaints: &["time zone", "timezone", "zoneinfo", "tzdata", "tzlocal"],
        optional: true,
        alternatives: &["/usr/share/zoneinfo/UTC", "/usr/share/zoneinfo/Etc/UTC"],
        why: "names such as Europe/Berlin cannot be resolved without it",
        remedy: "Add the package tzdata to the image, or embed it (Go: `import _ \"time/tzdata\"`; Python: the package tzdata; Java: it has its own).",
    },
    Thing {
        layer: layer::NAME_RESOLUTION,
        name: "a file of name resolution",
        places: &["/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/hosts", "/etc/services", "/etc/protocols"],
        complaints: &[
            "resolv.conf",
            "nsswitch",
            "/etc/hosts",
            "/etc/services",
            "/etc/protocols",
            "unknown service",
            "unknown protocol",
            "servname",
        ],
        optional: true,
        alternatives: &[],
        why: "host names, and names of services and protocols, are looked up with it",
        remedy: "Add the file to the image; `/etc/nsswitch.conf` needs no more than `hosts: files dns`, `/etc/services` comes with netbase.",
    },
    Thing {
        layer: layer::ACCOUNT,
        name: "the user database",
        places: &["/etc/passwd", "/etc/group", "/etc/shadow"],
        complaints: &["passwd", "/etc/group", "no such user", "unknown user", "user id", "unknown group", "getpw", "getgr"],
        optional: true,
        alternatives: &[],
        why: "the program wants to know the name or home directory of a user",
        remedy: "Add `/etc/passwd` (and `/etc/group`) with an entry for the user to the image: `app:x:1000:1000::/home/app:/sbin/nologin`.",
    },
    Thing {
        layer: layer::TEMPORARY_DIRECTORY,
        name: "a directory for temporary files",
        places: &["/tmp", "/tmp/", "/var/tmp", "/var/tmp/", "/run", "/run/", "/var/run", "/var/run/"],
        complaints: &[],
        optional: false,
        alternatives: &[],
        why: "images from scratch have no such directory",
        remedy: "Mount an emptyDir there (medium: Memory for a tmpfs), or make it in the image (`/tmp` with mode 1777).",
    },
    Thing {
        layer: layer::DEVICE,
        name: "a device of /dev",
        places: &[
            "/dev/shm",
            "/dev/shm/",
            "/dev/null",
            "/dev/zero",
            "/dev/full",
            "/dev/random",
            "/dev/urandom",
            "/dev/fd",
            "/dev/stdout",
            "/dev/stderr",
            "/dev/fuse",
            "/dev/net/tun",
            "/dev/kvm",
            "/dev/dri/",
            "/dev/nvidia",
        ],
        complaints: &["/dev/", "shm", "semaphore", "cuda", "nvidia"],
        optional: false,
        alternatives: &[],
        why: "the container has only the devices that its runtime puts into /dev",
        remedy: "Ask for the device through its device plugin (resources.limits), or mount it; for /dev/shm mount an emptyDir of medium Memory.",
    },
];

/// What this path belongs to.
fn thing_of(path: &str) -> Option<&'static Thing> {
    THINGS.iter().find(|thing| {
        thing
            .places
            .iter()
            .any(|place| if place.ends_with('/') || *place == "/dev/nvidia" { path.starts_with(place) } else { path == *place })
    })
}

/// The failure that the program's own words point at, when nothing else explains its end: programs speak of
/// certificates and time zones, seldom of the file.
pub(in crate::rules) fn complained_of<'a>(context: &Context<'a>) -> Option<&'a Failure> {
    let missing = |failure: &&Failure| failure.call.errno == Errno::ENOENT && !failure.by_runtime;
    context.failures.iter().filter(missing).find(|failure| {
        weight::path(failure).is_some_and(|path| thing_of(&path.path).is_some_and(|thing| complains(thing, context, &path.path)))
    })
}

/// What else has to be looked at, beside the path itself.
pub(in crate::rules) fn questions(failure: &Failure, context: &Context<'_>) -> Vec<Question> {
    let scope = context.scope(failure.call.task.process);
    let alternatives = weight::path(failure).and_then(|path| thing_of(&path.path)).map_or(&[][..], |thing| thing.alternatives);
    alternatives.iter().map(|path| Question::WalkPath { scope, path: (*path).to_owned(), dirfd: None, start: None, follow: true }).collect()
}

pub(in crate::rules) fn explain(failure: &Failure, context: &Context<'_>) -> Option<Finding> {
    let path = weight::path(failure)?;
    let thing = thing_of(&path.path)?;
    let walk = walk_of(context, path);
    let is_directory_there = |walk: &Walk| walk.stopped.as_ref().is_some_and(|stop| !thing.places.contains(&stop.path.as_str()));
    if thing.layer == layer::TEMPORARY_DIRECTORY && walk.is_none_or(is_directory_there) {
        return None; // an ordinary file that is missing below /tmp or /run
    }
    let blamed = complains(thing, context, &path.path) || is_searched_in_vain(thing, context);
    if thing.optional && !blamed || alternative_is_there(thing, context) {
        return None;
    }
    Some(lacking(thing, failure, context, path, walk))
}

/// The program speaks of it on stderr.
pub(super) fn is_complained_of(failure: &Failure, context: &Context<'_>) -> bool {
    weight::path(failure).is_some_and(|path| thing_of(&path.path).is_some_and(|thing| complains(thing, context, &path.path)))
}

fn complains(thing: &Thing, context: &Context<'_>, path: &str) -> bool {
    context.output.iter().any(|line| {
        let line = line.to_lowercase();
        line.contains(path) || thing.complaints.iter().any(|complaint| line.contains(complaint))
    })
}

/// Nothing is known of what the program wrote (a container's log is not read), and it looked in several places: then the
/// search itself is the complaint. That it ended at once without them has been weighed before.
fn is_searched_in_vain(thing: &Thing, context: &Context<'_>) -> bool {
    let tried = context.failures.iter().filter_map(weight::path).filter(|p| thing_of(&p.path).is_some_and(|t| t.layer == thing.layer));
    context.output.is_empty() && !thing.alternatives.is_empty() && tried.count() > 1
}

fn alternative_is_there(thing: &Thing, context: &Context<'_>) -> bool {
    thing.alternatives.iter().any(|place| walk_of(context, &PathArg::new(*place)).is_some_and(|walk| walk.stopped.is_none()))
}

fn lacking(thing: &Thing, failure: &Failure, context: &Context<'_>, path: &PathArg, walk: Option<&Walk>) -> Finding {
    let searched = context
        .failures
        .iter()
        .filter_map(weight::path)
        .map(|p| p.path.as_str())
        .filter(|p| thing_of(p).is_some_and(|t| t.layer == thing.layer));
    let searched = words::list(searched, 4);
    // /tmp/x is missing because /tmp is: the directory is the thing. Of several places the usual one is.
    let subject = match (walk.and_then(|walk| walk.stopped.as_ref()), thing.layer) {
        (Some(stop), layer::TEMPORARY_DIRECTORY) => stop.path.as_str(),
        (_, layer::CA_BUNDLE) => thing.alternatives.first().copied().unwrap_or(&path.path),
        _ => path.path.as_str(),
    };
    let mut finding = about(Cause::RuntimeFileMissing, thing.layer, subject, failure);
    finding.explanation = vec![format!("{subject} does not exist: {}", thing.name), thing.why.to_owned()];
    if searched.contains(' ') {
        finding.explanation.push(format!("the program looked for it at {searched}"));
    }
    finding.remedy.text = match Setting::of(context.workload) {
        Setting::Pod | Setting::Container => thing.remedy.to_owned(),
        Setting::Local => format!("Provide {subject} on this machine. In an image: {}", thing.remedy),
    };
    if matches!(thing.layer, layer::TEMPORARY_DIRECTORY | layer::DEVICE) {
        spec::written::missing_directory(&mut finding, context, subject);
    }
    let stopped = walk.and_then(|walk| Some((walk, walk.stopped.as_ref()?)));
    finding.evidence = stopped
        .map(|(walk, stop)| Evidence::new(walk.at, EvidenceKind::File, format!("{} does not exist ({})", stop.path, stop.errno)))
        .into_iter()
        .collect();
    let none_there =
        thing.alternatives.iter().all(|place| walk_of(context, &PathArg::new(*place)).is_some_and(|walk| walk.stopped.is_some()));
    finding.proved = stopped.is_some_and(|(walk, _)| super::is_live(walk)) && none_there;
    finding
}
