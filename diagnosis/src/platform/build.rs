//! How a finding is put together: cause, layer, subject and summary first, then what there is to say more.

use super::{PodFinding, Scene, message, scene};
use crate::{
    case::finding::Finding,
    catalogue::Layer,
    manifest::patch,
    pod::{Pod, PodEvent},
    units::BootNanos,
    verdict::{Confidence, Evidence, EvidenceKind, Patch, Severity, SubjectKind},
};

/// How much of a message is shown as evidence, bytes.
const SHOWN: usize = 700;

/// A finding that is being put together. Blocking and certain unless it is told otherwise.
pub(super) struct Build(PodFinding);

/// Begins one.
pub(super) fn found(layer: Layer, subject: (SubjectKind, &str), summary: String) -> Build {
    let finding = Finding { proved: true, ..Finding::new(layer, subject, summary) };
    Build(PodFinding { finding, container: None, confidence: Confidence::Certain, since: 0, last: 0, count: 1 })
}

impl Build {
    /// It is about one container.
    pub(super) fn of(mut self, container: &str) -> Self {
        self.0.container = Some(container.to_owned());
        self
    }

    /// A reason more.
    pub(super) fn because(mut self, reason: impl Into<String>) -> Self {
        self.0.finding.explanation.push(reason.into());
        self
    }

    /// A reason more, if there is one.
    pub(super) fn because_if(self, reason: Option<String>) -> Self {
        match reason {
            Some(reason) => self.because(reason),
            None => self,
        }
    }

    /// What to do.
    pub(super) fn fix(mut self, text: impl Into<String>) -> Self {
        self.0.finding.remedy.text = text.into();
        self
    }

    /// The change of the pod's spec that helps, as a patch of its owner where one can be given, with what must be done beside it.
    pub(super) fn change(mut self, pod: &Pod, fragment: serde_json::Value) -> Self {
        self.0.finding.remedy.patch = patch::strategic(pod, fragment);
        self.0.finding.remedy.also.extend(patch::caveats(pod));
        self
    }

    /// The same for an owner without pods: there is none that would have to be deleted.
    pub(super) fn change_owner(self, template: &Pod, fragment: serde_json::Value) -> Self {
        match patch::strategic(template, fragment.clone()) {
            Some(patch) => self.patch(Some(patch)),
            None => self.change(template, fragment),
        }
    }

    /// A patch as it is.
    pub(super) fn patch(mut self, patch: Option<Patch>) -> Self {
        self.0.finding.remedy.patch = patch;
        self
    }

    /// What must be done beside it.
    pub(super) fn also(mut self, text: impl Into<String>) -> Self {
        self.0.finding.remedy.also.push(text.into());
        self
    }

    pub(super) const fn severity(mut self, severity: Severity) -> Self {
        self.0.finding.severity = severity;
        self
    }

    pub(super) const fn sure(mut self, confidence: Confidence) -> Self {
        self.0.confidence = confidence;
        self.0.finding.proved = matches!(confidence, Confidence::Certain);
        self
    }

    /// An event that says so: its times and its count are the finding's, together with those of others.
    pub(super) fn event(mut self, event: &PodEvent) -> Self {
        let times = if event.count > 1 { format!(", {} times", event.count) } else { String::new() };
        let source = if event.source.is_empty() { "event" } else { &event.source };
        let text = format!("{} ({source}{times}): {}", event.reason, message::quote(&event.message, SHOWN));
        self.0.count = self.0.count.max(u64::from(event.count));
        let known = self.0.since;
        self.0.since = if known == 0 || (event.first > 0 && event.first < known) { event.first } else { known };
        self.0.last = self.0.last.max(scene::last(event));
        self.fact(EvidenceKind::Event, scene::last(event), text)
    }

    /// An event that says so, if there is one.
    pub(super) fn event_if(self, event: Option<&PodEvent>) -> Self {
        match event {
            Some(event) => self.event(event),
            None => self,
        }
    }

    /// What the status says. `since` counts if nothing else tells.
    pub(super) fn status(mut self, since: u64, text: &str) -> Self {
        if self.0.since == 0 {
            self.0.since = since;
        }
        self.fact(EvidenceKind::Status, since, message::quote(text, SHOWN))
    }

    pub(super) fn fact(mut self, kind: EvidenceKind, at: u64, text: String) -> Self {
        self.0.finding.evidence.push(Evidence::new(BootNanos(at), kind, text));
        self
    }

    /// Since when, if that is known better than from what it rests on.
    pub(super) const fn since(mut self, since: u64) -> Self {
        self.0.since = since;
        self
    }

    /// How often.
    pub(super) const fn count(mut self, count: u64) -> Self {
        self.0.count = count;
        self
    }

    /// It is so now.
    pub(super) fn now(mut self, scene: &Scene<'_>) -> PodFinding {
        if self.0.since == 0 {
            self.0.since = scene.taken_up();
        }
        self.0.last = self.0.last.max(self.0.since).max(scene.now);
        self.0
    }

    /// It was last so when what it rests on says.
    pub(super) fn then(mut self, now: u64) -> PodFinding {
        if self.0.since == 0 {
            self.0.since = now;
        }
        self.0.last = self.0.last.max(self.0.since);
        self.0
    }
}

/// A volume of the pod in words: `volume "data" (PVC orders-data)`.
pub(super) fn volume(pod: &Pod, name: &str) -> String {
    use crate::pod::VolumeSource;
    let source = pod.volumes.iter().find(|volume| volume.name == name).map(|volume| &volume.source);
    let what = match source {
        Some(VolumeSource::ConfigMap { name, .. }) => format!(" (ConfigMap {name})"),
        Some(VolumeSource::Secret { name, .. }) => format!(" (Secret {name})"),
        Some(VolumeSource::Projected { .. }) => " (projected)".to_owned(),
        Some(VolumeSource::DownwardApi { .. }) => " (downward API)".to_owned(),
        Some(VolumeSource::EmptyDir { .. }) => " (emptyDir)".to_owned(),
        Some(VolumeSource::HostPath { path, .. }) => format!(" (hostPath {path})"),
        Some(VolumeSource::Claim { name, .. }) => format!(" (PVC {name})"),
        Some(VolumeSource::Image { reference }) => format!(" (image {reference})"),
        Some(VolumeSource::Csi { driver, .. }) => format!(" (CSI driver {driver})"),
        Some(VolumeSource::Other(kind)) => format!(" ({kind})"),
        Some(VolumeSource::Unknown) | None => String::new(),
    };
    format!("volume \"{name}\"{what}")
}

/// `container app`, `init container migrate`, `sidecar proxy`.
pub(super) fn container(scene: &Scene<'_>, name: &str) -> String {
    use crate::pod::ContainerKind;
    match scene.kind_of(name) {
        ContainerKind::Init => format!("init container {name}"),
        ContainerKind::Sidecar => format!("sidecar {name}"),
        ContainerKind::App => format!("container {name}"),
        ContainerKind::Ephemeral => format!("ephemeral container {name}"),
    }
}

/// A moment in words, so that a sentence stays the same as time goes by: `2026-11-24 10:55:14 UTC`.
///
/// Days become dates by the usual arithmetic on years that begin in March (Howard Hinnant, `civil_from_days`). By hand, for the
/// crates that do it read clocks too, and nothing that this crate is built with does.
pub(super) fn moment(nanos: u64) -> String {
    let seconds = nanos / 1_000_000_000;
    let days = seconds / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        assert_eq!(moment(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(moment(951_782_400_000_000_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(moment(1_795_517_714_000_000_000), "2026-11-24 10:55:14 UTC");
        assert_eq!(moment(u64::MAX), "2554-07-21 23:34:33 UTC");
    }

    #[test]
    fn every_day_follows_the_one_before() {
        const DAY: u64 = 86_400_000_000_000;
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for nanos in (0..u64::MAX - DAY).step_by(usize::try_from(DAY).unwrap_or(usize::MAX)) {
            assert_eq!(moment(nanos), format!("{year}-{month:02}-{day:02} 00:00:00 UTC"));
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 => 28 + u64::from(is_leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            (year, month, day) = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (month, day) if day == last => (year, month + 1, 1),
                (month, day) => (year, month, day + 1),
            };
        }
    }
}
