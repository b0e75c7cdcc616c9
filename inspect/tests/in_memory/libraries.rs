//! Where a loader would find libraries: the order of ld.so(8), and what is not known when it was not looked at.

use crate::{elf_file::ElfFile, tree::Tree};
use object::elf::EM_AARCH64;
use unready_diagnosis::question::ExecFormat;
use unready_inspect::{
    executable::{Executor, format},
    resolve::find,
};

const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

/// What the program at a path needs, and where that is.
fn libraries(tree: &Tree, program: &str, library_path: Option<&str>) -> Vec<(String, Option<String>)> {
    let found = find(tree, program).unwrap();
    let format = format(tree, &found, Executor { machine: "x86-64", library_path });
    let ExecFormat::Elf { libraries, .. } = format else { panic!("{format:?}") };
    libraries
}

/// Where the program `/opt/app/bin/app` finds `libx.so`, if `libx.so` is in these directories.
fn found(program: ElfFile, directories: &[&str], library_path: Option<&str>) -> Option<String> {
    let tree = Tree::new().file("/opt/app/bin/app", program.needs("libx.so").bytes());
    let tree = directories.iter().fold(tree, |tree, directory| tree.file(&format!("{directory}/libx.so"), ElfFile::new().bytes()));
    let libraries = libraries(&tree, "/opt/app/bin/app", library_path);
    assert_eq!(libraries.first().map(|(name, _)| name.as_str()), Some("libx.so"));
    libraries.into_iter().next()?.1
}

fn glibc() -> ElfFile {
    ElfFile::new().interpreter(LOADER)
}

/// A cache of glibc with one entry.
fn cache(name: &str, path: &str) -> Vec<u8> {
    let mut bytes = b"glibc-ld.so.cache1.1".to_vec();
    bytes.extend(1_u32.to_ne_bytes());
    bytes.resize(48 + 4, 0);
    for at in [72, 72 + name.len() + 1] {
        bytes.extend(u32::try_from(at).unwrap().to_ne_bytes());
    }
    bytes.resize(72, 0);
    bytes.extend(format!("{name}\0{path}\0").bytes());
    bytes
}

#[test]
fn the_order_of_the_places() {
    let everywhere = ["/r", "/env", "/run", "/lib64", "/usr/lib/x86_64-linux-gnu"];
    let first = |program: ElfFile, without: usize, library_path| found(program, &everywhere[without..], library_path).unwrap();
    assert_eq!(first(glibc().rpath("/r"), 0, Some("/env")), "/r/libx.so");
    assert_eq!(first(glibc().rpath("/r").runpath("/run"), 0, Some("/env")), "/env/libx.so", "RUNPATH makes RPATH void");
    assert_eq!(first(glibc().rpath("/r").runpath("/run"), 0, None), "/run/libx.so");
    assert_eq!(first(glibc(), 1, Some("relative:/nowhere;/env")), "/env/libx.so");
    assert_eq!(first(glibc(), 0, None), "/usr/lib/x86_64-linux-gnu/libx.so");
    assert_eq!(first(glibc(), 3, Some("/env")), "/usr/lib/x86_64-linux-gnu/libx.so");
    assert_eq!(found(glibc(), &["/lib64"], None).as_deref(), Some("/lib64/libx.so"));
    assert_eq!(found(glibc().runpath("/r"), &["/srv"], Some("/env")), None, "all places were looked at");
}

#[test]
fn the_cache_comes_before_the_default_places() {
    let program = glibc().needs("libx.so").runpath("/run").bytes();
    let image = || Tree::new().file("/app", program.clone()).file("/etc/ld.so.cache", cache("libx.so", "/opt/x/libx.so"));
    let library = || ElfFile::new().bytes();
    let at = |tree: Tree| libraries(&tree, "/app", None)[0].1.clone();
    assert_eq!(at(image().file("/opt/x/libx.so", library()).file("/lib64/libx.so", library())).as_deref(), Some("/opt/x/libx.so"));
    assert_eq!(at(image().file("/lib64/libx.so", library())).as_deref(), Some("/lib64/libx.so"), "an entry may be stale");
    assert_eq!(at(image().file("/opt/x/libx.so", library()).file("/run/libx.so", library())).as_deref(), Some("/run/libx.so"));
    assert_eq!(at(image()), None);
}

#[test]
fn musl_has_places_of_its_own() {
    let program = ElfFile::new().interpreter("/lib/ld-musl-x86_64.so.1").needs("libx.so").bytes();
    let image = || Tree::new().file("/app", program.clone()).file("/opt/libx.so", ElfFile::new().bytes());
    let at = |tree: Tree| libraries(&tree, "/app", None)[0].1.clone();
    assert_eq!(at(image().file("/etc/ld.so.cache", cache("libx.so", "/opt/libx.so"))), None, "it has no cache");
    assert_eq!(at(image().file("/lib64/libx.so", ElfFile::new().bytes())), None);
    assert_eq!(at(image().file("/usr/local/lib/libx.so", ElfFile::new().bytes())).as_deref(), Some("/usr/local/lib/libx.so"));
    assert_eq!(at(image().file("/etc/ld-musl-x86_64.path", "/srv\n/opt\n")).as_deref(), Some("/opt/libx.so"));
}

#[test]
fn origin_is_where_the_file_lies_and_stays_in_the_root() {
    let in_lib = |rpath: &str| found(glibc().runpath(rpath), &["/opt/app/lib64"], None);
    assert_eq!(in_lib("$ORIGIN/../lib64").as_deref(), Some("/opt/app/bin/../lib64/libx.so"));
    assert_eq!(in_lib("${ORIGIN}/../$LIB").as_deref(), Some("/opt/app/bin/../lib64/libx.so"));
    let out = "$ORIGIN/../../../../../opt/app/lib64";
    assert!(in_lib(out).is_some(), "above the root is the root");
    let tree = Tree::new()
        .file("/opt/app/bin/app", glibc().runpath("$ORIGIN").needs("libx.so").bytes())
        .link("/usr/bin/app", "../../opt/app/bin/app")
        .file("/opt/app/bin/libx.so", ElfFile::new().bytes());
    assert_eq!(libraries(&tree, "/usr/bin/app", None)[0].1.as_deref(), Some("/opt/app/bin/libx.so"), "of the file, not of the link");
}

#[test]
fn rpath_is_inherited_and_runpath_is_not() {
    let chain = |program: ElfFile| {
        let tree = Tree::new()
            .file("/app", program.needs("liba.so").bytes())
            .file("/r/liba.so", ElfFile::new().needs("libb.so").needs("liba.so").bytes())
            .file("/r/libb.so", ElfFile::new().needs("liba.so").bytes());
        libraries(&tree, "/app", None)
    };
    let a = ("liba.so".to_owned(), Some("/r/liba.so".to_owned()));
    assert_eq!(chain(glibc().rpath("/r")), [a.clone(), ("libb.so".to_owned(), Some("/r/libb.so".to_owned()))]);
    let not_inherited = [a, ("libb.so".to_owned(), None)];
    assert_eq!(chain(glibc().runpath("/r")), not_inherited);
    assert_eq!(chain(glibc().rpath("/r").runpath("/r")), not_inherited, "a void RPATH is not inherited either");
}

#[test]
fn what_this_program_cannot_load_is_passed_over() {
    let tree = Tree::new()
        .file("/app", glibc().runpath("/other:/text:/pipe:/loop:/good").needs("libx.so").needs("/abs/liby.so").bytes())
        .file("/other/libx.so", ElfFile::new().machine(EM_AARCH64).bytes())
        .file("/text/libx.so", "/* GNU ld script */")
        .special("/pipe/libx.so", unready_diagnosis::question::FileKind::Fifo)
        .link("/loop/libx.so", "libx.so")
        .link("/good/libx.so", "../../../good/libx.so.1")
        .file("/good/libx.so.1", ElfFile::new().bytes());
    let expected = [("libx.so".to_owned(), Some("/good/libx.so".to_owned())), ("/abs/liby.so".to_owned(), None)];
    assert_eq!(libraries(&tree, "/app", None), expected);
}

#[test]
fn what_was_not_looked_at_is_not_said_to_be_missing() {
    let many = |directories: usize| vec!["/x"; directories].join(":");
    let missing = |program: ElfFile, library_path: Option<&str>| {
        libraries(&Tree::new().file("/app", program.needs("libx.so").bytes()), "/app", library_path)
    };
    let said = vec![("libx.so".to_owned(), None)];
    assert_eq!(missing(glibc().runpath(&many(64)), Some(&many(64))), said);
    assert_eq!(missing(glibc().runpath(&many(65)), None), []);
    assert_eq!(missing(glibc().rpath(&many(65)), None), []);
    assert_eq!(missing(glibc(), Some(&many(65))), []);
    assert_eq!(missing(glibc().runpath(&"/y".repeat(4000)), None), [], "a list longer than a path may be");

    let tree = Tree::new().file("/app", glibc().runpath("/x").needs("libx.so").needs("liby.so").bytes()).file("/x/liby.so", "");
    assert_eq!(libraries(&tree.within(5), "/app", None), [], "the look was broken off");
}

#[test]
fn so_many_libraries_are_looked_for() {
    let chain = (0..200).fold(Tree::new().file("/app", glibc().rpath("/r").needs("lib0.so").bytes()), |tree, number| {
        tree.file(&format!("/r/lib{number}.so"), ElfFile::new().needs(&format!("lib{}.so", number + 1)).bytes())
    });
    assert_eq!(libraries(&chain, "/app", None).len(), 64);
}
