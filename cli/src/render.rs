//! Verdicts as text: the readable block, the table, JSON lines, YAML documents.
//!
//! - [`block()`]: one verdict in full, wrapped to the terminal.
//! - [`table`]: many, a line each.
//! - [`markdown`]: our own documents.
//! - [`style`], [`mod@text`], [`mod@workload`]: what these have in common: colours, words, names.
//!
//! Names and paths come from containers, which are not trusted: control characters never reach the terminal
//! (`unready_diagnosis::outside`).

mod block;
pub(crate) mod markdown;
mod style;
mod table;
mod text;
mod workload;

pub(crate) use block::{Facts, block};
pub(crate) use style::{DIM, RESET, Style, tint};
pub(crate) use table::{Look, Table, age};
pub(crate) use text::shorten;
pub(crate) use workload::workload;

use serde::Serialize;
use unready_diagnosis::outside;
use unready_proto::v1::Verdict;

/// Proto3 JSON in one line, without the line's end.
pub(crate) fn json(verdict: &Verdict) -> String {
    unready_wire::outlet::json_line(verdict)
}

/// A YAML document, with its `---`.
pub(crate) fn yaml(verdict: &Verdict) -> anyhow::Result<String> {
    Ok(format!("---\n{}", yaml_of(verdict)?))
}

/// A value as YAML. Only a string between double quotes can hold what cannot be seen, and the library has others too: such a
/// value is written as JSON, which YAML is a superset of.
pub(crate) fn yaml_of(value: &impl Serialize) -> anyhow::Result<String> {
    let text = serde_norway::to_string(value)?;
    if text.contains(|c| outside::is_hidden(c) && c != '\n') {
        return Ok(outside::yaml(serde_json::to_string_pretty(value)?) + "\n");
    }
    Ok(text)
}

#[cfg(test)]
#[path = "../tests/hostile/verdict.rs"]
mod hostile;

#[cfg(test)]
#[allow(clippy::expect_used, reason = "tests")]
mod tests {
    use super::*;

    const HOSTILE: &str = "x\u{1b}[2J\u{1b}[8m\u{1b}[31m\u{7}\r\nFORGED\u{9b}1m\u{7f}\u{202e}\u{2028}\u{200b}\u{feff}\u{e0041}\tz é日";

    /// Only our own colours and ends of lines are left, and no line is somebody else's.
    #[track_caller]
    fn clean(text: &str, color: bool) {
        assert_eq!(outside::screen(text, color), text);
        assert!(!text.contains('\t') && !text.contains("\u{1b}[31m"), "{text:?}");
        assert!(!text.lines().any(|line| line.trim_start().starts_with("FORGED")), "{text}");
    }

    #[test]
    fn nothing_but_our_own_colours_is_let_through() {
        let verdict = hostile::hostile(HOSTILE, "{}");
        let severe = Verdict { severity: "Blocking".into(), ..verdict.clone() };
        for (color, width) in [true, false].into_iter().flat_map(|color| [None, Some(40), Some(61), Some(300)].map(|width| (color, width)))
        {
            let style = Style { width, color };
            for verdict in [&verdict, &severe] {
                for facts in [Facts::None, Facts::Output, Facts::All] {
                    clean(&block(verdict, facts, style), color);
                }
                for wide in [false, true] {
                    clean(&Table::new(std::slice::from_ref(verdict), Look { wide, namespaces: true, style }, 0).1, color);
                }
            }
        }
    }

    #[test]
    fn yaml_is_a_document() {
        let text = yaml(&Verdict { cause: "FileMissing".into(), explanation: vec!["a: b".into()], ..Verdict::default() }).expect("is YAML");
        assert!(text.starts_with("---\n"), "{text}");
        let value: serde_json::Value = serde_norway::from_str(&text).expect("is YAML");
        assert_eq!((&value["cause"], &value["explanation"][0]), (&"FileMissing".into(), &"a: b".into()));
    }
}
