//! What carries a connection's bytes, and how it tells that the client has left.

use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A stream to a client.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Whether [`Transport::poll_left`] ever tells. Else the stream must be read to its end.
    const TELLS_LEAVING: bool;

    /// Ready when the client has closed its side and everything that it sent was read.
    fn poll_left(&self, context: &mut Context<'_>) -> Poll<()>;
}

impl Transport for TcpStream {
    const TELLS_LEAVING: bool = true;

    fn poll_left(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut byte = [0; 1];
        match self.poll_peek(context, &mut ReadBuf::new(&mut byte)) {
            Poll::Ready(Ok(1..)) | Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(()),
        }
    }
}

/// Its end is a message of TLS, which has to be read.
impl Transport for TlsStream<TcpStream> {
    const TELLS_LEAVING: bool = false;

    fn poll_left(&self, _context: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}
