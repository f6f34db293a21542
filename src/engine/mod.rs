//! The engine: accepts runs, drives mirrors, and publishes where everything stands.
//!
//! Owns all work. A caller sends a command through [`Engine`] and gets an answer at once; what was accepted goes on
//! when the caller has gone. Does no HTTP of its own and knows no caller.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use crate::domain::problem::{Code, Problem};
use crate::domain::run::{Run, RunId, Trigger};
use crate::domain::status::Status;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Which mirrors, by name; `None`: all that are configured.
    pub mirrors: Option<Vec<String>>,
    /// The name of the token that asks, or `anonymous`.
    pub requested_by: String,
    /// Who or what asks.
    pub trigger: Trigger,
}

/// An accepted run.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The run.
    pub run: Run,
    /// Whether it had been accepted before, for another caller.
    pub coalesced: bool,
}

/// Why no run was accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// A name that is not configured.
    #[error("no mirror of that name is configured")]
    UnknownMirror {
        /// The names that are.
        configured: Vec<String>,
    },
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
            Self::StateUnavailable(why) => Problem::new(Code::StateUnavailable, why),
            Self::ShuttingDown => Problem::new(Code::ShuttingDown, "the service is ending and accepts no runs"),
        }
    }
}

enum Command {
    Ask { ask: Ask, answer: oneshot::Sender<Result<Accepted, NotAccepted>> },
    Run { id: RunId, answer: oneshot::Sender<Result<Option<Run>, NotAccepted>> },
    Runs { limit: usize, before: Option<RunId>, answer: oneshot::Sender<Result<Vec<Run>, NotAccepted>> },
    Ready { answer: oneshot::Sender<Result<(), NotAccepted>> },
}

/// A handle on the engine, for as many callers as there are.
#[derive(Clone, Debug)]
pub struct Engine {
    commands: mpsc::Sender<Command>,
    status: watch::Receiver<Arc<Status>>,
}

impl Engine {
    /// Asks for a run. It is written down before this answers, and goes on whatever becomes of the caller.
    ///
    /// # Errors
    /// [`NotAccepted`]: nothing was written down and nothing will be done.
    pub async fn ask(&self, ask: Ask) -> Result<Accepted, NotAccepted> {
        self.command(|answer| Command::Ask { ask, answer }).await
    }

    /// One run, if it is known.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn run(&self, id: RunId) -> Result<Option<Run>, NotAccepted> {
        self.command(|answer| Command::Run { id, answer }).await
    }

    /// Runs, newest first, older than `before`.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn runs(&self, limit: usize, before: Option<RunId>) -> Result<Vec<Run>, NotAccepted> {
        self.command(|answer| Command::Runs { limit, before, answer }).await
    }

    /// Whether runs would be accepted now: the journal can be written.
    ///
    /// # Errors
    /// Why not.
    pub async fn ready(&self) -> Result<(), NotAccepted> {
        self.command(|answer| Command::Ready { answer }).await
    }

    /// Where everything stands: at once, from memory.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        self.status.borrow().clone()
    }

    async fn command<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, NotAccepted>>) -> Command,
    ) -> Result<T, NotAccepted> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(command(answer)).await.map_err(|_| NotAccepted::ShuttingDown)?;
        answered.await.map_err(|_| NotAccepted::ShuttingDown)?
    }
}
