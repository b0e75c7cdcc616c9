//! Compiles the eBPF programs and hands the object to the crate, which embeds it.
//!
//! Where there is no toolchain for it (an editor on a laptop, a plain `cargo check`), the object is empty and a warning says so:
//! everything else still compiles and is tested, and loading the programs says what is missing.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..");
    let programs = root.join("agent-ebpf");
    for input in ["agent-ebpf/src", "agent-ebpf/Cargo.toml", "agent-common/src", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let object = out.join("unready-agent-ebpf.o");
    match unready_ebpf_build::find() {
        Ok(toolchain) => {
            let built = toolchain.build(&programs, &target_dir(&out))?;
            copy_if_changed(&built, &object)?;
        }
        Err(missing) => {
            println!("cargo::warning=the agent is built without its eBPF programs and cannot watch anything: {missing}");
            fs::write(&object, [])?;
            // A file that is not there makes Cargo run this again, so that a later set-up takes effect by itself.
            println!("cargo::rerun-if-changed={}", out.join("no-toolchain-yet").display());
        }
    }
    Ok(())
}

/// A folder of its own beside the profiles of the outer build: an inner Cargo that waits for the outer one's lock would
/// wait for ever, and one a profile would compile `core` again for each.
fn target_dir(out: &Path) -> PathBuf {
    // OUT_DIR is TARGET_DIR/PROFILE/build/PACKAGE-HASH/out.
    out.ancestors().nth(4).unwrap_or(out).join("ebpf")
}

/// Leaves an equal file alone, so that nothing that embeds it is compiled again.
fn copy_if_changed(from: &Path, to: &Path) -> std::io::Result<()> {
    let new = fs::read(from)?;
    if fs::read(to).is_ok_and(|old| old == new) {
        return Ok(());
    }
    fs::write(to, new)
}
