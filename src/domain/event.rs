//! What has happened, as readers of a stream and receivers of notifications are told it.
//!
//! Owns the closed set of events, their one spelling, and the edges: pure functions from a state before and a state
//! after to what there is to tell. An event never says more than the state that it comes from.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::names::MirrorName;
use super::problem::Problem;
use super::refs::{Difference, ObjectId};
use super::run::{End, Part, Phase, Run, RunId, labelled};
use super::status::{Freshness, MirrorStatus};

labelled! {
    /// What an event is about.
    Kind {
        /// Where everything stands, for a reader who has seen nothing yet, or has missed something.
        Snapshot = "snapshot",
        /// A run was accepted.
        RunAccepted = "run-accepted",
        /// A mirror's part of a run has entered a phase, or something is in its way.
        Phase = "phase",
        /// A mirror's part of a run has ended.
        MirrorEnded = "mirror-ended",
        /// A sync has replaced the history of the tracked branch.
        Rewritten = "rewritten",
        /// A run has ended.
        RunEnded = "run-ended",
        /// What is known about a mirror's distance to upstream has changed.
        Freshness = "freshness",
        /// A mirror is run in another way.
        Mode = "mode",
        /// The service is ending; the stream goes on after its next start.
        Shutdown = "shutdown",
    }
}

/// The number of an event. Numbers rise over the life of a journal, also over restarts, and may leave some out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(u64);

impl EventId {
    /// One that no journal ever comes to: what stands for an id that is none of ours.
    pub const UNKNOWN: Self = Self(u64::MAX);

    /// The one of this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The next one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Reads one in the spelling that we give out.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // as many digits as a journal's numbers have at most
        let plain = (1..=18).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit());
        plain.then(|| text.parse().ok().map(Self)).flatten()
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A run was accepted: as it was then.
    RunAccepted(Arc<Run>),
    /// A part has entered a phase.
    Phase(PhaseEntered),
    /// A part has ended.
    MirrorEnded(PartEnded),
    /// History was replaced.
    Rewritten(Rewrite),
    /// A run has ended: as it is for ever.
    RunEnded(Arc<Run>),
    /// Another freshness.
    Freshness(FreshnessChanged),
    /// Another mode.
    Mode(ModeChanged),
}

/// A mirror's part of a run has entered a phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseEntered {
    /// Of which run.
    pub run: RunId,
    /// Which mirror.
    pub mirror: MirrorName,
    /// Where it stands now.
    pub phase: Phase,
    /// What is in its way.
    pub waiting_for: Option<Problem>,
}

/// A mirror's part of a run has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartEnded {
    /// Of which run.
    pub run: RunId,
    /// The part, with its end.
    pub part: Part,
}

/// A sync of a run has replaced the history of the tracked branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewrite {
    /// Of which run.
    pub run: RunId,
    /// Of which mirror.
    pub mirror: MirrorName,
    /// The branch.
    pub branch: String,
    /// Its commit now, of which the one before is no ancestor.
    pub commit: ObjectId,
}

/// What is known about a mirror's distance to upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreshnessChanged {
    /// Which mirror.
    pub mirror: MirrorName,
    /// One of [`Freshness::LABELS`].
    pub state: String,
    /// The moment of the last proof.
    pub proven_at: Option<Timestamp>,
    /// When refs were first seen to differ.
    pub behind_since: Option<Timestamp>,
    /// How many did when it was last seen.
    pub refs_behind: Option<u64>,
    /// The first of them, by name.
    #[serde(default)]
    pub differing: Vec<Difference>,
    /// Since when looks have not told how things stand.
    #[serde(default)]
    pub unknown_since: Option<Timestamp>,
    /// Why it is not fresh.
    pub reason: Option<String>,
    /// When both sides were last looked at.
    #[serde(default)]
    pub observed_at: Option<Timestamp>,
}

/// A mirror is run in another way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeChanged {
    /// Which mirror.
    pub mirror: MirrorName,
    /// The label of the mode.
    pub mode: String,
}

impl Event {
    /// What it is about.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::RunAccepted(_) => Kind::RunAccepted,
            Self::Phase(_) => Kind::Phase,
            Self::MirrorEnded(_) => Kind::MirrorEnded,
            Self::Rewritten(_) => Kind::Rewritten,
            Self::RunEnded(_) => Kind::RunEnded,
            Self::Freshness(_) => Kind::Freshness,
            Self::Mode(_) => Kind::Mode,
        }
    }

    /// The run that it belongs to, if it belongs to one.
    #[must_use]
    pub fn run(&self) -> Option<RunId> {
        match self {
            Self::RunAccepted(run) | Self::RunEnded(run) => Some(run.id),
            Self::Phase(entered) => Some(entered.run),
            Self::MirrorEnded(ended) => Some(ended.run),
            Self::Rewritten(rewrite) => Some(rewrite.run),
            Self::Freshness(_) | Self::Mode(_) => None,
        }
    }
}

/// An event, with its number and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its number.
    pub id: EventId,
    /// When it was.
    pub at: Timestamp,
    /// What it was.
    pub event: Event,
}

/// What there is to tell of a run in which the parts of these mirrors have just ended.
pub fn of_ends<'a>(run: &Arc<Run>, mirrors: impl IntoIterator<Item = &'a MirrorName>) -> Vec<Event> {
    let mut events = Vec::new();
    for part in mirrors.into_iter().filter_map(|mirror| run.part(mirror)) {
        let Some(end) = &part.end else { continue };
        events.push(Event::MirrorEnded(PartEnded { run: run.id, part: part.clone() }));
        if let Some(evidence) = End::evidence(end).filter(|evidence| evidence.rewritten() == Some(true)) {
            events.push(Event::Rewritten(Rewrite {
                run: run.id,
                mirror: part.name.clone(),
                branch: evidence.tracked_branch().to_owned(),
                commit: evidence.tracked_commit().clone(),
            }));
        }
    }
    if run.finished_at.is_some() && !events.is_empty() {
        events.push(Event::RunEnded(Arc::clone(run)));
    }
    events
}

/// What there is to tell of a mirror that stood at `before` and stands at `after`, as of `now`. Both are read at the
/// same moment: what only time has changed is no event.
#[must_use]
pub fn of_mirror(before: &MirrorStatus, after: &MirrorStatus, now: Timestamp) -> Vec<Event> {
    let mut events = Vec::new();
    let mirror = &after.spec.name;
    if before.mode != after.mode {
        events.push(Event::Mode(ModeChanged { mirror: mirror.clone(), mode: after.mode.label().to_owned() }));
    }
    let freshness = after.freshness(now);
    if before.freshness(now) != freshness {
        let mut changed = FreshnessChanged {
            mirror: mirror.clone(),
            state: freshness.label().to_owned(),
            proven_at: after.facts.proven_at,
            behind_since: None,
            refs_behind: None,
            differing: Vec::new(),
            unknown_since: None,
            reason: None,
            observed_at: after.facts.observed_at,
        };
        match freshness {
            Freshness::Fresh => changed.refs_behind = Some(0),
            Freshness::Behind { behind, reason } => {
                (changed.behind_since, changed.refs_behind) = (Some(behind.since), Some(behind.refs));
                changed.differing.clone_from(&behind.differing);
                changed.reason = reason.map(str::to_owned);
            }
            Freshness::Unknown { reason, since } => {
                (changed.reason, changed.unknown_since) = (Some(reason.to_owned()), since);
            }
        }
        events.push(Event::Freshness(changed));
    }
    events
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::evidence::{Evidence, Seen};
    use crate::domain::problem::Code;
    use crate::domain::refs::{RefList, RefName};
    use crate::domain::run::{Notes, Outcome, Trigger};
    use crate::domain::spec::Mode;
    use crate::domain::status::{Behind, Unknown};
    use crate::domain::tests::spec;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn kinds(events: &[Event]) -> Vec<&'static str> {
        events.iter().map(|event| event.kind().label()).collect()
    }

    #[test]
    fn an_id_has_one_spelling() {
        assert_eq!(EventId::parse("17"), Some(EventId::new(17)));
        for bad in ["", "-1", "+1", "1 ", "x", "１", "9999999999999999999", "1.0", "0x1"] {
            assert_eq!(EventId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_end_tells_the_part_its_rewritten_history_and_last_the_run_once_all_have_ended() {
        let name = |name: &str| MirrorName::parse(name).unwrap();
        let (one, two) = (name("one"), name("two"));
        let mut run = Run::accepted(RunId(Uuid::nil()), Trigger::Api, "ops".into(), at(0), [one.clone(), two.clone()]);
        let main = RefName::parse("refs/heads/main").unwrap();
        let refs = RefList::complete([(main, ObjectId::parse(&"a".repeat(40)).unwrap())], None);
        let seen = Seen { at: at(5), value: &refs };
        let evidence = Evidence::prove(&spec(), &seen, &seen, Some(true)).unwrap();
        run.end_part(&one, &End::Succeeded { outcome: Outcome::Synced, evidence, notes: Notes::default() }, at(6));
        let first = Arc::new(run.clone());
        assert_eq!(kinds(&of_ends(&first, [&one])), ["mirror-ended", "rewritten"]);
        assert!(of_ends(&first, [&two]).is_empty(), "what has not ended is not told");
        run.end_part(&two, &End::Canceled, at(7));
        let whole = Arc::new(run);
        assert_eq!(kinds(&of_ends(&whole, [&two])), ["mirror-ended", "run-ended"]);
        assert_eq!(kinds(&of_ends(&whole, [&one, &two])), ["mirror-ended", "rewritten", "mirror-ended", "run-ended"]);
        assert!(of_ends(&whole, [&one, &two]).iter().all(|event| event.run() == Some(whole.id)));
    }

    #[test]
    fn a_mirror_tells_an_edge_and_nothing_while_it_stays_as_it_is() {
        let unseen = MirrorStatus::unseen(Arc::new(spec()));
        let with = |change: &dyn Fn(&mut MirrorStatus)| {
            let mut status = unseen.clone();
            change(&mut status);
            status
        };
        let fresh = with(&|status| status.facts.proven_at = Some(at(0)));
        let proven_again = with(&|status| status.facts.proven_at = Some(at(5)));
        let behind = with(&|status| status.facts.behind = Some(Behind { since: at(1), refs: 3, ..Behind::default() }));
        let further = with(&|status| status.facts.behind = Some(Behind { since: at(1), refs: 4, ..Behind::default() }));
        let blind = with(&|status| {
            status.facts.unknown = Some(Unknown { since: at(1), code: Some(Code::UpstreamUnreachable) });
        });
        let pinned = with(&|status| status.mode = Mode::Pinned);
        for (before, after, expected) in [
            (&unseen, &unseen, None),
            (&unseen, &fresh, Some(("fresh", None))),
            (&fresh, &proven_again, None),
            (&fresh, &behind, Some(("behind", None))),
            (&behind, &further, Some(("behind", None))),
            (&behind, &blind, Some(("unknown", Some("upstream-unreachable")))),
            (&blind, &fresh, Some(("fresh", None))),
        ] {
            let events = of_mirror(before, after, at(10));
            let told = events.first().map(|event| {
                let Event::Freshness(told) = event else { panic!("{event:?}") };
                (told.state.as_str(), told.reason.as_deref())
            });
            assert_eq!((told, events.len()), (expected, usize::from(expected.is_some())), "{before:?} {after:?}");
        }
        assert_eq!(kinds(&of_mirror(&unseen, &pinned, at(10))), ["mode"]);
        let late = at(10_000);
        assert!(of_mirror(&fresh, &fresh, late).is_empty(), "that time has passed is no event");
        let again = with(&|status| status.facts.proven_at = Some(late));
        assert_eq!(kinds(&of_mirror(&fresh, &again, late)), ["freshness"], "whoever saw it grow old hears of it");
    }
}
