//! The part of `/status` that the platform's console reads: one step, in the platform's words.

use std::time::Duration;

use cutover_api::clock::Clock as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use standin::{CallKind, Fault, Reader, UpstreamFault};

use crate::world::{World, story};

async fn step(world: &World) -> Value {
    let mut status = world.get("/status").await.json();
    assert_eq!(status["steps"].as_array().map(Vec::len), Some(1), "{status:#}");
    status["steps"][0].take()
}

/// A time of ours: RFC 3339, in UTC.
#[track_caller]
fn time(value: &Value) -> Timestamp {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is no time"));
    assert!(text.ends_with('Z'), "{text}");
    text.parse().unwrap()
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_mins(minutes)
}

#[test]
fn when_the_first_attempt_began_is_written_once_and_each_attempt_has_a_start_of_its_own_rows_24_and_26() {
    story(async |mut world| {
        world.gitea().set_migrate_delay(minutes(3));
        world.start().await;
        let nothing = step(&world).await;
        for member in ["startedAt", "attemptStartedAt", "finishedAt"] {
            assert!(nothing[member].is_null(), "{nothing:#}");
        }
        let id = world.ask().await;
        world.until_phase(&id, "migrating").await;
        let first = step(&world).await;
        assert_eq!((&first["result"], &first["finishedAt"]), (&json!("running"), &Value::Null), "{first:#}");
        assert_eq!(first["startedAt"], first["attemptStartedAt"]);
        let began = time(&first["startedAt"]);

        // the process ends in the middle of it, and the next one takes the run up
        tokio::time::sleep(minutes(1)).await;
        world.crash();
        world.start().await;
        world.end_of(&id).await;
        let done = step(&world).await;
        assert_eq!((&done["result"], time(&done["startedAt"])), (&json!("success"), began), "{done:#}");
        assert!(
            time(&done["attemptStartedAt"]) > began && time(&done["finishedAt"]) >= time(&done["attemptStartedAt"])
        );

        // another attempt, which fails
        tokio::time::sleep(minutes(10)).await;
        world.upstream.fault_for(Reader::Service, UpstreamFault::Status(404));
        world.expect_failure("upstream-refused").await;
        let failed = step(&world).await;
        assert_eq!((&failed["result"], time(&failed["startedAt"])), (&json!("failed"), began), "{failed:#}");
        assert!(time(&failed["attemptStartedAt"]) > time(&done["finishedAt"]), "{failed:#}");
        assert!(time(&failed["finishedAt"]) >= time(&failed["attemptStartedAt"]), "{failed:#}");

        // and all of it is known after another restart
        world.crash();
        world.start().await;
        let again = step(&world).await;
        for member in ["result", "startedAt", "attemptStartedAt", "finishedAt"] {
            assert_eq!(again[member], failed[member], "{member}");
        }
    });
}

#[test]
fn what_is_told_of_work_that_waits_is_never_old_and_says_why_row_28() {
    story(async |mut world| {
        let router = world.in_process.down(crate::world::GITEA).unwrap();
        world.start().await;
        let id = world.ask().await;
        world.until_phase(&id, "connecting").await;
        let mut seen = Vec::new();
        for _ in 0..80 {
            tokio::time::sleep(Duration::from_secs(10)).await;
            let updated = time(&step(&world).await["updatedAt"]);
            let age = jiff::SignedDuration::try_from(Duration::from_secs(32)).unwrap();
            assert!(world.clock.now().duration_since(updated) <= age, "{updated}");
            seen.push(updated);
        }
        seen.dedup();
        assert!((20..80).contains(&seen.len()), "it is when somebody looked, not when somebody asked: {}", seen.len());
        let status = world.get("/status").await.json();
        assert_eq!(status["mirrors"][0]["phase"], "connecting");
        assert!(status["mirrors"][0]["waitingFor"]["remedy"].as_str().is_some_and(|remedy| remedy.len() > 40));
        world.in_process.up(crate::world::GITEA, router);
        world.end_of(&id).await;

        // nobody has looked at the two sides since, so it does not move, however often it is read
        tokio::time::sleep(Duration::from_secs(5)).await;
        let one = step(&world).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(step(&world).await["updatedAt"], one["updatedAt"]);
        assert!(time(&one["updatedAt"]) >= time(&one["finishedAt"]));
    });
}

#[test]
fn the_console_reads_only_words_that_it_knows_rows_25_to_28() {
    const RESULTS: [&str; 5] = ["", "running", "success", "failed", "skipped"];
    type Befalls = fn(&World);
    let ends: [(&str, Befalls); 3] = [
        ("success", |_| {}),
        ("skipped", |world| world.upstream.fault_for(Reader::Service, UpstreamFault::Status(503))),
        ("failed", |world| world.upstream.fault_for(Reader::Service, UpstreamFault::Status(404))),
    ];
    for (expected, befalls) in ends {
        story(async |mut world| {
            befalls(&world);
            // long enough to be seen under way, however the machine is loaded
            world.gitea().fault_once(CallKind::GetRepository, Fault::Delay(Duration::from_secs(2)));
            world.start().await;
            let id = world.ask().await;
            let mut told = vec![String::new()];
            let began = tokio::time::Instant::now();
            loop {
                let status = world.get("/status").await.json();
                world.demand_patience(began, &status);
                assert!(["tethered", "sovereign"].contains(&status["state"].as_str().unwrap()), "{status:#}");
                assert_eq!(status["cutoverComplete"], false);
                let result = status["steps"][0]["result"].as_str().unwrap().to_owned();
                assert!(RESULTS.contains(&result.as_str()), "{result}");
                told.push(result);
                if !world.run_now(&id).await["finishedAt"].is_null() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            let status = world.get("/status").await.json();
            told.push(status["steps"][0]["result"].as_str().unwrap().to_owned());
            told.dedup();
            told.retain(|result| !result.is_empty());
            assert_eq!(told, ["running", expected], "{status:#}");
            let failed = expected == "failed";
            assert_eq!(status["failedStep"], if failed { json!("gitea-mirror") } else { Value::Null });
            assert_eq!(status["lastError"].as_str().is_some_and(|why| why.starts_with("upstream-refused: ")), failed);
            assert_eq!(status["mirrors"][0]["problem"]["remedy"].is_string(), expected != "success");
            if !failed {
                assert_eq!(status["mirroredCommitSHA"], status["mirrors"][0]["gitea"]["commit"]);
                assert_eq!(status["mirroredCommitSHA"].as_str().map(str::len), Some(40));
            }
        });
    }
}
