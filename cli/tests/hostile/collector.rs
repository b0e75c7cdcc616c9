//! A collector that says what a test wants, on loopback. Its thread ends with the test's process.

use super::HOSTILE;
use std::{net::SocketAddr, sync::mpsc, thread};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};
use unready_proto::v1::{
    ListRequest, ListResponse, SnapshotComplete, Verdict, WatchRequest, WatchResponse,
    verdicts_server::{Verdicts, VerdictsServer},
    watch_response::Message,
};

pub(super) struct Collector(SocketAddr);

impl Collector {
    /// With these verdicts; or one that refuses with this message.
    pub(super) fn start(verdicts: Vec<Verdict>, refusal: Option<&'static str>) -> Self {
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let service = VerdictsServer::new(Answers { verdicts, refusal });
                Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
            });
        });
        Self(told.recv().unwrap())
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.0)
    }
}

struct Answers {
    verdicts: Vec<Verdict>,
    refusal: Option<&'static str>,
}

impl Answers {
    fn refused(&self) -> Result<(), Status> {
        self.refusal.map_or(Ok(()), |message| Err(Status::internal(message)))
    }
}

#[tonic::async_trait]
impl Verdicts for Answers {
    type WatchStream = tokio_stream::Iter<std::vec::IntoIter<Result<WatchResponse, Status>>>;

    async fn list(&self, _: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        self.refused()?;
        Ok(Response::new(ListResponse { verdicts: self.verdicts.clone(), truncated: true, stalled: HOSTILE.to_owned() }))
    }

    /// A snapshot, a change, and an end in words.
    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        self.refused()?;
        let message = |message| Ok(WatchResponse { message: Some(message) });
        let mut all: Vec<_> = self.verdicts.iter().cloned().map(|verdict| message(Message::Verdict(verdict))).collect();
        all.push(message(Message::SnapshotComplete(SnapshotComplete { truncated: true, stalled: HOSTILE.to_owned() })));
        let changed = |verdict: Verdict| Verdict { count: verdict.count + 1, summary: format!("again {}", verdict.summary), ..verdict };
        all.extend(self.verdicts.iter().cloned().map(|verdict| message(Message::Verdict(changed(verdict)))));
        all.push(Err(Status::unavailable(HOSTILE)));
        Ok(Response::new(tokio_stream::iter(all)))
    }
}
