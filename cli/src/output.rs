//! What is printed: verdicts on stdout, everything else on stderr with our name before it.

use crate::{render, status::Findings};
use anyhow::Context;
use clap::ValueEnum;
use std::io::{self, Write};
use unready_diagnosis::units::ClockAnchor;
use unready_wire as wire;

/// For people or for programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON object a line, and nothing else on stdout
    Json,
}

/// A line for the user that is no verdict.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "unready: {text}");
}

/// Prints all findings.
pub(crate) fn findings(findings: &Findings, anchor: ClockAnchor, node: &str, format: Format, facts: render::Facts) -> anyhow::Result<()> {
    let style = render::Style::stdout();
    let mut text = String::new();
    for verdict in findings.sorted() {
        let verdict = wire::verdict(verdict, anchor, node);
        text.push_str(&match format {
            Format::Json => render::json(&verdict) + "\n",
            Format::Text => render::block(&verdict, facts, style),
        });
    }
    stdout(text.as_bytes())
}

/// Writes to stdout. A reader that has seen enough (`| head`) is no failure.
pub(crate) fn stdout(bytes: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot write to stdout"),
        _ => Ok(()),
    }
}
