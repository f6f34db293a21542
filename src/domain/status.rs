//! Where everything stands, as readers see it: facts first, and the freshness that follows from them.
//!
//! Owns the shape of one mirror's status. It is published by the engine and read by the API and the metrics; a fact
//! that nobody knows is `None`, never zero.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::aside::Aside;
use super::healing::Healing;
use super::mode::{Mode, ModeChange};
use super::notice::Alarm;
use super::problem::{Code, Problem};
use super::refs::{Comparison, Difference, ObjectId};
use super::run::{Phase, Run};
use super::spec::MirrorSpec;
use super::webhook::Pushes;

/// Everything that `/status` and `/metrics` show.
#[derive(Clone, Debug)]
pub struct Status {
    /// Every configured mirror, in the order of the configuration.
    pub mirrors: Vec<Arc<MirrorStatus>>,
    /// The run that was accepted last.
    pub latest_run: Option<Arc<Run>>,
    /// Gitea, as it was seen last.
    pub gitea: GiteaStatus,
    /// Whether the platform's cutover is complete; `None`: nobody knows, or there is no platform.
    pub cutover_complete: Option<bool>,
}

/// Gitea, as it was seen last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GiteaStatus {
    /// `gitea` or `forgejo`.
    pub flavour: Option<&'static str>,
    /// As it prints it.
    pub version: Option<String>,
    /// Whether its API gave a usable answer to the latest request; `None`: none was made yet.
    pub reachable: Option<bool>,
    /// When its API last gave a usable answer.
    pub last_answer_at: Option<Timestamp>,
}

/// One mirror.
#[derive(Clone, Debug)]
pub struct MirrorStatus {
    /// As it is configured.
    pub spec: Arc<MirrorSpec>,
    /// Where it stands; `idle` when nothing is under way.
    pub phase: Phase,
    /// What the work that is under way is waiting for, if something is in its way.
    pub waiting_for: Option<Problem>,
    /// How it is run.
    pub mode: Mode,
    /// By whose word, and how far that has been carried out; `None`: it has always followed.
    pub mode_change: Option<ModeChange>,
    /// What was last seen of it.
    pub facts: Facts,
    /// When something was last heard of whoever is at work on it or looks at it, since the service was started.
    pub heard_at: Option<Timestamp>,
}

/// What is known of a mirror; all of it survives a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The moment for which the refs were last proven equal.
    pub proven_at: Option<Timestamp>,
    /// How many heads and tags that proof had.
    pub proven_refs: Option<u64>,
    /// How many of them were branches.
    pub proven_branches: Option<u64>,
    /// What was seen to differ since then, and when that was first seen.
    pub behind: Option<Behind>,
    /// Why the latest look could not tell how things stand, and since when none could.
    pub unknown: Option<Unknown>,
    /// When both sides were last looked at, by a run or by an observation, whatever that came to.
    pub observed_at: Option<Timestamp>,
    /// What was tried by ourselves since it is behind.
    pub healing: Option<Healing>,
    /// What kept the latest attempt from a proof.
    pub problem: Option<Problem>,
    /// When the first attempt of all began.
    pub started_at: Option<Timestamp>,
    /// When the latest attempt began.
    pub attempt_started_at: Option<Timestamp>,
    /// When the latest attempt ended.
    pub last_attempt_at: Option<Timestamp>,
    /// How it ended: `succeeded`, `unverified` or `failed`.
    pub last_end: Option<Phase>,
    /// How many attempts in a row have failed.
    pub consecutive_failures: u32,
    /// How many heads and tags upstream had.
    pub upstream_refs: Option<u64>,
    /// The tracked branch's commit upstream.
    pub upstream_commit: Option<ObjectId>,
    /// The repository's id in Gitea.
    pub gitea_id: Option<u64>,
    /// How many heads and tags Gitea had.
    pub gitea_refs: Option<u64>,
    /// The tracked branch's commit in Gitea.
    pub gitea_commit: Option<ObjectId>,
    /// A regular repository that a run has renamed aside and could not give its name back.
    pub left_aside: Option<Aside>,
    /// The pushes that deliveries of webhooks named, and which of them upstream has not shown yet.
    pub pushes: Pushes,
    /// Whether the repository can be pushed to: a mirror cannot, one that was made a regular repository can.
    pub writable: bool,
    /// What was told of it and has not ended.
    pub alarm: Alarm,
}

/// The mirror was seen not to be as it must be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Behind {
    /// When that was first seen.
    pub since: Timestamp,
    /// How many refs differed when it was last seen; 0: none, its settings are others.
    pub refs: u64,
    /// The first of them, by name.
    pub differing: Vec<Difference>,
}

impl Behind {
    /// Refs differ, as first seen at `since`.
    #[must_use]
    pub fn by(since: Timestamp, comparison: &Comparison) -> Self {
        let refs = u64::try_from(comparison.differing).unwrap_or(u64::MAX);
        Self { since, refs, differing: comparison.first.clone() }
    }
}

/// Looks could not tell how things stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unknown {
    /// When that began.
    pub since: Timestamp,
    /// Why; `None`: there is no mirror yet.
    pub code: Option<Code>,
}

/// What is known about how far Gitea's copy is from upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness<'a> {
    /// Proven not long ago.
    Fresh,
    /// Seen to differ.
    Behind {
        /// What differs.
        behind: &'a Behind,
        /// `settings`, or the code of what keeps later looks from telling more.
        reason: Option<&'static str>,
    },
    /// Nobody knows now.
    Unknown {
        /// Why: a problem's code, `never-proven`, `not-observed`, or `severed`.
        reason: &'static str,
        /// Since when; `None`: nobody has looked.
        since: Option<Timestamp>,
    },
}

impl Freshness<'_> {
    /// The spelling of each state.
    pub const LABELS: [&'static str; 3] = ["fresh", "behind", "unknown"];

    /// Its one spelling.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Behind { .. } => "behind",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// Gitea's own period is one to two intervals (it misses every second tick of its clock): within these, a proof says
/// something about now.
const A_PROOF_LASTS: u32 = 2;

/// Why a mirror is behind whose refs are as they must be.
const SETTINGS: &str = "settings";
/// Why nothing is known of a mirror that was never proven.
const NEVER_PROVEN: &str = "never-proven";

impl MirrorStatus {
    /// A mirror of which nothing is known.
    #[must_use]
    pub fn unseen(spec: Arc<MirrorSpec>) -> Self {
        let mode = spec.mode;
        Self {
            spec,
            phase: Phase::Idle,
            waiting_for: None,
            mode,
            mode_change: None,
            facts: Facts::default(),
            heard_at: None,
        }
    }

    /// An attempt begins, and is waited for from now on. When the first one did is never changed.
    pub fn begins_an_attempt(&mut self, now: Timestamp) {
        self.phase = Phase::Queued;
        self.facts.started_at.get_or_insert(now);
        (self.facts.attempt_started_at, self.heard_at) = (Some(now), Some(now));
    }

    /// When what is told here was last seen, or was last found to be as it was.
    #[must_use]
    pub fn updated_at(&self) -> Option<Timestamp> {
        let Facts { attempt_started_at, last_attempt_at, observed_at, .. } = self.facts;
        self.heard_at.max(attempt_started_at).max(last_attempt_at).max(observed_at)
    }

    /// How far Gitea's copy is from upstream, as of `now`. That it was seen behind wins over why it cannot be told
    /// anew.
    #[must_use]
    pub fn freshness(&self, now: Timestamp) -> Freshness<'_> {
        let Facts { behind, unknown, proven_at, .. } = &self.facts;
        let code = unknown.and_then(|unknown| unknown.code).map(Code::label);
        if !self.mode.asks_upstream() {
            return Freshness::Unknown { reason: self.mode.label(), since: None };
        }
        if let Some(behind) = behind {
            return Freshness::Behind { behind, reason: if behind.refs == 0 { Some(SETTINGS) } else { code } };
        }
        if let Some(unknown) = unknown {
            return Freshness::Unknown { reason: code.unwrap_or(NEVER_PROVEN), since: Some(unknown.since) };
        }
        let lagging = self.waiting_for.as_ref().filter(|problem| problem.code == Code::UpstreamLagging);
        if let Some(lagging) = lagging {
            return Freshness::Unknown { reason: lagging.code.label(), since: self.facts.pushes.lagging_since() };
        }
        let Some(proven_at) = proven_at else {
            return Freshness::Unknown { reason: NEVER_PROVEN, since: None };
        };
        let lasts = self.spec.interval.get() * A_PROOF_LASTS;
        let age = Duration::try_from(now.duration_since(*proven_at)).unwrap_or_default();
        if age <= lasts {
            return Freshness::Fresh;
        }
        let since = SignedDuration::try_from(lasts).ok().and_then(|lasts| proven_at.checked_add(lasts).ok());
        Freshness::Unknown { reason: "not-observed", since }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tests::spec;

    #[test]
    fn freshness_follows_from_the_facts() {
        let at = |seconds: i64| Timestamp::from_second(1_000_000 + seconds).unwrap();
        let unknown = |reason, since| Freshness::Unknown { reason, since };
        let mut mirror = MirrorStatus::unseen(Arc::new(spec()));
        assert_eq!(mirror.freshness(at(0)), unknown("never-proven", None));
        mirror.facts.unknown = Some(Unknown { since: at(-5), code: None });
        assert_eq!(mirror.freshness(at(0)), unknown("never-proven", Some(at(-5))));
        (mirror.facts.proven_at, mirror.facts.unknown) = (Some(at(0)), None);
        assert_eq!(mirror.freshness(at(1_200)), Freshness::Fresh);
        assert_eq!(mirror.freshness(at(-60)), Freshness::Fresh, "a clock that was set back makes nothing stale");
        assert_eq!(mirror.freshness(at(1_201)), unknown("not-observed", Some(at(1_200))));
        mirror.facts.problem = Some(Problem::new(Code::NotAMirror, "x"));
        assert_eq!(mirror.freshness(at(0)), Freshness::Fresh, "a proof after an attempt that failed");
        mirror.facts.unknown = Some(Unknown { since: at(3), code: Some(Code::UpstreamUnreachable) });
        assert_eq!(mirror.freshness(at(0)), unknown("upstream-unreachable", Some(at(3))));
    }

    #[test]
    fn behind_wins_over_why_it_cannot_be_told_anew() {
        let since = Timestamp::UNIX_EPOCH;
        let mut mirror = MirrorStatus::unseen(Arc::new(spec()));
        mirror.facts.behind = Some(Behind { since, refs: 3, ..Behind::default() });
        let reason = |mirror: &MirrorStatus| match mirror.freshness(since) {
            Freshness::Behind { reason, .. } => reason,
            other @ (Freshness::Fresh | Freshness::Unknown { .. }) => panic!("{other:?}"),
        };
        assert_eq!(reason(&mirror), None);
        mirror.facts.unknown = Some(Unknown { since, code: Some(Code::GiteaUnreachable) });
        assert_eq!(reason(&mirror), Some("gitea-unreachable"));
        mirror.facts.behind = Some(Behind::default());
        assert_eq!(reason(&mirror), Some("settings"));
    }

    #[test]
    fn refs_are_counted_and_the_first_remembered_by_name() {
        let of = |count: usize| {
            let one = |n: usize| Difference {
                name: crate::domain::refs::RefName::parse(&format!("refs/heads/{n}")).unwrap(),
                upstream: None,
                gitea: None,
            };
            Behind::by(
                Timestamp::UNIX_EPOCH,
                &Comparison { differing: count, first: (0..count).map(one).collect(), only_in_gitea: 0 },
            )
        };
        assert_eq!((of(3).refs, of(3).differing.len()), (3, 3));
    }
}
