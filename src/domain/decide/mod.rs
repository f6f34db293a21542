//! The heart: what to do next, from what is asked for, what was seen and what was tried.
//!
//! [`decide`] is pure and total. It never acts on a remembered step: after a crash it is given what is there now, and
//! goes on from that. It may ask for a look, wait, act, have something remembered, or end; a success it can only end
//! with [`Evidence`](super::evidence::Evidence).
//!
//! Each file below holds one part of the table: a name that is free (`absent`), a migration that is not finished
//! (`placeholder`), a regular repository in the way (`legacy`), a rename of it that Gitea did not survive (`interrupted`), a
//! mirror that is there (`mirror`) and its settings (`settings`); `lag` waits for what a delivery names, `observe` concludes
//! from looks alone, `pivot` is the gate before what makes a mirror, `patience` bounds each pause, `early_reads` says what is
//! read while the repository is looked at, and `failing` words the problems. `carrying` decides for a mode what [`decide`] decides for a run.

mod absent;
mod carrying;
mod early_reads;
mod failing;
mod interrupted;
mod lag;
mod legacy;
mod mirror;
mod observe;
mod patience;
mod pivot;
mod placeholder;
mod settings;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::answer::{Repository, RepositoryAnswer, TroubleKind, UpstreamAnswer};
use super::aside::Aside;
use super::backoff;
use super::duration::GoDuration;
use super::evidence::{PruneMemory, Seen};
use super::mode;
use super::names::BranchName;
use super::observation::{History, Observation, RepositorySeen};
use super::problem::{Code, Problem};
use super::proof::Proof;
use super::refs::{Prune, RefList};
use super::run::{End, Phase};
use super::spec::{MirrorSpec, Policy};
pub use observe::{Finding, Standing, observe, standing, too_slow};

pub use carrying::{Carrying, carry_out};
pub use early_reads::{EarlyReads, Purpose, early_owner, early_reads};

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Look at something that has not been looked at yet.
    Look(Look),
    /// Wait, then look again.
    Wait(Wait),
    /// Change something, intent first.
    Act(Action),
    /// Write down what is now known about pruning.
    Remember(PruneMemory),
    /// It cannot be done, and the legacy repository that was renamed gets its name back first.
    GiveUp(Box<Problem>),
    /// It is over.
    End(Box<End>),
}

/// Things to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// The repository in Gitea.
    Repository,
    /// Its owner.
    Owner,
    /// Upstream's refs.
    Upstream,
    /// Gitea's refs.
    LocalRefs,
    /// Gitea's refs through its API, where it serves no git over HTTP.
    LocalRefsByApi,
    /// Whether the tracked branch's move was a fast-forward.
    Ancestry,
    /// What stands under the name that a legacy repository was renamed to.
    Aside,
    /// Its refs there.
    AsideRefs,
    /// Whether the platform is past its pivot.
    Pivot,
}

/// A pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// What is being waited for.
    pub phase: Phase,
    /// How long at most.
    pub pause: Duration,
    /// How long at least: the pause is spread at random between the two, so that many who wait do not come back at once.
    pub least: Duration,
    /// Who is waited for.
    pub awaited: Awaited,
    /// What is in the way, for a person.
    pub because: Option<Box<Problem>>,
}

/// Who is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// A Gitea that gives no usable answer: a new request is answered by a new look.
    Gitea,
    /// An upstream that does not answer, or asks to be left alone.
    Upstream,
    /// What goes on in Gitea, or a time that has to pass.
    Work,
}

/// Calls that change something in Gitea.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `POST /orgs`.
    CreateOrganisation,
    /// `POST /repos/migrate`.
    Migrate {
        /// The interval; `None`: Gitea's default, where it has refused ours after a whole clone.
        interval: Option<GoDuration>,
    },
    /// `DELETE` of a placeholder that is proven to be ours, and dead.
    Delete(Proof),
    /// `PATCH` the name of a legacy repository that is in the way.
    RenameAside(Aside),
    /// `PATCH` its name back.
    GiveBack(Aside),
    /// `PATCH` interval and pruning.
    Patch {
        /// The interval.
        interval: GoDuration,
        /// Pruning.
        prune: Prune,
    },
    /// `PATCH` the default branch.
    SetDefaultBranch(BranchName),
    /// `POST mirror-sync`.
    Sync,
}

/// How often upstream is asked in vain before we go on without it, and for how long at most.
const UPSTREAM_TRIES: u32 = 5;
const UPSTREAM_PATIENCE: Duration = Duration::from_mins(1);

/// How often a call is sent whose answer may be a passing one, and within which time.
const FEW_TRIES: u32 = 3;
const FEW_TRIES_WITHIN: Duration = Duration::from_secs(30);

/// Says what to do next.
#[must_use]
pub fn decide(spec: &MirrorSpec, seen: &Observation, history: &History, policy: &Policy) -> Next {
    Table { spec, seen, history, policy }.next()
}

/// The inputs, under one name for the parts of the table.
struct Table<'a> {
    spec: &'a MirrorSpec,
    seen: &'a Observation,
    history: &'a History,
    policy: &'a Policy,
}

impl Table<'_> {
    /// While a legacy repository stands aside, no failure is the end before that has its name back.
    fn next(&self) -> Next {
        let Some(aside) = &self.history.aside else {
            return self.with_what_was_left(self.allowed());
        };
        if let Some(giving_up) = &self.history.giving_up {
            return self.in_time(self.undo(aside, giving_up));
        }
        match self.allowed() {
            Next::End(end) => match *end {
                End::Failed { problem } => Next::GiveUp(Box::new(problem)),
                End::Unverified { problem } => {
                    let problem = problem.after(&self.stands_aside(aside));
                    Next::End(Box::new(End::Unverified { problem }))
                }
                end @ (End::Succeeded { .. } | End::Canceled) => Next::End(Box::new(end)),
            },
            next @ (Next::Look(_) | Next::Wait(_) | Next::Act(_) | Next::Remember(_) | Next::GiveUp(_)) => next,
        }
    }

    /// What the table says, as far as the platform, upstream and the time allow it.
    fn allowed(&self) -> Next {
        self.in_time(self.respectful(self.guarded(self.go_on())))
    }

    fn go_on(&self) -> Next {
        if !self.history.mode.follows() {
            return fail(mode::refusal(&self.spec.name, self.history.mode, self.history.mode_change.as_deref()));
        }
        if self.history.elapsed >= self.policy.run {
            return fail(self.deadline());
        }
        let Some(RepositorySeen { answer, date, .. }) = &self.seen.repository else {
            return Next::Look(Look::Repository);
        };
        match answer {
            // our own file is ours to put right: waiting for it would look like an outage of Gitea's
            RepositoryAnswer::Trouble(trouble) if trouble.kind == TroubleKind::Credential => {
                fail(failing::gitea_trouble(trouble))
            }
            RepositoryAnswer::Trouble(trouble) => self.wait_for_gitea(trouble, self.troubles()),
            RepositoryAnswer::Refused(refusal) => fail(failing::refused(refusal)),
            RepositoryAnswer::Absent => self.interrupted_return().unwrap_or_else(|| self.absent()),
            RepositoryAnswer::Present(repository) if !repository.mirror => self.legacy(repository, *date),
            RepositoryAnswer::Present(repository)
                if !self.spec.upstream.is_the_upstream_of(&repository.original_url) =>
            {
                let (name, ours) = (self.spec.full_name(), &self.spec.upstream);
                let theirs =
                    if repository.original_url.is_empty() { "nothing" } else { repository.original_url.as_str() };
                fail(Problem::new(
                    Code::UpstreamMismatch,
                    format!("{name} mirrors {theirs}, and we are configured for {ours}"),
                ))
            }
            RepositoryAnswer::Present(repository) => match repository.interval {
                None => self.placeholder(repository, *date),
                Some(interval) => self.mirror(repository, interval, *date),
            },
        }
    }

    /// Upstream's list, as soon as it is here whole and sound; else what to do instead. `None` in place of a list:
    /// upstream does not answer us, and we go on by Gitea alone.
    fn upstream(&self) -> Result<Option<&Seen<UpstreamAnswer>>, Next> {
        let Some(seen) = &self.seen.upstream else {
            return Err(Next::Look(Look::Upstream));
        };
        match &seen.value {
            UpstreamAnswer::List(list) if list.is_empty() => {
                Err(fail(failing::suspect("empty", "upstream answers with a list without a single branch or tag")))
            }
            UpstreamAnswer::List(list) if list.commit_of(&self.spec.branch).is_none() => {
                let (branch, count) = (&self.spec.branch, list.len());
                Err(fail(Problem::new(
                    Code::UpstreamBranchMissing,
                    format!("none of upstream's {count} refs is the branch {branch}"),
                )))
            }
            UpstreamAnswer::List(list) => match self.shrunken(list) {
                Some(problem) => Err(fail(problem)),
                None => Ok(Some(seen)),
            },
            UpstreamAnswer::Oversize(oversize) => Err(fail(failing::oversize_upstream(oversize))),
            UpstreamAnswer::NotGit { detail } => Err(fail(failing::suspect("not-git", detail))),
            UpstreamAnswer::DumbHttp => Err(fail(failing::dumb_http())),
            UpstreamAnswer::Refused { why, detail } => Err(fail(failing::upstream_refused(why, detail))),
            // our own file is ours to put right: going on without it would only hide that
            UpstreamAnswer::Trouble(trouble) if trouble.kind == TroubleKind::Credential => {
                Err(fail(Problem::new(Code::UpstreamCredential, &trouble.detail)))
            }
            // a certificate that is refused is refused a minute later, too
            UpstreamAnswer::Trouble(trouble) if trouble.kind == TroubleKind::Tls => Ok(None),
            UpstreamAnswer::Trouble(trouble) => {
                let waited = self
                    .history
                    .elapsed
                    .saturating_sub(self.history.upstream_first_try.unwrap_or(self.history.elapsed));
                let asked = trouble.retry_after.unwrap_or_default();
                let pause = backoff::exponential(self.history.upstream_tries + 1).max(asked);
                // upstream may ask for any pause at all
                if self.history.upstream_tries >= UPSTREAM_TRIES
                    || waited.saturating_add(pause) > UPSTREAM_PATIENCE
                    || asked > self.until_a_last_look()
                {
                    return Ok(None);
                }
                Err(Next::Wait(Wait {
                    phase: Phase::Inspecting,
                    pause,
                    least: asked.max(pause / 2),
                    awaited: Awaited::Upstream,
                    because: Some(Box::new(failing::upstream_unreachable(trouble))),
                }))
            }
        }
    }

    /// Why upstream gives no list, where it was asked and gave no usable answer.
    fn upstream_is_silent(&self) -> Option<Problem> {
        match &self.seen.upstream.as_ref()?.value {
            UpstreamAnswer::Trouble(trouble) => Some(failing::upstream_unreachable(trouble)),
            UpstreamAnswer::List(_)
            | UpstreamAnswer::Oversize(_)
            | UpstreamAnswer::NotGit { .. }
            | UpstreamAnswer::DumbHttp
            | UpstreamAnswer::Refused { .. } => None,
        }
    }

    /// Upstream's list has lost more than half of the branches that were last proven, and nobody has accepted it. A
    /// journal that knows of no proof knows of no loss.
    fn shrunken(&self, list: &RefList) -> Option<Problem> {
        let now = u64::try_from(list.branches()).unwrap_or(u64::MAX);
        let before = self.history.proven_branches.filter(|before| now < before.saturating_sub(before / 2))?;
        self.unless_accepted(
            list,
            &format!("upstream shows {now} of the {before} branches that it had when last proven"),
        )
    }

    /// The guard's problem, but for the very list that an operator has accepted.
    fn unless_accepted(&self, list: &RefList, detail: &str) -> Option<Problem> {
        let digest = list.digest();
        (self.history.options.accept_upstream.as_ref() != Some(&digest))
            .then(|| failing::suspect("shrunken", detail).acceptable(digest))
    }

    fn deadline(&self) -> Problem {
        let limit = GoDuration::new(self.policy.run);
        match &self.history.streak {
            Some(streak) => {
                let problem = failing::gitea_trouble(&streak.trouble);
                Problem::new(
                    problem.code,
                    format!("{}; so it was when the run had taken {limit}, as long as it may", problem.detail),
                )
            }
            None => Problem::new(
                Code::DeadlineExceeded,
                format!("not done after {limit}; Gitea goes on with what it has begun"),
            ),
        }
    }
}

/// What upstream's list is when it is one.
fn list(seen: &Seen<UpstreamAnswer>) -> Option<Seen<&RefList>> {
    seen.value.list().map(|list| Seen { at: seen.at, value: list })
}

fn fail(problem: Problem) -> Next {
    Next::End(Box::new(End::Failed { problem }))
}

fn wait(phase: Phase, pause: Duration) -> Next {
    let awaited = if phase == Phase::Connecting { Awaited::Gitea } else { Awaited::Work };
    Next::Wait(Wait { phase, pause, least: pause, awaited, because: None })
}

/// Whether Gitea's interval is the one asked for.
fn interval_is_right(spec: &MirrorSpec, repository: &Repository) -> bool {
    repository.interval == Some(spec.interval)
}
