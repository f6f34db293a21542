//! Modes on the wire.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Mode, ModeSource, ProblemBody};
use crate::domain::mode::{ModeChange, Source};
use crate::domain::status::MirrorStatus;

/// How a mirror is to be run.
// Nothing is ever read into it: `body` reads by hand, since it tells every fault apart. This is its documentation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "documents what `body` reads")]
pub(in crate::api) struct ModeRequest {
    /// `follow`, `pinned` or `severed`.
    #[schema(pattern = "^(follow|pinned|severed)$", example = "pinned")]
    mode: String,
    /// Why, for whoever asks later: one line.
    #[schema(
        min_length = 1,
        max_length = 300,
        pattern = "[^\\s]",
        nullable = false,
        example = "release freeze until Monday"
    )]
    reason: Option<String>,
    /// With `severed` only, and only where the server offers it (Forgejo since 13): makes the mirror a regular
    /// repository, for good. No server turns it back.
    #[schema(nullable = false, default = false)]
    convert: Option<bool>,
}

/// How a mirror is run, by whose word, and how far that has been carried out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MirrorMode)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct ModeBody {
    /// The mirror.
    #[schema(example = "openova")]
    name: String,
    /// How it is run.
    mode: Mode,
    /// What the configuration says.
    configured: Mode,
    #[serde(flatten)]
    change: ModeChangeBody,
}

/// By whose word a mirror is run as it is, and how far that has been carried out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ModeChange)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct ModeChangeBody {
    /// Who has said so: a caller, the configuration, or somebody who has set the interval `0s` in Gitea; `journal`: the
    /// record of the latest change cannot be read, and the mirror counts as severed until the mode is set anew.
    source: ModeSource,
    /// The name of the token that asked; null unless a caller has.
    #[schema(required = true)]
    by: Option<String>,
    /// When it was written down; null where nobody has ever said anything but the configuration at first.
    #[schema(required = true)]
    at: Option<Timestamp>,
    /// Why, in the caller's words.
    #[schema(required = true)]
    reason: Option<String>,
    /// Whether it was asked for to make the mirror a regular repository.
    convert: bool,
    /// Whether Gitea was seen to stand so.
    applied: bool,
    /// Whether it would outlive a lost journal: what Gitea shows of a severed mirror is that it is pinned.
    lasting: bool,
    /// What is in the way of carrying it out.
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
        // one that was carried out may have been undone since, and then be given up
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
