//! What is written to the platform's status after a success (rows 29 to 32 of its contract).

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use standin::UpstreamFault;
use tokio::time::{Instant, sleep};

use super::server::{API_SERVER, ApiServer, Fault};
use super::{Log, OURS, metric, start, story_in_a_cluster, until};
use crate::world::World;

const PATCHES: &str = "patch configmaps";
const CREATES: &str = "create configmaps";

/// As the platform's chart and its engine leave it before the first step.
fn seeded() -> Value {
    json!({
        "cutoverComplete": "false", "cutoverStartedAt": "2026-01-01T00:00:00Z", "currentStep": "gitea-mirror",
        "currentStepIndex": "0", "totalSteps": "11", "progressPercent": "0", "step.gitea-mirror.result": "running",
        "step.flux-gitrepository-patch.result": "", "registriesYamlActive": "v1", "node.a.registriesYaml": "v2",
    })
}

async fn until_metric(world: &World, series: &str, value: f64) {
    let began = Instant::now();
    while metric(world, series).await != Some(value) {
        assert!(began.elapsed() < Duration::from_mins(2), "{series} is {:?}", metric(world, series).await);
        sleep(Duration::from_millis(100)).await;
    }
}

const WELL: &str = "cutover_platform_status_writes_total{result=\"written\"}";
const BADLY: &str = "cutover_platform_status_writes_total{result=\"failed\"}";

#[test]
fn a_proven_run_is_told_under_our_own_keys_and_nothing_else_is_touched() {
    story_in_a_cluster("", async |world, server| {
        server.status_is(&seeded());
        let run = world.expect("created").await;
        until(|| server.count(PATCHES) > 0).await;
        let (evidence, data) = (&run["mirrors"][0]["evidence"], server.data());
        assert_eq!(data["mirroredCommitSHA"], evidence["trackedCommit"]);
        assert_eq!(data["mirroredCommitSHA"].as_str().unwrap().len(), 40);
        let ours = |key: &str| data[&format!("giteaMirror.{key}")].clone();
        assert_eq!((ours("result"), ours("outcome")), (json!("success"), json!("created")));
        assert_eq!((ours("runId"), ours("mirror")), (run["id"].clone(), json!("one")));
        assert_eq!((ours("repository"), ours("branch")), (json!("openova/one"), evidence["trackedBranch"].clone()));
        assert_eq!(
            (ours("upstreamDigest"), ours("refs")),
            (evidence["upstreamDigest"].clone(), json!(evidence["refs"].to_string()))
        );
        let read = ["upstreamReadAt", "giteaReadAt"].map(|at| evidence[at].as_str().unwrap().to_owned());
        assert_eq!(ours("provenAt"), *read.iter().min().unwrap());
        assert_eq!(ours("writable"), "false");
        // all that the engine owns is as it was, and was not even sent
        for (key, value) in seeded().as_object().unwrap() {
            assert_eq!(data[key], *value, "{key}");
        }
        for patch in server.calls(PATCHES) {
            assert_eq!(patch.body.as_object().unwrap().keys().collect::<Vec<_>>(), ["data"]);
            let mut keys = patch.body["data"].as_object().unwrap().keys();
            assert!(keys.all(|key| key == "mirroredCommitSHA" || key.starts_with("giteaMirror.")), "{patch:?}");
        }
        until_metric(&world, WELL, 1.0).await;
    });
}

#[test]
fn the_latest_of_several_successes_is_what_stands_there() {
    story_in_a_cluster("", async |world, server| {
        server.status_is(&seeded());
        server.fail(PATCHES, &[Fault::Slow(Duration::from_secs(4))]);
        world.expect("created").await;
        let mut last = json!(null);
        for _ in 0..3 {
            last = world.expect("noop").await["id"].clone();
        }
        until(|| server.data().get("giteaMirror.runId") == Some(&last)).await;
        assert_eq!(server.count(PATCHES), 2, "what was overtaken while it waited is not written");
        assert_eq!(server.data()["giteaMirror.outcome"], "noop");
    });
}

#[test]
fn what_is_no_proof_of_the_first_mirror_is_not_told() {
    story_in_a_cluster("", async |mut world, server| {
        server.status_is(&seeded());
        world.upstream.fault(UpstreamFault::Status(404));
        assert_eq!(world.run().await["status"], "failed");
        world.upstream.clear_faults();
        world.expect("created").await;
        until(|| server.count(PATCHES) > 0).await;
        server.forget_calls();
        world.upstream.fault(UpstreamFault::Status(503));
        assert_eq!(world.run().await["status"], "unverified");
        world.upstream.clear_faults();
        // a mirror that is not the first
        world.crash();
        world.upstream.create_sample("two");
        let mirrors = world.yaml_of(&[("one", "one", "one", ""), ("two", "two", "two", "")]);
        super::start_as(&mut world, &mirrors, "").await;
        let run = world.post(&json!({ "mirrors": ["two"] })).await.json();
        assert_eq!(world.end_of(run["id"].as_str().unwrap()).await["status"], "succeeded");
        sleep(Duration::from_secs(30)).await;
        assert_eq!((server.count(PATCHES), server.count(CREATES)), (0, 0));
    });
}

#[test]
fn where_there_is_no_status_it_is_made_as_the_platform_would() {
    story_in_a_cluster("absentStatus: allow", async |world, server| {
        world.expect("created").await;
        until(|| server.status().is_some()).await;
        let status = server.status().unwrap();
        assert_eq!(status["metadata"]["labels"], json!({ "app.kubernetes.io/part-of": "self-sovereign-cutover" }));
        assert_eq!(status["data"]["cutoverComplete"], "false");
        assert_eq!(status["data"]["giteaMirror.result"], "success");
        assert_eq!((server.count(PATCHES), server.count(CREATES)), (1, 1));
    });
}

#[test]
fn a_status_that_somebody_makes_at_the_same_moment_is_patched() {
    story_in_a_cluster("absentStatus: allow", async |world, server| {
        server.race_for_the_status();
        world.expect("created").await;
        until(|| server.count(PATCHES) > 1).await;
        let data = server.data();
        assert_eq!(data["cutoverStartedAt"], "2026-01-01T00:00:00Z", "theirs is as they made it");
        assert_eq!(data["giteaMirror.result"], "success");
        assert!(!data.contains_key("giteaMirror.statusCreatedBy"));
        assert_eq!((server.count(PATCHES), server.count(CREATES)), (2, 1));
    });
}

#[test]
fn what_passes_is_tried_five_times_slower_and_slower_and_then_counted_as_failed() {
    story_in_a_cluster("", async |world, server| {
        server.status_is(&seeded());
        server.fail(PATCHES, &[503, 429, 409, 500].map(Fault::Status));
        world.expect("created").await;
        until(|| server.data().contains_key("mirroredCommitSHA")).await;
        let calls = server.calls(PATCHES);
        assert_eq!(calls.iter().map(|call| call.answered).collect::<Vec<_>>(), [503, 429, 409, 500, 200]);
        let pauses: Vec<_> = calls.windows(2).map(|two| (two[1].at - two[0].at).as_millis()).collect();
        assert!(
            pauses.iter().zip([150, 300, 600, 1_200]).all(|(pause, least)| (least..least + 20).contains(pause)),
            "{pauses:?}"
        );

        server.forget_calls();
        server.fail(PATCHES, &[503; 5].map(Fault::Status));
        world.expect("noop").await;
        until_metric(&world, BADLY, 1.0).await;
        assert_eq!((server.count(PATCHES), metric(&world, WELL).await), (5, Some(1.0)));
        // and the next success is told again
        world.expect("noop").await;
        until_metric(&world, WELL, 2.0).await;
    });
}

#[test]
fn a_status_that_cannot_be_written_neither_fails_nor_delays_a_run() {
    story_in_a_cluster("pastPivotGuard: false", async |world, server| {
        server.status_is(&seeded());
        server.fail(PATCHES, &vec![Fault::Slow(Duration::from_mins(1)); 5]);
        let began = Instant::now();
        world.expect("created").await;
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        until_metric(&world, BADLY, 1.0).await;

        let log = Log::begin();
        server.deny(PATCHES);
        world.expect("noop").await;
        until_metric(&world, BADLY, 2.0).await;
        assert!(
            log.text().contains("kubernetes-denied") && log.text().contains("docs/kubernetes.md"),
            "{}",
            log.text()
        );
        assert!(!log.text().contains(OURS));
        // a token that may patch and may not create
        server.allow_again();
        server.no_status();
        server.deny(CREATES);
        world.expect("noop").await;
        until_metric(&world, BADLY, 3.0).await;
        world.in_process.down(API_SERVER);
        world.expect("noop").await;
        until_metric(&world, BADLY, 4.0).await;
        assert_eq!(world.get("/readyz").await.status, StatusCode::OK);
    });
}

#[test]
fn without_a_status_in_the_configuration_nothing_is_written_or_read() {
    story_in_a_cluster("statusConfigMap: ''\npastPivotGuard: false", async |world, server: ApiServer| {
        server.status_is(&json!({ "cutoverComplete": "true" }));
        world.expect("created").await;
        assert_eq!(world.get("/status").await.json()["state"], "tethered");
        sleep(Duration::from_secs(30)).await;
        assert_eq!((server.count(PATCHES), server.count("get configmaps")), (0, 0));
    });
}

#[test]
fn a_restart_tells_nothing_by_itself() {
    story_in_a_cluster("", async |mut world, server| {
        server.status_is(&seeded());
        world.expect("created").await;
        until(|| server.count(PATCHES) == 1).await;
        world.crash();
        start(&mut world, "").await;
        sleep(Duration::from_secs(30)).await;
        assert_eq!(server.count(PATCHES), 1);
    });
}
