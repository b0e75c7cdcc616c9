//! Starts: written beside verdicts in the same transaction, listed, and removed when they are old or too many.
//!
//! The last report of a start is the one that counts: an agent sends again in the order in which it told, so that an older one is
//! followed by the newer. What is told is dated by the node; for how long it is kept goes by the collector's own clock.

use super::schema::signed;
use crate::store::Starts;
use rusqlite::{Connection, Transaction, named_params, types::Value};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use unready_proto::{
    prost::Message as _,
    time::nanos,
    v1::{StartFilter, StartReport},
};

/// An answer stays well below what gRPC clients take: a start has some 2 KiB, and 100 at the very most.
const ANSWER_BYTES: usize = 16 << 20;
/// What one start may fill. The number of starts is bounded; with this, their bytes are (20,000 of them: 320 MiB).
const START_BYTES: usize = 16 << 10;

/// Nanoseconds since 1970 by our own clock.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// What was heard before this is too old.
pub(super) fn oldest(keep_for: Duration) -> u64 {
    now().saturating_sub(u64::try_from(keep_for.as_nanos()).unwrap_or(u64::MAX))
}

pub(super) fn count(database: &Connection) -> rusqlite::Result<u64> {
    database.query_row("SELECT count(*) FROM starts", [], |row| Ok(row.get::<_, i64>(0)?.unsigned_abs()))
}

/// True: the start was not known.
pub(super) fn put(transaction: &Transaction<'_>, report: &StartReport) -> rusqlite::Result<bool> {
    let is_known = transaction.prepare_cached("SELECT 1 FROM starts WHERE id = ?1")?.exists([&report.id])?;
    let workload = report.workload.clone().unwrap_or_default();
    transaction
        .prepare_cached(
            "INSERT INTO starts (id, namespace, pod, container, container_id, node, told, heard, body)
             VALUES (:id, :namespace, :pod, :container, :container_id, :node, :told, :heard, :body)
             ON CONFLICT (id) DO UPDATE SET
               namespace = :namespace, pod = :pod, container = :container, container_id = :container_id, node = :node,
               told = :told, heard = :heard, body = :body",
        )?
        .execute(named_params! {
            ":id": report.id,
            ":namespace": workload.namespace,
            ":pod": workload.pod,
            ":container": workload.container,
            ":container_id": report.start.as_ref().map_or("", |start| &start.container_id),
            ":node": workload.node,
            ":told": signed(report.told.as_ref().map_or(0, nanos)),
            ":heard": signed(now()),
            ":body": body(report),
        })?;
    Ok(!is_known)
}

/// As bytes, without what does not fit: waits first, then attempts, then what happened in the middle.
fn body(report: &StartReport) -> Vec<u8> {
    if report.encoded_len() <= START_BYTES {
        return report.encode_to_vec();
    }
    let mut report = report.clone();
    while report.encoded_len() > START_BYTES {
        let middle = report.milestones.len() / 2;
        let has_dropped = report.waits.pop().is_some()
            || report.attempts.pop().is_some()
            || (middle < report.milestones.len()).then(|| report.milestones.remove(middle)).is_some();
        if !has_dropped {
            break;
        }
        report.dropped = report.dropped.saturating_add(1);
    }
    report.encode_to_vec()
}

/// Removes what was heard before `since`; the answer is how many.
pub(super) fn forget(transaction: &Transaction<'_>, since: u64) -> rusqlite::Result<u64> {
    Ok(transaction.prepare_cached("DELETE FROM starts WHERE heard < ?1")?.execute([signed(since)])? as u64)
}

/// Deletes `excess` rows, those that were heard longest ago; the answer is how many.
pub(super) fn prune(transaction: &Transaction<'_>, excess: u64) -> rusqlite::Result<u64> {
    let surplus = transaction
        .prepare_cached("DELETE FROM starts WHERE id IN (SELECT id FROM starts ORDER BY heard, told LIMIT ?1)")?
        .execute([signed(excess)])?;
    Ok(surplus as u64)
}

/// The last told first, heard since then.
pub(super) fn list(database: &Connection, filter: &StartFilter, since: u64, limit: usize) -> rusqlite::Result<Starts> {
    let (sql, parameters) = statement(filter, since, limit);
    let mut statement = database.prepare_cached(&sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(parameters))?;
    let (mut starts, mut bytes) = (Starts::default(), 0);
    while let Some(row) = rows.next()? {
        let body: Vec<u8> = row.get(0)?;
        bytes += body.len();
        if starts.reports.len() == limit || bytes > ANSWER_BYTES {
            starts.truncated = true;
            break;
        }
        // A body that cannot be decoded is left out: one bad row must not hide the others.
        starts.reports.extend(StartReport::decode(body.as_slice()).ok());
    }
    Ok(starts)
}

/// One row more than the limit is asked for, to know whether there are more.
fn statement(filter: &StartFilter, since: u64, limit: usize) -> (String, Vec<Value>) {
    let StartFilter { namespace, pod, container, node } = filter;
    let (mut conditions, mut parameters) = (vec!["heard >= ?"], vec![Value::Integer(signed(since))]);
    for (condition, value) in [("namespace = ?", namespace), ("pod = ?", pod), ("node = ?", node)] {
        if !value.is_empty() {
            conditions.push(condition);
            parameters.push(Value::Text(value.clone()));
        }
    }
    if !container.is_empty() {
        conditions.push("(container = ? OR container_id = ?)");
        parameters.extend([Value::Text(container.clone()), Value::Text(container.clone())]);
    }
    parameters.push(Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)));
    (format!("SELECT body FROM starts WHERE {} ORDER BY told DESC, id LIMIT ?", conditions.join(" AND ")), parameters)
}
