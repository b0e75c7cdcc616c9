//! What a test of real containers stands on: a scratch directory, a cgroup, a runtime and a root file system with all
//! workloads. Whatever is started from it is dropped before it.

use crate::{
    binaries::Binaries,
    bundle::Bundle,
    cgroups::{Cgroup, Hierarchies},
    processes::{Agent, AgentOptions},
    rootfs::Tree,
    runc::{Container, Runc},
};
use anyhow::{Context, Result};
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
    process,
    sync::atomic::{AtomicU32, Ordering},
};
use tempfile::TempDir;

#[derive(Debug)]
pub struct Lab {
    // Dropped in this order: cgroups are empty by then, the directory is the last to go.
    cgroup: Cgroup,
    hierarchies: Hierarchies,
    runc: Runc,
    base: Tree,
    binaries: Binaries,
    scratch: TempDir,
}

impl Lab {
    /// A fresh one; its cgroup and directory carry this name, the process's id and a number.
    pub fn new(name: &str, binaries: Binaries) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("unready-{name}-{}-{}", process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let scratch = tempfile::Builder::new().prefix(&prefix).tempdir().context("cannot make a temporary directory")?;
        // Root of a user namespace has to pass through it on the way to its root file system.
        fs::set_permissions(scratch.path(), Permissions::from_mode(0o711)).context("cannot open the temporary directory")?;
        let hierarchies = Hierarchies::find()?;
        Ok(Self {
            cgroup: Cgroup::new(&hierarchies, format!("/{prefix}"))?,
            hierarchies,
            runc: Runc::new(scratch.path())?,
            base: Tree::root(scratch.path().join("root"))?,
            binaries,
            scratch,
        })
    }

    /// The scratch directory.
    pub fn directory(&self) -> &Path {
        self.scratch.path()
    }

    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// Where cgroups are.
    pub fn hierarchies(&self) -> &Hierarchies {
        &self.hierarchies
    }

    /// The parent of all cgroups made here, below the hierarchies' roots.
    pub fn cgroup(&self) -> &str {
        self.cgroup.path()
    }

    /// The root file system with busybox.
    pub fn base(&self) -> &Tree {
        &self.base
    }

    /// Copies workloads into the root file system, as `/bin/NAME`.
    pub fn install(&self, workloads: &[&str]) -> Result<()> {
        workloads.iter().try_for_each(|name| self.base.copy(&self.binaries.workload(name)?, &format!("bin/{name}")))
    }

    /// Describes a container that runs this command as uid 1000.
    pub fn bundle(&self, name: &str, args: &[&str]) -> Bundle {
        Bundle::new(self.base.path(), format!("{}/{name}", self.cgroup.path()), args).user(1000, 1000)
    }

    /// Starts a container that runs this command as uid 1000.
    pub fn run(&self, name: &str, args: &[&str]) -> Result<Container> {
        self.runc.run(name, &self.bundle(name, args))
    }

    pub fn runc(&self) -> &Runc {
        &self.runc
    }

    /// Starts an agent that knows this runtime.
    pub fn agent(&self, options: AgentOptions<'_>) -> Result<Agent> {
        let root = self.runc.state();
        Agent::start(&self.binaries, self.scratch.path(), AgentOptions { runtime_root: Some(&root), ..options })
    }
}
