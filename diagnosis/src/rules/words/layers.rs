//! The layers of all causes: short, stable phrases that users, dashboards and tests may rely on.

use crate::cause::Cause;

/// The phrases, by the name that rules use.
#[allow(missing_docs, reason = "each phrase is explained in the table below")]
pub mod layer {
    pub const MODE_BITS: &str = "mode bits";
    pub const SUPPLEMENTARY_GROUP: &str = "supplementary group";
    pub const ACL: &str = "ACL";
    pub const OWNERSHIP: &str = "ownership";
    pub const STICKY_DIRECTORY: &str = "sticky directory";
    pub const SYSCTL: &str = "sysctl";
    pub const INODE_FLAG: &str = "inode flag";
    /// Followed by the capability's name: `capability NET_BIND_SERVICE`.
    pub const CAPABILITY: &str = "capability";
    pub const USER_NAMESPACE: &str = "user namespace";
    pub const MOUNT_FLAG: &str = "mount flag";
    pub const FILE_SERVER: &str = "file server";
    pub const DEVICE_RULES: &str = "device rules";
    pub const SECCOMP: &str = "seccomp";
    pub const LSM: &str = "security module";
    pub const CHANGED_SINCE: &str = "changed since";
    pub const UNEXPLAINED: &str = "unexplained";

    pub const READ_ONLY_ROOT: &str = "read-only root";
    pub const READ_ONLY_VOLUME: &str = "read-only volume";
    pub const READ_ONLY_MOUNT: &str = "read-only mount";

    pub const MISSING_FILE: &str = "missing file";
    pub const MISSING_DIRECTORY: &str = "missing directory";
    pub const DANGLING_LINK: &str = "dangling link";
    pub const MISSPELT: &str = "misspelt";
    pub const APPEARED_LATE: &str = "appeared late";

    pub const DIRECTORY_FOR_FILE: &str = "directory instead of file";
    pub const FILE_FOR_DIRECTORY: &str = "file instead of directory";
    pub const LINK_LOOP: &str = "link loop";
    pub const LINK_REFUSED: &str = "link refused";
    pub const NO_PEER: &str = "nobody behind it";

    pub const BYTES: &str = "bytes";
    pub const INODES: &str = "inodes";
    pub const QUOTA: &str = "quota";
    pub const FULL: &str = "full";

    pub const PROCESS_LIMIT: &str = "process limit";
    pub const SYSTEM_LIMIT: &str = "system limit";

    pub const PORT_TAKEN: &str = "port taken";
    pub const SOCKET_FILE: &str = "socket file left over";
    pub const NO_SUCH_ADDRESS: &str = "no such address";

    pub const SEARCH_PATH: &str = "not on PATH";
    pub const MISSING_COMMAND: &str = "missing command";
    pub const NO_EXECUTE_BIT: &str = "no x bit";
    pub const NOEXEC_MOUNT: &str = "noexec mount";
    pub const NO_PROGRAM: &str = "no program";
    pub const DIRECTORY: &str = "a directory";
    pub const LOADER: &str = "program interpreter";
    pub const LIBRARY: &str = "shared library";
    pub const MODULE: &str = "module";
    pub const MACHINE: &str = "machine";
    pub const INTERPRETER: &str = "interpreter";
    pub const CRLF: &str = "CR LF";

    pub const CA_BUNDLE: &str = "CA bundle";
    pub const ZONEINFO: &str = "time zones";
    pub const NAME_RESOLUTION: &str = "name resolution";
    pub const TEMPORARY_DIRECTORY: &str = "temporary directory";
    pub const ACCOUNT: &str = "account";
    pub const DEVICE: &str = "device";

    pub const MAIN_PROCESS: &str = "main process";
    pub const CHILD_PROCESS: &str = "child process";
    pub const EXIT_ZERO: &str = "exit code 0";
    pub const EXIT_CODE: &str = "exit code";
    pub const SIGNAL: &str = "signal";
}

/// A cause with its layers, each with what it means.
pub type LayerWords = (Cause, &'static [(&'static str, &'static str)]);

/// Every layer that a verdict can carry. `docs/causes.md` lists the same (a test holds them together).
pub const LAYERS: &[LayerWords] = &[
    (
        Cause::PermissionDenied,
        &[
            (layer::MODE_BITS, "the mode bits of the class that applies do not give what the call needs"),
            (layer::SUPPLEMENTARY_GROUP, "the group has the permission, and the process is not in the group"),
            (layer::ACL, "an entry of the POSIX ACL, or its mask, decides against the process"),
            (layer::OWNERSHIP, "only the owner may do this"),
            (layer::STICKY_DIRECTORY, "in a sticky directory only the owner of the file or the directory may remove or rename it"),
            (layer::SYSCTL, "the mode bits permit it, a hardening rule of `fs.protected_*` does not"),
            (layer::INODE_FLAG, "the inode is immutable or append-only (chattr)"),
            (layer::CAPABILITY, "a capability is missing; its name follows: `capability NET_BIND_SERVICE`"),
            (layer::USER_NAMESPACE, "the process has the capability, and its user namespace does not know the file's owner"),
            (layer::MOUNT_FLAG, "the mount is `noexec` or `nodev`"),
            (layer::FILE_SERVER, "the mode bits permit it, the network or FUSE file system does not"),
            (layer::DEVICE_RULES, "the mode bits permit it, the container's device rules probably do not"),
            (layer::SECCOMP, "the mode bits permit it, and a seccomp filter is on"),
            (layer::LSM, "the mode bits permit it, and a security module confines the process"),
            (layer::CHANGED_SINCE, "it is permitted now: owner or mode were changed after the failure"),
            (layer::UNEXPLAINED, "nothing that can be seen from outside denies it"),
        ],
    ),
    (
        Cause::ReadOnlyFilesystem,
        &[
            (layer::READ_ONLY_ROOT, "the container's root file system is read-only"),
            (layer::READ_ONLY_VOLUME, "a volume that the kubelet writes (ConfigMap, Secret, projected, downwardAPI), always read-only"),
            (layer::READ_ONLY_MOUNT, "any other mount that is read-only"),
        ],
    ),
    (
        Cause::FileMissing,
        &[
            (layer::MISSING_FILE, "the directory is there, the file is not"),
            (layer::MISSING_DIRECTORY, "a directory on the way is not there"),
            (layer::DANGLING_LINK, "a symbolic link leads to what is not there"),
            (layer::MISSPELT, "a name much like it is there"),
            (layer::APPEARED_LATE, "it was made after the program had looked for it"),
        ],
    ),
    (
        Cause::WrongFileType,
        &[
            (layer::DIRECTORY_FOR_FILE, "a directory where a file was meant"),
            (layer::FILE_FOR_DIRECTORY, "a file where a directory was meant"),
            (layer::LINK_LOOP, "symbolic links that lead to each other"),
            (layer::LINK_REFUSED, "a symbolic link that the program refuses to follow (`O_NOFOLLOW`)"),
            (layer::NO_PEER, "a FIFO without a reader, a socket, or a device without a driver"),
        ],
    ),
    (
        Cause::StorageFull,
        &[
            (layer::BYTES, "no free blocks"),
            (layer::INODES, "no free inodes: too many files"),
            (layer::QUOTA, "a quota of the user, group or project"),
            (layer::FULL, "full at that moment; which limit could not be checked again"),
        ],
    ),
    (
        Cause::TooManyFiles,
        &[
            (layer::PROCESS_LIMIT, "the process's limit of open files (`RLIMIT_NOFILE`)"),
            (layer::SYSTEM_LIMIT, "the node's limit of open files (`fs.file-max`)"),
        ],
    ),
    (
        Cause::AddressInUse,
        &[
            (layer::PORT_TAKEN, "another socket of the network namespace has the port"),
            (layer::SOCKET_FILE, "the file of a unix socket is there already"),
        ],
    ),
    (Cause::AddressUnavailable, &[(layer::NO_SUCH_ADDRESS, "no interface of the network namespace has the address")]),
    (
        Cause::CommandNotFound,
        &[(layer::SEARCH_PATH, "in none of the directories of PATH"), (layer::MISSING_COMMAND, "the path of the command does not exist")],
    ),
    (
        Cause::NotExecutable,
        &[
            (layer::NO_EXECUTE_BIT, "the file has no x bit for the process"),
            (layer::NOEXEC_MOUNT, "the file lies on a mount with `noexec`"),
            (layer::NO_PROGRAM, "neither an ELF file nor a script with `#!`"),
            (layer::DIRECTORY, "the command is a directory"),
        ],
    ),
    (Cause::LoaderMissing, &[(layer::LOADER, "the ELF file names a loader (PT_INTERP) that is not there")]),
    (
        Cause::LibraryMissing,
        &[
            (layer::LIBRARY, "a library that the program needs (DT_NEEDED) is in no directory that the loader searches"),
            (layer::MODULE, "a module of an interpreted program is in no directory that it searches"),
        ],
    ),
    (Cause::WrongArchitecture, &[(layer::MACHINE, "the ELF file is for another CPU")]),
    (
        Cause::ScriptInterpreterMissing,
        &[
            (layer::INTERPRETER, "the interpreter of the `#!` line is not there"),
            (layer::CRLF, "the `#!` line ends in CR LF, so that the interpreter's name ends in CR"),
        ],
    ),
    (
        Cause::RuntimeFileMissing,
        &[
            (layer::CA_BUNDLE, "no bundle of CA certificates where programs look for one"),
            (layer::ZONEINFO, "no time zone database"),
            (layer::NAME_RESOLUTION, "`/etc/resolv.conf`, `/etc/hosts` or `/etc/nsswitch.conf`"),
            (layer::TEMPORARY_DIRECTORY, "`/tmp`, `/var/tmp` or `/run`"),
            (layer::ACCOUNT, "`/etc/passwd` or `/etc/group`, or the user's entry in it"),
            (layer::DEVICE, "a device node or `/dev/shm`"),
        ],
    ),
    (
        Cause::OutOfMemory,
        &[
            (layer::MAIN_PROCESS, "the kernel killed the container's main process"),
            (layer::CHILD_PROCESS, "the kernel killed another process of the container"),
        ],
    ),
    (Cause::ExitedEarly, &[(layer::EXIT_ZERO, "it ended with success, and was expected to serve")]),
    (Cause::Crashed, &[(layer::EXIT_CODE, "it ended with a code other than 0"), (layer::SIGNAL, "a signal ended it")]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_layers_and_the_catalogue_explains_each() {
        let catalogue = include_str!("../../../../docs/causes.md");
        for cause in Cause::ALL {
            let (_, layers) = LAYERS.iter().find(|(known, _)| known == cause).unwrap_or_else(|| panic!("{cause} has no layers"));
            let section = catalogue.split("\n## ").find(|section| section.starts_with(cause.code()));
            let section = section.unwrap_or_else(|| panic!("docs/causes.md has no section on {cause}"));
            for (layer, meaning) in *layers {
                assert!(section.contains(&format!("`{layer}`")), "docs/causes.md, {cause}: the layer `{layer}` is not explained");
                assert!(!meaning.is_empty());
            }
        }
    }
}
