//! Statements on webhook deliveries, which are kept so that a repeated delivery starts no second run.
//!
//! Owns how long they are kept: a day, and at most [`KEPT`]. A lost delivery costs one more reading of upstream. Never
//! decides what a delivery means.

use jiff::{Timestamp, ToSpan as _};
use rusqlite::{Transaction, params};

use super::rows::{Unreadable, parsed, text};
use super::store::{Store, clamp};
use super::{Journal, JournalError};
use crate::domain::names::MirrorName;
use crate::domain::run::RunId;

/// Limits of the kept deliveries: number and hours. Forges repeat a delivery automatically only within a day.
const KEPT: usize = 4_096;
const HOURS_KEPT: i64 = 24;

/// A webhook delivery that started a run or joined one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownDelivery {
    /// The mirror.
    pub mirror: MirrorName,
    /// The sender's id of the delivery.
    pub id: Box<str>,
    /// The run that was returned.
    pub run: RunId,
    /// When the delivery arrived.
    pub received_at: Timestamp,
}

impl Journal {
    /// Writes webhook deliveries, so that they are recognised after a restart.
    ///
    /// # Errors
    /// None of them is on disk.
    pub async fn write_deliveries(&self, deliveries: Vec<KnownDelivery>) -> Result<(), JournalError> {
        self.with(move |store| store.write_deliveries(&deliveries)).await
    }

    /// Returns the kept deliveries, oldest first.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn deliveries(&self) -> Result<Vec<KnownDelivery>, JournalError> {
        self.with(Store::deliveries).await
    }
}

impl Store {
    pub(super) fn write_deliveries(&mut self, deliveries: &[KnownDelivery]) -> Result<(), JournalError> {
        self.write(|transaction| {
            let mut statement = transaction.prepare_cached(
                "INSERT OR REPLACE INTO deliveries (mirror, id, run, received_at) VALUES (?1, ?2, ?3, ?4)",
            )?;
            deliveries.iter().try_for_each(|one| {
                let (run, at) = (one.run.to_string(), one.received_at.to_string());
                statement.execute(params![one.mirror.as_str(), one.id, run, at]).map(drop)
            })
        })
    }

    pub(super) fn deliveries(&mut self) -> Result<Vec<KnownDelivery>, JournalError> {
        let query = "SELECT seq, mirror, id, run, received_at FROM deliveries ORDER BY seq";
        let deliveries = self.rows("deliveries", query, [], |row| {
            Ok::<_, Unreadable>(KnownDelivery {
                mirror: parsed(row, 1, "a mirror's name", |name| MirrorName::parse(name).ok())?,
                id: text(row, 2)?.into(),
                run: parsed(row, 3, "a run's id", RunId::parse)?,
                received_at: parsed(row, 4, "a date", |date| date.parse().ok())?,
            })
        })?;
        // A delivery that cannot be read counts as new.
        Ok(deliveries.into_iter().flatten().collect())
    }
}

/// Drops deliveries over the limits.
pub(super) fn drop_old(transaction: &Transaction<'_>, now: Timestamp) -> Result<(), rusqlite::Error> {
    let oldest = now.checked_sub(HOURS_KEPT.hours()).unwrap_or(Timestamp::MIN).to_string();
    transaction.execute(
        "DELETE FROM deliveries WHERE received_at < ?1 OR seq <= (SELECT max(seq) FROM deliveries) - ?2",
        params![oldest, clamp(KEPT)],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn delivery(number: usize, at: i64) -> KnownDelivery {
        KnownDelivery {
            mirror: MirrorName::parse("openova").unwrap(),
            id: format!("d{number}").into(),
            run: RunId(Uuid::from_u128(1)),
            received_at: Timestamp::from_second(at).unwrap(),
        }
    }

    #[test]
    fn deliveries_are_returned_in_order_and_without_duplicates() {
        let mut store = Store::in_memory().unwrap();
        store.write_deliveries(&[delivery(1, 5), delivery(2, 6)]).unwrap();
        let again = KnownDelivery { run: RunId(Uuid::from_u128(2)), ..delivery(1, 7) };
        store.write_deliveries(std::slice::from_ref(&again)).unwrap();
        assert_eq!(store.deliveries().unwrap(), [delivery(2, 6), again]);
    }

    #[test]
    fn deliveries_are_kept_for_a_day_and_4096_of_them() {
        let mut store = Store::in_memory().unwrap();
        let many: Vec<_> = (0..KEPT + 10).map(|number| delivery(number, 100)).collect();
        store.write_deliveries(&many).unwrap();
        store.retain(Timestamp::from_second(100).unwrap()).unwrap();
        let kept = store.deliveries().unwrap();
        assert_eq!((kept.len(), &*kept[0].id), (KEPT, "d10"));
        store.retain(Timestamp::from_second(100 + 24 * 60 * 60).unwrap()).unwrap();
        assert_eq!(store.deliveries().unwrap().len(), KEPT);
        store.retain(Timestamp::from_second(101 + 24 * 60 * 60).unwrap()).unwrap();
        assert!(store.deliveries().unwrap().is_empty());
    }
}
