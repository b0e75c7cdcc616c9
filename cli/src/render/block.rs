//! One verdict in full:
//!
//! ```text
//! PermissionDenied  shop/orders-7d9f/app  open("/data/orders.db", O_RDWR|O_CREAT) = EACCES, 14 times in 3.2 s
//!   why   process uid 1000 gid 1000 (no groups) needs w on directory /data, which is 0:0 0755
//!   fix   spec.securityContext.fsGroup: 1000
//!         as a patch: kubectl unready patch pod/orders-7d9f -n shop
//!   sure  certain: seen, and its condition checked again; 0 events lost
//! ```

use super::{
    style::{DIM, RESET, Style, severity_color},
    workload::workload,
};
use std::fmt::Write as _;
use unready_diagnosis::{outside::escaped, verdict::Confidence};
use unready_proto::v1::{Completeness, Evidence, Verdict};

const INDENT: &str = "        ";

/// Which of a verdict's facts are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Facts {
    /// None: the sentences say it.
    #[default]
    None,
    /// What the program itself wrote: it is nowhere else to be read any more.
    #[cfg_attr(not(any(feature = "local", test)), expect(dead_code, reason = "only a start of this machine's is told so"))]
    Output,
    All,
}

impl Facts {
    /// Everything, if asked for.
    pub(crate) const fn asked(all: bool) -> Self {
        if all { Self::All } else { Self::None }
    }

    fn include(self, fact: &Evidence) -> bool {
        match self {
            Self::None => false,
            Self::Output => fact.kind == "Output",
            Self::All => true,
        }
    }
}

/// The block, with the end of its last line.
pub(crate) fn block(verdict: &Verdict, facts: Facts, style: Style) -> String {
    let cause = escaped(&verdict.cause);
    let head = format!("{cause}  {}  {}", workload(verdict), escaped(&verdict.summary));
    let mut text = paragraph(&head, "", style);
    if style.color && text.starts_with(&*cause) {
        text.replace_range(..cause.len(), &format!("{}{cause}{RESET}", severity_color(&verdict.severity)));
    }
    label(&mut text, "why", verdict.explanation.iter().map(String::as_str), style);
    label(&mut text, "fix", fix(verdict).iter().map(String::as_str), style);
    label(&mut text, "seen", seen(verdict, facts).iter().map(String::as_str), style);
    label(&mut text, "sure", std::iter::once(sure(verdict).as_str()).filter(|sure| !sure.is_empty()), style);
    if verdict.resolved_at.is_some() {
        label(&mut text, "now", std::iter::once("resolved: the condition went away"), style);
    }
    text
}

/// What to do, what else must be done, and where the patch is.
fn fix(verdict: &Verdict) -> Vec<String> {
    let Some(remedy) = &verdict.remedy else { return Vec::new() };
    let patch = remedy.patch.as_ref().and(verdict.workload.as_ref()).filter(|workload| !workload.pod.is_empty());
    let patch = patch.map(|workload| format!("as a patch: kubectl unready patch pod/{} -n {}", workload.pod, workload.namespace));
    std::iter::once(remedy.text.clone()).chain(remedy.also.iter().cloned()).chain(patch).collect()
}

/// Facts with their kind, and how long after the first one they were observed.
fn seen(verdict: &Verdict, facts: Facts) -> Vec<String> {
    let chosen: Vec<&Evidence> = verdict.evidence.iter().filter(|fact| facts.include(fact)).collect();
    let at = |fact: &&Evidence| fact.at.as_ref().map(unready_proto::time::nanos);
    let first = chosen.iter().filter_map(at).min();
    let line = |fact: &&Evidence| match (at(fact), first) {
        (Some(at), Some(first)) if facts == Facts::All => {
            format!("+{:.3} s  {}: {}", std::time::Duration::from_nanos(at - first).as_secs_f64(), fact.kind.to_lowercase(), fact.text)
        }
        _ => format!("{}: {}", fact.kind.to_lowercase(), fact.text),
    };
    chosen.iter().map(line).collect()
}

/// Paragraphs under a label; the label stands before the first.
fn label<'a>(text: &mut String, name: &str, paragraphs: impl Iterator<Item = &'a str>, style: Style) {
    let mut first = format!("  {name:<4}  ");
    for paragraph_text in paragraphs.map(str::trim_end).filter(|text| !text.is_empty()) {
        let mut lines = paragraph(&escaped(paragraph_text), &first, style);
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
    if verdict.confidence.is_empty() {
        return String::new();
    }
    let confidence = Confidence::of(&verdict.confidence);
    if !is_from_kernel(verdict) {
        let text = match confidence {
            Some(Confidence::Certain) => "certain: the API server says so".to_owned(),
            Some(Confidence::Likely) => "likely: the best explanation of what the API server says, not proved".to_owned(),
            Some(Confidence::Possible) => "possible: one of several explanations of what the API server says".to_owned(),
            None => verdict.confidence.to_lowercase(),
        };
        return format!("{text}; no evidence from the kernel");
    }
    let text = match confidence {
        Some(Confidence::Certain) => "certain: seen, and its condition checked again".to_owned(),
        Some(Confidence::Likely) => "likely: the best explanation of what was seen, not proved".to_owned(),
        Some(Confidence::Possible) => "possible: one of several explanations".to_owned(),
        None => verdict.confidence.to_lowercase(),
    };
    format!("{text}; {}", missing(verdict.completeness.unwrap_or_default()))
}

/// The kernel's evidence is about the start of a container, whose runtime it names by the cgroup; an account of the API server
/// names none, and rests on status, events and manifest.
fn is_from_kernel(verdict: &Verdict) -> bool {
    const KERNEL: [&str; 8] = ["Call", "File", "Mount", "Exec", "Exit", "Socket", "Resource", "Gap"];
    verdict.workload.as_ref().is_some_and(|workload| !workload.runtime.is_empty())
        || verdict.evidence.iter().any(|fact| KERNEL.contains(&fact.kind.as_str()))
}

/// What the kernel's evidence lacks.
fn missing(Completeness { lost, suppressed, unanswered, io_uring, compat_calls, own_kernel }: Completeness) -> String {
    let mut text = plural(lost, "event", "lost");
    if suppressed > 0 {
        let _ = write!(text, ", {}", plural(suppressed, "event", "counted only"));
    }
    if unanswered > 0 {
        let _ = write!(text, ", {}", plural(unanswered, "question", "could no longer be answered"));
    }
    let blind = [
        (io_uring, "uses io_uring: calls made that way are not seen"),
        (compat_calls, "makes 32-bit calls: they are not seen"),
        (own_kernel, "runs on a kernel of its own: its calls are not seen"),
    ];
    for (_, words) in blind.iter().filter(|(is_blind, _)| *is_blind) {
        let _ = write!(text, "; it {words}");
    }
    text
}

fn plural(count: u32, noun: &str, what: &str) -> String {
    format!("{count} {noun}{} {what}", if count == 1 { "" } else { "s" })
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
                runtime: "containerd".into(),
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
            block(&verdict(), Facts::None, Style::PLAIN),
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
            block(&verdict(), Facts::None, Style { width: Some(60), color: false }),
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
        assert!(block(&long, Facts::None, Style { width: Some(50), color: false }).contains(&path));
    }

    #[test]
    fn colours_change_nothing_else() {
        let style = Style { width: Some(60), color: true };
        let colored = block(&verdict(), Facts::None, style);
        assert!(colored.starts_with("\u{1b}[1;31mPermissionDenied\u{1b}[0m  shop"), "{colored:?}");
        assert!(colored.contains("\u{1b}[2m  why   \u{1b}[0mprocess"), "{colored:?}");
        let mut plain = colored;
        for code in ["\u{1b}[1;31m", DIM, RESET] {
            plain = plain.replace(code, "");
        }
        assert_eq!(plain, block(&verdict(), Facts::None, Style { color: false, ..style }));
    }

    #[test]
    fn what_is_not_known_is_said() {
        let unsure = Verdict {
            confidence: "Likely".into(),
            completeness: Some(Completeness { lost: 1, suppressed: 20, unanswered: 2, io_uring: true, ..Completeness::default() }),
            explanation: Vec::new(),
            remedy: None,
            resolved_at: Some(unready_proto::time::timestamp(1)),
            ..verdict()
        };
        assert_eq!(
            block(&unsure, Facts::None, Style::PLAIN).lines().skip(1).collect::<Vec<_>>(),
            [
                "  sure  likely: the best explanation of what was seen, not proved; 1 event lost, 20 events counted only, 2 questions could no longer be answered; it uses io_uring: calls made that way are not seen",
                "  now   resolved: the condition went away",
            ]
        );
    }

    #[test]
    fn what_the_api_server_tells_is_not_called_seen() {
        let of = |workload: Option<Workload>, confidence: &str, kind: &str| {
            let evidence = vec![Evidence { kind: kind.into(), ..Evidence::default() }];
            let told = Verdict { workload, confidence: confidence.into(), evidence, ..verdict() };
            block(&told, Facts::None, Style::PLAIN).lines().last().unwrap_or_default().trim().to_owned()
        };
        let by_pod = || verdict().workload.map(|seen| Workload { runtime: String::new(), ..seen });
        assert_eq!(of(by_pod(), "Certain", "Status"), "sure  certain: the API server says so; no evidence from the kernel");
        let likely = "sure  likely: the best explanation of what the API server says, not proved; no evidence from the kernel";
        assert_eq!(of(by_pod(), "Likely", "Event"), likely);
        let possible = "sure  possible: one of several explanations of what the API server says; no evidence from the kernel";
        assert_eq!(of(by_pod(), "Possible", "Output"), possible);
        assert!(of(by_pod(), "Certain", "Call").contains("0 events lost"), "whoever tells of a call has seen it");
        assert!(of(verdict().workload, "Certain", "Output").contains("0 events lost"), "whoever names the runtime has seen the start");
    }

    #[test]
    fn a_hostile_name_cannot_drive_the_terminal() {
        let hostile = Verdict { summary: "open(\"\u{1b}]0;x\u{7}\") = ENOENT".into(), ..verdict() };
        assert!(!block(&hostile, Facts::None, Style::PLAIN).contains('\u{1b}'));
    }

    #[test]
    fn the_patch_and_what_else_must_be_done() {
        let patched = Remedy {
            text: "Set fsGroup: 1000.".into(),
            patch: Some(unready_proto::v1::Patch::default()),
            also: vec!["Delete the pod afterwards.".into()],
        };
        let text = block(&Verdict { remedy: Some(patched), ..verdict() }, Facts::None, Style::PLAIN);
        let expected = "  fix   Set fsGroup: 1000.\n        Delete the pod afterwards.\n        as a patch: kubectl unready patch pod/orders-7d9f -n shop\n";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn facts_as_asked() {
        let fact = |kind: &str, at: u64, text: &str| Evidence {
            kind: kind.into(),
            at: Some(unready_proto::time::timestamp(at)),
            text: text.into(),
            ..Evidence::default()
        };
        let seen = Verdict { evidence: vec![fact("Output", 2_500_000_000, "no key"), fact("Call", 1_000_000_000, "open")], ..verdict() };
        let lines = |facts| -> Vec<String> {
            block(&seen, facts, Style::PLAIN).lines().skip(4).map(str::to_owned).filter(|line| !line.contains("sure")).collect()
        };
        assert_eq!(lines(Facts::None), [""; 0]);
        assert_eq!(lines(Facts::Output), ["  seen  output: no key"]);
        assert_eq!(lines(Facts::All), ["  seen  +1.500 s  output: no key", "        +0.000 s  call: open"]);
    }
}
