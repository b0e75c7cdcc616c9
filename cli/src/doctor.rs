//! `unready doctor`: the preflight as a table, the loading of the eBPF programs included. Status 1 if anything refuses.

use crate::{outcome::Format, output, status::Status};
use anyhow::Context;
use clap::Args;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets::NOTHING};
use unready_agent::{
    bpf::{KernelHalf, LoadOptions},
    preflight::{self, Check, State},
};
use unready_diagnosis::outside::{self, escaped};

/// `unready doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// How the checks are printed
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

/// Looks, prints, judges.
pub(crate) fn doctor(args: &DoctorArgs) -> anyhow::Result<Status> {
    if let Some(said) = preflight::ensure_tracefs() {
        output::note(&said);
    }
    let mut checks = preflight::examine();
    if preflight::refusal(&checks).is_ok() {
        checks.extend(programs());
    }
    print(&checks, args.output)?;
    Ok(if preflight::refusal(&checks).is_ok() { Status::Healthy } else { Status::Failed })
}

/// Whether the programs load here: the only way to know is to load them.
fn programs() -> Vec<Check> {
    match KernelHalf::load(&LoadOptions { debug_log: false }) {
        Ok(kernel) => preflight::programs(Ok(&kernel.degraded().iter().map(ToString::to_string).collect::<Vec<_>>())),
        Err(error) => preflight::programs(Err(&format!("{error:#}"))),
    }
}

fn print(checks: &[Check], format: Format) -> anyhow::Result<()> {
    let text = match format {
        Format::Text => table(checks).trim_fmt() + "\n",
        Format::Json => {
            let lines = checks.iter().map(|check| Ok(outside::json(serde_json::to_string(check)?) + "\n"));
            lines.collect::<Result<String, serde_json::Error>>().context("cannot write a check as JSON")?
        }
    };
    output::stdout(&text)
}

fn table(checks: &[Check]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    for check in checks {
        let text = match &check.remedy {
            Some(remedy) => format!("{}\n→ {}", lines(&check.found), lines(remedy)),
            None => lines(&check.found),
        };
        table.add_row([Cell::new(escaped(&check.name)), state(check.state), Cell::new(text)]);
    }
    table
}

/// What the kernel says of a program that it does not load has lines.
fn lines(text: &str) -> String {
    text.lines().map(escaped).collect::<Vec<_>>().join("\n")
}

fn state(state: State) -> Cell {
    let cell = Cell::new(state.word());
    match state {
        State::Ok => cell.fg(Color::Green),
        State::Degraded => cell.fg(Color::Yellow),
        State::Refused => cell.fg(Color::Red).add_attribute(Attribute::Bold),
    }
}
