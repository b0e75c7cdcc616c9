//! How text may look where it goes: the terminal's width, its colours, or neither.

use std::io::IsTerminal;
use unready_diagnosis::verdict::Severity;

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
pub(super) fn severity_color(severity: &str) -> &'static str {
    match Severity::of(severity) {
        Some(Severity::Blocking) => "\u{1b}[1;31m",
        Some(Severity::Slowing) => "\u{1b}[1;33m",
        Some(Severity::Advisory) | None => "\u{1b}[1;36m",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_color_and_dumb_terminals() {
        let os = |text: &'static str| Some(std::ffi::OsStr::new(text));
        assert!(colors_wanted(None, os("xterm")));
        assert!(colors_wanted(os(""), None));
        assert!(!colors_wanted(os("1"), os("xterm")));
        assert!(!colors_wanted(None, os("dumb")));
    }
}
