//! Migrating, syncing, killing, renaming: what happens over time.

use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::{Value, json};
use standin::{CallKind, Cut, Effect, Fault, Gitea, Profile, Reader, UpstreamFault};
use tokio::time::Instant;

use crate::stage::Stage;

#[tokio::test(start_paused = true)]
async fn a_migrate_makes_a_mirror_that_holds_what_upstream_holds() {
    for profile in Profile::ALL {
        let stage = Stage::new(profile);
        let (status, body) = stage.migrate("one").await;
        assert_eq!(status, 201, "{}: {body}", profile.name());
        assert_eq!(body["mirror_interval"], "10m0s");
        assert_eq!(stage.gitea.heads_and_tags("acme", "one"), stage.upstream.heads_and_tags("one"));
        stage.upstream.commit("one", "main", 300);
        stage.sync().await;
        assert_eq!(stage.gitea.heads_and_tags("acme", "one"), stage.upstream.heads_and_tags("one"));
    }
}

#[tokio::test(start_paused = true)]
async fn git_costs_no_virtual_time() {
    let stage = Stage::new(Profile::Gitea126);
    let start = Instant::now();
    assert_eq!(stage.migrate("one").await.0, 201);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_empty_plain_answer_wipes_a_pruning_mirror_and_no_other() {
    for prune in [true, false] {
        let stage = Stage::new(Profile::Gitea127);
        stage.migrate("one").await;
        stage.call("PATCH", "/api/v1/repos/acme/one", json!({ "enable_prune": prune })).await;
        stage.upstream.fault(UpstreamFault::EmptyPlain);
        stage.sync().await;
        assert_eq!(stage.gitea.heads_and_tags("acme", "one").is_empty(), prune);
        assert!(stage.gitea.repository("acme", "one").unwrap().mirror_last_sync.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_migrate_leaves_a_placeholder_that_nothing_but_a_delete_removes() {
    let stage = Stage::new(Profile::Gitea126);
    stage.upstream.fault_for(Reader::Git, UpstreamFault::Status(404));
    let (status, body) = stage.migrate("one").await;
    assert_eq!(status, 422);
    assert!(body["message"].as_str().unwrap().contains("not found"), "{body}");
    stage.upstream.clear_faults();
    assert!(stage.gitea.repository("acme", "one").unwrap().placeholder);
    assert_eq!(stage.migrate("one").await.0, 409);
    let path = "/api/v1/repos/acme/one";
    assert_eq!(stage.call("POST", &format!("{path}/mirror-sync"), Value::Null).await.0, 400);
    assert_eq!(stage.call("PATCH", path, json!({ "mirror_interval": "10m0s" })).await.0, 500);
    assert_eq!(stage.call("GET", "/acme/one.git/info/refs?service=git-upload-pack", Value::Null).await.0, 500);
    assert_eq!(stage.call("DELETE", path, Value::Null).await.0, 204);
    assert_eq!(stage.migrate("one").await.0, 201);
}

#[tokio::test(start_paused = true)]
async fn a_clone_goes_on_when_its_client_leaves_and_dies_with_its_server() {
    let stage = Stage::new(Profile::Gitea124);
    stage.gitea.set_migrate_delay(Duration::from_secs(30));
    let left = tokio::time::timeout(Duration::from_secs(2), stage.migrate("one")).await;
    assert!(left.is_err());
    assert!(stage.gitea.repository("acme", "one").unwrap().placeholder);
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert!(!stage.gitea.repository("acme", "one").unwrap().placeholder);

    let gitea = stage.gitea.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        gitea.kill();
    });
    let cut = stage.send("POST", "/api/v1/repos/migrate", stage.wanted("two")).await;
    assert!(cut.extensions().get::<Cut>().is_some());
    assert!(cut.into_body().collect().await.is_err());
    stage.gitea.restart();
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!(stage.gitea.repository("acme", "two").unwrap().placeholder);
    let (status, _) = stage.call("GET", "/acme/two.git/info/refs?service=git-upload-pack", Value::Null).await;
    assert_eq!(status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_running_sync_writes_an_old_interval_back() {
    let stage = Stage::new(Profile::Gitea126);
    stage.migrate("one").await;
    stage.gitea.set_sync_delay(Duration::from_secs(5));
    stage.call("POST", "/api/v1/repos/acme/one/mirror-sync", Value::Null).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (_, body) = stage.call("PATCH", "/api/v1/repos/acme/one", json!({ "mirror_interval": "30m" })).await;
    assert_eq!(body["mirror_interval"], "30m0s");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(stage.gitea.repository("acme", "one").unwrap().interval, Some(Duration::from_mins(10)));
}

#[tokio::test(start_paused = true)]
async fn cron_takes_every_second_tick() {
    let stage = Stage::new(Profile::Gitea126);
    stage.gitea.configure(|settings| settings.cron = Some(Duration::from_mins(10)));
    stage.gitea.run_cron();
    stage.migrate("one").await;
    stage.upstream.clear_calls();
    tokio::time::sleep(Duration::from_secs(3_700)).await;
    let asked = stage.upstream.calls().iter().filter(|call| call.path.contains("info/refs")).count();
    assert_eq!(asked, 3, "at 600, 1800 and 3000 s");
}

#[tokio::test(start_paused = true)]
async fn a_fault_is_for_one_call_or_until_cleared() {
    let stage = Stage::new(Profile::Gitea126);
    stage.gitea.fault_once(CallKind::Migrate, Fault::ExecuteThenCut);
    let cut = stage.send("POST", "/api/v1/repos/migrate", stage.wanted("one")).await;
    assert!(cut.extensions().get::<Cut>().is_some());
    assert!(!stage.gitea.repository("acme", "one").unwrap().placeholder);
    stage.gitea.fault(CallKind::Api, Fault::Status(502, "text/html", "<html></html>".to_owned()));
    assert_eq!(stage.call("GET", "/api/v1/version", Value::Null).await.0, 502);
    assert_eq!(stage.call("GET", "/api/v1/version", Value::Null).await.0, 502);
    stage.gitea.clear_faults();
    assert_eq!(stage.call("GET", "/api/v1/version", Value::Null).await.0, 200);
    stage.gitea.set_migrate_delay(Duration::from_mins(2));
    stage.gitea.fault_once(CallKind::Migrate, Fault::ProxyTimeout(Duration::from_mins(1)));
    assert_eq!(stage.migrate("two").await.0, 504);
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert!(!stage.gitea.repository("acme", "two").unwrap().placeholder);
}

#[tokio::test(start_paused = true)]
async fn what_a_proxy_gives_up_on_is_done_all_the_same_whichever_call_it_is() {
    let stage = Stage::new(Profile::Gitea126);
    stage.migrate("one").await;
    for (body, done) in [
        (
            json!({ "mirror_interval": "0s" }),
            (|view| view.interval == Some(Duration::ZERO)) as fn(&standin::View) -> bool,
        ),
        (json!({ "default_branch": "feature" }), |view| view.default_branch == "feature"),
    ] {
        stage.gitea.fault_once(CallKind::PatchRepository, Fault::ProxyTimeout(Duration::ZERO));
        assert_eq!(stage.call("PATCH", "/api/v1/repos/acme/one", body).await.0, 504);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(done(&stage.gitea.repository("acme", "one").unwrap()));
    }
}

#[tokio::test(start_paused = true)]
async fn somebody_else_makes_the_organisation_between_look_and_call() {
    let stage = Stage::new(Profile::Gitea122);
    stage.gitea.before_next(CallKind::CreateOrg, |gitea| gitea.add_org("late", "bot"));
    let (status, body) = stage.call("POST", "/api/v1/orgs", json!({ "username": "late" })).await;
    assert_eq!((status.as_u16(), &body["message"]), (422, &json!("user already exists [name: late]")));
}

#[tokio::test(start_paused = true)]
async fn a_rename_leaves_a_redirect_that_a_new_repository_takes_away() {
    let stage = Stage::new(Profile::Forgejo11);
    stage.gitea.add_repository("acme", "one");
    let (status, _) = stage.call("PATCH", "/api/v1/repos/acme/one", json!({ "name": "one-legacy" })).await;
    assert_eq!(status, 200);
    let moved = stage.send("POST", "/api/v1/repos/acme/one/mirror-sync", Value::Null).await;
    assert_eq!(moved.status(), 307);
    assert_eq!(moved.headers()["location"], "/api/v1/repos/acme/one-legacy/mirror-sync");
    assert_eq!(stage.migrate("one").await.0, 201);
    assert_eq!(stage.call("GET", "/api/v1/repos/acme/one", Value::Null).await.1["mirror"], true);
}

#[tokio::test]
async fn over_a_socket_a_cut_sends_nothing_and_git_can_clone() {
    let stage = Stage::new(Profile::Gitea126);
    stage.migrate("one").await;
    let served = stage.gitea.serve_in_background(([127, 0, 0, 1], 0).into()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("{}/acme/one.git", served.url);
    let clone = move || {
        std::process::Command::new("git")
            .args(["clone", "-q", "--mirror", &url])
            .current_dir(folder.path())
            .output()
            .unwrap()
    };
    let clone = std::sync::Arc::new(clone);
    assert!(
        tokio::task::spawn_blocking({
            let c = clone.clone();
            move || c()
        })
        .await
        .unwrap()
        .status
        .success()
    );
    stage.gitea.fault(CallKind::Git, Fault::CutBefore);
    let output = tokio::task::spawn_blocking(move || clone()).await.unwrap();
    assert!(!output.status.success());
    served.stop();
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_of_upstream_takes_its_folder_along_though_a_request_hangs() {
    let stage = Stage::with_git_timeout(Profile::Gitea126, Duration::from_millis(300));
    stage.upstream.fault(UpstreamFault::Hang);
    let folder = stage.upstream.git_dir("one");
    assert_eq!(stage.migrate("one").await.0, 500);
    assert!(folder.exists());
    drop(stage);
    #[expect(clippy::disallowed_methods, reason = "a folder is removed on real time")]
    let began = std::time::Instant::now();
    while folder.exists() {
        assert!(began.elapsed() < Duration::from_secs(20), "the folder stayed");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_kill_in_a_call_cuts_that_call() {
    let stage = Stage::new(Profile::Gitea126);
    stage.gitea.before_next(CallKind::Version, Gitea::kill);
    let cut = stage.send("GET", "/api/v1/version", Value::Null).await;
    assert!(cut.extensions().get::<Cut>().is_some());
    stage.gitea.restart();
    assert_eq!(stage.get("/api/v1/version").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn the_oldest_gitea_has_words_for_what_later_ones_pass_over_in_silence() {
    for (profile, status) in [(Profile::Gitea121, 422), (Profile::Gitea122, 200)] {
        let stage = Stage::new(profile);
        stage.gitea.add_repository("acme", "one");
        let (answered, body) = stage.call("PATCH", "/api/v1/repos/acme/one", json!({ "mirror_interval": "8h" })).await;
        assert_eq!(answered, status, "{body}");
        if status == 422 {
            assert_eq!(body["message"], "repo is not a mirror, can not change mirror interval");
        }
        // pruning alone is nothing that it reads
        let (answered, _) = stage.call("PATCH", "/api/v1/repos/acme/one", json!({ "enable_prune": false })).await;
        assert_eq!(answered, 200);
        assert_eq!(stage.gitea.effects(), Vec::new());
    }
}

#[tokio::test(start_paused = true)]
async fn the_oldest_gitea_syncs_an_archived_mirror_and_reads_pruning_beside_an_interval_alone() {
    for (profile, archived, prunes) in [(Profile::Gitea121, 200, true), (Profile::Gitea122, 423, false)] {
        let stage = Stage::new(profile);
        stage.migrate("one").await;
        stage.call("PATCH", "/api/v1/repos/acme/one", json!({ "enable_prune": false })).await;
        assert_eq!(stage.gitea.repository("acme", "one").unwrap().enable_prune, Some(prunes), "{}", profile.name());
        stage.gitea.archive_by_hand("acme", "one", true);
        let (answered, _) = stage.call("POST", "/api/v1/repos/acme/one/mirror-sync", Value::Null).await;
        assert_eq!(answered, archived, "{}", profile.name());
    }
}

#[tokio::test(start_paused = true)]
async fn an_effect_is_what_changed_and_not_what_was_asked() {
    let stage = Stage::new(Profile::Gitea127);
    stage.migrate("one").await;
    let patch = json!({ "mirror_interval": "8h", "enable_prune": false });
    stage.gitea.fault_once(CallKind::PatchRepository, Fault::ExecuteThenCut);
    stage.send("PATCH", "/api/v1/repos/acme/one", patch.clone()).await;
    assert_eq!(stage.call("PATCH", "/api/v1/repos/acme/one", patch).await.0, 200);
    for _ in 0..2 {
        assert_eq!(stage.call("POST", "/api/v1/repos/acme/one/mirror-sync", Value::Null).await.0, 200);
    }
    assert_eq!(stage.migrate("one").await.0, 409);
    assert_eq!(stage.gitea.effects(), [Effect::Row("one".into()), Effect::Settings, Effect::Queued]);
}

#[tokio::test(start_paused = true)]
async fn newer_servers_look_at_the_allow_list_with_each_sync_and_fail_in_silence() {
    for profile in Profile::ALL {
        let stage = Stage::new(profile);
        stage.migrate("one").await;
        stage.upstream.commit("one", "main", 1);
        stage.gitea.configure(|settings| settings.allow_local_networks = false);
        let (answered, _) = stage.call("POST", "/api/v1/repos/acme/one/mirror-sync", Value::Null).await;
        assert_eq!(answered, 200);
        tokio::time::sleep(Duration::from_secs(5)).await;
        let same = stage.gitea.heads_and_tags("acme", "one") == stage.upstream.heads_and_tags("one");
        assert_eq!(same, !matches!(profile, Profile::Gitea127 | Profile::Forgejo16), "{}", profile.name());
    }
}
