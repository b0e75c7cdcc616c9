//! The parent's side of the launcher: starts it, lets it go, carries its stderr on.
//!
//! States: [`Waiting`] (the launcher stands before its go byte) → [`Waiting::release`] → [`Running`], or the
//! [`LaunchFailure`] that it reports. CMD's stdin, directory and environment are ours, its stdout too (with `-o json` it
//! goes to our stderr). Its stderr is a pipe, which [`super::stderr`] carries on.

use super::{
    identity::{Drop, Identity},
    launcher::LaunchFailure,
    stderr::Output,
};
use anyhow::Context;
use nix::fcntl::OFlag;
use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Write},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    process::{ExitStatus, Stdio},
};
use tokio::{io::AsyncReadExt, net::unix::pipe, process};

/// What is to be started.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    /// CMD and its arguments.
    pub(crate) command: &'a [OsString],
    /// With whose rights.
    pub(crate) identity: &'a Identity,
    /// Without which capabilities.
    pub(crate) drop: &'a [Drop],
    /// CMD's stdout goes to our stderr: ours is for verdicts alone.
    pub(crate) stdout_to_stderr: bool,
}

/// A launcher before its go byte.
#[derive(Debug)]
pub(crate) struct Waiting {
    process: process::Child,
    go: File,
    status: pipe::Receiver,
    output: Output,
}

#[derive(Debug)]
pub(crate) struct Running {
    process: process::Child,
    /// Its last lines of stderr.
    pub(crate) output: Output,
}

impl Waiting {
    /// Starts a launcher.
    pub(crate) fn start(spec: &Launch<'_>) -> anyhow::Result<Self> {
        let (go_read, go) = pipe(Keep::Read)?;
        let (status, status_write) = pipe(Keep::Write)?;
        let mut command = process::Command::new("/proc/self/exe");
        command.args(arguments(spec, &go_read, &status_write)).arg("--").args(spec.command).stderr(Stdio::piped());
        if spec.stdout_to_stderr {
            command.stdout(Stdio::from(io::stderr().as_fd().try_clone_to_owned().context("cannot duplicate stderr")?));
        }
        let mut process = command.spawn().context("cannot start the launcher from /proc/self/exe")?;
        let stderr = process.stderr.take().context("the launcher has no stderr")?.into_owned_fd().context("CMD's stderr")?;
        Ok(Self {
            process,
            go: File::from(go),
            status: pipe::Receiver::from_owned_fd(status).context("the launcher's pipe")?,
            output: Output::pump(File::from(stderr)).context("cannot start a thread for CMD's stderr")?,
        })
    }

    /// Its process id, which is CMD's later.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.process.id().context("the launcher ended before CMD was executed")
    }

    /// Gives the go byte, and comes back when CMD has been executed, or has not.
    pub(crate) async fn release(mut self) -> anyhow::Result<(Running, Option<LaunchFailure>)> {
        self.go.write_all(b"g").context("the launcher ended before CMD was executed")?;
        let mut report = Vec::new();
        self.status.read_to_end(&mut report).await.context("cannot read the launcher's report")?;
        let running = Running { process: self.process, output: self.output };
        if report.is_empty() {
            return Ok((running, None));
        }
        Ok((running, Some(serde_json::from_slice(&report).context("the launcher's report cannot be read")?)))
    }
}

impl Running {
    /// Waits for its end; may be asked again afterwards.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.process.wait().await
    }
}

fn arguments(spec: &Launch<'_>, go: &OwnedFd, status: &OwnedFd) -> Vec<OsString> {
    let mut all: Vec<OsString> = vec!["__launch".into()];
    let mut flag = |name: &str, value: String| all.push(format!("--{name}={value}").into());
    flag("go", go.as_raw_fd().to_string());
    flag("status", status.as_raw_fd().to_string());
    if let Some(uid) = spec.identity.uid {
        flag("uid", uid.to_string());
    }
    if let Some(gid) = spec.identity.gid {
        flag("gid", gid.to_string());
    }
    if let Some(groups) = &spec.identity.groups {
        flag("groups", groups.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
    }
    for drop in spec.drop {
        flag("drop", drop.to_string());
    }
    all
}

/// Which end the child keeps.
#[derive(Clone, Copy)]
enum Keep {
    Read,
    Write,
}

/// A pipe of which one end survives the exec of the launcher, and the other closes.
fn pipe(keep: Keep) -> anyhow::Result<(OwnedFd, OwnedFd)> {
    use rustix::io::{FdFlags, fcntl_setfd};
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC).context("cannot make a pipe")?;
    let inherited = match keep {
        Keep::Read => &read,
        Keep::Write => &write,
    };
    fcntl_setfd(inherited, FdFlags::empty()).context("cannot prepare a pipe")?;
    Ok((read, write))
}

/// A command line as a person would read it.
pub(crate) fn display(command: &[OsString]) -> String {
    command.iter().map(|arg| OsStr::to_string_lossy(arg)).collect::<Vec<_>>().join(" ")
}
