//! A few dim words at the terminal's right edge while we wait. Nothing if stderr is no terminal.
//!
//! CMD may write to the same terminal at any moment, and we do not see its stdout. So the cursor is put back to where it
//! was, and what CMD writes begins where it would have begun without us; the words stand where its lines seldom reach.

use super::stderr::{ERASE, Output};
use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};
use unready_diagnosis::outside::escaped;

/// Columns that the words may take.
const WIDTH: usize = 48;
/// Saves the cursor, goes [`WIDTH`] columns before the right edge, clears from there (DECSC, ECMA-48 CUF, CUB, EL).
const GO: &str = "\x1b7\x1b[999C\x1b[48D\x1b[K";
/// Puts the cursor back (DECRC).
const BACK: &str = "\x1b8";
#[derive(Debug)]
pub(crate) struct Progress {
    output: Option<Output>,
    /// What stands there; empty: nothing.
    shown: String,
}

impl Progress {
    /// Shown on a terminal that can move its cursor.
    pub(crate) fn new(output: Output) -> Self {
        let able = io::stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        Self { output: able.then_some(output), shown: String::new() }
    }

    /// Shows how long it has taken, and what is waited for. A start of less than a second needs no words.
    pub(crate) fn show(&mut self, elapsed: Duration, waiting_for: &str) {
        let Some(output) = &self.output else { return };
        if elapsed < Duration::from_secs(1) {
            return;
        }
        let words = format!("unready, {} s: {waiting_for}", elapsed.as_secs());
        if words == self.shown {
            return;
        }
        write(&format!("{GO}\x1b[2m{}\x1b[0m{BACK}", fit(&escaped(&words))));
        output.progress_shown();
        self.shown = words;
    }

    /// Takes them away.
    pub(crate) fn clear(&mut self) {
        if !std::mem::take(&mut self.shown).is_empty() {
            let _ = io::stderr().lock().write_all(ERASE);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn write(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Right-aligned, cut, and one column short: a character in the last one would make some terminals wrap.
fn fit(words: &str) -> String {
    let cut: String = words.chars().take(WIDTH - 1).collect();
    format!("{cut:>width$}", width = WIDTH - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_fit() {
        assert_eq!(fit("short").len(), WIDTH - 1);
        assert!(fit("short").ends_with(" short"));
        assert_eq!(fit(&"ü".repeat(200)).chars().count(), WIDTH - 1);
    }

    #[test]
    fn erasing_takes_what_showing_wrote() {
        assert_eq!(ERASE, format!("{GO}{BACK}").as_bytes());
        assert!(GO.contains(&format!("[{WIDTH}D")));
    }
}
