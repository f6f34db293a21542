//! Runs on the wire.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Outcome, Phase, ProblemBody, RunStatus, Trigger};
use crate::domain::evidence::Evidence;
use crate::domain::plan::{DryRun, Planned};
use crate::domain::refs::Difference;
use crate::domain::run::{End, Part, Run};

/// One accepted request to bring mirrors in sync.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Run)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct RunBody {
    /// Its id; ids sort by age. Null in a dry run, which is not kept.
    #[schema(required = true, format = "uuid", example = "019ab0de-7c00-7000-8000-000000000001")]
    id: Option<String>,
    /// Its status: `failed` if any mirror is, else `canceled` or `unverified` if any is.
    status: RunStatus,
    /// What started it.
    trigger: Trigger,
    /// The name of the caller's token, or `anonymous`.
    requested_by: String,
    /// Whether this only shows what would be done; its status is then the one in which it would end. Always false in a run
    /// that is kept.
    dry_run: bool,
    /// Whether this request joined a run that had been accepted before.
    coalesced: bool,
    /// When it was accepted.
    created_at: Timestamp,
    /// When work on its first mirror began.
    #[schema(required = true)]
    started_at: Option<Timestamp>,
    /// When its last mirror ended.
    #[schema(required = true)]
    finished_at: Option<Timestamp>,
    /// Its mirrors, in the order of the configuration.
    mirrors: Vec<PartBody>,
    /// A note for the caller who cancels a run: a clone that Gitea has begun continues.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    note: Option<&'static str>,
}

/// The note of a run that is canceled while Gitea clones.
pub(in crate::api) const CLONE_CONTINUES: &str = "Gitea was cloning upstream for this run, and the clone continues: only \
    the run is canceled. The next run finds the clone, waits for its end and proves it.";

/// One mirror's part of a run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RunMirror)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct PartBody {
    /// The mirror.
    name: String,
    /// Its phase, or the one in which it ended.
    phase: Phase,
    /// What a success did; null without one.
    #[schema(required = true)]
    outcome: Option<Outcome>,
    /// What proves a success; null without one.
    #[schema(required = true)]
    evidence: Option<EvidenceBody>,
    /// What was in the way; null while it is in flight and after a success.
    #[schema(required = true)]
    problem: Option<ProblemBody>,
    /// The legacy repository that had the mirror's name, as `owner/repo`: the run has renamed it, with its issues, releases
    /// and settings. Absent where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    kept_aside: Option<String>,
    /// Remarks on a success; absent without any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    /// In a dry run only: the calls that would be made, in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    plan: Option<Vec<PlannedCallBody>>,
}

/// A call that a dry run would have made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlannedCall)]
pub(in crate::api) struct PlannedCallBody {
    /// The call to Gitea.
    #[schema(example = "migrate")]
    call: &'static str,
    /// What it is for.
    #[schema(example = "Gitea has no repository openova/openova")]
    why: String,
}

/// The proof of a success: the branches and tags of both sides, read in this run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Evidence)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct EvidenceBody {
    /// How many branches and tags upstream has.
    refs: usize,
    /// SHA-256 over the lines `object-id SP name LF` of upstream's refs, sorted by name.
    #[schema(pattern = "^sha256:[0-9a-f]{64}$")]
    upstream_digest: String,
    /// The same of Gitea's refs, of the names that upstream has.
    #[schema(pattern = "^sha256:[0-9a-f]{64}$")]
    gitea_digest: String,
    /// Refs that differ: none, or there would be no evidence.
    #[schema(max_items = 100)]
    differing: Vec<DifferenceBody>,
    /// How many refs only Gitea has.
    only_in_gitea: usize,
    /// The branch that had to be there.
    tracked_branch: String,
    /// Its commit, the same on both sides.
    tracked_commit: String,
    /// Whether a sync of this run replaced the tracked branch's history; null where Gitea cannot tell, false when
    /// none moved the branch.
    #[schema(required = true)]
    rewritten: Option<bool>,
    /// Whether upstream says that its history is shallow. Only servers with protocol v0 alone say so.
    upstream_shallow: bool,
    /// When upstream was read.
    upstream_read_at: Timestamp,
    /// When Gitea was read.
    gitea_read_at: Timestamp,
}

/// One ref that differs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Difference)]
pub(in crate::api) struct DifferenceBody {
    /// The ref.
    #[serde(rename = "ref")]
    name: String,
    /// Its object upstream; null: upstream has no such ref.
    #[schema(required = true)]
    upstream: Option<String>,
    /// Its object in Gitea; null: missing.
    #[schema(required = true)]
    gitea: Option<String>,
}

impl DifferenceBody {
    pub(super) fn new(difference: &Difference) -> Self {
        Self {
            name: difference.name.to_string(),
            upstream: difference.upstream.as_ref().map(ToString::to_string),
            gitea: difference.gitea.as_ref().map(ToString::to_string),
        }
    }
}

/// A page of runs, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct RunList {
    /// The runs.
    pub(in crate::api) runs: Vec<RunBody>,
    /// What to give as `cursor` for the next page; null: this is the last.
    #[schema(required = true)]
    pub(in crate::api) next_cursor: Option<String>,
}

impl RunBody {
    /// The run; `coalesced` is a matter of the request that is answered.
    pub(in crate::api) fn new(run: &Run, coalesced: bool) -> Self {
        Self {
            id: Some(run.id.to_string()),
            status: RunStatus(run.status()),
            trigger: Trigger(run.trigger),
            requested_by: run.requested_by.clone(),
            dry_run: false,
            coalesced,
            created_at: run.created_at,
            started_at: run.started_at,
            finished_at: run.finished_at,
            mirrors: run.parts.iter().map(|part| PartBody::new(part)).collect(),
            note: None,
        }
    }

    /// A run that was just canceled; `in_gitea`: while Gitea was cloning for it.
    pub(in crate::api) fn canceled(run: &Run, in_gitea: bool) -> Self {
        Self { note: in_gitea.then_some(CLONE_CONTINUES), ..Self::new(run, false) }
    }

    /// What would be done.
    pub(in crate::api) fn dry(run: &DryRun) -> Self {
        let status = run.status();
        Self {
            id: None,
            status: RunStatus(status),
            trigger: Trigger(run.trigger),
            requested_by: run.requested_by.clone(),
            dry_run: true,
            coalesced: false,
            created_at: run.created_at,
            started_at: Some(run.created_at),
            finished_at: Some(run.finished_at).filter(|_| status.has_ended()),
            mirrors: run.mirrors.iter().map(PartBody::planned).collect(),
            note: None,
        }
    }
}

impl PartBody {
    pub(in crate::api) fn new(part: &Part) -> Self {
        let end = part.end.as_ref();
        Self {
            name: part.name.to_string(),
            phase: Phase(part.phase),
            outcome: end.and_then(End::outcome).map(Outcome),
            evidence: end.and_then(End::evidence).map(EvidenceBody::new),
            problem: ProblemBody::of(end.and_then(End::problem)),
            kept_aside: end.and_then(End::notes).and_then(|notes| notes.kept_aside.clone()),
            notes: end.and_then(End::notes).map(|notes| notes.remarks.clone()).unwrap_or_default(),
            plan: None,
        }
    }

    fn planned(planned: &Planned) -> Self {
        // what was only assumed is no proof
        let seen = planned.end.as_ref().filter(|_| planned.seen);
        Self {
            name: planned.name.to_string(),
            phase: Phase(planned.phase),
            outcome: planned.outcome().map(Outcome),
            evidence: seen.and_then(End::evidence).map(EvidenceBody::new),
            problem: ProblemBody::of(planned.problem.as_ref()),
            kept_aside: None,
            notes: Vec::new(),
            plan: Some(
                planned.steps.iter().map(|step| PlannedCallBody { call: step.call, why: step.why.clone() }).collect(),
            ),
        }
    }
}

impl EvidenceBody {
    fn new(evidence: &Evidence) -> Self {
        Self {
            refs: evidence.refs(),
            upstream_digest: evidence.upstream_digest().to_string(),
            gitea_digest: evidence.gitea_digest().to_string(),
            differing: Vec::new(),
            only_in_gitea: evidence.only_in_gitea(),
            tracked_branch: evidence.tracked_branch().to_owned(),
            tracked_commit: evidence.tracked_commit().to_string(),
            rewritten: evidence.rewritten(),
            upstream_shallow: evidence.upstream_shallow(),
            upstream_read_at: evidence.upstream_read_at(),
            gitea_read_at: evidence.gitea_read_at(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::domain::evidence::Seen;
    use crate::domain::problem::{Code, Problem};
    use crate::domain::refs::{ObjectId, RefList, RefName};
    use crate::domain::run::{self, RunId};
    use crate::domain::tests::spec;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn accepted() -> Run {
        let id = RunId(Uuid::from_u128(0x019a_b0de_7c00_7000_8000_0000_0000_0001));
        Run::accepted(id, run::Trigger::Api, "ops".into(), at(0), [spec().name])
    }

    #[test]
    fn an_accepted_run_has_every_member_of_the_contract() {
        let body = serde_json::to_value(RunBody::new(&accepted(), true)).unwrap();
        let mirror = json!({"name": "openova", "phase": "queued", "outcome": null, "evidence": null, "problem": null});
        let expected = json!({
            "id": "019ab0de-7c00-7000-8000-000000000001", "status": "queued", "trigger": "api", "requestedBy": "ops",
            "dryRun": false, "coalesced": true, "createdAt": "1970-01-01T00:00:00Z", "startedAt": null,
            "finishedAt": null, "mirrors": [mirror],
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn a_success_shows_its_evidence_and_a_failure_its_problem() {
        let main = RefName::parse("refs/heads/main").unwrap();
        let refs = RefList::complete([(main, ObjectId::parse(&"a".repeat(40)).unwrap())], None);
        let seen = Seen { at: at(5), value: &refs };
        let evidence = Evidence::prove(&spec(), &seen, &seen, Some(false)).unwrap();
        let mut run = accepted();
        run.end_part(
            &spec().name,
            &End::Succeeded { outcome: run::Outcome::Created, evidence, notes: run::Notes::default() },
            at(9),
        );
        let body = serde_json::to_value(RunBody::new(&run, false)).unwrap();
        assert_eq!(body["status"], "succeeded");
        assert_eq!(body["mirrors"][0]["outcome"], "created");
        let evidence = &body["mirrors"][0]["evidence"];
        let members: Vec<_> = evidence.as_object().unwrap().keys().map(String::as_str).collect();
        let mut expected = [
            "refs",
            "upstreamDigest",
            "giteaDigest",
            "differing",
            "onlyInGitea",
            "trackedBranch",
            "trackedCommit",
            "rewritten",
            "upstreamShallow",
            "upstreamReadAt",
            "giteaReadAt",
        ];
        expected.sort_unstable();
        assert_eq!(members, expected);
        assert_eq!(evidence["upstreamReadAt"], "1970-01-01T00:00:05Z");

        let mut run = accepted();
        run.end_part(&spec().name, &End::Failed { problem: Problem::new(Code::NotAMirror, "x") }, at(9));
        let body = serde_json::to_value(RunBody::new(&run, false)).unwrap();
        let problem = &body["mirrors"][0]["problem"];
        assert_eq!((&problem["type"], &problem["error"]), (&json!("/problems/not-a-mirror"), &json!("not-a-mirror")));
        assert_eq!((&problem["status"], &problem["retryable"]), (&json!(409), &json!(false)));
        assert!(problem.get("requestId").is_none() && problem["remedy"].is_string());
    }
}
