//! An OCI bundle: what a container runs, as whom, with which file systems, capabilities, limits and namespaces.
//!
//! Two fields that runtimes usually set are left out, because they ask for `CAP_SYS_RESOURCE`, which root of a test
//! machine may lack: `rlimits` and `oomScoreAdj`.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What Docker and containerd grant a container whose spec says nothing.
const DEFAULT_CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];
/// Ids of the container that a user namespace maps.
const MAPPED_IDS: u32 = 65_536;

/// A container's description. Every container has its own mount, pid, net, ipc and uts namespaces.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// Directory of the host that is its root file system.
    pub root: PathBuf,
    /// Command line.
    pub args: Vec<String>,
    /// Environment, beside a `PATH`.
    pub env: Vec<String>,
    /// User id inside.
    pub uid: u32,
    /// Group id inside.
    pub gid: u32,
    /// Supplementary groups inside.
    pub groups: Vec<u32>,
    /// Capabilities are the usual ones of a runtime; false: none at all.
    pub capabilities: bool,
    /// The root file system is mounted read-only.
    pub read_only_root: bool,
    /// Mounts beside the usual `/proc` and `/dev`.
    pub mounts: Vec<Mount>,
    /// First id of the host that the ids of its own user namespace are mapped to.
    pub user_namespace: Option<u32>,
    /// Memory limit, bytes.
    pub memory: Option<u64>,
    /// How many processes and threads it may have.
    pub pids: Option<u32>,
    /// Cgroup's path below the hierarchies' roots.
    pub cgroup: String,
}

/// A mount of a container.
#[derive(Clone, Debug)]
pub enum Mount {
    /// A directory or file of the host.
    Bind {
        /// On the host.
        source: PathBuf,
        /// In the container.
        target: String,
        /// It cannot be written through this mount.
        read_only: bool,
    },
    /// A file system in memory. runc gives its root the permission bits of the directory that it covers.
    Tmpfs {
        /// In the container.
        target: String,
        /// Its size, bytes.
        bytes: u64,
    },
}

impl Bundle {
    /// Root with a runtime's usual capabilities runs this command.
    pub fn new(root: &Path, cgroup: impl Into<String>, args: &[&str]) -> Self {
        Self {
            root: root.to_owned(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            env: Vec::new(),
            uid: 0,
            gid: 0,
            groups: Vec::new(),
            capabilities: true,
            read_only_root: false,
            mounts: Vec::new(),
            user_namespace: None,
            memory: None,
            pids: None,
            cgroup: cgroup.into(),
        }
    }

    /// As this user and group.
    #[must_use]
    pub fn user(mut self, uid: u32, gid: u32) -> Self {
        (self.uid, self.gid) = (uid, gid);
        self
    }

    /// With these supplementary groups.
    #[must_use]
    pub fn groups(mut self, groups: &[u32]) -> Self {
        self.groups = groups.to_vec();
        self
    }

    /// Without any capability.
    #[must_use]
    pub fn no_capabilities(mut self) -> Self {
        self.capabilities = false;
        self
    }

    /// With a read-only root file system.
    #[must_use]
    pub fn read_only_root(mut self) -> Self {
        self.read_only_root = true;
        self
    }

    /// With a directory or file of the host.
    #[must_use]
    pub fn volume(mut self, source: &Path, target: &str) -> Self {
        self.mounts.push(Mount::Bind { source: source.to_owned(), target: target.to_owned(), read_only: false });
        self
    }

    /// With a directory or file of the host that it may not write.
    #[must_use]
    pub fn read_only_volume(mut self, source: &Path, target: &str) -> Self {
        self.mounts.push(Mount::Bind { source: source.to_owned(), target: target.to_owned(), read_only: true });
        self
    }

    /// With a file system in memory, as writable as the directory that it covers.
    #[must_use]
    pub fn tmpfs(mut self, target: &str, bytes: u64) -> Self {
        self.mounts.push(Mount::Tmpfs { target: target.to_owned(), bytes });
        self
    }

    /// In a user namespace whose root is this id of the host.
    #[must_use]
    pub fn user_namespace(mut self, first: u32) -> Self {
        self.user_namespace = Some(first);
        self
    }

    /// With a memory limit, bytes.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// With a limit of processes and threads. Not too low: the runtime's own init has a few threads.
    #[must_use]
    pub fn pids(mut self, limit: u32) -> Self {
        self.pids = Some(limit);
        self
    }

    /// Writes `config.json` into a directory.
    pub fn write(&self, directory: &Path) -> Result<()> {
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let path = directory.join("config.json");
        fs::write(&path, self.config().to_string()).with_context(|| format!("cannot write {}", path.display()))
    }

    fn config(&self) -> Value {
        json!({
            "ociVersion": "1.0.2",
            "hostname": self.cgroup.rsplit('/').next(),
            "root": { "path": self.root, "readonly": self.read_only_root },
            "process": self.process(),
            "mounts": self.all_mounts(),
            "linux": self.linux(),
        })
    }

    fn process(&self) -> Value {
        let mut env = vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()];
        env.extend(self.env.iter().cloned());
        let granted: &[&str] = if self.capabilities { &DEFAULT_CAPABILITIES } else { &[] };
        json!({
            "terminal": false,
            "cwd": "/",
            "args": self.args,
            "env": env,
            "user": { "uid": self.uid, "gid": self.gid, "additionalGids": self.groups },
            "noNewPrivileges": true,
            // Not in the inheritable and ambient sets: a user other than root loses them at the exec, as in Kubernetes.
            "capabilities": { "bounding": granted, "effective": granted, "permitted": granted },
        })
    }

    fn all_mounts(&self) -> Vec<Value> {
        let mut all = vec![
            json!({ "destination": "/proc", "type": "proc", "source": "proc" }),
            json!({ "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=64k"] }),
        ];
        all.extend(self.mounts.iter().map(Mount::config));
        all
    }

    fn linux(&self) -> Value {
        let mut namespaces = vec!["mount", "pid", "network", "ipc", "uts"];
        let mut linux = json!({ "cgroupsPath": self.cgroup });
        if let Some(first) = self.user_namespace {
            namespaces.push("user");
            let map = json!([{ "containerID": 0, "hostID": first, "size": MAPPED_IDS }]);
            linux["uidMappings"] = map.clone();
            linux["gidMappings"] = map;
        }
        if let Some(bytes) = self.memory {
            linux["resources"]["memory"] = json!({ "limit": bytes });
        }
        if let Some(limit) = self.pids {
            linux["resources"]["pids"] = json!({ "limit": limit });
        }
        linux["namespaces"] = namespaces.into_iter().map(|kind| json!({ "type": kind })).collect();
        linux
    }
}

impl Mount {
    fn config(&self) -> Value {
        match self {
            Self::Bind { source, target, read_only } => {
                let options: &[&str] = if *read_only { &["bind", "ro"] } else { &["bind"] };
                json!({ "destination": target, "type": "bind", "source": source, "options": options })
            }
            Self::Tmpfs { target, bytes } => json!({
                "destination": target, "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "nodev", format!("size={bytes}")],
            }),
        }
    }
}
