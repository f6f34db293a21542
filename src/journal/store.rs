//! The SQLite connection, its schema and its transactions.
//!
//! Owns how the file is opened, checked and written. Everything here blocks and must be called on a worker's thread.

use std::cell::RefCell;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use jiff::{Timestamp, ToSpan as _};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::events::Ledger;
use super::home::Home;
use super::opening::{Closed, lacks_room};
use super::rows::{Damage, parse, text};
use super::runs::{Rows, drop_parts};
use super::{GIVE_BACK, JournalError, MIGRATE, OpenError, RENAME_ASIDE, Remembered, deliveries, keys, modes, notices};
use crate::domain::event::Recorded;
use crate::domain::evidence::PruneMemory;
use crate::domain::names::MirrorName;
use crate::domain::notice::Notice;
use crate::domain::run::Run;
use crate::domain::status::Facts;

/// Schema version, kept in the file's `user_version`.
const SCHEMA: i64 = 9;

/// Migrations from each version to the next. The first creates version 1 in an empty file.
const STEPS: [&str; 9] = [
    include_str!("schema.sql"),
    include_str!("schema-2.sql"),
    include_str!("schema-3.sql"),
    include_str!("schema-4.sql"),
    include_str!("schema-5.sql"),
    include_str!("schema-6.sql"),
    include_str!("schema-7.sql"),
    include_str!("schema-8.sql"),
    include_str!("schema-9.sql"),
];

/// Limits of the kept runs that have ended: number and days.
const RUNS_KEPT: usize = 1_000;
const DAYS_KEPT: i64 = 30;

#[derive(Debug)]
pub(super) struct Store {
    pub(super) connection: Connection,
    /// Files to compare before each write; none for a journal in memory.
    home: Home,
    /// Only held: dropping it releases the lock.
    pub(super) lock: Option<File>,
    /// The stand-in's state, if the journal cannot be opened.
    pub(super) closed: Option<Closed>,
    /// Whether the latest write failed.
    broken: bool,
    pub(super) ledger: Ledger,
    pub(super) damage: RefCell<Damage>,
}

impl Store {
    /// Opens the journal at `path`. The caller must hold `lock`.
    pub(super) fn open(path: &Path, lock: &Path) -> Result<Self, OpenError> {
        let refused = |source| OpenError::Database { path: path.display().to_string(), source };
        let shared = || Self::over(Connection::open(path).map_err(refused)?, refused);
        // Without shared memory (full disk, or a file system without it), the connection works in exclusive mode.
        let alone = |error| match error {
            OpenError::Database { source, .. } if lacks_room(&source) => {
                let connection = Connection::open(path).map_err(refused)?;
                connection.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(refused)?;
                Self::over(connection, refused)
            }
            error => Err(error),
        };
        let mut store = shared().or_else(alone)?;
        // Its `-wal` and `-shm` files exist only now.
        store.home = Home::of(path, lock);
        Ok(store)
    }

    pub(super) fn in_memory() -> Result<Self, OpenError> {
        let refused = |source| OpenError::Database { path: ":memory:".into(), source };
        Self::over(Connection::open_in_memory().map_err(refused)?, refused)
    }

    fn over(connection: Connection, refused: impl Fn(rusqlite::Error) -> OpenError) -> Result<Self, OpenError> {
        // With WAL a person can read the file during writes. FULL makes each commit wait for the disk.
        connection.pragma_update(None, "journal_mode", "WAL").map_err(&refused)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(&refused)?;
        connection.pragma_update(None, "cache_size", -512).map_err(&refused)?;
        let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(&refused)?;
        let done = usize::try_from(found).ok().filter(|done| *done <= STEPS.len());
        let Some(done) = done else { return Err(OpenError::Schema { found, known: SCHEMA }) };
        for (step, version) in STEPS.iter().zip(1..).skip(done) {
            let step = format!("BEGIN IMMEDIATE; {step} PRAGMA user_version = {version}; COMMIT;");
            connection.execute_batch(&step).map_err(&refused)?;
        }
        Ok(Self {
            connection,
            home: Home::default(),
            lock: None,
            closed: None,
            broken: false,
            ledger: Ledger::default(),
            damage: RefCell::default(),
        })
    }

    /// Runs a transaction, which is on disk when this returns.
    pub(super) fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<T, JournalError> {
        self.write_with_events(&[], work)
    }

    /// Runs a transaction that also writes these events and the waiting ones.
    pub(super) fn write_with_events<T>(
        &mut self,
        events: &[Arc<Recorded>],
        work: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<T, JournalError> {
        self.check_files()?;
        let batch = self.ledger.batch(events)?;
        let done = (|| {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            let reserved = self.ledger.put(&transaction, &batch)?;
            transaction.commit()?;
            Ok((value, reserved))
        })();
        self.broken = done.is_err();
        self.ledger.complete(batch, done.as_ref().ok().map(|(_, reserved)| *reserved));
        done.map(|(value, _)| value).map_err(failed)
    }

    pub(super) fn write_end(
        &mut self,
        mirror: &MirrorName,
        facts: &Facts,
        runs: &[Arc<Run>],
        events: &[Arc<Recorded>],
        notices: &[Notice],
    ) -> Result<(), JournalError> {
        let facts = json(facts)?;
        let runs = runs.iter().map(|run| Rows::new(run)).collect::<Result<Vec<_>, _>>()?;
        self.write_with_events(events, |transaction| {
            put_facts(transaction, mirror, &facts)?;
            notices.iter().try_for_each(|notice| notices::put(transaction, notice))?;
            runs.iter().try_for_each(|rows| rows.put(transaction))
        })
    }

    pub(super) fn write_facts(
        &mut self,
        facts: &[(MirrorName, Facts)],
        notices: &[Notice],
    ) -> Result<(), JournalError> {
        let facts = facts.iter().map(|(mirror, facts)| Ok((mirror, json(facts)?))).collect::<Result<Vec<_>, _>>()?;
        self.write(|transaction| {
            facts.iter().try_for_each(|(mirror, facts)| put_facts(transaction, mirror, facts))?;
            notices.iter().try_for_each(|notice| notices::put(transaction, notice))
        })
    }

    pub(super) fn remembered(&mut self, mirror: &MirrorName) -> Result<Remembered, JournalError> {
        let query = "SELECT name, facts FROM mirrors WHERE name = ?1 AND facts IS NOT NULL";
        let facts = self.rows("mirrors", query, [mirror.as_str()], |row| parse(&text(row, 1)?))?;
        // If the pruning setting is unknown, it is sent again.
        let query = "SELECT name, pruning FROM mirrors WHERE name = ?1 AND pruning IS NOT NULL";
        let pruning = self.rows("mirrors", query, [mirror.as_str()], |row| parse(&text(row, 1)?))?;
        let (mode, unreadable) = self.mode(mirror)?;
        Ok(Remembered {
            facts: facts.into_iter().flatten().next().unwrap_or_default(),
            pruning: pruning.into_iter().flatten().next(),
            mode_unreadable: unreadable || self.closed.as_ref().is_some_and(|closed| !closed.is_new),
            mode,
        })
    }

    pub(super) fn remember_pruning(&mut self, mirror: &MirrorName, memory: &PruneMemory) -> Result<(), JournalError> {
        let memory = json(memory)?;
        self.write(|transaction| {
            transaction
                .execute(
                    "INSERT INTO mirrors (name, pruning) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET pruning = ?2",
                    params![mirror.as_str(), memory],
                )
                .map(drop)
        })
    }

    /// Fails if no later process would read what is written.
    fn check_files(&self) -> Result<(), JournalError> {
        if let Some(closed) = &self.closed {
            return Err(JournalError(closed.reason.clone()));
        }
        let Some(lost) = self.home.lost() else { return Ok(()) };
        Err(JournalError(format!(
            "{} was deleted, moved or replaced while cutover-api runs. It writes nothing more and changes nothing in Gitea; \
             restart cutover-api",
            lost.display()
        )))
    }

    pub(super) fn is_writable(&mut self) -> Result<(), JournalError> {
        self.check_files()?;
        if !self.broken {
            return Ok(());
        }
        // A statement without a change writes nothing. This one always writes a page.
        self.write(|transaction| transaction.pragma_update(None, "user_version", SCHEMA))
    }

    pub(super) fn retain(&mut self, now: Timestamp) -> Result<(), JournalError> {
        let oldest = now.checked_sub((DAYS_KEPT * 24).hours()).unwrap_or(Timestamp::MIN).to_string();
        let runs = self.write(|transaction| {
            keys::drop_old(transaction, now)?;
            modes::drop_old(transaction, &oldest)?;
            deliveries::drop_old(transaction, now)?;
            // A kept key needs its run.
            let runs = transaction.execute(
                "DELETE FROM runs WHERE ended_at IS NOT NULL AND id NOT IN (SELECT run FROM idempotency_keys) AND \
                 (ended_at < ?1 OR id NOT IN (SELECT id FROM runs WHERE ended_at IS NOT NULL ORDER BY id DESC LIMIT ?2))",
                params![oldest, clamp(RUNS_KEPT)],
            )?;
            if runs > 0 {
                drop_parts(transaction)?;
            }
            // The latest migrate and renames outlive their runs. They distinguish cutover-api's placeholder from
            // another repository, and name the backup of a legacy repository.
            transaction.execute(
                "DELETE FROM intents WHERE run NOT IN (SELECT id FROM runs) AND run NOT IN (SELECT id FROM mode_changes) AND \
                 seq NOT IN (SELECT MAX(seq) FROM intents WHERE kind IN (?1, ?2, ?3) GROUP BY mirror, kind)",
                params![MIGRATE, RENAME_ASIDE, GIVE_BACK],
            )?;
            Ok(runs)
        })?;
        self.retain_events(runs > 0)
    }
}

fn put_facts(transaction: &Transaction<'_>, mirror: &MirrorName, facts: &str) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached(
            "INSERT INTO mirrors (name, facts) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET facts = ?2",
        )?
        .execute(params![mirror.as_str(), facts])
        .map(drop)
}

pub(super) fn json(value: &impl serde::Serialize) -> Result<String, JournalError> {
    serde_json::to_string(value).map_err(|_| JournalError("a value has no JSON form".into()))
}

pub(super) fn clamp(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// SQLite's messages name tables and disks. They cannot contain a secret, because none is stored.
#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
pub(super) fn failed(error: rusqlite::Error) -> JournalError {
    JournalError(error.to_string())
}

#[cfg(test)]
mod tests;
