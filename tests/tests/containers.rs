//! The demo's containers, by runc alone: each fails as its row says it does, and the healthy ones live. What the agent
//! then makes of it is another question; this one is whether the question is put right.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use rustix::process::geteuid;
use std::{collections::BTreeMap, env, time::Duration};
use unready_tests::{
    binaries::Binaries,
    demo::{
        more,
        scenario::{Expected, Scenario},
        table,
        world::World,
    },
    lab::Lab,
    runc::{Container, Ended},
    wait,
};

/// How each container ends: status, and what it (or runc) says.
const ENDS: &[(&str, Option<Ended>, &str)] = &[
    ("root-volume", Some(Ended::Code(1)), "/data/orders.db: Permission denied"),
    ("team-directory", Some(Ended::Code(1)), "/srv/shared/settings.yaml: Permission denied"),
    ("mapped-volume", Some(Ended::Code(1)), "/data/orders.db: Permission denied"),
    ("low-port", Some(Ended::Code(1)), "port 80: Permission denied"),
    ("read-only-root", Some(Ended::Code(1)), "/var/lib/app/state: Read-only file system"),
    ("read-only-mount", Some(Ended::Code(1)), "/data/state: Read-only file system"),
    ("missing-key", Some(Ended::Code(1)), "/keys/tls.key: No such file or directory"),
    ("late-key", Some(Ended::Code(1)), "/keys/tls.key: No such file or directory"),
    ("full-tmpfs", Some(Ended::Code(1)), "No space left on device"),
    ("no-loader", Some(Ended::Code(1)), "no such file or directory"),
    ("no-library", Some(Ended::Code(127)), "libgreet.so.1: cannot open shared object file"),
    ("foreign-binary", Some(Ended::Code(1)), "exec format error"),
    ("crlf-script", Some(Ended::Code(1)), "no such file or directory"),
    ("no-command", None, "no such file or directory"),
    ("memory-limit", Some(Ended::Signal(9)), ""),
    ("no-x-bit", None, "permission denied"),
    ("no-format", Some(Ended::Code(1)), "exec format error"),
    ("no-interpreter", Some(Ended::Code(1)), "no such file or directory"),
    ("directory-for-file", Some(Ended::Code(1)), "/data/orders.db: Is a directory"),
    ("misspelt-key", Some(Ended::Code(1)), "/keys/tls_key.pem: No such file or directory"),
    ("no-directory", Some(Ended::Code(1)), "/data/state/started: No such file or directory"),
    ("dangling-link", Some(Ended::Code(1)), "/keys/tls.key: No such file or directory"),
    ("too-many-files", Some(Ended::Code(1)), "Too many open files"),
    ("too-many-threads", Some(Ended::Code(1)), "Resource temporarily unavailable"),
    ("too-many-processes", Some(Ended::Code(1)), "Resource temporarily unavailable"),
    ("port-taken", Some(Ended::Code(1)), "port 8080: Address already in use"),
    ("foreign-address", Some(Ended::Code(1)), "192.0.2.1:8080: Cannot assign requested address"),
    ("no-setgroups", Some(Ended::Code(1)), "setgroups to 1001 failed: Operation not permitted"),
    ("no-socket", Some(Ended::Code(1)), "/run/app.sock: Permission denied"),
    ("no-authorities", Some(Ended::Code(1)), "no CA bundle found"),
    ("segfault", Some(Ended::Signal(11)), ""),
    ("exit-code", Some(Ended::Code(3)), "bad configuration"),
];

fn check(scenario: &Scenario, container: &Container, ends: &BTreeMap<&str, (Option<Ended>, &str)>) {
    match scenario.expected {
        Expected::Healthy { port } => {
            assert!(container.pid().is_some(), "{}: {:?}", scenario.name, container.refusal());
            let up = |port| wait::until("listening", Duration::from_secs(10), || Ok(container.listens_on(port).then_some(())));
            port.map_or(Ok(()), up).unwrap_or_else(|error| panic!("{}: {error}: {}", scenario.name, container.stderr()));
        }
        Expected::Verdict(_) => {
            let (ended, says) = *ends.get(scenario.name).unwrap_or_else(|| panic!("{} is missing in ENDS", scenario.name));
            let saw = container.pid().map(|_| container.wait(Duration::from_secs(10)).unwrap());
            assert_eq!(saw, ended, "{}: {}", scenario.name, container.stderr());
            assert!(container.stderr().contains(says), "{}: {:?}", scenario.name, container.stderr());
        }
    }
}

#[test]
fn every_container_of_the_demo_ends_as_intended() {
    if !geteuid().is_root() {
        assert_ne!(env::var("CI").as_deref(), Ok("true"), "starting containers needs root");
        eprintln!("not run: starting containers needs root");
        return;
    }
    let ends: BTreeMap<_, _> = ENDS.iter().map(|&(name, ended, says)| (name, (ended, says))).collect();
    let world = World::build(Lab::new("containers", Binaries::find_workloads().unwrap()).unwrap()).unwrap();
    let mut containers = Vec::new();
    for scenario in table::SCENARIOS.iter().chain(more::SCENARIOS) {
        let bundle = (scenario.bundle)(&world, scenario.name).unwrap();
        let container = world.lab().runc().run(scenario.name, &bundle).unwrap();
        check(scenario, &container, &ends);
        containers.push((scenario, container));
    }
    for (scenario, container) in containers.iter().filter(|(scenario, _)| matches!(scenario.expected, Expected::Healthy { .. })) {
        assert_eq!(container.ended().unwrap(), None, "{}: {}", scenario.name, container.stderr());
    }
}
