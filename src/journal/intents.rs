//! Calls that change something in Gitea: written down before they are sent, and their answers after.
//!
//! Owns the statements about them. Decides nothing about what a call of an earlier process means.

use jiff::Timestamp;
use rusqlite::params;

use super::rows::{Unreadable, parse, parsed, text};
use super::store::Store;
use super::{Journal, JournalError, MIGRATE};
use crate::domain::names::MirrorName;
use crate::domain::run::RunId;

/// A call that changes something, about to be sent.
#[derive(Clone, Debug)]
pub struct Intent {
    /// For which run.
    pub run: RunId,
    /// On which mirror.
    pub mirror: MirrorName,
    /// Which call, from a closed set.
    pub kind: &'static str,
    /// Our clock.
    pub written_at: Timestamp,
    /// Gitea's `Date` at the look that led to it.
    pub gitea_date: Timestamp,
    /// What it is about: the repository, by name and id.
    pub about: serde_json::Value,
}

/// The number of a journalled intent.
#[derive(Clone, Copy, Debug)]
pub struct IntentId(i64);

/// Any call that the journal knows of.
#[derive(Clone, Debug)]
pub struct KnownIntent {
    /// By which run.
    pub run: RunId,
    /// Which call.
    pub kind: String,
    /// Gitea's `Date` when it was intended.
    pub gitea_date: Timestamp,
    /// What it was about; `Null`: a version that did not say.
    pub about: serde_json::Value,
    /// What was answered, if anything was.
    pub answer: Option<serde_json::Value>,
}

impl Journal {
    /// Writes an intent. Nothing that changes Gitea is sent before this has returned.
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

    /// The calls for a mirror that are known, newest first. `None`: one that cannot be read, so that any call may have been
    /// sent there.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn intents(&self, mirror: MirrorName) -> Result<Vec<Option<KnownIntent>>, JournalError> {
        self.with(move |store| store.intents(&mirror)).await
    }

    /// Writes down that the mirror's latest migrate has made nothing.
    ///
    /// # Errors
    /// It could not be written.
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
            // one that cannot be read proves nothing as it is
            let update = format!(
                "UPDATE intents SET about = {note} WHERE seq = ({latest}) AND (about IS NULL OR json_valid(about))"
            );
            transaction.execute(&update, params![mirror.as_str(), MIGRATE]).map(drop)
        })
    }
}
