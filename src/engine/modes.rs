//! Modes: whose word counts, and seeing to it that it is carried out.
//!
//! A word is written down before anybody is told of it, and carried out by a driver of its own: there is never more than
//! one driver at work on a mirror, so a run that is under way is interrupted first and ends refused.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::NotAccepted;
use super::asking::unavailable;
use super::coordinator::Coordinator;
use super::driven::{Driven, Minder, Task};
use super::driver::Driver;
use super::ending::{Told, log_end};
use super::facts::{self, LastSeen};
use crate::domain::decide::Standing;
use crate::domain::mode::{self, Mode, ModeChange, Source};
use crate::domain::names::MirrorName;
use crate::domain::problem::{Code, Problem};
use crate::domain::run::{End, Phase};
use crate::domain::server::Server;
use crate::domain::spec::RunOptions;
use crate::journal::JournalError;

/// Somebody's word on how a mirror is to be run.
#[derive(Clone, Debug)]
pub struct ModeWish {
    /// Which mirror, by name.
    pub mirror: String,
    /// How.
    pub mode: Mode,
    /// Why, in the caller's words.
    pub reason: Option<String>,
    /// Whether the mirror is to be made a regular repository, where the server offers that.
    pub convert: bool,
    /// The name of the token that asks, or `anonymous`.
    pub by: String,
}

/// A word that was taken.
#[derive(Clone, Debug)]
pub struct ModeSet {
    /// The mirror.
    pub mirror: MirrorName,
    /// Whether it is another than before.
    pub changed: bool,
}

impl Coordinator {
    /// Takes somebody's word. The same again changes nothing; if it has not been carried out yet, that is tried anew.
    pub(super) async fn set_mode(&mut self, wish: ModeWish) -> Result<ModeSet, NotAccepted> {
        self.has_resumed()?;
        let known = MirrorName::parse(&wish.mirror).ok().and_then(|name| self.index.get(&name).copied());
        let slot = &self.mirrors[known.ok_or(NotAccepted::NoSuchMirror)?];
        let name = slot.mirror.spec.name.clone();
        let (configured, status) = (slot.mirror.spec.mode, &slot.status);
        if configured == Mode::Severed && wish.mode != Mode::Severed {
            return Err(NotAccepted::SeveredByConfiguration { mirror: name });
        }
        let server = self.around.gitea_status().version;
        if wish.convert && server.is_some_and(|version| !Server::parse(&version).converts_mirrors()) {
            return Err(NotAccepted::NoConvert);
        }
        let converts = status.mode_change.as_ref().filter(|change| change.convert);
        // what was not done yet can be taken back
        let withdrawn = !wish.convert && converts.is_some_and(|change| change.applied_at.is_none());
        let unknown = status.mode_change.as_ref().is_some_and(|change| !change.is_known());
        let changed = status.mode != wish.mode || (wish.convert && converts.is_none()) || withdrawn || unknown;
        if changed {
            let now = self.around.clock.now();
            let change = ModeChange {
                id: self.ids.next(now),
                mode: wish.mode,
                source: Source::Api,
                by: Some(wish.by),
                reason: wish.reason,
                at: now,
                configured,
                convert: wish.convert,
                applied_at: None,
                problem: None,
            };
            self.take(&name, change).await.map_err(unavailable)?;
            // runs that wait for another word to be carried out
            self.refuse_by_mode(std::slice::from_ref(&name)).await;
        }
        if changed || self.is_due(&name) {
            self.obey(&name);
        }
        self.publish();
        Ok(ModeSet { mirror: name, changed })
    }

    /// The configuration's word, where it is a new one.
    pub(super) async fn hear_the_configuration(&mut self) -> Result<(), JournalError> {
        let names: Vec<MirrorName> = self.names().cloned().collect();
        for name in names {
            let slot = &self.mirrors[self.index[&name]];
            let configured = slot.mirror.spec.mode;
            let counts = slot.status.mode_change.as_ref().is_some_and(|change| change.counts(configured));
            let unsaid = slot.status.mode_change.is_none() && configured == Mode::Follow;
            if !counts && !unsaid {
                let now = self.around.clock.now();
                let change = ModeChange {
                    id: self.ids.next(now),
                    mode: configured,
                    source: Source::Configuration,
                    by: None,
                    reason: None,
                    at: now,
                    configured,
                    convert: false,
                    applied_at: None,
                    problem: None,
                };
                self.take(&name, change).await?;
            }
        }
        Ok(())
    }

    /// At start, what was not carried out is; and mirrors that must stand still are looked at, since somebody may have
    /// set them going meanwhile.
    pub(super) fn stand_as_they_must(&mut self) {
        let names: Vec<MirrorName> = self.names().cloned().collect();
        for name in names {
            if !self.mirrors[self.index[&name]].status.mode.follows() || self.is_due(&name) {
                self.carry_out(&name);
            }
        }
    }

    /// Gitea's interval is `0s`, and nobody has asked us for that: somebody has stopped the mirror there, and so it stays.
    pub(super) async fn found_stopped(&mut self, name: &MirrorName) {
        let slot = &self.mirrors[self.index[name]];
        if !slot.status.mode.follows() || self.is_due(name) {
            return;
        }
        let now = self.around.clock.now();
        let change = ModeChange {
            id: self.ids.next(now),
            mode: Mode::Pinned,
            source: Source::Gitea,
            by: None,
            reason: None,
            at: now,
            configured: slot.mirror.spec.mode,
            convert: false,
            applied_at: Some(now),
            problem: None,
        };
        match self.take(name, change).await {
            Ok(()) => self.tell_that_it_was_stopped(name),
            // it is found again when it is next looked at
            Err(error) => {
                tracing::error!(mirror = %name, error = %error, "that a mirror was found stopped could not be written to the journal");
            }
        }
    }

    /// The journal first, then memory.
    async fn take(&mut self, name: &MirrorName, change: ModeChange) -> Result<(), JournalError> {
        self.around.journal.write_mode(name.clone(), change.clone()).await?;
        tracing::info!(
            mirror = %name,
            mode = change.mode.label(),
            source = change.source.label(),
            by = change.by,
            reason = change.reason,
            "the mode is {} now",
            change.mode
        );
        let status = Arc::make_mut(&mut self.mirrors[self.index[name]].status);
        (status.mode, status.mode_change) = (change.mode, Some(change));
        Ok(())
    }

    /// Whether a word was not carried out yet.
    fn is_due(&self, name: &MirrorName) -> bool {
        let change = &self.mirrors[self.index[name]].status.mode_change;
        change.as_ref().is_some_and(|change| change.applied_at.is_none())
    }

    /// Has a new word carried out as soon as that can be.
    fn obey(&mut self, name: &MirrorName) {
        let slot = &mut self.mirrors[self.index[name]];
        match &slot.driven {
            // it ends refused, at once or when it has put right what it must; that end leads on
            Some(Driven { task: Task::Run { interrupt }, .. }) => {
                if !slot.status.mode.follows() {
                    interrupt.notify_one();
                }
            }
            Some(Driven { task: Task::Mode, run, abort, hurry, .. }) => {
                if slot.status.mode_change.as_ref().is_some_and(|change| change.id == *run) {
                    hurry.notify_one();
                    return;
                }
                abort.abort();
                slot.driven = None;
                self.carry_out(name);
            }
            None => self.carry_out(name),
        }
    }

    /// Has what is due carried out, unless somebody is at work on the mirror.
    pub(super) fn carry_out_if_due(&mut self, name: &MirrorName) {
        if self.is_due(name) {
            self.carry_out(name);
        }
    }

    /// What an observation has shown of how a mirror is run, put right: one that must stand still and moves, since
    /// somebody has set it going in Gitea, or a sync that Gitea had begun has written its interval back at its end; and
    /// a word that was given up although asking again may help. An observation is made at most once in its time to
    /// live, which is pause enough.
    pub(super) fn see_to_the_mode(&mut self, name: &MirrorName, standing: Standing, gitea_answered: bool) {
        let change = self.mirrors[self.index[name]].status.mode_change.as_ref();
        if change.is_some_and(|change| !change.is_known()) {
            return;
        }
        let in_vain = change.and_then(|change| change.problem.as_ref()).is_some_and(|problem| !problem.retryable);
        if standing == Standing::NotAsSaid {
            tracing::warn!(mirror = %name, "Gitea does not stand as the mode says: putting it right");
            self.carry_out(name);
        } else if gitea_answered && !in_vain {
            self.carry_out_if_due(name);
        }
    }

    fn carry_out(&mut self, name: &MirrorName) {
        let at = self.index[name];
        let slot = &mut self.mirrors[at];
        if slot.driven.is_some() {
            return;
        }
        let status = Arc::make_mut(&mut slot.status);
        let Some(change) = status.mode_change.as_mut().filter(|change| change.is_known()) else { return };
        change.problem = None;
        let (run, change) = (change.id, change.clone());
        self.leave_to_a_driver(at);
        let slot = &mut self.mirrors[at];
        let hurry = Arc::<Notify>::default();
        let driver = Driver {
            run,
            options: RunOptions::default(),
            pause: None,
            spec: Arc::clone(&slot.mirror.spec),
            upstream_credential: Arc::clone(&slot.mirror.credential),
            around: self.around.clone(),
            events: self.events.clone(),
            interrupt: Arc::default(),
            hurry: Arc::clone(&hurry),
            pushes: slot.pushes.subscribe(),
        };
        let driving = self.drivers.spawn(driver.drive_mode(change));
        let abort = driving.abort_handle();
        slot.driven = Some(Driven { run, began: Instant::now(), abort, hurry, task: Task::Mode });
        self.drivers.spawn(Minder::new(self, run, name).over(driving));
    }

    /// A mode was carried out, or could not be.
    pub(super) async fn carried(&mut self, name: &MirrorName, done: Result<(), Box<Problem>>, seen: &LastSeen) {
        let (now, at) = (self.around.clock.now(), self.index[name]);
        // what the mode has changed is to be seen by whoever looks next; what could not be changed is not tried again at
        // each look
        self.rest(at, if done.is_ok() { Duration::ZERO } else { self.around.policy.observed_for });
        let slot = &mut self.mirrors[at];
        slot.driven = None;
        let status = Arc::make_mut(&mut slot.status);
        (status.phase, status.waiting_for, status.heard_at) = (Phase::Idle, None, Some(now));
        facts::take_in(&mut status.facts, seen);
        let facts = status.facts.clone();
        if let Some(change) = &mut status.mode_change {
            match done {
                Ok(()) => {
                    change.applied_at.get_or_insert(now);
                    tracing::info!(mirror = %name, mode = change.mode.label(), "Gitea stands as the mode says");
                }
                Err(problem) => {
                    let (error, detail, remedy) = (problem.code.label(), &problem.detail, &problem.remedy);
                    tracing::warn!(mirror = %name, mode = change.mode.label(), error, detail, remedy, "the mode was not carried out");
                    change.problem = Some(*problem);
                }
            }
            let change = change.clone();
            let written = match self.around.journal.write_mode(name.clone(), change).await {
                Ok(()) => self.around.journal.write_end(name.clone(), facts, Vec::new(), Vec::new(), Vec::new()).await,
                Err(error) => Err(error),
            };
            if let Err(error) = written {
                // at worst it is carried out again at the next start
                tracing::error!(mirror = %name, error = %error, "that a mode was carried out could not be written to the journal");
            }
        }
        self.prove_anew(name, None);
    }

    /// Ends at once what no driver has to look at: a run's part on mirrors that do not follow.
    pub(super) async fn refuse_by_mode(&mut self, names: &[MirrorName]) {
        for name in names {
            let slot = &self.mirrors[self.index[name]];
            let at_work = slot.driven.as_ref().is_some_and(|driven| matches!(driven.task, Task::Run { .. }));
            // whoever is at work there knows of the mode, and may have something to put right first
            if slot.status.mode.follows() || at_work {
                continue;
            }
            let problem = mode::refusal(name, slot.status.mode, slot.status.mode_change.as_ref());
            let (end, facts) = (End::Failed { problem }, slot.status.facts.clone());
            log_end(name, &end);
            self.metrics.part_ended(name.as_str(), &end, Duration::ZERO);
            self.end_in_every_run(name, &end, facts, Told { events: Vec::new(), notices: Vec::new() }).await;
        }
    }

    /// What follows from a driver's end for the mode: a mirror that it has found stopped is pinned.
    pub(super) async fn mode_after(&mut self, name: &MirrorName, end: &End) {
        if end.problem().is_some_and(|problem| problem.code == Code::ModeRefuses) {
            self.found_stopped(name).await;
        }
    }
}
