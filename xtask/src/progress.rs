//! One line a step: `setup  packages … ok (12.3 s)`.
//!
//! On a terminal the seconds count up while the step runs; elsewhere a step that takes long says every half minute that
//! it is still at it, so that a log shows where time went. A step whose tools write to the terminal themselves is
//! [`Progress::open_step`]: its line is printed before and again, with the time, after it.

use std::{
    fmt::Display,
    io::{IsTerminal as _, Write as _},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// Prints the steps of one command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    area: &'static str,
}

impl Progress {
    /// For the command of that name.
    pub(crate) const fn new(area: &'static str) -> Self {
        Self { area }
    }

    /// A remark, on a line of its own.
    pub(crate) fn say(self, text: impl Display) {
        println!("{:<6} {text}", self.area);
    }

    /// A step that prints nothing itself.
    pub(crate) fn step<T, E>(self, what: &str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let started = Instant::now();
        let label = format!("{:<6} {what} …", self.area);
        print!("{label} ");
        flush();
        let ticker = Ticker::start(label.clone(), started);
        let result = work();
        drop(ticker);
        let outcome = if result.is_ok() { "ok" } else { "FAILED" };
        let again = if std::io::stdout().is_terminal() { format!("\r\x1b[2K{label} ") } else { String::new() };
        println!("{again}{outcome} ({})", seconds(started.elapsed()));
        result
    }

    /// A step whose output goes to the terminal.
    pub(crate) fn open_step<T, E>(self, what: &str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let started = Instant::now();
        self.say(format_args!("{what} …"));
        let result = work();
        let outcome = if result.is_ok() { "ok" } else { "FAILED" };
        self.say(format_args!("{what} … {outcome} ({})", seconds(started.elapsed())));
        result
    }
}

/// `12.3 s`.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn flush() {
    // A closed stdout shows at the next println; nothing is lost by ignoring it here.
    let _ = std::io::stdout().flush();
}

/// Shows that a step is alive; ends when dropped.
struct Ticker {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Ticker {
    fn start(label: String, started: Instant) -> Self {
        let (stop, stopped) = mpsc::channel();
        let terminal = std::io::stdout().is_terminal();
        let pause = Duration::from_secs(if terminal { 1 } else { 30 });
        let thread = thread::spawn(move || {
            while stopped.recv_timeout(pause) == Err(mpsc::RecvTimeoutError::Timeout) {
                let elapsed = started.elapsed().as_secs();
                if terminal {
                    print!("\r\x1b[2K{label} {elapsed} s");
                } else {
                    print!("{elapsed} s … ");
                }
                flush();
            }
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The thread only prints; should it have panicked (stdout closed), the step's result still stands.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_one_decimal() {
        assert_eq!(seconds(Duration::from_millis(12_345)), "12.3 s");
    }

    #[test]
    fn a_step_passes_its_result_on() {
        let progress = Progress::new("test");
        assert_eq!(progress.step("works", || Ok::<_, ()>(7)), Ok(7));
        assert_eq!(progress.open_step("fails", || Err::<(), _>("no")), Err("no"));
    }
}
