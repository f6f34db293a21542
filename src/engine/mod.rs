//! The engine: accepts runs, drives mirrors, and publishes where everything stands.
//!
//! Owns all work. A caller sends a command through [`Engine`] and gets an answer at once; what was accepted goes on
//! when the caller has gone. Does no HTTP of its own and knows no caller.

#![warn(clippy::wildcard_enum_match_arm)]

mod acting;
mod asking;
mod budget;
mod carrying;
mod coordinator;
mod deliveries;
mod driven;
mod driver;
mod dry_run;
mod early_answers;
mod ending;
mod facts;
mod following;
mod healing;
mod ids;
mod in_flight;
mod jitter;
mod lists;
mod looks;
mod modes;
mod not_accepted;
mod observer;
mod observing;
mod origins;
mod pause;
mod restart;
mod status;
mod story;
mod surroundings;
mod telling;

use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::domain::credential::CredentialSource;
use crate::domain::key::Keyed;
use crate::domain::mode::ModeChange;
use crate::domain::names::MirrorName;
use crate::domain::plan::DryRun;
use crate::domain::platform::Platform;
use crate::domain::run::{Run, RunId, Trigger};
use crate::domain::spec::{MirrorSpec, Policy, RunOptions};
use crate::domain::status::{GiteaStatus, Status};
use crate::domain::webhook::{Push, Reason, Vendor};
use crate::git::Lister;
use crate::gitea::Client;
use crate::journal::{Journal, JournalError};
use crate::metrics::Metrics;
use crate::shutdown::Shutdown;
use budget::Budget;
use coordinator::Coordinator;
use dry_run::DryRuns;
use looks::Looks;
use surroundings::{AT_ONCE, Surroundings};

pub use modes::{ModeSet, ModeWish};
pub use not_accepted::NotAccepted;

pub use following::{Feed, Over, Place, Snapshot, Told};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Which mirrors, by name; `None`: all that are configured.
    pub mirrors: Option<Vec<String>>,
    /// What the run may do beyond what every run may.
    pub options: RunOptions,
    /// Under which key; `None`: each time it is asked for counts.
    pub key: Option<Keyed>,
    /// The name of the token that asks, or `anonymous`.
    pub requested_by: String,
    /// Who or what asks.
    pub trigger: Trigger,
}

/// An accepted run.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The run.
    pub run: Arc<Run>,
    /// Whether it had been accepted before, for this or another request.
    pub coalesced: bool,
    /// Whether it was accepted before for this very request, by its key.
    pub replayed: bool,
    /// Tells of its end; `None`: it has ended.
    end: Option<watch::Receiver<Option<Arc<Run>>>>,
}

impl Accepted {
    /// A run that has ended.
    fn ended_before(run: Run) -> Self {
        Self { run: Arc::new(run), coalesced: true, replayed: false, end: None }
    }

    /// Waits for its end. `None`: the service ends first. Whoever stops waiting changes nothing.
    pub async fn ended(&mut self) -> Option<Arc<Run>> {
        match &mut self.end {
            None => Some(Arc::clone(&self.run)),
            Some(end) => end.wait_for(Option::is_some).await.ok()?.clone(),
        }
    }
}

/// A webhook's delivery, signed by somebody who knows the mirror's secret, and of a push.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// For which mirror.
    pub mirror: MirrorName,
    /// Who sends it.
    pub vendor: Vendor,
    /// Its name, given by its sender.
    pub id: Option<Box<str>>,
    /// The pushes that it names.
    pub pushes: Vec<Push>,
}

/// What became of a delivery.
#[derive(Clone, Debug)]
pub enum Delivered {
    /// A run that proves the mirror anew, new or joined.
    Run(Accepted),
    /// Nothing needs to be done, and the run that has done it, if one has.
    Ignored(Reason, Option<RunId>),
}

/// A run that was taken out.
#[derive(Clone, Debug)]
pub struct Canceled {
    /// The run.
    pub run: Arc<Run>,
    /// Whether Gitea was cloning for it, and goes on.
    pub in_gitea: bool,
}

enum Command {
    Ask { ask: Ask, answer: oneshot::Sender<Result<Accepted, NotAccepted>> },
    SetMode { wish: ModeWish, answer: oneshot::Sender<Result<ModeSet, NotAccepted>> },
    Deliver { delivery: Delivery, answer: oneshot::Sender<Result<Delivered, NotAccepted>> },
    Cancel { id: RunId, answer: oneshot::Sender<Result<Canceled, NotAccepted>> },
    Run { id: RunId, answer: oneshot::Sender<Result<Option<Arc<Run>>, NotAccepted>> },
    Runs { limit: usize, before: Option<RunId>, answer: oneshot::Sender<Result<Vec<Arc<Run>>, NotAccepted>> },
    Ready { answer: oneshot::Sender<Result<(), NotAccepted>> },
    Follow { place: Place, answer: oneshot::Sender<Result<Feed, NotAccepted>> },
}

/// One configured mirror, with what it takes to read its upstream.
#[derive(Clone, Debug)]
pub struct Mirror {
    /// As it is configured.
    pub spec: Arc<MirrorSpec>,
    /// For its upstream.
    pub credential: Arc<dyn CredentialSource>,
}

/// What the engine works with.
#[derive(Debug)]
pub struct Parts {
    /// Every configured mirror, in order.
    pub mirrors: Vec<Mirror>,
    /// Talks to Gitea.
    pub gitea: Client,
    /// Reads refs.
    pub lister: Lister,
    /// Keeps what cannot be observed.
    pub journal: Journal,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Limits.
    pub policy: Policy,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// The service's end.
    pub shutdown: Shutdown,
    /// Wakes whoever sends notifications; `None`: nobody does.
    pub teller: Option<Arc<Notify>>,
    /// The platform around us, if there is one.
    pub platform: Option<Arc<dyn Platform>>,
}

/// Commands that may wait to be taken in.
const COMMANDS: usize = 1_024;

/// A handle on the engine, for as many callers as there are.
#[derive(Clone, Debug)]
pub struct Engine {
    commands: mpsc::Sender<Command>,
    status: watch::Receiver<Arc<Status>>,
    dry_runs: Arc<DryRuns>,
    looks: Arc<Looks>,
    gitea: Client,
    shutdown: Shutdown,
    platform: Option<Arc<dyn Platform>>,
}

impl Engine {
    /// Starts the engine and goes on with the runs that had not ended when the last process did: at once, or when the
    /// journal can be written. The tracker ends when all work has come to rest after a shutdown.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn start(parts: Parts) -> Result<(Self, TaskTracker), JournalError> {
        let budget = Arc::new(Budget::of(parts.policy.refs_bytes));
        let around = Surroundings {
            budget,
            gitea: parts.gitea,
            lister: parts.lister,
            journal: parts.journal,
            clock: parts.clock,
            policy: parts.policy,
            shutdown: parts.shutdown,
            platform: parts.platform,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            mode_turns: Arc::new(Semaphore::new(AT_ONCE)),
            gitea_status: Arc::new(Mutex::new(GiteaStatus::default())),
            origins: Arc::default(),
        };
        let (gitea, shutdown) = (around.gitea.clone(), around.shutdown.clone());
        let platform = around.platform.clone();
        let dry_runs = Arc::new(DryRuns::new(parts.mirrors.clone(), around.clone()));
        let tasks = TaskTracker::new();
        let looks = Arc::new(Looks::default());
        let (mut coordinator, status, events) =
            Coordinator::new(parts.mirrors, around, parts.metrics, tasks.clone(), Arc::clone(&looks), parts.teller)
                .await?;
        coordinator.try_to_resume().await;
        let (commands, incoming) = mpsc::channel(COMMANDS);
        tasks.spawn(coordinator.run(incoming, events));
        Ok((Self { commands, status, dry_runs, looks, gitea, shutdown, platform }, tasks))
    }

    /// Asks for a run. It is written down before this answers, and goes on whatever becomes of the caller.
    ///
    /// # Errors
    /// [`NotAccepted`]: nothing was written down and nothing will be done.
    pub async fn ask(&self, ask: Ask) -> Result<Accepted, NotAccepted> {
        self.command(|answer| Command::Ask { ask, answer }).await
    }

    /// Takes in a webhook's delivery: the mirror is proven anew by a run that reads upstream after this, new or in flight.
    ///
    /// # Errors
    /// [`NotAccepted`]: nothing will be done because of it.
    pub async fn deliver(&self, delivery: Delivery) -> Result<Delivered, NotAccepted> {
        self.command(|answer| Command::Deliver { delivery, answer }).await
    }

    /// What would be done, from looks alone: nothing is changed, written or kept, and it is in conflict with nothing.
    /// A key does not matter. It ends with its caller, and within half a minute.
    ///
    /// # Errors
    /// A name that is not configured, a journal that cannot be read, or the service's end.
    pub async fn dry_run(&self, ask: Ask) -> Result<DryRun, NotAccepted> {
        self.dry_runs.of(ask).await
    }

    /// Takes a run out: its mirrors that have not ended are canceled. A driver that another run waits for goes on, and
    /// so does what Gitea has begun.
    ///
    /// # Errors
    /// No such run is kept, it has ended, or the journal cannot be written.
    pub async fn cancel(&self, id: RunId) -> Result<Canceled, NotAccepted> {
        self.command(|answer| Command::Cancel { id, answer }).await
    }

    /// Says how a mirror is to be run. It is written down before this answers, and carried out whatever becomes of the
    /// caller.
    ///
    /// # Errors
    /// [`NotAccepted`]: nothing was written down and nothing will be done.
    pub async fn set_mode(&self, wish: ModeWish) -> Result<ModeSet, NotAccepted> {
        self.command(|answer| Command::SetMode { wish, answer }).await
    }

    /// Waits until the latest word on a mirror is carried out or was given up. Whoever stops waiting changes nothing.
    pub async fn mode_settled(&self, mirror: &MirrorName) {
        let settled = |status: &Arc<Status>| {
            let mirror = status.mirrors.iter().find(|one| one.spec.name == *mirror);
            mirror.is_none_or(|mirror| mirror.mode_change.as_ref().is_none_or(ModeChange::is_settled))
        };
        // the service is ending: there is nothing to wait for
        let _ = self.status.clone().wait_for(settled).await;
    }

    /// One run, if it is known.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn run(&self, id: RunId) -> Result<Option<Arc<Run>>, NotAccepted> {
        self.command(|answer| Command::Run { id, answer }).await
    }

    /// Runs, newest first, older than `before`.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn runs(&self, limit: usize, before: Option<RunId>) -> Result<Vec<Arc<Run>>, NotAccepted> {
        self.command(|answer| Command::Runs { limit, before, answer }).await
    }

    /// Whether runs would be accepted now and could be begun: the journal can be written, our credential for Gitea can
    /// be read, and the service is not ending.
    ///
    /// # Errors
    /// Why not.
    pub async fn ready(&self) -> Result<(), NotAccepted> {
        if self.shutdown.has_begun() {
            return Err(NotAccepted::ShuttingDown);
        }
        self.gitea.credential().read().map_err(|error| NotAccepted::Credential(error.to_string()))?;
        self.command(|answer| Command::Ready { answer }).await
    }

    /// Follows what happens, everywhere or in one run: from the last event that the caller has, if everything since is
    /// kept; else from where things stand now.
    ///
    /// # Errors
    /// No such run is kept, the journal cannot be read, or the service is ending.
    pub async fn follow(&self, place: Place) -> Result<Feed, NotAccepted> {
        if self.shutdown.has_begun() {
            return Err(NotAccepted::ShuttingDown);
        }
        self.command(|answer| Command::Follow { place, answer }).await
    }

    /// Waits until the engine has ended: at the service's end, or by a mistake of ours.
    pub async fn ended(&self) {
        self.commands.closed().await;
    }

    /// Where everything stands: at once, from memory.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        let status = self.status.borrow().clone();
        let cutover_complete = self.platform.as_ref().and_then(|platform| platform.cutover_complete());
        if status.cutover_complete == cutover_complete {
            return status;
        }
        Arc::new(Status { cutover_complete, ..(*status).clone() })
    }

    /// Tells that somebody has looked at every mirror: those whose last observation is too old are observed anew, in the
    /// background. Costs a reader next to nothing, and never waits.
    pub fn looked_at_all(&self) {
        self.looks.at_all();
    }

    /// The same of some mirrors.
    pub fn looked_at<'a>(&self, names: impl IntoIterator<Item = &'a MirrorName>) {
        self.looks.at(names);
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
