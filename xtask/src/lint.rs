//! `cargo xtask lint`: everything that can be said about the code without running it.

use crate::{
    check,
    compiler::Compiler,
    progress::Progress,
    project::Project,
    setup::{self, Purpose},
};
use anyhow::{Context as _, Result, bail};
use xshell::cmd;

/// One part, by name.
type Part = (&'static str, fn(&Project) -> Result<()>);

const PROGRESS: Progress = Progress::new("lint");

/// The command. All parts run, so that one run shows everything; the first failure decides the exit status.
pub(crate) fn run(project: &Project) -> Result<()> {
    setup::ensure(project, Purpose::All)?;
    let parts: [Part; 7] = [
        ("formatting", format),
        ("clippy, host", clippy),
        ("clippy, kubectl unready alone", clippy_portable),
        ("clippy, eBPF", clippy_ebpf),
        ("documentation", documentation),
        ("licences and dependencies", dependencies),
        ("invariants", check::run),
    ];
    let mut failed = Vec::new();
    for (name, part) in parts {
        if let Err(error) = PROGRESS.open_step(name, || part(project)) {
            eprintln!("error: {name}: {error:#}");
            failed.push(name);
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("{} failed", failed.join(", ")) }
}

fn format(project: &Project) -> Result<()> {
    let sh = &project.sh;
    cmd!(sh, "cargo fmt --all --check").quiet().run().context("run `cargo fmt --all`")
}

fn clippy(project: &Project) -> Result<()> {
    let sh = &project.sh;
    cmd!(sh, "cargo clippy --workspace --exclude unready-agent-ebpf --features xtask/images --all-targets --test cluster --test deploy -- -D warnings")
        .quiet()
        .run()
        .context("clippy has remarks")
}

/// The command line without what needs Linux: other code is compiled then.
fn clippy_portable(project: &Project) -> Result<()> {
    let sh = &project.sh;
    cmd!(sh, "cargo clippy --package unready --no-default-features --all-targets -- -D warnings")
        .quiet()
        .run()
        .context("clippy has remarks")
}

/// For the kernel, by the clippy that matches the compiler: some code is compiled only there.
fn clippy_ebpf(project: &Project) -> Result<()> {
    let compiler = Compiler::find(project).context("there is no compiler for eBPF: run `cargo xtask setup`")?;
    compiler.clippy(project).args(["--", "-D", "warnings"]).quiet().run().context("clippy has remarks")
}

/// Read by the people who work on it, so private items are documented, and links to them are fine.
fn documentation(project: &Project) -> Result<()> {
    let sh = &project.sh;
    cmd!(sh, "cargo doc --quiet --workspace --exclude unready-agent-ebpf --features xtask/images --no-deps --document-private-items")
        .env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links")
        .quiet()
        .run()
        .context("rustdoc has remarks")
}

/// Advisories are separate: they need a database from the network, and a new one there must not fail an old commit.
fn dependencies(project: &Project) -> Result<()> {
    let sh = &project.sh;
    cmd!(sh, "cargo deny --workspace check bans licenses sources").quiet().run().context("see deny.toml")
}
