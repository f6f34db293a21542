//! Observations: which mirrors are observed when somebody has looked, and what becomes of what is seen.
//!
//! Owns their order: one at a time for a mirror, a few at once for all, none beside a driver, none of a host that has asked to
//! be left alone, and none that nobody has looked for. The looks themselves are in `observer`.

use std::collections::{BTreeSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::coordinator::Coordinator;
use super::driver::{Driver, Event};
use super::facts;
use super::looks::{Looked, Looks};
use super::observer::{self, Known, Observed};
use crate::domain::decide::{Finding, Standing};
use crate::domain::names::MirrorName;
use crate::domain::notice::Notice;
use crate::domain::run::RunId;
use crate::domain::spec::RunOptions;
use crate::domain::status::{Freshness, MirrorStatus};

/// How many mirrors are observed at once: they are read, and nobody waits for it.
const AT_ONCE: usize = 8;

/// An observation that has no other before it begins within this, so that services which are looked at in the same
/// moment do not all ask upstream in that moment.
const SPREAD: Duration = Duration::from_secs(1);

/// How much newer a proof on disk is than the one before it: what an idle service writes is this, and edges.
const WRITTEN_EVERY: Duration = Duration::from_mins(10);

/// How many notices wait for a journal that cannot be written.
const UNTOLD: usize = 256;

/// Long enough that nobody waits for it.
const A_DAY: Duration = Duration::from_hours(24);

/// Who looks at a mirror.
#[derive(Debug)]
pub(super) enum Watch {
    /// Nobody, and until then nobody needs to.
    Until(Instant),
    /// It was asked for and waits for its turn.
    InLine,
    /// The observation of this number.
    Observed { number: u64, task: AbortHandle },
    /// A driver.
    Driven,
}

/// The observations of all mirrors.
pub(super) struct Observing {
    pub(super) looks: Arc<Looks>,
    /// The mirrors at which nobody looks, by when they may be observed again.
    due: BTreeSet<(Instant, usize)>,
    /// Mirrors in line; one that a driver has taken meanwhile is still among them.
    line: VecDeque<usize>,
    at_work: usize,
    /// Of the latest observation.
    number: u64,
    /// Mirrors of which the journal does not know yet what was seen.
    unwritten: BTreeSet<usize>,
    /// What is to be told that is not written yet, in order and within bounds.
    to_tell: Vec<Notice>,
    /// Nobody listens: looks of observations are no phases of anything.
    unheard: mpsc::Sender<Event>,
}

impl Observing {
    /// All of so many mirrors are due: what was seen before the start is as old as nobody knows.
    pub(super) fn of(mirrors: usize, looks: Arc<Looks>, now: Instant) -> Self {
        let (unheard, _) = mpsc::channel(1);
        Self {
            looks,
            due: (0..mirrors).map(|mirror| (now, mirror)).collect(),
            line: VecDeque::new(),
            at_work: 0,
            number: 0,
            unwritten: BTreeSet::new(),
            to_tell: Vec::new(),
            unheard,
        }
    }

    /// What is known of a mirror is not on disk, and is written with what is observed next.
    pub(super) fn unwritten(&mut self, mirror: usize) {
        self.unwritten.insert(mirror);
    }

    /// What is known of a mirror is on disk.
    pub(super) fn written(&mut self, mirror: usize) {
        self.unwritten.remove(&mirror);
    }

    /// This is to be told, after what waits for that already, and is written with what is observed next.
    pub(super) fn keep_to_tell(&mut self, notices: impl IntoIterator<Item = Notice>) {
        self.to_tell.extend(notices);
        self.to_tell.truncate(UNTOLD);
    }

    /// What waits to be told, for whoever writes now: it is to be handed back if that fails.
    pub(super) fn taken_to_tell(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.to_tell)
    }
}

impl Coordinator {
    /// Puts the mirrors that somebody has looked at in line, if their last observation is too old.
    pub(super) fn looked(&mut self, looked: &Looked) {
        let now = Instant::now();
        if looked.at_all {
            while let Some((_, mirror)) = self.observing.due.first().copied().filter(|(at, _)| *at <= now) {
                self.line_up(mirror);
            }
        } else {
            for name in &looked.at {
                if let Some(mirror) = self.index.get(name).copied()
                    && matches!(self.mirrors[mirror].watch, Watch::Until(at) if at <= now)
                {
                    self.line_up(mirror);
                }
            }
        }
    }

    fn line_up(&mut self, mirror: usize) {
        self.watch(mirror, Watch::InLine);
        self.observing.line.push_back(mirror);
    }

    /// Who looks at a mirror from now on.
    fn watch(&mut self, mirror: usize, watch: Watch) {
        let observing = &mut self.observing;
        match std::mem::replace(&mut self.mirrors[mirror].watch, watch) {
            Watch::Until(at) => {
                observing.due.remove(&(at, mirror));
            }
            Watch::Observed { task, .. } => {
                // one that has ended by itself is not there to be stopped
                task.abort();
                observing.at_work -= 1;
            }
            Watch::InLine | Watch::Driven => {}
        }
        if let Watch::Until(at) = self.mirrors[mirror].watch {
            observing.due.insert((at, mirror));
        }
    }

    /// A driver takes the mirror over: an observation beside it would be half of before and half of after.
    pub(super) fn leave_to_a_driver(&mut self, mirror: usize) {
        self.watch(mirror, Watch::Driven);
    }

    /// Nobody needs to look at the mirror for this long.
    pub(super) fn rest(&mut self, mirror: usize, pause: Duration) {
        self.watch(mirror, Watch::Until(Instant::now() + pause));
    }

    /// Begins as many observations as there is room for, and lets readers know when the next one can be due.
    pub(super) fn observe_next(&mut self) {
        while self.observing.at_work < AT_ONCE {
            let Some(mirror) = self.observing.line.pop_front() else { break };
            if !matches!(self.mirrors[mirror].watch, Watch::InLine) {
                continue;
            }
            let status = &self.mirrors[mirror].status;
            let resting = self.around.origins.rests_until(&status.spec.upstream.origin());
            match resting.filter(|_| status.mode.asks_upstream()) {
                Some(until) => self.watch(mirror, Watch::Until(until)),
                None => self.observe(mirror),
            }
        }
        let first = self.observing.due.first().map(|(at, _)| *at);
        self.observing.looks.nothing_before(first.unwrap_or_else(|| Instant::now() + A_DAY));
    }

    fn observe(&mut self, mirror: usize) {
        let (slot, observing) = (&self.mirrors[mirror], &mut self.observing);
        observing.number += 1;
        let (number, known) = (observing.number, Known::of(slot.status.mode, &slot.status.facts));
        let driver = Driver {
            run: RunId(Uuid::nil()),
            options: RunOptions::default(),
            spec: Arc::clone(&slot.mirror.spec),
            upstream_credential: Arc::clone(&slot.mirror.credential),
            around: self.around.clone(),
            events: observing.unheard.clone(),
            pause: None,
            interrupt: Arc::default(),
            hurry: Arc::default(),
            pushes: slot.pushes.subscribe(),
        };
        // a long line spreads them already
        let pause = if observing.line.is_empty() {
            let salt = (slot.mirror.spec.name.as_str(), self.around.clock.now().as_nanosecond());
            super::jitter::spread(SPREAD / 2, SPREAD, salt)
        } else {
            Duration::ZERO
        };
        let (events, shutdown) = (self.events.clone(), self.around.shutdown.clone());
        let observation = self.drivers.spawn(async move {
            let looking = async {
                sleep(pause).await;
                AssertUnwindSafe(observer::one(&driver, known)).catch_unwind().await
            };
            let observed = tokio::select! {
                // once the service ends, nothing new is begun
                biased;
                () = shutdown.begun() => return,
                observed = looking => observed.ok().map(Box::new),
            };
            // the coordinator outlives every observation but at the service's end
            let _ = events.send(Event::Observed { mirror, number, observed }).await;
        });
        self.watch(mirror, Watch::Observed { number, task: observation.abort_handle() });
        self.observing.at_work += 1;
    }

    /// Takes up what was seen, unless a driver has been put to work since.
    pub(super) async fn observed(&mut self, mirror: usize, number: u64, observed: Option<Box<Observed>>) {
        if !matches!(self.mirrors[mirror].watch, Watch::Observed { number: current, .. } if current == number) {
            return;
        }
        self.rest(mirror, self.around.policy.observed_for);
        let Some(observed) = observed else {
            self.metrics.panicked();
            return;
        };
        let Observed { finding, standing, seen } = *observed;
        let (now, name) = (self.around.clock.now(), self.mirrors[mirror].mirror.spec.name.clone());
        if standing == Standing::Stopped {
            self.found_stopped(&name).await;
        }
        let answered = seen.saw_the_repository();
        let slot = &mut self.mirrors[mirror];
        let after = facts::observed(&slot.status.facts, seen, &finding, now);
        self.metrics.observed(finding.label());
        let before = Arc::clone(&slot.status);
        slot.take_up(after);
        log_edge(&before, &slot.status, &finding, now);
        let told = self.notices_of(&name, &before.facts, None);
        self.observing.keep_to_tell(told);
        let slot = &self.mirrors[mirror];
        let after = &slot.status.facts;
        if !facts::tell_the_same(&before.facts, after) || is_stale(slot.written_proof, after.proven_at) {
            self.observing.unwritten.insert(mirror);
        }
        self.heal_if_due(mirror).await;
        self.see_to_the_mode(&name, standing, answered);
    }

    /// Writes what observations have seen, and what is to be told, if it is not on disk.
    pub(super) async fn write_what_was_observed(&mut self) {
        if self.observing.unwritten.is_empty() && self.observing.to_tell.is_empty() {
            return;
        }
        let facts = |mirror: &usize| {
            let status = &self.mirrors[*mirror].status;
            (status.spec.name.clone(), status.facts.clone())
        };
        let all: Vec<_> = self.observing.unwritten.iter().map(facts).collect();
        match self.around.journal.write_facts(all, self.observing.to_tell.clone()).await {
            Ok(()) => {
                if !self.observing.taken_to_tell().is_empty() {
                    self.tell();
                }
                for mirror in std::mem::take(&mut self.observing.unwritten) {
                    let slot = &mut self.mirrors[mirror];
                    slot.written_proof = slot.status.facts.proven_at;
                }
            }
            // it stays unwritten, and is tried again with the next
            Err(error) => tracing::warn!(error = %error, "what was observed could not be written to the journal"),
        }
    }
}

/// Whether the proof on disk is much older, or of a clock that has been set back since.
fn is_stale(written: Option<Timestamp>, proven: Option<Timestamp>) -> bool {
    let (Some(written), Some(proven)) = (written, proven) else { return written != proven };
    let newer = proven.duration_since(written);
    newer.is_negative() || newer.unsigned_abs() >= WRITTEN_EVERY
}

/// Tells the log when the freshness has become another.
fn log_edge(before: &MirrorStatus, after: &MirrorStatus, finding: &Finding, now: Timestamp) {
    let mirror: &MirrorName = &after.spec.name;
    let reason = |freshness: &Freshness<'_>| match *freshness {
        Freshness::Fresh => None,
        Freshness::Behind { reason, .. } => reason,
        Freshness::Unknown { reason, .. } => Some(reason),
    };
    let (was, is) = (before.freshness(now), after.freshness(now));
    if was.label() == is.label() && reason(&was) == reason(&is) {
        return;
    }
    let state = is.label();
    match (is, finding) {
        (Freshness::Fresh, _) => tracing::info!(%mirror, state, "seen as it must be"),
        (_, Finding::Unknown(problem)) => {
            let (error, detail, remedy) = (problem.code.label(), &problem.detail, &problem.remedy);
            tracing::warn!(%mirror, state, error, detail, remedy, "cannot be told: {error}");
        }
        (Freshness::Behind { behind, reason }, _) => {
            let since = behind.since;
            tracing::warn!(%mirror, state, refs = behind.refs, %since, reason, "seen behind upstream");
        }
        (Freshness::Unknown { reason, .. }, _) => tracing::warn!(%mirror, state, reason, "nothing to be seen"),
    }
}
