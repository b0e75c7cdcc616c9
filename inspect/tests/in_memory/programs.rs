//! What files are as programs: formats, interpreters, loaders.

use crate::{elf_file::ElfFile, tree::Tree};
use object::elf::{EM_AARCH64, EM_RISCV};
use unready_diagnosis::{
    question::{ExecFormat, FileKind},
    record::Errno,
};
use unready_inspect::{
    elf::machine_of_uname,
    executable::{Executor, format},
    resolve::find,
};

/// What the file at `/file` is on an x86-64 node.
fn format_in(tree: &Tree) -> ExecFormat {
    format(tree, &find(tree, "/file").unwrap(), Executor { machine: "x86-64", library_path: None })
}

fn format_of(bytes: &[u8]) -> ExecFormat {
    format_in(&Tree::new().file("/bin/sh", "").file("/file", bytes))
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
    assert_eq!(script_of(b"#!/bin/../../../bin/sh\n"), ("/bin/../../../bin/sh".into(), true, false));
    assert_eq!(script_of(b"#!bin/sh\n"), ("bin/sh".into(), false, false));
    assert_eq!(script_of(b"#!\n"), (String::new(), false, false));
    let endless = [b"#!/".as_slice(), &[b'x'; 10_000]].concat();
    assert_eq!(script_of(&endless).0.len(), 254, "the kernel reads 256 bytes");
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
    let format = |kind| format_in(&Tree::new().special("/file", kind));
    for kind in [FileKind::Fifo, FileKind::CharDevice, FileKind::BlockDevice, FileKind::Socket] {
        assert_eq!(format(kind), ExecFormat::Unreadable { errno: Errno::EACCES });
    }
    assert_eq!(format_in(&Tree::new().directory("/file")), ExecFormat::Unreadable { errno: Errno::EISDIR });
}

/// The loader of the file, and whether it is there.
fn loader(tree: &Tree) -> Option<(String, bool)> {
    let ExecFormat::Elf { interpreter, .. } = format_in(tree) else { panic!("no ELF file") };
    interpreter
}

#[test]
fn a_program_whose_loader_the_image_lacks() {
    let program = ElfFile::new().interpreter("/lib64/ld-linux-x86-64.so.2").bytes();
    let image = || Tree::new().file("/file", program.clone());
    let loader = |tree: Tree| loader(&tree).map(|(path, exists)| (path == "/lib64/ld-linux-x86-64.so.2", exists));
    assert_eq!(loader(image()), Some((true, false)));
    assert_eq!(
        loader(image().link("/lib64/ld-linux-x86-64.so.2", "../../usr/lib/ld.so")),
        Some((true, false)),
        "a link that leads nowhere"
    );
    let by_links = image().link("/lib64", "usr/lib64").link("/usr/lib64/ld-linux-x86-64.so.2", "/usr/lib/ld.so").file("/usr/lib/ld.so", "");
    assert_eq!(loader(by_links), Some((true, true)));
    assert_eq!(loader(Tree::new().file("/file", ElfFile::new().bytes())), None, "linked statically");
}

#[test]
fn machines() {
    let machine = |file: ElfFile| {
        let ExecFormat::Elf { machine, host, .. } = format_of(&file.bytes()) else { panic!("no ELF file") };
        (machine, host)
    };
    assert_eq!(machine(ElfFile::new()), ("x86-64".into(), "x86-64".into()));
    assert_eq!(machine(ElfFile::new().machine(EM_AARCH64)).0, "aarch64");
    assert_eq!(machine(ElfFile::new().machine(object::elf::Machine(4711))).0, "machine 4711");
    assert_eq!(machine(ElfFile::new().machine(EM_RISCV)).0, machine_of_uname("riscv64"));
    assert_eq!(["x86_64", "aarch64", "armv7l"].map(machine_of_uname), ["x86-64", "aarch64", "arm"]);
}

#[test]
fn damaged_files_say_less_and_cost_no_more() {
    let whole = ElfFile::new().interpreter("/ld.so").needs("liba.so").rpath("/a:/b").runpath("/c").bytes();
    let look = |bytes: &[u8]| {
        let tree = Tree::new().file("/file", bytes);
        let format = format_in(&tree);
        assert!(tree.longest_read.get() <= 64 << 10, "{}", tree.longest_read.get());
        format
    };
    assert!(matches!(look(&whole), ExecFormat::Elf { .. }));
    for end in 0..whole.len() {
        let is_elf = matches!(look(&whole[..end]), ExecFormat::Elf { .. });
        assert_eq!(is_elf, end >= 64, "cut at {end}");
    }
    let mut damaged = whole.clone();
    for at in 0..whole.len() {
        for value in [0x00, 0x7f, 0xff] {
            damaged[at] = value;
            let _ = look(&damaged);
        }
        damaged[at] = whole[at];
    }
}
