//! Debian's programs for images: fetched by apt, never installed.
//!
//! apt is asked what it would install on a machine that has nothing yet, which gives exact versions and one of each
//! alternative; of these, libraries and what a recipe names are fetched and unpacked. What only an installation needs (perl, debconf,
//! the tools of maintainer scripts) stays away, as do documentation and service files.

use anyhow::{Context, Result, bail, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use unready_image::Tree;

/// Libraries that belong to what is left out.
const UNWANTED: &[&str] = &["perl", "libllvm", "libz3", "libpam-", "libsemanage", "libsepol", "libc-l10n"];
/// Folders that no program reads to start.
const LEFT_OUT: &[&str] = &[
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/lintian",
    "usr/share/bug",
    "usr/share/doc-base",
    "usr/share/gcc",
    "usr/share/gdb",
    "usr/lib/systemd",
    "usr/lib/tmpfiles.d",
    "usr/lib/sysusers.d",
    "etc/init.d",
    "etc/logrotate.d",
    "etc/cron.d",
    "etc/ufw",
];
/// What is one folder with its namesake below /usr since Debian 12.
const MERGED: &[&str] = &["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// One package in one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Package {
    /// As apt knows it.
    pub(super) name: String,
    version: String,
}

/// Where packages come from and are kept.
#[derive(Debug)]
pub(super) struct Archive {
    cache: PathBuf,
}

impl Archive {
    /// With files kept in `cache`.
    pub(super) fn open(cache: &Path) -> Result<Self> {
        ensure!(
            Command::new("apt-get").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success()),
            "the workloads' images are made of Debian's packages, and this machine has no apt: run this on Debian or Ubuntu"
        );
        let cache = cache.join("debian");
        fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
        Ok(Self { cache })
    }

    /// What these packages need to run, themselves included: libraries, and what starts like one of `keep`.
    pub(super) fn closure(&self, roots: &[&str], keep: &[&str]) -> Result<Vec<Package>> {
        let packages = Self::with_fresh_lists(|| {
            Ok(parse(&text(self.apt_get().args(["--no-install-recommends", "--simulate", "install"]).args(roots))?))
        })?;
        let packages: Vec<Package> = packages.into_iter().filter(|package| is_wanted(&package.name, keep)).collect();
        ensure!(!packages.is_empty(), "apt would install nothing for {}", roots.join(", "));
        Ok(packages)
    }

    /// The packages' files, fetched when they are not in the cache.
    pub(super) fn files(&self, packages: &[Package]) -> Result<Vec<PathBuf>> {
        packages.iter().map(|package| Self::with_fresh_lists(|| self.file(package))).collect()
    }

    fn file(&self, package: &Package) -> Result<PathBuf> {
        // apt writes the colon of an epoch as %3a.
        let start = format!("{}_{}_", package.name, package.version.replace(':', "%3a"));
        if let Some(file) = self.cached(&start)? {
            return Ok(file);
        }
        let folder = tempfile::tempdir_in(&self.cache).context("cannot make a directory for downloads")?;
        text(self.apt_get().current_dir(folder.path()).args(["download", &format!("{}={}", package.name, package.version)]))?;
        // Only a complete file gets into the cache.
        for entry in fs::read_dir(folder.path())?.filter_map(Result::ok) {
            fs::rename(entry.path(), self.cache.join(entry.file_name()))?;
        }
        self.cached(&start)?.with_context(|| format!("apt downloaded no {start}….deb"))
    }

    fn cached(&self, start: &str) -> Result<Option<PathBuf>> {
        let entries = fs::read_dir(&self.cache)?.filter_map(Result::ok).map(|entry| entry.path());
        let is_it = |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(start.as_bytes()));
        Ok(entries.into_iter().filter(is_it).find(|path| path.extension().is_some_and(|extension| extension == "deb")))
    }

    /// apt on a machine that has nothing installed, with binary caches of its own: those of the machine know what is installed.
    fn apt_get(&self) -> Command {
        let cache = self.cache.display();
        let caches = ["pkgcache", "srcpkgcache"].map(|name| format!("Dir::Cache::{name}={cache}/{name}.bin"));
        let mut command = Command::new("apt-get");
        for option in caches.iter().map(String::as_str).chain(["Dir::State::status=/dev/null", "APT::Sandbox::User=root"]) {
            command.args(["-o", option]);
        }
        command.env("LC_ALL", "C");
        command
    }

    /// Once more after `apt-get update`: a new machine has no lists, and an old one names packages that the archive has replaced.
    fn with_fresh_lists<T>(work: impl Fn() -> Result<T>) -> Result<T> {
        let first = match work() {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if let Err(error) = text(Command::new("apt-get").arg("update").env("LC_ALL", "C")) {
            bail!("{first:#}; and the package lists cannot be fetched: {error:#}");
        }
        work()
    }
}

/// Puts the packages' files into a tree, where a machine with a merged /usr has them.
pub(super) fn unpack(tree: &mut Tree, files: &[PathBuf]) -> Result<()> {
    for folder in MERGED {
        tree.link(folder, &format!("usr/{folder}"))?;
    }
    for file in files {
        let mut reader = Command::new("dpkg-deb")
            .arg("--fsys-tarfile")
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start dpkg-deb")?;
        let output = reader.stdout.take().context("dpkg-deb has no output")?;
        let unpacked = tree.unpack(output, place).with_context(|| format!("{} cannot be unpacked", file.display()));
        let status = reader.wait()?;
        unpacked?;
        ensure!(status.success(), "dpkg-deb cannot read {}: remove it, it is fetched again", file.display());
    }
    Ok(())
}

/// Where a package's file goes, if it goes into an image at all.
fn place(path: &str) -> Option<String> {
    let (first, rest) = path.split_once('/').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let path = match rest {
        Some(rest) if MERGED.contains(&first) => format!("usr/{first}/{rest}"),
        None if MERGED.contains(&first) => format!("usr/{first}"),
        _ => path.to_owned(),
    };
    let is_below = |folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    // Bitcode for a compiler that is not in the image either.
    let is_left_out = LEFT_OUT.iter().any(|folder| is_below(folder)) || path.contains("/lib/bitcode") || path.contains("/llvmjit");
    (!is_left_out).then_some(path)
}

fn is_wanted(name: &str, keep: &[&str]) -> bool {
    let is_kept = keep.iter().any(|start| name.starts_with(start));
    let is_library = name.starts_with("lib") || name.starts_with("zlib");
    is_kept || (is_library && !UNWANTED.iter().any(|part| name.contains(part)))
}

/// `Inst NAME (VERSION …)`.
fn parse(simulation: &str) -> Vec<Package> {
    let lines = simulation.lines().filter_map(|line| line.strip_prefix("Inst "));
    let package = |line: &str| {
        let (name, rest) = line.split_once(" (")?;
        Some(Package { name: name.to_owned(), version: rest.split_whitespace().next()?.to_owned() })
    };
    lines.filter_map(package).collect()
}

fn text(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let words = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    ensure!(output.status.success(), "{} failed: {}", command.get_program().display(), words());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_comes_with_its_libraries_and_without_its_installer() {
        let simulation = "Reading package lists...\nInst libc6 (2.36-9+deb12u14 Debian:12 [amd64]) []\nInst perl (5.36 Debian:12 [amd64])\n\
                          Inst libperl5.36 (5.36 Debian:12 [amd64])\nInst redis-tools (5:7.0.15-1 Debian:12 [amd64])\nConf libc6 (2.36 Debian:12 [amd64])\n";
        let wanted: Vec<Package> = parse(simulation).into_iter().filter(|package| is_wanted(&package.name, &["redis-"])).collect();
        let package = |name: &str, version: &str| Package { name: name.to_owned(), version: version.to_owned() };
        assert_eq!(wanted, [package("libc6", "2.36-9+deb12u14"), package("redis-tools", "5:7.0.15-1")]);
    }

    #[test]
    fn files_go_where_a_merged_usr_has_them() {
        let at = |path: &str| place(path);
        assert_eq!(at("lib/x86_64-linux-gnu/libc.so.6").as_deref(), Some("usr/lib/x86_64-linux-gnu/libc.so.6"));
        assert_eq!(at("lib64").as_deref(), Some("usr/lib64"));
        assert_eq!(at("usr/bin/redis-server").as_deref(), Some("usr/bin/redis-server"));
        assert_eq!(at("etc/nginx/nginx.conf").as_deref(), Some("etc/nginx/nginx.conf"));
        assert_eq!((at("usr/share/doc/libc6"), at("lib/systemd/system/x.service"), at("usr/share/man")), (None, None, None));
        assert_eq!(at("usr/share/documents").as_deref(), Some("usr/share/documents"));
    }
}
