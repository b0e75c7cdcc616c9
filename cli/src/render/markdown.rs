//! The little Markdown of our own documents for a terminal: headings, paragraphs, lists, tables, code, bold leads, links.
//!
//! Without colours the marks of bold text and code stay away, too: what is read by people is read as text. Nothing else of
//! Markdown is understood, and nothing is lost: what is not known is printed as it stands.

use super::style::{RESET, Style};
use comfy_table::{ContentArrangement, presets::NOTHING};

const BOLD: &str = "\u{1b}[1m";
const CODE: &str = "\u{1b}[36m";

/// Wraps at words, and code is not torn at its hyphens.
fn options(width: usize) -> textwrap::Options<'static> {
    textwrap::Options::new(width).break_words(false).word_splitter(textwrap::WordSplitter::NoHyphenation)
}

/// A document, or a part of one.
pub(crate) fn render(text: &str, style: Style) -> String {
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.trim().is_empty() {
            continue;
        }
        let block = if line.starts_with("```") {
            let code: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
            lines_of(&code, "    ")
        } else {
            let mut block = vec![line];
            while let Some(next) = lines.next_if(|next| belongs(line, next)) {
                block.push(next);
            }
            one(&block, style)
        };
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&block);
    }
    out
}

/// Whether a line goes on with the block that this one began.
fn belongs(first: &str, next: &str) -> bool {
    !next.trim().is_empty() && !next.starts_with("```") && !first.starts_with('#') && first.starts_with('|') == next.starts_with('|')
}

fn one(block: &[&str], style: Style) -> String {
    let first = block[0];
    if let Some(heading) = first.strip_prefix('#') {
        let heading = heading.trim_start_matches('#').trim();
        return if style.color { bold(heading) } else { heading.to_owned() } + "\n";
    }
    if first.starts_with('|') {
        return table(block, style);
    }
    if first.starts_with("    ") {
        return lines_of(block, "");
    }
    if first.starts_with("- ") {
        return list(block, style);
    }
    paragraph(&block.join(" "), "", "", style)
}

/// As they are, each after this.
fn lines_of(lines: &[&str], before: &str) -> String {
    lines.iter().flat_map(|line| [before, line, "\n"]).collect()
}

/// Items begin with a dash; what is indented goes on with one.
fn list(block: &[&str], style: Style) -> String {
    let mut items: Vec<String> = Vec::new();
    for line in block {
        match (line.strip_prefix("- "), items.last_mut()) {
            (None, Some(item)) => item.extend([" ", line.trim()]),
            (item, _) => items.push(item.unwrap_or(line).to_owned()),
        }
    }
    items.iter().map(|item| paragraph(item, "- ", "  ", style)).collect()
}

fn paragraph(text: &str, first: &str, rest: &str, style: Style) -> String {
    let text = inline(text, style);
    match style.width {
        Some(width) => textwrap::fill(&text, options(width).initial_indent(first).subsequent_indent(rest)) + "\n",
        None => format!("{first}{text}\n"),
    }
}

fn table(block: &[&str], style: Style) -> String {
    let cells = |line: &&str| -> Vec<String> {
        // A bar within a cell is written as \|.
        let line = line.trim().trim_matches('|').replace("\\|", "\u{1}");
        line.split('|').map(|cell| inline(cell.trim(), Style { color: false, ..style }).replace('\u{1}', "|")).collect()
    };
    let mut table = comfy_table::Table::new();
    table.load_style(NOTHING);
    match style.width {
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(u16::try_from(width).unwrap_or(u16::MAX)),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    let is_rule = |line: &&&str| line.chars().all(|c| matches!(c, '|' | '-' | ':' | ' '));
    block.iter().filter(|line| !is_rule(line)).map(cells).for_each(|row| {
        table.add_row(row);
    });
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// Text without marks.
pub(crate) fn plain(text: &str) -> String {
    inline(text, Style::PLAIN)
}

/// In bold type.
pub(crate) fn bold(text: &str) -> String {
    format!("{BOLD}{text}{RESET}")
}

/// Bold text, emphasis, code and links.
fn inline(text: &str, style: Style) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['`', '*', '[']) {
        out.push_str(&rest[..at]);
        let (mark, paint) = match &rest[at..] {
            it if it.starts_with("``") => ("``", CODE),
            it if it.starts_with('`') => ("`", CODE),
            it if it.starts_with("**") => ("**", BOLD),
            it if it.starts_with('*') => ("*", ""),
            _ => ("[", ""),
        };
        let inner = &rest[at + mark.len()..];
        rest = if let Some((words, after)) = marked(mark, inner) {
            // A link's text may have marks of its own, code has none.
            let words = if mark.starts_with('`') { words.to_owned() } else { inline(words, style) };
            let (begin, end) = if style.color && !paint.is_empty() { (paint, RESET) } else { ("", "") };
            out.extend([begin, words.as_str(), end]);
            after
        } else {
            out.push_str(mark);
            inner
        };
    }
    out + rest
}

/// What stands between marks, and what comes after.
fn marked<'a>(mark: &str, inner: &'a str) -> Option<(&'a str, &'a str)> {
    if mark == "[" {
        let (words, after) = inner.split_once("](")?;
        return Some((words, after.split_once(')')?.1));
    }
    let (words, after) = inner.split_once(mark)?;
    // `2 * 3 * 4` is no emphasis.
    (!words.is_empty() && !words.starts_with(' ')).then_some((words, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAINTED: Style = Style { width: None, color: true };

    #[test]
    fn marks_become_colours_or_nothing() {
        let text = "**Symptom.** See `a * b`, [the `x` list](#x), *now*; 2 * 3 * 4, [x] `open";
        assert_eq!(render(text, Style::PLAIN), "Symptom. See a * b, the x list, now; 2 * 3 * 4, [x] `open\n");
        let painted = render("**Symptom.** `x`", PAINTED);
        assert_eq!(painted, "\u{1b}[1mSymptom.\u{1b}[0m \u{1b}[36mx\u{1b}[0m\n");
    }

    #[test]
    fn blocks() {
        let text = "## Heading\n\nOne\ntwo.\n\n- a\n  b\n- c\n\n    code  here\n\n```text\nmore  code\n```\n\n| a | b |\n|---|---|\n| `x` | y \\| z |\nafter\n";
        assert_eq!(
            render(text, Style::PLAIN),
            "Heading\n\nOne two.\n\n- a b\n- c\n\n    code  here\n\n    more  code\n\na  b\nx  y | z\n\nafter\n"
        );
    }

    #[test]
    fn wrapped_to_the_terminal() {
        let text = "Some words that are longer than the line. - no list\n\n- an item that goes on and on and on\n\n| layer | what it means at length |\n|---|---|\n| x | words and words and words |\n";
        let out = render(text, Style { width: Some(24), color: false });
        assert!(out.lines().all(|line| textwrap::core::display_width(line) <= 24), "{out}");
        assert!(out.contains("\n- an item that goes on\n  and on and on\n"), "{out}");
    }
}
