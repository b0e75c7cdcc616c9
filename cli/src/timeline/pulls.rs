//! The pulls of a start, from events. A pull's length is in the event's message, finer than the events' times
//! (`pkg/kubelet/images/image_manager.go`). Events are forgotten after an hour: then pulls are missing.

use super::span::Span;
use unready_diagnosis::pod::{Pod, PodEvent};

/// A pull a container, as far as its image was pulled at all.
pub(super) fn pulls(pod: &Pod, events: &[PodEvent]) -> Vec<Span> {
    let mut spans = Vec::new();
    for begun in events.iter().filter(|event| event.reason == "Pulling") {
        let done = events.iter().find(|event| event.reason == "Pulled" && event.field == begun.field && event.first >= begun.first);
        let name = begun.field.split_once('{').map_or("", |(_, name)| name.trim_end_matches('}')).to_owned();
        let image = pod.container(&name).map_or_else(|| "image".to_owned(), |container| short_image(&container.image));
        let end = done.map(|done| length(&done.message).map_or(done.first, |length| begun.first + length).max(begun.first));
        let failed = end.is_none() && events.iter().any(|event| event.field == begun.field && event.is_warning);
        let note = if failed { "fails".to_owned() } else { String::new() };
        spans.push(Span { name: format!("pull {image}"), container: name, begin: begun.first, end, note, failed, ..Span::default() });
    }
    spans
}

/// The last part of an image's name, with its tag.
fn short_image(image: &str) -> String {
    let bare = image.split('@').next().unwrap_or(image);
    bare.rsplit('/').next().unwrap_or(bare).to_owned()
}

/// `Successfully pulled image "x" in 1.234s (…)`, as Go writes durations.
fn length(message: &str) -> Option<u64> {
    let word = message.split(" in ").nth(1)?.split_whitespace().next()?;
    let (mut total, mut number) = (0.0, String::new());
    let mut rest = word;
    while let Some(c) = rest.chars().next() {
        if c.is_ascii_digit() || c == '.' {
            number.push(c);
            rest = &rest[1..];
            continue;
        }
        let (unit, seconds) = [("ms", 1e-3), ("µs", 1e-6), ("us", 1e-6), ("ns", 1e-9), ("h", 3600.0), ("m", 60.0), ("s", 1.0)]
            .into_iter()
            .find(|(unit, _)| rest.starts_with(unit))?;
        total += number.parse::<f64>().ok()? * seconds;
        number.clear();
        rest = &rest[unit.len()..];
    }
    std::time::Duration::try_from_secs_f64(total).ok().and_then(|length| u64::try_from(length.as_nanos()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_as_go_writes_them() {
        let of = |text: &str| length(&format!("Successfully pulled image \"x\" in {text} ({text} including waiting)"));
        assert_eq!(of("1.2s"), Some(1_200_000_000));
        assert_eq!(of("1m2.5s"), Some(62_500_000_000));
        assert_eq!(of("350ms"), Some(350_000_000));
        assert_eq!(of("soon"), None);
        assert_eq!(length("Container image \"x\" already present on machine"), None);
    }
}
