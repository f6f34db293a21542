//! How runs end: a driver's end in every run that waits for it, and a run that is taken out.

use std::sync::Arc;
use std::time::Duration;

use super::asking::unavailable;
use super::coordinator::{Coordinator, open_parts};
use super::deliveries::NOT_SHOWN_YET;
use super::driven::{Driven, Task};
use super::in_flight::Meaning;
use super::{Canceled, NotAccepted};
use crate::domain::answer::PatchAnswer;
use crate::domain::aside::Aside;
use crate::domain::event::{Event, Recorded, of_ends};
use crate::domain::names::MirrorName;
use crate::domain::notice::Notice;
use crate::domain::platform::Proven;
use crate::domain::run::{End, Phase, Run, RunId};
use crate::domain::status::Facts;
use crate::journal::{GIVE_BACK, KnownIntent, RENAME_ASIDE};

/// A run that the journal does not have as it stands, and the events that tell what it lacks.
#[derive(Debug)]
pub(super) struct Unwritten {
    pub(super) run: Arc<Run>,
    pub(super) events: Vec<Arc<Recorded>>,
}

/// What there is to tell of a mirror beside the ends of its runs.
#[derive(Debug)]
pub(super) struct Told {
    /// To readers of the streams.
    pub(super) events: Vec<Event>,
    /// To the receiver of notifications.
    pub(super) notices: Vec<Notice>,
}

impl Coordinator {
    /// One driver's end is the end of that mirror in every run that waits for it, but for those that need a newer
    /// proof; `told` is what else there is to tell of the mirror. How long to wait before the newer proof, if anybody
    /// needs it later than now.
    pub(super) async fn end_in_every_run(
        &mut self,
        mirror: &MirrorName,
        end: &End,
        facts: Facts,
        told: Told,
    ) -> Option<Duration> {
        let now = self.around.clock.now();
        let (mut changed, mut pause) = (Vec::new(), None);
        let unread = facts.pushes.has_unread();
        for one in self.in_flight.values_mut() {
            match one.take(mirror, end, unread) {
                Meaning::Nothing | Meaning::TooOld => {}
                Meaning::NotShown => pause = Some(NOT_SHOWN_YET),
                Meaning::End => {
                    Arc::make_mut(&mut one.run).end_part(mirror, end, now);
                    changed.push(Arc::clone(&one.run));
                }
            }
        }
        let news = changed.iter().flat_map(|run| of_ends(run, [mirror])).chain(told.events);
        let recorded = self.story.record(now, news);
        // what is older than this end has to be on disk before it, or nothing of it may be written later
        self.write_the_unwritten().await;
        let (at, proof) = (self.index[mirror], facts.proven_at);
        let older = changed.iter().filter_map(|run| self.unwritten.get(&run.id));
        let events = older.flat_map(|unwritten| &unwritten.events).chain(&recorded).cloned().collect();
        // and so has what was seen before it, or it would be told after it
        let mut notices = self.observing.taken_to_tell();
        notices.extend(told.notices);
        let any = !notices.is_empty();
        let written =
            self.around.journal.write_end(mirror.clone(), facts, changed.clone(), events, notices.clone()).await;
        if let Err(error) = written {
            // readers are told the truth from memory, and it is written as soon as that is possible again
            tracing::error!(mirror = %mirror, error = %error, "the end of a mirror could not be written to the journal");
            self.keep_unwritten(&changed, &recorded);
            self.observing.unwritten(at);
            self.observing.keep_to_tell(notices);
        } else {
            if any {
                self.tell();
            }
            self.mirrors[at].written_proof = proof;
            self.observing.written(at);
            self.unwritten.retain(|id, _| changed.iter().all(|run| run.id != *id));
        }
        self.story.tell(recorded);
        let any_ended = changed.iter().any(|run| run.finished_at.is_some());
        for run in changed {
            self.close_if_ended(&run);
        }
        // what is kept is counted in runs
        if any_ended && let Err(error) = self.around.journal.retain(now).await {
            tracing::warn!(error = %error, "old runs could not be dropped from the journal");
        }
        pause
    }

    /// A success of the first mirror is the platform's step.
    pub(super) fn tell_the_platform(&self, mirror: &MirrorName, run: RunId, end: &End) {
        let Some(platform) = self.around.platform.as_ref().filter(|_| self.index[mirror] == 0) else { return };
        if let Some(proven) = Proven::of(&self.mirrors[0].mirror.spec, run, end) {
            platform.proven(proven);
        }
    }

    /// Puts a driver to work on a mirror again, for a run that needs a newer proof.
    pub(super) fn prove_anew(&mut self, mirror: &MirrorName, pause: Option<Duration>) {
        let waiting = self.in_flight.values().find(|one| one.waits_for(mirror));
        let Some((id, options)) = waiting.map(|one| (one.run.id, one.run.options.clone())) else { return };
        self.start(mirror, id, &options, pause);
    }

    /// Keeps what could not be written: each event with the run that it tells of, and the others for any write.
    fn keep_unwritten(&mut self, changed: &[Arc<Run>], events: &[Arc<Recorded>]) {
        for run in changed {
            let kept = self.unwritten.entry(run.id);
            let kept = kept.or_insert_with(|| Unwritten { run: Arc::clone(run), events: Vec::new() });
            kept.run = Arc::clone(run);
            kept.events.extend(events.iter().filter(|event| event.event.run() == Some(run.id)).cloned());
        }
        self.around.journal.note_events(events.iter().filter(|event| event.event.run().is_none()).cloned());
    }

    /// Writes what could not be written when it happened.
    pub(super) async fn write_the_unwritten(&mut self) {
        while let Some(Unwritten { run, events }) = self.unwritten.values().next() {
            let id = run.id;
            if self.around.journal.write_run(Arc::clone(run), events.clone()).await.is_err() {
                return;
            }
            self.unwritten.remove(&id);
        }
    }

    /// Takes a run that has ended out of what is in flight, and tells who waits for it.
    fn close_if_ended(&mut self, run: &Arc<Run>) {
        // while it is in flight it is shown from there; held here as well, each end would copy all of it
        if run.finished_at.is_none() {
            return;
        }
        self.replace_latest(run);
        if let Some(one) = self.in_flight.remove(&run.id) {
            one.ended.send_replace(Some(Arc::clone(run)));
        }
        tracing::info!(run = %run.id, status = run.status().label(), "run ended: {}", run.status());
    }

    pub(super) fn replace_latest(&mut self, run: &Arc<Run>) {
        if self.latest.as_ref().is_some_and(|latest| latest.id == run.id) {
            self.latest = Some(Arc::clone(run));
        }
    }

    /// Takes a run out. What Gitea does by itself goes on, and so does a driver that another run waits for.
    pub(super) async fn cancel(&mut self, id: RunId) -> Result<Canceled, NotAccepted> {
        self.has_resumed()?;
        let Some(one) = self.in_flight.get(&id) else {
            let known = self.around.journal.run(id).await.map_err(unavailable)?;
            return Err(known.map_or(NotAccepted::UnknownRun, |_| NotAccepted::RunEnded));
        };
        let now = self.around.clock.now();
        let mut run = Run::clone(&one.run);
        let open: Vec<MirrorName> = open_parts(&run).cloned().collect();
        let in_gitea = run.parts.iter().any(|part| part.end.is_none() && part.phase == Phase::Migrating);
        for name in &open {
            run.end_part(name, &End::Canceled, now);
        }
        let run = Arc::new(run);
        let recorded = self.story.record(now, of_ends(&run, &open));
        let older = self.unwritten.get(&id).map(|unwritten| unwritten.events.as_slice()).unwrap_or_default();
        let events = older.iter().chain(&recorded).cloned().collect();
        self.around.journal.write_run(Arc::clone(&run), events).await.map_err(unavailable)?;
        self.unwritten.remove(&id);
        self.story.tell(recorded);
        if let Some(one) = self.in_flight.get_mut(&id) {
            one.run = Arc::clone(&run);
        }
        self.close_if_ended(&run);
        for name in &open {
            let awaited = self.in_flight.values().any(|one| one.waits_for(name));
            if !awaited {
                if let Some(stopped) = self.stop(name) {
                    self.note_what_is_left_aside(name, stopped).await;
                }
                self.carry_out_if_due(name);
            }
        }
        self.publish();
        Ok(Canceled { run, in_gitea })
    }

    /// Stops a driver where it stands: the next one finds out from Gitea and the journal what was done.
    fn stop(&mut self, name: &MirrorName) -> Option<RunId> {
        let at = self.index[name];
        // a mode is carried out whoever waits for what
        if !matches!(self.mirrors[at].driven, Some(Driven { task: Task::Run { .. }, .. })) {
            return None;
        }
        // what it saw is lost
        self.rest(at, Duration::ZERO);
        let now = self.around.clock.now();
        let slot = &mut self.mirrors[at];
        let driven = slot.driven.take()?;
        driven.abort.abort();
        let status = Arc::make_mut(&mut slot.status);
        (status.phase, status.waiting_for, status.heard_at) = (Phase::Idle, None, Some(now));
        log_end(name, &End::Canceled);
        self.metrics.part_ended(name.as_str(), &End::Canceled, driven.began.elapsed());
        Some(driven.run)
    }

    /// A run that was stopped gives no name back: what it has renamed is told until somebody has seen to it.
    async fn note_what_is_left_aside(&mut self, name: &MirrorName, run: RunId) {
        let intents = self.around.journal.intents(name.clone()).await.unwrap_or_default();
        let mut of_the_run = intents.iter().flatten().filter(|intent| intent.run == run);
        let latest = of_the_run.find(|intent| matches!(intent.kind.as_str(), RENAME_ASIDE | GIVE_BACK));
        let Some(aside) = latest.and_then(left_aside_by) else { return };
        let status = Arc::make_mut(&mut self.mirrors[self.index[name]].status);
        status.facts.left_aside = Some(aside);
        let facts = status.facts.clone();
        if let Err(error) = self.around.journal.write_end(name.clone(), facts, Vec::new(), Vec::new(), Vec::new()).await
        {
            tracing::error!(mirror = %name, error = %error, "what a run has left aside could not be written to the journal");
        }
    }
}

/// What stands aside after this rename, as far as anybody knows.
fn left_aside_by(rename: &KnownIntent) -> Option<Aside> {
    let answer = rename.answer.clone().and_then(|answer| serde_json::from_value(answer).ok());
    let there = match (&answer, rename.kind == GIVE_BACK) {
        (Some(PatchAnswer::Done), given_back) => !given_back,
        (
            Some(
                PatchAnswer::Refused(_)
                | PatchAnswer::Invalid { .. }
                | PatchAnswer::BelowMinimum { .. }
                | PatchAnswer::NotAMirror
                | PatchAnswer::Gone,
            ),
            given_back,
        ) => given_back,
        (Some(PatchAnswer::ServerError | PatchAnswer::Unknown(_)) | None, _) => true,
    };
    there.then(|| serde_json::from_value(rename.about["aside"].clone()).ok()).flatten()
}

pub(super) fn log_end(mirror: &MirrorName, end: &End) {
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
