//! What a driver remembers of its own run, and what the journal knew before it began.
//!
//! Owns [`History`], one of the inputs of [`decide`](super::decide), and how it grows: one method for each look and
//! each call. Plain data; nothing is decided here.

mod lag;
mod pruning;
mod renames;
mod sync;

use std::time::Duration;

use jiff::Timestamp;

use super::answer::{
    AncestryAnswer, ConvertAnswer, CreateOrganisationAnswer, DeleteAnswer, LocalRefsAnswer, MigrateAnswer, OwnerAnswer,
    PatchAnswer, Repository, RepositoryAnswer, Trouble, UpstreamAnswer,
};
use super::aside::{Aside, Rename};
use super::evidence::{PruneCertainty, PruneMemory};
use super::mode::{Mode, ModeChange};
use super::observation::{
    Ancestry, BranchPatch, Convert, Delete, GivingUp, Lost, Migrate, Patch, RepositorySeen, Rest, Streak, Sync,
};
use super::problem::Problem;
use super::proof::{Intended, Proof};
use super::refs::{Digest, ObjectId, Prune};
use super::server::Server;
use super::spec::{MirrorSpec, RunOptions};
use super::webhook::Pushes;

pub use lag::Lag;

/// What a driver knows of its own run, and what the journal knew before it began.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct History {
    /// Since the driver began.
    pub elapsed: Duration,
    /// Trouble with Gitea, in a row up to the latest look.
    pub streak: Option<Streak>,
    /// Gitea has answered in this run.
    pub gitea_answered: bool,
    /// Gitea's API gave no usable answer to the latest request, whoever sent it.
    pub gitea_unreachable: bool,
    /// The repository was looked at.
    pub looked: bool,
    /// The mirror that was seen last under the name: by this run, or, before it has looked, by the latest proof.
    pub mirror: Option<u64>,
    /// How many looks at the owner had trouble, in a row: looks at the repository in between do not end it.
    pub owner_troubles: u32,
    /// How many looks at Gitea's refs brought no list, in a row: looks at the repository in between do not end it.
    pub git_troubles: u32,
    /// How often upstream was asked in vain, in a row, and when first.
    pub upstream_tries: u32,
    /// When the first of them was.
    pub upstream_first_try: Option<Duration>,
    /// Upstream's host is to be left alone.
    pub upstream_rest: Option<Rest>,
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
    /// The latest PATCH of interval and pruning, and how many there were.
    pub patch: Option<Patch>,
    /// How many there were.
    pub patches: u32,
    /// The latest PATCH of the default branch.
    pub branch_patch: Option<BranchPatch>,
    /// How many there were.
    pub branch_patches: u32,
    /// This run may have changed settings or the default branch, also before the service was started again.
    pub may_have_patched: bool,
    /// The sync under way.
    pub sync: Option<Sync>,
    /// Gitea's refs as they were seen last.
    pub local_refs: Option<Digest>,
    /// How many syncs this run may have asked for.
    pub syncs: u32,
    /// How many of them, in a row, ended without bringing the refs although upstream stood still.
    pub barren_syncs: u32,
    /// The tracked branch's commit in Gitea before the first sync of this run.
    pub tracked_before: Option<ObjectId>,
    /// When git's folder of a placeholder was first seen gone.
    pub folder_gone_since: Option<Duration>,
    /// The repository that was seen last under the name: what was seen of git's folder is about that one.
    pub repository_id: Option<u64>,
    /// Migrates to this very name that the journal knows of and that this run has sent, oldest first.
    pub intents: Vec<Intended>,
    /// How many deletions of a placeholder this run has sent, and the latest.
    pub deletes: u32,
    /// The latest of them.
    pub delete: Option<Delete>,
    /// Gitea has refused the interval after a whole clone: the next migrate goes without one.
    pub without_interval: bool,
    /// The legacy repository that this run renames, or has renamed.
    pub aside: Option<Aside>,
    /// A legacy repository that an earlier run has renamed and could not give its name back.
    pub left_aside: Option<Aside>,
    /// The latest rename, there or back.
    pub rename: Option<BranchPatch>,
    /// How many there were.
    pub renames: u32,
    /// The latest rename, of whichever run, of which it is not known what became.
    pub unsettled_rename: Option<Rename>,
    /// When git's folder of the renamed repository was first seen gone.
    pub aside_folder_gone_since: Option<Duration>,
    /// Why this run is being undone.
    pub giving_up: Option<GivingUp>,
    /// How many heads and tags were last proven, in earlier runs, and how many of them were branches.
    pub proven_refs: Option<u64>,
    /// How many of them were branches.
    pub proven_branches: Option<u64>,
    /// What Gitea was seen to have lost of them.
    pub lost: Option<Lost>,
    /// Whether the latest move of the tracked branch was a fast-forward.
    pub ancestry: Option<Ancestry>,
    /// Gitea's refs were read through its API, since it serves no git over HTTP.
    pub refs_by_api: bool,
    /// What runs there; `None`: it has not said yet.
    pub server: Option<Server>,
    /// Upstream is read with a credential.
    pub private_upstream: bool,
    /// The pushes that deliveries name.
    pub pushes: Pushes,
    /// Upstream's list is older than one of them.
    pub lag: Option<Lag>,
    /// What this run may do beyond what every run may.
    pub options: RunOptions,
    /// What is known about pruning.
    pub pruning: Option<PruneMemory>,
    /// How the mirror is run.
    pub mode: Mode,
    /// By whose word; `None`: it has always followed.
    pub mode_change: Option<Box<ModeChange>>,
    /// Gitea's `Date` when interval and pruning were last sent, by whomever of us.
    pub settings_sent: Option<Timestamp>,
    /// Nobody has heard what became of the latest of those: it may still be on its way.
    pub settings_in_doubt: bool,
    /// Gitea's `Date` when a sync was last asked for, by whichever run.
    pub sync_asked: Option<Timestamp>,
    /// The latest call that makes the mirror a regular repository.
    pub convert: Option<Convert>,
    /// How many there were.
    pub converts: u32,
}

impl History {
    /// What an observation begins with: that which was proven last, and patience for no second try.
    #[must_use]
    pub fn without_patience(proven_refs: Option<u64>, proven_branches: Option<u64>) -> Self {
        const TRIES: u32 = u32::MAX / 2;
        Self { proven_refs, proven_branches, upstream_tries: TRIES, git_troubles: TRIES, ..Self::default() }
    }

    /// Takes note of a look at the repository.
    pub fn saw_repository(&mut self, seen: &RepositorySeen) {
        self.looked = true;
        self.gitea_answered |= !matches!(seen.answer, RepositoryAnswer::Trouble(_));
        match &seen.answer {
            RepositoryAnswer::Trouble(trouble) => self.note_trouble(trouble),
            RepositoryAnswer::Present(repository) => {
                self.streak = None;
                self.mirror = repository.is_finished_mirror().then_some(repository.id);
                self.absent_since = None;
                if self.repository_id.replace(repository.id) != Some(repository.id) {
                    self.folder_gone_since = None;
                }
                self.sync_may_have_ended(repository);
            }
            RepositoryAnswer::Absent => {
                self.streak = None;
                self.mirror = None;
                self.absent_since.get_or_insert(self.elapsed);
                // an error after which there is no row was said before one was made: a later row is not that migrate's
                if let Some(intent) = self.intents.last_mut().filter(|_| self.migrate.is_some()) {
                    intent.made_nothing |= intent.answer.as_ref().is_some_and(MigrateAnswer::ended_in_an_error);
                }
            }
            RepositoryAnswer::Refused(_) => self.streak = None,
        }
    }

    /// Takes note of a call that the journal knows of and cannot read. It may have been any: so nothing that was known
    /// before it is a proof any more, neither that a placeholder is of our making nor that an interval of `0s` is.
    pub fn forgot_a_call(&mut self) {
        self.intents.clear();
        self.migrate = None;
        self.settings_sent = None;
        self.settings_in_doubt = true;
    }

    /// Whether the latest migrate is known to have made nothing.
    #[must_use]
    pub fn made_nothing(&self) -> bool {
        self.intents.last().is_some_and(|intent| intent.made_nothing)
    }

    /// How long ago something was, by the driver's own clock.
    #[must_use]
    pub const fn since(&self, at: Duration) -> Duration {
        self.elapsed.saturating_sub(at)
    }

    /// Takes note of trouble with Gitea.
    pub fn note_trouble(&mut self, trouble: &Trouble) {
        let before = self.streak.take();
        let count = before.as_ref().map_or(0, |streak| streak.count) + 1;
        let since = before.filter(|streak| streak.trouble.kind == trouble.kind).map_or(self.elapsed, |same| same.since);
        self.streak = Some(Streak { trouble: trouble.clone(), count, since });
        if let Some(sync) = self.sync.as_mut().filter(|_| trouble.kind.may_be_a_restart()) {
            sync.gitea_was_away = true;
        }
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
        self.read_again();
        match seen {
            UpstreamAnswer::Trouble(_) => {
                self.upstream_tries += 1;
                self.upstream_first_try.get_or_insert(self.elapsed);
            }
            UpstreamAnswer::List(_)
            | UpstreamAnswer::Oversize(_)
            | UpstreamAnswer::NotGit { .. }
            | UpstreamAnswer::DumbHttp
            | UpstreamAnswer::Refused { .. } => {
                self.upstream_tries = 0;
                self.upstream_first_try = None;
                if let Some(sync) = self.sync.as_mut().filter(|sync| sync.moved_at.is_some()) {
                    sync.upstream_read_since = true;
                }
            }
        }
    }

    /// Takes note of a wait for the memory that a list takes: it is no part of the patience with upstream.
    pub fn waited_for_memory(&mut self, time: Duration) {
        if let Some(first) = &mut self.upstream_first_try {
            *first = first.saturating_add(time);
        }
    }

    /// Takes note of a look at Gitea's refs; `proven`: they are as they must be.
    pub fn saw_local_refs(&mut self, spec: &MirrorSpec, seen: &LocalRefsAnswer, proven: bool) {
        self.note_lost_refs(spec, seen);
        self.git_troubles = if matches!(seen, LocalRefsAnswer::List(_)) { 0 } else { self.git_troubles + 1 };
        match seen {
            LocalRefsAnswer::Trouble(trouble) => self.note_trouble(trouble),
            LocalRefsAnswer::List(list) => {
                self.folder_gone_since = None;
                self.refs_may_have_moved(list, proven);
            }
            LocalRefsAnswer::FolderGone => {
                self.folder_gone_since.get_or_insert(self.elapsed);
            }
            LocalRefsAnswer::Oversize(_)
            | LocalRefsAnswer::HttpGitDisabled
            | LocalRefsAnswer::Refused(_)
            | LocalRefsAnswer::Gone => {}
        }
    }

    /// Without pruning Gitea never has fewer refs than were proven, unless something made it prune: whatever was known
    /// about that is worth nothing then.
    fn note_lost_refs(&mut self, spec: &MirrorSpec, seen: &LocalRefsAnswer) {
        let (LocalRefsAnswer::List(list), Some(proven), None) = (seen, self.proven_refs, self.lost) else { return };
        let here = u64::try_from(list.len()).unwrap_or(u64::MAX);
        let by_a_sync = self.migrate.is_none() && self.aside.is_none();
        if here < proven && spec.prune == Prune::Off && by_a_sync {
            self.lost = Some(Lost { here, proven });
            self.pruning = None;
        }
    }

    /// Takes note of a deletion.
    pub fn deleted(&mut self, proof: &Proof, answer: Option<DeleteAnswer>) {
        self.deletes += 1;
        self.without_interval |= proof.held_refs();
        match &answer {
            // nothing was sent, or nothing was done: the migrate that made the row still counts
            Some(DeleteAnswer::Changed | DeleteAnswer::Refused(_)) => {}
            Some(DeleteAnswer::Gone | DeleteAnswer::Unknown(_)) | None => self.migrate = None,
        }
        self.delete = Some(Delete { at: self.elapsed, answer });
        self.folder_gone_since = None;
    }

    /// Takes note of why this run is being undone.
    pub fn gives_up(&mut self, problem: Problem) {
        (self.renames, self.rename) = (0, None);
        self.giving_up = Some(GivingUp { since: self.elapsed, problem });
    }

    /// Takes note of whether the tracked branch's old commit is an ancestor of its new one.
    pub fn saw_ancestry(&mut self, to: ObjectId, answer: AncestryAnswer) {
        let before = self.ancestry.as_ref().filter(|ancestry| ancestry.to == to).map_or(0, |ancestry| ancestry.tries);
        self.ancestry = Some(Ancestry { to, answer, tries: before + 1 });
    }

    /// Takes note of an organisation asked for.
    pub fn created_organisation(&mut self, answer: CreateOrganisationAnswer) {
        self.organisation = Some(answer);
        self.organisations += 1;
        self.organisation_at = Some(self.elapsed);
    }

    /// Takes note of a migrate that is about to be sent; `dated`: the date is Gitea's.
    pub fn sends_migrate(&mut self, spec: &MirrorSpec, gitea_date: Timestamp, dated: bool) {
        self.intents.push(Intended {
            target: spec.full_name(),
            gitea_date: dated.then_some(gitea_date),
            answer: None,
            answered_at: None,
            made_nothing: false,
        });
        self.migrate = Some(Migrate { gitea_date, at: Some(self.elapsed), answer: None });
        self.migrates += 1;
        self.first_migrate.get_or_insert(self.elapsed);
        self.absent_since = None;
        self.folder_gone_since = None;
        self.git_troubles = 0;
    }

    /// Takes note of its answer, and of Gitea's `Date` with it.
    pub fn migrated(&mut self, answer: MigrateAnswer, date: Option<Timestamp>) {
        if let Some(intent) = self.intents.last_mut() {
            intent.answer = Some(answer.clone());
            intent.answered_at = date;
        }
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
        self.may_have_patched |= answer.may_have_done();
        self.patch =
            Some(Patch { at: self.elapsed, mirror_updated: repository.mirror_updated, answer, settles_pruning });
        self.patches += 1;
    }

    /// Takes note of a call that makes the mirror a regular repository.
    pub fn converted(&mut self, answer: ConvertAnswer) {
        self.converts += 1;
        self.convert = Some(Convert { at: self.elapsed, answer });
    }

    /// Takes note of a PATCH of the default branch.
    pub fn patched_branch(&mut self, answer: PatchAnswer) {
        self.may_have_patched |= answer.may_have_done();
        self.branch_patch = Some(BranchPatch { at: self.elapsed, answer });
        self.branch_patches += 1;
    }

    /// Whether this run's migrate made the repository.
    #[must_use]
    pub fn made(&self, repository: &Repository) -> bool {
        self.migrate.as_ref().is_some_and(|migrate| {
            repository.created_at >= migrate.gitea_date
                && migrate.answer.as_ref().is_none_or(MigrateAnswer::may_have_made_a_row)
        })
    }
}
