//! The images themselves: programs, lists of what they are made of, archives.

use super::{
    Arguments, VERSION,
    compile::{self, Built},
    programs::{PROGRAMS, Program},
    sbom,
};
use crate::{
    progress::Progress,
    project::Project,
    setup::{self, Purpose},
};
use anyhow::{Context as _, Result};
use std::{collections::BTreeMap, fs, path::Path};
use unready_image::{
    ANNOTATION_DESCRIPTION, ANNOTATION_LICENSES, ANNOTATION_REVISION, ANNOTATION_SOURCE, ANNOTATION_TITLE, ANNOTATION_VERSION, Epoch,
    Image, Layer, Platform, Process, Reference, Written,
};
use xshell::cmd;

pub(super) const PROGRESS: Progress = Progress::new("image");
/// What the images' names begin with.
const NAMESPACE: &str = "unready";
pub(super) const LICENSE: &str = env!("CARGO_PKG_LICENSE");
pub(super) const SOURCE: &str = env!("CARGO_PKG_REPOSITORY");

pub(super) fn run(project: &Project, arguments: &Arguments) -> Result<()> {
    let written = build(project, arguments)?;
    for Written { reference, digest, size, path } in &written {
        println!("{reference}  {digest}  {:.1} MiB  {}", mebibytes(*size), path.display());
    }
    PROGRESS.say("load one with `ctr --namespace k8s.io images import --all-platforms FILE`, or push it with `skopeo copy oci-archive:FILE docker://…`");
    Ok(())
}

/// Builds the programs and their images; returns what was written, in the order of [`PROGRAMS`].
fn build(project: &Project, arguments: &Arguments) -> Result<Vec<Written>> {
    setup::ensure(project, Purpose::Build)?;
    let platforms = platforms(&arguments.platform)?;
    let references: Vec<Reference> = PROGRAMS.iter().map(|program| reference(program, &arguments.tag)).collect::<Result<_>>()?;
    let output = arguments.output.as_ref().map_or_else(|| project.target.join("images"), |output| project.root.join(output));
    fs::create_dir_all(&output).with_context(|| format!("cannot make {}", output.display()))?;
    let built: Vec<Built> =
        platforms.into_iter().map(|platform| compile::programs(project, platform, arguments.profile)).collect::<Result<_>>()?;
    let maker = Maker { project, built: &built, output: &output, revision: revision(project), epoch: Epoch::from_environment()? };
    PROGRAMS.iter().zip(&references).map(|(program, reference)| PROGRESS.step(program.name, || maker.make(program, reference))).collect()
}

/// Each once; without any, this machine's.
fn platforms(asked: &[String]) -> Result<Vec<Platform>> {
    let mut platforms: Vec<Platform> = asked.iter().map(|platform| Ok(platform.parse()?)).collect::<Result<_>>()?;
    if platforms.is_empty() {
        platforms.push(
            Platform::of_this_machine().context("images are built for amd64 and arm64, which this machine is not: name a --platform")?,
        );
    }
    platforms.sort_unstable();
    platforms.dedup();
    Ok(platforms)
}

fn reference(program: &Program, tag: &str) -> Result<Reference> {
    Ok(format!("{NAMESPACE}/{}:{tag}", program.name).parse()?)
}

/// The commit, with a word if something was changed since; `None` outside of a Git working tree.
fn revision(project: &Project) -> Option<String> {
    let sh = &project.sh;
    let line = cmd!(sh, "git describe --always --dirty --abbrev=40 --exclude *").quiet().ignore_stderr().read().ok()?;
    Some(line.trim().to_owned()).filter(|line| !line.is_empty())
}

fn mebibytes(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let bytes = bytes as f64;
    bytes / 1024.0 / 1024.0
}

/// What all images have in common.
struct Maker<'a> {
    project: &'a Project,
    built: &'a [Built],
    output: &'a Path,
    revision: Option<String>,
    epoch: Epoch,
}

impl Maker<'_> {
    fn make(&self, program: &Program, reference: &Reference) -> Result<Written> {
        let images: Vec<Image> = self.built.iter().map(|built| self.image(program, built)).collect::<Result<_>>()?;
        let path = self.output.join(format!("{}.tar", program.name));
        Ok(unready_image::write(reference, &images, self.epoch, &path)?)
    }

    fn image(&self, program: &Program, built: &Built) -> Result<Image> {
        let platform = built.platform;
        let binary = built.folder.join(program.binary);
        let bom = sbom::of(self.project, program, built)?;
        let beside = self.output.join(format!("{}-{}.cdx.json", program.name, platform.goarch()));
        fs::write(&beside, &bom).with_context(|| format!("cannot write {}", beside.display()))?;
        Ok(Image {
            platform,
            process: Process { entrypoint: vec![program.path()], user: program.user.to_owned(), ..Process::default() },
            labels: self.labels(program),
            layers: vec![Layer::new(&program.tree(&binary, &bom)?, self.epoch)?],
        })
    }

    fn labels(&self, program: &Program) -> BTreeMap<String, String> {
        let fixed = [
            (ANNOTATION_TITLE, program.title),
            (ANNOTATION_DESCRIPTION, program.description),
            (ANNOTATION_VERSION, VERSION),
            (ANNOTATION_LICENSES, program.licenses),
            (ANNOTATION_SOURCE, SOURCE),
        ];
        let revision = self.revision.iter().map(|revision| (ANNOTATION_REVISION, revision.as_str()));
        fixed.into_iter().chain(revision).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn platforms_are_built_once_and_default_to_this_machine() {
        let both = ["linux/arm64", "linux/amd64", "linux/arm64"].map(str::to_owned);
        assert_eq!(platforms(&both).unwrap(), Platform::ALL);
        assert_eq!(platforms(&[]).unwrap(), [Platform::of_this_machine().unwrap()]);
    }

    #[test]
    fn every_program_has_a_name_that_registries_take() {
        for program in PROGRAMS {
            assert!(reference(program, VERSION).unwrap().to_string().starts_with("unready/"));
        }
        assert!(reference(&PROGRAMS[0], "a b").is_err());
    }
}
