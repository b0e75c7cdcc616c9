//! CONTRIBUTING.md lists the places of a cause: each is there, for every cause that a rule brings, and a cause is named in few others.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "what the crate may not do, its tests must")]

use std::{
    fs,
    path::{Path, PathBuf},
};
use unready_diagnosis::{catalogue::Cause, causes};

/// Source files that may speak of one cause, so that a new one stays a matter of a few.
const MOST_FILES: usize = 6;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The rows of the first table below the heading: the place, as it is written.
fn places() -> Vec<String> {
    let text = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let (_, section) = text.split_once("\n## Add a cause\n").expect("a section on adding a cause");
    let rows = section.lines().skip_while(|line| !line.starts_with("| ")).take_while(|line| line.starts_with("| "));
    rows.filter_map(|row| Some(row.split('`').nth(1)?.to_owned())).collect()
}

/// `read_only_filesystem` of `ReadOnlyFilesystem`.
fn snake(code: &str) -> String {
    let mut name = String::new();
    for c in code.chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(c.to_lowercase());
    }
    name
}

/// Whether a place is there for a cause: a file that is its own, or one that names it.
fn is_there(place: &str, cause: Cause) -> bool {
    let path = root().join(place.replace("<Cause>", cause.code()).replace("<cause>", &snake(cause.code())));
    let folder = path.with_extension("").join("mod.rs");
    let own = place.contains("<cause>") || place.contains("<Cause>");
    if own {
        return path.exists() || folder.exists();
    }
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{place}: {error}"));
    text.contains(cause.code()) || text.contains(&format!("{}::RULE", snake(cause.code())))
}

#[test]
fn every_place_of_the_list_is_there_for_every_cause() {
    let places = places();
    assert!(places.len() >= 5, "{places:?}");
    for rule in causes::TABLE {
        for cause in rule.says {
            let shared = rule.says.len() > 1; // one failing call decides between them: they share a folder and a row
            let of_rule = |place: &&String| !(shared && place.starts_with("diagnosis/src/causes/"));
            for place in places.iter().filter(of_rule) {
                assert!(is_there(place, *cause), "{cause}: CONTRIBUTING.md says that it is in {place}");
            }
        }
    }
}

fn sources(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            sources(&entry, all);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            all.push(entry);
        }
    }
}

#[test]
fn a_cause_is_named_in_few_files() {
    let mut all = Vec::new();
    for folder in ["diagnosis/src", "agent/src", "cli/src", "collector/src", "kubernetes/src", "wire/src"] {
        sources(&root().join(folder), &mut all);
    }
    // Tests name causes as examples.
    all.retain(|path| !path.to_string_lossy().contains("tests"));
    let texts: Vec<String> = all.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let code = |text: &str| text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
    let texts: Vec<String> = texts.iter().map(|text| code(text)).collect();
    for cause in causes::TABLE.iter().flat_map(|rule| rule.says) {
        let (named, module) = (format!("Cause::{}", cause.code()), format!("{}::", snake(cause.code())));
        let files = texts.iter().filter(|text| text.contains(&named) || text.contains(&module)).count();
        assert!(files <= MOST_FILES, "{cause} is named in {files} source files");
    }
}
