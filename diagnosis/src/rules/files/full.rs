//! `StorageFull` and `TooManyFiles`: ENOSPC, EDQUOT, EMFILE, ENFILE.
//!
//! The program may have tidied up since, so that room now disproves nothing; none left proves it.

use super::{Setting, about, finding, found_mount, gap, paths, volume};
use crate::{
    cause::Cause,
    question::{Answer, Limits, Mount, Question, Usage},
    record::{Errno, Target},
    rules::{Context, Failure, Finding, spec, words, words::layer},
    verdict::{Evidence, EvidenceKind, SubjectKind},
};

pub(super) fn questions(failure: &Failure, context: &Context<'_>) -> Vec<Question> {
    let scope = context.scope(failure.call.task.process);
    if matches!(failure.call.errno, Errno::EMFILE | Errno::ENFILE) {
        return vec![Question::Limits { scope }];
    }
    if let Target::File { fd, device, inode, ref name } = failure.call.target {
        return match found_mount(context) {
            None => vec![Question::FindMount { scope, device, fd, inode, name: name.clone() }],
            Some((Some(mount), path)) => vec![Question::Usage { scope, path: path.unwrap_or(mount.point), start: None }],
            Some((None, Some(path))) => vec![Question::Usage { scope, path, start: None }],
            Some((None, None)) => Vec::new(),
        };
    }
    paths(failure, context).pop().map(|(_, path)| Question::Usage { scope, path: path.path, start: path.start }).into_iter().collect()
}

pub(super) fn explain(failure: &Failure, context: &Context<'_>) -> Finding {
    if matches!(failure.call.errno, Errno::EMFILE | Errno::ENFILE) { too_many(failure, context) } else { storage(failure, context) }
}

fn usage<'a>(context: &Context<'a>) -> Option<&'a Usage> {
    context.answers.iter().find_map(|(_, answer)| if let Answer::Usage(usage) = answer { Some(usage) } else { None })
}

fn storage(failure: &Failure, context: &Context<'_>) -> Finding {
    let usage = usage(context);
    let found = found_mount(context);
    let mount = usage.map(|usage| usage.mount.clone()).or_else(|| found.as_ref().and_then(|(mount, _)| mount.clone()));
    let mount = mount.filter(|mount| !mount.point.is_empty());
    let path = found.and_then(|(_, path)| path).or_else(|| paths(failure, context).pop().map(|(_, path)| path.path));
    // A descriptor's file has no path once the process is gone: then what is full is named, not a bare file name.
    let full = mount.as_ref().map(|mount| mount.point.clone()).filter(|point| !point.is_empty());
    let name = path.clone().or(full).unwrap_or_else(|| words::subject_name(&failure.call.target));
    let layer = layer_of(failure, usage);
    let mut finding = about(Cause::StorageFull, layer, &name, failure);
    finding.explanation = reasons(failure, context, &name, mount.as_ref(), usage, layer);
    finding.remedy.text = remedy(context, mount.as_ref(), layer);
    if let Some(mount) = mount.as_ref().filter(|_| matches!(layer, layer::BYTES | layer::FULL)) {
        spec::limits::storage(&mut finding, context, &mount.point, usage);
    }
    finding.evidence = usage.map(|usage| Evidence::new(failure.last, EvidenceKind::Resource, room(usage))).into_iter().collect();
    finding.proved = usage.is_some_and(|usage| has_no_bytes(usage) || has_no_inodes(usage));
    finding
}

fn layer_of(failure: &Failure, usage: Option<&Usage>) -> &'static str {
    match usage {
        _ if failure.call.errno == Errno::EDQUOT => layer::QUOTA,
        Some(usage) if has_no_bytes(usage) => layer::BYTES,
        Some(usage) if has_no_inodes(usage) => layer::INODES,
        _ => layer::FULL,
    }
}

/// Less than a block of the usual size counts as nothing.
const fn has_no_bytes(usage: &Usage) -> bool {
    usage.bytes > 0 && usage.bytes_available < 4096
}

/// File systems without a fixed number of inodes (btrfs, some network ones) say 0 of 0.
const fn has_no_inodes(usage: &Usage) -> bool {
    usage.inodes > 0 && usage.inodes_available == 0
}

fn room(usage: &Usage) -> String {
    let bytes = format!("{} of {} free", words::bytes(usage.bytes_available), words::bytes(usage.bytes));
    let inodes = if usage.inodes == 0 { String::new() } else { format!(", {} of {} inodes", usage.inodes_available, usage.inodes) };
    format!("{}: {bytes}{inodes}", words::mount(&usage.mount))
}

fn reasons(failure: &Failure, context: &Context<'_>, name: &str, mount: Option<&Mount>, usage: Option<&Usage>, layer: &str) -> Vec<String> {
    let on = mount.map_or_else(|| "its file system".to_owned(), words::mount);
    let mut reasons = vec![match (layer, usage) {
        (layer::QUOTA, _) => format!("a quota on {on} is used up ({} says so)", failure.call.errno),
        (layer::BYTES, Some(usage)) => {
            format!("{on} is full: {} of {} free", words::bytes(usage.bytes_available), words::bytes(usage.bytes))
        }
        (layer::INODES, Some(usage)) => {
            format!("{on} has no inode left: all {} are used, although {} are free", usage.inodes, words::bytes(usage.bytes_available))
        }
        (_, Some(usage)) => format!(
            "{on} has {} of {} free now: the program tidied up since, or another limit was met",
            words::bytes(usage.bytes_available),
            words::bytes(usage.bytes)
        ),
        (_, None) => format!("{on} had no room for {name}"),
    }];
    if let Some(mount) = mount.filter(|_| Setting::of(context.workload) == Setting::Pod && context.spec.is_none())
        && let Some(volume) = volume::of_mount(mount)
    {
        reasons.push(format!("{} is {volume}", mount.point));
    }
    if usage.is_none() {
        let lost = matches!(found_mount(context), Some((None, None)));
        let why = if lost { "the file's device is none of the mounts that could be seen" } else { "it has not been looked at" };
        reasons.push(format!("how full it is now is not known: {}", gap(context).unwrap_or(why)));
    }
    reasons
}

fn remedy(context: &Context<'_>, mount: Option<&Mount>, layer: &str) -> String {
    let Some(mount) = mount else {
        return "Free space where the program writes (`df -h`, `df -i`), or let it write elsewhere.".to_owned();
    };
    let at = &mount.point;
    let setting = Setting::of(context.workload);
    if layer == layer::INODES {
        return format!("Remove files from {at}, or make the file system with more inodes (tmpfs: mount option nr_inodes).");
    }
    if layer == layer::QUOTA {
        return format!("Raise the quota on {at}, or remove files.");
    }
    let in_memory = mount.fstype == "tmpfs";
    match (setting, volume::of_mount(mount)) {
        (Setting::Pod, Some(_)) if in_memory => {
            format!("Raise sizeLimit of the emptyDir at {at} (and the memory limit: its content counts as memory), or write less.")
        }
        (Setting::Pod, Some(volume)) if volume.kind == volume::VolumeKind::EmptyDir => {
            format!("The node's disk holds {at}: free it, set an ephemeral-storage request that fits, or use a PersistentVolumeClaim.")
        }
        (Setting::Pod, Some(_)) => {
            format!("Enlarge the volume at {at} (resources.requests.storage of its PersistentVolumeClaim), or remove files from it.")
        }
        (Setting::Pod, None) => {
            "The container writes into its image layer on the node's disk: free the disk, and put what is written onto a volume.".to_owned()
        }
        (Setting::Container | Setting::Local, _) if in_memory => format!("Mount {at} with a larger size (option size=), or write less."),
        (Setting::Container | Setting::Local, _) => {
            format!("Free space on {at} (`df -h {at}`, `du -x {at}`), or let the program write elsewhere.")
        }
    }
}

fn too_many(failure: &Failure, context: &Context<'_>) -> Finding {
    let limits = context.answers.iter().find_map(|(_, answer)| if let Answer::Limits(limits) = answer { Some(*limits) } else { None });
    let system = failure.call.errno == Errno::ENFILE;
    let (layer, subject) = if system { (layer::SYSTEM_LIMIT, "fs.file-max") } else { (layer::PROCESS_LIMIT, "RLIMIT_NOFILE") };
    let mut found = finding(Cause::TooManyFiles, layer, (SubjectKind::Limit, subject), words::failure(failure));
    found.explanation = vec![if system { system_reason(limits) } else { process_reason(limits) }];
    if limits.is_none() {
        found.explanation.push(format!("the limit is not known: {}", gap(context).unwrap_or("it has not been looked at")));
    }
    found.remedy.text = if system {
        "Raise fs.file-max on the node, and find the process that holds so many files (`lsof`).".to_owned()
    } else {
        raise_limit(limits, context)
    };
    found.evidence = limits.map(|limits| Evidence::new(failure.last, EvidenceKind::Resource, limit_fact(limits))).into_iter().collect();
    // The limit itself proves EMFILE: the call fails for nothing else. It must be known, and not higher than what is open.
    found.proved = !system && limits.is_some_and(|limits| limits.open_files_soft.is_some());
    found
}

fn process_reason(limits: Option<Limits>) -> String {
    let Some(Limits { open_files_soft: Some(soft), open_files_hard, open_files, .. }) = limits else {
        return "the process has as many files open as its limit allows".to_owned();
    };
    let hard = open_files_hard.map(|hard| format!(", hard {hard}")).unwrap_or_default();
    let open = open_files.map(|open| format!("; {open} are open")).unwrap_or_default();
    format!("the process may have {soft} files open (soft limit{hard}){open}")
}

fn system_reason(limits: Option<Limits>) -> String {
    match limits.and_then(|limits| limits.system_files) {
        Some(max) => format!("all processes of the node together have reached fs.file-max = {max}"),
        None => "all processes of the node together have reached fs.file-max".to_owned(),
    }
}

fn limit_fact(limits: Limits) -> String {
    let show = |limit: Option<u64>| limit.map_or_else(|| "unknown".to_owned(), |limit| limit.to_string());
    format!(
        "open files: soft limit {}, hard limit {}, open {}; fs.file-max {}",
        show(limits.open_files_soft),
        show(limits.open_files_hard),
        show(limits.open_files),
        show(limits.system_files)
    )
}

fn raise_limit(limits: Option<Limits>, context: &Context<'_>) -> String {
    let hard = limits.and_then(|limits| limits.open_files_hard);
    let room = matches!((limits.and_then(|limits| limits.open_files_soft), hard), (Some(soft), Some(hard)) if hard > soft);
    let own = match hard {
        Some(hard) if room => {
            format!("Let the program raise its soft limit (the hard one is {hard}): `ulimit -n {hard}` before it starts. ")
        }
        _ => String::new(),
    };
    let further = match Setting::of(context.workload) {
        Setting::Pod => "Kubernetes has no field for it: the limit comes from the container runtime's service on the node (LimitNOFILE).",
        Setting::Container => "Set it for the container: `--ulimit nofile=…`, process.rlimits.",
        Setting::Local => "Raise the hard limit as root (`ulimit -n`, LimitNOFILE in its systemd unit, /etc/security/limits.conf).",
    };
    format!("{own}{further} If the number of open files grows without end, the program leaks them.")
}
