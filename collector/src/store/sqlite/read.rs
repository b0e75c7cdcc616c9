//! Reading verdicts: lists by filter, pages, and what changed since.

use super::{schema::signed, starts, writer::Rows};
use crate::{
    metrics::labels::VerdictLabels,
    store::{Census, Page, Selection},
};
use rusqlite::{Connection, types::Value};
use unready_proto::{
    prost::Message as _,
    v1::{Filter, Verdict},
};

/// How far a database has come.
pub(super) struct Extent {
    pub(super) rows: Rows,
    /// The latest one.
    pub(super) revision: u64,
}

/// How many rows there are, and the latest revision.
pub(super) fn extent(database: &Connection) -> rusqlite::Result<Extent> {
    let starts = starts::count(database)?;
    database.query_row("SELECT count(*), coalesce(max(revision), 0) FROM verdicts", [], |row| {
        let (verdicts, revision) = (row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, i64>(1)?.unsigned_abs());
        Ok(Extent { rows: Rows { verdicts, starts }, revision })
    })
}

/// Rows and revision of the same moment: both are read in one transaction.
pub(super) fn page(database: &mut Connection, selection: &Selection, limit: usize) -> rusqlite::Result<Page> {
    let transaction = database.transaction()?;
    let latest = latest(&transaction)?;
    let (sql, parameters) = statement(selection, limit);
    let mut rows = transaction
        .prepare_cached(&sql)?
        .query_map(rusqlite::params_from_iter(parameters), |row| Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, Vec<u8>>(1)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let truncated = rows.len() > limit;
    rows.truncate(limit);
    let revision = match selection {
        Selection::Latest(_) => latest,
        // A cut page shows the changes up to its last row only. Pruning may have removed the latest revision's row.
        Selection::ChangedAfter(after, _) => rows.last().filter(|_| truncated).map_or(latest.max(*after), |(revision, _)| *revision),
    };
    // A body that cannot be decoded is left out: one bad row must not hide the others.
    let verdicts = rows.iter().filter_map(|(_, body)| Verdict::decode(body.as_slice()).ok()).collect();
    Ok(Page { verdicts, truncated, revision })
}

fn latest(database: &Connection) -> rusqlite::Result<u64> {
    database.query_row("SELECT coalesce(max(revision), 0) FROM verdicts", [], |row| Ok(row.get::<_, i64>(0)?.unsigned_abs()))
}

/// How much there is, of one moment.
pub(super) fn census(database: &mut Connection) -> rusqlite::Result<Census> {
    let transaction = database.transaction()?;
    let Rows { verdicts, starts } = extent(&transaction)?.rows;
    let pages: i64 =
        transaction.query_row("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()", [], |row| row.get(0))?;
    let open = transaction
        .prepare_cached(
            "SELECT namespace, cause, severity, owner_kind, count(*) FROM verdicts WHERE resolved_at IS NULL
             GROUP BY namespace, cause, severity, owner_kind",
        )?
        .query_map([], |row| {
            let labels = VerdictLabels { namespace: row.get(0)?, cause: row.get(1)?, severity: row.get(2)?, owner_kind: row.get(3)? };
            Ok((labels, row.get::<_, i64>(4)?.unsigned_abs()))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(Census { verdicts, starts, bytes: pages.unsigned_abs(), open })
}

/// One row more than the limit is asked for, to know whether there are more.
fn statement(selection: &Selection, limit: usize) -> (String, Vec<Value>) {
    let (filter, order) = match selection {
        Selection::Latest(filter) => (filter, "last_seen DESC, id"),
        Selection::ChangedAfter(_, filter) => (filter, "revision"),
    };
    let (mut conditions, mut parameters) = conditions(filter);
    match selection {
        Selection::Latest(_) if filter.include_resolved => {}
        Selection::Latest(_) => conditions.push("resolved_at IS NULL"),
        Selection::ChangedAfter(after, _) => {
            conditions.push("revision > ?");
            parameters.push(Value::Integer(signed(*after)));
        }
    }
    let condition = if conditions.is_empty() { "TRUE".to_owned() } else { conditions.join(" AND ") };
    parameters.push(Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)));
    (format!("SELECT revision, body FROM verdicts WHERE {condition} ORDER BY {order} LIMIT ?"), parameters)
}

/// What is set in a filter.
fn conditions(filter: &Filter) -> (Vec<&'static str>, Vec<Value>) {
    let Filter { namespace, pod, container, node, cause, include_resolved: _ } = filter;
    let columns = [("namespace = ?", namespace), ("pod = ?", pod), ("node = ?", node), ("cause = ?", cause)];
    let set = columns.into_iter().filter(|(_, value)| !value.is_empty());
    let (mut conditions, mut parameters): (Vec<_>, Vec<_>) = set.map(|(condition, value)| (condition, Value::Text(value.clone()))).unzip();
    if !container.is_empty() {
        conditions.push("(container = ? OR container_id = ?)");
        parameters.extend([Value::Text(container.clone()), Value::Text(container.clone())]);
    }
    (conditions, parameters)
}
