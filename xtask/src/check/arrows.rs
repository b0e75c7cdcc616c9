//! Who may depend on whom: the table of the architecture, compared with what Cargo says; and which libraries stay in one crate.
//!
//! Only dependencies of the shipped code count; tests may look at their neighbours.

use super::{Finding, tree::Tree};
use crate::project::Project;
use anyhow::{Context as _, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use std::collections::{BTreeSet, HashMap};

/// Package, and the packages of this workspace that it may use.
const ALLOWED: &[(&str, &[&str])] = &[
    ("unready-agent-common", &[]),
    ("unready-agent-ebpf", &["unready-agent-common"]),
    ("unready-ebpf-build", &[]),
    ("unready-diagnosis", &["unready-agent-common"]),
    ("unready-image", &[]),
    ("unready-inspect", &["unready-diagnosis"]),
    ("unready-proto", &[]),
    ("unready-transport", &[]),
    ("unready-wire", &["unready-diagnosis", "unready-proto"]),
    ("unready-kubernetes", &["unready-diagnosis", "unready-proto"]),
    (
        "unready-agent",
        &[
            "unready-agent-common",
            "unready-diagnosis",
            "unready-ebpf-build",
            "unready-inspect",
            "unready-kubernetes",
            "unready-proto",
            "unready-transport",
            "unready-wire",
        ],
    ),
    ("unready-collector", &["unready-diagnosis", "unready-kubernetes", "unready-proto", "unready-transport", "unready-wire"]),
    (
        "unready",
        &[
            "unready-agent",
            "unready-diagnosis",
            "unready-inspect",
            "unready-kubernetes",
            "unready-proto",
            "unready-transport",
            "unready-wire",
        ],
    ),
    ("unready-workloads", &[]),
    (
        "unready-tests",
        &["unready-agent", "unready-agent-common", "unready-collector", "unready-diagnosis", "unready-image", "unready-proto"],
    ),
    ("xtask", &["unready-ebpf-build", "unready-image"]),
];

/// Libraries whose types stay in one crate, and that crate. It must not hand the library on either: `pub use` is looked for.
const HOMES: &[(&str, &str, &str)] =
    &[("k8s-openapi", "unready-kubernetes", "kubernetes/src/"), ("kube", "unready-kubernetes", "kubernetes/src/")];

/// What the pure crates must not reach, however indirectly.
const IMPURE: &[&str] = &[
    "async-std",
    "aya",
    "chrono",
    "kube",
    "libc",
    "mio",
    "nix",
    "prost",
    "rand",
    "reqwest",
    "rusqlite",
    "rustix",
    "smol",
    "socket2",
    "time",
    "tokio",
    "tonic",
];
const PURE: &[&str] = &["unready-agent-common", "unready-diagnosis", "unready-inspect"];

pub(super) fn check(project: &Project, tree: &Tree) -> Vec<Finding> {
    let mut found = findings(project).unwrap_or_else(|error| Finding::of_error("Cargo.toml", &error));
    found.extend(HOMES.iter().flat_map(|(library, _, folder)| handed_on(tree, library, folder)));
    found
}

fn findings(project: &Project) -> Result<Vec<Finding>> {
    let metadata = MetadataCommand::new().manifest_path(project.root.join("Cargo.toml")).exec();
    let metadata = metadata.context("`cargo metadata` failed")?;
    let mut findings = Vec::new();
    for package in metadata.workspace_packages() {
        let internal: BTreeSet<&str> = shipped(package).filter(|name| is_member(&metadata, name)).collect();
        findings
            .extend(forbidden(&package.name, &internal).into_iter().map(|message| Finding::new(manifest(&metadata, package), 0, message)));
        findings.extend(homeless(&package.name, shipped(package)).map(|message| Finding::new(manifest(&metadata, package), 0, message)));
        if PURE.contains(&package.name.as_str()) {
            let reached = reachable(&metadata, &package.id);
            let impure = IMPURE.iter().filter(|name| reached.contains(**name));
            findings.extend(impure.map(|name| {
                Finding::new(
                    manifest(&metadata, package),
                    0,
                    format!("reaches {name}, which can do I/O or read a clock: this crate is pure"),
                )
            }));
        }
    }
    Ok(findings)
}

/// Libraries that this package depends on although another is their home.
fn homeless<'a>(package: &str, uses: impl Iterator<Item = &'a str>) -> impl Iterator<Item = String> {
    let foreign = uses.filter_map(move |name| HOMES.iter().find(|(library, home, _)| *library == name && *home != package));
    foreign.map(|(library, home, _)| format!("depends on {library}, whose only home is {home}: what is needed of it goes there"))
}

/// Where the home of a library hands all of it on. A few names of it may be: they have to be listed one by one.
fn handed_on(tree: &Tree, library: &str, folder: &str) -> Vec<Finding> {
    let name = library.replace('-', "_");
    let whole =
        |line: &str| line.trim().strip_prefix("pub use ").is_some_and(|what| what == format!("{name};") || what == format!("{name}::*;"));
    let texts = tree.rust().filter(|text| text.path.starts_with(folder));
    let lines = texts.flat_map(|text| text.text.lines().enumerate().map(|(number, line)| (&text.path, number + 1, line)));
    lines
        .filter(|(.., line)| whole(line))
        .map(|(path, line, _)| Finding::new(path, line, format!("hands {library} on: its types stay here")))
        .collect()
}

/// What is wrong with a package that uses these packages of the workspace.
fn forbidden(package: &str, uses: &BTreeSet<&str>) -> Vec<String> {
    let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == package) else {
        return vec![format!(
            "{package} is not in the table of dependency arrows: decide what it may use and add it to xtask/src/check/arrows.rs"
        )];
    };
    let excess = uses.iter().filter(|name| !allowed.contains(*name));
    excess.map(|name| format!("{package} depends on {name}, against the direction of ARCHITECTURE.md")).collect()
}

fn shipped(package: &Package) -> impl Iterator<Item = &str> {
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != DependencyKind::Development)
        .map(|dependency| dependency.name.as_str())
}

fn is_member(metadata: &Metadata, name: &str) -> bool {
    metadata.workspace_packages().iter().any(|package| package.name == name)
}

fn manifest(metadata: &Metadata, package: &Package) -> String {
    let path = package.manifest_path.strip_prefix(&metadata.workspace_root).unwrap_or(&package.manifest_path);
    path.to_string()
}

/// Names of all packages that the code of `from` is linked with.
fn reachable(metadata: &Metadata, from: &PackageId) -> BTreeSet<String> {
    let names: HashMap<&PackageId, &str> = metadata.packages.iter().map(|package| (&package.id, package.name.as_str())).collect();
    let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
    let nodes: HashMap<&PackageId, _> = nodes.map(|node| (&node.id, node)).collect();
    let mut reached = BTreeSet::new();
    let mut waiting = vec![from];
    while let Some(node) = waiting.pop().and_then(|id| nodes.get(id)) {
        let normal = node.deps.iter().filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal));
        for dependency in normal {
            if names.get(&dependency.pkg).is_some_and(|name| reached.insert((*name).to_owned())) {
                waiting.push(&dependency.pkg);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrow_against_the_direction_is_found() {
        assert!(forbidden("unready-diagnosis", &BTreeSet::from(["unready-agent-common"])).is_empty());
        let found = forbidden("unready-diagnosis", &BTreeSet::from(["unready-agent"]));
        assert_eq!(found.len(), 1);
        assert!(forbidden("new", &BTreeSet::new()).iter().all(|message| message.contains("add it to")));
    }

    #[test]
    fn a_library_stays_at_home() {
        assert_eq!(homeless("unready-kubernetes", ["k8s-openapi", "kube"].into_iter()).count(), 0);
        let found: Vec<String> = homeless("unready-collector", ["k8s-openapi", "tokio"].into_iter()).collect();
        assert!(found.len() == 1 && found[0].contains("whose only home is unready-kubernetes"), "{found:?}");
        let code = "pub use kube::{Client, Error};\npub use k8s_openapi;\npub use kube::*;\n";
        let tree = Tree::of(&[("kubernetes/src/lib.rs", code), ("agent/src/lib.rs", code)]);
        let lines = |library| handed_on(&tree, library, "kubernetes/src/").iter().map(|finding| finding.line).collect::<Vec<_>>();
        assert_eq!((lines("k8s-openapi"), lines("kube")), (vec![2], vec![3]));
    }

    #[test]
    fn the_table_has_no_loop() {
        // Each package may use only packages that come before it: then there is an order, and no loop.
        let position = |name: &str| ALLOWED.iter().position(|(other, _)| *other == name);
        for (index, (name, uses)) in ALLOWED.iter().enumerate() {
            assert!(uses.iter().all(|used| position(used).is_some_and(|at| at < index)), "{name}");
        }
    }
}
