//! The calls to the collector.

use super::{GetArgs, show::Show};
use anyhow::anyhow;
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};
use unready_agent::deliver::peer;
use unready_proto::v1::{ListRequest, WatchRequest, verdicts_client::VerdictsClient, watch_response};

/// For the connection, and for the answer to a list.
const PATIENCE: Duration = Duration::from_secs(10);
/// A collector that vanished during a watch is noticed after this time and some seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// For up to 10 000 verdicts; gRPC's own default of 4 MiB is for some 1 500.
const ANSWER_BYTES: usize = 64 << 20;

pub(super) async fn list(args: &GetArgs, show: &mut Show) -> anyhow::Result<()> {
    let mut request = tonic::Request::new(ListRequest { filter: Some(args.filter()), limit: args.limit });
    request.set_timeout(PATIENCE);
    let answer = match client(args).await?.list(request).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return Err(anyhow!(peer::explain_status(&args.collector, &status).await)),
    };
    show.all(&answer.verdicts)?;
    note_truncation(answer.truncated, args);
    Ok(())
}

fn note_truncation(truncated: bool, args: &GetArgs) {
    if truncated {
        eprintln!("only the {} that were seen last are shown; see more with --limit, or fewer with -n, POD or --cause", args.limit);
    }
}

pub(super) async fn watch(args: &GetArgs, show: &mut Show) -> anyhow::Result<()> {
    let request = WatchRequest { filter: Some(args.filter()), limit: args.limit };
    let mut changes = match client(args).await?.watch(request).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return Err(anyhow!(peer::explain_status(&args.collector, &status).await)),
    };
    let mut snapshot = Some(Vec::new());
    loop {
        let message = match changes.message().await {
            Ok(Some(message)) => message.message,
            Ok(None) => return Err(anyhow!("the collector at {} ended the watch; run the command again", args.collector)),
            Err(status) => return Err(anyhow!("the watch ended: {}", peer::explain_status(&args.collector, &status).await)),
        };
        match (message, &mut snapshot) {
            (Some(watch_response::Message::Verdict(verdict)), Some(before)) => before.push(verdict),
            (Some(watch_response::Message::Verdict(verdict)), None) => show.one(&verdict)?,
            (Some(watch_response::Message::SnapshotComplete(mark)), before) => {
                show.all(&before.take().unwrap_or_default())?;
                note_truncation(mark.truncated, args);
            }
            // What a newer collector adds may be ignored.
            (None, _) => {}
        }
    }
}

async fn client(args: &GetArgs) -> anyhow::Result<VerdictsClient<Channel>> {
    let endpoint = Endpoint::from_shared(args.collector.to_string())?
        .connect_timeout(PATIENCE)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_while_idle(true);
    match endpoint.connect().await {
        Ok(channel) => Ok(VerdictsClient::new(channel).max_decoding_message_size(ANSWER_BYTES)),
        Err(error) => Err(anyhow!(peer::explain(&args.collector, &peer::innermost(&error)).await)),
    }
}
