//! Agent and collector as processes: started, waited for until they are ready, ended by their pid.
//!
//! Each runs in a process group of its own, so that Ctrl-C on the terminal is ours alone and the end comes in order:
//! containers first, then the agent that watches them, then the collector.

use crate::{
    binaries::Binaries,
    verdicts::{Feed, Verdicts},
    wait,
};
use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{self, File},
    net::SocketAddr,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long one may take until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// How long one may take to end before it is killed.
const END_WITHIN: Duration = Duration::from_secs(5);

/// A process with a log; ended on drop.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts it; stderr goes to a log below `directory`.
    pub fn start(name: &str, mut command: Command, directory: &Path) -> Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let stderr = File::create(&log).with_context(|| format!("cannot make {}", log.display()))?;
        let child = command
            .process_group(0)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stderr(stderr)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its stdout, when that is a pipe and nobody took it.
    pub fn take_stdout(&mut self) -> Result<ChildStdout> {
        self.child.stdout.take().context("stdout was not piped")
    }

    /// Waits until a line of its log contains `text`.
    pub fn wait_for_log(&mut self, text: &str, at_most: Duration) -> Result<()> {
        let what = format!("{} to log {text:?}", self.name);
        let waited = wait::until(&what, at_most, || {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended ({status})", self.name);
            }
            Ok(self.log().contains(text).then_some(()))
        });
        waited.with_context(|| format!("its log:\n{}", self.log()))
    }

    /// Resident memory, bytes (`VmRSS` of proc(5)).
    pub fn resident(&self) -> Result<u64> {
        self.memory("VmRSS:")
    }

    /// The part of it that is not a file, bytes (`RssAnon`): without the program's own pages, which are many in a debug build.
    pub fn anonymous(&self) -> Result<u64> {
        self.memory("RssAnon:")
    }

    fn memory(&self, what: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).with_context(|| format!("{} has ended", self.name))?;
        let line = status.lines().find_map(|line| line.strip_prefix(what)).with_context(|| format!("no {what}"))?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().with_context(|| format!("{what} is not a number"))?;
        Ok(kib * 1024)
    }

    /// Ends it as a node that dies does.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("{} cannot be killed", self.name))?;
        self.child.wait().with_context(|| format!("cannot wait for {}", self.name))?;
        Ok(())
    }

    /// Asks it to end, waits, and kills it if it does not.
    pub fn end(&mut self) {
        let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) else { return };
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let _ = kill_process(pid, Signal::TERM);
        let begin = Instant::now();
        while begin.elapsed() < END_WITHIN {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        eprintln!("{} did not end within {END_WITHIN:?} and is killed", self.name);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
    }
}

/// A collector with a database of its own.
#[derive(Debug)]
pub struct Collector {
    daemon: Daemon,
    url: String,
    client: PathBuf,
}

impl Collector {
    /// Starts it on a free port of loopback.
    pub fn start(binaries: &Binaries, directory: &Path) -> Result<Self> {
        Self::start_with(binaries, directory, &[])
    }

    /// The same with further arguments.
    pub fn start_with(binaries: &Binaries, directory: &Path, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(binaries.program("unready-collector")?);
        command.args(arguments);
        command.args(["--listen", "127.0.0.1:0", "--database"]).arg(directory.join("verdicts.sqlite")).stdout(Stdio::null());
        let mut daemon = Daemon::start("collector", command, directory)?;
        daemon.wait_for_log("listening on http", READY_WITHIN)?;
        let url = listening_on(&daemon.log()).context("the collector's log names no address")?;
        Ok(Self { daemon, url, client: binaries.program("unready")? })
    }

    /// Where agents and users reach it.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// What `unready get` shows of it, resolved verdicts included.
    pub fn verdicts(&self) -> Result<Verdicts> {
        let mut command = Command::new(&self.client);
        command.args(["get", "--collector", &self.url, "-o", "json", "--all"]);
        let output = command.output().context("cannot start unready")?;
        ensure!(output.status.success(), "`unready get` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        Verdicts::parse(&String::from_utf8(output.stdout).context("`unready get` printed no text")?)
    }
}

/// The address in the line `listening on http://127.0.0.1:4711, database …`.
fn listening_on(log: &str) -> Option<String> {
    let (_, rest) = log.split_once("listening on ")?;
    rest.split([',', ' ', '\n']).next().map(str::to_owned)
}

/// An agent whose verdicts are read.
#[derive(Debug)]
pub struct Agent {
    daemon: Daemon,
    feed: Feed,
}

/// How an agent is started.
#[derive(Clone, Copy, Debug, Default)]
pub struct AgentOptions<'a> {
    /// Where it delivers, beside its stdout.
    pub collector: Option<&'a str>,
    /// State directory of runc.
    pub runtime_root: Option<&'a Path>,
    /// How long level 1 stays after the last start; the agent's default when absent.
    pub linger: Option<Duration>,
    /// Where it records what its engine is given.
    pub record: Option<&'a Path>,
    /// Where it serves its metrics.
    pub metrics: Option<SocketAddr>,
}

impl Agent {
    /// Starts it and waits until it watches.
    pub fn start(binaries: &Binaries, directory: &Path, options: AgentOptions<'_>) -> Result<Self> {
        let mut command = Command::new(binaries.program("unready-agent")?);
        command.args(["--node", "demo", "--stdout", "json"]).stdout(Stdio::piped());
        if let Some(url) = options.collector {
            command.args(["--collector", url]);
        }
        if let Some(root) = options.runtime_root {
            command.arg("--runtime-root").arg(root);
        }
        if let Some(linger) = options.linger {
            command.args(["--linger", &linger.as_secs().to_string()]);
        }
        if let Some(address) = options.metrics {
            command.args(["--metrics", &address.to_string()]);
        }
        if let Some(file) = options.record {
            command.arg("--record").arg(file);
        }
        let mut daemon = Daemon::start("agent", command, directory)?;
        let feed = Feed::read(daemon.take_stdout()?);
        daemon.wait_for_log(" ready: ", READY_WITHIN)?;
        Ok(Self { daemon, feed })
    }

    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// The process, to wait for its log.
    pub fn daemon_mut(&mut self) -> &mut Daemon {
        &mut self.daemon
    }

    /// What it printed so far.
    pub fn verdicts(&self) -> Result<Verdicts> {
        self.feed.verdicts()
    }
}
