//! `[cron.update_mirrors]`: at each tick the mirrors that are due go into the queue. A mirror becomes due an
//! interval after its last sync, which is a little after a tick: so every second tick passes it by.

use std::sync::Arc;

use tokio::time::Instant;

use super::Gitea;

/// `PULL_LIMIT`: how many mirrors one tick takes, those first that were updated longest ago.
const PULL_LIMIT: usize = 50;

impl Gitea {
    /// Runs cron in the current runtime, with [`super::Settings::cron`] as the distance of its ticks, until the
    /// last handle is dropped. Without that setting it does nothing.
    pub fn run_cron(&self) {
        let Some(distance) = self.state().settings.cron else {
            return;
        };
        let distance = self.inner.clock.scaled(distance);
        let inner = Arc::downgrade(&self.inner);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(distance).await;
                let Some(inner) = inner.upgrade() else { return };
                Self { inner }.cron_tick();
            }
        });
    }

    /// One tick of cron. Needs a runtime, as the queue's worker runs in it.
    pub fn cron_tick(&self) {
        let now = Instant::now();
        let mut due: Vec<_> = {
            let state = self.state();
            if state.down || state.settings.mirror_feature_off {
                return;
            }
            let mirrors = state.repositories.iter().filter_map(|row| Some((row.mirror.as_ref()?, row.id)));
            mirrors
                .filter(|(mirror, _)| mirror.next.is_some_and(|next| next <= now))
                .map(|(m, id)| (m.updated, id))
                .collect()
        };
        due.sort_unstable();
        for (_, id) in due.into_iter().take(PULL_LIMIT) {
            self.enqueue(id);
        }
    }
}
