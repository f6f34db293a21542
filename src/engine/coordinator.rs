//! The one task that owns runs: accepts them, starts drivers, ends them, and publishes.
//!
//! Every change of a run passes through here: the journal first, then memory, then the readers' snapshot. Never waits
//! for the network. How a run is accepted is in `asking`, how it ends in `ending`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;

use super::asking::unavailable;
use super::deliveries::Deliveries;
use super::driven::{Driven, Minder, Task};
use super::driver::{Driver, Event};
use super::ending::{Told, Unwritten, log_end};
use super::ids::Ids;
use super::in_flight::InFlight;
use super::looks::Looks;
use super::observing::{Observing, Watch};
use super::restart::Resumption;
use super::story::Story;
use super::surroundings::Surroundings;
use super::telling::Teller;
use super::{Command, Mirror, facts};
use crate::domain::event::{self, PhaseEntered};
use crate::domain::names::MirrorName;
use crate::domain::run::{Phase, Run, RunId};
use crate::domain::spec::RunOptions;
use crate::domain::status::{Facts, MirrorStatus, Status};
use crate::domain::webhook::Pushes;
use crate::journal::JournalError;
use crate::metrics::Metrics;

/// Drivers' events that may wait to be taken in: a few a mirror at work.
const EVENTS: usize = 256;

pub(super) struct Coordinator {
    pub(super) around: Surroundings,
    pub(super) metrics: Arc<Metrics>,
    /// In the order of the configuration.
    pub(super) mirrors: Vec<Slot>,
    /// Where each name stands in `mirrors`.
    pub(super) index: BTreeMap<MirrorName, usize>,
    pub(super) in_flight: BTreeMap<RunId, InFlight>,
    /// Runs of which the journal does not know yet where they stand.
    pub(super) unwritten: BTreeMap<RunId, Unwritten>,
    pub(super) story: Story,
    pub(super) latest: Option<Arc<Run>>,
    pub(super) ids: Ids,
    pub(super) deliveries: Deliveries,
    pub(super) resumption: Resumption,
    pub(super) teller: Teller,
    pub(super) observing: Observing,
    pub(super) status: watch::Sender<Arc<Status>>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) drivers: TaskTracker,
}

pub(super) struct Slot {
    pub(super) mirror: Mirror,
    /// Shared with readers: it is copied only when it changes while they hold it.
    pub(super) status: Arc<MirrorStatus>,
    /// As it stood when followers were last told of it.
    told: Arc<MirrorStatus>,
    /// Who is at work on it.
    pub(super) driven: Option<Driven>,
    /// Who looks at it.
    pub(super) watch: Watch,
    /// The proof that the journal knows of.
    pub(super) written_proof: Option<Timestamp>,
    /// The pushes that deliveries name, for whoever is at work on it.
    pub(super) pushes: watch::Sender<Pushes>,
}

impl Slot {
    fn new(mirror: Mirror, now: Instant) -> Self {
        let status = Arc::new(MirrorStatus::unseen(Arc::clone(&mirror.spec)));
        let pushes = watch::Sender::new(status.facts.pushes.clone());
        let (told, watch) = (Arc::clone(&status), Watch::Until(now));
        Self { mirror, told, status, driven: None, watch, written_proof: None, pushes }
    }

    /// Its status was just read from the journal.
    pub(super) fn is_as_written(&mut self) {
        self.written_proof = self.status.facts.proven_at;
        self.told = Arc::clone(&self.status);
    }

    /// These are the facts from now on.
    pub(super) fn take_up(&mut self, facts: Facts) {
        self.pushes.send_if_modified(|pushes| {
            let changes = *pushes != facts.pushes;
            pushes.clone_from(&facts.pushes);
            changes
        });
        Arc::make_mut(&mut self.status).facts = facts;
    }

    /// What followers have not been told yet.
    pub(super) fn news(&mut self, now: Timestamp) -> Vec<event::Event> {
        if Arc::ptr_eq(&self.told, &self.status) {
            return Vec::new();
        }
        let told = std::mem::replace(&mut self.told, Arc::clone(&self.status));
        event::of_mirror(&told, &self.status, now)
    }
}

impl Coordinator {
    /// With what the journal holds.
    pub(super) async fn new(
        mirrors: Vec<Mirror>,
        around: Surroundings,
        metrics: Arc<Metrics>,
        drivers: TaskTracker,
        looks: Arc<Looks>,
        teller: Teller,
    ) -> Result<(Self, watch::Receiver<Arc<Status>>, mpsc::Receiver<Event>), JournalError> {
        let now = Instant::now();
        let slots: Vec<Slot> = mirrors.into_iter().map(|mirror| Slot::new(mirror, now)).collect();
        let index = slots.iter().enumerate().map(|(at, slot)| (slot.mirror.spec.name.clone(), at)).collect();
        let (events, incoming) = mpsc::channel(EVENTS);
        let (status, published) = watch::channel(Arc::new(Status {
            mirrors: slots.iter().map(|slot| Arc::clone(&slot.status)).collect(),
            latest_run: None,
            gitea: around.gitea_status(),
            cutover_complete: None,
        }));
        let story = Story::begin(around.journal.clone(), Arc::clone(&metrics)).await?;
        let mut coordinator = Self {
            around,
            metrics,
            observing: Observing::of(slots.len(), looks, now),
            mirrors: slots,
            index,
            in_flight: BTreeMap::new(),
            unwritten: BTreeMap::new(),
            story,
            ids: Ids::default(),
            latest: None,
            deliveries: Deliveries::default(),
            resumption: Resumption::begins(),
            teller,
            status,
            events,
            drivers,
        };
        coordinator.recall().await?;
        Ok((coordinator, published, incoming))
    }

    /// Works until the service ends.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>, mut events: mpsc::Receiver<Event>) {
        let (shutdown, looks) = (self.around.shutdown.clone(), Arc::clone(&self.observing.looks));
        loop {
            let to_resume = self.resumption.again();
            tokio::select! {
                biased;
                () = shutdown.begun() => break,
                () = sleep_until(to_resume.unwrap_or_else(Instant::now)), if to_resume.is_some() => self.try_to_resume().await,
                Some(event) = events.recv() => {
                    self.event(event).await;
                    // readers want to know where things stand now, not each step on the way there
                    for _ in 0..EVENTS {
                        let Ok(event) = events.try_recv() else { break };
                        self.event(event).await;
                    }
                    self.publish();
                    self.write_what_was_observed().await;
                    self.story.settle().await;
                }
                looked = looks.taken() => self.looked(&looked),
                Some(command) = commands.recv() => self.command(command).await,
                else => break,
            }
            self.observe_next();
        }
        // commands that are still queued are answered by their closed channels: the service is ending
        self.write_deliveries().await;
    }

    async fn command(&mut self, command: Command) {
        // a caller that has hung up needs no answer
        match command {
            Command::Ask { ask, answer } => {
                let accepted = self.ask(ask).await;
                let _ = answer.send(accepted);
            }
            Command::Deliver { delivery, answer } => {
                let delivered = self.deliver(delivery).await;
                let _ = answer.send(delivered);
            }
            Command::Cancel { id, answer } => {
                let canceled = self.cancel(id).await;
                let _ = answer.send(canceled);
            }
            Command::SetMode { wish, answer } => {
                let set = self.set_mode(wish).await;
                let _ = answer.send(set);
            }
            Command::Run { id, answer } => {
                let found = self.find(id).await;
                let _ = answer.send(found);
            }
            Command::Runs { limit, before, answer } => {
                let runs = self.around.journal.runs(limit, before).await.map_err(unavailable);
                let now = |run: Run| self.in_memory(run.id).unwrap_or_else(|| Arc::new(run));
                let _ = answer.send(runs.map(|runs| runs.into_iter().map(now).collect()));
            }
            Command::Ready { answer } => {
                self.write_the_unwritten().await;
                self.write_what_was_observed().await;
                let writable = match self.has_resumed() {
                    Ok(()) => self.around.journal.is_writable().await.map_err(unavailable),
                    Err(error) => Err(error),
                };
                let _ = answer.send(writable);
            }
            Command::Follow { place, answer } => {
                let feed = self.follow(place).await;
                let _ = answer.send(feed);
            }
        }
    }

    /// A run that memory knows better than the journal: phases move in memory only, and a journal may be full.
    pub(super) fn in_memory(&self, id: RunId) -> Option<Arc<Run>> {
        let unwritten = || self.unwritten.get(&id).map(|unwritten| &unwritten.run);
        self.in_flight.get(&id).map(|one| &one.run).or_else(unwritten).cloned()
    }

    /// The names of the mirrors, in the order of the configuration.
    pub(super) fn names(&self) -> impl Iterator<Item = &MirrorName> + Clone {
        self.mirrors.iter().map(|slot| &slot.mirror.spec.name)
    }

    /// Puts a driver to work on a mirror, after a pause if one is given, unless one is at work.
    pub(super) fn start(&mut self, name: &MirrorName, run: RunId, options: &RunOptions, pause: Option<Duration>) {
        let at = self.index[name];
        if self.mirrors[at].driven.is_some() {
            return;
        }
        self.leave_to_a_driver(at);
        let now = self.around.clock.now();
        let slot = &mut self.mirrors[at];
        // when the first attempt began is to be known after a crash, too
        if slot.status.facts.started_at.is_none() {
            self.observing.unwritten(at);
        }
        Arc::make_mut(&mut slot.status).begins_an_attempt(now);
        let (interrupt, hurry) = (Arc::<Notify>::default(), Arc::<Notify>::default());
        let driver = Driver {
            run,
            options: options.clone(),
            pause,
            spec: Arc::clone(&slot.mirror.spec),
            upstream_credential: Arc::clone(&slot.mirror.credential),
            around: self.around.clone(),
            events: self.events.clone(),
            interrupt: Arc::clone(&interrupt),
            hurry: Arc::clone(&hurry),
            pushes: slot.pushes.subscribe(),
        };
        let driving = self.drivers.spawn(driver.drive());
        let (abort, task) = (driving.abort_handle(), Task::Run { interrupt });
        slot.driven = Some(Driven { run, began: Instant::now(), abort, hurry, task });
        self.drivers.spawn(Minder::new(self, run, name).over(driving));
    }

    async fn event(&mut self, event: Event) {
        let now = self.around.clock.now();
        match event {
            Event::Phase { run, mirror, phase, waiting_for } => {
                let Some(slot) = self.driven_for(run, &mirror) else { return };
                let status = Arc::make_mut(&mut slot.status);
                (status.phase, status.waiting_for, status.heard_at) = (phase, waiting_for.clone(), Some(now));
                let mut events = Vec::new();
                for one in self.in_flight.values_mut() {
                    let Some(part) = one.run.part(&mirror).filter(|part| part.end.is_none()) else { continue };
                    if part.phase != phase {
                        Arc::make_mut(&mut one.run).enters(&mirror, phase, now);
                    }
                    let (run, mirror, waiting_for) = (one.run.id, mirror.clone(), waiting_for.clone());
                    events.push(event::Event::Phase(PhaseEntered { run, mirror, phase, waiting_for }));
                }
                self.story.note(now, events);
            }
            Event::Still { run, mirror } => {
                if let Some(slot) = self.driven_for(run, &mirror) {
                    Arc::make_mut(&mut slot.status).heard_at = Some(now);
                }
            }
            Event::Carried { run, mirror, done, seen } => {
                if self.driven_for(run, &mirror).is_some() {
                    self.carried(&mirror, done, &seen).await;
                }
            }
            Event::Ended { run, mirror, end, seen, took } => {
                let Some(slot) = self.driven_for(run, &mirror) else { return };
                // only a panic ends that work so
                if matches!(slot.driven, Some(Driven { task: Task::Mode, .. })) {
                    let done = end.problem().map_or(Ok(()), |problem| Err(Box::new(problem.clone())));
                    return self.carried(&mirror, done, &seen).await;
                }
                slot.driven = None;
                let (before, interval) = (Arc::clone(&slot.status), slot.mirror.spec.interval);
                let mut facts = facts::after(&before.facts, *seen, &end, now);
                self.note_in_vain(&mut facts, interval, &end);
                let at = self.index[&mirror];
                self.mirrors[at].take_up(facts);
                let status = Arc::make_mut(&mut self.mirrors[at].status);
                (status.phase, status.waiting_for, status.heard_at) = (Phase::Idle, None, Some(now));
                let news = self.mirrors[at].news(now);
                let told = self.notices_of(&mirror, &before.facts, Some(run));
                let facts = self.mirrors[at].status.facts.clone();
                log_end(&mirror, &end);
                self.tell_the_platform(&mirror, run, &end);
                self.metrics.part_ended(mirror.as_str(), &end, took);
                // its looks are an observation, if there were any
                let seen_now = facts.observed_at != before.facts.observed_at;
                self.rest(at, if seen_now { self.around.policy.observed_for } else { Duration::ZERO });
                let pause = self.end_in_every_run(&mirror, &end, facts, Told { events: news, notices: told }).await;
                self.mode_after(&mirror, &end).await;
                self.carry_out_if_due(&mirror);
                self.prove_anew(&mirror, pause);
                self.write_deliveries().await;
            }
            Event::Observed { mirror, number, observed } => self.observed(mirror, number, observed).await,
        }
    }

    /// The mirror, if it is the driver of this run that is at work on it: one that was stopped may have said something
    /// just before.
    fn driven_for(&mut self, run: RunId, mirror: &MirrorName) -> Option<&mut Slot> {
        let slot = &mut self.mirrors[self.index[mirror]];
        slot.driven.as_ref().is_some_and(|driven| driven.run == run).then_some(slot)
    }
}

pub(super) fn open_parts(run: &Run) -> impl Iterator<Item = &MirrorName> {
    run.parts.iter().filter(|part| part.end.is_none()).map(|part| &part.name)
}
