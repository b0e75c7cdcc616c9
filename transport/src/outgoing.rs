//! One connection to a gRPC server, with TLS or without, whose errors are not lost on the way.
//!
//! The layers above turn an error of the connection into text or drop it ("transport error"), and a server of TLS 1.3 refuses
//! a client's certificate only after the client thinks that all is well. So the connection is made here, before the channel
//! is, and afterwards remembers what TLS said: [`Trouble::take`].

use crate::tls::{Blame, blame};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

pub use rustls::ClientConfig;

/// Why there is no connection.
#[derive(Debug)]
pub enum ConnectError {
    /// The network or the peer.
    Io(io::Error),
    Tls(Blame),
    /// No answer in time.
    Late,
    /// The name in the address cannot be in a certificate.
    Name(String),
}

impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        blame(&error).map_or(Self::Io(error), Self::Tls)
    }
}

/// What TLS said after the connection was made.
#[derive(Clone, Debug, Default)]
pub struct Trouble(Arc<Mutex<Option<Blame>>>);

impl Trouble {
    /// What it said last; `None`: nothing.
    pub fn take(&self) -> Option<Blame> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note(&self, error: &io::Error) {
        if let Some(blame) = blame(error) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(blame);
        }
    }
}

/// Connects to `host` (a name or an address, IPv6 with or without brackets), and makes the handshake if there is TLS; `patience` is for each of the two.
pub async fn connect(host: &str, port: u16, tls: Option<Arc<ClientConfig>>, patience: Duration) -> Result<Connection, ConnectError> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = timeout(patience, TcpStream::connect((host, port))).await.map_err(|_| ConnectError::Late)??;
    let _ = stream.set_nodelay(true);
    let trouble = Trouble::default();
    let Some(config) = tls else { return Ok(Connection { io: Box::new(stream), trouble }) };
    let name = ServerName::try_from(host.to_owned()).map_err(|_| ConnectError::Name(host.to_owned()))?;
    let shaken = timeout(patience, TlsConnector::from(config).connect(name, stream)).await.map_err(|_| ConnectError::Late)?;
    Ok(Connection { io: Box::new(shaken?), trouble })
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that has been made.
pub struct Connection {
    io: Box<dyn Stream>,
    trouble: Trouble,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("trouble", &self.trouble).finish_non_exhaustive()
    }
}

impl Connection {
    /// A handle that tells later what TLS said.
    pub fn trouble(&self) -> Trouble {
        self.trouble.clone()
    }

    /// The channel over this connection. It has no other: when the connection ends, so does the channel.
    pub async fn channel(self, endpoint: Endpoint) -> Result<Channel, tonic::transport::Error> {
        let mut once = Some(self);
        let connector = service_fn(move |_: Uri| {
            let connection = once.take().map(TokioIo::new);
            async move { connection.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)) }
        });
        endpoint.connect_with_connector(connector).await
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_read(context, buffer);
        if let Poll::Ready(Err(error)) = &polled {
            self.trouble.note(error);
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
