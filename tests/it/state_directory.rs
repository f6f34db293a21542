//! A state directory that is deleted or replaced under a running process: that process then accepts nothing and changes
//! nothing in Gitea, so that a second process on the new directory is the only writer.

use std::fs;
use std::path::Path;
use std::time::Duration;

use cutover_api::journal::{FILE, Journal, OpenError};
use http::StatusCode;
use serde_json::json;

use crate::world::{World, story};

fn part(state: &Path, suffix: &str) -> std::path::PathBuf {
    state.join(format!("{FILE}{suffix}"))
}

/// Replaces a file by a copy of itself.
fn replace(file: &Path) {
    let content = fs::read(file).unwrap();
    fs::remove_file(file).unwrap();
    // nothing else takes the number of the one that is gone while this is there
    fs::write(file.with_extension("other"), "").unwrap();
    fs::write(file, content).unwrap();
}

type Loss = fn(&Path);

/// What may happen to a state directory, by whomever.
const LOSSES: [(&str, Loss); 9] = [
    ("the directory deleted", |state| fs::remove_dir_all(state).unwrap()),
    ("the directory renamed", |state| fs::rename(state, state.with_extension("old")).unwrap()),
    ("the directory replaced", |state| {
        fs::rename(state, state.with_extension("old")).unwrap();
        fs::create_dir(state).unwrap();
    }),
    ("the journal deleted", |state| fs::remove_file(part(state, "")).unwrap()),
    ("the journal replaced", |state| replace(&part(state, ""))),
    ("its WAL deleted", |state| fs::remove_file(part(state, "-wal")).unwrap()),
    ("its WAL replaced", |state| replace(&part(state, "-wal"))),
    ("its shared memory deleted", |state| fs::remove_file(part(state, "-shm")).unwrap()),
    ("the lock deleted", |state| fs::remove_file(state.join("lock")).unwrap()),
];

async fn demand_that_nothing_is_promised(world: &World, what: &str) {
    let ready = world.get("/readyz").await;
    assert_eq!(
        (ready.status, ready.problem().as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "state-unavailable"),
        "{what}"
    );
    for refused in [world.post(&json!({})).await, world.put_mode("one", &json!({ "mode": "pinned" })).await] {
        assert_eq!((refused.status, refused.problem().as_str()), (ready.status, "state-unavailable"), "{what}");
    }
    // readers are served
    assert_eq!(world.get("/status").await.status, StatusCode::OK, "{what}");
    assert_eq!(world.get("/metrics").await.status, StatusCode::OK, "{what}");
}

#[test]
fn a_process_that_has_lost_its_state_directory_takes_no_run_and_no_mode() {
    for (what, lose) in LOSSES {
        story(async |mut world| {
            world.keep_the_journal_on_disk();
            world.start().await;
            world.expect("created").await;
            world.gitea().clear_calls();
            lose(&world.path("state"));
            demand_that_nothing_is_promised(&world, what).await;
            tokio::time::sleep(Duration::from_hours(1)).await;
            demand_that_nothing_is_promised(&world, what).await;
            assert_eq!(world.changes(), Vec::<String>::new(), "{what}");
        });
    }
}

#[test]
fn a_run_in_flight_sends_nothing_more_once_the_state_directory_is_lost_and_another_process_takes_the_new_one() {
    for (what, lose) in LOSSES {
        story(async |mut world| {
            world.keep_the_journal_on_disk();
            world.start().await;
            world.gitea().set_migrate_delay(Duration::from_secs(5));
            let run = world.ask().await;
            world.until_phase(&run, "migrating").await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            lose(&world.path("state"));
            let before = world.changes();
            assert_eq!(before.last().map(String::as_str), Some("POST /api/v1/repos/migrate"));
            let ended = world.end_of(&run).await;
            assert_eq!(ended["mirrors"][0]["problem"]["error"], "state-unavailable", "{what}: {ended:#}");
            assert_eq!(world.changes(), before, "{what}: a PATCH of pruning would have been next");
            // where the lock went with the rest, the next process gets one of its own
            let still_locked = ["the journal", "its"].iter().any(|file| what.starts_with(file));
            let second = Journal::open(&world.path("state"));
            assert_eq!(matches!(second, Err(OpenError::InUse(_))), still_locked, "{what}: {second:?}");
            assert_eq!(second.is_ok(), !still_locked, "{what}: {second:?}");
        });
    }
}

#[test]
fn a_state_directory_that_comes_back_is_used_again() {
    story(async |mut world| {
        world.keep_the_journal_on_disk();
        world.start().await;
        let (state, away) = (world.path("state"), world.path("away"));
        fs::rename(&state, &away).unwrap();
        demand_that_nothing_is_promised(&world, "renamed").await;
        fs::rename(&away, &state).unwrap();
        assert_eq!(world.get("/readyz").await.status, StatusCode::OK);
        world.expect("created").await;
    });
}
