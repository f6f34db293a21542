//! A mirror that is there: bring its refs to where upstream's are, and know it from the refs themselves.
//!
//! Gitea's 200 to a sync means *queued*; `mirror_updated` moves when a sync ends, well or not. So the proof is in the
//! refs, the end is that move, and one without the other is told apart here.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Action, FEW_TRIES, Look, Next, Table, backoff, fail, failing, interval_is_right, list, wait};
use crate::domain::answer::{LocalRefsAnswer, Repository, SyncAnswer, TroubleKind};
use crate::domain::duration::GoDuration;
use crate::domain::evidence::{PruneCertainty, Seen};
use crate::domain::mode;
use crate::domain::observation::Sync;
use crate::domain::problem::{Code, Problem};
use crate::domain::refs::{Comparison, Prune, Ref, RefList, compare, unequal};
use crate::domain::run::{End, Phase};

/// Refs proven and no move of `mirror_updated` for this long is an end, too: a Gitea that was killed in mid-sync has
/// the refs and never moves it.
const PROVEN_WITHOUT_A_MOVE: Duration = Duration::from_secs(5);

/// How many syncs in a row may end without the refs, upstream standing still, before they count as failing.
const BARREN_SYNCS: u32 = 2;

/// How far `mirror_updated` may be ahead of Gitea's `Date` and be waited for.
const SECONDS_AHEAD: SignedDuration = SignedDuration::from_secs(5);

/// A sync whose answer was lost is asked for again after this: the queue is unique, so that costs nothing.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// A sync that Gitea refused, though it shows a mirror, is asked for again after this.
const ASK_A_REFUSED_ONE_AGAIN: Duration = Duration::from_secs(10);

/// How often Gitea's git may fail on a healthy mirror before that is what is wrong.
const GIT_TRIES: u32 = 6;

impl Table<'_> {
    pub(super) fn mirror(&self, repository: &Repository, interval: GoDuration, date: Timestamp) -> Next {
        let name = self.spec.full_name();
        if repository.archived {
            return fail(failing::archived(&name));
        }
        if interval == GoDuration::ZERO && !self.stopped_by_us(repository) {
            return fail(mode::found_stopped(&self.spec.name));
        }
        if let Some(next) = self.refused_settings(repository) {
            return next;
        }
        // a mirror that we made prunes until it is told not to: that comes before anything that takes time
        if self.history.made(repository) && self.history.pruning_of(repository, self.spec.prune).is_none() {
            return self.send_settings(repository);
        }
        let upstream = match self.upstream() {
            Ok(upstream) => upstream.and_then(list),
            Err(next) => return next,
        };
        let local = match self.local_refs() {
            Ok(local) => local,
            Err(next) => return next,
        };
        match upstream {
            Some(upstream) => self.compare(repository, date, &upstream, &local),
            None => self.alone(repository, date, &local),
        }
    }

    /// An interval of `0s` that we have set, once, is set back by this run at the latest: the mirror is to follow again,
    /// and that was not carried out yet; or a sync that was running when it was has written the old interval back. That
    /// one ended within the time that a sync may take, and Gitea has asked for none since.
    pub(super) fn stopped_by_us(&self, repository: &Repository) -> bool {
        let Some(change) = &self.history.mode_change else { return false };
        let limit = SignedDuration::try_from(self.policy.sync).unwrap_or(SignedDuration::MAX);
        let since = self.history.settings_sent.map(|sent| repository.mirror_updated.duration_since(sent));
        change.applied_at.is_none() || since.is_some_and(|since| since.is_positive() && since <= limit)
    }

    pub(super) fn local_refs(&self) -> Result<Seen<&RefList>, Next> {
        let Some(seen) = &self.seen.local_refs else {
            return Err(Next::Look(Look::LocalRefs));
        };
        let count = self.history.git_troubles;
        let broken = |what: &str| {
            if count >= GIT_TRIES {
                fail(Problem::new(
                    Code::GiteaGitBroken,
                    format!("Gitea shows {} as a mirror, and {what}", self.spec.full_name()),
                ))
            } else {
                wait(Phase::Connecting, backoff::exponential(count))
            }
        };
        match &seen.value {
            LocalRefsAnswer::List(list) => Ok(Seen { at: seen.at, value: list }),
            LocalRefsAnswer::Oversize(oversize) => Err(fail(failing::oversize_in_gitea(oversize))),
            LocalRefsAnswer::Trouble(trouble) if trouble.kind == TroubleKind::ServerError => {
                Err(broken("its git answers with errors"))
            }
            LocalRefsAnswer::FolderGone => Err(broken("its git finds no folder")),
            LocalRefsAnswer::Gone => Err(broken("its git knows no such repository")),
            LocalRefsAnswer::Trouble(trouble) => Err(self.wait_for_gitea(trouble, count)),
            LocalRefsAnswer::Refused(refusal) => Err(fail(failing::refused(refusal))),
            LocalRefsAnswer::HttpGitDisabled if self.history.refs_by_api => Err(fail(Problem::new(
                Code::HttpGitDisabled,
                "Gitea answers git's request with 403, and its API does not tell the refs either",
            ))),
            LocalRefsAnswer::HttpGitDisabled => Err(Next::Look(Look::LocalRefsByApi)),
        }
    }

    /// Both lists are here.
    fn compare(
        &self,
        repository: &Repository,
        date: Timestamp,
        upstream: &Seen<&RefList>,
        local: &Seen<&RefList>,
    ) -> Next {
        let comparison = compare(upstream.value, local.value, self.spec.prune);
        if comparison.differing > 0 {
            if let Some(next) = self.until_shown().filter(|_| self.gitea_is_ahead(&comparison)) {
                return next;
            }
            return match &self.history.sync {
                None => match self.would_be_pruned(upstream.value, local.value) {
                    Some(problem) => fail(problem),
                    None => self.ask_for_a_sync(repository, date, Some(upstream.value), local.value),
                },
                Some(sync) => self.not_there_yet(sync, upstream, &comparison, repository, date, local.value),
            };
        }
        if let Some(next) = self.history.sync.as_ref().and_then(|sync| self.until_it_ends(sync)) {
            return next;
        }
        self.settle(repository, date, upstream, local)
    }

    /// With pruning, a sync deletes what upstream does not show: more than half of Gitea's branches is the guard's
    /// matter, whatever the journal knows.
    fn would_be_pruned(&self, upstream: &RefList, local: &RefList) -> Option<Problem> {
        if self.spec.prune == Prune::Off {
            return None;
        }
        let branches = local.branches();
        let only_here = unequal(upstream, local).filter(|unequal| unequal.upstream.is_none());
        let gone = only_here.filter_map(|unequal| unequal.gitea).filter(Ref::is_branch).count();
        if gone <= branches / 2 {
            return None;
        }
        let detail =
            format!("upstream lacks {gone} of the {branches} branches in Gitea, and pruning would delete them");
        self.unless_accepted(upstream, &detail)
    }

    /// A sync is needed: with everything before it that it needs.
    pub(super) fn ask_for_a_sync(
        &self,
        repository: &Repository,
        date: Timestamp,
        upstream: Option<&RefList>,
        local: &RefList,
    ) -> Next {
        // a sync with pruning on deletes what upstream does not show at that moment; and one with it off deletes nothing,
        // and so never brings equality where a deletion is what is missing
        if self.history.pruning_is_due(repository, self.spec.prune) {
            return self.send_settings(repository);
        }
        if let Some(problem) = upstream.and_then(|upstream| self.blocked(upstream, local)) {
            return fail(problem);
        }
        // its end is a move of `mirror_updated`, which counts in whole seconds: not in the second of the last move. A
        // clock that was set back is not waited for: then any other second is a move as well
        let ahead = repository.mirror_updated.duration_since(date);
        if !ahead.is_negative() && ahead <= SECONDS_AHEAD {
            return wait(Phase::Syncing, Duration::from_secs(1));
        }
        Next::Act(Action::Sync)
    }

    /// Refs differ though a sync was asked for.
    fn not_there_yet(
        &self,
        sync: &Sync,
        upstream: &Seen<&RefList>,
        comparison: &Comparison,
        repository: &Repository,
        date: Timestamp,
        local: &RefList,
    ) -> Next {
        if let Some(next) = self.refused_sync(sync) {
            return next;
        }
        let waited = self.history.since(sync.at);
        if sync.moved_at.is_none() {
            if again_after(&sync.answer).is_some_and(|pause| waited >= pause) {
                return self.ask_for_a_sync(repository, date, Some(upstream.value), local);
            }
            // the queue is unique, so that asking costs nothing where it was not lost
            if sync.gitea_was_away {
                return self.ask_for_a_sync(repository, date, Some(upstream.value), local);
            }
            let idle = self.history.since(sync.refs_moved_at.unwrap_or(sync.at));
            if idle >= self.policy.sync {
                return fail(self.stuck(idle));
            }
            return wait(Phase::Syncing, backoff::polling(waited, Duration::from_millis(100), Duration::from_secs(5)));
        }
        // where Gitea tells when a sync ended well, one failure is enough
        if sync.failed {
            return fail(self.failing_syncs("a sync", comparison, upstream.value, local));
        }
        // it ended without the refs: did upstream move meanwhile, or did it fail?
        if !sync.upstream_read_since {
            return Next::Look(Look::Upstream);
        }
        let moved_meanwhile = sync.upstream.as_ref() != Some(&upstream.value.digest());
        if !moved_meanwhile && self.gitea_may_lag(comparison) {
            let next = self.before_the_next_sync(sync);
            return next.unwrap_or_else(|| self.ask_for_a_sync(repository, date, Some(upstream.value), local));
        }
        if !moved_meanwhile && self.history.barren_syncs + 1 >= BARREN_SYNCS {
            return fail(self.failing_syncs(&format!("{BARREN_SYNCS} syncs"), comparison, upstream.value, local));
        }
        self.ask_for_a_sync(repository, date, Some(upstream.value), local)
    }

    /// Gitea does not say why a sync failed. What can be seen from the refs is told first; of what is left, the credential
    /// that Gitea keeps is by far the most frequent where there is one.
    fn failing_syncs(&self, what: &str, comparison: &Comparison, upstream: &RefList, local: &RefList) -> Problem {
        if let Some(problem) = self.blocked(upstream, local) {
            return problem;
        }
        let first = comparison.first.first().map(|differing| differing.name.to_string()).unwrap_or_default();
        let detail = format!(
            "{what} ended and {} refs still differ, {first} among them; upstream did not move meanwhile",
            comparison.differing
        );
        if self.history.private_upstream {
            failing::credential_stale(
                self.history.server,
                &format!("{detail}, and takes our own credential: most often Gitea's own no longer works"),
            )
        } else {
            Problem::new(Code::SyncFailing, detail)
        }
    }

    /// Refs are right; wait until the sync that brought them has ended, since it writes its old settings back then.
    fn until_it_ends(&self, sync: &Sync) -> Option<Next> {
        let proven_for = self.history.elapsed.saturating_sub(sync.proven_at.unwrap_or(self.history.elapsed));
        (sync.moved_at.is_none() && proven_for < PROVEN_WITHOUT_A_MOVE).then(|| {
            wait(Phase::Verifying, backoff::polling(proven_for, Duration::from_millis(100), Duration::from_secs(1)))
        })
    }

    pub(super) fn refused_sync(&self, sync: &Sync) -> Option<Next> {
        if let Some(problem) = failing::sync(&sync.answer, &self.spec.full_name()) {
            return Some(fail(problem));
        }
        let waited = self.history.since(sync.at);
        let pause = again_after(&sync.answer).filter(|_| sync.moved_at.is_none() && sync.asks >= FEW_TRIES)?;
        (waited >= pause).then(|| {
            fail(match &sync.answer {
                SyncAnswer::Unknown(trouble) => failing::gitea_trouble(trouble),
                // the repository was looked at since and is a mirror: Gitea disagrees with itself
                SyncAnswer::NotAMirror
                | SyncAnswer::Gone
                | SyncAnswer::Queued
                | SyncAnswer::MirrorsDisabled
                | SyncAnswer::Archived
                | SyncAnswer::LimitReached { .. }
                | SyncAnswer::Refused(_) => {
                    let name = self.spec.full_name();
                    Problem::new(
                        Code::GiteaError,
                        format!("Gitea shows {name} as a mirror, and answers each sync as if it were none"),
                    )
                }
            })
        })
    }

    /// A ref of upstream that git cannot store beside one that stays: `a` against `a/b`. With pruning, git makes room.
    fn blocked(&self, upstream: &RefList, local: &RefList) -> Option<Problem> {
        if self.spec.prune == Prune::On {
            return None;
        }
        let mut blocked = None;
        for wanted in unequal(upstream, local).filter_map(|unequal| unequal.upstream) {
            match local.blocking(wanted.bytes()) {
                Some(other) => {
                    blocked.get_or_insert((wanted, other));
                }
                // another one that a sync can bring: that first
                None => return None,
            }
        }
        blocked.map(|(wanted, other)| {
            let (name, other) = (wanted.name(), other.name());
            Problem::new(
                Code::RefConflict,
                format!("upstream's {name} cannot be stored beside {other}, which only Gitea has"),
            )
        })
    }

    /// Upstream does not answer us: what can be done by Gitea alone, and no claim about it.
    fn alone(&self, repository: &Repository, date: Timestamp, local: &Seen<&RefList>) -> Next {
        let Some(because) = self.upstream_is_silent() else { return Next::Look(Look::Upstream) };
        if local.value.commit_of(&self.spec.branch).is_none() {
            let (name, branch) = (self.spec.full_name(), &self.spec.branch);
            return fail(because.after(&format!("{name} has no branch {branch}")));
        }
        let known_off = self.spec.prune == Prune::Off
            && self.history.pruning_of(repository, Prune::Off) == Some(&PruneCertainty::Known);
        match &self.history.sync {
            None if known_off && !self.history.made(repository) => {
                return self.ask_for_a_sync(repository, date, None, local.value);
            }
            Some(sync) => {
                if let Some(next) = self.refused_sync(sync) {
                    return next;
                }
                if known_off && sync.gitea_was_away && sync.moved_at.is_none() {
                    return self.ask_for_a_sync(repository, date, None, local.value);
                }
                let waited = self.history.since(sync.at);
                let taken = again_after(&sync.answer).is_none();
                let limit = if taken { self.policy.sync } else { ASK_AGAIN };
                if sync.moved_at.is_none() && waited < limit {
                    return wait(
                        Phase::Syncing,
                        backoff::polling(waited, Duration::from_millis(200), Duration::from_secs(5)),
                    );
                }
            }
            None => {}
        }
        // a mirror that we find prunes: to stop that is safe whatever upstream does, and the more so beside a silent one
        let prunes = self.spec.prune == Prune::Off && self.history.pruning_of(repository, Prune::Off).is_none();
        let patching = prunes || !interval_is_right(self.spec, repository) || self.history.patch.is_some();
        if let Some(next) = patching.then(|| self.settings(repository)).flatten() {
            return next;
        }
        Next::End(Box::new(End::Unverified { problem: because }))
    }

    fn stuck(&self, idle: Duration) -> Problem {
        let idle = GoDuration::new(Duration::from_secs(idle.as_secs()));
        Problem::new(
            Code::GiteaQueueStuck,
            format!(
                "Gitea took the sync of {}, its refs still differ, and neither they nor mirror_updated have moved for \
                 {idle}",
                self.spec.full_name()
            ),
        )
    }
}

/// When a sync is to be asked for again that Gitea did not take, or nobody knows; `None`: it is queued, or refused for
/// good.
pub(super) const fn again_after(answer: &SyncAnswer) -> Option<Duration> {
    match answer {
        SyncAnswer::Unknown(_) => Some(ASK_AGAIN),
        SyncAnswer::NotAMirror | SyncAnswer::Gone => Some(ASK_A_REFUSED_ONE_AGAIN),
        SyncAnswer::Queued
        | SyncAnswer::MirrorsDisabled
        | SyncAnswer::Archived
        | SyncAnswer::LimitReached { .. }
        | SyncAnswer::Refused(_) => None,
    }
}
