//! The snapshot that readers are shown.
//!
//! Owns when one is made: at once, but for many mirrors, where each costs as much as there are of them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::coordinator::Coordinator;
use crate::domain::status::Status;

/// From this many mirrors on, a snapshot is made at most once in [`PUBLISHED_EVERY`] for each of them: it costs as much as
/// there are mirrors, and changes come the more often the more there are.
const MANY: usize = 500;
const PUBLISHED_EVERY: Duration = Duration::from_micros(10);

impl Coordinator {
    /// Publishes now, or a little later when there are many mirrors and that has just been done.
    pub(super) fn publish_soon(&mut self) {
        let many = u32::try_from(self.mirrors.len()).ok().filter(|_| self.mirrors.len() >= MANY).unwrap_or_default();
        let then = self.published_at + PUBLISHED_EVERY * many;
        if Instant::now() >= then {
            self.publish();
        } else {
            self.to_publish = Some(then);
        }
    }

    /// Lets readers see where everything stands, and followers hear what has changed of the mirrors.
    pub(super) fn publish(&mut self) {
        (self.published_at, self.to_publish) = (Instant::now(), None);
        let now = self.around.clock.now();
        let news: Vec<_> = self.mirrors.iter_mut().flat_map(|slot| slot.news(now)).collect();
        self.story.note(now, news);
        self.status.send_replace(self.status_now());
    }

    /// Where everything stands.
    pub(super) fn status_now(&self) -> Arc<Status> {
        let latest = self.latest.as_ref();
        let latest_run = latest.map(|latest| Arc::clone(self.in_flight.get(&latest.id).map_or(latest, |one| &one.run)));
        let mirrors = self.mirrors.iter().map(|slot| Arc::clone(&slot.status)).collect();
        let gitea = self.around.gitea_status();
        Arc::new(Status { mirrors, latest_run, gitea, cutover_complete: None })
    }
}
