//! The statements about notices: written with the state that they tell of, dropped when they are taken.
//!
//! Owns how long they wait: a day, and [`KEPT`] of them. Whoever could not be told for a day asks for the status. What a
//! clock has written that was ahead counts as of now: it must not hold back its mirror's notices until then.

use std::cell::Cell;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, ToSpan as _};
use rusqlite::{Transaction, params};
use serde::de::IgnoredAny;

use super::rows::{Unreadable, parse, parsed, text};
use super::store::{Store, clamp, failed};
use super::{Journal, JournalError};
use crate::domain::notice::Notice;

/// How many notices wait, and for how many hours.
const KEPT: usize = 1_000;
const HOURS_KEPT: i64 = 24;

/// What is to be told.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    /// How many notices wait.
    pub waiting: u64,
    /// How many were dropped just now: too old, or too many.
    pub dropped: u64,
    /// The one that is sent next: of each mirror only the oldest, so that they arrive in their order.
    pub next: Option<Waiting>,
}

/// A notice that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its number.
    pub seq: i64,
    /// Its name.
    pub id: String,
    /// The mirror that it is about.
    pub mirror: String,
    /// What is sent.
    pub body: String,
    /// How often it was tried.
    pub tries: u32,
    /// Not to be sent before.
    pub next_at: Timestamp,
}

impl Journal {
    /// What is to be told, after what has waited too long or is too much is dropped. No notice that was not taken waits for
    /// longer than `longest_pause`.
    ///
    /// # Errors
    /// The journal cannot be read, or what is too old cannot be dropped.
    pub async fn outbox(&self, now: Timestamp, longest_pause: Duration) -> Result<Outbox, JournalError> {
        self.with(move |store| store.outbox(now, longest_pause)).await
    }

    /// Drops a notice that was taken.
    ///
    /// # Errors
    /// It will be sent again.
    pub async fn told(&self, seq: i64) -> Result<(), JournalError> {
        self.with(move |store| store.told(seq)).await
    }

    /// Notes that a notice was not taken, and when it is sent again.
    ///
    /// # Errors
    /// Nobody will know how often it was tried.
    pub async fn not_told(&self, seq: i64, next_at: Timestamp) -> Result<(), JournalError> {
        self.with(move |store| store.not_told(seq, next_at)).await
    }
}

pub(super) fn put(transaction: &Transaction<'_>, notice: &Notice) -> Result<(), rusqlite::Error> {
    let at = notice.at.to_string();
    transaction
        .execute(
            "INSERT INTO notices (id, mirror, body, at, next_at) VALUES (?1, ?2, ?3, ?4, ?4)",
            params![notice.id.to_string(), notice.mirror.as_str(), notice.body, at],
        )
        .map(drop)
}

impl Store {
    pub(super) fn outbox(&mut self, now: Timestamp, longest_pause: Duration) -> Result<Outbox, JournalError> {
        let count = |store: &Self| -> Result<i64, JournalError> {
            store.connection.query_row("SELECT count(*) FROM notices", [], |row| row.get(0)).map_err(failed)
        };
        let before = count(self)?;
        if before == 0 {
            return Ok(Outbox::default());
        }
        let oldest = now.checked_sub(HOURS_KEPT.hours()).unwrap_or(Timestamp::MIN).to_string();
        let latest = SignedDuration::try_from(longest_pause).ok().and_then(|pause| now.checked_add(pause).ok());
        let (this, latest) = (now.to_string(), latest.unwrap_or(Timestamp::MAX).to_string());
        self.write(|transaction| {
            transaction.execute("UPDATE notices SET at = ?1 WHERE at > ?1", [&this])?;
            transaction.execute("UPDATE notices SET next_at = ?1 WHERE next_at > ?2", [&this, &latest])?;
            transaction
                .execute(
                    "DELETE FROM notices WHERE at < ?1 OR \
                     seq NOT IN (SELECT seq FROM notices ORDER BY seq DESC LIMIT ?2)",
                    params![oldest, clamp(KEPT)],
                )
                .map(drop)
        })?;
        let next = self.next_notice()?;
        let waiting = count(self)?;
        let number = |count: i64| u64::try_from(count).unwrap_or_default();
        Ok(Outbox { waiting: number(waiting), dropped: number(before - waiting), next })
    }

    /// The notice that is sent next. One that cannot be read is dropped: it must not hold back those after it.
    fn next_notice(&mut self) -> Result<Option<Waiting>, JournalError> {
        let query = "SELECT seq, id, mirror, body, tries, next_at FROM notices \
                     WHERE seq IN (SELECT min(seq) FROM notices GROUP BY mirror) ORDER BY next_at, seq LIMIT 1";
        loop {
            let seq = Cell::new(None);
            let next = self.rows("notices", query, [], |row| {
                seq.set(Some(row.get::<_, i64>(0)?));
                let body = text(row, 3)?;
                parse::<IgnoredAny>(&body)?;
                Ok::<_, Unreadable>(Waiting {
                    seq: row.get(0)?,
                    id: text(row, 1)?,
                    mirror: text(row, 2)?,
                    body,
                    tries: row.get(4)?,
                    next_at: parsed(row, 5, "a date", |date| date.parse().ok())?,
                })
            })?;
            match (next.into_iter().next(), seq.get()) {
                (Some(None), Some(seq)) => self.told(seq)?,
                (next, _) => return Ok(next.flatten()),
            }
        }
    }

    pub(super) fn told(&mut self, seq: i64) -> Result<(), JournalError> {
        self.write(|transaction| transaction.execute("DELETE FROM notices WHERE seq = ?1", [seq]).map(drop))
    }

    pub(super) fn not_told(&mut self, seq: i64, next_at: Timestamp) -> Result<(), JournalError> {
        self.write(|transaction| {
            transaction
                .execute(
                    "UPDATE notices SET tries = tries + 1, next_at = ?2 WHERE seq = ?1",
                    params![seq, next_at.to_string()],
                )
                .map(drop)
        })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::names::MirrorName;
    use crate::domain::status::Facts;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn notice(number: u128, mirror: &str, second: i64) -> Notice {
        let mirror = MirrorName::parse(mirror).unwrap();
        Notice { id: Uuid::from_u128(number), mirror, at: at(second), body: format!("{{\"number\":{number}}}") }
    }

    fn write(store: &mut Store, notices: &[Notice]) {
        store.write_end(&MirrorName::parse("one").unwrap(), &Facts::default(), &[], &[], notices).unwrap();
    }

    fn outbox(store: &mut Store, second: i64) -> Outbox {
        store.outbox(at(second), Duration::from_mins(10)).unwrap()
    }

    fn next(store: &mut Store, second: i64) -> Option<String> {
        outbox(store, second).next.map(|next| next.body)
    }

    #[test]
    fn of_each_mirror_the_oldest_is_next_and_a_failure_holds_back_its_own_mirror_alone() {
        let mut store = Store::in_memory().unwrap();
        write(&mut store, &[notice(1, "one", 1), notice(2, "one", 2), notice(3, "two", 3)]);
        assert_eq!(outbox(&mut store, 4).waiting, 3);
        let first = outbox(&mut store, 4).next.unwrap();
        assert_eq!((first.body.as_str(), first.tries), ("{\"number\":1}", 0));
        store.not_told(first.seq, at(60)).unwrap();
        let second = outbox(&mut store, 4).next.unwrap();
        assert_eq!(second.body, "{\"number\":3}", "the second of `one` waits for its first");
        store.told(second.seq).unwrap();
        let again = outbox(&mut store, 4).next.unwrap();
        assert_eq!((again.seq, again.tries, again.next_at), (first.seq, 1, at(60)));
        store.told(first.seq).unwrap();
        assert_eq!(next(&mut store, 4).unwrap(), "{\"number\":2}");
    }

    #[test]
    fn notices_wait_for_a_day_and_a_thousand_of_them() {
        let mut store = Store::in_memory().unwrap();
        assert_eq!(outbox(&mut store, 0).waiting, 0);
        let many: Vec<_> = (0..1_005).map(|number| notice(number, "one", 100)).collect();
        write(&mut store, &many);
        let left = outbox(&mut store, 100);
        assert_eq!((left.waiting, left.dropped), (1_000, 5));
        assert_eq!(left.next.unwrap().body, "{\"number\":5}");
        let day = 24 * 60 * 60;
        assert_eq!(outbox(&mut store, 100 + day).waiting, 1_000);
        let left = outbox(&mut store, 101 + day);
        assert_eq!((left.waiting, left.dropped, left.next), (0, 1_000, None));
    }

    #[test]
    fn what_a_clock_that_was_ahead_has_written_is_due_at_once_and_kept_for_a_day() {
        let (years, day) = (10 * 365 * 24 * 60 * 60, 24 * 60 * 60);
        let mut store = Store::in_memory().unwrap();
        write(&mut store, &[notice(1, "one", years), notice(2, "one", 100), notice(3, "two", 100)]);
        assert_eq!(next(&mut store, 100).unwrap(), "{\"number\":1}");
        // a try that failed before the clock was set back
        let first = outbox(&mut store, 100).next.unwrap();
        store.not_told(first.seq, at(years + 60)).unwrap();
        store.told(3).unwrap();
        let again = outbox(&mut store, 101).next.unwrap();
        assert_eq!((again.seq, again.next_at), (first.seq, at(101)));
        // a pause that is none of years is kept to
        store.not_told(first.seq, at(101 + 600)).unwrap();
        assert_eq!(outbox(&mut store, 102).next.unwrap().next_at, at(701));
        assert_eq!(outbox(&mut store, 100 + day).waiting, 2);
        assert_eq!(outbox(&mut store, 101 + day).waiting, 0);
    }
}
