//! Verdicts as JSON lines, written by a thread of their own: a reader that is slow, or gone, never holds up the pipeline.
//!
//! A full queue drops what comes next (what is queued is already in order for the reader) and counts it. After a failed
//! write (the reader went away) everything is counted as dropped, and the log says so once. Starts are not printed: a line is a verdict,
//! and what reads them counts on that.

use super::{Drained, Sink};
use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};
use unready_proto::v1;
use unready_wire::outlet;

/// Verdicts that may wait for the reader.
const QUEUE: usize = 1024;

/// The writing end.
#[derive(Debug)]
pub struct JsonLines {
    queue: mpsc::SyncSender<v1::Verdict>,
    finished: mpsc::Receiver<()>,
    dropped: Arc<AtomicU64>,
}

/// Starts the thread; `writer` is usually `std::io::stdout()`.
pub fn spawn<W: Write + Send + 'static>(writer: W) -> std::io::Result<JsonLines> {
    let (queue, verdicts) = mpsc::sync_channel(QUEUE);
    let (finish, finished) = mpsc::channel();
    let dropped = Arc::new(AtomicU64::new(0));
    let lost = Arc::clone(&dropped);
    thread::Builder::new().name("json-lines".to_owned()).spawn(move || {
        write_all(writer, &verdicts, &lost);
        let _ = finish.send(());
    })?;
    Ok(JsonLines { queue, finished, dropped })
}

impl JsonLines {
    /// Never blocks.
    pub fn offer(&self, verdict: v1::Verdict) {
        if self.queue.try_send(verdict).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many were not written, because the reader was too slow or went away.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits, at most this long, until everything offered is written; blocks the thread.
    pub fn drain(self, deadline: Duration) -> u64 {
        let Self { queue, finished, dropped } = self;
        drop(queue);
        let _ = finished.recv_timeout(deadline);
        dropped.load(Ordering::Relaxed)
    }
}

impl Sink for JsonLines {
    fn verdict(&mut self, verdict: &v1::Verdict) {
        self.offer(verdict.clone());
    }

    fn drain(self: Box<Self>, within: Duration) -> Drained {
        Box::pin(async move {
            // The reader may be stuck, and others have something to tell meanwhile.
            let dropped = tokio::task::spawn_blocking(move || Self::drain(*self, within)).await.unwrap_or(0);
            if dropped > 0 {
                tracing::warn!("{dropped} verdicts were not printed: whoever reads stdout was too slow, or went away");
            }
            Vec::new()
        })
    }
}

fn write_all<W: Write>(mut writer: W, verdicts: &mpsc::Receiver<v1::Verdict>, dropped: &AtomicU64) {
    let mut broken = false;
    for verdict in verdicts {
        if broken {
            dropped.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let mut line = outlet::json_line(&verdict);
        line.push('\n');
        if let Err(error) = writer.write_all(line.as_bytes()).and_then(|()| writer.flush()) {
            tracing::warn!("cannot write verdicts to stdout any more: {error}");
            dropped.fetch_add(1, Ordering::Relaxed);
            broken = true;
        }
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "tests")]
mod tests {
    use super::*;
    use std::{io, sync::Mutex};
    use unready_proto::json;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Stuck(mpsc::Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn verdict(id: &str) -> v1::Verdict {
        v1::Verdict { id: id.to_owned(), ..v1::Verdict::default() }
    }

    #[test]
    fn one_object_a_line_in_order() {
        let memory = Memory::default();
        let lines = spawn(memory.clone()).expect("a thread");
        lines.offer(verdict("a"));
        lines.offer(verdict("b"));
        assert_eq!(lines.drain(Duration::from_secs(30)), 0);
        let text = String::from_utf8(memory.0.lock().expect("not poisoned").clone()).expect("is UTF-8");
        let ids: Vec<_> = text.lines().map(|line| json::parse(line).expect("is a verdict").id).collect();
        assert_eq!(ids, ["a", "b"]);
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn a_reader_that_went_away_is_counted() {
        let lines = spawn(Gone).expect("a thread");
        lines.offer(verdict("a"));
        lines.offer(verdict("b"));
        assert_eq!(lines.drain(Duration::from_secs(30)), 2);
    }

    #[test]
    fn a_reader_that_is_stuck_blocks_nobody() {
        let (release, stuck) = mpsc::channel();
        let lines = spawn(Stuck(stuck)).expect("a thread");
        for _ in 0..QUEUE + 10 {
            lines.offer(verdict("a"));
        }
        assert!(lines.dropped() >= 9, "one may be with the writer: {}", lines.dropped());
        drop(release);
    }
}
