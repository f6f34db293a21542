//! What a driver remembers of pruning, which Gitea never shows.
//!
//! Owns the two questions about it. Decides nothing.

use super::History;
use crate::domain::answer::Repository;
use crate::domain::evidence::PruneCertainty;
use crate::domain::refs::Prune;

impl History {
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
