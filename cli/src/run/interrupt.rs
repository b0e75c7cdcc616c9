//! Ctrl-C, and what it makes of CMD's end: on a terminal it reaches CMD too, which is then no finding.

use anyhow::Context;
use nix::sys::signal::Signal;
use std::time::Duration;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use unready_diagnosis::{record::ExitStatus, units::BootNanos};

/// How much later than CMD's end we may learn of the Ctrl-C that caused it, on a busy machine.
const OUR_SIGNAL: Duration = Duration::from_millis(100);
/// The same for an end that does not look like it.
const OUR_SIGNAL_UNLIKELY: Duration = Duration::from_millis(10);

/// Ctrl-C, SIGTERM and SIGHUP, from now on.
pub(crate) fn interrupts() -> anyhow::Result<mpsc::Receiver<()>> {
    let (sender, receiver) = mpsc::channel(4);
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let mut signals = signal(kind).context("cannot wait for signals")?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                let _ = sender.try_send(());
            }
        });
    }
    Ok(receiver)
}

/// An end so shortly before an interrupt was noticed comes from it.
pub(crate) fn before(interrupted_at: BootNanos) -> BootNanos {
    const SHORTLY: Duration = Duration::from_millis(300);
    BootNanos(interrupted_at.0.saturating_sub(SHORTLY.as_nanos() as u64))
}

/// How much later than CMD's end, which looks like this, we may learn of the Ctrl-C that caused it.
pub(crate) fn patience(status: ExitStatus) -> Duration {
    if looks_interrupted(status) { OUR_SIGNAL } else { OUR_SIGNAL_UNLIKELY }
}

/// Ended by a signal that users send, or exited as shells report one: 128 and its number.
fn looks_interrupted(status: ExitStatus) -> bool {
    const SIGNALS: [Signal; 4] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];
    let number = match status {
        ExitStatus::Signal(signal) => signal,
        ExitStatus::Code(code) => code.wrapping_sub(128),
    };
    SIGNALS.into_iter().any(|signal| signal as i32 == i32::from(number))
}
