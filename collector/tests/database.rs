//! Database files that are damaged, foreign, newer, locked or full, and what is kept.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::timeout;
use unready_collector::store::{
    Health, Keep, Selection, Store,
    sqlite::{OpenError, Sqlite},
};
use unready_proto::{
    time::timestamp,
    v1::{Filter, Verdict},
};

const DEADLINE: Duration = Duration::from_secs(30);

fn file() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("unready.db");
    (directory, path)
}

fn verdict(id: &str, last_seen: u64) -> Verdict {
    Verdict { id: id.to_owned(), first_seen: Some(timestamp(1)), last_seen: Some(timestamp(last_seen)), count: 1, ..Verdict::default() }
}

async fn ids(store: &Sqlite) -> Vec<String> {
    let filter = Filter { include_resolved: true, ..Filter::default() };
    let page = store.list(Selection::Latest(filter), 1000).await.unwrap();
    page.verdicts.into_iter().map(|verdict| verdict.id).collect()
}

async fn fill(path: &Path, count: u64) {
    let store = Sqlite::open(path, Keep::verdicts(10_000)).unwrap();
    store.append((0..count).map(|n| Verdict { summary: "x".repeat(500), ..verdict(&n.to_string(), n) }).collect::<Vec<_>>()).await.unwrap();
}

fn refusal(path: &Path) -> OpenError {
    Sqlite::open(path, Keep::verdicts(1000)).expect_err("is refused")
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_restart() {
    let (_directory, path) = file();
    fill(&path, 5).await;
    let store = Sqlite::open(&path, Keep::verdicts(1000)).unwrap();
    assert_eq!(ids(&store).await.len(), 5);
    let before = *store.revision().borrow();
    store.append(vec![verdict("new", 9)]).await.unwrap();
    assert!(*store.revision().borrow() > before, "revisions go on where they were");
}

#[tokio::test]
async fn garbage_is_refused_and_left_alone() {
    let (_directory, path) = file();
    fs::write(&path, "this is a shopping list, not a database\n".repeat(100)).unwrap();
    let error = refusal(&path);
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    let sentence = error.to_string();
    assert!(sentence.contains(&format!("`mv {0} {0}.damaged`", path.display())), "{sentence}");
    assert!(fs::read_to_string(&path).unwrap().starts_with("this is a shopping list"));
}

#[tokio::test]
async fn a_truncated_file_is_refused() {
    let (_directory, path) = file();
    fill(&path, 500).await;
    let whole = fs::read(&path).unwrap();
    for part in [whole.len() / 2, whole.len() - 4096, 4096, 100] {
        fs::write(&path, &whole[..part]).unwrap();
        let error = refusal(&path);
        assert!(matches!(error, OpenError::Damaged { .. }), "{part} of {} bytes: {error:?}", whole.len());
    }
}

#[tokio::test]
async fn an_overwritten_page_is_refused() {
    let (_directory, path) = file();
    fill(&path, 500).await;
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let error = refusal(&path);
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
}

#[tokio::test]
async fn a_newer_version_is_refused_and_an_empty_file_is_new() {
    let (_directory, path) = file();
    fs::write(&path, "").unwrap();
    fill(&path, 1).await;
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 999).unwrap();
    let sentence = refusal(&path).to_string();
    assert!(sentence.contains("newer version of unready-collector (schema 999, this one knows 3)"), "{sentence}");
}

#[tokio::test]
async fn the_database_of_another_program_is_refused() {
    let (_directory, path) = file();
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
    let error = refusal(&path);
    assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
}

#[tokio::test]
async fn a_place_that_is_none_is_refused() {
    let (directory, path) = file();
    assert!(matches!(refusal(&path.join("deeper/unready.db")), OpenError::NoDirectory { .. }));
    let error = refusal(directory.path());
    assert!(matches!(error, OpenError::Unusable { .. }), "{error:?}");
    assert!(error.to_string().contains("check that file and directory belong to this user"), "{error}");
}

#[tokio::test]
async fn while_it_is_locked_the_store_waits_says_so_and_goes_on() {
    let (_directory, path) = file();
    let store = Sqlite::open(&path, Keep::verdicts(1000)).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut health = store.health();
    let append = store.append(vec![verdict("a", 1)]);
    tokio::pin!(append);
    let stalled = timeout(DEADLINE, async {
        tokio::select! {
            _ = &mut append => unreachable!("committed in spite of the lock"),
            stalled = health.wait_for(|health| *health != Health::Storing) => stalled.unwrap().clone(),
        }
    });
    assert_eq!(stalled.await.unwrap(), Health::Stalled("another program has it locked; end that program".into()));
    assert_eq!(ids(&store).await, [] as [&str; 0], "it can be read all the same");
    other.execute_batch("ROLLBACK").unwrap();
    timeout(DEADLINE, append).await.unwrap().unwrap();
    assert_eq!(*store.health().borrow(), Health::Storing);
    assert_eq!(ids(&store).await, ["a"]);
}

#[tokio::test]
async fn only_so_many_are_kept_and_resolved_ones_go_first() {
    let (_directory, path) = file();
    let store = Sqlite::open(&path, Keep::verdicts(3)).unwrap();
    let resolved = |id, last, at| Verdict { resolved_at: Some(timestamp(at)), ..verdict(id, last) };
    store.append(vec![verdict("old", 10), resolved("r1", 90, 95), resolved("r2", 80, 99), verdict("new", 50)]).await.unwrap();
    assert_eq!(ids(&store).await, ["r2", "new", "old"], "r1 was resolved first");
    store.append(vec![verdict("newer", 60), verdict("newest", 70)]).await.unwrap();
    assert_eq!(ids(&store).await, ["newest", "newer", "new"]);
    drop(store);
    let again = Sqlite::open(&path, Keep::verdicts(2)).unwrap();
    again.append(vec![verdict("last", 100)]).await.unwrap();
    assert_eq!(ids(&again).await, ["last", "newest"], "a lower limit is kept at the next commit");
}

#[tokio::test]
async fn changes_are_told_in_order_and_page_by_page() {
    let (_directory, path) = file();
    let store = Sqlite::open(&path, Keep::verdicts(1000)).unwrap();
    store.append((0..5).map(|n| verdict(&n.to_string(), n)).collect::<Vec<_>>()).await.unwrap();
    store.append(vec![Verdict { count: 7, ..verdict("0", 0) }]).await.unwrap();
    let (mut after, mut told) = (0, Vec::new());
    loop {
        let page = store.list(Selection::ChangedAfter(after, Filter::default()), 2).await.unwrap();
        told.extend(page.verdicts.into_iter().map(|verdict| verdict.id));
        after = page.revision;
        if !page.truncated {
            break;
        }
    }
    assert_eq!(told, ["1", "2", "3", "4", "0"]);
    assert_eq!(after, *store.revision().borrow());
}
