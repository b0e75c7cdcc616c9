//! Prometheus, for the tests of the dashboard and the alerts: Debian's package, unpacked into the cache and not installed.
//! Installed, it would run as a service and listen on all addresses of the machine.

use super::{PROGRESS, apt::Apt};
use crate::project::{Project, program};
use anyhow::{Context as _, Result, bail};
use std::{fs, path::Path};
use xshell::cmd;

const PACKAGE: &str = "prometheus";
/// What the tests start.
const PROGRAMS: [&str; 2] = ["prometheus", "promtool"];

/// Fetches it when it is neither on the PATH nor in the cache.
pub(super) fn ensure(project: &Project) -> Result<bool> {
    let cache = project.cached("prometheus")?;
    if PROGRAMS.iter().all(|name| program(name).is_some()) || is_there(&cache) {
        return Ok(false);
    }
    let Some(apt) = Apt::find() else {
        bail!("this machine lacks prometheus and promtool, against which the dashboard and the alerts are tested: put them on the PATH");
    };
    if !apt.offers(project, &[PACKAGE])? {
        bail!(
            "the package sources of this machine have no {PACKAGE}: put prometheus and promtool on the PATH, the dashboard is tested with them"
        );
    }
    PROGRESS.step("prometheus, unpacked into the cache", || unpack(project, &cache))?;
    Ok(true)
}

fn is_there(cache: &Path) -> bool {
    PROGRAMS.iter().all(|name| cache.join("usr/bin").join(name).is_file())
}

fn unpack(project: &Project, cache: &Path) -> Result<()> {
    let folder = cache.join("download");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let sh = &project.sh;
    let fetched = {
        let _there = sh.push_dir(&folder);
        project.logged("prometheus", cmd!(sh, "apt-get download {PACKAGE}"))
    };
    fetched.with_context(|| format!("apt could not download {PACKAGE}"))?;
    let archives = fs::read_dir(&folder)?.filter_map(Result::ok).map(|entry| entry.path());
    let archive = archives.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "deb"));
    let archive = archive.with_context(|| format!("apt downloaded nothing into {}", folder.display()))?;
    project.logged("prometheus", cmd!(sh, "dpkg -x {archive} {cache}")).context("the package cannot be unpacked")?;
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    if !is_there(cache) {
        bail!("the package {PACKAGE} holds no {}", PROGRAMS.join(" and "));
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may end on the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn both_programs_must_be_there() {
        let cache = tempfile::tempdir().unwrap();
        let bin = cache.path().join("usr/bin");
        fs::create_dir_all(&bin).unwrap();
        fs::write(bin.join("prometheus"), "").unwrap();
        assert!(!is_there(cache.path()));
        fs::write(bin.join("promtool"), "").unwrap();
        assert!(is_there(cache.path()));
    }
}
