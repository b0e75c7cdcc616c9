//! Modes of files that only the kubelet writes: where the manifest says them, and the change of one.
//!
//! A file has the mode of its item, or else the volume's `defaultMode`. An item of a projected volume's source is out of
//! reach of a patch (`sources` is a list without a key); a service-account token has a mode of its own; the modes of
//! downwardAPI items are not known here. Where such a mode may be what counts, no change is given.

use super::{advice::item, located::Located};
use crate::pod::{KeyPath, VolumeSource};
use serde_json::{Value, json};

/// The mode of one file, where the manifest says it.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// It is the item's own, and not the volume's `defaultMode`.
    pub(super) of_item: bool,
    /// The pod's spec with the new mode.
    pub(super) fragment: Value,
}

/// Gives a file of a volume that the kubelet writes this mode. `now`: the one that it has, as far as it was looked at.
pub(super) fn set(place: &Located<'_>, mode: u32, now: Option<u32>) -> Option<Setting> {
    let written = place.volume.source.written()?;
    let wanted = place.in_volume();
    let volume = |fields: Value| json!({ "volumes": [{ "name": place.volume.name, written.field: fields }] });
    let items = place.volume.source.keys().map(|keys| keys.items).unwrap_or_default();
    let has_own = |item: &KeyPath| item.path == wanted && item.mode.is_some();
    if items.iter().any(has_own) {
        let mode_of = |one: &KeyPath| if one.path == wanted { Some(mode) } else { one.mode };
        let items: Vec<Value> = items.iter().map(|one| item(one, mode_of(one))).collect();
        return Some(Setting { of_item: true, fragment: volume(json!({ "items": items })) });
    }
    if place.volume.source.all_keys().flat_map(|keys| keys.items).any(has_own) {
        return None; // of a projected volume's source
    }
    if matches!(place.volume.source, VolumeSource::DownwardApi { .. }) && !now.is_some_and(|now| is_default(now, written.mode)) {
        return None;
    }
    Some(Setting { of_item: false, fragment: volume(json!({ "defaultMode": mode })) })
}

/// A file has the volume's mode, give or take what an fsGroup adds.
fn is_default(now: u32, default: Option<u32>) -> bool {
    const BY_FS_GROUP: u32 = 0o440;
    now & 0o777 | BY_FS_GROUP == default.unwrap_or(0o644) & 0o777 | BY_FS_GROUP
}
