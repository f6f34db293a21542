//! Following what happens: a snapshot or what was missed, then every event as it comes.
//!
//! Owns where a follower begins and when it is over. A follower holds its place in the queue that all share and at most
//! one page of the journal, so that ten who do not read cost no more than one who does.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::NotAccepted;
use super::asking::unavailable;
use super::coordinator::Coordinator;
use crate::domain::event::{Event, EventId, Recorded};
use crate::domain::run::{Run, RunId};
use crate::domain::status::Status;
use crate::journal::Journal;
use crate::shutdown::Shutdown;

/// How many events of the journal are held at once.
const PAGE: usize = 64;

/// Where a follower begins.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    /// The run that it follows; `None`: everything.
    pub run: Option<RunId>,
    /// The last event that it has; `None`: it has seen nothing.
    pub after: Option<EventId>,
    /// Whether it is told where things stand also when it has missed nothing.
    pub always_snapshot: bool,
}

/// What a follower is told.
#[derive(Clone, Debug)]
pub enum Told {
    /// Where things stand.
    Snapshot(Snapshot),
    /// What has happened since.
    Event(Arc<Recorded>),
}

/// Where things stand, as of an event.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The newest event that it knows of.
    pub id: EventId,
    /// Whether it stands for events that were missed and are not kept any more.
    pub missed: bool,
    /// Everything.
    pub status: Arc<Status>,
    /// The run that is followed, if it is one.
    pub run: Option<Arc<Run>>,
}

/// Why there is nothing more to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The run that was followed has ended.
    Ended,
    /// The follower did not keep up; it can go on from the last event that it has.
    Lagged,
    /// The service is ending.
    Shutdown,
}

/// What comes before the present.
#[derive(Debug)]
enum Before {
    /// Events of the journal: after one, up to another.
    Replay(EventId, EventId),
    Told(Told),
}

/// Follows what happens, everywhere or in one run.
#[derive(Debug)]
pub struct Feed {
    run: Option<RunId>,
    /// Looked at already, not told yet.
    first: Option<Told>,
    before: VecDeque<Before>,
    page: VecDeque<Arc<Recorded>>,
    /// `None`: the run has ended, and there is no present.
    live: Option<broadcast::Receiver<Arc<Recorded>>>,
    journal: Journal,
    shutdown: Shutdown,
}

impl Feed {
    /// Whether there is nothing at all to tell, now or later.
    pub async fn is_over(&mut self) -> bool {
        if self.live.is_some() {
            return false;
        }
        match self.next().await {
            Ok(told) => {
                self.first = Some(told);
                false
            }
            Err(over) => over == Over::Ended,
        }
    }

    /// Whether there is more to tell already.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        !self.page.is_empty() || !self.before.is_empty() || self.live.as_ref().is_some_and(|live| !live.is_empty())
    }

    /// The next that there is to tell. May be dropped and asked again without losing any.
    ///
    /// # Errors
    /// [`Over`].
    pub async fn next(&mut self) -> Result<Told, Over> {
        if let Some(told) = self.first.take() {
            return Ok(told);
        }
        loop {
            if self.shutdown.has_begun() {
                return Err(Over::Shutdown);
            }
            if let Some(event) = self.page.pop_front() {
                return Ok(self.given(event));
            }
            match self.before.front() {
                Some(Before::Told(_)) => {
                    if let Some(Before::Told(told)) = self.before.pop_front() {
                        return Ok(told);
                    }
                }
                Some(Before::Replay(after, upto)) => {
                    let (after, upto) = (*after, *upto);
                    self.replay(after, upto).await?;
                }
                None => return self.live().await,
            }
        }
    }

    /// Reads the next page of what was missed.
    async fn replay(&mut self, after: EventId, upto: EventId) -> Result<(), Over> {
        let page = match self.journal.events(after, upto, self.run, PAGE).await {
            Ok(page) if page.dropped <= after => page,
            // what was kept when it began to read has been dropped meanwhile
            Ok(_) => return Err(Over::Lagged),
            Err(error) => {
                tracing::error!(%error, "events cannot be read from the journal; a stream ends");
                return Err(Over::Lagged);
            }
        };
        self.before.pop_front();
        if let Some(next) = page.next {
            self.before.push_front(Before::Replay(next, upto));
        }
        self.page = page.events.into();
        Ok(())
    }

    async fn live(&mut self) -> Result<Told, Over> {
        let Some(live) = &mut self.live else { return Err(Over::Ended) };
        loop {
            let received = tokio::select! {
                biased;
                () = self.shutdown.begun() => return Err(Over::Shutdown),
                received = live.recv() => received,
            };
            match received {
                Ok(event) if self.run.is_none() || event.event.run() == self.run => return Ok(self.given(event)),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => return Err(Over::Lagged),
                // the engine has ended before the service did
                Err(RecvError::Closed) => return Err(Over::Shutdown),
            }
        }
    }

    fn given(&mut self, event: Arc<Recorded>) -> Told {
        if self.run.is_some() && matches!(event.event, Event::RunEnded(_)) {
            self.live = None;
            self.before.clear();
        }
        Told::Event(event)
    }
}

impl Coordinator {
    /// Whoever asks here is told of every event from now on, and first of what it has not seen.
    pub(super) async fn follow(&mut self, place: Place) -> Result<Feed, NotAccepted> {
        let run = match place.run {
            None => None,
            Some(id) => Some(self.find(id).await?.ok_or(NotAccepted::UnknownRun)?),
        };
        self.publish();
        let now = self.story.latest;
        let ended = run.as_ref().filter(|run| run.finished_at.is_some());
        let mut before = VecDeque::new();
        let mut missed = place.after.is_some();
        let mut snapshot = true;
        if let Some(after) = place.after.filter(|after| *after <= now)
            && self.can_tell_since(after).await
        {
            missed = false;
            if after < now {
                before.push_back(Before::Replay(after, now));
            }
            // steps may have been lost with the process before, and its work began anew
            snapshot = ended.is_none() && (place.always_snapshot || after <= self.story.before);
        }
        if snapshot {
            let complete = self.around.platform.as_ref().and_then(|platform| platform.cutover_complete());
            let status = Arc::new(Status { cutover_complete: complete, ..(*self.status_now()).clone() });
            let run = run.clone();
            before.push_back(Before::Told(Told::Snapshot(Snapshot { id: now, missed, status, run })));
            if let Some(run) = ended {
                let at = run.finished_at.unwrap_or(run.created_at);
                let event = Event::RunEnded(Arc::clone(run));
                before.push_back(Before::Told(Told::Event(Arc::new(Recorded { id: now, at, event }))));
            }
        }
        Ok(Feed {
            run: run.as_ref().map(|run| run.id),
            live: ended.is_none().then(|| self.story.listen()),
            first: None,
            before,
            page: VecDeque::new(),
            journal: self.around.journal.clone(),
            shutdown: self.around.shutdown.clone(),
        })
    }

    /// Whether every event since this one is in the journal, for which those that wait are written.
    async fn can_tell_since(&mut self, after: EventId) -> bool {
        self.write_the_unwritten().await;
        self.unwritten.is_empty() && self.around.journal.flush_events().await.is_ok_and(|dropped| dropped <= after)
    }

    /// A run, as memory or else the journal knows it.
    pub(super) async fn find(&self, id: RunId) -> Result<Option<Arc<Run>>, NotAccepted> {
        match self.in_memory(id) {
            Some(run) => Ok(Some(run)),
            None => self.around.journal.run(id).await.map(|run| run.map(Arc::new)).map_err(unavailable),
        }
    }
}
