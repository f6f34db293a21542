//! The first mirror as a step of the platform's cutover, in the words of the platform's console.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::run;
use crate::domain::status::MirrorStatus;

/// The platform's name for the step.
pub(in crate::api) const STEP: &str = "gitea-mirror";

/// One step of the platform's cutover.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Step)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct StepBody {
    /// The platform's name for it.
    #[schema(example = "gitea-mirror")]
    name: &'static str,
    /// Empty before the first attempt; `skipped` means unverified.
    pub(super) result: StepResult,
    /// When the very first attempt began; later attempts do not change it.
    #[schema(required = true)]
    started_at: Option<Timestamp>,
    /// When the latest attempt began; it may have been canceled since.
    #[schema(required = true)]
    attempt_started_at: Option<Timestamp>,
    /// When the attempt that `result` describes ended; null while one is in flight.
    #[schema(required = true)]
    finished_at: Option<Timestamp>,
    /// When this was last confirmed: every few seconds while an attempt is in flight, except while Gitea clones.
    #[schema(required = true)]
    updated_at: Option<Timestamp>,
}

/// The result of a step, in the platform's words.
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

/// The result of the first mirror: how its latest attempt ended, in any run.
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
