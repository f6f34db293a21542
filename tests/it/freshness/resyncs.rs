//! Automatic resyncs of a mirror that stays behind.

use http::Method;
use serde_json::{Value, json};
use standin::{Profile, Reader, UpstreamFault};

use super::{asked, at, clear, heals, minutes, observed_anew, told};
use crate::world::{World, id, story, story_on};

const SYNC: &str = "POST /api/v1/repos/openova/one/mirror-sync";

/// Somebody reads the status every few minutes for so many.
async fn watched_for(world: &World, length: u64, every: u64) {
    for _ in 0..length / every {
        told(world).await;
        tokio::time::sleep(minutes(every)).await;
    }
}

/// How many minutes after the mirror was first seen behind these runs were accepted.
fn begun(runs: &[Value], behind: &Value) -> Vec<i64> {
    let since = at(&behind["behindSince"]);
    runs.iter().map(|run| at(&run["createdAt"]).duration_since(since).as_mins()).collect()
}

#[test]
fn a_mirror_that_stays_behind_for_two_intervals_gets_one_run_that_mends_it() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        clear(&world);
        world.upstream.commit("one", "main", 1);
        let behind = observed_anew(&world).await;
        watched_for(&world, 19, 1).await;
        assert_eq!(heals(&world).await.len(), 0);
        watched_for(&world, 60, 1).await;
        let heals = heals(&world).await;
        assert_eq!((heals.len(), world.count(SYNC)), (1, 1), "{heals:#?}");
        assert!((20..=22).contains(&begun(&heals, &behind)[0]), "{:?}", begun(&heals, &behind));
        let run = &heals[0];
        assert_eq!((&run["status"], &run["mirrors"][0]["outcome"]), (&json!("succeeded"), &json!("synced")), "{run:#}");
        assert_eq!((&run["trigger"], &run["requestedBy"]), (&json!("heal"), &json!("cutover-api")));
        assert_eq!(told(&world).await["state"], "fresh");
        let text = world.get("/metrics").await.text;
        assert!(text.contains("cutover_mirror_heals_total 1\n"), "{text}");
    });
}

#[test]
fn nothing_is_healed_that_nobody_looks_at() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.upstream.commit("one", "main", 1);
        observed_anew(&world).await;
        clear(&world);
        tokio::time::sleep(minutes(600)).await;
        assert_eq!((world.count(SYNC), asked(&world)), (0, 0));
        observed_anew(&world).await;
        assert_eq!(heals(&world).await.len(), 1);
    });
}

#[test]
fn while_it_does_not_help_it_is_tried_less_and_less_often() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.upstream.fault_for(Reader::Git, UpstreamFault::Status(500));
        world.upstream.commit("one", "main", 1);
        let behind = observed_anew(&world).await;
        watched_for(&world, 330, 3).await;
        let tried = heals(&world).await;
        assert!(tried.iter().all(|run| run["mirrors"][0]["problem"]["error"] == "sync-failing"), "{tried:#?}");
        let when = begun(&tried, &behind);
        assert_eq!(when.len(), 4, "{when:?}");
        for (tried, due) in when.iter().zip([20, 60, 140, 300]) {
            assert!((due..=due + 12).contains(tried), "{when:?}");
        }
        // and a restart is no reason to try at once
        world.crash();
        world.start().await;
        watched_for(&world, 60, 3).await;
        assert_eq!(heals(&world).await.len(), 4);
        // what mends it by itself ends it
        world.upstream.clear_faults();
        world.gitea().sync_now("openova", "one");
        watched_for(&world, 5, 1).await;
        assert_eq!(told(&world).await["state"], "fresh");
        world.upstream.commit("one", "main", 1);
        let behind = observed_anew(&world).await;
        watched_for(&world, 30, 1).await;
        let tried = heals(&world).await;
        assert_eq!(tried.len(), 5);
        assert!((20..=22).contains(&begun(&tried[4..], &behind)[0]), "as soon as the first time");
    });
}

#[test]
fn what_a_run_cannot_mend_is_tried_once_and_then_a_day_later() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        let changed = json!({"mirror_interval": "8h0m0s"});
        world.gitea_api(Method::PATCH, "/repos/openova/one", Some(changed)).await;
        world.gitea().configure(|settings| settings.min_interval = minutes(60));
        let behind = observed_anew(&world).await;
        assert_eq!(behind["reason"], "settings", "{behind:#}");
        watched_for(&world, 24 * 60, 60).await;
        let tried = heals(&world).await;
        assert_eq!(tried.len(), 1, "{:?}", begun(&tried, &behind));
        assert_eq!(tried[0]["mirrors"][0]["problem"]["error"], "interval-too-short", "{:#}", tried[0]);
        watched_for(&world, 180, 60).await;
        assert_eq!(heals(&world).await.len(), 2);
    });
}

#[test]
fn the_patience_is_as_configured() {
    story(async |mut world| {
        let yaml = format!("{}observation: {{ healAfter: 5m }}\n", world.yaml());
        world.start_with(&yaml).await;
        world.expect("created").await;
        world.upstream.commit("one", "main", 1);
        let behind = observed_anew(&world).await;
        watched_for(&world, 10, 1).await;
        let tried = heals(&world).await;
        assert!(matches!(begun(&tried, &behind)[..], [5..=7]), "{tried:#?}");
    });
}

#[test]
fn a_change_of_settings_is_mended_as_well() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        let changed = json!({"mirror_interval": "8h0m0s"});
        world.gitea_api(Method::PATCH, "/repos/openova/one", Some(changed)).await;
        observed_anew(&world).await;
        watched_for(&world, 25, 1).await;
        let tried = heals(&world).await;
        assert_eq!(tried.len(), 1);
        assert_eq!(tried[0]["mirrors"][0]["outcome"], "updated", "{:#}", tried[0]);
        assert_eq!(world.repository().await["mirror_interval"], "10m0s");
    });
}

#[test]
fn a_heal_is_guarded_as_every_run_is() {
    story(async |mut world| {
        world.extra = "prune: true".into();
        world.upstream.branches("one", "topic", "main", 9);
        world.start().await;
        world.expect("created").await;
        // it is behind, and pruning would delete most of what is there
        world.upstream.commit("one", "main", 1);
        observed_anew(&world).await;
        let held = world.gitea().heads_and_tags("openova", "one");
        for name in held.keys().filter(|name| name.contains("topic")) {
            world.upstream.delete_ref("one", name);
        }
        clear(&world);
        watched_for(&world, 120, 5).await;
        assert_eq!(world.count(SYNC), 0, "{:?}", world.changes());
        assert_eq!(world.gitea().heads_and_tags("openova", "one"), held);
        assert_eq!(told(&world).await["reason"], "upstream-suspect");
    });
}

/// Lets the mirror stay behind until it is being healed, which takes some minutes; gives the run.
async fn being_healed(world: &World) -> String {
    world.gitea().set_sync_delay(minutes(5));
    world.upstream.commit("one", "main", 1);
    let began = tokio::time::Instant::now();
    loop {
        observed_anew(world).await;
        world.demand_patience(began, &json!(world.changes()));
        if let Some(run) = heals(world).await.pop() {
            assert!(run["finishedAt"].is_null(), "{run:#}");
            return run["id"].as_str().unwrap().to_owned();
        }
    }
}

#[test]
fn a_heal_makes_way_for_whoever_wants_something_else_unless_somebody_was_given_it() {
    let keyed = [("idempotency-key", "k")];
    // by whom it was joined before, and whether the service was started anew since
    for (joined, crashed) in [(None, false), (Some(&[][..]), false), (Some(&keyed[..]), false), (Some(&[][..]), true)] {
        story(async |mut world| {
            world.start().await;
            world.expect("created").await;
            let heal = being_healed(&world).await;
            if let Some(headers) = joined {
                let answer = world.post_with("", headers).await;
                assert_eq!(
                    (id(&answer), answer.json()["coalesced"].clone()),
                    (heal.clone(), json!(true)),
                    "{answer:?}"
                );
            }
            if crashed {
                world.crash();
                world.start().await;
            }
            let other = world.post(&json!({ "onLegacy": "renameAside" })).await;
            if joined.is_none() {
                assert_eq!(other.status, 202, "{other:?}");
                assert_eq!(world.run_now(&heal).await["status"], "canceled");
                assert_eq!(world.end_of(&id(&other)).await["status"], "succeeded");
            } else {
                assert_eq!((other.status.as_u16(), other.problem().as_str()), (409, "run-conflict"), "{joined:?}");
                assert!(other.json()["detail"].as_str().unwrap().contains(&heal), "{other:?}");
                assert_eq!(world.end_of(&heal).await["status"], "succeeded", "{joined:?} {crashed}");
            }
        });
    }
}

#[test]
fn what_was_made_a_regular_repository_is_not_renamed_aside_unless_somebody_asks() {
    story_on(Profile::Forgejo16, async |mut world| {
        world.extra = "onLegacy: renameAside".into();
        world.start().await;
        world.expect("created").await;
        let made = world.repository().await["id"].clone();
        assert_eq!(world.gitea_api(Method::POST, "/repos/openova/one/convert", None).await.0, 200);
        clear(&world);
        observed_anew(&world).await;
        watched_for(&world, 120, 1).await;
        assert_eq!(world.changes(), Vec::<String>::new());
        assert_eq!(world.repository().await["id"], made);
        for run in heals(&world).await {
            assert_eq!(run["mirrors"][0]["problem"]["error"], "not-a-mirror", "{run:#}");
        }
        world.expect("replaced").await;
    });
}

#[test]
fn a_heal_that_was_refused_because_the_mirror_is_to_stand_still_has_tried_nothing() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.upstream.fault_for(Reader::Git, UpstreamFault::Status(500));
        let heal = being_healed(&world).await;
        for mode in ["pinned", "follow"] {
            let answer = world.put_mode("one", &json!({ "mode": mode, "reason": "a test" })).await;
            assert!(answer.status.is_success(), "{answer:?}");
        }
        assert_eq!(world.end_of(&heal).await["mirrors"][0]["problem"]["error"], "mode-refuses");
        watched_for(&world, 60, 1).await;
        assert_eq!(heals(&world).await.len(), 2);
    });
}
