//! What is to be told of a mirror: written with the state that it tells of, and left to whoever sends.

use std::sync::Arc;

use tokio::sync::Notify;

use super::coordinator::Coordinator;
use crate::domain::names::MirrorName;
use crate::domain::notice::{Kind, Notice, edges};
use crate::domain::run::RunId;
use crate::domain::status::Facts;

/// Wakes whoever sends notifications; `None`: nobody does, and nothing is written for them.
pub(super) type Teller = Option<Arc<Notify>>;

impl Coordinator {
    /// What there is to tell of a mirror of which `before` was known, and `after` is, since a run or an observation.
    pub(super) fn to_tell(
        &self,
        mirror: &MirrorName,
        before: &Facts,
        after: &Facts,
        run: Option<RunId>,
    ) -> Vec<Notice> {
        if self.teller.is_none() {
            return Vec::new();
        }
        let now = self.around.clock.now();
        let slot = &self.mirrors[self.index[mirror]];
        let (spec, follows) = (&slot.mirror.spec, slot.status.mode.follows());
        let notice = |kind| Notice::new(self.ids.next(now).0, kind, spec, after, run, now);
        // one that is to stand still drifts by intent
        let called_for = |kind: &Kind| follows || !matches!(kind, Kind::Behind | Kind::Fresh);
        edges(before, after).into_iter().filter(called_for).map(notice).collect()
    }

    /// Wakes whoever sends, once what is to be told is written.
    pub(super) fn tell(&self) {
        if let Some(teller) = &self.teller {
            teller.notify_one();
        }
    }
}
