//! As much of Rust's grammar as the checks need: words and punctuation without comments and literals, and the paths
//! that `use` groups spell out.

/// A word or a punctuation mark, and the line it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// The word, `::`, or one character.
    pub(super) text: &'a str,
    /// From 1.
    pub(super) line: usize,
}

/// Splits code; comments, strings, characters and lifetimes are left out.
pub(super) fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let length = skipped(rest).unwrap_or_else(|| {
            let length = token_length(rest, first);
            let text = rest.get(..length).unwrap_or(rest);
            if !first.is_whitespace() {
                tokens.push(Token { text, line });
            }
            length
        });
        let (taken, left) = rest.split_at(length.min(rest.len()));
        line += taken.matches('\n').count();
        rest = left;
    }
    tokens
}

fn token_length(rest: &str, first: char) -> usize {
    if is_word(first) {
        return rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    }
    if rest.starts_with("::") { 2 } else { first.len_utf8() }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Length of a comment or literal at the start of `rest`.
fn skipped(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    let prefix = rest.find(|c: char| !matches!(c, 'b' | 'r' | 'c')).unwrap_or(0);
    let literal = rest.get(prefix..)?;
    if rest.get(..prefix)?.contains('r') && literal.starts_with(['"', '#']) {
        return raw_string(literal).map(|length| prefix + length);
    }
    if literal.starts_with('"') {
        return Some(prefix + quoted(literal, '"'));
    }
    character(literal).map(|length| prefix + length)
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(left) = rest.get(at..).filter(|left| !left.is_empty()) {
        if left.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if left.starts_with("*/") {
            depth = depth.saturating_sub(1);
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += left.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn raw_string(rest: &str) -> Option<usize> {
    let hashes = rest.find(|c| c != '#')?;
    rest.get(hashes..)?.strip_prefix('"')?;
    let end = format!("\"{}", rest.get(..hashes)?);
    let body = hashes + 1;
    Some(rest.get(body..)?.find(&end).map_or(rest.len(), |at| body + at + end.len()))
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

/// `'x'` or `'\n'`; of a lifetime only the mark and its name.
fn character(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'')?;
    let first = inner.chars().next()?;
    if first == '\\' || inner.get(first.len_utf8()..)?.starts_with('\'') {
        return Some(quoted(rest, '\''));
    }
    Some(1 + inner.find(|c| !is_word(c)).unwrap_or(inner.len()))
}

/// Every path that begins with the word `root`, groups spelt out: `std::{fs, net::TcpStream}` gives both.
pub(super) fn paths(tokens: &[Token<'_>], root: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let is_inside = at.checked_sub(1).and_then(|before| tokens.get(before)).is_some_and(|before| before.text == "::");
        if token.text == root && !is_inside {
            expand(tokens, at, "", &mut found);
        }
    }
    found
}

/// Reads one path from `at` on, and returns where it ends.
fn expand(tokens: &[Token<'_>], at: usize, prefix: &str, found: &mut Vec<(String, usize)>) -> usize {
    let Some(token) = tokens.get(at) else { return at };
    if token.text == "{" {
        let mut next = at + 1;
        while tokens.get(next).is_some_and(|token| token.text != "}") {
            next = expand(tokens, next, prefix, found).max(next + 1);
        }
        return next + 1;
    }
    let path = if prefix.is_empty() { token.text.to_owned() } else { format!("{prefix}::{}", token.text) };
    if tokens.get(at + 1).is_some_and(|next| next.text == "::") {
        return expand(tokens, at + 2, &path, found);
    }
    if token.text != "," {
        found.push((path, token.line));
    }
    at + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(code: &str) -> Vec<&str> {
        tokens(code).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_and_literals_are_left_out() {
        let code = "a /* unsafe /* twice */ */ b // unsafe\nc \"unsafe \\\" \" d r#\"unsafe \" \"# e 'x' '\\'' &'static f b\"g\" br\"h\"";
        assert_eq!(words(code), ["a", "b", "c", "d", "e", "&", "f"]);
    }

    #[test]
    fn words_that_begin_like_literals_are_words() {
        assert_eq!(words("bread::crumb rc r#type"), ["bread", "::", "crumb", "rc", "r", "#", "type"]);
    }

    #[test]
    fn lines_are_counted_through_comments_and_strings() {
        let found = tokens("/* \n */ \"\n\" here");
        assert_eq!(found.first().map(|token| (token.text, token.line)), Some(("here", 3)));
    }

    #[test]
    fn code_that_ends_early_is_read_to_its_end() {
        for code in ["/* open", "\"open", "r#\"open", "'", "b'", "std::", "use std::{", "é // ü", "'é'"] {
            let tokens = tokens(code);
            assert!(paths(&tokens, "std").len() <= 1, "{code}");
        }
    }

    #[test]
    fn groups_are_spelt_out() {
        let tokens = tokens("use std::{fs, net::{TcpStream, UdpSocket as U}, fmt::Write as _};\nlet x = std::env::var(y); other::std::z");
        let found: Vec<String> = paths(&tokens, "std").into_iter().map(|(path, _)| path).filter(|path| path.starts_with("std")).collect();
        for expected in ["std::fs", "std::net::TcpStream", "std::net::UdpSocket", "std::fmt::Write", "std::env::var"] {
            assert!(found.iter().any(|path| path == expected), "{expected} in {found:?}");
        }
        assert!(!found.iter().any(|path| path.contains("::z")));
    }
}
