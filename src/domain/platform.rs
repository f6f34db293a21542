//! The platform around us, as its status tells: where its cutover stands, and what it is told of our step.
//!
//! Owns what its keys mean. The cutover moves the platform's own source into this very Gitea at one step, the pivot:
//! a repository that is made here after it would take the place of what the platform runs from. Asks nobody: a
//! [`Platform`] does, which `app` fills with `kube`.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;

use jiff::Timestamp;

use super::refs::{Digest, ObjectId};
use super::run::{End, Outcome, RunId};
use super::spec::MirrorSpec;

/// The step at which the platform's source becomes this Gitea.
const PIVOT: &str = "flux-gitrepository-patch";

/// The steps before it. Every other one comes after it, also one that is not known here.
const BEFORE: [&str; 4] = ["gitea-mirror", "harbor-projects", "harbor-prewarm", "registry-pivot"];

/// Whether the whole cutover is done.
const COMPLETE: &str = "cutoverComplete";

/// What we write beside the commit is under this prefix.
const OURS: &str = "giteaMirror.";

/// The commit that our step has mirrored, as the platform's console reads it.
const COMMIT: &str = "mirroredCommitSHA";

/// Says that we have made the status, since there was none.
const MADE_BY_US: &str = "giteaMirror.statusCreatedBy";

/// The platform's status: texts under keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlatformStatus(pub BTreeMap<String, String>);

impl PlatformStatus {
    /// Whether it says that the cutover is complete.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.0.get(COMPLETE).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
    }

    /// Where it stands as to the pivot.
    #[must_use]
    pub fn pivot(&self) -> PivotAnswer {
        if self.is_complete() {
            return PivotAnswer::Past { because: format!("{COMPLETE} is true") };
        }
        for (key, value) in &self.0 {
            let Some(step) = key.strip_prefix("step.").and_then(|rest| rest.strip_suffix(".result")) else { continue };
            let result = value.trim().to_ascii_lowercase();
            let past = match Place::of(step) {
                Place::Before => false,
                Place::Pivot => matches!(result.as_str(), "success" | "running"),
                Place::After => !result.is_empty(),
            };
            if past {
                return PivotAnswer::Past { because: format!("{key} is {result}") };
            }
        }
        let nobody_else_s = |key: &String| key == COMPLETE || key == COMMIT || key.starts_with(OURS);
        if self.0.contains_key(MADE_BY_US) && self.0.keys().all(nobody_else_s) {
            // what we have made ourselves tells nothing of the platform
            return PivotAnswer::NoStatus;
        }
        PivotAnswer::Before
    }
}

/// Where a step stands.
enum Place {
    Before,
    Pivot,
    After,
}

impl Place {
    /// A name may have a region behind it: `gitea-mirror.region.b`.
    fn of(step: &str) -> Self {
        let name = step.split_once(".region.").map_or(step, |(name, _)| name);
        if name == PIVOT {
            Self::Pivot
        } else if BEFORE.contains(&name) {
            Self::Before
        } else {
            Self::After
        }
    }
}

/// Whether the platform is past its pivot, as far as its status tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PivotAnswer {
    /// It is not.
    Before,
    /// It is.
    Past {
        /// What says so, for a person.
        because: String,
    },
    /// There is no status.
    NoStatus,
    /// It cannot be read.
    Unreadable {
        /// Why, for a person; without a secret.
        why: String,
    },
}

/// What the platform is told of a success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    spec: MirrorSummary,
    outcome: Outcome,
    commit: ObjectId,
    refs: usize,
    digest: Digest,
    at: Timestamp,
    run: RunId,
}

/// What names the mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
struct MirrorSummary {
    name: String,
    repository: String,
    branch: String,
}

impl Proven {
    /// What there is to tell of an end; `None`: it is no success.
    #[must_use]
    pub fn of(spec: &MirrorSpec, run: RunId, end: &End) -> Option<Self> {
        let End::Succeeded { outcome, evidence, .. } = end else { return None };
        Some(Self {
            spec: MirrorSummary {
                name: spec.name.to_string(),
                repository: spec.full_name(),
                branch: evidence.tracked_branch().to_owned(),
            },
            outcome: *outcome,
            commit: evidence.tracked_commit().clone(),
            refs: evidence.refs(),
            digest: evidence.upstream_digest().clone(),
            at: evidence.proven_at(),
            run,
        })
    }

    /// The keys that are ours, with their values.
    #[must_use]
    pub fn keys(&self) -> BTreeMap<String, String> {
        let ours = [
            ("mirror", self.spec.name.clone()),
            ("repository", self.spec.repository.clone()),
            ("branch", self.spec.branch.clone()),
            ("result", "success".to_owned()),
            ("outcome", self.outcome.label().to_owned()),
            ("provenAt", self.at.to_string()),
            ("refs", self.refs.to_string()),
            ("upstreamDigest", self.digest.to_string()),
            ("runId", self.run.to_string()),
            // a pull mirror cannot be pushed to, which a later step of the platform may want
            ("writable", "false".to_owned()),
        ];
        let mut keys: BTreeMap<_, _> = ours.into_iter().map(|(key, value)| (format!("{OURS}{key}"), value)).collect();
        keys.insert(COMMIT.to_owned(), self.commit.to_string());
        keys
    }

    /// The whole status, where there is none.
    #[must_use]
    pub fn first_status(&self) -> BTreeMap<String, String> {
        let mut keys = self.keys();
        keys.insert(COMPLETE.to_owned(), "false".to_owned());
        keys.insert(MADE_BY_US.to_owned(), "cutover-api".to_owned());
        keys
    }
}

/// Asks the platform, and tells it.
pub trait Platform: fmt::Debug + Send + Sync {
    /// Whether it is past its pivot, asked for now.
    fn pivot(&self) -> Pin<Box<dyn Future<Output = PivotAnswer> + Send + '_>>;

    /// Whether its cutover is complete, from memory; what is old is read anew behind the caller's back. `None`: nobody
    /// knows yet.
    fn cutover_complete(&self) -> Option<bool>;

    /// Tells it of a success. Nobody waits for that, and nothing depends on it.
    fn proven(&self, proven: Proven);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pivot(keys: &[(&str, &str)]) -> PivotAnswer {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        PlatformStatus(keys.iter().map(own).collect()).pivot()
    }

    #[test]
    fn the_pivot_is_past_when_the_cutover_is_complete_or_its_step_or_a_later_one_has_begun() {
        let steps = ["gitea-mirror", "harbor-projects", "harbor-prewarm", "registry-pivot", "gitea-mirror.region.b"];
        for result in ["", "running", "success", "failed", "skipped"] {
            for step in steps {
                let key = format!("step.{step}.result");
                assert_eq!(pivot(&[("cutoverComplete", "false"), (&key, result)]), PivotAnswer::Before, "{key}");
            }
            // the table's own row: only these two
            let past = matches!(result, "running" | "success");
            let answer = pivot(&[("step.flux-gitrepository-patch.result", result)]);
            assert_eq!(matches!(answer, PivotAnswer::Past { .. }), past, "{result}");
            for later in ["helmrepository-patches", "catalyst-api-env-patch", "egress-block-test", "never-heard-of"] {
                let answer = pivot(&[(&format!("step.{later}.result"), result)]);
                assert_eq!(matches!(answer, PivotAnswer::Past { .. }), !result.is_empty(), "{later} {result}");
            }
        }
        for complete in ["true", "True", " true\n"] {
            assert!(matches!(pivot(&[("cutoverComplete", complete)]), PivotAnswer::Past { .. }));
        }
        for before in [&[][..], &[("cutoverComplete", "false")], &[("cutoverComplete", "")]] {
            assert_eq!(pivot(before), PivotAnswer::Before, "{before:?}");
        }
        let started = [("step.helmrepository-patches.startedAt", "2026-01-01T00:00:00Z"), ("currentStep", "x")];
        assert_eq!(pivot(&started), PivotAnswer::Before, "a result is what tells");
    }

    #[test]
    fn a_status_that_we_have_made_ourselves_tells_nothing_until_somebody_else_writes() {
        let ours =
            [("cutoverComplete", "false"), ("giteaMirror.statusCreatedBy", "cutover-api"), ("mirroredCommitSHA", "a")];
        assert_eq!(pivot(&ours), PivotAnswer::NoStatus);
        let mut more = ours.to_vec();
        more.push(("step.gitea-mirror.result", ""));
        assert_eq!(pivot(&more), PivotAnswer::Before);
        more.push(("cutoverComplete", "true"));
        assert!(matches!(pivot(&more), PivotAnswer::Past { .. }));
    }
}
