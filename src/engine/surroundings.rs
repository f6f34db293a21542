//! What every driver works with: the clients, the journal, the clock, and what they share.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::budget::Budget;
use super::origins::Origins;
use crate::clock::Clock;
use crate::domain::mode::ModeChange;
use crate::domain::observation::Rest;
use crate::domain::platform::Platform;
use crate::domain::spec::{MirrorSpec, Policy};
use crate::domain::status::GiteaStatus;
use crate::domain::url::Origin;
use crate::git::Lister;
use crate::gitea::Client;
use crate::journal::{Journal, JournalError, Remembered};
use crate::shutdown::Shutdown;

/// How many mirrors are worked on at once: each of Gitea's clones and fetches is a process of its own.
pub(super) const AT_ONCE: usize = 8;

/// Shared by all drivers; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    pub(super) gitea: Client,
    pub(super) lister: Lister,
    pub(super) journal: Journal,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) policy: Policy,
    pub(super) shutdown: Shutdown,
    /// Where our mirror is a step of a greater cutover.
    pub(super) platform: Option<Arc<dyn Platform>>,
    pub(super) turns: Arc<Semaphore>,
    /// Of those that carry out modes.
    pub(super) mode_turns: Arc<Semaphore>,
    /// The memory for lists of refs.
    pub(super) budget: Arc<Budget>,
    /// Gitea, as it was seen last.
    pub(super) gitea_status: Arc<Mutex<GiteaStatus>>,
    /// Which upstream hosts are to be left alone.
    pub(super) origins: Arc<Origins>,
}

impl Surroundings {
    /// What the journal knows of a mirror. A change of its mode that cannot be read has something in its place.
    pub(super) async fn remembered(&self, spec: &MirrorSpec) -> Result<Remembered, JournalError> {
        let mut remembered = self.journal.remembered(spec.name.clone()).await?;
        if remembered.mode_unreadable {
            remembered.mode = ModeChange::unreadable(spec.mode, self.clock.now());
        }
        Ok(remembered)
    }

    /// Takes note of whether Gitea's API answered, and asks once what it is.
    pub(super) async fn note_gitea(&self, reached: bool, now: Timestamp) {
        let ask = {
            let mut status = self.gitea_status.lock().expect("no code panics while holding this lock");
            if reached {
                status.last_answer_at = Some(now);
            } else {
                // whatever comes back may be another release
                status.version = None;
            }
            status.reachable = Some(reached);
            reached && status.version.is_none()
        };
        if ask && let Ok(version) = self.gitea.version().await {
            let mut status = self.gitea_status.lock().expect("no code panics while holding this lock");
            status.flavour = Some(version.flavour);
            status.version = Some(version.version);
        }
    }

    /// How upstream's host has asked to be left alone, if it has.
    pub(super) fn rest_of(&self, origin: &Origin) -> Option<Rest> {
        let left = self.origins.asked_until(origin)?.saturating_duration_since(Instant::now());
        let until = self.clock.now().checked_add(left).unwrap_or(Timestamp::MAX);
        Some(Rest { left, until })
    }

    /// Gitea, as it was seen last.
    pub(super) fn gitea_status(&self) -> GiteaStatus {
        self.gitea_status.lock().expect("no code panics while holding this lock").clone()
    }
}
