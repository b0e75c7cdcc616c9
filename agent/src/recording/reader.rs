//! The reading half: a stream of inputs, and what was wrong with the file.

use super::{Closing, FORMAT, Header, RecordingError, Timed};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};
use unready_diagnosis::{
    input::{Input, Loss},
    units::BootNanos,
};

/// Longest line that is read: a path walk of 40 components with access lists takes some 20 KiB.
const LINE_MAX: u64 = 1 << 20;

/// Reads a recording, an input at a time.
#[derive(Debug)]
pub struct Reader<R> {
    lines: R,
    header: Header,
    number: u64,
    last: BootNanos,
    closing: Option<Closing>,
    bad: Vec<(u64, String)>,
    bad_count: u64,
    cut: bool,
    failed: Option<io::Error>,
}

impl Reader<BufReader<File>> {
    /// Opens a recording and reads its header.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let file = File::open(path).map_err(|source| RecordingError::Unreadable { path: path.into(), source })?;
        Self::new(BufReader::new(file), path)
    }
}

impl<R: BufRead> Reader<R> {
    /// Reads the header from a stream; `path` is its name for messages.
    pub fn new(mut lines: R, path: &Path) -> Result<Self, RecordingError> {
        let mut first = Vec::new();
        read_line(&mut lines, &mut first).map_err(|source| RecordingError::Unreadable { path: path.into(), source })?;
        let header: Header = serde_json::from_slice(&first).map_err(|_| RecordingError::NotARecording { path: path.into() })?;
        if header.format > FORMAT {
            return Err(RecordingError::Newer { path: path.into(), found: header.format, version: header.version });
        }
        Ok(Self { lines, header, number: 1, last: BootNanos(0), closing: None, bad: vec![], bad_count: 0, cut: false, failed: None })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Whether the last line was the closing one: the recorder ended in peace.
    pub fn is_closed(&self) -> bool {
        self.closing.is_some()
    }

    /// What a reader of the verdicts should know of the file, a sentence each. Complete once the iteration has ended.
    pub fn warnings(&self) -> Vec<String> {
        let mut all: Vec<String> = self.bad.iter().map(|(number, reason)| format!("line {number} is passed over: {reason}")).collect();
        if self.bad_count > self.bad.len() as u64 {
            all.push(format!("{} more lines are passed over", self.bad_count - self.bad.len() as u64));
        }
        if let Some(error) = &self.failed {
            all.push(format!("reading stopped after line {}: {error}", self.number));
        } else if self.cut {
            all.push(format!("the recording is cut off in line {}; what comes before it is used", self.number));
        } else if self.closing.is_none() {
            all.push("the recording has no closing line: it was interrupted, or is still being written".into());
        }
        if let Some(Closing { missing: missing @ 1.., .. }) = self.closing {
            all.push(format!("{missing} inputs are missing: the disk was full or too slow when it was written"));
        }
        all
    }

    fn pass_over(&mut self, reason: &serde_json::Error) -> Timed {
        const KEPT: usize = 3;
        self.bad_count += 1;
        if self.bad.len() < KEPT {
            self.bad.push((self.number, self.explain(reason)));
        }
        Timed { at: self.last, input: Input::Loss(Loss { undecodable: 1, ..Loss::default() }) }
    }

    fn explain(&self, reason: &serde_json::Error) -> String {
        let text = reason.to_string();
        let text = text.split(" at line ").next().unwrap_or_default();
        if self.header.version == env!("CARGO_PKG_VERSION") {
            text.to_owned()
        } else {
            format!("{text} (written by Unready {}, read by {})", self.header.version, env!("CARGO_PKG_VERSION"))
        }
    }

    fn parse(&mut self, text: &[u8]) -> Option<Timed> {
        let whole = text.ends_with(b"\n");
        match serde_json::from_slice::<Timed>(text) {
            Ok(timed) => {
                self.last = timed.at;
                Some(timed)
            }
            Err(reason) => {
                if let Ok(closing) = serde_json::from_slice::<Closing>(text) {
                    self.closing = Some(closing);
                    return (closing.missing > 0).then(|| self.loss(closing.missing));
                }
                self.cut = !whole;
                whole.then(|| self.pass_over(&reason))
            }
        }
    }

    fn loss(&self, lost: u64) -> Timed {
        Timed { at: self.last, input: Input::Loss(Loss { lost, ..Loss::default() }) }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Timed;

    fn next(&mut self) -> Option<Timed> {
        if self.closing.is_some() {
            return None;
        }
        let mut text = Vec::new();
        match read_line(&mut self.lines, &mut text) {
            Ok(0) => None,
            Ok(_) => {
                self.number += 1;
                self.parse(&text)
            }
            Err(error) => {
                self.failed = Some(error);
                None
            }
        }
    }
}

/// One line with its end, at most [`LINE_MAX`] bytes: a device that never ends must not fill the memory.
fn read_line(lines: &mut impl BufRead, into: &mut Vec<u8>) -> io::Result<usize> {
    Read::take(lines, LINE_MAX).read_until(b'\n', into)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::recording::Recorder;
    use unready_diagnosis::units::ClockAnchor;

    const HEADER: &str = "{\"unready-recording\":1,\"version\":\"0.1.0\",\"node\":\"n\"}\n";
    const CLOSED: &str = "{\"closed\":true,\"missing\":0}\n";
    const ONE: &str = "{\"at\":7,\"input\":\"timeout\"}\n";

    fn read(text: &str) -> (Vec<Timed>, Vec<String>) {
        let mut reader = Reader::new(text.as_bytes(), Path::new("x.unready")).unwrap();
        let inputs = reader.by_ref().collect();
        (inputs, reader.warnings())
    }

    #[test]
    fn what_was_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("start.unready");
        let header = Header::here(ClockAnchor { boot: BootNanos(5), wall: 6 }, false);
        let recorder = Recorder::create(&path, &header).unwrap();
        let inputs: Vec<Timed> =
            (0..1000).map(|n| Timed { at: BootNanos(n), input: Input::Loss(Loss { lost: n, ..Loss::default() }) }).collect();
        for Timed { at, input } in &inputs {
            recorder.write(*at, input);
        }
        let summary = recorder.finish();
        assert_eq!((summary.written, summary.missing), (1000, 0));
        let mut reader = Reader::open(&path).unwrap();
        assert_eq!(reader.header(), &header);
        assert_eq!(reader.by_ref().collect::<Vec<_>>(), inputs);
        assert!(reader.is_closed());
        assert_eq!(reader.warnings(), Vec::<String>::new());
    }

    #[test]
    fn a_recording_from_before_says_nothing_of_the_programs_and_had_them() {
        let ebpf = |line: &str| Reader::new(line.as_bytes(), Path::new("x.unready")).unwrap().header().ebpf;
        assert!(ebpf(HEADER));
        assert!(!ebpf("{\"unready-recording\":1,\"ebpf\":false}\n"));
    }

    #[test]
    fn a_cut_line_ends_the_recording_and_the_rest_is_used() {
        for end in 1..ONE.len() {
            let (inputs, warnings) = read(&format!("{HEADER}{ONE}{}", &ONE[..end]));
            let whole = end == ONE.len() - 1; // only its end of line is missing
            assert_eq!(inputs.len(), if whole { 2 } else { 1 }, "{end}");
            let word = if whole { "no closing line" } else { "cut off in line 3" };
            assert!(warnings.len() == 1 && warnings[0].contains(word), "{end}: {warnings:?}");
        }
    }

    #[test]
    fn an_unknown_kind_is_passed_over_and_counted() {
        let future = "{\"at\":8,\"input\":{\"telepathy\":{}}}\n";
        let (inputs, warnings) = read(&format!("{HEADER}{ONE}{future}{ONE}{CLOSED}"));
        assert_eq!(inputs.len(), 3);
        assert_eq!(inputs[1], Timed { at: BootNanos(7), input: Input::Loss(Loss { undecodable: 1, ..Loss::default() }) });
        assert!(warnings.len() == 1 && warnings[0].contains("line 3") && warnings[0].contains("telepathy"), "{warnings:?}");
        let (_, warnings) = read(&format!("{HEADER}{}{CLOSED}", future.repeat(9)));
        assert_eq!(warnings.len(), 4);
        assert!(warnings[3].contains("6 more lines"), "{warnings:?}");
    }

    #[test]
    fn missing_inputs_are_known_to_the_engine() {
        let (inputs, warnings) = read(&format!("{HEADER}{ONE}{{\"closed\":true,\"missing\":4}}\n"));
        assert_eq!(inputs[1].input, Input::Loss(Loss { lost: 4, ..Loss::default() }));
        assert!(warnings[0].contains("4 inputs are missing"), "{warnings:?}");
    }

    #[test]
    fn what_is_no_recording_is_refused() {
        for text in ["", "\n", "hello\n", "{}\n", "{\"unready-recording\":\"x\"}\n", ONE, "\u{0}\u{0}"] {
            let refused = Reader::new(text.as_bytes(), Path::new("x.unready")).unwrap_err();
            assert!(matches!(refused, RecordingError::NotARecording { .. }), "{text:?}: {refused}");
        }
        let newer = "{\"unready-recording\":2,\"version\":\"3.0.0\",\"all\":\"new\"}\n";
        let refused = Reader::new(newer.as_bytes(), Path::new("x.unready")).unwrap_err();
        assert!(matches!(refused, RecordingError::Newer { found: 2, .. }) && refused.to_string().contains("3.0.0"), "{refused}");
        assert!(matches!(Reader::open(Path::new("/nonexistent")).unwrap_err(), RecordingError::Unreadable { .. }));
        assert!(matches!(Reader::open(Path::new("/")).unwrap_err(), RecordingError::Unreadable { .. }));
    }

    #[test]
    fn a_file_without_end_is_no_recording() {
        assert!(matches!(Reader::open(Path::new("/dev/zero")).unwrap_err(), RecordingError::NotARecording { .. }));
    }
}
