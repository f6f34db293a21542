//! The one step of the platform's cutover that is ours: the first mirror, in the words of the platform's console.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::run;
use crate::domain::status::MirrorStatus;

/// The platform's name for our step.
pub(super) const STEP: &str = "gitea-mirror";

/// One step of the platform's cutover.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Step)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct StepBody {
    /// As the platform calls it.
    #[schema(example = "gitea-mirror")]
    name: &'static str,
    /// Empty before the first attempt; `skipped` means unverified.
    pub(super) result: StepResult,
    /// When the first attempt of all began; it stays, whatever is asked for later.
    #[schema(required = true)]
    started_at: Option<Timestamp>,
    /// When the latest attempt began, which may have been taken out since.
    #[schema(required = true)]
    attempt_started_at: Option<Timestamp>,
    /// When the attempt ended that `result` tells of; null while one is under way.
    #[schema(required = true)]
    finished_at: Option<Timestamp>,
    /// When what this tells was last seen, or seen to be as it was: while an attempt is under way, every few seconds
    /// but while Gitea clones.
    #[schema(required = true)]
    updated_at: Option<Timestamp>,
}

/// How a step went, in the platform's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::api) enum StepResult {
    /// Not tried.
    #[serde(rename = "")]
    Pending,
    /// Under way.
    Running,
    /// Proven.
    Success,
    /// Not done.
    Failed,
    /// Healthy in Gitea, not proven.
    Skipped,
}

impl StepBody {
    pub(super) fn new(mirror: Option<&MirrorStatus>) -> Self {
        let result = mirror.map_or(StepResult::Pending, step_result);
        let ended = mirror.filter(|_| result != StepResult::Running);
        Self {
            name: STEP,
            result,
            started_at: mirror.and_then(|mirror| mirror.facts.started_at),
            attempt_started_at: mirror.and_then(|mirror| mirror.facts.attempt_started_at),
            finished_at: ended.and_then(|mirror| mirror.facts.last_attempt_at),
            updated_at: mirror.and_then(MirrorStatus::updated_at),
        }
    }
}

/// How the first mirror went, in the platform's words: as its latest attempt ended, whichever run that was for.
fn step_result(mirror: &MirrorStatus) -> StepResult {
    if is_under_way(mirror.phase) {
        return StepResult::Running;
    }
    match mirror.facts.last_end {
        Some(run::Phase::Succeeded) => StepResult::Success,
        Some(run::Phase::Unverified) => StepResult::Skipped,
        Some(run::Phase::Failed) => StepResult::Failed,
        _ => StepResult::Pending,
    }
}

pub(super) fn is_under_way(phase: run::Phase) -> bool {
    match phase {
        run::Phase::Queued
        | run::Phase::Connecting
        | run::Phase::Inspecting
        | run::Phase::Migrating
        | run::Phase::Patching
        | run::Phase::Syncing
        | run::Phase::Verifying => true,
        run::Phase::Idle
        | run::Phase::Succeeded
        | run::Phase::Unverified
        | run::Phase::Failed
        | run::Phase::Canceled => false,
    }
}
