//! Mode changes during runs of other mirrors, shortly after each other, and during calls to Gitea.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cutover_api::domain::answer::Trouble;
use cutover_api::transport::{Call, Transport};
use futures_util::future::BoxFuture;
use http::{Method, Response, StatusCode};
use serde_json::json;
use standin::{CallKind, Fault, Profile};
use tokio::time::{Instant, sleep};

use super::{CONVERT, PATCH, interval, put, set, status, until_applied};
use crate::world::{GITEA, World, story, story_on};

/// Starts a run of so many mirrors, `m00` and on, whose clones take ten minutes: eight are at it at once.
async fn cloning(world: &mut World, count: usize) -> String {
    let names: Vec<String> = (0..count).map(|n| format!("m{n:02}")).collect();
    let mirrors: Vec<_> = names.iter().map(|name| (name.as_str(), "one", name.as_str(), "")).collect();
    let yaml = world.yaml_of(&mirrors);
    world.start_with(&yaml).await;
    world.gitea().set_migrate_delay(Duration::from_mins(10));
    let id = world.ask().await;
    sleep(Duration::from_secs(5)).await;
    id
}

#[test]
fn a_mirror_whose_run_waits_in_line_is_stopped_without_its_turn() {
    story(async |mut world| {
        let id = cloning(&mut world, 10).await;
        let phase = |run: &serde_json::Value, n: usize| run["mirrors"][n]["phase"].clone();
        let run = world.run_now(&id).await;
        assert_eq!((phase(&run, 7), phase(&run, 9)), (json!("migrating"), json!("queued")), "{run:#}");
        let asked = Instant::now();
        let answer = world.put_mode("m09", &json!({ "mode": "pinned" })).await;
        assert_eq!((answer.status, &answer.json()["applied"]), (StatusCode::OK, &json!(true)), "{answer:?}");
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        let run = world.run_now(&id).await;
        assert_eq!(run["mirrors"][9]["problem"]["error"], "mode-refuses", "{run:#}");
        assert_eq!(phase(&run, 8), "queued", "nobody else has lost a place in the line: {run:#}");
        let run = world.end_of(&id).await;
        assert_eq!((phase(&run, 8), phase(&run, 9)), (json!("succeeded"), json!("failed")), "{run:#}");
    });
}

#[test]
fn a_mirror_that_may_follow_again_before_its_turn_goes_on_in_line_or_was_refused() {
    // whether the driver reads the first word or the second is for the journal's thread to say
    for _ in 0..5 {
        story(async |mut world| {
            let id = cloning(&mut world, 9).await;
            let (pinned, follow) = (json!({ "mode": "pinned" }), json!({ "mode": "follow" }));
            futures_util::join!(world.put_mode("m08", &pinned), world.put_mode("m08", &follow));
            sleep(Duration::from_secs(5)).await;
            let migrates = world.changes().iter().filter(|call| call.ends_with("/migrate")).count();
            assert_eq!(migrates, 8, "no more than eight at once");
            let run = world.end_of(&id).await;
            let last = &run["mirrors"][8];
            assert!(last["phase"] == "succeeded" || last["problem"]["error"] == "mode-refuses", "{run:#}");
        });
    }
}

#[test]
fn a_convert_that_is_taken_back_before_it_is_done_is_not_done() {
    story_on(Profile::Forgejo16, async |mut world| {
        world.start().await;
        world.expect("created").await;
        let router = world.in_process.down(GITEA).unwrap();
        let body = put(&world, &json!({ "mode": "severed", "convert": true })).await.json();
        assert_eq!((&body["applied"], &body["convert"]), (&json!(false), &json!(true)), "{body:#}");
        let body = put(&world, &json!({ "mode": "severed", "reason": "and no more" })).await.json();
        assert_eq!((&body["convert"], &body["reason"]), (&json!(false), &json!("and no more")), "{body:#}");
        world.in_process.up(GITEA, router);
        until_applied(&world).await;
        let repository = world.repository().await;
        assert_eq!((&repository["mirror"], &repository["mirror_interval"]), (&json!(true), &json!("0s")));
        assert_eq!(world.count(CONVERT), 0);
        // and one that is done stays done, whatever is said after it
        put(&world, &json!({ "mode": "severed", "convert": true })).await;
        let done = until_applied(&world).await;
        let again = put(&world, &json!({ "mode": "severed" })).await.json();
        assert_eq!((&again["at"], &again["convert"]), (&done["modeChange"]["at"], &json!(true)), "{again:#}");
    });
}

#[test]
fn a_convert_that_is_not_offered_and_taken_back_leaves_a_severed_mirror_and_no_problem() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        // a service that was just started does not know yet what runs there
        world.crash();
        world.start().await;
        let body = put(&world, &json!({ "mode": "severed", "convert": true })).await.json();
        assert_eq!(body["problem"]["error"], "convert-not-offered", "{body:#}");
        let body = set(&world, "severed").await;
        assert_eq!((&body["convert"], &body["problem"]), (&json!(false), &json!(null)), "{body:#}");
    });
}

#[test]
fn a_run_that_waits_for_one_word_is_refused_by_the_next() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        set(&world, "pinned").await;
        let router = world.in_process.down(GITEA).unwrap();
        put(&world, &json!({ "mode": "follow" })).await;
        let id = world.ask().await;
        sleep(Duration::from_secs(5)).await;
        assert!(world.run_now(&id).await["finishedAt"].is_null());
        let word = json!({ "mode": "pinned" });
        let (answer, ended) = futures_util::join!(put(&world, &word), async {
            sleep(Duration::from_secs(1)).await;
            world.run_now(&id).await
        });
        assert_eq!(answer.status, StatusCode::ACCEPTED, "Gitea is down all the while");
        assert_eq!(
            (&ended["status"], &ended["mirrors"][0]["problem"]["error"]),
            (&json!("failed"), &json!("mode-refuses"))
        );
        world.in_process.up(GITEA, router);
        assert_eq!(until_applied(&world).await["mode"], "pinned");
        assert_eq!(interval(&world).await, "0s");
    });
}

/// A way on which the first PATCH takes its time, and arrives whoever waits for it.
#[derive(Debug)]
struct Lingering {
    inner: Arc<dyn Transport>,
    lingers: AtomicBool,
    wait: Duration,
}

impl Transport for Lingering {
    fn send(&self, call: Call) -> BoxFuture<'_, Result<Response<Bytes>, Trouble>> {
        if call.request.method() != Method::PATCH || !self.lingers.swap(false, Ordering::Relaxed) {
            return self.inner.send(call);
        }
        let (inner, wait) = (Arc::clone(&self.inner), self.wait);
        let sent = tokio::spawn(async move {
            sleep(wait).await;
            inner.send(call).await
        });
        Box::pin(async { sent.await.unwrap() })
    }
}

#[test]
fn a_call_that_was_dropped_and_lands_later_does_not_have_the_last_word() {
    for (first, then, lasting) in [("pinned", "follow", "10m0s"), ("follow", "pinned", "0s")] {
        story(async |mut world| {
            world.start().await;
            world.expect("created").await;
            if first == "follow" {
                set(&world, "pinned").await;
            }
            world.crash();
            let wait = Duration::from_millis(2_500);
            world.transport =
                Arc::new(Lingering { inner: Arc::clone(&world.transport), lingers: AtomicBool::new(true), wait });
            // what must stand still is looked at when the service starts
            world.start().await;
            sleep(Duration::from_secs(5)).await;
            let word = |mode: &'static str| json!({ "mode": mode });
            let (first, then) = (word(first), word(then));
            let later = async {
                sleep(Duration::from_secs(1)).await;
                put(&world, &then).await
            };
            let (_, answer) = futures_util::join!(put(&world, &first), later);
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
            sleep(Duration::from_secs(10)).await;
            assert_eq!(interval(&world).await, lasting);
            let now = status(&world).await;
            assert_eq!((&now["mode"], &now["modeChange"]["source"]), (&then["mode"], &json!("api")), "{now:#}");
        });
    }
}

#[test]
fn a_call_whose_answer_was_lost_with_the_service_is_sent_again_once() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.gitea().fault_once(CallKind::PatchRepository, Fault::ExecuteThenHang);
        let word = json!({ "mode": "pinned" });
        let put = put(&world, &word);
        tokio::select! { _ = put => unreachable!(), () = sleep(Duration::from_secs(5)) => {} }
        world.crash();
        world.gitea().clear_calls();
        world.start().await;
        until_applied(&world).await;
        assert_eq!((interval(&world).await, world.count(PATCH)), (json!("0s"), 1));
        world.crash();
        world.gitea().clear_calls();
        world.start().await;
        sleep(Duration::from_secs(30)).await;
        assert_eq!(world.count(PATCH), 0);
    });
}
