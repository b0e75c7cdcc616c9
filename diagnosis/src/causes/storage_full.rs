//! `StorageFull`: ENOSPC, EDQUOT.
//!
//! The program may have tidied up since, so that room now disproves nothing; none left proves it.

use super::rule::{self, Calls, Rule};
use crate::{
    case::{
        Case, Setting,
        finding::{Finding, Matter},
        look::{found_mount, gap, paths},
    },
    catalogue::{Cause, Layer, storage_full},
    knowledge::volume,
    question::{Answer, Mount, Question, Usage},
    record::{Errno, Target},
    story::{fact, fact::Fact, failure::Failure},
    verdict::{Evidence, EvidenceKind},
    words,
};

/// See the module's head.
pub(super) const RULE: Rule = Rule { says: &[Cause::StorageFull], calls: Some(Calls { takes, questions, explain }), others: None };

fn takes(failure: &Failure) -> bool {
    matches!(failure.call.errno, Errno::ENOSPC | Errno::EDQUOT) && rule::is_on_file(failure)
}

fn questions(failure: &Failure, case: &Case<'_>) -> Vec<Question> {
    let scope = case.scope(failure.call.task.process);
    if let Target::File { fd, device, inode, ref name } = failure.call.target {
        return match found_mount(case) {
            None => vec![Question::FindMount { scope, device, fd, inode, name: name.clone() }],
            Some((Some(mount), path)) => vec![Question::Usage { scope, path: path.unwrap_or(mount.point), start: None }],
            Some((None, Some(path))) => vec![Question::Usage { scope, path, start: None }],
            Some((None, None)) => Vec::new(),
        };
    }
    paths(failure, case).pop().map(|(_, path)| Question::Usage { scope, path: path.path, start: path.start }).into_iter().collect()
}

fn usage<'a>(case: &Case<'a>) -> Option<&'a Usage> {
    case.answers.iter().find_map(|(_, answer)| if let Answer::Usage(usage) = answer { Some(usage) } else { None })
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of a rule")]
fn explain(failure: &Failure, case: &Case<'_>) -> Option<Finding> {
    let usage = usage(case);
    let found = found_mount(case);
    let mount = usage.map(|usage| usage.mount.clone()).or_else(|| found.as_ref().and_then(|(mount, _)| mount.clone()));
    let mount = mount.filter(|mount| !mount.point.is_empty());
    let path = found.and_then(|(_, path)| path).or_else(|| paths(failure, case).pop().map(|(_, path)| path.path));
    // A descriptor's file has no path once the process is gone: then what is full is named, not a bare file name.
    let full = mount.as_ref().map(|mount| mount.point.clone()).filter(|point| !point.is_empty());
    let name = path.clone().or(full).unwrap_or_else(|| words::subject_name(&failure.call.target));
    let layer = layer_of(failure, usage);
    let mut finding = Finding::about(layer, &name, failure);
    finding.explanation = reasons(failure, case, &name, mount.as_ref(), usage, layer);
    finding.remedy.text = remedy(case, mount.as_ref(), layer);
    let bears = matches!(layer, storage_full::BYTES | storage_full::FULL);
    finding.matter = mount.filter(|_| bears).map(|mount| Matter::Storage(mount.point, usage.cloned()));
    finding.evidence = usage.map(|usage| room_fact(failure, usage)).into_iter().collect();
    finding.proved = usage.is_some_and(|usage| has_no_bytes(usage) || has_no_inodes(usage));
    Some(finding)
}

fn layer_of(failure: &Failure, usage: Option<&Usage>) -> Layer {
    match usage {
        _ if failure.call.errno == Errno::EDQUOT => storage_full::QUOTA,
        Some(usage) if has_no_bytes(usage) => storage_full::BYTES,
        Some(usage) if has_no_inodes(usage) => storage_full::INODES,
        _ => storage_full::FULL,
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

fn room_fact(failure: &Failure, usage: &Usage) -> Evidence {
    let (name, unit, limit, left) = if has_no_inodes(usage) {
        ("inodes", "inodes", usage.inodes, usage.inodes_available)
    } else {
        ("storage", "bytes", usage.bytes, usage.bytes_available)
    };
    let fact = fact::Resource {
        name: name.to_owned(),
        unit: unit.to_owned(),
        scope: usage.mount.point.clone(),
        limit: Some(limit),
        used: Some(limit.saturating_sub(left)),
    };
    Evidence::new(failure.last, EvidenceKind::Resource, room(usage)).with(Fact::Resource(fact))
}

fn room(usage: &Usage) -> String {
    let bytes = format!("{} of {} free", words::bytes(usage.bytes_available), words::bytes(usage.bytes));
    let inodes = if usage.inodes == 0 { String::new() } else { format!(", {} of {} inodes", usage.inodes_available, usage.inodes) };
    format!("{}: {bytes}{inodes}", words::mount(&usage.mount))
}

fn reasons(failure: &Failure, case: &Case<'_>, name: &str, mount: Option<&Mount>, usage: Option<&Usage>, layer: Layer) -> Vec<String> {
    let on = mount.map_or_else(|| "its file system".to_owned(), words::mount);
    let mut reasons = vec![match (layer, usage) {
        (storage_full::QUOTA, _) => format!("a quota on {on} is used up ({} says so)", failure.call.errno),
        (storage_full::BYTES, Some(usage)) => {
            format!("{on} is full: {} of {} free", words::bytes(usage.bytes_available), words::bytes(usage.bytes))
        }
        (storage_full::INODES, Some(usage)) => {
            format!("{on} has no inode left: all {} are used, although {} are free", usage.inodes, words::bytes(usage.bytes_available))
        }
        (_, Some(usage)) => format!(
            "{on} has {} of {} free now: the program tidied up since, or another limit was met",
            words::bytes(usage.bytes_available),
            words::bytes(usage.bytes)
        ),
        (_, None) => format!("{on} had no room for {name}"),
    }];
    if let Some(mount) = mount.filter(|_| case.setting() == Setting::Pod && case.manifest.is_none())
        && let Some(volume) = volume::of_mount(mount)
    {
        reasons.push(format!("{} is {volume}", mount.point));
    }
    if usage.is_none() {
        let lost = matches!(found_mount(case), Some((None, None)));
        let why = if lost { "the file's device is none of the mounts that could be seen" } else { "it has not been looked at" };
        reasons.push(format!("how full it is now is not known: {}", gap(case).unwrap_or(why)));
    }
    reasons
}

fn remedy(case: &Case<'_>, mount: Option<&Mount>, layer: Layer) -> String {
    let Some(mount) = mount else {
        return "Free space where the program writes (`df -h`, `df -i`), or let it write elsewhere.".to_owned();
    };
    let at = &mount.point;
    let setting = case.setting();
    if layer == storage_full::INODES {
        return format!("Remove files from {at}, or make the file system with more inodes (tmpfs: mount option nr_inodes).");
    }
    if layer == storage_full::QUOTA {
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
