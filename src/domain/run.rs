//! Runs and their parts: the words of the API, each with one spelling, and what a finished part must hold.
//!
//! Owns [`Phase`], [`Status`], [`Outcome`] and [`End`]. A success cannot be written down without its [`Evidence`].

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::evidence::Evidence;
use super::names::MirrorName;
use super::problem::Problem;
use super::spec::RunOptions;

macro_rules! labelled {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $label:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $label)] $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its one spelling: on the wire, in logs, in metrics and in the documentation.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label),* }
            }

            /// The one of that spelling.
            #[must_use]
            pub fn from_label(label: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.label() == label)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.label())
            }
        }
    };
}
pub(super) use labelled;

labelled! {
    /// Where a mirror stands.
    Phase {
        /// Nothing is under way.
        Idle = "idle",
        /// Asked for, not begun.
        Queued = "queued",
        /// Gitea does not answer yet.
        Connecting = "connecting",
        /// Looking at both sides.
        Inspecting = "inspecting",
        /// Gitea clones.
        Migrating = "migrating",
        /// Settings are being changed and read back.
        Patching = "patching",
        /// Gitea was asked to fetch.
        Syncing = "syncing",
        /// The two lists are compared.
        Verifying = "verifying",
        /// Proven.
        Succeeded = "succeeded",
        /// Healthy in Gitea, and upstream gave no list that proves it.
        Unverified = "unverified",
        /// Not done.
        Failed = "failed",
        /// Taken out.
        Canceled = "canceled",
    }
}

labelled! {
    /// Where a run stands.
    Status {
        /// Accepted, nothing begun.
        Queued = "queued",
        /// Under way.
        Running = "running",
        /// Every mirror proven.
        Succeeded = "succeeded",
        /// None failed, at least one not proven.
        Unverified = "unverified",
        /// At least one failed.
        Failed = "failed",
        /// None failed, at least one taken out.
        Canceled = "canceled",
    }
}

labelled! {
    /// What a success did.
    Outcome {
        /// A regular repository in its place was renamed, and the mirror made.
        Replaced = "replaced",
        /// What a failed migration of ours had left was deleted, and the mirror made anew.
        Repaired = "repaired",
        /// The mirror was made.
        Created = "created",
        /// Settings were changed.
        Updated = "updated",
        /// Gitea was asked to fetch.
        Synced = "synced",
        /// Nothing was changed.
        Noop = "noop",
    }
}

labelled! {
    /// Who or what asked for a run.
    Trigger {
        /// A call of the API.
        Api = "api",
        /// A webhook of upstream's.
        Webhook = "webhook",
        /// We ourselves: the mirror was seen behind for too long.
        Heal = "heal",
    }
}

impl Status {
    /// Where a run stands whose mirrors have ended in these phases.
    #[must_use]
    pub fn of_ended(phases: &(impl Iterator<Item = Phase> + Clone)) -> Self {
        let any = |phase: Phase| phases.clone().any(|one| one == phase);
        if any(Phase::Failed) {
            Self::Failed
        } else if any(Phase::Canceled) {
            Self::Canceled
        } else if any(Phase::Unverified) {
            Self::Unverified
        } else {
            Self::Succeeded
        }
    }

    /// Whether nothing will change any more.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Unverified | Self::Failed | Self::Canceled)
    }
}

/// A run's id: a UUID of version 7, so that ids sort by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub Uuid);

impl RunId {
    /// Reads an id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What there is to tell of a success beside its proof.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Notes {
    /// The repository that stood in the mirror's place, as `owner/repo`, where the run has renamed one.
    pub kept_aside: Option<String>,
    /// Sentences for a person.
    pub remarks: Vec<String>,
}

/// How a mirror's part of a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "lowercase")]
pub enum End {
    /// Proven.
    Succeeded {
        /// What it took.
        outcome: Outcome,
        /// The proof.
        evidence: Evidence,
        /// What else there is to tell.
        #[serde(default)]
        notes: Notes,
    },
    /// A healthy mirror, and no evidence.
    Unverified {
        /// Why not.
        problem: Problem,
    },
    /// Not done.
    Failed {
        /// Why.
        problem: Problem,
    },
    /// Taken out.
    Canceled,
}

impl End {
    /// The phase that says so.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match self {
            Self::Succeeded { .. } => Phase::Succeeded,
            Self::Unverified { .. } => Phase::Unverified,
            Self::Failed { .. } => Phase::Failed,
            Self::Canceled => Phase::Canceled,
        }
    }

    /// What a success did.
    #[must_use]
    pub const fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Succeeded { outcome, .. } => Some(*outcome),
            Self::Unverified { .. } | Self::Failed { .. } | Self::Canceled => None,
        }
    }

    /// The proof of a success.
    #[must_use]
    pub const fn evidence(&self) -> Option<&Evidence> {
        match self {
            Self::Succeeded { evidence, .. } => Some(evidence),
            Self::Unverified { .. } | Self::Failed { .. } | Self::Canceled => None,
        }
    }

    /// What else there is to tell of a success.
    #[must_use]
    pub const fn notes(&self) -> Option<&Notes> {
        match self {
            Self::Succeeded { notes, .. } => Some(notes),
            Self::Unverified { .. } | Self::Failed { .. } | Self::Canceled => None,
        }
    }

    /// What was in the way.
    #[must_use]
    pub const fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Unverified { problem } | Self::Failed { problem } => Some(problem),
            Self::Succeeded { .. } | Self::Canceled => None,
        }
    }
}

/// One mirror's part of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The mirror.
    pub name: MirrorName,
    /// Where it stands, or stood when it ended.
    pub phase: Phase,
    /// How it ended; `None` while it is under way.
    pub end: Option<End>,
}

/// One accepted request to bring mirrors in sync.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Who or what asked.
    pub trigger: Trigger,
    /// The name of the token that asked, or `anonymous`; of a webhook, what sent it.
    pub requested_by: String,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its first mirror was begun.
    pub started_at: Option<Timestamp>,
    /// When its last mirror ended.
    pub finished_at: Option<Timestamp>,
    /// What it may do beyond what every run may.
    #[serde(default)]
    pub options: RunOptions,
    /// Its mirrors, in the order of the configuration, each once.
    #[serde(default)]
    pub parts: Vec<Arc<Part>>,
}

impl Run {
    /// A run that was just accepted.
    #[must_use]
    pub fn accepted(
        id: RunId,
        trigger: Trigger,
        requested_by: String,
        at: Timestamp,
        mirrors: impl IntoIterator<Item = MirrorName>,
    ) -> Self {
        let part = |name| Arc::new(Part { name, phase: Phase::Queued, end: None });
        let parts = mirrors.into_iter().map(part).collect();
        Self {
            id,
            trigger,
            requested_by,
            created_at: at,
            started_at: None,
            finished_at: None,
            options: RunOptions::default(),
            parts,
        }
    }

    /// Where it stands, which follows from its parts.
    #[must_use]
    pub fn status(&self) -> Status {
        if self.parts.iter().any(|part| part.end.is_none()) {
            return if self.started_at.is_some() { Status::Running } else { Status::Queued };
        }
        Status::of_ended(&self.parts.iter().map(|part| part.phase))
    }

    /// Its part of that name.
    #[must_use]
    pub fn part(&self, name: &MirrorName) -> Option<&Part> {
        self.parts.iter().map(|part| &**part).find(|part| part.name == *name)
    }

    fn part_mut(&mut self, name: &MirrorName) -> Option<&mut Part> {
        self.parts.iter_mut().find(|part| part.name == *name).map(Arc::make_mut)
    }

    /// Work on a mirror enters a phase, which begins the run.
    pub fn enters(&mut self, name: &MirrorName, phase: Phase, at: Timestamp) {
        self.started_at.get_or_insert(at.max(self.created_at));
        if let Some(part) = self.part_mut(name) {
            part.phase = phase;
        }
    }

    /// All of it but its parts.
    #[must_use]
    pub fn without_parts(&self) -> Self {
        let Self { id, trigger, ref requested_by, created_at, started_at, finished_at, ref options, parts: _ } = *self;
        let (requested_by, options) = (requested_by.clone(), options.clone());
        Self { id, trigger, requested_by, created_at, started_at, finished_at, options, parts: Vec::new() }
    }

    /// Ends one part; the first end stands.
    pub fn end_part(&mut self, name: &MirrorName, end: &End, at: Timestamp) {
        let started = self.started_at.get_or_insert(at);
        let at = at.max(*started);
        if let Some(part) = self.part_mut(name).filter(|part| part.end.is_none()) {
            (part.phase, part.end) = (end.phase(), Some(end.clone()));
        }
        if self.parts.iter().all(|part| part.end.is_some()) {
            self.finished_at.get_or_insert(at);
        }
    }
}

#[cfg(test)]
mod tests;
