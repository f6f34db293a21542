//! The status, for a person.

use super::*;

#[tokio::test(start_paused = true)]
async fn status_is_for_a_person_and_cannot_move_the_cursor() {
    let mirror = json!({ "name": "openova", "phase": "syncing", "mode": "follow",
        "freshness": { "state": "behind", "provenAt": "2026-01-01T00:00:00Z", "behindSince": "2026-01-02T00:00:00Z", "refsBehind": 3,
            "differing": [{ "ref": "refs/heads/a\u{1b}b" }, { "ref": "refs/heads/main" }], "observedAt": "2026-01-03T00:00:00Z" },
        "lastAttemptAt": "2026-01-02T00:00:00Z", "consecutiveFailures": 2, "interval": "10m0s",
        "upstream": { "url": "https://github.com/a/b", "refs": 812, "commit": "9f2c0123456789" },
        "gitea": { "repository": "a/b", "id": 7, "refs": null, "commit": null },
        "problem": { "error": "sync-failing", "detail": "a\u{1b}[2Jb", "remedy": "Look.", "retryable": true } });
    let all = json!({ "mirrors": [mirror], "gitea": { "flavour": "forgejo", "version": "11.0", "reachable": false } });
    let shown = ran("status", [Answer::Json(200, all.clone())]).await;
    assert_eq!(
        shown.out,
        "✗ openova  behind, 3 refs, since 2026-01-02T00:00:00Z  now syncing
    proven      2026-01-01T00:00:00Z
    observed    2026-01-03T00:00:00Z
    differing   refs/heads/a b, refs/heads/main, …
    upstream    https://github.com/a/b  9f2c01234567  812 refs
    Gitea       a/b
    interval    10m0s (follow)
    last run    2026-01-02T00:00:00Z, the last 2 failed
    sync-failing: a [2Jb
    → Look.
    May succeed when you try again.

forgejo 11.0 is not reachable
"
    );
    let one = ran("status openova --json", [Answer::Json(200, mirror.clone())]).await;
    assert_eq!(serde_json::from_str::<Value>(&one.out).unwrap(), mirror);
    assert_eq!(one.asked[0].uri().path(), "/status/openova");
}

#[tokio::test(start_paused = true)]
async fn a_watched_status_is_asked_every_two_seconds_and_shown_when_it_changes() {
    let answer =
        |state: &str| Answer::Json(200, json!({ "mirrors": [{ "name": "a", "freshness": { "state": state } }] }));
    let service = Arc::new(Service::default());
    service.answers.lock().unwrap().extend([answer("unknown"), answer("unknown"), Answer::Away, answer("fresh")]);
    let out = Text::default();
    let mut console = Console::plain(Box::new(out.clone()), Box::new(std::io::sink()));
    let arguments = ["x", "status", "--watch", "--json"].map(OsString::from);
    let Command::Client(command) = parse(arguments).unwrap() else { panic!("a client's command") };
    let watching = run(command, Arc::clone(&service) as Arc<dyn Transport>, &mut console);
    assert!(tokio::time::timeout(Duration::from_secs(9), watching).await.is_err(), "it goes on");
    assert_eq!(service.asked.lock().unwrap().len(), 5);
    let shown = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
    assert_eq!(shown.lines().count(), 2, "{shown}");
}

#[tokio::test(start_paused = true)]
async fn a_status_says_what_is_waited_for_and_counts_one_ref() {
    let mirror = json!({ "name": "openova", "phase": "connecting",
        "freshness": { "state": "behind", "refsBehind": 1, "behindSince": "2026-01-02T00:00:00Z" },
        "upstream": { "url": "https://github.com/a/b", "refs": 1 }, "gitea": { "repository": "a/b", "refs": 2 },
        "waitingFor": { "error": "gitea-unreachable", "detail": "refused", "remedy": "Look." } });
    let shown = ran("status", [Answer::Json(200, json!({ "mirrors": [mirror] }))]).await.out;
    assert!(shown.contains("behind, 1 ref, since 2026-01-02T00:00:00Z  now connecting\n"), "{shown}");
    assert!(shown.contains("b  1 ref\n") && shown.contains("a/b  2 refs\n"), "{shown}");
    assert!(shown.contains("    waiting for\n    gitea-unreachable: refused\n    → Look.\n"), "{shown}");
}
