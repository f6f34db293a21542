//! Statements on notices: written with the state that they report, dropped when a receiver took them.
//!
//! Owns how long they wait: a day, and at most [`KEPT`]. After that the receiver reads the status instead. Never lets a
//! clock that was ahead delay a mirror's notices: a time in the future counts as now.

use std::cell::Cell;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, ToSpan as _};
use rusqlite::{Transaction, params};
use serde::de::IgnoredAny;

use super::rows::{Unreadable, parse, parsed, text};
use super::store::{Store, clamp, failed};
use super::{Journal, JournalError};
use crate::domain::notice::Notice;

/// Limits of the waiting notices: number and hours.
const KEPT: usize = 1_000;
const HOURS_KEPT: i64 = 24;

/// State of the notification queue.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    /// Number of waiting notices.
    pub waiting: u64,
    /// Number of notices that were just dropped, too old or too many.
    pub dropped: u64,
    /// The notice to send next. Only the oldest of each mirror is a candidate, which keeps their order.
    pub next: Option<Waiting>,
}

/// A notice that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Sequence number.
    pub seq: i64,
    /// Id for the receiver.
    pub id: String,
    /// The mirror.
    pub mirror: String,
    /// The body to send.
    pub body: String,
    /// Number of failed attempts.
    pub tries: u32,
    /// Earliest time of the next attempt.
    pub next_at: Timestamp,
}

impl Journal {
    /// Returns the state of the queue, after dropping notices over the limits. No notice waits longer than
    /// `longest_pause` for its next attempt.
    ///
    /// # Errors
    /// The journal cannot be read or written.
    pub async fn outbox(&self, now: Timestamp, longest_pause: Duration) -> Result<Outbox, JournalError> {
        self.with(move |store| store.outbox(now, longest_pause)).await
    }

    /// Drops a notice that the receiver took.
    ///
    /// # Errors
    /// It will be sent again.
    pub async fn told(&self, seq: i64) -> Result<(), JournalError> {
        self.with(move |store| store.told(seq)).await
    }

    /// Records a failed attempt and the time of the next one.
    ///
    /// # Errors
    /// The attempt is not counted.
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

    /// Returns the notice to send next. An unreadable notice is dropped, because it would block the ones after it.
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
    fn each_mirrors_oldest_notice_is_next_and_a_failure_delays_only_its_mirror() {
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
    fn a_notice_with_a_time_in_the_future_is_due_at_once_and_kept_for_a_day() {
        let (years, day) = (10 * 365 * 24 * 60 * 60, 24 * 60 * 60);
        let mut store = Store::in_memory().unwrap();
        write(&mut store, &[notice(1, "one", years), notice(2, "one", 100), notice(3, "two", 100)]);
        assert_eq!(next(&mut store, 100).unwrap(), "{\"number\":1}");
        // The attempt failed before the clock was set back.
        let first = outbox(&mut store, 100).next.unwrap();
        store.not_told(first.seq, at(years + 60)).unwrap();
        store.told(3).unwrap();
        let again = outbox(&mut store, 101).next.unwrap();
        assert_eq!((again.seq, again.next_at), (first.seq, at(101)));
        // A pause of normal length is kept.
        store.not_told(first.seq, at(101 + 600)).unwrap();
        assert_eq!(outbox(&mut store, 102).next.unwrap().next_at, at(701));
        assert_eq!(outbox(&mut store, 100 + day).waiting, 2);
        assert_eq!(outbox(&mut store, 101 + day).waiting, 0);
    }
}
