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
        "Status" => Some(json!({
            "mirrors": [mirror()],
            "latestRun": run(),
            "gitea": {"flavour": "gitea", "version": "1.26.4", "reachable": true},
            "state": "tethered",
            "cutoverComplete": false,
            "steps": [{"name": "gitea-mirror", "result": "success"}],
            "failedStep": null,
            "lastError": null,
            "mirroredCommitSHA": "9f2c1a7be1d84c5a9a0d3f6f5f0f3d0c6a4b2e11",
        })),
        "Hook" => Some(json!({
            "matched": ["openova"], "reason": null, "run": "019ab0de-7c00-7000-8000-000000000001", "coalesced": false,
        })),
        "Well" => Some(json!({"status": "ok"})),
        _ => None,
    }
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
    })
}
