//! Containers for the causes and layers that the demo does not show; same shape, same comparison.

use super::{
    scenario::Scenario,
    table::{APP, app, explained, root},
    world::World,
};
use crate::{bundle::Bundle, rootfs::Access};
use anyhow::Result;

/// All of them.
pub const SCENARIOS: &[Scenario] = &[
    explained(
        "no-x-bit",
        "a program without the x bit",
        |world, name| with_file(world, name, "hello\n", 0o644),
        ["NotExecutable", "/data/start", "no x bit", "chmod"],
    ),
    explained(
        "no-format",
        "a script without #!",
        |world, name| with_file(world, name, "echo started\n", 0o755),
        ["NotExecutable", "/data/start", "no program", "#!"],
    ),
    explained(
        "no-interpreter",
        "a script whose interpreter is not in the image",
        |world, name| with_file(world, name, "#!/usr/bin/python3\nprint('started')\n", 0o755),
        ["ScriptInterpreterMissing", "/usr/bin/python3", "interpreter", "/usr/bin/python3"],
    ),
    explained(
        "directory-for-file",
        "a directory where the database was meant to be",
        |world, name| {
            let volume = world.volume(name, Access::new(APP, APP, 0o755))?;
            volume.directory("orders.db", Access::new(APP, APP, 0o755))?;
            Ok(app(world, name, &["/bin/open-or-exit", "/data/orders.db", "create"]).volume(volume.path(), "/data"))
        },
        ["WrongFileType", "/data/orders.db", "directory instead of file", "/data/orders.db"],
    ),
    explained(
        "misspelt-key",
        "a key file under a name that is much like the one asked for",
        |world, name| {
            let volume = world.volume(name, Access::root())?;
            volume.file("tls-key.pem", "secret\n", Access::new(0, 0, 0o644))?;
            Ok(app(world, name, &["/bin/read-key", "/keys/tls_key.pem"]).volume(volume.path(), "/keys"))
        },
        ["FileMissing", "/keys/tls_key.pem", "misspelt", "/keys/tls-key.pem"],
    ),
    explained(
        "no-directory",
        "a file in a directory that is not there",
        |world, name| {
            let volume = world.volume(name, Access::new(APP, APP, 0o755))?;
            Ok(app(world, name, &["/bin/write-file", "/data/state/started"]).volume(volume.path(), "/data"))
        },
        ["FileMissing", "/data/state/started", "missing directory", "/data/state"],
    ),
    explained(
        "dangling-link",
        "a key behind a link that leads nowhere",
        |world, name| {
            let volume = world.volume(name, Access::root())?;
            volume.link("..data/tls.key", "tls.key")?;
            Ok(app(world, name, &["/bin/read-key", "/keys/tls.key"]).volume(volume.path(), "/keys"))
        },
        ["FileMissing", "/keys/tls.key", "dangling link", "link"],
    ),
    explained(
        "too-many-files",
        "more files open than the limit allows",
        |world, name| Ok(app(world, name, &["/bin/many-files", "/etc/passwd"])),
        ["TooManyFiles", "RLIMIT_NOFILE", "process limit", "limit"],
    ),
    explained(
        "too-many-threads",
        "more threads than the container's cgroup may hold",
        |world, name| Ok(app(world, name, &["/bin/many-threads"]).pids(64)),
        ["LimitReached", "pids.max", "pids limit", "--pids-limit"],
    ),
    explained(
        "too-many-processes",
        "more processes than its user may have",
        |world, name| Ok(app(world, name, &["/bin/sh", "-c", "ulimit -u 20; exec /bin/many-threads"]).user(61_234, 61_234)),
        ["LimitReached", "RLIMIT_NPROC", "process limit", "--ulimit nproc"],
    ),
    explained(
        "port-taken",
        "a port that another process of the container has",
        |world, name| Ok(app(world, name, &["/bin/sh", "-c", "/bin/serve 8080 & sleep 0.3; exec /bin/bind-port 8080"])),
        ["AddressInUse", "0.0.0.0:8080", "port taken", "8080"],
    ),
    explained(
        "foreign-address",
        "an address that the container does not have",
        |world, name| Ok(app(world, name, &["/bin/bind-address", "192.0.2.1:8080"])),
        ["AddressUnavailable", "192.0.2.1:8080", "no such address", "0.0.0.0"],
    ),
    explained(
        "no-setgroups",
        "root without capabilities changes to another user",
        |world, name| Ok(root(world, name, &["/bin/drop-privileges", "1001"]).no_capabilities()),
        ["PermissionDenied", "SETGID", "capability SETGID", "SETGID"],
    ),
    explained(
        "no-socket",
        "a unix socket in a directory of root",
        |world, name| Ok(app(world, name, &["/bin/bind-socket", "/run/app.sock"])),
        ["PermissionDenied", "/run/app.sock", "mode bits", "/run"],
    ),
    explained(
        "no-authorities",
        "an image without CA certificates",
        |world, name| Ok(app(world, name, &["/bin/read-ca-bundle"])),
        ["RuntimeFileMissing", "/etc/ssl/certs/ca-certificates.crt", "CA bundle", "ca-certificates"],
    ),
    explained(
        "segfault",
        "a program that writes through a null pointer",
        |world, name| Ok(app(world, name, &["/app/segfault"])),
        ["Crashed", "/app/segfault", "signal", ""],
    ),
    explained(
        "exit-code",
        "a program that leaves for a reason that no call shows",
        |world, name| Ok(app(world, name, &["/bin/sh", "-c", "echo 'bad configuration' >&2; exit 3"])),
        ["Crashed", "/bin/sh", "exit code", ""],
    ),
];

/// A container whose command is this file on a volume.
fn with_file(world: &World, name: &str, text: &str, mode: u32) -> Result<Bundle> {
    let volume = world.volume(name, Access::root())?;
    volume.file("start", text, Access::new(0, 0, mode))?;
    Ok(app(world, name, &["/data/start"]).volume(volume.path(), "/data"))
}
