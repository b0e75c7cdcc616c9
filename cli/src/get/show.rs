//! Printing what was answered, in the form that was asked for.

use super::Format;
use crate::render::{self, Style, Table};
use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{SystemTime, UNIX_EPOCH},
};
use unready_proto::v1::Verdict;

pub(super) struct Show {
    format: Format,
    style: Style,
    /// The columns, once a table is begun.
    table: Option<Table>,
}

impl Show {
    pub(super) fn new(format: Format) -> Self {
        Self { format, style: Style::stdout(), table: None }
    }

    /// All verdicts of an answer.
    pub(super) fn all(&mut self, verdicts: &[Verdict]) -> anyhow::Result<()> {
        if verdicts.is_empty() {
            eprintln!("no verdicts");
            return Ok(());
        }
        if let Some(wide) = self.wide() {
            let (table, text) = Table::new(verdicts, wide, now());
            self.table = Some(table);
            write(&text)?;
            if !wide && io::stdout().is_terminal() {
                eprintln!("\nwith -o wide the fixes are shown too, with -o text each verdict in full");
            }
            return Ok(());
        }
        verdicts.iter().try_for_each(|verdict| self.one(verdict))
    }

    /// A verdict that is new or has changed.
    pub(super) fn one(&mut self, verdict: &Verdict) -> anyhow::Result<()> {
        let text = match self.format {
            Format::Table | Format::Wide => self.row(verdict),
            Format::Text => render::block(verdict, self.style) + "\n",
            Format::Json => render::json(verdict) + "\n",
            Format::Yaml => render::yaml(verdict)?,
        };
        write(&text)
    }

    /// The first row of a watch that began with nothing brings its heading.
    fn row(&mut self, verdict: &Verdict) -> String {
        if let Some(table) = &self.table {
            return table.row(verdict, now());
        }
        let (table, text) = Table::new(std::slice::from_ref(verdict), self.format == Format::Wide, now());
        self.table = Some(table);
        text
    }

    /// Whether a table is asked for, and which.
    fn wide(&self) -> Option<bool> {
        match self.format {
            Format::Table => Some(false),
            Format::Wide => Some(true),
            Format::Text | Format::Json | Format::Yaml => None,
        }
    }
}

fn write(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
