//! Where the dynamic loader of a container would find a program's libraries.
//!
//! The order of ld.so(8): RPATH (when there is no RUNPATH), `LD_LIBRARY_PATH`, RUNPATH, `/etc/ld.so.cache`, the default
//! directories; musl knows its path file, or three directories, instead of the last two. A file of another machine or
//! class is passed over, as the loader does.
//!
//! How long those lists are is the container's choice; what is looked through is bounded. A library that was not found in
//! what was looked through is then left out of the answer: nobody knows whether it is missing.

use super::{
    contents::{open_regular, read},
    elf::{Elf, MAX_NEEDED},
    proc, reach,
    resolve::{Found, find},
    view::View,
};
use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet, VecDeque},
};

/// Libraries looked for at most, those that libraries need included.
const MAX_LIBRARIES: usize = 64;
/// Directories searched for what one object needs.
const MAX_DIRECTORIES: usize = 128;
/// Longest directory, bytes (`PATH_MAX`); `$ORIGIN` may stand in it many times.
const MAX_PATH: usize = 4096;
/// Longest `ld.so.cache` that is read, bytes.
const MAX_CACHE: u64 = 4 << 20;
/// Bytes of names and paths that are taken from it: several entries may share a text.
const MAX_CACHE_TEXT: usize = 8 << 20;

/// An object whose needs are to be met.
struct Loaded {
    elf: Elf,
    /// Directory of the file, for `$ORIGIN`.
    origin: String,
    /// RPATHs that it inherits from what loaded it.
    inherited: Vec<String>,
    /// Those are more.
    is_cut: bool,
}

/// Each library that the program needs, with where it was found, if all places could be looked at. `library_path` is the
/// process's `LD_LIBRARY_PATH`.
pub(super) fn search(view: &View, program: &Found, elf: &Elf, library_path: Option<&str>) -> Vec<(String, Option<String>)> {
    let system = System::read(view, elf, library_path);
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    let mut pending = VecDeque::from([Loaded { elf: elf.clone(), origin: parent(&program.path), inherited: Vec::new(), is_cut: false }]);
    while let Some(object) = pending.pop_front() {
        let (directories, is_whole) = system.directories(&object);
        for name in &object.elf.needed {
            if found.len() >= MAX_LIBRARIES || !seen.insert(name.clone()) {
                continue;
            }
            let hit = system.locate(view, name, &directories, elf);
            if hit.is_some() || is_whole && !system.is_broken_off.get() {
                found.push((name.clone(), hit.as_ref().map(|(path, _)| path.clone())));
            }
            let is_cut = object.is_cut || object.elf.is_cut;
            pending.extend(hit.map(|(path, elf)| Loaded { elf, origin: parent(&path), inherited: object.rpaths(), is_cut }));
        }
    }
    found
}

fn parent(path: &str) -> String {
    path.rsplit_once('/').map_or("/", |(directory, _)| if directory.is_empty() { "/" } else { directory }).to_owned()
}

impl Loaded {
    /// RPATHs for what it loads; a RUNPATH makes its own RPATH void.
    fn rpaths(&self) -> Vec<String> {
        let own = if self.elf.runpath.is_empty() { self.elf.rpath.as_slice() } else { &[] };
        let own = own.iter().map(|directory| self.expand(directory)).filter(|directory| directory.len() < MAX_PATH);
        own.chain(self.inherited.iter().cloned()).take(MAX_DIRECTORIES + 1).collect()
    }

    fn expand(&self, directory: &str) -> String {
        let lib = if self.elf.is_64 { "lib64" } else { "lib" };
        directory.replace("${ORIGIN}", &self.origin).replace("$ORIGIN", &self.origin).replace("${LIB}", lib).replace("$LIB", lib)
    }
}

/// The container's own places of libraries.
struct System {
    library_path: Vec<String>,
    /// Names to paths of `/etc/ld.so.cache`.
    cache: BTreeMap<String, Vec<String>>,
    default: Vec<String>,
    /// One of these lists is longer.
    is_cut: bool,
    /// Some place could not be looked at.
    is_broken_off: Cell<bool>,
}

impl System {
    fn read(view: &View, elf: &Elf, library_path: Option<&str>) -> Self {
        let given = library_path.unwrap_or_default().split([':', ';']).filter(|d| d.starts_with('/'));
        let mut library_path: Vec<String> = given.take(MAX_NEEDED + 1).map(str::to_owned).collect();
        let is_cut = library_path.len() > MAX_NEEDED;
        library_path.truncate(MAX_NEEDED);
        let musl = elf.interpreter.as_deref().and_then(|path| path.rsplit('/').next()?.strip_prefix("ld-musl-")?.strip_suffix(".so.1"));
        let ((cache, default), is_long) = if let Some(arch) = musl {
            let (default, is_long) = musl_directories(view, arch);
            ((BTreeMap::new(), default), is_long)
        } else {
            let (cache, is_long) = cache(view);
            ((cache, glibc_directories(elf)), is_long)
        };
        Self { library_path, cache, default, is_cut: is_cut || is_long, is_broken_off: Cell::new(false) }
    }

    /// Directories searched for what an object needs, in order, and whether these are all; the cache comes between them
    /// and the default ones.
    fn directories(&self, object: &Loaded) -> (Vec<String>, bool) {
        let rpaths = if object.elf.runpath.is_empty() { object.rpaths() } else { Vec::new() };
        let runpaths = object.elf.runpath.iter().map(|directory| object.expand(directory)).filter(|directory| directory.len() < MAX_PATH);
        let all = rpaths.into_iter().chain(self.library_path.iter().cloned()).chain(runpaths);
        let mut all: Vec<String> = all.take(MAX_DIRECTORIES + 1).collect();
        let is_whole = all.len() <= MAX_DIRECTORIES && !self.is_cut && !object.elf.is_cut && !object.is_cut;
        all.truncate(MAX_DIRECTORIES);
        (all, is_whole)
    }

    fn locate(&self, view: &View, name: &str, directories: &[String], program: &Elf) -> Option<(String, Elf)> {
        if name.contains('/') {
            return self.usable(view, name, program);
        }
        let in_directories = |list: &[String]| list.iter().find_map(|directory| self.usable(view, &format!("{directory}/{name}"), program));
        let in_cache = || self.cache.get(name)?.iter().find_map(|path| self.usable(view, path, program));
        in_directories(directories).or_else(in_cache).or_else(|| in_directories(&self.default))
    }

    fn usable(&self, view: &View, path: &str, program: &Elf) -> Option<(String, Elf)> {
        if self.is_broken_off.get() {
            return None;
        }
        let looked_at = reach::part(|| usable(view, path, program));
        self.is_broken_off.set(looked_at.is_err());
        looked_at.ok().flatten()
    }
}

/// A library that this program could load.
fn usable(view: &View, path: &str, program: &Elf) -> Option<(String, Elf)> {
    let found = find(view, path).ok()?;
    let elf = Elf::read(&open_regular(&found).ok()?)?;
    (elf.machine == program.machine && elf.is_64 == program.is_64).then(|| (path.to_owned(), elf))
}

/// Built-in directories of glibc, Debian's multiarch ones included.
fn glibc_directories(elf: &Elf) -> Vec<String> {
    let multiarch = match (elf.machine, elf.is_64) {
        (62, _) => "x86_64-linux-gnu",
        (183, _) => "aarch64-linux-gnu",
        (3, _) => "i386-linux-gnu",
        (40, _) => "arm-linux-gnueabihf",
        _ => "",
    };
    let multiarch = ["/lib/", "/usr/lib/"].into_iter().filter(|_| !multiarch.is_empty()).map(|prefix| format!("{prefix}{multiarch}"));
    let plain: &[&str] = if elf.is_64 { &["/lib64", "/usr/lib64", "/lib", "/usr/lib"] } else { &["/lib", "/usr/lib"] };
    multiarch.chain(plain.iter().map(|directory| (*directory).to_owned())).collect()
}

fn musl_directories(view: &View, arch: &str) -> (Vec<String>, bool) {
    let listed = read(view, &format!("/etc/ld-musl-{arch}.path"), 4096);
    let text = listed.map_or_else(|| "/lib:/usr/local/lib:/usr/lib".to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned());
    let mut all: Vec<String> =
        text.split([':', '\n']).map(str::trim).filter(|d| !d.is_empty()).map(str::to_owned).take(MAX_NEEDED + 1).collect();
    let is_long = all.len() > MAX_NEEDED || text.len() >= MAX_PATH;
    all.truncate(MAX_NEEDED);
    (all, is_long)
}

fn cache(view: &View) -> (BTreeMap<String, Vec<String>>, bool) {
    read(view, "/etc/ld.so.cache", MAX_CACHE).map(|bytes| parse_cache(&bytes)).unwrap_or_default()
}

/// glibc's `struct cache_file_new` (sysdeps/generic/dl-cache.h): a header of 48 bytes, entries of 24 with the offsets of
/// name and path from the start of the header. Caches of the old format carry the new one behind it. Second: it has more
/// than what was taken.
fn parse_cache(bytes: &[u8]) -> (BTreeMap<String, Vec<String>>, bool) {
    const MAX_ENTRIES: usize = 1 << 16;
    const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let Some(start) = bytes.windows(MAGIC.len()).position(|window| window == MAGIC) else {
        return (names, false);
    };
    let cache = &bytes[start..];
    let count = word(cache, MAGIC.len()).unwrap_or(0);
    let mut room = MAX_CACHE_TEXT;
    for index in 0..count.min(MAX_ENTRIES) {
        let entry = 48 + 24 * index;
        let text = |at| word(cache, at).and_then(|offset| text(cache, offset));
        let (Some(name), Some(path)) = (text(entry + 4), text(entry + 8)) else {
            break;
        };
        let Some(left) = room.checked_sub(name.len() + path.len()) else { return (names, true) };
        room = left;
        names.entry(name).or_default().push(path);
    }
    (names, count > MAX_ENTRIES)
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_ne_bytes(*word)).ok()
}

fn text(bytes: &[u8], at: usize) -> Option<String> {
    let rest = bytes.get(at..)?;
    let rest = &rest[..rest.len().min(4096)];
    let end = rest.iter().position(|&byte| byte == 0)?;
    std::str::from_utf8(&rest[..end]).ok().map(str::to_owned)
}

/// `LD_LIBRARY_PATH` of a living process. Nothing else of its environment is kept.
pub(super) fn library_path(pid: u32) -> Option<String> {
    let bytes = proc::read_bytes(proc::path(pid, "environ"), 1 << 20).ok()?;
    let value = bytes.split(|&byte| byte == 0).find_map(|variable| variable.strip_prefix(b"LD_LIBRARY_PATH="))?;
    Some(String::from_utf8_lossy(value).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn this_machines_cache_and_every_kind_of_damage() {
        let Ok(bytes) = std::fs::read("/etc/ld.so.cache") else { return };
        let (names, is_cut) = parse_cache(&bytes);
        assert!(!is_cut && names.keys().any(|name| name.starts_with("libc.so")));
        for end in (0..bytes.len()).step_by(97) {
            let _ = parse_cache(&bytes[..end]);
        }
        let mut damaged = bytes;
        for at in 20..damaged.len().min(2000) {
            damaged[at] = 0xff;
            let _ = parse_cache(&damaged[..damaged.len().min(4000)]);
        }
    }

    #[test]
    fn a_cache_whose_entries_share_a_long_text_is_cut() {
        let (header, entries, long) = (48, 1 << 16, 4000);
        let text_at = header + 24 * entries;
        let mut cache = vec![b'x'; text_at + long];
        cache.push(0);
        cache[..20].copy_from_slice(b"glibc-ld.so.cache1.1");
        cache[20..24].copy_from_slice(&u32::try_from(entries).unwrap().to_ne_bytes());
        for index in 0..entries {
            let entry = header + 24 * index;
            for at in [entry + 4, entry + 8] {
                cache[at..at + 4].copy_from_slice(&u32::try_from(text_at).unwrap().to_ne_bytes());
            }
        }
        let (names, is_cut) = parse_cache(&cache);
        let bytes: usize = names.values().flatten().map(String::len).sum();
        assert!(is_cut && bytes <= MAX_CACHE_TEXT, "{bytes}");
    }

    #[test]
    fn the_programs_of_this_machine_find_their_libraries() {
        let view = View::of_directory("/").unwrap();
        let program = find(&view, "/bin/true").unwrap();
        let elf = Elf::read(&open_regular(&program).unwrap()).unwrap();
        let libraries = search(&view, &program, &elf, None);
        assert!(!libraries.is_empty());
        assert!(libraries.iter().all(|(_, path)| path.is_some()), "{libraries:?}");
    }

    #[test]
    fn origin_is_the_files_directory() {
        let object = Loaded {
            elf: Elf { is_64: true, rpath: vec!["$ORIGIN/../lib".into(), "${ORIGIN}/$LIB".into()], ..Elf::default() },
            origin: "/opt/app/bin".into(),
            inherited: vec!["/x".into()],
            is_cut: false,
        };
        assert_eq!(object.rpaths(), ["/opt/app/bin/../lib", "/opt/app/bin/lib64", "/x"]);
    }
}
