//! What observations show of a mirror's mode in Gitea, and what follows.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use standin::{CallKind, Fault, Profile};

use super::{CONVERT, PATCH, SYNC, interval, put, set, status, until_applied};
use crate::world::{GITEA, World, story, story_on};

/// Somebody changes the interval in Gitea.
async fn somebody_sets(world: &World, interval: &str) {
    let body = json!({ "mirror_interval": interval });
    let (status, _) = world.gitea_api(Method::PATCH, "/repos/openova/one", Some(body)).await;
    assert_eq!(status, 200);
    world.gitea().clear_calls();
}

/// Somebody looks, now that what was seen last is old; and what was seen is seen to.
async fn looked_at(world: &World) -> Value {
    tokio::time::sleep(Duration::from_secs(61)).await;
    status(world).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    status(world).await
}

#[test]
fn a_sync_that_gitea_had_begun_does_not_set_a_stopped_mirror_going_again() {
    for mode in ["pinned", "severed"] {
        story(async |mut world| {
            world.start().await;
            world.expect("created").await;
            world.gitea().set_sync_delay(Duration::from_secs(90));
            world.gitea().sync_now("openova", "one");
            tokio::time::sleep(Duration::from_secs(5)).await;
            let said = set(&world, mode).await;
            world.gitea().clear_calls();
            world.upstream.clear_calls();
            tokio::time::sleep(Duration::from_secs(90)).await;
            assert_eq!(interval(&world).await, "10m0s", "the sync has written its row back");
            let fetched = world.upstream.calls().len();
            let seen = looked_at(&world).await;
            assert_eq!((interval(&world).await, world.count(PATCH), world.count(SYNC)), (json!("0s"), 1, 0), "{mode}");
            assert_eq!((&seen["mode"], &seen["modeChange"]), (&json!(mode), &status(&world).await["modeChange"]));
            assert_eq!(seen["modeChange"]["at"], said["at"], "it is the same word: {seen:#}");
            if mode == "severed" {
                assert_eq!(world.upstream.calls().len(), fetched, "upstream is not asked for it");
            }
        });
    }
}

#[test]
fn an_interval_that_somebody_sets_on_a_stopped_mirror_is_taken_back_when_it_is_seen() {
    for mode in ["pinned", "severed"] {
        story(async |mut world| {
            world.start().await;
            world.expect("created").await;
            set(&world, mode).await;
            for interval_of_theirs in ["10m0s", "8h0m0s"] {
                somebody_sets(&world, interval_of_theirs).await;
                looked_at(&world).await;
                assert_eq!((interval(&world).await, world.count(PATCH)), (json!("0s"), 1), "{mode}");
            }
            // that is no reason to look more often, and nothing is left to do
            world.gitea().clear_calls();
            looked_at(&world).await;
            assert_eq!(world.changes(), Vec::<String>::new());
        });
    }
}

#[test]
fn what_gitea_refuses_is_tried_again_no_oftener_than_it_is_observed() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        set(&world, "pinned").await;
        somebody_sets(&world, "10m0s").await;
        let refusal = "{\"message\":\"no\",\"url\":\"\"}".to_owned();
        world.gitea().fault(CallKind::PatchRepository, Fault::Status(403, "application/json", refusal));
        for _ in 0..600 {
            status(&world).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert!((8..=10).contains(&world.count(PATCH)), "{}", world.count(PATCH));
        world.gitea().clear_faults();
        looked_at(&world).await;
        assert_eq!(interval(&world).await, "0s");
    });
}

#[test]
fn a_severed_mirror_that_was_converted_is_not_converted_again_when_it_is_a_mirror_again() {
    story_on(Profile::Forgejo16, async |mut world| {
        world.start().await;
        world.expect("created").await;
        put(&world, &json!({ "mode": "severed", "convert": true })).await;
        assert_eq!(world.repository().await["mirror"], false);
        // somebody makes it a mirror again, by hand
        let id = world.repository().await["id"].as_u64();
        world.gitea_api(Method::DELETE, "/repos/openova/one", None).await;
        let url = world.upstream.url("one");
        world.gitea().migrate_as("bot", "openova", "one", &url).await;
        world.gitea().clear_calls();
        looked_at(&world).await;
        let now = world.repository().await;
        assert_ne!(now["id"].as_u64(), id);
        assert_eq!((&now["mirror"], &now["mirror_interval"]), (&json!(true), &json!("0s")));
        assert_eq!(world.count(CONVERT), 0);
    });
}

#[test]
fn a_word_that_was_given_up_in_an_outage_is_carried_out_after_it_when_somebody_looks() {
    for mode in ["pinned", "severed"] {
        story(async |mut world| {
            world.start().await;
            world.expect("created").await;
            let router = world.in_process.down(GITEA).unwrap();
            put(&world, &json!({ "mode": mode })).await;
            tokio::time::sleep(Duration::from_mins(32)).await;
            assert_eq!(status(&world).await["modeChange"]["problem"]["error"], "gitea-unreachable");
            world.in_process.up(GITEA, router);
            looked_at(&world).await;
            assert_eq!(until_applied(&world).await["mode"], mode);
            assert_eq!(interval(&world).await, "0s");
        });
    }
}

#[test]
fn a_mirror_that_somebody_has_stopped_in_gitea_is_seen_to_be_pinned_and_is_not_behind() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        somebody_sets(&world, "0s").await;
        let found = looked_at(&world).await;
        assert_eq!((&found["mode"], &found["modeChange"]["source"]), (&json!("pinned"), &json!("gitea")), "{found:#}");
        assert_eq!((&found["modeChange"]["applied"], &found["freshness"]["state"]), (&json!(true), &json!("fresh")));
        // however long: it is not healed
        for _ in 0..60 {
            looked_at(&world).await;
        }
        assert_eq!((world.runs().await.len(), world.changes()), (1, Vec::<String>::new()));
        assert_eq!(interval(&world).await, "0s");
        // it is shown how far behind it is, as of every pinned mirror
        world.upstream.commit("one", "main", 1);
        let behind = looked_at(&world).await;
        assert_eq!((&behind["freshness"]["state"], &behind["freshness"]["refsBehind"]), (&json!("behind"), &json!(1)));
        world.crash();
        world.start().await;
        assert_eq!(status(&world).await["modeChange"], found["modeChange"]);
        set(&world, "follow").await;
        world.expect("synced").await;
        assert_eq!(interval(&world).await, "10m0s");
    });
}

#[test]
fn a_mirror_that_a_sync_has_stopped_after_it_was_let_follow_is_set_going_again_when_that_is_seen() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        set(&world, "pinned").await;
        // begun while it was pinned, by somebody in Gitea
        world.gitea().set_sync_delay(Duration::from_secs(90));
        world.gitea().sync_now("openova", "one");
        tokio::time::sleep(Duration::from_secs(5)).await;
        set(&world, "follow").await;
        tokio::time::sleep(Duration::from_secs(90)).await;
        assert_eq!(interval(&world).await, "0s", "the sync has written its row back");
        let seen = looked_at(&world).await;
        assert_eq!((&seen["mode"], interval(&world).await), (&json!("follow"), json!("10m0s")), "{seen:#}");
        assert_eq!(world.runs().await.len(), 1);
    });
}
