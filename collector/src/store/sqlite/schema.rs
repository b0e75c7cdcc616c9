//! Opening a database file: is it ours, whole, and of a version that we know? Then it is brought up to date.
//!
//! `application_id` says whose file it is, `user_version` how many of [`MIGRATIONS`] it has seen. A migration and its number
//! are one transaction, so that a crash in between leaves the older version.

use super::failure::Failure;
use rusqlite::Connection;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// "Unrd": tells our files from other programs'.
const APPLICATION_ID: i32 = 0x556e_7264;
/// Each brings a database from its index to the next version. Never edited once released: add one.
const MIGRATIONS: [&str; 3] = [include_str!("schema/1.sql"), include_str!("schema/2.sql"), include_str!("schema/3.sql")];
/// For a lock that another program holds, e.g. a backup.
const BUSY: Duration = Duration::from_secs(1);

/// Why a database cannot be used; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not `SQLite`, truncated or damaged.
    #[error(
        "the database {path} is damaged ({detail}); move it away (`mv {path} {path}.damaged`) and start again, agents send again what they still keep"
    )]
    Damaged {
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// Its version is above ours.
    #[error(
        "the database {path} is of a newer version of unready-collector (schema {found}, this one knows {known}); start that version, or name another file with --database"
    )]
    Newer { path: PathBuf, found: i64, known: usize },
    /// A healthy `SQLite` file of another program.
    #[error("{path} is the database of another program; name another file with --database")]
    Foreign { path: PathBuf },
    /// The directory is not there.
    #[error("the directory of the database {path} does not exist; create it, or name another file with --database")]
    NoDirectory { path: PathBuf },
    /// It cannot be opened or written.
    #[error("cannot use the database {path}: {reason}")]
    Unusable {
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
}

/// Opens the file for writing; makes it when it is not there.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !directory.is_dir() {
        return Err(OpenError::NoDirectory { path: path.to_owned() });
    }
    let mut database = Connection::open(path).map_err(|error| explain(path, &error))?;
    configure(&database).map_err(|error| explain(path, &error))?;
    let version = version(&database, path)?;
    migrate(&mut database, version).map_err(|error| explain(path, &error))?;
    Ok(database)
}

/// WAL lets readers go on while the writer commits. `synchronous = FULL`: an acknowledgement promises that the verdict
/// survives a power cut, and with group commit the price is one fsync for all that is queued, not one for each verdict.
fn configure(database: &Connection) -> rusqlite::Result<()> {
    database.busy_timeout(BUSY)?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")
}

/// The version of a file that may be used.
fn version(database: &Connection, path: &Path) -> Result<usize, OpenError> {
    let read = |name| database.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(|error| explain(path, &error));
    let check: String = database.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(|error| explain(path, &error))?;
    if check != "ok" {
        return Err(OpenError::Damaged { path: path.to_owned(), detail: check.replace('\n', " ") });
    }
    let (owner, found) = (read("application_id")?, read("user_version")?);
    let tables: i64 =
        database.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(|error| explain(path, &error))?;
    if owner != i64::from(APPLICATION_ID) && (owner != 0 || tables > 0) {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    usize::try_from(found).ok().filter(|version| *version <= MIGRATIONS.len()).ok_or_else(|| OpenError::Newer {
        path: path.to_owned(),
        found,
        known: MIGRATIONS.len(),
    })
}

fn migrate(database: &mut Connection, version: usize) -> rusqlite::Result<()> {
    for (number, sql) in (1_i64..).zip(MIGRATIONS).skip(version) {
        let transaction = database.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

fn explain(path: &Path, error: &rusqlite::Error) -> OpenError {
    match Failure::of(error) {
        Failure::Damaged(detail) => OpenError::Damaged { path: path.to_owned(), detail },
        Failure::Passing(reason) => OpenError::Unusable { path: path.to_owned(), reason },
    }
}

/// `SQLite`'s integers are signed.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
