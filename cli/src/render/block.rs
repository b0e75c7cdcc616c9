//! One verdict in full:
//!
//! ```text
//! PermissionDenied  shop/orders-7d9f/app  open("/data/orders.db", O_RDWR|O_CREAT) = EACCES, 14 times in 3.2 s
//!   why   process uid 1000 gid 1000 (no groups) needs w on directory /data, which is 0:0 0755
//!   fix   spec.securityContext.fsGroup: 1000
//!   sure  certain: seen, and its condition checked again; 0 events lost
//! ```

use super::{Style, printable, workload};
use std::fmt::Write as _;
use unready_proto::v1::{Completeness, Verdict};

const INDENT: &str = "        ";

/// The block, with the end of its last line.
pub(crate) fn block(verdict: &Verdict, style: Style) -> String {
    let cause = printable(&verdict.cause);
    let head = format!("{cause}  {}  {}", workload(verdict), printable(&verdict.summary));
    let mut text = paragraph(&head, "", style);
    if style.color {
        text.replace_range(..cause.len(), &format!("{}{cause}{RESET}", color(&verdict.severity)));
    }
    label(&mut text, "why", verdict.explanation.iter().map(String::as_str), style);
    label(&mut text, "fix", verdict.remedy.iter().map(|remedy| remedy.text.as_str()), style);
    label(&mut text, "sure", std::iter::once(sure(verdict).as_str()), style);
    if verdict.resolved_at.is_some() {
        label(&mut text, "now", std::iter::once("resolved: the condition went away"), style);
    }
    text
}

/// Paragraphs under a label; the label stands before the first.
fn label<'a>(text: &mut String, name: &str, paragraphs: impl Iterator<Item = &'a str>, style: Style) {
    let mut first = format!("  {name:<4}  ");
    for paragraph_text in paragraphs.flat_map(str::lines).map(str::trim_end).filter(|line| !line.is_empty()) {
        let mut lines = paragraph(&printable(paragraph_text), &first, style);
        if style.color && first != INDENT {
            lines.replace_range(..first.len(), &format!("{DIM}{first}{RESET}"));
        }
        text.push_str(&lines);
        INDENT.clone_into(&mut first);
    }
}

/// Wrapped at spaces only, so that a path or a setting can be copied whole.
fn paragraph(text: &str, first: &str, style: Style) -> String {
    let Some(width) = style.width else { return format!("{first}{text}\n") };
    let options = textwrap::Options::new(width)
        .initial_indent(first)
        .subsequent_indent(INDENT)
        .break_words(false)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit);
    textwrap::fill(text, options) + "\n"
}

/// How sure, why, and what is missing.
fn sure(verdict: &Verdict) -> String {
    let mut text = match verdict.confidence.as_str() {
        "Certain" => "certain: seen, and its condition checked again".to_owned(),
        "Likely" => "likely: the best explanation of what was seen, not proved".to_owned(),
        "Possible" => "possible: one of several explanations".to_owned(),
        other => other.to_lowercase(),
    };
    let Completeness { lost, suppressed, unanswered } = verdict.completeness.unwrap_or_default();
    let _ = write!(text, "; {}", plural(lost, "event", "lost"));
    if suppressed > 0 {
        let _ = write!(text, ", {}", plural(suppressed, "event", "counted only"));
    }
    if unanswered > 0 {
        let _ = write!(text, ", {}", plural(unanswered, "question", "could no longer be answered"));
    }
    text
}

fn plural(count: u32, noun: &str, what: &str) -> String {
    format!("{count} {noun}{} {what}", if count == 1 { "" } else { "s" })
}

const RESET: &str = "\u{1b}[0m";
const DIM: &str = "\u{1b}[2m";

/// Bold red for what blocks, bold yellow for what slows, bold cyan for the rest.
fn color(severity: &str) -> &'static str {
    match severity {
        "Blocking" => "\u{1b}[1;31m",
        "Slowing" => "\u{1b}[1;33m",
        _ => "\u{1b}[1;36m",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unready_proto::v1::{Remedy, Workload};

    fn verdict() -> Verdict {
        Verdict {
            cause: "PermissionDenied".into(),
            severity: "Blocking".into(),
            confidence: "Certain".into(),
            workload: Some(Workload {
                namespace: "shop".into(),
                pod: "orders-7d9f".into(),
                container: "app".into(),
                ..Workload::default()
            }),
            summary: "open(\"/data/orders.db\", O_RDWR|O_CREAT) = EACCES, 14 times in 3.2 s".into(),
            explanation: vec![
                "process uid 1000 gid 1000 (no groups) needs w on directory /data, which is 0:0 0755".into(),
                "/data is volume \"data\" (PVC orders-data, ext4); the pod sets runAsUser 1000 and no fsGroup".into(),
            ],
            remedy: Some(Remedy { text: "spec.securityContext.fsGroup: 1000".into(), ..Remedy::default() }),
            completeness: Some(Completeness::default()),
            ..Verdict::default()
        }
    }

    #[test]
    fn unwrapped() {
        assert_eq!(
            block(&verdict(), Style::PLAIN),
            "\
PermissionDenied  shop/orders-7d9f/app  open(\"/data/orders.db\", O_RDWR|O_CREAT) = EACCES, 14 times in 3.2 s
  why   process uid 1000 gid 1000 (no groups) needs w on directory /data, which is 0:0 0755
        /data is volume \"data\" (PVC orders-data, ext4); the pod sets runAsUser 1000 and no fsGroup
  fix   spec.securityContext.fsGroup: 1000
  sure  certain: seen, and its condition checked again; 0 events lost
"
        );
    }

    #[test]
    fn wrapped_at_spaces_under_its_label() {
        assert_eq!(
            block(&verdict(), Style { width: Some(60), color: false }),
            "\
PermissionDenied  shop/orders-7d9f/app
        open(\"/data/orders.db\", O_RDWR|O_CREAT) = EACCES, 14
        times in 3.2 s
  why   process uid 1000 gid 1000 (no groups) needs w on
        directory /data, which is 0:0 0755
        /data is volume \"data\" (PVC orders-data, ext4); the
        pod sets runAsUser 1000 and no fsGroup
  fix   spec.securityContext.fsGroup: 1000
  sure  certain: seen, and its condition checked again; 0
        events lost
"
        );
    }

    #[test]
    fn a_long_path_is_never_broken() {
        let path = format!("/{}", "x".repeat(80));
        let long = Verdict { explanation: vec![format!("needs {path}")], ..verdict() };
        assert!(block(&long, Style { width: Some(50), color: false }).contains(&path));
    }

    #[test]
    fn colours_change_nothing_else() {
        let style = Style { width: Some(60), color: true };
        let colored = block(&verdict(), style);
        assert!(colored.starts_with("\u{1b}[1;31mPermissionDenied\u{1b}[0m  shop"), "{colored:?}");
        assert!(colored.contains("\u{1b}[2m  why   \u{1b}[0mprocess"), "{colored:?}");
        let mut plain = colored;
        for code in ["\u{1b}[1;31m", DIM, RESET] {
            plain = plain.replace(code, "");
        }
        assert_eq!(plain, block(&verdict(), Style { color: false, ..style }));
    }

    #[test]
    fn what_is_not_known_is_said() {
        let unsure = Verdict {
            confidence: "Likely".into(),
            completeness: Some(Completeness { lost: 1, suppressed: 20, unanswered: 2 }),
            explanation: Vec::new(),
            remedy: None,
            resolved_at: Some(unready_proto::time::timestamp(1)),
            ..verdict()
        };
        assert_eq!(
            block(&unsure, Style::PLAIN).lines().skip(1).collect::<Vec<_>>(),
            [
                "  sure  likely: the best explanation of what was seen, not proved; 1 event lost, 20 events counted only, 2 questions could no longer be answered",
                "  now   resolved: the condition went away",
            ]
        );
    }

    #[test]
    fn a_hostile_name_cannot_drive_the_terminal() {
        let hostile = Verdict { summary: "open(\"\u{1b}]0;x\u{7}\") = ENOENT".into(), ..verdict() };
        assert!(!block(&hostile, Style::PLAIN).contains('\u{1b}'));
    }
}
