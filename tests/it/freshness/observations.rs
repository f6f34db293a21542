//! When a read of the status starts an observation, and when it does not.

use std::fmt::Write as _;

use standin::{CallKind, Fault, Reader, UpstreamFault};

use super::{AN_OBSERVATION, asked, at, clear, looked, minutes, observed, observed_anew, seconds, told};
use crate::world::{World, story};

/// Starts the service with so many mirrors of one upstream, none of which is there.
async fn many(world: &mut World, count: usize) {
    let names: Vec<String> = (0..count).map(|n| format!("m{n:02}")).collect();
    let mirrors: Vec<_> = names.iter().map(|name| (name.as_str(), "one", name.as_str(), "")).collect();
    let yaml = world.yaml_of(&mirrors);
    world.start_with(&yaml).await;
}

#[test]
fn nothing_is_asked_while_nobody_looks() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        clear(&world);
        tokio::time::sleep(minutes(24 * 60)).await;
        assert_eq!((asked(&world), looked(&world)), (0, 0));
        for path in ["/healthz", "/readyz", "/openapi.json", "/cutover/runs"] {
            world.get(path).await;
            tokio::time::sleep(minutes(2)).await;
        }
        assert_eq!((asked(&world), looked(&world)), (0, 0));
    });
}

#[test]
fn every_way_of_looking_starts_one_observation_that_asks_each_side_once() {
    for path in ["/status", "/status/one", "/metrics"] {
        story(async |mut world| {
            world.start().await;
            world.expect("created").await;
            tokio::time::sleep(minutes(2)).await;
            clear(&world);
            world.get(path).await;
            tokio::time::sleep(AN_OBSERVATION).await;
            assert_eq!((asked(&world), looked(&world)), (1, 1), "{path}: {:?}", world.upstream.calls());
            let refs = world.gitea().calls().into_iter().filter(|call| call.path.contains("/info/refs")).count();
            assert_eq!(refs, 1, "{path}");
            assert_eq!(world.changes(), Vec::<String>::new(), "an observation changes nothing");
        });
    }
}

#[test]
fn an_observation_counts_for_its_time_to_live_and_so_does_a_run() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        clear(&world);
        for _ in 0..58 {
            told(&world).await;
            tokio::time::sleep(seconds(1)).await;
        }
        assert_eq!(asked(&world), 0, "the run has looked less than a minute ago");
        // a reader a second, for ten minutes
        for _ in 0..600 {
            told(&world).await;
            tokio::time::sleep(seconds(1)).await;
        }
        assert!((9..=10).contains(&asked(&world)), "{}", asked(&world));
    });
}

#[test]
fn the_time_to_live_is_as_configured() {
    story(async |mut world| {
        let yaml = format!("{}observation: {{ ttl: 5m }}\n", world.yaml());
        world.start_with(&yaml).await;
        world.expect("created").await;
        clear(&world);
        tokio::time::sleep(seconds(5 * 60 - 2)).await;
        observed(&world).await;
        assert_eq!(asked(&world), 0);
        observed(&world).await;
        assert_eq!(asked(&world), 1);
    });
}

#[test]
fn a_thousand_readers_make_one_observation() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        tokio::time::sleep(minutes(2)).await;
        clear(&world);
        world.upstream.fault_for(Reader::Service, UpstreamFault::Delay(seconds(4)));
        for _ in 0..10 {
            futures_util::future::join_all((0..100).map(|_| world.get("/status"))).await;
            tokio::time::sleep(seconds(1)).await;
        }
        assert_eq!((asked(&world), looked(&world)), (1, 1));
    });
}

#[test]
fn no_reader_waits_however_long_gitea_and_upstream_do() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        tokio::time::sleep(minutes(2)).await;
        world.gitea().fault(CallKind::Any, Fault::Hang);
        world.upstream.fault(UpstreamFault::Hang);
        for path in ["/status", "/status/one", "/metrics"] {
            let asked = tokio::time::Instant::now();
            assert_eq!(world.get(path).await.status, 200);
            tokio::time::sleep(seconds(1)).await;
            assert_eq!(world.get(path).await.status, 200);
            assert_eq!(asked.elapsed(), seconds(1), "{path}");
        }
        // and the observation has its end as well
        tokio::time::sleep(seconds(9)).await;
        let freshness = told(&world).await;
        assert_eq!(freshness["reason"], "gitea-unreachable", "{freshness:#}");
        assert_eq!(world.get("/status").await.json()["gitea"]["reachable"], false);
    });
}

#[test]
fn an_upstream_that_hangs_is_given_a_minute_and_no_second_try() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        tokio::time::sleep(minutes(2)).await;
        clear(&world);
        world.upstream.fault_for(Reader::Service, UpstreamFault::Hang);
        told(&world).await;
        tokio::time::sleep(seconds(58)).await;
        assert_eq!(told(&world).await["state"], "fresh", "it may be at work on its list");
        tokio::time::sleep(seconds(4)).await;
        let freshness = told(&world).await;
        assert_eq!((&freshness["state"], &freshness["reason"]), (&"unknown".into(), &"upstream-unreachable".into()));
        tokio::time::sleep(seconds(40)).await;
        assert_eq!(asked(&world), 1);
    });
}

#[test]
fn few_mirrors_are_observed_at_once_and_all_of_them_in_turn() {
    story(async |mut world| {
        many(&mut world, 20).await;
        world.gitea().fault(CallKind::GetRepository, Fault::Hang);
        world.get("/metrics").await;
        tokio::time::sleep(seconds(9)).await;
        assert_eq!(looked(&world), 8);
        tokio::time::sleep(seconds(10)).await;
        assert_eq!(looked(&world), 16);
        tokio::time::sleep(seconds(12)).await;
        assert_eq!(looked(&world), 20);
        let states = world.get("/status").await.json();
        assert!(states["mirrors"].as_array().unwrap().iter().all(|one| !one["freshness"]["observedAt"].is_null()));
    });
}

#[test]
fn one_mirror_that_is_looked_at_is_the_only_one_that_is_observed() {
    story(async |mut world| {
        many(&mut world, 5).await;
        world.get("/status/m03").await;
        tokio::time::sleep(AN_OBSERVATION).await;
        let paths: Vec<_> = world.gitea().calls().into_iter().map(|call| call.path).collect();
        assert!(paths.contains(&"/api/v1/repos/openova/m03".to_owned()), "{paths:?}");
        assert_eq!(looked(&world), 1, "{paths:?}");
    });
}

#[test]
fn an_upstream_that_asks_to_be_left_alone_is_for_all_of_its_mirrors() {
    story(async |mut world| {
        world.two().await;
        world.run().await;
        tokio::time::sleep(minutes(2)).await;
        clear(&world);
        let busy = UpstreamFault::Response(429, vec![("retry-after", "600".to_owned())]);
        world.upstream.fault_for(Reader::Service, busy);
        world.get("/status/one").await;
        tokio::time::sleep(AN_OBSERVATION).await;
        assert_eq!(asked(&world), 1);
        world.upstream.clear_faults();
        for _ in 0..9 {
            observed_anew(&world).await;
        }
        assert_eq!(asked(&world), 1, "neither this mirror nor another one of the same host");
        let status = world.get("/status").await.json();
        assert_eq!(status["mirrors"][0]["freshness"]["reason"], "upstream-unreachable", "{status:#}");
        tokio::time::sleep(minutes(1)).await;
        let freshness = observed(&world).await;
        assert_eq!((asked(&world), &freshness["state"]), (3, &"fresh".into()), "{freshness:#}");
    });
}

#[test]
fn nothing_is_observed_beside_a_run() {
    story(async |mut world| {
        world.gitea().set_migrate_delay(minutes(5));
        world.start().await;
        let id = world.ask().await;
        world.until_phase(&id, "migrating").await;
        clear(&world);
        for _ in 0..4 {
            observed_anew(&world).await;
        }
        assert_eq!((asked(&world), world.run_now(&id).await["status"].as_str()), (0, Some("running")));
    });
}

#[test]
fn a_run_that_begins_beside_an_observation_takes_the_mirror_over() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        tokio::time::sleep(minutes(2)).await;
        // Gitea is seen as it was before the run, and the answer would come after it
        world.upstream.commit("one", "main", 1);
        world.gitea().fault_once(CallKind::UploadPack, Fault::Slow(seconds(8)));
        told(&world).await;
        tokio::time::sleep(AN_OBSERVATION).await;
        world.expect("synced").await;
        for _ in 0..20 {
            tokio::time::sleep(seconds(1)).await;
            let freshness = told(&world).await;
            assert_eq!(freshness["state"], "fresh", "{freshness:#}");
        }
    });
}

#[test]
fn what_was_seen_survives_a_restart_and_an_idle_service_hardly_writes() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        let proven = at(&told(&world).await["provenAt"]);
        let later = at(&observed_anew(&world).await["provenAt"]);
        assert!(later > proven);
        // no edge, and no ten minutes: this one was not worth a write
        world.crash();
        world.start().await;
        let restored = world.get("/status").await.json()["mirrors"][0]["freshness"].clone();
        assert_eq!((at(&restored["provenAt"]), &restored["state"]), (proven, &"fresh".into()));
        for _ in 0..10 {
            observed_anew(&world).await;
        }
        world.crash();
        world.start().await;
        let restored = told(&world).await;
        assert!(at(&restored["provenAt"]) > later, "{restored:#}");
        // an edge is written at once
        world.upstream.commit("one", "main", 1);
        let behind = observed_anew(&world).await;
        assert_eq!(behind["state"], "behind", "{behind:#}");
        world.crash();
        world.start().await;
        let restored = told(&world).await;
        for member in ["state", "behindSince", "refsBehind", "differing", "provenAt"] {
            assert_eq!(restored[member], behind[member], "{member}");
        }
    });
}

#[test]
fn the_metrics_tell_what_observations_come_to() {
    story(async |mut world| {
        world.start().await;
        world.expect("created").await;
        observed_anew(&world).await;
        world.upstream.commit("one", "main", 1);
        observed_anew(&world).await;
        world.upstream.fault_for(Reader::Service, UpstreamFault::Drop);
        let freshness = observed_anew(&world).await;
        let text = world.get("/metrics").await.text;
        let mut expected = String::new();
        for (result, count) in [("behind", 1), ("fresh", 1), ("unknown", 1)] {
            writeln!(expected, "cutover_observations_total{{result=\"{result}\"}} {count}").unwrap();
        }
        assert!(text.contains(&expected), "{text}");
        let name = "cutover_mirror_last_observation_timestamp_seconds{mirror=\"one\"} ";
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let seen: f64 = line.parse().unwrap();
        assert!((seen - at(&freshness["observedAt"]).as_duration().as_secs_f64()).abs() < 0.01, "{line}");
    });
}
