//! Events on the wire: the payload of each kind.
//!
//! Runs and mirrors have the members that they have elsewhere, so that a reader merges them into its own copy. `runId`
//! names the run where the run itself is not in the event.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::Phase;
use super::run::{DifferenceBody, PartBody, RunBody};
use super::status::{FreshnessBody, StatusBody, WaitingBody};
use crate::domain::event::{FreshnessChanged, ModeChanged, PartEnded, PhaseEntered, Rewrite};

/// The `data` of an event of a stream; which one it is, its `event` says.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
#[serde(untagged)]
#[expect(dead_code, reason = "documents what a stream's events carry")]
pub(in crate::api) enum EventBody {
    /// Of `snapshot`.
    Snapshot(SnapshotEvent),
    /// Of `run-accepted` and `run-ended`.
    Run(RunEvent),
    /// Of `phase`.
    Phase(PhaseEvent),
    /// Of `mirror-ended`.
    PartEnd(PartEndEvent),
    /// Of `rewritten`.
    Rewrite(RewriteEvent),
    /// Of `freshness`.
    Freshness(FreshnessEvent),
    /// Of `mode`.
    Mode(ModeEvent),
    /// Of `shutdown`.
    Shutdown(ShutdownEvent),
    /// Of every event with `format=platform`.
    Platform(PlatformEvent),
}

/// The current status: the first event of a stream, unless it resumes from the caller's `Last-Event-ID`.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct SnapshotEvent {
    /// The time of this status.
    pub(in crate::api) at: Timestamp,
    /// Whether events were missed for good: some events since the caller's `Last-Event-ID` are no longer kept, and this
    /// comes instead.
    pub(in crate::api) missed: bool,
    /// Everything; absent in the stream of a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::api) status: Option<StatusBody>,
    /// The run; only in its stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::api) run: Option<RunBody>,
}

/// A run was accepted (`run-accepted`: as it was then), or has ended (`run-ended`).
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct RunEvent {
    /// When.
    pub(in crate::api) at: Timestamp,
    /// The run.
    pub(in crate::api) run: RunBody,
}

/// A mirror of a run has entered a phase, or waits for something.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct PhaseEvent {
    /// When.
    at: Timestamp,
    /// Of which run.
    #[schema(format = "uuid")]
    run_id: String,
    /// The mirror and its phase.
    mirror: MirrorPhase,
}

/// A mirror and its phase.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct MirrorPhase {
    /// Its name.
    name: String,
    /// Its phase.
    phase: Phase,
    /// What the work is waiting for, if it waits.
    #[schema(required = true)]
    waiting_for: Option<WaitingBody>,
}

/// A mirror's part of a run has ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MirrorEndedEvent)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct PartEndEvent {
    /// When.
    at: Timestamp,
    /// Of which run.
    #[schema(format = "uuid")]
    run_id: String,
    /// The part, as the run has it.
    mirror: PartBody,
}

/// A sync has replaced the history of the tracked branch.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RewrittenEvent)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct RewriteEvent {
    /// When that was proven.
    at: Timestamp,
    /// Of which run.
    #[schema(format = "uuid")]
    run_id: String,
    /// Which mirror.
    mirror: MirrorRewritten,
}

/// A mirror whose tracked branch has another history.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct MirrorRewritten {
    /// Its name.
    name: String,
    /// The branch.
    tracked_branch: String,
    /// Its commit now, of which the one before is no ancestor.
    tracked_commit: String,
}

/// What is known about a mirror's distance to upstream has changed.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct FreshnessEvent {
    /// When.
    at: Timestamp,
    /// Which mirror, and what is known.
    mirror: MirrorFreshness,
}

/// A mirror, and how far it is from upstream.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct MirrorFreshness {
    /// Its name.
    name: String,
    /// How far the copy is from upstream.
    #[schema(value_type = FreshnessBody)]
    freshness: RecordedFreshness,
}

/// A recorded freshness: the members of a mirror's `freshness`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordedFreshness {
    state: String,
    proven_at: Option<Timestamp>,
    behind_since: Option<Timestamp>,
    refs_behind: Option<u64>,
    differing: Vec<DifferenceBody>,
    unknown_since: Option<Timestamp>,
    reason: Option<String>,
    observed_at: Option<Timestamp>,
}

/// A mirror's mode has changed.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct ModeEvent {
    /// When.
    at: Timestamp,
    /// The mirror and its mode.
    mirror: MirrorMode,
}

/// A mirror and its mode.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct MirrorMode {
    /// Its name.
    name: String,
    /// Its mode.
    #[schema(example = "pinned")]
    mode: String,
}

/// The service is ending. The stream can be resumed after its next start, from the last event that the caller has.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct ShutdownEvent {
    /// When.
    pub(in crate::api) at: Timestamp,
}

/// What the platform's own stream carries.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct PlatformEvent {
    /// When.
    pub(in crate::api) time: Timestamp,
    /// The event's name again.
    #[schema(example = "cutover-step-started")]
    pub(in crate::api) phase: &'static str,
    /// `info`, `warn` or `error`.
    pub(in crate::api) level: &'static str,
    /// A sentence; for `cutover-status` a map of strings as JSON.
    pub(in crate::api) message: String,
    /// The step that it is about, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::api) step: Option<&'static str>,
}

impl PhaseEvent {
    pub(in crate::api) fn new(at: Timestamp, entered: &PhaseEntered) -> Self {
        let mirror = MirrorPhase {
            name: entered.mirror.to_string(),
            phase: Phase(entered.phase),
            waiting_for: entered.waiting_for.as_ref().map(WaitingBody::new),
        };
        Self { at, run_id: entered.run.to_string(), mirror }
    }
}

impl PartEndEvent {
    pub(in crate::api) fn new(at: Timestamp, ended: &PartEnded) -> Self {
        Self { at, run_id: ended.run.to_string(), mirror: PartBody::new(&ended.part) }
    }
}

impl RewriteEvent {
    pub(in crate::api) fn new(at: Timestamp, rewrite: &Rewrite) -> Self {
        let mirror = MirrorRewritten {
            name: rewrite.mirror.to_string(),
            tracked_branch: rewrite.branch.clone(),
            tracked_commit: rewrite.commit.to_string(),
        };
        Self { at, run_id: rewrite.run.to_string(), mirror }
    }
}

impl FreshnessEvent {
    pub(in crate::api) fn new(at: Timestamp, changed: &FreshnessChanged) -> Self {
        let freshness = RecordedFreshness {
            state: changed.state.clone(),
            proven_at: changed.proven_at,
            behind_since: changed.behind_since,
            refs_behind: changed.refs_behind,
            differing: changed.differing.iter().map(DifferenceBody::new).collect(),
            unknown_since: changed.unknown_since,
            reason: changed.reason.clone(),
            observed_at: changed.observed_at,
        };
        Self { at, mirror: MirrorFreshness { name: changed.mirror.to_string(), freshness } }
    }
}

impl ModeEvent {
    pub(in crate::api) fn new(at: Timestamp, changed: &ModeChanged) -> Self {
        Self { at, mirror: MirrorMode { name: changed.mirror.to_string(), mode: changed.mode.clone() } }
    }
}
