//! The two lists of refs of one mirror: read within a reservation of the budget, kept while nobody else waits for it, and
//! given up.
//!
//! Owns how a driver and the budget get on: no list is held without a reservation, and whoever waits for one holds none.

use std::pin::pin;

use tokio::time::{Instant, sleep};

use super::driver::{Driver, TOLD_EVERY, Work};
use crate::domain::answer::{LocalRefsAnswer, Oversize, UpstreamAnswer};
use crate::domain::evidence::Seen;
use crate::domain::refs::ListLimits;
use crate::domain::refs::RefList;

impl Work {
    /// Forgets both lists, and gives the memory back. They are read again when they are needed.
    pub(super) fn give_up_lists(&mut self) {
        self.observation.upstream = None;
        self.observation.local_refs = None;
        self.reserved = None;
    }

    /// Gives memory back in which no list is held.
    pub(super) fn free_unused_memory(&mut self) {
        let (upstream, local) = self.lists();
        if upstream.is_none() && local.is_none() {
            self.reserved = None;
        }
    }

    fn lists(&self) -> (Option<&RefList>, Option<&RefList>) {
        let upstream = self.observation.upstream.as_ref().and_then(|seen| seen.value.list());
        (upstream, self.observation.local_refs.as_ref().and_then(|seen| seen.value.list()))
    }
}

impl Driver {
    pub(super) async fn read_upstream(&self, work: &mut Work) {
        // a list is not held twice while it is read anew
        work.observation.upstream = None;
        let Some(answer) = self.upstream(work).await else { return };
        work.seen.upstream(&self.spec, &answer);
        work.observation.upstream = Some(Seen { at: self.around.clock.now(), value: answer });
        Self::saw_both(work);
        self.fit(work);
    }

    /// Upstream's answer; the one before, for as long as that asks to be left alone. `None`: it is to be read again.
    async fn upstream(&self, work: &mut Work) -> Option<UpstreamAnswer> {
        if let Some((_, answer)) = work.resting.as_ref().filter(|(until, _)| *until > Instant::now()) {
            return Some(answer.clone());
        }
        let limits = self.reserve(work).await;
        let answer = self.around.lister.upstream(&self.spec.upstream, &*self.upstream_credential, limits).await;
        if matches!(answer, UpstreamAnswer::Oversize(Oversize::List(_))) && self.reads_again(work) {
            return None;
        }
        work.tick();
        work.resting =
            self.around.origins.note(self.spec.upstream.origin(), &answer).map(|until| (until, answer.clone()));
        work.history.saw_upstream(&answer);
        Some(answer)
    }

    /// Reads Gitea's refs over git, or through its API.
    pub(super) async fn read_local_refs(&self, by_api: bool, work: &mut Work) {
        work.observation.local_refs = None;
        let limits = self.reserve(work).await;
        let (gitea, spec, lister) = (&self.around.gitea, &self.spec, &self.around.lister);
        let answer = if by_api {
            gitea.refs(spec, limits).await
        } else {
            lister.gitea(gitea.url(), &spec.owner, &spec.repo, gitea.credential(), limits).await
        };
        if matches!(answer, LocalRefsAnswer::Oversize(Oversize::List(_))) && self.reads_again(work) {
            return;
        }
        work.tick();
        work.history.refs_by_api = by_api;
        self.saw_local_refs(answer, work);
        self.fit(work);
    }

    /// What a list may take, once memory for both is reserved. Waiting for that is shown as what the run is at, and counts
    /// neither as upstream's silence nor as part of the time for reading.
    async fn reserve(&self, work: &mut Work) -> ListLimits {
        let time = self.around.policy.refs_time;
        if let Some(reserved) = &work.reserved {
            return ListLimits { time, bytes: reserved.share() };
        }
        let began = Instant::now();
        let mut reserving = pin!(self.around.budget.reserve(&self.spec.name, work.needs_all_memory));
        let reserved = loop {
            tokio::select! {
                reserved = &mut reserving => break reserved,
                () = sleep(TOLD_EVERY) => self.enter(work.looking, None, work).await,
            }
        };
        work.tick();
        work.history.waited_for_memory(began.elapsed());
        let bytes = reserved.share();
        work.reserved = Some(reserved);
        ListLimits { time, bytes }
    }

    /// A list did not fit. Unless it had all the memory that a list may have, both are given up, and read again in that.
    fn reads_again(&self, work: &mut Work) -> bool {
        let budget = &self.around.budget;
        let again = work.reserved.as_ref().is_some_and(|reserved| !budget.did_not_fit(&self.spec.name, reserved));
        if again {
            work.needs_all_memory = true;
            work.give_up_lists();
        }
        again
    }

    /// Gives back what two lists that are here do not need.
    fn fit(&self, work: &mut Work) {
        let (Some(upstream), Some(local)) = work.lists() else { return };
        let larger = upstream.bytes().max(local.bytes());
        if let Some(reserved) = &mut work.reserved {
            self.around.budget.fit(&self.spec.name, reserved, larger);
        }
    }
}
