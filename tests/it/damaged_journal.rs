//! A journal row that cannot be read is skipped, counted, and proves nothing; its mirror continues.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use standin::{Reader, UpstreamFault};

use crate::world::{World, story};

/// Texts in place of what was written: no JSON, JSON of another shape, a cut one, no UTF-8.
const DAMAGES: [&str; 4] = ["'{'", "'[]'", "substr({column}, 1, length({column}) - 1)", "CAST(x'ff' AS TEXT)"];

/// Ends the service, damages the journal, and starts it again.
async fn restart_on_damage(world: &mut World, statement: &str) {
    world.crash();
    world.tamper_with_the_journal(statement);
    world.start().await;
}

async fn unreadable(world: &World, table: &str) -> String {
    let metrics = world.get("/metrics").await.text;
    let series = format!("cutover_journal_rows_unreadable_total{{table=\"{table}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&series)).unwrap_or("absent").to_owned()
}

#[test]
fn a_mirror_goes_on_whatever_row_of_its_journal_is_damaged() {
    story(async |mut world| {
        world.keep_the_journal_on_disk();
        world.start().await;
        world.expect("created").await;
        for (table, column) in [
            ("intents", "run"),
            ("intents", "gitea_date"),
            ("intents", "about"),
            ("intents", "answer"),
            ("runs", "body"),
            ("parts", "body"),
            ("mirrors", "facts"),
            ("mirrors", "pruning"),
        ] {
            for damage in [DAMAGES[0], DAMAGES[3]] {
                let statement = format!("UPDATE {table} SET {column} = {damage} WHERE {column} IS NOT NULL");
                restart_on_damage(&mut world, &statement).await;
                let run = world.run().await;
                assert_eq!(run["status"], "succeeded", "{table}.{column}: {run:#}");
                assert_ne!(unreadable(&world, table).await, "absent", "{table}.{column}");
                assert_eq!(world.get("/readyz").await.status, StatusCode::OK);
            }
        }
        assert_eq!(world.count("POST /api/v1/repos/migrate"), 1);
    });
}

#[test]
fn a_placeholder_whose_migrate_cannot_be_read_is_never_deleted() {
    for column in ["run", "gitea_date", "about", "answer"] {
        for damage in DAMAGES {
            story(async |mut world| {
                world.keep_the_journal_on_disk();
                world.start().await;
                world.upstream.fault_for(Reader::Git, UpstreamFault::Status(404));
                world.expect_failure("migrate-failed").await;
                let left = world.gitea().repository("openova", "one").unwrap();
                assert!(left.placeholder);
                world.upstream.clear_faults();
                let damage = damage.replace("{column}", column);
                let statement = format!("UPDATE intents SET {column} = {damage} WHERE kind = 'migrate'");
                restart_on_damage(&mut world, &statement).await;
                // whatever time passes
                for _ in 0..2 {
                    world.expect_failure("broken-mirror").await;
                    tokio::time::sleep(Duration::from_hours(1)).await;
                }
                assert_eq!(world.gitea().repository("openova", "one").unwrap().id, left.id);
                assert!(!world.changes().iter().any(|call| call.starts_with("DELETE")), "{column} = {damage}");
            });
        }
    }
}

#[test]
fn what_was_known_before_a_call_that_cannot_be_read_is_no_proof_any_more() {
    story(async |mut world| {
        world.keep_the_journal_on_disk();
        world.start().await;
        world.upstream.fault_for(Reader::Git, UpstreamFault::Status(404));
        world.expect_failure("migrate-failed").await;
        world.upstream.clear_faults();
        // a later call, of which nobody can say what it was
        let copy = "INSERT INTO intents (run, mirror, kind, written_at, gitea_date, about) \
                    SELECT run, mirror, '?', written_at, gitea_date, '{' FROM intents WHERE kind = 'migrate'";
        restart_on_damage(&mut world, copy).await;
        world.expect_failure("broken-mirror").await;
        assert!(!world.changes().iter().any(|call| call.starts_with("DELETE")));
    });
}

#[test]
fn a_mode_that_cannot_be_read_counts_as_severed_and_changes_nothing_in_gitea() {
    for mode in ["pinned", "severed"] {
        for damage in DAMAGES {
            story(async |mut world| {
                world.keep_the_journal_on_disk();
                world.start().await;
                world.expect("created").await;
                assert_eq!(world.put_mode("one", &json!({ "mode": mode })).await.status, StatusCode::OK);
                let damage = damage.replace("{column}", "body");
                let damaged = format!("UPDATE mode_changes SET body = {damage}");
                restart_on_damage(&mut world, &damaged).await;
                world.gitea().clear_calls();
                let read = world.upstream.calls().len();
                for _ in 0..20 {
                    let status: Value = world.get("/status/one").await.json();
                    assert_eq!(
                        (&status["mode"], &status["modeChange"]["source"]),
                        (&json!("severed"), &json!("journal"))
                    );
                    tokio::time::sleep(Duration::from_mins(10)).await;
                }
                let problem = world.expect_failure("mode-refuses").await;
                assert!(problem["detail"].as_str().unwrap().contains("cannot be read"), "{problem}");
                assert_eq!((world.changes().len(), world.upstream.calls().len()), (0, read), "{mode} {damage}");
                assert_eq!(unreadable(&world, "mode_changes").await, "1");
                // an operator's word ends it, also the very mode that it counts as
                let word = if mode == "pinned" { "follow" } else { "severed" };
                assert_eq!(world.put_mode("one", &json!({ "mode": word })).await.status, StatusCode::OK);
                world.crash();
                world.start().await;
                let status = world.get("/status/one").await.json();
                assert_eq!(
                    (&status["mode"], &status["modeChange"]["source"]),
                    (&json!(word), &json!("api")),
                    "{status:#}"
                );
            });
        }
    }
}

#[test]
fn a_pin_of_somebody_elses_stays_though_a_call_before_it_cannot_be_read() {
    story(async |mut world| {
        world.keep_the_journal_on_disk();
        world.start().await;
        world.expect("created").await;
        for mode in ["pinned", "follow"] {
            assert_eq!(world.put_mode("one", &json!({ "mode": mode })).await.status, StatusCode::OK);
        }
        let stop = Some(json!({ "mirror_interval": "0s" }));
        let (status, _) = world.gitea_api(Method::PATCH, "/repos/openova/one", stop).await;
        assert_eq!(status, 200);
        let latest = "seq = (SELECT max(seq) FROM intents WHERE kind = 'patch_settings')";
        restart_on_damage(&mut world, &format!("UPDATE intents SET about = '{{' WHERE {latest}")).await;
        world.expect_failure("mode-refuses").await;
        assert_eq!(world.repository().await["mirror_interval"], "0s");
        assert_eq!(world.get("/status/one").await.json()["mode"], "pinned");
    });
}
