//! Service accounts' tokens, judged by the API server (`TokenReview`).

use crate::request_error;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use kube::{Api, Client, api::PostParams};
use std::time::Duration;

/// For the API server's answer.
const PATIENCE: Duration = Duration::from_secs(4);
/// `ServiceAccountNodeNameKey` of `k8s.io/apiserver/pkg/authentication/serviceaccount`.
const NODE: &str = "authentication.kubernetes.io/node-name";

/// What the API server says of a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Review {
    /// It is good.
    pub authenticated: bool,
    /// Why not; empty: not said.
    pub error: String,
    /// For whom it was made. A server that does not know audiences leaves it empty.
    pub audiences: Vec<String>,
    /// Whose it is: `system:serviceaccount:NAMESPACE:NAME`.
    pub user: String,
    /// Node of the pod that it was made for (Kubernetes 1.30 and later).
    pub node: Option<String>,
}

impl From<TokenReviewStatus> for Review {
    fn from(status: TokenReviewStatus) -> Self {
        let user = status.user.unwrap_or_default();
        let node = user.extra.as_ref().and_then(|extra| extra.get(NODE)?.first()).cloned();
        Self {
            authenticated: status.authenticated == Some(true),
            error: status.error.unwrap_or_default(),
            audiences: status.audiences.unwrap_or_default(),
            user: user.username.unwrap_or_default(),
            node,
        }
    }
}

/// What the API server says of a token for this audience; the error says why it cannot be asked.
pub async fn review(client: &Client, token: String, audience: String) -> Result<Review, String> {
    let spec = TokenReviewSpec { token: Some(token), audiences: Some(vec![audience]) };
    let review = TokenReview { spec, ..TokenReview::default() };
    let api: Api<TokenReview> = Api::all(client.clone());
    let asked = tokio::time::timeout(PATIENCE, api.create(&PostParams::default(), &review)).await;
    let answer = asked.map_err(|_| "the API server does not answer".to_owned())?.map_err(|error| request_error::clause(&error))?;
    Ok(answer.status.unwrap_or_default().into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_is_read_with_its_node() {
        let of = |value| Review::from(serde_json::from_value::<TokenReviewStatus>(value).unwrap());
        let user = json!({ "username": "system:serviceaccount:unready:agent", "extra": { NODE: ["node-1"] } });
        let good = of(json!({ "authenticated": true, "audiences": ["us"], "user": user }));
        assert_eq!(
            (good.authenticated, good.user.as_str(), good.node.as_deref()),
            (true, "system:serviceaccount:unready:agent", Some("node-1"))
        );
        let bad = of(json!({ "error": "expired" }));
        assert_eq!((bad.authenticated, bad.error.as_str(), bad.node), (false, "expired", None));
    }
}
