//! Modes over HTTP: their effect in Gitea, that a stopped mirror is left alone, and who may set them.

mod observations;
mod precedence;
mod races;

use std::time::Duration;

use axum::body::Body;
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use standin::{CallKind, Fault};

use crate::world::{Answer, GITEA, VIEWER, World, story, story_anywhere, story_everywhere};

const PATCH: &str = "PATCH /api/v1/repos/openova/one";
const SYNC: &str = "POST /api/v1/repos/openova/one/mirror-sync";
const CONVERT: &str = "POST /api/v1/repos/openova/one/convert";

async fn put(world: &World, body: &Value) -> Answer {
    world.put_mode("one", body).await
}

/// Sets a mode, and demands that it is carried out at once.
#[track_caller]
fn set<'a>(world: &'a World, mode: &'a str) -> impl Future<Output = Value> + 'a {
    let at = std::panic::Location::caller();
    async move {
        let answer = put(world, &json!({ "mode": mode, "reason": "a test" })).await;
        assert_eq!(answer.status, StatusCode::OK, "at {at}: {answer:?}");
        let body = answer.json();
        assert_eq!((&body["mode"], &body["applied"]), (&json!(mode), &json!(true)), "at {at}: {body:#}");
        body
    }
}

async fn status(world: &World) -> Value {
    world.get("/status/one").await.json()
}

async fn interval(world: &World) -> Value {
    world.repository().await["mirror_interval"].clone()
}

/// Waits until the mode that counts stands in Gitea.
async fn until_applied(world: &World) -> Value {
    for _ in 0..4_000 {
        let status = status(world).await;
        if status["modeChange"]["applied"] == true && status["phase"] == "idle" {
            return status;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("never carried out: {:#}", status(world).await);
}

#[test]
fn a_pinned_mirror_stands_still_in_gitea_until_it_follows_again_rows_10_and_11() {
    story_everywhere(async |mut world| {
        world.start().await;
        world.expect("created").await;
        let body = set(&world, "pinned").await;
        assert_eq!((&body["source"], &body["by"], &body["reason"]), (&json!("api"), &json!("ops"), &json!("a test")));
        assert_eq!((&body["configured"], &body["lasting"]), (&json!("follow"), &json!(true)));
        assert_eq!(interval(&world).await, "0s");
        world.upstream.commit("one", "main", 1);
        let problem = world.expect_failure("mode-refuses").await;
        assert_eq!(problem["detail"], "one is pinned by ops: a test");
        assert!(problem["remedy"].as_str().unwrap().contains("PUT /mirrors/one/mode"), "{problem}");
        let status = status(&world).await;
        assert_eq!((&status["mode"], &status["modeChange"]["by"]), (&json!("pinned"), &json!("ops")), "{status:#}");
        // a refusal by mode finds nothing out, and is no failing mirror
        assert_eq!((&status["consecutiveFailures"], &status["problem"]), (&json!(0), &json!(null)), "{status:#}");
        set(&world, "follow").await;
        assert_eq!(interval(&world).await, "10m0s");
        world.expect("synced").await;
    });
}

#[test]
fn a_run_and_a_dry_run_on_a_severed_mirror_call_neither_upstream_nor_gitea() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        set(&world, "severed").await;
        assert_eq!(interval(&world).await, "0s");
        world.upstream.clear_calls();
        world.gitea().clear_calls();
        world.expect_failure("mode-refuses").await;
        let dry = world.post(&json!({ "dryRun": true })).await.json();
        assert_eq!((&dry["status"], &dry["mirrors"][0]["plan"]), (&json!("failed"), &json!([])), "{dry:#}");
        assert_eq!(dry["mirrors"][0]["problem"]["error"], "mode-refuses", "{dry:#}");
        assert_eq!((world.upstream.calls().len(), world.gitea().calls().len()), (0, 0));
    });
}

#[test]
fn a_mode_that_gitea_cannot_take_now_is_carried_out_when_it_can_also_after_a_crash() {
    for crash in [false, true] {
        story(async |mut world| {
            world.start().await;
            world.expect("created").await;
            let router = world.in_process.down(GITEA).unwrap();
            let answer = put(&world, &json!({ "mode": "pinned" })).await;
            let body = answer.json();
            assert_eq!((answer.status, &body["applied"]), (StatusCode::ACCEPTED, &json!(false)), "{body:#}");
            assert_eq!(body["problem"]["error"], "gitea-unreachable", "{body:#}");
            assert_eq!(answer.headers[header::LOCATION], "/status/one");
            // it counts already
            world.expect_failure("mode-refuses").await;
            if crash {
                world.crash();
                world.start().await;
            }
            world.in_process.up(GITEA, router);
            let status = until_applied(&world).await;
            assert_eq!((&status["mode"], &status["modeChange"]["problem"]), (&json!("pinned"), &json!(null)));
            assert_eq!(interval(&world).await, "0s");
        });
    }
}

#[test]
fn a_mode_that_was_given_up_is_tried_anew_when_it_is_asked_for_again() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        let router = world.in_process.down(GITEA).unwrap();
        put(&world, &json!({ "mode": "pinned" })).await;
        tokio::time::sleep(Duration::from_mins(32)).await;
        world.in_process.up(GITEA, router);
        let given_up = status(&world).await;
        assert_eq!(given_up["modeChange"]["problem"]["error"], "gitea-unreachable", "{given_up:#}");
        assert_eq!((&given_up["phase"], interval(&world).await), (&json!("idle"), json!("10m0s")));
        let metrics = world.get("/metrics").await.text;
        assert!(metrics.contains("cutover_mirror_mode_applied{mirror=\"one\"} 0\n"), "{metrics}");
        set(&world, "pinned").await;
        assert_eq!(interval(&world).await, "0s");
    });
}

#[test]
fn a_call_of_unknown_outcome_is_looked_for_and_ends_in_one_effect() {
    for fault in [Fault::ExecuteThenCut, Fault::CutBefore, Fault::ExecuteThenHang, Fault::Hang] {
        story(async |mut world| {
            world.start().await;
            world.expect("created").await;
            world.gitea().clear_calls();
            world.gitea().fault_once(CallKind::PatchRepository, fault.clone());
            put(&world, &json!({ "mode": "severed" })).await;
            until_applied(&world).await;
            assert_eq!(interval(&world).await, "0s", "{fault:?}");
            let done = matches!(fault, Fault::ExecuteThenCut | Fault::ExecuteThenHang);
            assert_eq!(world.count(PATCH), if done { 1 } else { 2 }, "{fault:?}");
        });
    }
}

#[test]
fn a_run_under_way_is_refused_and_its_sync_cannot_set_the_mirror_going_again() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.gitea().set_sync_delay(Duration::from_secs(90));
        world.upstream.commit("one", "main", 1);
        let id = world.ask().await;
        world.until_phase(&id, "syncing").await;
        // Gitea has begun: it writes its row back when it ends
        tokio::time::sleep(Duration::from_secs(5)).await;
        world.gitea().clear_calls();
        let answer = put(&world, &json!({ "mode": "pinned" })).await;
        let run = world.end_of(&id).await;
        assert_eq!(
            (&run["status"], &run["mirrors"][0]["problem"]["error"]),
            (&json!("failed"), &json!("mode-refuses"))
        );
        let body = answer.json();
        assert_eq!((answer.status, &body["applied"]), (StatusCode::ACCEPTED, &json!(false)), "{body:#}");
        assert_eq!(interval(&world).await, "0s", "it is set at once, and again after the sync");
        until_applied(&world).await;
        assert_eq!((interval(&world).await, world.count(PATCH), world.count(SYNC)), (json!("0s"), 2, 0));
        tokio::time::sleep(Duration::from_mins(30)).await;
        assert_eq!(interval(&world).await, "0s");
    });
}

#[test]
fn a_repository_that_stands_aside_gets_its_name_back_before_the_mirror_stands_still() {
    story(async |mut world| {
        world.gitea().add_org("openova", "bot");
        world.gitea().add_repository("openova", "one");
        let id = world.gitea().repository("openova", "one").unwrap().id;
        world.extra = "onLegacy: renameAside".into();
        world.start().await;
        // the mirror is never made: the name is free all the while
        world
            .gitea()
            .fault(CallKind::Migrate, Fault::Status(500, "application/json", "{\"message\":\"\",\"url\":\"\"}".into()));
        let run = world.ask().await;
        while !world.changes().iter().any(|call| call.ends_with("/migrate")) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        put(&world, &json!({ "mode": "pinned" })).await;
        let run = world.end_of(&run).await;
        assert_eq!(run["mirrors"][0]["problem"]["error"], "mode-refuses", "{run:#}");
        assert_eq!(world.gitea().repository("openova", "one").map(|view| view.id), Some(id));
        until_applied(&world).await;
    });
}

#[test]
fn an_absent_repository_can_be_pinned_and_is_made_only_once_it_may_follow() {
    story(async |mut world| {
        world.start().await;
        set(&world, "pinned").await;
        world.expect_failure("mode-refuses").await;
        assert_eq!(world.changes(), Vec::<String>::new());
        set(&world, "follow").await;
        world.expect("created").await;
        assert_eq!(interval(&world).await, "10m0s");
    });
}

#[test]
fn a_mirror_of_another_upstream_is_not_ours_to_stop() {
    story_anywhere(async |mut world| {
        world.upstream.create_sample("other");
        let other = json!({
            "clone_addr": world.upstream.url("other"), "repo_owner": world.owner, "repo_name": "one", "mirror": true,
        });
        for (path, body) in [("/orgs", json!({ "username": world.owner })), ("/repos/migrate", other)] {
            assert_eq!(world.gitea_api(Method::POST, path, Some(body)).await.0, 201);
        }
        world.start().await;
        world.clear_calls();
        let answer = put(&world, &json!({ "mode": "pinned" })).await;
        assert_eq!(answer.json()["problem"]["error"], "upstream-mismatch", "{answer:?}");
        assert_eq!((answer.status, world.changes()), (StatusCode::ACCEPTED, Vec::new()));
    });
}

/// Whether Gitea offers the call that makes a mirror a regular repository: Forgejo does since 13.
async fn converts(world: &World) -> bool {
    let version = world.version().await;
    version.contains("+gitea-") && version.split('.').next().unwrap().parse::<u32>().unwrap() >= 13
}

#[test]
fn a_severed_mirror_becomes_a_regular_repository_where_the_server_offers_that_and_it_is_asked_for() {
    story_everywhere(async |mut world| {
        if !converts(&world).await {
            return;
        }
        world.start().await;
        world.expect("created").await;
        let id = world.repository().await["id"].clone();
        set(&world, "severed").await;
        assert_eq!(status(&world).await["writable"], false);
        let body = put(&world, &json!({ "mode": "severed", "reason": "for good", "convert": true })).await.json();
        assert_eq!((&body["applied"], &body["convert"]), (&json!(true), &json!(true)), "{body:#}");
        let repository = world.repository().await;
        assert_eq!((&repository["id"], &repository["mirror"]), (&id, &json!(false)));
        assert_eq!(status(&world).await["writable"], true);
        put(&world, &json!({ "mode": "severed", "convert": true })).await;
        assert_eq!(world.count(CONVERT), 1, "it is asked for once");
        // no server turns it back: it is what a regular repository is
        set(&world, "follow").await;
        world.expect_failure("not-a-mirror").await;
    });
}

#[test]
fn a_server_that_does_not_convert_is_told_and_the_mirror_severed_only_when_that_is_found_out_too_late() {
    story_everywhere(async |mut world| {
        if converts(&world).await {
            return;
        }
        world.start().await;
        world.expect("created").await;
        let refused = put(&world, &json!({ "mode": "severed", "convert": true })).await;
        assert_eq!(
            (refused.status, refused.problem().as_str()),
            (StatusCode::FAILED_DEPENDENCY, "convert-not-offered")
        );
        assert_eq!((&status(&world).await["mode"], interval(&world).await), (&json!("follow"), json!("10m0s")));
        // a service that was just started does not know yet what runs there
        world.crash();
        world.start().await;
        let body = put(&world, &json!({ "mode": "severed", "convert": true })).await.json();
        assert_eq!(body["problem"]["error"], "convert-not-offered", "{body:#}");
        assert_eq!((&body["mode"], interval(&world).await), (&json!("severed"), json!("0s")), "{body:#}");
        assert_eq!(world.repository().await["mirror"], true);
    });
}

#[test]
fn who_may_not_and_what_is_no_mode_is_refused_and_changes_nothing() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.gitea().clear_calls();
        let send = async |path: &str, token: Option<&str>, media: &str, body: &str| {
            let mut request = World::request(Method::PUT, path).header(header::CONTENT_TYPE, media);
            if let Some(token) = token {
                request
                    .headers_mut()
                    .unwrap()
                    .insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
            }
            let answer = world.send(request.body(Body::from(body.to_owned())).unwrap()).await;
            (answer.status.as_u16(), answer.problem())
        };
        let (json, good) = ("application/json", "{\"mode\":\"pinned\"}");
        for (path, token, media, body, status, code) in [
            ("/mirrors/one/mode", Some(VIEWER), json, good, 403, "forbidden"),
            ("/mirrors/two/mode", None, json, good, 404, "not-found"),
            ("/mirrors/ONE%ff/mode", None, json, good, 404, "not-found"),
            ("/mirrors/one/mode", None, "text/plain", good, 415, "unsupported-media-type"),
            ("/mirrors/one/mode", None, json, "{", 400, "malformed-request"),
            ("/mirrors/one/mode", None, json, "", 422, "invalid-field"),
            ("/mirrors/one/mode", None, json, "{}", 422, "invalid-field"),
            ("/mirrors/one/mode", None, json, "{\"mode\":\"off\"}", 422, "invalid-field"),
            ("/mirrors/one/mode", None, json, "{\"mode\":\"pinned\",\"convert\":true}", 422, "invalid-field"),
            ("/mirrors/one/mode", None, json, "{\"mode\":\"pinned\",\"x\":1}", 422, "unknown-field"),
        ] {
            assert_eq!(send(path, token, media, body).await, (status, code.to_owned()), "{path} {body}");
        }
        assert_eq!((status(&world).await["mode"].clone(), world.gitea().calls().len()), (json!("follow"), 0));
    });
}

#[test]
fn a_mode_that_cannot_be_written_down_is_not_promised() {
    story(async |mut world| {
        world.keep_the_journal_on_disk();
        world.start().await;
        world.expect("created").await;
        world.tamper_with_the_journal(
            "CREATE TRIGGER full BEFORE INSERT ON mode_changes BEGIN SELECT RAISE(ABORT, 'disk is full'); END",
        );
        let refused = put(&world, &json!({ "mode": "pinned" })).await;
        assert_eq!(
            (refused.status, refused.problem().as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, "state-unavailable")
        );
        assert_eq!((&status(&world).await["mode"], interval(&world).await), (&json!("follow"), json!("10m0s")));
    });
}

#[test]
fn the_metrics_tell_how_each_mirror_is_run_row_67() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        let line = |mode: &str| format!("cutover_mirror_mode{{mirror=\"one\",mode=\"{mode}\"}} 1\n");
        let metrics = world.get("/metrics").await.text;
        assert!(metrics.contains(&line("follow")) && !metrics.contains("mode_applied{"), "{metrics}");
        set(&world, "severed").await;
        let metrics = world.get("/metrics").await.text;
        assert!(!metrics.contains(&line("follow")) && metrics.contains(&line("severed")), "{metrics}");
        assert!(metrics.contains("cutover_mirror_mode_applied{mirror=\"one\"} 1\n"), "{metrics}");
    });
}
