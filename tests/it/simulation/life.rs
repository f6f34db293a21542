//! One process's life. It ends at any use of the journal or call to Gitea, and from then on nothing of it goes on: whatever
//! its tasks wait for never comes.

use std::sync::Arc;

use cutover_api::journal::{Piece, Worker};
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::shared::{Place, Shared};

/// The life of one of the services, from a start to its end.
pub(super) struct Life {
    who: usize,
    shared: Arc<Shared>,
    over: CancellationToken,
}

impl std::fmt::Debug for Life {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Life").finish_non_exhaustive()
    }
}

impl Life {
    pub(super) fn new(who: usize, shared: &Arc<Shared>) -> Self {
        Self { who, shared: Arc::clone(shared), over: CancellationToken::new() }
    }

    /// Ends it, from outside.
    pub(super) fn end(&self) {
        self.over.cancel();
    }

    /// Waits for its end.
    pub(super) async fn ended(&self) {
        self.over.cancelled().await;
    }

    /// Comes back as long as it lasts.
    pub(super) async fn lasts(&self) {
        if self.over.is_cancelled() {
            std::future::pending::<()>().await;
        }
    }

    /// Ends it here, and has the story see to that.
    pub(super) async fn ends(&self) {
        self.shared.note(&format!("s{} dies here", self.who));
        self.over.cancel();
        self.shared.state().dead.push(self.who);
        self.shared.crashed.notify_one();
        self.lasts().await;
    }
}

impl Worker for Life {
    /// Done on the story's own thread: one after the other, in the order in which they were asked for.
    fn work(&self, piece: Piece) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.lasts().await;
            if self.shared.crashes(self.who, Place::Journal, false) {
                self.ends().await;
            }
            let before = self.shared.version(self.who);
            piece();
            if self.who == 0 {
                let wrote = self.shared.version(0) != before;
                self.shared.state().uses.push(wrote);
            }
            if self.shared.crashes(self.who, Place::Journal, true) {
                self.ends().await;
            }
            tokio::task::yield_now().await;
            self.lasts().await;
        })
    }
}
