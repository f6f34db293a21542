//! After the platform's pivot no mirror is created (rows 7a to 7c of its contract).

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::server::{API_SERVER, Fault};
use super::{start, story_in_a_cluster, until};
use crate::world::{World, plan};

const READS: &str = "get configmaps";

fn before() -> Value {
    json!({
        "cutoverComplete": "false", "step.gitea-mirror.result": "running", "step.registry-pivot.result": "success",
        "step.flux-gitrepository-patch.result": "", "step.helmrepository-patches.result": "",
    })
}

/// Each of these is past the pivot.
fn past() -> [Value; 5] {
    [
        json!({ "cutoverComplete": "true" }),
        json!({ "cutoverComplete": "false", "step.flux-gitrepository-patch.result": "running" }),
        json!({ "cutoverComplete": "false", "step.flux-gitrepository-patch.result": "success" }),
        json!({ "cutoverComplete": "false", "step.helmrepository-patches.result": "failed" }),
        json!({ "step.egress-block-test.result": "success" }),
    ]
}

async fn dry_run(world: &World) -> Value {
    world.post(&json!({ "dryRun": true })).await.json()
}

#[test]
fn past_the_pivot_no_mirror_is_made_and_a_dry_run_says_so_too() {
    story_in_a_cluster("", async |world, server| {
        for data in past() {
            server.status_is(&data);
            let problem = world.expect_failure("past-pivot").await;
            assert_eq!(problem["retryable"], false, "{data}");
            assert!(problem["remedy"].as_str().unwrap().contains("backup"), "{problem}");
            let planned = dry_run(&world).await;
            assert_eq!(
                (plan(&planned, 0).len(), &planned["mirrors"][0]["problem"]["error"]),
                (0, &json!("past-pivot"))
            );
        }
        assert_eq!(world.changes(), Vec::<String>::new(), "not even the organisation");
        server.status_is(&before());
        assert_eq!(plan(&dry_run(&world).await, 0), ["create_organisation", "migrate", "patch_settings"]);
        world.expect("created").await;
    });
}

#[test]
fn a_status_that_cannot_be_read_refuses_until_it_can_row_7b() {
    story_in_a_cluster("", async |world, server| {
        server.status_is(&before());
        let router = world.in_process.down(API_SERVER).unwrap();
        let problem = world.expect_failure("pivot-unknown").await;
        assert_eq!((problem["retryable"].as_bool(), problem["reason"].as_str()), (Some(true), Some("unreadable")));
        assert_eq!(dry_run(&world).await["mirrors"][0]["problem"]["error"], "pivot-unknown");
        world.in_process.up(API_SERVER, router);
        for faults in [vec![Fault::Status(503); 5], vec![Fault::Status(401)], vec![Fault::Page]] {
            server.fail(READS, &faults);
            world.expect_failure("pivot-unknown").await;
        }
        server.deny(READS);
        let problem = world.expect_failure("pivot-unknown").await;
        assert!(
            problem["detail"].as_str().unwrap().contains("denies this to cutover-api's service account"),
            "{problem}"
        );
        server.allow_again();
        assert_eq!(world.changes(), Vec::<String>::new());
        // a few 503 are waited through
        server.forget_calls();
        server.fail(READS, &vec![Fault::Status(503); 4]);
        world.expect("created").await;
        // five before the organisation is made, and one before the mirror is
        assert_eq!(server.count(READS), 6, "{:?}", server.calls(READS));
    });
}

#[test]
fn where_there_is_no_status_a_mirror_is_made_only_if_the_configuration_says_so_row_7b() {
    story_in_a_cluster("", async |mut world, server| {
        let problem = world.expect_failure("pivot-unknown").await;
        assert_eq!((problem["retryable"].as_bool(), problem["reason"].as_str()), (Some(false), Some("absent")));
        assert!(problem["remedy"].as_str().unwrap().contains("absentStatus: allow"), "{problem}");
        assert_eq!(world.changes(), Vec::<String>::new());
        // one that we have made ourselves is no more than none: the mirror may be gone by accident
        world.crash();
        start(&mut world, "absentStatus: allow").await;
        world.expect("created").await;
        until(|| server.status().is_some()).await;
        world.gitea_api(Method::DELETE, "/repos/openova/one", None).await;
        world.crash();
        start(&mut world, "absentStatus: refuse").await;
        assert_eq!(world.expect_failure("pivot-unknown").await["reason"], "absent");
    });
}

#[test]
fn a_regular_repository_is_renamed_aside_before_the_pivot_and_not_past_it() {
    story_in_a_cluster("", async |world, server| {
        world.gitea().add_org("openova", "bot");
        world.gitea().add_repository("openova", "one");
        server.status_is(&json!({ "cutoverComplete": "true" }));
        for dry in [true, false] {
            let answer = world.post(&json!({ "onLegacy": "renameAside", "dryRun": dry })).await.json();
            let run = if dry { answer } else { world.end_of(answer["id"].as_str().unwrap()).await };
            assert_eq!(run["mirrors"][0]["problem"]["error"], "past-pivot", "{run:#}");
        }
        assert_eq!(world.changes(), Vec::<String>::new());
        assert_eq!(world.repository().await["mirror"], false);
        server.status_is(&before());
        let run = world.post(&json!({ "onLegacy": "renameAside" })).await.json();
        let run = world.end_of(run["id"].as_str().unwrap()).await;
        assert_eq!(run["mirrors"][0]["outcome"], "replaced", "{run:#}");
    });
}

#[test]
fn a_mirror_that_is_there_is_synced_and_patched_past_the_pivot_and_nobody_asks_where_that_is_row_7c() {
    story_in_a_cluster("", async |world, server| {
        server.status_is(&before());
        world.expect("created").await;
        server.status_is(&json!({ "cutoverComplete": "true" }));
        sleep(Duration::from_secs(20)).await;
        server.forget_calls();
        world.upstream.commit("one", "main", 1);
        world.expect("synced").await;
        world.gitea_api(Method::PATCH, "/repos/openova/one", Some(json!({ "mirror_interval": "8h" }))).await;
        world.expect("updated").await;
        world.expect("noop").await;
        assert_eq!(server.count(READS), 0);
        server.deny(READS);
        world.upstream.commit("one", "main", 1);
        world.expect("synced").await;
    });
}

#[test]
fn where_the_configuration_refuses_it_a_mirror_is_not_synced_past_the_pivot_either_row_7c() {
    story_in_a_cluster("syncPastPivot: refuse", async |world, server| {
        server.status_is(&before());
        world.expect("created").await;
        world.upstream.commit("one", "main", 1);
        world.expect("synced").await;
        server.status_is(&json!({ "cutoverComplete": "true" }));
        world.expect("noop").await;
        world.upstream.commit("one", "main", 1);
        world.gitea().clear_calls();
        world.expect_failure("past-pivot").await;
        assert_eq!(dry_run(&world).await["mirrors"][0]["problem"]["error"], "past-pivot");
        server.deny(READS);
        world.expect_failure("pivot-unknown").await;
        assert_eq!(world.changes(), Vec::<String>::new());
    });
}

#[test]
fn without_the_guard_the_status_stops_nothing() {
    story_in_a_cluster("pastPivotGuard: false", async |world, server| {
        server.status_is(&json!({ "cutoverComplete": "true" }));
        world.expect("created").await;
    });
}
