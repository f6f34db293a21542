//! Servers under unusual settings, as Gitea 1.26 and Forgejo 16 were seen to answer under them.

use std::time::Duration;

use serde_json::{Value, json};
use standin::{Profile, Settings, UpstreamFault};

use crate::stage::Stage;

const RECORDED: [Profile; 2] = [Profile::Gitea126, Profile::Forgejo16];

const INFO_REFS: &str = "/acme/one.git/info/refs?service=git-upload-pack";

/// Stages of the recorded profiles with one setting changed.
fn stages(change: fn(&mut Settings)) -> impl Iterator<Item = Stage> {
    RECORDED.into_iter().map(move |profile| {
        let stage = Stage::new(profile);
        stage.gitea.configure(change);
        stage
    })
}

async fn refuses_to_migrate(stage: &Stage, status: u16, message: &str) {
    let (answered, body) = stage.migrate("one").await;
    assert_eq!((answered.as_u16(), body["message"].as_str().unwrap()), (status, message));
    assert!(stage.gitea.repository("acme", "one").is_none());
}

#[tokio::test(start_paused = true)]
async fn the_switches_of_migration_refuse_it_and_leave_nothing() {
    let no_mirrors = "the site administrator has disabled the creation of new pull mirrors";
    for stage in stages(|settings| settings.mirror_feature_off = true) {
        refuses_to_migrate(&stage, 403, no_mirrors).await;
        let (_, body) = stage.get("/api/v1/settings/repository").await;
        assert_eq!(body["mirrors_disabled"], true);
    }
    for stage in stages(|settings| settings.new_pull_disabled = true) {
        refuses_to_migrate(&stage, 403, no_mirrors).await;
        let (_, body) = stage.get("/api/v1/settings/repository").await;
        assert_eq!(body["mirrors_disabled"], false);
    }
    for stage in stages(|settings| settings.migrations_disabled = true) {
        refuses_to_migrate(&stage, 403, "the site administrator has disabled migrations").await;
    }
    for stage in stages(|settings| settings.allow_local_networks = false) {
        refuses_to_migrate(&stage, 422, "You can not import from disallowed hosts.").await;
    }
    for stage in stages(|settings| settings.creation_limit = Some(0)) {
        refuses_to_migrate(&stage, 422, "You have already reached your limit of 0 repositories.").await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_interval_below_the_minimum_leaves_a_placeholder_that_holds_every_ref() {
    for stage in stages(|settings| settings.min_interval = Duration::from_hours(1)) {
        let (status, body) = stage.migrate("one").await;
        assert_eq!((status.as_u16(), body["message"].as_str().unwrap()), (500, ""));
        let left = stage.gitea.repository("acme", "one").unwrap();
        assert!(left.placeholder && left.empty);
        assert_eq!(stage.gitea.heads_and_tags("acme", "one"), stage.upstream.heads_and_tags("one"));
        let (status, body) = stage.get("/api/v1/repos/acme/one/branches").await;
        assert_eq!((status.as_u16(), body), (200, Value::Null));
    }
}

#[tokio::test(start_paused = true)]
async fn without_git_over_http_the_api_still_lists_refs() {
    for stage in stages(|settings| settings.http_git_disabled = true) {
        assert_eq!(stage.migrate("one").await.0, 201);
        assert_eq!(stage.get(INFO_REFS).await.0, 403);
        let (status, body) = stage.get("/api/v1/repos/acme/one/git/refs").await;
        assert_eq!((status.as_u16(), body.as_array().unwrap().len()), (200, 5));
        let (_, body) = stage.get("/api/v1/repos/acme/one/git/refs/heads/main").await;
        assert_eq!(body["ref"], "refs/heads/main");
    }
}

#[tokio::test(start_paused = true)]
async fn a_private_server_answers_nobody_unknown() {
    for mut stage in stages(|settings| settings.require_signin = true) {
        assert_eq!(stage.migrate("one").await.0, 201);
        assert_eq!(stage.get(INFO_REFS).await.0, 200);
        stage.token.clear();
        let (status, body) = stage.get("/api/v1/version").await;
        let expected = json!({ "message": "Only signed in user is allowed to call APIs." });
        assert_eq!((status.as_u16(), body), (403, expected));
        assert_eq!(stage.get(INFO_REFS).await.0, 401);
    }
    for stage in stages(|settings| settings.force_private = true) {
        assert_eq!(stage.migrate("one").await.1["private"], true);
    }
}

#[tokio::test(start_paused = true)]
async fn an_organisation_that_may_not_be_made_is_refused_in_a_slip_of_the_pen() {
    for stage in stages(|settings| settings.regular_org_creation_disabled = true) {
        let (status, body) = stage.call("POST", "/api/v1/orgs", json!({ "username": "new" })).await;
        assert_eq!((status.as_u16(), body["message"].as_str().unwrap()), (403, "%!s(<nil>)"));
        let (status, body) = stage.get("/api/v1/repos/new/one").await;
        let errors = json!(["user redirect does not exist [name: new]"]);
        assert_eq!((status.as_u16(), &body["message"], &body["errors"]), (404, &json!("GetUserByName"), &errors));
    }
}

#[tokio::test(start_paused = true)]
async fn before_the_installation_everything_is_a_page_but_health() {
    for stage in stages(|settings| settings.not_installed = true) {
        let answer = stage.send("GET", "/api/v1/repos/acme/one", Value::Null).await;
        assert_eq!(answer.status(), 404);
        assert_eq!(answer.headers()["refresh"], "1; url=/");
        assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
        assert!(answer.headers().contains_key("date"));
        let (status, body) = stage.get("/api/healthz").await;
        assert_eq!((status.as_u16(), body), (200, json!({ "status": "pass", "description": "rec" })));
        stage.gitea.configure(|settings| settings.not_installed = false);
        stage.gitea.configure(|settings| settings.maintenance = true);
        assert_eq!(stage.get("/api/v1/version").await.0, 503);
        assert_eq!(stage.get("/api/healthz").await.0, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_of_branches_holds_fifty_whatever_was_asked() {
    let stage = Stage::new(Profile::Gitea126);
    stage.upstream.branches("one", "b/", "main", 120);
    stage.migrate("one").await;
    let answer = stage.send("GET", "/api/v1/repos/acme/one/branches?limit=100&page=2", Value::Null).await;
    assert_eq!(answer.headers()["x-total-count"], "122");
    assert!(answer.headers()["link"].to_str().unwrap().contains("page=3>; rel=\"next\""));
    let (_, body) = stage.get("/api/v1/repos/acme/one/branches?limit=100&page=3").await;
    assert_eq!(body.as_array().unwrap().len(), 22);
}

#[tokio::test(start_paused = true)]
async fn compare_tells_a_rewritten_history_from_a_longer_one() {
    let stage = Stage::new(Profile::Forgejo11);
    stage.migrate("one").await;
    let old = stage.upstream.resolve("one", "main").unwrap();
    let longer = stage.upstream.commit("one", "main", 3);
    stage.sync().await;
    let (_, body) = stage.get(&format!("/api/v1/repos/acme/one/compare/{longer}...{old}")).await;
    assert_eq!(body["total_commits"], 0);
    let rewritten = stage.upstream.force_push("one", "main");
    stage.sync().await;
    let (_, body) = stage.get(&format!("/api/v1/repos/acme/one/compare/{rewritten}...{longer}")).await;
    assert_eq!(body["total_commits"], 1);
    let absent = "0".repeat(40);
    assert_eq!(stage.get(&format!("/api/v1/repos/acme/one/compare/{absent}...{old}")).await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn a_stuck_queue_takes_everything_and_does_nothing() {
    let stage = Stage::new(Profile::Gitea126);
    stage.migrate("one").await;
    stage.gitea.set_stuck_queue(true);
    stage.upstream.clear_calls();
    let sync = "/api/v1/repos/acme/one/mirror-sync";
    for _ in 0..3 {
        assert_eq!(stage.call("POST", sync, Value::Null).await.0, 200);
    }
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!((stage.gitea.queued(), stage.upstream.calls().len()), (1, 0));
    stage.gitea.set_stuck_queue(false);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(stage.gitea.queued(), 0);
    assert!(!stage.upstream.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_method_that_a_path_has_not_is_not_an_unknown_path() {
    let stage = Stage::new(Profile::Gitea126);
    stage.migrate("one").await;
    assert_eq!(stage.get("/api/v1/repos/acme/one/mirror-sync").await.0, 405);
    assert_eq!(stage.get("/api/v1/nowhere").await.0, 404);
}

#[tokio::test]
async fn a_clone_that_hangs_ends_as_a_timeout_with_a_placeholder() {
    let stage = Stage::with_git_timeout(Profile::Gitea126, Duration::from_millis(500));
    stage.upstream.fault(UpstreamFault::Hang);
    let (status, body) = stage.migrate("one").await;
    assert_eq!((status.as_u16(), body["message"].as_str().unwrap()), (500, ""));
    let left = stage.gitea.repository("acme", "one").unwrap();
    assert!(left.placeholder && !left.git_dir.exists());
}

#[tokio::test(start_paused = true)]
async fn thousands_of_commits_and_hundreds_of_branches_are_soon_made() {
    let stage = Stage::new(Profile::Gitea126);
    stage.upstream.commit("one", "main", 5_000);
    stage.upstream.branches("one", "topic/", "main", 800);
    assert_eq!(stage.migrate("one").await.0, 201);
    assert_eq!(stage.gitea.heads_and_tags("acme", "one"), stage.upstream.heads_and_tags("one"));
}
