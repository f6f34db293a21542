//! A driver's pauses: each spread at random within its bounds, and those for Gitea cut short by a new request.

use std::pin::pin;
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
        work.give_up_early_answers();
        work.looking = if wait.phase == Phase::Connecting { Phase::Inspecting } else { wait.phase };
        self.enter(wait.phase, wait.because.map(|because| *because), work).await;
        let salt = (self.spec.name.as_str(), self.around.clock.now().as_nanosecond());
        let pause = jitter::spread(wait.least, wait.pause, salt);
        match wait.awaited {
            // an outage may take long, and what upstream showed before it is no ground for a change after it
            Awaited::Gitea | Awaited::Upstream => work.observation.forget_upstream(),
            Awaited::Work => work.observation.forget(),
        }
        work.free_unused_memory();
        let mut hurried = pin!(self.hurried(wait.awaited, work.hurried));
        let mut pause = pin!(sleep(pause));
        loop {
            tokio::select! {
                biased;
                () = &mut hurried => {
                    work.hurried = Some(Instant::now());
                    return;
                }
                () = &mut pause => return,
                // upstream's list is kept as long as no other mirror needs the memory
                () = self.around.budget.is_wanted(), if work.reserved.is_some() => work.give_up_lists(),
            }
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
