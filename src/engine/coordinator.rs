//! The one task that owns runs: accepts them, starts drivers, ends them, and publishes.
//!
//! Every change of a run passes through here: the journal first, then memory, then the readers' snapshot. Never waits
//! for the network.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::driver::{Driver, Event};
use super::surroundings::Surroundings;
use super::{Accepted, Ask, Command, Mirror, NotAccepted, facts};
use crate::domain::names::MirrorName;
use crate::domain::problem::{Code, Problem};
use crate::domain::run::{End, Phase, Run, RunId};
use crate::domain::spec::RunOptions;
use crate::domain::status::{MirrorStatus, Status};
use crate::journal::JournalError;
use crate::metrics::Metrics;

/// Drivers' events that may wait to be taken in: a few a mirror at work.
const EVENTS: usize = 256;

pub(super) struct Coordinator {
    around: Surroundings,
    metrics: Arc<Metrics>,
    /// In the order of the configuration.
    mirrors: Vec<Slot>,
    /// Where each name stands in `mirrors`.
    index: BTreeMap<MirrorName, usize>,
    in_flight: BTreeMap<RunId, Run>,
    latest: Option<Run>,
    status: watch::Sender<Arc<Status>>,
    events: mpsc::Sender<Event>,
    drivers: TaskTracker,
}

struct Slot {
    mirror: Mirror,
    status: MirrorStatus,
    /// Whether a driver is at work on it.
    driven: bool,
}

impl Coordinator {
    /// Takes up what the journal holds: facts of every mirror, and the latest run.
    pub(super) async fn new(
        mirrors: Vec<Mirror>,
        around: Surroundings,
        metrics: Arc<Metrics>,
        drivers: TaskTracker,
    ) -> Result<(Self, watch::Receiver<Arc<Status>>, mpsc::Receiver<Event>), JournalError> {
        let mut slots = Vec::with_capacity(mirrors.len());
        for mirror in mirrors {
            let mut status = MirrorStatus::unseen(Arc::clone(&mirror.spec));
            status.facts = around.journal.remembered(mirror.spec.name.clone()).await?.facts;
            slots.push(Slot { mirror, status, driven: false });
        }
        let index = slots.iter().enumerate().map(|(at, slot)| (slot.mirror.spec.name.clone(), at)).collect();
        let latest = around.journal.runs(1, None).await?.pop();
        let (events, incoming) = mpsc::channel(EVENTS);
        let (status, published) = watch::channel(Arc::new(Status {
            mirrors: slots.iter().map(|slot| slot.status.clone()).collect(),
            latest_run: latest.clone(),
            gitea: around.gitea_status(),
        }));
        let coordinator = Self {
            around,
            metrics,
            mirrors: slots,
            index,
            in_flight: BTreeMap::new(),
            latest,
            status,
            events,
            drivers,
        };
        Ok((coordinator, published, incoming))
    }

    /// Goes on with the runs that had not ended when the last process did.
    pub(super) async fn resume(&mut self) -> Result<(), JournalError> {
        let now = self.around.clock.now();
        self.around.journal.retain(now).await?;
        for mut run in self.around.journal.in_flight().await? {
            let gone: Vec<MirrorName> = run
                .parts
                .iter()
                .filter(|part| part.end.is_none() && !self.index.contains_key(&part.name))
                .map(|part| part.name.clone())
                .collect();
            for name in gone {
                let problem =
                    Problem::new(Code::Superseded, format!("the mirror {name} is not in the configuration any more"));
                run.end_part(&name, &End::Failed { problem }, now);
            }
            if run.finished_at.is_some() {
                self.around.journal.write_run(run.clone()).await?;
                self.replace_latest(&run);
                continue;
            }
            tracing::info!(run = %run.id, "going on with a run of before the restart");
            let names: Vec<MirrorName> = open_parts(&run).cloned().collect();
            let id = run.id;
            let options = run.options.clone();
            self.in_flight.insert(id, run);
            for name in names {
                self.start(&name, id, &options);
            }
        }
        self.publish();
        Ok(())
    }

    /// Works until the service ends.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>, mut events: mpsc::Receiver<Event>) {
        let shutdown = self.around.shutdown.clone();
        loop {
            tokio::select! {
                biased;
                () = shutdown.begun() => break,
                Some(event) = events.recv() => self.event(event).await,
                Some(command) = commands.recv() => self.command(command).await,
                else => break,
            }
        }
        // commands that are still queued are answered by their closed channels: the service is ending
    }

    async fn command(&mut self, command: Command) {
        let unavailable = |error: JournalError| NotAccepted::StateUnavailable(error.to_string());
        // a caller that has hung up needs no answer
        match command {
            Command::Ask { ask, answer } => {
                let accepted = self.ask(ask).await;
                let _ = answer.send(accepted);
            }
            Command::Run { id, answer } => {
                let found = match self.in_flight.get(&id) {
                    Some(run) => Ok(Some(run.clone())),
                    None => self.around.journal.run(id).await.map_err(unavailable),
                };
                let _ = answer.send(found);
            }
            Command::Runs { limit, before, answer } => {
                let runs = self.around.journal.runs(limit, before).await.map_err(unavailable).map(|mut runs| {
                    // phases move in memory only
                    for run in &mut runs {
                        if let Some(now) = self.in_flight.get(&run.id) {
                            run.clone_from(now);
                        }
                    }
                    runs
                });
                let _ = answer.send(runs);
            }
            Command::Ready { answer } => {
                let _ = answer.send(self.around.journal.is_writable().await.map_err(unavailable));
            }
        }
    }

    async fn ask(&mut self, ask: Ask) -> Result<Accepted, NotAccepted> {
        let names = self.select(ask.mirrors.as_deref())?;
        let same = |run: &&Run| run.parts.iter().map(|part| &part.name).eq(names.iter());
        if let Some(run) = self.in_flight.values().find(same) {
            return Ok(Accepted { run: run.clone(), coalesced: true });
        }
        let now = self.around.clock.now();
        let id = RunId(uuid_v7(now));
        let mut run = Run::accepted(id, ask.trigger, ask.requested_by, now, names.iter().cloned());
        run.options = ask.options;
        for part in &mut run.parts {
            // work that is under way already is joined where it stands
            let slot = &self.mirrors[self.index[&part.name]];
            if slot.driven {
                part.phase = slot.status.phase;
                run.started_at = Some(now);
            }
        }
        let written = self.around.journal.write_run(run.clone()).await;
        written.map_err(|error| NotAccepted::StateUnavailable(error.to_string()))?;
        self.in_flight.insert(id, run.clone());
        self.latest = Some(run.clone());
        for name in &names {
            self.start(name, id, &run.options);
        }
        self.publish();
        Ok(Accepted { run, coalesced: false })
    }

    /// The mirrors that are asked for, in the order of the configuration, each once.
    fn select(&self, asked: Option<&[String]>) -> Result<Vec<MirrorName>, NotAccepted> {
        let configured = || self.mirrors.iter().map(|slot| &slot.mirror.spec.name);
        let Some(asked) = asked else { return Ok(configured().cloned().collect()) };
        let asked: BTreeSet<&str> = asked.iter().map(String::as_str).collect();
        let chosen: Vec<MirrorName> = configured().filter(|name| asked.contains(name.as_str())).cloned().collect();
        if chosen.len() == asked.len() && !chosen.is_empty() {
            Ok(chosen)
        } else {
            // enough to recognise one's own mistake by, however many there are
            Err(NotAccepted::UnknownMirror { configured: configured().take(20).map(ToString::to_string).collect() })
        }
    }

    /// Puts a driver to work on a mirror, unless one is.
    fn start(&mut self, name: &MirrorName, run: RunId, options: &RunOptions) {
        let slot = &mut self.mirrors[self.index[name]];
        if slot.driven {
            return;
        }
        slot.driven = true;
        slot.status.phase = Phase::Queued;
        let driver = Driver {
            run,
            options: options.clone(),
            spec: Arc::clone(&slot.mirror.spec),
            upstream_credential: Arc::clone(&slot.mirror.credential),
            around: self.around.clone(),
            events: self.events.clone(),
        };
        self.drivers.spawn(driver.drive());
    }

    async fn event(&mut self, event: Event) {
        match event {
            Event::Phase { mirror, phase, waiting_for } => {
                let now = self.around.clock.now();
                let slot = &mut self.mirrors[self.index[&mirror]];
                (slot.status.phase, slot.status.waiting_for) = (phase, waiting_for);
                for run in self.in_flight.values_mut() {
                    if let Some(part) = run.part_mut(&mirror).filter(|part| part.end.is_none()) {
                        part.phase = phase;
                        run.started_at.get_or_insert(now.max(run.created_at));
                    }
                }
            }
            Event::Ended { mirror, end, seen, took } => {
                let now = self.around.clock.now();
                let slot = &mut self.mirrors[self.index[&mirror]];
                slot.driven = false;
                slot.status.facts = facts::after(&slot.status.facts, &seen, &end, now);
                (slot.status.phase, slot.status.waiting_for) = (Phase::Idle, None);
                let facts = slot.status.facts.clone();
                log_end(&mirror, &end);
                self.metrics.part_ended(mirror.as_str(), &end, took);
                self.end_in_every_run(&mirror, &end, facts).await;
            }
        }
        self.publish();
    }

    /// One driver's end is the end of that mirror in every run that waits for it.
    async fn end_in_every_run(&mut self, mirror: &MirrorName, end: &End, facts: crate::domain::status::Facts) {
        let now = self.around.clock.now();
        let mut changed = Vec::new();
        for run in self.in_flight.values_mut().filter(|run| run.part(mirror).is_some_and(|part| part.end.is_none())) {
            run.end_part(mirror, end, now);
            changed.push(run.clone());
        }
        if let Err(error) = self.around.journal.write_end(mirror.clone(), facts, changed.clone()).await {
            // readers are told the truth from memory; after a restart it is found out anew
            tracing::error!(mirror = %mirror, error = %error, "the end of a mirror could not be written to the journal");
        }
        for run in changed {
            self.replace_latest(&run);
            if run.finished_at.is_some() {
                self.in_flight.remove(&run.id);
                tracing::info!(run = %run.id, status = run.status().label(), "run ended: {}", run.status());
            }
        }
        if let Err(error) = self.around.journal.retain(now).await {
            tracing::warn!(error = %error, "old runs could not be dropped from the journal");
        }
    }

    fn replace_latest(&mut self, run: &Run) {
        if self.latest.as_ref().is_some_and(|latest| latest.id == run.id) {
            self.latest = Some(run.clone());
        }
    }

    fn publish(&self) {
        let latest_run = self.latest.as_ref().map(|latest| self.in_flight.get(&latest.id).unwrap_or(latest).clone());
        let mirrors = self.mirrors.iter().map(|slot| slot.status.clone()).collect();
        self.status.send_replace(Arc::new(Status { mirrors, latest_run, gitea: self.around.gitea_status() }));
    }
}

fn open_parts(run: &Run) -> impl Iterator<Item = &MirrorName> {
    run.parts.iter().filter(|part| part.end.is_none()).map(|part| &part.name)
}

fn log_end(mirror: &MirrorName, end: &End) {
    match end {
        End::Succeeded { outcome, evidence, .. } => tracing::info!(
            mirror = %mirror,
            outcome = outcome.label(),
            refs = evidence.refs(),
            commit = %evidence.tracked_commit(),
            "proven: {outcome}"
        ),
        End::Unverified { problem } | End::Failed { problem } => tracing::warn!(
            mirror = %mirror,
            phase = end.phase().label(),
            error = problem.code.label(),
            detail = problem.detail,
            remedy = problem.remedy,
            "not proven: {}",
            problem.code
        ),
        End::Canceled => tracing::info!(mirror = %mirror, "canceled"),
    }
}

/// Ids that sort by the clock that people see.
fn uuid_v7(now: jiff::Timestamp) -> Uuid {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos))
}
