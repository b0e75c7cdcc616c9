//! The sentences of a denial: who needs what on which component, and what decided.

use crate::{
    permission::{Class, Denial, Doubt, EXEC, Layer, Purpose, Rights, bits},
    question::{Component, FileKind, Walk},
    record::Call,
    story::failure::Failure,
    words,
};

/// The chain of reasons for a denial.
pub(super) fn reasons(failure: &Failure, walk: &Walk, denial: &Denial) -> Vec<String> {
    let who = who(failure, walk);
    let at = &denial.at;
    let what = format!("{}, which is {}", words::component(at), ids(failure, walk, at));
    let needs = format!("{who} needs {}", needed(denial));
    match &denial.layer {
        Layer::ModeBits(class) => std::iter::once(format!("{needs} on {what}")).chain(class_hint(*class, denial, at)).collect(),
        Layer::SupplementaryGroup { gid } => vec![format!("{needs} on {what}"), format!("group {gid} may, and the process is not in it")],
        Layer::Acl { tag, perm, masked_by } => {
            let entry = words::acl_tag(*tag);
            let decided = match masked_by {
                Some(mask) => format!(
                    "its ACL's entry {entry} gives {}, and the mask leaves {}",
                    words::permissions(*perm),
                    words::permissions(perm & mask)
                ),
                None => format!("its ACL decides by the entry {entry}, which gives {}", words::permissions(*perm)),
            };
            vec![format!("{needs} on {what}"), decided]
        }
        Layer::Ownership => vec![
            format!("{who} may not {} {what}", change(failure.call.call)),
            "only the owner may, or a process with CAP_FOWNER".to_owned(),
        ],
        Layer::Sticky { directory } => vec![
            format!(
                "directory {} is {} (sticky): only the owner of a file in it, or of itself, may remove or rename the file",
                directory.path,
                words::owner_mode(directory)
            ),
            format!("{who} is neither: {what}"),
        ],
        Layer::Sysctl(name) => sysctl(name, &who, &what),
        Layer::Immutable => {
            vec![format!("{} has the immutable flag (chattr +i): nobody may change it, root included", words::component(at)), who]
        }
        Layer::AppendOnly => vec![
            format!("{} has the append-only flag (chattr +a): it may be opened for appending and nothing else", words::component(at)),
            who,
        ],
        Layer::Capability(capability) => {
            let task = if denial.missing == 0 {
                format!("{who} may not {} {what}", act(failure.call.call, denial))
            } else {
                format!("{needs} on {what}")
            };
            vec![task, missing_capability(*capability)]
        }
        Layer::UserNamespace { capability, uid_inside, gid_inside } => vec![
            format!(
                "{who} {} {what}",
                if denial.missing == 0 { "may not change".to_owned() } else { format!("needs {} on", needed(denial)) }
            ),
            unmapped(at, *uid_inside, *gid_inside, denial.doubt),
            format!("{capability} of a user namespace reaches only files whose owner and group the namespace knows"),
        ],
        Layer::MountFlag(flag) => {
            vec![format!("{} is mounted with {flag}", words::mount(&at.mount)), format!("{who} cannot use {what}, there")]
        }
    }
}

/// `process uid …`, with the ids that count for the call.
fn who(failure: &Failure, walk: &Walk) -> String {
    let creds = &failure.call.creds;
    if failure.call.call == Call::Access {
        words::who_by_real_ids(creds, &walk.uid_map, &walk.gid_map)
    } else {
        words::who(creds, &walk.uid_map, &walk.gid_map)
    }
}

/// `0:0 0755`, and how a user namespace shows it when it differs.
fn ids(failure: &Failure, walk: &Walk, at: &Component) -> String {
    let rights = Rights::new(failure.call.call, &failure.call.creds, walk);
    let outside = words::owner_mode(at);
    if !rights.namespaced || walk.uid_map.is_empty() {
        return outside;
    }
    let show = |id: Option<u32>| id.map_or_else(|| "nobody".to_owned(), |id| id.to_string());
    format!("{outside} outside, {}:{} in the process's user namespace", show(rights.uid_inside(at.uid)), show(rights.gid_inside(at.gid)))
}

/// `w`, or in words what x means here.
fn needed(denial: &Denial) -> String {
    let letters = words::permissions(denial.missing);
    if denial.missing == EXEC && denial.at.kind == FileKind::Directory { format!("{letters} (search)") } else { letters }
}

/// Why the class that applies is weaker than another one: the trap of mode bits.
fn class_hint(class: Class, denial: &Denial, at: &Component) -> Option<String> {
    let gives = |class| bits::bits(at.mode, class) & denial.missing == denial.missing;
    match class {
        Class::Owner if gives(Class::Group) || gives(Class::Other) => {
            Some("the process is its owner, so that the owner's bits alone decide, although others have more".to_owned())
        }
        Class::Group if gives(Class::Other) => {
            Some(format!("the process is in group {}, so that the group's bits alone decide, although others have more", at.gid))
        }
        Class::Owner | Class::Group | Class::Other => None,
    }
}

fn sysctl(name: &str, who: &str, what: &str) -> Vec<String> {
    let rule = match name {
        "fs.protected_symlinks" => {
            "in a sticky directory that all may write, a link is followed only by its owner, or if it belongs to the directory's owner"
        }
        "fs.protected_hardlinks" => "a file is hard-linked only by its owner, or by who may read and write it, and never if it is set-uid",
        _ => {
            "in a sticky directory that others may write, O_CREAT opens an existing file only for its owner, or if it belongs to the directory's owner; root is no exception"
        }
    };
    vec![
        format!("the mode bits permit it, but {name} probably does not (the sysctl was not read)"),
        rule.to_owned(),
        format!("{who}; {what}"),
    ]
}

fn missing_capability(capability: crate::permission::Capability) -> String {
    let dropped = if capability.is_default() { ", which runtimes grant by default: it was dropped" } else { "" };
    format!("the process has not {capability}{dropped}")
}

fn unmapped(at: &Component, uid: Option<u32>, gid: Option<u32>, doubt: Option<Doubt>) -> String {
    if doubt == Some(Doubt::IdMap) {
        return format!("its owner {} or group {} is probably not mapped into the process's user namespace", at.uid, at.gid);
    }
    match (uid, gid) {
        (None, None) => format!("its owner {} and group {} are not mapped into the process's user namespace", at.uid, at.gid),
        (None, Some(_)) => format!("its owner {} is not mapped into the process's user namespace", at.uid),
        (Some(_), None) => format!("its group {} is not mapped into the process's user namespace", at.gid),
        (Some(_), Some(_)) => "the call needs the capability in the initial user namespace".to_owned(),
    }
}

fn change(call: Call) -> &'static str {
    if call == Call::Chmod {
        "change the mode of"
    } else if call == Call::Chown {
        "change the group of"
    } else {
        "open without updating the access time (O_NOATIME)"
    }
}

fn act(call: Call, denial: &Denial) -> &'static str {
    match (call, denial.purpose) {
        (Call::Chmod, _) => "change the mode of",
        (Call::Chown, _) => "change owner or group of",
        (Call::Mknod, _) => "make a device in",
        (_, Purpose::Remove) => "remove or rename in its sticky directory",
        (_, Purpose::Pass | Purpose::Create | Purpose::Use | Purpose::Execute | Purpose::Change | Purpose::Follow) => "use",
    }
}
