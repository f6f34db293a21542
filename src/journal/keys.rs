//! Statements on idempotency keys. A key and its run are written together.
//!
//! Owns how long keys are kept: a day, and at most [`KEPT`], where the oldest keys of ended runs go first. Never drops
//! the key of a run in flight.

use std::sync::Arc;

use jiff::{Timestamp, ToSpan as _};
use rusqlite::{Transaction, params};

use super::rows::{Unreadable, parsed, text};
use super::runs::Rows;
use super::store::{Store, clamp};
use super::{JournalError, KnownRequest};
use crate::domain::event::Recorded;
use crate::domain::key::{Fingerprint, Keyed};
use crate::domain::run::{Run, RunId};

/// Limits of the kept keys: number and hours.
const KEPT: usize = 1_024;
const HOURS_KEPT: i64 = 24;

impl Store {
    pub(super) fn accept(
        &mut self,
        run: &Run,
        keyed: Option<&Keyed>,
        events: &[Arc<Recorded>],
    ) -> Result<(), JournalError> {
        let rows = Rows::new(run)?;
        self.write_with_events(events, |transaction| {
            rows.put(transaction)?;
            keyed.map_or(Ok(()), |keyed| put(transaction, keyed, run.id, run.created_at))
        })
    }

    pub(super) fn remember_key(&mut self, keyed: &Keyed, run: RunId, now: Timestamp) -> Result<(), JournalError> {
        self.write(|transaction| put(transaction, keyed, run, now))
    }

    pub(super) fn request_of(&mut self, keyed: &Keyed, now: Timestamp) -> Result<Option<KnownRequest>, JournalError> {
        // A key whose run was dropped is unknown, because the run can no longer be returned.
        let query = "SELECT seq, request, run, idempotency_keys.created_at, ended_at IS NULL FROM idempotency_keys \
                     JOIN runs ON runs.id = run WHERE caller = ?1 AND key = ?2";
        let known = self.rows("idempotency_keys", query, [&keyed.caller, keyed.key.as_str()], |row| {
            let request = Fingerprint::kept(&text(row, 1)?);
            let run = parsed(row, 2, "a run's id", RunId::parse)?;
            let created_at: Timestamp = parsed(row, 3, "a date", |date| date.parse().ok())?;
            let in_flight: bool = row.get(4)?;
            Ok::<_, Unreadable>((in_flight || created_at >= oldest(now)).then_some(KnownRequest { request, run }))
        })?;
        // An unreadable key is unknown as well; a second run is harmless.
        Ok(known.into_iter().flatten().flatten().next())
    }
}

fn oldest(now: Timestamp) -> Timestamp {
    now.checked_sub(HOURS_KEPT.hours()).unwrap_or(Timestamp::MIN)
}

fn put(transaction: &Transaction<'_>, keyed: &Keyed, run: RunId, now: Timestamp) -> Result<(), rusqlite::Error> {
    // Replaces an expired key of the same name.
    transaction.execute(
        "INSERT OR REPLACE INTO idempotency_keys (caller, key, request, run, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![keyed.caller, keyed.key.as_str(), keyed.request.to_string(), run.to_string(), now.to_string()],
    )?;
    drop_old(transaction, now)
}

/// Drops keys over the limits.
pub(super) fn drop_old(transaction: &Transaction<'_>, now: Timestamp) -> Result<(), rusqlite::Error> {
    const ENDED: &str = "run NOT IN (SELECT id FROM runs WHERE ended_at IS NULL)";
    transaction.execute(
        &format!("DELETE FROM idempotency_keys WHERE created_at < ?1 AND {ENDED}"),
        params![oldest(now).to_string()],
    )?;
    transaction.execute(
        &format!(
            "DELETE FROM idempotency_keys WHERE seq IN (SELECT seq FROM idempotency_keys WHERE {ENDED} ORDER BY seq \
             LIMIT max(0, (SELECT count(*) FROM idempotency_keys) - ?1))"
        ),
        params![clamp(KEPT)],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::key::Key;
    use crate::domain::names::MirrorName;
    use crate::domain::run::{End, Trigger};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn run(number: u128, ended: bool) -> Run {
        let name = MirrorName::parse("openova").unwrap();
        let mut run = Run::accepted(RunId(Uuid::from_u128(number)), Trigger::Api, "ops".into(), at(0), [name.clone()]);
        if ended {
            run.end_part(&name, &End::Canceled, at(1));
        }
        run
    }

    fn keyed(key: &str, request: &str) -> Keyed {
        Keyed { caller: "ops".into(), key: Key::parse(key).unwrap(), request: Fingerprint::of(request) }
    }

    fn count(store: &Store) -> i64 {
        store.connection.query_row("SELECT count(*) FROM idempotency_keys", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_key_belongs_to_its_caller_and_returns_its_run() {
        let mut store = Store::in_memory().unwrap();
        store.accept(&run(1, true), Some(&keyed("a", "{}")), &[]).unwrap();
        let known = store.request_of(&keyed("a", "other"), at(5)).unwrap().unwrap();
        assert_eq!(known, KnownRequest { request: Fingerprint::of("{}"), run: run(1, true).id });
        let another = Keyed { caller: "somebody".into(), ..keyed("a", "{}") };
        assert_eq!(store.request_of(&another, at(5)).unwrap(), None);
        assert_eq!(store.request_of(&keyed("b", "{}"), at(5)).unwrap(), None);
    }

    #[test]
    fn a_key_lasts_a_day_and_as_long_as_its_run_is_in_flight() {
        let mut store = Store::in_memory().unwrap();
        store.accept(&run(1, true), Some(&keyed("ended", "{}")), &[]).unwrap();
        store.accept(&run(2, false), Some(&keyed("open", "{}")), &[]).unwrap();
        let day = 24 * 60 * 60;
        for (now, lasts) in [(day, true), (day + 1, false)] {
            assert_eq!(store.request_of(&keyed("ended", "{}"), at(now)).unwrap().is_some(), lasts);
            assert!(store.request_of(&keyed("open", "{}"), at(now)).unwrap().is_some());
        }
        store.retain(at(day + 1)).unwrap();
        assert_eq!(count(&store), 1);
        // An expired key may be reused.
        store.accept(&run(3, false), Some(&keyed("ended", "other")), &[]).unwrap();
        assert_eq!(store.request_of(&keyed("ended", "other"), at(2)).unwrap().unwrap().run, run(3, false).id);
    }

    #[test]
    fn of_too_many_keys_the_oldest_of_ended_runs_go_first() {
        let mut store = Store::in_memory().unwrap();
        store.accept(&run(1, false), Some(&keyed("open", "{}")), &[]).unwrap();
        store.accept(&run(2, true), None, &[]).unwrap();
        let ended = run(2, true).id;
        for number in 0..KEPT + 10 {
            store.remember_key(&keyed(&format!("k{number}"), "{}"), ended, at(2)).unwrap();
        }
        assert_eq!(count(&store), clamp(KEPT));
        assert!(store.request_of(&keyed("open", "{}"), at(2)).unwrap().is_some());
        let kept = |store: &mut Store, key: &str| store.request_of(&keyed(key, "{}"), at(2)).unwrap().is_some();
        assert!(!kept(&mut store, "k10") && kept(&mut store, "k11") && kept(&mut store, "k1033"));
    }

    #[test]
    fn a_run_is_kept_as_long_as_its_key() {
        let mut store = Store::in_memory().unwrap();
        for number in 1..=1_003 {
            store.accept(&run(number, true), (number == 2).then(|| keyed("a", "{}")).as_ref(), &[]).unwrap();
        }
        store.retain(at(60)).unwrap();
        assert!(store.run(RunId(Uuid::from_u128(2))).unwrap().is_some());
        assert!(store.run(RunId(Uuid::from_u128(1))).unwrap().is_none());
        assert!(store.request_of(&keyed("a", "{}"), at(60)).unwrap().is_some());
    }
}
