//! Pods that no node has taken, judged by the same engine as those of a node.

use super::{Clock, due, ledger::Ledger};
use crate::store::{Store, StoreError};
use std::collections::HashSet;
use tokio::sync::mpsc;
use unready_diagnosis::{
    Config, Engine,
    cluster::{ClusterAnswer, PodChange},
    input::{Input, Output},
    question::QuestionId,
};
use unready_kubernetes::{Client, ask, watch};

/// Pods that are judged at a time: of more that are not scheduled the first are told of, and the rest when those are.
const PODS: usize = 10_000;
/// Questions under way.
const QUESTIONS: usize = 16;

type Answered = (QuestionId, ClusterAnswer);

pub(super) struct Pods {
    client: Client,
    clock: Clock,
    engine: Engine,
    changes: mpsc::Receiver<PodChange>,
    answering: mpsc::Sender<Answered>,
    answers: mpsc::Receiver<Answered>,
    known: HashSet<String>,
    /// All pods of the last list, to be compared with what was said before.
    listed: Option<Vec<String>>,
    was_listed: bool,
}

impl Pods {
    pub(super) fn new(client: Client, clock: Clock) -> Self {
        let (answering, answers) = mpsc::channel(QUESTIONS);
        let config = Config { clock: clock.anchor(), kernel: false, pods: PODS, ..Config::default() };
        Self {
            // The pods of the node without a name: the API server sends a pod that gets one as deleted.
            changes: watch::node_pods(client.clone(), ""),
            client,
            clock,
            engine: Engine::new(config),
            answering,
            answers,
            known: HashSet::new(),
            listed: None,
            was_listed: false,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) const fn is_listed(&self) -> bool {
        self.was_listed
    }

    /// Waits for a change, an answer or a time, and gives it to the engine. May be dropped at any moment.
    pub(super) async fn next(&mut self) {
        let timeout = self.engine.poll_timeout().map(|at| self.clock.at(at));
        let input = tokio::select! {
            Some(change) = self.changes.recv() => {
                self.note(&change);
                Input::Pods(change)
            }
            Some((id, answer)) = self.answers.recv() => Input::ClusterAnswer { id, answer },
            () = due(timeout) => Input::Timeout,
        };
        self.engine.handle(input, self.clock.now());
    }

    fn note(&mut self, change: &PodChange) {
        match change {
            PodChange::Apply(pod) => {
                self.known.insert(pod.uid.clone());
            }
            PodChange::Delete { uid } => {
                self.known.remove(uid);
            }
            PodChange::Reset(pods) => {
                self.known = pods.iter().map(|pod| pod.uid.clone()).collect();
                self.listed = Some(pods.iter().map(|pod| pod.uid.clone()).collect());
                self.was_listed = true;
            }
            PodChange::Unreachable => {}
        }
    }

    /// What the engine has to say, and to ask.
    pub(super) async fn tell<S: Store>(&mut self, ledger: &mut Ledger<S>) -> Result<(), StoreError> {
        if let Some(uids) = self.listed.take() {
            ledger.resolve_pods_except(&uids, self.clock.wall()).await?;
        }
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Verdict(verdict) => ledger.say(unready_wire::verdict(&verdict, self.clock.anchor(), ""), None).await?,
                Output::AskCluster(id, question) => {
                    let (client, answers) = (self.client.clone(), self.answering.clone());
                    tokio::spawn(async move {
                        let _ = answers.send((id, ask::answer(&client, question).await)).await;
                    });
                }
                // There is no kernel here, and nothing to look at.
                Output::Start(_) | Output::Attention(..) | Output::Ask(..) | Output::Release(_) => {}
            }
        }
        Ok(())
    }
}
