//! Runs as resources: joined, kept, and resumed after a crash or a restart.

use std::time::Duration;

use axum::body::Body;
use http::{Method, StatusCode, header};
use serde_json::json;

use crate::world::{World, story, story_anywhere};

const MIGRATE: &str = "POST /api/v1/repos/migrate";

#[test]
fn a_thousand_posts_at_once_make_one_run_one_organisation_and_one_migrate_rows_15_and_18() {
    story(async |mut world| {
        world.gitea().set_migrate_delay(Duration::from_secs(30));
        world.start().await;
        let nothing = json!({});
        let answers = futures_util::future::join_all((0..1_000).map(|_| world.post(&nothing))).await;
        let mut ids: Vec<String> = Vec::new();
        let mut coalesced = 0;
        for answer in &answers {
            assert_eq!(answer.status, StatusCode::ACCEPTED);
            let run = answer.json();
            assert_eq!(answer.headers[header::LOCATION], format!("/cutover/runs/{}", run["id"].as_str().unwrap()));
            coalesced += usize::from(run["coalesced"] == true);
            ids.push(run["id"].as_str().unwrap().to_owned());
        }
        ids.dedup();
        assert_eq!((ids.len(), coalesced), (1, 999));
        let run = world.end_of(&ids[0]).await;
        assert_eq!(run["status"], "succeeded", "{run:#}");
        assert_eq!((world.count("POST /api/v1/orgs"), world.count(MIGRATE)), (1, 1));
        assert_eq!(world.get("/cutover/runs").await.json()["runs"].as_array().unwrap().len(), 1);
    });
}

#[test]
fn a_run_goes_on_when_its_caller_hangs_up_row_19() {
    story(async |mut world| {
        world.gitea().set_migrate_delay(Duration::from_secs(30));
        world.start().await;
        let nothing = json!({});
        let call = world.post(&nothing);
        // the answer is never taken
        let _ = tokio::time::timeout(Duration::from_millis(1), call).await;
        let began = tokio::time::Instant::now();
        let run = loop {
            let status = world.get("/status").await.json();
            world.demand_patience(began, &status);
            if status["latestRun"]["status"] == "succeeded" {
                break status["latestRun"].clone();
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        assert_eq!(run["mirrors"][0]["outcome"], "created");
    });
}

async fn two_mirrors(world: &mut World) {
    world.upstream.create_sample("two");
    let yaml = world.yaml_of(&[("one", "one", "one", ""), ("two", "two", "two", "")]);
    world.start_with(&yaml).await;
}

#[test]
fn a_run_joins_the_work_in_flight_on_each_of_its_mirrors() {
    story(async |mut world| {
        world.gitea().set_migrate_delay(Duration::from_secs(30));
        two_mirrors(&mut world).await;
        let first = world.post(&json!({"mirrors": ["one"]})).await.json();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let both = world.post(&json!({})).await.json();
        assert_ne!(first["id"], both["id"]);
        assert_eq!(both["coalesced"], false);
        let same = world.post(&json!({"mirrors": ["two", "one"]})).await.json();
        assert_eq!(
            (&same["id"], &same["coalesced"]),
            (&both["id"], &json!(true)),
            "the same selection in another order"
        );
        let both = world.end_of(both["id"].as_str().unwrap()).await;
        let first = world.run_now(first["id"].as_str().unwrap()).await;
        assert_eq!((&first["status"], &both["status"]), (&json!("succeeded"), &json!("succeeded")));
        assert_eq!(first["mirrors"][0]["evidence"], both["mirrors"][0]["evidence"]);
        assert_eq!(world.count(MIGRATE), 2, "one for each mirror");
    });
}

#[test]
fn a_proof_from_before_it_was_asked_for_is_not_taken_row_6() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.lose_the_journal();
        world.start().await;
        // what is found is patched, and the patch has to stand for three seconds after upstream was read
        let id = world.ask().await;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let pushed = world.upstream.commit("one", "main", 1);
        let same = world.post(&json!({})).await.json();
        assert_eq!((&same["id"], &same["coalesced"]), (&json!(id), &json!(true)));
        let run = world.end_of(&id).await;
        assert_eq!(run["mirrors"][0]["evidence"]["trackedCommit"], pushed.as_str(), "{run:#}");
    });
}

#[test]
fn a_panic_ends_the_run_and_not_the_service() {
    story(async |mut world| {
        let router = world.in_process.down(crate::world::GITEA).unwrap();
        let wrong = axum::Router::new().fallback(async || -> &'static str { panic!("an internal error") });
        world.in_process.up(crate::world::GITEA, wrong);
        world.start().await;
        let problem = world.expect_failure("internal").await;
        assert!(!problem.to_string().contains("an internal error\""), "{problem}");
        assert!(world.get("/metrics").await.text.contains("cutover_panics_total 1"));
        world.in_process.up(crate::world::GITEA, router);
        world.expect("created").await;
    });
}

#[test]
fn one_mirror_that_fails_fails_the_run_and_the_other_is_carried_on() {
    story(async |mut world| {
        world.gitea().add_org("openova", "bot");
        world.gitea().add_repository("openova", "one");
        two_mirrors(&mut world).await;
        let run = world.run().await;
        assert_eq!(run["status"], "failed");
        assert_eq!(run["mirrors"][0]["problem"]["error"], "not-a-mirror");
        assert_eq!(run["mirrors"][1]["outcome"], "created");
    });
}

#[test]
fn runs_are_listed_newest_first_and_paged() {
    story(async |mut world| {
        world.start().await;
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(world.run().await["id"].clone());
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        ids.reverse();
        let mut seen = Vec::new();
        let mut path = "/cutover/runs?limit=2".to_owned();
        loop {
            let page = world.get(&path).await.json();
            seen.extend(page["runs"].as_array().unwrap().iter().map(|run| run["id"].clone()));
            let Some(cursor) = page["nextCursor"].as_str() else { break };
            path = format!("/cutover/runs?limit=2&cursor={cursor}");
        }
        assert_eq!(seen, ids);
        assert_eq!(world.get("/cutover/runs/00000000-0000-7000-8000-000000000000").await.problem(), "not-found");
        assert_eq!(world.get("/cutover/runs/nonsense").await.problem(), "not-found");
    });
}

#[test]
fn an_accepted_run_is_known_after_a_crash_and_goes_on_at_once() {
    story(async |mut world| {
        world.gitea().set_migrate_delay(Duration::from_mins(1));
        world.start().await;
        let id = world.ask().await;
        world.until_phase(&id, "migrating").await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        world.crash();
        world.start().await;
        let run = world.run_now(&id).await;
        assert!(run["finishedAt"].is_null());
        let run = world.end_of(&id).await;
        assert_eq!(run["mirrors"][0]["outcome"], "created", "{run:#}");
        assert_eq!(world.count(MIGRATE), 1, "Gitea finished what the process before had asked for");
    });
}

#[test]
fn a_crash_at_any_moment_ends_in_one_mirror_and_a_proven_run() {
    // before, in and after a cut-over that takes a second and some
    for crash_at in (0..20).map(|step| Duration::from_millis(step * 75)) {
        story_anywhere(async |mut world| {
            if !world.is_real() {
                world.gitea().set_migrate_delay(Duration::from_secs(1));
            }
            world.start().await;
            let id = world.ask().await;
            tokio::time::sleep(crash_at).await;
            world.crash();
            tokio::time::sleep(Duration::from_millis(10)).await;
            world.start().await;
            let run = world.end_of(&id).await;
            assert_eq!(run["status"], "succeeded", "crashed at {crash_at:?}: {run:#}");
            if !world.is_real() {
                assert_eq!(world.count(MIGRATE), 1, "crashed at {crash_at:?}");
                let made = world.gitea().repository("openova", "one").unwrap();
                assert_eq!(made.enable_prune, Some(false), "crashed at {crash_at:?}");
            }
            world.expect("noop").await;
        });
    }
}

#[test]
fn a_run_of_a_mirror_that_is_no_longer_configured_ends_superseded() {
    story(async |mut world| {
        world.gitea().set_migrate_delay(Duration::from_mins(1));
        two_mirrors(&mut world).await;
        let id = world.ask().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.crash();
        world.start().await;
        let run = world.end_of(&id).await;
        assert_eq!(run["mirrors"][1]["problem"]["error"], "superseded", "{run:#}");
        assert_eq!(run["mirrors"][0]["outcome"], "created", "{run:#}");
    });
}

#[test]
fn history_and_freshness_survive_a_restart() {
    story(async |mut world| {
        world.start().await;
        let run = world.expect("created").await;
        let before = world.get("/status").await.json();
        world.crash();
        world.start().await;
        let after = world.get("/status").await.json();
        assert_eq!(after["mirrors"], before["mirrors"]);
        assert_eq!(after["latestRun"]["id"], run["id"]);
        assert_eq!(after["mirroredCommitSHA"], run["mirrors"][0]["evidence"]["trackedCommit"]);
    });
}

#[test]
fn a_service_that_is_ending_accepts_no_run() {
    story(async |mut world| {
        world.start().await;
        world.begin_the_end();
        tokio::time::sleep(Duration::from_millis(10)).await;
        let answer = world.post(&json!({})).await;
        assert_eq!(answer.problem(), "shutting-down");
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        let answer = world.send(World::request(Method::GET, "/healthz").body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK);
    });
}
