//! Many verdicts, a line each, aligned as `kubectl get` does.
//!
//! Columns that no verdict has a value for are left out: a node without Kubernetes shows containers only. In a watch the
//! columns of the first table are kept for the rows that follow.

use super::{container, printable};
use comfy_table::{ColumnConstraint, ContentArrangement, Width, presets};
use std::time::Duration;
use unready_proto::{
    prost_types::Timestamp,
    time::nanos,
    v1::{Start, Verdict, Workload},
};

/// A column: its heading, and what it shows.
struct Column {
    heading: &'static str,
    value: fn(&Row<'_>) -> String,
    /// Left out of the narrow form.
    wide: bool,
    /// Left out when empty in all rows.
    optional: bool,
}

struct Row<'a> {
    verdict: &'a Verdict,
    workload: &'a Workload,
    start: &'a Start,
    /// Nanoseconds since 1970.
    now: u64,
}

const COLUMNS: [Column; 13] = [
    Column { heading: "NAMESPACE", value: |row| row.workload.namespace.clone(), wide: false, optional: true },
    Column { heading: "POD", value: |row| row.workload.pod.clone(), wide: false, optional: true },
    Column { heading: "CONTAINER", value: |row| container(row.workload, row.start), wide: false, optional: false },
    Column { heading: "CAUSE", value: |row| row.verdict.cause.clone(), wide: false, optional: false },
    Column { heading: "SUBJECT", value: |row| row.verdict.subject.clone(), wide: false, optional: false },
    Column { heading: "LAYER", value: |row| row.verdict.layer.clone(), wide: false, optional: false },
    Column { heading: "SEVERITY", value: |row| row.verdict.severity.clone(), wide: true, optional: false },
    Column { heading: "CONFIDENCE", value: |row| row.verdict.confidence.clone(), wide: true, optional: false },
    Column { heading: "COUNT", value: |row| row.verdict.count.to_string(), wide: true, optional: false },
    Column { heading: "NODE", value: |row| row.workload.node.clone(), wide: true, optional: true },
    Column { heading: "RESOLVED", value: |row| ago(row.verdict.resolved_at.as_ref(), row.now), wide: false, optional: true },
    Column { heading: "AGE", value: |row| ago(row.verdict.first_seen.as_ref(), row.now), wide: false, optional: false },
    Column {
        heading: "FIX",
        value: |row| row.verdict.remedy.as_ref().map(|r| r.text.clone()).unwrap_or_default(),
        wide: true,
        optional: true,
    },
];

/// The columns of a table and how wide they are.
pub(crate) struct Table {
    columns: Vec<&'static Column>,
    widths: Vec<u16>,
}

impl Table {
    /// A table of these verdicts, and its text with heading; `now` in nanoseconds since 1970.
    pub(crate) fn new(verdicts: &[Verdict], wide: bool, now: u64) -> (Self, String) {
        let columns: Vec<_> = COLUMNS.iter().filter(|column| wide || !column.wide).collect();
        let mut cells: Vec<Vec<String>> = verdicts.iter().map(|verdict| row(&columns, verdict, now)).collect();
        let shown: Vec<bool> =
            columns.iter().enumerate().map(|(at, column)| !column.optional || cells.iter().any(|row| !row[at].is_empty())).collect();
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(keep(columns.iter().map(|column| column.heading.to_owned()).collect(), &shown));
        table.add_rows(cells.drain(..).map(|row| keep(row, &shown)));
        let columns = columns.into_iter().zip(&shown).filter_map(|(column, shown)| shown.then_some(column)).collect();
        let text = trimmed(&mut table);
        (Self { columns, widths: table.column_max_content_widths() }, text)
    }

    /// One more row, aligned with those before.
    pub(crate) fn row(&self, verdict: &Verdict, now: u64) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.add_row(row(&self.columns, verdict, now));
        table.set_constraints(self.widths.iter().map(|width| ColumnConstraint::LowerBoundary(Width::Fixed(width.saturating_add(GAP)))));
        trimmed(&mut table)
    }
}

/// Spaces between columns.
const GAP: u16 = 2;

fn row(columns: &[&'static Column], verdict: &Verdict, now: u64) -> Vec<String> {
    let (none, unknown) = (Workload::default(), Start::default());
    let row = Row { verdict, workload: verdict.workload.as_ref().unwrap_or(&none), start: verdict.start.as_ref().unwrap_or(&unknown), now };
    columns.iter().map(|column| printable(&(column.value)(&row)).into_owned()).collect()
}

fn keep(cells: Vec<String>, shown: &[bool]) -> Vec<String> {
    cells.into_iter().zip(shown).filter_map(|(cell, shown)| shown.then_some(cell)).collect()
}

/// Columns flush left with a gap, no spaces at the ends of lines.
fn trimmed(table: &mut comfy_table::Table) -> String {
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, GAP));
    });
    table.lines().fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

/// `45s`, `12m`, `5h`, `9d`, as kubectl has it; empty when unknown.
fn ago(time: Option<&Timestamp>, now: u64) -> String {
    let Some(time) = time else { return String::new() };
    let seconds = Duration::from_nanos(now.saturating_sub(nanos(time))).as_secs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unready_proto::{time::timestamp, v1::Remedy};

    const SECOND: u64 = 1_000_000_000;
    const NOW: u64 = 1_795_000_000 * SECOND;

    fn pod() -> Verdict {
        Verdict {
            cause: "PermissionDenied".into(),
            subject: "/data/orders.db".into(),
            layer: "mode bits".into(),
            severity: "Blocking".into(),
            confidence: "Certain".into(),
            count: 14,
            workload: Some(Workload {
                namespace: "shop".into(),
                pod: "orders-7d9f".into(),
                container: "app".into(),
                node: "node-1".into(),
                ..Workload::default()
            }),
            remedy: Some(Remedy { text: "spec.securityContext.fsGroup: 1000".into(), ..Remedy::default() }),
            first_seen: Some(timestamp(NOW - 45 * SECOND)),
            ..Verdict::default()
        }
    }

    fn local() -> Verdict {
        Verdict {
            cause: "FileMissing".into(),
            subject: "/etc/key".into(),
            workload: Some(Workload { container: "web".into(), ..Workload::default() }),
            first_seen: Some(timestamp(NOW - 2 * 86_400 * SECOND)),
            ..Verdict::default()
        }
    }

    #[test]
    fn with_kubernetes() {
        let (table, text) = Table::new(&[pod(), local()], false, NOW);
        assert_eq!(
            text,
            "\
NAMESPACE  POD          CONTAINER  CAUSE             SUBJECT          LAYER      AGE
shop       orders-7d9f  app        PermissionDenied  /data/orders.db  mode bits  45s
                        web        FileMissing       /etc/key                    2d
"
        );
        assert_eq!(
            table.row(&Verdict { subject: "/a".into(), ..pod() }, NOW + 100 * SECOND),
            "shop       orders-7d9f  app        PermissionDenied  /a               mode bits  2m\n"
        );
    }

    #[test]
    fn without_kubernetes() {
        let resolved = Verdict { resolved_at: Some(timestamp(NOW)), ..local() };
        assert_eq!(
            Table::new(&[local(), resolved], false, NOW).1,
            "\
CONTAINER  CAUSE        SUBJECT   LAYER  RESOLVED  AGE
web        FileMissing  /etc/key                   2d
web        FileMissing  /etc/key         0s        2d
"
        );
    }

    #[test]
    fn wide() {
        assert_eq!(
            Table::new(&[pod()], true, NOW).1,
            "\
NAMESPACE  POD          CONTAINER  CAUSE             SUBJECT          LAYER      SEVERITY  CONFIDENCE  COUNT  NODE    AGE  FIX
shop       orders-7d9f  app        PermissionDenied  /data/orders.db  mode bits  Blocking  Certain     14     node-1  45s  spec.securityContext.fsGroup: 1000
"
        );
    }

    #[test]
    fn ages() {
        let at = |seconds: u64| ago(Some(&timestamp(NOW - seconds * SECOND)), NOW);
        assert_eq!([at(0), at(119), at(120), at(7_199), at(7_200), at(172_800)], ["0s", "119s", "2m", "119m", "2h", "2d"]);
        assert_eq!(ago(Some(&timestamp(NOW + SECOND)), NOW), "0s", "clocks differ");
        assert_eq!(ago(None, NOW), "");
    }

    #[test]
    fn a_name_with_a_line_break_stays_on_its_line() {
        let hostile = Verdict { subject: "/a\n\u{1b}[2Jb".into(), ..pod() };
        let text = Table::new(&[hostile], false, NOW).1;
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(!text.contains('\u{1b}'));
    }
}
