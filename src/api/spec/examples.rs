//! What a good answer looks like, for the specification. A linter holds each to its schema.

use serde_json::{Value, json};
use utoipa::openapi::{Content, RefOr};

/// The example of what a content holds, if it has one.
pub(super) fn of(content: &Content) -> Option<Value> {
    let Some(RefOr::Ref(schema)) = &content.schema else { return None };
    match schema.ref_location.rsplit('/').next()? {
        "Run" => Some(run()),
        "RunList" => Some(json!({"runs": [run()], "nextCursor": null})),
        "Mirror" => Some(mirror()),
        "MirrorMode" => Some(json!({
            "name": "openova", "mode": "pinned", "configured": "follow", "source": "api", "by": "ops",
            "at": "2026-11-23T09:00:06Z", "reason": "release freeze until Monday", "convert": false, "applied": true,
            "lasting": true, "problem": null,
        })),
        "Status" => Some(json!({
            "mirrors": [mirror()],
            "latestRun": run(),
            "gitea": {"flavour": "gitea", "version": "1.26.4", "reachable": true},
            "state": "tethered",
            "cutoverComplete": false,
            "steps": [{
                "name": "gitea-mirror", "result": "success", "startedAt": "2026-11-23T09:00:00Z",
                "attemptStartedAt": "2026-11-23T09:00:00Z", "finishedAt": "2026-11-23T09:00:07Z",
                "updatedAt": "2026-11-23T09:04:12Z",
            }],
            "failedStep": null,
            "lastError": null,
            "mirroredCommitSHA": "9f2c1a7be1d84c5a9a0d3f6f5f0f3d0c6a4b2e11",
        })),
        "Event" => Some(json!({
            "at": "2026-11-23T09:00:03Z",
            "runId": "019ab0de-7c00-7000-8000-000000000001",
            "mirror": {"name": "openova", "phase": "migrating", "waitingFor": null},
        })),
        "Hook" => Some(json!({
            "matched": ["openova"], "reason": null, "run": "019ab0de-7c00-7000-8000-000000000001", "coalesced": false,
        })),
        "Well" => Some(json!({"status": "ok"})),
        _ => None,
    }
}

/// The examples of an operation's good answer that can look in more than one way: a name, a summary and a value each.
pub(super) fn several(operation: &str) -> Vec<(&'static str, &'static str, Value)> {
    match operation {
        "startRun" => vec![
            ("proven", "The run, which ended within the time that the caller waits", run()),
            ("dry-run", "What would be done", dry_run()),
        ],
        "cancelRun" => vec![("canceled", "The run, taken out in mid-clone", canceled())],
        _ => Vec::new(),
    }
}

/// The example of a run with other values in some of its members, and of its one mirror's.
fn run_with(members: Value, mirror: Value) -> Value {
    let mut run = run();
    put(&mut run["mirrors"][0], mirror);
    put(&mut run, members);
    run
}

fn put(object: &mut Value, members: Value) {
    if let (Some(object), Value::Object(members)) = (object.as_object_mut(), members) {
        object.extend(members);
    }
}

fn dry_run() -> Value {
    run_with(
        json!({"id": null, "dryRun": true}),
        json!({"evidence": null, "plan": [
            {"call": "migrate", "why": "Gitea has no repository openova/openova: it is made as a mirror of https://github.com/openova-io/openova"},
            {"call": "patch_settings", "why": "pruning has to be off, and Gitea does not show whether it is"},
        ]}),
    )
}

fn canceled() -> Value {
    run_with(
        json!({"status": "canceled", "note": super::CLONE_CONTINUES}),
        json!({"phase": "canceled", "outcome": null, "evidence": null}),
    )
}

fn run() -> Value {
    serde_json::from_str(include_str!("../examples/run.json")).expect("the example is JSON")
}

fn mirror() -> Value {
    json!({
        "name": "openova",
        "phase": "idle",
        "mode": "follow",
        "writable": false,
        "freshness": {
            "state": "fresh", "provenAt": "2026-11-23T09:00:06Z", "behindSince": null, "refsBehind": 0, "reason": null,
        },
        "lastAttemptAt": "2026-11-23T09:00:07Z",
        "consecutiveFailures": 0,
        "interval": "10m0s",
        "upstream": {
            "url": "https://github.com/openova-io/openova",
            "refs": 812,
            "commit": "9f2c1a7be1d84c5a9a0d3f6f5f0f3d0c6a4b2e11",
        },
        "gitea": {
            "repository": "openova/openova",
            "id": 7,
            "refs": 812,
            "commit": "9f2c1a7be1d84c5a9a0d3f6f5f0f3d0c6a4b2e11",
        },
        "problem": null,
        "waitingFor": null,
        "leftAside": null,
        "modeChange": {
            "source": "configuration", "by": null, "at": null, "reason": null, "convert": false, "applied": true,
            "lasting": true, "problem": null,
        },
    })
}
