//! Drivers at work, as the coordinator keeps them.
//!
//! Owns what it takes to interrupt one, to stop it, and to hear of one that ends in a panic.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;

use super::coordinator::Coordinator;
use super::driver::Event;
use crate::domain::names::MirrorName;
use crate::domain::problem::{Code, Problem};
use crate::domain::run::{End, RunId};
use crate::metrics::Metrics;

/// A driver at work.
pub(super) struct Driven {
    /// The run, or the word on its mode, for which it was begun: what another one still says is not heard.
    pub(super) run: RunId,
    pub(super) began: Instant,
    pub(super) abort: AbortHandle,
    /// To tell it of a new request.
    pub(super) hurry: Arc<Notify>,
    pub(super) task: Task,
}

/// What a driver is at work for.
pub(super) enum Task {
    /// A run, which is told so when the mirror is to stand still.
    Run { interrupt: Arc<Notify> },
    /// A mode.
    Mode,
}

/// Sees to it that a driver that ends in a panic is heard of: else its mirror would be at work for ever.
pub(super) struct Minder {
    run: RunId,
    mirror: MirrorName,
    events: mpsc::Sender<Event>,
    metrics: Arc<Metrics>,
}

impl Minder {
    pub(super) fn new(coordinator: &Coordinator, run: RunId, mirror: &MirrorName) -> Self {
        let (events, metrics) = (coordinator.events.clone(), Arc::clone(&coordinator.metrics));
        Self { run, mirror: mirror.clone(), events, metrics }
    }

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
