//! Verdicts as text: the readable block, the table, JSON lines, YAML documents.
//!
//! - [`block()`]: one verdict in full, wrapped to the terminal.
//! - [`table`]: many, a line each.
//! - [`markdown`]: our own documents.
//!
//! Names and paths come from containers, which are not trusted: control characters never reach the terminal ([`printable`]).

mod block;
pub(crate) mod markdown;
mod table;

pub(crate) use block::{Facts, block};
pub(crate) use table::{Look, Table, age};

use std::{borrow::Cow, io::IsTerminal};
use unready_proto::v1::{Start, Verdict, Workload};

/// How text may look where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    /// Columns; `None`: do not wrap.
    pub(crate) width: Option<usize>,
    /// ANSI colours.
    pub(crate) color: bool,
}

impl Style {
    /// Neither wrapped nor coloured: for files and pipes.
    pub(crate) const PLAIN: Self = Self { width: None, color: false };
    /// Longer lines of prose are hard to read, however wide the terminal is.
    const WIDEST: usize = 120;
    /// Below this, wrapping makes it worse.
    const NARROWEST: usize = 40;

    /// For standard output as it is.
    pub(crate) fn stdout() -> Self {
        let full = Self::full();
        Self { width: full.width.map(|columns| columns.clamp(Self::NARROWEST, Self::WIDEST)), ..full }
    }

    /// The same with the terminal's whole width: for tables and pictures.
    pub(crate) fn full() -> Self {
        if !std::io::stdout().is_terminal() {
            return Self::PLAIN;
        }
        let width = terminal_width();
        Self { width, color: colors_wanted(std::env::var_os("NO_COLOR").as_deref(), std::env::var_os("TERM").as_deref()) }
    }
}

/// <https://no-color.org>: any value but the empty one.
fn colors_wanted(no_color: Option<&std::ffi::OsStr>, term: Option<&std::ffi::OsStr>) -> bool {
    no_color.is_none_or(std::ffi::OsStr::is_empty) && term.is_none_or(|term| term != "dumb")
}

/// Fainter than the rest.
pub(crate) const DIM: &str = "\u{1b}[2m";
/// Ends a colour.
pub(crate) const RESET: &str = "\u{1b}[0m";

/// Bold red for what blocks, bold yellow for what slows, bold cyan for the rest.
fn severity_color(severity: &str) -> &'static str {
    match severity {
        "Blocking" => "\u{1b}[1;31m",
        "Slowing" => "\u{1b}[1;33m",
        _ => "\u{1b}[1;36m",
    }
}

/// A word in the colour of a severity; without one it stays as it is.
pub(crate) fn tint(text: &str, severity: &str, style: Style) -> String {
    if !style.color || severity.is_empty() || text.is_empty() {
        return text.to_owned();
    }
    format!("{}{text}{RESET}", severity_color(severity))
}

/// Columns of the terminal on standard output.
pub(crate) fn terminal_width() -> Option<usize> {
    // An empty table knows it: no further crate only for this.
    comfy_table::Table::new().width().map(usize::from)
}

/// Proto3 JSON in one line, without the line's end.
pub(crate) fn json(verdict: &Verdict) -> String {
    unready_proto::json::line(verdict)
}

/// A YAML document, with its `---`.
pub(crate) fn yaml(verdict: &Verdict) -> anyhow::Result<String> {
    Ok(format!("---\n{}", serde_norway::to_string(verdict)?))
}

/// Whose start, in one word where possible: `namespace/pod/container`, a container, or the command of a local run.
pub(crate) fn workload(verdict: &Verdict) -> String {
    let (none, unknown) = (Workload::default(), Start::default());
    let workload = verdict.workload.as_ref().unwrap_or(&none);
    if !workload.pod.is_empty() {
        let parts = [&workload.namespace, &workload.pod, &workload.container];
        return parts.into_iter().filter(|part| !part.is_empty()).map(|part| printable(part)).collect::<Vec<_>>().join("/");
    }
    if workload.container.is_empty() && !workload.owner.is_empty() {
        return printable(&[&workload.namespace, &workload.owner].map(String::as_str).join("/")).into_owned();
    }
    container(workload, verdict.start.as_ref().unwrap_or(&unknown))
}

/// The container's name, or what stands for it: the command of a local run, the pod's UID, the id's first digits.
fn container(workload: &Workload, start: &Start) -> String {
    if !workload.command.is_empty() {
        return shorten(&printable(&workload.command.join(" ")), 40);
    }
    if workload.container.len() == 64 && workload.container.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return workload.container[..12].to_owned();
    }
    [&workload.container, &workload.pod_uid, &start.container_id]
        .into_iter()
        .find(|name| !name.is_empty())
        .map_or_else(|| "?".to_owned(), |name| printable(name).into_owned())
}

/// At most `most` columns, an ellipsis for the rest.
pub(crate) fn shorten(text: &str, most: usize) -> String {
    use textwrap::core::display_width;
    if display_width(text) <= most {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        let longer = format!("{short}{c}");
        if display_width(&longer) + 1 > most {
            break;
        }
        short = longer;
    }
    short + "…"
}

/// Control characters, and those that change the direction of text, as `\u{1b}`.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let hostile = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
    if !text.contains(hostile) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if hostile(c) { c.escape_default().to_string() } else { c.to_string() }).collect())
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_spelt_out() {
        assert_eq!(printable("/data/é.db"), "/data/é.db");
        assert_eq!(printable("a\u{1b}[31m\nb\u{202e}c"), "a\\u{1b}[31m\\nb\\u{202e}c");
    }

    #[test]
    fn no_color_and_dumb_terminals() {
        let os = |text: &'static str| Some(std::ffi::OsStr::new(text));
        assert!(colors_wanted(None, os("xterm")));
        assert!(colors_wanted(os(""), None));
        assert!(!colors_wanted(os("1"), os("xterm")));
        assert!(!colors_wanted(None, os("dumb")));
    }

    #[test]
    fn a_workload_has_the_best_name_there_is() {
        let named = |workload: Workload| Verdict {
            workload: Some(workload),
            start: Some(Start { container_id: "c1".into(), restart_count: 0 }),
            ..Verdict::default()
        };
        let of = |whose: Workload| workload(&named(whose));
        let pod = Workload { namespace: "shop".into(), pod: "orders".into(), container: "app".into(), ..Workload::default() };
        assert_eq!(of(pod.clone()), "shop/orders/app");
        assert_eq!(of(Workload { container: String::new(), ..pod }), "shop/orders");
        let owner = Workload { namespace: "shop".into(), owner: "ReplicaSet/orders".into(), ..Workload::default() };
        assert_eq!(of(owner), "shop/ReplicaSet/orders");
        assert_eq!(of(Workload { container: "web".into(), runtime: "runc".into(), ..Workload::default() }), "web");
        assert_eq!(of(Workload { container: "ab".repeat(32), ..Workload::default() }), "abababababab");
        assert_eq!(
            of(Workload { command: vec!["./server".into(), "--port".into(), "80".into()], ..Workload::default() }),
            "./server --port 80"
        );
        assert_eq!(of(Workload { command: vec!["x".repeat(99)], ..Workload::default() }), format!("{}…", "x".repeat(39)));
        assert_eq!(of(Workload { pod_uid: "0b1c".into(), ..Workload::default() }), "0b1c");
        assert_eq!(of(Workload::default()), "c1");
        assert_eq!(workload(&Verdict::default()), "?");
    }

    #[test]
    fn yaml_is_a_document() {
        let text = yaml(&Verdict { cause: "FileMissing".into(), explanation: vec!["a: b".into()], ..Verdict::default() }).expect("is YAML");
        assert!(text.starts_with("---\n"), "{text}");
        let value: serde_json::Value = serde_norway::from_str(&text).expect("is YAML");
        assert_eq!((&value["cause"], &value["explanation"][0]), (&"FileMissing".into(), &"a: b".into()));
    }
}
