//! Many webhooks without a pause: how many syncs they cause, and that no push is lost.

use std::collections::BTreeSet;
use std::time::Duration;

use cutover_api::clock::Clock as _;
use serde_json::json;
use standin::{CallKind, Fault, Reader, UpstreamFault};
use tokio::time::sleep;

use super::{SECRET, SYNC, delivery, push};
use crate::world::{World, id, story};

/// Waits until no run is in flight.
async fn rest(world: &World) -> usize {
    let began = tokio::time::Instant::now();
    loop {
        let runs = world.runs().await;
        world.demand_patience(began, &json!(runs));
        if runs.iter().all(|run| !run["finishedAt"].is_null()) {
            for run in &runs {
                assert_eq!(run["status"], "succeeded", "{run:#}");
            }
            return runs.len();
        }
        sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn a_burst_of_a_thousand_deliveries_is_at_most_two_syncs_and_the_last_push_is_in_gitea() {
    story(async |mut world| {
        world.start_hooked().await;
        let before = world.runs().await.len();
        let (mut runs, mut commit) = (BTreeSet::new(), String::new());
        for number in 0..1_000 {
            // pushes all along the second that the burst takes
            if number % 100 == 0 {
                commit = world.upstream.commit("one", "main", 1);
            }
            let body = push(&commit);
            let answer = world.hook(&delivery(&format!("d{number}"), &body), body).await;
            assert_eq!(answer.status, 202, "{answer:?}");
            runs.insert(answer.json()["run"].as_str().unwrap().to_owned());
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(rest(&world).await - before, runs.len());
        assert!(runs.len() <= 2, "{runs:?}");
        let syncs = world.count(SYNC);
        assert!((1..=2).contains(&syncs), "{syncs}");
        world.assert_same_refs();
        assert_eq!(world.upstream.resolve("one", "main").unwrap(), commit);
        let metrics = world.get("/metrics").await.text;
        assert!(metrics.contains("cutover_webhooks_total{result=\"joined\",vendor=\"github\"} 99"), "{metrics}");
    });
}

#[test]
fn a_push_in_the_middle_of_a_run_is_proven_by_that_very_run() {
    story(async |mut world| {
        world.start_hooked().await;
        world.upstream.commit("one", "main", 1);
        let run = world.ask().await;
        world.until_phase(&run, "syncing").await;
        // the run's own reading of upstream is older than this
        sleep(Duration::from_millis(1_500)).await;
        let commit = world.upstream.commit("one", "main", 1);
        let second = world.pushed(&push(&commit)).await;
        assert_eq!(second, run);
        let run = world.end_of(&second).await;
        assert_eq!(run["mirrors"][0]["evidence"]["trackedCommit"], commit, "{run:#}");
        assert_eq!(run["trigger"], "api", "whose run it is does not change");
        world.assert_same_refs();
    });
}

#[test]
fn the_proof_that_answers_a_delivery_is_never_older_than_it_whatever_the_delivery_says() {
    story(async |mut world| {
        world.start_hooked().await;
        world.upstream.commit("one", "main", 1);
        let run = world.ask().await;
        world.until_phase(&run, "syncing").await;
        sleep(Duration::from_millis(200)).await;
        let delivered_at = world.clock.now();
        world.upstream.commit("one", "topic", 1);
        // nothing of the tracked branch, and the run has a sync to its name: only the times tell
        assert_eq!(world.pushed("{\"ref\":\"refs/heads/topic\"}").await, run);
        let run = world.end_of(&run).await;
        let read_at = run["mirrors"][0]["evidence"]["upstreamReadAt"].as_str().unwrap();
        assert!(read_at.parse::<jiff::Timestamp>().unwrap() >= delivered_at, "{delivered_at}: {run:#}");
        world.assert_same_refs();
    });
}

#[test]
fn of_pushes_without_a_pause_none_is_lost_and_every_run_ends() {
    story(async |mut world| {
        world.start_hooked().await;
        let mut commit = String::new();
        for _ in 0..40 {
            commit = world.upstream.commit("one", "main", 1);
            world.pushed(&push(&commit)).await;
            sleep(Duration::from_millis(500)).await;
        }
        let ended = world.runs().await.iter().filter(|run| !run["finishedAt"].is_null()).count();
        assert!(ended > 2, "pushes without a pause hold no run open for ever: {ended}");
        rest(&world).await;
        world.assert_same_refs();
        let latest = &world.runs().await[0];
        assert_eq!(latest["mirrors"][0]["evidence"]["trackedCommit"], commit);
    });
}

#[test]
fn a_push_that_upstreams_git_does_not_show_yet_is_looked_for_once_more() {
    story(async |mut world| {
        world.start_hooked().await;
        for body in ["{}", "{\"ref\":\"refs/heads/main\",\"after\":\"9f2c1a7be1d84c5a9a0d3f6f5f0f3d0c6a4b2e11\"}"] {
            let run = world.pushed(body).await;
            sleep(Duration::from_secs(1)).await;
            assert!(world.run_now(&run).await["finishedAt"].is_null(), "it looks once more");
            world.upstream.commit("one", "main", 1);
            let run = world.end_of(&run).await;
            assert_eq!(run["mirrors"][0]["outcome"], "synced", "{run:#}");
            world.assert_same_refs();
        }
        // and only once
        let began = tokio::time::Instant::now();
        let run = world.pushed("{}").await;
        assert_eq!(world.end_of(&run).await["mirrors"][0]["outcome"], "noop");
        assert!((2..4).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
        // what is there already is not looked for
        let began = tokio::time::Instant::now();
        let run = world.pushed(&push(&world.upstream.resolve("one", "main").unwrap())).await;
        assert_eq!(world.end_of(&run).await["mirrors"][0]["outcome"], "noop");
        assert!(began.elapsed().as_secs() < 2, "{:?}", began.elapsed());
    });
}

#[test]
fn a_delivery_joins_a_run_that_may_do_more_than_it_asks_for() {
    story(async |mut world| {
        world.start_hooked().await;
        world.upstream.commit("one", "main", 1);
        let run = id(&world.post(&json!({ "onLegacy": "renameAside" })).await);
        world.until_phase(&run, "syncing").await;
        let commit = world.upstream.commit("one", "main", 1);
        assert_eq!(world.pushed(&push(&commit)).await, run);
        let run = world.end_of(&run).await;
        assert_eq!(run["mirrors"][0]["evidence"]["trackedCommit"], commit, "{run:#}");
    });
}

#[test]
fn a_delivery_outlives_a_crash_as_the_run_that_it_was_given() {
    story(async |mut world| {
        world.start_hooked().await;
        let commit = world.upstream.commit("one", "main", 1);
        let run = world.pushed(&push(&commit)).await;
        world.crash();
        world.start_listening().await;
        let run = world.end_of(&run).await;
        assert_eq!((&run["status"], &run["trigger"]), (&"succeeded".into(), &"webhook".into()));
        world.assert_same_refs();
    });
}

#[test]
fn a_push_to_one_of_many_mirrors_of_a_run_is_proven_there_and_costs_the_others_nothing() {
    story(async |mut world| {
        std::fs::write(world.path("webhook"), SECRET).unwrap();
        let hooked = format!("webhook: {{ secretFiles: [{}] }}", world.path("webhook").display());
        let others = ["two", "three", "four", "five"];
        let mut mirrors = vec![("one", "one", "one", hooked.as_str())];
        for other in others {
            world.upstream.create_sample(other);
            mirrors.push((other, other, other, ""));
        }
        let yaml = world.yaml_of(&mirrors);
        world.start_with(&yaml).await;
        world.expect("created").await;
        world.upstream.clear_calls();
        for other in others {
            world.upstream.commit(other, "main", 1);
            world.upstream.fault_at(other, Reader::Service, UpstreamFault::Delay(Duration::from_millis(200)));
        }
        // Gitea takes its time to show the refs of the first, and the others are synced meanwhile
        world.gitea().set_sync_delay(Duration::from_millis(200));
        world.gitea().fault_once_at("one", CallKind::InfoRefs, Fault::Delay(Duration::from_secs(9)));
        let run = id(&world.post(&json!({ "onLegacy": "renameAside" })).await);
        sleep(Duration::from_millis(500)).await;
        let commit = world.upstream.commit("one", "main", 1);
        assert_eq!(world.pushed(&push(&commit)).await, run);
        sleep(Duration::from_secs(7)).await;
        let ended = world.run_now(&run).await;
        let phases: Vec<_> = ended["mirrors"].as_array().unwrap().iter().map(|part| part["phase"].clone()).collect();
        assert_eq!(phases[1..], [json!("succeeded"), json!("succeeded"), json!("succeeded"), json!("succeeded")]);
        let run = world.end_of(&run).await;
        assert_eq!(run["mirrors"][0]["evidence"]["trackedCommit"], commit, "{run:#}");
        world.assert_same_refs();
        for other in others {
            let asked = |call: &&standin::Call| {
                call.path.contains(&format!("/{other}.git/info/refs")) && call.is_of_the_service()
            };
            assert_eq!(world.upstream.calls().iter().filter(asked).count(), 1, "{other}");
        }
    });
}
