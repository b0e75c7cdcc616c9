//! What compiles for the other architecture: a standard library for it, and a C compiler that links for it. Installed
//! only when an image for that architecture is asked for.
//!
//! The standard library is taken where it is: a target of the compiler itself (`rustup target add`), or else Debian's, which
//! belongs to its compiler to the letter: the package of the other architecture is fetched with lists of its own and unpacked into
//! the cache, so that this machine stays one of a single architecture.

use super::{PROGRESS, apt::Apt};
use crate::project::{Project, program};
use anyhow::{Context as _, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
};
use unready_ebpf_build::is_new_enough;
use unready_image::Platform;
use xshell::{Cmd, cmd};

/// Debian's compiler; `rustc-web` is a newer one for the browser than its `rustc`.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
/// Whose signatures are trusted.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// The library that belongs to `rustc-web`.
const DEBIAN_STD: &str = "libstd-rust-web-dev";

/// How to call Cargo for another architecture.
#[derive(Debug)]
pub(crate) struct Cross {
    triple: String,
    linker: String,
    library: Library,
}

/// Where the standard library is.
#[derive(Debug)]
enum Library {
    /// The ordinary compiler has it.
    Own,
    /// Debian's compiler, told to look below this folder.
    Debian(PathBuf),
}

impl Cross {
    /// Finds what is needed, installs what is missing.
    pub(crate) fn ensure(project: &Project, platform: Platform) -> Result<Self> {
        let arch = platform.rust_arch();
        let linker = format!("{arch}-linux-gnu-gcc");
        if program(&linker).is_none() {
            install_linker(project, platform, &linker)?;
        }
        let triple = format!("{arch}-unknown-linux-gnu");
        let library = Library::ensure(project, platform, &triple)?;
        Ok(Self { triple, linker, library })
    }

    /// Cargo, which is to be told the target still.
    pub(crate) fn cargo<'a>(&self, project: &'a Project) -> Cmd<'a> {
        let sh = &project.sh;
        let command = match &self.library {
            Library::Own => cmd!(sh, "cargo"),
            Library::Debian(_) => cmd!(sh, "{DEBIAN_CARGO}").env("RUSTC", DEBIAN_RUSTC).env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO"),
        };
        let name = self.triple.replace('-', "_");
        // The crates that compile C look for a compiler by the second name.
        command.env(format!("CARGO_TARGET_{}_LINKER", name.to_uppercase()), &self.linker).env(format!("CC_{name}"), &self.linker)
    }

    /// The compiler that Cargo calls.
    pub(crate) const fn rustc(&self) -> &'static str {
        match self.library {
            Library::Own => "rustc",
            Library::Debian(_) => DEBIAN_RUSTC,
        }
    }

    /// The C compiler.
    pub(crate) fn cc(&self) -> &str {
        &self.linker
    }

    /// What the compiler has to be told beside.
    pub(crate) fn flags(&self) -> Vec<String> {
        match &self.library {
            Library::Own => Vec::new(),
            Library::Debian(sysroot) => vec![format!("--sysroot={}", sysroot.display())],
        }
    }
}

fn install_linker(project: &Project, platform: Platform, linker: &str) -> Result<()> {
    let name = platform.rust_arch().replace('_', "-");
    let packages = [format!("gcc-{name}-linux-gnu"), format!("libc6-dev-{}-cross", platform.goarch())];
    let sentence = format!("{linker} is missing: install a C compiler that compiles for {platform}, with its C library");
    let Some(apt) = Apt::find() else { bail!(sentence) };
    apt.install(project, &packages.each_ref().map(String::as_str)).context(sentence)
}

impl Library {
    fn ensure(project: &Project, platform: Platform, triple: &str) -> Result<Self> {
        let sh = &project.sh;
        let folder = cmd!(sh, "rustc --print target-libdir --target {triple}").quiet().ignore_stderr().read().unwrap_or_default();
        if has_std(Path::new(folder.trim())) {
            return Ok(Self::Own);
        }
        if let Some(version) = debian_version(project) {
            return Ok(Self::Debian(unpacked(project, platform, &version, triple)?));
        }
        PROGRESS.step(&format!("Rust's library for {triple}"), || {
            let command = cmd!(sh, "rustup target add {triple}");
            project.logged("rustup-target", command).with_context(|| {
                format!("Rust's standard library for {platform} is missing: `rustup target add {triple}`, or Debian's packages rustc-web and cargo-web")
            })
        })?;
        Ok(Self::Own)
    }
}

fn has_std(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.map(|entry| entry.file_name()).any(|name| name.as_encoded_bytes().starts_with(b"libstd-"))
}

/// Of the package whose other half is fetched, if it and its compiler are there and can compile the project.
fn debian_version(project: &Project) -> Option<String> {
    let sh = &project.sh;
    let compiler = cmd!(sh, "{DEBIAN_RUSTC} -vV").quiet().ignore_stderr().read().ok()?;
    (is_new_enough(&compiler) && Path::new(DEBIAN_CARGO).is_file()).then_some(())?;
    let format = "${Version}";
    let version = cmd!(sh, "dpkg-query --show --showformat {format} {DEBIAN_STD}").quiet().ignore_stderr().read().ok()?;
    Some(version.trim().to_owned()).filter(|version| !version.is_empty())
}

/// The folder below which Debian's compiler finds the library.
fn unpacked(project: &Project, platform: Platform, version: &str, triple: &str) -> Result<PathBuf> {
    let cache = project.cached(&format!("cross/{}", platform.goarch()))?;
    let root = cache.join(version.replace(':', "%3a"));
    let sysroot = root.join("usr");
    if has_std(&library_folder(&sysroot, triple)) {
        return Ok(sysroot);
    }
    PROGRESS.step(&format!("{DEBIAN_STD} {version} for {platform}"), || fetch(project, platform, version, &cache, &root))?;
    if !has_std(&library_folder(&sysroot, triple)) {
        bail!(
            "{DEBIAN_STD} {version} of Debian's archive holds no standard library for {triple}: use rustup's compiler with `rustup target add {triple}`"
        );
    }
    Ok(sysroot)
}

fn library_folder(sysroot: &Path, triple: &str) -> PathBuf {
    sysroot.join("lib/rustlib").join(triple).join("lib")
}

fn fetch(project: &Project, platform: Platform, version: &str, cache: &Path, root: &Path) -> Result<()> {
    let architecture = platform.goarch();
    fs::create_dir_all(cache.join("lists/partial"))?;
    fs::write(cache.join("sources.list"), sources(project, architecture)?).context("cannot write the list of package sources")?;
    project.logged("cross-apt-update", apt(project, cache, architecture).arg("update"))?;
    let packages = cache.join("packages");
    fs::create_dir_all(&packages)?;
    let here = project.sh.push_dir(&packages);
    let download = apt(project, cache, architecture).arg("download").arg(format!("{DEBIAN_STD}={version}"));
    project.logged("cross-apt-download", download)?;
    drop(here);
    let mut entries = fs::read_dir(&packages)?.filter_map(Result::ok).map(|entry| entry.path());
    let deb = entries.find(|path| path.extension().is_some_and(|extension| extension == "deb")).context("apt downloaded nothing")?;
    let sh = &project.sh;
    cmd!(sh, "dpkg -x {deb} {root}").quiet().run()?;
    fs::remove_dir_all(&packages).context("cannot remove the unpacked package")
}

/// Debian's sources of this machine, for the other architecture.
fn sources(project: &Project, architecture: &str) -> Result<String> {
    let sh = &project.sh;
    let format = "$(SITE) $(RELEASE) $(COMPONENT)";
    let filters = ["Created-By: Packages", "Origin: Debian"];
    let targets =
        cmd!(sh, "apt-get indextargets --format {format}").args(filters).quiet().read().context("apt cannot list its package sources")?;
    let lines = source_lines(&targets, architecture);
    if lines.is_empty() {
        bail!("this machine's package sources name no mirror of Debian, which {DEBIAN_STD} for {architecture} comes from");
    }
    Ok(lines)
}

fn source_lines(targets: &str, architecture: &str) -> String {
    let mut lines: Vec<String> = targets.lines().filter_map(|target| source_line(target, architecture)).collect();
    lines.sort();
    lines.dedup();
    lines.concat()
}

fn source_line(target: &str, architecture: &str) -> Option<String> {
    let mut words = target.split_whitespace();
    let (site, release, component) = (words.next()?, words.next()?, words.next()?);
    Some(format!("deb [arch={architecture} signed-by={KEYRING}] {site} {release} {component}\n"))
}

/// apt as a machine of the other architecture would call it, with nothing of this machine's state.
fn apt<'a>(project: &'a Project, cache: &Path, architecture: &str) -> Cmd<'a> {
    let cache = cache.display();
    let options = [
        format!("Dir::Etc::sourcelist={cache}/sources.list"),
        "Dir::Etc::sourceparts=/dev/null".to_owned(),
        format!("Dir::State::Lists={cache}/lists"),
        // No binary caches: they would replace those of the machine.
        "Dir::Cache::pkgcache=".to_owned(),
        "Dir::Cache::srcpkgcache=".to_owned(),
        format!("APT::Architecture={architecture}"),
        format!("APT::Architectures::={architecture}"),
        "APT::Sandbox::User=root".to_owned(),
    ];
    project.sh.cmd("apt-get").args(options.iter().flat_map(|option| ["-o", option])).quiet()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_sources_are_taken_over_for_the_other_architecture() {
        let targets = "http://mirror.example/debian bookworm main\nhttp://mirror.example/debian bookworm main\n\
                       mirror+file:/etc/apt/mirrors/security.list bookworm-security main\n";
        let signed = format!("deb [arch=arm64 signed-by={KEYRING}]");
        assert_eq!(
            source_lines(targets, "arm64"),
            format!(
                "{signed} http://mirror.example/debian bookworm main\n\
                 {signed} mirror+file:/etc/apt/mirrors/security.list bookworm-security main\n"
            )
        );
        assert_eq!(source_lines("", "arm64"), "");
    }

    #[test]
    fn debians_library_needs_debians_compiler() {
        let cross = |library| Cross { triple: "aarch64-unknown-linux-gnu".to_owned(), linker: "aarch64-linux-gnu-gcc".to_owned(), library };
        assert!(cross(Library::Own).flags().is_empty());
        assert_eq!(cross(Library::Debian(PathBuf::from("/cache/usr"))).flags(), ["--sysroot=/cache/usr"]);
    }
}
