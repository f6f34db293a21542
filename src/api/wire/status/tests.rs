use std::sync::Arc;

use serde_json::{Value, json};

use super::step::is_under_way;
use super::*;
use crate::domain::problem::Code;
use crate::domain::run;

use crate::domain::status::{Behind, GiteaStatus, Unknown};
use crate::domain::tests::spec;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn status(change: impl FnOnce(&mut MirrorStatus)) -> Status {
    let mut mirror = MirrorStatus::unseen(Arc::new(spec()));
    change(&mut mirror);
    Status { mirrors: vec![Arc::new(mirror)], latest_run: None, gitea: GiteaStatus::default(), cutover_complete: None }
}

fn body(status: &Status) -> Value {
    serde_json::to_value(StatusBody::new(status, at(1_000))).unwrap()
}

#[test]
fn a_service_that_has_seen_nothing_says_so() {
    let expected = json!({
        "mirrors": [{
            "name": "openova", "phase": "idle", "mode": "follow", "writable": false,
            "freshness": {
                "state": "unknown", "provenAt": null, "behindSince": null, "refsBehind": null, "differing": [],
                "unknownSince": null, "reason": "never-proven", "observedAt": null,
            },
            "lastAttemptAt": null, "consecutiveFailures": 0, "interval": "10m0s",
            "upstream": {"url": "https://github.com/openova-io/openova", "refs": null, "commit": null},
            "gitea": {"repository": "openova/openova", "id": null, "refs": null, "commit": null},
            "problem": null, "waitingFor": null, "leftAside": null, "modeChange": {
                "source": "configuration", "by": null, "at": null, "reason": null, "convert": false, "applied": true,
                "lasting": true, "problem": null,
            },
        }],
        "nextCursor": null, "latestRun": null, "gitea": {"flavour": null, "version": null, "reachable": null},
        "state": "tethered", "cutoverComplete": false, "steps": [{
            "name": "gitea-mirror", "result": "", "startedAt": null, "attemptStartedAt": null, "finishedAt": null,
            "updatedAt": null,
        }],
        "failedStep": null, "lastError": null, "mirroredCommitSHA": null,
    });
    assert_eq!(body(&status(|_| {})), expected);
}

#[test]
fn the_step_follows_the_phase_and_then_how_the_latest_attempt_ended() {
    let result = |status: &Status| body(status)["steps"][0]["result"].clone();
    for phase in run::Phase::ALL {
        let running = is_under_way(*phase);
        assert_eq!(result(&status(|mirror| mirror.phase = *phase)) == "running", running, "{phase}");
    }
    let finished = |phase| {
        let status = status(|mirror| (mirror.phase, mirror.facts.last_attempt_at) = (phase, Some(at(7))));
        body(&status)["steps"][0]["finishedAt"].clone()
    };
    assert_eq!(
        (finished(run::Phase::Idle), finished(run::Phase::Syncing)),
        (json!("1970-01-01T00:00:07Z"), Value::Null)
    );
    for (end, told) in [
        (None, ""),
        (Some(run::Phase::Succeeded), "success"),
        (Some(run::Phase::Unverified), "skipped"),
        (Some(run::Phase::Failed), "failed"),
    ] {
        assert_eq!(result(&status(|mirror| mirror.facts.last_end = end)), told);
    }
}

#[test]
fn a_failure_of_the_first_mirror_is_told_to_the_console() {
    let failed = status(|mirror| {
        mirror.facts.last_end = Some(run::Phase::Failed);
        mirror.facts.consecutive_failures = 2;
        mirror.facts.problem = Some(Problem::new(Code::NotAMirror, "a regular repository is there"));
        mirror.facts.unknown = Some(Unknown { since: at(5), code: Some(Code::NotAMirror) });
    });
    let body = body(&failed);
    assert_eq!(body["failedStep"], "gitea-mirror");
    assert_eq!(body["lastError"], "not-a-mirror: a regular repository is there");
    assert_eq!(body["mirrors"][0]["problem"]["status"], 409);
    assert_eq!(body["mirrors"][0]["freshness"]["reason"], "not-a-mirror");
}

#[test]
fn behind_says_since_when_and_how_far_and_waiting_says_for_what() {
    let seen = status(|mirror| {
        mirror.facts.behind = Some(Behind { since: at(900), refs: 3, ..Behind::default() });
        mirror.waiting_for = Some(Problem::new(Code::GiteaUnreachable, "refused"));
    });
    let body = body(&seen);
    let freshness = &body["mirrors"][0]["freshness"];
    assert_eq!((&freshness["state"], &freshness["refsBehind"]), (&json!("behind"), &json!(3)));
    assert_eq!(freshness["behindSince"], "1970-01-01T00:15:00Z");
    assert_eq!(body["mirrors"][0]["waitingFor"]["error"], "gitea-unreachable");
    assert_eq!(body["mirrors"][0]["waitingFor"]["detail"], "refused");
}
