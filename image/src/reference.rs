//! Names of images, as registries and runtimes read them.
//!
//! The grammar is that of `distribution/reference`: `[domain[:port]/]path[:tag]`. A tag is demanded, because `latest`, which is meant
//! without one, makes the kubelet ask a registry each time; a digest cannot be chosen, it follows from the content.

use crate::error::Error;
use std::{fmt, str::FromStr};

/// What runtimes put before a name that starts with no domain: container runtimes of Kubernetes look an image up by its full
/// name only, so that an import has to write it out (`ParseNormalizedNamed` of `distribution/reference`).
const DEFAULT_DOMAIN: &str = "docker.io";
/// What they then put before a single word.
const DEFAULT_FOLDER: &str = "library/";
/// Bound of the grammar.
const MAX_NAME: usize = 255;
/// Bound of the grammar.
const MAX_TAG: usize = 128;

/// A name with a tag, such as `unready/agent:0.1.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    domain: Option<String>,
    path: String,
    tag: String,
}

impl Reference {
    /// As people write it, and as a pod's `image` may have it.
    pub fn name(&self) -> String {
        let domain = self.domain.iter().flat_map(|domain| [domain.as_str(), "/"]);
        domain.chain([self.path.as_str(), ":", self.tag.as_str()]).collect()
    }

    /// With everything that runtimes add: the name that an import has to give for a pod to find the image.
    pub fn canonical(&self) -> String {
        let domain = self.domain.as_deref().unwrap_or(DEFAULT_DOMAIN);
        let library = if self.domain.is_none() && !self.path.contains('/') { DEFAULT_FOLDER } else { "" };
        format!("{domain}/{library}{}:{}", self.path, self.tag)
    }

    /// What comes after the colon.
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).map_err(|reason| Error::Reference { reference: text.to_owned(), reason })
    }
}

fn parse(text: &str) -> Result<Reference, &'static str> {
    if text.contains('@') {
        return Err("a digest follows from the content, give a tag instead");
    }
    let (name, tag) = text.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).ok_or("it has no tag (NAME:TAG)")?;
    if name.len() > MAX_NAME {
        return Err("it is longer than 255 characters");
    }
    if !is_tag(tag) {
        return Err("the tag may have up to 128 letters, digits, `_`, `.` and `-`, and starts with none of the last two");
    }
    let (domain, path) = match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (Some(first), rest),
        _ => (None, name),
    };
    if domain.is_some_and(|domain| !is_domain(domain)) {
        return Err("its first part is no host name with an optional port");
    }
    if !path.split('/').all(is_component) {
        return Err("each part of the path has lower-case letters and digits, with `.`, `_`, `__` or dashes only between them");
    }
    Ok(Reference { domain: domain.map(str::to_owned), path: path.to_owned(), tag: tag.to_owned() })
}

fn is_tag(tag: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    (1..=MAX_TAG).contains(&tag.len()) && tag.chars().all(is_allowed) && !tag.starts_with(['.', '-'])
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = domain.split_once(':').map_or((domain, None), |(host, port)| (host, Some(port)));
    let is_label = |label: &str| {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !label.is_empty() && label.chars().all(is_allowed) && !label.starts_with('-') && !label.ends_with('-')
    };
    host.split('.').all(is_label) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// Runs of letters and digits, separated by one dot, one or two underscores, or any number of dashes.
fn is_component(component: &str) -> bool {
    let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = component.split(is_alphanumeric).filter(|separator| !separator.is_empty());
    let is_separator = |separator: &str| matches!(separator, "." | "_" | "__") || separator.chars().all(|c| c == '-');
    component.starts_with(is_alphanumeric) && component.ends_with(is_alphanumeric) && separators.into_iter().all(is_separator)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_pod_finds_the_image_under_its_full_name() {
        for (name, canonical) in [
            ("unready/agent:0.1.0", "docker.io/unready/agent:0.1.0"),
            ("redis:7", "docker.io/library/redis:7"),
            ("unready.test/redis:1", "unready.test/redis:1"),
            ("localhost/a/b:x", "localhost/a/b:x"),
            ("registry.example:5000/a:B_1", "registry.example:5000/a:B_1"),
        ] {
            let reference: Reference = name.parse().unwrap();
            assert_eq!((reference.to_string().as_str(), reference.canonical().as_str()), (name, canonical));
        }
    }

    #[test]
    fn what_a_runtime_would_refuse_is_refused() {
        let long = format!("{}:1", "a".repeat(256));
        for name in [
            "",
            "a",
            ":1",
            "a:",
            "A/b:1",
            "a//b:1",
            "a/:1",
            "-a:1",
            "a-:1",
            "a..b:1",
            "a___b:1",
            "a b:1",
            "a:.x",
            "a:ü",
            "host.x:70000/a:1",
            "-x.y/a:1",
            "localhost:5000/a",
            "a:1@sha256:00",
            &long,
        ] {
            assert!(matches!(name.parse::<Reference>(), Err(Error::Reference { .. })), "{name}");
        }
        for name in ["a.b_c__d--e:1", "x/y/z:1.2-3_4"] {
            assert!(name.parse::<Reference>().is_ok(), "{name}");
        }
    }
}
