//! Processes, files, mounts and endings in words.

use crate::{
    permission::rights::{inside, is_namespaced},
    question::{AclTag, Component, FileKind, IdRange, Mount},
    record::{Creds, ExitStatus},
    story::process::ProcessView,
};

/// Who tried: `process uid 1000 gid 1000 (no groups)`. In a user namespace of its own: the ids as it sees them, and
/// those outside.
pub fn who(creds: &Creds, uid_map: &[IdRange], gid_map: &[IdRange]) -> String {
    who_with(creds, (creds.fsuid, creds.fsgid), uid_map, gid_map)
}

/// The same with the ids that count for this call (access(2) goes by the real ones).
pub fn who_by_real_ids(creds: &Creds, uid_map: &[IdRange], gid_map: &[IdRange]) -> String {
    who_with(creds, (creds.uid, creds.gid), uid_map, gid_map)
}

fn who_with(creds: &Creds, (uid, gid): (u32, u32), uid_map: &[IdRange], gid_map: &[IdRange]) -> String {
    let namespaced = is_namespaced(creds, uid_map) && !uid_map.is_empty();
    let see = |map: &[IdRange], id: u32| if namespaced { inside(map, id).unwrap_or(id) } else { id };
    let groups: Vec<String> = creds.groups.iter().map(|group| see(gid_map, *group).to_string()).collect();
    let groups = match (groups.as_slice(), creds.groups_cut) {
        ([], false) => "no groups".to_owned(),
        ([one], false) => format!("group {one}"),
        (many, false) => format!("groups {}", many.join(", ")),
        (many, true) => format!("groups {} and more", many.join(", ")),
    };
    let outside = match (namespaced, is_namespaced(creds, uid_map)) {
        (true, _) => format!(", {uid}:{gid} outside its user namespace"),
        (false, true) => ", as seen from outside its user namespace".to_owned(),
        (false, false) => String::new(),
    };
    format!("process uid {} gid {} ({groups}{outside})", see(uid_map, uid), see(gid_map, gid))
}

/// `0:0 0755`.
pub fn owner_mode(component: &Component) -> String {
    format!("{}:{} {}", component.uid, component.gid, mode(component.mode))
}

/// A mode in octal, with the leading zero of chmod(1)'s manual: `0755`.
pub(super) fn mode(mode: u32) -> String {
    format!("{:04o}", mode & 0o7777)
}

/// `directory /data`.
pub fn component(component: &Component) -> String {
    format!("{} {}", kind(component.kind), component.path)
}

/// A file's type in words.
pub const fn kind(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Directory => "directory",
        FileKind::File => "file",
        FileKind::Link => "symbolic link",
        FileKind::Socket => "socket",
        FileKind::Fifo => "FIFO",
        FileKind::CharDevice => "character device",
        FileKind::BlockDevice => "block device",
        FileKind::Other => "special file",
    }
}

/// `rw`, as ls(1) shows permission bits.
pub fn permissions(bits: u8) -> String {
    let text: String = [(4, 'r'), (2, 'w'), (1, 'x')].iter().filter(|(bit, _)| bits & bit != 0).map(|(_, c)| *c).collect();
    if text.is_empty() { "nothing".to_owned() } else { text }
}

/// An ACL entry as getfacl(1) names it: `user:1000`, `group:2000`, `other`.
pub fn acl_tag(tag: AclTag) -> String {
    match tag {
        AclTag::UserObj => "user:: (the owner)".to_owned(),
        AclTag::User(uid) => format!("user:{uid}"),
        AclTag::GroupObj => "group:: (the owning group)".to_owned(),
        AclTag::Group(gid) => format!("group:{gid}"),
        AclTag::Mask => "mask".to_owned(),
        AclTag::Other => "other".to_owned(),
    }
}

/// A mount in words: `the root file system (overlay)`, `the mount at /data (ext4)`. Without a point it was not found among
/// the process's mounts: what is known of it comes from the file itself.
pub fn mount(mount: &Mount) -> String {
    let fstype = if mount.fstype.is_empty() { "type unknown" } else { &mount.fstype };
    match mount.point.as_str() {
        "" => "a file system whose mount could not be told".to_owned(),
        "/" => format!("the root file system ({fstype})"),
        point => format!("the mount at {point} ({fstype})"),
    }
}

/// `pid 4711 (postgres)`.
pub fn process(view: &ProcessView) -> String {
    if view.comm.is_empty() { format!("pid {}", view.process.pid) } else { format!("pid {} ({})", view.process.pid, view.comm) }
}

/// How a process ended: `exit code 127 (command not found)`, `SIGSEGV (invalid memory access)`.
pub fn exit_status(status: ExitStatus) -> String {
    match status {
        ExitStatus::Code(code) => match code_meaning(code) {
            Some(meaning) => format!("exit code {code} ({meaning})"),
            None => format!("exit code {code}"),
        },
        ExitStatus::Signal(number) => match signal(number) {
            (name, Some(meaning)) => format!("{name} ({meaning})"),
            (name, None) => name,
        },
    }
}

/// What shells and runtimes mean by a code.
fn code_meaning(code: u8) -> Option<String> {
    match code {
        0 => Some("success".to_owned()),
        126 => Some("by convention: the command was found and could not be executed".to_owned()),
        127 => Some("by convention: a command or a shared library was not found".to_owned()),
        129..=159 => Some(format!("by convention: a child ended by {}", signal(code - 128).0)),
        _ => None,
    }
}

/// A signal's name, and what it usually means for a program that did not ask for it (signal(7)).
pub fn signal(number: u8) -> (String, Option<&'static str>) {
    let (name, meaning) = match number {
        1 => ("SIGHUP", None),
        2 => ("SIGINT", Some("interrupted")),
        3 => ("SIGQUIT", None),
        4 => ("SIGILL", Some("an instruction that this CPU does not have")),
        5 => ("SIGTRAP", Some("a trap that nobody handled")),
        6 => ("SIGABRT", Some("the program aborted itself")),
        7 => ("SIGBUS", Some("an access beyond the end of a mapped file, or misaligned")),
        8 => ("SIGFPE", Some("an arithmetic error, such as division by zero")),
        9 => ("SIGKILL", Some("killed by a process")),
        11 => ("SIGSEGV", Some("invalid memory access")),
        13 => ("SIGPIPE", Some("it wrote to a pipe or socket that nobody reads")),
        14 => ("SIGALRM", None),
        15 => ("SIGTERM", Some("asked to end")),
        24 => ("SIGXCPU", Some("its CPU time limit is used up")),
        25 => ("SIGXFSZ", Some("its file size limit is reached")),
        31 => ("SIGSYS", Some("a system call that a seccomp filter forbids")),
        other => return (format!("signal {other}"), None),
    };
    (name.to_owned(), meaning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::testing::{creds, dir};

    #[test]
    fn who_tells_ids_groups_and_namespaces() {
        let mut one = creds(1000, 1000);
        assert_eq!(who(&one, &[], &[]), "process uid 1000 gid 1000 (no groups)");
        one.groups = vec![2000];
        assert_eq!(who(&one, &[], &[]), "process uid 1000 gid 1000 (group 2000)");
        one.groups = vec![2000, 3000];
        one.groups_cut = true;
        assert_eq!(who(&one, &[], &[]), "process uid 1000 gid 1000 (groups 2000, 3000 and more)");

        let map = [IdRange { inside: 0, outside: 100_000, count: 65_536 }];
        let mapped = Creds { user_ns: 4_026_532_000, ..creds(100_000, 100_033) };
        assert_eq!(who(&mapped, &map, &map), "process uid 0 gid 33 (no groups, 100000:100033 outside its user namespace)");
        assert_eq!(who(&mapped, &[], &[]), "process uid 100000 gid 100033 (no groups, as seen from outside its user namespace)");
    }

    #[test]
    fn who_speaks_of_the_ids_that_count_for_files() {
        let one = Creds { fsuid: 33, fsgid: 33, ..creds(0, 0) };
        assert_eq!(who(&one, &[], &[]), "process uid 33 gid 33 (no groups)");
        assert_eq!(who_by_real_ids(&one, &[], &[]), "process uid 0 gid 0 (no groups)");
    }

    #[test]
    fn files_and_mounts() {
        assert_eq!(owner_mode(&dir("/tmp", 0, 0, 0o1777)), "0:0 1777");
        assert_eq!(component(&dir("/data", 0, 0, 0o755)), "directory /data");
        assert_eq!(permissions(6), "rw");
        assert_eq!(permissions(0), "nothing");
        let root = Mount { point: "/".into(), fstype: "overlay".into(), ..Mount::default() };
        assert_eq!(mount(&root), "the root file system (overlay)");
        let data = Mount { point: "/data".into(), fstype: "ext4".into(), ..Mount::default() };
        assert_eq!(mount(&data), "the mount at /data (ext4)");
        assert_eq!(mount(&Mount::default()), "a file system whose mount could not be told");
    }

    #[test]
    fn endings() {
        let cases = [
            (ExitStatus::Code(1), "exit code 1"),
            (ExitStatus::Code(126), "exit code 126 (by convention: the command was found and could not be executed)"),
            (ExitStatus::Code(127), "exit code 127 (by convention: a command or a shared library was not found)"),
            (ExitStatus::Code(137), "exit code 137 (by convention: a child ended by SIGKILL)"),
            (ExitStatus::Code(139), "exit code 139 (by convention: a child ended by SIGSEGV)"),
            (ExitStatus::Code(255), "exit code 255"),
            (ExitStatus::Signal(9), "SIGKILL (killed by a process)"),
            (ExitStatus::Signal(11), "SIGSEGV (invalid memory access)"),
            (ExitStatus::Signal(40), "signal 40"),
        ];
        for (status, expected) in cases {
            assert_eq!(exit_status(status), expected);
        }
    }
}
