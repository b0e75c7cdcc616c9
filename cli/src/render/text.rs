//! Text that comes from containers, cut to what there is room for.

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
