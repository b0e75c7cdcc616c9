//! What the demo's containers are made of: two root file systems, volumes, and the few programs that are no Rust.

use crate::{
    bundle::Bundle,
    lab::Lab,
    rootfs::{Access, Tree},
};
use anyhow::{Context, Result, ensure};
use std::{
    env, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Command,
};

/// The dynamic loader, where this architecture's psABI has it.
pub const LOADER: &str = if cfg!(target_arch = "aarch64") { "/lib/ld-linux-aarch64.so.1" } else { "/lib64/ld-linux-x86-64.so.2" };

/// Workloads that are copied into the root file system, as `/bin/NAME`.
const WORKLOADS: [&str; 14] = [
    "bind-address",
    "bind-port",
    "bind-socket",
    "drop-privileges",
    "eat-memory",
    "fill-disk",
    "many-files",
    "many-threads",
    "open-or-exit",
    "optional-log",
    "read-ca-bundle",
    "read-key",
    "serve",
    "write-file",
];
const WEB_GO: &str = include_str!("../../workloads/src-other/web.go");
const FOREIGN_GO: &str = include_str!("../../workloads/src-other/foreign.go");
const DYNAMIC_C: &str = include_str!("../../workloads/src-other/dynamic.c");
const GREET_C: &str = include_str!("../../workloads/src-other/greet.c");
const LIBGREET_C: &str = include_str!("../../workloads/src-other/libgreet.c");
const SEGFAULT_C: &str = include_str!("../../workloads/src-other/segfault.c");
/// All of them: what is built of them changes when one of them does.
pub(crate) const SOURCES: [&str; 6] = [WEB_GO, FOREIGN_GO, DYNAMIC_C, GREET_C, LIBGREET_C, SEGFAULT_C];

/// The start-up script of the healthy shell container: looks for what is not there, as such scripts do, and for
/// programs along a `PATH` whose first directories do not have them.
pub(crate) const HEALTHY_SH: &str = "#!/bin/sh
[ -r /etc/app.conf ] && . /etc/app.conf
for override in /etc/default/app /usr/local/etc/app.env; do
    if [ -f \"$override\" ]; then . \"$override\"; fi
done
cat /etc/motd /proc/1/nonexistent 2>/dev/null
id >/dev/null && date >/dev/null
command -v bash >/dev/null || echo 'no bash here, staying with sh'
mkdir /proc/app 2>/dev/null || echo 'no state directory, keeping state in memory'
exec sleep 3600
";
/// A script that was saved with the line ends of Windows.
pub(crate) const CRLF_SH: &str = "#!/bin/sh\r\necho started\r\nexec sleep 3600\r\n";

#[derive(Debug)]
pub struct World {
    lab: Lab,
    with_libc: Tree,
}

impl World {
    /// Fills a lab's root file system with what needs no compiler: workloads, mount points, scripts.
    pub fn bare(lab: Lab) -> Result<Self> {
        fill(&lab)?;
        Ok(Self { with_libc: Tree::root(lab.directory().join("with-libc"))?, lab })
    }

    /// Fills a lab's root file system, and makes a second one.
    pub fn build(lab: Lab) -> Result<Self> {
        let built = lab.directory().join("built");
        fs::create_dir_all(&built).with_context(|| format!("cannot make {}", built.display()))?;
        build_c(&built)?;
        build_go(&built)?;
        fill(&lab)?;
        for name in ["web", "web-foreign", "dynamic", "segfault"] {
            lab.base().copy(&built.join(name), &format!("app/{name}"))?;
        }
        Ok(Self { with_libc: with_libc(lab.directory(), &built)?, lab })
    }

    /// Directory, cgroup and runtime.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// A container of the root file system with loader and C library, but without libgreet; otherwise as [`Lab::bundle`].
    pub fn with_libc(&self, name: &str, args: &[&str]) -> Bundle {
        Bundle { root: self.with_libc.path().to_owned(), ..self.lab.bundle(name, args) }
    }

    /// A volume of this name, made when it is not there yet.
    pub fn volume(&self, name: &str, access: Access) -> Result<Tree> {
        Tree::new(self.volume_path(name), access)
    }

    /// Where a volume is on the host.
    pub fn volume_path(&self, name: &str) -> PathBuf {
        self.lab.directory().join("volumes").join(name)
    }
}

fn fill(lab: &Lab) -> Result<()> {
    lab.install(&WORKLOADS)?;
    let tree = lab.base();
    for mount_point in ["data", "keys", "srv/shared"] {
        tree.directory(mount_point, Access::root())?;
    }
    // runc gives a tmpfs the permission bits of the directory below it, whatever `mode=` says.
    tree.directory("var/spool/app", Access::new(0, 0, 0o1777))?;
    tree.directory("var/lib/app", Access::new(1000, 1000, 0o755))?;
    tree.directory("var/log/app", Access::root())?;
    tree.file("app/start.sh", HEALTHY_SH, Access::root())?;
    tree.file("app/start-crlf.sh", CRLF_SH, Access::root())
}

fn with_libc(directory: &Path, built: &Path) -> Result<Tree> {
    let tree = Tree::root(directory.join("with-libc"))?;
    tree.copy(&built.join("greet"), "app/greet")?;
    tree.copy(&library("libc.so.6")?, &format!("lib/{}-linux-gnu/libc.so.6", env::consts::ARCH))?;
    tree.copy(Path::new(LOADER), LOADER)?;
    Ok(tree)
}

/// Where the C compiler finds a library.
fn library(name: &str) -> Result<PathBuf> {
    let output = Command::new("gcc").arg(format!("-print-file-name={name}")).output().context("cannot start gcc")?;
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    ensure!(path.is_absolute(), "gcc knows no {name}: install libc6-dev (`cargo xtask setup`)");
    Ok(path)
}

pub(crate) fn build_c(built: &Path) -> Result<()> {
    for (name, text) in [("dynamic", DYNAMIC_C), ("greet", GREET_C), ("libgreet", LIBGREET_C), ("segfault", SEGFAULT_C)] {
        fs::write(built.join(format!("{name}.c")), text).context("cannot write a C source")?;
    }
    let gcc = |arguments: &str| run(Command::new("gcc").current_dir(built).args(arguments.split(' ')), "gcc");
    gcc("-shared -fPIC -Wl,-soname,libgreet.so.1 -o libgreet.so.1 libgreet.c")?;
    gcc("-o greet greet.c libgreet.so.1")?;
    gcc("-o dynamic dynamic.c")?;
    gcc("-static -o segfault segfault.c")
}

/// The web server for this machine, and a program for one that this machine is not.
pub(crate) fn build_go(built: &Path) -> Result<()> {
    let (native, foreign) = if env::consts::ARCH == "aarch64" { ("arm64", "amd64") } else { ("amd64", "arm64") };
    for (architecture, output, source) in [(native, "web", WEB_GO), (foreign, "web-foreign", FOREIGN_GO)] {
        let file = format!("{output}.go");
        fs::write(built.join(&file), source).context("cannot write the Go source")?;
        let mut command = Command::new("go");
        command.current_dir(built).args(["build", "-trimpath", "-ldflags=-s -w", "-o", output, &file]);
        run(command.envs([("CGO_ENABLED", "0"), ("GOOS", "linux"), ("GOARCH", architecture), ("GOTOOLCHAIN", "local")]), "go")?;
    }
    Ok(())
}

fn run(command: &mut Command, name: &str) -> Result<()> {
    let output = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => anyhow::bail!("{name} is not installed (`cargo xtask setup`)"),
        other => other.with_context(|| format!("cannot start {name}"))?,
    };
    ensure!(output.status.success(), "{name} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
