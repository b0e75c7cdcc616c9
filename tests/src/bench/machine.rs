//! The conditions of a measurement: a number without them says nothing.

use rustix::system::uname;
use std::{fs, thread, time::SystemTime};

/// One line: date, kernel, processors, build.
pub fn conditions() -> String {
    let system = uname();
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let build = if cfg!(debug_assertions) { "debug build" } else { "release build" };
    format!(
        "{}, Linux {} ({}), {processors} × {}, {build} of Unready {}",
        humantime::format_rfc3339_seconds(SystemTime::now()),
        system.release().to_string_lossy(),
        system.machine().to_string_lossy(),
        model(),
        env!("CARGO_PKG_VERSION"),
    )
}

/// The processor as `/proc/cpuinfo` names it.
fn model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")).and_then(|rest| rest.split_once(": "));
    name.map_or_else(|| "processor of unknown name".to_owned(), |(_, name)| name.trim().to_owned())
}
