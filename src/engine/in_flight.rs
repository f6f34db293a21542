//! A run that has not ended: who waits for it, and how new the proof of each of its mirrors has to be.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use super::Accepted;
use crate::domain::names::MirrorName;
use crate::domain::problem::Code;
use crate::domain::run::{End, Outcome, Run, Trigger};

/// How often a mirror is proven anew because it was asked for again after upstream had been read.
const PROVEN_ANEW: u32 = 3;

/// A run that has not ended.
pub(super) struct InFlight {
    pub(super) run: Arc<Run>,
    /// Whether somebody has asked for it: one that we have begun by ourselves makes way, unless somebody was given it.
    pub(super) wanted: bool,
    /// Of the mirrors of which more is demanded than a proof of after the run was accepted.
    demands: BTreeMap<MirrorName, Demand>,
    /// Told once, when it has.
    pub(super) ended: watch::Sender<Option<Arc<Run>>>,
}

/// How new the proof of a mirror has to be.
#[derive(Debug, Default)]
struct Demand {
    /// When it was asked for last, if that was after the run was: a proof must not be older.
    asked_at: Option<Timestamp>,
    /// How often a proof was too old for it.
    again: u32,
    /// A webhook has told of a change without naming it: the run should bring one.
    owes_a_change: bool,
}

impl Demand {
    const fn is_tired(&self) -> bool {
        self.again >= PROVEN_ANEW
    }
}

/// What an end of one of its mirrors is to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing: it waits for no end of that mirror.
    Nothing,
    /// The end of that part.
    End,
    /// A proof from before it was asked for last: another is needed.
    TooOld,
    /// A proof that nothing has changed, though a webhook has told of a change: upstream is read once more, a little later.
    NotShown,
}

impl InFlight {
    pub(super) fn new(run: Arc<Run>) -> Self {
        let wanted = run.trigger != Trigger::Heal;
        Self { run, wanted, demands: BTreeMap::new(), ended: watch::Sender::new(None) }
    }

    /// A run of before a restart. Whom it was given to is not written down: somebody may wait for it.
    pub(super) fn of_before(run: Arc<Run>) -> Self {
        Self { wanted: true, ..Self::new(run) }
    }

    /// Whether it waits for an end of that mirror.
    pub(super) fn waits_for(&self, mirror: &MirrorName) -> bool {
        self.run.part(mirror).is_some_and(|part| part.end.is_none())
    }

    /// What an end of a mirror is to it. A few times a mirror is proven anew; whoever asks without a pause would
    /// otherwise keep the run from ever ending. For a change that a webhook does not name it is so once only.
    /// `unread`: a delivery named a push, and upstream was not read since.
    pub(super) fn take(&mut self, mirror: &MirrorName, end: &End, unread: bool) -> Meaning {
        if !self.waits_for(mirror) {
            return Meaning::Nothing;
        }
        let demand = self.demands.get(mirror);
        let Some(evidence) = end.evidence() else {
            let lagging = end.problem().is_some_and(|problem| problem.code == Code::UpstreamLagging);
            if lagging && unread && demand.is_none_or(|demand| !demand.is_tired()) {
                self.demands.entry(mirror.clone()).or_default().again += 1;
                return Meaning::TooOld;
            }
            return Meaning::End;
        };
        let asked_at = demand.and_then(|demand| demand.asked_at).unwrap_or(self.run.created_at);
        if evidence.upstream_read_at() < asked_at && demand.is_none_or(|demand| !demand.is_tired()) {
            self.demands.entry(mirror.clone()).or_default().again += 1;
            return Meaning::TooOld;
        }
        if end.outcome() != Some(Outcome::Noop) || !demand.is_some_and(|demand| demand.owes_a_change) {
            return Meaning::End;
        }
        self.demands.entry(mirror.clone()).or_default().owes_a_change = false;
        Meaning::NotShown
    }

    /// It is asked for once more, for these of its mirrors: their proofs must not be older than `now`.
    pub(super) fn asked<'a>(&mut self, mirrors: impl IntoIterator<Item = &'a MirrorName>, now: Timestamp) {
        self.wanted = true;
        for mirror in mirrors {
            let demand = self.demands.entry(mirror.clone()).or_default();
            demand.asked_at = demand.asked_at.max(Some(now.max(self.run.created_at)));
        }
    }

    /// A webhook has told of a change of a mirror that it does not name.
    pub(super) fn owes_a_change(&mut self, mirror: &MirrorName) {
        self.demands.entry(mirror.clone()).or_default().owes_a_change = true;
    }

    /// Whether one of its mirrors is not proven anew any more. Who asks for all of them now is not answered by it.
    pub(super) fn is_tired(&self) -> bool {
        self.demands.values().any(Demand::is_tired)
    }

    /// The run, for one more who asks.
    pub(super) fn given(&self) -> Accepted {
        let end = Some(self.ended.subscribe());
        Accepted { run: Arc::clone(&self.run), coalesced: true, replayed: false, end }
    }
}
