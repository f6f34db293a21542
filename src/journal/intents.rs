//! Intents: calls that change Gitea, written before they are sent, and their answers.
//!
//! Owns their statements. Never decides what a call of an earlier process means.

use jiff::Timestamp;
use rusqlite::params;

use super::rows::{Unreadable, parse, parsed, text};
use super::store::Store;
use super::{Journal, JournalError, MIGRATE};
use crate::domain::names::MirrorName;
use crate::domain::run::RunId;

/// A call that changes Gitea, about to be sent.
#[derive(Clone, Debug)]
pub struct Intent {
    /// The run that sends it.
    pub run: RunId,
    /// The mirror that it changes.
    pub mirror: MirrorName,
    /// Kind of the call, from a closed set.
    pub kind: &'static str,
    /// When it was written, by cutover-api's clock.
    pub written_at: Timestamp,
    /// Gitea's `Date` at the observation that led to it.
    pub gitea_date: Timestamp,
    /// The repository of the call, by name and id.
    pub about: serde_json::Value,
}

/// The number of a journalled intent.
#[derive(Clone, Copy, Debug)]
pub struct IntentId(i64);

/// An intent that was read from the journal.
#[derive(Clone, Debug)]
pub struct KnownIntent {
    /// The run that sent it.
    pub run: RunId,
    /// Kind of the call.
    pub kind: String,
    /// Gitea's `Date` at the observation that led to it.
    pub gitea_date: Timestamp,
    /// The repository of the call; `Null` from a version that did not record it.
    pub about: serde_json::Value,
    /// Gitea's answer, if one was recorded.
    pub answer: Option<serde_json::Value>,
}

impl Journal {
    /// Writes an intent. The call must not be sent before this has returned.
    ///
    /// # Errors
    /// It is not on disk.
    pub async fn intend(&self, intent: Intent) -> Result<IntentId, JournalError> {
        self.with(move |store| store.intend(&intent)).await
    }

    /// Adds the answer to an intent.
    ///
    /// # Errors
    /// It is not on disk.
    pub async fn answered(&self, intent: IntentId, answer: serde_json::Value) -> Result<(), JournalError> {
        self.with(move |store| store.answered(intent.0, &answer)).await
    }

    /// Returns the kept intents of a mirror, newest first. `None` represents one that cannot be read: any call may have
    /// been sent.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn intents(&self, mirror: MirrorName) -> Result<Vec<Option<KnownIntent>>, JournalError> {
        self.with(move |store| store.intents(&mirror)).await
    }

    /// Records that the mirror's latest migrate created nothing.
    ///
    /// # Errors
    /// It is not on disk.
    pub async fn made_nothing(&self, mirror: MirrorName) -> Result<(), JournalError> {
        self.with(move |store| store.made_nothing(&mirror)).await
    }
}

impl Store {
    pub(super) fn intend(&mut self, intent: &Intent) -> Result<IntentId, JournalError> {
        self.write(|transaction| {
            transaction.execute(
                "INSERT INTO intents (run, mirror, kind, written_at, gitea_date, about) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    intent.run.to_string(),
                    intent.mirror.as_str(),
                    intent.kind,
                    intent.written_at.to_string(),
                    intent.gitea_date.to_string(),
                    intent.about.to_string(),
                ],
            )?;
            Ok(IntentId(transaction.last_insert_rowid()))
        })
    }

    fn answered(&mut self, intent: i64, answer: &serde_json::Value) -> Result<(), JournalError> {
        let answer = answer.to_string();
        self.write(|transaction| {
            transaction.execute("UPDATE intents SET answer = ?2 WHERE seq = ?1", params![intent, answer]).map(drop)
        })
    }

    pub(super) fn intents(&mut self, mirror: &MirrorName) -> Result<Vec<Option<KnownIntent>>, JournalError> {
        let query = "SELECT seq, run, kind, gitea_date, about, answer FROM intents WHERE mirror = ?1 \
                     ORDER BY seq DESC LIMIT 500";
        self.rows("intents", query, [mirror.as_str()], |row| {
            let json = |column| row.get::<_, Option<String>>(column);
            Ok::<_, Unreadable>(KnownIntent {
                run: parsed(row, 1, "a run's id", RunId::parse)?,
                kind: text(row, 2)?,
                gitea_date: parsed(row, 3, "a date", |date| date.parse().ok())?,
                about: json(4)?.map(|about| parse(&about)).transpose()?.unwrap_or_default(),
                answer: json(5)?.map(|answer| parse(&answer)).transpose()?,
            })
        })
    }

    fn made_nothing(&mut self, mirror: &MirrorName) -> Result<(), JournalError> {
        self.write(|transaction| {
            let latest = "SELECT MAX(seq) FROM intents WHERE mirror = ?1 AND kind = ?2";
            let note = "json_set(coalesce(about, '{}'), '$.madeNothing', json('true'))";
            // An unreadable intent proves nothing, whatever its answer says.
            let update = format!(
                "UPDATE intents SET about = {note} WHERE seq = ({latest}) AND (about IS NULL OR json_valid(about))"
            );
            transaction.execute(&update, params![mirror.as_str(), MIGRATE]).map(drop)
        })
    }
}
