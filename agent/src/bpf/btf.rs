//! The kernel's own description of its structures, `/sys/kernel/btf/vmlinux`: where does a structure keep a member?
//!
//! Rust emits no CO-RE relocations and aya keeps its parsed BTF to itself, so this walks the types once, remembers where each
//! lies, and follows members by name, through anonymous structures and unions as C does. The format:
//! `Documentation/bpf/btf.rst`. A truncated or nonsensical description is an error; a kind of type that is newer than this
//! code ends the walk, and what came before stays good.

use std::{fs, ops::Range, path::Path};

const KERNEL: &str = "/sys/kernel/btf/vmlinux";
const MAGIC: u16 = 0xeb9f;
/// Header, and the head of each type.
const HEADER_BYTES: usize = 24;
const TYPE_BYTES: usize = 12;
const MEMBER_BYTES: usize = 12;
/// Anonymous structures inside each other, and typedefs of typedefs: the kernel has not more than four.
const DEPTH_MAX: usize = 16;

const PARAMETER_BYTES: usize = 8;

const KIND_POINTER: u32 = 2;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_FUNCTION_PROTOTYPE: u32 = 13;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum BtfError {
    #[error("cannot read {KERNEL}: {0}")]
    Read(#[from] std::io::Error),
    #[error("{KERNEL} is damaged: {0}")]
    Damaged(&'static str),
}

/// A parsed description.
pub(super) struct Btf {
    data: Vec<u8>,
    strings: Range<usize>,
    /// Where each type lies in `data`; type 0 is void.
    types: Vec<u32>,
}

/// A type of one [`Btf`].
#[derive(Clone, Copy, Debug)]
pub(super) struct TypeId(u32);

/// What can be looked for by name.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(super) enum Kind {
    Structure = KIND_STRUCT,
    Typedef = 8,
}

/// What a tracepoint hands over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prototype {
    pub(super) arguments: usize,
    pub(super) first_is_pointer: bool,
}

/// One member of a structure.
struct Member<'a> {
    name: &'a [u8],
    type_id: u32,
    bits: u32,
    is_bitfield: bool,
}

impl Btf {
    /// Of the running kernel.
    pub(super) fn of_kernel() -> Result<Self, BtfError> {
        Self::parse(fs::read(Path::new(KERNEL))?)
    }

    /// From bytes.
    pub(super) fn parse(data: Vec<u8>) -> Result<Self, BtfError> {
        let word = |at| u32_at(&data, at).ok_or(BtfError::Damaged("its header is cut off"));
        if data.get(..2) != Some(&MAGIC.to_ne_bytes()) {
            return Err(BtfError::Damaged("it does not begin with BTF's magic number"));
        }
        let base = word(4)? as usize;
        if base < HEADER_BYTES {
            return Err(BtfError::Damaged("its header is too short"));
        }
        let section = |offset: u32, length: u32| {
            let start = base.checked_add(offset as usize)?;
            let end = start.checked_add(length as usize)?;
            (end <= data.len()).then_some(start..end)
        };
        let types = section(word(8)?, word(12)?).ok_or(BtfError::Damaged("its types are cut off"))?;
        let strings = section(word(16)?, word(20)?).ok_or(BtfError::Damaged("its names are cut off"))?;
        let types = index(&data, types)?;
        Ok(Self { data, strings, types })
    }

    /// The types of a kind with these names, in one walk: there are a hundred thousand types, and starting must be quick.
    pub(super) fn find<const N: usize>(&self, wanted: Kind, names: [&str; N]) -> [Option<TypeId>; N] {
        let found = self.find_all(wanted, &names);
        std::array::from_fn(|index| found[index])
    }

    /// The same of any number of names.
    pub(super) fn find_all(&self, wanted: Kind, names: &[&str]) -> Vec<Option<TypeId>> {
        let mut found = vec![None; names.len()];
        for id in 1..u32::try_from(self.types.len()).unwrap_or(u32::MAX) {
            let Some((name_at, info, _)) = self.head(id) else {
                continue;
            };
            if kind(info) != wanted as u32 {
                continue;
            }
            for (name, found) in names.iter().zip(&mut found) {
                if found.is_none() && self.is_named(name_at, name) {
                    *found = Some(TypeId(id));
                }
            }
        }
        found
    }

    /// What a tracepoint hands over, from the type of its probe functions, `btf_trace_NAME`.
    pub(super) fn prototype(&self, TypeId(probe): TypeId) -> Option<Prototype> {
        let (_, info, function) = self.head(self.resolved(probe))?;
        if kind(info) != KIND_POINTER {
            return None;
        }
        let (_, info, _) = self.head(function)?;
        if kind(info) != KIND_FUNCTION_PROTOTYPE {
            return None;
        }
        // The first parameter of a probe is its own data.
        let arguments = (info & 0xffff).checked_sub(1)? as usize;
        let first = *self.types.get(function as usize)? as usize + TYPE_BYTES + PARAMETER_BYTES;
        let of_first = if arguments == 0 { None } else { self.head(self.resolved(u32_at(&self.data, first + 4)?)) };
        Some(Prototype { arguments, first_is_pointer: of_first.is_some_and(|(_, info, _)| kind(info) == KIND_POINTER) })
    }

    /// Byte offset of a member, named as in C: `thread_info.status`.
    pub(super) fn offset(&self, TypeId(structure): TypeId, member: &str) -> Option<u32> {
        let mut type_id = structure;
        let mut bits = 0_u32;
        for name in member.split('.') {
            let found = self.member(type_id, name.as_bytes(), DEPTH_MAX)?;
            bits = bits.checked_add(found.bits)?;
            type_id = self.resolved(found.type_id);
            if found.is_bitfield {
                return None;
            }
        }
        Some(bits / 8)
    }

    /// A member by name, its bits counted from the start of the structure asked for.
    fn member(&self, type_id: u32, name: &[u8], depth: usize) -> Option<Member<'_>> {
        let depth = depth.checked_sub(1)?;
        for member in self.members(type_id) {
            if member.name == name {
                return Some(member);
            }
            if member.name.is_empty() {
                let inner = self.member(self.resolved(member.type_id), name, depth);
                if let Some(mut inner) = inner {
                    inner.bits = inner.bits.checked_add(member.bits)?;
                    return Some(inner);
                }
            }
        }
        None
    }

    fn members(&self, type_id: u32) -> impl Iterator<Item = Member<'_>> {
        let head = self.head(type_id).filter(|(_, info, _)| matches!(kind(*info), KIND_STRUCT | KIND_UNION));
        let (count, has_bitfields) = head.map_or((0, false), |(_, info, _)| ((info & 0xffff) as usize, info >> 31 == 1));
        let first = self.types.get(type_id as usize).map_or(0, |at| *at as usize + TYPE_BYTES);
        (0..count).filter_map(move |index| {
            let at = first + index * MEMBER_BYTES;
            let (name, type_id, place) = (u32_at(&self.data, at)?, u32_at(&self.data, at + 4)?, u32_at(&self.data, at + 8)?);
            // With the kind flag set, the upper eight bits are the width of a bitfield, 0 for an ordinary member.
            let (bits, is_bitfield) = if has_bitfields { (place & 0xff_ffff, place >> 24 != 0) } else { (place, false) };
            Some(Member { name: self.name(name)?, type_id, bits, is_bitfield })
        })
    }

    /// The type behind typedefs and qualifiers.
    fn resolved(&self, mut type_id: u32) -> u32 {
        for _ in 0..DEPTH_MAX {
            match self.head(type_id) {
                // typedef, volatile, const, restrict, type tag
                Some((_, info, inner)) if matches!(kind(info), 8..=11 | 18) => type_id = inner,
                _ => break,
            }
        }
        type_id
    }

    /// Place of the name, info word, and size or inner type.
    fn head(&self, type_id: u32) -> Option<(u32, u32, u32)> {
        let at = *self.types.get(type_id as usize)? as usize;
        if type_id == 0 {
            return None;
        }
        Some((u32_at(&self.data, at)?, u32_at(&self.data, at + 4)?, u32_at(&self.data, at + 8)?))
    }

    /// Whether a name is this one, without looking for its end.
    fn is_named(&self, at: u32, name: &str) -> bool {
        let strings = self.data.get(self.strings.clone()).and_then(|strings| strings.get(at as usize..));
        strings.and_then(|strings| strings.strip_prefix(name.as_bytes())).is_some_and(|rest| rest.first() == Some(&0))
    }

    fn name(&self, at: u32) -> Option<&[u8]> {
        let strings = self.data.get(self.strings.clone())?.get(at as usize..)?;
        let end = strings.iter().position(|byte| *byte == 0)?;
        strings.get(..end)
    }
}

const fn kind(info: u32) -> u32 {
    info >> 24 & 0x1f
}

/// Where each type lies.
fn index(data: &[u8], section: Range<usize>) -> Result<Vec<u32>, BtfError> {
    const CUT: BtfError = BtfError::Damaged("a type is cut off");
    let mut types = vec![0];
    let mut at = section.start;
    while at < section.end {
        let info = u32_at(data, at + 4).ok_or(CUT)?;
        let Some(tail) = tail_bytes(kind(info), (info & 0xffff) as usize) else {
            break;
        };
        let next = at + TYPE_BYTES + tail;
        if next > section.end {
            return Err(CUT);
        }
        types.push(u32::try_from(at).map_err(|_| BtfError::Damaged("it is larger than 4 GiB"))?);
        at = next;
    }
    Ok(types)
}

/// Bytes after the head of a type, by its kind and the number of its parts; `None` for a kind that is not known.
const fn tail_bytes(kind: u32, parts: usize) -> Option<usize> {
    Some(match kind {
        1 | 14 | 17 => 4,                                 // integer, variable, declaration tag
        KIND_POINTER | 7..=12 | 16 | 18 => 0,             // pointer, forward, typedef, qualifiers, function, float, type tag
        3 => 12,                                          // array
        KIND_STRUCT | KIND_UNION | 15 | 19 => parts * 12, // members, sections, 64-bit enumerators
        6 | KIND_FUNCTION_PROTOTYPE => parts * 8,         // enumerators, parameters
        _ => return None,
    })
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at.checked_add(4)?)?;
    bytes.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// Builds a description by hand.
    #[derive(Default)]
    struct Builder {
        types: Vec<u8>,
        strings: Vec<u8>,
    }

    impl Builder {
        fn name(&mut self, name: &str) -> u32 {
            if self.strings.is_empty() {
                self.strings.push(0);
            }
            if name.is_empty() {
                return 0;
            }
            let at = self.strings.len() as u32;
            self.strings.extend(name.bytes().chain([0]));
            at
        }

        fn words(&mut self, words: &[u32]) -> &mut Self {
            self.types.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
            self
        }

        /// A structure or union; members are (name, type, bit offset).
        fn compound(&mut self, kind: u32, name: &str, bitfields: bool, members: &[(&str, u32, u32)]) -> &mut Self {
            let name = self.name(name);
            self.words(&[name, kind << 24 | u32::from(bitfields) << 31 | members.len() as u32, 64]);
            for (name, type_id, bits) in members {
                let name = self.name(name);
                self.words(&[name, *type_id, *bits]);
            }
            self
        }

        fn bytes(&self) -> Vec<u8> {
            let mut bytes = Vec::from(MAGIC.to_ne_bytes());
            bytes.extend([1, 0]);
            let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
            bytes.extend([HEADER_BYTES as u32, 0, types, types, strings].iter().flat_map(|word| word.to_ne_bytes()));
            bytes.extend(&self.types);
            bytes.extend(&self.strings);
            bytes
        }
    }

    /// 1: u32, 2: struct inner {x at 4}, 3: union {} with inner at 0, 4: typedef of 2, 5: struct outer.
    fn sample() -> Builder {
        let mut builder = Builder::default();
        let int = builder.name("u32");
        builder.words(&[int, 1 << 24, 4, 32]);
        builder.compound(KIND_STRUCT, "inner", false, &[("w", 1, 0), ("x", 1, 32)]);
        builder.compound(KIND_UNION, "", false, &[("", 2, 0)]);
        let alias = builder.name("inner_t");
        builder.words(&[alias, 8 << 24, 2]);
        builder.compound(KIND_STRUCT, "outer", true, &[("first", 1, 0), ("", 3, 64), ("named", 4, 128), ("flag", 1, (1 << 24) + 192)]);
        builder
    }

    fn offset(btf: &Btf, structure: &str, member: &str) -> Option<u32> {
        let [structure] = btf.find(Kind::Structure, [structure]);
        btf.offset(structure?, member)
    }

    #[test]
    fn members_are_found_as_c_finds_them() {
        let btf = Btf::parse(sample().bytes()).unwrap();
        assert_eq!(offset(&btf, "outer", "first"), Some(0));
        assert_eq!(offset(&btf, "outer", "x"), Some(8 + 4), "through an anonymous union and an anonymous structure");
        assert_eq!(offset(&btf, "outer", "named.x"), Some(16 + 4), "through a typedef");
        assert_eq!(offset(&btf, "inner", "x"), Some(4));
    }

    /// 6: pointer to 7, 7: function(data, pointer, u32), 8: pointer to it, 9: its typedef.
    #[test]
    fn tracepoints_tell_their_arguments() {
        let mut builder = sample();
        let alias = builder.name("btf_trace_x");
        builder.words(&[0, KIND_POINTER << 24, 1]);
        builder.words(&[0, KIND_FUNCTION_PROTOTYPE << 24 | 3, 0, 0, 6, 0, 6, 0, 1]);
        builder.words(&[0, KIND_POINTER << 24, 7]);
        builder.words(&[alias, 8 << 24, 8]);
        let btf = Btf::parse(builder.bytes()).unwrap();
        let [probe, missing, other] = btf.find(Kind::Typedef, ["btf_trace_x", "btf_trace_y", "inner_t"]);
        assert_eq!(btf.prototype(probe.unwrap()), Some(Prototype { arguments: 2, first_is_pointer: true }));
        assert!(missing.is_none() && btf.prototype(other.unwrap()).is_none());
    }

    #[test]
    fn what_is_not_there_is_none() {
        let btf = Btf::parse(sample().bytes()).unwrap();
        for (structure, member) in
            [("outer", "y"), ("missing", "x"), ("outer", "first.x"), ("outer", "flag"), ("inner_t", "x"), ("outer", "")]
        {
            assert_eq!(offset(&btf, structure, member).filter(|_| !member.is_empty()), None, "{structure}.{member}");
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = sample().bytes();
        for length in 0..bytes.len() {
            assert!(Btf::parse(bytes[..length].to_vec()).is_err(), "cut to {length} bytes");
        }
    }

    #[test]
    fn damaged_bytes_never_panic() {
        let bytes = sample().bytes();
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                if let Ok(btf) = Btf::parse(damaged) {
                    let _ = (offset(&btf, "outer", "x"), offset(&btf, "outer", "named.x"), offset(&btf, "outer", "flag"));
                }
            }
        }
    }

    #[test]
    fn structures_that_contain_themselves_end() {
        let mut builder = Builder::default();
        builder.compound(KIND_STRUCT, "loop", false, &[("", 1, 8)]);
        let alias = builder.name("t");
        builder.words(&[alias, 8 << 24, 2]);
        let btf = Btf::parse(builder.bytes()).unwrap();
        assert_eq!(offset(&btf, "loop", "x"), None);
        assert_eq!(btf.resolved(2), 2);
    }

    #[test]
    fn a_newer_kind_ends_the_walk_and_keeps_the_rest() {
        let mut builder = sample();
        builder.words(&[0, 31 << 24, 0, 7, 7, 7]);
        let btf = Btf::parse(builder.bytes()).unwrap();
        assert_eq!(offset(&btf, "outer", "first"), Some(0));
    }
}
