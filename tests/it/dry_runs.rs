//! Dry runs: they predict what the next run does, and change nothing.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use standin::UpstreamFault;

use crate::world::{GITEA, World, plan, story, story_anywhere};

#[test]
fn a_dry_run_shows_the_calls_and_makes_none() {
    story_anywhere(async |mut world| {
        world.two().await;
        let (orgs, repos) = ("/orgs", format!("/orgs/{}/repos", world.owner));
        for (path, body) in
            [(orgs, json!({"username": world.owner})), (&repos, json!({"name": "two", "auto_init": true}))]
        {
            assert_eq!(world.gitea_api(Method::POST, path, Some(body)).await.0, 201);
        }
        world.clear_calls();
        let answer = world.post_with(r#"{"dryRun":true}"#, &[("idempotency-key", "k"), ("prefer", "wait=5")]).await;
        assert_eq!(answer.status, StatusCode::OK);
        for header in ["location", "preference-applied", "idempotency-replayed"] {
            assert!(!answer.headers.contains_key(header), "{header}");
        }
        let run = answer.json();
        assert_eq!((&run["id"], &run["dryRun"], &run["status"]), (&Value::Null, &json!(true), &json!("failed")));
        assert_eq!(run["requestedBy"], "ops");
        assert_eq!(plan(&run, 0), ["migrate", "patch_settings"], "{run:#}");
        assert_eq!((&run["mirrors"][0]["outcome"], &run["mirrors"][0]["evidence"]), (&json!("created"), &Value::Null));
        assert_eq!(
            run["mirrors"][0]["plan"][0]["why"].as_str().unwrap().split(':').next().unwrap(),
            format!("Gitea has no repository {}/one", world.owner)
        );
        assert!(plan(&run, 1).is_empty());
        assert_eq!(run["mirrors"][1]["problem"]["error"], "not-a-mirror");
        assert_eq!(world.changes(), Vec::<String>::new());
        assert_eq!(world.runs().await, Vec::<Value>::new());
        assert_eq!(world.get("/status").await.json()["latestRun"], Value::Null);
        // the key was not used up, and what was planned is what is done
        let real = world.post_with(r#"{"mirrors":["one"]}"#, &[("idempotency-key", "k"), ("prefer", "wait=60")]).await;
        assert_eq!((real.status, real.json()["mirrors"][0]["outcome"].clone()), (StatusCode::OK, json!("created")));
        assert!(real.json()["mirrors"][0].get("plan").is_none());
        let patched = "PATCH /api/v1/repos/openova/one";
        assert_eq!(world.changes(), ["POST /api/v1/repos/migrate", patched]);
    });
}

#[test]
fn a_dry_run_foresees_what_the_run_then_does() {
    story_anywhere(async |mut world| {
        world.start().await;
        let foresee = async |world: &World, calls: &[&str], outcome: &str| {
            world.clear_calls();
            let run = world.post_with(r#"{"dryRun":true}"#, &[]).await.json();
            assert_eq!((plan(&run, 0), &run["mirrors"][0]["outcome"]), (calls.to_vec(), &json!(outcome)), "{run:#}");
            assert_eq!(world.changes(), Vec::<String>::new());
            world.expect(outcome).await;
            assert_eq!(world.changes().len(), calls.len(), "{:?}", world.changes());
        };
        foresee(&world, &["create_organisation", "migrate", "patch_settings"], "created").await;
        let run = world.post_with(r#"{"dryRun":true}"#, &[]).await.json();
        assert!(run["mirrors"][0]["evidence"].is_object(), "where nothing is to be done, it is proven: {run:#}");
        foresee(&world, &[], "noop").await;
        world.upstream.commit("one", "main", 1);
        foresee(&world, &["mirror_sync"], "synced").await;
        world
            .gitea_api(Method::PATCH, &format!("/repos/{}/one", world.owner), Some(json!({"mirror_interval": "8h"})))
            .await;
        foresee(&world, &["patch_settings"], "updated").await;
        world.lose_the_journal();
        world.start().await;
        world.upstream.commit("one", "main", 1);
        foresee(&world, &["patch_settings", "mirror_sync", "patch_settings"], "updated").await;
    });
}

#[test]
fn a_dry_run_takes_half_a_minute_at_most() {
    story(async |mut world| {
        world.start().await;
        let gitea = world.in_process.down(GITEA).unwrap();
        let began = tokio::time::Instant::now();
        let run = world.post_with(r#"{"dryRun":true}"#, &[]).await.json();
        assert_eq!(run["mirrors"][0]["problem"]["error"], "gitea-unreachable", "{run:#}");
        assert!(began.elapsed() <= Duration::from_secs(30), "{:?}", began.elapsed());
        world.in_process.up(GITEA, gitea);
        world.upstream.fault(UpstreamFault::Status(503));
        let run = world.post_with(r#"{"dryRun":true}"#, &[]).await.json();
        assert_eq!(run["status"], "unverified", "{run:#}");
        assert_eq!(plan(&run, 0), ["create_organisation", "migrate", "patch_settings"]);
        assert!(began.elapsed() <= Duration::from_mins(1));
    });
}
