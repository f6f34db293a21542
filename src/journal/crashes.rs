//! Crashes of the process, counted for each part of a run that was in flight.
//!
//! Owns what a crash is: an end of the process that was neither requested nor recorded. The schema's triggers reset a
//! mirror's count at its next intent. Never decides what a count means.

use rusqlite::params;

use super::rows::{Unreadable, parsed, text};
use super::store::Store;
use super::{Journal, JournalError};
use crate::domain::names::MirrorName;
use crate::domain::run::RunId;

/// A mirror's part of a run that was in flight at a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crashed {
    /// The run.
    pub run: RunId,
    /// The mirror.
    pub mirror: MirrorName,
    /// Number of crashes in a row.
    pub count: u32,
}

impl Journal {
    /// Records the start of a process. After a crash, counts it for these parts of runs, which are in flight.
    ///
    /// Must be called before any of them is resumed.
    ///
    /// # Errors
    /// It is not on disk.
    pub async fn begin_life(&self, in_flight: Vec<(RunId, MirrorName)>) -> Result<Vec<Crashed>, JournalError> {
        self.with(move |store| store.begin_life(&in_flight)).await
    }

    /// Records a requested end of the process, which is not a crash.
    ///
    /// # Errors
    /// The next process counts a crash.
    pub async fn end_cleanly(&self) -> Result<(), JournalError> {
        self.with(Store::end_cleanly).await
    }
}

impl Store {
    pub(super) fn begin_life(&mut self, in_flight: &[(RunId, MirrorName)]) -> Result<Vec<Crashed>, JournalError> {
        self.write(|transaction| {
            let clean: bool = transaction.query_row("SELECT max(clean) IS 1 FROM process", [], |row| row.get(0))?;
            transaction.execute("UPDATE process SET clean = 0", [])?;
            if clean {
                return transaction.execute("DELETE FROM crashes", []).map(drop);
            }
            transaction.execute(
                "DELETE FROM crashes WHERE NOT EXISTS (SELECT 1 FROM runs WHERE id = run AND ended_at IS NULL)",
                [],
            )?;
            let mut count = transaction.prepare_cached(
                "INSERT INTO crashes (run, mirror, count) VALUES (?1, ?2, 1) \
                 ON CONFLICT (run, mirror) DO UPDATE SET count = count + 1",
            )?;
            in_flight
                .iter()
                .try_for_each(|(run, mirror)| count.execute(params![run.to_string(), mirror.as_str()]).map(drop))
        })?;
        let crashed =
            self.rows("crashes", "SELECT run || ' ' || mirror, run, mirror, count FROM crashes", [], |row| {
                Ok::<_, Unreadable>(Crashed {
                    run: parsed(row, 1, "a run's id", RunId::parse)?,
                    mirror: MirrorName::parse(&text(row, 2)?).map_err(|_| Unreadable::new("a mirror's name"))?,
                    count: row.get(3)?,
                })
            })?;
        Ok(crashed.into_iter().flatten().collect())
    }

    fn end_cleanly(&mut self) -> Result<(), JournalError> {
        self.write(|transaction| transaction.execute("UPDATE process SET clean = 1", []).map(drop))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::domain::run::{Run, Trigger};
    use crate::journal::{Intent, SYNC};

    fn name(text: &str) -> MirrorName {
        MirrorName::parse(text).unwrap()
    }

    fn parts() -> Vec<(RunId, MirrorName)> {
        ["one", "two"].map(|mirror| (RunId(Uuid::from_u128(1)), name(mirror))).to_vec()
    }

    fn accepted() -> Store {
        let mut store = Store::in_memory().unwrap();
        let id = RunId(Uuid::from_u128(1));
        let run = Run::accepted(id, Trigger::Api, "ops".into(), Timestamp::UNIX_EPOCH, [name("one"), name("two")]);
        assert_eq!(store.begin_life(&[]).unwrap(), [], "a new journal");
        store.write_run(&run, &[]).unwrap();
        store
    }

    fn counts(store: &mut Store) -> Vec<u32> {
        store.begin_life(&parts()).unwrap().iter().map(|crashed| crashed.count).collect()
    }

    #[test]
    fn crashes_are_counted_in_a_row_and_a_clean_end_resets_them() {
        let mut store = accepted();
        assert_eq!([counts(&mut store), counts(&mut store)], [[1, 1], [2, 2]]);
        store.end_cleanly().unwrap();
        assert_eq!((counts(&mut store), counts(&mut store)), (vec![], vec![1, 1]));
    }

    #[test]
    fn an_intent_resets_the_count_of_its_mirror_alone() {
        let mut store = accepted();
        let intent = Intent {
            run: RunId(Uuid::from_u128(9)),
            mirror: name("two"),
            kind: SYNC,
            written_at: Timestamp::UNIX_EPOCH,
            gitea_date: Timestamp::UNIX_EPOCH,
            about: serde_json::Value::Null,
        };
        assert_eq!(counts(&mut store), [1, 1]);
        store.intend(&intent).unwrap();
        assert_eq!(counts(&mut store), [2, 1]);
        store.connection.execute("UPDATE intents SET answer = '1'", []).unwrap();
        assert_eq!(counts(&mut store), [3, 1]);
    }

    #[test]
    fn a_damaged_row_is_not_counted() {
        let mut store = accepted();
        counts(&mut store);
        store
            .connection
            .execute_batch("UPDATE crashes SET mirror = '/' WHERE mirror = 'one'; DELETE FROM process")
            .unwrap();
        assert_eq!(counts(&mut store), [1, 2]);
    }
}
