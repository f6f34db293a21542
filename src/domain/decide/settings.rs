//! Refs are right: now the default branch, the interval and pruning, each read back, and then the proof.
//!
//! A sync that was running when a setting was changed writes the old one back when it ends. So a change counts only
//! once it was seen twice, some seconds apart, with `mirror_updated` unmoved in between. Each PATCH also postpones
//! Gitea's own next sync by an interval: nothing is sent that is not needed.

use std::time::Duration;

use jiff::Timestamp;

use super::mirror::again_after;
use super::{Action, FEW_TRIES, Look, Next, Table, backoff, fail, failing, interval_is_right, wait};
use crate::domain::answer::{AncestryAnswer, PatchAnswer, Repository, RepositoryAnswer};
use crate::domain::aside::STAYS;
use crate::domain::evidence::{Evidence, NotProven, PruneCertainty, PruneMemory, Seen};
use crate::domain::observation::{Lost, Patch};
use crate::domain::problem::{Code, Problem};
use crate::domain::refs::{Prune, RefList};
use crate::domain::run::{End, Notes, Outcome, Phase};

/// What a first proof cannot say: the guard holds upstream's list against the one before.
const NO_EARLIER_PROOF: &str = "no earlier proof of this mirror is known here: whether upstream's list has shrunk before this run \
                                could not be told, and is watched from now on";

/// How long a setting has to stand, with no sync ending, before it counts.
pub(super) const SETTLED_AFTER: Duration = Duration::from_secs(3);

/// How often settings are sent in one run: each time after a sync has ended in between, so Gitea is busy by then.
pub(super) const PATCHES: u32 = 6;

/// Gitea answers a PATCH of the default branch with 500 while another change of the repository is queued.
pub(super) const AFTER_A_500: Duration = Duration::from_secs(1);

impl Table<'_> {
    /// Everything that is left to do once the refs are as they must be.
    pub(super) fn settle(
        &self,
        repository: &Repository,
        date: Timestamp,
        upstream: &Seen<&RefList>,
        local: &Seen<&RefList>,
    ) -> Next {
        if let Some(next) = self.default_branch(repository, date, upstream.value, local.value) {
            return next;
        }
        if let Some(next) = self.settings(repository) {
            return next;
        }
        self.prove(upstream, local)
    }

    /// The default branch follows upstream's `HEAD`: Gitea takes that over once, when it migrates, and never again.
    ///
    /// Gitea looks branches up in a table of its own. Killed in the middle of a sync, it has refs that are not in there:
    /// it answers such a PATCH with 200 and does nothing, until the next sync that ends well has written the table.
    pub(super) fn default_branch(
        &self,
        repository: &Repository,
        date: Timestamp,
        upstream: &RefList,
        local: &RefList,
    ) -> Option<Next> {
        let head = upstream.head().filter(|head| local.commit_of(head).is_some())?;
        if head.as_str() == repository.default_branch {
            return None;
        }
        let Some(last) = &self.history.branch_patch else {
            return Some(Next::Act(Action::SetDefaultBranch(head.clone())));
        };
        let since = self.history.elapsed.saturating_sub(last.at);
        if since >= AFTER_A_500 && self.history.branch_patches >= FEW_TRIES {
            let (name, seen) = (self.spec.full_name(), &repository.default_branch);
            let refused = || {
                fail(Problem::new(
                    Code::DefaultBranchRefused,
                    format!("the default branch of {name} stays {seen}, and upstream's is {head}"),
                ))
            };
            if self.history.branch_patches >= 2 * FEW_TRIES {
                return Some(refused());
            }
            if self.history.branch_patches == FEW_TRIES {
                match self.sync_since(last.at, repository, date, local) {
                    Ok(true) => {}
                    Ok(false) => return Some(refused()),
                    Err(next) => return Some(next),
                }
            }
        }
        if since < AFTER_A_500 {
            return Some(wait(Phase::Patching, AFTER_A_500.saturating_sub(since)));
        }
        Some(Next::Act(Action::SetDefaultBranch(head.clone())))
    }

    /// Whether a sync that was asked for after `at` has ended; `false`: it does not end. Asks for one.
    fn sync_since(
        &self,
        at: Duration,
        repository: &Repository,
        date: Timestamp,
        local: &RefList,
    ) -> Result<bool, Next> {
        let Some(sync) = self.history.sync.as_ref().filter(|sync| sync.at >= at) else {
            return Err(self.ask_for_a_sync(repository, date, None, local));
        };
        if sync.moved_at.is_some() {
            return Ok(true);
        }
        if let Some(next) = self.refused_sync(sync) {
            return Err(next);
        }
        let waited = self.history.since(sync.at);
        if again_after(&sync.answer).is_some_and(|pause| waited >= pause) {
            return Err(self.ask_for_a_sync(repository, date, None, local));
        }
        if waited >= self.policy.sync {
            return Ok(false);
        }
        let pause = backoff::polling(waited, Duration::from_millis(200), Duration::from_secs(5));
        Err(wait(Phase::Syncing, pause))
    }

    /// Interval and pruning: sent when needed, read back until they stand. `None`: they do.
    pub(super) fn settings(&self, repository: &Repository) -> Option<Next> {
        let due = !interval_is_right(self.spec, repository) || self.history.pruning_is_due(repository, self.spec.prune);
        let Some(patch) = &self.history.patch else {
            return due.then(|| self.send_settings(repository));
        };
        if due {
            return Some(self.send_settings(repository));
        }
        if self.history.made(repository) {
            return self.remember_as_known(repository);
        }
        let since = self.history.elapsed.saturating_sub(patch.at);
        if since < SETTLED_AFTER {
            return Some(wait(Phase::Patching, SETTLED_AFTER.saturating_sub(since)));
        }
        if patch.settles_pruning { self.remember_as_known(repository) } else { None }
    }

    /// Sends interval and pruning, or takes up the answer of the time before.
    pub(super) fn send_settings(&self, repository: &Repository) -> Next {
        if let Some(patch) = &self.history.patch {
            let unmoved = patch.mirror_updated == repository.mirror_updated;
            let just_done = patch.answer == PatchAnswer::Done && unmoved && interval_is_right(self.spec, repository);
            if just_done && self.history.pruning_is_due(repository, self.spec.prune) {
                let certainty = if self.history.made(repository) {
                    PruneCertainty::Known
                } else {
                    PruneCertainty::Sent { mirror_updated: patch.mirror_updated }
                };
                return self.remember(repository, certainty);
            }
            if self.history.patches >= PATCHES {
                let name = self.spec.full_name();
                return fail(match &patch.answer {
                    PatchAnswer::Done => Problem::new(
                        Code::SettingsReverted,
                        format!("the settings of {name} were sent {PATCHES} times and did not stay"),
                    ),
                    PatchAnswer::Unknown(trouble) => failing::gitea_trouble(trouble),
                    PatchAnswer::ServerError
                    | PatchAnswer::NotAMirror
                    | PatchAnswer::Gone
                    | PatchAnswer::BelowMinimum { .. }
                    | PatchAnswer::Invalid { .. }
                    | PatchAnswer::Refused(_) => Problem::new(
                        Code::GiteaError,
                        format!("Gitea answered {PATCHES} changes of {name}'s settings with errors"),
                    ),
                });
            }
            let since = self.history.elapsed.saturating_sub(patch.at);
            if (patch.answer != PatchAnswer::Done || unmoved) && since < AFTER_A_500 {
                return wait(Phase::Patching, AFTER_A_500.saturating_sub(since));
            }
        }
        Next::Act(Action::Patch { interval: self.spec.interval, prune: self.spec.prune })
    }

    /// A PATCH that was refused for good ends the run, whatever else is seen.
    pub(super) fn refused_settings(&self, repository: &Repository) -> Option<Next> {
        // an interval below Gitea's minimum is refused together with the pruning beside it: that goes with the interval
        // that is there, before the run ends
        if let (Some(Patch { answer: PatchAnswer::BelowMinimum { .. }, .. }), Some(interval)) =
            (&self.history.patch, repository.interval)
            && self.history.made(repository)
            && self.history.pruning_is_due(repository, self.spec.prune)
            && self.history.patches < FEW_TRIES
        {
            return Some(Next::Act(Action::Patch { interval, prune: self.spec.prune }));
        }
        let answers = [
            self.history.patch.as_ref().map(|patch| &patch.answer),
            self.history.branch_patch.as_ref().map(|patch| &patch.answer),
        ];
        let interval = self.spec.interval.to_string();
        answers.into_iter().flatten().find_map(|answer| failing::patch(answer, &interval)).map(fail)
    }

    fn is_known(&self, repository: &Repository) -> bool {
        self.history.pruning_of(repository, self.spec.prune) == Some(&PruneCertainty::Known)
    }

    fn remember_as_known(&self, repository: &Repository) -> Option<Next> {
        (!self.is_known(repository)).then(|| self.remember(repository, PruneCertainty::Known))
    }

    fn remember(&self, repository: &Repository, certainty: PruneCertainty) -> Next {
        Next::Remember(PruneMemory { repository: repository.id, prune: self.spec.prune, certainty })
    }

    fn prove(&self, upstream: &Seen<&RefList>, local: &Seen<&RefList>) -> Next {
        if let Some(next) = self.until_shown() {
            return next;
        }
        let rewritten = match self.rewritten(local.value) {
            Ok(rewritten) => rewritten,
            Err(next) => return next,
        };
        if self.history.aside.is_some() && self.seen.aside.is_none() {
            return Next::Look(Look::Aside);
        }
        match Evidence::prove(self.spec, upstream, local, rewritten) {
            Ok(evidence) => {
                let (outcome, notes) = (self.outcome(), self.notes());
                Next::End(Box::new(End::Succeeded { outcome, evidence, notes }))
            }
            Err(NotProven::UpstreamEmpty | NotProven::BranchMissing | NotProven::Differing(_)) => {
                fail(Problem::new(Code::Internal, "two lists that compare equal do not prove it; nothing is claimed"))
            }
        }
    }

    /// Whether a sync of this run replaced the tracked branch's history: a ref list cannot tell, Gitea can.
    fn rewritten(&self, local: &RefList) -> Result<Option<bool>, Next> {
        let (Some(before), Some(now)) = (&self.history.tracked_before, local.commit_of(&self.spec.branch)) else {
            return Ok(Some(false));
        };
        if *before == now {
            return Ok(Some(false));
        }
        match self.history.ancestry.as_ref().filter(|ancestry| ancestry.to == now) {
            None => Err(Next::Look(Look::Ancestry)),
            Some(ancestry) => match &ancestry.answer {
                AncestryAnswer::FastForward => Ok(Some(false)),
                AncestryAnswer::Rewritten => Ok(Some(true)),
                AncestryAnswer::Trouble(_) if ancestry.tries < FEW_TRIES => Err(Next::Look(Look::Ancestry)),
                AncestryAnswer::Unknown | AncestryAnswer::Trouble(_) => Ok(None),
            },
        }
    }

    /// What else there is to tell of the success.
    fn notes(&self) -> Notes {
        let mut notes = Notes::default();
        if let Some(aside) = &self.history.aside {
            let place = format!("{}/{}", self.spec.owner, aside.name);
            if self.seen_aside(aside) == Some(true) {
                notes.remarks.push(format!("what stood in its place is {place} now: {STAYS}"));
            } else {
                notes.remarks.push(format!("what stood in its place was renamed to {place}, where we do not see it"));
            }
            notes.kept_aside = Some(place);
        }
        if let Some(Lost { here, proven }) = self.history.lost {
            notes
                .remarks
                .push(format!("Gitea had {here} refs where {proven} had been proven: a sync has restored them"));
        }
        let found = self.present().is_some_and(|repository| !self.history.made(repository));
        if found && self.spec.prune == Prune::Off && self.history.proven_branches.is_none() {
            notes.remarks.push(NO_EARLIER_PROOF.to_owned());
        }
        if self.history.refs_by_api {
            notes.remarks.push("Gitea serves no git over HTTP: its refs were read through its API".to_owned());
        }
        notes
    }

    fn present(&self) -> Option<&Repository> {
        match &self.seen.repository.as_ref()?.answer {
            RepositoryAnswer::Present(repository) => Some(repository),
            RepositoryAnswer::Absent | RepositoryAnswer::Refused(_) | RepositoryAnswer::Trouble(_) => None,
        }
    }

    /// What this run did, the first that applies.
    fn outcome(&self) -> Outcome {
        let made = self.present().is_some_and(|repository| self.history.made(repository));
        if made && self.history.aside.is_some() {
            Outcome::Replaced
        } else if made && self.history.deletes > 0 {
            Outcome::Repaired
        } else if made {
            Outcome::Created
        } else if self.history.may_have_patched {
            Outcome::Updated
        } else if self.history.syncs > 0 {
            Outcome::Synced
        } else {
            Outcome::Noop
        }
    }
}
