//! The one time that everything in an image has.

use crate::error::Error;
use std::{
    env,
    time::{Duration, SystemTime},
};

/// Seconds since 1970, by default 0. <https://reproducible-builds.org/specs/source-date-epoch/>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epoch(pub u64);

/// The last second of the year 9999: RFC 3339 has no way to write later ones.
const MAX: u64 = 253_402_300_799;

impl Epoch {
    /// As the environment's `SOURCE_DATE_EPOCH` says; 0 without one.
    pub fn from_environment() -> Result<Self, Error> {
        env::var_os("SOURCE_DATE_EPOCH").map_or(Ok(Self::default()), |value| Self::parse(&value.to_string_lossy()))
    }

    fn parse(text: &str) -> Result<Self, Error> {
        let seconds: Option<u64> = text.parse().ok().filter(|seconds| *seconds <= MAX);
        seconds.map(Self).ok_or_else(|| Error::Epoch(text.to_owned()))
    }

    /// As RFC 3339 has it, in UTC.
    pub(crate) fn rfc3339(self) -> String {
        humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.min(MAX))).to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn seconds_become_a_date_and_nonsense_an_error() {
        assert_eq!(Epoch::default().rfc3339(), "1970-01-01T00:00:00Z");
        assert_eq!(Epoch::parse("1700000000").unwrap().rfc3339(), "2023-11-14T22:13:20Z");
        assert_eq!(Epoch(u64::MAX).rfc3339(), "9999-12-31T23:59:59Z");
        for nonsense in ["", "-1", "yesterday", "99999999999999"] {
            assert!(matches!(Epoch::parse(nonsense), Err(Error::Epoch(_))), "{nonsense}");
        }
    }
}
