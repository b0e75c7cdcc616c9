//! A hook of the [table](unready_agent_common::hooks) in the form in which this kernel takes it.

pub(super) use unready_agent_common::hooks::{Row, Stage, programs};

/// A program that sits, or is to sit, on its tracepoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    pub(super) row: &'static Row,
    /// Its function in `agent-ebpf`.
    pub(super) program: &'static str,
    /// Of an ordinary tracepoint its group in tracefs; `None`: it is a raw one.
    pub(super) group: Option<&'static str>,
}

impl Seat {
    /// On the raw tracepoint.
    pub(super) const fn raw(row: &'static Row) -> Self {
        Self { row, program: row.program, group: None }
    }

    /// On the ordinary one, where the row has a form for that.
    pub(super) fn steady(row: &'static Row) -> Option<Self> {
        row.steady.map(|steady| Self { row, program: steady.program, group: Some(steady.group) })
    }
}
