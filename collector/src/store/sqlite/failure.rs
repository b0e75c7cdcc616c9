//! `SQLite`'s errors: which pass by themselves, and what to say of them.

use rusqlite::{Error, ErrorCode};

/// What is the matter.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It may work later; why, and what to do.
    Passing(String),
    /// The file is damaged or no database at all; what `SQLite` says.
    Damaged(String),
}

impl Failure {
    pub(super) fn of(error: &Error) -> Self {
        let passing = |text: &str| Self::Passing(text.to_owned());
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(words(error)),
            Some(ErrorCode::DiskFull) => passing("the disk is full; make room"),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => passing("another program has it locked; end that program"),
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::Passing(format!("it cannot be written ({}); check that file and directory belong to this user", words(error)))
            }
            Some(ErrorCode::SystemIoFailure) => {
                Self::Passing(format!("input or output failed ({}); check the disk and its free space", words(error)))
            }
            _ => Self::Passing(words(error)),
        }
    }
}

fn words(error: &Error) -> String {
    if let Error::SqliteFailure(_, Some(message)) = error { message.clone() } else { error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    fn of(code: i32) -> Failure {
        Failure::of(&Error::SqliteFailure(ffi::Error::new(code), Some("words".into())))
    }

    #[test]
    fn what_passes_and_what_does_not() {
        assert_eq!(of(ffi::SQLITE_CORRUPT), Failure::Damaged("words".into()));
        assert_eq!(of(ffi::SQLITE_NOTADB), Failure::Damaged("words".into()));
        assert_eq!(of(ffi::SQLITE_FULL), Failure::Passing("the disk is full; make room".into()));
        for code in [ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_BUSY, ffi::SQLITE_READONLY, ffi::SQLITE_CANTOPEN, ffi::SQLITE_NOMEM] {
            assert!(matches!(of(code), Failure::Passing(_)), "{code}");
        }
    }
}
