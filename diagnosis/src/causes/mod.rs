//! The causes that the kernel's evidence brings: a file or folder each, found by one table.
//!
//! A rule says what a suspect means: which questions must be answered first, and then the finding in words. It keeps no state: it is called
//! again whenever another answer has come, and says more each time. *Whether* a suspect explains the start is weighed elsewhere
//! ([`crate::judge`]); what the manifest has to do with it is added at the end ([`crate::manifest`]).
//!
//! | errno of a failing call | rule |
//! |---|---|
//! | EACCES, EPERM | [`permission_denied`] |
//! | EROFS | [`read_only_filesystem`] |
//! | ENOENT | [`runtime_file_missing`] for what minimal images lack, else [`file_missing`] |
//! | EISDIR, ENOTDIR, ELOOP, ENXIO | [`wrong_file_type`] |
//! | ENOSPC, EDQUOT | [`storage_full`] |
//! | EMFILE, ENFILE | [`too_many_files`] |
//! | EAGAIN of clone and fork | [`limit_reached`] |
//! | EADDRINUSE, EADDRNOTAVAIL | [`address_in_use`], [`address_unavailable`] |
//! | any of execve, and of looking for a library | [`exec`], [`library_missing`] |
//!
//! An errno that is not in the table asks nothing and explains nothing.

mod address_in_use;
mod address_unavailable;
mod crashed;
mod exec;
mod exited_early;
mod file_missing;
mod library_missing;
mod limit_reached;
mod out_of_memory;
mod permission_denied;
mod read_only_filesystem;
mod rule;
mod runtime_file_missing;
mod storage_full;
#[cfg(test)]
mod tests;
mod too_many_files;
mod wrong_file_type;

use crate::{
    case::{Case, Suspect, finding::Finding},
    question::Question,
};
pub use rule::Rule;

/// All rules. The first that explains a suspect has the word.
pub static TABLE: &[Rule] = &[
    exec::RULE,
    library_missing::RULE,
    address_in_use::RULE,
    address_unavailable::RULE,
    permission_denied::RULE,
    read_only_filesystem::RULE,
    runtime_file_missing::RULE,
    file_missing::RULE,
    wrong_file_type::RULE,
    storage_full::RULE,
    too_many_files::RULE,
    limit_reached::RULE,
    out_of_memory::RULE,
    exited_early::RULE,
    crashed::RULE,
];

/// What has to be known before (or while) this suspect is explained. Called when it is considered and again after each answer; a
/// question that was asked before is not asked again.
pub fn questions(suspect: Suspect<'_>, case: &Case<'_>) -> Vec<Question> {
    TABLE.iter().flat_map(|rule| rule.questions(suspect, case)).collect()
}

/// What the suspect means, as far as the answers tell; `None`: it is harmless, or nothing can be said of it.
pub fn explain(suspect: Suspect<'_>, case: &Case<'_>) -> Option<Finding> {
    TABLE.iter().find_map(|rule| rule.explain(suspect, case))
}
