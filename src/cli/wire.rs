//! The service's JSON, as far as a person is shown it.
//!
//! Owns nothing: `api` does. So it is read leniently: members that are not known are passed over, and one that is not
//! there is empty, so that an older command line understands a newer service.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::domain::run;

/// A run.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Run {
    pub(super) id: Option<String>,
    pub(super) status: String,
    pub(super) coalesced: bool,
    #[serde(rename = "dryRun")]
    pub(super) is_dry: bool,
    pub(super) finished_at: Option<String>,
    pub(super) mirrors: Vec<Part>,
}

impl Run {
    /// Where it stands; `None`: in a word of a newer service.
    pub(super) fn status(&self) -> Option<run::Status> {
        run::Status::from_label(&self.status)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.status().map_or(self.finished_at.is_some(), run::Status::has_ended)
    }

    /// Puts what an event tells of one of its mirrors into it.
    pub(super) fn put(&mut self, mirror: &Value) {
        let Some(told) = read::<Part>(mirror) else { return };
        if let Some(part) = self.mirrors.iter_mut().find(|part| part.name == told.name) {
            *part = told;
        }
    }

    /// Whether it failed, or stayed unverified, for reasons that may all pass by themselves.
    pub(super) fn may_succeed_later(&self) -> bool {
        let short = [run::Phase::Failed.label(), run::Phase::Unverified.label()];
        let mut parts = self.mirrors.iter().filter(|part| short.contains(&part.phase.as_str())).peekable();
        parts.peek().is_some() && parts.all(|part| part.problem.as_ref().is_some_and(|problem| problem.retryable))
    }
}

/// A mirror's part of a run.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) phase: String,
    pub(super) outcome: Option<String>,
    pub(super) evidence: Option<Evidence>,
    pub(super) problem: Option<Problem>,
    pub(super) plan: Vec<Step>,
}

/// A call that a dry run would have made.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Step {
    pub(super) call: String,
    pub(super) why: String,
}

/// What proves a success.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Evidence {
    pub(super) refs: Option<u64>,
    pub(super) only_in_gitea: Option<u64>,
    pub(super) tracked_branch: Option<String>,
    pub(super) tracked_commit: Option<String>,
    pub(super) rewritten: Option<bool>,
}

/// What is in the way.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Problem {
    pub(super) error: String,
    pub(super) detail: Option<String>,
    pub(super) remedy: Option<String>,
    pub(super) retryable: bool,
}

/// `/status`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Status {
    pub(super) mirrors: Vec<Mirror>,
    pub(super) gitea: Gitea,
}

/// Gitea, as the service saw it last.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Gitea {
    pub(super) flavour: Option<String>,
    pub(super) version: Option<String>,
    pub(super) reachable: Option<bool>,
}

/// `/status/{name}`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Mirror {
    pub(super) name: String,
    pub(super) phase: String,
    pub(super) mode: Option<String>,
    pub(super) freshness: Freshness,
    pub(super) last_attempt_at: Option<String>,
    pub(super) consecutive_failures: u64,
    pub(super) interval: Option<String>,
    pub(super) upstream: Side,
    pub(super) gitea: Side,
    pub(super) problem: Option<Problem>,
    pub(super) waiting_for: Option<Problem>,
}

/// How far a copy is from its upstream.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Freshness {
    pub(super) state: String,
    pub(super) proven_at: Option<String>,
    pub(super) behind_since: Option<String>,
    pub(super) refs_behind: Option<u64>,
    pub(super) differing: Vec<Difference>,
    pub(super) unknown_since: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) observed_at: Option<String>,
}

/// A ref that is not as it must be.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Difference {
    #[serde(rename = "ref")]
    pub(super) name: String,
}

/// Upstream, or Gitea's copy.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Side {
    pub(super) url: Option<String>,
    pub(super) repository: Option<String>,
    pub(super) refs: Option<u64>,
    pub(super) commit: Option<String>,
}

/// Reads one of these out of an answer.
pub(super) fn read<T: DeserializeOwned>(value: &Value) -> Option<T> {
    serde::Deserialize::deserialize(value).ok()
}
