//! A driver's pauses: each spread at random within its bounds, and those for Gitea cut short by a new request.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::driver::{Driver, Work};
use super::jitter;
use crate::domain::decide::{Awaited, Wait};
use crate::domain::run::Phase;

/// How often new requests cut a wait for Gitea short.
const HURRIED_EVERY: Duration = Duration::from_secs(10);

impl Driver {
    pub(super) async fn wait(&self, wait: Wait, work: &mut Work) {
        work.looking = if wait.phase == Phase::Connecting { Phase::Inspecting } else { wait.phase };
        self.enter(wait.phase, wait.because.map(|because| *because), work).await;
        let salt = (self.spec.name.as_str(), self.around.clock.now().as_nanosecond());
        let pause = jitter::spread(wait.least, wait.pause, salt);
        tokio::select! {
            biased;
            () = self.hurried(wait.awaited, work.hurried) => work.hurried = Some(Instant::now()),
            () = sleep(pause) => {}
        }
        match wait.awaited {
            // an outage may take long, and what upstream showed before it is no ground for a change after it
            Awaited::Gitea | Awaited::Upstream => work.observation.forget_upstream(),
            Awaited::Work => work.observation.forget(),
        }
    }

    /// A new request for the mirror, while it is Gitea that is waited for.
    async fn hurried(&self, awaited: Awaited, last: Option<Instant>) {
        match awaited {
            Awaited::Gitea => self.hurry.notified().await,
            Awaited::Upstream | Awaited::Work => std::future::pending().await,
        }
        if let Some(last) = last {
            sleep_until(last + HURRIED_EVERY).await;
        }
    }
}
