//! Which setting of a mode wins: a caller's, the configuration's, or an interval that a person set in Gitea.

use http::{Method, StatusCode};
use serde_json::json;

use super::{interval, put, set, status, until_applied};
use crate::world::{story, story_anywhere};

#[test]
fn the_same_mode_again_is_200_and_changes_nothing() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        let first = set(&world, "pinned").await;
        world.gitea().clear_calls();
        let again = put(&world, &json!({ "mode": "pinned", "reason": "another" })).await;
        assert_eq!((again.status, again.json()), (StatusCode::OK, first));
        assert_eq!(world.gitea().calls().len(), 0);
        // nobody has ever said anything else than the configuration
        set(&world, "follow").await;
        world.lose_the_journal();
        world.start().await;
        world.gitea().clear_calls();
        let body = set(&world, "follow").await;
        assert_eq!((&body["source"], &body["at"]), (&json!("configuration"), &json!(null)));
        assert_eq!(world.gitea().calls().len(), 0);
    });
}

#[test]
fn an_interval_of_zero_that_we_did_not_set_is_kept_as_pinned_and_can_be_turned_back() {
    story_anywhere(async |mut world| {
        world.start().await;
        world.expect("created").await;
        let (path, stop) = (format!("/repos/{}/one", world.owner), json!({ "mirror_interval": "0s" }));
        world.gitea_api(Method::PATCH, &path, Some(stop.clone())).await;
        world.clear_calls();
        let problem = world.expect_failure("mode-refuses").await;
        assert!(problem["detail"].as_str().unwrap().contains("not by us"), "{problem}");
        assert_eq!(world.changes(), Vec::<String>::new());
        let found = status(&world).await;
        assert_eq!((&found["mode"], &found["modeChange"]["source"]), (&json!("pinned"), &json!("gitea")), "{found:#}");
        // it is remembered, and survives a restart
        world.crash();
        world.start().await;
        assert_eq!(status(&world).await["modeChange"], found["modeChange"]);
        world.expect_failure("mode-refuses").await;
        set(&world, "follow").await;
        assert_eq!(interval(&world).await, "10m0s");
        world.expect("noop").await;
        // and found anew, when it is stopped anew
        world.gitea_api(Method::PATCH, &path, Some(stop)).await;
        world.expect_failure("mode-refuses").await;
        assert_eq!(status(&world).await["modeChange"]["source"], "gitea");
    });
}

#[test]
fn severed_by_a_caller_outlives_a_restart_and_not_the_journal() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        assert_eq!(set(&world, "severed").await["lasting"], false);
        world.crash();
        world.start().await;
        world.expect_failure("mode-refuses").await;
        assert_eq!(until_applied(&world).await["mode"], "severed");
        world.lose_the_journal();
        world.start().await;
        world.expect_failure("mode-refuses").await;
        let found = status(&world).await;
        assert_eq!((&found["mode"], &found["modeChange"]["source"]), (&json!("pinned"), &json!("gitea")), "{found:#}");
        assert_eq!(interval(&world).await, "0s");
    });
}

#[test]
fn severed_by_the_configuration_is_overruled_by_nobody_and_outlives_the_journal() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.crash();
        world.extra = "mode: severed".into();
        world.start().await;
        let severed = until_applied(&world).await;
        assert_eq!((&severed["mode"], &severed["modeChange"]["source"]), (&json!("severed"), &json!("configuration")));
        assert_eq!((&severed["modeChange"]["lasting"], interval(&world).await), (&json!(true), json!("0s")));
        for mode in ["follow", "pinned"] {
            let refused = put(&world, &json!({ "mode": mode })).await;
            assert_eq!((refused.status, refused.problem().as_str()), (StatusCode::CONFLICT, "mode-refuses"));
            assert!(refused.json()["remedy"].as_str().unwrap().contains("mirrors[].mode"), "{refused:?}");
        }
        set(&world, "severed").await;
        world.lose_the_journal();
        world.upstream.clear_calls();
        world.start().await;
        world.expect_failure("mode-refuses").await;
        assert_eq!(until_applied(&world).await["mode"], "severed");
        assert_eq!(world.upstream.calls().len(), 0);
        // the remedy works
        world.crash();
        world.extra = "mode: follow".into();
        world.start().await;
        assert_eq!(until_applied(&world).await["mode"], "follow");
        assert_eq!(interval(&world).await, "10m0s");
        // what was known about pruning went with the journal
        world.expect("updated").await;
    });
}

#[test]
fn the_configurations_word_counts_until_a_caller_says_otherwise_and_again_once_it_is_changed() {
    story(async |mut world| {
        world.extra = "mode: pinned".into();
        world.start().await;
        world.expect_failure("mode-refuses").await;
        set(&world, "follow").await;
        world.expect("created").await;
        world.crash();
        world.start().await;
        assert_eq!(status(&world).await["mode"], "follow");
        world.crash();
        world.extra.clear();
        world.start().await;
        world.crash();
        world.extra = "mode: pinned".into();
        world.start().await;
        assert_eq!(until_applied(&world).await["mode"], "pinned");
        assert_eq!(interval(&world).await, "0s");
    });
}

#[test]
fn a_run_that_was_accepted_before_the_configuration_lets_a_mirror_follow_again_is_proven() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.crash();
        world.extra = "mode: severed".into();
        world.start().await;
        until_applied(&world).await;
        world.crash();
        world.extra.clear();
        world.upstream.commit("one", "main", 1);
        world.start().await;
        // at once, while the interval is being restored
        world.expect("synced").await;
        until_applied(&world).await;
        assert_eq!(interval(&world).await, "10m0s");
    });
}
