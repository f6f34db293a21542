//! Start on a full disk: reads are served, the probe says why it is not ready, and work begins once there is room.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use crate::world::{World, story};

async fn demand_that_only_reads_are_served(world: &World) {
    let ready = world.get("/readyz").await;
    assert_eq!((ready.status, ready.problem().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "state-unavailable"));
    for refused in [world.post(&json!({})).await, world.put_mode("one", &json!({ "mode": "pinned" })).await] {
        assert_eq!((refused.status, refused.problem().as_str()), (ready.status, "state-unavailable"));
    }
    for path in ["/status", "/status/one", "/cutover/runs", "/metrics", "/healthz"] {
        assert_eq!(world.get(path).await.status, StatusCode::OK, "{path}");
    }
}

/// Refuses every write to a table, in SQLite's words for a full disk.
fn fill(world: &World, table: &str) {
    for change in ["INSERT", "UPDATE", "DELETE"] {
        world.tamper_with_the_journal(&format!(
            "CREATE TRIGGER full_{change} BEFORE {change} ON {table} BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        ));
    }
}

fn make_room(world: &World) {
    world.tamper_with_the_journal("DROP TRIGGER full_INSERT; DROP TRIGGER full_UPDATE; DROP TRIGGER full_DELETE");
}

#[test]
fn a_start_on_a_full_disk_serves_reads_and_goes_on_with_what_was_in_flight_once_there_is_room() {
    for table in ["event_ids", "process"] {
        story(async |mut world| {
            world.keep_the_journal_on_disk();
            world.start().await;
            world.expect("created").await;
            world.gitea().configure(|settings| settings.maintenance = true);
            let run = world.ask().await;
            tokio::time::sleep(Duration::from_secs(3)).await;
            world.crash();
            fill(&world, table);
            world.start().await;
            demand_that_only_reads_are_served(&world).await;
            assert_eq!(world.get("/cutover/runs").await.json()["runs"].as_array().unwrap().len(), 2, "{table}");
            assert!(!world.get("/status/one").await.json()["freshness"]["provenAt"].is_null(), "{table}");
            world.gitea().configure(|settings| settings.maintenance = false);
            tokio::time::sleep(Duration::from_mins(10)).await;
            demand_that_only_reads_are_served(&world).await;
            assert!(world.run_now(&run).await["finishedAt"].is_null(), "{table}");
            make_room(&world);
            tokio::time::sleep(Duration::from_secs(6)).await;
            assert_eq!(world.get("/readyz").await.status, StatusCode::OK, "{table}");
            assert_eq!(world.end_of(&run).await["status"], "succeeded", "{table}");
            world.expect("noop").await;
        });
    }
}

#[test]
fn a_journal_that_cannot_even_be_opened_is_opened_once_it_can() {
    story(async |mut world| {
        // a device on which there is never room
        std::fs::create_dir(world.path("state")).unwrap();
        let file = world.path("state").join(cutover_api::journal::FILE);
        std::os::unix::fs::symlink("/dev/full", &file).unwrap();
        world.keep_the_journal_on_a_disk_that_may_be_full();
        world.start().await;
        demand_that_only_reads_are_served(&world).await;
        std::fs::remove_file(&file).unwrap();
        tokio::time::sleep(Duration::from_secs(6)).await;
        world.expect("created").await;
        assert!(file.is_file());
        // and it is the one that the next process reads
        world.crash();
        world.start().await;
        assert_eq!(world.runs().await.len(), 1);
    });
}
