//! The members of the API's JSON that the commands show.
//!
//! `api` owns the JSON. It is read leniently here: unknown members are ignored and missing ones are empty, so that an older
//! command line understands a newer service.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::domain::run;

/// A run, as the API shows it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RunView {
    pub(super) id: Option<String>,
    pub(super) status: String,
    pub(super) coalesced: bool,
    #[serde(rename = "dryRun")]
    pub(super) is_dry: bool,
    pub(super) finished_at: Option<String>,
    pub(super) mirrors: Vec<PartView>,
}

impl RunView {
    /// Its status; `None`: one that only a newer service knows.
    pub(super) fn status(&self) -> Option<run::Status> {
        run::Status::from_label(&self.status)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.status().map_or(self.finished_at.is_some(), run::Status::has_ended)
    }

    /// Updates one of its mirrors from an event.
    pub(super) fn update(&mut self, mirror: &Value) {
        let Some(news) = read::<PartView>(mirror) else { return };
        if let Some(part) = self.mirrors.iter_mut().find(|part| part.name == news.name) {
            *part = news;
        }
    }

    /// Whether it failed or is unverified, and every reason is retryable.
    pub(super) fn may_succeed_later(&self) -> bool {
        let short = [run::Phase::Failed.label(), run::Phase::Unverified.label()];
        let mut parts = self.mirrors.iter().filter(|part| short.contains(&part.phase.as_str())).peekable();
        parts.peek().is_some() && parts.all(|part| part.problem.as_ref().is_some_and(|problem| problem.retryable))
    }
}

/// A mirror's part of a run.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PartView {
    pub(super) name: String,
    pub(super) phase: String,
    pub(super) outcome: Option<String>,
    pub(super) evidence: Option<EvidenceView>,
    pub(super) problem: Option<ProblemView>,
    pub(super) plan: Vec<StepView>,
}

/// A call that a dry run would have made.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct StepView {
    pub(super) call: String,
    pub(super) why: String,
}

/// The evidence of a success.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct EvidenceView {
    pub(super) refs: Option<u64>,
    pub(super) only_in_gitea: Option<u64>,
    pub(super) tracked_branch: Option<String>,
    pub(super) tracked_commit: Option<String>,
    pub(super) rewritten: Option<bool>,
}

/// A problem of a run or of a mirror.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ProblemView {
    pub(super) error: String,
    pub(super) detail: Option<String>,
    pub(super) remedy: Option<String>,
    pub(super) retryable: bool,
}

/// `/status`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct StatusView {
    pub(super) mirrors: Vec<MirrorView>,
    pub(super) gitea: GiteaView,
}

/// Gitea, as last observed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct GiteaView {
    pub(super) flavour: Option<String>,
    pub(super) version: Option<String>,
    pub(super) reachable: Option<bool>,
}

/// `/status/{name}`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct MirrorView {
    pub(super) name: String,
    pub(super) phase: String,
    pub(super) mode: Option<String>,
    pub(super) freshness: FreshnessView,
    pub(super) last_attempt_at: Option<String>,
    pub(super) consecutive_failures: u64,
    pub(super) interval: Option<String>,
    pub(super) upstream: SideView,
    pub(super) gitea: SideView,
    pub(super) problem: Option<ProblemView>,
    pub(super) waiting_for: Option<ProblemView>,
}

/// The freshness of a mirror.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct FreshnessView {
    pub(super) state: String,
    pub(super) proven_at: Option<String>,
    pub(super) behind_since: Option<String>,
    pub(super) refs_behind: Option<u64>,
    pub(super) differing: Vec<DifferenceView>,
    pub(super) unknown_since: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) observed_at: Option<String>,
}

/// A ref that differs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct DifferenceView {
    #[serde(rename = "ref")]
    pub(super) name: String,
}

/// Upstream, or the repository in Gitea.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct SideView {
    pub(super) url: Option<String>,
    pub(super) repository: Option<String>,
    pub(super) refs: Option<u64>,
    pub(super) commit: Option<String>,
}

/// Reads a view from an answer.
pub(super) fn read<T: DeserializeOwned>(value: &Value) -> Option<T> {
    serde::Deserialize::deserialize(value).ok()
}
