//! `unready run`: starts CMD in a cgroup of its own, watches it, says what kept it from becoming ready.
//!
//! The module list follows a run:
//!
//! - [`args`]: the flags; [`identity`], [`quantity`], [`probe`]: what they mean.
//! - [`child`] and [`launcher`]: the two halves of starting CMD, a pipe apart.
//! - [`stderr`]: what CMD says, carried on.
//! - [`cgroup`]: the cgroup of the run, which is gone afterwards.
//! - [`session`]: waits until CMD is ready, exits, or the time is up.
//! - [`listeners`]: whose socket answered the probe.
//! - [`interrupt`]: what Ctrl-C means.
//! - [`progress`], [`words`]: the line on the terminal, and what else is not a verdict.
//!
//! The order of the start matters: the launcher is forked first, then the eBPF programs are attached while it comes up;
//! the cgroup is made when they can see it, and CMD is executed when the engine knows of it.

pub(crate) mod args;
pub(crate) mod cgroup;
pub(crate) mod child;
pub(crate) mod identity;
pub(crate) mod interrupt;
pub(crate) mod launcher;
pub(crate) mod listeners;
pub(crate) mod probe;
pub(crate) mod progress;
pub(crate) mod quantity;
pub(crate) mod session;
pub(crate) mod stderr;
pub(crate) mod words;

use crate::{
    outcome::{Format, Outcome},
    output,
    status::Status,
};
use anyhow::Context;
use args::RunArgs;
use cgroup::RunCgroup;
use child::{Launch, Running, Waiting};
use identity::Identity;
use session::Session;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use unready_agent::{
    cgroupfs::CgroupRoot,
    pipeline::{Handle, Options, Pipeline},
    preflight,
};
use unready_diagnosis::input::{Input, RunChange};

/// From SIGTERM to SIGKILL when CMD is ended.
const GRACE: Duration = Duration::from_secs(5);

/// Runs CMD.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<Status> {
    let begun = Instant::now();
    if let Some(said) = preflight::ensure_tracefs() {
        tracing::info!("{said}");
    }
    preflight::refusal(&preflight::examine())?;
    let groups = args.groups.as_ref().map(|list| list.0.as_slice());
    let identity = Identity::resolve(args.uid, args.gid, groups)?;
    if let Some(note) = &identity.note {
        output::note(note);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    let status = runtime.block_on(watched(args, &identity, begun));
    runtime.shutdown_background(); // an investigation may still be waiting for a file
    status
}

/// Everything that has to be put away again, whatever happens.
async fn watched(args: &RunArgs, identity: &Identity, begun: Instant) -> anyhow::Result<Status> {
    let mut interrupts = interrupt::interrupts()?;
    let stdout_to_stderr = args.output == Format::Json;
    let waiting = Waiting::start(&Launch { command: &args.command, identity, drop: &args.drop, stdout_to_stderr })?;
    let options = Options { record: args.record.clone(), starting_at_once: true, tell_listeners: true, ..Options::default() };
    let (pipeline, handle, said) = Pipeline::start(&options)?;
    let pipeline = tokio::spawn(pipeline.run());
    let status = {
        let cgroup = RunCgroup::make(&CgroupRoot::find()?, args.memory)?;
        let running = release(args, &handle, &cgroup, waiting, begun).await?;
        let session = Session::new(args, &handle, &cgroup, running, said);
        finish(args, session, &cgroup, &mut interrupts).await?
    };
    drop(handle);
    // The recording is closed by then; the programs are detached by the kernel if that takes longer.
    if let Ok(Ok(Err(error))) = tokio::time::timeout(Duration::from_secs(2), pipeline).await {
        return Err(error);
    }
    Ok(status)
}

/// Puts the launcher into the cgroup and lets CMD go.
async fn release(args: &RunArgs, handle: &Handle, cgroup: &RunCgroup, waiting: Waiting, begun: Instant) -> anyhow::Result<Running> {
    let started = RunChange::Started {
        cgroup: cgroup.id(),
        command: args.command.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
        probe: args.probe.as_ref().map(|probe| probe.as_str().to_owned()),
    };
    handle.input(Input::Run(started)).await;
    session::settle(handle, cgroup.id(), Duration::from_millis(100)).await;
    cgroup.join(waiting.pid()?)?;
    let (running, failure) = waiting.release().await?;
    let taken = begun.elapsed();
    tracing::debug!("CMD was executed after {taken:?}");
    if args.timing {
        output::note(&format!("CMD was executed after {:.1} ms", taken.as_secs_f64() * 1e3));
    }
    match failure {
        Some(failure) if failure.step != launcher::Step::Exec => anyhow::bail!("{}", failure.sentence()),
        Some(failure) => output::note(&failure.sentence()),
        None => {}
    }
    Ok(running)
}

/// Waits for the outcome, says it, and ends CMD.
async fn finish(
    args: &RunArgs,
    mut session: Session<'_>,
    cgroup: &RunCgroup,
    interrupts: &mut mpsc::Receiver<()>,
) -> anyhow::Result<Status> {
    let outcome = session.watch(interrupts).await?;
    let status = session.conclude(outcome, interrupts).await?;
    if args.keep && outcome == Outcome::Ready {
        session.keep(interrupts).await;
    }
    tokio::select! {
        _ = interrupts.recv() => {} // once more: everything ends now
        () = async { cgroup.end(GRACE).await; session.last_output().await } => {}
    }
    Ok(status)
}
