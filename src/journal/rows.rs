//! Reading of rows. A row that cannot be read is left out, logged once and counted once, and proves nothing.
//!
//! Owns the one way in which rows are read, so that a damaged row never fails its whole table. A failure of SQLite
//! itself stays an error.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use rusqlite::{Params, Row};
use serde::de::DeserializeOwned;

use super::JournalError;
use super::store::{Store, failed};

/// Limit of the remembered damaged rows, so that a damaged table cannot fill the memory.
const MAX_REMEMBERED: usize = 4_096;

/// Counter of unreadable rows, by table.
pub type Counter = Arc<dyn Fn(&'static str) + Send + Sync>;

/// Reason why a row cannot be read; never its content.
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

/// A column of another type, or text that is not UTF-8.
impl From<rusqlite::Error> for Unreadable {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::FromSqlConversionFailure(column, _, _)
            | rusqlite::Error::InvalidColumnType(column, ..) => Self(format!("column {column} has another type")),
            error => Self(error.to_string()),
        }
    }
}

/// Unreadable rows that were logged.
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
        if self.seen.len() >= MAX_REMEMBERED || !self.seen.insert((table, row.to_owned())) {
            return;
        }
        tracing::error!(table, row, reason = %why, "journal row unreadable, skipped");
        if let Some(counter) = &self.counter {
            counter(table);
        }
    }
}

impl Store {
    /// Returns the rows of a query, in its order; `None` represents an unreadable one. The first column names a row in
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

    /// Returns what was read; `None`, after a report, if the row is unreadable.
    pub(super) fn kept<T>(&self, table: &'static str, row: &str, read: Result<T, Unreadable>) -> Option<T> {
        read.inspect_err(|why| self.damage.borrow_mut().note(table, row, why)).ok()
    }
}

/// The name of a row in the log: its first column, of any type.
pub(super) fn name_of(row: &Row<'_>) -> String {
    use rusqlite::types::ValueRef;
    match row.get_ref(0) {
        Ok(ValueRef::Integer(number)) => number.to_string(),
        Ok(ValueRef::Text(text)) => String::from_utf8_lossy(text).chars().take(80).collect(),
        Ok(ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_)) | Err(_) => "?".to_owned(),
    }
}

/// Parses JSON that cutover-api wrote.
pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Unreadable> {
    // Only the position: serde's messages repeat the input.
    serde_json::from_str(text).map_err(|error| {
        Unreadable(format!("JSON that this version cannot read, line {} column {}", error.line(), error.column()))
    })
}

/// The text of a column.
pub(super) fn text(row: &Row<'_>, column: usize) -> Result<String, Unreadable> {
    Ok(row.get(column)?)
}

/// The parsed text of a column.
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
