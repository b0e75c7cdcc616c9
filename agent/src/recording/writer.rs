//! The writing half: a bounded queue, a thread, and a file that stays readable whatever the disk does.

use super::{Closing, Header, RecordingError};
use serde::Serialize;
use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    },
    thread::JoinHandle,
};
use unready_diagnosis::{input::Input, units::BootNanos};

/// Lines that may wait for the disk; at some 600 bytes each about 2 MiB.
const QUEUE: usize = 4096;
/// Bytes gathered before they are written, if more lines are waiting.
const BLOCK: usize = 64 << 10;

/// How a recording ended.
#[derive(Debug, Default)]
pub struct Summary {
    /// Inputs in the file.
    pub written: u64,
    /// Inputs that are not.
    pub missing: u64,
    /// What the disk said, if it refused.
    pub failed: Option<io::Error>,
}

impl Summary {
    /// Says in the log how it went.
    pub fn report(&self) {
        match &self.failed {
            Some(error) => tracing::warn!("the recording ends early, {} inputs are missing from it: {error}", self.missing),
            None if self.missing > 0 => {
                tracing::warn!("the disk was too slow for the recording: {} inputs are missing from it", self.missing);
            }
            None => tracing::debug!("{} inputs recorded", self.written),
        }
    }
}

/// Writes a recording.
#[derive(Debug)]
pub struct Recorder {
    queue: SyncSender<Vec<u8>>,
    refused: Arc<AtomicU64>,
    writer: JoinHandle<Summary>,
}

impl Recorder {
    /// Makes the file, writes its header and starts the writing thread.
    pub fn create(path: &Path, header: &Header) -> Result<Self, RecordingError> {
        let cannot = |source| RecordingError::Create { path: path.into(), source };
        let mut sink = Sink::new(File::create(path).map_err(cannot)?);
        sink.push(&line(header).map_err(cannot)?);
        sink.flush();
        match sink.failed {
            Some(source) => Err(cannot(source)),
            None => Self::start(sink, path).map_err(cannot),
        }
    }

    fn start(sink: Sink<File>, path: &Path) -> io::Result<Self> {
        let (queue, lines) = sync_channel(QUEUE);
        let refused = Arc::new(AtomicU64::new(0));
        let (name, counter) = (path.display().to_string(), Arc::clone(&refused));
        let writer = std::thread::Builder::new().name("recorder".into()).spawn(move || write_all(sink, &lines, &counter, &name))?;
        Ok(Self { queue, refused, writer })
    }

    /// Adds an input. Never waits: what the queue cannot take is counted.
    pub fn write(&self, at: BootNanos, input: &Input) {
        let taken = line(&TimedRef { at, input }).is_ok_and(|line| self.queue.try_send(line).is_ok());
        if !taken {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes what is waiting and the closing line.
    pub fn finish(self) -> Summary {
        drop(self.queue);
        self.writer.join().unwrap_or_default()
    }
}

#[derive(Serialize)]
struct TimedRef<'a> {
    at: BootNanos,
    input: &'a Input,
}

fn line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    Ok(text)
}

fn write_all(mut sink: Sink<File>, lines: &Receiver<Vec<u8>>, refused: &AtomicU64, name: &str) -> Summary {
    sink.lines = 0; // the header is no input
    while let Some(line) = next(lines, &mut sink) {
        let was_well = sink.failed.is_none();
        sink.push(&line);
        if let (true, Some(error)) = (was_well, &sink.failed) {
            tracing::warn!("the recording {name} stops here: {error}; verdicts go on");
        }
    }
    sink.close(refused.load(Ordering::Relaxed))
}

/// The next line; flushes before it waits, so that an interrupted recording holds all that was seen.
fn next(lines: &Receiver<Vec<u8>>, sink: &mut Sink<File>) -> Option<Vec<u8>> {
    match lines.try_recv() {
        Ok(line) => Some(line),
        Err(TryRecvError::Disconnected) => None,
        Err(TryRecvError::Empty) => {
            sink.flush();
            lines.recv().ok()
        }
    }
}

/// A file that can be cut back.
trait Cut: Write {
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl Cut for File {
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.seek(SeekFrom::Start(length)).map(drop)
    }
}

/// Gathers lines to blocks, and knows how much of the file is whole.
#[derive(Debug)]
struct Sink<F> {
    file: F,
    pending: Vec<u8>,
    /// Lines in `pending`.
    waiting: u64,
    /// Bytes of whole blocks in the file.
    good: u64,
    /// Lines of whole blocks in the file.
    lines: u64,
    missing: u64,
    failed: Option<io::Error>,
}

impl<F: Cut> Sink<F> {
    fn new(file: F) -> Self {
        Self { file, pending: Vec::new(), waiting: 0, good: 0, lines: 0, missing: 0, failed: None }
    }

    fn push(&mut self, line: &[u8]) {
        if self.failed.is_some() {
            self.missing += 1;
            return;
        }
        self.pending.extend_from_slice(line);
        self.waiting += 1;
        if self.pending.len() >= BLOCK {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.failed.is_some() {
            return;
        }
        match self.file.write_all(&self.pending) {
            Ok(()) => {
                self.good += self.pending.len() as u64;
                self.lines += self.waiting;
            }
            Err(error) => {
                self.missing += self.waiting;
                self.failed = Some(error);
                let _ = self.file.cut(self.good);
            }
        }
        self.pending.clear();
        self.waiting = 0;
    }

    /// Writes the closing line; on a full disk the cut has usually made room for it.
    fn close(mut self, refused: u64) -> Summary {
        self.flush();
        let missing = self.missing + refused;
        let closed = line(&Closing { closed: true, missing }).and_then(|line| self.file.write_all(&line));
        if closed.is_err() {
            let _ = self.file.cut(self.good);
        }
        Summary { written: self.lines, missing, failed: self.failed }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// A disk of so many bytes.
    struct Disk {
        text: Vec<u8>,
        size: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.size - self.text.len());
            self.text.extend_from_slice(&bytes[..taken]);
            if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Cut for Disk {
        fn cut(&mut self, length: u64) -> io::Result<()> {
            self.text.truncate(usize::try_from(length).unwrap());
            Ok(())
        }
    }

    impl Cut for &mut Disk {
        fn cut(&mut self, length: u64) -> io::Result<()> {
            (**self).cut(length)
        }
    }

    #[test]
    fn a_full_disk_leaves_whole_lines_and_the_count() {
        let mut disk = Disk { text: vec![], size: 160 };
        let mut sink = Sink::new(&mut disk);
        for _ in 0..10 {
            sink.push(b"{\"at\":1,\"input\":\"timeout\"}\n");
            sink.push(b"{\"at\":2,\"input\":\"timeout\"}\n");
            sink.flush();
        }
        let summary = sink.close(2);
        assert_eq!((summary.written, summary.missing), (4, 18));
        assert_eq!(summary.failed.unwrap().kind(), io::ErrorKind::StorageFull);
        let text = String::from_utf8(disk.text).unwrap();
        assert!(text.ends_with("{\"at\":2,\"input\":\"timeout\"}\n{\"closed\":true,\"missing\":18}\n"), "{text}");
    }

    #[test]
    fn a_disk_that_is_full_to_the_last_byte_has_no_half_closing_line() {
        let mut disk = Disk { text: vec![], size: 70 };
        let mut sink = Sink::new(&mut disk);
        sink.push(b"{\"at\":1,\"input\":\"timeout\"}\n");
        sink.push(b"{\"at\":2,\"input\":\"timeout\"}\n");
        sink.flush();
        assert_eq!(sink.close(0).written, 2);
        assert!(disk.text.ends_with(b"\"timeout\"}\n"));
    }
}
