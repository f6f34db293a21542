//! A connection on which each answer but the first comes after the one before it, sent once more: a proxy that has lost count.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Wraps a server's side of a connection.
pub(crate) struct Repeating<S> {
    inner: S,
    repeats: bool,
    /// What was written since something was read last.
    answer: Vec<u8>,
    /// What is written again before anything else.
    again: Vec<u8>,
}

impl<S> Repeating<S> {
    pub(crate) fn new(inner: S, repeats: bool) -> Self {
        Self { inner, repeats, answer: Vec::new(), again: Vec::new() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Repeating<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        if buffer.filled().len() > before && !self.answer.is_empty() {
            self.again = std::mem::take(&mut self.answer);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Repeating<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        while !this.again.is_empty() {
            let written = ready!(Pin::new(&mut this.inner).poll_write(context, &this.again))?;
            this.again.drain(..written);
        }
        let written = ready!(Pin::new(&mut this.inner).poll_write(context, bytes))?;
        if this.repeats {
            this.answer.extend_from_slice(&bytes[..written]);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
