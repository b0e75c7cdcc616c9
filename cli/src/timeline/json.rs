//! The waterfall for programs.

use super::span::{Span, Timeline, moment};
use serde_json::{Value, json};
use unready_proto::time::timestamp;

/// One object a pod.
pub(super) fn json(timeline: &Timeline) -> Value {
    let date = |at: u64| timestamp(at).to_string();
    let span = |span: &Span| {
        json!({
            "name": span.name,
            "container": span.container,
            "containerId": span.id,
            "begin": date(span.begin),
            "end": span.end.map(date),
            "seconds": seconds(span.end.unwrap_or(timeline.now).saturating_sub(span.begin)),
            "note": span.note,
            "failed": span.failed,
            "verdicts": span.verdicts,
            "exact": span.is_exact,
            "start": span.report,
        })
    };
    json!({
        "namespace": timeline.pod.namespace,
        "pod": timeline.pod.name,
        "podUid": timeline.pod.uid,
        "created": date(timeline.pod.created),
        "ready": moment(&timeline.pod, "Ready").map(date),
        "spans": timeline.spans.iter().map(span).collect::<Vec<_>>(),
        "verdicts": timeline.others,
        "startsUnknown": timeline.missing,
    })
}

fn seconds(nanos: u64) -> f64 {
    std::time::Duration::from_nanos(nanos).as_secs_f64()
}
