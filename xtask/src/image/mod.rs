//! `cargo xtask image`: agent, collector and CLI as container images, without a daemon and without root.
//!
//! Each image is made from nothing: one static program, the few files that programs expect, and a list of what the program is made
//! of ([`sbom`]), which lies beside the archive too. There is no shell and no bundle of certificates: the agent and the
//! collector trust the cluster's own authority, which Kubernetes mounts into their pods. The archives are the same bytes each
//! time they are made from the same programs.

//!
//! What it takes to write them is behind the feature `images`, so that whoever makes none need not compile it: without the feature
//! the command starts itself again with it.

#[cfg(feature = "images")]
mod compile;
#[cfg(feature = "images")]
mod make;
#[cfg(feature = "images")]
mod programs;
#[cfg(feature = "images")]
mod sbom;

use crate::{build::Profile, project::Project};
use anyhow::{Context as _, Result, bail};
use std::{path::PathBuf, process::Command};

/// The images' tag, unless another is asked for.
const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What the images run on: linux/amd64, linux/arm64, or both, separated by a comma [default: this machine's]
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    platform: Vec<String>,
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
    /// As on a command line.
    fn words(&self) -> Vec<String> {
        let mut words = vec![format!("--tag={}", self.tag), format!("--profile={}", self.profile.name())];
        words.extend(self.platform.iter().map(|platform| format!("--platform={platform}")));
        words.extend(self.output.iter().map(|output| format!("--output={}", output.display())));
        words
    }
}

/// The command.
#[cfg(feature = "images")]
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<()> {
    make::run(project, arguments)
}

/// The command, by an xtask that can do it.
#[cfg(not(feature = "images"))]
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<()> {
    again(project, arguments)
}

/// This machine's images, for commands that need them; returns the folder that they are in.
pub(crate) fn of_this_machine(project: &Project, profile: Profile) -> Result<PathBuf> {
    let output = project.target.join("images");
    let arguments = Arguments { platform: Vec::new(), tag: VERSION.to_owned(), output: Some(output.clone()), profile };
    again(project, &arguments)?;
    Ok(output)
}

fn again(project: &Project, arguments: &Arguments) -> Result<()> {
    let mut command = Command::new("cargo");
    command.current_dir(&project.root).args(["run", "--quiet", "--package", "xtask", "--features", "images", "--", "image"]);
    let status = command.args(arguments.words()).status().context("cargo cannot be started")?;
    if status.success() { Ok(()) } else { bail!("the images could not be made; the reason is above") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn what_is_passed_on_is_what_was_asked_for() {
        let asked = ["image", "--platform=linux/amd64,linux/arm64", "--tag=a", "--output=b", "--profile=release"];
        let words = Line::parse_from(asked).arguments.words();
        let again = Line::parse_from(["image".to_owned()].into_iter().chain(words.clone())).arguments;
        assert_eq!(again.words(), words);
        assert_eq!(again.platform, ["linux/amd64", "linux/arm64"]);
    }
}
