//! Times: as they are typed, and what time it is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// None is waited for longer.
const LONGEST: Duration = Duration::from_hours(7 * 24);

/// `500ms`, `30s`, `2m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("a time of zero is over before it begins".into()),
        Ok(time) if time > LONGEST => Err("longer than a week".into()),
        Ok(time) => Ok(time),
        Err(_) => Err("no time; write for example 500ms, 30s or 2m".into()),
    }
}

/// As kubectl's `--request-timeout`: a number is seconds, and 0 means to wait for however long it takes.
pub(crate) fn timeout(text: &str) -> Result<Duration, String> {
    match text.parse::<u32>() {
        Ok(0) => Ok(LONGEST),
        Ok(seconds) => Ok(Duration::from_secs(seconds.into()).min(LONGEST)),
        Err(_) => duration(text),
    }
}

/// Nanoseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_may_take_as_long_as_it_takes() {
        assert_eq!(timeout("0").map(|time| time.as_secs()), Ok(7 * 24 * 3600));
        assert_eq!(timeout("30"), Ok(Duration::from_secs(30)));
        assert_eq!(timeout("1m"), Ok(Duration::from_mins(1)));
        assert!(timeout("soon").is_err());
    }

    #[test]
    fn a_time_has_a_unit_and_is_neither_zero_nor_endless() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for text in ["0s", "30", "soon", "8days"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
