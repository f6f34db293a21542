//! Which lists of refs are read while the repository is looked at, whether Gitea's list counts afterwards, and when the owner
//! is looked at beside something else.
//!
//! Owns when that saves time and can mislead nobody. An early answer is used only when the table asks for it, and for a list
//! that is after the repository's answer; until then nothing follows from it. What the table does not ask for is given up.

use crate::domain::answer::RepositoryAnswer;
use crate::domain::observation::{History, Observation, RepositorySeen};
use crate::domain::spec::MirrorSpec;

/// What the looks are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A run, or a dry run.
    Run,
    /// An observation.
    Observation,
    /// A change of the mirror's mode, which needs no list.
    ModeChange,
}

/// Lists of refs to read while the repository is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EarlyReads {
    /// Upstream's.
    pub upstream: bool,
    /// Gitea's, of the mirror with this id.
    pub local_refs: Option<u64>,
}

/// Says which lists to read beside the look at the repository that comes next.
#[must_use]
pub fn early_reads(purpose: Purpose, seen: &Observation, history: &History) -> EarlyReads {
    let gitea_is_well = history.streak.is_none() && !history.gitea_unreachable;
    if purpose == Purpose::ModeChange || !gitea_is_well || history.giving_up.is_some() {
        return EarlyReads::default();
    }
    // the refs that a sync has brought are read after its end was seen
    let syncing = history.sync.as_ref().is_some_and(|sync| sync.moved_at.is_none());
    let mirror = history.mirror.filter(|_| !syncing);
    // after that, most looks of a run that has seen no mirror need no list: it waits for a clone, or makes the mirror
    let first = purpose == Purpose::Run && !history.looked;
    let upstream_is_well = history.upstream_rest.is_none() && history.upstream_first_try.is_none();
    EarlyReads {
        upstream: (first || mirror.is_some())
            && seen.upstream.is_none()
            && history.mode.asks_upstream()
            && upstream_is_well,
        local_refs: mirror.filter(|_| seen.local_refs.is_none()),
    }
}

/// Whether to look at the owner beside the look that comes next: at upstream, where the name is free; at the repository, after
/// this run has made the owner, where the name was free just before.
#[must_use]
pub fn early_owner(seen: &Observation, history: &History) -> bool {
    let will_be_made = history.migrate.is_none() && history.giving_up.is_none();
    let free = match &seen.repository {
        None => history.organisation.is_some(),
        Some(RepositorySeen { answer, .. }) => *answer == RepositoryAnswer::Absent,
    };
    seen.owner.is_none() && history.streak.is_none() && will_be_made && free
}

impl EarlyReads {
    /// Whether the early list of Gitea's refs is that of the repository which was seen: the mirror that was expected,
    /// and nothing else under its name.
    #[must_use]
    pub fn local_refs_count(&self, spec: &MirrorSpec, seen: &Observation) -> bool {
        let Some(RepositorySeen { answer: RepositoryAnswer::Present(repository), .. }) = &seen.repository else {
            return false;
        };
        self.local_refs == Some(repository.id)
            && repository.is_finished_mirror()
            && spec.upstream.is_the_upstream_of(&repository.original_url)
    }
}
