//! The command line, as clap sees it. What is wrong with a flag is found here, before anything is started: status 2.

use crate::{
    complete::CompleteArgs,
    explain::ExplainArgs,
    get::GetArgs,
    patch::PatchArgs,
    run::{
        identity::{self, Drop},
        probe::Probe,
        quantity,
    },
    timeline::TimelineArgs,
};
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use std::{ffi::OsString, path::PathBuf, str::FromStr, time::Duration};

/// Why is this pod not ready?
#[derive(Debug, Parser)]
#[command(
    name = "unready",
    version,
    about = "Says why a program or pod is not ready, from what the kernel saw.",
    after_help = "Exit status: 0 healthy, or answered; 3 a cause was found that keeps it from becoming ready; 4 not ready and no cause found, or no patch can help; 1 Unready itself failed; 2 usage.",
    max_term_width = 100
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a program here and explain its start
    Run(Box<RunArgs>),
    /// Show which pods are not ready, and why
    Get(Box<GetArgs>),
    /// Print the fix as a patch for kubectl
    Patch(Box<PatchArgs>),
    /// Draw the start of a pod as a waterfall
    Timeline(Box<TimelineArgs>),
    /// Tell about a cause, or list all
    Explain(ExplainArgs),
    /// Say again what a recorded start says, on any machine
    Replay(ReplayArgs),
    /// Show what this machine allows, and what is lost without it
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    Completions(CompletionArgs),
    /// What the last word may become, for kubectl
    #[command(name = "__complete", hide = true)]
    Complete(CompleteArgs),
    /// The launcher of `unready run`
    #[command(name = "__launch", hide = true)]
    Launch(LaunchArgs),
}

/// For people or for programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON object a line, and nothing else on stdout
    Json,
}

// One line a paragraph: clap wraps them to the terminal.
const RUN_HELP: &str = "\
CMD runs in a cgroup of its own with your stdin, directory and environment, and is watched until it is ready, exits, or the \
time is up. Then what kept it from becoming ready is printed, if anything did.

Ready is: with --probe, when the probe is answered and the listener is CMD's; without, when CMD listens on a TCP port and \
lives on for a second. A program that exits with 0 is healthy unless a probe was given. Without a probe, a program that \
still runs when the time is up and in which nothing wrong was seen counts as healthy too.

`unready run` explains a start: once CMD is ready (or the time is up) it is ended, with SIGTERM and 5 s later SIGKILL. With \
--keep it runs on until it exits or you press Ctrl-C. What CMD has started and left behind is ended too.

Exit status: 0 healthy, 3 a cause was found that keeps it from becoming ready, 4 not ready and no cause found, 1 Unready \
itself failed, 2 usage.";

/// `unready run`.
#[derive(Debug, Args)]
#[command(after_help = RUN_HELP)]
pub(crate) struct RunArgs {
    /// User id that CMD runs with
    #[arg(long, value_name = "N", value_parser = identity::id)]
    pub(crate) uid: Option<u32>,
    /// Group id; by default the group of the user's passwd entry, else the number of --uid
    #[arg(long, value_name = "N", value_parser = identity::id)]
    pub(crate) gid: Option<u32>,
    /// Supplementary groups; with --uid none by default
    #[arg(long, value_name = "N,N")]
    pub(crate) groups: Option<GroupList>,
    /// Capabilities that CMD does not get, or `all`
    #[arg(long, value_name = "CAP,…", value_delimiter = ',')]
    pub(crate) drop: Vec<Drop>,
    /// Memory limit, as Kubernetes writes it: 64Mi, 1.5Gi, 128M
    #[arg(long, value_name = "SIZE", value_parser = quantity::memory)]
    pub(crate) memory: Option<u64>,
    /// What CMD must answer to be ready: http://HOST:PORT[/PATH], https://… or tcp://HOST:PORT
    #[arg(long, value_name = "URL")]
    pub(crate) probe: Option<Probe>,
    /// Time from one attempt of the probe to the next (the kubelet's default is 10s)
    #[arg(long, value_name = "D", default_value = "1s", value_parser = duration)]
    pub(crate) probe_period: Duration,
    /// How long an attempt may take
    #[arg(long, value_name = "D", default_value = "1s", value_parser = duration)]
    pub(crate) probe_timeout: Duration,
    /// How long CMD may take to become ready; by default 60s with a probe and 10s without
    #[arg(long, value_name = "D", value_parser = duration)]
    pub(crate) ready_timeout: Option<Duration>,
    /// Let CMD run on once it is ready
    #[arg(long)]
    pub(crate) keep: bool,
    /// How verdicts are printed; with json CMD's stdout goes to stderr
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Format,
    /// With text: the facts behind each verdict, too
    #[arg(long)]
    pub(crate) evidence: bool,
    /// Write all that the diagnosis is told to this file, for `unready replay`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) record: Option<PathBuf>,
    /// Tell how long it took until CMD was executed
    #[arg(long, hide = true)]
    pub(crate) timing: bool,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD", value_hint = ValueHint::CommandWithArguments)]
    pub(crate) command: Vec<OsString>,
}

impl RunArgs {
    /// How long CMD may take.
    pub(crate) fn time(&self) -> Duration {
        const WITH_PROBE: Duration = Duration::from_mins(1);
        const WITHOUT: Duration = Duration::from_secs(10);
        self.ready_timeout.unwrap_or(if self.probe.is_some() { WITH_PROBE } else { WITHOUT })
    }
}

/// `unready replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// A file that `--record` wrote
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// With text: the facts behind each verdict, too
    #[arg(long)]
    pub(crate) evidence: bool,
    /// How verdicts are printed
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Format,
}

/// `unready doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// How the checks are printed
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Format,
}

/// `unready completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// The shell; `kubectl` for the script that completes `kubectl unready`
    #[arg(value_enum)]
    pub(crate) shell: Script,
}

/// Completion scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Script {
    /// For bash
    Bash,
    /// For elvish
    Elvish,
    /// For fish
    Fish,
    /// For PowerShell
    #[value(name = "powershell")]
    PowerShell,
    /// For zsh
    Zsh,
    /// To be put on the PATH as `kubectl_complete-unready`, executable
    Kubectl,
}

impl Script {
    /// The shell; `None`: kubectl completes by itself, and asks us.
    pub(crate) const fn shell(self) -> Option<clap_complete::Shell> {
        use clap_complete::Shell;
        match self {
            Self::Bash => Some(Shell::Bash),
            Self::Elvish => Some(Shell::Elvish),
            Self::Fish => Some(Shell::Fish),
            Self::PowerShell => Some(Shell::PowerShell),
            Self::Zsh => Some(Shell::Zsh),
            Self::Kubectl => None,
        }
    }
}

/// `unready __launch`, see [`crate::run::launcher`].
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "the flags of `run` in their resolved form")]
pub(crate) struct LaunchArgs {
    #[arg(long)]
    pub(crate) go: i32,
    #[arg(long)]
    pub(crate) status: i32,
    #[arg(long, value_parser = identity::id)]
    pub(crate) uid: Option<u32>,
    #[arg(long, value_parser = identity::id)]
    pub(crate) gid: Option<u32>,
    #[arg(long)]
    pub(crate) groups: Option<GroupList>,
    #[arg(long)]
    pub(crate) drop: Vec<Drop>,
    #[arg(required = true, last = true)]
    pub(crate) command: Vec<OsString>,
}

/// Group ids separated by commas; may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupList(pub(crate) Vec<u32>);

impl FromStr for GroupList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        /// `NGROUPS_MAX` of include/uapi/linux/limits.h.
        const MOST: usize = 65536;
        let list = text.split(',').filter(|_| !text.is_empty()).map(identity::id).collect::<Result<Vec<_>, _>>()?;
        if list.len() > MOST { Err(format!("more than {MOST} groups")) } else { Ok(Self(list)) }
    }
}

/// As kubectl's `--request-timeout`: a number is seconds, and 0 means to wait for however long it takes.
pub(crate) fn timeout(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_hours(7 * 24);
    match text.parse::<u32>() {
        Ok(0) => Ok(LONGEST),
        Ok(seconds) => Ok(Duration::from_secs(seconds.into()).min(LONGEST)),
        Err(_) => duration(text),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_hours(7 * 24);
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("a time of zero is over before it begins".into()),
        Ok(time) if time > LONGEST => Err("longer than a week".into()),
        Ok(time) => Ok(time),
        Err(_) => Err("no time; write for example 500ms, 30s or 2m".into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    fn run(words: &[&str]) -> Result<RunArgs, clap::Error> {
        let all = ["unready", "run"].iter().chain(words);
        Cli::try_parse_from(all).map(|cli| {
            let Command::Run(args) = cli.command else { panic!("another subcommand") };
            *args
        })
    }

    #[test]
    fn a_whole_command_line() {
        let args = run(&[
            "--uid",
            "1000",
            "--groups",
            "1,2",
            "--drop",
            "net_raw,CHOWN",
            "--memory",
            "64Mi",
            "--probe",
            "tcp://127.0.0.1:1",
            "--ready-timeout",
            "30s",
            "-o",
            "json",
            "--",
            "./server",
            "--port",
            "8080",
        ])
        .unwrap();
        assert_eq!((args.uid, args.gid, args.memory), (Some(1000), None, Some(64 << 20)));
        assert_eq!(args.groups, Some(GroupList(vec![1, 2])));
        assert_eq!(args.drop.len(), 2);
        assert_eq!(args.time(), Duration::from_secs(30));
        assert_eq!(args.command, ["./server", "--port", "8080"]);
    }

    #[test]
    fn the_dashes_may_be_left_out() {
        assert_eq!(run(&["ls", "-l", "--uid"]).unwrap().command, ["ls", "-l", "--uid"]);
    }

    #[test]
    fn the_time_depends_on_the_probe() {
        assert_eq!(run(&["x"]).unwrap().time(), Duration::from_secs(10));
        assert_eq!(run(&["--probe", "tcp://h:1", "x"]).unwrap().time(), Duration::from_mins(1));
    }

    #[test]
    fn nonsense_is_usage() {
        for words in [
            &[][..],
            &["--"],
            &["--uid", "root", "x"],
            &["--uid", "4294967295", "x"],
            &["--groups", "1,,2", "x"],
            &["--drop", "NET_BIND", "x"],
            &["--memory", "64m", "x"],
            &["--memory", "0", "x"],
            &["--probe", "grpc://127.0.0.1:1", "x"],
            &["--probe-period", "0s", "x"],
            &["--ready-timeout", "soon", "x"],
            &["--ready-timeout", "30", "x"],
            &["-o", "yaml", "x"],
            &["--no-such-flag", "x"],
        ] {
            assert_eq!(run(words).map(|_| ()).map_err(|error| error.exit_code()), Err(2), "{words:?}");
        }
    }

    #[test]
    fn a_request_may_take_as_long_as_it_takes() {
        assert_eq!(timeout("0").map(|time| time.as_secs()), Ok(7 * 24 * 3600));
        assert_eq!(timeout("30"), Ok(Duration::from_secs(30)));
        assert_eq!(timeout("1m"), Ok(Duration::from_mins(1)));
        assert!(timeout("soon").is_err());
    }

    #[test]
    fn no_groups_are_a_list_too() {
        assert_eq!("".parse(), Ok(GroupList(vec![])));
        assert!("1,".parse::<GroupList>().is_err());
    }
}
