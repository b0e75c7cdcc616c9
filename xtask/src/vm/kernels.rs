//! Debian's kernels: fetched once, checked, unpacked, never installed.
//!
//! apt is used with lists of its own below the cache, so that the machine's package sources stay as they are. The
//! mirrors are those that the machine is set up for. A superseded kernel vanishes from the archive: then the newest of
//! its series is taken, whose integrity apt's signed index vouches for.

use super::PROGRESS;
use crate::project::{Project, program};
use anyhow::{Context as _, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
};
use xshell::{Cmd, cmd};

/// A kernel that the programs must work on.
#[derive(Debug)]
pub(super) struct Kernel {
    /// What people call it.
    pub(super) series: &'static str,
    /// Start of the package names of the series.
    prefix: &'static str,
    /// The package that was tried.
    package: &'static str,
    /// Of that package's file.
    sha256: &'static str,
}

/// The kernels, oldest first.
pub(super) const KERNELS: &[Kernel] = &[
    Kernel {
        series: "5.10",
        prefix: "linux-image-5.10.0-",
        package: "linux-image-5.10.0-46-cloud-amd64",
        sha256: "18d94781d1b3052e21967ac2262239e5f14fbf511d6c3e110629d7aa35340760",
    },
    Kernel {
        series: "6.1",
        prefix: "linux-image-6.1.0-",
        package: "linux-image-6.1.0-56-cloud-amd64",
        sha256: "e7d02b943971edcb8790e256c02cfab3bca6c3d37c1bf25392a57c71300615ee",
    },
    Kernel {
        series: "6.12",
        prefix: "linux-image-6.12.",
        package: "linux-image-6.12.117+deb13-cloud-amd64",
        sha256: "e9893e5295d0549b8852611f12a4b8b5f6cc4b8128dcc2086b9847793b904ab7",
    },
    Kernel {
        series: "6.18",
        prefix: "linux-image-6.18.",
        package: "linux-image-6.18.15+deb13-cloud-amd64",
        sha256: "5a507681ea8c978d02265a7fec2f02c9588fb48b54b7f71edc1059e86007f3ec",
    },
    Kernel {
        series: "7.3",
        // From 6.19 on linux-image is an empty package, and the kernel is in linux-binary.
        prefix: "linux-binary-7.3.",
        package: "linux-binary-7.3.4+deb13-cloud-amd64",
        sha256: "c4fbc8e404958693b28825474c20742d70594d65ca58aea7be6a279c81eb6fa0",
    },
];

/// Suites that hold them, by archive.
const DEBIAN: &[&str] = &["trixie", "trixie-backports"];
const SECURITY: &[&str] = &["bullseye-security", "bookworm-security", "trixie-security"];

impl Kernel {
    /// Does `6.1` or `6.1.192` mean this one?
    pub(super) fn is(&self, wanted: &str) -> bool {
        wanted == self.series || wanted.strip_prefix(self.series).is_some_and(|rest| rest.starts_with('.'))
    }
}

/// A kernel on this machine.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) series: &'static str,
    /// What QEMU boots.
    pub(super) file: PathBuf,
}

/// Fetches what is not cached yet.
pub(super) fn fetch(project: &Project, kernels: &[&'static Kernel]) -> Result<Vec<Image>> {
    let cache = project.cached("kernels")?;
    let missing: Vec<&&Kernel> = kernels.iter().filter(|kernel| cached(&cache, kernel).is_none()).collect();
    if !missing.is_empty() {
        let archive = Archive::open(project, &cache)?;
        for kernel in missing {
            PROGRESS.step(&format!("kernel {}", kernel.series), || archive.fetch(kernel))?;
        }
    }
    kernels
        .iter()
        .map(|kernel| {
            let file = cached(&cache, kernel).with_context(|| format!("the package of kernel {} holds no vmlinuz", kernel.series))?;
            Ok(Image { series: kernel.series, file })
        })
        .collect()
}

/// The cache keeps one folder a package; the pinned one is preferred.
fn cached(cache: &Path, kernel: &Kernel) -> Option<PathBuf> {
    let file = |name: &str| Some(cache.join(name).join("vmlinuz")).filter(|file| file.is_file());
    file(kernel.package).or_else(|| {
        let folders = fs::read_dir(cache).ok()?.filter_map(Result::ok);
        folders
            .filter_map(|entry| entry.file_name().into_string().ok())
            .find_map(|name| name.starts_with(kernel.prefix).then(|| file(&name))?)
    })
}

/// Debian's archive through apt, with lists of its own.
struct Archive<'a> {
    project: &'a Project,
    cache: &'a Path,
}

impl<'a> Archive<'a> {
    fn open(project: &'a Project, cache: &'a Path) -> Result<Self> {
        if program("apt-get").is_none() {
            bail!("the kernels come as Debian packages, and this machine has no apt: run `cargo xtask vm` on Debian or Ubuntu");
        }
        let archive = Self { project, cache };
        archive.write_sources()?;
        let update = archive.apt("apt-get").arg("update");
        // A suite that a mirror no longer has is not the end: the kernel asked for may be in another one.
        if let Err(error) = PROGRESS.step("lists of Debian's archive", || project.logged("vm-apt-update", update)) {
            PROGRESS.say(format_args!("going on with the lists that could be fetched: {error:#}"));
        }
        Ok(archive)
    }

    fn write_sources(&self) -> Result<()> {
        let indices = self.apt_of_the_machine()?;
        let mut lines = String::new();
        for (path, suites) in [("/debian", DEBIAN), ("/debian-security", SECURITY)] {
            let mirror = mirror(&indices, path, |list| fs::read_to_string(list).ok()).with_context(|| {
                format!("this machine's package sources name no mirror of Debian's {path}, from which the kernels come")
            })?;
            for suite in suites {
                lines.extend(["deb ", KEYRING, " ", &mirror, " ", suite, " main\n"]);
            }
        }
        fs::create_dir_all(self.cache.join("lists/partial"))?;
        fs::write(self.cache.join("sources.list"), lines).context("cannot write the list of package sources")
    }

    /// One URI a line, as apt itself reads the machine's sources.
    fn apt_of_the_machine(&self) -> Result<String> {
        let sh = &self.project.sh;
        cmd!(sh, "apt-get indextargets --format $(SITE)").quiet().read().context("apt cannot list its package sources")
    }

    fn apt(&self, program: &str) -> Cmd<'a> {
        let cache = self.cache.display();
        let options = [
            format!("Dir::Etc::sourcelist={cache}/sources.list"),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::State::Lists={cache}/lists"),
            // No binary caches: they would replace those of the machine.
            "Dir::Cache::pkgcache=".to_owned(),
            "Dir::Cache::srcpkgcache=".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
        ];
        self.project.sh.cmd(program).args(options.iter().flat_map(|option| ["-o", option])).quiet()
    }

    fn fetch(&self, kernel: &Kernel) -> Result<()> {
        match self.download(kernel.package, Some(kernel.sha256)) {
            Ok(()) => Ok(()),
            Err(pinned) => {
                let newest = self.newest(kernel).with_context(|| format!("{pinned:#}; and no other of the series is there"))?;
                if newest == kernel.package {
                    return Err(pinned);
                }
                self.download(&newest, None)
            }
        }
    }

    fn newest(&self, kernel: &Kernel) -> Result<String> {
        let pattern = format!("^{}", kernel.prefix.replace('.', "[.]"));
        let names = self.apt("apt-cache").args(["search", "--names-only", &pattern]).read()?;
        let names = names.lines().filter_map(|line| line.split(' ').next());
        newest_of(names).with_context(|| format!("Debian's archive has no kernel {}", kernel.series))
    }

    fn download(&self, package: &str, sha256: Option<&str>) -> Result<()> {
        let folder = self.cache.join(package);
        fs::create_dir_all(&folder)?;
        let log = format!("vm-{package}");
        let here = self.project.sh.push_dir(&folder);
        self.project.logged(&log, self.apt("apt-get").args(["download", package]))?;
        drop(here);
        let deb = fs::read_dir(&folder)?
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .with_context(|| format!("apt downloaded no package {package}"))?;
        if let Some(expected) = sha256 {
            self.verify(&deb, expected)?;
        }
        self.unpack(&deb, &folder)
    }

    fn verify(&self, deb: &Path, expected: &str) -> Result<()> {
        let sh = &self.project.sh;
        let line = cmd!(sh, "sha256sum {deb}").quiet().read()?;
        if line.split_whitespace().next() == Some(expected) {
            return Ok(());
        }
        fs::remove_file(deb)?;
        bail!("{} is not the file that was tried: its checksum differs", deb.display())
    }

    /// Keeps the kernel image; the package and its modules are not needed.
    fn unpack(&self, deb: &Path, folder: &Path) -> Result<()> {
        let sh = &self.project.sh;
        let unpacked = sh.create_temp_dir()?;
        let root = unpacked.path();
        cmd!(sh, "dpkg -x {deb} {root}").quiet().run()?;
        let image = vmlinuz(root).with_context(|| format!("{} holds no vmlinuz", deb.display()))?;
        fs::copy(image, folder.join("vmlinuz"))?;
        fs::remove_file(deb).context("cannot remove the unpacked package")
    }
}

/// Whose signatures are trusted: Debian's own keys, also on machines of another distribution.
const KEYRING: &str = "[arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]";

/// `/boot/vmlinuz-V`, or from 7.2 on `/usr/lib/modules/V/vmlinuz`.
fn vmlinuz(root: &Path) -> Option<PathBuf> {
    let boot = fs::read_dir(root.join("boot")).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let modules = fs::read_dir(root.join("usr/lib/modules")).into_iter().flatten().filter_map(Result::ok);
    let is_image = |path: &PathBuf| path.is_file() && path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"vmlinuz"));
    boot.chain(modules.map(|entry| entry.path().join("vmlinuz"))).find(is_image)
}

/// The mirror whose URI ends in `path`. Where a URI names a list of mirrors, as on Debian's cloud images, its first one
/// counts; `read` gives the text of such a list.
fn mirror(uris: &str, path: &str, read: impl Fn(&Path) -> Option<String>) -> Option<String> {
    let resolved = uris.lines().filter_map(|uri| match uri.strip_prefix("mirror+file:") {
        // A local file's URI has one slash or three: apt-transport-file(1).
        Some(list) => first_mirror(&read(Path::new(list.strip_prefix("//").unwrap_or(list)))?),
        None => Some(uri.to_owned()),
    });
    resolved.map(|uri| uri.trim_end_matches('/').to_owned()).find(|uri| uri.ends_with(path))
}

/// The first mirror of a list that is fetched by http: a URI a line, with what is known of it after a tab, and comments
/// after `#`: apt-transport-mirror(1).
fn first_mirror(list: &str) -> Option<String> {
    let uris = list.lines().filter_map(|line| line.split_whitespace().next());
    uris.into_iter().find(|uri| uri.starts_with("http://") || uri.starts_with("https://")).map(str::to_owned)
}

/// By the numbers in the name; real-time and debug flavours are left out.
fn newest_of<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let plain = names.filter(|name| name.ends_with("-cloud-amd64"));
    plain.max_by_key(|name| numbers(name)).map(str::to_owned)
}

fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_found_by_number_not_by_letter() {
        let names = [
            "linux-image-6.12.9+deb13-cloud-amd64",
            "linux-image-6.12.117+deb13-cloud-amd64",
            "linux-image-6.12.118+deb13-rt-amd64",
            "linux-image-6.12.117+deb13-cloud-amd64-dbg",
        ];
        assert_eq!(newest_of(names.into_iter()).as_deref(), Some("linux-image-6.12.117+deb13-cloud-amd64"));
        assert_eq!(newest_of([].into_iter()), None);
    }

    #[test]
    fn a_version_means_one_series() {
        let of = |wanted: &str| KERNELS.iter().filter(|kernel| kernel.is(wanted)).map(|kernel| kernel.series).collect::<Vec<_>>();
        assert_eq!(of("6.1"), ["6.1"]);
        assert_eq!(of("6.12.117"), ["6.12"]);
        assert_eq!(of("6"), Vec::<&str>::new());
    }

    #[test]
    fn mirrors_are_told_apart_by_their_path() {
        let uris = "http://mirror.example/debian\nhttp://mirror.example/debian-security/\n";
        let mirror = |path| mirror(uris, path, |_| None);
        assert_eq!(mirror("/debian").as_deref(), Some("http://mirror.example/debian"));
        assert_eq!(mirror("/debian-security").as_deref(), Some("http://mirror.example/debian-security"));
        assert_eq!(mirror("/ubuntu"), None);
    }

    #[test]
    fn a_list_of_mirrors_stands_for_its_first() {
        let uris = "mirror+file:/etc/mirrors/gone.list\nmirror+file:/etc/mirrors/debian.list\nmirror+file:///etc/mirrors/security.list";
        let mirror = |path| {
            mirror(uris, path, |list| {
                match list.to_str()? {
                "/etc/mirrors/debian.list" => Some(
                    "# http://comment.example/debian\n\nfile:/srv/debian\nhttps://first.example/debian/\tpriority:1\nhttp://second.example/debian\n"
                        .to_owned(),
                ),
                "/etc/mirrors/security.list" => Some("http://first.example/debian-security\n".to_owned()),
                _ => None,
            }
            })
        };
        assert_eq!(mirror("/debian").as_deref(), Some("https://first.example/debian"));
        assert_eq!(mirror("/debian-security").as_deref(), Some("http://first.example/debian-security"));
        assert_eq!(mirror("/ubuntu"), None);
    }

    #[test]
    fn pins_belong_to_their_series() {
        for kernel in KERNELS {
            assert!(kernel.package.starts_with(kernel.prefix), "{kernel:?}");
            assert_eq!(kernel.sha256.len(), 64, "{kernel:?}");
        }
    }
}
