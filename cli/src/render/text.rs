//! Text that comes from containers, which are not trusted: what of it reaches a terminal, and how much.

use std::borrow::Cow;

/// At most `most` columns, an ellipsis for the rest.
pub(crate) fn shorten(text: &str, most: usize) -> String {
    use textwrap::core::display_width;
    if display_width(text) <= most {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        let longer = format!("{short}{c}");
        if display_width(&longer) + 1 > most {
            break;
        }
        short = longer;
    }
    short + "…"
}

/// Control characters, and those that change the direction of text, as `\u{1b}`.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let hostile = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
    if !text.contains(hostile) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if hostile(c) { c.escape_default().to_string() } else { c.to_string() }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_spelt_out() {
        assert_eq!(printable("/data/é.db"), "/data/é.db");
        assert_eq!(printable("a\u{1b}[31m\nb\u{202e}c"), "a\\u{1b}[31m\\nb\\u{202e}c");
    }
}
