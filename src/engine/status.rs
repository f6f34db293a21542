//! The published status: the snapshot that every reader gets.
//!
//! Owns when a snapshot is made and what it holds. Never waits for a reader.

use std::sync::Arc;

use super::coordinator::Coordinator;
use crate::domain::status::Status;

impl Coordinator {
    /// Publishes the status, and tells followers of the events what has changed of the mirrors.
    pub(super) fn publish(&mut self) {
        let now = self.around.clock.now();
        let news: Vec<_> = self.mirrors.iter_mut().flat_map(|slot| slot.news(now)).collect();
        self.story.note(now, news);
        self.status.send_replace(self.status_now());
    }

    /// The status as of now.
    pub(super) fn status_now(&self) -> Arc<Status> {
        let latest = self.latest.as_ref();
        let latest_run = latest.map(|latest| Arc::clone(self.in_flight.get(&latest.id).map_or(latest, |one| &one.run)));
        let mirrors = self.mirrors.iter().map(|slot| Arc::clone(&slot.status)).collect();
        let gitea = self.around.gitea_status();
        Arc::new(Status { mirrors, latest_run, gitea, cutover_complete: None })
    }
}
