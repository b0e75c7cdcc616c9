//! Facts: the domain's enums as words, ids and sizes as numbers.

use crate::{date, narrow};
use unready_diagnosis::{
    answer::FileKind,
    record::ExitStatus,
    story::fact::{Fact, FailedCall, File, Inode, Resource, Socket},
    units::ClockAnchor,
    words::call_name,
};
use unready_proto::v1::{self, evidence};

/// What programs are told beside the text.
pub(crate) fn fact(fact: &Fact, anchor: ClockAnchor) -> evidence::Fact {
    match fact {
        Fact::Call(call) => evidence::Fact::Call(failed_call(call, anchor)),
        Fact::File(file) => evidence::Fact::File(inspected(file)),
        Fact::Mount(mount) => {
            evidence::Fact::Mount(v1::MountFact { point: mount.point.clone(), fstype: mount.fstype.clone(), read_only: mount.read_only })
        }
        Fact::Exec(exec) => evidence::Fact::Exec(v1::ExecFact { path: exec.path.clone(), pid: exec.pid }),
        Fact::Exit(exit) => evidence::Fact::Exit(v1::ExitFact { status: Some(exit_status(exit.status)), pid: exit.pid }),
        Fact::Socket(Socket { address, port, pid }) => {
            evidence::Fact::Socket(v1::SocketFact { address: address.clone(), port: u32::from(*port), pid: *pid })
        }
        Fact::Resource(resource) => evidence::Fact::Resource(limited(resource)),
    }
}

fn failed_call(call: &FailedCall, anchor: ClockAnchor) -> v1::CallFact {
    v1::CallFact {
        call: call_name(call.call).to_owned(),
        target: call.target.clone(),
        errno: call.errno.to_string(),
        count: narrow(call.count),
        last: date(call.last, anchor),
        pid: call.pid,
    }
}

fn inspected(file: &File) -> v1::FileFact {
    let inode = |Inode { kind, mode, uid, gid }: Inode| v1::Inode { kind: word(kind).to_owned(), mode, uid, gid };
    v1::FileFact { path: file.path.clone(), found: file.found.map(inode) }
}

fn limited(resource: &Resource) -> v1::ResourceFact {
    v1::ResourceFact {
        name: resource.name.clone(),
        unit: resource.unit.clone(),
        scope: resource.scope.clone(),
        limit: resource.limit,
        used: resource.used,
    }
}

const fn word(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Directory => "Directory",
        FileKind::File => "File",
        FileKind::Link => "Link",
        FileKind::Socket => "Socket",
        FileKind::Fifo => "Fifo",
        FileKind::CharDevice => "CharDevice",
        FileKind::BlockDevice => "BlockDevice",
        FileKind::Other => "Other",
    }
}

/// How a process ended.
pub(crate) fn exit_status(status: ExitStatus) -> v1::ExitStatus {
    match status {
        ExitStatus::Code(code) => v1::ExitStatus { code: Some(code.into()), signal: None },
        ExitStatus::Signal(signal) => v1::ExitStatus { code: None, signal: Some(signal.into()) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unready_diagnosis::{
        record::{Call, Errno},
        story::fact::{Exec, Exit, Mount},
        units::BootNanos,
    };
    use unready_proto::time::timestamp;

    const ANCHOR: ClockAnchor = ClockAnchor { boot: BootNanos(5), wall: 1_000 };

    #[test]
    fn a_call_has_its_name_its_errno_and_a_date() {
        let call =
            FailedCall { call: Call::Exec, target: "/app".into(), errno: Errno::EACCES, count: u64::MAX, last: BootNanos(7), pid: 3 };
        let evidence::Fact::Call(told) = fact(&Fact::Call(call), ANCHOR) else { unreachable!("a call stays one") };
        assert_eq!((told.call.as_str(), told.errno.as_str(), told.count), ("execve", "EACCES", u32::MAX));
        assert_eq!((told.target.as_str(), told.last, told.pid), ("/app", Some(timestamp(1_002)), 3));
    }

    #[test]
    fn a_file_that_is_not_there_is_told_apart_from_one_of_root() {
        let of = |found| {
            let evidence::Fact::File(file) = fact(&Fact::File(File { path: "/x".into(), found }), ANCHOR) else {
                unreachable!("a file stays one")
            };
            file.found
        };
        assert_eq!(of(None), None);
        let root = Inode { kind: FileKind::CharDevice, mode: 0o600, uid: 0, gid: 0 };
        assert_eq!(of(Some(root)), Some(v1::Inode { kind: "CharDevice".into(), mode: 384, uid: 0, gid: 0 }));
    }

    #[test]
    fn the_others_keep_what_they_say() {
        let told = |domain| fact(&domain, ANCHOR);
        let mount = Fact::Mount(Mount { point: "/data".into(), fstype: "ext4".into(), read_only: true });
        assert_eq!(told(mount), evidence::Fact::Mount(v1::MountFact { point: "/data".into(), fstype: "ext4".into(), read_only: true }));
        assert_eq!(told(Fact::Exec(Exec { path: "sh".into(), pid: 1 })), evidence::Fact::Exec(v1::ExecFact { path: "sh".into(), pid: 1 }));
        let killed = Some(v1::ExitStatus { code: None, signal: Some(9) });
        let exit = Fact::Exit(Exit { status: ExitStatus::Signal(9), pid: 0 });
        assert_eq!(told(exit), evidence::Fact::Exit(v1::ExitFact { status: killed, pid: 0 }));
        let socket = Fact::Socket(Socket { address: "::".into(), port: 80, pid: 4 });
        assert_eq!(told(socket), evidence::Fact::Socket(v1::SocketFact { address: "::".into(), port: 80, pid: 4 }));
        let (name, unit) = ("memory".to_owned(), "bytes".to_owned());
        let resource = Resource { name: name.clone(), unit: unit.clone(), scope: String::new(), limit: Some(u64::MAX), used: None };
        let expected = v1::ResourceFact { name, unit, scope: String::new(), limit: Some(u64::MAX), used: None };
        assert_eq!(told(Fact::Resource(resource)), evidence::Fact::Resource(expected));
    }
}
