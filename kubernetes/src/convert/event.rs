//! Events, by the newer of their two APIs. They are the same objects; what only the older one has a place for is "deprecated" here.

use super::{message, nanos};
use k8s_openapi::{
    api::events::v1 as events,
    apimachinery::pkg::apis::meta::v1::{MicroTime, Time},
};
use unready_diagnosis::pod::PodEvent;

/// An event of `events.k8s.io/v1`.
pub(crate) fn event(event: &events::Event) -> PodEvent {
    let deprecated = event.deprecated_source.as_ref().and_then(|source| source.component.as_ref());
    let series = event.series.as_ref().map(|series| (series.count, &series.last_observed_time));
    let times = Times {
        event: event.event_time.as_ref(),
        first: event.deprecated_first_timestamp.as_ref(),
        last: event.deprecated_last_timestamp.as_ref(),
        created: event.metadata.creation_timestamp.as_ref(),
    };
    PodEvent {
        reason: event.reason.clone().unwrap_or_default(),
        message: message(event.note.as_ref()),
        is_warning: event.type_.as_deref() == Some("Warning"),
        source: source(event.reporting_controller.as_ref(), deprecated),
        field: event.regarding.as_ref().and_then(|regarding| regarding.field_path.clone()).unwrap_or_default(),
        first: times.first(),
        last: times.last(series.map(|(_, last)| last)),
        count: count(series.map(|(count, _)| count), event.deprecated_count),
    }
}

struct Times<'a> {
    event: Option<&'a MicroTime>,
    first: Option<&'a Time>,
    last: Option<&'a Time>,
    created: Option<&'a Time>,
}

impl Times<'_> {
    fn first(&self) -> u64 {
        let coarse = self.first.or(self.created).map(|at| nanos(at.0));
        self.event.map(|at| nanos(at.0)).or(coarse).unwrap_or(0)
    }

    fn last(&self, series: Option<&MicroTime>) -> u64 {
        series.map(|at| nanos(at.0)).or_else(|| self.last.map(|at| nanos(at.0))).unwrap_or_else(|| self.first())
    }
}

fn source(controller: Option<&String>, component: Option<&String>) -> String {
    [controller, component].into_iter().flatten().find(|name| !name.is_empty()).cloned().unwrap_or_default()
}

fn count(series: Option<i32>, count: Option<i32>) -> u32 {
    let count = series.or(count).and_then(|count| u32::try_from(count).ok());
    count.unwrap_or(1).max(1)
}
