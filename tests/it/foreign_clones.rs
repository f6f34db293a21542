//! A clone that another user runs under a name to which cutover-api has migrated before: it is never deleted.

use std::time::Duration;

use http::Method;
use serde_json::json;
use standin::{CallKind, Fault, Reader, UpstreamFault};

use crate::world::{World, story};

const DELETE: &str = "DELETE /api/v1/repos/openova/one";

/// Somebody migrates the same upstream by hand, and a run of ours begins while Gitea still clones.
async fn a_run_beside_a_clone_by_hand(world: &mut World) {
    let for_long = Duration::from_mins(5);
    world.gitea().set_migrate_delay(for_long);
    world.gitea().clear_calls();
    let (gitea, url) = (world.gitea().clone(), world.upstream.url("one"));
    let theirs = tokio::spawn(async move { gitea.migrate_as("root1", "openova", "one", &url).await });
    tokio::time::sleep(Duration::from_secs(30)).await;
    let before = world.gitea().repository("openova", "one").expect("it is being cloned");
    assert!(before.cloning);
    let run = world.run().await;
    assert_eq!(world.count(DELETE), 0, "{run:#}");
    assert_eq!(theirs.await.expect("it ends"), 201);
    assert_eq!(world.gitea().repository("openova", "one").map(|after| after.id), Some(before.id));
}

#[test]
fn a_clone_by_hand_long_after_a_migrate_of_ours_that_never_arrived_is_left_alone() {
    story(async |mut world| {
        world.gitea_api(Method::POST, "/orgs", Some(json!({"username": "openova"}))).await;
        world.start().await;
        world.gitea().fault(CallKind::Migrate, Fault::CutBefore);
        world.expect_failure("migrate-failed").await;
        world.gitea().clear_faults();
        tokio::time::sleep(Duration::from_hours(1)).await;
        a_run_beside_a_clone_by_hand(&mut world).await;
    });
}

#[test]
fn a_clone_by_hand_after_a_failed_one_of_ours_was_deleted_by_hand_is_left_alone() {
    story(async |mut world| {
        world.gitea_api(Method::POST, "/orgs", Some(json!({"username": "openova"}))).await;
        world.start().await;
        world.upstream.fault_for(Reader::Git, UpstreamFault::Status(404));
        world.expect_failure("migrate-failed").await;
        world.upstream.clear_faults();
        let (status, _) = world.gitea_api(Method::DELETE, "/repos/openova/one", None).await;
        assert_eq!(status, 204);
        // Gitea's dates are whole seconds
        tokio::time::sleep(Duration::from_secs(2)).await;
        a_run_beside_a_clone_by_hand(&mut world).await;
    });
}

#[test]
fn a_clone_of_ours_of_which_a_gateway_says_500_in_json_is_left_to_end() {
    story(async |mut world| {
        world.gitea_api(Method::POST, "/orgs", Some(json!({"username": "openova"}))).await;
        world.start().await;
        world.gitea().set_migrate_delay(Duration::from_mins(5));
        let url = world.upstream.url("one");
        // Gitea has the call, and the gateway gives up on it
        world.gitea().before_next(CallKind::Migrate, move |gitea| {
            let gitea = gitea.clone();
            tokio::spawn(async move { gitea.migrate_as("bot", "openova", "one", &url).await });
        });
        let body = r#"{"message":"An unexpected error occurred"}"#;
        world.gitea().fault_once(CallKind::Migrate, Fault::Status(500, "application/json", body.into()));
        let run = world.run().await;
        assert_eq!((run["status"].as_str(), world.count(DELETE)), (Some("succeeded"), 0), "{run:#}");
    });
}
