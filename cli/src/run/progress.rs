//! One line on the terminal while we wait, taken away before anything else is written. Nothing if stderr is no terminal.
//!
//! CMD may write to the same terminal at any moment. The cursor therefore always stands at the line's beginning, so
//! that CMD's words come in place of ours, and the line is short.

use super::child::Output;
use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

/// Goes to the line's beginning and clears it (ECMA-48 EL).
pub(crate) const ERASE: &[u8] = b"\r\x1b[K";

/// The line.
#[derive(Debug)]
pub(crate) struct Progress {
    output: Option<Output>,
    shown: bool,
}

impl Progress {
    /// Shown on a terminal that can move its cursor.
    pub(crate) fn new(output: Output) -> Self {
        let able = io::stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        Self { output: able.then_some(output), shown: false }
    }

    /// Shows how long it has taken, and what is waited for.
    pub(crate) fn show(&mut self, elapsed: Duration, waiting_for: &str) {
        let Some(output) = &self.output else { return };
        let text = format!("unready: {} s, {waiting_for}", elapsed.as_secs());
        let mut stderr = io::stderr().lock();
        let _ = stderr.write_all(&[ERASE, b"\x1b[2m", text.as_bytes(), b"\x1b[0m\r"].concat());
        let _ = stderr.flush();
        drop(stderr);
        output.progress_shown();
        self.shown = true;
    }

    /// Takes it away.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = io::stderr().lock().write_all(ERASE);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
