//! Many verdicts, a line each, aligned as `kubectl get` does.
//!
//! Columns that no verdict has a value for are left out: a machine without Kubernetes shows containers only. On a terminal
//! the sentence takes what the other columns leave, and is cut there; where they leave next to nothing it gets a line of
//! its own. Into a pipe everything is written in full. In a watch the columns of the first table are kept.

use super::{
    style::{DIM, RESET, Style, tint},
    text::shorten,
    workload::container,
};
use std::{fmt::Write as _, time::Duration};
use textwrap::core::display_width;
use unready_diagnosis::outside::escaped;
use unready_proto::{
    prost_types::Timestamp,
    time::nanos,
    v1::{Start, Verdict, Workload},
};

/// What a table shows and how it may look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// All columns.
    pub(crate) wide: bool,
    /// The column NAMESPACE is shown; otherwise all rows are of one namespace, or of none.
    pub(crate) namespaces: bool,
    /// Where it goes. The width is the terminal's own.
    pub(crate) style: Style,
}

/// A column: its heading, and what it shows.
struct Column {
    heading: &'static str,
    value: fn(&Row<'_>) -> String,
    /// Left out of the narrow form.
    wide: bool,
    /// Left out when empty in all rows.
    optional: bool,
    /// Takes what the others leave.
    flexible: bool,
}

struct Row<'a> {
    verdict: &'a Verdict,
    workload: &'a Workload,
    start: &'a Start,
    /// Nanoseconds since 1970.
    now: u64,
}

const fn column(heading: &'static str, value: fn(&Row<'_>) -> String) -> Column {
    Column { heading, value, wide: false, optional: false, flexible: false }
}

const fn wide(heading: &'static str, value: fn(&Row<'_>) -> String) -> Column {
    Column { wide: true, ..column(heading, value) }
}

const NAMESPACE: &str = "NAMESPACE";
const CAUSE: &str = "CAUSE";
const FIX: &str = "FIX";

const COLUMNS: [Column; 14] = [
    Column { optional: true, ..column(NAMESPACE, |row| row.workload.namespace.clone()) },
    Column { optional: true, ..column("POD", pod) },
    Column { optional: true, ..column("CONTAINER", container_of) },
    column(CAUSE, |row| row.verdict.cause.clone()),
    Column { optional: true, ..wide("LAYER", |row| row.verdict.layer.clone()) },
    wide("SEVERITY", |row| row.verdict.severity.clone()),
    wide("CONFIDENCE", |row| row.verdict.confidence.clone()),
    Column { optional: true, ..wide("NODE", |row| row.workload.node.clone()) },
    Column { optional: true, ..wide("OWNER", |row| row.workload.owner.clone()) },
    Column { optional: true, ..column("RESOLVED", |row| ago(row.verdict.resolved_at.as_ref(), row.now)) },
    column("AGE", |row| ago(row.verdict.first_seen.as_ref(), row.now)),
    column("SEEN", |row| seen(row.verdict.count)),
    Column { flexible: true, ..column("WHAT", what) },
    Column {
        optional: true,
        flexible: true,
        ..wide(FIX, |row| row.verdict.remedy.as_ref().map(|remedy| remedy.text.clone()).unwrap_or_default())
    },
];

/// An owner that has no pod stands in the pod's place.
fn pod(row: &Row<'_>) -> String {
    let Workload { pod, owner, .. } = row.workload;
    if pod.is_empty() { owner.clone() } else { pod.clone() }
}

/// A verdict on a pod as a whole, or on an owner, has none.
fn container_of(row: &Row<'_>) -> String {
    let is_of_a_container = !row.workload.container.is_empty() || (row.workload.pod.is_empty() && row.workload.owner.is_empty());
    if is_of_a_container { container(row.workload, row.start) } else { String::new() }
}

/// In a watch there is no column for it.
fn what(row: &Row<'_>) -> String {
    let resolved = if row.verdict.resolved_at.is_some() { "resolved: " } else { "" };
    // The column CAUSE says it already.
    let summary = &row.verdict.summary;
    format!("{resolved}{}", summary.strip_prefix("waiting, nothing wrong so far: ").unwrap_or(summary))
}

/// `×14`; once is not worth a word.
fn seen(count: u32) -> String {
    if count > 1 { format!("×{count}") } else { String::new() }
}

/// Spaces between columns.
const GAP: usize = 2;
/// With less room than this a sentence gets a line of its own.
const TIGHT: usize = 32;

/// The columns of a table and how wide they are.
pub(crate) struct Table {
    look: Look,
    columns: Vec<&'static Column>,
    widths: Vec<usize>,
    /// The sentence stands on a line of its own.
    folded: bool,
}

impl Table {
    /// A table of these verdicts, and its text with heading; `now` in nanoseconds since 1970.
    pub(crate) fn new(verdicts: &[Verdict], look: Look, now: u64) -> (Self, String) {
        let rows: Vec<Row<'_>> = verdicts.iter().map(|verdict| Row::of(verdict, now)).collect();
        let shown = |column: &&Column| {
            (look.wide || !column.wide)
                && (look.namespaces || column.heading != NAMESPACE)
                && (!column.optional || rows.iter().any(|row| !(column.value)(row).is_empty()))
        };
        let columns: Vec<&'static Column> = COLUMNS.iter().filter(shown).collect();
        let widths = columns.iter().map(|column| widest(column, &rows)).collect();
        let table = Self { look, columns, widths, folded: false }.fitted();
        let heading = table.heading();
        let text = verdicts.iter().fold(heading, |text, verdict| text + &table.row(verdict, now));
        (table, text)
    }

    /// The flexible columns share what the terminal has left.
    fn fitted(mut self) -> Self {
        let Some(terminal) = self.look.style.width else { return self };
        let fixed: usize = self.columns.iter().zip(&self.widths).filter(|(column, _)| !column.flexible).map(|(_, width)| width + GAP).sum();
        let room = terminal.saturating_sub(fixed);
        let flexible: Vec<usize> = self.columns.iter().enumerate().filter(|(_, column)| column.flexible).map(|(at, _)| at).collect();
        self.folded = room < TIGHT * flexible.len();
        let room = if self.folded { terminal } else { room };
        let needed: usize = flexible.iter().map(|at| self.widths[*at] + GAP).sum();
        if self.folded || needed > room + GAP {
            let each = if self.folded { room.saturating_sub(GAP) } else { (room / flexible.len().max(1)).saturating_sub(GAP / 2) };
            for at in flexible {
                self.widths[at] = self.widths[at].min(each);
            }
        }
        self
    }

    fn heading(&self) -> String {
        let cells = self.columns.iter().map(|column| column.heading.to_owned()).collect();
        self.line(cells, true, |_, text| text)
    }

    /// One more row, aligned with those before.
    pub(crate) fn row(&self, verdict: &Verdict, now: u64) -> String {
        let row = Row::of(verdict, now);
        let cells = self.columns.iter().map(|column| escaped(&(column.value)(&row)).into_owned()).collect();
        let severity = if verdict.resolved_at.is_some() { "" } else { verdict.severity.as_str() };
        self.line(cells, false, |column, text| if column.heading == CAUSE { tint(&text, severity, self.look.style) } else { text })
    }

    /// Cells flush left, no spaces at the ends of lines.
    fn line(&self, cells: Vec<String>, is_heading: bool, paint: impl Fn(&Column, String) -> String) -> String {
        let (mut line, mut below) = (String::new(), String::new());
        for ((column, width), cell) in self.columns.iter().zip(&self.widths).zip(cells) {
            // Below one another the two are told apart by an arrow.
            let cell = if self.folded && column.heading == FIX && !cell.is_empty() { format!("→ {cell}") } else { cell };
            let cell = if column.flexible && self.look.style.width.is_some() { shorten(&cell, *width) } else { cell };
            if column.flexible && self.folded {
                if !is_heading && !cell.is_empty() {
                    let (begin, end) = if self.look.style.color { (DIM, RESET) } else { ("", "") };
                    let _ = writeln!(below, "{:GAP$}{begin}{cell}{end}", "");
                }
                continue;
            }
            let padding = (width + GAP).saturating_sub(display_width(&cell)).max(GAP);
            line += &paint(column, cell);
            line.extend(std::iter::repeat_n(' ', padding));
        }
        line.truncate(line.trim_end().len());
        line + "\n" + &below
    }
}

impl<'a> Row<'a> {
    fn of(verdict: &'a Verdict, now: u64) -> Self {
        static NONE: (Workload, Start) = (
            Workload {
                namespace: String::new(),
                pod: String::new(),
                pod_uid: String::new(),
                container: String::new(),
                container_kind: String::new(),
                image: String::new(),
                owner: String::new(),
                node: String::new(),
                runtime: String::new(),
                command: Vec::new(),
            },
            Start { container_id: String::new(), restart_count: 0 },
        );
        Row { verdict, workload: verdict.workload.as_ref().unwrap_or(&NONE.0), start: verdict.start.as_ref().unwrap_or(&NONE.1), now }
    }
}

fn widest(column: &Column, rows: &[Row<'_>]) -> usize {
    let cells = rows.iter().map(|row| display_width(&escaped(&(column.value)(row))));
    cells.chain([display_width(column.heading)]).max().unwrap_or_default()
}

/// `45s`, `12m`, `5h`, `9d`, as kubectl has it; empty when unknown.
fn ago(time: Option<&Timestamp>, now: u64) -> String {
    time.map_or_else(String::new, |time| age(now.saturating_sub(nanos(time))))
}

/// Nanoseconds as kubectl's columns have them.
pub(crate) fn age(nanos: u64) -> String {
    let seconds = Duration::from_nanos(nanos).as_secs();
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
    const PIPE: Look = Look { wide: false, namespaces: true, style: Style::PLAIN };

    fn terminal(width: usize) -> Look {
        Look { style: Style { width: Some(width), color: false }, ..PIPE }
    }

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
                owner: "Deployment/orders".into(),
                ..Workload::default()
            }),
            summary: "open(\"/data/orders.db\", O_RDWR|O_CREAT) = EACCES, 14 times in 3.2 s".into(),
            remedy: Some(Remedy { text: "spec.securityContext.fsGroup: 1000".into(), ..Remedy::default() }),
            first_seen: Some(timestamp(NOW - 45 * SECOND)),
            ..Verdict::default()
        }
    }

    fn local() -> Verdict {
        Verdict {
            cause: "FileMissing".into(),
            summary: "open(\"/etc/key\", O_RDONLY) = ENOENT".into(),
            count: 1,
            workload: Some(Workload { container: "web".into(), ..Workload::default() }),
            first_seen: Some(timestamp(NOW - 2 * 86_400 * SECOND)),
            ..Verdict::default()
        }
    }

    #[test]
    fn with_kubernetes() {
        let (table, text) = Table::new(&[pod(), local()], PIPE, NOW);
        assert_eq!(
            text,
            "\
NAMESPACE  POD          CONTAINER  CAUSE             AGE  SEEN  WHAT
shop       orders-7d9f  app        PermissionDenied  45s  ×14   open(\"/data/orders.db\", O_RDWR|O_CREAT) = EACCES, 14 times in 3.2 s
                        web        FileMissing       2d         open(\"/etc/key\", O_RDONLY) = ENOENT
"
        );
        assert_eq!(
            table.row(&Verdict { summary: "chdir".into(), ..pod() }, NOW + 100 * SECOND),
            "shop       orders-7d9f  app        PermissionDenied  2m   ×14   chdir\n"
        );
        let one = Table::new(&[pod()], Look { namespaces: false, ..PIPE }, NOW).1;
        assert!(one.starts_with("POD  "), "{one}");
    }

    #[test]
    fn an_owner_without_a_pod_stands_in_the_pods_place() {
        let workload = Workload { namespace: "shop".into(), owner: "ReplicaSet/orders".into(), ..Workload::default() };
        let denied = Verdict { cause: "AdmissionDenied".into(), workload: Some(workload), ..pod() };
        let text = Table::new(&[denied], PIPE, NOW).1;
        assert!(text.starts_with("NAMESPACE  POD                CAUSE            AGE"), "{text}");
        assert!(text.contains("\nshop       ReplicaSet/orders  AdmissionDenied  45s"), "{text}");
    }

    #[test]
    fn without_kubernetes() {
        let resolved = Verdict { resolved_at: Some(timestamp(NOW)), ..local() };
        assert_eq!(
            Table::new(&[local(), resolved], PIPE, NOW).1,
            "\
CONTAINER  CAUSE        RESOLVED  AGE  SEEN  WHAT
web        FileMissing            2d         open(\"/etc/key\", O_RDONLY) = ENOENT
web        FileMissing  0s        2d         resolved: open(\"/etc/key\", O_RDONLY) = ENOENT
"
        );
    }

    #[test]
    fn wide() {
        assert_eq!(
            Table::new(&[pod()], Look { wide: true, ..PIPE }, NOW).1,
            "\
NAMESPACE  POD          CONTAINER  CAUSE             LAYER      SEVERITY  CONFIDENCE  NODE    OWNER              AGE  SEEN  WHAT                                                                 FIX
shop       orders-7d9f  app        PermissionDenied  mode bits  Blocking  Certain     node-1  Deployment/orders  45s  ×14   open(\"/data/orders.db\", O_RDWR|O_CREAT) = EACCES, 14 times in 3.2 s  spec.securityContext.fsGroup: 1000
"
        );
    }

    #[test]
    fn a_terminal_cuts_the_sentence() {
        let text = Table::new(&[pod()], terminal(110), NOW).1;
        assert!(text.lines().all(|line| display_width(line) <= 110), "{text}");
        assert!(text.contains("×14   open(\"/data/orders.db\", O_RDWR|O_CREAT) = "), "{text}");
        assert!(text.ends_with("…\n"), "{text}");
        let roomy = Table::new(&[pod()], terminal(200), NOW).1;
        assert!(roomy.ends_with("14 times in 3.2 s\n"), "{roomy}");
    }

    #[test]
    fn a_narrow_terminal_gives_the_sentence_its_own_line() {
        let text = Table::new(&[pod(), local()], terminal(80), NOW).1;
        assert_eq!(
            text,
            "\
NAMESPACE  POD          CONTAINER  CAUSE             AGE  SEEN
shop       orders-7d9f  app        PermissionDenied  45s  ×14
  open(\"/data/orders.db\", O_RDWR|O_CREAT) = EACCES, 14 times in 3.2 s
                        web        FileMissing       2d
  open(\"/etc/key\", O_RDONLY) = ENOENT
"
        );
    }

    #[test]
    fn any_width_is_kept_to_as_far_as_names_allow() {
        for width in 20..240 {
            for wide in [false, true] {
                let (table, text) = Table::new(&[pod(), local()], Look { wide, ..terminal(width) }, NOW);
                let names: usize = table.columns.iter().zip(&table.widths).filter(|(c, _)| !c.flexible).map(|(_, w)| w + GAP).sum();
                let bound = width.max(names);
                assert!(text.lines().all(|line| display_width(line) <= bound), "{width} {wide}\n{text}");
            }
        }
    }

    #[test]
    fn colours_do_not_move_columns() {
        let look = Look { style: Style { width: None, color: true }, ..PIPE };
        let painted = Table::new(&[pod()], look, NOW).1;
        assert!(painted.contains("\u{1b}[1;31mPermissionDenied\u{1b}[0m  45s"), "{painted}");
        let plain = painted.replace("\u{1b}[1;31m", "").replace("\u{1b}[0m", "");
        assert_eq!(plain, Table::new(&[pod()], PIPE, NOW).1);
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
        let hostile = Verdict { summary: "/a\n\u{1b}[2Jb".into(), ..pod() };
        let text = Table::new(&[hostile], PIPE, NOW).1;
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(!text.contains('\u{1b}'));
    }
}
