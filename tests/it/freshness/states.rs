//! The freshness that the status shows after an observation.

use http::Method;
use serde_json::{Value, json};
use standin::{CallKind, Fault, Profile, Reader, UpstreamFault};

use super::{asked, at, clear, heals, minutes, observed, observed_anew, seconds, told};
use crate::world::{World, story, story_on};

#[test]
fn an_observation_that_finds_all_refs_proves_for_its_moment() {
    for profile in Profile::ALL {
        story_on(profile, async |mut world| {
            world.start().await;
            world.expect("created").await;
            let before = told(&world).await;
            assert_eq!((&before["state"], &before["refsBehind"]), (&json!("fresh"), &json!(0)), "{before:#}");
            tokio::time::sleep(minutes(15)).await;
            let after = observed(&world).await;
            assert_eq!((&after["state"], &after["differing"]), (&json!("fresh"), &json!([])), "{after:#}");
            let moved = at(&after["provenAt"]).duration_since(at(&before["provenAt"]));
            assert!(moved.as_secs() >= 15 * 60, "{moved}");
            assert_eq!(world.runs().await.len(), 1, "that was no run");
        });
    }
}

#[test]
fn a_proof_that_is_too_old_is_no_news_and_the_first_reader_brings_it() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        tokio::time::sleep(minutes(21)).await;
        let first = told(&world).await;
        assert_eq!((&first["state"], &first["reason"]), (&json!("unknown"), &json!("not-observed")), "{first:#}");
        let since = at(&first["unknownSince"]).duration_since(at(&first["provenAt"]));
        assert_eq!(since.as_secs(), 20 * 60, "two intervals after the proof");
        assert_eq!(observed(&world).await["state"], "fresh");
    });
}

#[test]
fn behind_is_told_with_its_refs_and_ends_with_giteas_own_poll() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        let proven = told(&world).await["provenAt"].clone();
        let commit = world.upstream.commit("one", "main", 1);
        world.upstream.branch("one", "new", "main");
        let behind = observed_anew(&world).await;
        assert_eq!((&behind["state"], &behind["refsBehind"]), (&json!("behind"), &json!(2)), "{behind:#}");
        assert_eq!((&behind["provenAt"], &behind["reason"]), (&proven, &Value::Null), "{behind:#}");
        let names: Vec<_> = behind["differing"].as_array().unwrap().iter().map(|one| one["ref"].clone()).collect();
        assert_eq!(names, ["refs/heads/main", "refs/heads/new"]);
        assert_eq!(behind["differing"][0]["upstream"], commit);
        assert!(behind["differing"][0]["gitea"].is_string() && behind["differing"][1]["gitea"].is_null());
        let mirror = world.get("/status/one").await.json();
        assert_eq!(mirror["upstream"]["commit"], commit);
        assert_ne!(mirror["gitea"]["commit"], commit);
        let later = observed_anew(&world).await;
        assert_eq!(later["behindSince"], behind["behindSince"], "since it was first seen");
        tokio::time::sleep(minutes(10)).await;
        world.gitea().cron_tick();
        tokio::time::sleep(seconds(30)).await;
        let fresh = observed_anew(&world).await;
        assert_eq!((&fresh["state"], &fresh["behindSince"]), (&json!("fresh"), &Value::Null), "{fresh:#}");
        assert!(at(&fresh["provenAt"]) > at(&behind["behindSince"]));
        assert_eq!(world.runs().await.len(), 1, "nobody had to help");
    });
}

#[test]
fn of_many_refs_that_differ_the_first_ten_are_named() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.upstream.branches("one", "topic", "main", 500);
        let behind = observed_anew(&world).await;
        assert_eq!((&behind["refsBehind"], behind["differing"].as_array().unwrap().len()), (&json!(500), 10));
    });
}

#[test]
fn what_cannot_be_told_says_why_and_since_when_and_ends_with_the_cause() {
    type Befalls = fn(&World);
    let causes: [(&str, Befalls); 6] = [
        ("gitea-unreachable", |world| drop(world.in_process.down(crate::world::GITEA))),
        ("not-gitea", |world| world.gitea().fault(CallKind::GetRepository, Fault::Html)),
        ("gitea-auth", |world| world.gitea().remove_token(&world.gitea_token)),
        ("upstream-unreachable", |world| world.upstream.fault_for(Reader::Service, UpstreamFault::Status(503))),
        ("upstream-refused", |world| world.upstream.fault_for(Reader::Service, UpstreamFault::Status(404))),
        ("upstream-suspect", |world| world.upstream.fault_for(Reader::Service, UpstreamFault::EmptyV0)),
    ];
    for (code, befalls) in causes {
        story(async |mut world| {
            world.start().await;
            world.expect("created").await;
            let proven = told(&world).await["provenAt"].clone();
            let router = world.gitea().router();
            befalls(&world);
            let first = observed_anew(&world).await;
            assert_eq!((&first["state"], &first["reason"]), (&json!("unknown"), &json!(code)), "{first:#}");
            assert_eq!((&first["provenAt"], &first["refsBehind"]), (&proven, &Value::Null), "{first:#}");
            let later = observed_anew(&world).await;
            assert_eq!(later["unknownSince"], first["unknownSince"]);
            assert!(at(&later["observedAt"]) > at(&first["observedAt"]));
            let mirror = world.get("/status/one").await.json();
            assert_eq!((&mirror["problem"], &mirror["consecutiveFailures"]), (&Value::Null, &json!(0)), "no attempt");
            // the cause passes, and so does the doubt
            world.upstream.clear_faults();
            world.gitea().clear_faults();
            world.in_process.up(crate::world::GITEA, router);
            world.gitea().set_token(
                "bot",
                &world.gitea_token,
                &["write:repository", "write:organization", "read:user"],
            );
            let fresh = observed_anew(&world).await;
            assert_eq!((&fresh["state"], &fresh["unknownSince"]), (&json!("fresh"), &Value::Null), "{code}: {fresh:#}");
        });
    }
}

#[test]
fn behind_stays_told_while_it_cannot_be_told_anew() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.upstream.commit("one", "main", 1);
        let behind = observed_anew(&world).await;
        world.upstream.fault_for(Reader::Service, UpstreamFault::Drop);
        let blind = observed_anew(&world).await;
        assert_eq!(
            (&blind["state"], &blind["reason"]),
            (&json!("behind"), &json!("upstream-unreachable")),
            "{blind:#}"
        );
        assert_eq!(blind["behindSince"], behind["behindSince"]);
        world.upstream.clear_faults();
        assert_eq!(observed_anew(&world).await["reason"], Value::Null);
    });
}

#[test]
fn settings_that_somebody_changed_are_told_as_such() {
    for change in [json!({"mirror_interval": "8h0m0s"}), json!({"default_branch": "feature"})] {
        story(async |mut world| {
            world.start().await;
            world.expect("created").await;
            tokio::time::sleep(seconds(2)).await;
            let (status, body) = world.gitea_api(Method::PATCH, "/repos/openova/one", Some(change.clone())).await;
            assert_eq!(status, 200, "{body}");
            let drifted = observed_anew(&world).await;
            assert_eq!((&drifted["state"], &drifted["reason"]), (&json!("behind"), &json!("settings")), "{drifted:#}");
            assert_eq!((&drifted["refsBehind"], &drifted["differing"]), (&json!(0), &json!([])), "{drifted:#}");
            assert_eq!(drifted["provenAt"], observed(&world).await["provenAt"]);
            assert!(
                at(&drifted["provenAt"]) >= at(&drifted["behindSince"]) - jiff::SignedDuration::from_secs(3),
                "{drifted:#}"
            );
            world.expect("updated").await;
            assert_eq!(told(&world).await["state"], "fresh");
        });
    }
}

#[test]
fn pruning_that_has_come_back_is_seen_by_what_it_deleted() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        let pruning = json!({"mirror_interval": "10m0s", "enable_prune": true});
        world.gitea_api(Method::PATCH, "/repos/openova/one", Some(pruning)).await;
        world.upstream.delete_ref("one", "refs/heads/feature");
        world.gitea().sync_now("openova", "one");
        tokio::time::sleep(seconds(30)).await;
        let drifted = observed_anew(&world).await;
        assert_eq!((&drifted["state"], &drifted["reason"]), (&json!("behind"), &json!("settings")), "{drifted:#}");
        world.expect("updated").await;
        assert_eq!(world.gitea().repository("openova", "one").unwrap().enable_prune, Some(false));
        assert_eq!(observed_anew(&world).await["state"], "fresh");
    });
}

#[test]
fn a_mirror_that_was_never_made_is_never_proven_and_one_that_is_gone_has_vanished() {
    story(async |mut world| {
        world.start().await;
        assert_eq!(told(&world).await["unknownSince"], Value::Null, "nobody has looked");
        let never = observed(&world).await;
        assert_eq!((&never["state"], &never["reason"]), (&json!("unknown"), &json!("never-proven")), "{never:#}");
        assert!(never["unknownSince"].is_string() && never["observedAt"].is_string(), "{never:#}");
        assert_eq!(asked(&world), 0, "there is nothing to compare upstream with");
        world.expect("created").await;
        world.gitea_api(Method::DELETE, "/repos/openova/one", None).await;
        let gone = observed_anew(&world).await;
        assert_eq!((&gone["state"], &gone["reason"]), (&json!("unknown"), &json!("repository-vanished")), "{gone:#}");
        world.gitea().add_repository("openova", "one");
        let other = observed_anew(&world).await;
        assert_eq!((&other["state"], &other["reason"]), (&json!("unknown"), &json!("not-a-mirror")), "{other:#}");
    });
}

#[test]
fn an_upstream_that_has_lost_most_of_its_branches_is_no_proof() {
    story(async |mut world| {
        world.upstream.branches("one", "topic", "main", 20);
        world.start().await;
        world.expect("created").await;
        let proven = told(&world).await["provenAt"].clone();
        for n in 0..20 {
            world.upstream.delete_ref("one", &format!("refs/heads/topic{n}"));
        }
        let left = world.upstream.heads_and_tags("one").keys().filter(|name| name.contains("topic")).count();
        assert_eq!(left, 0, "{:?}", world.upstream.heads_and_tags("one"));
        let suspect = observed_anew(&world).await;
        assert_eq!(
            (&suspect["state"], &suspect["reason"]),
            (&json!("unknown"), &json!("upstream-suspect")),
            "{suspect:#}"
        );
        assert_eq!(suspect["provenAt"], proven);
        assert_eq!(heals(&world).await.len(), 0);
    });
}

#[test]
fn an_attempt_that_failed_stays_told_beside_a_proof_of_later() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.upstream.fault_for(Reader::Service, UpstreamFault::Status(404));
        world.expect_failure("upstream-refused").await;
        assert_eq!(told(&world).await["reason"], "upstream-refused");
        world.upstream.clear_faults();
        clear(&world);
        assert_eq!(observed_anew(&world).await["state"], "fresh");
        let mirror = world.get("/status/one").await.json();
        assert_eq!(
            (&mirror["problem"]["error"], &mirror["consecutiveFailures"]),
            (&json!("upstream-refused"), &json!(1))
        );
    });
}
