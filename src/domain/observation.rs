//! What was seen of Gitea and upstream, and what a driver remembers of its own run.
//!
//! Owns the two inputs of [`decide`](super::decide) besides the configuration. Everything here is plain data; time is
//! given, as the time that has passed since the driver began, and as the dates that Gitea's answers carry.

use std::time::Duration;

use jiff::Timestamp;

use super::answer::{
    CreateOrganisationAnswer, LocalRefsAnswer, MigrateAnswer, OwnerAnswer, PatchAnswer, Repository, RepositoryAnswer,
    SyncAnswer, Trouble, UpstreamAnswer,
};
use super::evidence::{PruneCertainty, PruneMemory, Seen};
use super::refs::{Digest, ObjectId, Prune};
use super::spec::{MirrorSpec, RunOptions};

/// What has been looked at since anything was last changed or waited for. `None`: not looked.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// The repository in Gitea.
    pub repository: Option<RepositorySeen>,
    /// Its owner.
    pub owner: Option<OwnerAnswer>,
    /// Upstream's refs, and when they were read.
    pub upstream: Option<Seen<UpstreamAnswer>>,
    /// Gitea's refs, and when they were read.
    pub local_refs: Option<Seen<LocalRefsAnswer>>,
}

/// A repository look, with Gitea's own idea of the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositorySeen {
    /// What Gitea said.
    pub answer: RepositoryAnswer,
    /// The `Date` of the answer; our clock where there was none.
    pub date: Timestamp,
}

impl Observation {
    /// Forgets what may have changed while something was changed or waited for. A complete list of upstream's refs
    /// stays: it is what Gitea's are compared with later on.
    pub fn forget(&mut self) {
        self.repository = None;
        self.owner = None;
        self.local_refs = None;
        if !matches!(self.upstream, Some(Seen { value: UpstreamAnswer::List(_), .. })) {
            self.upstream = None;
        }
    }

    /// Forgets upstream's list as well: after something that took long.
    pub fn forget_upstream(&mut self) {
        self.forget();
        self.upstream = None;
    }
}

/// The same trouble with Gitea, several times in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streak {
    /// The latest.
    pub trouble: Trouble,
    /// How many looks in a row had one.
    pub count: u32,
}

/// A migrate of this run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrate {
    /// Gitea's `Date` when the name was seen absent, just before the intent was written.
    pub gitea_date: Timestamp,
    /// When it was sent; `None`: before this process started.
    pub at: Option<Duration>,
    /// `None`: nobody knows what became of it.
    pub answer: Option<MigrateAnswer>,
}

/// The latest PATCH of interval and pruning in this run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// When it was answered.
    pub at: Duration,
    /// `mirror_updated` just before it.
    pub mirror_updated: Timestamp,
    /// The answer.
    pub answer: PatchAnswer,
    /// Whether pruning is known for good once this one has settled.
    pub settles_pruning: bool,
}

/// The latest PATCH of the default branch in this run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchPatch {
    /// When it was answered.
    pub at: Duration,
    /// The answer.
    pub answer: PatchAnswer,
}

/// A sync that this run asked for and that has not ended yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sync {
    /// When it was asked for.
    pub at: Duration,
    /// `mirror_updated` just before.
    pub mirror_updated: Timestamp,
    /// The answer.
    pub answer: SyncAnswer,
    /// Upstream's list when it was asked for; `None`: upstream did not answer us.
    pub upstream: Option<Digest>,
    /// When the refs were first seen to be as they must be.
    pub proven_at: Option<Duration>,
    /// When `mirror_updated` was first seen to have moved.
    pub moved_at: Option<Duration>,
    /// Whether upstream's list was read again after that.
    pub upstream_read_since: bool,
    /// How many asks in a row, with this one, were not taken as far as anybody knows.
    pub asks: u32,
}

/// What a driver knows of its own run, and what the journal knew before it began.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Since the driver began.
    pub elapsed: Duration,
    /// Trouble with Gitea, in a row up to the latest look.
    pub streak: Option<Streak>,
    /// How many looks at the owner had trouble, in a row: looks at the repository in between do not end it.
    pub owner_troubles: u32,
    /// How many looks at Gitea's refs brought no list, in a row: looks at the repository in between do not end it.
    pub git_troubles: u32,
    /// How often upstream was asked in vain, in a row, and when first.
    pub upstream_tries: u32,
    /// When the first of them was.
    pub upstream_first_try: Option<Duration>,
    /// The latest answer to `POST /orgs`.
    pub organisation: Option<CreateOrganisationAnswer>,
    /// How many were sent.
    pub organisations: u32,
    /// When the latest was answered.
    pub organisation_at: Option<Duration>,
    /// The latest migrate of this run.
    pub migrate: Option<Migrate>,
    /// How many were sent since this process started, and when the first.
    pub migrates: u32,
    /// When the first of them was.
    pub first_migrate: Option<Duration>,
    /// When the name was first seen absent after a migrate of unknown outcome.
    pub absent_since: Option<Duration>,
    /// The latest intent of a migrate under this name in earlier runs, by Gitea's `Date`.
    pub earlier_intent: Option<Timestamp>,
    /// The latest PATCH of interval and pruning, and how many there were.
    pub patch: Option<Patch>,
    /// How many there were.
    pub patches: u32,
    /// The latest PATCH of the default branch.
    pub branch_patch: Option<BranchPatch>,
    /// How many there were.
    pub branch_patches: u32,
    /// The sync under way.
    pub sync: Option<Sync>,
    /// How many syncs this run asked for.
    pub syncs: u32,
    /// How many of them, in a row, ended without bringing the refs although upstream stood still.
    pub barren_syncs: u32,
    /// The tracked branch's commit in Gitea before the first sync of this run.
    pub tracked_before: Option<ObjectId>,
    /// When git's folder of a placeholder was first seen gone.
    pub folder_gone_since: Option<Duration>,
    /// What this run may do beyond what every run may.
    pub options: RunOptions,
    /// What is known about pruning.
    pub pruning: Option<PruneMemory>,
}

impl History {
    /// Takes note of a look at the repository.
    pub fn saw_repository(&mut self, seen: &RepositorySeen) {
        match &seen.answer {
            RepositoryAnswer::Trouble(trouble) => self.note_trouble(trouble),
            RepositoryAnswer::Present(repository) => {
                self.streak = None;
                self.absent_since = None;
                let elapsed = self.elapsed;
                if let Some(sync) = self.sync.as_mut().filter(|sync| sync.mirror_updated != repository.mirror_updated) {
                    sync.moved_at.get_or_insert(elapsed);
                }
            }
            RepositoryAnswer::Absent => {
                self.streak = None;
                self.absent_since.get_or_insert(self.elapsed);
            }
            RepositoryAnswer::Refused(_) => self.streak = None,
        }
    }

    /// How long ago something was, by the driver's own clock.
    #[must_use]
    pub const fn since(&self, at: Duration) -> Duration {
        self.elapsed.saturating_sub(at)
    }

    /// Takes note of trouble with Gitea.
    pub fn note_trouble(&mut self, trouble: &Trouble) {
        let count = self.streak.as_ref().map_or(0, |streak| streak.count) + 1;
        self.streak = Some(Streak { trouble: trouble.clone(), count });
    }

    /// Takes note of a look at the owner.
    pub fn saw_owner(&mut self, seen: &OwnerAnswer) {
        if let OwnerAnswer::Trouble(trouble) = seen {
            self.note_trouble(trouble);
            self.owner_troubles += 1;
        } else {
            self.owner_troubles = 0;
        }
    }

    /// Takes note of a look at upstream.
    pub fn saw_upstream(&mut self, seen: &UpstreamAnswer) {
        match seen {
            UpstreamAnswer::Trouble(_) => {
                self.upstream_tries += 1;
                self.upstream_first_try.get_or_insert(self.elapsed);
            }
            UpstreamAnswer::List(_) | UpstreamAnswer::NotGit { .. } | UpstreamAnswer::Refused { .. } => {
                self.upstream_tries = 0;
                self.upstream_first_try = None;
                if let Some(sync) = self.sync.as_mut().filter(|sync| sync.moved_at.is_some()) {
                    sync.upstream_read_since = true;
                }
            }
        }
    }

    /// Takes note of a look at Gitea's refs; `proven`: they are as they must be.
    pub fn saw_local_refs(&mut self, seen: &LocalRefsAnswer, proven: bool) {
        let elapsed = self.elapsed;
        self.git_troubles = if matches!(seen, LocalRefsAnswer::List(_)) { 0 } else { self.git_troubles + 1 };
        match seen {
            LocalRefsAnswer::Trouble(trouble) => self.note_trouble(trouble),
            LocalRefsAnswer::List(_) => {
                self.folder_gone_since = None;
                if let Some(sync) = self.sync.as_mut().filter(|_| proven) {
                    sync.proven_at.get_or_insert(elapsed);
                }
            }
            LocalRefsAnswer::FolderGone
            | LocalRefsAnswer::HttpGitDisabled
            | LocalRefsAnswer::Refused(_)
            | LocalRefsAnswer::Gone => {}
        }
        let gone = matches!(seen, LocalRefsAnswer::FolderGone)
            || matches!(seen, LocalRefsAnswer::Trouble(trouble) if trouble.kind == super::answer::TroubleKind::ServerError);
        if gone {
            self.folder_gone_since.get_or_insert(elapsed);
        }
    }

    /// Takes note of an organisation asked for.
    pub fn created_organisation(&mut self, answer: CreateOrganisationAnswer) {
        self.organisation = Some(answer);
        self.organisations += 1;
        self.organisation_at = Some(self.elapsed);
    }

    /// Takes note of a migrate that is about to be sent.
    pub fn sends_migrate(&mut self, gitea_date: Timestamp) {
        self.migrate = Some(Migrate { gitea_date, at: Some(self.elapsed), answer: None });
        self.migrates += 1;
        self.first_migrate.get_or_insert(self.elapsed);
        self.absent_since = None;
        self.folder_gone_since = None;
        self.git_troubles = 0;
    }

    /// Takes note of its answer.
    pub fn migrated(&mut self, answer: MigrateAnswer) {
        if let Some(migrate) = &mut self.migrate {
            migrate.answer = Some(answer);
        }
    }

    /// Takes note of a PATCH of interval and pruning on `repository` as it was seen just before.
    pub fn patched(&mut self, spec: &MirrorSpec, repository: &Repository, answer: PatchAnswer) {
        let known = self.pruning_of(repository, spec.prune);
        let moved_between = match known {
            Some(PruneCertainty::Sent { mirror_updated }) => *mirror_updated != repository.mirror_updated,
            Some(PruneCertainty::Known) => true,
            None => false,
        };
        let settles_pruning = answer == PatchAnswer::Done && (moved_between || self.made(repository));
        self.patch =
            Some(Patch { at: self.elapsed, mirror_updated: repository.mirror_updated, answer, settles_pruning });
        self.patches += 1;
    }

    /// Takes note of a PATCH of the default branch.
    pub fn patched_branch(&mut self, answer: PatchAnswer) {
        self.branch_patch = Some(BranchPatch { at: self.elapsed, answer });
        self.branch_patches += 1;
    }

    /// Takes note of a sync asked for on `repository` as it was seen just before.
    pub fn synced(
        &mut self,
        repository: &Repository,
        answer: SyncAnswer,
        upstream: Option<Digest>,
        tracked: Option<ObjectId>,
    ) {
        if self.syncs == 0 {
            self.tracked_before = tracked;
        }
        let before = self.sync.take();
        let asks = before.as_ref().filter(|sync| sync.moved_at.is_none()).map_or(1, |sync| sync.asks + 1);
        let barren = before.is_some_and(|sync| sync.moved_at.is_some() && sync.upstream == upstream);
        self.barren_syncs = if barren { self.barren_syncs + 1 } else { 0 };
        self.syncs += 1;
        self.sync = Some(Sync {
            at: self.elapsed,
            mirror_updated: repository.mirror_updated,
            answer,
            upstream,
            proven_at: None,
            moved_at: None,
            upstream_read_since: false,
            asks,
        });
    }

    /// Whether this run's migrate made the repository.
    #[must_use]
    pub fn made(&self, repository: &Repository) -> bool {
        self.migrate.as_ref().is_some_and(|migrate| {
            repository.created_at >= migrate.gitea_date
                && migrate.answer.as_ref().is_none_or(MigrateAnswer::may_have_made_a_row)
        })
    }

    /// What is known about pruning on this very repository, if that is what is wanted.
    #[must_use]
    pub fn pruning_of(&self, repository: &Repository, wanted: Prune) -> Option<&PruneCertainty> {
        self.pruning
            .as_ref()
            .filter(|memory| memory.repository == repository.id && memory.prune == wanted)
            .map(|memory| &memory.certainty)
    }

    /// Whether pruning has to be sent (again).
    #[must_use]
    pub fn pruning_is_due(&self, repository: &Repository, wanted: Prune) -> bool {
        match self.pruning_of(repository, wanted) {
            None => true,
            Some(PruneCertainty::Sent { mirror_updated }) => *mirror_updated != repository.mirror_updated,
            Some(PruneCertainty::Known) => false,
        }
    }
}
