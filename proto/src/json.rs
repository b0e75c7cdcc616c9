//! The proto3 JSON form of verdicts and starts: lowerCamelCase keys, RFC 3339 times.
//!
//! serde derives on the generated structs are enough, because these messages hold strings, 32-bit numbers, lists and times
//! only: a field of another type (64-bit numbers and bytes are strings in proto3 JSON, enums are names) needs its own
//! `with` here. `tests/json.rs` compares with the canonical mapping. Unlike the canonical printer we print empty lists and
//! zeros of a verdict too, which proto3 JSON permits and readers of JSON lines expect; unknown facts of a workload are left out, and
//! so is of a milestone what does not belong to its step.

use crate::v1::Verdict;
use serde::Serializer;

/// A verdict in one line, without the line's end.
///
/// The message has only types that JSON can hold; should serialisation fail all the same, the line is an object with `error`.
pub fn line(verdict: &Verdict) -> String {
    serde_json::to_string(verdict).unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }).to_string())
}

/// A verdict from its JSON form; unknown keys are ignored.
pub fn parse(text: &str) -> Result<Verdict, serde_json::Error> {
    serde_json::from_str(text)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
pub(crate) const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// 64-bit numbers are strings, because many readers of JSON have doubles only; numbers are read too.
pub(crate) mod wide {
    use super::Serializer;
    use serde::{Deserialize, Deserializer, de::Error as _};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Wide {
        Number(u64),
        Text(String),
    }

    #[expect(clippy::ref_option, reason = "the signature that serde's `with` calls")]
    pub(crate) fn serialize<S: Serializer>(number: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        match number {
            Some(number) => serializer.collect_str(number),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        match Option::<Wide>::deserialize(deserializer)? {
            None => Ok(None),
            Some(Wide::Number(number)) => Ok(Some(number)),
            Some(Wide::Text(text)) => text.parse().map(Some).map_err(|_| D::Error::custom(format!("{text:?} is no 64-bit number"))),
        }
    }
}

/// Times as RFC 3339 in UTC, 3, 6 or 9 digits below the second.
pub(crate) mod timestamp {
    use super::Serializer;
    use prost_types::Timestamp;
    use serde::{Deserialize as _, Deserializer, de::Error as _};

    #[expect(clippy::ref_option, reason = "the signature that serde's `with` calls")]
    pub(crate) fn serialize<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.collect_str(time),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(|_| D::Error::custom(format!("{text:?} is no RFC 3339 time")))).transpose()
    }
}
