//! What was seen of Gitea and upstream, and the records of what a driver's own run has done.
//!
//! Owns one of the two inputs of [`decide`](super::decide) besides the configuration, and what the other, [`History`],
//! is made of. Everything here is plain data; time is given, as the time that has passed since the driver began, and as
//! the dates that Gitea's answers carry.

use std::time::Duration;

use jiff::Timestamp;

use super::answer::{
    AncestryAnswer, ConvertAnswer, DeleteAnswer, LocalRefsAnswer, MigrateAnswer, OwnerAnswer, PatchAnswer,
    RepositoryAnswer, SyncAnswer, Trouble, UpstreamAnswer,
};
use super::evidence::Seen;
pub use super::history::History;
use super::platform::PivotAnswer;
use super::problem::Problem;
use super::refs::{Digest, ObjectId};

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
    /// What stands under the name that a legacy repository was renamed to.
    pub aside: Option<RepositoryAnswer>,
    /// Its refs there.
    pub aside_refs: Option<LocalRefsAnswer>,
    /// Whether the platform is past its pivot.
    pub pivot: Option<PivotAnswer>,
}

/// A repository look, with Gitea's own idea of the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositorySeen {
    /// What Gitea said.
    pub answer: RepositoryAnswer,
    /// The `Date` of the answer; our clock where there was none.
    pub date: Timestamp,
    /// Whether it is Gitea's: nothing is proven by our own.
    pub dated: bool,
}

impl Observation {
    /// Forgets what may have changed while something was changed or waited for. A complete list of upstream's refs
    /// stays: it is what Gitea's are compared with later on.
    pub fn forget(&mut self) {
        self.repository = None;
        self.owner = None;
        self.local_refs = None;
        self.aside = None;
        self.aside_refs = None;
        self.pivot = None;
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

/// Trouble with Gitea, several times in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streak {
    /// The latest.
    pub trouble: Trouble,
    /// How many looks in a row had one.
    pub count: u32,
    /// Since when each of them had trouble of this very kind.
    pub since: Duration,
}

/// Upstream's host has asked to be left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// For how much longer.
    pub left: Duration,
    /// Until when.
    pub until: Timestamp,
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

/// The latest call that makes a mirror a regular repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Convert {
    /// When it was answered.
    pub at: Duration,
    /// The answer.
    pub answer: ConvertAnswer,
}

/// A sync that this run asked for and that has not ended yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sync {
    /// When it was asked for.
    pub at: Duration,
    /// `mirror_updated` just before.
    pub mirror_updated: Timestamp,
    /// `mirror_last_sync_at` just before, where Gitea shows it.
    pub last_sync: Option<Timestamp>,
    /// `mirror_updated` moved and `mirror_last_sync_at` did not: it has failed for certain.
    pub failed: bool,
    /// The answer.
    pub answer: SyncAnswer,
    /// Upstream's list when it was asked for; `None`: upstream did not answer us.
    pub upstream: Option<Digest>,
    /// When the refs were first seen to be as they must be.
    pub proven_at: Option<Duration>,
    /// When Gitea's refs were last seen to have moved since.
    pub refs_moved_at: Option<Duration>,
    /// When `mirror_updated` was first seen to have moved.
    pub moved_at: Option<Duration>,
    /// Gitea did not answer at some time since: its process may be another one, and what it was at is in no queue.
    pub gitea_was_away: bool,
    /// Whether upstream's list was read again after that.
    pub upstream_read_since: bool,
    /// How many asks in a row, with this one, were not taken as far as anybody knows.
    pub asks: u32,
}

/// How many refs fewer Gitea had than when they were last proven: something has deleted them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// How many it had.
    pub here: u64,
    /// How many were proven.
    pub proven: u64,
}

/// Whether the tracked branch's move was a fast-forward, as far as it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ancestry {
    /// The commit that it moved to.
    pub to: ObjectId,
    /// The latest answer.
    pub answer: AncestryAnswer,
    /// How many there were.
    pub tries: u32,
}

/// The latest deletion of a placeholder in this run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// When it was answered.
    pub at: Duration,
    /// The answer; `None`: nobody knows.
    pub answer: Option<DeleteAnswer>,
}

/// A run that cannot be done, while a legacy repository stands aside: that gets its name back first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivingUp {
    /// Since when.
    pub since: Duration,
    /// Why.
    pub problem: Problem,
}
