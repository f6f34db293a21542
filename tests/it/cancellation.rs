//! Canceling a run: the run ends, Gitea's clone continues, and the next run starts from what is there.

use std::time::Duration;

use axum::body::Body;
use http::{StatusCode, header};
use serde_json::json;

use crate::world::{VIEWER, id, story};

const MIGRATE: &str = "POST /api/v1/repos/migrate";

#[test]
fn a_run_that_is_taken_out_in_mid_clone_says_that_gitea_goes_on_and_the_next_one_waits_for_it() {
    story(async |mut world| {
        world.gitea().set_migrate_delay(Duration::from_mins(1));
        world.start().await;
        let run = world.ask().await;
        world.until_phase(&run, "migrating").await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let (waiting, canceled) = tokio::join!(world.post_with("", &[("prefer", "wait=60")]), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            world.cancel(&run).await
        });
        assert_eq!((waiting.status, waiting.json()["status"].clone()), (StatusCode::OK, json!("canceled")));
        assert_eq!(canceled.status, StatusCode::OK);
        let body = canceled.json();
        assert_eq!(
            (&body["status"], &body["mirrors"][0]["phase"]),
            (&json!("canceled"), &json!("canceled")),
            "{body:#}"
        );
        assert!(body["note"].as_str().unwrap().contains("the clone continues"), "{body:#}");
        assert!(body["finishedAt"].is_string());
        assert_eq!(world.get("/status").await.json()["mirrors"][0]["phase"], "idle");
        assert_eq!(world.cancel(&run).await.problem(), "run-ended");
        assert!(world.run_now(&run).await.get("note").is_none());
        let metrics = world.get("/metrics").await.text;
        let counted = r#"cutover_mirror_runs_total{mirror="one",outcome="none",status="canceled"} 1"#;
        assert!(metrics.contains(counted), "{metrics}");
        let next = world.ask().await;
        assert_ne!(next, run);
        let next = world.end_of(&next).await;
        assert_eq!(next["status"], "succeeded", "{next:#}");
        assert_eq!(world.count(MIGRATE), 1, "Gitea's own clone was waited for");
        world.crash();
        world.start().await;
        assert_eq!(world.run_now(&run).await["status"], "canceled", "it is written down");
    });
}

#[test]
fn a_driver_that_another_run_waits_for_goes_on() {
    story(async |mut world| {
        world.gitea().set_migrate_delay(Duration::from_secs(30));
        world.two().await;
        let one = id(&world.post_with(r#"{"mirrors":["one"]}"#, &[]).await);
        world.until_phase(&one, "migrating").await;
        let both = id(&world.post_with("", &[]).await);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(world.cancel(&one).await.status, StatusCode::OK);
        assert_eq!(world.run_now(&both).await["mirrors"][0]["phase"], "migrating");
        let both = world.end_of(&both).await;
        assert_eq!((&both["status"], world.count(MIGRATE)), (&json!("succeeded"), 2), "{both:#}");
        assert_eq!(world.run_now(&one).await["status"], "canceled", "the first end stands");
    });
}

#[test]
fn only_an_operator_takes_out_a_run_that_is_there() {
    story(async |mut world| {
        world.gitea().set_migrate_delay(Duration::from_secs(30));
        world.start().await;
        assert_eq!(world.cancel("00000000-0000-7000-8000-000000000000").await.problem(), "not-found");
        assert_eq!(world.cancel("nonsense").await.problem(), "not-found");
        let run = world.ask().await;
        let request = http::Request::delete(format!("/cutover/runs/{run}"))
            .header(header::HOST, "localhost:8080")
            .header(header::AUTHORIZATION, format!("Bearer {VIEWER}"));
        assert_eq!(world.send(request.body(Body::empty()).unwrap()).await.problem(), "forbidden");
        let early = world.cancel(&run).await;
        assert!(early.json().get("note").is_none(), "nothing was begun: {early:?}");
    });
}

#[test]
fn a_run_can_be_taken_out_at_any_moment_and_the_next_one_is_proven() {
    for cancel_at in (0..50).map(|step| Duration::from_millis(step * 60)) {
        story(async |mut world| {
            world.gitea().set_migrate_delay(Duration::from_secs(1));
            world.start().await;
            let run = world.ask().await;
            tokio::time::sleep(cancel_at).await;
            let canceled = world.cancel(&run).await;
            assert!(matches!(canceled.status.as_u16(), 200 | 409), "{canceled:?}");
            let next = world.run().await;
            assert_eq!(next["status"], "succeeded", "canceled at {cancel_at:?}: {next:#}");
            assert_eq!(world.count(MIGRATE), 1, "canceled at {cancel_at:?}");
        });
    }
}
