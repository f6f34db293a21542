//! The journal: an embedded SQLite file for what cannot be observed.
//!
//! Owns the file, its lock and its retention. Every write is on disk when the call returns (WAL, `synchronous=FULL`). A
//! lost file costs history, never correctness, because the engine acts on what Gitea and git hold. Never holds a
//! secret.

mod crashes;
mod deliveries;
mod events;
mod home;
mod intents;
mod keys;
mod kinds;
mod modes;
mod notices;
mod opening;
mod rows;
mod runs;
mod store;
mod worker;

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::domain::event::{EventId, Recorded};
use crate::domain::evidence::PruneMemory;
use crate::domain::key::{Fingerprint, Keyed};
use crate::domain::mode::ModeChange;
use crate::domain::names::MirrorName;
use crate::domain::notice::Notice;
use crate::domain::run::{Run, RunId};
use crate::domain::status::Facts;
use events::Shared;
use store::Store;

pub use crashes::Crashed;
pub use deliveries::KnownDelivery;
pub use events::EventPage;
pub use intents::{Intent, IntentId, KnownIntent};
pub use kinds::{DEFAULT_BRANCH, DELETE, GIVE_BACK, MIGRATE, RENAME_ASIDE, SETTINGS, SYNC};
pub use notices::{Outbox, Waiting};
pub use opening::OpenError;
pub use rows::Counter;
pub use worker::{Piece, Threads, Worker};

/// File name of the journal in the state directory.
pub const FILE: &str = "journal.sqlite3";

/// A failed read or write. `Display` is for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JournalError(String);

/// An accepted request with an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownRequest {
    /// Fingerprint of the request.
    pub request: Fingerprint,
    /// The run that was returned.
    pub run: RunId,
}

/// Everything that the journal holds of one mirror.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// Published facts.
    pub facts: Facts,
    /// The pruning setting that was last sent.
    pub pruning: Option<PruneMemory>,
    /// The latest mode change.
    pub mode: Option<ModeChange>,
    /// Whether a mode change cannot be read, so that the mode is unknown.
    pub mode_unreadable: bool,
}

/// A handle on the open journal; cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {
    store: Arc<Mutex<Store>>,
    /// Outside the store, whose lock is held during a commit.
    outbox: Shared,
    worker: Arc<dyn Worker>,
}

impl Journal {
    /// Opens a journal in memory, which lives as long as this handle. For tests.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn in_memory() -> Result<Self, OpenError> {
        Ok(Self::of(Store::in_memory()?))
    }

    fn of(store: Store) -> Self {
        let outbox = Arc::clone(&store.ledger.outbox);
        Self { store: Arc::new(Mutex::new(store)), outbox, worker: Arc::new(Threads) }
    }

    /// Returns a handle whose work is done by another worker.
    #[must_use]
    pub fn worked_by(&self, worker: Arc<dyn Worker>) -> Self {
        Self { worker, ..self.clone() }
    }

    /// Counts rows that cannot be read from now on, each once.
    ///
    /// # Errors
    /// An earlier use of the journal panicked.
    pub async fn count_unreadable_rows(&self, counter: Counter) -> Result<(), JournalError> {
        self.with(move |store| {
            store.damage.get_mut().counted_by(counter);
            Ok(())
        })
        .await
    }

    /// Writes a new or changed run, with the events of the change.
    ///
    /// # Errors
    /// Nothing is on disk.
    pub async fn write_run(&self, run: Arc<Run>, events: Vec<Arc<Recorded>>) -> Result<(), JournalError> {
        self.with(move |store| store.write_run(&run, &events)).await
    }

    /// Writes a new run, its idempotency key and its events: all or nothing.
    ///
    /// # Errors
    /// Nothing is on disk.
    pub async fn accept(
        &self,
        run: Arc<Run>,
        keyed: Option<Keyed>,
        events: Vec<Arc<Recorded>>,
    ) -> Result<(), JournalError> {
        self.with(move |store| store.accept(&run, keyed.as_ref(), &events)).await
    }

    /// Returns the highest event id that any process may have used.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn latest_event(&self) -> Result<EventId, JournalError> {
        self.with(Store::latest_event).await
    }

    /// Reserves event ids for this process. Returns the id above which they begin.
    ///
    /// # Errors
    /// The journal cannot be read or written.
    pub async fn begin_events(&self) -> Result<EventId, JournalError> {
        self.with(Store::begin_events).await
    }

    /// Adds events to the next write. Only for steps, which a crash may lose.
    pub fn note_events(&self, noted: impl IntoIterator<Item = Arc<Recorded>>) {
        events::locked(&self.outbox).note(noted);
    }

    /// Number of events that wait to be written.
    #[must_use]
    pub fn events_waiting(&self) -> usize {
        events::locked(&self.outbox).len()
    }

    /// Writes the waiting events, and returns the newest dropped id.
    ///
    /// # Errors
    /// They are not on disk.
    pub async fn flush_events(&self) -> Result<EventId, JournalError> {
        self.with(Store::flush_events).await
    }

    /// Returns events in order, after one id and up to another, of one run or of all.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn events(
        &self,
        after: EventId,
        upto: EventId,
        run: Option<RunId>,
        limit: usize,
    ) -> Result<EventPage, JournalError> {
        self.with(move |store| store.events(after, upto, run, limit)).await
    }

    /// Writes a key whose request returned an existing run.
    ///
    /// # Errors
    /// It is not on disk.
    pub async fn remember_key(&self, keyed: Keyed, run: RunId, now: Timestamp) -> Result<(), JournalError> {
        self.with(move |store| store.remember_key(&keyed, run, now)).await
    }

    /// Returns the request of a caller's key, if the key is kept.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn request_of(&self, keyed: Keyed, now: Timestamp) -> Result<Option<KnownRequest>, JournalError> {
        self.with(move |store| store.request_of(&keyed, now)).await
    }

    /// Writes a mirror's end in every run that waits for it, its facts, the events and the notifications: all or
    /// nothing.
    ///
    /// # Errors
    /// Nothing is on disk.
    pub async fn write_end(
        &self,
        mirror: MirrorName,
        facts: Facts,
        runs: Vec<Arc<Run>>,
        events: Vec<Arc<Recorded>>,
        notices: Vec<Notice>,
    ) -> Result<(), JournalError> {
        self.with(move |store| store.write_end(&mirror, &facts, &runs, &events, &notices)).await
    }

    /// Writes mirrors' facts and the notifications of their changes: all or nothing.
    ///
    /// # Errors
    /// It is not on disk.
    pub async fn write_facts(&self, facts: Vec<(MirrorName, Facts)>, notices: Vec<Notice>) -> Result<(), JournalError> {
        self.with(move |store| store.write_facts(&facts, &notices)).await
    }

    /// Returns a run.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn run(&self, id: RunId) -> Result<Option<Run>, JournalError> {
        self.with(move |store| store.run(id)).await
    }

    /// Returns runs older than `before`, newest first.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn runs(&self, limit: usize, before: Option<RunId>) -> Result<Vec<Run>, JournalError> {
        self.with(move |store| store.runs(limit, before)).await
    }

    /// Returns runs that have not ended, oldest first. An unreadable run is marked as ended.
    ///
    /// # Errors
    /// The journal cannot be read or written.
    pub async fn in_flight(&self, now: Timestamp) -> Result<Vec<Run>, JournalError> {
        self.with(move |store| store.in_flight(now)).await
    }

    /// Returns everything that the journal holds of a mirror.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn remembered(&self, mirror: MirrorName) -> Result<Remembered, JournalError> {
        self.with(move |store| store.remembered(&mirror)).await
    }

    /// Writes the pruning setting that was sent.
    ///
    /// # Errors
    /// It is not on disk.
    pub async fn remember_pruning(&self, mirror: MirrorName, memory: PruneMemory) -> Result<(), JournalError> {
        self.with(move |store| store.remember_pruning(&mirror, &memory)).await
    }

    /// Writes a mode change, new or with its progress.
    ///
    /// # Errors
    /// It is not on disk.
    pub async fn write_mode(&self, mirror: MirrorName, change: ModeChange) -> Result<(), JournalError> {
        self.with(move |store| store.write_mode(&mirror, &change)).await
    }

    /// Checks that the journal can be written: the latest write succeeded, or a test write does.
    ///
    /// # Errors
    /// The reason why not.
    pub async fn is_writable(&self) -> Result<(), JournalError> {
        self.with(Store::is_writable).await
    }

    /// Drops everything over the retention's limits. Never drops a run in flight.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub async fn retain(&self, now: Timestamp) -> Result<(), JournalError> {
        self.with(move |store| store.retain(now)).await
    }

    /// Runs a piece of work on the worker's thread, because a commit blocks.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let (store, (sender, receiver)) = (Arc::clone(&self.store), oneshot::channel());
        let piece = move || {
            let store = store.lock().map_err(|_| JournalError("an earlier write panicked".into()));
            // The caller may have dropped its future.
            drop(sender.send(store.and_then(|mut store| work(&mut store))));
        };
        self.worker.work(Box::new(piece)).await;
        receiver.await.map_err(|_| JournalError("the write panicked".into()))?
    }
}
