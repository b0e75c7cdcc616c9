//! Compiles the eBPF programs and hands the object to the crate, which embeds it, with the versions of what made it.
//!
//! Where there is no toolchain for it the build fails and says what is missing: an agent without its programs watches nothing, and
//! must not come about by accident. Whoever wants one all the same (an editor on a laptop, a plain `cargo check`) asks for it by
//! name, `UNREADY_WITHOUT_EBPF=1`: the object is then empty, everything else still compiles, and loading it says why it cannot.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// Asks for an agent without eBPF programs.
const WITHOUT: &str = "UNREADY_WITHOUT_EBPF";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..");
    let programs = root.join("agent-ebpf");
    for input in ["agent-ebpf/src", "agent-ebpf/Cargo.toml", "agent-common/src", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    println!("cargo::rerun-if-env-changed={WITHOUT}");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let object = out.join("unready-agent-ebpf.o");
    if env::var_os(WITHOUT).is_some_and(|value| value == "1") {
        println!("cargo::warning=the agent is built without its eBPF programs, as {WITHOUT}=1 asks: it cannot watch anything");
        fs::write(&object, [])?;
        made_by("none, left out when it was built");
        return Ok(());
    }
    match unready_ebpf_build::find() {
        Ok(toolchain) => {
            let built = toolchain.build(&programs, &target_dir(&out))?;
            copy_if_changed(&built, &object)?;
            made_by(&toolchain.versions());
        }
        // A build script that failed runs again with the next build, so that a later set-up takes effect by itself.
        Err(missing) => println!("cargo::error={missing}; {WITHOUT}=1 builds an agent without them, which cannot watch anything"),
    }
    Ok(())
}

/// `unready-agent --version` says it.
fn made_by(what: &str) {
    println!("cargo::rustc-env=UNREADY_EBPF_MADE_BY={what}");
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
