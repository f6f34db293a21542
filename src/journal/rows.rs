//! Rows that cannot be read: each is left out, logged once and counted once, and proves nothing.
//!
//! Owns the one way in which rows are read, so that a single damaged row never stands for its whole table. That SQLite
//! itself cannot read on is another matter: that is an error.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use rusqlite::{Params, Row};
use serde::de::DeserializeOwned;

use super::JournalError;
use super::store::{Store, failed};

/// How many are told apart: a table that is damaged as a whole must not fill the memory.
const TOLD_APART: usize = 4_096;

/// Counts rows that cannot be read, by their table.
pub type Counter = Arc<dyn Fn(&'static str) + Send + Sync>;

/// What cannot be read of a row: never its content.
#[derive(Debug)]
pub(super) struct Unreadable(String);

impl Unreadable {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A column of another type, or text that is no UTF-8.
impl From<rusqlite::Error> for Unreadable {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::FromSqlConversionFailure(column, _, _)
            | rusqlite::Error::InvalidColumnType(column, ..) => {
                Self(format!("column {column} has no value of its type"))
            }
            error => Self(error.to_string()),
        }
    }
}

/// Which rows could not be read so far.
#[derive(Default)]
pub(super) struct Damage {
    seen: HashSet<(&'static str, String)>,
    counter: Option<Counter>,
}

impl fmt::Debug for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Damage").field("seen", &self.seen.len()).finish_non_exhaustive()
    }
}

impl Damage {
    pub(super) fn counted_by(&mut self, counter: Counter) {
        *self = Self { seen: HashSet::new(), counter: Some(counter) };
    }

    fn note(&mut self, table: &'static str, row: &str, why: &Unreadable) {
        if self.seen.len() >= TOLD_APART || !self.seen.insert((table, row.to_owned())) {
            return;
        }
        tracing::error!(table, row, reason = %why, "journal row unreadable, skipped");
        if let Some(counter) = &self.counter {
            counter(table);
        }
    }
}

impl Store {
    /// The rows of a query, in its order; `None` stands for one that cannot be read. Its first column names the row, for
    /// the log.
    pub(super) fn rows<T>(
        &self,
        table: &'static str,
        query: &str,
        parameters: impl Params,
        read: impl Fn(&Row<'_>) -> Result<T, Unreadable>,
    ) -> Result<Vec<Option<T>>, JournalError> {
        let mut statement = self.connection.prepare_cached(query).map_err(failed)?;
        let mut rows = statement.query(parameters).map_err(failed)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            all.push(self.kept(table, &name_of(row), read(row)));
        }
        Ok(all)
    }

    /// What was read of a row; `None`, noted, where it cannot be read.
    pub(super) fn kept<T>(&self, table: &'static str, row: &str, read: Result<T, Unreadable>) -> Option<T> {
        read.inspect_err(|why| self.damage.borrow_mut().note(table, row, why)).ok()
    }
}

/// A row's name for the log: its first column, whatever that holds.
pub(super) fn name_of(row: &Row<'_>) -> String {
    use rusqlite::types::ValueRef;
    match row.get_ref(0) {
        Ok(ValueRef::Integer(number)) => number.to_string(),
        Ok(ValueRef::Text(text)) => String::from_utf8_lossy(text).chars().take(80).collect(),
        Ok(ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_)) | Err(_) => "?".to_owned(),
    }
}

/// JSON that was written by this program.
pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Unreadable> {
    // the position alone: the words of serde repeat what they could not read
    serde_json::from_str(text).map_err(|error| {
        Unreadable(format!("JSON that this version cannot read, line {} column {}", error.line(), error.column()))
    })
}

/// The text of a column.
pub(super) fn text(row: &Row<'_>, column: usize) -> Result<String, Unreadable> {
    Ok(row.get(column)?)
}

/// What a column's text stands for.
pub(super) fn parsed<T>(
    row: &Row<'_>,
    column: usize,
    what: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, Unreadable> {
    parse(&text(row, column)?).ok_or_else(|| Unreadable(format!("{what} that cannot be read")))
}

#[cfg(test)]
mod tests;
