//! No I/O, no thread, no clock in the crates that must be able to replay a recording: time is an argument there, and
//! what they need to know they ask. Nor where a container's files are judged: what may be opened there others decide. Clippy says the same of resolved names (`clippy.toml` of the crate); this check also
//! sees code that is compiled only elsewhere.

use super::{
    Finding,
    rust::{paths, tokens},
    tree::{Text, Tree},
};
use crate::project::Project;

const PURE: &[&str] = &["diagnosis/src/", "agent-common/src/", "inspect/src/"];
const FORBIDDEN: &[&str] = &["env", "fs", "io", "net", "os", "process", "thread", "time::Instant", "time::SystemTime"];

pub(super) fn check(_: &Project, tree: &Tree) -> Vec<Finding> {
    tree.rust().filter(|text| PURE.iter().any(|folder| text.path.starts_with(folder))).flat_map(impure).collect()
}

fn impure(text: &Text) -> Vec<Finding> {
    let tokens = tokens(&text.text);
    let found = paths(&tokens, "std").into_iter().filter(|(path, _)| is_forbidden(path));
    found.map(|(path, line)| Finding::new(&text.path, line, format!("{path}: this crate does no I/O and reads no clock"))).collect()
}

fn is_forbidden(path: &str) -> bool {
    let Some(inner) = path.strip_prefix("std::") else { return false };
    FORBIDDEN.iter().any(|name| inner.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_and_files_are_found_wherever_they_hide() {
        let code = "use std::{fmt, time::{Duration, Instant}};\n// std::fs\nfn f() { std::fs::read(x); }\n";
        let tree = Tree::of(&[("diagnosis/src/a.rs", code), ("agent/src/a.rs", code)]);
        let found: Vec<usize> = tree.rust().filter(|text| text.path.starts_with("diagnosis/")).flat_map(impure).map(|f| f.line).collect();
        assert_eq!(found, [1, 3]);
    }

    #[test]
    fn names_that_only_begin_alike_are_allowed() {
        for path in ["std::fmt::Write", "std::time::Duration", "std::iter::once", "core::net::IpAddr", "std::osmosis"] {
            assert!(!is_forbidden(path), "{path}");
        }
        assert!(is_forbidden("std::time::Instant::now") && is_forbidden("std::io"));
    }
}
