//! Statements on runs. A run's own row holds all but its parts, and each part has its own row.
//!
//! Owns how a run becomes rows, and how it is assembled from them. Never returns a run that cannot be read completely.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Row, Transaction, params};

use super::JournalError;
use super::rows::{Unreadable, name_of, parse, parsed, text};
use super::store::{Store, clamp, failed, json};
use crate::domain::event::Recorded;
use crate::domain::run::{Part, Run, RunId};

/// A run as rows.
pub(super) struct Rows {
    id: String,
    ended_at: Option<String>,
    body: String,
    parts: Vec<(i64, String)>,
}

impl Rows {
    pub(super) fn new(run: &Run) -> Result<Self, JournalError> {
        let part = |(place, part)| Ok((clamp(place), json(part)?));
        Ok(Self {
            id: run.id.to_string(),
            ended_at: run.finished_at.map(|at| at.to_string()),
            body: json(&run.without_parts())?,
            parts: run.parts.iter().enumerate().map(part).collect::<Result<_, _>>()?,
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

/// Drops the parts of dropped runs.
pub(super) fn drop_parts(transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
    transaction.execute("DELETE FROM parts WHERE run NOT IN (SELECT id FROM runs)", []).map(drop)
}

impl Store {
    pub(super) fn write_run(&mut self, run: &Run, events: &[Arc<Recorded>]) -> Result<(), JournalError> {
        let rows = Rows::new(run)?;
        self.write_with_events(events, |transaction| rows.put(transaction))
    }

    /// Returns a run; `None` if it is unknown or unreadable.
    pub(super) fn run(&self, id: RunId) -> Result<Option<Run>, JournalError> {
        Ok(self.read_runs("WHERE id = ?1", params![id.to_string()], 1)?.into_iter().find_map(|(_, run)| run))
    }

    pub(super) fn runs(&self, limit: usize, before: Option<RunId>) -> Result<Vec<Run>, JournalError> {
        // Sorts after every UUID, which has only hexadecimal digits and hyphens.
        let before = before.map_or_else(|| "z".to_owned(), |before| before.to_string());
        let runs = self.read_runs("WHERE id < ?1 ORDER BY id DESC", params![before], limit)?;
        Ok(runs.into_iter().filter_map(|(_, run)| run).collect())
    }

    pub(super) fn in_flight(&mut self, now: Timestamp) -> Result<Vec<Run>, JournalError> {
        let runs = self.read_runs("WHERE ended_at IS NULL ORDER BY id", params![], usize::MAX)?;
        let (runs, lost): (Vec<_>, Vec<_>) = runs.into_iter().partition(|(_, run)| run.is_some());
        if !lost.is_empty() {
            // An unreadable run cannot be resumed, so it must not stay in flight.
            self.write(|transaction| {
                let mut statement = transaction.prepare_cached("UPDATE runs SET ended_at = ?2 WHERE rowid = ?1")?;
                lost.iter().try_for_each(|(row, _)| statement.execute(params![row, now.to_string()]).map(drop))
            })?;
        }
        Ok(runs.into_iter().filter_map(|(_, run)| run).collect())
    }

    /// Reads runs until `limit` of them were readable. An unreadable run costs history; refusing to start would cost
    /// the service.
    fn read_runs(
        &self,
        which: &str,
        parameters: impl rusqlite::Params,
        limit: usize,
    ) -> Result<Vec<(i64, Option<Run>)>, JournalError> {
        let query = format!("SELECT id, rowid, body FROM runs {which}");
        let mut statement = self.connection.prepare_cached(&query).map_err(failed)?;
        let mut rows = statement.query(parameters).map_err(failed)?;
        let (mut runs, mut read) = (Vec::new(), 0);
        while read < limit
            && let Some(row) = rows.next().map_err(failed)?
        {
            let name = name_of(row);
            let run = self.kept("runs", &name, read_run_row(row));
            let run = run.map(|run| self.with_parts(run)).transpose()?.flatten();
            read += usize::from(run.is_some());
            runs.push((row.get(1).map_err(failed)?, run));
        }
        Ok(runs)
    }

    /// Adds the parts to a run; `None` if any part is missing.
    fn with_parts(&self, mut run: Run) -> Result<Option<Run>, JournalError> {
        let query = "SELECT run || ' ' || place, place, body FROM parts WHERE run = ?1 ORDER BY place";
        let parts = self.rows("parts", query, [run.id.to_string()], |row| {
            let part: Part = parse(&text(row, 2)?)?;
            Ok((row.get::<_, i64>(1)?, part))
        })?;
        let all = parts.len();
        let in_place = |(part, place): (Option<(i64, Part)>, i64)| part.filter(|(at, _)| *at == place);
        run.parts = parts.into_iter().zip(0..).filter_map(in_place).map(|(_, part)| Arc::new(part)).collect();
        // A run without one of its parts would report a wrong end, or never end.
        let whole = run.parts.len() == all
            && all > 0
            && run.parts.iter().all(|part| part.end.is_some()) == run.finished_at.is_some();
        let missing = || Unreadable::new("parts that are missing");
        let name = run.id.to_string();
        Ok(self.kept("runs", &name, whole.then_some(run).ok_or_else(missing)))
    }
}

/// Reads a run without its parts.
fn read_run_row(row: &Row<'_>) -> Result<Run, Unreadable> {
    let run: Run = parse(&text(row, 2)?)?;
    let same = parsed(row, 0, "an id", RunId::parse)? == run.id;
    same.then_some(run).ok_or_else(|| Unreadable::new("different ids"))
}
