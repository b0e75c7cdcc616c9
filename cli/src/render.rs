//! Verdicts as text: the readable block, the table, JSON lines, YAML documents.
//!
//! - [`block()`]: one verdict in full, wrapped to the terminal.
//! - [`table`]: many, a line each.
//! - [`markdown`]: our own documents.
//! - [`style`], [`mod@text`], [`mod@workload`]: what these have in common: colours, words, names.
//!
//! Names and paths come from containers, which are not trusted: control characters never reach the terminal ([`printable`]).

mod block;
pub(crate) mod markdown;
mod style;
mod table;
mod text;
mod workload;

pub(crate) use block::{Facts, block};
pub(crate) use style::{DIM, RESET, Style, tint};
pub(crate) use table::{Look, Table, age};
pub(crate) use text::{printable, shorten};
pub(crate) use workload::workload;

use unready_proto::v1::Verdict;

/// Proto3 JSON in one line, without the line's end.
pub(crate) fn json(verdict: &Verdict) -> String {
    unready_proto::json::line(verdict)
}

/// A YAML document, with its `---`.
pub(crate) fn yaml(verdict: &Verdict) -> anyhow::Result<String> {
    Ok(format!("---\n{}", serde_norway::to_string(verdict)?))
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn yaml_is_a_document() {
        let text = yaml(&Verdict { cause: "FileMissing".into(), explanation: vec!["a: b".into()], ..Verdict::default() }).expect("is YAML");
        assert!(text.starts_with("---\n"), "{text}");
        let value: serde_json::Value = serde_norway::from_str(&text).expect("is YAML");
        assert_eq!((&value["cause"], &value["explanation"][0]), (&"FileMissing".into(), &"a: b".into()));
    }
}
