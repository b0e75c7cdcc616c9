//! Reading messages that are meant for people. They change between versions, so nothing here expects a whole sentence: a
//! phrase is looked for, a name is taken from between quotation marks, and what is not understood is quoted.

/// The text between the first `before` and the next `after`.
pub(super) fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(inner, _)| inner)
}

/// The quoted text that follows `before`: `volume "data"`.
pub(super) fn quoted<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    between(text, &format!("{before}\""), "\"").filter(|inner| !inner.is_empty())
}

/// The word that follows `before`, without punctuation around it.
pub(super) fn word<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    let word = rest.split([' ', ',', ';', '\n']).next()?.trim_matches(['"', '\'', '.', ':', ')']);
    (!word.is_empty()).then_some(word)
}

/// Whether a text holds one of these phrases; the text is in lower case already.
pub(super) fn has_any(lower: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| lower.contains(phrase))
}

/// All names in quotation marks, in their order.
pub(super) fn all_quoted(text: &str) -> Vec<&str> {
    text.split('"').skip(1).step_by(2).collect()
}

/// One line of at most `limit` bytes.
pub(super) fn quote(text: &str, limit: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() <= limit {
        return line;
    }
    let end = (0..=limit).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
    format!("{} …", line.get(..end).unwrap_or_default().trim_end())
}

/// How clauses begin that say what was tried.
const WRAPPERS: [&str; 11] = [
    "failed to ",
    "Failed to ",
    "error ",
    "Error",
    "unable to ",
    "ErrImage",
    "RegistryUnavailable",
    "SignatureValidationFailed",
    "OCI runtime ",
    "runc create failed",
    "container create failed",
];

/// What gRPC and the layers of a runtime wrap around an error, taken off: `rpc error: code = Unknown desc = `, and
/// `failed to …: ` clauses that say what was tried, as long as something is left that says why it failed.
pub(super) fn core(text: &str) -> String {
    let text = text.rsplit_once("desc = ").map_or(text, |(_, rest)| rest).trim();
    let mut rest = text;
    while let Some((first, more)) = rest.split_once(": ") {
        let wraps = WRAPPERS.iter().any(|wrapper| first.starts_with(wrapper));
        if !wraps || more.trim().is_empty() {
            break;
        }
        rest = more.trim_start();
    }
    quote(rest, 300)
}

/// Names that are much alike: a letter or two, or upper and lower case.
pub(super) fn alike(a: &str, b: &str) -> bool {
    let few = if a.chars().count().min(b.chars().count()) < 5 { 1 } else { 2 };
    a != b && (a.eq_ignore_ascii_case(b) || strsim::osa_distance(a, b) <= few)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_messages() {
        let text = "MountVolume.SetUp failed for volume \"conf\" : configmap \"app\" not found";
        assert_eq!(quoted(text, "volume "), Some("conf"));
        assert_eq!(quoted(text, "configmap "), Some("app"));
        assert_eq!(quoted(text, "secret "), None);
        assert_eq!(word("couldn't find key url in Secret shop/db", "find key "), Some("url"));
        assert_eq!(word("exited with 3: ", "exited with "), Some("3"));
        assert_eq!(all_quoted("containers \"a\", \"b\" must"), ["a", "b"]);
        assert_eq!(all_quoted("an \"open end"), ["open end"]);
    }

    #[test]
    fn quotations_are_one_bounded_line() {
        assert_eq!(quote("a\n  b", 10), "a b");
        assert_eq!(quote("ääääää", 5), "ää …");
    }

    #[test]
    fn the_core_of_an_error_says_why() {
        let text = "rpc error: code = NotFound desc = failed to pull and unpack image \"x:1\": failed to resolve image: x:1: not found";
        assert_eq!(core(text), "x:1: not found");
        let runc = "OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: \"a\": is a directory";
        assert_eq!(core(runc), "exec: \"a\": is a directory");
        assert_eq!(core("failed to start"), "failed to start");
        assert_eq!(core("failed to start: "), "failed to start:");
    }

    #[test]
    fn names_that_are_much_alike() {
        assert!(alike("orders-db", "order-db"));
        assert!(alike("url", "URL"));
        assert!(!alike("a", "a"));
        assert!(!alike("cert", "conf"));
    }
}
