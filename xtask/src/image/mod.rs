//! `cargo xtask image`: agent, collector and CLI as container images, without a daemon and without root.
//!
//! Each image is made from nothing: one static program, the few files that programs expect, and a list of what the program is made
//! of ([`sbom`]), which lies beside the archive too. There is no shell and no bundle of certificates: the agent and the
//! collector trust the cluster's own authority, which Kubernetes mounts into their pods. The archives are the same bytes each
//! time they are made from the same programs.

mod compile;
mod programs;
mod sbom;

use crate::{
    progress::Progress,
    project::Project,
    setup::{self, Purpose},
};
use anyhow::{Context as _, Result};
use compile::Built;
pub(crate) use compile::Profile;
use programs::{PROGRAMS, Program};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use unready_image::{
    ANNOTATION_DESCRIPTION, ANNOTATION_LICENSES, ANNOTATION_REVISION, ANNOTATION_SOURCE, ANNOTATION_TITLE, ANNOTATION_VERSION, Epoch,
    Image, Layer, Platform, Process, Reference, Written,
};
use xshell::cmd;

const PROGRESS: Progress = Progress::new("image");
/// What the images' names begin with.
const NAMESPACE: &str = "unready";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const LICENSE: &str = env!("CARGO_PKG_LICENSE");
const SOURCE: &str = env!("CARGO_PKG_REPOSITORY");

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What the images run on: linux/amd64, linux/arm64, or both, separated by a comma [default: this machine's]
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    platform: Vec<Platform>,
    /// What comes after the colon
    #[arg(long, default_value = VERSION)]
    tag: String,
    /// Where the archives go [default: target/images]
    #[arg(long, value_name = "DIRECTORY")]
    output: Option<PathBuf>,
    /// How the programs are compiled: `dist` is what is shipped, `release` takes half the time
    #[arg(long, value_enum, default_value_t = Profile::Dist)]
    profile: Profile,
}

impl Arguments {
    /// This machine's platform, the workspace's version, the usual place: for commands that need the images.
    pub(crate) fn of_this_machine(profile: Profile) -> Self {
        Self { platform: Vec::new(), tag: VERSION.to_owned(), output: None, profile }
    }
}

/// The command.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<()> {
    let written = build(project, arguments)?;
    for Written { reference, digest, size, path } in &written {
        println!("{reference}  {digest}  {:.1} MiB  {}", mebibytes(*size), path.display());
    }
    PROGRESS.say("load one with `ctr --namespace k8s.io images import --all-platforms FILE`, or push it with `skopeo copy oci-archive:FILE docker://…`");
    Ok(())
}

/// Builds the programs and their images; returns what was written, in the order of [`PROGRAMS`].
pub(crate) fn build(project: &Project, arguments: &Arguments) -> Result<Vec<Written>> {
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
fn platforms(asked: &[Platform]) -> Result<Vec<Platform>> {
    let mut platforms = asked.to_vec();
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
        let both = [Platform::Arm64, Platform::Amd64, Platform::Arm64];
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
