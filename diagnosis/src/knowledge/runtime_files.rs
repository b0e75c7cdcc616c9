//! What minimal images lack and programs take for granted: where each is looked for, what would do as well, and by which words programs
//! complain of its absence.

use crate::catalogue::{Layer, runtime_file_missing};

/// A thing that images lack.
#[derive(Debug)]
pub struct RuntimeFile {
    /// Which layer of `RuntimeFileMissing` it is.
    pub layer: Layer,
    /// What it is called.
    pub name: &'static str,
    /// Where it is looked for: a path, or all below a path that ends in `/`.
    pub places: &'static [&'static str],
    /// Words by which a program complains of its absence, in lower case.
    pub complaints: &'static [&'static str],
    /// Programs can do without: only a complaint makes it the reason.
    pub optional: bool,
    /// Any one of these is enough: if one is there, nothing is missing.
    pub alternatives: &'static [&'static str],
    /// What it is for, a clause.
    pub why: &'static str,
    /// What to do about an image.
    pub remedy: &'static str,
}

/// All of them.
pub const ALL: &[RuntimeFile] = &[
    RuntimeFile {
        layer: runtime_file_missing::CA_BUNDLE,
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
    RuntimeFile {
        layer: runtime_file_missing::ZONEINFO,
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
    RuntimeFile {
        layer: runtime_file_missing::NAME_RESOLUTION,
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
    RuntimeFile {
        layer: runtime_file_missing::ACCOUNT,
        name: "the user database",
        places: &["/etc/passwd", "/etc/group", "/etc/shadow"],
        complaints: &["passwd", "/etc/group", "no such user", "unknown user", "user id", "unknown group", "getpw", "getgr"],
        optional: true,
        alternatives: &[],
        why: "the program wants to know the name or home directory of a user",
        remedy: "Add `/etc/passwd` (and `/etc/group`) with an entry for the user to the image: `app:x:1000:1000::/home/app:/sbin/nologin`.",
    },
    RuntimeFile {
        layer: runtime_file_missing::TEMPORARY_DIRECTORY,
        name: "a directory for temporary files",
        places: &["/tmp", "/tmp/", "/var/tmp", "/var/tmp/", "/run", "/run/", "/var/run", "/var/run/"],
        complaints: &[],
        optional: false,
        alternatives: &[],
        why: "images from scratch have no such directory",
        remedy: "Mount an emptyDir there (medium: Memory for a tmpfs), or make it in the image (`/tmp` with mode 1777).",
    },
    RuntimeFile {
        layer: runtime_file_missing::DEVICE,
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
pub fn of(path: &str) -> Option<&'static RuntimeFile> {
    ALL.iter().find(|thing| {
        thing
            .places
            .iter()
            .any(|place| if place.ends_with('/') || *place == "/dev/nvidia" { path.starts_with(place) } else { path == *place })
    })
}

/// Programs look for it in many places and do without: the bundle of CA certificates, the time zones. A failure to find it is harmless,
/// unless the program ends at once.
pub fn is_searched_for(path: &str) -> bool {
    let is_below =
        |place: &str| path.strip_prefix(place.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let searched = ALL.iter().filter(|file| file.optional && !file.alternatives.is_empty());
    searched.flat_map(|file| file.places).any(|place| is_below(place)) || path.ends_with("zoneinfo.zip")
}
