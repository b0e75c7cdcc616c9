//! The bare machine: file systems and power.

use anyhow::{Context as _, Result};
use rustix::{
    mount::{MountFlags, mount},
    system::{RebootCommand, reboot},
};
use std::{fs, thread, time::Duration};

/// Type and place, in the order in which they hold each other.
const MOUNTS: [(&str, &str); 6] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tmpfs", "/tmp"),
    ("tracefs", "/sys/kernel/tracing"),
    ("cgroup2", "/sys/fs/cgroup"),
];

/// Mounts what the agent expects of a machine.
pub(crate) fn mount_all() -> Result<()> {
    for (kind, place) in MOUNTS {
        // sysfs brings its mount points along; of the others some may be there.
        let _ = fs::create_dir_all(place);
        mount(kind, place, kind, MountFlags::empty(), None).with_context(|| format!("mount {kind} on {place}"))?;
    }
    Ok(())
}

/// Ends the machine; the serial line gets a moment for the last words.
pub(crate) fn power_off() -> ! {
    thread::sleep(Duration::from_millis(100));
    if let Err(error) = reboot(RebootCommand::PowerOff) {
        println!("NOTE the power cannot be switched off: {error}");
    }
    loop {
        thread::sleep(Duration::from_mins(1));
    }
}

/// The running kernel's release, for the report.
pub(crate) fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}
