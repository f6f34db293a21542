//! What an observation comes to: each side looked at once, nothing waited for, nothing changed.
//!
//! The same rows of the table read as for a run, so that an observation proves by the rules by which a run does; where a run would
//! wait or fail, it is not known how things stand. [`standing`] says beside it whether the mirror is run in Gitea as its
//! mode says.

use super::{Look, Next, Table, failing, interval_is_right, list};
use crate::domain::answer::{Repository, RepositoryAnswer, Trouble, TroubleKind, UpstreamAnswer};
use crate::domain::duration::GoDuration;
use crate::domain::evidence::{Evidence, NotProven, Seen};
use crate::domain::mode::Mode;
use crate::domain::observation::{History, Observation, RepositorySeen};
use crate::domain::problem::{Code, Problem};
use crate::domain::refs::{Comparison, compare};
use crate::domain::run::End;
use crate::domain::spec::{MirrorSpec, Policy};

/// What is known after an observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The refs are as they must be, and so are the settings.
    Proven(Box<Evidence>),
    /// Refs are not as they must be.
    Differing(Comparison),
    /// Somebody has changed how the mirror is run. The refs are as they must be, if they were read.
    Settings(Option<Box<Evidence>>),
    /// Nothing is there, or a migration that has not ended.
    Absent,
    /// It cannot be told.
    Unknown(Problem),
    /// Upstream is not asked, by the mirror's mode.
    NotAsked,
}

impl Finding {
    /// Every [`Finding::label`].
    pub const LABELS: [&'static str; 3] = ["fresh", "behind", "unknown"];

    /// The freshness that follows from it.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Proven(_) => "fresh",
            Self::Differing(_) | Self::Settings(_) => "behind",
            Self::Absent | Self::Unknown(_) | Self::NotAsked => "unknown",
        }
    }
}

/// How a mirror of ours is run in Gitea, beside what its mode says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As it must be, as far as that can be told: there may be no mirror of ours, or none that can be changed.
    AsSaid,
    /// Otherwise, and that is to be put right: it moves though it must stand still, or stands still only because we
    /// have stopped it once.
    NotAsSaid,
    /// It is to follow, and somebody has stopped it in Gitea.
    Stopped,
}

/// Says how the mirror is run, from a look at the repository and what the journal knows. An interval of `0s` is ours or
/// somebody's by the rule by which a run tells the two apart.
#[must_use]
pub fn standing(spec: &MirrorSpec, seen: &Observation, history: &History, policy: &Policy) -> Standing {
    let Some(RepositorySeen { answer: RepositoryAnswer::Present(repository), .. }) = &seen.repository else {
        return Standing::AsSaid;
    };
    let ours = repository.mirror && !repository.archived && spec.upstream.is_the_upstream_of(&repository.original_url);
    let Some(interval) = repository.interval.filter(|_| ours) else { return Standing::AsSaid };
    let stopped_by_us = || Table { spec, seen, history, policy }.stopped_by_us(repository);
    match (history.mode.follows(), interval == GoDuration::ZERO) {
        // another interval than the configured one is a setting like any other
        (true, false) | (false, true) => Standing::AsSaid,
        (false, false) => Standing::NotAsSaid,
        (true, true) if stopped_by_us() => Standing::NotAsSaid,
        (true, true) => Standing::Stopped,
    }
}

/// What the looks so far come to, or what is to be looked at next: the repository, upstream, Gitea's refs. Each is
/// asked for once, given a history [without patience](History::without_patience). `known`: the id of the repository
/// that was last seen as the mirror.
///
/// # Errors
/// The next look.
pub fn observe(
    spec: &MirrorSpec,
    mode: Mode,
    seen: &Observation,
    history: &History,
    known: Option<u64>,
) -> Result<Finding, Look> {
    Table { spec, seen, history, policy: &Policy::default() }.observe(mode, known)
}

/// A look at Gitea that was not over when an observation had to be.
#[must_use]
pub fn too_slow() -> Finding {
    let trouble = Trouble::maybe_sent(TroubleKind::Timeout, "no whole answer within the time of an observation");
    Finding::Unknown(failing::gitea_trouble(&trouble))
}

impl Table<'_> {
    fn observe(&self, mode: Mode, known: Option<u64>) -> Result<Finding, Look> {
        let Some(RepositorySeen { answer, date, .. }) = &self.seen.repository else { return Err(Look::Repository) };
        let repository = match answer {
            RepositoryAnswer::Trouble(trouble) => {
                return Ok(Finding::Unknown(failing::gitea_trouble(trouble)));
            }
            RepositoryAnswer::Refused(refusal) => return Ok(Finding::Unknown(failing::refused(refusal))),
            RepositoryAnswer::Absent => return Ok(Finding::Absent),
            RepositoryAnswer::Present(repository) => repository,
        };
        if !mode.asks_upstream() {
            return self.local_refs().map_or_else(told, |_| Ok(Finding::NotAsked));
        }
        let name = self.spec.full_name();
        if !repository.mirror {
            return Ok(if known == Some(repository.id) {
                Finding::Settings(None)
            } else {
                Finding::Unknown(Problem::new(Code::NotAMirror, format!("{name} is a regular repository")))
            });
        }
        if !self.spec.upstream.is_the_upstream_of(&repository.original_url) {
            let detail = format!("{name} mirrors another upstream than the one that is configured");
            return Ok(Finding::Unknown(Problem::new(Code::UpstreamMismatch, detail)));
        }
        if repository.interval.is_none() {
            return Ok(Finding::Absent);
        }
        if let Some(Seen { value: UpstreamAnswer::Trouble(trouble), .. }) = &self.seen.upstream
            && trouble.kind != TroubleKind::Credential
        {
            return Ok(Finding::Unknown(failing::upstream_unreachable(trouble)));
        }
        let upstream = match self.upstream() {
            Ok(upstream) => upstream.and_then(list).ok_or(Look::Upstream)?,
            Err(next) => return told(next),
        };
        let local = match self.local_refs() {
            Ok(local) => local,
            Err(next) => return told(next),
        };
        let comparison = compare(upstream.value, local.value, self.spec.prune);
        // equal lists prove nothing while upstream's is known to be old
        if let Some(push) = self.history.pushes.lagging().filter(|_| self.gitea_is_ahead(&comparison)) {
            return Ok(Finding::Unknown(failing::lagging(push)));
        }
        if comparison.differing > 0 {
            return Ok(Finding::Differing(comparison));
        }
        let changed = mode.follows()
            && (self.settings_have_changed(repository)
                || self.default_branch(repository, *date, upstream.value, local.value).is_some());
        Ok(match Evidence::prove(self.spec, &upstream, &local, None) {
            Ok(evidence) if changed => Finding::Settings(Some(Box::new(evidence))),
            Ok(evidence) => Finding::Proven(Box::new(evidence)),
            // an empty list and one without the tracked branch have been told above
            Err(NotProven::UpstreamEmpty | NotProven::BranchMissing | NotProven::Differing(_)) => {
                Finding::Differing(comparison)
            }
        })
    }

    /// The interval is another, or pruning has come back: without it Gitea never has fewer refs than were proven.
    fn settings_have_changed(&self, repository: &Repository) -> bool {
        !interval_is_right(self.spec, repository) || self.history.lost.is_some()
    }
}

/// What a run would do next, as far as it tells what is known.
fn told(next: Next) -> Result<Finding, Look> {
    let problem = match next {
        Next::Look(look) => return Err(look),
        Next::Wait(wait) => wait.because.map(|because| *because),
        Next::GiveUp(problem) => Some(*problem),
        Next::End(end) => match *end {
            End::Failed { problem } | End::Unverified { problem } => Some(problem),
            End::Succeeded { .. } | End::Canceled => None,
        },
        Next::Act(_) | Next::Remember(_) => None,
    };
    let problem = problem.unwrap_or_else(|| Problem::new(Code::GiteaGitBroken, "Gitea's refs cannot be read"));
    Ok(Finding::Unknown(problem))
}
