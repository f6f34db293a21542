//! One mirror's work: look, decide, act, look again, until it has ended.
//!
//! Owns the only loop that changes anything in Gitea. Each change is journalled as an intent first; if that cannot be
//! written, nothing is sent. Decides nothing itself: that is [`decide`]. A driver can be dropped at any point, and the
//! next one finds out from Gitea and the journal where things stand.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, SemaphorePermit, mpsc, watch};
use tokio::time::{Instant, sleep};

use super::budget::Reservation;
use super::early_answers::EarlyAnswers;
use super::facts::LastSeen;
use super::observer::Observed;
use super::surroundings::Surroundings;
use crate::domain::answer::{LocalRefsAnswer, RepositoryAnswer, TroubleKind, UpstreamAnswer};
use crate::domain::credential::CredentialSource;
use crate::domain::decide::{Look, Next, Purpose, decide};
use crate::domain::evidence::Seen;
use crate::domain::names::MirrorName;
use crate::domain::observation::{History, Observation, RepositorySeen};
use crate::domain::platform::PivotAnswer;
use crate::domain::problem::{Code, Problem};
use crate::domain::refs::ListLimits;
use crate::domain::refs::{Comparison, ObjectId, compare};
use crate::domain::run::{End, Phase, RunId};
use crate::domain::server::Server;
use crate::domain::spec::{MirrorSpec, RunOptions};
use crate::domain::webhook::Pushes;
use crate::journal::JournalError;

/// What drivers and observations tell the coordinator.
#[derive(Debug)]
pub(super) enum Event {
    /// It has entered a phase, or something is in its way.
    Phase { run: RunId, mirror: MirrorName, phase: Phase, waiting_for: Option<Problem> },
    /// It is at what it said last, and has looked again.
    Still { run: RunId, mirror: MirrorName },
    /// It has ended; `took` since it was begun.
    Ended { run: RunId, mirror: MirrorName, end: Box<End>, seen: Box<LastSeen>, took: Duration },
    /// The word on its mode was carried out, or could not be.
    Carried { run: RunId, mirror: MirrorName, done: Result<(), Box<Problem>>, seen: Box<LastSeen> },
    /// The observation of this number has ended: of the mirror that stands there. `None`: by a mistake of ours.
    Observed { mirror: usize, number: u64, observed: Option<Box<Observed>> },
}

/// How often a driver that changes nothing says that it is at work.
pub(super) const TOLD_EVERY: Duration = Duration::from_secs(10);

/// One mirror's work for one run.
pub(super) struct Driver {
    pub(super) run: RunId,
    pub(super) options: RunOptions,
    /// How long to wait before the first look.
    pub(super) pause: Option<Duration>,
    pub(super) spec: Arc<MirrorSpec>,
    pub(super) upstream_credential: Arc<dyn CredentialSource>,
    pub(super) around: Surroundings,
    pub(super) events: mpsc::Sender<Event>,
    /// Told when the mirror is to stand still: what the journal knows is then read anew.
    pub(super) interrupt: Arc<Notify>,
    /// Told of a new request for the mirror: a wait for Gitea ends then.
    pub(super) hurry: Arc<Notify>,
    /// The pushes that deliveries name, as they come.
    pub(super) pushes: watch::Receiver<Pushes>,
}

/// What the loop keeps.
pub(super) struct Work {
    began: Instant,
    pub(super) purpose: Purpose,
    pub(super) observation: Observation,
    /// Lists that are read while the repository is looked at.
    pub(super) early: EarlyAnswers,
    /// For the lists that are held or read.
    pub(super) reserved: Option<Reservation>,
    /// Lists of this work did not fit into less.
    pub(super) needs_all_memory: bool,
    pub(super) history: History,
    pub(super) seen: LastSeen,
    phase: Option<(Phase, Option<Problem>)>,
    /// When something was told of it last.
    told: Option<Instant>,
    /// When a new request last cut a wait short.
    pub(super) hurried: Option<Instant>,
    /// Until when upstream has asked this run to be left alone, and its answer.
    pub(super) resting: Option<(Instant, UpstreamAnswer)>,
    /// The phase that a look belongs to: what was done or waited for just before.
    pub(super) looking: Phase,
}

impl Work {
    /// With nothing seen, and what is known from before.
    pub(super) fn beginning(began: Instant, purpose: Purpose, history: History) -> Self {
        Self {
            began,
            purpose,
            observation: Observation::default(),
            early: EarlyAnswers::default(),
            reserved: None,
            needs_all_memory: false,
            history,
            seen: LastSeen::default(),
            phase: None,
            told: None,
            hurried: None,
            resting: None,
            looking: Phase::Inspecting,
        }
    }

    /// Brings the driver's clock up to now: before each decision, and before an answer is written down that may have
    /// taken long.
    pub(super) fn tick(&mut self) {
        self.history.elapsed = self.began.elapsed();
    }
}

impl Driver {
    /// Works until it has ended or the service ends; in the latter case nothing is told, and the next start goes on.
    pub(super) async fn drive(self) {
        let began = Instant::now();
        let shutdown = self.around.shutdown.clone();
        let ended = tokio::select! {
            // once the service ends, nothing new is begun
            biased;
            () = shutdown.begun() => return,
            ended = self.work() => ended,
        };
        let (end, seen) = ended.unwrap_or_else(|error| {
            // without the journal nothing may be changed, and what was read is worth nothing after a restart
            let problem = Problem::new(Code::StateUnavailable, error.to_string());
            (End::Failed { problem }, LastSeen::default())
        });
        let event = Event::Ended {
            run: self.run,
            mirror: self.spec.name.clone(),
            end: Box::new(end),
            seen: Box::new(seen),
            took: began.elapsed(),
        };
        // the coordinator outlives every driver but at the service's end
        let _ = self.events.send(event).await;
    }

    async fn work(&self) -> Result<(End, LastSeen), JournalError> {
        loop {
            let turn = self.turn().await;
            // what was waited for a turn is no part of the time that a run may take
            let began = Instant::now();
            loop {
                tokio::select! {
                    biased;
                    // as after a crash: what was just being done is found out from Gitea and the journal
                    () = self.interrupt.notified() => {}
                    ended = self.work_from(began, turn.is_some()) => match ended? {
                        Some(ended) => return Ok(ended),
                        None => break,
                    },
                }
            }
        }
    }

    /// Waits for a turn: everything beyond a few works in line, since a thousand mirrors are not cloned at once. `None`:
    /// the mirror is to stand still, which waits for nobody's clone.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        let in_line = async {
            if let Some(pause) = self.pause {
                sleep(pause).await;
            }
            self.around.turns.acquire().await.ok()
        };
        tokio::select! {
            biased;
            () = self.interrupt.notified() => None,
            turn = in_line => turn,
        }
    }

    /// Works to the end. Without a turn nothing is done but to refuse, and to give back a name that was taken; `None`: the
    /// mirror may follow again, and has to wait for its turn.
    async fn work_from(&self, began: Instant, has_turn: bool) -> Result<Option<(End, LastSeen)>, JournalError> {
        let mut work = self.begin(began, Purpose::Run).await?;
        if !has_turn && work.history.mode.follows() {
            return Ok(None);
        }
        loop {
            work.tick();
            work.free_unused_memory();
            work.history.upstream_rest = self.around.rest_of(&self.spec.upstream.origin());
            work.history.hears_of(&self.pushes.borrow());
            match decide(&self.spec, &work.observation, &work.history, &self.around.policy) {
                Next::Look(look) => {
                    let known = work.history.made_nothing();
                    self.look(look, &mut work).await;
                    if work.history.made_nothing() && !known {
                        self.around.journal.made_nothing(self.spec.name.clone()).await?;
                    }
                }
                Next::Wait(wait) => self.wait(wait, &mut work).await,
                Next::Act(action) => self.act(action, &mut work).await?,
                Next::Remember(memory) => {
                    self.around.journal.remember_pruning(self.spec.name.clone(), memory.clone()).await?;
                    work.history.pruning = Some(memory);
                }
                Next::GiveUp(problem) => {
                    tracing::warn!(run = %self.run, mirror = %self.spec.name, error = problem.code.label(), "giving up: {}", problem.detail);
                    work.history.gives_up(*problem);
                    work.observation.forget();
                }
                Next::End(end) => {
                    work.seen.aside(&work.history, &work.observation, &end);
                    work.seen.pushes = std::mem::take(&mut work.history.pushes);
                    return Ok(Some((*end, work.seen)));
                }
            }
        }
    }

    /// Where the loop begins: with nothing seen, and what the journal knows.
    pub(super) async fn begin(&self, began: Instant, purpose: Purpose) -> Result<Work, JournalError> {
        Ok(Work::beginning(began, purpose, self.recall().await?))
    }

    pub(super) async fn look(&self, look: Look, work: &mut Work) {
        let looking = work.looking;
        if !matches!(look, Look::Upstream | Look::LocalRefs | Look::Owner) {
            work.give_up_early_answers();
        }
        match look {
            Look::Repository => {
                // until Gitea has answered once, nobody knows whether it does
                if work.phase.is_none() {
                    self.enter(Phase::Connecting, None, work).await;
                }
                self.look_at_the_repository(work).await;
            }
            Look::Owner => {
                self.enter(looking, None, work).await;
                let answer = match work.early.owner().await {
                    Some(answer) => answer,
                    None => self.around.gitea.owner(&self.spec.owner).await,
                };
                work.tick();
                work.history.saw_owner(&answer);
                work.observation.owner = Some(answer);
            }
            Look::Upstream => {
                self.enter(looking, None, work).await;
                self.begin_early_owner(work);
                self.read_upstream(work).await;
            }
            Look::LocalRefs => {
                self.enter(looking, None, work).await;
                self.read_local_refs(false, work).await;
            }
            Look::LocalRefsByApi => self.read_local_refs(true, work).await,
            Look::Ancestry => {
                self.enter(looking, None, work).await;
                let Some((new, old)) = self.moved(work) else { return };
                let answer = self.around.gitea.ancestry(&self.spec, &old, &new).await;
                work.tick();
                work.history.saw_ancestry(new, answer);
            }
            Look::Pivot => {
                self.enter(looking, None, work).await;
                work.observation.pivot = Some(match &self.around.platform {
                    Some(platform) => platform.pivot().await,
                    None => PivotAnswer::Unreadable { why: "no status is configured".to_owned() },
                });
                work.tick();
            }
            Look::Aside => {
                let history = &work.history;
                let unsettled =
                    history.unsettled_rename.as_ref().filter(|rename| rename.back).map(|rename| &rename.aside);
                let Some(aside) = history.aside.as_ref().or(unsettled).or(history.left_aside.as_ref()) else { return };
                let answer = self.around.gitea.at(&self.spec, &aside.name).await;
                work.observation.aside = Some(answer);
            }
            Look::AsideRefs => {
                let Some(rename) = &work.history.unsettled_rename else { return };
                let (gitea, name, lister) = (&self.around.gitea, &rename.aside.name, &self.around.lister);
                // whether there is a folder is all that counts: no list is kept, and none needs a reservation
                let limits = ListLimits { time: self.around.policy.refs_time, bytes: 0 };
                let answer = lister.gitea(gitea.url(), &self.spec.owner, name, gitea.credential(), limits).await;
                work.tick();
                work.history.saw_aside_refs(&answer);
                work.observation.aside_refs = Some(answer);
            }
        }
    }

    pub(super) fn saw_local_refs(&self, seen: Seen<LocalRefsAnswer>, work: &mut Work) {
        let compared = self.compared(&work.observation, &seen.value);
        let proven = compared.as_ref().is_some_and(|compared| compared.differing == 0);
        work.history.saw_local_refs(&self.spec, &seen.value, proven);
        work.seen.local_refs(&self.spec, &seen.value, compared.as_ref());
        work.observation.local_refs = Some(seen);
        Self::saw_both(work);
    }

    /// Holds the lists, once both are here, against what deliveries name.
    pub(super) fn saw_both(work: &mut Work) {
        let Observation { upstream: Some(upstream), local_refs: Some(local), .. } = &work.observation else { return };
        if let (Some(list), Some(local)) = (upstream.value.list(), local.value.list()) {
            work.history.saw_both(&Seen { at: upstream.at, value: list }, local);
        }
    }

    /// The tracked branch's commit in Gitea now and before this run's first sync.
    fn moved(&self, work: &Work) -> Option<(ObjectId, ObjectId)> {
        let now = work.observation.local_refs.as_ref()?.value.list()?.commit_of(&self.spec.branch)?;
        Some((now, work.history.tracked_before.clone()?))
    }

    async fn look_at_the_repository(&self, work: &mut Work) {
        work.history.gitea_unreachable = self.around.gitea_status().reachable == Some(false);
        self.begin_early_lists(work);
        self.begin_early_owner(work);
        let (answer, date) = work.early.beside(self.around.gitea.repository(&self.spec)).await;
        work.tick();
        let now = self.around.clock.now();
        let trouble = match &answer {
            RepositoryAnswer::Trouble(trouble) => Some(trouble.kind),
            RepositoryAnswer::Present(_) | RepositoryAnswer::Absent | RepositoryAnswer::Refused(_) => None,
        };
        // that our own file cannot be read says nothing about Gitea
        if trouble != Some(TroubleKind::Credential) {
            work.early.beside(self.around.note_gitea(trouble.is_none(), now)).await;
        }
        work.history.server = self.around.gitea_status().version.as_deref().map(Server::parse);
        let seen = RepositorySeen { answer, date: date.unwrap_or(now), dated: date.is_some() };
        work.history.saw_repository(&seen);
        work.seen.repository(&seen.answer);
        work.observation.repository = Some(seen);
    }

    /// The two lists beside each other, where both are here.
    fn compared(&self, observation: &Observation, local: &LocalRefsAnswer) -> Option<Comparison> {
        Some(compare(observation.upstream.as_ref()?.value.list()?, local.list()?, self.spec.prune))
    }

    /// Tells where the work stands, when that has changed, and now and then while it has not.
    pub(super) async fn enter(&self, phase: Phase, waiting_for: Option<Problem>, work: &mut Work) {
        let now = (phase, waiting_for);
        let told = work.told.replace(Instant::now());
        if work.phase.as_ref() == Some(&now) {
            if told.is_some_and(|told| told.elapsed() < TOLD_EVERY) {
                work.told = told;
            } else {
                let still = Event::Still { run: self.run, mirror: self.spec.name.clone() };
                let _ = self.events.send(still).await;
            }
            return;
        }
        // without a listener it is a dry run, which enters nothing
        if !self.events.is_closed() && work.phase.as_ref().map(|(phase, _)| *phase) != Some(phase) {
            tracing::info!(run = %self.run, mirror = %self.spec.name, phase = phase.label(), "entered {phase}");
        }
        if let Some(problem) = now.1.as_ref().filter(|_| !self.events.is_closed()) {
            let (error, detail) = (problem.code.label(), problem.detail.as_str());
            tracing::warn!(run = %self.run, mirror = %self.spec.name, error, detail, "waiting: {error}");
        }
        let (phase, waiting_for) = now.clone();
        work.phase = Some(now);
        let _ =
            self.events.send(Event::Phase { run: self.run, mirror: self.spec.name.clone(), phase, waiting_for }).await;
    }
}
