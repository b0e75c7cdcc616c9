//! What may write to stdout and stderr: few files, each with its reason, so that no text from outside reaches a terminal
//! past `diagnosis/src/outside.rs`.

use super::{
    Finding,
    rust::{Token, tokens},
    tree::{Text, Tree},
};
use crate::project::Project;

/// Where the programs that are shipped live.
const SHIPPED: &[&str] =
    &["agent/src/", "cli/src/", "collector/src/", "diagnosis/src/", "inspect/src/", "kubernetes/src/", "transport/src/", "wire/src/"];
/// Who may write, and what stands between.
const OUTLETS: &[(&str, &str)] = &[
    ("agent/src/main.rs", "the log and the last sentence, by unready_wire::outlet"),
    ("agent/src/outputs.rs", "JSON lines, by unready_wire::outlet"),
    ("cli/src/main.rs", "the log, by unready_wire::outlet"),
    ("cli/src/output.rs", "everything else, by diagnosis::outside"),
    ("cli/src/run/child.rs", "CMD gets our stderr as its own"),
    ("cli/src/run/progress.rs", "moves the cursor; its words are escaped"),
    ("cli/src/run/stderr.rs", "what CMD writes itself, as it is"),
    ("collector/src/main.rs", "the log and the last sentence, by unready_wire::outlet"),
];
const MACROS: &[&str] = &["print", "println", "eprint", "eprintln", "dbg"];

pub(super) fn check(_: &Project, tree: &Tree) -> Vec<Finding> {
    tree.rust().filter(|text| is_watched(&text.path)).flat_map(writes).collect()
}

fn is_watched(path: &str) -> bool {
    SHIPPED.iter().any(|folder| path.starts_with(folder)) && !OUTLETS.iter().any(|(outlet, _)| *outlet == path)
}

fn writes(text: &Text) -> Vec<Finding> {
    let tokens = tokens(&text.text);
    let word = |at: usize| tokens.get(at).map_or("", |token: &Token<'_>| token.text);
    let is_macro = |at: usize| MACROS.contains(&word(at)) && word(at + 1) == "!";
    let is_stream = |at: usize| {
        let is_named = matches!(word(at), "stdout" | "stderr") && at >= 2 && word(at - 1) == "::" && word(at - 2) == "io";
        // To ask what it is does no harm.
        is_named && [1, 2, 3, 4].map(|next| word(at + next)) != ["(", ")", ".", "is_terminal"]
    };
    let found = (0..tokens.len()).filter(|at| is_macro(*at) || is_stream(*at));
    found.map(|at| Finding::new(&text.path, tokens.get(at).map_or(0, |token| token.line), complaint(word(at)))).collect()
}

fn complaint(what: &str) -> String {
    format!(
        "{what}: write by cli/src/output.rs or unready_wire::outlet, which let nothing through that a terminal obeys; a new outlet goes into xtask/src/check/outlets.rs"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_past_the_outlets_is_found() {
        let code = "use std::io::{self, IsTerminal};\nfn f() {\n    println!(\"x\");\n    io::stderr().lock();\n    std::io::stdout().is_terminal();\n    fmt().with_writer(io::stderr);\n    command.stdout(x);\n    Style::stdout();\n}\n// eprintln!\n";
        let tree = Tree::of(&[("cli/src/a.rs", code), ("cli/src/output.rs", code), ("xtask/src/a.rs", code)]);
        let found: Vec<_> = tree.rust().filter(|text| is_watched(&text.path)).flat_map(writes).map(|f| (f.file, f.line)).collect();
        assert_eq!(found, [3, 4, 6].map(|line| ("cli/src/a.rs".to_owned(), line)));
    }
}
