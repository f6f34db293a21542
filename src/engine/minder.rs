//! Whoever minds a driver that ends without a word.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::driver::Event;
use crate::domain::names::MirrorName;
use crate::domain::problem::{Code, Problem};
use crate::domain::run::{End, RunId};
use crate::metrics::Metrics;

/// Sees to it that a driver that ends in a panic is heard of: else its mirror would be at work for ever.
pub(super) struct Minder {
    pub(super) run: RunId,
    pub(super) mirror: MirrorName,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) metrics: Arc<Metrics>,
}

impl Minder {
    pub(super) async fn over(self, driving: JoinHandle<()>) {
        let began = Instant::now();
        if !driving.await.is_err_and(|error| error.is_panic()) {
            return;
        }
        self.metrics.panicked();
        let problem =
            Problem::new(Code::Internal, "the work on this mirror ended in a mistake of ours; nothing is claimed");
        let event = Event::Ended {
            run: self.run,
            mirror: self.mirror,
            end: Box::new(End::Failed { problem }),
            seen: Box::default(),
            took: began.elapsed(),
        };
        // the coordinator outlives every driver but at the service's end
        let _ = self.events.send(event).await;
    }
}
