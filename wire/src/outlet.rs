//! The last thing before text leaves a process: verdicts as JSON lines, sentences, log lines.
//!
//! What others wrote is escaped where it enters a sentence (`unready_diagnosis::outside`). Verdicts and errors come from other
//! machines too, though, and libraries log what they like: here nothing gets through that is not to be seen.

use std::{
    fmt::Display,
    io::{self, Write},
};
use unready_diagnosis::outside;
use unready_proto::{json, v1};

/// A verdict as JSON in one line, without the line's end.
pub fn json_line(verdict: &v1::Verdict) -> String {
    outside::json(json::line(verdict))
}

/// A line with our name before it: `unready: cannot read x`.
pub fn sentence(program: &str, text: impl Display) -> String {
    format!("{program}: {}\n", outside::escaped(&text.to_string()))
}

/// Where a log is written to: a line an event, which is written at once.
#[derive(Debug)]
pub struct Log<W> {
    to: W,
    colors: bool,
}

impl<W: Write> Log<W> {
    /// With `colors`, sequences that paint are let through.
    pub const fn new(to: W, colors: bool) -> Self {
        Self { to, colors }
    }
}

impl<W: Write> Write for Log<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let (line, end) = text.strip_suffix('\n').map_or((&*text, ""), |line| (line, "\n"));
        let line = outside::screen(line, self.colors).replace('\n', "\\n").replace('\t', "\\t");
        self.to.write_all((line + end).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const HOSTILE: &str = "a\u{1b}[2J\n\r\u{9b}\u{7f}\u{202e}\u{200b}z";

    fn logged(event: &[u8], colors: bool) -> String {
        let mut to = Vec::new();
        Log::new(&mut to, colors).write_all(event).unwrap();
        String::from_utf8(to).unwrap()
    }

    #[test]
    fn an_event_of_the_log_is_one_line() {
        let event = format!("\u{1b}[2mWARN\u{1b}[0m {HOSTILE}\n");
        assert_eq!(logged(event.as_bytes(), true), "\u{1b}[2mWARN\u{1b}[0m a\\x1b[2J\\n\\r\\u{9b}\\x7f\\u{202e}\\u{200b}z\n");
        assert!(!logged(event.as_bytes(), false).contains('\u{1b}'));
        assert_eq!(logged(b"bytes \xff\x9b\n", true), "bytes \u{fffd}\u{fffd}\n");
    }

    #[test]
    fn a_sentence_is_one_line() {
        assert_eq!(sentence("unready", HOSTILE), "unready: a\\x1b[2J\\n\\r\\u{9b}\\x7f\\u{202e}\\u{200b}z\n");
    }

    #[test]
    fn json_keeps_the_value_and_hides_nothing() {
        let verdict = v1::Verdict { summary: HOSTILE.into(), ..v1::Verdict::default() };
        let line = json_line(&verdict);
        assert!(!line.contains(outside::is_hidden), "{line}");
        assert_eq!(json::parse(&line).unwrap(), verdict);
    }
}
