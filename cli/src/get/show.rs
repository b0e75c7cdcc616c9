//! Printing what was answered, in the form that was asked for.

use super::args::Format;
use crate::{
    output,
    plugin::is_plugin,
    render::{self, Facts, Look, Style, Table},
    time::now,
};
use std::{
    collections::BTreeSet,
    io::{self, IsTerminal as _},
};
use unready_diagnosis::outside;
use unready_proto::v1::Verdict;

pub(super) struct Show {
    format: Format,
    facts: Facts,
    namespaces: bool,
    /// The columns, once a table is begun.
    table: Option<Table>,
}

impl Show {
    pub(super) const fn new(format: Format, evidence: bool, namespaces: bool) -> Self {
        Self { format, facts: Facts::asked(evidence), namespaces, table: None }
    }

    pub(super) const fn format(&self) -> Format {
        self.format
    }

    /// All verdicts of an answer.
    pub(super) fn all(&mut self, verdicts: &[Verdict]) -> anyhow::Result<()> {
        match self.format {
            Format::Table | Format::Wide if !verdicts.is_empty() => {
                let (table, text) = Table::new(verdicts, self.look(), now());
                self.table = Some(table);
                write(&text)?;
                self.hint(verdicts);
                Ok(())
            }
            Format::Name => {
                let mut told = BTreeSet::new();
                verdicts.iter().map(name).filter(|name| told.insert(name.clone())).try_for_each(|name| write(&name))
            }
            Format::Table | Format::Wide | Format::Text | Format::Json | Format::Yaml => {
                verdicts.iter().try_for_each(|verdict| self.one(verdict))
            }
        }
    }

    /// Where the rest of it is.
    fn hint(&self, verdicts: &[Verdict]) {
        if self.format != Format::Table || !io::stdout().is_terminal() {
            return;
        }
        output::say("");
        let pod = verdicts.iter().filter_map(|verdict| verdict.workload.as_ref()).find(|workload| !workload.pod.is_empty());
        match pod {
            Some(pod) if is_plugin() => {
                output::say(&format!("why, and what to do: kubectl unready pod/{} -n {}", pod.pod, pod.namespace));
            }
            _ => output::say("with -o wide the fixes are shown too, with -o text each verdict in full"),
        }
    }

    /// A verdict that is new or has changed.
    pub(super) fn one(&mut self, verdict: &Verdict) -> anyhow::Result<()> {
        let text = match self.format {
            Format::Table | Format::Wide => self.row(verdict),
            Format::Text => render::block(verdict, self.facts, Style::stdout()) + "\n",
            Format::Json => render::json(verdict) + "\n",
            Format::Yaml => render::yaml(verdict)?,
            Format::Name => name(verdict),
        };
        write(&text)
    }

    /// A line for people between the verdicts.
    pub(super) fn line(&self, text: &str) -> anyhow::Result<()> {
        if self.format == Format::Text { write(&format!("{}\n", outside::escaped(text))) } else { Ok(()) }
    }

    /// The first row of a watch that began with nothing brings its heading.
    fn row(&mut self, verdict: &Verdict) -> String {
        if let Some(table) = &self.table {
            return table.row(verdict, now());
        }
        let (table, text) = Table::new(std::slice::from_ref(verdict), self.look(), now());
        self.table = Some(table);
        text
    }

    fn look(&self) -> Look {
        Look { wide: self.format == Format::Wide, namespaces: self.namespaces, style: Style::full() }
    }
}

/// `pod/orders-7d9f`, `replicaset/orders-7d9f`, or a container of a single machine.
fn name(verdict: &Verdict) -> String {
    let workload = verdict.workload.clone().unwrap_or_default();
    let owner = workload.owner.split_once('/').map(|(kind, name)| format!("{}/{name}", kind.to_lowercase()));
    let name = match owner {
        _ if !workload.pod.is_empty() => format!("pod/{}", workload.pod),
        Some(owner) => owner,
        None => format!("container/{}", workload.container),
    };
    format!("{}\n", outside::escaped(&name))
}

fn write(text: &str) -> anyhow::Result<()> {
    Ok(output::write(text)?)
}
