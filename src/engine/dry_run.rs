//! Dry runs: what a request would do, from looks alone.
//!
//! Owns the one driver that changes nothing: it calls no method that does, writes nothing to the journal, and conflicts
//! with nothing. It ends with its caller.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

use super::asking::{select, unavailable};
use super::driver::Driver;
use super::surroundings::{AT_ONCE, Surroundings};
use super::{Ask, Mirror, NotAccepted};
use crate::domain::decide::{Awaited, Next, Purpose, Wait, decide};
use crate::domain::names::MirrorName;
use crate::domain::plan::{DryRun, Planned, plan};
use crate::domain::problem::{Code, Problem};
use crate::domain::run::RunId;
use crate::domain::spec::RunOptions;
use crate::domain::webhook::Pushes;
use crate::journal::JournalError;

/// The longest a dry run may take: somebody waits for its answer.
const LIMIT: Duration = Duration::from_secs(30);

/// More than any number of tries for which upstream is waited: it is asked once, and what would be done without it is
/// what is planned.
const GIVEN_UP: u32 = u32::MAX / 2;

/// What dry runs work with.
#[derive(Debug)]
pub(super) struct DryRuns {
    mirrors: Vec<Mirror>,
    around: Surroundings,
    /// Not the drivers' turns: those may be taken for half an hour.
    turns: Semaphore,
}

impl DryRuns {
    pub(super) fn new(mirrors: Vec<Mirror>, around: Surroundings) -> Self {
        Self { mirrors, around, turns: Semaphore::new(AT_ONCE) }
    }

    pub(super) async fn of(&self, ask: Ask) -> Result<DryRun, NotAccepted> {
        let names = select(self.mirrors.iter().map(|mirror| &mirror.spec.name), ask.mirrors.as_deref())?;
        let created_at = self.around.clock.now();
        let looking = async {
            let deadline = Instant::now() + LIMIT;
            let mut chosen = self.mirrors.clone();
            chosen.retain(|one| names.contains(&one.spec.name));
            let plans = chosen.into_iter().map(|mirror| self.one(mirror, ask.options.clone(), deadline).boxed());
            stream::iter(plans).buffered(AT_ONCE).collect::<Vec<_>>().await.into_iter().collect::<Result<Vec<_>, _>>()
        };
        let mirrors = tokio::select! {
            // once the service ends, nothing new is begun
            biased;
            () = self.around.shutdown.begun() => return Err(NotAccepted::ShuttingDown),
            mirrors = looking => mirrors.map_err(unavailable)?,
        };
        let finished_at = self.around.clock.now().max(created_at);
        Ok(DryRun { trigger: ask.trigger, requested_by: ask.requested_by, created_at, finished_at, mirrors })
    }

    async fn one(&self, mirror: Mirror, options: RunOptions, deadline: Instant) -> Result<Planned, JournalError> {
        let Ok(turn) = timeout_at(deadline, self.turns.acquire()).await else {
            return Ok(Planned::failed(mirror.spec.name.clone(), too_late(&mirror.spec.name)));
        };
        let _turn = turn;
        // nobody listens to it, and no intent is ever written under its run
        let (events, _) = mpsc::channel(1);
        let driver = Driver {
            run: RunId(Uuid::nil()),
            options,
            pause: None,
            spec: mirror.spec,
            upstream_credential: mirror.credential,
            around: self.around.clone(),
            events,
            interrupt: Arc::default(),
            hurry: Arc::default(),
            // it waits for nothing
            pushes: watch::channel(Pushes::default()).1,
        };
        look_and_plan(&driver, deadline).await
    }
}

async fn look_and_plan(driver: &Driver, deadline: Instant) -> Result<Planned, JournalError> {
    let (spec, policy) = (&*driver.spec, &driver.around.policy);
    let mut work = driver.begin(Instant::now(), Purpose::Run).await?;
    let mut in_the_way = None;
    loop {
        work.tick();
        match decide(spec, &work.observation, &work.history, policy) {
            Next::Look(look) => {
                if timeout_at(deadline, driver.look(look, &mut work)).await.is_err() {
                    break;
                }
            }
            Next::Wait(Wait { awaited: Awaited::Gitea, pause, because, .. }) => {
                in_the_way = because.map(|because| *because).or(in_the_way);
                if Instant::now() + pause >= deadline {
                    break;
                }
                work.give_up_lists();
                work.observation.forget_upstream();
                sleep(pause).await;
            }
            Next::Wait(Wait { awaited: Awaited::Upstream, .. }) if work.history.upstream_tries < GIVEN_UP => {
                work.history.upstream_tries = GIVEN_UP;
            }
            Next::Remember(memory) => work.history.pruning = Some(memory),
            Next::Wait(_) | Next::Act(_) | Next::GiveUp(_) | Next::End(_) => {
                return Ok(plan(spec, work.observation, work.history, policy));
            }
        }
    }
    let name = spec.name.clone();
    let problem = in_the_way.unwrap_or_else(|| too_late(&name));
    Ok(Planned::failed(name, problem))
}

fn too_late(name: &MirrorName) -> Problem {
    let limit = LIMIT.as_secs();
    Problem::new(Code::DeadlineExceeded, format!("{name} could not be looked at within the {limit} s of a dry run"))
}
