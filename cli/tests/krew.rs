//! The manifest for krew, as a release would fill it: what krew demands of it (`docs/DEVELOPER_GUIDE` and
//! `internal/index/validation` of krew) is there.
#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::Value;
use std::{fs, path::Path};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/krew")
}

/// The template with the words that a release fills in.
fn filled() -> Value {
    let template = fs::read_to_string(folder().join("unready.yaml")).unwrap();
    let digest = "0123456789abcdef".repeat(4);
    let words = [("SHA256_AMD64", digest.as_str()), ("SHA256_ARM64", &digest), ("VERSION", env!("CARGO_PKG_VERSION"))];
    let text = words.iter().fold(template, |text, (word, value)| {
        assert!(text.contains(word), "the template has no {word}");
        text.replace(word, value)
    });
    serde_norway::from_str(&text).unwrap()
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).unwrap_or_else(|| panic!("{path} is missing")).as_str().unwrap()
}

#[test]
fn it_is_a_plugin_of_our_name() {
    let manifest = filled();
    assert_eq!(text(&manifest, "/apiVersion"), "krew.googlecontainertools.github.com/v1alpha2");
    assert_eq!(text(&manifest, "/kind"), "Plugin");
    // krew wants the file to be called like the plugin.
    assert_eq!(text(&manifest, "/metadata/name"), "unready");
    assert_eq!(text(&manifest, "/spec/version"), concat!("v", env!("CARGO_PKG_VERSION")));
    assert_eq!(text(&manifest, "/spec/homepage"), env!("CARGO_PKG_REPOSITORY"));
}

#[test]
fn descriptions_are_as_krew_wants_them() {
    let manifest = filled();
    let short = text(&manifest, "/spec/shortDescription");
    assert!(!short.is_empty() && short.len() <= 50 && !short.ends_with('.'), "{short:?}");
    assert!(text(&manifest, "/spec/description").lines().all(|line| line.len() <= 110));
    assert!(text(&manifest, "/spec/caveats").contains("kubectl unready completions kubectl"));
}

#[test]
fn each_platform_has_an_archive_a_digest_and_the_program() {
    let manifest = filled();
    let platforms = manifest["spec"]["platforms"].as_array().unwrap();
    let mut all = Vec::new();
    for platform in platforms {
        let (os, arch) = (text(platform, "/selector/matchLabels/os"), text(platform, "/selector/matchLabels/arch"));
        let uri = text(platform, "/uri");
        assert!(uri.starts_with("https://") && uri.ends_with(&format!("kubectl-unready-{os}-{arch}.tar.gz")), "{uri}");
        assert!(uri.contains(concat!("/v", env!("CARGO_PKG_VERSION"), "/")), "{uri}");
        let digest = text(platform, "/sha256");
        assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digest}");
        assert_eq!(text(platform, "/bin"), "kubectl-unready", "by this name the program knows that it is a plugin");
        all.push(format!("{os}/{arch}"));
    }
    assert_eq!(all, ["linux/amd64", "linux/arm64"]);
}

#[cfg(unix)]
#[test]
fn the_completion_script_can_be_executed() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(folder().join("kubectl_complete-unready")).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0o111, "kubectl runs it");
}
