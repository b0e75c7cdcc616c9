//! Who an agent is: a service account's token, judged by the API server (`TokenReview`).
//!
//! ```text
//!   token ─► remembered? ─ yes ─► answer
//!              │ no
//!              └─► TokenReview with our audience ─► authenticated, for us, of a known service account?
//!                       └─ API server away: UNAVAILABLE, not remembered
//! ```
//!
//! A token for another audience is refused even though the API server knows it: it was not meant for us. Kubernetes 1.30 and
//! later say in the answer which node the token's pod runs on; then hello and verdicts must name the same node, so that an
//! agent cannot speak for another one. On a port with TLS a token that names no node is refused. Tokens are remembered by
//! their SHA-256 only, refused ones apart, so that many of them leave room for those that are accepted; none is remembered
//! beyond its end, nor after a stream that it opened was ended to see it again.

use super::expiry;
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};
use tonic::{Status, metadata::MetadataMap};
use unready_kubernetes::{
    Client,
    token::{self, Review},
};
use unready_proto::v1;

/// How long a token that was accepted needs no second look.
const ACCEPTED: Duration = Duration::from_mins(1);
/// How long one that was refused gets the same answer: an agent without rights tries again and again.
const REFUSED: Duration = Duration::from_secs(10);
/// Tokens remembered of those that were accepted, and as many of those that were refused.
const REMEMBERED: usize = 8192;
/// How long one that was accepted is good when it ended before by our clock: the API server's shows another time.
const DISPUTED: Duration = Duration::from_secs(10);

/// A service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    namespace: String,
    name: String,
}

impl ServiceAccount {
    /// How the API server names its user (`MakeUsername` of the same package).
    fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }
}

impl fmt::Display for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl FromStr for ServiceAccount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err("write NAMESPACE/NAME".to_owned()),
        }
    }
}

/// An answer that is on its way.
pub type Answer = Pin<Box<dyn Future<Output = Result<Review, String>> + Send>>;

/// Who judges tokens.
pub trait Judge: Send + Sync + 'static {
    /// What the judge says of a token for this audience; the error says why it cannot be asked.
    fn review(&self, token: String, audience: String) -> Answer;
}

impl Judge for Client {
    fn review(&self, token: String, audience: String) -> Answer {
        let client = self.clone();
        Box::pin(async move { token::review(&client, token, audience).await })
    }
}

/// Who may deliver.
#[derive(Clone, Default)]
pub enum Agents {
    /// Whoever gets through to the port: TLS has asked for a certificate, or nobody was to be asked.
    #[default]
    Anyone,
    /// Who has a token of a known service account.
    Known(Arc<Known>),
}

impl fmt::Debug for Agents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("Anyone"),
            Self::Known(known) => f.debug_tuple("Known").field(&known.accounts).finish(),
        }
    }
}

/// The service accounts, and what is remembered of their tokens.
pub struct Known {
    judge: Box<dyn Judge>,
    audience: String,
    accounts: Vec<ServiceAccount>,
    accepted: Memory,
    refused: Memory,
}

/// What is known of tokens, by their SHA-256, and until when it is good.
#[derive(Default)]
struct Memory(Mutex<HashMap<Fingerprint, (Instant, TokenJudgement)>>);

/// SHA-256 of a token.
type Fingerprint = [u8; 32];

/// What is known of a token: the node of the pod that it was made for, where the API server says so.
type TokenJudgement = Result<Option<String>, Refused>;

/// Who an agent is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    /// Node of the pod that the token was made for; `None`: the API server does not say, or nobody was asked.
    node: Option<String>,
    /// What was shown; `None`: nobody was asked.
    token: Option<Token>,
}

/// A token that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    digest: Fingerprint,
    /// For how long it is good; `None`: it does not say.
    good_for: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Refused {
    Unauthenticated(String),
    Denied(String),
}

impl Refused {
    fn status(self) -> Status {
        match self {
            Self::Unauthenticated(reason) => Status::unauthenticated(reason),
            Self::Denied(reason) => Status::permission_denied(reason),
        }
    }
}

impl Agents {
    /// Those with tokens of these accounts, made for this audience.
    pub fn known(judge: impl Judge, audience: impl Into<String>, accounts: Vec<ServiceAccount>) -> Self {
        let (accepted, refused) = (Memory::default(), Memory::default());
        Self::Known(Arc::new(Known { judge: Box::new(judge), audience: audience.into(), accounts, accepted, refused }))
    }

    /// Who sent this. On an `encrypted` port a token that is asked for must name its node.
    pub(super) async fn identify(&self, metadata: &MetadataMap, encrypted: bool) -> Result<Identity, Status> {
        let Self::Known(known) = self else { return Ok(Identity::default()) };
        let identity = known.identify(metadata).await?;
        if encrypted && identity.node.is_none() {
            return Err(Status::permission_denied(
                "the API server does not say on which node the token's pod runs, so the agent could speak for any; give it a token \
                 that is projected into its pod, by Kubernetes 1.30 or later",
            ));
        }
        Ok(identity)
    }

    /// The next stream of this agent is to be judged anew.
    pub(super) fn forget(&self, identity: &Identity) {
        if let (Self::Known(known), Some(token)) = (self, &identity.token) {
            known.accepted.forget(&token.digest);
        }
    }
}

impl Identity {
    /// A token was shown.
    pub(super) fn is_known(&self) -> bool {
        self.token.is_some()
    }

    /// For how long its token is good, where that is known.
    pub(super) fn good_for(&self) -> Option<Duration> {
        self.token.as_ref().and_then(|token| token.good_for)
    }

    /// The hello must be that of the token's node.
    pub(super) fn check_node(&self, hello: &str) -> Result<(), Status> {
        match &self.node {
            Some(node) if node != hello => Err(Status::permission_denied(format!(
                "the token belongs to a pod on node {node}, and the hello names {hello}; start the agent with --node {node}"
            ))),
            Some(_) | None => Ok(()),
        }
    }

    /// So must every verdict and every start be.
    pub(super) fn check_batch(&self, batch: &v1::VerdictBatch) -> Result<(), Status> {
        let Some(node) = &self.node else { return Ok(()) };
        let is_here = |workload: &Option<v1::Workload>| workload.as_ref().is_some_and(|workload| workload.node == *node);
        let what = if !batch.verdicts.iter().all(|verdict| is_here(&verdict.workload)) {
            "verdict"
        } else if !batch.starts.iter().all(|start| is_here(&start.workload)) {
            "start"
        } else {
            return Ok(());
        };
        // The other name may be of any length, and is not repeated.
        Err(Status::invalid_argument(format!(
            "a {what} is not of node {node}, to which the token's pod belongs; an agent delivers the {what}s of its own node only"
        )))
    }
}

impl Known {
    async fn identify(&self, metadata: &MetadataMap) -> Result<Identity, Status> {
        let token = bearer(metadata).ok_or_else(|| {
            Status::unauthenticated(format!(
                "agents show a token here: give a projected service-account token for the audience {} by --collector-token",
                self.audience
            ))
        })?;
        let digest: Fingerprint = Sha256::digest(token).into();
        let good_for = expiry::of(token).map(|end| end.duration_since(SystemTime::now()).unwrap_or(DISPUTED));
        let node = self.node(token, digest, good_for).await?;
        Ok(Identity { node, token: Some(Token { digest, good_for }) })
    }

    /// The node of a token that is accepted.
    async fn node(&self, token: &str, digest: Fingerprint, good_for: Option<Duration>) -> Result<Option<String>, Status> {
        if let Some(verdict) = self.accepted.recall(&digest).or_else(|| self.refused.recall(&digest)) {
            return verdict.map_err(Refused::status);
        }
        let answer = self.judge.review(token.to_owned(), self.audience.clone()).await;
        let review = answer.map_err(|reason| Status::unavailable(format!("the token cannot be checked: {reason}")))?;
        let verdict = self.judged(review);
        match &verdict {
            Ok(_) => self.accepted.remember(digest, verdict.clone(), good_for.map_or(ACCEPTED, |good_for| good_for.min(ACCEPTED))),
            Err(_) => self.refused.remember(digest, verdict.clone(), REFUSED),
        }
        verdict.map_err(Refused::status)
    }

    fn judged(&self, review: Review) -> TokenJudgement {
        let audience = &self.audience;
        if !review.authenticated {
            let why = if review.error.is_empty() { "it is expired, or made for another audience" } else { &review.error };
            return Err(Refused::Unauthenticated(format!("the API server does not accept the token for the audience {audience}: {why}")));
        }
        // An API server that does not know audiences leaves the list empty: then nothing says that the token is for us.
        if !review.audiences.contains(audience) {
            return Err(Refused::Unauthenticated(format!(
                "the token is made for another audience than {audience}; set `audience: {audience}` in the projected volume"
            )));
        }
        let user = review.user;
        if !self.accounts.iter().any(|account| account.user() == user) {
            return Err(Refused::Denied(format!(
                "the token is of {user}, which may not deliver; the collector's --agents names those who may"
            )));
        }
        Ok(review.node)
    }
}

impl Memory {
    fn recall(&self, key: &Fingerprint) -> Option<TokenJudgement> {
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.get(key).filter(|(until, _)| *until > Instant::now()).map(|(_, verdict)| verdict.clone())
    }

    fn remember(&self, key: Fingerprint, verdict: TokenJudgement, time: Duration) {
        let now = Instant::now();
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED {
            remembered.retain(|_, (until, _)| *until > now);
        }
        if remembered.len() < REMEMBERED {
            remembered.insert(key, (now + time, verdict));
        }
    }

    fn forget(&self, key: &Fingerprint) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// RFC 6750, 2.1.
fn bearer(metadata: &MetadataMap) -> Option<&str> {
    let value = metadata.get("authorization")?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Knows one token, and counts the questions.
    struct One(Arc<AtomicUsize>);

    impl Judge for One {
        fn review(&self, token: String, audience: String) -> Answer {
            self.0.fetch_add(1, Ordering::SeqCst);
            let user = "system:serviceaccount:unready:agent".to_owned();
            let review = Review { authenticated: token == "good", user, audiences: vec![audience], ..Review::default() };
            Box::pin(async move { Ok(review) })
        }
    }

    #[tokio::test]
    async fn refused_tokens_leave_room_for_accepted_ones() {
        let asked = Arc::new(AtomicUsize::new(0));
        let agents = Agents::known(One(Arc::clone(&asked)), "us", vec!["unready/agent".parse().unwrap()]);
        let show = async |token: &str| {
            let mut metadata = MetadataMap::new();
            metadata.insert("authorization", format!("Bearer {token}").parse().unwrap());
            agents.identify(&metadata, false).await.map_err(|status| status.code())
        };
        for number in 0..=REMEMBERED {
            assert_eq!(show(&number.to_string()).await, Err(tonic::Code::Unauthenticated));
        }
        let before = asked.load(Ordering::SeqCst);
        assert!(before > REMEMBERED, "{before}");
        let identity = show("good").await.unwrap();
        assert!(identity.is_known() && identity.good_for().is_none(), "{identity:?}");
        assert_eq!(show("good").await, Ok(identity.clone()));
        assert_eq!(asked.load(Ordering::SeqCst), before + 1, "the accepted one is remembered");
        agents.forget(&identity);
        assert_eq!(show("good").await, Ok(identity));
        assert_eq!(asked.load(Ordering::SeqCst), before + 2, "until it is to be judged anew");
    }
}
