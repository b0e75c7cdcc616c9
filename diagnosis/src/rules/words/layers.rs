//! The layers of all causes: short, stable phrases that users, dashboards and tests may rely on.

use super::layer;
use crate::cause::Cause;

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
    (
        Cause::Crashed,
        &[
            (layer::EXIT_CODE, "it ended with a code other than 0"),
            (layer::SIGNAL, "a signal ended it"),
            (layer::PROBE, "the kubelet ended it, because its liveness or startup probe failed"),
        ],
    ),
    (
        Cause::InitSequence,
        &[
            (layer::INIT_CONTAINER, "an init container fails, or runs for long"),
            (layer::SIDECAR, "a sidecar fails, or has not started for long"),
        ],
    ),
    (
        Cause::Unschedulable,
        &[
            (layer::RESOURCES, "nodes have not enough of what the pod requests, or as many pods as allowed"),
            (layer::CLAIMS, "a claim of the pod does not exist or is not bound, or its volume is out of reach"),
            (layer::NODE_SELECTION, "nodeSelector, node affinity or nodeName fit no node"),
            (layer::HOST_PORTS, "the hostPort is in use"),
            (layer::SPREADING, "pod affinity, anti-affinity or topology spread constraints"),
            (layer::CORDONED, "nodes are cordoned or not ready"),
            (layer::TAINTS, "nodes have taints that the pod does not tolerate"),
            (layer::NO_NODES, "there are no nodes"),
            (layer::SCHEDULER, "no scheduler looks at the pod: the one that it names does not run"),
            (layer::OTHER_PREDICATE, "what the scheduler says, in its words"),
        ],
    ),
    (
        Cause::VolumeSetup,
        &[
            (layer::MISSING_OBJECT, "the ConfigMap or Secret of the volume does not exist"),
            (layer::MISSING_KEY, "`items` names a key that it does not have"),
            (layer::MISSING_CLAIM, "the PersistentVolumeClaim does not exist"),
            (layer::HOST_PATH, "the path on the node is not of the `type` that the volume asks for"),
            (layer::DRIVER, "the CSI driver does not run on the node"),
            (layer::ATTACHED_ELSEWHERE, "the volume is attached to another node"),
            (layer::OWNERSHIP_CHANGE, "the kubelet gives each file to the fsGroup, which takes long"),
            (layer::SHARED_VOLUME, "another pod has the volume mounted, so that the fsGroup has no effect"),
            (layer::RESIZE, "the volume could not be resized"),
            (layer::ATTACH, "the volume cannot be attached to the node"),
            (layer::MOUNT, "the volume cannot be mounted, for another reason or for none that is told"),
        ],
    ),
    (
        Cause::ImagePull,
        &[
            (layer::NO_SUCH_IMAGE, "the registry knows no such repository, tag or digest"),
            (layer::ACCESS_DENIED, "the registry wants a login, or refuses it, or hides that there is no such repository"),
            (layer::REGISTRY_UNREACHABLE, "its name does not resolve on the node, or it does not answer"),
            (layer::TLS, "its certificate is not trusted, or one side speaks TLS and the other does not"),
            (layer::RATE_LIMIT, "too many pulls"),
            (layer::PLATFORM, "there is no such image for the node's platform"),
            (layer::NEVER_PULLED, "imagePullPolicy is Never, and the node does not have it"),
            (layer::IMAGE_NAME, "the name is none"),
            (layer::SIGNATURE, "its signature is not accepted"),
            (layer::NODE_DISK, "the node has no room for it"),
            (layer::PULL_FAILED, "what the runtime says, in its words"),
        ],
    ),
    (
        Cause::SandboxSetup,
        &[
            (layer::NO_NETWORK, "the node has no CNI plug-in, or it is not ready"),
            (layer::NETWORK_PLUGIN, "the CNI plug-in fails"),
            (layer::ADDRESSES, "no address is left for the pod"),
            (layer::RUNTIME_CLASS, "the runtime that its RuntimeClass asks for is not on the node"),
            (layer::SANDBOX_IMAGE, "the image of the sandbox (pause) cannot be had"),
            (layer::SYSCTL, "a sysctl of the pod cannot be set"),
            (layer::USER_NAMESPACE, "the node cannot give it a user namespace"),
            (layer::CGROUP, "the pod's cgroup cannot be made"),
            (layer::DEVICES, "devices of its ResourceClaims cannot be prepared"),
            (layer::SANDBOX, "what the runtime says, in its words, or nothing for long"),
        ],
    ),
    (
        Cause::ConfigMissing,
        &[(layer::MISSING_OBJECT, "the ConfigMap or Secret does not exist"), (layer::MISSING_KEY, "it exists and does not have the key")],
    ),
    (
        Cause::ContainerRefused,
        &[
            (layer::ROOT_USER, "runAsNonRoot, and it would run as root"),
            (layer::UNVERIFIABLE_USER, "runAsNonRoot, and the image's user is a name, not a number"),
            (layer::NO_SUCH_USER, "the image's user is not in its /etc/passwd"),
            (layer::NO_COMMAND, "neither image nor pod name a command"),
            (layer::WORKING_DIRECTORY, "the working directory is missing or may not be entered"),
            (layer::MOUNT, "a volume cannot be mounted into the container"),
            (layer::DEVICES, "a device is missing"),
            (layer::PROFILE, "its seccomp, AppArmor or SELinux profile cannot be used"),
            (layer::NAME_RESERVED, "the runtime still works on an earlier attempt"),
            (layer::RUNTIME, "what the runtime says, in its words"),
        ],
    ),
    (
        Cause::PodRejected,
        &[
            (layer::SYSCTL, "a sysctl that the kubelet does not allow"),
            (layer::NODE_RESOURCES, "the node has not enough of what it requests, or not as its policy demands"),
            (layer::NODE_PRESSURE, "evicted: the node ran short of memory, disk or process ids"),
            (layer::STORAGE_LIMIT, "evicted: it wrote more than its limit of ephemeral storage, or an emptyDir's sizeLimit"),
            (layer::NODE_SELECTION, "the node does not match the pod's selector, affinity, nodeName or system"),
            (layer::HOST_PORTS, "a hostPort is in use"),
            (layer::DEVICES, "devices cannot be given to it"),
            (layer::PROFILE, "the node cannot enforce its AppArmor profile"),
            (layer::NODE_FEATURES, "kubelet or runtime lack a feature that it asks for"),
            (layer::NODE_SHUTDOWN, "the node shuts down, or is lost"),
            (layer::PREEMPTION, "it gave way to a critical pod"),
            (layer::DEADLINE, "activeDeadlineSeconds have passed"),
            (layer::REFUSED, "what the kubelet says, in its words"),
        ],
    ),
    (
        Cause::AdmissionDenied,
        &[
            (layer::QUOTA, "a ResourceQuota is used up, or demands requests or limits"),
            (layer::LIMIT_RANGE, "a LimitRange forbids it"),
            (layer::POD_SECURITY, "it violates the Pod Security level of the namespace"),
            (layer::SERVICE_ACCOUNT, "the service account does not exist"),
            (layer::WEBHOOK, "an admission webhook or policy denies it"),
            (layer::WEBHOOK_AWAY, "an admission webhook that must agree cannot be reached"),
            (layer::MISSING_OBJECT, "its PriorityClass, RuntimeClass or namespace does not exist"),
            (layer::INVALID, "the pod template is invalid"),
            (layer::REFUSED, "what the API server says, in its words"),
        ],
    ),
    (
        Cause::HookFailed,
        &[
            (layer::EXIT_CODE, "the hook's command ended with a code other than 0"),
            (layer::HOOK_COMMAND, "the hook's command is not in the image"),
            (layer::HTTP, "the hook's HTTP request failed"),
            (layer::POST_START, "postStart failed; how is not known any more"),
            (layer::PRE_STOP, "preStop failed"),
            (layer::GRACE_PERIOD, "preStop takes the grace period, or a part of it"),
        ],
    ),
    (Cause::ReadinessGate, &[(layer::GATE_ABSENT, "nobody has set the condition"), (layer::GATE_FALSE, "the condition is False")]),
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
