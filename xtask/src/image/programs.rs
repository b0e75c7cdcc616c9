//! What goes into which image.

use anyhow::Result;
use std::path::Path;
use unready_image::{Access, Tree};

/// A program that is shipped as an image.
#[derive(Debug)]
pub(super) struct Program {
    /// Last part of the image's name.
    pub(super) name: &'static str,
    /// Cargo's package.
    pub(super) package: &'static str,
    /// Its binary, which lies in the root of the image.
    pub(super) binary: &'static str,
    /// Packages that are compiled for another target and embedded.
    pub(super) embeds: &'static [&'static str],
    /// Who runs it: `UID:GID`.
    pub(super) user: &'static str,
    /// For people.
    pub(super) title: &'static str,
    /// For people.
    pub(super) description: &'static str,
    /// Of the project's own code in it; those of what it is made of are in its list of components.
    pub(super) licenses: &'static str,
}

pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "agent",
        package: "unready-agent",
        binary: "unready-agent",
        embeds: &["unready-agent-ebpf"],
        // Root, with the few capabilities that its pod leaves it: the kernel hands out eBPF to nobody else.
        user: "0:0",
        title: "Unready agent",
        description: "Says why a pod of this node is not ready",
        licenses: "Apache-2.0 AND (MIT OR GPL-2.0-only)",
    },
    Program {
        name: "collector",
        package: "unready-collector",
        binary: "unready-collector",
        embeds: &[],
        user: UNPRIVILEGED,
        title: "Unready collector",
        description: "Keeps and serves what the agents found",
        licenses: super::make::LICENSE,
    },
    Program {
        name: "cli",
        package: "unready",
        binary: "unready",
        // `unready run` is an agent of its own.
        embeds: &["unready-agent-ebpf"],
        user: UNPRIVILEGED,
        title: "Unready command line",
        description: "Shows why pods are not ready, as kubectl unready does",
        licenses: "Apache-2.0 AND (MIT OR GPL-2.0-only)",
    },
];

/// A number that no system gives to somebody else.
const UNPRIVILEGED: &str = "65532:65532";

/// Programs that look their own user up find it here.
const PASSWD: &str = "root:x:0:0:root:/:/sbin/nologin
unready:x:65532:65532:unready:/:/sbin/nologin
nobody:x:65534:65534:nobody:/:/sbin/nologin
";
const GROUP: &str = "root:x:0:
unready:x:65532:
nogroup:x:65534:
";

impl Program {
    /// Where it is in the image.
    pub(super) fn path(&self) -> String {
        format!("/{}", self.binary)
    }

    /// The image's files.
    pub(super) fn tree(&self, binary: &Path, bom: &str) -> Result<Tree> {
        let mut tree = Tree::new();
        tree.copy(self.binary, binary, Access::PROGRAM)?;
        tree.file("etc/passwd", PASSWD, Access::FILE)?;
        tree.file("etc/group", GROUP, Access::FILE)?;
        // SQLite's temporary files; with a read-only root the pod mounts an emptyDir over it.
        tree.directory("tmp", Access::SHARED)?;
        tree.file(super::sbom::IN_THE_IMAGE, bom, Access::FILE)?;
        Ok(tree)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn an_image_holds_the_program_and_what_it_expects() {
        let folder = tempfile::tempdir().unwrap();
        let binary = folder.path().join("built");
        std::fs::write(&binary, "program").unwrap();
        for program in PROGRAMS {
            let tree = program.tree(&binary, "{}").unwrap();
            let paths = [&program.path(), "/etc/passwd", "/etc/group", "/tmp", "/sbom.cdx.json"];
            assert!(paths.iter().all(|path| tree.contains(path)), "{tree:?}");
            let uid = program.user.split(':').next().unwrap();
            assert!(PASSWD.lines().any(|line| line.split(':').nth(2) == Some(uid)), "{program:?} runs as somebody");
        }
    }
}
