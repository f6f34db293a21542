//! Lists of refs that are read while the repository is looked at.
//!
//! Owns the readings under way and those that have arrived. Takes note of nothing, and never decides which list is read or
//! counts: that is `decide`'s. A reading that is not wanted any more is given up by dropping it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;

use super::lists::UpstreamRead;
use crate::domain::answer::LocalRefsAnswer;
use crate::domain::decide::EarlyReads;
use crate::domain::evidence::Seen;

/// The early readings of one look at the repository.
#[derive(Default)]
pub(super) struct EarlyLists {
    /// Which were begun.
    pub(super) reads: EarlyReads,
    upstream: Reading<UpstreamRead>,
    local_refs: Reading<Seen<LocalRefsAnswer>>,
}

/// One reading.
#[derive(Default)]
enum Reading<T> {
    /// None was begun, or it has been taken.
    #[default]
    None,
    /// The mutex is never locked: it lets a work that is only read be shared between threads.
    UnderWay(Mutex<BoxFuture<'static, T>>),
    Here(T),
}

impl<T> Reading<T> {
    fn begin(reading: BoxFuture<'static, T>) -> Self {
        Self::UnderWay(Mutex::new(reading))
    }

    /// Goes on with it; whether it is over.
    fn poll(&mut self, context: &mut Context<'_>) -> bool {
        if let Self::UnderWay(reading) = self {
            match reading.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll(context) {
                Poll::Ready(read) => *self = Self::Here(read),
                Poll::Pending => return false,
            }
        }
        true
    }

    /// What it has brought, if it is over.
    fn take(&mut self) -> Option<T> {
        match std::mem::take(self) {
            Self::Here(read) => Some(read),
            Self::None | Self::UnderWay(_) => None,
        }
    }
}

impl EarlyLists {
    /// Begins them.
    pub(super) fn begin(
        reads: EarlyReads,
        upstream: impl FnOnce() -> BoxFuture<'static, UpstreamRead>,
        local_refs: impl FnOnce() -> BoxFuture<'static, Seen<LocalRefsAnswer>>,
    ) -> Self {
        let upstream = if reads.upstream { Reading::begin(upstream()) } else { Reading::None };
        let local_refs = reads.local_refs.map_or(Reading::None, |_| Reading::begin(local_refs()));
        Self { reads, upstream, local_refs }
    }

    /// Whether there is none, neither under way nor arrived.
    pub(super) const fn is_empty(&self) -> bool {
        matches!((&self.upstream, &self.local_refs), (Reading::None, Reading::None))
    }

    /// Waits for something else, and goes on with them meanwhile.
    pub(super) async fn beside<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = pin!(other);
        poll_fn(|context| {
            self.poll(context);
            other.as_mut().poll(context)
        })
        .await
    }

    /// Waits for upstream's list; `None`: none is being read.
    pub(super) async fn upstream(&mut self) -> Option<UpstreamRead> {
        poll_fn(|context| if self.poll(context).0 { Poll::Ready(self.upstream.take()) } else { Poll::Pending }).await
    }

    /// Waits for Gitea's list; `None`: none is being read.
    pub(super) async fn local_refs(&mut self) -> Option<Seen<LocalRefsAnswer>> {
        poll_fn(|context| if self.poll(context).1 { Poll::Ready(self.local_refs.take()) } else { Poll::Pending }).await
    }

    /// What upstream has answered, if it has.
    pub(super) fn into_upstream(mut self) -> Option<UpstreamRead> {
        self.upstream.take()
    }

    /// Goes on with both; whether each is over.
    fn poll(&mut self, context: &mut Context<'_>) -> (bool, bool) {
        (self.upstream.poll(context), self.local_refs.poll(context))
    }
}
