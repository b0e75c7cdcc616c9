//! What was said of each verdict last, so that nothing is said twice in a watch: a collector that comes back tells all again.

use super::args::Format;
use std::collections::HashMap;
use unready_proto::v1::Verdict;

/// How much of a verdict is shown: what is not seen is no news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// Cause, subject and whether it is resolved: a row.
    Row,
    /// Layer, confidence and fix, too: a wide row.
    Wide,
    /// Everything but how often and when.
    Full,
}

impl From<Format> for Detail {
    fn from(format: Format) -> Self {
        match format {
            Format::Table | Format::Name => Self::Row,
            Format::Wide => Self::Wide,
            Format::Text | Format::Json | Format::Yaml => Self::Full,
        }
    }
}

/// What was said of each verdict last.
#[derive(Debug)]
pub(super) struct Fingerprints {
    detail: Detail,
    said: HashMap<String, u64>,
}

impl Fingerprints {
    pub(super) fn new(detail: Detail) -> Self {
        Self { detail, said: HashMap::new() }
    }

    /// Whether a verdict says something that was not said; then it counts as said. That it was seen once more is no news. What
    /// is resolved is news for those who knew of it, or asked for all.
    pub(super) fn is_news(&mut self, verdict: &Verdict, all: bool) -> bool {
        let print = fingerprint(verdict, self.detail);
        let known = self.said.get(&verdict.id);
        if known == Some(&print) || (known.is_none() && verdict.resolved_at.is_some() && !all) {
            return false;
        }
        self.said.insert(verdict.id.clone(), print);
        true
    }

    /// Forgets a verdict.
    pub(super) fn forget(&mut self, id: &str) {
        self.said.remove(id);
    }
}

/// Of what makes a difference to the reader: not how often and when.
fn fingerprint(verdict: &Verdict, detail: Detail) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    let Verdict { cause, layer, severity, confidence, subject, explanation, remedy, .. } = verdict;
    (cause, subject, verdict.resolved_at.is_some()).hash(&mut hasher);
    if detail != Detail::Row {
        (layer, severity, confidence, remedy.as_ref().map(|remedy| &remedy.text)).hash(&mut hasher);
    }
    if detail == Detail::Full {
        (explanation, remedy.as_ref().map(|remedy| (&remedy.also, remedy.patch.as_ref().map(|patch| &patch.body)))).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use unready_proto::time::timestamp;

    fn verdict() -> Verdict {
        Verdict { id: "a".into(), cause: "FileMissing".into(), count: 1, ..Verdict::default() }
    }

    #[test]
    fn nothing_is_said_twice() {
        let mut known = Fingerprints::new(Detail::Full);
        assert!(known.is_news(&verdict(), false));
        assert!(!known.is_news(&verdict(), false));
        let again = Verdict { count: 2, last_seen: Some(timestamp(9)), summary: "2 times".into(), ..verdict() };
        assert!(!known.is_news(&again, false), "once more is no news");
        let more = Verdict { explanation: vec!["because".into()], ..verdict() };
        assert!(known.is_news(&more, false));
        assert!(!known.is_news(&more, false));
        known.forget("a");
        assert!(known.is_news(&more, false));
    }

    #[test]
    fn what_a_row_does_not_show_is_no_news() {
        let surer = Verdict { confidence: "Certain".into(), explanation: vec!["because".into()], ..verdict() };
        for (detail, is_news) in [(Detail::Row, false), (Detail::Wide, true), (Detail::Full, true)] {
            let mut known = Fingerprints::new(detail);
            assert!(known.is_news(&verdict(), false));
            assert_eq!(known.is_news(&surer, false), is_news, "{detail:?}");
        }
    }

    #[test]
    fn the_end_is_news_for_those_who_knew_the_beginning() {
        let resolved = || Verdict { resolved_at: Some(timestamp(9)), ..verdict() };
        let mut known = Fingerprints::new(Detail::Row);
        assert!(!known.is_news(&resolved(), false));
        assert!(known.is_news(&verdict(), false));
        assert!(known.is_news(&resolved(), false));
        assert!(!known.is_news(&resolved(), false));
        assert!(Fingerprints::new(Detail::Row).is_news(&resolved(), true));
    }
}
