//! The parent's side of the launcher: starts it, lets it go, carries its stderr on.
//!
//! States: [`Waiting`] (the launcher stands before its go byte) → [`Waiting::release`] → [`Running`], or the
//! [`LaunchFailure`] that it reports. CMD's stdin, directory and environment are ours, its stdout too (with `-o json` it
//! goes to our stderr). Its stderr is a pipe: a thread passes each piece on unchanged as it comes, and keeps the last
//! lines for the engine. The thread is its own so that a terminal that stands still holds up nothing else.

use super::{
    identity::{Drop, Identity},
    launcher::LaunchFailure,
};
use anyhow::Context;
use nix::fcntl::OFlag;
use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{io::AsyncReadExt, net::unix::pipe, process, sync::Notify};

/// Lines of stderr that are kept for the engine.
const LINES: usize = 20;
/// Bytes of a line that are kept.
const LINE_BYTES: usize = 512;

/// What is to be started.
#[derive(Debug)]
pub(crate) struct Spec<'a> {
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

/// CMD.
#[derive(Debug)]
pub(crate) struct Running {
    process: process::Child,
    /// Its last lines of stderr.
    pub(crate) output: Output,
}

impl Waiting {
    /// Starts a launcher.
    pub(crate) fn start(spec: &Spec<'_>) -> anyhow::Result<Self> {
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

fn arguments(spec: &Spec<'_>, go: &OwnedFd, status: &OwnedFd) -> Vec<OsString> {
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

/// The last lines that CMD wrote to stderr and that nobody has taken yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<String>,
    ended: bool,
    /// The words of [`super::progress`] have to go before CMD's come.
    erase: bool,
}

impl Output {
    fn pump(from: File) -> io::Result<Self> {
        let output = Self::default();
        let sink = output.clone();
        std::thread::Builder::new().name("stderr".into()).spawn(move || sink.run(from))?;
        Ok(output)
    }

    fn run(&self, mut from: File) {
        let mut splitter = Splitter::default();
        let mut buffer = [0; 8192];
        loop {
            match from.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    self.pass_on(&buffer[..count]);
                    splitter.push(&buffer[..count], &mut |line| self.keep(line));
                }
            }
        }
        splitter.finish(&mut |line| self.keep(line));
        self.state().ended = true;
        self.shared.changed.notify_one();
    }

    fn pass_on(&self, bytes: &[u8]) {
        let erase = std::mem::take(&mut self.state().erase);
        let mut stderr = io::stderr().lock();
        if erase {
            let _ = stderr.write_all(super::progress::ERASE);
        }
        let _ = stderr.write_all(bytes); // nobody reads our stderr: CMD goes on all the same
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, line: String) {
        let mut state = self.state();
        if state.lines.len() == LINES {
            state.lines.pop_front();
        }
        state.lines.push_back(line);
        self.shared.changed.notify_one();
    }

    /// Words stand on the terminal that are not CMD's.
    pub(crate) fn progress_shown(&self) {
        self.state().erase = true;
    }

    /// Takes what there is.
    pub(crate) fn take(&self) -> Vec<String> {
        self.state().lines.drain(..).collect()
    }

    /// Comes back when there is more, or its end.
    pub(crate) async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    /// Comes back when the pipe has ended. A child that lives on may keep it open.
    pub(crate) async fn ended(&self) {
        while !self.state().ended {
            self.changed().await;
        }
        self.shared.changed.notify_one(); // for whoever asks next
    }
}

/// Cuts a stream into lines of at most [`LINE_BYTES`] bytes.
#[derive(Debug, Default)]
struct Splitter {
    line: Vec<u8>,
}

impl Splitter {
    fn push(&mut self, bytes: &[u8], keep: &mut impl FnMut(String)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, whole) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            let room = LINE_BYTES.saturating_sub(self.line.len());
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if whole {
                self.finish(keep);
            }
        }
    }

    fn finish(&mut self, keep: &mut impl FnMut(String)) {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(&line));
        if !text.trim().is_empty() {
            keep(bounded(text.into_owned()));
        }
    }
}

/// Replacement characters take three bytes each: the bound holds after them too.
fn bounded(mut text: String) -> String {
    let end = text.floor_char_boundary(LINE_BYTES);
    text.truncate(end);
    text
}

/// A command line as a person would read it.
pub(crate) fn display(command: &[OsString]) -> String {
    command.iter().map(|arg| OsStr::to_string_lossy(arg)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let mut all = Vec::new();
        let mut splitter = Splitter::default();
        for piece in pieces {
            splitter.push(piece, &mut |line| all.push(line));
        }
        splitter.finish(&mut |line| all.push(line));
        all
    }

    #[test]
    fn lines_come_whole_whatever_the_pieces() {
        assert_eq!(lines(&[b"one\ntw", b"o\r\n\n", b"three"]), ["one", "two", "three"]);
        assert_eq!(lines(&[b"\n\n"]), Vec::<String>::new());
    }

    #[test]
    fn a_line_without_end_is_bounded() {
        assert_eq!(lines(&[&[b'x'; 4000], &[b'x'; 4000]])[0].len(), LINE_BYTES);
        let lossy = lines(&[&[0xff; 4000]]);
        assert!(lossy[0].len() <= LINE_BYTES && lossy[0].starts_with('\u{fffd}'));
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let output = Output::default();
        (0..50).for_each(|n| output.keep(n.to_string()));
        let kept = output.take();
        assert_eq!((kept.len(), kept[0].as_str(), kept[19].as_str()), (20, "30", "49"));
        assert_eq!(output.take(), Vec::<String>::new());
    }
}
