//! The statements about runs. A run's own row holds all of it but its parts, and each part has a row: one of ten thousand
//! mirrors is written in as many small pieces, and never as a whole again.
//!
//! Owns what is written of a run and how it is put together again. One that cannot be read is left out and logged.

use std::sync::Arc;

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::JournalError;
use super::store::{Store, clamp, failed, json, read};
use crate::domain::event::Recorded;
use crate::domain::names::MirrorName;
use crate::domain::run::{Run, RunId};

/// How much of a run is to be written.
#[derive(Clone, Debug)]
pub enum Change {
    /// All of it.
    Whole(Arc<Run>),
    /// What one mirror's end has changed, where all that was before is on disk.
    Part(Arc<Run>),
}

/// A run, or what has changed of it, as rows.
pub(super) struct Rows {
    id: String,
    ended_at: Option<String>,
    body: String,
    parts: Vec<(i64, String)>,
}

impl Rows {
    /// All of a run.
    pub(super) fn whole(run: &Run) -> Result<Self, JournalError> {
        Self::of(run, 0..run.parts.len())
    }

    /// What is to be written of a run at the end of that mirror.
    pub(super) fn changed(change: &Change, mirror: &MirrorName) -> Result<Self, JournalError> {
        match change {
            Change::Whole(run) => Self::whole(run),
            Change::Part(run) => Self::of(run, run.parts.place(mirror)),
        }
    }

    fn of(run: &Run, places: impl IntoIterator<Item = usize>) -> Result<Self, JournalError> {
        let part = |place| Ok((clamp(place), json(&run.parts[place])?));
        Ok(Self {
            id: run.id.to_string(),
            ended_at: run.finished_at.map(|at| at.to_string()),
            body: json(&run.without_parts())?,
            parts: places.into_iter().map(part).collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn put(&self, transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
        let run = "INSERT INTO runs (id, ended_at, body) VALUES (?1, ?2, ?3) \
                   ON CONFLICT (id) DO UPDATE SET ended_at = ?2, body = ?3";
        transaction.prepare_cached(run)?.execute(params![self.id, self.ended_at, self.body])?;
        let part = "INSERT INTO parts (run, place, body) VALUES (?1, ?2, ?3) \
                    ON CONFLICT (run, place) DO UPDATE SET body = ?3";
        let mut statement = transaction.prepare_cached(part)?;
        self.parts.iter().try_for_each(|(place, body)| statement.execute(params![self.id, place, body]).map(drop))
    }
}

/// Drops the parts of runs that were dropped.
pub(super) fn drop_parts(transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
    transaction.execute("DELETE FROM parts WHERE run NOT IN (SELECT id FROM runs)", []).map(drop)
}

impl Store {
    pub(super) fn write_run(&mut self, run: &Run, events: &[Arc<Recorded>]) -> Result<(), JournalError> {
        let rows = Rows::whole(run)?;
        self.write_telling(events, |transaction| rows.put(transaction))
    }

    pub(super) fn run(&self, id: RunId) -> Result<Option<Run>, JournalError> {
        let mut statement = self.connection.prepare_cached("SELECT body FROM runs WHERE id = ?1").map_err(failed)?;
        let body: Option<String> =
            statement.query_row([id.to_string()], |row| row.get(0)).optional().map_err(failed)?;
        body.map(|body| self.with_parts(&body)).transpose()
    }

    pub(super) fn runs(&self, limit: usize, before: Option<RunId>) -> Result<Vec<Run>, JournalError> {
        // a text above every UUID's, which has only hexadecimal digits
        let before = before.map_or_else(|| "z".to_owned(), |before| before.to_string());
        self.bodies("SELECT body FROM runs WHERE id < ?1 ORDER BY id DESC LIMIT ?2", params![before, clamp(limit)])
    }

    pub(super) fn in_flight(&self) -> Result<Vec<Run>, JournalError> {
        self.bodies("SELECT body FROM runs WHERE ended_at IS NULL ORDER BY id", params![])
    }

    fn bodies(&self, query: &str, parameters: impl rusqlite::Params) -> Result<Vec<Run>, JournalError> {
        let mut statement = self.connection.prepare_cached(query).map_err(failed)?;
        let rows = statement.query_map(parameters, |row| row.get::<_, String>(0)).map_err(failed)?;
        let mut runs = Vec::new();
        for body in rows {
            // losing one costs history; refusing to start because of it would cost the service
            match self.with_parts(&body.map_err(failed)?) {
                Ok(run) => runs.push(run),
                Err(error) => tracing::error!("a run is left out: {error}"),
            }
        }
        Ok(runs)
    }

    /// A run of its own row and those of its parts.
    fn with_parts(&self, body: &str) -> Result<Run, JournalError> {
        let mut run: Run = read(body)?;
        let query = "SELECT body FROM parts WHERE run = ?1 ORDER BY place";
        let mut statement = self.connection.prepare_cached(query).map_err(failed)?;
        let rows = statement.query_map([run.id.to_string()], |row| row.get::<_, String>(0)).map_err(failed)?;
        run.parts = rows.map(|part| read(&part.map_err(failed)?)).collect::<Result<_, _>>()?;
        Ok(run)
    }
}
