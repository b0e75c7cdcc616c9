//! Which eBPF links and maps a process holds, from the `fdinfo` of its descriptors: no tool and no capability needed.

use anyhow::{Context, Result};
use std::{collections::BTreeMap, fs};

/// Tracepoints (raw ones included) that a process holds a link to, as `link_type tp_name`: `raw_tracepoint sys_exit`.
/// The name is missing where the kernel does not tell it (perf event links before Linux 6.17).
pub fn tracepoints(pid: u32) -> Result<Vec<String>> {
    let links = descriptions(pid)?.into_iter().filter_map(|info| {
        let kind = info.get("link_type")?.clone();
        Some(format!("{kind} {}", info.get("tp_name").or_else(|| info.get("name")).map_or("", String::as_str)).trim_end().to_owned())
    });
    Ok(links.collect())
}

/// Whether one of the tracepoints makes every system call of the machine take the slow path.
pub fn taxes_system_calls(tracepoints: &[String]) -> bool {
    tracepoints.iter().any(|name| name.contains(" sys_exit") || name.contains(" sys_enter"))
}

/// Memory of the maps that a process holds, bytes (`memlock` of a map's fdinfo), each map counted once.
pub fn map_bytes(pid: u32) -> Result<u64> {
    let maps: BTreeMap<String, u64> = descriptions(pid)?
        .into_iter()
        .filter(|info| info.contains_key("map_type"))
        .filter_map(|info| Some((info.get("map_id")?.clone(), info.get("memlock")?.parse().ok()?)))
        .collect();
    Ok(maps.values().sum())
}

/// The fdinfo of every descriptor, as name and value.
fn descriptions(pid: u32) -> Result<Vec<BTreeMap<String, String>>> {
    let folder = format!("/proc/{pid}/fdinfo");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {folder}"))?;
    // A descriptor that was closed meanwhile has nothing to tell.
    let texts = entries.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok());
    Ok(texts.map(|text| fields(&text)).collect())
}

fn fields(text: &str) -> BTreeMap<String, String> {
    text.lines().filter_map(|line| line.split_once(':')).map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}
