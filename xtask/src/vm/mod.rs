//! `cargo xtask vm`: does every eBPF program load, attach and fire on the kernels that people run?
//!
//! ```text
//!   kernels: Debian's .deb, cached ─► vmlinuz ─┐
//!   build:   unready-tests' vm-init, static ───┼─► initramfs ─► boot: QEMU, two at a time ─► report: a row a kernel
//! ```
//!
//! A kernel passes when the init says so by its last line (`INIT-EXIT 0`) and no hook failed. QEMU's own exit status says
//! nothing: it is 0 after a guest's panic too. Hardware acceleration is never tried: where it is nested or partial, QEMU
//! hangs instead of failing.

mod boot;
mod initramfs;
mod kernels;
mod report;

use crate::{
    build::{self, PACKAGES, Profile},
    progress::Progress,
    project::Project,
    setup::{self, Purpose},
    test::Count,
};
use anyhow::{Result, bail};
use kernels::{Image, KERNELS, Kernel};
use report::Outcome;
use std::{path::PathBuf, sync::Mutex, thread};

const PROGRESS: Progress = Progress::new("vm");
/// QEMU emulates on one core each; more at a time than cores makes all of them slower.
const AT_A_TIME: usize = 2;

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// Only kernels whose version begins so, e.g. 6.1; may be repeated
    #[arg(long = "kernel", value_name = "VERSION")]
    kernels: Vec<String>,
    /// Print each machine's serial line
    #[arg(long)]
    console: bool,
    /// Boot this static program as init instead of building it
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
}

/// The command.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<()> {
    let chosen = choose(&arguments.kernels)?;
    let count = boot_all(project, &chosen, arguments)?;
    if count.failed > 0 {
        bail!("{} of {} kernels failed; their serial lines are in {}", count.failed, chosen.len(), project.target.join("vm").display());
    }
    Ok(())
}

/// As a ring of the tests: a kernel is a test.
pub(crate) fn test(project: &Project) -> Result<Count> {
    boot_all(project, &KERNELS.iter().collect::<Vec<_>>(), &Arguments::default())
}

fn choose(wanted: &[String]) -> Result<Vec<&'static Kernel>> {
    if let Some(unknown) = wanted.iter().find(|wanted| !KERNELS.iter().any(|kernel| kernel.is(wanted))) {
        let known: Vec<&str> = KERNELS.iter().map(|kernel| kernel.series).collect();
        bail!("no kernel {unknown}: there are {}", known.join(", "));
    }
    Ok(KERNELS.iter().filter(|kernel| wanted.is_empty() || wanted.iter().any(|wanted| kernel.is(wanted))).collect())
}

fn boot_all(project: &Project, chosen: &[&'static Kernel], arguments: &Arguments) -> Result<Count> {
    setup::ensure(project, Purpose::Test)?;
    let images = kernels::fetch(project, chosen)?;
    let init = match &arguments.init {
        Some(init) => init.clone(),
        None => build::statically(project, Profile::Dev, PACKAGES, &["vm-init"])?.join("vm-init"),
    };
    let work = project.target.join("vm");
    let initramfs = PROGRESS.step("initramfs", || initramfs::write(&init, &work))?;
    let outcomes = PROGRESS.open_step(&format!("{} kernels, {AT_A_TIME} at a time", images.len()), || {
        anyhow::Ok(in_parallel(&images, |image| boot::boot(image, &initramfs, &work)))
    })?;
    if arguments.console {
        for outcome in &outcomes {
            println!("--- {}\n{}", outcome.version, outcome.serial);
        }
    }
    println!("{}", report::table(&outcomes));
    let passed = outcomes.iter().filter(|outcome| outcome.passed()).count() as u64;
    Ok(Count { passed, failed: outcomes.len() as u64 - passed })
}

/// Keeps [`AT_A_TIME`] machines running; the outcomes come in the order of the images.
fn in_parallel(images: &[Image], boot: impl Fn(&Image) -> Outcome + Sync) -> Vec<Outcome> {
    let waiting = Mutex::new(images.iter().enumerate());
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME.min(images.len()) {
            scope.spawn(|| {
                loop {
                    // Taken in a statement of its own: in the head of a `while let` the lock would be held during the boot.
                    let next = lock(&waiting).next();
                    let Some((index, image)) = next else { break };
                    let outcome = boot(image);
                    PROGRESS.say(report::line(&outcome));
                    lock(&done).push((index, outcome));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

/// A poisoned lock is taken all the same: what it guards is whole between two calls.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may end on the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_chosen_by_series() {
        assert_eq!(choose(&[]).unwrap().len(), KERNELS.len());
        let chosen: Vec<&str> = choose(&["6.1".to_owned()]).unwrap().iter().map(|kernel| kernel.series).collect();
        assert_eq!(chosen, ["6.1"]);
        assert!(choose(&["2.4".to_owned()]).unwrap_err().to_string().contains("5.10"));
    }
}
