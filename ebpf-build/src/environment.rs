//! A Cargo inside a Cargo: what the outer one says to its build scripts must not reach the inner one.

use std::process::Command;

/// Cargo's own variables that are the user's, not the outer build's: where things are, and how to fetch them.
const KEPT: &[&str] = &["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRY_", "CARGO_REGISTRIES_", "CARGO_SOURCE_", "CARGO_TERM_"];
/// What else an outer build sets.
const DROPPED: &[&str] = &["RUSTC", "RUSTDOC", "RUSTFLAGS", "RUSTUP_TOOLCHAIN", "RUST_RECURSION_COUNT", "CLIPPY_", "__CARGO"];
const DROPPED_NAMES: &[&str] = &["TARGET", "HOST", "PROFILE", "OUT_DIR", "NUM_JOBS", "DEBUG", "OPT_LEVEL", "MAKEFLAGS", "MFLAGS"];

/// Removes the outer build's variables from a command's environment.
pub(crate) fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_outer_build) {
            command.env_remove(name);
        }
    }
}

fn is_of_outer_build(name: &str) -> bool {
    if DROPPED_NAMES.contains(&name) || DROPPED.iter().any(|prefix| name.starts_with(prefix)) {
        return true;
    }
    name.starts_with("CARGO") && !KEPT.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::is_of_outer_build;

    #[test]
    fn the_outer_build_is_not_seen() {
        for name in [
            "CARGO",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_MAKEFLAGS",
            "CARGO_TARGET_DIR",
            "RUSTC_WRAPPER",
            "RUSTUP_TOOLCHAIN",
            "TARGET",
            "CARGO_CFG_UNIX",
        ] {
            assert!(is_of_outer_build(name), "{name}");
        }
    }

    #[test]
    fn what_is_the_users_stays() {
        for name in ["PATH", "HOME", "CARGO_HOME", "CARGO_HTTP_PROXY", "RUSTUP_HOME", "CARGO_NET_OFFLINE", "CARGO_REGISTRIES_X_INDEX"] {
            assert!(!is_of_outer_build(name), "{name}");
        }
    }
}
