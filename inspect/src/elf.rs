//! What an ELF file asks for: machine, interpreter, libraries. The file may be hostile or cut: only bounded pieces of it
//! are read, at offsets that it names, and nothing in it can make this code panic or allocate much.

use crate::rootfs::Contents;
use object::{
    Endianness, Pod, elf, pod,
    read::elf::{Dyn, FileHeader, ProgramHeader},
};

/// Program headers looked at.
const MAX_SEGMENTS: u16 = 128;
/// Entries of the dynamic section looked at.
const MAX_DYNAMIC: u64 = 1024;
/// Longest path or library name, bytes (`PATH_MAX`).
const MAX_NAME: usize = 4096;
/// Libraries of one file looked at, and directories of its RPATH.
pub(crate) const MAX_NEEDED: usize = 64;

/// What was read of an ELF file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elf {
    /// `e_machine`.
    pub machine: u16,
    pub is_64: bool,
    /// `PT_INTERP`: the loader.
    pub interpreter: Option<String>,
    /// `DT_NEEDED`: names of libraries.
    pub needed: Vec<String>,
    /// `DT_RPATH`: for this file and what it loads.
    pub rpath: Vec<String>,
    /// `DT_RUNPATH`: for what this file needs itself.
    pub runpath: Vec<String>,
    /// RPATH or RUNPATH is longer than what is here.
    pub is_cut: bool,
}

impl Elf {
    /// Reads a file; `None` when it is not an ELF file, or its header is cut.
    pub fn read(file: &impl Contents) -> Option<Self> {
        match bytes_at(file, 0, 5)?.as_slice() {
            [0x7f, b'E', b'L', b'F', 1] => read_class::<elf::FileHeader32<Endianness>>(file),
            [0x7f, b'E', b'L', b'F', 2] => read_class::<elf::FileHeader64<Endianness>>(file),
            _ => None,
        }
    }

    /// The first directories of a list.
    fn split(&mut self, list: Option<String>) -> Vec<String> {
        let list = list.unwrap_or_default();
        let mut directories: Vec<String> =
            list.split(':').filter(|directory| !directory.is_empty()).take(MAX_NEEDED + 1).map(str::to_owned).collect();
        if directories.len() > MAX_NEEDED || list.len() >= MAX_NAME {
            self.is_cut = true;
            directories.truncate(MAX_NEEDED);
        }
        directories
    }
}

/// The name of a machine, as far as Linux nodes and images have them.
pub fn machine_name(machine: u16) -> String {
    match elf::Machine(machine) {
        elf::EM_X86_64 => "x86-64",
        elf::EM_AARCH64 => "aarch64",
        elf::EM_386 => "i386",
        elf::EM_ARM => "arm",
        elf::EM_RISCV => "riscv",
        elf::EM_S390 => "s390x",
        elf::EM_PPC64 => "ppc64",
        elf::EM_LOONGARCH => "loongarch",
        elf::EM_MIPS => "mips",
        elf::EM_BPF => "bpf",
        _ => return format!("machine {machine}"),
    }
    .to_owned()
}

/// A machine in the same words, from what uname(2) calls it.
pub fn machine_of_uname(machine: &str) -> String {
    match machine {
        "x86_64" => "x86-64",
        "i686" => "i386",
        "armv7l" | "armv6l" => "arm",
        "riscv64" => "riscv",
        "ppc64le" => "ppc64",
        "loongarch64" => "loongarch",
        other => other,
    }
    .to_owned()
}

/// Exactly `length` bytes, in memory that is aligned for any header.
fn bytes_at(file: &impl Contents, offset: u64, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    (file.read_at(&mut bytes, offset).ok()? == length).then_some(bytes)
}

/// A table of `count` entries; cut at the end of the file.
fn table<T: Pod + Copy>(file: &impl Contents, offset: u64, count: u64) -> Vec<T> {
    let size = size_of::<T>();
    let wanted = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(size);
    let mut bytes = vec![0; wanted];
    let Ok(length) = file.read_at(&mut bytes, offset) else {
        return Vec::new();
    };
    let whole = length.min(wanted) / size;
    pod::slice_from_bytes::<T>(&bytes, whole).map(|(entries, _)| entries.to_vec()).unwrap_or_default()
}

/// Text at an offset, up to its NUL.
fn text_at(file: &impl Contents, offset: u64, limit: usize) -> Option<String> {
    let mut bytes = vec![0; limit.min(MAX_NAME)];
    let length = file.read_at(&mut bytes, offset).ok()?;
    bytes.truncate(length);
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    Some(String::from_utf8_lossy(&bytes[..end]).into_owned()).filter(|text| !text.is_empty())
}

fn read_class<H>(file: &impl Contents) -> Option<Elf>
where
    H: FileHeader<Endian = Endianness>,
    H::ProgramHeader: Copy,
    H::Dyn: Copy,
{
    let bytes = bytes_at(file, 0, size_of::<H>())?;
    let (header, _) = pod::from_bytes::<H>(&bytes).ok()?;
    let endian = header.endian().ok()?;
    let mut found = Elf { machine: header.e_machine(endian).0, is_64: header.is_class_64(), ..Elf::default() };
    let count = header.e_phnum(endian).min(MAX_SEGMENTS);
    let segments: Vec<H::ProgramHeader> = table(file, header.e_phoff(endian).into(), u64::from(count));
    for segment in &segments {
        let (offset, size): (u64, u64) = (segment.p_offset(endian).into(), segment.p_filesz(endian).into());
        match segment.p_type(endian) {
            elf::PT_INTERP => found.interpreter = text_at(file, offset, usize::try_from(size).unwrap_or(MAX_NAME)),
            elf::PT_DYNAMIC => {
                let count = (size / size_of::<H::Dyn>() as u64).min(MAX_DYNAMIC);
                let entries: Vec<H::Dyn> = table(file, offset, count);
                read_dynamic::<H>(file, endian, &segments, &entries, &mut found);
            }
            _ => {}
        }
    }
    Some(found)
}

fn read_dynamic<H: FileHeader<Endian = Endianness>>(
    file: &impl Contents,
    endian: Endianness,
    segments: &[H::ProgramHeader],
    entries: &[H::Dyn],
    found: &mut Elf,
) {
    let entries = || entries.iter().map(|entry| (entry.tag(endian), entry.val(endian))).take_while(|(tag, _)| *tag != elf::DT_NULL);
    let address = entries().find(|(tag, _)| *tag == elf::DT_STRTAB).map(|(_, value)| value);
    let Some(strings) = address.and_then(|address| file_offset::<H>(endian, segments, address)) else {
        return;
    };
    for (tag, value) in entries() {
        let text = || text_at(file, strings.checked_add(value)?, MAX_NAME);
        match tag {
            elf::DT_NEEDED if found.needed.len() < MAX_NEEDED => found.needed.extend(text()),
            elf::DT_RPATH => found.rpath = found.split(text()),
            elf::DT_RUNPATH => found.runpath = found.split(text()),
            _ => {}
        }
    }
}

/// Where an address lies in the file.
fn file_offset<H: FileHeader<Endian = Endianness>>(endian: Endianness, segments: &[H::ProgramHeader], address: u64) -> Option<u64> {
    segments.iter().filter(|segment| segment.p_type(endian) == elf::PT_LOAD).find_map(|segment| {
        let (start, size): (u64, u64) = (segment.p_vaddr(endian).into(), segment.p_filesz(endian).into());
        let within = address.checked_sub(start).filter(|within| *within < size)?;
        within.checked_add(segment.p_offset(endian).into())
    })
}
