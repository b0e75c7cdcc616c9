//! The table of what a machine needs beside Rust: one row each, from the cheapest purpose that needs it.

use super::Purpose;
use crate::project::{Project, program};
use std::path::Path;
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
            is_met: |_| program("qemu-system-x86_64").is_some(),
            packages: &["qemu-system-x86"],
            sentence: "qemu-system-x86_64: `cargo xtask vm` boots other kernels with it.",
        },
    ]
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
