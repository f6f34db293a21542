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
        let newest: i64 = self
            .connection
            .query_row("SELECT COALESCE(MAX(seq), 0) FROM events", [], |row| row.get(0))
            .map_err(failed)?;
        let ids = self.rows("event_ids", "SELECT rowid, reserved, dropped FROM event_ids", [], |row| {
            Ok::<_, Unreadable>((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        })?;
        let reserved = match ids.as_slice() {
            [Some((reserved, _))] => *reserved,
            // no process ever gave out more than that beyond what it wrote; readers begin anew
            _ => {
                self.write(|transaction| {
                    transaction.execute("DELETE FROM event_ids", [])?;
                    transaction.execute("INSERT INTO event_ids (reserved, dropped) VALUES (0, ?1)", [newest]).map(drop)
                })?;
                newest.saturating_add(number(EventId::new(BLOCK)))
            }
        };
        self.ledger.kept =
            self.connection.query_row("SELECT COUNT(*) FROM events", [], |row| row.get(0)).map_err(failed)?;
        let latest = id(reserved.max(newest));
        let reserved = latest.get() + BLOCK;
        self.write(|transaction| {
            transaction.execute("UPDATE event_ids SET reserved = ?1", [number(EventId::new(reserved))]).map(drop)
        })?;
        self.ledger.reserved = reserved;
        Ok(latest)
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
mod tests {
    use jiff::{Timestamp, ToSpan as _};
    use uuid::Uuid;

    use super::*;
    use crate::domain::event::ModeChanged;
    use crate::domain::names::MirrorName;
    use crate::domain::run::{End, Run, Trigger};

    fn event(id: u64) -> Arc<Recorded> {
        let mirror = MirrorName::parse("one").unwrap();
        let event = Event::Mode(ModeChanged { mirror, mode: "pinned".into() });
        Arc::new(Recorded { id: EventId::new(id), at: Timestamp::UNIX_EPOCH, event })
    }

    fn ids(store: &mut Store, after: u64) -> Vec<u64> {
        let page = store.events(EventId::new(after), EventId::new(u64::MAX >> 1), None, 50_000).unwrap();
        page.events.iter().map(|event| event.id.get()).collect()
    }

    fn run(age: u128, ended: bool) -> Arc<Run> {
        let name = MirrorName::parse("one").unwrap();
        let at = Timestamp::UNIX_EPOCH;
        let mut run = Run::accepted(RunId(Uuid::from_u128(age)), Trigger::Api, "ops".into(), at, [name.clone()]);
        if ended {
            run.end_part(&name, &End::Canceled, at);
        }
        Arc::new(run)
    }

    #[test]
    fn every_kind_comes_back_as_it_was_written_in_order_and_by_run() {
        let mut store = Store::in_memory().unwrap();
        let (accepted, ended) = (run(1, false), run(1, true));
        let recorded = |id, event| Arc::new(Recorded { id: EventId::new(id), at: Timestamp::UNIX_EPOCH, event });
        let mut events = vec![recorded(1, Event::RunAccepted(accepted))];
        let ends = crate::domain::event::of_ends(&ended, [&ended.parts[0].name]);
        events.extend(ends.into_iter().zip(2..).map(|(event, id)| recorded(id, event)));
        store.write_run(&ended, &events).unwrap();
        locked(&store.ledger.outbox).note([event(9)]);
        assert_eq!(ids(&mut store, 0), [1, 2, 3], "what waits is not written by a read");
        store.flush_events().unwrap();
        events.push(event(9));
        let upto = EventId::new(99);
        assert_eq!(store.events(EventId::default(), upto, None, 50).unwrap().events, events);
        let of_run = store.events(EventId::new(1), upto, Some(ended.id), 50).unwrap().events;
        assert_eq!(of_run, events[1..3]);
        assert_eq!(store.events(EventId::default(), EventId::new(2), None, 1).unwrap().events, events[..1]);
    }

    #[test]
    fn ten_thousand_are_kept_and_the_journal_says_which_are_gone() {
        let mut store = Store::in_memory().unwrap();
        store.begin_events().unwrap();
        for chunk in 0..21 {
            let events: Vec<_> = (0..500).map(|n| event(chunk * 500 + n + 1)).collect();
            store.write_run(&run(1, false), &events).unwrap();
            store.retain(Timestamp::UNIX_EPOCH).unwrap();
        }
        assert_eq!(ids(&mut store, 0).len(), 10_500);
        store.write_run(&run(1, false), &[event(10_501)]).unwrap();
        store.retain(Timestamp::UNIX_EPOCH).unwrap();
        let left = ids(&mut store, 0);
        assert_eq!((left.len(), left[0]), (10_000, 502));
        assert_eq!(store.flush_events().unwrap(), EventId::new(501));
    }

    #[test]
    fn an_end_whose_run_is_not_kept_any_more_goes_with_all_before_it() {
        let mut store = Store::in_memory().unwrap();
        let ended = run(1, true);
        let end = Arc::new(Recorded {
            id: EventId::new(2),
            at: Timestamp::UNIX_EPOCH,
            event: Event::RunEnded(Arc::clone(&ended)),
        });
        store.write_run(&ended, &[event(1), end, event(3)]).unwrap();
        store.retain(Timestamp::UNIX_EPOCH + 31.hours() * 24).unwrap();
        assert_eq!(ids(&mut store, 0), [3]);
        assert_eq!(store.flush_events().unwrap(), EventId::new(2));
    }

    #[test]
    fn a_process_never_gives_out_an_id_that_one_before_it_may_have_given() {
        let mut store = Store::in_memory().unwrap();
        let first = store.begin_events().unwrap().get();
        store.write_run(&run(1, false), &[event(first + 1)]).unwrap();
        // these die with the process
        locked(&store.ledger.outbox).note((2..=BLOCK / 2).map(|n| event(first + n)));
        let second = store.begin_events().unwrap().get();
        assert!(second >= first + BLOCK / 2, "{first} {second}");
        store.flush_events().unwrap();
        assert_eq!(ids(&mut store, 0), [first + 1]);
        // a process that gives out many sets more aside in time
        store.write_run(&run(1, false), &[event(second + BLOCK - 1)]).unwrap();
        assert!(store.begin_events().unwrap().get() > second + BLOCK);
    }

    #[test]
    fn what_cannot_be_written_waits_and_when_it_is_too_much_the_journal_says_that_it_is_gone() {
        let mut store = Store::in_memory().unwrap();
        store.write_run(&run(1, false), &[event(1)]).unwrap();
        store
            .connection
            .execute_batch("CREATE TEMP TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'full'); END")
            .unwrap();
        locked(&store.ledger.outbox).note([event(2)]);
        assert!(store.flush_events().is_err() && store.write_run(&run(1, true), &[]).is_err());
        assert_eq!(store.run(run(1, true).id).unwrap().unwrap(), *run(1, false), "both or neither");
        assert_eq!(locked(&store.ledger.outbox).len(), 1);
        store.connection.execute_batch("DROP TRIGGER full").unwrap();
        store.write_run(&run(1, true), &[event(3)]).unwrap();
        assert_eq!(ids(&mut store, 0), [1, 2, 3]);
        locked(&store.ledger.outbox).note((4..5_000).map(event));
        locked(&store.ledger.outbox).note([event(5_000)]);
        assert_eq!(store.flush_events().unwrap(), EventId::new(4_999));
        assert_eq!(ids(&mut store, 0), [5_000]);
    }
}
