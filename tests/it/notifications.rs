//! Notifications: their content, that they arrive in order, and that nothing waits for them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use base64::Engine as _;
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Value, json};
use standin::{Reader, UpstreamFault};
use tokio::time::{Instant, sleep};

use crate::hooks::hmac;
use crate::world::{World, story};

const SECRET: &str = "a secret for notifications, long enough";
const AUTHORITY: &str = "receiver.alerts.svc:9000";

/// What a receiver got, and what it answers with next: 204 when nothing is left.
#[derive(Clone, Default)]
struct Receiver {
    got: Arc<Mutex<Vec<(Instant, HeaderMap, Bytes)>>>,
    answers: Arc<Mutex<VecDeque<u16>>>,
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    receiver.got.lock().unwrap().push((Instant::now(), headers, body));
    let status = receiver.answers.lock().unwrap().pop_front().unwrap_or(204);
    let elsewhere = [(header::LOCATION, format!("http://{AUTHORITY}/elsewhere"))];
    (StatusCode::from_u16(status).unwrap(), elsewhere).into_response()
}

impl Receiver {
    fn answering(&self, answers: &[u16]) {
        self.answers.lock().unwrap().extend(answers);
    }

    /// The events that arrived, in order, as often as they did.
    fn events(&self) -> Vec<Value> {
        let got = self.got.lock().unwrap();
        got.iter().map(|(_, _, body)| serde_json::from_slice(body).unwrap()).collect()
    }

    /// What was told, in the order in which it arrived.
    fn kinds(&self) -> Vec<String> {
        let events = self.events();
        let kind = |event: &Value| event["type"].as_str().unwrap().rsplit('.').next().unwrap().to_owned();
        events.iter().map(kind).collect()
    }

    async fn until(&self, count: usize) {
        let began = Instant::now();
        while self.got.lock().unwrap().len() < count {
            // on paused time nothing else would ever end it
            assert!(began.elapsed() < Duration::from_hours(1), "only {:?}", self.kinds());
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Starts the service with a receiver.
async fn start(world: &mut World) -> Receiver {
    let receiver = Receiver::default();
    let router = Router::new().route("/in", post(receive)).fallback(receive).with_state(receiver.clone());
    world.in_process.up(AUTHORITY, router);
    std::fs::write(world.path("signing"), SECRET).unwrap();
    start_again(world).await;
    receiver
}

async fn start_again(world: &mut World) {
    let secret = world.path("signing");
    let yaml = world.yaml()
        + &format!("notifications: {{ url: 'http://{AUTHORITY}/in', secretFile: {} }}\n", secret.display());
    world.start_with(&yaml).await;
}

#[test]
fn each_edge_is_told_once_in_order_and_signed_row_69() {
    story(async |mut world| {
        let receiver = start(&mut world).await;
        world.expect("created").await;
        world.upstream.fault_for(Reader::Service, UpstreamFault::Status(404));
        for _ in 0..3 {
            world.expect_failure("upstream-refused").await;
        }
        world.upstream.clear_faults();
        world.expect("noop").await;
        world.expect("noop").await;
        world.upstream.fault_for(Reader::Service, UpstreamFault::Html);
        world.expect_failure("upstream-suspect").await;
        receiver.until(3).await;
        sleep(Duration::from_mins(5)).await;
        assert_eq!(receiver.kinds(), ["needs-attention", "fresh", "run-failed"]);

        let got = receiver.got.lock().unwrap().clone();
        for (_, headers, body) in got {
            let header = |name: &str| headers[name].to_str().unwrap().to_owned();
            assert_eq!(header("content-type"), "application/cloudevents+json; charset=utf-8");
            let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
            let content = [id.as_bytes(), b".", timestamp.as_bytes(), b".", &body[..]].concat();
            let digest = base64::engine::general_purpose::STANDARD.encode(hmac(SECRET.as_bytes(), &content));
            assert_eq!(header("webhook-signature"), format!("v1,{digest}"));
            let event: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((&event["id"], &event["specversion"]), (&id.into(), &"1.0".into()));
            assert_eq!((&event["source"], &event["subject"]), (&"/mirrors/one".into(), &"one".into()));
        }
        let first = &receiver.events()[0]["data"];
        assert_eq!(
            (&first["problem"]["error"], &first["repository"]),
            (&"upstream-refused".into(), &"openova/one".into())
        );
        let metrics = world.get("/metrics").await.text;
        assert!(metrics.contains("cutover_notifications_total{result=\"delivered\"} 3"), "{metrics}");
        assert!(metrics.contains("cutover_notifications_pending 0"), "{metrics}");
        assert!(!metrics.contains("operation=\"notification\""), "{metrics}");
    });
}

#[test]
fn a_mirror_that_falls_behind_and_comes_back_is_told_of_both_times() {
    story(async |mut world| {
        let receiver = start(&mut world).await;
        world.expect("created").await;
        world.upstream.commit("one", "main", 1);
        world.upstream.fault_for(Reader::Git, UpstreamFault::Status(403));
        for _ in 0..2 {
            assert_eq!(world.run().await["status"], "failed");
        }
        world.upstream.clear_faults();
        world.expect("synced").await;
        receiver.until(3).await;
        let events = receiver.events();
        assert_eq!(receiver.kinds()[0], "behind");
        assert_eq!(events[0]["data"]["behind"]["refs"], 1, "{events:?}");
        assert_eq!(receiver.kinds()[2], "fresh");
        assert_eq!(events[2]["data"]["behind"], Value::Null);
        assert_eq!(events[2]["data"]["problem"], Value::Null);
        assert_eq!(events.len(), 3, "each edge once: {events:?}");
    });
}

#[test]
fn a_mirror_that_is_to_stand_still_drifts_without_a_word_and_one_that_follows_is_told_of_when_it_is_seen() {
    story(async |mut world| {
        let receiver = start(&mut world).await;
        world.expect("created").await;
        let look = async |world: &World| {
            sleep(Duration::from_mins(2)).await;
            world.get("/status").await;
            sleep(Duration::from_mins(1)).await;
            world.get("/status").await.json()["mirrors"][0]["freshness"]["state"].clone()
        };
        let set = async |world: &World, mode: &str| {
            assert_eq!(world.put_mode("one", &json!({ "mode": mode })).await.status, 200);
        };
        set(&world, "pinned").await;
        world.upstream.commit("one", "main", 1);
        assert_eq!(look(&world).await, "behind");
        assert!(receiver.kinds().is_empty(), "{:?}", receiver.kinds());
        // what it drifted while it stood still is told once it follows again
        world.gitea().set_stuck_queue(true);
        set(&world, "follow").await;
        assert_eq!(look(&world).await, "behind");
        assert_eq!(receiver.kinds(), ["behind"]);
        world.gitea().set_stuck_queue(false);
        world.expect("synced").await;
        receiver.until(2).await;
        assert_eq!(receiver.kinds(), ["behind", "fresh"]);
    });
}

#[test]
fn what_only_an_observation_finds_and_a_person_must_know_is_told_once() {
    story(async |mut world| {
        let receiver = start(&mut world).await;
        world.expect("created").await;
        let look = async |world: &World| {
            for _ in 0..2 {
                sleep(Duration::from_mins(2)).await;
                world.get("/status").await;
            }
        };
        let told = async |receiver: &Receiver, count: usize| {
            receiver.until(count).await;
            let event = receiver.events().remove(count - 1);
            let problem = &event["data"]["problem"];
            (
                receiver.kinds().remove(count - 1),
                problem["error"].clone(),
                problem["remedy"].as_str().map(str::to_owned),
            )
        };
        let stop = json!({ "mirror_interval": "0s" });
        assert_eq!(world.gitea_api(Method::PATCH, "/repos/openova/one", Some(stop)).await.0, 200);
        look(&world).await;
        let (kind, error, remedy) = told(&receiver, 1).await;
        assert_eq!((&*kind, &error), ("needs-attention", &json!("mode-refuses")));
        assert!(remedy.unwrap().contains("Find out who stopped it"));
        assert_eq!(world.put_mode("one", &json!({ "mode": "follow" })).await.status, 200);
        look(&world).await;
        assert_eq!(told(&receiver, 2).await.0, "fresh");

        assert_eq!(world.gitea_api(Method::DELETE, "/repos/openova/one", None).await.0, 204);
        look(&world).await;
        look(&world).await;
        start_again(&mut world).await;
        look(&world).await;
        let (kind, error, _) = told(&receiver, 3).await;
        assert_eq!((&*kind, &error), ("needs-attention", &json!("repository-vanished")));
        world.expect("created").await;
        assert_eq!(told(&receiver, 4).await.0, "fresh");
        assert_eq!(receiver.kinds().len(), 4, "each once, over a restart: {:?}", receiver.kinds());
    });
}

#[test]
fn what_is_not_taken_is_sent_again_under_its_id_with_longer_pauses_and_what_follows_waits_for_it() {
    story(async |mut world| {
        let receiver = start(&mut world).await;
        world.expect("created").await;
        receiver.answering(&[500, 404, 301, 429]);
        world.upstream.fault_for(Reader::Service, UpstreamFault::Status(404));
        world.expect_failure("upstream-refused").await;
        world.upstream.clear_faults();
        world.expect("noop").await;
        receiver.until(6).await;
        let kinds = receiver.kinds();
        assert_eq!(kinds[..5], ["needs-attention"; 5]);
        assert_eq!(kinds[5..], ["fresh"]);
        let got = receiver.got.lock().unwrap().clone();
        assert!(got[..5].iter().all(|(_, headers, _)| headers["webhook-id"] == got[0].1["webhook-id"]));
        assert_ne!(got[0].1["webhook-id"], got[5].1["webhook-id"]);
        let pauses: Vec<_> = got[..5].windows(2).map(|two| (two[1].0 - two[0].0).as_secs()).collect();
        assert_eq!(pauses, [5, 10, 20, 40]);
        assert!(got[4].1["webhook-timestamp"] != got[0].1["webhook-timestamp"], "the time of the try is signed");
    });
}

#[test]
fn no_run_waits_for_a_receiver_and_what_was_not_taken_is_sent_after_a_restart() {
    story(async |mut world| {
        let receiver = start(&mut world).await;
        world.expect("created").await;
        let down = world.in_process.down(AUTHORITY).unwrap();
        world.upstream.fault_for(Reader::Service, UpstreamFault::Status(404));
        world.expect_failure("upstream-refused").await;
        world.upstream.clear_faults();
        let began = Instant::now();
        world.expect("noop").await;
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        let metrics = world.get("/metrics").await.text;
        assert!(metrics.contains("cutover_notifications_pending 2"), "{metrics}");
        world.crash();
        world.in_process.up(AUTHORITY, down);
        assert!(receiver.kinds().is_empty());
        start_again(&mut world).await;
        receiver.until(2).await;
        assert_eq!(receiver.kinds(), ["needs-attention", "fresh"]);
    });
}

#[test]
fn what_nobody_takes_for_a_day_is_dropped() {
    story(async |mut world| {
        let receiver = start(&mut world).await;
        receiver.answering(&[503; 1_000]);
        world.upstream.fault_for(Reader::Service, UpstreamFault::Status(404));
        world.expect_failure("upstream-refused").await;
        sleep(Duration::from_hours(25)).await;
        let tries = receiver.kinds().len();
        assert!((140..200).contains(&tries), "{tries}");
        sleep(Duration::from_hours(2)).await;
        assert_eq!(receiver.kinds().len(), tries);
        let metrics = world.get("/metrics").await.text;
        assert!(metrics.contains("cutover_notifications_total{result=\"dropped\"} 1"), "{metrics}");
    });
}

#[test]
fn nothing_leaves_unsigned_where_a_secret_is_configured() {
    story(async |mut world| {
        let receiver = start(&mut world).await;
        std::fs::write(world.path("signing"), "short").unwrap();
        world.upstream.fault_for(Reader::Service, UpstreamFault::Status(404));
        world.expect_failure("upstream-refused").await;
        sleep(Duration::from_mins(1)).await;
        assert!(receiver.kinds().is_empty());
        std::fs::write(world.path("signing"), SECRET).unwrap();
        receiver.until(1).await;
        assert!(receiver.got.lock().unwrap()[0].1.contains_key("webhook-signature"));
    });
}

#[test]
fn what_a_full_disk_has_kept_from_being_written_is_told_before_what_follows() {
    story(async |mut world| {
        world.keep_the_journal_on_disk();
        let receiver = start(&mut world).await;
        world.expect("created").await;
        let full = "BEFORE INSERT ON notices BEGIN SELECT RAISE(ABORT, 'disk is full'); END";
        world.tamper_with_the_journal(&format!("CREATE TRIGGER full {full}"));
        world.upstream.fault_for(Reader::Service, UpstreamFault::Status(404));
        world.expect_failure("upstream-refused").await;
        world.upstream.clear_faults();
        world.upstream.fault_for(Reader::Service, UpstreamFault::Html);
        world.expect_failure("upstream-suspect").await;
        world.tamper_with_the_journal("DROP TRIGGER full");
        world.upstream.clear_faults();
        world.expect("noop").await;
        receiver.until(3).await;
        assert_eq!(receiver.kinds(), ["needs-attention", "run-failed", "fresh"]);

        // and as soon as it can be written, whoever makes that known
        world.tamper_with_the_journal(&format!("CREATE TRIGGER full {full}"));
        world.upstream.fault_for(Reader::Service, UpstreamFault::Status(404));
        world.expect_failure("upstream-refused").await;
        world.tamper_with_the_journal("DROP TRIGGER full");
        assert_eq!(world.get("/readyz").await.status, 200);
        receiver.until(4).await;
        assert_eq!(receiver.kinds()[3..], ["needs-attention"]);
    });
}
