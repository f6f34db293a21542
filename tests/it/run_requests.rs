//! Starting a run: options, `Prefer: wait` and `Idempotency-Key`; and the pages of the list of runs.

use std::time::Duration;

use axum::body::Body;
use http::{StatusCode, header};
use serde_json::{Value, json};

use crate::world::{Answer, id, story};

const MIGRATE: &str = "POST /api/v1/repos/migrate";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn an_answer_waits_for_the_end_of_its_run_as_long_as_it_is_asked_to() {
    story(async |mut world| {
        world.gitea().set_migrate_delay(seconds(30));
        world.start().await;
        let began = tokio::time::Instant::now();
        let short = world.post_with("", &[("prefer", "respond-async, wait=10")]).await;
        assert_eq!((short.status, began.elapsed().as_secs()), (StatusCode::ACCEPTED, 10));
        assert_eq!(short.headers["preference-applied"], "wait=10");
        assert_eq!(short.json()["mirrors"][0]["phase"], "migrating", "as it stands after the wait");
        assert!(short.headers.contains_key(header::RETRY_AFTER));
        let long = world.post_with("{}", &[("prefer", "wait=60")]).await;
        assert_eq!(long.status, StatusCode::OK);
        assert!(began.elapsed() < seconds(40), "{:?}", began.elapsed());
        assert_eq!(long.headers["preference-applied"], "wait=60");
        assert_eq!(long.headers[header::LOCATION], format!("/cutover/runs/{}", id(&long)));
        assert!(!long.headers.contains_key(header::RETRY_AFTER));
        let run = long.json();
        assert_eq!((&run["status"], &run["coalesced"]), (&json!("succeeded"), &json!(true)), "{run:#}");
        assert_eq!((run["id"].clone(), run["mirrors"][0]["outcome"].clone()), (json!(id(&short)), json!("created")));
    });
}

#[test]
fn a_wait_that_is_none_is_passed_over() {
    story(async |mut world| {
        world.gitea().set_migrate_delay(seconds(30));
        world.start().await;
        for prefer in ["wait=-1", "wait=abc", "wait=61", "wait=999999", "handling=strict", "wait", ","] {
            let began = tokio::time::Instant::now();
            let answer = world.post_with("", &[("prefer", prefer)]).await;
            assert_eq!((answer.status, began.elapsed()), (StatusCode::ACCEPTED, Duration::ZERO), "{prefer}");
            assert!(!answer.headers.contains_key("preference-applied"), "{prefer}");
        }
    });
}

#[test]
fn who_waits_and_hangs_up_cancels_nothing_and_who_waits_at_the_end_is_answered_at_once() {
    story(async |mut world| {
        world.gitea().set_migrate_delay(seconds(30));
        world.start().await;
        let _ = tokio::time::timeout(seconds(5), world.post_with("", &[("prefer", "wait=60")])).await;
        let began = tokio::time::Instant::now();
        let (answer, ()) = tokio::join!(world.post_with("", &[("prefer", "wait=60")]), async {
            tokio::time::sleep(seconds(5)).await;
            world.begin_the_end();
        });
        assert_eq!((answer.status, began.elapsed().as_secs()), (StatusCode::ACCEPTED, 5));
        assert!(!answer.headers.contains_key("preference-applied"));
        let run = id(&answer);
        world.crash();
        world.start().await;
        assert_eq!(world.end_of(&run).await["status"], "succeeded");
    });
}

#[test]
fn a_thousand_posts_with_one_key_make_one_run_and_the_key_outlives_it_and_a_restart_row_20() {
    story(async |mut world| {
        world.start().await;
        let key = [("idempotency-key", "8e03978e-40d5-43dd-bc93-6894a57f9324")];
        let answers = futures_util::future::join_all((0..1_000).map(|_| world.post_with("", &key))).await;
        let first = id(&answers[0]);
        assert!(answers.iter().all(|answer| answer.status == StatusCode::ACCEPTED && id(answer) == first));
        let replayed =
            |answer: &Answer| answer.headers.get("idempotency-replayed").is_some_and(|value| value == "true");
        assert_eq!(answers.iter().filter(|answer| replayed(answer)).count(), 999);
        world.end_of(&first).await;
        // another spelling of the same body, and the end state at once for whoever waits
        for body in ["{}", "{ }", ""] {
            let again = world.post_with(body, &[key[0], ("prefer", "wait=5")]).await;
            assert_eq!((again.status, id(&again)), (StatusCode::OK, first.clone()), "{body}");
            assert!(replayed(&again));
        }
        world.crash();
        world.start().await;
        let again = world.post_with("", &key).await;
        assert_eq!((again.status, id(&again)), (StatusCode::ACCEPTED, first.clone()));
        assert!(replayed(&again) && again.json()["status"] == "succeeded");
        assert_eq!(world.runs().await.len(), 1);
        assert_ne!(id(&world.post_with("", &[]).await), first, "without the key it is another request");
    });
}

#[test]
fn a_key_with_another_body_is_refused_and_each_caller_has_its_own() {
    story(async |mut world| {
        world.two().await;
        let key = ("idempotency-key", "k");
        let first = world.post_with(r#"{"mirrors": ["one", "two"], "dryRun": false}"#, &[key]).await;
        for (body, same) in [
            (r#"{"dryRun":false,"mirrors":["one","two"]}"#, true),
            (r#"{"mirrors":["two","one"],"dryRun":false}"#, false),
            (r#"{"mirrors":["one","two"]}"#, false),
            ("", false),
        ] {
            let answer = world.post_with(body, &[key]).await;
            if same {
                assert_eq!(id(&answer), id(&first), "{body}");
            } else {
                assert_eq!(
                    (answer.status.as_u16(), answer.problem().as_str()),
                    (422, "idempotency-key-reused"),
                    "{body}"
                );
            }
        }
        std::fs::write(world.path("tokens"), "operator other another-token-0123456789abcdef\n").unwrap();
        let request = http::Request::post("/cutover/mirror")
            .header(header::HOST, "localhost:8080")
            .header(header::AUTHORIZATION, "Bearer another-token-0123456789abcdef")
            .header(key.0, key.1);
        let theirs = world.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(theirs.status, StatusCode::ACCEPTED, "{theirs:?}");
        assert!(!theirs.headers.contains_key("idempotency-replayed"));
    });
}

#[test]
fn a_refused_request_leaves_its_key_free_and_a_bad_key_is_refused() {
    story(async |mut world| {
        world.start().await;
        let key = ("idempotency-key", "k");
        assert_eq!(world.post_with(r#"{"mirrors":["nobody"]}"#, &[key]).await.problem(), "unknown-mirror");
        assert_eq!(world.post_with(r#"{"mirrors":1}"#, &[key]).await.problem(), "invalid-field");
        assert_eq!(world.post_with("", &[key]).await.status, StatusCode::ACCEPTED);
        let long = "x".repeat(256);
        for bad in ["", "a b", "\"a\"", "a, b", long.as_str()] {
            let answer = world.post_with("", &[("idempotency-key", bad)]).await;
            assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (400, "malformed-request"), "{bad}");
        }
        assert_eq!(world.post_with("", &[key, key]).await.problem(), "malformed-request");
        assert_eq!(world.runs().await.len(), 1);
    });
}

#[test]
fn a_key_that_joins_a_run_in_flight_stands_for_it_also_after_its_end() {
    story(async |mut world| {
        world.gitea().set_migrate_delay(seconds(30));
        world.start().await;
        let run = world.ask().await;
        let joined = world.post_with("", &[("idempotency-key", "late")]).await;
        assert_eq!((id(&joined), joined.json()["coalesced"].clone()), (run.clone(), json!(true)));
        assert!(!joined.headers.contains_key("idempotency-replayed"), "it had not been sent before");
        world.end_of(&run).await;
        assert_eq!(id(&world.post_with("", &[("idempotency-key", "late")]).await), run);
        // a day later it may mean something new
        tokio::time::sleep(seconds(24 * 60 * 60)).await;
        assert_ne!(id(&world.post_with("", &[("idempotency-key", "late")]).await), run);
    });
}

#[test]
fn a_crash_between_accepting_and_answering_is_made_good_by_the_key() {
    for crash_at in (0..40).map(|step| Duration::from_millis(step * 5)) {
        story(async |mut world| {
            world.start().await;
            let key = [("idempotency-key", "k")];
            // the answer is never taken, and the service is gone
            let _ = tokio::time::timeout(crash_at, world.post_with("", &key)).await;
            world.crash();
            world.start().await;
            let answer = world.post_with("", &[key[0], ("prefer", "wait=60")]).await;
            assert_eq!((answer.status, answer.json()["status"].clone()), (StatusCode::OK, json!("succeeded")));
            assert_eq!((world.runs().await.len(), world.count(MIGRATE)), (1, 1), "crashed at {crash_at:?}");
        });
    }
}

#[test]
fn other_options_conflict_with_a_run_in_flight_on_the_same_mirror_and_with_nothing_else_row_15() {
    story(async |mut world| {
        world.gitea().set_migrate_delay(seconds(30));
        world.two().await;
        let run = id(&world.post_with(r#"{"mirrors":["one"]}"#, &[]).await);
        let digest = format!(r#"{{"acceptUpstream":"sha256:{}"}}"#, "a".repeat(64));
        for body in [r#"{"onLegacy":"renameAside"}"#, r#"{"mirrors":["one"],"onLegacy":"renameAside"}"#, &digest] {
            let answer = world.post_with(body, &[("idempotency-key", "refused")]).await;
            assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (409, "run-conflict"), "{body}");
            assert!(answer.json()["detail"].as_str().unwrap().contains(&run), "{answer:?}");
        }
        // what is said in so many words is the same as what is meant without
        let refuse = world.post_with(r#"{"mirrors":["one"],"onLegacy":"refuse"}"#, &[]).await;
        assert_eq!(refuse.status, StatusCode::ACCEPTED);
        let other = world.post_with(r#"{"mirrors":["two"],"onLegacy":"renameAside"}"#, &[]).await;
        assert_eq!(other.status, StatusCode::ACCEPTED);
        let same = world.post_with(r#"{"onLegacy":"renameAside","mirrors":["two"]}"#, &[]).await;
        assert_eq!((id(&same), same.json()["coalesced"].clone()), (id(&other), json!(true)));
        let dry = world.post_with(r#"{"onLegacy":"renameAside","dryRun":true}"#, &[]).await;
        assert_eq!(dry.status, StatusCode::OK, "a dry run conflicts with nothing");
        world.end_of(&run).await;
        let after = world.post_with(r#"{"mirrors":["one"],"onLegacy":"renameAside"}"#, &[]).await;
        assert_eq!(after.status, StatusCode::ACCEPTED);
    });
}

#[test]
fn what_a_request_leaves_out_is_as_the_mirror_is_configured() {
    story(async |mut world| {
        world.gitea().set_migrate_delay(seconds(30));
        world.extra = "onLegacy: renameAside".into();
        world.start().await;
        let run = id(&world.post_with("", &[]).await);
        let same = world.post_with(r#"{"onLegacy":"renameAside"}"#, &[]).await;
        assert_eq!(same.status, StatusCode::ACCEPTED, "{same:?}");
        let other = world.post_with(r#"{"onLegacy":"refuse"}"#, &[]).await;
        assert_eq!((other.status.as_u16(), other.problem().as_str()), (409, "run-conflict"));
        world.end_of(&run).await;
    });
}

#[test]
fn pages_stay_as_they_are_while_runs_are_added() {
    story(async |mut world| {
        world.start().await;
        let mut ids = Vec::new();
        for _ in 0..6 {
            ids.push(world.run().await["id"].clone());
        }
        ids.reverse();
        let (mut seen, mut path) = (Vec::new(), "/cutover/runs?limit=2".to_owned());
        loop {
            let page = world.get(&path).await.json();
            seen.extend(page["runs"].as_array().unwrap().iter().map(|run| run["id"].clone()));
            world.run().await;
            let Some(cursor) = page["nextCursor"].as_str() else { break };
            path = format!("/cutover/runs?limit=2&cursor={cursor}");
        }
        assert_eq!(seen, ids, "each once, newest first, and none of those that came meanwhile");
    });
}

#[test]
fn runs_of_one_millisecond_are_listed_in_the_order_of_their_requests() {
    story(async |mut world| {
        world.gitea().set_migrate_delay(seconds(30));
        world.two().await;
        let mut ids = Vec::new();
        for body in [r#"{"mirrors":["one"]}"#, r#"{"mirrors":["two"]}"#, ""] {
            ids.push(json!(id(&world.post_with(body, &[]).await)));
        }
        ids.reverse();
        let listed: Vec<Value> = world.runs().await.iter().map(|run| run["id"].clone()).collect();
        assert_eq!(listed, ids);
    });
}

#[test]
fn a_service_that_cannot_begin_a_run_is_not_ready() {
    story(async |mut world| {
        world.start().await;
        assert_eq!(world.get("/readyz").await.status, StatusCode::OK);
        std::fs::rename(world.path("gitea-token"), world.path("away")).unwrap();
        let answer = world.get("/readyz").await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (503, "gitea-credential"));
        assert!(!answer.text.contains("gitea-token"), "{}", answer.text);
        std::fs::rename(world.path("away"), world.path("gitea-token")).unwrap();
        assert_eq!(world.get("/readyz").await.status, StatusCode::OK);
        world.begin_the_end();
        assert_eq!(world.get("/readyz").await.problem(), "shutting-down");
    });
}
