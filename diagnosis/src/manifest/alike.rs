//! Names that differ by a slip of the finger.

/// Whether one name is the other with one letter missing, too many, wrong or exchanged with its neighbour, with other case
/// or another separator. Short names resemble each other by chance and are never alike.
pub(super) fn is_slip(one: &str, other: &str) -> bool {
    const TELLING: usize = 4;
    let plain = |name: &str| -> Vec<char> { name.to_lowercase().chars().map(|c| if matches!(c, '_' | '-') { '.' } else { c }).collect() };
    let (one_plain, other_plain) = (plain(one), plain(other));
    if one == other || one_plain.len().min(other_plain.len()) < TELLING {
        return false;
    }
    let same = one_plain.iter().zip(&other_plain).take_while(|(left, right)| left == right).count();
    match (&one_plain[same..], &other_plain[same..]) {
        ([], []) => true,
        ([first, second, rest @ ..], [third, fourth, others @ ..]) if first == fourth && second == third && rest == others => true,
        ([_, rest @ ..], [_, others @ ..]) if rest == others => true,
        (left, right) => {
            left.split_first().is_some_and(|(_, rest)| rest == right) || right.split_first().is_some_and(|(_, rest)| rest == left)
        }
    }
}

/// The same name with another ending of the same sort of file.
pub(super) fn is_same_stem(one: &str, other: &str) -> bool {
    let stem = |name: &'_ str| name.rsplit_once('.').map(|(stem, _)| stem.to_owned());
    matches!((stem(one), stem(other)), (Some(a), Some(b)) if a == b && !a.is_empty()) && one != other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips() {
        for (one, other) in [
            ("nginx", "ngnix"),
            ("server", "servre"),
            ("config", "confg"),
            ("confg", "config"),
            ("tls-key", "tls_key"),
            ("App.yaml", "app.yaml"),
            ("app.yaml", "app.yml"),
        ] {
            assert!(is_slip(one, other), "{one} {other}");
        }
        for (one, other) in
            [("tls.key", "tls.crt"), ("config", "config"), ("app", "apt"), ("primary", "replica"), ("node", "nodejs"), ("", "abcd")]
        {
            assert!(!is_slip(one, other), "{one} {other}");
        }
        assert!(is_same_stem("app.yaml", "app.conf") && !is_same_stem("app.yaml", "web.yaml") && !is_same_stem("a", "b"));
    }
}
