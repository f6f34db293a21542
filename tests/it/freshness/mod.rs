//! Freshness: a read of the status starts an observation, at most once in a while and without waiting for it; the result is
//! a value in the status; a mirror that is behind for too long is resynced.

mod observations;
mod resyncs;
mod states;

use std::time::Duration;

use serde_json::Value;

use crate::world::World;

/// More than an observation takes when everybody answers.
const AN_OBSERVATION: Duration = Duration::from_secs(3);

fn minutes(minutes: u64) -> Duration {
    Duration::from_mins(minutes)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// How often upstream was asked by the service since the record was cleared.
fn asked(world: &World) -> usize {
    let calls = world.upstream.calls().into_iter();
    calls.filter(|call| call.path.contains("/info/refs") && call.is_of_the_service()).count()
}

/// How often the service has looked at repositories in Gitea.
fn looked(world: &World) -> usize {
    let calls = world.gitea().calls().into_iter();
    calls.filter(|call| call.method == "GET" && call.path.starts_with("/api/v1/repos/")).count()
}

fn clear(world: &World) {
    world.gitea().clear_calls();
    world.upstream.clear_calls();
}

/// The freshness of the first mirror, as it is told; that is a look as well.
async fn told(world: &World) -> Value {
    world.get("/status").await.json()["mirrors"][0]["freshness"].clone()
}

/// Looks, lets the observation end, and gives what is told then.
async fn observed(world: &World) -> Value {
    told(world).await;
    tokio::time::sleep(AN_OBSERVATION).await;
    told(world).await
}

/// Lets the last observation grow old, and makes another.
async fn observed_anew(world: &World) -> Value {
    tokio::time::sleep(minutes(1)).await;
    observed(world).await
}

fn at(value: &Value) -> jiff::Timestamp {
    value.as_str().unwrap_or_else(|| panic!("no time: {value}")).parse().unwrap()
}

/// The runs that the service has begun by itself, oldest first.
async fn heals(world: &World) -> Vec<Value> {
    let mut runs = world.runs().await;
    runs.retain(|run| run["trigger"] == "heal");
    runs.reverse();
    runs
}
