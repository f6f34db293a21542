//! A driver that carries out a mode instead of a run: the same looks, the same waits, and two calls of its own.
//!
//! Owns the loop around [`carry_out`], which decides. Never looks at upstream. Can be dropped at any point, as every
//! driver: the next one finds out from Gitea where things stand.

use serde_json::Value;
use tokio::time::Instant;

use super::driver::{Driver, Event, Work};
use super::facts::LastSeen;
use crate::domain::decide::{Action, Carrying, Purpose, carry_out};
use crate::domain::mode::ModeChange;
use crate::domain::problem::{Code, Problem};
use crate::domain::run::Phase;
use crate::journal::JournalError;

impl Driver {
    /// Works until Gitea stands as `change` says, until that cannot be done, or until the service ends; in the latter
    /// case nothing is told, and the next start goes on.
    pub(super) async fn drive_mode(self, change: ModeChange) {
        let shutdown = self.around.shutdown.clone();
        let carried = tokio::select! {
            // once the service ends, nothing new is begun
            biased;
            () = shutdown.begun() => return,
            carried = self.carry(&change) => carried,
        };
        let (done, seen) = carried.unwrap_or_else(|error| {
            let problem = Problem::new(Code::StateUnavailable, error.to_string());
            (Err(Box::new(problem)), LastSeen::default())
        });
        let event = Event::Carried { run: self.run, mirror: self.spec.name.clone(), done, seen: Box::new(seen) };
        // the coordinator outlives every driver but at the service's end
        let _ = self.events.send(event).await;
    }

    async fn carry(&self, change: &ModeChange) -> Result<(Result<(), Box<Problem>>, LastSeen), JournalError> {
        // not in line with runs: to stop a mirror must not wait for clones
        let _turn = self.around.mode_turns.acquire().await;
        let mut work = self.begin(Instant::now(), Purpose::ModeChange).await?;
        loop {
            work.tick();
            match carry_out(&self.spec, change, &work.observation, &work.history, &self.around.policy) {
                Carrying::Look(look) => self.look(look, &mut work).await,
                Carrying::Wait(wait) => self.wait(wait, &mut work).await,
                Carrying::SetInterval(interval) => {
                    self.act(Action::Patch { interval, prune: self.spec.prune }, &mut work).await?;
                }
                Carrying::Convert => self.convert(&mut work).await?,
                Carrying::Done => return Ok((Ok(()), work.seen)),
                Carrying::Failed(problem) => return Ok((Err(problem), work.seen)),
            }
        }
    }

    async fn convert(&self, work: &mut Work) -> Result<(), JournalError> {
        self.enter(Phase::Patching, None, work).await;
        let intent = self.intend("convert", Value::Null, work).await?;
        let answer = self.around.gitea.convert(&self.spec).await;
        self.answered(intent, &answer).await?;
        work.tick();
        work.history.converted(answer);
        work.observation.forget();
        Ok(())
    }
}
