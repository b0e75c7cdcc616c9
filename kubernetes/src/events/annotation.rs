//! The verdict inside its Event, for programs: proto3 JSON in an annotation, as `-o json` prints it.
//!
//! The note of an Event is a kilobyte of prose. Patch, severity, confidence and facts have no place there, and nobody reads them
//! out of prose again: who wants the verdict reads [`VERDICT`]. An Event without it says no more than its note.
//!
//! What does not fit into [`VERDICT_MAX`] is left out, facts first, the patch last, and [`LEFT_OUT`] names it.
//!
//! Refused: the program's own words. Whoever may list Events need not be allowed to read a container's log.

use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt};
use unready_diagnosis::outside;
use unready_proto::{
    json,
    v1::{Evidence, Verdict},
};

/// Annotation that holds the verdict.
pub const VERDICT: &str = "unready.dev/verdict";
/// Annotation that names what of the verdict was left out for want of room: words with commas between them.
pub const LEFT_OUT: &str = "unready.dev/verdict-left-out";
/// Longest verdict in an annotation, bytes. The API server would take 256 KiB of annotations (`TotalAnnotationSizeLimitB` of
/// `k8s.io/apimachinery`), but all Events of a cluster share one etcd, which keeps each for an hour, and each of its changes until
/// the next compaction. With this an Event is at most some 10 KiB: a thousand sick pods are 10 MiB. A verdict with patch,
/// reasons and ten facts takes some 4 KiB.
pub const VERDICT_MAX: usize = 6 << 10;

/// Longest texts when nothing else is left to leave out, bytes.
const WORD_MAX: usize = 200;
/// The kind of evidence that is a quote.
const QUOTE: &str = "Output";

/// Parts that may be left out, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Facts, the last first.
    Evidence,
    /// Reasons, the last first.
    Explanation,
    /// What must be done beside the patch, and the ends of what is too long.
    Words,
    /// The change of the manifest.
    Patch,
}

impl Part {
    const ALL: [Self; 4] = [Self::Evidence, Self::Explanation, Self::Words, Self::Patch];

    const fn word(self) -> &'static str {
        match self {
            Self::Evidence => "evidence",
            Self::Explanation => "explanation",
            Self::Words => "words",
            Self::Patch => "patch",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Evidence => "facts",
            Self::Explanation => "reasons",
            Self::Words => "the ends of long texts",
            Self::Patch => "the patch",
        })
    }
}

/// A verdict as an annotation, and what of it is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Annotation {
    verdict: String,
    left_out: Vec<Part>,
}

impl Annotation {
    /// Of a verdict without [quotes](without_quotes).
    pub(super) fn of(verdict: &Verdict) -> Self {
        let mut verdict = verdict.clone();
        let mut text = written(&verdict);
        let mut left_out = Vec::new();
        for part in Part::ALL {
            while text.len() > VERDICT_MAX && shorten(&mut verdict, part) {
                if left_out.last() != Some(&part) {
                    left_out.push(part);
                }
                text = written(&verdict);
            }
        }
        Self { verdict: text, left_out }
    }

    pub(super) fn map(&self) -> BTreeMap<String, String> {
        let left_out = (!self.left_out.is_empty()).then(|| (LEFT_OUT.to_owned(), self.list()));
        [(VERDICT.to_owned(), self.verdict.clone())].into_iter().chain(left_out).collect()
    }

    /// For a merge patch: what is left out no longer is taken away.
    pub(super) fn change(&self) -> Value {
        let left_out = if self.left_out.is_empty() { Value::Null } else { Value::String(self.list()) };
        json!({ VERDICT: self.verdict, LEFT_OUT: left_out })
    }

    fn list(&self) -> String {
        self.left_out.iter().map(|part| part.word()).collect::<Vec<_>>().join(",")
    }
}

fn written(verdict: &Verdict) -> String {
    outside::json(json::line(verdict))
}

/// Leaves out some of a part; `false`: there is nothing more to leave out.
fn shorten(verdict: &mut Verdict, part: Part) -> bool {
    match part {
        Part::Evidence => verdict.evidence.pop().is_some(),
        Part::Explanation => verdict.explanation.pop().is_some(),
        Part::Words => shorten_words(verdict),
        Part::Patch => verdict.remedy.as_mut().and_then(|remedy| remedy.patch.take()).is_some(),
    }
}

/// All long texts at once; names in the API are short by themselves.
fn shorten_words(verdict: &mut Verdict) -> bool {
    let mut is_shorter = false;
    let mut texts = vec![&mut verdict.subject, &mut verdict.summary];
    if let Some(workload) = &mut verdict.workload {
        is_shorter |= !std::mem::take(&mut workload.command).is_empty();
        texts.push(&mut workload.image);
    }
    if let Some(remedy) = &mut verdict.remedy {
        is_shorter |= !std::mem::take(&mut remedy.also).is_empty();
        texts.push(&mut remedy.text);
    }
    for text in texts.into_iter().filter(|text| text.len() > WORD_MAX) {
        text.truncate(text.floor_char_boundary(WORD_MAX - '…'.len_utf8()));
        text.push('…');
        is_shorter = true;
    }
    is_shorter
}

/// What an annotation holds: the verdict, and what of it is not there. `None`: there is none, or it cannot be read.
pub(super) fn read(annotations: &BTreeMap<String, String>) -> Option<(Verdict, Vec<Part>)> {
    let text = annotations.get(VERDICT).filter(|text| text.len() <= VERDICT_MAX)?;
    let verdict = json::parse(text).ok()?;
    let words: Vec<&str> = annotations.get(LEFT_OUT).into_iter().flat_map(|list| list.split(',')).collect();
    Some((verdict, Part::ALL.into_iter().filter(|part| words.contains(&part.word())).collect()))
}

/// The verdict without the program's own words: neither as facts nor in a sentence that repeats one of them.
pub(super) fn without_quotes(verdict: &Verdict) -> Verdict {
    let mut kept = verdict.clone();
    let (quotes, facts): (Vec<Evidence>, Vec<Evidence>) = kept.evidence.into_iter().partition(|fact| fact.kind == QUOTE);
    kept.evidence = facts;
    kept.explanation.retain(|sentence| !quotes.iter().any(|quote| repeats(sentence, &quote.text)));
    kept
}

/// Whether a sentence repeats a quote: at its end, or, for what is long enough to be no chance, its beginning anywhere.
fn repeats(sentence: &str, quote: &str) -> bool {
    const TELLING: usize = 24;
    let quote = quote.trim();
    let sentence = sentence.trim_end_matches(['.', '…', ' ']);
    let begin = &quote[..quote.floor_char_boundary(TELLING)];
    !quote.is_empty()
        && (sentence.ends_with(quote.trim_end_matches(['.', '…', ' '])) || (quote.len() >= TELLING && sentence.contains(begin)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use unready_proto::v1::{Patch, Remedy, Workload};

    fn fact(kind: &str, text: &str) -> Evidence {
        Evidence { kind: kind.into(), text: text.into(), ..Evidence::default() }
    }

    fn verdict() -> Verdict {
        let patch = Patch { kind: "Deployment".into(), name: "orders".into(), body: "{\"spec\":{}}".into(), ..Patch::default() };
        Verdict {
            id: "00c0ffee00c0ffee".into(),
            severity: "Blocking".into(),
            summary: "open(\"/data/orders.db\") = EACCES".into(),
            explanation: vec!["uid 1000 needs w on /data".into()],
            remedy: Some(Remedy { text: "set fsGroup".into(), patch: Some(patch), ..Remedy::default() }),
            workload: Some(Workload { namespace: "shop".into(), pod: "orders-7d9f".into(), ..Workload::default() }),
            evidence: vec![fact("Call", "open = EACCES")],
            ..Verdict::default()
        }
    }

    fn left_out(verdict: &Verdict) -> (Verdict, Vec<Part>) {
        let annotation = Annotation::of(verdict);
        let size = annotation.map().get(VERDICT).map_or(0, String::len);
        assert!(size <= VERDICT_MAX, "{size}");
        read(&annotation.map()).unwrap()
    }

    #[test]
    fn what_fits_is_there_in_full() {
        assert_eq!(left_out(&verdict()), (verdict(), vec![]));
        let change = Annotation::of(&verdict()).change();
        assert!(change[VERDICT].is_string() && change[LEFT_OUT].is_null(), "{change}");
    }

    #[test]
    fn facts_are_left_out_first_and_the_patch_last() {
        let many = |count: usize| (0..count).map(|n| fact("Call", &format!("{n} {}", "x".repeat(90)))).collect::<Vec<_>>();
        let long = Verdict { evidence: many(200), ..verdict() };
        let (kept, gone) = left_out(&long);
        assert_eq!(gone, [Part::Evidence]);
        assert!(kept.evidence.len() > 10 && kept.evidence[..] == long.evidence[..kept.evidence.len()], "{}", kept.evidence.len());
        assert_eq!((&kept.explanation, &kept.remedy), (&long.explanation, &long.remedy));

        let longer = Verdict { explanation: (0..200).map(|n| format!("{n} {}", "y".repeat(90))).collect(), ..long.clone() };
        let (kept, gone) = left_out(&longer);
        assert_eq!(gone, [Part::Evidence, Part::Explanation]);
        assert!(kept.evidence.is_empty() && kept.explanation.len() > 10 && kept.remedy == longer.remedy);

        let mut longest = Verdict { summary: "\u{1b}ä".repeat(3000), subject: "/".repeat(5000), ..longer };
        let (kept, gone) = left_out(&longest);
        assert_eq!(gone, [Part::Evidence, Part::Explanation, Part::Words]);
        assert!(kept.summary.ends_with('…') && kept.remedy == longest.remedy, "the patch is still there");

        let remedy = longest.remedy.as_mut().unwrap();
        remedy.patch.as_mut().unwrap().body = "z".repeat(VERDICT_MAX);
        let (kept, gone) = left_out(&longest);
        assert_eq!(gone, Part::ALL);
        assert_eq!(kept.remedy.unwrap().patch, None);
        assert_eq!(Annotation::of(&longest).change()[LEFT_OUT], "evidence,explanation,words,patch");
    }

    #[test]
    fn what_a_program_wrote_stays_on_its_node() {
        let said = "panic: token=hunter2 was refused by the server";
        let quoted = Verdict {
            evidence: vec![fact("Call", "open = EACCES"), fact("Output", said), fact("Output", "no")],
            explanation: vec![
                "it had become ready before".into(),
                format!("the last that it wrote to stderr: {said}"),
                format!("its termination message: {}…", &said[..30]),
                "and says: no.".into(),
            ],
            ..verdict()
        };
        let kept = without_quotes(&quoted);
        assert_eq!(kept.evidence, [fact("Call", "open = EACCES")]);
        assert_eq!(kept.explanation, ["it had become ready before"]);
        assert!(!Annotation::of(&kept).verdict.contains("hunter2"));
    }

    #[test]
    fn what_is_no_verdict_is_none() {
        let of = |text: &str| read(&[(VERDICT.to_owned(), text.to_owned())].into());
        assert!(read(&BTreeMap::new()).is_none() && of("{").is_none() && of("7").is_none());
        assert!(of(&format!("{{\"summary\":\"{}\"}}", "x".repeat(VERDICT_MAX))).is_none(), "nobody of us writes that much");
        assert_eq!(of("{\"id\":\"1\",\"ofALaterRelease\":7}").unwrap().0.id, "1");
    }
}
