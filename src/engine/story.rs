//! What has happened, in order: gives each event its number, has it written, and tells it to whoever listens.
//!
//! Owns the numbers and the listeners. Decides nothing about what there is to tell: that is `domain::event`. A listener
//! that does not keep up is not waited for: it loses its place here and finds it again in the journal.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::broadcast;

use crate::domain::event::{Event, EventId, Recorded};
use crate::journal::{Journal, JournalError};
use crate::metrics::Metrics;

/// How far a listener may be behind before it has lost its place. All of them together hold no more events than that.
const BEHIND: usize = 256;

/// How many events may wait to be written before they are written for themselves.
const WAITING: usize = 128;

#[derive(Debug)]
pub(super) struct Story {
    journal: Journal,
    metrics: Arc<Metrics>,
    /// The newest number that was given.
    pub(super) latest: EventId,
    /// What the process before may have given.
    pub(super) before: EventId,
    live: broadcast::Sender<Arc<Recorded>>,
}

impl Story {
    pub(super) async fn begin(journal: Journal, metrics: Arc<Metrics>) -> Result<Self, JournalError> {
        let before = journal.latest_event().await?;
        Ok(Self { journal, metrics, latest: before, before, live: broadcast::Sender::new(BEHIND) })
    }

    /// Sets numbers aside, so that no later process gives them out again. Before that, what is told is not written.
    pub(super) async fn take_ids(&mut self) -> Result<(), JournalError> {
        let begun = self.journal.begin_events().await?;
        self.latest = self.latest.max(begun);
        self.before = self.latest;
        Ok(())
    }

    /// Gives events their numbers. They are told once the state that they tell is written.
    pub(super) fn record(&mut self, at: Timestamp, events: impl IntoIterator<Item = Event>) -> Vec<Arc<Recorded>> {
        let numbered = events.into_iter().map(|event| {
            self.latest = self.latest.next();
            Arc::new(Recorded { id: self.latest, at, event })
        });
        numbered.collect()
    }

    /// Tells events that were recorded.
    pub(super) fn tell(&self, recorded: impl IntoIterator<Item = Arc<Recorded>>) {
        for event in recorded {
            self.metrics.event_told(event.event.kind());
            // nobody listens most of the time
            let _ = self.live.send(event);
        }
    }

    /// Records and tells steps on the way, which are written with whatever is written next.
    pub(super) fn note(&mut self, at: Timestamp, events: impl IntoIterator<Item = Event>) {
        let recorded = self.record(at, events);
        self.journal.note_events(recorded.iter().cloned());
        self.tell(recorded);
    }

    /// Writes what waits once it is much. Not being able to is not this one's affair: it waits on, within bounds.
    pub(super) async fn settle(&self) {
        if self.journal.events_waiting() > WAITING
            && let Err(error) = self.journal.flush_events().await
        {
            tracing::debug!(%error, "events wait for the journal");
        }
    }

    /// Whatever is told from now on.
    pub(super) fn listen(&self) -> broadcast::Receiver<Arc<Recorded>> {
        self.live.subscribe()
    }
}
