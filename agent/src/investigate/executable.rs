//! What a file is as an executable, read from its first bytes and, for ELF, from what these point to.

use super::{
    contents::open_regular,
    elf::{self, Elf},
    libraries,
    resolve::{Found, Seen, errno, find, resolve},
    view::View,
    walk::Describer,
};
use std::{
    fs::File,
    os::{fd::AsFd, unix::fs::FileExt},
};
use unready_diagnosis::{
    question::{ExecFormat, Executable},
    record::{Errno, FileId},
    units::Process,
};

/// What the kernel reads of a file to find its format is 256 bytes (`BINPRM_BUF_SIZE`); a `#!` line ends there.
const HEAD: usize = 256;

/// Reads the executable at a path of the process.
pub(super) fn read(view: &View, process: Process, path: &str, start: Option<FileId>) -> Result<Executable, String> {
    let Some(absolute) = view.absolute(process, path, None, start) else {
        return Err(format!("the directory that {path} starts from is not known"));
    };
    let by_spec = || view.held.as_ref()?.spec()?.library_path;
    let library_path = view.live.map_or_else(by_spec, libraries::library_path);
    read_at(view, &absolute, library_path.as_deref())
}

/// Reads the executable at an absolute path of the container.
pub(super) fn read_at(view: &View, path: &str, library_path: Option<&str>) -> Result<Executable, String> {
    let found = match find(view, path) {
        Ok(found) => found,
        Err(halt) if halt.unknowable => return Err(halt.why_unknowable()),
        Err(halt) => {
            let format = ExecFormat::Unreadable { errno: halt.errno };
            return Ok(Executable { path: path.to_owned(), file: None, format });
        }
    };
    let seen = Seen { file: found.file.as_fd(), path: &found.path, stat: &found.stat, link: None };
    let file = Some(Describer::new(view).describe(&seen));
    let format = open_regular(&found).map(|file| format(view, &found, &file, library_path));
    let format = format.unwrap_or_else(|errno| ExecFormat::Unreadable { errno });
    Ok(Executable { path: path.to_owned(), file, format })
}

fn format(view: &View, found: &Found, file: &File, library_path: Option<&str>) -> ExecFormat {
    let mut head = [0; HEAD];
    let head = match read_head(file, &mut head) {
        Ok(length) => &head[..length],
        Err(error) => return ExecFormat::Unreadable { errno: error },
    };
    if let Some(line) = head.strip_prefix(b"#!") {
        return script(view, line);
    }
    if head.starts_with(b"\x7fELF") {
        return match Elf::read(file) {
            Some(elf) => elf_format(view, found, &elf, library_path),
            None => ExecFormat::Unknown { what: "an ELF file that is cut or damaged".to_owned() },
        };
    }
    ExecFormat::Unknown { what: foreign(head).to_owned() }
}

fn read_head(file: &File, head: &mut [u8]) -> Result<usize, Errno> {
    file.read_at(head, 0).map_err(|error| rustix::io::Errno::from_io_error(&error).map_or(Errno::EIO, errno))
}

fn elf_format(view: &View, found: &Found, elf: &Elf, library_path: Option<&str>) -> ExecFormat {
    // First: the search for libraries may use up what this look may cost.
    let interpreter = elf.interpreter.clone().map(|path| {
        let exists = exists(view, &path);
        (path, exists)
    });
    let libraries = if elf.needed.is_empty() { Vec::new() } else { libraries::search(view, found, elf, library_path) };
    ExecFormat::Elf { machine: elf::machine_name(elf.machine), host: elf::host_machine(), interpreter, libraries }
}

/// The interpreter of a `#!` line: up to the first blank, which a carriage return is not.
fn script(view: &View, line: &[u8]) -> ExecFormat {
    let end = line.iter().position(|&byte| byte == b'\n').unwrap_or(line.len());
    let line = String::from_utf8_lossy(&line[..end]);
    let interpreter = line.trim_matches([' ', '\t']).split([' ', '\t']).next().unwrap_or_default();
    ExecFormat::Script { exists: exists(view, interpreter), crlf: line.ends_with('\r'), interpreter: interpreter.to_owned() }
}

fn exists(view: &View, path: &str) -> bool {
    path.starts_with('/') && resolve(view, path, true, |_| ()).is_ok()
}

/// What a file is that the kernel does not execute, in words.
fn foreign(head: &[u8]) -> &'static str {
    match head {
        [] => "empty",
        [0xef, 0xbb, 0xbf, b'#', b'!', ..] => "a UTF-8 byte order mark before #!",
        [0xfe, 0xff, ..] | [0xff, 0xfe, ..] => "UTF-16 text",
        [b'M', b'Z', ..] => "PE (Windows)",
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] | [0xfe, 0xed, 0xfa, 0xcf | 0xce, ..] | [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, ..=0x20, ..] => {
            "Mach-O (macOS)"
        }
        [0xca, 0xfe, 0xba, 0xbe, ..] => "a Java class",
        [b'P', b'K', 3, 4, ..] => "a zip or jar archive",
        [0x1f, 0x8b, ..] => "gzip-compressed",
        [b'\0', b'a', b's', b'm', ..] => "WebAssembly",
        head if is_text(head) => "text without #!",
        _ => "binary data of no format that Linux executes",
    }
}

fn is_text(head: &[u8]) -> bool {
    let is_whole = |error: std::str::Utf8Error| error.error_len().is_none(); // cut within a character
    !head.contains(&0) && std::str::from_utf8(head).map_or_else(is_whole, |_| true)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::fs;

    fn format_of(bytes: &[u8]) -> ExecFormat {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("bin")).unwrap();
        fs::write(directory.path().join("bin/sh"), "").unwrap();
        fs::write(directory.path().join("file"), bytes).unwrap();
        let view = View::of_directory(directory.path().to_str().unwrap()).unwrap();
        read_at(&view, "/file", None).unwrap().format
    }

    fn script_of(bytes: &[u8]) -> (String, bool, bool) {
        let ExecFormat::Script { interpreter, exists, crlf } = format_of(bytes) else { panic!("no script") };
        (interpreter, exists, crlf)
    }

    #[test]
    fn scripts() {
        assert_eq!(script_of(b"#!/bin/sh\necho"), ("/bin/sh".into(), true, false));
        assert_eq!(script_of(b"#! /bin/sh -e\n"), ("/bin/sh".into(), true, false));
        assert_eq!(script_of(b"#!/bin/sh\r\necho\r\n"), ("/bin/sh\r".into(), false, true));
        assert_eq!(script_of(b"#!/bin/sh -e\r\n"), ("/bin/sh".into(), true, true));
        assert_eq!(script_of(b"#!/usr/bin/python3"), ("/usr/bin/python3".into(), false, false));
        assert_eq!(script_of(b"#!\n"), (String::new(), false, false));
    }

    #[test]
    fn formats_that_are_not_executed() {
        let what = |bytes: &[u8]| {
            let ExecFormat::Unknown { what } = format_of(bytes) else { panic!("a known format") };
            what
        };
        assert_eq!(what(b""), "empty");
        assert_eq!(what(b"echo hello\n"), "text without #!");
        assert_eq!(what("écho".as_bytes()), "text without #!");
        assert_eq!(what(b"MZ\x90\0"), "PE (Windows)");
        assert_eq!(what(&[0xcf, 0xfa, 0xed, 0xfe, 7, 0, 0, 1]), "Mach-O (macOS)");
        assert_eq!(what(&[0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 2]), "Mach-O (macOS)");
        assert_eq!(what(&[0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 52]), "a Java class");
        assert_eq!(what(b"\xef\xbb\xbf#!/bin/sh\n"), "a UTF-8 byte order mark before #!");
        assert_eq!(what(b"\x7fELF"), "an ELF file that is cut or damaged");
        assert_eq!(what(b"\x7fELF\x02"), "an ELF file that is cut or damaged");
        assert_eq!(what(&[1, 0, 2]), "binary data of no format that Linux executes");
    }

    #[test]
    fn what_is_no_regular_file_is_not_opened() {
        let view = View::of_directory("/").unwrap();
        assert_eq!(read_at(&view, "/dev/null", None).unwrap().format, ExecFormat::Unreadable { errno: Errno::EACCES });
        assert_eq!(read_at(&view, "/tmp", None).unwrap().format, ExecFormat::Unreadable { errno: Errno::EISDIR });
        let missing = read_at(&view, "/no/such", None).unwrap();
        assert_eq!((missing.file, missing.format), (None, ExecFormat::Unreadable { errno: Errno::ENOENT }));
    }
}
