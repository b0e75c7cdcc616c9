//! `PermissionDenied` of calls on files: the judgement of [`crate::permission`], told.
//!
//! A rule that refuses now as it did then is proof. If none does, the finding says what it could be and proves nothing:
//! rights that were changed since, a file server, the container's device rules, a security module, a seccomp filter.

mod low_port;
mod privileges;
mod reasons;
mod remedies;

use super::rule::{self, Calls, Rule};
use crate::{
    case::{
        Case,
        finding::{DeniedPath, Finding, Matter},
        look::{attempt, file_fact, gap, is_live, mount_fact, name_of, paths, walk_of, walks, whereabouts},
    },
    catalogue::{self, Cause, permission_denied},
    permission::{Attempt, Denial, Doubt, Judgement, Layer, Role, judge},
    question::{Component, FileKind, Question, Walk},
    record::{Call, Errno, PathArg, Target},
    story::failure::Failure,
    words,
};

/// See the module's head.
pub(super) const RULE: Rule = Rule { says: &[Cause::PermissionDenied], calls: Some(Calls { takes, questions, explain }), others: None };

fn takes(failure: &Failure) -> bool {
    let refused = matches!(failure.call.errno, Errno::EACCES | Errno::EPERM);
    refused && (rule::is_on_file(failure) || low_port::is_bind(failure))
}

fn questions(failure: &Failure, case: &Case<'_>) -> Vec<Question> {
    if low_port::is_bind(failure) {
        low_port::questions(failure, case)
    } else if privileges::are_asked(failure.call.call) {
        privileges::questions(failure, case)
    } else {
        walks(failure, case)
    }
}

fn explain(failure: &Failure, case: &Case<'_>) -> Option<Finding> {
    if let Target::Inet { address, port } = &failure.call.target {
        return Some(low_port::refused(failure, case, address, *port));
    }
    if privileges::are_asked(failure.call.call) {
        return privileges::explain(failure, case);
    }
    if matches!(failure.call.call, Call::Accept | Call::Read) {
        return None;
    }
    Some(on_paths(failure, case))
}

/// The finding of a call that was refused on one of its paths.
pub(crate) fn on_paths(failure: &Failure, case: &Case<'_>) -> Finding {
    let paths = paths(failure, case);
    let walked: Vec<(Role, &PathArg, &Walk)> = paths.iter().filter_map(|(role, path)| Some((*role, path, walk_of(case, path)?))).collect();
    for (role, path, walk) in &walked {
        let attempt = attempt(failure, *role, path, walk);
        if let Judgement::Denied(denial) = judge(&attempt) {
            return denied(failure, case, path, &attempt, *denial);
        }
    }
    match walked.as_slice() {
        [] => not_walked(failure, case, paths.first().map(|(_, path)| path)),
        [.., (role, path, walk)] => match judge(&attempt(failure, *role, path, walk)) {
            Judgement::Unseen(why) => unseen(failure, path, &why),
            Judgement::Denied(_) | Judgement::Permitted => permitted(failure, case, path, walk),
        },
    }
}

fn denied(failure: &Failure, case: &Case<'_>, path: &PathArg, attempt: &Attempt<'_>, denial: Denial) -> Finding {
    let setting = case.setting();
    let walk = attempt.walk;
    let (layer, detail) = layer_of(&denial.layer);
    let mut finding = Finding { detail, ..Finding::about(layer, &name_of(path, Some(walk)), failure) };
    finding.explanation = reasons::reasons(failure, walk, &denial);
    if case.manifest.is_none() {
        finding.explanation.extend(whereabouts(walk, &denial.at, setting));
    }
    finding.explanation.extend(denial.doubt.map(|doubt| match doubt {
        Doubt::Groups => "the process has more groups than were captured; one of them may change this".to_owned(),
        Doubt::IdMap => "the map of its user namespace could not be read any more: this is what remains, not what was seen".to_owned(),
    }));
    finding.remedy.text = remedies::for_denial(failure, walk, &denial, setting);
    finding.evidence = vec![file_fact(&denial.at, walk), mount_fact(&denial.at.mount, walk)];
    finding.proved = denial.doubt.is_none() && is_live(walk) && !matches!(denial.layer, Layer::Sysctl(_));
    finding.matter = Some(Matter::Denied(Box::new(DeniedPath { role: attempt.role, path: path.clone(), denial })));
    finding
}

/// The catalogue's layer, and what follows its word.
fn layer_of(layer: &Layer) -> (catalogue::Layer, &'static str) {
    match layer {
        Layer::ModeBits(_) => (permission_denied::MODE_BITS, ""),
        Layer::SupplementaryGroup { .. } => (permission_denied::SUPPLEMENTARY_GROUP, ""),
        Layer::Acl { .. } => (permission_denied::ACL, ""),
        Layer::Ownership => (permission_denied::OWNERSHIP, ""),
        Layer::Sticky { .. } => (permission_denied::STICKY_DIRECTORY, ""),
        Layer::Sysctl(_) => (permission_denied::SYSCTL, ""),
        Layer::Immutable | Layer::AppendOnly => (permission_denied::INODE_FLAG, ""),
        Layer::Capability(capability) => (permission_denied::CAPABILITY, capability.name()),
        Layer::UserNamespace { .. } => (permission_denied::USER_NAMESPACE, ""),
        Layer::MountFlag(_) => (permission_denied::MOUNT_FLAG, ""),
    }
}

/// Nothing is known of the path (yet).
fn not_walked(failure: &Failure, case: &Case<'_>, path: Option<&PathArg>) -> Finding {
    let name = path.map_or_else(|| words::subject_name(&failure.call.target), |path| path.path.clone());
    let why = match (gap(case), path) {
        (Some(reason), _) => reason.to_owned(),
        (None, Some(path)) if path.cut => "the path was longer than what is captured".to_owned(),
        (None, _) => "the path has not been looked at".to_owned(),
    };
    let mut finding = Finding::about(permission_denied::UNEXPLAINED, &name, failure);
    finding.explanation =
        vec![format!("{} was refused", words::who(&failure.call.creds, &[], &[])), format!("which rule refused it is not known: {why}")];
    finding.remedy.text = format!("Look at owner and mode of {name} and of the directories above it (`namei -l {name}`).");
    finding
}

fn unseen(failure: &Failure, path: &PathArg, why: &str) -> Finding {
    let mut finding = Finding::about(permission_denied::UNEXPLAINED, &path.path, failure);
    finding.explanation = vec![
        format!("{} was refused", words::who(&failure.call.creds, &[], &[])),
        format!("which rule refused it could not be evaluated: {why}"),
    ];
    finding.remedy.text = format!("Look at owner and mode of {} and of the directories above it.", path.path);
    finding
}

/// Nothing that can be evaluated from outside refuses it.
fn permitted(failure: &Failure, case: &Case<'_>, path: &PathArg, walk: &Walk) -> Finding {
    let name = name_of(path, Some(walk));
    let (layer, reasons, remedy) = something_else(failure, case, walk, &name);
    let mut finding = Finding::about(layer, &name, failure);
    let who = words::who(&failure.call.creds, &walk.uid_map, &walk.gid_map);
    let on = decisive(walk).map(|c| format!(" on {}, which is {}", words::component(c), words::owner_mode(c))).unwrap_or_default();
    finding.explanation = vec![format!("the mode bits permit it: {who}{on}")];
    finding.explanation.extend(reasons);
    if matches!(layer, permission_denied::SECCOMP | permission_denied::LSM) {
        finding.matter = Some(Matter::Confined);
    }
    finding.remedy.text = remedy;
    finding.evidence = decisive(walk).map(|c| vec![file_fact(c, walk), mount_fact(&c.mount, walk)]).unwrap_or_default();
    finding
}

/// The component that the call was about: the last one there.
fn decisive(walk: &Walk) -> Option<&Component> {
    walk.components.last()
}

fn something_else(failure: &Failure, case: &Case<'_>, walk: &Walk, name: &str) -> (catalogue::Layer, Vec<String>, String) {
    if let Some(after) = changed_since(failure, case, walk) {
        return (
            permission_denied::CHANGED_SINCE,
            vec![format!("its owner, mode or content changed {after} after the failure, so that the right may have been given too late")],
            format!("If {name} is prepared by an init container or a sidecar, start the program only after that; otherwise try again."),
        );
    }
    let last = decisive(walk);
    if let Some(server) = last.and_then(|c| file_server(&c.mount.fstype)) {
        return (
            permission_denied::FILE_SERVER,
            vec![format!("{} has the last word: {}", words::mount(&last.map(|c| c.mount.clone()).unwrap_or_default()), server.0)],
            server.1.to_owned(),
        );
    }
    let is_device =
        last.is_some_and(|c| matches!(c.kind, FileKind::CharDevice | FileKind::BlockDevice)) || failure.call.call == Call::Mknod;
    if is_device && failure.call.errno == Errno::EPERM {
        return (
            permission_denied::DEVICE_RULES,
            vec!["a container may use only the devices that its runtime allows (device rules of its cgroup)".to_owned()],
            "Ask for the device through its device plugin (resources.limits), or add it to the container's devices.".to_owned(),
        );
    }
    confinement(failure.call.errno, walk)
}

/// Security module or seccomp filter. Modules refuse file access with EACCES; filters refuse calls, by default with EPERM.
fn confinement(errno: Errno, walk: &Walk) -> (catalogue::Layer, Vec<String>, String) {
    let module = walk.lsm.as_deref().map(|label| format!("a security module confines the process: {label}"));
    let filter = (walk.seccomp == Some(true)).then(|| "a seccomp filter is on".to_owned());
    let module_remedy =
        "Look for the denial in the node's audit log (`journalctl -k | grep -i -e apparmor -e avc`), and allow it in the profile \
        or choose another one (securityContext.appArmorProfile, seLinuxOptions)."
            .to_owned();
    let filter_remedy =
        "Allow the call in the seccomp profile (securityContext.seccompProfile), or find out why the program needs it.".to_owned();
    match (module, filter, errno == Errno::EPERM) {
        (Some(module), None, _) => (permission_denied::LSM, vec![module], module_remedy),
        (Some(module), Some(filter), false) => (permission_denied::LSM, vec![module, filter], module_remedy),
        (module, Some(filter), true) => (permission_denied::SECCOMP, std::iter::once(filter).chain(module).collect(), filter_remedy),
        (None, Some(filter), false) => (
            permission_denied::UNEXPLAINED,
            vec![
                format!("{filter}, but filters seldom refuse with {errno}"),
                "a security module without a label (Landlock) leaves no trace".to_owned(),
            ],
            "Look into the node's audit log, and at what the program restricts itself to (Landlock).".to_owned(),
        ),
        (None, None, _) => (
            permission_denied::UNEXPLAINED,
            vec![
                "no seccomp filter and no security module was seen; a restriction that the program gave itself (Landlock) leaves no trace"
                    .to_owned(),
            ],
            "Look into the node's audit log, and at what the program restricts itself to.".to_owned(),
        ),
    }
}

/// How long after the last failure the thing itself changed.
fn changed_since(failure: &Failure, case: &Case<'_>, walk: &Walk) -> Option<String> {
    let failed = case.clock.wall_nanos(failure.last);
    let changed = decisive(walk)?.changed?;
    (case.clock.wall > 0 && changed > failed).then(|| words::duration(std::time::Duration::from_nanos(changed - failed)))
}

/// File systems whose server or daemon decides, with why and what to do.
fn file_server(fstype: &str) -> Option<(&'static str, &'static str)> {
    match fstype {
        "nfs" | "nfs4" => Some((
            "the NFS server maps users (root_squash makes root nobody) and checks again",
            "Let the export allow the user: run as a uid that owns the directory on the server, or change the export's squash options.",
        )),
        "cifs" | "smb3" => Some((
            "the server checks the rights of the account that mounted the share",
            "Set uid, gid, file_mode and dir_mode in the volume's mountOptions, or the rights of that account on the server.",
        )),
        "vfat" | "exfat" | "msdos" => {
            Some(("it knows no owners, modes or links", "Set uid, gid and umask in the mount's options, or use a file system with owners."))
        }
        fuse if fuse.starts_with("fuse") => Some((
            "the FUSE daemon decides, and without `allow_other` only the user who mounted it may enter",
            "Mount it with `allow_other` (and uid/gid where the driver has them).",
        )),
        "ceph" | "9p" | "virtiofs" | "afs" => Some(("its server checks again", "Allow the user on the server.")),
        _ => None,
    }
}
