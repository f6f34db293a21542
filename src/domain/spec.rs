//! What is asked for: one mirror as configured, and the limits under which the engine works.
//!
//! Owns the meaning and the defaults of both. How they are written in a file is `config`'s.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration::GoDuration;
pub use super::mode::Mode;
use super::names::{BranchName, MirrorName, OwnerName, RepoName};
use super::refs::{Digest, Prune};
use super::url::UpstreamUrl;

/// One configured pair: an upstream repository and its place in Gitea.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorSpec {
    /// What it is called.
    pub name: MirrorName,
    /// Where it comes from.
    pub upstream: UpstreamUrl,
    /// The branch that must be there, and whose commit `/status` names.
    pub branch: BranchName,
    /// The organisation or user in Gitea.
    pub owner: OwnerName,
    /// The repository in Gitea.
    pub repo: RepoName,
    /// How often Gitea is to ask upstream by itself.
    pub interval: GoDuration,
    /// Whether Gitea is to delete what upstream has deleted.
    pub prune: Prune,
    /// Who may read a repository that we create.
    pub visibility: Visibility,
    /// What becomes of a regular repository in its place, unless a run says otherwise.
    pub on_legacy: OnLegacy,
    /// How it is run, until somebody asks for another mode.
    pub mode: Mode,
}

impl MirrorSpec {
    /// `owner/repo`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.repo)
    }
}

/// Who may read a repository in Gitea.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Everybody.
    Public,
    /// Whoever Gitea lets.
    Private,
}

/// What becomes of a regular repository that stands at a mirror's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnLegacy {
    /// The run fails and changes nothing.
    #[default]
    #[serde(rename = "refuse")]
    Refuse,
    /// It is renamed, whole, and the mirror made in its place.
    #[serde(rename = "renameAside")]
    RenameAside,
}

impl OnLegacy {
    /// Its one spelling.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::RenameAside => "renameAside",
        }
    }

    /// The one of that spelling.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        [Self::Refuse, Self::RenameAside].into_iter().find(|one| one.label() == label)
    }
}

/// What a run may do beyond what every run may: part of what is asked for, and of what is written down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RunOptions {
    /// What becomes of a regular repository in the way; `None`: as the mirror is configured.
    pub on_legacy: Option<OnLegacy>,
    /// The digest of a shrunken list of upstream's refs that an operator has looked at and accepts.
    pub accept_upstream: Option<Digest>,
}

impl RunOptions {
    /// Whether the same may be done for a mirror under these options and under `other`: what is left out is as the
    /// mirror is `configured`.
    #[must_use]
    pub fn agree_with(&self, other: &Self, configured: OnLegacy) -> bool {
        let on_legacy = |options: &Self| options.on_legacy.unwrap_or(configured);
        on_legacy(self) == on_legacy(other) && self.accept_upstream == other.accept_upstream
    }
}

/// The limits that a person may set, and the pace of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The longest a run may take.
    pub run: Duration,
    /// How long Gitea's answer to a migrate is waited for. Gitea's own limit of the clone is 600 s by default, and
    /// the branch and tag database comes on top.
    pub migrate: Duration,
    /// How long a sync may go unseen before its queue counts as stuck. Gitea's own limit of one fetch is 300 s by
    /// default, and its queue is worked off in series.
    pub sync: Duration,
    /// How long after the intent (or, without one, after `created_at`) a placeholder counts as dead.
    pub dead_placeholder: Duration,
    /// How long reading one side's refs may take.
    pub refs_time: Duration,
    /// How much memory one side's refs may take, in bytes.
    pub refs_bytes: usize,
    /// How old an observation has to be for a reader to start another.
    pub observed_for: Duration,
    /// For how long a mirror has to be behind for a run to be begun by ourselves; `None`: two intervals of it.
    pub heal_after: Option<Duration>,
    /// What depends on the platform's pivot; `None`: nothing.
    pub pivot: Option<PivotPolicy>,
}

impl Policy {
    /// For how long a mirror of this interval has to be behind for a run to be begun by ourselves: within two
    /// intervals Gitea asks upstream by itself.
    #[must_use]
    pub fn heals_after(&self, interval: GoDuration) -> Duration {
        self.heal_after.unwrap_or(interval.get() * 2)
    }
}

/// What may be done depending on whether the platform has moved its source into this very Gitea. Nothing is made past
/// that point, whatever stands here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PivotPolicy {
    /// Whether a mirror may be made where the platform has no status at all.
    pub without_status: Allowed,
    /// Whether a mirror that is there may be synced, and its settings changed, past the pivot.
    pub syncing: Allowed,
}

/// A decision of whoever configures the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// It may be done.
    Allow,
    /// It may not.
    Refuse,
}

impl Allowed {
    /// Its one spelling.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Refuse => "refuse",
        }
    }

    /// The one of that spelling.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        [Self::Allow, Self::Refuse].into_iter().find(|one| one.label() == label)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            run: Duration::from_mins(30),
            migrate: Duration::from_mins(15),
            sync: Duration::from_mins(10),
            dead_placeholder: Duration::from_mins(20),
            refs_time: Duration::from_mins(1),
            refs_bytes: 24 << 20,
            observed_for: Duration::from_mins(1),
            heal_after: None,
            pivot: None,
        }
    }
}
