//! apt, as root or through sudo.

use super::PROGRESS;
use crate::project::{Project, is_root, program};
use anyhow::{Context as _, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use xshell::{Cmd, cmd};

/// Have the package lists been fetched by this process? Once is enough.
static IS_UPDATED: AtomicBool = AtomicBool::new(false);

/// apt, where it can be used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Apt {
    is_root: bool,
}

impl Apt {
    /// `None` without apt, or without the rights to use it.
    pub(super) fn find() -> Option<Self> {
        program("apt-get")?;
        let is_root = is_root();
        (is_root || program("sudo").is_some()).then_some(Self { is_root })
    }

    /// Installs what is not installed yet.
    pub(super) fn install(self, project: &Project, packages: &[&str]) -> Result<()> {
        self.update(project)?;
        let list = packages.join(" ");
        PROGRESS.step(&format!("packages {list}"), || {
            let command = self.apt_get(project).args(["install", "-y", "--no-install-recommends", "--no-upgrade"]).args(packages);
            project.logged("apt-install", command).with_context(|| format!("apt could not install {list}"))
        })
    }

    /// Can all of them be installed from the machine's package sources?
    pub(super) fn offers(self, project: &Project, packages: &[&str]) -> Result<bool> {
        self.update(project)?;
        let sh = &project.sh;
        for package in packages {
            let policy = cmd!(sh, "apt-cache policy {package}").env("LC_ALL", "C").quiet().read()?;
            let candidate = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "));
            if candidate.is_none_or(|version| version == "(none)") {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn update(self, project: &Project) -> Result<()> {
        if IS_UPDATED.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        PROGRESS.step("package lists", || {
            let command = self.apt_get(project).arg("update");
            project.logged("apt-update", command).context("apt could not fetch the package lists: is the network up?")
        })
    }

    fn apt_get(self, project: &Project) -> Cmd<'_> {
        let sh = &project.sh;
        if self.is_root {
            cmd!(sh, "apt-get").env("DEBIAN_FRONTEND", "noninteractive")
        } else {
            cmd!(sh, "sudo DEBIAN_FRONTEND=noninteractive apt-get")
        }
    }
}
