//! Names in a directory that may have been meant by one that is not there.

use crate::{resolve::Halt, rootfs::Rootfs};
use unready_diagnosis::record::Errno;

/// Entries of a directory that are looked at.
const MAX_ENTRIES: usize = 1000;
/// Names offered instead.
const MAX_ALIKE: usize = 5;

/// Names that may have been meant where a path ended early, the likeliest first.
pub fn names<R: Rootfs>(rootfs: &R, halt: &Halt<R::Node>) -> Vec<String> {
    let Some((directory, wanted)) = halt.missing.as_ref().filter(|_| halt.errno == Errno::ENOENT) else {
        return Vec::new();
    };
    let names = rootfs.names(directory, MAX_ENTRIES).into_iter().take(MAX_ENTRIES);
    let mut found: Vec<(usize, String)> = names.filter_map(|name| Some((distance(wanted, &name)?, name))).collect();
    found.sort();
    found.into_iter().map(|(_, name)| name).take(MAX_ALIKE).collect()
}

/// How far two names are apart, if they are much alike: up to two letters of at least six differ, only the case, or only
/// the extension, between those of configuration files: `tls.crt` beside a missing `tls.key` is no misspelling.
fn distance(wanted: &str, name: &str) -> Option<usize> {
    if name.starts_with("..") || name == "." {
        return None; // also the kubelet's `..data`
    }
    let (wanted, name) = (wanted.to_lowercase(), name.to_lowercase());
    let letters = strsim::osa_distance(&wanted, &name);
    let allowed = (wanted.chars().count() / 3).min(2);
    let same_stem = stem(&wanted).is_some() && stem(&wanted) == stem(&name);
    (letters <= allowed || same_stem).then_some(letters)
}

/// The name of a configuration file without its extension, if it has any; `None` for names with other extensions.
fn stem(name: &str) -> Option<&str> {
    const CONFIGURATION: [&str; 9] = ["yaml", "yml", "json", "toml", "conf", "cfg", "ini", "properties", "xml"];
    match name.rsplit_once('.') {
        None => Some(name),
        Some((stem, extension)) => (!stem.is_empty() && CONFIGURATION.contains(&extension)).then_some(stem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_much_alike() {
        assert!(distance("tls.kye", "tls.key").is_some());
        assert!(distance("Config.yaml", "config.yaml").is_some());
        assert!(distance("config.yaml", "config.yml").is_some());
        assert!(distance("config", "config.json").is_some());
        assert!(distance("tls.key", "tls.crt").is_none());
        assert!(distance("app", "api").is_some());
        assert!(distance("app", "bin").is_none());
        assert!(distance("a", "b").is_none());
        assert!(distance("data", "..data").is_none());
        assert!(distance(".env", ".git").is_none());
    }
}
