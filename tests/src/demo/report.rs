//! The demo's table: container → verdict, for a terminal of 160 columns.

use super::stage::{Act, Outcome};
use crate::verdicts::JsonVerdict;
use comfy_table::{ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width};

/// Width of the whole table, in columns.
const WIDTH: u16 = 160;
/// Most characters of a remedy that are shown; `unready get -o json` has all of them.
const REMEDY_CHARS: usize = 112;

/// Only a line below the header: rows of two lines are many already.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// The table as text, without spaces at the ends of its lines.
pub fn table(acts: &[Act], outcome: &Outcome) -> String {
    let text = rows(acts, outcome).to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn rows(acts: &[Act], outcome: &Outcome) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(["container", "what is the matter", "cause", "subject", "layer", "remedy"]);
    for act in acts {
        let scenario = act.scenario;
        let mut said = outcome.verdicts.of(scenario.name).peekable();
        if said.peek().is_none() {
            table.add_row([scenario.name, scenario.about, "—", "", "", ""]);
        }
        for verdict in said {
            table.add_row(row(scenario.name, scenario.about, verdict));
        }
    }
    for (column, width) in [(0, 17), (1, 28), (2, 26), (3, 29), (4, 21)] {
        if let Some(column) = table.column_mut(column) {
            column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(width)));
        }
    }
    table
}

fn row<'a>(name: &'a str, about: &'a str, verdict: &'a JsonVerdict) -> [String; 6] {
    [name, about, &verdict.cause, &verdict.subject, &verdict.layer, &shortened(&verdict.remedy.text)].map(str::to_owned)
}

/// The first sentence or so: cut between words, and marked.
fn shortened(text: &str) -> String {
    if text.chars().count() <= REMEDY_CHARS {
        return text.to_owned();
    }
    let cut: String = text.chars().take(REMEDY_CHARS).collect();
    let words = cut.rsplit_once(' ').map_or(cut.as_str(), |(words, _)| words);
    format!("{words} …")
}

#[cfg(test)]
mod tests {
    use super::{REMEDY_CHARS, shortened};

    #[test]
    fn a_remedy_is_cut_between_words() {
        assert_eq!(shortened("Short."), "Short.");
        let long = shortened(&"word ".repeat(100));
        assert!(long.ends_with("word …") && long.chars().count() <= REMEDY_CHARS + 2, "{long}");
    }
}
