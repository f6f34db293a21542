//! What a run may do, what it would do, and how its end is told.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_dry_run_is_shown_call_by_call_and_never_followed() {
    let part = |name: &str, phase: &str, outcome: Value, plan: Value, problem: Value| json!({ "name": name, "phase": phase, "outcome": outcome, "evidence": null, "problem": problem, "plan": plan });
    let calls = json!([{ "call": "migrate", "why": "Gitea has no repository a/b\u{1b}[2J" }, { "call": "patch_settings", "why": "pruning" }]);
    let dry = |status: &str, parts: Value| json!({ "id": null, "dryRun": true, "status": status, "coalesced": false, "mirrors": parts });
    let one = part("one", "succeeded", json!("created"), calls, Value::Null);
    let two = part("two", "failed", Value::Null, json!([]), problem("not-a-mirror", false));
    let good = ran("mirror one --dry-run --wait", [Answer::Json(200, dry("succeeded", json!([one])))]).await;
    assert_eq!(
        good.out,
        "one  would end created\n    1. migrate: Gitea has no repository a/b [2J\n    2. patch_settings: pruning\nDry run: nothing was changed.\n"
    );
    assert_eq!((good.exit, good.asked.len()), (ExitStatus::Proven, 1));
    assert_eq!(&good.asked[0].body()[..], br#"{"dryRun":true,"mirrors":["one"]}"#);
    let bad = ran("mirror --dry-run", [Answer::Json(200, dry("failed", json!([one, two])))]).await;
    assert_eq!(bad.exit, ExitStatus::Failed);
    assert!(
        bad.out.contains("two  would fail without changing anything\n    not-a-mirror: what happened"),
        "{}",
        bad.out
    );
    let waits = part("one", "migrating", Value::Null, json!([]), Value::Null);
    assert_eq!(
        ran("mirror --dry-run", [Answer::Json(200, dry("running", json!([waits])))]).await.exit,
        ExitStatus::Proven
    );
    let done = ran("mirror --dry-run", [Answer::Json(202, under_way("queued"))]).await;
    assert_eq!(done.exit, ExitStatus::Unreachable, "a service that began a run has not shown one");
}

#[tokio::test(start_paused = true)]
async fn options_go_into_the_body_as_the_service_spells_them() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let line = format!("mirror --on-legacy rename-aside --accept-upstream {digest}");
    let asked = ran(&line, [Answer::Json(202, under_way("queued"))]).await.asked;
    let body: Value = serde_json::from_slice(asked[0].body()).unwrap();
    assert_eq!(body, json!({ "onLegacy": "renameAside", "acceptUpstream": digest }));
}

#[tokio::test(start_paused = true)]
async fn exit_zero_hides_the_exit_code_and_not_what_happened() {
    for (line, answer, words) in [
        ("mirror --wait --exit-zero", Answer::Json(200, failed("not-a-mirror", false)), "it would have been 1."),
        ("mirror --keep-trying --timeout 4m --exit-zero", Answer::Away, "it would have been 6."),
        ("mirror --exit-zero", Answer::Json(401, problem("unauthenticated", false)), "it would have been 5."),
        ("mirror --exit-zero --token-file /nowhere", Answer::Away, "it would have been 2."),
        ("mirror --exit-zero --url ftp://x", Answer::Away, "it would have been 2."),
    ] {
        let ran = ran(line, [answer]).await;
        assert_eq!(ran.exit, ExitStatus::Proven, "{line}");
        assert!(ran.err.contains(words), "{line}: {}", ran.err);
    }
    let proven = ran("mirror --exit-zero", [Answer::Json(202, under_way("queued"))]).await;
    assert!(!proven.err.contains("would have been"), "{}", proven.err);
}

#[tokio::test(start_paused = true)]
async fn a_label_begins_every_line() {
    let answers = [Answer::Json(202, under_way("migrating")), Answer::Json(200, failed("not-a-mirror", false))];
    let ran = ran("mirror --wait --label gitea-mirror", answers).await;
    assert!(ran.err.contains("[gitea-mirror] [openova] migrating\n"), "{}", ran.err);
    let lines: Vec<&str> = ran.out.lines().chain(ran.err.lines()).collect();
    assert!(lines.len() > 3 && lines.iter().all(|line| line.starts_with("[gitea-mirror] ")), "{lines:#?}");
}
