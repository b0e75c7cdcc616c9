//! What a file is as an executable, read from its first bytes and, for ELF, from what these point to.

use crate::{
    elf::{self, Elf},
    libraries,
    resolve::{Found, resolve},
    rootfs::{Contents, Rootfs, open},
};
use unready_diagnosis::question::ExecFormat;

/// What the kernel reads of a file to find its format is 256 bytes (`BINPRM_BUF_SIZE`); a `#!` line ends there.
const HEAD: usize = 256;

/// What counts of whoever executes a file.
#[derive(Clone, Copy, Debug)]
pub struct Executor<'a> {
    /// The machine that it is executed on, as [`elf::machine_name`] calls it.
    pub machine: &'a str,
    /// `LD_LIBRARY_PATH` of the process.
    pub library_path: Option<&'a str>,
}

/// What a file is for whoever executes it. Nothing but regular files is opened.
pub fn format<R: Rootfs>(rootfs: &R, found: &Found<R::Node>, by: Executor<'_>) -> ExecFormat {
    let mut head = [0; HEAD];
    let opened = open(rootfs, &found.node).and_then(|file| file.read_at(&mut head, 0).map(|length| (file, length)));
    let (file, head) = match opened {
        Ok((file, length)) => (file, &head[..length.min(HEAD)]),
        Err(errno) => return ExecFormat::Unreadable { errno },
    };
    if let Some(line) = head.strip_prefix(b"#!") {
        return script(rootfs, line);
    }
    if head.starts_with(b"\x7fELF") {
        return match Elf::read(&file) {
            Some(elf) => elf_format(rootfs, found, &elf, by),
            None => ExecFormat::Unknown { what: "an ELF file that is cut or damaged".to_owned() },
        };
    }
    ExecFormat::Unknown { what: foreign(head).to_owned() }
}

fn elf_format<R: Rootfs>(rootfs: &R, found: &Found<R::Node>, elf: &Elf, by: Executor<'_>) -> ExecFormat {
    // First: the search for libraries may use up what this look may cost.
    let interpreter = elf.interpreter.clone().map(|path| {
        let exists = exists(rootfs, &path);
        (path, exists)
    });
    let libraries = if elf.needed.is_empty() { Vec::new() } else { libraries::search(rootfs, &found.path, elf, by.library_path) };
    ExecFormat::Elf { machine: elf::machine_name(elf.machine), host: by.machine.to_owned(), interpreter, libraries }
}

/// The interpreter of a `#!` line: up to the first blank, which a carriage return is not.
fn script<R: Rootfs>(rootfs: &R, line: &[u8]) -> ExecFormat {
    let end = line.iter().position(|&byte| byte == b'\n').unwrap_or(line.len());
    let line = String::from_utf8_lossy(&line[..end]);
    let interpreter = line.trim_matches([' ', '\t']).split([' ', '\t']).next().unwrap_or_default();
    ExecFormat::Script { exists: exists(rootfs, interpreter), crlf: line.ends_with('\r'), interpreter: interpreter.to_owned() }
}

fn exists<R: Rootfs>(rootfs: &R, path: &str) -> bool {
    path.starts_with('/') && resolve(rootfs, path, true, |_| ()).is_ok()
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
