//! The flags of `unready run`, and of the launcher that it starts. What is wrong with one is found by its parser, before
//! anything is started.

use super::{
    identity::{self, Drop},
    probe::Probe,
    quantity,
};
use crate::{outcome::Format, time::duration};
use clap::{Args, ValueHint};
use std::{ffi::OsString, path::PathBuf, str::FromStr, time::Duration};

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

/// `unready __launch`, see [`super::launcher`].
#[derive(Debug, Args)]
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        run: RunArgs,
    }

    fn run(words: &[&str]) -> Result<RunArgs, clap::Error> {
        Command::try_parse_from(["run"].iter().chain(words)).map(|command| command.run)
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
    fn no_groups_are_a_list_too() {
        assert_eq!("".parse(), Ok(GroupList(vec![])));
        assert!("1,".parse::<GroupList>().is_err());
    }
}
