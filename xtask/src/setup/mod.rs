//! `cargo xtask setup`: makes a machine able to build and run everything.
//!
//! What is needed is a table ([`needs`]); each row knows how to see whether it is met, so that the second run does
//! nothing. Where apt exists, and root or sudo, missing packages are installed; elsewhere each missing thing is named in
//! one sentence and nothing is touched.
//!
//! No package that is there is upgraded for its own sake. apt may upgrade what a new package depends on, and removes what a
//! new package conflicts with: `busybox-static` takes the place of `busybox`, and `rustc-web` and `cargo-web` that of Debian's
//! `rustc`, `cargo` and `rustup`. What apt will do is printed before it does it.

mod apt;
#[cfg(feature = "images")]
mod cross;
mod ebpf;
mod needs;
mod prometheus;
mod tools;

use crate::{
    progress::{Progress, seconds},
    project::Project,
};
use anyhow::{Result, bail};
#[cfg(feature = "images")]
pub(crate) use cross::Cross;
use needs::Need;
use std::time::Instant;

const PROGRESS: Progress = Progress::new("setup");

/// What the machine shall be able to do. Each includes those before it, but for [`Purpose::covers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Purpose {
    /// Compile everything
    Build,
    /// Run the demo's containers
    Demo,
    /// Run a real Kubernetes on this machine, and the tests that need one
    Cluster,
    /// Run all other tests, virtual machines included
    Test,
    /// Check licences and dependencies too
    All,
}

impl Purpose {
    /// Does it need what `part` needs? Kubernetes is built by a newer Go than most distributions have: only what starts it
    /// asks for that.
    fn covers(self, part: Self) -> bool {
        part <= self && (self, part) != (Self::Test, Self::Cluster)
    }
}

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What the machine shall be able to do
    #[arg(long = "for", value_enum, default_value_t = Purpose::All)]
    purpose: Purpose,
}

/// The command.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<()> {
    ensure(project, arguments.purpose)
}

/// Makes the machine fit for `purpose`, or says what is missing.
pub(crate) fn ensure(project: &Project, purpose: Purpose) -> Result<()> {
    let started = Instant::now();
    let mut acted = packages(project, purpose)?;
    acted |= ebpf::ensure(project)?;
    if purpose >= Purpose::Demo {
        acted |= tools::mount_tracefs(project)?;
    }
    if purpose == Purpose::Cluster || purpose >= Purpose::Test {
        acted |= prometheus::ensure(project)?;
    }
    if purpose >= Purpose::All {
        acted |= ebpf::ensure_clippy(project)?;
        acted |= tools::cargo_deny(project)?;
    }
    let elapsed = seconds(started.elapsed());
    if acted {
        PROGRESS.say(format_args!("done in {elapsed}"));
    } else {
        PROGRESS.say(format_args!("nothing to do: everything is there ({elapsed})"));
    }
    Ok(())
}

/// Installs the packages of all unmet needs in one go.
fn packages(project: &Project, purpose: Purpose) -> Result<bool> {
    let missing: Vec<Need> = needs::all().into_iter().filter(|need| purpose.covers(need.purpose) && !(need.is_met)(project)).collect();
    if missing.is_empty() {
        return Ok(false);
    }
    let Some(apt) = apt::Apt::find() else {
        bail!("{}", missing_text(&missing));
    };
    // What no package of a distribution brings is only named.
    let packages: Vec<&str> = missing.iter().flat_map(|need| need.packages).copied().collect();
    if !packages.is_empty() {
        apt.install(project, &packages)?;
    }
    let still: Vec<Need> = missing.into_iter().filter(|need| !(need.is_met)(project)).collect();
    if still.is_empty() { Ok(true) } else { bail!("{}", missing_text(&still)) }
}

fn missing_text(missing: &[Need]) -> String {
    let mut text = String::from("this machine lacks what the project needs; install it, then run the command again:");
    for need in missing {
        text.push_str("\n  - ");
        text.push_str(need.sentence);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_thing_is_named_in_a_sentence() {
        let all = needs::all();
        let text = missing_text(&all);
        assert_eq!(text.lines().count(), all.len() + 1);
        assert!(all.iter().all(|need| need.sentence.ends_with('.')), "{text}");
    }

    #[test]
    fn purposes_include_those_before_them() {
        use Purpose::{All, Build, Cluster, Demo, Test};
        let covered =
            |purpose: Purpose| [Build, Demo, Cluster, Test, All].into_iter().filter(|part| purpose.covers(*part)).collect::<Vec<_>>();
        assert_eq!(covered(Build), [Build]);
        assert_eq!(covered(Demo), [Build, Demo]);
        assert_eq!(covered(Cluster), [Build, Demo, Cluster]);
        assert_eq!(covered(Test), [Build, Demo, Test]);
        assert_eq!(covered(All), [Build, Demo, Cluster, Test, All]);
    }
}
