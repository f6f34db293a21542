//! The statements about notices: written with the state that they tell of, dropped when they are taken.
//!
//! Owns how long they wait: a day, and [`KEPT`] of them. Whoever could not be told for a day asks for the status.

use jiff::{Timestamp, ToSpan as _};
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::store::{Store, clamp, damaged, failed};
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
    /// What is to be told, after what has waited too long or is too much is dropped.
    ///
    /// # Errors
    /// The journal cannot be read, or what is too old cannot be dropped.
    pub async fn outbox(&self, now: Timestamp) -> Result<Outbox, JournalError> {
        self.with(move |store| store.outbox(now)).await
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
    pub(super) fn outbox(&mut self, now: Timestamp) -> Result<Outbox, JournalError> {
        let count = |store: &Self| -> Result<i64, JournalError> {
            store.connection.query_row("SELECT count(*) FROM notices", [], |row| row.get(0)).map_err(failed)
        };
        let before = count(self)?;
        if before == 0 {
            return Ok(Outbox::default());
        }
        let oldest = now.checked_sub(HOURS_KEPT.hours()).unwrap_or(Timestamp::MIN).to_string();
        self.write(|transaction| {
            transaction
                .execute(
                    "DELETE FROM notices WHERE at < ?1 OR \
                     seq NOT IN (SELECT seq FROM notices ORDER BY seq DESC LIMIT ?2)",
                    params![oldest, clamp(KEPT)],
                )
                .map(drop)
        })?;
        let waiting = count(self)?;
        let next = self
            .connection
            .query_row(
                "SELECT seq, id, mirror, body, tries, next_at FROM notices \
                 WHERE seq IN (SELECT min(seq) FROM notices GROUP BY mirror) ORDER BY next_at, seq LIMIT 1",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get::<_, String>(5)?)),
            )
            .optional()
            .map_err(failed)?;
        let next = next.map(|(seq, id, mirror, body, tries, next_at)| {
            let next_at = next_at.parse().map_err(|_| damaged("a date"))?;
            Ok(Waiting { seq, id, mirror, body, tries, next_at })
        });
        let number = |count: i64| u64::try_from(count).unwrap_or_default();
        Ok(Outbox { waiting: number(waiting), dropped: number(before - waiting), next: next.transpose()? })
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

    fn next(store: &mut Store, second: i64) -> Option<String> {
        store.outbox(at(second)).unwrap().next.map(|next| next.body)
    }

    #[test]
    fn of_each_mirror_the_oldest_is_next_and_a_failure_holds_back_its_own_mirror_alone() {
        let mut store = Store::in_memory().unwrap();
        write(&mut store, &[notice(1, "one", 1), notice(2, "one", 2), notice(3, "two", 3)]);
        assert_eq!(store.outbox(at(4)).unwrap().waiting, 3);
        let first = store.outbox(at(4)).unwrap().next.unwrap();
        assert_eq!((first.body.as_str(), first.tries), ("{\"number\":1}", 0));
        store.not_told(first.seq, at(60)).unwrap();
        let second = store.outbox(at(4)).unwrap().next.unwrap();
        assert_eq!(second.body, "{\"number\":3}", "the second of `one` waits for its first");
        store.told(second.seq).unwrap();
        let again = store.outbox(at(4)).unwrap().next.unwrap();
        assert_eq!((again.seq, again.tries, again.next_at), (first.seq, 1, at(60)));
        store.told(first.seq).unwrap();
        assert_eq!(next(&mut store, 4).unwrap(), "{\"number\":2}");
    }

    #[test]
    fn notices_wait_for_a_day_and_a_thousand_of_them() {
        let mut store = Store::in_memory().unwrap();
        assert_eq!(store.outbox(at(0)).unwrap().waiting, 0);
        let many: Vec<_> = (0..1_005).map(|number| notice(number, "one", 100)).collect();
        write(&mut store, &many);
        let outbox = store.outbox(at(100)).unwrap();
        assert_eq!((outbox.waiting, outbox.dropped), (1_000, 5));
        assert_eq!(outbox.next.unwrap().body, "{\"number\":5}");
        let day = 24 * 60 * 60;
        assert_eq!(store.outbox(at(100 + day)).unwrap().waiting, 1_000);
        let outbox = store.outbox(at(101 + day)).unwrap();
        assert_eq!((outbox.waiting, outbox.dropped, outbox.next), (0, 1_000, None));
    }
}
