//! Modes on the wire.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Mode, ModeSource, ProblemBody};
use crate::domain::mode::{ModeChange, Source};
use crate::domain::status::MirrorStatus;

/// The mode of a mirror, what set it, and how far it is applied.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MirrorMode)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct ModeBody {
    /// The mirror.
    #[schema(example = "openova")]
    name: String,
    /// Its mode.
    mode: Mode,
    /// The mode of the configuration.
    configured: Mode,
    #[serde(flatten)]
    change: ModeChangeBody,
}

/// What set the mode of a mirror, and how far it is applied.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ModeChange)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct ModeChangeBody {
    /// What set it: a caller, the configuration, or the interval `0s` that was set in Gitea; `journal`: the record of the
    /// latest change cannot be read, and the mirror counts as severed until the mode is set again.
    source: ModeSource,
    /// The name of the caller's token; null unless a caller set it.
    #[schema(required = true)]
    by: Option<String>,
    /// When it was recorded; null while the first configuration is in force.
    #[schema(required = true)]
    at: Option<Timestamp>,
    /// Why, in the caller's words.
    #[schema(required = true)]
    reason: Option<String>,
    /// Whether the mirror is to be converted to a regular repository.
    convert: bool,
    /// Whether it was seen to be in force in Gitea.
    applied: bool,
    /// Whether it would survive the loss of the journal: Gitea shows a severed mirror as pinned.
    lasting: bool,
    /// What is in the way of applying it.
    #[schema(required = true)]
    problem: Option<ProblemBody>,
}

impl ModeBody {
    pub(in crate::api) fn new(mirror: &MirrorStatus) -> Self {
        Self {
            name: mirror.spec.name.to_string(),
            mode: Mode(mirror.mode),
            configured: Mode(mirror.spec.mode),
            change: ModeChangeBody::new(mirror),
        }
    }

    pub(in crate::api) fn applied(&self) -> bool {
        self.change.applied
    }
}

impl ModeChangeBody {
    pub(super) fn new(mirror: &MirrorStatus) -> Self {
        let Some(change) = &mirror.mode_change else {
            let source = ModeSource(Source::Configuration);
            let (by, at, reason, problem) = (None, None, None, None);
            return Self { source, by, at, reason, convert: false, applied: true, lasting: true, problem };
        };
        let ModeChange { source, by, reason, at, convert, applied_at, problem, .. } = change.clone();
        // a mode that was applied may have been undone since, and its repair given up
        let applied = applied_at.is_some() && problem.is_none();
        // what is in its way now, or was when it was given up
        let in_the_way = mirror.waiting_for.as_ref().or(problem.as_ref()).filter(|_| !applied);
        Self {
            source: ModeSource(source),
            by,
            at: Some(at),
            reason,
            convert,
            applied,
            lasting: change.is_lasting(),
            problem: ProblemBody::of(in_the_way),
        }
    }
}
