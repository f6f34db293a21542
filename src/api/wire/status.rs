//! `/status` on the wire: every mirror, and the members that the platform's console reads.

mod step;

use std::ops::Range;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::openapi::{self, schema::Schema};
use utoipa::{PartialSchema, ToSchema};

pub(in crate::api) use self::step::STEP;
use self::step::{StepBody, StepResult};
use super::mode::ModeChangeBody;
use super::run::DifferenceBody;
use super::{Mode, Phase, ProblemBody, RunBody, words};
use crate::domain::problem::Problem;
use crate::domain::status::{Freshness, MirrorStatus, Status};

/// The status of the service and its mirrors.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Status)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct StatusBody {
    /// Every configured mirror, in the order of the configuration.
    mirrors: Vec<MirrorBody>,
    /// The `cursor` of the next page of mirrors; null: these are the last.
    #[schema(required = true)]
    next_cursor: Option<String>,
    /// The run that was accepted last; null before the first.
    #[schema(required = true)]
    latest_run: Option<RunBody>,
    /// Gitea, as last seen.
    gitea: GiteaBody,
    /// For the platform's console.
    state: CutoverState,
    /// For the platform's console: whether the platform's status says that the cutover is complete. False where the service
    /// is not configured to read it.
    cutover_complete: bool,
    /// For the platform's console: the first mirror as a step of the cutover.
    steps: Vec<StepBody>,
    /// For the platform's console: the step that failed.
    #[schema(required = true)]
    failed_step: Option<&'static str>,
    /// For the platform's console: why it failed.
    #[schema(required = true)]
    last_error: Option<String>,
    /// The tracked branch's commit in Gitea, of the first mirror; null until seen.
    #[serde(rename = "mirroredCommitSHA")]
    #[schema(required = true)]
    mirrored_commit_sha: Option<String>,
}

/// The state of the whole cutover; this service is one step of it.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::api) enum CutoverState {
    /// Not known to be complete.
    Tethered,
    /// Complete, as the platform's status says.
    Sovereign,
}

/// One mirror.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Mirror)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct MirrorBody {
    /// Its name.
    name: String,
    /// Its phase; `idle` when no work is in flight.
    phase: Phase,
    /// Its mode.
    mode: Mode,
    /// Whether the copy accepts pushes, as last seen: a pull mirror does not, one converted to a regular repository does.
    writable: bool,
    /// How far the copy is from upstream.
    freshness: FreshnessBody,
    /// When the latest attempt ended.
    #[schema(required = true)]
    last_attempt_at: Option<Timestamp>,
    /// How many attempts in a row have failed.
    consecutive_failures: u32,
    /// How often Gitea pulls from upstream, while the mirror follows: a Go duration.
    #[schema(example = "10m0s")]
    interval: String,
    /// The upstream repository.
    upstream: UpstreamBody,
    /// The copy in Gitea.
    gitea: CopyBody,
    /// Why the latest attempt ended without a proof.
    #[schema(required = true)]
    problem: Option<ProblemBody>,
    /// What the work in flight is waiting for, if it waits.
    #[schema(required = true)]
    waiting_for: Option<WaitingBody>,
    /// A legacy repository, as `owner/repo`, that a run has renamed and could not rename back; null without one.
    #[schema(required = true)]
    left_aside: Option<String>,
    /// What set its mode, and how far it is applied.
    mode_change: ModeChangeBody,
}

/// How far a copy is from upstream.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Freshness)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct FreshnessBody {
    /// What is known.
    state: FreshnessState,
    /// The time for which the refs were last proven equal.
    #[schema(required = true)]
    proven_at: Option<Timestamp>,
    /// When refs were first seen to differ since then; null unless `behind`.
    #[schema(required = true)]
    behind_since: Option<Timestamp>,
    /// How many differ; null when not known.
    #[schema(required = true)]
    refs_behind: Option<u64>,
    /// The first of them, by name.
    #[schema(max_items = 10)]
    differing: Vec<DifferenceBody>,
    /// Since when observations have found nothing out; null unless `unknown`, and before the first observation.
    #[schema(required = true)]
    unknown_since: Option<Timestamp>,
    /// Why it is not `fresh`: a problem's `error`; `settings` (the refs are right, and the interval, pruning, the default
    /// branch or the mirror itself was changed in Gitea); `never-proven`; `not-observed`, when the proof is too old and there
    /// was no observation since; or the mode in which upstream is not called. Null when nothing more is known.
    #[schema(required = true)]
    reason: Option<&'static str>,
    /// When both sides were last observed, by a run or because the status was read, with any result.
    #[schema(required = true)]
    observed_at: Option<Timestamp>,
}

/// The state of a [`Freshness`].
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(in crate::api) struct FreshnessState(&'static str);

impl PartialSchema for FreshnessState {
    fn schema() -> openapi::RefOr<Schema> {
        words("What is known about how far a copy is from upstream.", Freshness::LABELS)
    }
}

impl ToSchema for FreshnessState {}

/// The upstream repository.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Upstream)]
pub(in crate::api) struct UpstreamBody {
    /// Its address.
    #[schema(format = "uri")]
    url: String,
    /// How many branches and tags it had when last seen.
    #[schema(required = true)]
    refs: Option<u64>,
    /// The tracked branch's commit when last seen.
    #[schema(required = true)]
    commit: Option<String>,
}

/// The copy in Gitea.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GiteaCopy)]
pub(in crate::api) struct CopyBody {
    /// `owner/repo`.
    #[schema(example = "openova/openova")]
    repository: String,
    /// Its id in Gitea.
    #[schema(required = true)]
    id: Option<u64>,
    /// How many branches and tags it had when last seen.
    #[schema(required = true)]
    refs: Option<u64>,
    /// The tracked branch's commit when last seen.
    #[schema(required = true)]
    commit: Option<String>,
}

/// What the work in flight is waiting for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WaitingFor)]
pub(in crate::api) struct WaitingBody {
    /// The stable name of the problem.
    error: &'static str,
    /// What was seen.
    detail: String,
    /// What to do about it.
    remedy: String,
}

/// Gitea, as last seen; a member is null until it is known.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Gitea)]
pub(in crate::api) struct GiteaBody {
    /// `gitea` or `forgejo`.
    #[schema(required = true)]
    flavour: Option<&'static str>,
    /// Its version, as Gitea reports it.
    #[schema(required = true)]
    version: Option<String>,
    /// Whether its API gave a usable answer to the latest request.
    #[schema(required = true)]
    reachable: Option<bool>,
}

impl StatusBody {
    pub(in crate::api) fn new(status: &Status, now: Timestamp) -> Self {
        Self::page(status, 0..status.mirrors.len(), now)
    }

    /// With some of the mirrors, by their places.
    pub(in crate::api) fn page(status: &Status, shown: Range<usize>, now: Timestamp) -> Self {
        let last = shown.end.checked_sub(1).filter(|_| shown.end < status.mirrors.len());
        let complete = status.cutover_complete.unwrap_or(false);
        let first = status.mirrors.first();
        let step = StepBody::new(first.map(|mirror| &**mirror));
        let result = step.result;
        let failed = first.filter(|_| result == StepResult::Failed);
        let problem = failed.and_then(|mirror| mirror.facts.problem.as_ref());
        Self {
            mirrors: status.mirrors[shown].iter().map(|mirror| MirrorBody::new(mirror, now)).collect(),
            next_cursor: last.map(|last| status.mirrors[last].spec.name.to_string()),
            latest_run: status.latest_run.as_ref().map(|run| RunBody::new(run, false)),
            gitea: GiteaBody {
                flavour: status.gitea.flavour,
                version: status.gitea.version.clone(),
                reachable: status.gitea.reachable,
            },
            state: if complete { CutoverState::Sovereign } else { CutoverState::Tethered },
            cutover_complete: complete,
            steps: vec![step],
            failed_step: failed.map(|_| STEP),
            last_error: problem.map(|problem| format!("{}: {}", problem.code, problem.detail)),
            mirrored_commit_sha: first.and_then(|mirror| mirror.facts.gitea_commit.as_ref()).map(ToString::to_string),
        }
    }
}

impl MirrorBody {
    pub(in crate::api) fn new(mirror: &MirrorStatus, now: Timestamp) -> Self {
        let (spec, facts) = (&mirror.spec, &mirror.facts);
        Self {
            name: spec.name.to_string(),
            phase: Phase(mirror.phase),
            mode: Mode(mirror.mode),
            writable: facts.writable,
            freshness: FreshnessBody::new(mirror, now),
            last_attempt_at: facts.last_attempt_at,
            consecutive_failures: facts.consecutive_failures,
            interval: spec.interval.to_string(),
            upstream: UpstreamBody {
                url: spec.upstream.as_str().to_owned(),
                refs: facts.upstream_refs,
                commit: facts.upstream_commit.as_ref().map(ToString::to_string),
            },
            gitea: CopyBody {
                repository: spec.full_name(),
                id: facts.gitea_id,
                refs: facts.gitea_refs,
                commit: facts.gitea_commit.as_ref().map(ToString::to_string),
            },
            problem: ProblemBody::of(facts.problem.as_ref()),
            waiting_for: mirror.waiting_for.as_ref().map(WaitingBody::new),
            left_aside: facts.left_aside.as_ref().map(|aside| format!("{}/{}", spec.owner, aside.name)),
            mode_change: ModeChangeBody::new(mirror),
        }
    }
}

impl WaitingBody {
    pub(in crate::api) fn new(problem: &Problem) -> Self {
        Self { error: problem.code.label(), detail: problem.detail.clone(), remedy: problem.remedy.clone() }
    }
}

impl FreshnessBody {
    fn new(mirror: &MirrorStatus, now: Timestamp) -> Self {
        let (facts, freshness) = (&mirror.facts, mirror.freshness(now));
        let mut body = Self {
            state: FreshnessState(freshness.label()),
            proven_at: facts.proven_at,
            behind_since: None,
            refs_behind: None,
            differing: Vec::new(),
            unknown_since: None,
            reason: None,
            observed_at: facts.observed_at,
        };
        match freshness {
            Freshness::Fresh => body.refs_behind = Some(0),
            Freshness::Behind { behind, reason } => {
                (body.behind_since, body.refs_behind) = (Some(behind.since), Some(behind.refs));
                body.differing = behind.differing.iter().map(DifferenceBody::new).collect();
                body.reason = reason;
            }
            Freshness::Unknown { reason, since } => (body.reason, body.unknown_since) = (Some(reason), since),
        }
        body
    }
}

#[cfg(test)]
mod tests;
