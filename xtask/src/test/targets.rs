//! Test programs: which there are, by Cargo's own account, and which ring runs each.
//!
//! A test program is in one ring and no other. Those that need root or a cluster are named here; every other one is the host's, so that a
//! new one is run by default, without root. A name here that Cargo does not know is a mistake, and said.

use crate::{
    build::PACKAGES,
    cargo,
    progress::Progress,
    project::Project,
    test::{Count, counted},
};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

/// Package and name of test programs.
type Names = &'static [(&'static str, &'static str)];

/// Load eBPF programs, make namespaces, or start containers: root.
const KERNEL: Names = &[
    ("unready-agent", "bpf"),
    ("unready-agent", "investigate"),
    ("unready-agent", "stuck"),
    ("unready", "cli"),
    ("unready-tests", "containers"),
    ("unready-tests", "floods"),
    ("unready-tests", "interrupted"),
    ("unready-tests", "kernel"),
    ("unready-tests", "prometheus"),
    ("unready-tests", "restarted"),
];
/// Need an API server. Cargo passes over them (`test = false`) unless they are named.
const CLUSTER: Names = &[("unready-kubernetes", "cluster"), ("unready-collector", "cluster"), ("unready-tests", "deploy")];
/// What builds the rest, which is a selection of its own: see [`PACKAGES`].
const TOOLS: &[&str] = &["xtask", "unready-ebpf-build"];

/// What a test program needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    Root,
    Cluster,
}

impl Needs {
    fn of(package: &str, kind: &str, name: &str) -> Self {
        let is_in = |names: Names| kind == "test" && names.contains(&(package, name));
        if is_in(KERNEL) {
            Self::Root
        } else if is_in(CLUSTER) {
            Self::Cluster
        } else {
            Self::Nothing
        }
    }

    const fn named(self) -> Names {
        match self {
            Self::Nothing => &[],
            Self::Root => KERNEL,
            Self::Cluster => CLUSTER,
        }
    }
}

/// A program that was built.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    package: String,
    kind: String,
    name: String,
    /// The package's folder, in which Cargo runs its tests.
    folder: PathBuf,
    executable: PathBuf,
}

impl Target {
    /// From one of Cargo's messages; `None` for what is no test program.
    fn of(message: &Value) -> Option<Self> {
        let text = |pointer: &str| message.pointer(pointer).and_then(Value::as_str);
        let executable = text("/executable")?;
        message.pointer("/profile/test").and_then(Value::as_bool).filter(|test| *test)?;
        let folder = Path::new(text("/manifest_path")?).parent()?;
        Some(Self {
            package: package_name(text("/package_id")?)?.to_owned(),
            kind: text("/target/kind/0")?.to_owned(),
            name: text("/target/name")?.to_owned(),
            folder: folder.to_owned(),
            executable: executable.into(),
        })
    }

    fn needs(&self) -> Needs {
        Needs::of(&self.package, &self.kind, &self.name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command.current_dir(&self.folder).env("CARGO_MANIFEST_DIR", &self.folder);
        command
    }
}

/// `unready-agent` of `path+file:///…/agent#unready-agent@0.1.0`, `xtask` of `path+file:///…/xtask#0.1.0`.
fn package_name(id: &str) -> Option<&str> {
    let (path, rest) = id.rsplit_once('#')?;
    rest.split_once('@').map(|(name, _)| name).or_else(|| path.rsplit('/').next())
}

/// Builds all test programs, and runs those with these needs; each gets `prepare`d.
pub(crate) fn run(project: &Project, progress: Progress, needs: Needs, prepare: impl Fn(&mut Command) -> Result<()>) -> Result<Count> {
    let mut targets = build(project, progress, PACKAGES, needs)?;
    if needs == Needs::Nothing {
        targets.extend(build(project, progress, TOOLS, needs)?);
    }
    let chosen: Vec<&Target> = targets.iter().filter(|target| target.needs() == needs).collect();
    if let Some((package, name)) = missing(needs, &chosen) {
        bail!("{package} has no test program `{name}`, which the table of rings names (xtask/src/test/targets.rs)");
    }
    let mut total = Count::default();
    for target in chosen {
        progress.say(format_args!("{} {} {}", target.package, target.kind, target.name));
        let mut command = target.command();
        prepare(&mut command)?;
        let (count, ok) = counted(command, Count::of_cargo_line)?;
        // A program that is killed has no result line.
        total += if ok || count.failed > 0 { count } else { Count { failed: 1, ..count } };
    }
    Ok(total)
}

fn missing(needs: Needs, chosen: &[&Target]) -> Option<(&'static str, &'static str)> {
    let is_there = |package: &str, name: &str| chosen.iter().any(|target| target.package == package && target.name == name);
    needs.named().iter().copied().find(|(package, name)| !is_there(package, name))
}

fn build(project: &Project, progress: Progress, packages: &[&str], needs: Needs) -> Result<Vec<Target>> {
    let mut command = Command::new("cargo");
    command.current_dir(&project.root).args(["test", "--no-run", "--message-format=json-render-diagnostics"]);
    command.args(packages.iter().flat_map(|package| ["-p", package]));
    if packages == TOOLS {
        command.args(["--features", "xtask/images"]);
    }
    if needs == Needs::Cluster {
        command.args(names(CLUSTER).iter().flat_map(|name| [OsStr::new("--test"), OsStr::new(name)]));
    }
    progress.open_step("test programs", || match cargo::run(progress, command)? {
        (messages, true) => messages.lines().map(read).collect::<Result<Vec<_>>>().map(|all| all.into_iter().flatten().collect()),
        (_, false) => bail!("the tests do not compile; the reason is above"),
    })
}

/// Each once: Cargo takes a name for all packages that have it.
fn names(of: Names) -> Vec<&'static str> {
    let mut names: Vec<&str> = of.iter().map(|(_, name)| *name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn read(message: &str) -> Result<Option<Target>> {
    let message: Value = serde_json::from_str(message).with_context(|| format!("Cargo says what is not understood: {message}"))?;
    Ok(Target::of(&message))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may end on the first surprise")]
mod tests {
    use super::*;
    use std::fs;

    const MESSAGE: &str = r#"{"reason":"compiler-artifact","package_id":"path+file:///p/agent#unready-agent@0.1.0","manifest_path":"/p/agent/Cargo.toml",
        "target":{"kind":["test"],"name":"bpf"},"profile":{"test":true},"executable":"/t/debug/deps/bpf-1"}"#;

    #[test]
    fn test_programs_are_told_from_other_artifacts() {
        let target = read(MESSAGE).unwrap().unwrap();
        assert_eq!((target.package.as_str(), target.needs()), ("unready-agent", Needs::Root));
        assert_eq!(target.folder, Path::new("/p/agent"));
        for other in [
            r#"{"reason":"build-finished"}"#,
            &MESSAGE.replace("\"test\":true", "\"test\":false"),
            &MESSAGE.replace("\"/t/", "null,\"x\":\""),
        ] {
            assert_eq!(read(other).unwrap(), None, "{other}");
        }
        assert!(read("warning: no JSON").is_err());
        assert_eq!(package_name("path+file:///p/xtask#0.1.0"), Some("xtask"));
    }

    #[test]
    fn what_the_table_does_not_name_is_the_hosts() {
        assert_eq!(Needs::of("unready-agent", "lib", "bpf"), Needs::Nothing);
        assert_eq!(Needs::of("unready", "test", "cluster"), Needs::Nothing, "another package's `cluster`");
        assert_eq!(Needs::of("unready-collector", "test", "cluster"), Needs::Cluster);
    }

    #[test]
    fn a_name_in_the_table_without_a_program_is_found() {
        let target = read(MESSAGE).unwrap().unwrap();
        assert_eq!(missing(Needs::Root, &[&target]), Some(("unready-agent", "investigate")));
        assert_eq!(missing(Needs::Nothing, &[]), None);
    }

    /// Every file of tests of the workspace, by package, with what it needs.
    fn sources() -> Vec<(String, String, String)> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut found = Vec::new();
        for folder in fs::read_dir(root).unwrap().flatten().map(|entry| entry.path().join("tests")).filter(|folder| folder.is_dir()) {
            let manifest = fs::read_to_string(folder.with_file_name("Cargo.toml")).unwrap_or_default();
            let Some(package) = manifest.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')) else { continue };
            for file in fs::read_dir(&folder).unwrap().flatten().map(|entry| entry.path()).filter(|path| path.is_file()) {
                let name = file.file_stem().unwrap().to_string_lossy().into_owned();
                found.push((package.to_owned(), name, fs::read_to_string(&file).unwrap()));
            }
        }
        found
    }

    #[test]
    fn test_programs_that_pass_over_tests_without_root_are_in_the_kernel_ring() {
        let sources = sources();
        assert!(sources.len() > 20, "the files of tests are found");
        for (package, name, text) in sources {
            // Whoever passes over a test must not in CI, and asks for that.
            let asks = text.contains("var(\"CI\")");
            assert_eq!(asks, Needs::of(&package, "test", &name) == Needs::Root, "{package}: {name}");
        }
    }
}
