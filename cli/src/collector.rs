//! A collector, asked for verdicts and starts: at an address that the user knows, or over a connection that a cluster gave.
//!
//! - [`follow`]: its changes, across its restarts.

pub(crate) mod follow;

use crate::output;
use anyhow::anyhow;
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};
use unready_proto::v1::{Filter, ListRequest, ListResponse, starts_client, verdicts_client::VerdictsClient};
use unready_transport::{peer, url::CollectorUrl};

/// Who asks.
pub(crate) type Client = VerdictsClient<Channel>;

/// Who asks for starts.
pub(crate) type StartsClient = starts_client::StartsClient<Channel>;

/// The most verdicts that a collector gives.
pub(crate) const MOST: u32 = 10_000;
/// A collector that vanished during a watch is noticed after this time and some seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// For up to [`MOST`] verdicts; gRPC's own default of 4 MiB is for some 1 500.
const ANSWER_BYTES: usize = 64 << 20;

/// Asks over a connection that there is.
pub(crate) fn client(channel: Channel) -> Client {
    VerdictsClient::new(channel).max_decoding_message_size(ANSWER_BYTES)
}

/// The same for starts.
pub(crate) fn starts_client(channel: Channel) -> StartsClient {
    StartsClient::new(channel).max_decoding_message_size(ANSWER_BYTES)
}

/// Connects to an address.
pub(crate) async fn connect(url: &CollectorUrl, patience: Duration) -> anyhow::Result<Client> {
    if url.is_tls() {
        return Err(anyhow!(
            "queries are not asked over TLS: the port of {url} is the agents'. In a cluster leave --collector out, on the collector's machine name its query port (http://127.0.0.1:50052)"
        ));
    }
    let endpoint =
        Endpoint::from_shared(url.to_string())?.connect_timeout(patience).http2_keep_alive_interval(KEEP_ALIVE).keep_alive_while_idle(true);
    match endpoint.connect().await {
        Ok(channel) => Ok(client(channel)),
        Err(error) => Err(anyhow!(peer::explain(url, &peer::innermost(&error)).await)),
    }
}

/// What a collector knows.
pub(crate) async fn ask(url: &CollectorUrl, filter: Filter, limit: u32, patience: Duration) -> anyhow::Result<ListResponse> {
    let mut request = tonic::Request::new(ListRequest { filter: Some(filter), limit });
    request.set_timeout(patience);
    match connect(url, patience).await?.list(request).await {
        Ok(answer) => Ok(answer.into_inner()),
        Err(status) => Err(anyhow!(peer::explain_status(url, &status).await)),
    }
}

/// A collector that cannot write shows what it knew before.
pub(crate) fn note_stall(reason: &str) {
    if !reason.is_empty() {
        output::note(&format!("the collector takes nothing new at the moment, what follows may be old: {reason}"));
    }
}
