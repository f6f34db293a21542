//! The two lists of refs of one mirror: read within a reservation of the budget, kept while nobody else waits for it, and
//! given up.
//!
//! Owns how a driver and the budget get on: no list is held without a reservation, and whoever waits for one holds none.

use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep};

use super::budget::Reservation;
use super::driver::{Driver, TOLD_EVERY, Work};
use super::early_answers::{EarlyAnswers, UpstreamRead};
use crate::domain::answer::{LocalRefsAnswer, Oversize, UpstreamAnswer};
use crate::domain::decide::{EarlyReads, early_owner, early_reads};
use crate::domain::evidence::Seen;
use crate::domain::refs::{ListLimits, RefList};

impl Work {
    /// Forgets both lists, and gives the memory back. They are read again when they are needed.
    pub(super) fn give_up_lists(&mut self) {
        self.give_up_early_answers();
        self.observation.upstream = None;
        self.observation.local_refs = None;
        self.reserved = None;
    }

    /// Gives up what is being read and was not asked for. That upstream wants to be left alone stays known.
    pub(super) fn give_up_early_answers(&mut self) {
        if let Some(UpstreamRead { seen, rests_until: Some(until) }) = std::mem::take(&mut self.early).into_upstream() {
            self.resting = Some((until, seen.value));
        }
    }

    /// Gives memory back in which no list is held or read.
    pub(super) fn free_unused_memory(&mut self) {
        let (upstream, local) = self.lists();
        if upstream.is_none() && local.is_none() && self.early.holds_no_list() {
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
        let Some(seen) = self.upstream(work).await else { return };
        work.seen.upstream(&self.spec, &seen.value);
        work.observation.upstream = Some(seen);
        Self::saw_both(work);
        self.fit(work);
    }

    /// Upstream's answer; the one before, for as long as that asks to be left alone. `None`: it is to be read again.
    async fn upstream(&self, work: &mut Work) -> Option<Seen<UpstreamAnswer>> {
        if let Some((_, answer)) = work.resting.as_ref().filter(|(until, _)| *until > Instant::now()) {
            return Some(Seen { at: self.around.clock.now(), value: answer.clone() });
        }
        let UpstreamRead { seen, rests_until } = if let Some(read) = work.early.upstream().await {
            read
        } else {
            let limits = self.reserve(work).await;
            work.early.beside(self.upstream_reading(limits)).await
        };
        if matches!(seen.value, UpstreamAnswer::Oversize(Oversize::List(_))) && self.reads_again(work) {
            return None;
        }
        work.tick();
        work.resting = rests_until.map(|until| (until, seen.value.clone()));
        work.history.saw_upstream(&seen.value);
        Some(seen)
    }

    /// Reads Gitea's refs over git, or through its API.
    pub(super) async fn read_local_refs(&self, by_api: bool, work: &mut Work) {
        work.observation.local_refs = None;
        let early = if !by_api && work.early.reads.local_refs_count(&self.spec, &work.observation) {
            work.early.local_refs().await
        } else {
            work.give_up_early_answers();
            None
        };
        let seen = if let Some(seen) = early {
            seen
        } else {
            let limits = self.reserve(work).await;
            self.local_refs_reading(by_api, limits).await
        };
        if matches!(seen.value, LocalRefsAnswer::Oversize(Oversize::List(_))) && self.reads_again(work) {
            return;
        }
        work.tick();
        work.history.refs_by_api = by_api;
        self.saw_local_refs(seen, work);
        self.fit(work);
    }

    /// A reading of upstream, dated when its answer arrives.
    fn upstream_reading(&self, limits: ListLimits) -> BoxFuture<'static, UpstreamRead> {
        let (around, spec) = (self.around.clone(), Arc::clone(&self.spec));
        let credential = Arc::clone(&self.upstream_credential);
        let reading = async move {
            let value = around.lister.upstream(&spec.upstream, &*credential, limits).await;
            let rests_until = around.origins.note(spec.upstream.origin(), &value);
            UpstreamRead { seen: Seen { at: around.clock.now(), value }, rests_until }
        };
        reading.boxed()
    }

    /// The same of Gitea's refs.
    fn local_refs_reading(&self, by_api: bool, limits: ListLimits) -> BoxFuture<'static, Seen<LocalRefsAnswer>> {
        let (around, spec) = (self.around.clone(), Arc::clone(&self.spec));
        let reading = async move {
            let (gitea, lister) = (&around.gitea, &around.lister);
            let value = if by_api {
                gitea.refs(&spec, limits).await
            } else {
                lister.gitea(gitea.url(), &spec.owner, &spec.repo, gitea.credential(), limits).await
            };
            Seen { at: around.clock.now(), value }
        };
        reading.boxed()
    }

    /// Begins to read the lists that may be read while the repository is looked at. That look never waits for memory: without
    /// it, lists are read after the answer.
    pub(super) fn begin_early_lists(&self, work: &mut Work) {
        let reads = early_reads(work.purpose, &work.observation, &work.history);
        if reads == EarlyReads::default() {
            return;
        }
        if work.reserved.is_none() {
            work.reserved = self.around.budget.reserve_at_once(&self.spec.name, work.needs_all_memory);
        }
        let Some(bytes) = work.reserved.as_ref().map(Reservation::share) else { return };
        let limits = ListLimits { time: self.around.policy.refs_time, bytes };
        work.early =
            EarlyAnswers::begin(reads, || self.upstream_reading(limits), || self.local_refs_reading(false, limits));
    }

    /// Begins to look at the owner, where that may be done beside the next look.
    pub(super) fn begin_early_owner(&self, work: &mut Work) {
        if early_owner(&work.observation, &work.history) {
            let (gitea, spec) = (self.around.gitea.clone(), Arc::clone(&self.spec));
            work.early.begin_owner(async move { gitea.owner(&spec.owner).await }.boxed());
        }
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
