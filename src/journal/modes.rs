//! Statements on mode changes: written before they are applied.
//!
//! Owns how long they are kept; the latest of each mirror is never dropped. Never decides which mode is in force.

use rusqlite::{Transaction, params};

use super::JournalError;
use super::rows::{Unreadable, parse, parsed, text};
use super::store::{Store, json};
use crate::domain::mode::ModeChange;
use crate::domain::names::MirrorName;
use crate::domain::run::RunId;

impl Store {
    pub(super) fn write_mode(&mut self, mirror: &MirrorName, change: &ModeChange) -> Result<(), JournalError> {
        let body = json(change)?;
        self.write(|transaction| {
            transaction
                .execute(
                    "INSERT INTO mode_changes (id, mirror, at, body) VALUES (?1, ?2, ?3, ?4) \
                     ON CONFLICT (id) DO UPDATE SET body = ?4",
                    params![change.id.to_string(), mirror.as_str(), change.at.to_string(), body],
                )
                .map(drop)
        })
    }

    /// Returns a mirror's latest mode change, and whether a mode change cannot be read.
    ///
    /// Ordered by the time of writing, not by id. A damaged id must not make an earlier change the latest.
    pub(super) fn mode(&self, mirror: &MirrorName) -> Result<(Option<ModeChange>, bool), JournalError> {
        let query = "SELECT id, body FROM mode_changes WHERE mirror = ?1 ORDER BY rowid DESC LIMIT 1";
        let latest = self.rows("mode_changes", query, [mirror.as_str()], |row| {
            let change: ModeChange = parse(&text(row, 1)?)?;
            let same = parsed(row, 0, "an id", RunId::parse)? == change.id;
            same.then_some(change).ok_or_else(|| Unreadable::new("different ids"))
        })?;
        let is_unreadable = latest.iter().any(Option::is_none);
        Ok((latest.into_iter().flatten().next(), is_unreadable))
    }
}

/// Drops mode changes older than `oldest` that have a successor.
pub(super) fn drop_old(transaction: &Transaction<'_>, oldest: &str) -> Result<(), rusqlite::Error> {
    transaction
        .execute(
            "DELETE FROM mode_changes WHERE at < ?1 AND rowid NOT IN (SELECT MAX(rowid) FROM mode_changes GROUP BY mirror)",
            [oldest],
        )
        .map(drop)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::domain::mode::{Mode, Source};

    #[test]
    fn the_latest_mode_change_is_returned_and_never_dropped() {
        let mut store = Store::in_memory().unwrap();
        let name = |name: &str| MirrorName::parse(name).unwrap();
        let change = |id: u128, mode| ModeChange {
            id: RunId(Uuid::from_u128(id)),
            mode,
            source: Source::Api,
            by: Some("ops".into()),
            reason: Some("a release".into()),
            at: Timestamp::UNIX_EPOCH,
            configured: Mode::Follow,
            convert: false,
            applied_at: None,
            problem: None,
        };
        assert_eq!(store.mode(&name("a")).unwrap(), (None, false));
        store.write_mode(&name("a"), &change(1, Mode::Pinned)).unwrap();
        store.write_mode(&name("a"), &change(2, Mode::Severed)).unwrap();
        store.write_mode(&name("b"), &change(3, Mode::Pinned)).unwrap();
        let carried = ModeChange { applied_at: Some(Timestamp::UNIX_EPOCH), ..change(2, Mode::Severed) };
        store.write_mode(&name("a"), &carried).unwrap();
        let count = |store: &Store| -> i64 {
            store.connection.query_row("SELECT count(*) FROM mode_changes", [], |row| row.get(0)).unwrap()
        };
        assert_eq!(count(&store), 3);
        store.retain("2026-11-23T00:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(count(&store), 2);
        assert_eq!(store.mode(&name("a")).unwrap(), (Some(carried), false));
        assert_eq!(store.mode(&name("b")).unwrap(), (Some(change(3, Mode::Pinned)), false));
        store.connection.execute("UPDATE mode_changes SET body = '{}' WHERE mirror = 'b'", []).unwrap();
        assert_eq!(store.mode(&name("b")).unwrap(), (None, true));
    }
}
