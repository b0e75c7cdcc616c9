//! Sizes as Kubernetes writes them: `64Mi`, `1.5Gi`, `128M`, `134217728`, `12e6`, read as the manifests' are.
//!
//! Refused, with a hint: `64m` (to Kubernetes that is 0.064 bytes) and `64MB`, `64MiB` (no Kubernetes suffixes).

use unready_kubernetes::units_of;

/// Bytes of a quantity, rounded up to whole ones.
fn bytes(text: &str) -> Result<u64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    match units_of(text) {
        Some(u64::MAX) => Err(format!("{text} is more than a machine can have")),
        Some(size) if suffix != "m" => Ok(size),
        _ => Err(hint(number, suffix)),
    }
}

/// A limit for memory: large enough for a program to be executed in.
pub(crate) fn memory(text: &str) -> Result<u64, String> {
    const LEAST: u64 = 1 << 20;
    match bytes(text)? {
        size if size < LEAST => Err(format!("{size} bytes are too little for any program; give at least 1Mi")),
        size => Ok(size),
    }
}

fn hint(number: &str, suffix: &str) -> String {
    let unit = suffix.trim_end_matches("iB").trim_end_matches(['B', 'b']).to_uppercase();
    match (suffix, unit.as_str()) {
        ("m", _) => format!("to Kubernetes {number}m is {number} thousandths of a byte; write {number}M or {number}Mi"),
        (_, unit @ ("K" | "M" | "G" | "T")) if !number.is_empty() => format!("no Kubernetes quantity; write {number}{unit}i"),
        _ => "no Kubernetes quantity; write for example 64Mi".into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn quantities() {
        for (text, expected) in [
            ("64Mi", 64 << 20),
            ("64M", 64_000_000),
            ("1.5Gi", 3 << 29),
            ("134217728", 134_217_728),
            ("12e6", 12_000_000),
            ("12E6", 12_000_000),
            ("5k", 5000),
            ("5Ki", 5120),
            ("1E", 1_000_000_000_000_000_000),
            ("0.1", 1),
            ("0", 0),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn nonsense_gets_a_hint() {
        for (text, word) in [
            ("64m", "64M or 64Mi"),
            ("64MB", "write 64Mi"),
            ("64mib", "for example"),
            ("64MiB", "write 64Mi"),
            ("64g", "write 64Gi"),
            ("", "for example"),
            ("lots", "for example"),
            ("-5Mi", "for example"),
            ("1.2.3Mi", "for example"),
            ("99999999E", "more than a machine"),
            ("1e99", "more than a machine"),
            ("9999999999999999999999", "more than a machine"),
        ] {
            let error = bytes(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn a_limit_leaves_room_for_a_program() {
        assert!(memory("1023Ki").is_err());
        assert!(memory("0").is_err());
        assert_eq!(memory("1Mi"), Ok(1 << 20));
    }
}
