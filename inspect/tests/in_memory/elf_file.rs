//! ELF files as small as they can be: a header, segments, a dynamic section.

use object::elf;

/// An ELF file in the making.
#[derive(Clone, Default)]
pub(crate) struct ElfFile {
    machine: u16,
    interpreter: Option<&'static str>,
    dynamic: Vec<(i64, String)>,
}

const HEADER: usize = 64;
const SEGMENT: usize = 56;

impl ElfFile {
    /// For x86-64.
    pub(crate) fn new() -> Self {
        Self { machine: elf::EM_X86_64.0, ..Self::default() }
    }

    pub(crate) fn machine(self, machine: elf::Machine) -> Self {
        Self { machine: machine.0, ..self }
    }

    pub(crate) fn interpreter(self, path: &'static str) -> Self {
        Self { interpreter: Some(path), ..self }
    }

    pub(crate) fn needs(self, library: &str) -> Self {
        self.with(elf::DT_NEEDED, library)
    }

    pub(crate) fn rpath(self, list: &str) -> Self {
        self.with(elf::DT_RPATH, list)
    }

    pub(crate) fn runpath(self, list: &str) -> Self {
        self.with(elf::DT_RUNPATH, list)
    }

    fn with(mut self, tag: elf::DynamicTag, text: &str) -> Self {
        self.dynamic.push((tag.0, text.to_owned()));
        self
    }

    /// 64 bits, little endian; where a segment lies in the file is also its address.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let segments = 2 + usize::from(self.interpreter.is_some());
        let interpreter = self.interpreter.map(|path| format!("{path}\0")).unwrap_or_default();
        let (mut strings, mut entries) = (vec![0], Vec::new());
        for (tag, text) in &self.dynamic {
            entries.push((*tag, strings.len() as u64));
            strings.extend(text.bytes().chain([0]));
        }
        let interpreter_at = HEADER + SEGMENT * segments;
        let dynamic_at = (interpreter_at + interpreter.len()).next_multiple_of(8);
        let strings_at = dynamic_at + 16 * (entries.len() + 2);
        entries.extend([(elf::DT_STRTAB.0, strings_at as u64), (elf::DT_NULL.0, 0)]);
        let end = strings_at + strings.len();

        let mut file = self.header(u16::try_from(segments).unwrap());
        file.extend(segment(elf::PT_LOAD, 0, end));
        if self.interpreter.is_some() {
            file.extend(segment(elf::PT_INTERP, interpreter_at, interpreter.len()));
        }
        file.extend(segment(elf::PT_DYNAMIC, dynamic_at, strings_at - dynamic_at));
        file.extend(interpreter.bytes());
        file.resize(dynamic_at, 0);
        file.extend(entries.iter().flat_map(|(tag, value)| [tag.to_le_bytes(), value.to_le_bytes()]).flatten());
        file.extend(strings);
        file
    }

    fn header(&self, segments: u16) -> Vec<u8> {
        let mut header = b"\x7fELF\x02\x01\x01".to_vec();
        header.resize(16, 0);
        header.extend([elf::ET_DYN.0, self.machine].map(u16::to_le_bytes).concat());
        header.extend(1_u32.to_le_bytes());
        header.extend([0, HEADER as u64, 0].map(u64::to_le_bytes).concat()); // entry, segments, sections
        header.extend(0_u32.to_le_bytes());
        let lengths = [HEADER, SEGMENT].map(|length| u16::try_from(length).unwrap());
        header.extend([lengths[0], lengths[1], segments, 64, 0, 0].map(u16::to_le_bytes).concat());
        header
    }
}

fn segment(kind: elf::ProgramType, at: usize, length: usize) -> Vec<u8> {
    let (at, length) = (at as u64, length as u64);
    let mut segment = [kind.0, 4].map(u32::to_le_bytes).concat();
    segment.extend([at, at, at, length, length, 8].map(u64::to_le_bytes).concat());
    segment
}
