//! The containers of the demo: one row each, with what must be said about it.

use super::{
    scenario::{Expected, Explained, Scenario},
    world::{LOADER, World},
};
use crate::{
    bundle::Bundle,
    rootfs::{Access, Tree},
    wait,
};
use anyhow::Result;
use std::{fs, time::Duration};

/// The user of most containers, as in most images.
pub(super) const APP: u32 = 1000;
/// A group that the user does not have.
const TEAM: u32 = 2000;
/// First host id of the demo's user namespaces.
const NAMESPACE: u32 = 200_000;
/// How late the late key is.
const LATE: Duration = Duration::from_millis(200);

/// A row that must be explained.
pub(super) const fn explained(
    name: &'static str,
    about: &'static str,
    bundle: fn(&World, &str) -> Result<Bundle>,
    [cause, subject, layer, remedy]: [&'static str; 4],
) -> Scenario {
    Scenario { name, about, bundle, afterwards: None, expected: Expected::Verdict(Explained { cause, subject, layer, remedy }) }
}

/// A row about which nothing must be said.
const fn healthy(name: &'static str, about: &'static str, port: Option<u16>, bundle: fn(&World, &str) -> Result<Bundle>) -> Scenario {
    Scenario { name, about, bundle, afterwards: None, expected: Expected::Healthy { port } }
}

/// All containers. The healthy ones are first: they are watched longest.
pub const SCENARIOS: &[Scenario] = &[
    healthy("healthy-web", "a web server", Some(8080), |world, name| Ok(app(world, name, &["/bin/serve", "8080"]))),
    healthy("healthy-go", "a web server in Go, root of a user namespace", Some(8081), |world, name| {
        Ok(root(world, name, &["/app/web", "8081"]).user_namespace(NAMESPACE))
    }),
    healthy("healthy-script", "a script that looks for optional files and walks PATH", None, |world, name| {
        Ok(app(world, name, &["/app/start.sh"]))
    }),
    healthy("healthy-no-log", "refused an optional log file, serves all the same", Some(8082), |world, name| {
        Ok(app(world, name, &["/bin/optional-log", "8082", "/var/log/app/access.log"]))
    }),
    explained(
        "root-volume",
        "a volume owned by root under uid 1000",
        |world, name| {
            let volume = world.volume(name, Access::root())?;
            Ok(app(world, name, &["/bin/open-or-exit", "/data/orders.db", "create"]).volume(volume.path(), "/data"))
        },
        ["PermissionDenied", "/data/orders.db", "mode bits", "chown 1000:1000 /data"],
    ),
    explained(
        "team-directory",
        "a directory only for a supplementary group",
        |world, name| {
            let volume = world.volume(name, Access::new(0, TEAM, 0o750))?;
            volume.file("settings.yaml", "colour: green\n", Access::new(0, TEAM, 0o640))?;
            Ok(app(world, name, &["/bin/open-or-exit", "/srv/shared/settings.yaml"]).groups(&[3000]).volume(volume.path(), "/srv/shared"))
        },
        ["PermissionDenied", "/srv/shared/settings.yaml", "supplementary group", "group 2000"],
    ),
    explained(
        "mapped-volume",
        "root of a user namespace, a volume of an id that is not mapped",
        |world, name| {
            let volume = world.volume(name, Access::new(0, 0, 0o755))?;
            let bundle = root(world, name, &["/bin/open-or-exit", "/data/orders.db", "create"]);
            Ok(bundle.volume(volume.path(), "/data").user_namespace(NAMESPACE))
        },
        ["PermissionDenied", "/data/orders.db", "user namespace", "maps"],
    ),
    explained(
        "low-port",
        "port 80 without the capability",
        |world, name| Ok(app(world, name, &["/bin/bind-port", "80"]).no_capabilities()),
        ["PermissionDenied", "0.0.0.0:80", "capability NET_BIND_SERVICE", "NET_BIND_SERVICE"],
    ),
    explained(
        "read-only-root",
        "a read-only root file system written to",
        |world, name| Ok(app(world, name, &["/bin/write-file", "/var/lib/app/state"]).read_only_root()),
        ["ReadOnlyFilesystem", "/var/lib/app/state", "read-only root", "tmpfs"],
    ),
    explained(
        "read-only-mount",
        "a read-only bind mount written to",
        |world, name| {
            let volume = world.volume(name, Access::new(APP, APP, 0o755))?;
            Ok(app(world, name, &["/bin/write-file", "/data/state"]).read_only_volume(volume.path(), "/data"))
        },
        ["ReadOnlyFilesystem", "/data/state", "read-only mount", "without the option ro"],
    ),
    explained(
        "missing-key",
        "a key file that is not there",
        |world, name| {
            let volume = keys(world, name)?;
            Ok(app(world, name, &["/bin/read-key", "/keys/tls.key"]).read_only_volume(volume.path(), "/keys"))
        },
        ["FileMissing", "/keys/tls.key", "missing file", "Add /keys/tls.key"],
    ),
    Scenario {
        afterwards: Some(|world| {
            wait::sleep(LATE)?;
            Ok(fs::write(world.volume_path("late-key").join("tls.key"), "secret\n")?)
        }),
        ..explained(
            "late-key",
            "a key file that appears 200 ms late",
            |world, name| {
                let volume = keys(world, name)?;
                Ok(app(world, name, &["/bin/read-key", "/keys/tls.key"]).read_only_volume(volume.path(), "/keys"))
            },
            ["FileMissing", "/keys/tls.key", "appeared late", "after /keys/tls.key is written"],
        )
    },
    explained(
        "full-tmpfs",
        "a full tmpfs",
        |world, name| Ok(app(world, name, &["/bin/fill-disk", "/var/spool/app"]).tmpfs("/var/spool/app", 1 << 20)),
        ["StorageFull", "/var/spool/app*", "bytes", "size="],
    ),
    explained(
        "no-loader",
        "a dynamic binary without its loader",
        |world, name| Ok(app(world, name, &["/app/dynamic"])),
        ["LoaderMissing", LOADER, "program interpreter", "static"],
    ),
    explained(
        "no-library",
        "a shared library that is not in the image",
        |world, name| Ok(world.with_libc(name, &["/app/greet"])),
        ["LibraryMissing", "libgreet.so.1", "shared library", "libgreet.so.1"],
    ),
    explained(
        "foreign-binary",
        "a program for another architecture",
        |world, name| Ok(app(world, name, &["/app/web-foreign", "8080"])),
        ["WrongArchitecture", "/app/web-foreign", "machine", "platform"],
    ),
    explained(
        "crlf-script",
        "a script with the line ends of Windows",
        |world, name| Ok(app(world, name, &["/app/start-crlf.sh"])),
        ["ScriptInterpreterMissing", "/app/start-crlf.sh", "CR LF", "LF"],
    ),
    explained(
        "no-command",
        "a command that does not exist",
        |world, name| Ok(app(world, name, &["/app/server", "--port", "8080"])),
        ["CommandNotFound", "/app/server", "missing command", "/app/server"],
    ),
    explained(
        "memory-limit",
        "a memory limit that kills",
        |world, name| Ok(app(world, name, &["/bin/eat-memory"]).memory(32 << 20)),
        ["OutOfMemory", "memory limit", "main process", "limit"],
    ),
];

/// A container of the base image, as the usual user.
pub(super) fn app(world: &World, name: &str, args: &[&str]) -> Bundle {
    world.lab().bundle(name, args)
}

/// A container of the base image, as root.
pub(super) fn root(world: &World, name: &str, args: &[&str]) -> Bundle {
    app(world, name, args).user(0, 0)
}

/// A volume with the certificate of an authority and no key.
fn keys(world: &World, name: &str) -> Result<Tree> {
    let volume = world.volume(name, Access::root())?;
    volume.file("ca.pem", "certificate\n", Access::new(0, 0, 0o644))?;
    Ok(volume)
}
