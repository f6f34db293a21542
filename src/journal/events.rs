//! Statements on events, and the events that wait for the next write.
//!
//! Owns how long events are kept. Never reuses an id. An event on a state is written with that state. An event on a
//! step waits for the next write and needs no commit of its own. A crash loses only such steps, and the resumed run
//! repeats them.

use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard};

use rusqlite::{Row, Transaction, params};

use super::JournalError;
use super::rows::{Unreadable, parse, parsed, text};
use super::store::{Store, clamp, failed, json};
use crate::domain::event::{Event, EventId, Kind, Recorded};
use crate::domain::run::RunId;

/// Limits of the kept events. More than `KEPT + SLACK` are cut to `KEPT`, because each drop needs a commit.
const KEPT: i64 = 10_000;
const SLACK: i64 = 500;

/// Ids that a process reserves at once, so that a crash cannot make the next process reuse an id.
const BLOCK: u64 = 65_536;

/// Limit of the events that wait while the journal cannot be written.
const MAX_WAITING: usize = 2_048;

/// A page of events.
#[derive(Clone, Debug, Default)]
pub struct EventPage {
    /// The newest event that is dropped; no earlier one is kept.
    pub dropped: EventId,
    /// The events, oldest first.
    pub events: Vec<Arc<Recorded>>,
    /// Start of the next page; `None` on the last page.
    pub next: Option<EventId>,
}

/// Events that wait for the next write.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Vec<Arc<Recorded>>,
    /// The newest event that was discarded while waiting. No event up to it can be read again.
    lost: Option<EventId>,
}

impl Outbox {
    pub(super) fn note(&mut self, events: impl IntoIterator<Item = Arc<Recorded>>) {
        self.waiting.extend(events);
        if self.waiting.len() > MAX_WAITING {
            self.lost = self.lost.max(self.waiting.iter().map(|event| event.id).max());
            self.waiting = Vec::new();
        }
    }

    fn put_back(&mut self, taken: Self) {
        let since = std::mem::take(&mut self.waiting);
        self.lost = self.lost.max(taken.lost);
        self.note(taken.waiting.into_iter().chain(since));
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

/// The outbox, shared by the journal's handles and its store.
pub(super) type Shared = Arc<Mutex<Outbox>>;

pub(super) fn locked(outbox: &Mutex<Outbox>) -> MutexGuard<'_, Outbox> {
    outbox.lock().expect("no code panics while holding this lock")
}

/// State of the events that the store keeps in memory.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) outbox: Shared,
    reserved: u64,
    kept: i64,
}

/// A batch of events to write: their rows, and the part of the outbox that they came from.
pub(super) struct Batch {
    rows: Vec<(Arc<Recorded>, String)>,
    taken: Outbox,
}

impl Ledger {
    /// Takes these events and all waiting ones.
    pub(super) fn batch(&self, events: &[Arc<Recorded>]) -> Result<Batch, JournalError> {
        let taken = std::mem::take(&mut *locked(&self.outbox));
        let all = taken.waiting.iter().chain(events);
        match all.map(|event| Ok((Arc::clone(event), body(&event.event)?))).collect() {
            Ok(rows) => Ok(Batch { rows, taken }),
            Err(error) => {
                locked(&self.outbox).put_back(taken);
                Err(error)
            }
        }
    }

    /// Writes a batch within a transaction; returns the highest reserved id.
    pub(super) fn put(&self, transaction: &Transaction<'_>, batch: &Batch) -> Result<u64, rusqlite::Error> {
        if let Some(lost) = batch.taken.lost {
            drop_up_to(transaction, number(lost))?;
        }
        let mut newest = 0;
        for (recorded, body) in &batch.rows {
            newest = newest.max(recorded.id.get());
            transaction
                .prepare_cached("INSERT OR REPLACE INTO events (seq, at, kind, run, body) VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![
                    number(recorded.id),
                    recorded.at.to_string(),
                    recorded.event.kind().label(),
                    recorded.event.run().map(|run| run.to_string()),
                    body,
                ])?;
        }
        if batch.rows.is_empty() || newest + BLOCK / 2 <= self.reserved {
            return Ok(self.reserved);
        }
        let reserved = newest + BLOCK;
        transaction.execute("UPDATE event_ids SET reserved = MAX(reserved, ?1)", [number(EventId::new(reserved))])?;
        Ok(reserved)
    }

    /// Completes a batch: drops it after a commit, or returns its events to the outbox.
    pub(super) fn complete(&mut self, batch: Batch, reserved: Option<u64>) {
        match reserved {
            Some(reserved) => {
                self.reserved = reserved;
                self.kept += clamp(batch.rows.len());
            }
            None => locked(&self.outbox).put_back(batch.taken),
        }
    }
}

impl Store {
    /// Returns the id above which this process numbers its events, and reserves a block of ids.
    pub(super) fn begin_events(&mut self) -> Result<EventId, JournalError> {
        // Events that waited in an earlier process are lost.
        *locked(&self.ledger.outbox) = Outbox::default();
        let (newest, reserved) = self.reserved_ids()?;
        self.ledger.kept =
            self.connection.query_row("SELECT COUNT(*) FROM events", [], |row| row.get(0)).map_err(failed)?;
        let (latest, known) = (latest(newest, reserved), reserved.is_some());
        let reserved = latest.get() + BLOCK;
        self.write(|transaction| {
            let ids = number(EventId::new(reserved));
            if known {
                return transaction.execute("UPDATE event_ids SET reserved = ?1", [ids]).map(drop);
            }
            transaction.execute("DELETE FROM event_ids", [])?;
            transaction.execute("INSERT INTO event_ids (reserved, dropped) VALUES (?1, ?2)", [ids, newest]).map(drop)
        })?;
        self.ledger.reserved = reserved;
        Ok(latest)
    }

    /// The newest kept id, and the highest id that an earlier process reserved; `None` if that is unknown.
    fn reserved_ids(&self) -> Result<(i64, Option<i64>), JournalError> {
        let newest = self
            .connection
            .query_row("SELECT COALESCE(MAX(seq), 0) FROM events", [], |row| row.get(0))
            .map_err(failed)?;
        let ids = self.rows("event_ids", "SELECT rowid, reserved, dropped FROM event_ids", [], |row| {
            let _: i64 = row.get(2)?;
            Ok::<_, Unreadable>(row.get(1)?)
        })?;
        Ok((newest, if let [Some(reserved)] = ids.as_slice() { Some(*reserved) } else { None }))
    }

    pub(super) fn latest_event(&mut self) -> Result<EventId, JournalError> {
        let (newest, reserved) = self.reserved_ids()?;
        Ok(latest(newest, reserved))
    }

    /// Writes the waiting events; returns the newest dropped id.
    pub(super) fn flush_events(&mut self) -> Result<EventId, JournalError> {
        if locked(&self.ledger.outbox).lost.is_some() || locked(&self.ledger.outbox).len() > 0 {
            self.write(|_| Ok(()))?;
        }
        self.dropped()
    }

    pub(super) fn events(
        &mut self,
        after: EventId,
        upto: EventId,
        run: Option<RunId>,
        limit: usize,
    ) -> Result<EventPage, JournalError> {
        let dropped = self.dropped()?;
        let which = if run.is_some() { "e.run = ?4" } else { "?4 IS NULL" };
        let query = format!(
            "SELECT e.seq, e.at, e.kind, e.body, e.run FROM events e \
             WHERE e.seq > ?1 AND e.seq <= ?2 AND {which} ORDER BY e.seq LIMIT ?3"
        );
        let run = run.map(|run| run.to_string());
        let last = Cell::new(after);
        let rows = self.rows("events", &query, params![number(after), number(upto), clamp(limit), run], |row| {
            last.set(id(row.get(0)?));
            self.recorded(row)
        })?;
        let next = (rows.len() == limit).then_some(last.get());
        // An unreadable event is left out, so that readers still get the others.
        Ok(EventPage { dropped, events: rows.into_iter().flatten().map(Arc::new).collect(), next })
    }

    fn dropped(&self) -> Result<EventId, JournalError> {
        let dropped = self.connection.query_row("SELECT dropped FROM event_ids", [], |row| row.get(0));
        dropped.map(id).map_err(failed)
    }

    /// Drops events over the limit and events of dropped runs. `runs`: whether runs were just dropped.
    pub(super) fn retain_events(&mut self, runs: bool) -> Result<(), JournalError> {
        let too_many = self.ledger.kept > KEPT + SLACK;
        if !runs && !too_many {
            return Ok(());
        }
        self.write(|transaction| {
            let oldest: Option<i64> = transaction.query_row(
                "SELECT MAX(COALESCE((SELECT seq FROM events ORDER BY seq DESC LIMIT 1 OFFSET ?1), 0), COALESCE((SELECT \
                 MAX(seq) FROM events WHERE kind = 'run-ended' AND run NOT IN (SELECT id FROM runs)), 0))",
                [KEPT],
                |row| row.get(0),
            )?;
            drop_up_to(transaction, oldest.unwrap_or(0))
        })?;
        self.ledger.kept =
            self.connection.query_row("SELECT COUNT(*) FROM events", [], |row| row.get(0)).map_err(failed)?;
        Ok(())
    }

    /// Reads a row: number, time, kind, body and run.
    fn recorded(&self, row: &Row<'_>) -> Result<Recorded, Unreadable> {
        let body = text(row, 3)?;
        let event = match parsed(row, 2, "a kind", Kind::from_label)? {
            Kind::RunAccepted => Event::RunAccepted(Arc::new(parse(&body)?)),
            Kind::Phase => Event::Phase(parse(&body)?),
            Kind::MirrorEnded => Event::MirrorEnded(parse(&body)?),
            Kind::Rewritten => Event::Rewritten(parse(&body)?),
            Kind::RunEnded => {
                let run = parsed(row, 4, "a run's id", RunId::parse)?;
                let run = self.run(run).map_err(|error| Unreadable::new(error.to_string()))?;
                Event::RunEnded(Arc::new(run.ok_or_else(|| Unreadable::new("the end of an unknown run"))?))
            }
            Kind::Freshness => Event::Freshness(parse(&body)?),
            Kind::Mode => Event::Mode(parse(&body)?),
            Kind::Snapshot | Kind::Shutdown => return Err(Unreadable::new("a kind that is never written")),
        };
        let at = parsed(row, 1, "a date", |at| at.parse().ok())?;
        Ok(Recorded { id: id(row.get(0)?), at, event })
    }
}

fn drop_up_to(transaction: &Transaction<'_>, seq: i64) -> Result<(), rusqlite::Error> {
    transaction.execute("UPDATE event_ids SET dropped = ?1 WHERE dropped < ?1", [seq])?;
    transaction.execute("DELETE FROM events WHERE seq <= ?1", [seq]).map(drop)
}

/// The id above which a new process numbers its events. A process never goes more than a block beyond what it wrote.
fn latest(newest: i64, reserved: Option<i64>) -> EventId {
    let block = i64::try_from(BLOCK).unwrap_or(i64::MAX);
    id(reserved.unwrap_or_else(|| newest.saturating_add(block)).max(newest))
}

/// SQLite's integers are signed. Ids never come near the limit.
fn number(id: EventId) -> i64 {
    i64::try_from(id.get()).unwrap_or(i64::MAX)
}

fn id(number: i64) -> EventId {
    EventId::new(u64::try_from(number).unwrap_or(0))
}

fn body(event: &Event) -> Result<String, JournalError> {
    match event {
        Event::RunAccepted(run) => json(&**run),
        Event::Phase(entered) => json(entered),
        Event::MirrorEnded(ended) => json(ended),
        Event::Rewritten(rewrite) => json(rewrite),
        Event::RunEnded(_) => Ok(String::new()),
        Event::Freshness(changed) => json(changed),
        Event::Mode(changed) => json(changed),
    }
}

#[cfg(test)]
mod tests;
