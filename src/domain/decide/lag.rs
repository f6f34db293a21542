//! A push that a signed delivery names and upstream's list does not show yet: read upstream again, with patience.
//!
//! Owns that patience. A forge may send its webhook before all of its servers show the push, to the service as well as to
//! Gitea's own fetch.

use std::time::Duration;

use super::{Awaited, Look, Next, Table, Wait, backoff, failing};
use crate::domain::observation::Sync;
use crate::domain::refs::Comparison;
use crate::domain::run::{End, Phase};

/// How long upstream is read again.
const PATIENCE: Duration = Duration::from_mins(1);

impl Table<'_> {
    /// What to do while a list is older than a push; `None`: none is.
    pub(super) fn until_shown(&self) -> Option<Next> {
        let (lag, push) = (self.history.lag?, self.history.pushes.lagging()?);
        let because = failing::lagging(push);
        let patience = PATIENCE.saturating_sub(lag.read_at.saturating_sub(lag.since));
        if patience.is_zero() || self.until_a_last_look().is_zero() {
            return Some(Next::End(Box::new(End::Unverified { problem: because })));
        }
        let pause = backoff::exponential(lag.readings + 2).min(patience);
        Some(match self.left_of(pause, lag.read_at) {
            Some(pause) => {
                let (awaited, because) = (Awaited::Work, Some(Box::new(because)));
                Next::Wait(Wait { phase: Phase::Verifying, pause, least: pause, awaited, because })
            }
            None => Next::Look(Look::Upstream),
        })
    }

    /// What is left of a pause that began then; `None`: it is over.
    fn left_of(&self, pause: Duration, began: Duration) -> Option<Duration> {
        pause.checked_sub(self.history.since(began)).filter(|left| !left.is_zero())
    }

    /// Whether refs differ only where Gitea has a push already that upstream's list does not show yet: a sync would bring
    /// nothing.
    pub(super) fn gitea_is_ahead(&self, comparison: &Comparison) -> bool {
        let ahead = |name, gitea| self.history.pushes.is_ahead(name, gitea);
        comparison.names_all()
            && comparison.first.iter().all(|differing| ahead(&differing.name, differing.gitea.as_ref()))
    }

    /// Whether all that a sync has not brought was just pushed: Gitea's fetch may have been answered by a server that does
    /// not show it yet.
    pub(super) fn gitea_may_lag(&self, comparison: &Comparison) -> bool {
        let was_named = |name, upstream| self.history.pushes.was_named(name, upstream);
        self.history.elapsed < PATIENCE
            && comparison.names_all()
            && comparison.first.iter().all(|differing| was_named(&differing.name, differing.upstream.as_ref()))
    }

    /// The pause before the next sync then; `None`: it is over.
    pub(super) fn before_the_next_sync(&self, sync: &Sync) -> Option<Next> {
        let pause = backoff::exponential(self.history.barren_syncs + 1);
        Some(super::wait(Phase::Syncing, self.left_of(pause, sync.moved_at?)?))
    }
}
