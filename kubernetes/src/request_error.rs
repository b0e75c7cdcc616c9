//! What went wrong with a request, as a clause for a log line or an answer, and what to do with it.

use kube::{Error, core::Status, runtime::watcher};

/// What follows from an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The server is away or overloaded: try again.
    Away,
    /// We may not: it is in vain until somebody grants it.
    Forbidden,
    /// The credentials are not accepted.
    Unauthorized,
    /// It is not there.
    NotFound,
    /// It is there already.
    AlreadyExists,
    /// The request itself is wrong, or the answer not understood.
    Wrong,
}

/// Which kind of error this is.
#[expect(clippy::wildcard_enum_match_arm, reason = "whatever else the library may not manage is not cured by repetition")]
pub fn kind(error: &Error) -> Kind {
    match error {
        Error::Api(status) => kind_of_status(status),
        Error::HyperError(_) | Error::Service(_) | Error::ReadEvents(_) | Error::HttpError(_) => Kind::Away,
        Error::Auth(_) => Kind::Unauthorized,
        _ => Kind::Wrong,
    }
}

/// Which kind of failure a status tells of.
pub fn kind_of_status(status: &Status) -> Kind {
    match status.code {
        401 => Kind::Unauthorized,
        403 => Kind::Forbidden,
        404 => Kind::NotFound,
        409 if status.is_already_exists() => Kind::AlreadyExists,
        // 409 is a conflict of two writers, 410 a list that has to begin anew.
        408..=410 | 429 | 500.. => Kind::Away,
        _ => Kind::Wrong,
    }
}

/// The namespace is being deleted: nothing can be created in it any more
/// (`NamespaceTerminatingCause` of `k8s.io/api/core/v1`).
pub fn is_namespace_ending(error: &Error) -> bool {
    let Error::Api(status) = error else { return false };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 403 && causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

/// The error as a clause: `the API server forbids it: pods is forbidden: User … cannot list resource …`.
pub fn clause(error: &Error) -> String {
    match (kind(error), error) {
        (Kind::Forbidden, Error::Api(status)) => format!("the API server forbids it: {}", status.message),
        (Kind::Unauthorized, Error::Api(_)) => {
            "the API server does not accept our credentials: log in again, or renew the token".to_owned()
        }
        (Kind::Unauthorized, error) => format!("there are no usable credentials for the API server: {}", innermost(error)),
        (Kind::Away, Error::Api(status)) => format!("the API server is overloaded or starting: {}", status.message),
        (Kind::Away, error) => format!("the API server does not answer: {}", innermost(error)),
        (_, Error::Api(status)) => status.message.clone(),
        (_, error) => innermost(error),
    }
}

/// What broke a watch, as a clause.
pub(crate) fn of_watch(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error) | watcher::Error::WatchFailed(error) => {
            clause(error)
        }
        watcher::Error::WatchError(status) => clause(&Error::Api(status.clone())),
        watcher::Error::NoResourceVersion => error.to_string(),
    }
}

/// Reason and message of a request that the server answered with a refusal.
pub fn refusal(error: &Error) -> Option<(&str, &str)> {
    let Error::Api(status) = error else { return None };
    (!status.reason.is_empty()).then_some((&status.reason, &status.message))
}

/// The outer layers say "client error" and the like; what happened is the innermost one.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::response::{StatusCause, StatusDetails};

    fn api(code: u16, reason: &str, cause: &str) -> Error {
        let causes = vec![StatusCause { reason: cause.into(), message: String::new(), field: String::new() }];
        let (name, group, kind, uid) = Default::default();
        let details = Some(StatusDetails { causes, name, group, kind, uid, retry_after_seconds: 0 });
        Error::Api(Box::new(Status { code, reason: reason.into(), message: "words".into(), details, ..Status::default() }))
    }

    #[test]
    fn what_to_do_follows_from_the_code() {
        let cases = [
            (403, "Forbidden", Kind::Forbidden),
            (401, "Unauthorized", Kind::Unauthorized),
            (404, "NotFound", Kind::NotFound),
            (409, "AlreadyExists", Kind::AlreadyExists),
            (409, "Conflict", Kind::Away),
            (410, "Expired", Kind::Away),
            (422, "Invalid", Kind::Wrong),
            (429, "TooManyRequests", Kind::Away),
            (503, "ServiceUnavailable", Kind::Away),
        ];
        for (code, reason, expected) in cases {
            assert_eq!(kind(&api(code, reason, "")), expected, "{code} {reason}");
            assert!(clause(&api(code, reason, "")).contains("words") || expected == Kind::Unauthorized);
        }
    }

    #[test]
    fn a_namespace_in_deletion_is_no_lack_of_rights() {
        assert!(is_namespace_ending(&api(403, "Forbidden", "NamespaceTerminating")));
        assert!(!is_namespace_ending(&api(403, "Forbidden", "")));
    }
}
