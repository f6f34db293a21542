//! What is remembered of the sync that was asked for: whether it ended, moved anything, or was lost with its server.
//!
//! Owns nothing but these methods of [`History`]; what follows from them is decided elsewhere.

use super::History;
use crate::domain::answer::{Repository, SyncAnswer};
use crate::domain::observation::Sync;
use crate::domain::refs::{Digest, ObjectId, RefList};

impl History {
    /// Takes note of a sync asked for on `repository` as it was seen just before.
    pub fn synced(
        &mut self,
        repository: &Repository,
        answer: SyncAnswer,
        upstream: Option<Digest>,
        tracked: Option<ObjectId>,
    ) {
        if answer.may_have_queued() {
            self.asked_for_a_sync(tracked);
        }
        let before = self.sync.take();
        let asks = before.as_ref().filter(|sync| sync.moved_at.is_none()).map_or(1, |sync| sync.asks + 1);
        let barren = before.is_some_and(|sync| sync.moved_at.is_some() && sync.upstream == upstream);
        self.barren_syncs = if barren { self.barren_syncs + 1 } else { 0 };
        self.sync = Some(Sync {
            at: self.elapsed,
            mirror_updated: repository.mirror_updated,
            last_sync: repository.last_sync,
            failed: false,
            answer,
            upstream,
            proven_at: None,
            refs_moved_at: None,
            moved_at: None,
            gitea_was_away: false,
            upstream_read_since: false,
            asks,
        });
    }

    /// Takes note that this run may have asked for a sync, also before the service was started again: what it brings is this
    /// run's.
    pub fn asked_for_a_sync(&mut self, tracked: Option<ObjectId>) {
        if self.syncs == 0 {
            self.tracked_before = tracked;
        }
        self.syncs += 1;
    }

    /// A move of `mirror_updated` is a sync's end.
    pub(super) fn sync_may_have_ended(&mut self, repository: &Repository) {
        let elapsed = self.elapsed;
        if let Some(sync) = self.sync.as_mut().filter(|sync| sync.mirror_updated != repository.mirror_updated) {
            if sync.moved_at.is_none() {
                // where Gitea shows when a sync last ended well, this one did not
                sync.failed = sync.last_sync.is_some() && sync.last_sync == repository.last_sync;
            }
            sync.moved_at.get_or_insert(elapsed);
        }
    }

    /// Refs that are not what they were show that a sync is at work, long before it ends.
    pub(super) fn refs_may_have_moved(&mut self, list: &RefList, proven: bool) {
        let now = list.digest();
        let before = self.local_refs.replace(now);
        let moved = before.is_some_and(|before| Some(before) != self.local_refs);
        let Some(sync) = &mut self.sync else { return };
        if moved {
            sync.refs_moved_at = Some(self.elapsed);
        }
        if proven {
            sync.proven_at.get_or_insert(self.elapsed);
        }
    }
}
