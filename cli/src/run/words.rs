//! The words of a run that are not verdicts: attempts of the probe, times, signals, addresses.

use nix::sys::signal::Signal;
use std::time::Duration;

/// What an attempt of the probe came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// CMD answered.
    Ready,
    /// Somebody else did: who.
    Foreign(String),
    /// Nobody did: why.
    Failed(String),
}

impl Seen {
    /// As a clause.
    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::Ready => "the probe is answered".into(),
            Self::Foreign(who) => format!("the probe is answered, but not by CMD: {who} has the port"),
            Self::Failed(reason) => format!("the probe fails: {reason}"),
        }
    }
}

/// `340 ms`, `1.23 s`.
pub(crate) fn seconds(elapsed: Duration) -> String {
    match elapsed.as_millis() {
        millis @ ..1000 => format!("{millis} ms"),
        _ => format!("{:.2} s", elapsed.as_secs_f64()),
    }
}

/// `SIGTERM`.
pub(crate) fn signal_name(signal: u8) -> String {
    Signal::try_from(i32::from(signal)).map_or_else(|_| format!("signal {signal}"), |signal| signal.to_string())
}
