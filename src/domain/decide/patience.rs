//! How long is waited, and what is not done before a pause is over.
//!
//! Each pause ends in time for a last look before the run has to end, whatever was asked for. A Gitea that gives no usable
//! answer is waited for, unless it is certain that it is none. And Gitea is not sent to an upstream whose host has asked to
//! be left alone: forges limit an address or an account, whichever program asks.

use std::time::Duration;

use super::legacy::UNDOING;
use super::{Action, Awaited, Next, Table, Wait, backoff, fail, failing};
use crate::domain::answer::{Trouble, UpstreamAnswer};
use crate::domain::observation::Rest;
use crate::domain::problem::Problem;
use crate::domain::run::{End, Phase};

/// What is kept of a run's time for a last look.
const LAST_LOOK: Duration = Duration::from_secs(2);

/// The longest pause that Gitea, or a proxy before it, can ask for.
const LONGEST_ASKED: Duration = Duration::from_mins(5);

/// How long what is certainly not Gitea has to be all that was seen: an address is served by another program for a while
/// when Gitea is installed or replaced.
const CERTAIN_AFTER: Duration = Duration::from_mins(2);

impl Table<'_> {
    /// What is left of the time that the run, or its undoing, may take.
    fn left(&self) -> Duration {
        match &self.history.giving_up {
            Some(giving_up) => UNDOING.saturating_sub(self.history.since(giving_up.since)),
            None => self.policy.run.saturating_sub(self.history.elapsed),
        }
    }

    /// The longest pause after which a last look is in time.
    pub(super) fn until_a_last_look(&self) -> Duration {
        self.left().saturating_sub(LAST_LOOK)
    }

    /// The same, and a pause no longer than what is left of the run.
    pub(super) fn in_time(&self, next: Next) -> Next {
        match next {
            Next::Wait(wait) => Next::Wait(self.wait_in_time(wait)),
            Next::Look(_) | Next::Act(_) | Next::Remember(_) | Next::GiveUp(_) | Next::End(_) => next,
        }
    }

    pub(super) fn wait_in_time(&self, wait: Wait) -> Wait {
        let before_the_last = self.until_a_last_look();
        let most = if before_the_last > Duration::ZERO { before_the_last } else { self.left() };
        if wait.pause <= most { wait } else { Wait { pause: most, least: most, ..wait } }
    }

    /// How many looks in a row had trouble with Gitea.
    pub(super) fn troubles(&self) -> u32 {
        self.history.streak.as_ref().map_or(1, |streak| streak.count)
    }

    /// Gitea gives no usable answer, for the `count`th time in a row: try again, slower and slower, until the run's
    /// deadline, or until it is certain that this is not Gitea.
    pub(super) fn wait_for_gitea(&self, trouble: &Trouble, count: u32) -> Next {
        match self.waiting_for_gitea(trouble, count) {
            Ok(wait) => Next::Wait(wait),
            Err(problem) => fail(*problem),
        }
    }

    /// The same, for a run or a mode.
    pub(super) fn waiting_for_gitea(&self, trouble: &Trouble, count: u32) -> Result<Wait, Box<Problem>> {
        let unbroken = self.history.streak.as_ref().map_or(Duration::ZERO, |streak| self.history.since(streak.since));
        if trouble.kind.is_certain() && !self.history.gitea_answered && unbroken >= CERTAIN_AFTER {
            return Err(Box::new(failing::gitea_certainly(trouble, unbroken)));
        }
        let asked = trouble.retry_after.unwrap_or_default().min(LONGEST_ASKED);
        let pause = backoff::exponential(count).max(asked);
        let because = Some(Box::new(failing::gitea_trouble(trouble)));
        Ok(Wait { phase: Phase::Connecting, pause, least: asked.max(pause / 2), awaited: Awaited::Gitea, because })
    }

    /// The same, unless Gitea would be sent to an upstream that is to be left alone: that is waited for, or, where the
    /// pause outlasts the run, ends it.
    pub(super) fn respectful(&self, next: Next) -> Next {
        let (Some(rest), Next::Act(action)) = (self.history.upstream_rest, &next) else { return next };
        if !leads_to_a_fetch(action) {
            return next;
        }
        let because = failing::upstream_rests(self.spec.upstream.host(), rest.until);
        if rest.left <= self.until_a_last_look() {
            let Rest { left, .. } = rest;
            let (awaited, because) = (Awaited::Upstream, Some(Box::new(because)));
            // not all who wait for it at once
            return Next::Wait(Wait {
                phase: Phase::Inspecting,
                pause: left + left / 10,
                least: left,
                awaited,
                because,
            });
        }
        let unread = matches!(self.seen.upstream.as_ref().map(|seen| &seen.value), Some(UpstreamAnswer::Trouble(_)));
        // a mirror that is there, and healthy, is not synced for now
        if *action == Action::Sync && unread {
            return Next::End(Box::new(End::Unverified { problem: because }));
        }
        fail(because)
    }
}

/// Whether Gitea asks upstream for it, now or for what it is done for.
fn leads_to_a_fetch(action: &Action) -> bool {
    match action {
        Action::CreateOrganisation
        | Action::Migrate { .. }
        | Action::Delete(_)
        | Action::RenameAside(_)
        | Action::Sync => true,
        Action::GiveBack(_) | Action::Patch { .. } | Action::SetDefaultBranch(_) => false,
    }
}
