//! A push that a webhook names before upstream's servers show it: the run waits for it, and never claims it.

use std::time::Duration;

use serde_json::{Value, json};
use standin::Reader;
use tokio::time::{Instant, sleep};

use super::{SYNC, delivery, github};
use crate::world::{Heard, World, story};

const ZEROS: &str = "0000000000000000000000000000000000000000";

/// What a forge says of a push.
fn moved(reference: &str, before: &str, after: &str) -> String {
    json!({ "ref": reference, "before": before, "after": after, "repository": { "full_name": "one" } }).to_string()
}

impl World {
    /// Pushes a commit to `main` that no server of upstream shows yet, and gives what its delivery says.
    fn push_unseen(&self, reader: Reader) -> String {
        let before = self.upstream.resolve("one", "refs/heads/main").unwrap();
        self.upstream.lag("one", reader);
        moved("refs/heads/main", &before, &self.upstream.commit("one", "main", 1))
    }

    async fn deliver(&self, id: &str, body: &str) -> String {
        let answer = self.hook(&delivery(id, body), body.to_owned()).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()["run"].as_str().unwrap().to_owned()
    }

    async fn freshness(&self) -> Value {
        self.get("/status/one").await.json()["freshness"].clone()
    }

    /// Demands that nothing is claimed of the mirror.
    async fn assert_lagging(&self) {
        let freshness = self.freshness().await;
        assert_eq!((&freshness["state"], &freshness["reason"]), (&"unknown".into(), &"upstream-lagging".into()));
    }

    /// The end of a run, and how many seconds away it was.
    async fn ends(&self, run: &str) -> (Value, u64) {
        let began = Instant::now();
        let run = self.end_of(run).await;
        (run, began.elapsed().as_secs())
    }
}

#[track_caller]
fn assert_unverified(run: &Value) {
    assert_eq!(run["status"], "unverified", "{run:#}");
    let part = &run["mirrors"][0];
    assert_eq!((&part["problem"]["error"], &part["evidence"]), (&"upstream-lagging".into(), &Value::Null), "{run:#}");
    assert_eq!(part["problem"]["retryable"], true);
}

#[test]
fn a_push_that_upstream_shows_late_is_waited_for_and_then_proven() {
    story(async |mut world| {
        world.start_hooked().await;
        let body = world.push_unseen(Reader::Everyone);
        let run = world.deliver("d1", &body).await;
        let mut stream = world.follow(&format!("/cutover/runs/{run}/events"), None).await;
        sleep(Duration::from_secs(20)).await;
        let now = world.get("/status/one").await.json();
        assert_eq!(now["waitingFor"]["error"], "upstream-lagging", "{now:#}");
        assert_eq!(now["phase"], "verifying");
        world.assert_lagging().await;
        let answer = world.hook(&delivery("d1", &body), body.clone()).await.json();
        assert_eq!((&answer["reason"], &answer["run"]), (&"duplicate".into(), &run.as_str().into()), "it is at work");
        world.upstream.catch_up("one");
        let (run, _) = world.ends(&run).await;
        assert_eq!((&run["status"], &run["mirrors"][0]["outcome"]), (&"succeeded".into(), &"synced".into()), "{run:#}");
        let heard = stream.rest().await;
        let waits = |event: &Heard| {
            event.kind() == "phase" && event.data()["mirror"]["waitingFor"]["error"] == "upstream-lagging"
        };
        assert!(heard.iter().any(waits), "{heard:#?}");
        world.assert_same_refs();
        assert_eq!(world.freshness().await["state"], "fresh");
        let answer = world.hook(&delivery("d1", &body), body).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["reason"]), (200, &"duplicate".into()));
    });
}

#[test]
fn a_push_that_upstream_does_not_show_within_a_minute_stays_owed_across_runs_and_restarts() {
    story(async |mut world| {
        world.start_hooked().await;
        let body = world.push_unseen(Reader::Everyone);
        world.upstream.clear_calls();
        let first = world.deliver("d1", &body).await;
        let (run, took) = world.ends(&first).await;
        assert_unverified(&run);
        assert!((59..=63).contains(&took), "{took}");
        let readings = world.upstream.calls().iter().filter(|call| call.path.contains("/info/refs")).count();
        assert_eq!(readings, 7, "at once, after 1, 3, 7, 15 and 31 seconds, and at the end");
        world.assert_lagging().await;
        // an observation reads the same old list
        sleep(Duration::from_mins(1)).await;
        world.freshness().await;
        sleep(Duration::from_secs(3)).await;
        world.assert_lagging().await;
        // the same delivery again is no duplicate, and another's run is no proof either
        let again = world.deliver("d1", &body).await;
        assert_ne!(again, first);
        assert_unverified(&world.end_of(&again).await);
        world.crash();
        world.start_listening().await;
        world.assert_lagging().await;
        let run = world.ask().await;
        assert_unverified(&world.end_of(&run).await);
        world.upstream.catch_up("one");
        let run = world.run().await;
        assert_eq!((&run["status"], &run["mirrors"][0]["outcome"]), (&"succeeded".into(), &"synced".into()), "{run:#}");
        world.assert_same_refs();
        assert_eq!(world.freshness().await["state"], "fresh");
    });
}

#[test]
fn a_delivery_is_owed_though_the_service_was_killed_just_after_its_answer() {
    story(async |mut world| {
        world.start_hooked().await;
        let body = world.push_unseen(Reader::Everyone);
        let run = world.deliver("d1", &body).await;
        world.crash();
        world.start_listening().await;
        assert_unverified(&world.end_of(&run).await);
    });
}

#[test]
fn an_observation_that_sees_the_push_says_so() {
    story(async |mut world| {
        world.start_hooked().await;
        let body = world.push_unseen(Reader::Everyone);
        let run = world.deliver("d1", &body).await;
        assert_unverified(&world.end_of(&run).await);
        world.upstream.catch_up("one");
        sleep(Duration::from_mins(1)).await;
        world.freshness().await;
        sleep(Duration::from_secs(3)).await;
        let freshness = world.freshness().await;
        assert_eq!((&freshness["state"], &freshness["refsBehind"]), (&"behind".into(), &1.into()), "{freshness}");
    });
}

#[test]
fn a_push_that_no_reading_shows_for_ten_minutes_was_taken_back() {
    story(async |mut world| {
        world.start_hooked().await;
        let before = world.upstream.resolve("one", "refs/heads/main").unwrap();
        let body = world.push_unseen(Reader::Everyone);
        let run = world.deliver("d1", &body).await;
        assert_unverified(&world.end_of(&run).await);
        world.upstream.update_ref("one", "refs/heads/main", &before);
        world.upstream.catch_up("one");
        sleep(Duration::from_mins(7)).await;
        let run = world.ask().await;
        assert_unverified(&world.end_of(&run).await);
        world.assert_lagging().await;
        sleep(Duration::from_mins(1)).await;
        world.freshness().await;
        sleep(Duration::from_secs(3)).await;
        assert_eq!(world.freshness().await["state"], "fresh", "ten minutes are over");
        let (run, took) = world.ends(&world.ask().await).await;
        assert_eq!((&run["mirrors"][0]["outcome"], took), (&"noop".into(), 0), "{run:#}");
        let answer = world.deliver("d1", &body).await;
        assert_eq!(world.end_of(&answer).await["mirrors"][0]["outcome"], "noop");
    });
}

#[test]
fn a_new_branch_and_a_tag_are_waited_for_as_the_tracked_branch_is() {
    story(async |mut world| {
        world.start_hooked().await;
        for (reference, tag) in [("refs/heads/new", false), ("refs/tags/v9", false), ("refs/tags/v10", true)] {
            world.upstream.lag("one", Reader::Everyone);
            let after = if tag {
                world.upstream.annotated_tag("one", "v10", "main", "annotated")
            } else {
                world.upstream.update_ref("one", reference, "main");
                world.upstream.resolve("one", reference).unwrap()
            };
            let body = moved(reference, ZEROS, &after);
            let run = world.deliver(reference, &body).await;
            sleep(Duration::from_secs(10)).await;
            assert!(world.run_now(&run).await["finishedAt"].is_null(), "{reference}");
            world.upstream.catch_up("one");
            assert_eq!(world.end_of(&run).await["mirrors"][0]["outcome"], "synced", "{reference}");
            world.assert_same_refs();
        }
    });
}

#[test]
fn what_is_there_already_or_gone_or_names_no_object_is_not_waited_for() {
    story(async |mut world| {
        world.start_hooked().await;
        let before = world.upstream.resolve("one", "refs/heads/main").unwrap();
        let commit = world.upstream.commit("one", "main", 1);
        let body = moved("refs/heads/main", &before, &commit);
        world.end_of(&world.deliver("d1", &body).await).await;
        world.upstream.lag("one", Reader::Everyone);
        let feature = world.upstream.resolve("one", "refs/heads/feature").unwrap();
        world.upstream.delete_ref("one", "refs/heads/feature");
        // the web's replay button sends the same under another id; and an annotated tag is named by its commit by Gitea
        for (id, body, limit) in [
            ("d2", body.clone(), 1),
            ("d3", moved("refs/heads/feature", &feature, ZEROS), 1),
            ("d4", moved("refs/heads/main", "x", "y"), 3),
            ("d5", moved("refs/heads/main", &commit, &"f".repeat(41)), 3),
            ("d6", json!({ "ref": "main", "after": "f".repeat(40) }).to_string(), 3),
            ("d7", "{}".to_owned(), 3),
        ] {
            let (run, took) = world.ends(&world.deliver(id, &body).await).await;
            assert_eq!(run["status"], "succeeded", "{id}: {run:#}");
            assert!(took <= limit, "{id}: {took}");
        }
        let tag = moved("refs/tags/v1a", ZEROS, &before);
        let plain = super::hex(super::SECRET, tag.as_bytes());
        let headers = vec![("x-gitea-event", "push".to_owned()), ("x-gitea-signature", plain)];
        let answer = world.hook(&headers, tag).await;
        let (run, took) = world.ends(answer.json()["run"].as_str().unwrap()).await;
        assert_eq!((&run["status"], took), (&"succeeded".into(), 0), "{run:#}");
    });
}

#[test]
fn a_later_delivery_for_the_ref_takes_the_place_of_one_that_is_waited_for() {
    story(async |mut world| {
        world.start_hooked().await;
        let first = world.push_unseen(Reader::Everyone);
        let run = world.deliver("d1", &first).await;
        sleep(Duration::from_secs(5)).await;
        // it is replaced before any server has shown it, and another ref is pushed
        let old = world.upstream.resolve("one", "refs/heads/main").unwrap();
        let new = world.upstream.force_push("one", "main");
        assert_eq!(world.deliver("d2", &moved("refs/heads/main", &old, &new)).await, run, "it joins");
        let other = world.upstream.commit("one", "feature", 1);
        assert_eq!(world.pushed(&moved("refs/heads/feature", &old, &other)).await, run);
        sleep(Duration::from_secs(5)).await;
        assert!(world.run_now(&run).await["finishedAt"].is_null());
        world.upstream.catch_up("one");
        let run = world.end_of(&run).await;
        assert_eq!(run["mirrors"][0]["evidence"]["trackedCommit"], new, "{run:#}");
        world.assert_same_refs();
        // the first one, which arrives once more and late, is of before the second
        let (run, took) = world.ends(&world.deliver("d3", &first).await).await;
        assert_eq!((&run["mirrors"][0]["outcome"], took), (&"noop".into(), 0), "{run:#}");
    });
}

#[test]
fn a_push_that_arrives_in_the_last_moment_of_such_a_run_is_read_for_by_it() {
    story(async |mut world| {
        world.start_hooked().await;
        let run = world.deliver("d1", &world.push_unseen(Reader::Everyone)).await;
        sleep(Duration::from_secs(59)).await;
        let feature = world.upstream.resolve("one", "refs/heads/feature").unwrap();
        let body = moved("refs/heads/feature", &feature, &world.upstream.commit("one", "feature", 1));
        assert_eq!(world.pushed(&body).await, run);
        world.upstream.catch_up("one");
        assert_eq!(world.end_of(&run).await["status"], "succeeded");
        world.assert_same_refs();
    });
}

#[test]
fn a_mirror_that_has_the_push_before_upstreams_list_does_is_not_taken_for_broken() {
    story(async |mut world| {
        world.start_hooked().await;
        // Gitea is answered by a server that is up to date
        let body = world.push_unseen(Reader::Service);
        let run = world.deliver("d1", &body).await;
        sleep(Duration::from_secs(2)).await;
        let path = "/repos/openova/one/mirror-sync";
        assert_eq!(world.gitea_api(http::Method::POST, path, None).await.0, 200);
        sleep(Duration::from_secs(20)).await;
        assert!(world.run_now(&run).await["finishedAt"].is_null());
        world.upstream.catch_up("one");
        assert_eq!(world.end_of(&run).await["status"], "succeeded");
        world.assert_same_refs();
    });
}

#[test]
fn a_fetch_of_giteas_that_is_answered_by_a_server_that_lags_is_asked_for_again() {
    story(async |mut world| {
        world.start_hooked().await;
        let body = world.push_unseen(Reader::Git);
        let run = world.deliver("d1", &body).await;
        sleep(Duration::from_secs(15)).await;
        assert!(world.run_now(&run).await["finishedAt"].is_null());
        let syncs = world.count(SYNC);
        assert!((2..=6).contains(&syncs), "{syncs}");
        world.upstream.catch_up("one");
        assert_eq!(world.end_of(&run).await["status"], "succeeded");
        world.assert_same_refs();
    });
}

#[test]
fn a_run_with_less_time_than_that_reads_once_more_and_ends_unverified() {
    story(async |mut world| {
        world.start_hooked().await;
        world.crash();
        let yaml = format!("{}limits: {{ run: 1m }}\n", world.yaml());
        world.start_with(&yaml).await;
        let body = world.push_unseen(Reader::Everyone);
        let answer = world.hook(&github(&body), body).await;
        let (run, took) = world.ends(answer.json()["run"].as_str().unwrap()).await;
        assert_unverified(&run);
        assert!((55..=60).contains(&took), "{took}");
    });
}
