//! What is read while the repository is looked at: how long it takes, what counts, and what is not waited for.

use std::time::Duration;

use serde_json::Value;
use standin::{CallKind, Fault, Reader, UpstreamFault};
use tokio::time::Instant;

use crate::world::{World, story};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A moment of a run's evidence.
fn at(run: &Value, member: &str) -> jiff::Timestamp {
    let at = &run["mirrors"][0]["evidence"][member];
    at.as_str().unwrap_or_else(|| panic!("no {member}: {run:#}")).parse().unwrap()
}

/// How often the service has begun to read upstream's refs.
fn upstream_readings(world: &World) -> usize {
    let calls = world.upstream.calls().into_iter();
    calls.filter(|call| call.path.contains("/info/refs") && call.is_of_the_service()).count()
}

/// How often Gitea's refs were.
fn gitea_readings(world: &World) -> usize {
    world.gitea().calls().into_iter().filter(|call| call.path.contains("/info/refs")).count()
}

fn clear(world: &World) {
    world.clear_calls();
    world.upstream.clear_calls();
}

#[test]
fn a_noop_takes_as_long_as_its_slowest_answer_and_each_list_has_its_own_date() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        // the repository's answer is the last one
        world.gitea().fault(CallKind::GetRepository, Fault::Delay(seconds(8)));
        world.gitea().fault(CallKind::UploadPack, Fault::Delay(seconds(2)));
        world.upstream.fault_for(Reader::Service, UpstreamFault::Delay(seconds(2)));
        clear(&world);
        let began = Instant::now();
        let run = world.expect("noop").await;
        assert!((seconds(8)..seconds(9)).contains(&began.elapsed()), "{:?}", began.elapsed());
        let ended: jiff::Timestamp = run["finishedAt"].as_str().unwrap().parse().unwrap();
        let before_the_end = |member| ended.duration_since(at(&run, member)).as_secs();
        // upstream is asked twice for its list
        assert_eq!((before_the_end("giteaReadAt"), before_the_end("upstreamReadAt")), (6, 4), "{run:#}");
        assert_eq!((upstream_readings(&world), gitea_readings(&world)), (1, 1));
    });
}

#[test]
fn an_observation_of_a_proven_mirror_takes_as_long_as_its_slowest_answer() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        tokio::time::sleep(seconds(120)).await;
        for kind in [CallKind::GetRepository, CallKind::UploadPack] {
            world.gitea().fault(kind, Fault::Delay(seconds(5)));
        }
        world.upstream.fault_for(Reader::Service, UpstreamFault::Delay(seconds(2)));
        clear(&world);
        world.get("/status").await;
        tokio::time::sleep(seconds(7)).await;
        let status = world.get("/status").await.json();
        let proven: jiff::Timestamp = status["mirrors"][0]["freshness"]["provenAt"].as_str().unwrap().parse().unwrap();
        let now: jiff::Timestamp = cutover_api::clock::Clock::now(&*world.clock);
        assert!(now.duration_since(proven).as_secs() < 10, "{status:#}");
        assert_eq!((upstream_readings(&world), gitea_readings(&world)), (1, 1));
    });
}

#[test]
fn refs_of_the_repository_that_had_the_name_before_are_not_taken_for_those_of_the_one_that_has_it() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        tokio::time::sleep(seconds(120)).await;
        world.gitea().fault_once(CallKind::GetRepository, Fault::Delay(seconds(9)));
        clear(&world);
        world.get("/status").await;
        tokio::time::sleep(seconds(4)).await;
        assert_eq!(gitea_readings(&world), 1, "the old one's refs are here, and as upstream's");
        // somebody makes it anew, without one of its branches
        let path = format!("/repos/{}/one", world.owner);
        assert_eq!(world.gitea_api(http::Method::DELETE, &path, None).await.0, 204);
        let address = world.upstream.url("one");
        world.gitea().migrate_as("bot", "openova", "one", &address).await;
        world.gitea().update_ref("openova", "one", "refs/heads/feature", None);
        tokio::time::sleep(seconds(9)).await;
        let freshness = world.get("/status").await.json()["mirrors"][0]["freshness"].clone();
        assert_eq!((&freshness["state"], &freshness["refsBehind"]), (&"behind".into(), &1.into()), "{freshness:#}");
    });
}

#[test]
fn a_mirror_that_is_gone_is_made_again_whatever_was_read_of_its_refs() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        let path = format!("/repos/{}/one", world.owner);
        assert_eq!(world.gitea_api(http::Method::DELETE, &path, None).await.0, 204);
        world.gitea().fault_once(CallKind::GetRepository, Fault::Delay(seconds(3)));
        clear(&world);
        let began = Instant::now();
        world.expect("created").await;
        assert!(began.elapsed() < seconds(8), "no answer of git's was waited for again: {:?}", began.elapsed());
    });
}

#[test]
fn a_failure_that_the_repository_alone_tells_waits_for_no_list() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.gitea().archive_by_hand("openova", "one", true);
        world.gitea().fault(CallKind::Git, Fault::Hang);
        world.upstream.fault_for(Reader::Service, UpstreamFault::Hang);
        let began = Instant::now();
        world.expect_failure("archived").await;
        assert!(began.elapsed() < seconds(1), "{:?}", began.elapsed());
    });
}

#[test]
fn an_upstream_that_fails_for_good_is_told_without_waiting_for_giteas_refs() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        world.gitea().fault(CallKind::Git, Fault::Hang);
        world.upstream.fault_for(Reader::Service, UpstreamFault::Status(403));
        let began = Instant::now();
        world.expect_failure("upstream-refused").await;
        assert!(began.elapsed() < seconds(1), "{:?}", began.elapsed());
    });
}

#[test]
fn while_gitea_gives_no_answer_upstream_is_read_once_and_nothing_follows_from_it() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        let router = world.in_process.down(crate::world::GITEA).unwrap();
        world.upstream.fault_once(Reader::Service, UpstreamFault::Status(403));
        clear(&world);
        let id = world.ask().await;
        tokio::time::sleep(seconds(300)).await;
        assert!(upstream_readings(&world) <= 1, "{:?}", world.upstream.calls());
        world.upstream.clear_faults();
        world.in_process.up(crate::world::GITEA, router);
        let run = world.end_of(&id).await;
        assert_eq!(run["mirrors"][0]["outcome"], "noop", "{run:#}");
    });
}

#[test]
fn an_upstream_that_asked_for_a_pause_while_gitea_was_in_trouble_is_left_alone_as_long() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        let page = "<html>\n<body>bad gateway</body>\n</html>\n".to_owned();
        world.gitea().fault_once(CallKind::GetRepository, Fault::ExecuteThenStatus(502, "text/html", page));
        world.gitea().fault(CallKind::Version, Fault::Delay(seconds(1)));
        let headers = vec![("retry-after", "40".to_owned())];
        world.upstream.fault_once(Reader::Service, UpstreamFault::Response(429, headers));
        clear(&world);
        let id = world.ask().await;
        tokio::time::sleep(seconds(35)).await;
        assert_eq!(upstream_readings(&world), 1, "{:?}", world.upstream.calls());
        let run = world.end_of(&id).await;
        assert_eq!(run["mirrors"][0]["outcome"], "noop", "{run:#}");
        assert_eq!(upstream_readings(&world), 2);
    });
}

#[test]
fn the_owner_is_looked_at_beside_upstream_and_beside_the_name_once_it_was_made() {
    story(async |mut world| {
        for kind in [CallKind::GetOrg, CallKind::GetRepository] {
            world.gitea().fault(kind, Fault::Delay(seconds(5)));
        }
        world.upstream.fault_for(Reader::Service, UpstreamFault::Delay(seconds(4)));
        world.start().await;
        let began = Instant::now();
        world.expect("created").await;
        // name and upstream (8), owner beside upstream (10), name and owner (15), name after the migrate (20), and then all (28)
        assert!((seconds(28)..seconds(29)).contains(&began.elapsed()), "{:?}", began.elapsed());
    });
}
