//! Connections to a port, with TLS or without, for a gRPC server.
//!
//! ```text
//!   accept ─► plain: handed on
//!      └────► TLS: handshake in its own task, at most HANDSHAKES at a time, PATIENCE each ─► handed on
//!                       └─ failed: one sentence in the log for each peer and reason
//! ```
//!
//! A slow or silent peer holds up nobody else. Dropping the [`Incoming`] closes the port.

use crate::{
    complaints::Complaints,
    tls::{ClientCertificate, Kind, ServerTls, blame},
};
use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::Stream;
use tonic::transport::server::Connected;

/// Handshakes under way at a time; more wait in the listener's queue.
const HANDSHAKES: usize = 64;
/// For a handshake.
const PATIENCE: Duration = Duration::from_secs(5);
/// For a refused peer to read why.
const FAREWELL: Duration = Duration::from_secs(1);
/// Between attempts to accept when the system has no descriptor left.
const PAUSE: Duration = Duration::from_millis(100);
/// Connections handed on and not yet taken.
const READY: usize = 16;

/// A stream of connections.
#[derive(Debug)]
pub struct Incoming {
    connections: mpsc::Receiver<Connection>,
    encrypted: bool,
    task: JoinHandle<()>,
}

impl Incoming {
    /// Accepts on `listener`; call inside a tokio runtime. Without `tls` connections are in the clear.
    pub fn new(listener: TcpListener, tls: Option<Arc<ServerTls>>) -> Self {
        let (ready, connections) = mpsc::channel(READY);
        let encrypted = tls.is_some();
        let task = tokio::spawn(accept(listener, tls, ready));
        Self { connections, encrypted, task }
    }

    /// With TLS.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.connections.poll_recv(context).map(|connection| connection.map(Ok))
    }
}

async fn accept(listener: TcpListener, tls: Option<Arc<ServerTls>>, ready: mpsc::Sender<Connection>) {
    let (places, news) = (Arc::new(Semaphore::new(HANDSHAKES)), Arc::new(Complaints::default()));
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!("a connection cannot be accepted: {error}");
                sleep(PAUSE).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let Some(tls) = &tls else {
            if ready.send(Connection::Plain(stream)).await.is_err() {
                return;
            }
            continue;
        };
        let (tls, ready, news) = (Arc::clone(tls), ready.clone(), Arc::clone(&news));
        tokio::spawn(async move {
            match timeout(PATIENCE, TlsAcceptor::from(tls.config()).accept(stream).into_fallible()).await {
                Ok(Ok(stream)) => {
                    let _ = ready.send(Connection::Tls(Box::new(stream), tls)).await;
                }
                Ok(Err((error, stream))) => {
                    complain(&news, peer, &error);
                    part(stream).await;
                }
                Err(_) => tracing::debug!("{peer} connected and did not finish its TLS handshake within {} s", PATIENCE.as_secs()),
            }
            drop(place);
        });
    }
}

/// Lets the peer read the alert: a socket that is closed with unread data resets the connection, and the reset overtakes it.
async fn part(mut stream: TcpStream) {
    let mut rest = [0; 1024];
    let _ = stream.shutdown().await;
    let _ = timeout(FAREWELL, async { while matches!(stream.read(&mut rest).await, Ok(1..)) {} }).await;
}

fn complain(news: &Complaints, peer: SocketAddr, error: &io::Error) {
    // A peer that connects and leaves is a probe of the port.
    let Some(blame) = blame(error) else {
        return tracing::debug!("the TLS handshake with {peer} ended: {error}");
    };
    let reason = match blame.kind {
        Kind::NotTls => "speaks without TLS, and this port has it; write https:// there".to_owned(),
        Kind::Untrusted => format!("{} (those of ca.crt here)", blame.what),
        Kind::Anonymous => format!("{}, and must: ca.crt is there; give it one that ca.crt signed", blame.what),
        Kind::Name | Kind::Date | Kind::WantsCertificate | Kind::Other => blame.what,
        Kind::RefusesCertificate => {
            "does not trust who signed our certificate; an agent that reads that from a ConfigMap looks again by itself, \
             others must be given it (--collector-ca)"
                .to_owned()
        }
    };
    if news.is_new(Some(peer.ip()), &reason) {
        tracing::warn!("no connection with {peer}: it {reason}");
    }
}

/// One connection.
#[derive(Debug)]
pub enum Connection {
    /// In the clear.
    Plain(TcpStream),
    /// Encrypted, by whom.
    Tls(Box<TlsStream<TcpStream>>, Arc<ServerTls>),
}

/// Who is at the other end; in the extensions of each request.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address, where the system tells.
    pub address: Option<SocketAddr>,
    /// What it showed when the connection was made.
    pub showed: Showed,
}

/// What the other end showed of itself.
#[derive(Clone, Debug)]
pub enum Showed {
    /// The connection is in the clear, where nothing can be shown.
    InTheClear,
    /// No certificate, on an encrypted connection: none was demanded then. Whether one is now, the server's files say.
    Nothing(Arc<ServerTls>),
    Certificate(ClientCertificate),
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        match self {
            Self::Plain(stream) => Peer { address: stream.peer_addr().ok(), showed: Showed::InTheClear },
            Self::Tls(stream, tls) => {
                let (stream, session) = stream.get_ref();
                let showed = match session.peer_certificates() {
                    Some(chain) => Showed::Certificate(ClientCertificate::new(chain, Arc::clone(tls))),
                    None => Showed::Nothing(Arc::clone(tls)),
                };
                Peer { address: stream.peer_addr().ok(), showed }
            }
        }
    }
}

macro_rules! either {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Plain(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Self::Tls(stream, _) => {
                let $stream = Pin::new(stream.as_mut());
                $call
            }
        }
    };
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read(context, buffer))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write(context, buffer))
    }

    fn poll_write_vectored(self: Pin<&mut Self>, context: &mut Context<'_>, buffers: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write_vectored(context, buffers))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream, _) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_shutdown(context))
    }
}
