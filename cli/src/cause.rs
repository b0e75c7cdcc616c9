//! Causes as they are typed and shown: those of the catalogue, and the word that stands in their place when there is none.

use unready_diagnosis::catalogue::Cause;

/// The word in place of a cause when nothing is known to be wrong.
pub(crate) const WAITING: &str = "Waiting";

/// All that the column CAUSE may have.
pub(crate) fn codes() -> impl Iterator<Item = &'static str> {
    Cause::ALL.iter().map(|cause| cause.code()).chain([WAITING])
}

/// The cause that was meant, whatever its case; else a sentence with those that are much alike.
pub(crate) fn parse(text: &str) -> Result<String, String> {
    if let Some(code) = codes().find(|code| code.eq_ignore_ascii_case(text)) {
        return Ok(code.to_owned());
    }
    let mut alike: Vec<(f64, &str)> =
        codes().map(|code| (strsim::jaro_winkler(&code.to_lowercase(), &text.to_lowercase()), code)).collect();
    alike.sort_by(|one, other| other.0.total_cmp(&one.0));
    let alike: Vec<&str> = alike.into_iter().take_while(|(score, _)| *score > 0.75).take(3).map(|(_, code)| code).collect();
    if alike.is_empty() {
        return Err("no such cause; `unready explain` lists them".to_owned());
    }
    Err(format!("no such cause; did you mean {}?", alike.join(" or ")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn unknown_causes_get_suggestions() {
        assert_eq!(parse("permissiondenied").unwrap(), "PermissionDenied");
        assert_eq!(parse("waiting").unwrap(), WAITING);
        assert!(parse("PermisionDenied").unwrap_err().contains("did you mean PermissionDenied"));
        assert!(parse("FileMising").unwrap_err().contains("FileMissing"));
        assert_eq!(parse("xyzzy").unwrap_err(), "no such cause; `unready explain` lists them");
    }
}
