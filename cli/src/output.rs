//! What is printed: verdicts on stdout, everything else on stderr with our name before it.

use crate::{args::Format, render, status::Findings};
use anyhow::Context;
use std::io::{self, Write};
use unready_agent::wire;
use unready_diagnosis::units::ClockAnchor;

/// A line for the user that is no verdict.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "unready: {text}");
}

/// Prints all findings.
pub(crate) fn findings(findings: &Findings, anchor: ClockAnchor, node: &str, format: Format) -> anyhow::Result<()> {
    let style = render::Style::stdout();
    let mut stdout = io::stdout().lock();
    for verdict in findings.sorted() {
        let verdict = wire::verdict(verdict, anchor, node);
        let text = match format {
            Format::Json => render::json(&verdict),
            Format::Text => render::block(&verdict, style),
        };
        writeln!(stdout, "{}", text.trim_end()).context("cannot write to stdout")?;
    }
    stdout.flush().context("cannot write to stdout")
}
