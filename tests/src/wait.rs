//! Waiting for a condition, with a deadline; ends at once when somebody asks the process to end.

use crate::interrupt;
use anyhow::{Result, bail, ensure};
use std::{
    thread,
    time::{Duration, Instant},
};

const PAUSE: Duration = Duration::from_millis(5);

/// Asks again and again until there is a value; an error names `what` was waited for.
pub fn until<T>(what: &str, at_most: Duration, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let begin = Instant::now();
    loop {
        if let Some(value) = ask()? {
            return Ok(value);
        }
        ensure!(!interrupt::requested(), "interrupted");
        if begin.elapsed() > at_most {
            bail!("waited {at_most:?} for {what}");
        }
        thread::sleep(PAUSE);
    }
}

/// Sleeps; an error when somebody asks the process to end meanwhile.
pub fn sleep(duration: Duration) -> Result<()> {
    let end = Instant::now() + duration;
    while Instant::now() < end {
        ensure!(!interrupt::requested(), "interrupted");
        thread::sleep(PAUSE.min(end.saturating_duration_since(Instant::now())));
    }
    Ok(())
}
