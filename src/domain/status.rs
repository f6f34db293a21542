//! Where everything stands, as readers see it: facts first, and the freshness that follows from them.
//!
//! Owns the shape of one mirror's status. It is published by the engine and read by the API and the metrics; a fact
//! that nobody knows is `None`, never zero.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::aside::Aside;
use super::mode::{Mode, ModeChange};
use super::problem::Problem;
use super::refs::ObjectId;
use super::run::{Phase, Run};
use super::spec::MirrorSpec;

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
    /// When the refs were first seen to differ since then, and how many did.
    pub behind: Option<Behind>,
    /// What kept the latest attempt from a proof.
    pub problem: Option<Problem>,
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
    /// Whether the repository can be pushed to: a mirror cannot, one that was made a regular repository can.
    pub writable: bool,
}

/// Refs were seen to differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behind {
    /// When that was first seen.
    pub since: Timestamp,
    /// How many differed when it was last seen.
    pub refs: u64,
}

/// What is known about how far Gitea's copy is from upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Proven not long ago.
    Fresh,
    /// Seen to differ.
    Behind(Behind),
    /// Nobody knows now.
    Unknown {
        /// Why: a problem's code, `never-proven`, or `not-observed`.
        reason: &'static str,
    },
}

impl Freshness {
    /// The spelling of each state.
    pub const LABELS: [&'static str; 3] = ["fresh", "behind", "unknown"];

    /// Its one spelling.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Behind(_) => "behind",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// Gitea's own period is one to two intervals (it misses every second tick of its clock): within these, a proof says
/// something about now.
const A_PROOF_LASTS: u32 = 2;

impl MirrorStatus {
    /// A mirror of which nothing is known.
    #[must_use]
    pub fn unseen(spec: Arc<MirrorSpec>) -> Self {
        let mode = spec.mode;
        Self { spec, phase: Phase::Idle, waiting_for: None, mode, mode_change: None, facts: Facts::default() }
    }

    /// How far Gitea's copy is from upstream, as of `now`.
    #[must_use]
    pub fn freshness(&self, now: Timestamp) -> Freshness {
        if let Some(behind) = self.facts.behind {
            return Freshness::Behind(behind);
        }
        if let Some(problem) = &self.facts.problem {
            return Freshness::Unknown { reason: problem.code.label() };
        }
        let Some(proven_at) = self.facts.proven_at else {
            return Freshness::Unknown { reason: "never-proven" };
        };
        let age = Duration::try_from(now.duration_since(proven_at)).unwrap_or_default();
        if age <= self.spec.interval.get() * A_PROOF_LASTS {
            Freshness::Fresh
        } else {
            Freshness::Unknown { reason: "not-observed" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::problem::Code;
    use crate::domain::tests::spec;

    #[test]
    fn freshness_follows_from_the_facts() {
        let at = |seconds: i64| Timestamp::from_second(1_000_000 + seconds).unwrap();
        let mut mirror = MirrorStatus::unseen(Arc::new(spec()));
        assert_eq!(mirror.freshness(at(0)), Freshness::Unknown { reason: "never-proven" });
        mirror.facts.proven_at = Some(at(0));
        assert_eq!(mirror.freshness(at(1_200)), Freshness::Fresh);
        assert_eq!(mirror.freshness(at(-60)), Freshness::Fresh, "a clock that was set back makes nothing stale");
        assert_eq!(mirror.freshness(at(1_201)), Freshness::Unknown { reason: "not-observed" });
        mirror.facts.problem = Some(Problem::new(Code::UpstreamUnreachable, "x"));
        assert_eq!(mirror.freshness(at(0)), Freshness::Unknown { reason: "upstream-unreachable" });
        mirror.facts.behind = Some(Behind { since: at(5), refs: 3 });
        assert_eq!(mirror.freshness(at(9)).label(), "behind");
    }
}
