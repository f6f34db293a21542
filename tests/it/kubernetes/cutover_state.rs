//! The cutover's state, read from the platform's status (row 26) without making a reader wait.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, advance, sleep};

use super::server::{API_SERVER, Fault};
use super::{metric, story_in_a_cluster};
use crate::world::World;

const READS: &str = "get configmaps";

const SERIES: &str = "cutover_platform_cutover_complete";

/// What `/status` says at once, and what it says a moment later.
async fn state(world: &World) -> (Value, Value) {
    let status = world.get("/status").await.json();
    (status["state"].clone(), status["cutoverComplete"].clone())
}

async fn state_a_moment_later(world: &World) -> (Value, Value) {
    state(world).await;
    sleep(Duration::from_millis(50)).await;
    state(world).await
}

fn tethered() -> (Value, Value) {
    (json!("tethered"), json!(false))
}

fn sovereign() -> (Value, Value) {
    (json!("sovereign"), json!(true))
}

#[test]
fn the_state_is_tethered_unless_the_status_says_that_the_cutover_is_complete() {
    story_in_a_cluster("", async |world, server| {
        assert_eq!(state_a_moment_later(&world).await, tethered(), "there is none");
        assert_eq!(metric(&world, SERIES).await, Some(0.0));
        for (data, expected) in [
            (json!({ "cutoverComplete": "false", "step.egress-block-test.result": "success" }), tethered()),
            (json!({ "cutoverComplete": "true" }), sovereign()),
            (json!({}), tethered()),
            (json!({ "cutoverComplete": "true" }), sovereign()),
        ] {
            server.status_is(&data);
            advance(Duration::from_secs(15)).await;
            assert_eq!(state_a_moment_later(&world).await, expected, "{data}");
        }
        assert_eq!(metric(&world, SERIES).await, Some(1.0));
        server.no_status();
        advance(Duration::from_secs(15)).await;
        assert_eq!(state_a_moment_later(&world).await, tethered());
    });
}

#[test]
fn it_is_read_when_somebody_looks_and_once_for_all_who_do() {
    story_in_a_cluster("", async |world, server| {
        sleep(Duration::from_secs(1)).await;
        assert_eq!(server.count(READS), 1, "once at the start, so that the first who looks is told the truth");
        sleep(Duration::from_mins(10)).await;
        assert_eq!(server.count(READS), 1, "nobody has looked");
        for path in ["/status", "/status/one", "/metrics"] {
            server.forget_calls();
            for _ in 0..20 {
                world.get(path).await;
                sleep(Duration::from_millis(700)).await;
            }
            assert_eq!(server.count(READS), 1, "{path}");
            sleep(Duration::from_secs(16)).await;
        }
    });
}

#[test]
fn no_reader_waits_and_what_was_known_stays_known_while_nothing_can_be_read() {
    story_in_a_cluster("", async |world, server| {
        server.status_is(&json!({ "cutoverComplete": "true" }));
        advance(Duration::from_secs(15)).await;
        assert_eq!(state_a_moment_later(&world).await, sovereign());
        for fault in [Fault::Slow(Duration::from_mins(1)), Fault::Status(500), Fault::Status(403), Fault::Page] {
            server.forget_calls();
            server.fail(READS, std::slice::from_ref(&fault));
            sleep(Duration::from_secs(16)).await;
            let began = Instant::now();
            for _ in 0..100 {
                assert_eq!(state(&world).await, sovereign(), "{fault:?}");
            }
            assert_eq!(began.elapsed(), Duration::ZERO, "{fault:?}");
            sleep(Duration::from_secs(16)).await;
        }
        world.in_process.down(API_SERVER);
        assert_eq!(state_a_moment_later(&world).await, sovereign());
        assert_eq!(world.get("/readyz").await.status, 200);
    });
}

#[test]
fn before_anything_could_be_read_nothing_is_claimed() {
    story_in_a_cluster("", async |mut world, server| {
        world.crash();
        server.status_is(&json!({ "cutoverComplete": "true" }));
        server.fail(READS, &vec![Fault::Status(503); 3]);
        super::start(&mut world, "").await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(metric(&world, SERIES).await, None);
        assert_eq!(state(&world).await, tethered());
        // it is asked again after five seconds, not after fifteen
        for _ in 0..3 {
            sleep(Duration::from_secs(5)).await;
            state_a_moment_later(&world).await;
        }
        assert_eq!(state(&world).await, sovereign());
    });
}
