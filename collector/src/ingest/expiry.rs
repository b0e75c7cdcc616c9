//! When a token ends, as it says itself (`exp` of RFC 7519, 4.1.4, which Kubernetes' tokens of service accounts carry).
//!
//! Nothing is verified here: that is the API server's part, and what it has not accepted is not asked for its end. A token of
//! another form says nothing.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Deserialize)]
struct Claims {
    /// Seconds of Unix time; may have a fraction (`NumericDate`).
    exp: f64,
}

/// The end of this token; `None`: it does not say.
pub(super) fn of(token: &str) -> Option<SystemTime> {
    let mut parts = token.split('.');
    let (Some(_header), Some(claims), Some(_signature), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    let claims: Claims = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(claims.exp).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_says_when_it_ends() {
        assert_eq!(of(&token(r#"{"aud":["unready-collector"],"exp":1795532407}"#)), Some(UNIX_EPOCH + Duration::from_secs(1_795_532_407)));
        assert_eq!(of(&token(r#"{"exp":0.5}"#)), Some(UNIX_EPOCH + Duration::from_millis(500)));
    }

    #[test]
    fn one_that_does_not_say_is_no_error() {
        let beyond = [r#"{"exp":-1}"#, r#"{"exp":1e300}"#, r#"{"exp":"soon"}"#, "{}", "", "nonsense"].map(token);
        let others = ["", "opaque", "a.b", "a.b.c.d", "..", "a.ü.c"].map(str::to_owned);
        for token in beyond.iter().chain(&others) {
            assert_eq!(of(token), None, "{token}");
        }
    }
}
