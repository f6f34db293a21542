//! Large, slow and unusual lists of refs, and the memory that all of them together may take.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cutover_api::domain::answer::Trouble;
use cutover_api::transport::{Call, Pieces, Transport};
use futures_util::future::BoxFuture;
use futures_util::stream::StreamExt as _;
use http::Response;
use serde_json::{Value, json};
use standin::{Reader, UpstreamFault};

use crate::world::{World, id, story};

#[test]
fn a_list_that_takes_its_time_is_waited_for() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.upstream.fault_for(Reader::Service, UpstreamFault::V0Only);
        world.upstream.fault_for(Reader::Service, UpstreamFault::Delay(Duration::from_secs(40)));
        world.upstream.fault_for(Reader::Service, UpstreamFault::Trickle(200, Duration::from_secs(3)));
        world.expect("noop").await;
    });
}

#[test]
fn a_list_that_falls_silent_or_is_never_whole_is_an_outage_and_says_which() {
    for (bytes, pause, words) in
        [(100, 11, "the list of refs did not continue within 10 s"), (1, 9, "no complete list of refs within 60 s")]
    {
        story(async |mut world| {
            world.start().await;
            world.expect("created").await;
            let slow = UpstreamFault::Trickle(bytes, Duration::from_secs(pause));
            world.upstream.fault_for(Reader::Service, slow);
            let run = world.run().await;
            assert_eq!(run["status"], "unverified", "{run:#}");
            let problem = &run["mirrors"][0]["problem"];
            assert_eq!(problem["error"], "upstream-unreachable", "{problem:#}");
            assert!(problem["detail"].as_str().unwrap().contains(words), "{problem:#}");
        });
    }
}

#[test]
fn a_time_that_is_configured_is_the_time_that_a_list_may_take() {
    story(async |mut world| {
        let yaml = world.yaml() + "limits: { refsTime: 20s }\n";
        world.start_with(&yaml).await;
        world.expect("created").await;
        world.upstream.fault_for(Reader::Service, UpstreamFault::Delay(Duration::from_secs(25)));
        let run = world.run().await;
        let detail = run["mirrors"][0]["problem"]["detail"].as_str().unwrap();
        assert!(detail.contains("within 20 s"), "{detail}");
    });
}

#[test]
fn names_that_git_allows_are_proven_whatever_their_bytes() {
    story(async |mut world| {
        // umlauts that were encoded twice
        world.upstream.update_ref("one", "refs/heads/f\u{c3}\u{bc}r", "main");
        world.upstream.update_ref("one", "refs/tags/\u{c2}\u{85}\u{9c}", "main");
        world.start().await;
        world.expect("created").await;
        world.expect("noop").await;
    });
}

/// As many refs as take about three quarters of a mebibyte.
const MANY: usize = 3_000;

/// A part of a name that no file system holds more than a few bytes more of.
fn prefix() -> String {
    "x".repeat(200)
}

/// Mirrors with many refs each, and memory for the lists of one of them.
async fn crowded(world: &mut World, names: &[&str]) -> Arc<Readers> {
    for name in names {
        world.upstream.create_sample(name);
        world.upstream.branches(name, &prefix(), "main", MANY);
    }
    let readers = Arc::new(Readers { inner: Arc::clone(&world.transport), state: Arc::default() });
    world.transport = Arc::clone(&readers) as Arc<dyn Transport>;
    let mirrors: Vec<_> = names.iter().map(|name| (*name, *name, *name, "")).collect();
    let yaml = world.yaml_of(&mirrors) + "limits: { refsBytes: 1MiB }\n";
    world.start_with(&yaml).await;
    readers
}

/// Counts of how many repositories lists are being read at once.
#[derive(Debug)]
struct Readers {
    inner: Arc<dyn Transport>,
    state: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    /// By repository.
    lists: BTreeMap<String, usize>,
    most: usize,
}

/// One list that is being read.
struct Reading {
    repository: String,
    state: Arc<Mutex<Open>>,
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut open = self.state.lock().unwrap();
        let left = open.lists.get_mut(&self.repository).unwrap();
        *left -= 1;
        if *left == 0 {
            open.lists.remove(&self.repository);
        }
    }
}

impl Readers {
    /// The most at once since this was asked last.
    fn most(&self) -> usize {
        std::mem::take(&mut self.state.lock().unwrap().most)
    }
}

impl Transport for Readers {
    fn send(&self, call: Call) -> BoxFuture<'_, Result<Response<Bytes>, Trouble>> {
        self.inner.send(call)
    }

    fn stream(&self, call: Call) -> BoxFuture<'_, Result<Response<Pieces>, Trouble>> {
        let path = call.request.uri().path();
        let repository = path.split('/').find_map(|part| part.strip_suffix(".git")).unwrap().to_owned();
        let mut open = self.state.lock().unwrap();
        *open.lists.entry(repository.clone()).or_default() += 1;
        open.most = open.most.max(open.lists.len());
        drop(open);
        let reading = Reading { repository, state: Arc::clone(&self.state) };
        Box::pin(async move {
            let answer = self.inner.stream(call).await?;
            Ok(answer.map(|pieces| {
                pieces
                    .map(move |piece| {
                        let _until_it_is_dropped = &reading;
                        piece
                    })
                    .boxed()
            }))
        })
    }
}

/// The mirrors of a run, by name: what each ended with.
async fn ends(world: &World) -> BTreeMap<String, (Value, Value)> {
    let run = world.run().await;
    let mirrors = run["mirrors"].as_array().unwrap();
    let end = |mirror: &Value| (mirror["outcome"].clone(), mirror["problem"]["error"].clone());
    mirrors.iter().map(|mirror| (mirror["name"].as_str().unwrap().to_owned(), end(mirror))).collect()
}

#[test]
fn lists_of_many_mirrors_are_read_in_turn_when_all_of_them_together_do_not_fit() {
    story(async |mut world| {
        let names = ["a", "b", "c", "d"];
        let readers = crowded(&mut world, &names).await;
        let created = ends(&world).await;
        assert!(created.values().all(|end| *end == (json!("created"), Value::Null)), "{created:?}");
        // as long as their size is not known, two are begun at once
        assert!(readers.most() <= 2);
        let noops = ends(&world).await;
        assert!(noops.values().all(|end| *end == (json!("noop"), Value::Null)), "{noops:?}");
        assert_eq!(readers.most(), 1, "each needs most of the memory");
        tokio::time::sleep(Duration::from_mins(2)).await;
        world.get("/status").await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        let status = world.get("/status").await.json();
        for mirror in status["mirrors"].as_array().unwrap() {
            assert_eq!(mirror["freshness"]["state"], "fresh", "{mirror:#}");
        }
        assert_eq!(readers.most(), 1, "observations keep to it as well");
    });
}

#[test]
fn too_many_refs_are_the_mirrors_own_matter_and_not_its_neighbours() {
    story(async |mut world| {
        let readers = crowded(&mut world, &["a", "b"]).await;
        ends(&world).await;
        world.upstream.branches("a", &format!("{}y", prefix()), "main", MANY);
        for _ in 0..2 {
            let all = ends(&world).await;
            assert_eq!(all["a"], (Value::Null, json!("too-many-refs")));
            assert_eq!(all["b"], (json!("noop"), Value::Null));
        }
        let alone = world.end_of(&id(&world.post(&json!({ "mirrors": ["a"] })).await)).await;
        let problem = &alone["mirrors"][0]["problem"];
        assert_eq!(
            (&problem["error"], &problem["reason"]),
            (&json!("too-many-refs"), &json!("upstream")),
            "{problem:#}"
        );
        assert_eq!(problem["retryable"], false);
        assert!(readers.most() <= 2);
    });
}

#[test]
fn refs_that_come_through_giteas_api_are_held_to_the_same_limit() {
    story(async |mut world| {
        let prefix = prefix();
        world.upstream.branches("one", &prefix, "main", 2 * MANY);
        world.gitea().configure(|settings| settings.http_git_disabled = true);
        world.start().await;
        world.expect("created").await;
        // what is deleted upstream is kept in Gitea: less than half, which would be suspect
        let refs = world.upstream.heads_and_tags("one");
        let deleted: Vec<_> = refs.keys().filter(|name| name.contains(&prefix)).take(MANY - 500).collect();
        assert_eq!(deleted.len(), MANY - 500);
        for name in deleted {
            world.upstream.delete_ref("one", name);
        }
        world.expect("noop").await;
        let yaml = world.yaml() + "limits: { refsBytes: 1MiB }\n";
        world.start_with(&yaml).await;
        let problem = world.expect_failure("too-many-refs").await;
        assert_eq!(problem["reason"], "gitea", "{problem:#}");
    });
}
