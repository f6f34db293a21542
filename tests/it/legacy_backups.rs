//! A legacy repository that was renamed and not given its name back: the status shows it until the mirror is proven.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use standin::{CallKind, Fault, Gitea, Reader, UpstreamFault};

use crate::world::{World, story};

const MIGRATE: &str = "POST /api/v1/repos/migrate";

async fn start_beside_a_legacy_repository(world: &mut World) -> u64 {
    world.gitea().add_org("openova", "bot");
    world.gitea().add_repository("openova", "one");
    world.extra = "onLegacy: renameAside".into();
    world.start().await;
    world.gitea().repository("openova", "one").unwrap().id
}

/// Where the repository of this id is.
fn place(world: &World, id: u64) -> String {
    let repositories = world.gitea().repositories();
    let view = repositories.iter().find(|view| view.id == id).unwrap();
    view.full_name.clone()
}

async fn left_aside(world: &World) -> Value {
    world.get("/status/one").await.json()["leftAside"].clone()
}

/// Runs into an upstream that Gitea cannot clone, and a Gitea that gives no name back.
async fn leave_it_aside(world: &World) -> Value {
    world.upstream.fault_for(Reader::Git, UpstreamFault::Status(404));
    let refuses = |gitea: &Gitea| {
        let body = "{\"message\":\"\",\"url\":\"\"}".to_owned();
        gitea.fault(CallKind::PatchRepository, Fault::Status(500, "application/json", body));
    };
    world.gitea().before_next(CallKind::Migrate, refuses);
    let problem = world.expect_failure("migrate-failed").await;
    world.gitea().clear_faults();
    problem
}

#[test]
fn a_name_that_could_not_be_given_back_is_told_by_the_status_and_by_every_run_until_the_mirror_is_proven() {
    story(async |mut world| {
        let id = start_beside_a_legacy_repository(&mut world).await;
        let problem = leave_it_aside(&world).await;
        let place = place(&world, id);
        assert!(place.starts_with("openova/one-legacy-"), "{place}");
        assert!(problem["detail"].as_str().unwrap().contains(&place), "{problem}");
        assert_eq!(left_aside(&world).await, place);
        // the next run is another one, and upstream cannot be cloned still
        let problem = world.expect_failure("migrate-failed").await;
        let told = format!("an earlier run renamed openova/one to {place} and could not give its name back");
        assert!(problem["detail"].as_str().unwrap().starts_with(&told), "{problem}");
        world.crash();
        world.start().await;
        assert_eq!(left_aside(&world).await, place);
        world.upstream.clear_faults();
        let run = world.run().await;
        assert_eq!((&run["status"], &run["mirrors"][0]["keptAside"]), (&json!("succeeded"), &json!(place)), "{run:#}");
        assert!(run["mirrors"][0]["notes"].to_string().contains(&told), "{run:#}");
        assert_eq!(left_aside(&world).await, json!(null));
        let run = world.expect("noop").await;
        assert!(run["mirrors"][0].get("keptAside").is_none(), "{run:#}");
    });
}

#[test]
fn what_somebody_has_seen_to_is_told_no_more() {
    story(async |mut world| {
        let id = start_beside_a_legacy_repository(&mut world).await;
        leave_it_aside(&world).await;
        let path = format!("/repos/{}", place(&world, id));
        let (status, _) = world.gitea_api(Method::PATCH, &path, Some(json!({ "name": "kept" }))).await;
        assert_eq!(status, 200);
        let problem = world.expect_failure("migrate-failed").await;
        assert!(!problem["detail"].as_str().unwrap().contains("earlier run"), "{problem}");
        assert_eq!(left_aside(&world).await, json!(null));
    });
}

#[test]
fn a_run_that_is_taken_out_leaves_it_aside_and_that_is_told() {
    story(async |mut world| {
        let id = start_beside_a_legacy_repository(&mut world).await;
        world.gitea().set_migrate_delay(Duration::from_mins(3));
        let run = world.ask().await;
        world.until(async || world.count(MIGRATE) != 0).await;
        world.cancel(&run).await;
        let place = place(&world, id);
        assert!(place.starts_with("openova/one-legacy-"), "{place}");
        assert_eq!(left_aside(&world).await, place);
        let run = world.run().await;
        assert_eq!((&run["status"], &run["mirrors"][0]["keptAside"]), (&json!("succeeded"), &json!(place)), "{run:#}");
        assert_eq!(left_aside(&world).await, json!(null));
    });
}
