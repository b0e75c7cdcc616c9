//! The table of what a machine needs beside Rust: one row each, from the cheapest purpose that needs it.

use super::Purpose;
use crate::project::{Project, program};
use std::{fs, path::Path};
use xshell::cmd;

/// One thing that has to be there.
pub(super) struct Need {
    /// From which purpose on.
    pub(super) purpose: Purpose,
    /// Is it there?
    pub(super) is_met: fn(&Project) -> bool,
    /// Debian's and Ubuntu's packages.
    pub(super) packages: &'static [&'static str],
    /// What to tell somebody who has no apt.
    pub(super) sentence: &'static str,
}

/// All of them. What compiles eBPF is more than a table can say: see [`super::ebpf`].
pub(super) fn all() -> Vec<Need> {
    vec![
        Need {
            purpose: Purpose::Demo,
            is_met: has_static_libc,
            packages: &["gcc", "libc6-dev"],
            sentence: "A static C library (libc.a, often in a package glibc-static): workloads for empty images are linked against it.",
        },
        Need {
            purpose: Purpose::Demo,
            is_met: |_| program("runc").is_some(),
            packages: &["runc"],
            sentence: "runc 1.1 or newer: it starts the containers of the demo and of the tests.",
        },
        Need {
            purpose: Purpose::Demo,
            is_met: has_static_busybox,
            packages: &["busybox-static"],
            sentence: "A statically linked busybox: it is the shell of the demo's containers.",
        },
        Need {
            purpose: Purpose::Demo,
            is_met: |_| program("go").is_some(),
            packages: &["golang-go"],
            sentence: "Go: one of the demo's healthy containers is a Go program.",
        },
        Need {
            purpose: Purpose::Cluster,
            is_met: has_go_for_cluster,
            packages: &[],
            sentence: "Go 1.26.6 or newer (https://go.dev/dl): the cluster's Kubernetes is built from its Go modules.",
        },
        Need {
            purpose: Purpose::Cluster,
            is_met: has_seccomp,
            packages: &["libseccomp-dev", "pkg-config"],
            sentence: "libseccomp with its headers, and pkg-config: the cluster's runc is linked against it.",
        },
        Need {
            purpose: Purpose::Cluster,
            is_met: |_| CNI_PLUGINS.iter().any(|folder| Path::new(folder).join("bridge").is_file()),
            packages: &["containernetworking-plugins"],
            sentence: "The CNI plugins (bridge and host-local, in /opt/cni/bin): they give the cluster's pods their network.",
        },
        Need {
            purpose: Purpose::Cluster,
            is_met: |_| ["nft", "ip", "sysctl", "openssl"].iter().all(|name| program(name).is_some()),
            packages: &["nftables", "iproute2", "procps", "openssl"],
            sentence: "nft, ip, sysctl and openssl: the cluster's network and certificates are made by them.",
        },
        Need {
            purpose: Purpose::Test,
            is_met: |_| program("setfacl").is_some(),
            packages: &["acl"],
            sentence: "setfacl (package acl): the tests deny access by an access control list.",
        },
        Need {
            purpose: Purpose::Test,
            is_met: |_| program("setfattr").is_some(),
            packages: &["attr"],
            sentence: "setfattr (package attr): the tests set file capabilities.",
        },
        Need {
            purpose: Purpose::Test,
            is_met: |_| program("strace").is_some(),
            packages: &["strace"],
            sentence: "strace: the tests count the agent's system calls at rest.",
        },
        Need {
            purpose: Purpose::Test,
            is_met: |_| program("qemu-system-x86_64").is_some(),
            packages: &["qemu-system-x86"],
            sentence: "qemu-system-x86_64: `cargo xtask vm` boots other kernels with it.",
        },
    ]
}

/// Where distributions and hand-made installations keep them; `tests/cluster/lib/configure.sh` looks there too.
const CNI_PLUGINS: &[&str] = &["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];

/// Asked where the module is that wants the newest Go: a Go that may fetch its own successor (`GOTOOLCHAIN=auto`) does so.
fn has_go_for_cluster(project: &Project) -> bool {
    let sh = &project.sh;
    let module = project.root.join("tests/cluster/containerd");
    let Some(wanted) = go_of_module(&module) else { return false };
    if program("go").is_none() {
        return false;
    }
    let _folder = sh.push_dir(&module);
    let found = cmd!(sh, "go env GOVERSION").quiet().ignore_stderr().read();
    found.is_ok_and(|found| go_version(found.trim_start_matches("go")) >= wanted)
}

/// What `go.mod` asks for.
fn go_of_module(module: &Path) -> Option<[u32; 3]> {
    let text = fs::read_to_string(module.join("go.mod")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("go ")).map(go_version)
}

/// `1.26.6`, `1.26`, `1.27rc1`; what is not a number counts as 0.
fn go_version(text: &str) -> [u32; 3] {
    let mut parts = text.split('.').map(|part| {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        part.get(..end).and_then(|digits| digits.parse().ok()).unwrap_or_default()
    });
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

fn has_seccomp(project: &Project) -> bool {
    let sh = &project.sh;
    program("pkg-config").is_some() && cmd!(sh, "pkg-config --exists libseccomp").quiet().ignore_stderr().run().is_ok()
}

fn has_static_libc(project: &Project) -> bool {
    let sh = &project.sh;
    // cc prints the bare name when it finds no such file.
    cmd!(sh, "cc -print-file-name=libc.a").quiet().ignore_stderr().read().is_ok_and(|path| Path::new(path.trim()).is_absolute())
}

fn has_static_busybox(project: &Project) -> bool {
    let Some(busybox) = program("busybox") else { return false };
    let sh = &project.sh;
    // ldd fails, and says so, for a program without a loader.
    cmd!(sh, "ldd {busybox}").quiet().ignore_status().ignore_stdout().output().is_ok_and(|output| !output.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_go_compare() {
        assert_eq!(go_version("1.26.6"), [1, 26, 6]);
        assert_eq!(go_version("1.27rc1"), [1, 27, 0]);
        assert!(go_version("1.19.8") < go_version("1.26.0") && go_version("1.26.10") > go_version("1.26.6"));
        assert_eq!(go_version("devel"), [0, 0, 0]);
    }

    #[test]
    fn the_sentence_names_the_newest_go_that_a_module_asks_for() {
        let cluster = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cluster");
        let modules = ["", "containerd", "coredns", "helm", "runc"].map(|name| go_of_module(&cluster.join(name)));
        let [major, minor, patch] = modules.into_iter().flatten().max().unwrap_or_default();
        let sentence = format!("Go {major}.{minor}.{patch} or newer");
        assert!(all().iter().any(|need| need.sentence.starts_with(&sentence)), "{sentence}");
        assert_eq!(go_of_module(&cluster.join("containerd")), Some([major, minor, patch]), "the module that is asked");
    }
}
