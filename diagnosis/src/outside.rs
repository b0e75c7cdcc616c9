//! Text from outside: paths, arguments, names of processes, messages, last words. Whoever wrote it may want a terminal to do
//! something, or a line to read like another one.
//!
//! What cannot be seen is spelt out: control characters, those that change the direction of what follows, those without a
//! width, and the separators that Unicode takes for the end of a line. There are two forms:
//!
//! - [`escaped`]: in a sentence. What is escaped already stays as it is, so that it does no harm to escape once more.
//! - [`quoted`]: between quotation marks. Backslash and mark are escaped too, so that two names never look alike.
//!
//! A verdict is escaped when it is made: all of it but the body of its patch, which is applied as it is. Outputs do not rely on
//! that, for verdicts and errors come from other machines too: each escapes what it puts together, and [`screen`], [`json`]
//! and [`yaml`] are the last to look at what is written.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

/// Whether a character does something else than to be seen.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' // soft hyphen, joiner, marks of direction and of vowels
            | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' // fillers of Hangul
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' // no width; ends of lines and paragraphs, directions
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' // word joiner, isolates; BOM; annotations
            | '\u{e0000}'..='\u{e007f}') // tags
}

/// As a part of a sentence: what is hidden as `\n`, `\x1b`, `\u{202e}`.
pub fn escaped(text: &str) -> Cow<'_, str> {
    spelt(text, is_hidden)
}

/// The same between quotation marks, which stay the caller's: what was there can be told from it again.
pub fn quoted(text: &str) -> Cow<'_, str> {
    spelt(text, |c| is_hidden(c) || matches!(c, '"' | '\\'))
}

fn spelt(text: &str, is_meant: fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(is_meant) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    text.chars().for_each(|c| if is_meant(c) { spell(&mut out, c) } else { out.push(c) });
    Cow::Owned(out)
}

fn spell(out: &mut String, c: char) {
    match c {
        '\n' | '\r' | '\t' | '"' | '\\' => out.extend(c.escape_default()),
        '\0'..='\x7f' => write(out, format_args!("\\x{:02x}", u32::from(c))),
        _ => out.extend(c.escape_unicode()),
    }
}

fn write(out: &mut String, words: fmt::Arguments<'_>) {
    let _infallible = out.write_fmt(words);
}

/// JSON with what JSON itself leaves as it is (DEL, C1, directions …) written as `\u202e`: the values stay the same.
pub fn json(text: String) -> String {
    in_strings(text, |out, c| c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| write(out, format_args!("\\u{unit:04x}"))))
}

/// JSON that is read as YAML, which knows no pairs of surrogates.
pub fn yaml(json: String) -> String {
    in_strings(json, |out, c| write(out, format_args!("\\U{:08x}", u32::from(c))))
}

/// Beyond ASCII everything is within a string, where a control character cannot be.
fn in_strings(text: String, spell: fn(&mut String, char)) -> String {
    let is_meant = |c: char| c > '~' && is_hidden(c);
    if !text.contains(is_meant) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    text.chars().for_each(|c| if is_meant(c) { spell(&mut out, c) } else { out.push(c) });
    out
}

/// A whole text of ours, the last thing before a terminal or a file: lines and columns stay, and with `colors` those
/// sequences that paint. Everything else that is hidden slipped through.
pub fn screen(text: &str, colors: bool) -> Cow<'_, str> {
    if !text.contains(is_astray) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let paint = if colors { painting(rest) } else { 0 };
        let taken = if paint > 0 { paint } else { c.len_utf8() };
        let (head, tail) = rest.split_at(taken);
        if paint == 0 && is_astray(c) {
            spell(&mut out, c);
        } else {
            out.push_str(head);
        }
        rest = tail;
    }
    Cow::Owned(out)
}

fn is_astray(c: char) -> bool {
    is_hidden(c) && !matches!(c, '\n' | '\t')
}

/// The length of the sequence that a text begins with, if it only paints (ECMA-48, SGR). Neither concealed nor reversed: that
/// would hide text.
fn painting(text: &str) -> usize {
    const LONGEST: usize = 16;
    let Some(inner) = text.strip_prefix("\x1b[") else { return 0 };
    let Some(end) = inner.bytes().take(LONGEST).position(|byte| byte == b'm') else { return 0 };
    let parameters = &inner[..end];
    let is_shade = parameters.strip_prefix("38;5;").is_some_and(|shade| shade.parse::<u8>().is_ok());
    let is_paint = |one: &str| matches!(one, "" | "0" | "1" | "2" | "3" | "4" | "22" | "23" | "24" | "39") || is_color(one);
    if is_shade || parameters.split(';').all(is_paint) { 2 + end + 1 } else { 0 }
}

fn is_color(parameter: &str) -> bool {
    parameter.parse::<u8>().is_ok_and(|number| matches!(number, 30..=37 | 90..=97))
}

/// A text as it is told.
pub(crate) fn text(from: String) -> String {
    match escaped(&from) {
        Cow::Owned(escaped) => escaped,
        Cow::Borrowed(_) => from,
    }
}

/// Texts as they are told.
pub(crate) fn texts(from: Vec<String>) -> Vec<String> {
    from.into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const HOSTILE: &str = "a\u{1b}[31m\n\r\t\u{7}\0\u{7f}\u{9b}2J\u{202e}\u{2066}\u{200b}\u{feff}\u{2028}\u{e0041}z";

    #[test]
    fn what_cannot_be_seen_is_spelt_out() {
        let shown = r"a\x1b[31m\n\r\t\x07\x00\x7f\u{9b}2J\u{202e}\u{2066}\u{200b}\u{feff}\u{2028}\u{e0041}z";
        assert_eq!(escaped(HOSTILE), shown);
        assert_eq!(quoted(HOSTILE), shown);
        assert_eq!(escaped(&escaped(HOSTILE)), shown, "twice is once");
    }

    #[test]
    fn what_can_be_seen_stays() {
        for text in ["", "/data/é e\u{301} 日本 ×→…█ 😀", "C:\\temp \"x\""] {
            assert!(matches!(escaped(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn between_marks_two_names_never_look_alike() {
        assert_eq!(quoted(r#"a"b\n"#), r#"a\"b\\n"#);
        assert_ne!(quoted("a\n"), quoted("a\\n"));
        assert_ne!(quoted("\u{1b}"), quoted(r"\x1b"));
    }

    #[test]
    fn json_and_yaml_keep_their_values() {
        let value = serde_json::json!({ "path": HOSTILE, "list": ["\u{85}", "plain é"] });
        for line in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let (json, yaml) = (json(line.clone()), yaml(line));
            assert!(!json.chars().chain(yaml.chars()).any(|c| is_hidden(c) && c != '\n'), "{json}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), value);
            assert_eq!(serde_norway::from_str::<serde_json::Value>(&yaml).unwrap(), value);
        }
    }

    #[test]
    fn a_screen_shows_lines_columns_and_colours() {
        let ours = "\u{1b}[1;31mred\u{1b}[0m\tx\n\u{1b}[38;5;10mgreen\u{1b}[39m\n";
        assert_eq!(screen(ours, true), ours);
        assert_eq!(screen(ours, false), ours.replace('\u{1b}', "\\x1b"));
        for trick in [
            "\u{1b}[2J",
            "\u{1b}[8m",
            "\u{1b}[7m",
            "\u{1b}]0;x\u{7}",
            "\u{1b}[38;2;1;2;3m",
            "\u{1b}[",
            "\u{1b}",
            "\u{9b}31m",
            "\r",
            "\u{202e}",
        ] {
            assert!(!screen(trick, true).contains(is_hidden), "{trick:?}");
        }
    }
}
