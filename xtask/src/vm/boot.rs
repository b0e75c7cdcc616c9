//! One boot: QEMU with emulation only, its serial line read until the init's last word, then ended by its process id.

use super::{kernels::Image, report::Outcome};
use anyhow::{Context as _, Result};
use std::{
    fs,
    io::{BufRead as _, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

/// A boot takes some four seconds; whatever takes this long hangs.
const TIME_OUT: Duration = Duration::from_mins(2);
/// `mitigations=off` halves the time under emulation.
const COMMAND_LINE: &str = "console=ttyS0 panic=-1 quiet mitigations=off rdinit=/init";

/// Boots the image to its end. What goes wrong is in the outcome: the other kernels are still worth trying.
pub(super) fn boot(image: &Image, initramfs: &Path, work: &Path) -> Outcome {
    let started = Instant::now();
    let mut outcome = Outcome::new(image.series);
    if let Err(error) = run(image, initramfs, &mut outcome) {
        outcome.problem = Some(format!("{error:#}"));
    }
    outcome.total = started.elapsed();
    let log = work.join(format!("{}.log", image.series));
    if let Err(error) = fs::write(&log, &outcome.serial) {
        outcome.problem.get_or_insert(format!("the serial line could not be kept in {}: {error}", log.display()));
    }
    outcome
}

fn run(image: &Image, initramfs: &Path, outcome: &mut Outcome) -> Result<()> {
    let started = Instant::now();
    let mut machine = Machine::start(image, initramfs)?;
    let lines = machine.lines()?;
    loop {
        let left = TIME_OUT.saturating_sub(started.elapsed());
        match lines.recv_timeout(left) {
            Ok(line) => outcome.read(&line, started.elapsed()),
            Err(RecvTimeoutError::Timeout) => {
                outcome.problem = Some(format!("no end after {} s", TIME_OUT.as_secs()));
                break;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if outcome.exit.is_some() {
            break;
        }
    }
    Ok(())
}

/// A running QEMU; dropping it ends it.
struct Machine {
    child: Child,
}

impl Machine {
    fn start(image: &Image, initramfs: &Path) -> Result<Self> {
        let child = Command::new("qemu-system-x86_64")
            .args(["-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "256", "-smp", "1"])
            .args(["-nodefaults", "-no-user-config", "-nic", "none", "-display", "none", "-no-reboot", "-serial", "stdio"])
            .arg("-kernel")
            .arg(&image.file)
            .arg("-initrd")
            .arg(initramfs)
            .args(["-append", COMMAND_LINE])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("qemu-system-x86_64 cannot be started")?;
        Ok(Self { child })
    }

    /// Lines of the serial line and of QEMU's own complaints; the channel closes when QEMU has ended.
    fn lines(&mut self) -> Result<mpsc::Receiver<String>> {
        let (sender, lines) = mpsc::channel();
        let serial = self.child.stdout.take().context("QEMU's serial line is missing")?;
        let complaints = self.child.stderr.take().context("QEMU's stderr is missing")?;
        forward(serial, sender.clone());
        forward(complaints, sender);
        Ok(lines)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn forward(from: impl Read + Send + 'static, to: mpsc::Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            if to.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
        }
    });
}
