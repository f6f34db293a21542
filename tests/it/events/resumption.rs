//! Resuming a stream by `Last-Event-ID`: after a cut, after a restart, and too late.

use std::time::Duration;

use serde_json::json;

use super::{assert_rising, kinds};
use crate::world::{Heard, World, story};

#[test]
fn whoever_was_cut_off_is_told_what_it_missed_and_nothing_twice() {
    story(async |mut world| {
        world.start().await;
        let mut whole = world.follow("/events", None).await;
        let first = whole.event().await;
        world.run().await;
        world.upstream.commit("one", "main", 1);
        world.run().await;
        let mut told = whole.until("run-ended").await;
        told.extend(whole.until("run-ended").await);
        // from every place, and live from there on
        let mut since = vec![first];
        since.extend(told);
        for (n, event) in since.iter().enumerate() {
            let mut again = world.follow("/events", Some(&event.id().to_string())).await;
            for expected in &since[n + 1..] {
                assert_eq!(again.event().await, *expected);
            }
        }
        let last = since.last().unwrap().id().to_string();
        let mut again = world.follow("/events", Some(&last)).await;
        let id = world.ask().await;
        assert_eq!(again.event().await.data()["run"]["id"], json!(id));
    });
}

#[test]
fn after_a_crash_a_stream_goes_on_and_its_story_agrees_with_the_run() {
    story(async |mut world| {
        world.gitea().set_migrate_delay(Duration::from_mins(1));
        world.start().await;
        let id = world.ask().await;
        let path = format!("/cutover/runs/{id}/events");
        let (mut of_run, mut all) = (world.follow(&path, None).await, world.follow("/events", None).await);
        let mut heard = Vec::new();
        while heard.last().is_none_or(|event: &Heard| event.data()["mirror"]["phase"] != "migrating") {
            heard.push(of_run.event().await);
        }
        let everywhere = all.event().await;
        world.crash();
        world.start().await;
        let last = heard.last().unwrap().id().to_string();
        let after = world.follow(&path, Some(&last)).await.rest().await;
        assert!(kinds(&after).contains(&"snapshot"), "what began anew is shown: {:?}", kinds(&after));
        heard.extend(after);
        assert_rising(&heard);
        assert_eq!(kinds(&heard).iter().filter(|kind| **kind == "run-ended").count(), 1);
        assert_eq!(kinds(&heard).iter().filter(|kind| **kind == "mirror-ended").count(), 1);
        assert_eq!(heard.last().unwrap().data()["run"], world.run_now(&id).await);

        // and everywhere: what was accepted before the crash is not told again, and the end is
        let mut again = world.follow("/events", Some(&everywhere.id().to_string())).await;
        let told = again.until("run-ended").await;
        assert!(told.iter().all(|event| event.kind() != "snapshot" || event.data()["missed"] == false));
        assert_eq!(told.last().unwrap().data()["run"]["id"], json!(id));

        // once more, when it has ended: the same story from the journal alone
        world.crash();
        world.start().await;
        let told = world.follow(&path, Some(&heard[0].id().to_string())).await.rest().await;
        assert_eq!(told.last(), heard.last());
        let nothing = world.follow(&path, Some(&heard.last().unwrap().id().to_string())).await;
        assert_eq!(nothing.status, http::StatusCode::NO_CONTENT);
    });
}

#[test]
fn an_id_that_is_not_kept_or_none_of_ours_gets_a_snapshot_that_says_so() {
    story(async |mut world: World| {
        world.start().await;
        let first = world.follow("/events", None).await.event().await.id().to_string();
        world.run().await;
        let told = world.follow("/events", Some(&first)).await.until("run-ended").await;
        assert_eq!(told[0].kind(), "run-accepted");
        for bad in ["x", "-1", "999999999999999999", "99999999999999999999999999"] {
            let event = world.follow("/events", Some(bad)).await.event().await;
            assert_eq!((event.kind(), &event.data()["missed"]), ("snapshot", &json!(true)), "{bad}");
        }
        // runs are kept for thirty days, and what was told of them as long
        tokio::time::sleep(Duration::from_hours(31 * 24)).await;
        world.run().await;
        let event = world.follow("/events", Some(&first)).await.event().await;
        assert_eq!((event.kind(), &event.data()["missed"]), ("snapshot", &json!(true)));
        let event = world.follow("/events", Some("")).await.event().await;
        assert_eq!(event.data()["missed"], json!(false), "a browser that has seen nothing has missed nothing");
    });
}
