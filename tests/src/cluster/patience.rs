//! Waiting for a cluster: as [`crate::wait`], but each question starts a program and is answered over the network.

use crate::wait;
use anyhow::Result;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(400);

/// Asks again and again, with a pause in between, until there is a value.
pub fn until<T>(what: &str, at_most: Duration, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    wait::until(what, at_most, || {
        let answer = ask()?;
        if answer.is_none() {
            wait::sleep(PAUSE)?;
        }
        Ok(answer)
    })
}
