//! The statements about events, and those that wait to be written.
//!
//! Owns how long events are kept and that no id is given out twice. An event that tells a state is written with that
//! state; one that tells a step on the way waits for whatever is written next, so that it costs no commit of its own.
//! What is lost of those in a crash was never more than a step of work that begins anew.

use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard};

use rusqlite::{Row, Transaction, params};

use super::JournalError;
use super::rows::{Unreadable, parse, parsed, text};
use super::store::{Store, clamp, failed, json};
use crate::domain::event::{Event, EventId, Kind, Recorded};
use crate::domain::run::RunId;

/// How many events are kept, and how many more there may be before the oldest are dropped: each drop is a commit.
const KEPT: i64 = 10_000;
const SLACK: i64 = 500;

/// How many ids a process sets aside: those that were given out before a crash and not written are not given out again.
const BLOCK: u64 = 65_536;

/// How many may wait while the journal cannot be written.
const MOST_WAITING: usize = 2_048;

/// Some events, and how far back they can be told.
#[derive(Clone, Debug, Default)]
pub struct EventPage {
    /// None up to this one is kept.
    pub dropped: EventId,
    /// In order.
    pub events: Vec<Arc<Recorded>>,
    /// Where the next page begins; `None`: this is the last.
    pub next: Option<EventId>,
}

/// Events that wait for the next write.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Vec<Arc<Recorded>>,
    /// The newest that could not be kept waiting: nothing up to it can be told again.
    lost: Option<EventId>,
}

impl Outbox {
    pub(super) fn note(&mut self, events: impl IntoIterator<Item = Arc<Recorded>>) {
        self.waiting.extend(events);
        if self.waiting.len() > MOST_WAITING {
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

/// The outbox, as the journal's handles and its store share it.
pub(super) type Shared = Arc<Mutex<Outbox>>;

pub(super) fn locked(outbox: &Mutex<Outbox>) -> MutexGuard<'_, Outbox> {
    outbox.lock().expect("no code panics while holding this lock")
}

/// What the store knows about its events without asking.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) outbox: Shared,
    reserved: u64,
    kept: i64,
}

/// Events about to be written: their rows, and what was taken from the outbox for them.
pub(super) struct Batch {
    rows: Vec<(Arc<Recorded>, String)>,
    taken: Outbox,
}

impl Ledger {
    /// These events and all that wait.
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

    /// Within a transaction; gives the ids that are reserved after it.
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

    /// It is on disk, or it is not.
    pub(super) fn settled(&mut self, batch: Batch, reserved: Option<u64>) {
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
    /// What a new process gives ids above.
    pub(super) fn begin_events(&mut self) -> Result<EventId, JournalError> {
        // what waited in a process before this one died with it
        *locked(&self.ledger.outbox) = Outbox::default();
        let (newest, reserved) = self.given_out()?;
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

    /// The newest that is kept, and the one up to which an earlier process may have given them out; `None`: not known.
    fn given_out(&self) -> Result<(i64, Option<i64>), JournalError> {
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
        let (newest, reserved) = self.given_out()?;
        Ok(latest(newest, reserved))
    }

    /// Writes what waits; gives up to where none is kept.
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
        // losing one costs a line of a story; no stream at all would cost the reader all of it
        Ok(EventPage { dropped, events: rows.into_iter().flatten().map(Arc::new).collect(), next })
    }

    fn dropped(&self) -> Result<EventId, JournalError> {
        let dropped = self.connection.query_row("SELECT dropped FROM event_ids", [], |row| row.get(0));
        dropped.map(id).map_err(failed)
    }

    /// Drops events that are too many, or whose run is not kept any more; `runs`: whether runs were dropped just now.
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
                Event::RunEnded(Arc::new(run.ok_or_else(|| Unreadable::new("the end of a run that is not known"))?))
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

/// The one that a new process gives ids above: no process ever gave out more than a block beyond what it wrote.
fn latest(newest: i64, reserved: Option<i64>) -> EventId {
    let block = i64::try_from(BLOCK).unwrap_or(i64::MAX);
    id(reserved.unwrap_or_else(|| newest.saturating_add(block)).max(newest))
}

/// SQLite's whole numbers have a sign; ids never come near the end of either.
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
