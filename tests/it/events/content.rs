//! Which events a stream has, and in which order.

use http::{Method, StatusCode};
use serde_json::json;

use super::{assert_rising, kinds};
use crate::world::{GITEA, Heard, VIEWER, World, story, story_everywhere};

#[test]
fn a_snapshot_comes_first_and_then_every_step_of_a_run_in_order() {
    story(async |mut world| {
        world.start().await;
        let mut stream = world.follow("/events", None).await;
        assert_eq!(stream.status, StatusCode::OK);
        for (name, value) in
            [("content-type", "text/event-stream"), ("cache-control", "no-cache"), ("x-accel-buffering", "no")]
        {
            assert_eq!(stream.headers[name], value);
        }
        assert!(stream.headers.get("content-encoding").is_none() && stream.headers.get("content-length").is_none());
        let snapshot = stream.event().await;
        assert_eq!((snapshot.kind(), &snapshot.data()["missed"]), ("snapshot", &json!(false)));
        assert_eq!(snapshot.data()["status"], world.get("/status").await.json());
        let id = world.ask().await;
        let told = stream.until("freshness").await;
        let run = world.run_now(&id).await;
        assert_rising(&[&[snapshot], &told[..]].concat());
        let all = kinds(&told);
        assert_eq!((all[0], &all[all.len() - 3..]), ("run-accepted", &["mirror-ended", "run-ended", "freshness"][..]));
        assert!(all[1..all.len() - 3].iter().all(|kind| *kind == "phase"), "{all:?}");
        assert_eq!(told[0].data()["run"]["status"], "queued");
        let phases: Vec<_> = told[1..].iter().map(|one| one.data()["mirror"]["phase"].as_str()).collect();
        for phase in ["connecting", "migrating", "verifying", "succeeded"] {
            assert!(phases.contains(&Some(phase)), "{phases:?}");
        }
        let [ended, whole, fresh] = &told[told.len() - 3..] else { unreachable!() };
        assert_eq!((&ended.data()["mirror"], &ended.data()["runId"]), (&run["mirrors"][0], &json!(id)));
        assert_eq!(whole.data()["run"], run);
        let status = world.get("/status/one").await.json();
        assert_eq!(fresh.data()["mirror"], json!({"name": "one", "freshness": status["freshness"]}));
        assert_eq!(status["freshness"]["state"], "fresh");
    });
}

#[test]
fn a_runs_stream_tells_that_run_alone_and_ends_with_it() {
    story(async |mut world| {
        world.two().await;
        let one = world.post(&json!({"mirrors": ["one"]})).await.json()["id"].as_str().unwrap().to_owned();
        let mut stream = world.follow(&format!("/cutover/runs/{one}/events"), None).await;
        let two = world.post(&json!({"mirrors": ["two"]})).await.json()["id"].as_str().unwrap().to_owned();
        let told = stream.rest().await;
        assert_eq!((told[0].kind(), told.last().unwrap().kind()), ("snapshot", "run-ended"));
        assert_eq!(told[0].data()["run"]["id"], json!(one));
        assert!(told[0].data().get("status").is_none());
        assert_rising(&told);
        assert!(told.iter().all(|event| !event.data().to_string().contains(&two)), "{told:?}");
        assert_eq!(told.last().unwrap().data()["run"], world.run_now(&one).await);
        world.end_of(&two).await;

        // once it has ended, it is told from its end, and to whoever knows that there is nothing to tell
        let path = format!("/cutover/runs/{one}/events");
        let again = world.follow(&path, None).await.rest().await;
        assert_eq!(kinds(&again), ["snapshot", "run-ended"]);
        assert_eq!(again[1].data(), told.last().unwrap().data());
        for last in [told.last().unwrap(), &again[1]] {
            let nothing = world.follow(&path, Some(&last.id().to_string())).await;
            assert_eq!(nothing.status, StatusCode::NO_CONTENT);
        }
        let half = world.follow(&path, Some(&told[1].id().to_string())).await.rest().await;
        assert_eq!(half, told[2..], "from where it was cut off, as it was told");
        let unknown = world.follow("/cutover/runs/019ab0de-7c00-7000-8000-000000000001/events", None).await;
        assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    });
}

#[test]
fn what_is_waited_for_is_told_and_a_run_that_is_taken_out_ends_its_stream() {
    story(async |mut world| {
        world.start().await;
        let router = world.in_process.down(GITEA);
        assert!(router.is_some());
        // open before there is a run: what is told of it is told from its beginning
        let mut everything = world.follow("/events", None).await;
        let id = world.ask().await;
        let mut stream = world.follow(&format!("/cutover/runs/{id}/events"), None).await;
        let waiting = loop {
            let event = everything.event().await;
            if event.kind() == "phase" && !event.data()["mirror"]["waitingFor"].is_null() {
                break event;
            }
        };
        assert_eq!(waiting.data()["mirror"]["phase"], "connecting");
        assert_eq!(waiting.data()["mirror"]["waitingFor"]["error"], "gitea-unreachable");
        world.cancel(&id).await;
        let told = stream.until("run-ended").await;
        assert_eq!(kinds(&told[told.len() - 2..]), ["mirror-ended", "run-ended"]);
        assert_eq!(told.last().unwrap().data()["run"]["status"], "canceled");
        assert_eq!(stream.next().await, None);
    });
}

#[test]
fn rewritten_history_is_told() {
    story_everywhere(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.upstream.orphan("one", "main");
        let mut stream = world.follow("/events", None).await;
        world.expect("synced").await;
        let told = stream.until("run-ended").await;
        let rewritten = told.iter().find(|event| event.kind() == "rewritten").unwrap_or_else(|| panic!("{told:?}"));
        let commit = world.upstream.heads_and_tags("one")["refs/heads/main"].clone();
        let mirror = json!({"name": "one", "trackedBranch": "main", "trackedCommit": commit});
        assert_eq!(rewritten.data()["mirror"], mirror);
    });
}

#[test]
fn the_platform_is_told_in_its_own_words_row_22() {
    story(async |mut world| {
        world.start().await;
        let mut stream = world.follow("/events?format=platform", None).await;
        let status = stream.event().await;
        assert_eq!((status.kind(), &status.data()["phase"]), ("cutover-status", &json!("cutover-status")));
        let map: std::collections::BTreeMap<String, String> =
            serde_json::from_str(status.data()["message"].as_str().unwrap()).unwrap();
        assert_eq!((&*map["cutoverComplete"], &*map["step.gitea-mirror.result"]), ("false", ""));
        world.run().await;
        let told = stream.until("cutover-step-finished").await;
        assert_eq!(told[0].kind(), "cutover-started");
        assert!(told[1..told.len() - 1].iter().all(|event| event.kind() == "cutover-step-started"), "{told:?}");
        for event in &told {
            let data = event.data();
            assert_eq!((data["phase"].as_str(), &data["level"]), (Some(event.kind()), &json!("info")), "{data}");
            assert!(data["time"].is_string() && data["message"].is_string(), "{data}");
        }
        assert_eq!(told.last().unwrap().data()["step"], "gitea-mirror");

        // whoever connects again is told the status, and of what it has missed nothing twice
        let last = told.last().unwrap().id().to_string();
        let mut again = world.follow("/events?format=platform", Some(&last)).await;
        let event = again.event().await;
        assert_eq!(event.kind(), "cutover-status");
        assert!(event.data()["message"].as_str().unwrap().contains(r#""step.gitea-mirror.result":"success""#));

        std::fs::write(world.path("gitea-token"), "no-token-of-any-gitea-0123456789").unwrap();
        world.run().await;
        let failed = stream.until("cutover-step-failed").await;
        let last = failed.last().unwrap().data();
        assert_eq!(last["level"], "error");
        assert!(last["message"].as_str().unwrap().contains("gitea-auth"), "{last}");
    });
}

#[test]
fn the_platform_hears_of_the_first_mirror_alone() {
    story(async |mut world| {
        world.upstream.create_sample("two");
        let yaml = world.yaml_of(&[("one", "one", "one", ""), ("two", "two", "two", "")]);
        world.start_with(&yaml).await;
        let mut stream = world.follow("/events?format=platform", None).await;
        stream.event().await;
        // a run of the other mirror is no news of the step, however it ends
        world.upstream.delete_ref("two", "refs/heads/main");
        let other = world.post(&json!({"mirrors": ["two"]})).await.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(world.end_of(&other).await["status"], "failed");
        // of a run of both, only its part of the first one is
        assert_eq!(world.run().await["status"], "failed");
        let told = stream.until("cutover-step-finished").await;
        assert_eq!(told[0].kind(), "cutover-started");
        assert!(told.iter().all(|event| !event.data()["message"].as_str().unwrap().contains("two")), "{told:?}");
        assert_eq!(world.get("/status").await.json()["steps"][0]["result"], "success");
    });
}

#[test]
fn a_stream_is_asked_for_as_everything_else_is() {
    story(async |mut world| {
        world.start().await;
        let ask = async |method: Method, path: &str, token: &str| {
            let request = http::Request::builder().method(method).uri(path).header("host", "localhost");
            let request = request.header("authorization", format!("Bearer {token}"));
            world.send(request.body(axum::body::Body::empty()).unwrap()).await
        };
        let id = world.ask().await;
        world.end_of(&id).await;
        for path in ["/events".to_owned(), format!("/cutover/runs/{id}/events")] {
            assert_eq!(ask(Method::GET, &path, "nobody-knows-this-token").await.problem(), "unauthenticated");
            let post = ask(Method::POST, &path, VIEWER).await;
            assert_eq!(
                (post.problem().as_str(), post.headers["allow"].to_str().unwrap()),
                ("method-not-allowed", "GET,HEAD,OPTIONS")
            );
            assert_eq!(ask(Method::OPTIONS, &path, VIEWER).await.status, StatusCode::NO_CONTENT);
            let head = ask(Method::HEAD, &path, VIEWER).await;
            assert_eq!((head.status, head.text.as_str()), (StatusCode::OK, ""));
            assert_eq!(head.headers["content-type"], "text/event-stream");
            let bad = ask(Method::GET, &format!("{path}?format=xml"), VIEWER).await;
            assert_eq!(bad.problem(), "invalid-field");
        }
        let of_run = ask(Method::GET, &format!("/cutover/runs/{id}/events"), VIEWER).await;
        assert!(of_run.text.contains("event: run-ended\n"), "{of_run:?}");
        assert_eq!(world.metric("cutover_sse_connections").await, Some(0.0));
    });
}

#[test]
fn silence_is_broken_every_fifteen_seconds_at_least() {
    story(async |mut world| {
        world.start().await;
        let mut stream = world.follow("/events", None).await;
        stream.event().await;
        for _ in 0..5 {
            let began = tokio::time::Instant::now();
            assert_eq!(stream.next().await, Some(Heard::Comment));
            assert!(began.elapsed().as_secs() <= 15, "{:?}", began.elapsed());
        }
    });
}

#[test]
fn each_event_is_counted_once_and_each_stream_by_how_it_ended() {
    story(async |mut world: World| {
        world.start().await;
        let (all, id) = (world.follow("/events", None).await, world.ask().await);
        let mut of_run = world.follow(&format!("/cutover/runs/{id}/events"), None).await;
        assert_eq!(world.metric("cutover_sse_connections").await, Some(2.0));
        of_run.rest().await;
        drop((all, of_run));
        for (series, value) in [
            ("cutover_sse_connections", 0.0),
            (r#"cutover_sse_events_total{event="run-accepted"}"#, 1.0),
            (r#"cutover_sse_events_total{event="run-ended"}"#, 1.0),
            (r#"cutover_sse_events_total{event="snapshot"}"#, 1.0),
            (r#"cutover_sse_disconnects_total{reason="ended"}"#, 1.0),
            (r#"cutover_sse_disconnects_total{reason="client"}"#, 1.0),
            (r#"cutover_http_requests_total{code="200",method="GET",route="/events"}"#, 1.0),
        ] {
            assert_eq!(world.metric(series).await, Some(value), "{series}");
        }
        let timed = r#"cutover_http_request_duration_seconds_count{method="GET",route="/events"}"#;
        assert_eq!(world.metric(timed).await, None);
    });
}
