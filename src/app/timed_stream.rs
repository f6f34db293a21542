//! A connection that ends when its client is too slow.
//!
//! Owns two limits: how long a head may take once it has begun, and how long the client may read nothing of what it is
//! sent. A request's body has a limit of its own (`api`), and so has an idle connection (`listener`).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long a head may take from its first byte to its last.
const HEAD: Duration = Duration::from_secs(5);

/// How long the client may read nothing. Long, since a slow line takes a while to make room for the next piece.
const READS_NOTHING: Duration = Duration::from_secs(20);

/// The requests of one connection, counted by the listener.
#[derive(Debug, Default)]
pub(super) struct RequestCount {
    received: AtomicU32,
    answered: AtomicU32,
}

impl RequestCount {
    /// One more head is complete; returns how many there are.
    pub(super) fn received(&self) -> u32 {
        self.received.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// One more request has been answered.
    pub(super) fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests are over; `None` while one is being answered.
    fn before_the_next(&self) -> Option<u32> {
        let answered = self.answered.load(Ordering::Relaxed);
        (answered == self.received.load(Ordering::Relaxed)).then_some(answered)
    }
}

/// A stream with these limits.
pub(super) struct TimedStream<S> {
    inner: S,
    requests: Arc<RequestCount>,
    /// Running since the first byte of a head, with the number of requests before it.
    head: Option<(u32, Pin<Box<Sleep>>)>,
    /// Running while a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> TimedStream<S> {
    pub(super) const fn new(inner: S, requests: Arc<RequestCount>) -> Self {
        Self { inner, requests, head: None, waiting: None }
    }

    /// The result of a read: a head that takes too long becomes an error. The first bytes of a head that came together with
    /// the request before it do not count: only hyper knows where a request ends in what was read.
    fn after_read(&mut self, read: Poll<io::Result<()>>, any: bool, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let before = self.requests.before_the_next();
        self.head.take_if(|(of, _)| Some(*of) != before);
        if let (Some(before), true) = (before, any) {
            self.head.get_or_insert_with(|| (before, Box::pin(sleep(HEAD))));
        }
        match &mut self.head {
            Some((_, limit)) if read.is_pending() => {
                ready!(limit.as_mut().poll(cx));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the head did not arrive in time")))
            }
            Some(_) | None => read,
        }
    }

    /// The result of a write: waiting for too long becomes an error.
    fn after_write<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(READS_NOTHING)));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client reads nothing")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        self.after_read(read, buffer.filled().len() > before, cx)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.after_write(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, pieces);
        self.after_write(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_disconnected_and_one_that_reads_a_little_is_not() {
        let (here, mut there) = duplex(16);
        let mut here = TimedStream::new(here, Arc::default());
        let (began, text) = (Instant::now(), [7; 160]);
        let slow = async {
            for _ in 0..10 {
                sleep(READS_NOTHING / 2).await;
                there.read_exact(&mut [0; 16]).await.unwrap();
            }
            there
        };
        let (written, _there) = tokio::join!(here.write_all(&text), slow);
        written.unwrap();
        assert!(began.elapsed() > READS_NOTHING * 2);
        here.write_all(&[7; 16]).await.unwrap();
        let began = Instant::now();
        assert_eq!(here.write_all(&text).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), READS_NOTHING.as_secs());
    }
}
