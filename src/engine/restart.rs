//! What an earlier process has left: runs that had not ended go on, and those that cannot are ended.
//!
//! Nothing is resumed, and nothing accepted, before the journal can be written: until then reads are served, and it is
//! tried again now and then.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::NotAccepted;
use super::coordinator::{Coordinator, open_parts};
use super::deliveries::Deliveries;
use super::ending::{Told, log_end};
use super::facts::{self, LastSeen};
use super::ids::Ids;
use super::in_flight::InFlight;
use crate::domain::event;
use crate::domain::mode;
use crate::domain::names::MirrorName;
use crate::domain::problem::{Code, Problem};
use crate::domain::run::{End, Run, RunId};
use crate::journal::{Crashed, JournalError};

/// How many unclean ends of the process in a row a part of a run survives without a call of its own in between.
const CRASHES: u32 = 3;

/// How long a run waits that has been in flight at two of them: other mirrors are served meanwhile.
const AFTER_CRASHES: Duration = Duration::from_secs(10);

/// How often it is tried to take up what an earlier process has left.
const AGAIN: Duration = Duration::from_secs(5);

/// How far the start has come.
#[derive(Debug)]
pub(super) enum Resumption {
    /// All that was in flight is, and runs are accepted.
    Done,
    /// The journal cannot be written.
    Waits {
        /// When it is tried again.
        again: Instant,
        /// Why.
        because: String,
        /// What is known of crashes, once that is on disk: they are counted once.
        crashed: Option<Vec<Crashed>>,
    },
}

impl Resumption {
    pub(super) fn begins() -> Self {
        Self::Waits { again: Instant::now(), because: "the service is starting".to_owned(), crashed: None }
    }

    /// When it is tried again; `None`: there is no need.
    pub(super) const fn again(&self) -> Option<Instant> {
        match self {
            Self::Done => None,
            Self::Waits { again, .. } => Some(*again),
        }
    }
}

impl Coordinator {
    /// Whether runs, modes and deliveries are taken.
    pub(super) fn has_resumed(&self) -> Result<(), NotAccepted> {
        match &self.resumption {
            Resumption::Done => Ok(()),
            Resumption::Waits { because, .. } => Err(NotAccepted::StateUnavailable(because.clone())),
        }
    }

    /// Takes up what the journal holds: facts and modes, the latest run, and deliveries.
    pub(super) async fn recall(&mut self) -> Result<(), JournalError> {
        let mut newest = None;
        for slot in &mut self.mirrors {
            let spec = Arc::clone(&slot.mirror.spec);
            let remembered = self.around.remembered(&spec).await?;
            newest = newest.max(remembered.mode.as_ref().map(|change| change.id));
            slot.take_up(remembered.facts);
            let status = Arc::make_mut(&mut slot.status);
            status.mode = mode::standing(spec.mode, remembered.mode.as_ref());
            status.mode_change = remembered.mode;
            slot.is_as_written();
        }
        self.latest = self.around.journal.runs(1, None).await?.pop().map(Arc::new);
        self.deliveries = Deliveries::known(self.around.journal.deliveries().await?);
        self.ids = Ids::above(newest.max(self.latest.as_ref().map(|latest| latest.id)));
        Ok(())
    }

    /// Goes on with the runs that had not ended when the last process did; later, where the journal cannot be written.
    pub(super) async fn try_to_resume(&mut self) {
        match (self.resume().await, &mut self.resumption) {
            (Err(error), Resumption::Waits { again, because, .. }) => {
                let error = error.to_string();
                if *because != error {
                    tracing::error!(error, "journal cannot be written: serving reads only until it can");
                }
                (*again, *because) = (Instant::now() + AGAIN, error);
            }
            (_, resumption) => {
                *resumption = Resumption::Done;
                self.stand_as_they_must();
            }
        }
        self.publish();
    }

    async fn resume(&mut self) -> Result<(), JournalError> {
        if self.around.journal.reopen().await? {
            self.recall().await?;
        }
        let now = self.around.clock.now();
        self.story.take_ids().await?;
        self.around.journal.retain(now).await?;
        self.hear_the_configuration().await?;
        let runs = self.around.journal.in_flight(now).await?;
        let crashed = self.count_crashes(&runs).await?;
        let count = |run: RunId, mirror: &MirrorName| {
            crashed.iter().find(|one| one.run == run && one.mirror == *mirror).map_or(0, |one| one.count)
        };
        let mut open = Vec::new();
        for run in runs {
            let run = self.without_what_is_gone(run).await?;
            let run = self.without_what_crashes(run, count).await;
            if run.finished_at.is_none() {
                open.push(run);
            }
        }
        for run in open {
            tracing::info!(run = %run.id, "going on with a run of before the restart");
            let names: Vec<MirrorName> = open_parts(&run).cloned().collect();
            self.in_flight.insert(run.id, InFlight::of_before(Arc::clone(&run)));
            for name in names {
                let pause = (count(run.id, &name) > 1).then_some(AFTER_CRASHES);
                self.start(&name, run.id, &run.options, pause);
            }
        }
        Ok(())
    }

    /// Counts the end of the process before this one, once.
    async fn count_crashes(&mut self, runs: &[Run]) -> Result<Vec<Crashed>, JournalError> {
        if let Resumption::Waits { crashed: Some(crashed), .. } = &self.resumption {
            return Ok(crashed.clone());
        }
        let parts = runs.iter().flat_map(|run| open_parts(run).map(|name| (run.id, name.clone())));
        let counted = self.around.journal.begin_life(parts.collect()).await?;
        if let Resumption::Waits { crashed, .. } = &mut self.resumption {
            *crashed = Some(counted.clone());
        }
        Ok(counted)
    }

    /// Ends a run's parts on mirrors that are not configured any more.
    async fn without_what_is_gone(&mut self, mut run: Run) -> Result<Arc<Run>, JournalError> {
        let now = self.around.clock.now();
        let gone: Vec<MirrorName> = open_parts(&run).filter(|name| !self.index.contains_key(*name)).cloned().collect();
        for name in &gone {
            let problem =
                Problem::new(Code::Superseded, format!("the mirror {name} is not in the configuration any more"));
            run.end_part(name, &End::Failed { problem }, now);
        }
        let run = Arc::new(run);
        let events = self.story.record(now, event::of_ends(&run, &gone));
        if !events.is_empty() {
            self.around.journal.write_run(Arc::clone(&run), events.clone()).await?;
            self.story.tell(events);
        }
        self.replace_latest(&run);
        Ok(run)
    }

    /// Ends a run's parts that were in flight at too many unclean ends of the process in a row: they may be what ended it.
    /// Another run that waits for the same mirror goes on.
    async fn without_what_crashes(&mut self, mut run: Arc<Run>, count: impl Fn(RunId, &MirrorName) -> u32) -> Arc<Run> {
        let names: Vec<MirrorName> = open_parts(&run).filter(|name| count(run.id, name) >= CRASHES).cloned().collect();
        for name in names {
            let now = self.around.clock.now();
            let detail = format!(
                "the process ended {CRASHES} times in a row, each time without a shutdown, while this run was in flight on {name}, \
                 and the run changed nothing in Gitea in between"
            );
            let end = End::Failed { problem: Problem::new(Code::RunCrashed, detail) };
            log_end(&name, &end);
            self.metrics.part_ended(name.as_str(), &end, Duration::ZERO);
            let at = self.index[&name];
            let before = Arc::clone(&self.mirrors[at].status);
            self.mirrors[at].take_up(facts::after(&before.facts, LastSeen::default(), &end, now));
            self.in_flight.insert(run.id, InFlight::of_before(Arc::clone(&run)));
            let told = Told {
                events: self.mirrors[at].news(now),
                notices: self.notices_of(&name, &before.facts, Some(run.id)),
            };
            let facts = self.mirrors[at].status.facts.clone();
            // it is alone there: no other is resumed yet
            self.end_in_every_run(&name, &end, facts, told).await;
            self.in_flight.remove(&run.id);
            Arc::make_mut(&mut run).end_part(&name, &end, now);
            self.replace_latest(&run);
        }
        run
    }
}
