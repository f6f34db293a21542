//! Answers that are fetched before the table asks for them, beside another one.
//!
//! Owns the readings under way and those that have arrived. Takes note of nothing, and never decides what is read or
//! counts: that is `decide`'s. A reading that is not wanted any more is given up by dropping it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::domain::answer::{LocalRefsAnswer, OwnerAnswer, UpstreamAnswer};
use crate::domain::decide::EarlyReads;
use crate::domain::evidence::Seen;

/// One reading of upstream.
pub(super) struct UpstreamRead {
    pub(super) seen: Seen<UpstreamAnswer>,
    /// Until when the host asks to be left alone, if it does.
    pub(super) rests_until: Option<Instant>,
}

/// The early readings beside one look.
#[derive(Default)]
pub(super) struct EarlyAnswers {
    /// Which lists were begun.
    pub(super) reads: EarlyReads,
    upstream: Reading<UpstreamRead>,
    local_refs: Reading<Seen<LocalRefsAnswer>>,
    owner: Reading<OwnerAnswer>,
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

impl EarlyAnswers {
    /// Begins to read lists.
    pub(super) fn begin(
        reads: EarlyReads,
        upstream: impl FnOnce() -> BoxFuture<'static, UpstreamRead>,
        local_refs: impl FnOnce() -> BoxFuture<'static, Seen<LocalRefsAnswer>>,
    ) -> Self {
        let upstream = if reads.upstream { Reading::begin(upstream()) } else { Reading::None };
        let local_refs = reads.local_refs.map_or(Reading::None, |_| Reading::begin(local_refs()));
        Self { reads, upstream, local_refs, owner: Reading::None }
    }

    /// Begins to look at the owner.
    pub(super) fn begin_owner(&mut self, owner: BoxFuture<'static, OwnerAnswer>) {
        self.owner = Reading::begin(owner);
    }

    /// Whether there is no list, neither under way nor arrived.
    pub(super) const fn holds_no_list(&self) -> bool {
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
        poll_fn(|context| if self.poll(context)[0] { Poll::Ready(self.upstream.take()) } else { Poll::Pending }).await
    }

    /// Waits for Gitea's list; `None`: none is being read.
    pub(super) async fn local_refs(&mut self) -> Option<Seen<LocalRefsAnswer>> {
        poll_fn(|context| if self.poll(context)[1] { Poll::Ready(self.local_refs.take()) } else { Poll::Pending }).await
    }

    /// Waits for the owner; `None`: nobody looks at it.
    pub(super) async fn owner(&mut self) -> Option<OwnerAnswer> {
        poll_fn(|context| if self.poll(context)[2] { Poll::Ready(self.owner.take()) } else { Poll::Pending }).await
    }

    /// What upstream has answered, if it has.
    pub(super) fn into_upstream(mut self) -> Option<UpstreamRead> {
        self.upstream.take()
    }

    /// Goes on with upstream, Gitea's refs and the owner; whether each is over.
    fn poll(&mut self, context: &mut Context<'_>) -> [bool; 3] {
        [self.upstream.poll(context), self.local_refs.poll(context), self.owner.poll(context)]
    }
}
