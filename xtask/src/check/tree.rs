//! The files of the repository: tracked, or new and not ignored.

use crate::project::Project;
use anyhow::{Context as _, Result};
use std::fs;
use xshell::cmd;

/// A text file.
#[derive(Clone, Debug)]
pub(super) struct Text {
    /// Path from the root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

/// All files that a check may look at.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    /// Files that are text.
    pub(super) texts: Vec<Text>,
    /// Paths and sizes of files that are not.
    pub(super) binaries: Vec<(String, usize)>,
}

impl Tree {
    /// Reads the working tree.
    pub(super) fn read(project: &Project) -> Result<Self> {
        let sh = &project.sh;
        let list = cmd!(sh, "git ls-files --cached --others --exclude-standard -z").quiet().read();
        let list = list.context("`git ls-files` failed: the checks look at the files of a Git working tree")?;
        let mut tree = Self::default();
        for path in list.split('\0').filter(|path| !path.is_empty()) {
            // A file that was deleted and is still in the index.
            let Ok(bytes) = fs::read(project.root.join(path)) else { continue };
            match String::from_utf8(bytes) {
                Ok(text) => tree.texts.push(Text { path: path.to_owned(), text }),
                Err(error) => tree.binaries.push((path.to_owned(), error.as_bytes().len())),
            }
        }
        Ok(tree)
    }

    /// Rust sources that people write.
    pub(super) fn rust(&self) -> impl Iterator<Item = &Text> {
        self.texts.iter().filter(|text| has_extension(&text.path, "rs") && !is_generated(&text.path))
    }

    pub(super) fn markdown(&self) -> impl Iterator<Item = &Text> {
        self.texts.iter().filter(|text| has_extension(&text.path, "md"))
    }

    /// One file.
    pub(super) fn file(&self, path: &str) -> Option<&Text> {
        self.texts.iter().find(|text| text.path == path)
    }

    /// For tests.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let text = |(path, text): &(&str, &str)| Text { path: (*path).to_owned(), text: (*text).to_owned() };
        Self { texts: files.iter().map(text).collect(), binaries: Vec::new() }
    }
}

/// Code that a program wrote is judged by its generator.
pub(super) fn is_generated(path: &str) -> bool {
    path.contains("/gen/")
}

/// Does the path end in `.extension`?
pub(super) fn has_extension(path: &str, extension: &str) -> bool {
    std::path::Path::new(path).extension().is_some_and(|found| found == extension)
}
