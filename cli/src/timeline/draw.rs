//! The waterfall on a terminal: a row a span, bars to one scale.
//!
//! Below the bar of a start stand its moments, with milliseconds, as far as an agent saw them.
//!
//! What goes on would push everything else into the first column once it has gone on for hours: its bar is then cut at the
//! right edge, with an arrow.

use super::{
    moments::{Moment, clock, moments},
    span::{Span, Timeline},
};
use crate::{
    cause::WAITING,
    render::{DIM, RESET, Style, shorten, tint},
};
use std::fmt::Write as _;
use textwrap::core::display_width;
use unready_diagnosis::outside::escaped;
use unready_proto::{time::timestamp, v1::Verdict};

/// Columns where the width is not known.
const USUAL: usize = 100;
/// A bar needs some room, or it says nothing.
const NARROWEST: usize = 10;
/// `12m34s` and its gaps.
const LENGTH: usize = 8;
/// Where the times of moments end: `1h02m05.042s` and an indent.
const CLOCK: usize = 14;
/// The longest name that moves the bars.
const NAMES: usize = 30;
const SECOND: u64 = 1_000_000_000;
/// Moments of a start that are shown from its begin, and to its end.
const MOMENTS: (usize, usize) = (10, 6);
/// Starts of a container that the API server has forgotten and that are shown.
const EARLIER: usize = 3;

const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";

/// How rows are laid out.
struct Scale {
    names: usize,
    bars: usize,
    notes: usize,
    /// What the bars' whole width stands for, nanoseconds.
    whole: u64,
}

/// The picture, with its heading.
pub(super) fn draw(timeline: &Timeline, style: Style) -> String {
    let spans = shown(&timeline.spans);
    let scale = Scale::of(timeline, style.width.unwrap_or(USUAL));
    let mut text = format!("{}\n{}\n", escaped(&timeline.head), heading(timeline));
    let _ = writeln!(text, "{:names$}  {}", "", scale.axis(), names = scale.names);
    for (span, left_out) in spans {
        if left_out > 0 {
            let _ = writeln!(text, "  … {left_out} earlier start{} of {}: -o json", plural(left_out), escaped(&span.container));
        }
        text += &scale.row(span, timeline, style);
        text += &scale.moments(span, timeline, style);
        span.verdicts.iter().for_each(|verdict| text += &scale.verdict(verdict, style));
    }
    timeline.others.iter().for_each(|verdict| text += &scale.verdict(verdict, style));
    text
}

/// What times there are, and why not better ones.
fn heading(timeline: &Timeline) -> String {
    let created = timestamp(timeline.begin());
    if timeline.spans.iter().any(|span| span.report.is_some()) {
        return format!("created {created}, seconds since then; milliseconds are the kernel's, whole seconds the API server's\n");
    }
    let why = timeline.missing.as_ref().map(|reason| format!("no milliseconds: {}\n", escaped(reason))).unwrap_or_default();
    format!("created {created}, seconds since then; the API server's times have whole seconds\n{why}")
}

/// The spans without those of many earlier starts; with each, how many of them were left out before it.
fn shown(spans: &[Span]) -> Vec<(&Span, usize)> {
    let (mut shown, mut left_out) = (Vec::new(), 0);
    for (at, span) in spans.iter().enumerate() {
        let later = spans.iter().skip(at + 1).filter(|other| other.is_earlier && other.container == span.container).count();
        if span.is_earlier && later >= EARLIER {
            left_out += 1;
        } else {
            shown.push((span, std::mem::take(&mut left_out)));
        }
    }
    shown
}

const fn plural(number: usize) -> &'static str {
    if number == 1 { "" } else { "s" }
}

impl Scale {
    fn of(timeline: &Timeline, width: usize) -> Self {
        let names = timeline.spans.iter().map(|span| display_width(&escaped(&span.name))).max().unwrap_or(0).clamp(9, NAMES);
        let rest = width.saturating_sub(names + 2 + LENGTH);
        let longest = timeline.spans.iter().map(|span| display_width(&escaped(&span.note))).max().unwrap_or(0);
        let notes = longest.min(rest / 2).min(rest.saturating_sub(NARROWEST));
        Self { names, bars: rest.saturating_sub(notes + 1).max(NARROWEST), notes, whole: whole(timeline) }
    }

    /// Second marks over the bars.
    fn axis(&self) -> String {
        let step = step(self.whole, self.bars);
        let mut line = String::new();
        for at in (0..).map(|n| n * step).take_while(|at| *at <= self.whole) {
            let column = self.column(at);
            let mark = length(at);
            let used = display_width(&line);
            if column >= used && column + mark.len() <= self.bars + LENGTH && (at == 0 || column > used) {
                line += &" ".repeat(column - used);
                line += &mark;
            }
        }
        line
    }

    fn column(&self, at: u64) -> usize {
        let at = u128::from(at.min(self.whole)) * self.bars as u128;
        usize::try_from(at / u128::from(self.whole.max(1))).unwrap_or(0)
    }

    fn row(&self, span: &Span, timeline: &Timeline, style: Style) -> String {
        let begin = span.begin.saturating_sub(timeline.begin());
        let end = span.end.unwrap_or(timeline.now).saturating_sub(timeline.begin());
        let (bar, width) = self.bar(begin, end, span.end.is_none());
        let painted = if style.color { format!("{}{bar}{RESET}", paint(span)) } else { bar };
        let never = span.end.is_none() && end <= begin;
        let took = match end.saturating_sub(begin) {
            _ if never => String::new(),
            took if span.is_exact => exact_length(took),
            took => length(took),
        };
        let note = shorten(&escaped(&span.note), self.notes.max(NARROWEST));
        let name = shorten(&escaped(&span.name), self.names);
        let line = format!(
            "{name}{}  {painted}{} {took:<len$}{note}",
            " ".repeat(self.names.saturating_sub(display_width(&name))),
            " ".repeat(self.bars.saturating_sub(width)),
            len = LENGTH,
        );
        line.trim_end().to_owned() + "\n"
    }

    /// Blanks up to the begin, then at least one mark; and its width.
    fn bar(&self, begin: u64, end: u64, goes_on: bool) -> (String, usize) {
        if goes_on && end <= begin {
            return (String::new(), 0);
        }
        let from = self.column(begin).min(self.bars - 1);
        let to = self.column(end).clamp(from + 1, self.bars);
        let mut bar = if end <= begin { "▏".to_owned() } else { "█".repeat(to - from) };
        if goes_on {
            bar.pop();
            bar.push('▶');
        }
        let bar = " ".repeat(from) + &bar;
        let width = display_width(&bar);
        (bar, width)
    }

    /// What happened in a start, below its bar: the first moments and the last ones.
    fn moments(&self, span: &Span, timeline: &Timeline, style: Style) -> String {
        let Some(report) = &span.report else { return String::new() };
        let all = moments(report, timeline.begin());
        let (first, last) = MOMENTS;
        let cut = all.len().checked_sub(first + last).filter(|cut| *cut > 1);
        let Some(cut) = cut else { return self.lines(&all, timeline, style) };
        let (head, tail) = (self.lines(&all[..first], timeline, style), self.lines(&all[first + cut..], timeline, style));
        format!("{head}{:>CLOCK$}  … {cut} more: -o json\n{tail}", "")
    }

    fn lines(&self, moments: &[Moment], timeline: &Timeline, style: Style) -> String {
        let room = self.room().saturating_sub(CLOCK + 2).max(40);
        let line = |moment: &Moment| {
            let time = moment.at.map(|at| clock(at, timeline.begin())).unwrap_or_default();
            let (dim, reset) = if style.color { (DIM, RESET) } else { ("", "") };
            format!("{dim}{time:>CLOCK$}{reset}  {}\n", shorten(&escaped(&moment.text), room))
        };
        moments.iter().map(line).collect()
    }

    /// Columns of a line.
    const fn room(&self) -> usize {
        self.names + 2 + self.bars + 1 + LENGTH + self.notes
    }

    /// A verdict below its span, as far as the line goes.
    fn verdict(&self, verdict: &Verdict, style: Style) -> String {
        let room = self.room();
        if verdict.cause == WAITING {
            // The sentence says it with its first word.
            return format!("  ↳ {}\n", shorten(&escaped(&verdict.summary), room.saturating_sub(4).max(40)));
        }
        let words = format!("{}: {}", escaped(&verdict.cause), escaped(&verdict.summary));
        let words = shorten(&words, room.saturating_sub(4).max(40));
        let severity = if verdict.resolved_at.is_some() { "" } else { verdict.severity.as_str() };
        let words = match words.split_once(':') {
            Some((cause, rest)) => format!("{}:{rest}", tint(cause, severity, style)),
            None => words,
        };
        format!("  ↳ {words}\n")
    }
}

fn paint(span: &Span) -> &'static str {
    match (span.failed, span.end) {
        (true, _) => RED,
        (false, Some(_)) => GREEN,
        (false, None) => DIM,
    }
}

/// What the width stands for: everything, unless what goes on outweighs all that is over.
fn whole(timeline: &Timeline) -> u64 {
    const OUTWEIGHS: u64 = 4;
    let since = |at: u64| at.saturating_sub(timeline.begin());
    let over = timeline
        .spans
        .iter()
        .filter_map(|span| span.end)
        .chain(timeline.spans.iter().filter(|s| s.end.is_none() && s.begin < timeline.now).map(|s| s.begin));
    let over = over.map(since).max().unwrap_or(0);
    let goes_on = timeline.spans.iter().any(|span| span.end.is_none() && span.begin < timeline.now);
    let all = if goes_on { since(timeline.now) } else { over };
    let most = if over > 0 { over.saturating_mul(OUTWEIGHS) } else { all };
    all.min(most).max(SECOND)
}

/// A round number of seconds, so that marks stand well apart.
fn step(whole: u64, columns: usize) -> u64 {
    const APART: usize = 12;
    const ROUND: [u64; 16] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 86_400];
    let marks = u64::try_from((columns / APART).max(1)).unwrap_or(1);
    let least = whole / marks / SECOND;
    ROUND.into_iter().find(|step| *step >= least).unwrap_or(least.max(1)) * SECOND
}

/// `0.196s`, `12.007s`; from a minute on the milliseconds say nothing.
fn exact_length(nanos: u64) -> String {
    let millis = nanos / 1_000_000;
    if millis < 60_000 { format!("{}.{:03}s", millis / 1_000, millis % 1_000) } else { length(nanos) }
}

/// `0s`, `1.2s`, `45s`, `3m20s`, `2h5m`, `3d4h`.
fn length(nanos: u64) -> String {
    let (seconds, tenths) = (nanos / SECOND, nanos % SECOND / (SECOND / 10));
    match seconds {
        0..10 if tenths > 0 => format!("{seconds}.{tenths}s"),
        0..60 => format!("{seconds}s"),
        60..3_600 if seconds % 60 == 0 => format!("{}m", seconds / 60),
        60..3_600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::super::spans::tests::{S, crashing};
    use super::*;

    fn at(width: usize) -> Style {
        Style { width: Some(width), color: false }
    }

    #[test]
    fn a_waterfall() {
        let text = draw(&crashing(), at(80));
        let picture = text.split_once("\n\n").map(|(_, picture)| picture).unwrap_or_default();
        assert!(picture.lines().count() >= 10, "{text}");
        let column = |name: &str, mark: char| {
            let line = picture.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.chars().position(|c| c == mark)
        };
        let (init, last, waits) = (column("init migrate", '█'), column("app, start 3", '█'), column("app, waits", '▶'));
        assert!(init < last && last < waits && init.is_some(), "{text}");
        assert!(picture.contains("↳ FileMissing: it is so"), "{text}");
        let line = |name: &str| picture.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        assert!(line("init migrate").ends_with("5s      exit 0"), "{text}");
        assert!(line("pull migrate:1").ends_with("1.2s"), "{text}");
        assert!(line("ready").ends_with("not yet") && !line("ready").contains('█'), "{text}");
    }

    #[test]
    fn it_fits_the_terminal() {
        for width in 60..200 {
            let text = draw(&crashing(), at(width));
            let picture = text.split_once("\n\n").map(|(_, picture)| picture).unwrap_or_default();
            assert!(picture.lines().all(|line| display_width(line) <= width), "{width}\n{text}");
        }
    }

    #[test]
    fn colours_change_nothing_else() {
        let mut painted = draw(&crashing(), Style { color: true, ..at(90) });
        assert!(painted.contains(RED) && painted.contains(GREEN));
        for code in [RED, GREEN, DIM, RESET, "\u{1b}[1;31m"] {
            painted = painted.replace(code, "");
        }
        assert_eq!(painted, draw(&crashing(), at(90)));
    }

    #[test]
    fn what_goes_on_for_days_leaves_room_for_the_start() {
        let mut long = crashing();
        long.now += 3 * 86_400 * S;
        // What is not there yet begins now.
        long.spans.iter_mut().filter(|span| span.name == "ready").for_each(|span| span.begin = long.now);
        assert_eq!(whole(&long), 4 * 23 * S);
        let text = draw(&long, at(100));
        assert!(text.lines().any(|line| line.starts_with("app, waits") && line.contains("▶ 3d0h")), "{text}");
    }

    #[test]
    fn lengths() {
        let of = |tenths: u64| length(tenths * S / 10);
        assert_eq!([of(0), of(12), of(99), of(100), of(599)], ["0s", "1.2s", "9.9s", "10s", "59s"]);
        assert_eq!([of(600), of(2_000), of(36_000), of(75_000), of(900_000)], ["1m", "3m20s", "1h0m", "2h5m", "1d1h"]);
    }

    #[test]
    fn marks_stand_apart() {
        for seconds in [1, 3, 17, 60, 600, 90_000] {
            let marks = seconds * S / step(seconds * S, 60);
            assert!(marks <= 6, "{seconds}");
        }
    }
}
