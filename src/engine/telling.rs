//! What is to be told of a mirror: written with the state that it tells of, and left to whoever sends.

use std::sync::Arc;

use tokio::sync::Notify;

use super::coordinator::Coordinator;
use crate::domain::mode::found_stopped;
use crate::domain::names::MirrorName;
use crate::domain::notice::{Kind, Notice, edges};
use crate::domain::run::RunId;
use crate::domain::status::Facts;

/// Wakes whoever sends notifications; `None`: nobody does, and nothing is written for them.
pub(super) type Teller = Option<Arc<Notify>>;

impl Coordinator {
    /// What there is to tell of a mirror of which `before` was known, and now what its status says, since `run` or an
    /// observation; that it is told is noted there.
    pub(super) fn notices_of(&mut self, mirror: &MirrorName, before: &Facts, run: Option<RunId>) -> Vec<Notice> {
        if self.teller.is_none() {
            return Vec::new();
        }
        let now = self.around.clock.now();
        let slot = &mut self.mirrors[self.index[mirror]];
        let status = Arc::make_mut(&mut slot.status);
        let edges = edges(before, &mut status.facts, status.mode.follows(), run.is_some());
        let notice = |edge| Notice::new(self.ids.next(now).0, edge, &slot.mirror.spec, &status.facts, run, now);
        edges.into_iter().map(notice).collect()
    }

    /// Tells that a mirror stands still by the word of somebody in Gitea.
    pub(super) fn tell_that_it_was_stopped(&mut self, mirror: &MirrorName) {
        if self.teller.is_none() {
            return;
        }
        let (now, at) = (self.around.clock.now(), self.index[mirror]);
        let slot = &mut self.mirrors[at];
        let facts = &mut Arc::make_mut(&mut slot.status).facts;
        facts.alarm.stopped = true;
        let edge = (Kind::NeedsAttention, Some(found_stopped(mirror)));
        let notice = Notice::new(self.ids.next(now).0, edge, &slot.mirror.spec, facts, None, now);
        self.observing.unwritten(at);
        self.observing.keep_to_tell([notice]);
    }

    /// Wakes whoever sends, once what is to be told is written.
    pub(super) fn tell(&self) {
        if let Some(teller) = &self.teller {
            teller.notify_one();
        }
    }
}
