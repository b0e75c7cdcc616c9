//! The one thread that writes: everything that is queued goes into one transaction, and is reported done after its commit.
//!
//! ```text
//!   jobs ─► collect what is queued ─► commit ─┬─ ok: report done, publish the revision
//!                 ▲                           ├─ passing (disk full, locked): say so, wait, commit the same again
//!                 └───────────────────────────┤
//!                                             └─ damaged: say so and end; what is queued is refused
//! ```

use super::{failure::Failure, schema::signed, starts};
use crate::{
    metrics::labels::VerdictLabels,
    store::{Batch, Health, Keep, merge::merge},
};
use rusqlite::{Connection, OptionalExtension as _, Transaction, named_params};
use std::{thread, time::Duration};
use tokio::sync::{mpsc, oneshot, watch};
use unready_proto::{prost::Message as _, time::nanos, v1::Verdict};

/// Verdicts and starts in one transaction at most, so that an ack does not wait for a long queue behind it.
const TRANSACTION: usize = 4096;
/// Between two attempts while the database takes nothing.
const RETRY: Duration = Duration::from_millis(250);

/// What is to be written, and whom to tell when it is durable.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) batch: Batch,
    /// Of each verdict, whether its id is new.
    pub(super) done: oneshot::Sender<Vec<bool>>,
}

/// Rows of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) verdicts: u64,
    pub(super) starts: u64,
}

#[derive(Debug)]
pub(super) struct Writer {
    pub(super) database: Connection,
    /// What is kept at most.
    pub(super) keep: Keep,
    /// Rows there are.
    pub(super) rows: Rows,
    pub(super) revision: watch::Sender<u64>,
    pub(super) health: watch::Sender<Health>,
}

impl Writer {
    /// Until all senders are gone, or the database is damaged.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            let batch = gather(first, &mut jobs);
            let Some(mut is_new) = self.persist(&batch, &jobs) else { return };
            for job in batch {
                let rest = is_new.split_off(job.batch.verdicts.len().min(is_new.len()));
                let _ = job.done.send(std::mem::replace(&mut is_new, rest));
            }
        }
    }

    /// Tries until it is committed; `None`: it never will be, or nobody waits for it any more.
    fn persist(&mut self, batch: &[Job], jobs: &mpsc::Receiver<Job>) -> Option<Vec<bool>> {
        loop {
            match self.commit(batch) {
                Ok(is_new) => {
                    self.become_(Health::Storing);
                    return Some(is_new);
                }
                Err(error) => match Failure::of(&error) {
                    Failure::Passing(reason) => self.become_(Health::Stalled(reason)),
                    Failure::Damaged(detail) => {
                        let path = self.database.path().unwrap_or_default();
                        let advice = format!("move it away (`mv {path} {path}.damaged`) and start again");
                        self.become_(Health::Broken(format!("the database {path} is damaged ({detail}); {advice}")));
                        return None;
                    }
                },
            }
            if jobs.is_closed() {
                return None;
            }
            thread::sleep(RETRY);
        }
    }

    fn become_(&self, now: Health) {
        self.health.send_if_modified(|health| {
            let changed = *health != now;
            *health = now;
            changed
        });
    }

    fn commit(&mut self, batch: &[Job]) -> rusqlite::Result<Vec<bool>> {
        let before = *self.revision.borrow();
        let (mut revision, mut rows) = (before, self.rows);
        let transaction = self.database.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        // What is too old goes first: its pages are then free for what comes, and a disk that is full may still take it.
        rows.starts = rows.starts.saturating_sub(starts::forget(&transaction, starts::oldest(self.keep.starts_for))?);
        let verdicts = batch.iter().flat_map(|job| &job.batch.verdicts);
        let is_new = verdicts.map(|verdict| put(&transaction, verdict, &mut revision)).collect::<rusqlite::Result<Vec<_>>>()?;
        rows.verdicts += is_new.iter().filter(|new| **new).count() as u64;
        if rows.verdicts > self.keep.verdicts {
            rows.verdicts -= prune(&transaction, rows.verdicts - self.keep.verdicts)?;
        }
        for report in batch.iter().flat_map(|job| &job.batch.starts) {
            rows.starts += u64::from(starts::put(&transaction, report)?);
        }
        if rows.starts > self.keep.starts {
            rows.starts -= starts::prune(&transaction, rows.starts - self.keep.starts)?;
        }
        transaction.commit()?;
        self.rows = rows;
        if revision > before {
            self.revision.send_replace(revision);
        }
        Ok(is_new)
    }
}

fn gather(first: Job, jobs: &mut mpsc::Receiver<Job>) -> Vec<Job> {
    let mut size = first.batch.len();
    let mut batch = vec![first];
    while size < TRANSACTION
        && let Ok(job) = jobs.try_recv()
    {
        size += job.batch.len();
        batch.push(job);
    }
    batch
}

/// True: the verdict is new. One that says nothing new leaves its row, and so its revision, as it is.
fn put(transaction: &Transaction<'_>, told: &Verdict, revision: &mut u64) -> rusqlite::Result<bool> {
    let body: Option<Vec<u8>> =
        transaction.prepare_cached("SELECT body FROM verdicts WHERE id = ?1")?.query_row([&told.id], |row| row.get(0)).optional()?;
    let stored = body.as_deref().and_then(|body| Verdict::decode(body).ok());
    let verdict = stored.as_ref().map_or_else(|| told.clone(), |stored| merge(stored, told.clone()));
    if stored.as_ref() != Some(&verdict) {
        *revision += 1;
        write_row(transaction, &verdict, *revision)?;
    }
    Ok(body.is_none())
}

fn write_row(transaction: &Transaction<'_>, verdict: &Verdict, revision: u64) -> rusqlite::Result<()> {
    let workload = verdict.workload.clone().unwrap_or_default();
    let labels = VerdictLabels::of(verdict);
    transaction
        .prepare_cached(
            "INSERT INTO verdicts (id, revision, namespace, pod, container, container_id, node, cause, severity, owner_kind, last_seen, resolved_at, body)
             VALUES (:id, :revision, :namespace, :pod, :container, :container_id, :node, :cause, :severity, :owner_kind, :last_seen, :resolved_at, :body)
             ON CONFLICT (id) DO UPDATE SET
               revision = :revision, namespace = :namespace, pod = :pod, container = :container, container_id = :container_id,
               node = :node, cause = :cause, severity = :severity, owner_kind = :owner_kind, last_seen = :last_seen, resolved_at = :resolved_at, body = :body",
        )?
        .execute(named_params! {
            ":id": verdict.id,
            ":revision": signed(revision),
            ":namespace": workload.namespace,
            ":pod": workload.pod,
            ":container": workload.container,
            ":container_id": verdict.start.as_ref().map_or("", |start| &start.container_id),
            ":node": workload.node,
            ":cause": verdict.cause,
            ":severity": verdict.severity,
            ":owner_kind": labels.owner_kind,
            ":last_seen": signed(verdict.last_seen.as_ref().map_or(0, nanos)),
            ":resolved_at": verdict.resolved_at.as_ref().map(|time| signed(nanos(time))),
            ":body": verdict.encode_to_vec(),
        })?;
    Ok(())
}

/// Deletes `excess` rows: what was resolved longest ago, then what was seen longest ago.
fn prune(transaction: &Transaction<'_>, excess: u64) -> rusqlite::Result<u64> {
    let resolved = transaction
        .prepare_cached(
            "DELETE FROM verdicts WHERE id IN (SELECT id FROM verdicts WHERE resolved_at IS NOT NULL ORDER BY resolved_at LIMIT ?1)",
        )?
        .execute([signed(excess)])? as u64;
    let rest = transaction
        .prepare_cached("DELETE FROM verdicts WHERE id IN (SELECT id FROM verdicts ORDER BY last_seen LIMIT ?1)")?
        .execute([signed(excess - resolved)])? as u64;
    Ok(resolved + rest)
}
