//! Paths: what they lead to, what is passed on the way, and that they never lead out.

use crate::tree::Tree;
use unready_diagnosis::{question::FileKind, record::Errno};
use unready_inspect::{
    alike,
    passwd::has_uid,
    resolve::{Halt, find, read, resolve},
    rootfs::open,
};

fn found(tree: &Tree, path: &str) -> String {
    find(tree, path).unwrap_or_else(|halt| panic!("{path}: {halt:?}")).path
}

fn halt(tree: &Tree, path: &str) -> Halt<usize> {
    find(tree, path).err().unwrap_or_else(|| panic!("{path} is found"))
}

fn errno(tree: &Tree, path: &str) -> Errno {
    halt(tree, path).errno
}

/// What is told of a path: each file passed, with where it points.
fn passed(tree: &Tree, path: &str, follow: bool) -> Vec<(String, Option<String>)> {
    let mut passed = Vec::new();
    let _ = resolve(tree, path, follow, |seen| passed.push((seen.path.to_owned(), seen.link.map(str::to_owned))));
    passed
}

#[test]
fn links_and_dots_stay_in_the_root() {
    let tree = Tree::new()
        .file("/data/key", "inside")
        .link("/app/up", "../../../../../../data/key")
        .link("/app/absolute", "/data/key")
        .link("/app/root", "/")
        .link("/app/out", "/../../..")
        .link("/app/long", "/app/out/app/root/app/../data/./key");
    for path in
        ["/app/up", "/app/absolute", "/../../data/key", "/app/../../../data/key", "/app/root/data/key", "/app/long", "//data//./key"]
    {
        assert_eq!(found(&tree, path), "/data/key", "{path}");
    }
    for path in ["/", "/..", "/app/../../..", "/app/root", "/app/out", "/app/out/.."] {
        assert_eq!(found(&tree, path), "/", "{path}");
    }
    assert_eq!(read(&tree, "/app/up", 100).unwrap(), b"inside");
    assert_eq!(read(&tree, "/app/up", 2).unwrap(), b"in");
}

#[test]
fn links_that_loop_end() {
    let mut tree = Tree::new().link("/self", "self").link("/a", "b").link("/b", "/a").link("/down", "down/x").file("/chain/0", "");
    for link in 1..=41 {
        tree = tree.link(&format!("/chain/{link}"), &(link - 1).to_string());
    }
    for path in ["/self", "/a", "/b/x", "/down", "/chain/41"] {
        assert_eq!(errno(&tree, path), Errno::ELOOP, "{path}");
    }
    assert_eq!(found(&tree, "/chain/40"), "/chain/0", "as many as the kernel follows");
}

#[test]
fn a_path_has_a_length() {
    let deep = "/d".repeat(300);
    let tree = Tree::new().file(&deep, "").link("/once", &deep[..400]).link("/twice", &format!("{}/once", "./".repeat(3000)));
    assert_eq!(errno(&tree, &deep), Errno::ENAMETOOLONG);
    assert_eq!(found(&tree, &deep[..2 * 256]).len(), 2 * 256);
    assert_eq!(errno(&tree, &"/.".repeat(2048)), Errno::ENAMETOOLONG);
    assert_eq!(found(&tree, "/once"), deep[..400]);
    assert_eq!(found(&tree, "/twice"), deep[..400]);
}

#[test]
fn what_is_no_directory_has_nothing_below_it() {
    let tree = Tree::new().file("/etc/passwd", "").directory("/srv").link("/to-srv", "srv");
    for path in ["/etc/passwd/x", "/etc/passwd/", "/etc/passwd/..", "/etc/passwd/."] {
        let halt = halt(&tree, path);
        assert_eq!((halt.path.as_str(), halt.errno), ("/etc/passwd", Errno::ENOTDIR), "{path}");
    }
    assert_eq!(found(&tree, "/srv/"), "/srv");
    assert_eq!(found(&tree, "/to-srv/"), "/srv");
}

#[test]
fn all_that_is_passed_is_told() {
    let tree = Tree::new().file("/data/key", "").link("/app/link", "../data/key");
    let own = |list: &[(&str, Option<&str>)]| -> Vec<_> {
        list.iter().map(|(path, link)| ((*path).to_owned(), link.map(str::to_owned))).collect()
    };
    let to_the_link = [("/", None), ("/app", None), ("/app/link", Some("../data/key"))];
    assert_eq!(passed(&tree, "/app/link", false), own(&to_the_link));
    assert_eq!(passed(&tree, "/app/link", true), own(&[to_the_link.as_slice(), &[("/data", None), ("/data/key", None)]].concat()));
    assert_eq!(passed(&tree, "/app/..", true), own(&[("/", None), ("/app", None), ("/", None)]));
    assert_eq!(passed(&tree, "/app/none", true), own(&[("/", None), ("/app", None)]));
}

#[test]
fn a_link_whose_text_says_nothing_leads_where_its_owner_knows() {
    let tree = Tree::new().open_pipe("/proc/1/fd/1", "pipe:[7]").link("/dev/stdout", "/proc/1/fd/1");
    let pipe = find(&tree, "/dev/stdout").unwrap();
    assert_eq!(pipe.path, "pipe:[7]");
    assert_eq!(open(&tree, &pipe.node).err(), Some(Errno::EACCES), "it is looked at, never opened");
    assert_eq!(errno(&tree, "/proc/1/fd/1/x"), Errno::ENOTDIR);
}

#[test]
fn nothing_but_regular_files_is_opened() {
    let tree = Tree::new()
        .special("/pipe", FileKind::Fifo)
        .special("/disk", FileKind::BlockDevice)
        .special("/tty", FileKind::CharDevice)
        .special("/socket", FileKind::Socket)
        .link("/innocent", "pipe")
        .special("/etc/passwd", FileKind::Fifo);
    for (path, errno) in [
        ("/pipe", Errno::EACCES),
        ("/disk", Errno::EACCES),
        ("/tty", Errno::EACCES),
        ("/socket", Errno::EACCES),
        ("/innocent", Errno::EACCES),
        ("/", Errno::EISDIR),
    ] {
        assert_eq!(open(&tree, &find(&tree, path).unwrap().node).err(), Some(errno), "{path}");
        assert_eq!(read(&tree, path, 10), None, "{path}");
    }
    assert_eq!(has_uid(&tree, 0), None);
}

#[test]
fn what_is_broken_off_is_not_known() {
    let tree = Tree::new().file("/a/b/c", "").within(2);
    let halt = halt(&tree, "/a/b/c");
    assert!(halt.unknowable && halt.missing.is_none());
    assert!(halt.why_unknowable().contains("/a/b/c"));
}

#[test]
fn names_that_may_have_been_meant() {
    let tree = Tree::new().file("/data/tls.key", "").file("/data/tls.crt", "").directory("/data/..data").file("/x", "");
    assert_eq!(alike::names(&tree, &halt(&tree, "/data/tls.kye")), ["tls.key"]);
    assert!(alike::names(&tree, &halt(&tree, "/data/tls.key/x")).is_empty());
    assert!(alike::names(&tree, &halt(&tree, "/none/tls.kye")).is_empty());
}

#[test]
fn accounts() {
    let tree =
        Tree::new().file("/etc/real", "root:x:0:0::/:/bin/sh\napp:x:1000:1000::/:/bin/false\n").link("/etc/passwd", "../../etc/real");
    assert_eq!([0, 1000, 1001].map(|uid| has_uid(&tree, uid)), [Some(true), Some(true), Some(false)]);
    assert_eq!(has_uid(&Tree::new(), 0), None);
    let mut long = "#\n".repeat(1 << 20);
    long.push_str("far:x:7:7::/:/bin/sh\n");
    let tree = Tree::new().file("/etc/passwd", long);
    assert_eq!(has_uid(&tree, 7), Some(false), "only the first mebibyte is read");
    assert!(tree.longest_read.get() <= 64 << 10);
}
