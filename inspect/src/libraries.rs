//! Where the dynamic loader of a container would find a program's libraries.
//!
//! The order of ld.so(8): RPATH (when there is no RUNPATH), `LD_LIBRARY_PATH`, RUNPATH, `/etc/ld.so.cache`, the default
//! directories; musl knows its path file, or three directories, instead of the last two. A file of another machine or
//! class is passed over, as the loader does.
//!
//! How long those lists are is the container's choice; what is looked through is bounded. A library that was not found in
//! what was looked through is then left out of the answer: nobody knows whether it is missing.

use crate::{
    elf::{Elf, MAX_NEEDED},
    loader_cache::Cache,
    resolve::{find, read},
    rootfs::{Rootfs, open},
};
use std::{
    cell::Cell,
    collections::{BTreeSet, VecDeque},
};

/// Libraries looked for at most, those that libraries need included.
const MAX_LIBRARIES: usize = 64;
/// Directories searched for what one object needs.
const MAX_DIRECTORIES: usize = 128;
/// Longest directory, bytes (`PATH_MAX`); `$ORIGIN` may stand in it many times.
const MAX_PATH: usize = 4096;

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

/// Each library that a program needs, with where it was found, if all places could be looked at. `program` is the path of
/// its file, without links; `library_path` is the process's `LD_LIBRARY_PATH`.
pub fn search<R: Rootfs>(rootfs: &R, program: &str, elf: &Elf, library_path: Option<&str>) -> Vec<(String, Option<String>)> {
    let system = System::read(rootfs, elf, library_path);
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    let mut pending = VecDeque::from([Loaded { elf: elf.clone(), origin: parent(program), inherited: Vec::new(), is_cut: false }]);
    while let Some(object) = pending.pop_front() {
        let (directories, is_whole) = system.directories(&object);
        for name in &object.elf.needed {
            if found.len() >= MAX_LIBRARIES || !seen.insert(name.clone()) {
                continue;
            }
            let hit = system.locate(name, &directories, elf);
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
struct System<'r, R> {
    rootfs: &'r R,
    library_path: Vec<String>,
    /// Of glibc; musl has none.
    cache: Cache,
    default: Vec<String>,
    /// One of these lists is longer.
    is_cut: bool,
    /// Some place could not be looked at.
    is_broken_off: Cell<bool>,
}

impl<'r, R: Rootfs> System<'r, R> {
    fn read(rootfs: &'r R, elf: &Elf, library_path: Option<&str>) -> Self {
        let given = library_path.unwrap_or_default().split([':', ';']).filter(|d| d.starts_with('/'));
        let mut library_path: Vec<String> = given.take(MAX_NEEDED + 1).map(str::to_owned).collect();
        let is_cut = library_path.len() > MAX_NEEDED;
        library_path.truncate(MAX_NEEDED);
        let musl = elf.interpreter.as_deref().and_then(|path| path.rsplit('/').next()?.strip_prefix("ld-musl-")?.strip_suffix(".so.1"));
        let (cache, (default, is_long)) = match musl {
            Some(arch) => (Cache::default(), musl_directories(rootfs, arch)),
            None => (Cache::read(rootfs), (glibc_directories(elf), false)),
        };
        let is_cut = is_cut || is_long || cache.is_cut;
        Self { rootfs, library_path, cache, default, is_cut, is_broken_off: Cell::new(false) }
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

    fn locate(&self, name: &str, directories: &[String], program: &Elf) -> Option<(String, Elf)> {
        if name.contains('/') {
            return self.usable(name, program);
        }
        let in_directories = |list: &[String]| list.iter().find_map(|directory| self.usable(&format!("{directory}/{name}"), program));
        let in_cache = || self.cache.paths(name).iter().find_map(|path| self.usable(path, program));
        in_directories(directories).or_else(in_cache).or_else(|| in_directories(&self.default))
    }

    fn usable(&self, path: &str, program: &Elf) -> Option<(String, Elf)> {
        if self.is_broken_off.get() {
            return None;
        }
        let looked_at = self.rootfs.part(|| usable(self.rootfs, path, program));
        self.is_broken_off.set(looked_at.is_none());
        looked_at.flatten()
    }
}

/// A library that this program could load.
fn usable<R: Rootfs>(rootfs: &R, path: &str, program: &Elf) -> Option<(String, Elf)> {
    let found = find(rootfs, path).ok()?;
    let elf = Elf::read(&open(rootfs, &found.node).ok()?)?;
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

fn musl_directories<R: Rootfs>(rootfs: &R, arch: &str) -> (Vec<String>, bool) {
    let listed = read(rootfs, &format!("/etc/ld-musl-{arch}.path"), 4096);
    let text = listed.map_or_else(|| "/lib:/usr/local/lib:/usr/lib".to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned());
    let mut all: Vec<String> =
        text.split([':', '\n']).map(str::trim).filter(|d| !d.is_empty()).map(str::to_owned).take(MAX_NEEDED + 1).collect();
    let is_long = all.len() > MAX_NEEDED || text.len() >= MAX_PATH;
    all.truncate(MAX_NEEDED);
    (all, is_long)
}

#[cfg(test)]
mod tests {
    use super::*;

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
