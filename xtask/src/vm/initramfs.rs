//! The root of the virtual machines: one static program as `/init` and the folders that it mounts on.
//!
//! The console needs no entry: the kernel's built-in initramfs has `/dev/console`.

use anyhow::{Context as _, Result};
use cpio::{NewcBuilder, newc::trailer};
use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};

const FOLDERS: &[&str] = &["dev", "proc", "sys", "tmp"];
const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;

/// Writes `initramfs.cpio` into `folder`.
pub(super) fn write(init: &Path, folder: &Path) -> Result<PathBuf> {
    let program = fs::read(init).with_context(|| format!("{} was not built", init.display()))?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join("initramfs.cpio");
    let mut archive = BufWriter::new(File::create(&path).with_context(|| format!("cannot write {}", path.display()))?);
    for (number, name) in (1..).zip(FOLDERS) {
        archive = NewcBuilder::new(name).ino(number).mode(FOLDER).nlink(2).write(archive, 0).finish()?;
    }
    let size = u32::try_from(program.len()).context("the init is larger than an initramfs can hold")?;
    let mut entry = NewcBuilder::new("init").ino(100).mode(PROGRAM).nlink(1).write(archive, size);
    entry.write_all(&program)?;
    let archive = trailer(entry.finish()?)?;
    archive.into_inner().context("the initramfs could not be written to its end")?;
    Ok(path)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may end on the first surprise")]
mod tests {
    use super::*;
    use cpio::NewcReader;

    #[test]
    fn the_archive_holds_folders_and_an_executable_init() {
        let folder = tempfile::tempdir().unwrap();
        let init = folder.path().join("program");
        fs::write(&init, b"\x7fELF and more").unwrap();
        let mut file = File::open(write(&init, folder.path()).unwrap()).unwrap();
        let mut seen = Vec::new();
        loop {
            let mut entry = NewcReader::new(file).unwrap();
            if entry.entry().is_trailer() {
                break;
            }
            seen.push((entry.entry().name().to_owned(), entry.entry().mode()));
            if entry.entry().name() == "init" {
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
                assert_eq!(bytes, b"\x7fELF and more");
            }
            file = entry.finish().unwrap();
        }
        assert_eq!(seen.last(), Some(&("init".to_owned(), PROGRAM)));
        assert_eq!(seen.len(), FOLDERS.len() + 1);
    }

    #[test]
    fn a_missing_init_is_said() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write(&folder.path().join("none"), folder.path()).unwrap_err().to_string().contains("was not built"));
    }
}
