//! What a later look has shown about a migrate that was written down.
//!
//! Owns the one row of it that is changed after its answer. Decides nothing about what that means.

use rusqlite::params;

use super::store::Store;
use super::{Journal, JournalError, MIGRATE};
use crate::domain::names::MirrorName;

impl Journal {
    /// Writes down that the mirror's latest migrate has made nothing.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn made_nothing(&self, mirror: MirrorName) -> Result<(), JournalError> {
        self.with(move |store| store.made_nothing(&mirror)).await
    }
}

impl Store {
    fn made_nothing(&mut self, mirror: &MirrorName) -> Result<(), JournalError> {
        self.write(|transaction| {
            let latest = "SELECT MAX(seq) FROM intents WHERE mirror = ?1 AND kind = ?2";
            let note = "json_set(coalesce(about, '{}'), '$.madeNothing', json('true'))";
            let update = format!("UPDATE intents SET about = {note} WHERE seq = ({latest})");
            transaction.execute(&update, params![mirror.as_str(), MIGRATE]).map(drop)
        })
    }
}
