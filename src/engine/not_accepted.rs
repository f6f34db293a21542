//! Why something that was asked for is not done, for a program and for a person.

use crate::domain::mode::SEVERED_BY_CONFIGURATION;
use crate::domain::names::MirrorName;
use crate::domain::problem::{Code, Problem};
use crate::domain::run::RunId;

/// Why no run was accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// A name that is not configured.
    #[error("no mirror of that name is configured")]
    UnknownMirror {
        /// The names that are.
        configured: Vec<String>,
    },
    /// A run in flight may do something else to one of the mirrors.
    #[error("run {run} is in flight on {mirror} with other options")]
    Conflict {
        /// Which.
        run: RunId,
        /// On which of them.
        mirror: MirrorName,
    },
    /// The key stands for another request.
    #[error("the key was sent before with another request")]
    KeyReused,
    /// No such run is kept.
    #[error("no run of this id is kept")]
    UnknownRun,
    /// There is nothing left to take out.
    #[error("the run has ended")]
    RunEnded,
    /// No mirror of the name that a path has.
    #[error("no mirror of this name is configured")]
    NoSuchMirror,
    /// The configuration has severed the mirror.
    #[error("the configuration has severed {mirror}")]
    SeveredByConfiguration {
        /// Which.
        mirror: MirrorName,
    },
    /// The server in Gitea's place does not make mirrors regular repositories.
    #[error("this server does not convert mirrors")]
    NoConvert,
    /// Our credential for Gitea cannot be read.
    #[error("the credential for Gitea cannot be read: {0}")]
    Credential(String),
    /// The journal cannot be written, so nothing may be promised.
    #[error("the journal cannot be written: {0}")]
    StateUnavailable(String),
    /// The service is ending.
    #[error("the service is ending")]
    ShuttingDown,
}

impl NotAccepted {
    /// As a person is told.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::UnknownMirror { configured } => Problem::new(
                Code::UnknownMirror,
                format!("a name in `mirrors` is not configured; configured are: {}", configured.join(", ")),
            ),
            Self::Conflict { run, mirror } => Problem::new(
                Code::RunConflict,
                format!("run {run} is in flight on {mirror} with another `onLegacy` or `acceptUpstream`"),
            ),
            Self::KeyReused => Problem::new(
                Code::IdempotencyKeyReused,
                "this Idempotency-Key was sent before with another body; nothing was accepted",
            ),
            Self::UnknownRun => Problem::new(Code::NotFound, "no run of this id is kept"),
            Self::RunEnded => Problem::new(Code::RunEnded, "the run has ended; nothing of it is left to take out"),
            Self::NoSuchMirror => Problem::new(Code::NotFound, "no mirror of this name is configured"),
            Self::SeveredByConfiguration { mirror } => Problem::new(
                Code::ModeRefuses,
                format!("{mirror} is severed by the configuration; nothing was changed"),
            )
            .with_remedy(SEVERED_BY_CONFIGURATION),
            Self::NoConvert => Problem::new(
                Code::ConvertNotOffered,
                "the server in Gitea's place has no call that makes a mirror a regular repository; nothing was changed",
            ),
            Self::Credential(why) => Problem::new(Code::GiteaCredential, why),
            Self::StateUnavailable(why) => Problem::new(Code::StateUnavailable, why),
            Self::ShuttingDown => Problem::new(Code::ShuttingDown, "the service is ending and accepts no runs"),
        }
    }
}
