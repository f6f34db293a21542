//! A run that is in flight at each of several crashes in a row: it is ended, and not resumed again and again.

use std::time::Duration;

use serde_json::{Value, json};
use standin::{Reader, UpstreamFault};

use crate::process::Scene;
use crate::world::{World, id, story};

/// Starts the service with two mirrors, and a run on the one whose upstream never answers.
async fn start_a_run_that_only_reads(world: &mut World) -> String {
    world.upstream.fault_at("one", Reader::Service, UpstreamFault::Hang);
    world.two().await;
    id(&world.post(&json!({ "mirrors": ["one"] })).await)
}

/// Kills the service while the run reads, and starts it again.
async fn crash(world: &mut World) {
    tokio::time::sleep(Duration::from_secs(15)).await;
    world.crash();
    world.two().await;
}

async fn prove_the_other(world: &World) {
    let other = id(&world.post(&json!({ "mirrors": ["two"] })).await);
    assert_eq!(world.end_of(&other).await["status"], "succeeded");
}

#[test]
fn a_run_in_flight_at_three_crashes_in_a_row_ends_and_the_other_mirrors_work_all_that_time() {
    story(async |mut world| {
        let run = start_a_run_that_only_reads(&mut world).await;
        for _ in 0..2 {
            prove_the_other(&world).await;
            crash(&mut world).await;
            assert!(world.run_now(&run).await["finishedAt"].is_null());
        }
        crash(&mut world).await;
        let ended = world.run_now(&run).await;
        let problem = &ended["mirrors"][0]["problem"];
        assert_eq!((&ended["status"], &problem["error"]), (&json!("failed"), &json!("run-crashed")), "{ended:#}");
        assert_eq!(problem["retryable"], true);
        let status = world.get("/status/one").await.json();
        assert_eq!(
            (&status["phase"], &status["problem"]["error"]),
            (&json!("idle"), &json!("run-crashed")),
            "{status:#}"
        );
        prove_the_other(&world).await;
        // it is over for good, and asking again can help
        world.crash();
        world.two().await;
        assert_eq!(world.run_now(&run).await["finishedAt"], ended["finishedAt"]);
        world.upstream.clear_faults();
        assert_eq!(world.run().await["status"], "succeeded");
    });
}

#[test]
fn a_run_that_is_asked_for_in_between_is_not_ended_for_the_crashes_of_another() {
    story(async |mut world| {
        let first = start_a_run_that_only_reads(&mut world).await;
        for _ in 0..2 {
            crash(&mut world).await;
        }
        let second = id(&world.post(&json!({})).await);
        crash(&mut world).await;
        assert_eq!(world.run_now(&first).await["mirrors"][0]["problem"]["error"], "run-crashed");
        assert!(world.run_now(&second).await["finishedAt"].is_null());
        world.upstream.clear_faults();
        assert_eq!(world.end_of(&second).await["status"], "succeeded");
    });
}

#[test]
fn a_run_that_changes_something_between_crashes_goes_on() {
    story(async |mut world| {
        let run = start_a_run_that_only_reads(&mut world).await;
        for _ in 0..2 {
            crash(&mut world).await;
        }
        world.upstream.clear_faults();
        world.gitea().set_migrate_delay(Duration::from_mins(5));
        tokio::time::sleep(Duration::from_secs(90)).await;
        assert_eq!(world.run_now(&run).await["mirrors"][0]["phase"], "migrating");
        for _ in 0..2 {
            crash(&mut world).await;
        }
        assert_eq!(world.end_of(&run).await["status"], "succeeded");
    });
}

#[test]
fn sigkill_counts_and_sigterm_does_not() {
    let scene = Scene::set();
    scene.upstream.fault_for(Reader::Service, UpstreamFault::Hang);
    let mut service = scene.serve();
    let accepted: Value = serde_json::from_slice(&scene.ask(&["mirror", "--json"]).stdout).unwrap();
    let path = format!("/cutover/runs/{}", accepted["id"].as_str().unwrap());
    for _ in 0..3 {
        let (code, _) = service.terminate();
        assert_eq!(code, Some(0));
        service = scene.serve();
    }
    for _ in 0..3 {
        assert!(scene.get(&path)["finishedAt"].is_null());
        // SIGKILL
        drop(service);
        service = scene.serve();
    }
    let ended = scene.get(&path);
    assert_eq!(ended["mirrors"][0]["problem"]["error"], "run-crashed", "{ended:#}");
    drop(service);
}
