//! `unready __launch`: the few steps between a fork and CMD's first instruction, in a process of their own.
//!
//! 1. Wait for the go byte. Meanwhile the parent moves this process into its cgroups and the eBPF programs are attached.
//! 2. Take on groups, group and user; give up capabilities in all five sets. They survive a change of user until the
//!    exec, so that this has to come before it.
//! 3. Ask the kernel to end this process, CMD later, if the parent dies: SIGKILL leaves it no time to do so.
//! 4. `execve` along `PATH`, one real call a candidate: the failing ones are the kernel's own evidence. There is no
//!    detour by `/bin/sh` for a file without header, as `execvp` has one: a container's runtime takes none either.
//!
//! States: waiting → changing → executing → CMD. A step that fails is told on the status pipe, which closes by itself
//! when an exec succeeds. If the parent dies before its go byte, nothing is executed.
//!
//! No `unsafe`: the pipes are opened again by their numbers in `/proc/self/fd`, and the inherited ones closed.

use super::{args::LaunchArgs, identity::Drop};
use anyhow::Context;
use caps::{CapSet, Capability};
use nix::{
    errno::Errno,
    sys::{prctl::set_pdeathsig, signal::Signal},
    unistd::{Gid, Pid, Uid, close, execve, getppid, setgroups, setresgid, setresuid},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashSet,
    convert::Infallible,
    ffi::{CString, OsStr, OsString},
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::unix::ffi::{OsStrExt, OsStringExt},
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
};

/// What execvp(3) takes where `PATH` is not set (glibc's `_PATH_DEFPATH`-like default, without the working directory).
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Why CMD was not executed; goes through the status pipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LaunchFailure {
    pub(crate) step: Step,
    /// Its errno; 0 when the failure was not a call's.
    pub(crate) errno: i32,
    /// The file, for [`Step::Exec`]; or what was said.
    pub(crate) detail: String,
}

/// The steps that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Step {
    /// The supplementary groups.
    Groups,
    Gid,
    Uid,
    Capabilities,
    /// The wish to end with the parent.
    Tie,
    /// All candidates of the execve.
    Exec,
}

impl LaunchFailure {
    fn new(step: Step, errno: Errno) -> Self {
        Self { step, errno: errno as i32, detail: String::new() }
    }

    fn said(step: Step, detail: &impl ToString) -> Self {
        Self { step, errno: 0, detail: detail.to_string() }
    }

    /// As a shell would end: 127 for a command that is not there, 126 for one that cannot be executed.
    pub(crate) fn exit_code(&self) -> u8 {
        if self.errno == Errno::ENOENT as i32 { 127 } else { 126 }
    }

    /// In words.
    pub(crate) fn sentence(&self) -> String {
        let reason = match self.errno {
            0 => self.detail.clone(),
            errno => Errno::from_raw(errno).desc().to_owned(),
        };
        match self.step {
            Step::Exec => format!("{} cannot be executed: {reason}", self.detail),
            Step::Groups => format!("the supplementary groups cannot be set: {reason}; run Unready as root"),
            Step::Gid => format!("the group cannot be set: {reason}; run Unready as root"),
            Step::Uid => format!("the user cannot be set: {reason}; run Unready as root"),
            Step::Tie => format!("CMD cannot be made to end with its parent: {reason}"),
            Step::Capabilities => format!("the capabilities cannot be dropped: {reason}; run Unready as root"),
        }
    }
}

/// The whole life of the launcher. Comes back only if CMD was not executed.
pub(crate) fn launch(args: &LaunchArgs) -> anyhow::Result<ExitCode> {
    let parent = getppid();
    let (go, mut status) = take_pipes(args.go, args.status)?;
    if !wait(go)? {
        return Ok(ExitCode::FAILURE); // the parent is gone: nobody watches, nobody asked
    }
    reset_broken_pipe()?;
    let Err(failure) = become_and_execute(args, parent);
    let _ = status.write_all(&serde_json::to_vec(&failure)?);
    Ok(ExitCode::from(failure.exit_code()))
}

/// Opens the inherited ends again, so that they close on exec, and closes the inherited ones.
fn take_pipes(go: i32, status: i32) -> anyhow::Result<(File, File)> {
    anyhow::ensure!(go > 2 && status > 2 && go != status, "this command is for the use of `unready run` only");
    let path = |fd: i32| format!("/proc/self/fd/{fd}");
    let opened = (
        File::open(path(go)).context("the parent's pipe is not there")?,
        OpenOptions::new().write(true).open(path(status)).context("the parent's pipe is not there")?,
    );
    close(go).context("close")?;
    close(status).context("close")?;
    Ok(opened)
}

fn wait(mut go: File) -> anyhow::Result<bool> {
    let mut byte = [0];
    Ok(go.read(&mut byte).context("cannot read the parent's pipe")? == 1)
}

/// Rust's runtime ignores SIGPIPE, and an ignored signal stays ignored across an exec; a handled one does not.
fn reset_broken_pipe() -> anyhow::Result<()> {
    signal_hook::flag::register(signal_hook::consts::SIGPIPE, Arc::new(AtomicBool::new(false))).context("cannot reset SIGPIPE")?;
    Ok(())
}

fn become_and_execute(args: &LaunchArgs, parent: Pid) -> Result<Infallible, LaunchFailure> {
    drop_bounding(&args.drop)?; // needs CAP_SETPCAP, which the change of user takes away
    change_ids(args)?;
    drop_sets(args)?;
    end_with(parent)?;
    execute(&args.command)
}

fn to_drop(list: &[Drop]) -> HashSet<Capability> {
    let supported = caps::runtime::thread_all_supported();
    if list.contains(&Drop::All) {
        return supported;
    }
    let named = list.iter().filter_map(|drop| match drop {
        Drop::One(capability) => Some(*capability),
        Drop::All => None,
    });
    named.filter(|capability| supported.contains(capability)).collect()
}

fn drop_bounding(list: &[Drop]) -> Result<(), LaunchFailure> {
    to_drop(list)
        .into_iter()
        .try_for_each(|capability| {
            let held = caps::has_cap(None, CapSet::Bounding, capability).unwrap_or(true);
            if held { caps::drop(None, CapSet::Bounding, capability) } else { Ok(()) }
        })
        .map_err(|error| LaunchFailure::said(Step::Capabilities, &error))
}

fn change_ids(args: &LaunchArgs) -> Result<(), LaunchFailure> {
    if let Some(groups) = &args.groups {
        let groups: Vec<Gid> = groups.0.iter().copied().map(Gid::from_raw).collect();
        setgroups(&groups).map_err(|errno| LaunchFailure::new(Step::Groups, errno))?;
    }
    if let Some(gid) = args.gid.map(Gid::from_raw) {
        setresgid(gid, gid, gid).map_err(|errno| LaunchFailure::new(Step::Gid, errno))?;
    }
    if let Some(uid) = args.uid.map(Uid::from_raw) {
        setresuid(uid, uid, uid).map_err(|errno| LaunchFailure::new(Step::Uid, errno))?;
    }
    Ok(())
}

/// The sets of this process. Ambient and inheritable first: they may not hold what permitted lacks.
fn drop_sets(args: &LaunchArgs) -> Result<(), LaunchFailure> {
    let becomes_user = args.uid.is_some_and(|uid| uid != 0);
    let dropped = if becomes_user { caps::runtime::thread_all_supported() } else { to_drop(&args.drop) };
    if dropped.is_empty() {
        return Ok(());
    }
    for set in [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        shrink(set, &dropped).map_err(|error| LaunchFailure::said(Step::Capabilities, &error))?;
    }
    Ok(())
}

fn shrink(set: CapSet, dropped: &HashSet<Capability>) -> Result<(), caps::errors::CapsError> {
    let held = caps::read(None, set)?;
    let kept: HashSet<Capability> = held.difference(dropped).copied().collect();
    if kept.len() == held.len() { Ok(()) } else { caps::set(None, set, &kept) }
}

/// A parent that is killed cannot end CMD any more: the kernel does it then. A change of ids takes that back (prctl(2),
/// `PR_SET_PDEATHSIG`), so it comes last; the parent's thread is its main one, which lives as long as it does.
fn end_with(parent: Pid) -> Result<(), LaunchFailure> {
    set_pdeathsig(Signal::SIGKILL).map_err(|errno| LaunchFailure::new(Step::Tie, errno))?;
    let gone = || LaunchFailure::said(Step::Tie, &"it is gone already");
    if getppid() == parent { Ok(()) } else { Err(gone()) }
}

fn execute(command: &[OsString]) -> Result<Infallible, LaunchFailure> {
    let nul = |_| LaunchFailure::said(Step::Exec, &"an argument or variable contains a NUL byte");
    let c_string = |text: &OsStr| CString::new(text.as_bytes());
    let args = command.iter().map(|arg| c_string(arg)).collect::<Result<Vec<_>, _>>().map_err(nul)?;
    let environment = std::env::vars_os().map(|(name, value)| c_string(&[name.as_bytes(), b"=", value.as_bytes()].concat_os()));
    let environment = environment.collect::<Result<Vec<_>, _>>().map_err(nul)?;
    let name = command.first().cloned().unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    let mut denied = false;
    let mut last = Errno::ENOENT;
    for candidate in candidates(&name, &path) {
        let file = c_string(&candidate).map_err(nul)?;
        let Err(errno) = execve(&file, &args, &environment);
        last = errno;
        denied |= errno == Errno::EACCES;
        if !goes_on_after(errno) {
            break;
        }
    }
    let errno = if denied && goes_on_after(last) { Errno::EACCES } else { last };
    Err(LaunchFailure { step: Step::Exec, errno: errno as i32, detail: name.to_string_lossy().into_owned() })
}

/// The files that execvp(3) would try: a name with a slash is the file itself, an empty part of PATH is the working
/// directory.
fn candidates(name: &OsStr, path: &OsStr) -> Vec<OsString> {
    if name.as_bytes().contains(&b'/') {
        return vec![name.into()];
    }
    path.as_bytes()
        .split(|byte| *byte == b':')
        .map(|directory| if directory.is_empty() { name.into() } else { [directory, b"/", name.as_bytes()].concat_os() })
        .collect()
}

/// After these execvp(3) tries the next candidate.
fn goes_on_after(errno: Errno) -> bool {
    [Errno::ENOENT, Errno::ENOTDIR, Errno::EACCES, Errno::ESTALE, Errno::ENODEV, Errno::ETIMEDOUT].contains(&errno)
}

trait ConcatOs {
    fn concat_os(&self) -> OsString;
}

impl ConcatOs for [&[u8]; 3] {
    fn concat_os(&self) -> OsString {
        OsString::from_vec(self.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_follow_path() {
        let list = |name: &str, path: &str| candidates(OsStr::new(name), OsStr::new(path));
        assert_eq!(list("redis", "/a:/b/"), ["/a/redis", "/b//redis"]);
        assert_eq!(list("redis", "/a::"), ["/a/redis", "redis", "redis"]);
        assert_eq!(list("./redis", "/a:/b"), ["./redis"]);
        assert_eq!(list("/redis", ""), ["/redis"]);
    }

    #[test]
    fn failures_end_as_a_shell_ends() {
        let failure = |errno| LaunchFailure { step: Step::Exec, errno: errno as i32, detail: "x".into() };
        assert_eq!(failure(Errno::ENOENT).exit_code(), 127);
        assert_eq!(failure(Errno::EACCES).exit_code(), 126);
        assert_eq!(failure(Errno::ENOEXEC).exit_code(), 126);
        assert_eq!(failure(Errno::ENOENT).sentence(), "x cannot be executed: No such file or directory");
    }

    #[test]
    fn the_pipes_are_no_standard_streams() {
        assert!(take_pipes(0, 1).is_err());
        assert!(take_pipes(5, 5).is_err());
    }
}
