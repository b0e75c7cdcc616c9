//! CMD's stderr: passed on unchanged, and its last lines kept for the engine.
//!
//! A thread of its own reads the pipe, so that a terminal that stands still holds up nothing else. A piece is kept first
//! and passed on then: what the engine has to know does not wait for whoever reads our stderr.
//!
//! States: reading → ended, when the last process that holds the pipe has closed it. A grandchild may hold it for ever, so
//! nobody waits for that. Whoever has to know that all of CMD's words have gone out asks how many there are
//! ([`Output::written`]) and waits until so many were passed on.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read, Write},
    os::fd::AsFd,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Notify;

/// Takes the words of [`super::progress`] away, before CMD's own come.
pub(crate) const ERASE: &[u8] = b"\x1b7\x1b[999C\x1b[48D\x1b[K\x1b8";

/// Lines of stderr that are kept for the engine.
const LINES: usize = 20;
/// Bytes of a line that are kept.
const LINE_BYTES: usize = 512;

/// The last lines that CMD wrote to stderr and that nobody has taken yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The end to read from; none in tests.
    pipe: Option<File>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<String>,
    splitter: Splitter,
    /// Bytes that came out of the pipe.
    read: u64,
    /// Of these, the bytes that nobody has to wait for any more.
    passed: u64,
    ended: bool,
    /// The words of [`super::progress`] have to go before CMD's come.
    erase: bool,
}

impl State {
    fn keep(&mut self, bytes: &[u8]) {
        let Self { lines, splitter, .. } = self;
        splitter.push(bytes, &mut |line| bounded_push(lines, line));
    }

    fn finish_line(&mut self) {
        let Self { lines, splitter, .. } = self;
        splitter.finish(&mut |line| bounded_push(lines, line));
    }
}

fn bounded_push(lines: &mut VecDeque<String>, line: String) {
    if lines.len() == LINES {
        lines.pop_front();
    }
    lines.push_back(line);
}

impl Output {
    /// Starts the thread.
    pub(crate) fn pump(from: File) -> io::Result<Self> {
        let output = Self { shared: Arc::new(Shared { pipe: Some(from), ..Shared::default() }) };
        let sink = output.clone();
        std::thread::Builder::new().name("stderr".into()).spawn(move || sink.run())?;
        Ok(output)
    }

    fn run(&self) {
        let mut buffer = [0; 8192];
        while let Some(count) = self.read(&mut buffer) {
            self.shared.changed.notify_one();
            self.pass_on(&buffer[..count]);
            self.state().passed += count as u64;
            self.shared.changed.notify_one();
        }
        let mut state = self.state();
        state.finish_line();
        state.ended = true;
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Waits for the next piece and keeps it. It is taken and counted under the lock, so that at any time each byte is
    /// either in the pipe or counted; the lock waits for nobody, as there is something to read.
    fn read(&self, buffer: &mut [u8]) -> Option<usize> {
        let mut pipe = self.shared.pipe.as_ref()?;
        loop {
            let _ = poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE); // the read says what is wrong
            let mut state = self.state();
            match pipe.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return None,
                Ok(count) => {
                    state.read += count as u64;
                    state.keep(&buffer[..count]);
                    return Some(count);
                }
            }
        }
    }

    fn pass_on(&self, bytes: &[u8]) {
        let erase = std::mem::take(&mut self.state().erase);
        let mut stderr = io::stderr().lock();
        if erase {
            let _ = stderr.write_all(ERASE);
        }
        let _ = stderr.write_all(bytes); // nobody reads our stderr: CMD goes on all the same
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Words stand on the terminal that are not CMD's.
    pub(crate) fn progress_shown(&self) {
        self.state().erase = true;
    }

    /// Takes what there is.
    pub(crate) fn take(&self) -> Vec<String> {
        self.state().lines.drain(..).collect()
    }

    /// Comes back when there is more, more was passed on, or it has ended.
    pub(crate) async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    /// How many bytes have been written into the pipe until now.
    pub(crate) fn written(&self) -> u64 {
        let state = self.state();
        let waiting = self.shared.pipe.as_ref().and_then(|pipe| rustix::io::ioctl_fionread(pipe).ok());
        state.read + waiting.unwrap_or(0)
    }

    /// Whether so many have been passed on. If all have been, a last line without an end counts as one.
    pub(crate) fn has_passed(&self, written: u64) -> bool {
        let mut state = self.state();
        let done = state.ended || state.passed >= written;
        if done {
            state.finish_line();
        }
        done
    }
}

/// Cuts a stream into lines of at most [`LINE_BYTES`] bytes.
#[derive(Debug, Default)]
struct Splitter {
    line: Vec<u8>,
}

impl Splitter {
    fn push(&mut self, bytes: &[u8], keep: &mut impl FnMut(String)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, whole) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            let room = LINE_BYTES.saturating_sub(self.line.len());
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if whole {
                self.finish(keep);
            }
        }
    }

    fn finish(&mut self, keep: &mut impl FnMut(String)) {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(&line));
        if !text.trim().is_empty() {
            keep(bounded(text.into_owned()));
        }
    }
}

/// Replacement characters take three bytes each: the bound holds after them too.
fn bounded(mut text: String) -> String {
    let end = text.floor_char_boundary(LINE_BYTES);
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let mut all = Vec::new();
        let mut splitter = Splitter::default();
        for piece in pieces {
            splitter.push(piece, &mut |line| all.push(line));
        }
        splitter.finish(&mut |line| all.push(line));
        all
    }

    #[test]
    fn lines_come_whole_whatever_the_pieces() {
        assert_eq!(lines(&[b"one\ntw", b"o\r\n\n", b"three"]), ["one", "two", "three"]);
        assert_eq!(lines(&[b"\n\n"]), Vec::<String>::new());
    }

    #[test]
    fn a_line_without_end_is_bounded() {
        assert_eq!(lines(&[&[b'x'; 4000], &[b'x'; 4000]])[0].len(), LINE_BYTES);
        let lossy = lines(&[&[0xff; 4000]]);
        assert!(lossy[0].len() <= LINE_BYTES && lossy[0].starts_with('\u{fffd}'));
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let output = Output::default();
        (0..50).for_each(|n| output.state().keep(format!("{n}\n").as_bytes()));
        let kept = output.take();
        assert_eq!((kept.len(), kept[0].as_str(), kept[19].as_str()), (20, "30", "49"));
        assert_eq!(output.take(), Vec::<String>::new());
    }

    #[test]
    fn what_is_in_the_pipe_counts_as_written() {
        let (reader, mut writer) = io::pipe().unwrap();
        let output =
            Output { shared: Arc::new(Shared { pipe: Some(File::from(std::os::fd::OwnedFd::from(reader))), ..Shared::default() }) };
        writer.write_all(b"one\ntwo").unwrap();
        assert_eq!((output.written(), output.has_passed(7)), (7, false));
        assert_eq!(output.read(&mut [0; 5]), Some(5));
        assert_eq!((output.written(), output.take()), (7, vec!["one".to_owned()]));
        assert_eq!(output.read(&mut [0; 5]), Some(2));
        assert!(!output.has_passed(7) && output.take().is_empty());
        output.state().passed = 7;
        assert!(output.has_passed(7) && !output.has_passed(8));
        assert_eq!(output.take(), ["two"], "a last line needs no end");
        drop(writer);
        assert_eq!(output.read(&mut [0; 5]), None);
    }
}
