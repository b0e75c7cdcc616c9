//! Containers by runc, below a state directory of our own.
//!
//! A container runs detached, as under containerd: this process is made the reaper of its orphans
//! ([`Runc::new`]), sees how the first process of the container ended, and deletes the container later.

use crate::{bundle::Bundle, wait};
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, WaitOptions, set_child_subreaper, waitpid};
use std::{
    fs::{self, File},
    io::ErrorKind,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    time::Duration,
};

/// A state directory of runc, with the bundles beside it.
#[derive(Clone, Debug)]
pub struct Runc {
    directory: PathBuf,
}

/// How the first process of a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// What came of the attempt to start a container.
#[derive(Debug)]
enum Start {
    /// Its first process.
    Process(Pid),
    /// runc gave up, and said why.
    Refused(String),
}

/// A container; it is ended and deleted on drop.
#[derive(Debug)]
pub struct Container {
    id: String,
    runc: Runc,
    start: Start,
    ended: Mutex<Option<Ended>>,
}

impl Runc {
    /// A state directory below this one. From now on this process reaps what its children leave behind.
    pub fn new(directory: &Path) -> Result<Self> {
        set_child_subreaper(Some(rustix::process::getpid())).context("cannot become the reaper of the containers")?;
        let made = Self { directory: directory.to_owned() };
        fs::create_dir_all(made.state()).with_context(|| format!("cannot make {}", made.state().display()))?;
        Ok(made)
    }

    /// The state directory: what `runc --root` and the agent's `--runtime-root` take.
    pub fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    fn bundle(&self, id: &str) -> PathBuf {
        self.directory.join("bundles").join(id)
    }

    /// A call of runc, in a process group of its own: Ctrl-C is for us, who then end it in order.
    fn command(&self) -> Command {
        let mut command = Command::new("runc");
        command.arg("--root").arg(self.state()).process_group(0).stdin(Stdio::null());
        command
    }

    /// Starts a container. That runc refuses it (no such command) is not an error: see [`Container::refusal`].
    pub fn run(&self, id: &str, bundle: &Bundle) -> Result<Container> {
        let directory = self.bundle(id);
        bundle.write(&directory)?;
        let pid_file = directory.join("pid");
        let stdout = File::create(directory.join("stdout")).context("cannot make the container's stdout")?;
        let stderr = File::create(directory.join("stderr")).context("cannot make the container's stderr")?;
        let mut command = self.command();
        command.arg("--log").arg(directory.join("log")).args(["run", "--detach", "--bundle"]).arg(&directory);
        command.arg("--pid-file").arg(&pid_file).arg(id).stdout(stdout).stderr(stderr);
        let status = match command.status() {
            Err(error) if error.kind() == ErrorKind::NotFound => bail!("runc is not installed (`cargo xtask setup`)"),
            other => other.context("cannot start runc")?,
        };
        let start = if status.success() {
            Start::Process(read_pid(&pid_file)?)
        } else {
            Start::Refused(fs::read_to_string(directory.join("stderr")).unwrap_or_default().trim().to_owned())
        };
        Ok(Container { id: id.to_owned(), runc: self.clone(), start, ended: Mutex::new(None) })
    }
}

fn read_pid(path: &Path) -> Result<Pid> {
    let text = fs::read_to_string(path).with_context(|| format!("runc wrote no pid into {}", path.display()))?;
    text.trim().parse().ok().and_then(Pid::from_raw).with_context(|| format!("{} holds no pid", path.display()))
}

impl Container {
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The first process, on the host; `None` when it was never started.
    pub fn pid(&self) -> Option<u32> {
        match self.start {
            Start::Process(pid) => pid.as_raw_nonzero().get().try_into().ok(),
            Start::Refused(_) => None,
        }
    }

    /// What runc said when it gave up.
    pub fn refusal(&self) -> Option<&str> {
        match &self.start {
            Start::Process(_) => None,
            Start::Refused(why) => Some(why),
        }
    }

    /// How it ended; `None` while it lives, or when it was never started.
    pub fn ended(&self) -> Result<Option<Ended>> {
        let Start::Process(pid) = self.start else { return Ok(None) };
        let mut ended = self.ended.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if ended.is_none()
            && let Some((_, status)) = waitpid(Some(pid), WaitOptions::NOHANG).with_context(|| format!("cannot wait for {}", self.id))?
        {
            *ended = status.exit_status().map(Ended::Code).or(status.terminating_signal().map(Ended::Signal));
        }
        Ok(*ended)
    }

    /// Waits until it has ended.
    pub fn wait(&self, at_most: Duration) -> Result<Ended> {
        wait::until(&format!("the end of container {}", self.id), at_most, || self.ended())
    }

    /// What it wrote to stdout so far.
    pub fn stdout(&self) -> String {
        self.output("stdout")
    }

    /// What it wrote to stderr so far.
    pub fn stderr(&self) -> String {
        self.output("stderr")
    }

    fn output(&self, name: &str) -> String {
        let bytes = fs::read(self.runc.bundle(&self.id).join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether something in the container's network namespace listens on this TCP port (`/proc/PID/net/tcp`, state 0A).
    pub fn listens_on(&self, port: u16) -> bool {
        let Some(pid) = self.pid() else { return false };
        ["tcp", "tcp6"].iter().any(|table| {
            let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
            text.lines().skip(1).any(|line| is_listener(line, port))
        })
    }
}

fn is_listener(line: &str, port: u16) -> bool {
    let mut fields = line.split_whitespace().skip(1);
    let local = fields.next().unwrap_or_default();
    local.ends_with(&format!(":{port:04X}")) && fields.nth(1) == Some("0A")
}

impl Drop for Container {
    fn drop(&mut self) {
        let deleted = self.runc.command().args(["delete", "--force", &self.id]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if let Err(error) = deleted {
            eprintln!("container {} could not be deleted: {error}", self.id);
        }
        // Reaped, so that no zombie stays with a process that runs many containers.
        let _ = wait::until("the reaping", Duration::from_secs(2), || Ok(self.pid().is_none().then_some(()).or(self.ended()?.map(drop))));
    }
}
