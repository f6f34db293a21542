//! The journal: an embedded SQLite file that keeps what cannot be observed.
//!
//! Owns the file, its lock and its retention. Every write is on disk when the call returns (WAL, `synchronous=FULL`).
//! Losing the file loses history and never correctness: the engine acts on what Gitea and git hold. Holds no secret.

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

/// The journal's file in the state directory.
pub const FILE: &str = "journal.sqlite3";

/// A read or a write that failed; `Display` is for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JournalError(String);

/// A request that was accepted under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownRequest {
    /// What was asked for.
    pub request: Fingerprint,
    /// The run that it was given.
    pub run: RunId,
}

/// What the journal holds of one mirror.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// Facts for readers.
    pub facts: Facts,
    /// What was sent about pruning.
    pub pruning: Option<PruneMemory>,
    /// The latest change of its mode.
    pub mode: Option<ModeChange>,
    /// There is a change of its mode that cannot be read: what it was is not known.
    pub mode_unreadable: bool,
}

/// A handle on the open journal; cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {
    store: Arc<Mutex<Store>>,
    /// Beside the store, whose lock is held as long as a commit takes.
    outbox: Shared,
    worker: Arc<dyn Worker>,
}

impl Journal {
    /// A journal that lives as long as this handle: the same code on memory, for tests.
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

    /// The same journal, through a handle whose work is done by another worker.
    #[must_use]
    pub fn worked_by(&self, worker: Arc<dyn Worker>) -> Self {
        Self { worker, ..self.clone() }
    }

    /// Has rows that cannot be read counted from now on, each once.
    ///
    /// # Errors
    /// An earlier use of the journal ended in a panic.
    pub async fn count_unreadable_rows(&self, counter: Counter) -> Result<(), JournalError> {
        self.with(move |store| {
            store.damage.get_mut().counted_by(counter);
            Ok(())
        })
        .await
    }

    /// Writes a run, new or changed, with the events that tell what is new of it.
    ///
    /// # Errors
    /// Nothing is on disk.
    pub async fn write_run(&self, run: Arc<Run>, events: Vec<Arc<Recorded>>) -> Result<(), JournalError> {
        self.with(move |store| store.write_run(&run, &events)).await
    }

    /// Writes a new run, the key under which it was asked for, and the events that tell it: all or nothing.
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

    /// The newest id that any process may have given to an event.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn latest_event(&self) -> Result<EventId, JournalError> {
        self.with(Store::latest_event).await
    }

    /// Begins to give out ids for events: those of this process are above the one that this gives.
    ///
    /// # Errors
    /// The journal cannot be read or written.
    pub async fn begin_events(&self) -> Result<EventId, JournalError> {
        self.with(Store::begin_events).await
    }

    /// Has events written with whatever is written next. They tell steps on the way, which may be lost.
    pub fn note_events(&self, noted: impl IntoIterator<Item = Arc<Recorded>>) {
        events::locked(&self.outbox).note(noted);
    }

    /// How many events wait to be written.
    #[must_use]
    pub fn events_waiting(&self) -> usize {
        events::locked(&self.outbox).len()
    }

    /// Writes the events that wait, and gives the newest that is not kept any more.
    ///
    /// # Errors
    /// They are not on disk.
    pub async fn flush_events(&self) -> Result<EventId, JournalError> {
        self.with(Store::flush_events).await
    }

    /// Events in order: after one and up to another, of one run or of everything.
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

    /// Writes a key whose request was given a run that had been accepted before.
    ///
    /// # Errors
    /// It is not on disk.
    pub async fn remember_key(&self, keyed: Keyed, run: RunId, now: Timestamp) -> Result<(), JournalError> {
        self.with(move |store| store.remember_key(&keyed, run, now)).await
    }

    /// What a key of a caller stands for, if it is still kept.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn request_of(&self, keyed: Keyed, now: Timestamp) -> Result<Option<KnownRequest>, JournalError> {
        self.with(move |store| store.request_of(&keyed, now)).await
    }

    /// Writes how a mirror ended, in every run that waited for it, what is now known of it, the events that tell so, and
    /// what a receiver of notifications is to be told: all or nothing.
    ///
    /// # Errors
    /// Nothing is on disk.
    pub async fn write_end(
        &self,
        mirror: MirrorName,
        facts: Facts,
        runs: Vec<Arc<Run>>,
        events: Vec<Arc<Recorded>>,
        told: Vec<Notice>,
    ) -> Result<(), JournalError> {
        self.with(move |store| store.write_end(&mirror, &facts, &runs, &events, &told)).await
    }

    /// Writes what is now known of mirrors, and what is to be told of that: all or nothing.
    ///
    /// # Errors
    /// It is not on disk.
    pub async fn write_facts(&self, facts: Vec<(MirrorName, Facts)>, told: Vec<Notice>) -> Result<(), JournalError> {
        self.with(move |store| store.write_facts(&facts, &told)).await
    }

    /// One run.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn run(&self, id: RunId) -> Result<Option<Run>, JournalError> {
        self.with(move |store| store.run(id)).await
    }

    /// Runs, newest first, older than `before`.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn runs(&self, limit: usize, before: Option<RunId>) -> Result<Vec<Run>, JournalError> {
        self.with(move |store| store.runs(limit, before)).await
    }

    /// Runs that have not ended, oldest first. One that cannot be read is in flight no longer.
    ///
    /// # Errors
    /// The journal cannot be read or written.
    pub async fn in_flight(&self, now: Timestamp) -> Result<Vec<Run>, JournalError> {
        self.with(move |store| store.in_flight(now)).await
    }

    /// What is known of a mirror.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn remembered(&self, mirror: MirrorName) -> Result<Remembered, JournalError> {
        self.with(move |store| store.remembered(&mirror)).await
    }

    /// Writes what was sent about pruning.
    ///
    /// # Errors
    /// It is not on disk.
    pub async fn remember_pruning(&self, mirror: MirrorName, memory: PruneMemory) -> Result<(), JournalError> {
        self.with(move |store| store.remember_pruning(&mirror, &memory)).await
    }

    /// Writes a word on how a mirror is run, new or further carried out.
    ///
    /// # Errors
    /// It is not on disk.
    pub async fn write_mode(&self, mirror: MirrorName, change: ModeChange) -> Result<(), JournalError> {
        self.with(move |store| store.write_mode(&mirror, &change)).await
    }

    /// Whether it can be written: the latest write succeeded, or one does now.
    ///
    /// # Errors
    /// Why not.
    pub async fn is_writable(&self) -> Result<(), JournalError> {
        self.with(Store::is_writable).await
    }

    /// Drops what is older than the retention allows; nothing in flight.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub async fn retain(&self, now: Timestamp) -> Result<(), JournalError> {
        self.with(move |store| store.retain(now)).await
    }

    /// Runs a piece of work where it may block: a commit waits for the disk.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let (store, (tell, told)) = (Arc::clone(&self.store), oneshot::channel());
        let piece = move || {
            let store = store.lock().map_err(|_| JournalError("an earlier write ended in a panic".into()));
            // whoever asked may have gone
            drop(tell.send(store.and_then(|mut store| work(&mut store))));
        };
        self.worker.work(Box::new(piece)).await;
        told.await.map_err(|_| JournalError("the write ended in a panic".into()))?
    }
}
