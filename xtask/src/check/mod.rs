//! `cargo xtask check`: the invariants of ARCHITECTURE.md, one module each.
//!
//! A check reads the [`Tree`] and returns [`Finding`]s; it changes nothing. A warning is printed and does not fail.

mod arrows;
mod causes;
mod coverage;
mod deploy;
mod docs;
mod generated;
mod hygiene;
mod lengths;
mod links;
mod metrics;
mod outlets;
mod portable;
mod purity;
mod rust;
mod tree;
mod unsafety;

use crate::{progress::Progress, project::Project};
use anyhow::{Result, bail};
use std::fmt;
use tree::Tree;

const PROGRESS: Progress = Progress::new("check");

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    /// Path from the root of the repository.
    file: String,
    /// From 1; 0 is the file as a whole.
    line: usize,
    /// What, and what to do.
    message: String,
    /// Only a warning.
    is_warning: bool,
}

impl Finding {
    fn new(file: impl Into<String>, line: usize, message: impl Into<String>) -> Self {
        Self { file: file.into(), line, message: message.into(), is_warning: false }
    }

    /// A check that could not do its work has found something, too.
    fn of_error(file: &str, error: &anyhow::Error) -> Vec<Self> {
        vec![Self::new(file, 0, format!("{error:#}"))]
    }

    fn warning(file: impl Into<String>, line: usize, message: impl Into<String>) -> Self {
        Self { is_warning: true, ..Self::new(file, line, message) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_warning { "warning: " } else { "" };
        match self.line {
            0 => write!(f, "{}: {word}{}", self.file, self.message),
            line => write!(f, "{}:{line}: {word}{}", self.file, self.message),
        }
    }
}

type Check = fn(&Project, &Tree) -> Vec<Finding>;

const CHECKS: &[(&str, Check)] = &[
    ("dependency arrows", arrows::check),
    ("kubectl unready needs no Linux", portable::check),
    ("no I/O and no clock in the pure crates", purity::check),
    ("unsafe code only where it is allowed", unsafety::check),
    ("file lengths", lengths::check),
    ("every module says what it is for", docs::check),
    ("every cause is documented", causes::check),
    ("every cause has scenarios", coverage::check),
    ("links in the documentation", links::check),
    ("repository hygiene", hygiene::check),
    ("generated code is fresh", generated::check),
    ("chart and manifests agree", deploy::check),
    ("every metric is documented", metrics::check),
    ("nothing writes past the outlets", outlets::check),
];

pub(crate) fn run(project: &Project) -> Result<()> {
    let tree = Tree::read(project)?;
    let mut failures = 0;
    for (name, check) in CHECKS {
        let mut findings = Vec::new();
        let result = PROGRESS.step(name, || {
            findings = check(project, &tree);
            match findings.iter().filter(|finding| !finding.is_warning).count() {
                0 => Ok(()),
                some => Err(some),
            }
        });
        for finding in &findings {
            println!("  {finding}");
        }
        failures += result.err().unwrap_or_default();
    }
    println!("{}", coverage::table(&tree)?);
    if failures > 0 {
        bail!("{failures} findings; each is named above the table");
    }
    Ok(())
}
