//! Wall-clock nanoseconds since 1970, as the domain has them, to protobuf timestamps and back.

use prost_types::Timestamp;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A timestamp of nanoseconds since 1970-01-01 UTC.
pub fn timestamp(nanos: u64) -> Timestamp {
    let seconds = i64::try_from(nanos / NANOS_PER_SECOND).unwrap_or(i64::MAX);
    Timestamp { seconds, nanos: i32::try_from(nanos % NANOS_PER_SECOND).unwrap_or(0) }
}

/// Nanoseconds since 1970-01-01 UTC; what lies before is 0, what lies beyond the year 2554 the maximum.
pub fn nanos(time: &Timestamp) -> u64 {
    let Ok(seconds) = u64::try_from(time.seconds) else { return 0 };
    let below = u64::try_from(time.nanos).unwrap_or(0);
    seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for value in [0, 1, 999_999_999, 1_000_000_000, 1_795_000_000_123_456_789, u64::MAX] {
            assert_eq!(nanos(&timestamp(value)), value);
        }
    }

    #[test]
    fn times_out_of_range_stay_in_range() {
        assert_eq!(nanos(&Timestamp { seconds: -5, nanos: 3 }), 0);
        assert_eq!(nanos(&Timestamp { seconds: i64::MAX, nanos: 999_999_999 }), u64::MAX);
        assert_eq!(nanos(&Timestamp { seconds: 7, nanos: -1 }), 7_000_000_000);
    }
}
