//! apt, as root or through sudo. What it will do is asked and printed first.

use super::PROGRESS;
use crate::project::{Project, is_root, program};
use anyhow::{Context as _, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use xshell::{Cmd, cmd};

/// Have the package lists been fetched by this process? Once is enough.
static IS_UPDATED: AtomicBool = AtomicBool::new(false);

/// How packages are installed.
const HOW: &[&str] = &["--no-install-recommends", "--no-upgrade"];

/// What `apt-get --simulate` says that it will do.
#[derive(Debug, Default, PartialEq, Eq)]
struct Changes<'a> {
    installed: Vec<&'a str>,
    upgraded: Vec<&'a str>,
    removed: Vec<&'a str>,
}

impl<'a> Changes<'a> {
    /// `Inst name (new …)`, `Inst name [old] (new …)`, `Remv name [old]`; `Conf` repeats what `Inst` said.
    fn of(simulation: &'a str) -> Self {
        let mut changes = Self::default();
        for line in simulation.lines() {
            let mut words = line.split_whitespace();
            match (words.next(), words.next(), words.next()) {
                (Some("Inst"), Some(name), Some(old)) if old.starts_with('[') => changes.upgraded.push(name),
                (Some("Inst"), Some(name), _) => changes.installed.push(name),
                (Some("Remv"), Some(name), _) => changes.removed.push(name),
                _ => {}
            }
        }
        changes
    }

    fn say(&self) {
        for (what, names) in [("installs", &self.installed), ("upgrades", &self.upgraded), ("removes", &self.removed)] {
            if !names.is_empty() {
                PROGRESS.say(format_args!("apt {what} {}", names.join(" ")));
            }
        }
    }
}

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
        let sh = &project.sh;
        // A failure of the simulation is that of the installation, which shows it.
        let simulated = cmd!(sh, "apt-get --simulate install").args(HOW).args(packages).env("LC_ALL", "C").quiet().ignore_stderr();
        Changes::of(&simulated.ignore_status().read()?).say();
        PROGRESS.step(&format!("packages {list}"), || {
            let command = self.apt_get(project).args(["install", "-y"]).args(HOW).args(packages);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apt_will_do_is_read() {
        let simulation = "Reading package lists...\nRemv busybox [1:1.35]\nInst libacl1 [2.3.1] (2.3.2 Debian:12 [amd64])\n\
                          Inst busybox-static (1:1.35 Debian:12 [amd64])\nConf busybox-static (1:1.35 Debian:12 [amd64])\n";
        let expected = Changes { installed: vec!["busybox-static"], upgraded: vec!["libacl1"], removed: vec!["busybox"] };
        assert_eq!(Changes::of(simulation), expected);
        assert_eq!(Changes::of("0 upgraded, 0 newly installed\n"), Changes::default());
    }
}
