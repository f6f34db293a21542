//! A connection with limits on its other side's silence.
//!
//! Owns two limits: how long a head may take once it has begun, and how long the other side may take nothing of what it
//! is sent. A body on its way in has a limit of its own (`api`), and so has an idle connection (`listener`).

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

/// How long nothing may be taken. Long, since a slow line takes a while to make room for the next piece.
const NOTHING_TAKEN: Duration = Duration::from_secs(20);

/// The requests of one connection, counted by what answers them.
#[derive(Debug, Default)]
pub(super) struct Requests {
    received: AtomicU32,
    answered: AtomicU32,
}

impl Requests {
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

/// A stream that ends when its other side is silent for too long.
pub(super) struct Patient<S> {
    inner: S,
    requests: Arc<Requests>,
    /// Running since the first byte of a head, with the number of requests before it.
    head: Option<(u32, Pin<Box<Sleep>>)>,
    /// Running while a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(super) const fn new(inner: S, requests: Arc<Requests>) -> Self {
        Self { inner, requests, head: None, waiting: None }
    }

    /// What came of a read: a head that takes too long becomes an error. The first bytes of one that came together with the
    /// request before it do not count: only hyper knows where a request ends in what was read.
    fn heard(&mut self, read: Poll<io::Result<()>>, any: bool, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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

    /// What came of a write: waiting for too long becomes an error.
    fn waited<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(NOTHING_TAKEN)));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the other side takes nothing")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        self.heard(read, buffer.filled().len() > before, cx)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.waited(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, pieces);
        self.waited(written, cx)
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
    async fn whoever_takes_nothing_is_given_up_and_whoever_takes_a_little_is_not() {
        let (here, mut there) = duplex(16);
        let mut here = Patient::new(here, Arc::default());
        let (began, text) = (Instant::now(), [7; 160]);
        let slow = async {
            for _ in 0..10 {
                sleep(NOTHING_TAKEN / 2).await;
                there.read_exact(&mut [0; 16]).await.unwrap();
            }
            there
        };
        let (written, _there) = tokio::join!(here.write_all(&text), slow);
        written.unwrap();
        assert!(began.elapsed() > NOTHING_TAKEN * 2);
        here.write_all(&[7; 16]).await.unwrap();
        let began = Instant::now();
        assert_eq!(here.write_all(&text).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), NOTHING_TAKEN.as_secs());
    }
}
