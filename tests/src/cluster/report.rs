//! What people see: a table of the workloads with what was said of each, and how long it took.

use super::workload::Workload;
use crate::verdicts::JsonVerdict;
use comfy_table::{ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width};
use std::time::Duration;

/// Width of the whole table, in columns.
const WIDTH: u16 = 160;
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A row: the workload, what was said of it, and how long after its creation.
pub type Row<'a> = (&'a Workload, Option<&'a JsonVerdict>, Option<Duration>);

/// The table as text, without spaces at the ends of its lines.
pub fn table(rows: &[Row<'_>]) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(["workload", "what is the matter", "cause", "container", "subject", "after", "fix"]);
    for row in rows {
        table.add_row(cells(row));
    }
    for (column, width) in [(0, 18), (1, 30), (2, 20), (3, 11), (4, 30), (5, 8)] {
        if let Some(column) = table.column_mut(column) {
            column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(width)));
        }
    }
    table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn cells((workload, said, after): &Row<'_>) -> [String; 7] {
    let Some(verdict) = said else {
        let silent = if workload.expected.is_some() { "nothing said" } else { "—" };
        return [&workload.name, &workload.about, silent, "", "", "", ""].map(str::to_owned);
    };
    let after = after.map_or_else(String::new, |after| format!("{:.1} s", after.as_secs_f64()));
    let fix = if verdict.remedy.patch.is_some() { "patch" } else { "in words" };
    [&workload.name, &workload.about, &verdict.cause, &verdict.workload.container, &verdict.subject, &after, fix].map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_about_the_sick_is_visible() {
        let sick = Workload {
            name: "orders".into(),
            namespace: "shop".into(),
            kind: "Deployment".into(),
            about: "no key".into(),
            objects: Vec::new(),
            expected: Some(super::super::workload::Expected::default()),
        };
        let healthy = Workload { name: "web".into(), expected: None, ..sick.clone() };
        let text = table(&[(&sick, None, None), (&healthy, None, None)]);
        assert!(text.contains("nothing said") && text.contains('—'), "{text}");
    }
}
