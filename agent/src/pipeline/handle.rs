//! How a pipeline is run, what it tells, and the way into it while it runs.

use crate::sources::kernel::Ebpf;
use std::{path::PathBuf, time::Duration};
use tokio::sync::{mpsc, oneshot, watch};
use unready_diagnosis::{
    Input,
    cluster::ClusterQuestion,
    question::QuestionId,
    story::report::StartReport,
    units::{CgroupId, ClockAnchor},
    verdict::Verdict,
};

/// How the pipeline is to be run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The eBPF programs' own debug messages go to our log.
    pub debug_log: bool,
    /// All inputs of the engine go to this file.
    pub record: Option<PathBuf>,
    /// Where runtimes keep their state, beside the usual places.
    pub state_roots: Vec<PathBuf>,
    /// How long level 1 stays attached after the last start.
    pub linger: Duration,
    /// Level 1 is attached before anything starts: a local run is a start.
    pub starting_at_once: bool,
    /// [`Event::Listening`] is told: a launcher wants to know where its command listens.
    pub tell_listeners: bool,
    /// Whether the kernel's evidence is a must.
    pub ebpf: Ebpf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            debug_log: false,
            record: None,
            state_roots: Vec::new(),
            linger: Duration::from_secs(10),
            starting_at_once: false,
            tell_listeners: false,
            ebpf: Ebpf::Required,
        }
    }
}

/// What is told to whoever runs the pipeline.
#[derive(Clone, Debug)]
pub enum Event {
    /// A finding, new or with new facts.
    Verdict(Box<Verdict>),
    /// How a start goes: healthy ones too, told when it gets on.
    Start(Box<StartReport>),
    /// A question about the cluster: its answer goes in as [`Input::ClusterAnswer`].
    AskCluster(QuestionId, ClusterQuestion),
    /// A socket of a watched cgroup began or ceased to listen; only where [`Options::tell_listeners`] asks for it.
    Listening {
        cgroup: CgroupId,
        /// Address as text.
        address: String,
        port: u16,
        /// False: it ceased.
        open: bool,
    },
    /// Somebody set the wall clock; from here on [`Handle::anchor`] is another.
    ClockSet,
}

/// What a handle asks of the pipeline.
pub(super) enum Command {
    Input(Box<Input>),
    Settle(CgroupId, oneshot::Sender<()>),
    End,
}

/// The way into a running pipeline.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) anchor: watch::Receiver<ClockAnchor>,
}

impl Handle {
    /// Gives the engine an input that is not the kernel's.
    pub async fn input(&self, input: Input) {
        let _ = self.commands.send(Command::Input(Box::new(input))).await;
    }

    /// Waits until what the kernel has told so far is judged.
    pub async fn settle(&self, cgroup: CgroupId) {
        let (done, wait) = oneshot::channel();
        let _ = self.commands.send(Command::Settle(cgroup, done)).await;
        let _ = wait.await;
    }

    /// Ends the pipeline, whoever else has a handle. What was sent before is heard.
    pub async fn end(&self) {
        let _ = self.commands.send(Command::End).await;
    }

    /// Turns kernel times into dates, by the wall clock as it runs now.
    pub fn anchor(&self) -> ClockAnchor {
        *self.anchor.borrow()
    }
}
